//! Runs both listeners and the background jobs; the death of one ends all.

mod connections;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::connections::Bounded;
use crate::app::App;
use crate::audit::RecorderTask;
use crate::http::{self, Router};
use crate::tls::{Listener, Tls};

/// The sockets, bound by whoever calls [`serve`]: tests bind port 0.
#[derive(Debug)]
pub struct Listeners {
    /// For the world.
    pub public: TcpListener,
    /// For operators.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds both sockets.
    ///
    /// # Errors
    /// Which address cannot be listened on, and why.
    pub fn bind(public: SocketAddr, admin: SocketAddr) -> Result<Self, std::io::Error> {
        let bind = |name: &str, address: SocketAddr| {
            TcpListener::bind(address).map_err(|error| {
                std::io::Error::new(error.kind(), format!("`{name}` = {address}: {error}"))
            })
        };
        Ok(Self {
            public: bind("server.listen", public)?,
            admin: bind("admin.listen", admin)?,
        })
    }
}

/// How often a replica looks whether the keys have changed.
const KEYRING_POLL: Duration = Duration::from_millis(500);

/// A database that takes longer counts as down.
const KEYRING_TIMEOUT: Duration = Duration::from_secs(5);

/// How often old events are dropped and room is made for new ones.
const MAINTENANCE: Duration = Duration::from_hours(1);

/// How long a connection may take for its handshake, and then to send a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a silent HTTP/2 connection is asked whether somebody is there, and how long for an answer.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How many requests one HTTP/2 connection may send at once (RFC 9113 section 6.5.2 recommends no fewer).
const STREAMS: u32 = 100;

/// How much of a request's head an HTTP/1 connection holds, in bytes.
const HEAD: usize = 64 * 1024;

/// Serves until `shutdown`, then finishes and records what is under way.
///
/// # Errors
/// A listener failed, or a background job ended before it was told to.
pub async fn serve(
    app: App,
    mut recorder: RecorderTask,
    listeners: Listeners,
    tls: Tls,
    shutdown: CancellationToken,
) -> Result<(), std::io::Error> {
    let grace = app.settings.server.shutdown_grace.0;
    let store = app.store.clone();
    let mut tasks = Tasks::new();

    let (public, admin) = (http::public(app.clone()), http::admin(&app));
    let of = |listener| tls.config(listener);
    listen(
        &app,
        &mut tasks,
        &shutdown,
        listeners.public,
        public,
        of(Listener::Public),
    )?;
    listen(
        &app,
        &mut tasks,
        &shutdown,
        listeners.admin,
        admin,
        of(Listener::Admin),
    )?;
    {
        let (clock, metrics, shutdown) = (app.clock.clone(), app.metrics.clone(), shutdown.clone());
        tasks.spawn(async move {
            tls.run(clock, metrics, shutdown).await;
            Ok(())
        });
    }
    tasks.spawn(poll_keyring(app.clone(), shutdown.clone()));
    tasks.spawn(maintain(app.clone(), shutdown.clone()));
    {
        let (rotation, probe, clock) = (app.rotation.clone(), app.probe.clone(), app.clock.clone());
        let shutdown = shutdown.clone();
        tasks.spawn(async move {
            rotation.run(probe, clock, shutdown).await;
            Ok(())
        });
    }
    // The worker behind the recorders ends with the last of them.
    drop(app);

    let mut outcome = Ok(());
    loop {
        let ended = tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(ended) => ended,
                None => break,
            },
            () = recorder.ended(), if !shutdown.is_cancelled() => {
                Ok(Err(std::io::Error::other("the audit worker ended")))
            }
        };
        let result = ended.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        if !shutdown.is_cancelled() {
            tracing::error!(
                ?result,
                "a part of the server ended by itself; all of it stops"
            );
            outcome = result.and(Err(std::io::Error::other(
                "a part of the server ended by itself",
            )));
            shutdown.cancel();
        }
    }
    // All routers are gone, and with them the last recorders: what is queued is written, then it ends.
    // An operator's change of keys may hold one too; it has as long as requests had.
    let rest = async {
        recorder.finish().await;
        store.close().await;
    };
    if tokio::time::timeout(grace, rest).await.is_err() {
        tracing::error!("the database does not answer; what it has not taken is not recorded");
    }
    outcome
}

type Tasks = JoinSet<Result<(), std::io::Error>>;

/// Answers on one listener until `shutdown`.
fn listen(
    app: &App,
    tasks: &mut Tasks,
    shutdown: &CancellationToken,
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
) -> Result<(), std::io::Error> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .acceptor(Bounded::new(app))
        .first_request_timeout(HEAD_TIMEOUT)
        .accept_error_handler(|peer, error| {
            tracing::debug!(?peer, %error, "a connection was not accepted");
        });
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD);
    server
        .http_builder()
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        None => tasks.spawn(server.serve(service)),
        Some(tls) => {
            let server = server.map(|acceptor| {
                RustlsAcceptor::new(tls)
                    .handshake_timeout(HEAD_TIMEOUT)
                    .acceptor(acceptor)
            });
            tasks.spawn(server.serve(service))
        }
    };
    let (shutdown, grace) = (shutdown.clone(), app.settings.server.shutdown_grace.0);
    tasks.spawn(async move {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(grace));
        Ok(())
    });
    Ok(())
}

/// Follows changes of the keys and of trusted issuers that other replicas make.
async fn poll_keyring(app: App, shutdown: CancellationToken) -> Result<(), std::io::Error> {
    let mut down = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(KEYRING_POLL) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        let refreshed = async {
            let changed = app.keyring.refresh(app.clock.now()).await;
            let changed = changed.map_err(|error| error.to_string())?;
            let trusted = app.federation.refresh().await;
            Ok(changed | trusted.map_err(|error| error.to_string())?)
        };
        let refreshed = match tokio::time::timeout(KEYRING_TIMEOUT, refreshed).await {
            Ok(refreshed) => refreshed,
            Err(_) => Err("the database did not answer in time".to_owned()),
        };
        app.metrics.keyring_checked.set(app.keyring.checked_at().0);
        app.metrics
            .can_sign
            .set(i64::from(app.keyring.current().signer().is_ok()));
        match refreshed {
            Ok(changed) => {
                if std::mem::take(&mut down) {
                    tracing::info!("the database answers again");
                }
                if changed {
                    tracing::debug!("another replica changed keys or trusted issuers");
                }
            }
            Err(error) => {
                app.metrics.store_failed("refresh_keys");
                // Once per outage, not twice a second.
                if !std::mem::replace(&mut down, true) {
                    tracing::error!(
                        %error,
                        "the keys cannot be looked up; discovery and JWKS go on from memory"
                    );
                }
            }
        }
    }
}

async fn maintain(app: App, shutdown: CancellationToken) -> Result<(), std::io::Error> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(MAINTENANCE) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        let now = app.clock.now();
        if let Err(error) = app
            .store
            .maintain(now - app.settings.events.keep.0, now)
            .await
        {
            app.metrics.store_failed("maintain");
            tracing::error!(%error, "old events could not be dropped; it is tried again in an hour");
        }
    }
}
