//! How many connections a listener holds.

use std::fmt;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::app::App;
use crate::limits::Limit;
use crate::limits::shares::{Full, Share, Shares};
use crate::limits::throttle::Throttle;

/// Takes a connection if there is a place for it and closes it otherwise. For the bare socket: whatever
/// wraps it, such as TLS, is given this as its inner acceptor.
#[derive(Clone, Debug)]
pub(super) struct Bounded {
    places: Arc<Shares>,
    app: App,
    log: Arc<Throttle>,
}

impl Bounded {
    /// For one listener.
    pub(super) fn new(app: &App) -> Self {
        Self {
            places: Shares::new(app.settings.server.max_connections),
            app: app.clone(),
            log: Arc::new(Throttle::new(1)),
        }
    }

    fn place(&self, stream: &TcpStream) -> io::Result<Share> {
        let peer = stream.peer_addr()?.ip();
        let limits = &self.app.limits;
        // Many share a proxy's connections.
        let address = (!limits.is_proxy(peer)).then(|| peer.into());
        self.places.take(address).map_err(|full| {
            limits.turned_away(Limit::Connections);
            if let Some(left_out) = self.log.turn(self.app.clock.now()) {
                let of_one_address = full == Full::Half;
                tracing::warn!(
                    caller.address = %peer,
                    of_one_address,
                    log.left_out = left_out,
                    "a connection was closed: there are more than `server.max_connections` allows"
                );
            }
            io::Error::other("more connections than `server.max_connections` allows")
        })
    }
}

impl<S> Accept<TcpStream, S> for Bounded {
    type Stream = TcpStream;
    type Service = Placed<S>;
    type Future = Ready<io::Result<(TcpStream, Placed<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(self.place(&stream).map(|place| {
            let service = Placed {
                inner: service,
                _place: Arc::new(place),
            };
            (stream, service)
        }))
    }
}

/// What answers one connection, and its place: the connection gives it back when it ends.
#[derive(Clone)]
pub(super) struct Placed<S> {
    inner: S,
    _place: Arc<Share>,
}

impl<S, R> Service<R> for Placed<S>
where
    S: Service<R>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.inner.call(request)
    }
}

impl<S> fmt::Debug for Placed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Placed").finish_non_exhaustive()
    }
}
