//! Which certificate a handshake gets: the one in force, or the answer to a CA's challenge.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rcgen::KeyPair;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::error::AcmeError;
use crate::tls::provider;
use crate::tls::x509::self_signed;

/// A CA that checks a name offers this protocol and no other (RFC 8737, section 3).
pub(super) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Asked at each handshake.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) in_force: ArcSwap<CertifiedKey>,
    pub(super) challenges: Challenges,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_check = hello
            .alpn()
            .is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME_TLS));
        if is_check {
            return self.challenges.find(hello.server_name()?);
        }
        Some(self.in_force.load_full())
    }
}

/// The challenges that are being answered, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Challenges(Arc<Mutex<HashMap<String, Arc<CertifiedKey>>>>);

impl Challenges {
    /// Answers for `domain` until what comes back is dropped.
    pub(super) fn answer(&self, domain: &str, proof: &[u8]) -> Result<Answered, AcmeError> {
        let key = KeyPair::generate()?;
        let certificate = self_signed(&key, &[domain.to_owned()], Some(proof))?;
        // Not held against its key: rustls reads no certificate with such an extension in it.
        let key = provider().key_provider.load_private_key(key.into())?;
        let certificate = CertifiedKey::new(vec![certificate], key);
        self.lock().insert(domain.to_owned(), Arc::new(certificate));
        Ok(Answered {
            challenges: self.clone(),
            domain: domain.to_owned(),
        })
    }

    fn find(&self, domain: &str) -> Option<Arc<CertifiedKey>> {
        self.lock().get(&domain.to_ascii_lowercase()).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        // Nothing in here can be half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A challenge that is answered while this lives.
#[derive(Debug)]
pub(super) struct Answered {
    challenges: Challenges,
    domain: String,
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.challenges.lock().remove(&self.domain);
    }
}
