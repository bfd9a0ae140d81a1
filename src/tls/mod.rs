//! What the listeners prove themselves with: certificate files that are followed as they change, or a
//! certificate that the public listener gets by itself (`acme`).
//!
//! TLS 1.2 and 1.3 with the cipher suites of rustls and aws-lc-rs; nothing of that can be configured.

mod acme;
mod error;
mod files;
mod pinned;
mod x509;

use std::sync::Arc;
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::crypto::CryptoProvider;
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use tokio_util::sync::CancellationToken;

use self::acme::Acme;
pub use self::error::TlsError;
use self::files::{Files, Paths};
pub use self::pinned::client_config as pinned_client;
use self::x509::Validity;
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::time::Timestamp;
use crate::metrics::{ListenerLabels, Metrics};

/// How often the files are looked at, and whether a certificate is due.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How often somebody is reminded of a certificate that ends soon.
const REMIND_EVERY: Duration = Duration::from_hours(24);

/// What each listener speaks TLS with; one without speaks plain HTTP.
#[derive(Debug, Default)]
pub struct Tls {
    files: Vec<Files>,
    acme: Option<Acme>,
}

/// One of the two listeners.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listener {
    /// For the world.
    Public,
    /// For operators.
    Admin,
}

impl Listener {
    fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Admin => "admin",
        }
    }
}

impl Tls {
    /// Reads the files that the settings name, and what ACME has kept from before.
    ///
    /// # Errors
    /// The setting, the file, and what is wrong with it.
    pub fn load(settings: &Settings) -> Result<Self, TlsError> {
        let (server, admin) = (&settings.server.tls, &settings.admin.tls);
        let mut files = Vec::new();
        if server.is_on() {
            files.push(Files::load(Paths {
                listener: Listener::Public,
                certificate: server.certificate_file.clone(),
                key: server.key_file.clone(),
                client_ca: None,
            })?);
        }
        if admin.is_on() {
            let client_ca = admin.asks_for_client();
            files.push(Files::load(Paths {
                listener: Listener::Admin,
                certificate: admin.certificate_file.clone(),
                key: admin.key_file.clone(),
                client_ca: client_ca.then(|| admin.client_ca_file.clone()),
            })?);
        }
        let acme = &settings.server.acme;
        let acme = acme
            .is_on()
            .then(|| Acme::load(acme, &settings.data_dir))
            .transpose()?;
        Ok(Self { files, acme })
    }

    /// What the acceptor of this listener reads at each handshake; nothing for plain HTTP.
    pub fn config(&self, listener: Listener) -> Option<RustlsConfig> {
        let acme = self.acme.as_ref().filter(|_| listener == Listener::Public);
        let files = self.files.iter().find(|files| files.listener() == listener);
        files.map(Files::config).or_else(|| acme.map(Acme::config))
    }

    /// Follows the files and renews what is due, until `shutdown`.
    pub async fn run(self, clock: Clock, metrics: Metrics, shutdown: CancellationToken) {
        let Self { files, acme } = self;
        let renewing = async {
            match acme {
                Some(acme) => acme.run(&clock, &metrics).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = follow(files, &clock, &metrics) => {}
            () = renewing => {}
            () = shutdown.cancelled() => {}
        }
    }
}

async fn follow(mut files: Vec<Files>, clock: &Clock, metrics: &Metrics) {
    loop {
        for files in &mut files {
            files.look(clock.now(), metrics);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The end of a certificate: shown in the metrics, and told in the log when it comes near.
#[derive(Debug, Default)]
struct Expiry {
    told_at: Option<Timestamp>,
}

impl Expiry {
    fn look(
        &mut self,
        listener: Listener,
        validity: Option<Validity>,
        now: Timestamp,
        metrics: &Metrics,
    ) {
        let Some(validity) = validity else { return };
        let listener = listener.as_str();
        let labels = ListenerLabels { listener };
        metrics
            .certificate_not_after
            .get_or_create(&labels)
            .set(validity.not_after.0);
        let told = self.told_at.is_some_and(|at| now < at + REMIND_EVERY);
        if told || now < validity.ends_soon_at() {
            return;
        }
        self.told_at = Some(now);
        let not_after = validity.not_after;
        if now < not_after {
            tracing::warn!(listener, %not_after, "the certificate ends soon: is it renewed?");
        } else {
            tracing::error!(listener, %not_after, "the certificate has ended: clients refuse it");
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// TLS 1.2 and 1.3, and nothing older: RFC 8996.
fn server_builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
}

/// What hyper speaks, the better one first.
fn http_protocols() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}
