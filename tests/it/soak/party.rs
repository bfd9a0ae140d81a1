//! Relying parties, and what they can see: they keep what they have fetched for as long as they
//! like.

use jsonwebtoken::jwk::JwkSet;
use runmint::domain::time::Timestamp;

use crate::harness::{AWS, verify};

/// The key set as the world sees it, behind a CDN that may fall behind.
#[derive(Clone, Debug)]
pub(super) struct Outside {
    pub(super) jwks: JwkSet,
    /// When it was what runmint published.
    pub(super) as_of: Timestamp,
    /// Until then it is not brought up to date.
    pub(super) stuck_until: Timestamp,
}

impl Outside {
    pub(super) fn publish(&mut self, bytes: &[u8], now: Timestamp) {
        if now >= self.stuck_until {
            self.jwks = serde_json::from_slice(bytes).unwrap();
            self.as_of = now;
        }
    }
}

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
    seen: Outside,
}

impl Party {
    pub(super) fn new(keeps: i64) -> Self {
        Self { keeps, cache: None }
    }

    /// Checks a token with the keys it has; it fetches them if it has none, or has kept them for as
    /// long as it does. A failure comes with the time at which those keys were published.
    pub(super) fn check(
        &mut self,
        token: &str,
        outside: &Outside,
        now: Timestamp,
    ) -> Result<(), (String, Timestamp)> {
        let cached = self
            .cache
            .take()
            .filter(|cache| now.seconds_since(cache.at) < self.keeps);
        let Fetched { seen, .. } = self.cache.insert(cached.unwrap_or_else(|| Fetched {
            at: now,
            seen: outside.clone(),
        }));
        match verify(token, &seen.jwks, AWS, now) {
            Ok(_) => Ok(()),
            Err(error) => Err((error, seen.as_of)),
        }
    }
}
