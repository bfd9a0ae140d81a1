//! Relying parties: they keep what they have fetched for as long as they like.

use jsonwebtoken::jwk::JwkSet;
use runmint::domain::time::Timestamp;

use crate::harness::{AWS, verify};

/// Somebody who trusts the issuer. It keeps the key set for `keeps` seconds, whatever Cache-Control
/// says, and does not look again for an unknown `kid` before that.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) keeps: i64,
    cache: Option<Fetched>,
}

#[derive(Debug)]
struct Fetched {
    at: Timestamp,
    jwks: JwkSet,
}

impl Party {
    pub(super) fn new(keeps: i64) -> Self {
        Self { keeps, cache: None }
    }

    /// Checks a token with the keys it has; it fetches them if it has none, or has kept them for as
    /// long as it does. A failure comes with the time of that fetch.
    pub(super) fn check(
        &mut self,
        token: &str,
        now: Timestamp,
        fetch: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), (String, Timestamp)> {
        let cached = self
            .cache
            .take()
            .filter(|cache| now.seconds_since(cache.at) < self.keeps);
        let cache = self.cache.insert(cached.unwrap_or_else(|| Fetched {
            at: now,
            jwks: serde_json::from_slice(&fetch()).unwrap(),
        }));
        match verify(token, &cache.jwks, AWS, now) {
            Ok(_) => Ok(()),
            Err(error) => Err((error, cache.at)),
        }
    }
}
