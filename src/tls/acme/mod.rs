//! ACME (RFC 8555): the public listener gets its certificate by itself and renews it.
//!
//! From an empty folder: a self-signed certificate fills the place, an account and an order are made,
//! the CA checks each name through the listener itself (tls-alpn-01), and the certificate is in force
//! without a restart. All of it is kept, so that a restart orders nothing. The protocol is the
//! business of `instant-acme`, the certificates that we sign ourselves that of `rcgen`.

mod account;
mod challenge;
mod error;
mod http;
mod order;
mod state;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum_server::tls_rustls::RustlsConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::KeyPair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use self::challenge::{ACME_TLS, Challenges, Resolver};
use self::error::AcmeError;
use self::http::Http;
use self::state::{Certificate, Place, State};
use super::x509::{Validity, self_signed};
use super::{Expiry, LOOK_EVERY, Listener, TlsError, http_protocols, provider, server_builder};
use crate::clock::Clock;
use crate::config::AcmeSettings;
use crate::domain::time::Timestamp;
use crate::metrics::Metrics;

/// A CA that takes longer than this for an order is asked again later.
const ORDER_TIMEOUT: Duration = Duration::from_mins(5);

/// After the first failure; each further one doubles it. Let's Encrypt takes five failed checks of a
/// name an hour: <https://letsencrypt.org/docs/rate-limits/>
const FIRST_BACKOFF: Duration = Duration::from_mins(5);

/// And no longer than this.
const LONGEST_BACKOFF: Duration = Duration::from_hours(6);

/// A CA that wants to be left alone for longer is asked again all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// The certificate of the public listener, and the way to the next one.
#[derive(Debug)]
pub(super) struct Acme {
    settings: AcmeSettings,
    http: Http,
    place: Place,
    resolver: Arc<Resolver>,
    config: RustlsConfig,
    /// Of the certificate in force; nothing while it is the self-signed one, or for other names.
    validity: Option<Validity>,
}

impl Acme {
    pub(super) fn load(settings: &AcmeSettings, data_dir: &Path) -> Result<Self, TlsError> {
        let place = Place::in_data_dir(data_dir)?;
        let state = place.load(&settings.directory_url)?;
        let names = &settings.domains.0;
        let (certificate, validity) = match state.certificate {
            Some(kept) => {
                let (certificate, validity) = parse(&kept).ok_or_else(|| place.damaged())?;
                // For other names it serves on until the new one is there.
                (certificate, (kept.domains == *names).then_some(validity))
            }
            None => (placeholder(names)?, None),
        };
        let resolver = Arc::new(Resolver {
            in_force: ArcSwap::from_pointee(certificate),
            challenges: Challenges::default(),
        });
        let mut config = server_builder()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&resolver) as _);
        config.alpn_protocols = http_protocols();
        config.alpn_protocols.push(ACME_TLS.to_vec());
        tracing::info!(
            domains = names.join(","),
            directory = settings.directory_url,
            not_after = validity.map(|validity| tracing::field::display(validity.not_after)),
            "the public listener gets its certificate by ACME"
        );
        Ok(Self {
            settings: settings.clone(),
            http: Http::new(settings)?,
            place,
            resolver,
            config: RustlsConfig::from_config(Arc::new(config)),
            validity,
        })
    }

    pub(super) fn config(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Orders when a certificate is due, for ever.
    pub(super) async fn run(mut self, clock: &Clock, metrics: &Metrics) {
        let mut expiry = Expiry::default();
        let mut failures = 0;
        let mut not_before = Timestamp::default();
        loop {
            let now = clock.now();
            let is_due = self
                .validity
                .is_none_or(|validity| now >= validity.renew_at());
            if is_due && now >= not_before {
                let ordered = tokio::time::timeout(ORDER_TIMEOUT, self.renew()).await;
                match ordered.unwrap_or(Err(AcmeError::Timeout)) {
                    Ok(validity) => {
                        (self.validity, failures) = (Some(validity), 0);
                        expiry = Expiry::default();
                        let not_after = validity.not_after;
                        tracing::info!(%not_after, "a new certificate is in force");
                    }
                    Err(error) => {
                        metrics.acme_failures.inc();
                        let asked = error.retry_after().unwrap_or_default();
                        let wait = backoff(failures).max(asked.min(LONGEST_RETRY_AFTER));
                        failures += 1;
                        not_before = clock.now() + wait;
                        tracing::error!(%error, again_at = %not_before, "no certificate by ACME");
                    }
                }
            }
            expiry.look(Listener::Public, self.validity, clock.now(), metrics);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Gets a certificate, keeps it, and puts it in force.
    async fn renew(&self) -> Result<Validity, AcmeError> {
        let url = &self.settings.directory_url;
        let mut state = self.place.load(url).map_err(|_| AcmeError::Damaged)?;
        tracing::info!(directory = url, "ordering a certificate");
        let key = KeyPair::generate()?;
        let chain = match self.order(&mut state, &key).await {
            // The CA has forgotten us, or the account was closed: it is made anew, once.
            Err(error) if error.is_account_gone() => {
                state.account = None;
                self.order(&mut state, &key).await?
            }
            chain => chain?,
        };
        let certificate = Certificate {
            domains: self.settings.domains.0.clone(),
            chain,
            key: STANDARD.encode(key.serialized_der()),
        };
        let (certified, validity) =
            parse(&certificate).ok_or(AcmeError::Malformed("no usable certificate"))?;
        state.certificate = Some(certificate);
        // In force even if it cannot be kept: then only a restart would order again.
        self.resolver.in_force.store(Arc::new(certified));
        if let Err(error) = self.save(&state) {
            tracing::error!(%error, "the new certificate is in force but cannot be kept");
        }
        Ok(validity)
    }

    async fn order(&self, state: &mut State, key: &KeyPair) -> Result<String, AcmeError> {
        let account = if let Some(kept) = &state.account {
            account::restore(&self.http, &self.settings, kept).await?
        } else {
            let (account, kept) = account::register(&self.http, &self.settings).await?;
            state.account = Some(kept);
            // Before the order: an account that is lost is a new one at each try.
            self.save(state)?;
            account
        };
        let names = &self.settings.domains.0;
        order::order(&account, names, key, &self.resolver.challenges).await
    }

    fn save(&self, state: &State) -> Result<(), AcmeError> {
        self.place.save(state).map_err(|source| AcmeError::Save {
            path: self.place.path().display().to_string(),
            source,
        })
    }
}

/// How long to wait after so many failures before this one.
fn backoff(failures: u32) -> Duration {
    FIRST_BACKOFF
        .saturating_mul(2_u32.saturating_pow(failures))
        .min(LONGEST_BACKOFF)
}

/// What is shown until the first certificate is there. Nobody trusts it; but a health check that does
/// not look at names finds the listener alive.
fn placeholder(domains: &[String]) -> Result<CertifiedKey, TlsError> {
    let key = KeyPair::generate().map_err(|_| TlsError::Crypto)?;
    let certificate = self_signed(&key, domains, None).map_err(|_| TlsError::Crypto)?;
    Ok(CertifiedKey::from_der(
        vec![certificate],
        key.into(),
        &provider(),
    )?)
}

/// A certificate that fits its key, and when it ends.
fn parse(certificate: &Certificate) -> Option<(CertifiedKey, Validity)> {
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().ok()?;
    let validity = Validity::of(chain.first()?)?;
    let key = PrivatePkcs8KeyDer::from(STANDARD.decode(&certificate.key).ok()?);
    let certified = CertifiedKey::from_der(chain, key.into(), &provider()).ok()?;
    Some((certified, validity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_ever_more_rarely() {
        let minutes: Vec<_> = (0..8).map(|n| backoff(n).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 320, 360]);
        assert_eq!(backoff(u32::MAX), LONGEST_BACKOFF);
    }
}
