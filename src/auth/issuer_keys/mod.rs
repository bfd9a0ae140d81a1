//! The keys of one trusted issuer: uploaded, or fetched by discovery, cached, and fetched again.
//!
//! A slow, huge, redirecting or lying issuer harms nobody else: its answers are bounded in time and
//! size, only a few callers wait for it, and it is asked at a limited rate.

mod fetch;
mod jwk;

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Client;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use self::fetch::{client, get};
use self::jwk::{IssuerKey, holds_secrets, parse};
use crate::domain::InvalidField;
use crate::domain::time::Timestamp;
use crate::domain::trusted_issuer::{Definition, TokenAlgorithm};

/// The keys of one issuer, and how they are come by.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    source: Source,
    cache: Mutex<Cache>,
    /// Who fetches; the others wait for what comes of it.
    fetching: Arc<AsyncMutex<()>>,
    /// How many may wait.
    waiting: Semaphore,
}

/// Why an issuer's keys, or the one asked for, cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum KeysError {
    /// The issuer has no such key, as far as is known.
    #[error("no key of the issuer has its `kid`")]
    UnknownKid,
    /// The key is for other algorithms.
    #[error("the key with its `kid` is for another algorithm")]
    OtherAlgorithm,
    /// The issuer does not answer, or not as it should.
    #[error("{0}")]
    Fetch(String),
    /// Others wait already, as many as may.
    #[error("too many wait for this issuer's keys")]
    Busy,
}

#[derive(Debug)]
enum Source {
    Uploaded,
    Discovery {
        client: Client,
        issuer: String,
        url: String,
        private_network: bool,
    },
}

#[derive(Debug, Default)]
struct Cache {
    keys: Arc<Vec<IssuerKey>>,
    /// When the keys came.
    fetched_at: Option<Timestamp>,
    /// From when on they are fetched again.
    stale_at: Timestamp,
    /// When they were last asked for.
    attempted_at: Option<Timestamp>,
    /// What came of that, if nothing did.
    error: Option<String>,
}

/// How soon an issuer is asked again, in seconds: after a failure, or for an unknown `kid`.
pub(super) const ASK_AGAIN: i64 = 30;

/// What `Cache-Control` says is kept within these bounds, in seconds.
const FLOOR: i64 = 60;
const CEILING: i64 = 3_600;

/// What is taken when it says nothing.
const DEFAULT: i64 = 300;

/// An issuer that does not answer is trusted on its last answer for as long, in seconds.
const KEEP: i64 = CEILING;

/// More than that many callers do not wait for one issuer.
const MAX_WAITING: usize = 32;

impl IssuerKeys {
    /// Sets up how the keys are come by; nothing is fetched yet.
    ///
    /// # Errors
    /// Names `jwks` or `ca_certificates`.
    pub(super) fn new(definition: &Definition) -> Result<Self, InvalidField> {
        let mut cache = Cache::default();
        let source = match &definition.jwks {
            Some(jwks) => {
                let refuse = |rule| InvalidField::new("jwks", rule);
                if holds_secrets(jwks) {
                    return Err(refuse(
                        "holds a private or symmetric key; send the public ones".to_owned(),
                    ));
                }
                let keys = parse(jwks).map_err(refuse)?;
                cache.keys = Arc::new(keys);
                Source::Uploaded
            }
            None => Source::Discovery {
                client: client(definition)?,
                issuer: definition.issuer.clone(),
                url: definition.discovery_url.clone().unwrap_or_else(|| {
                    // OpenID Connect Discovery 1.0 section 4.1.
                    let base = definition.issuer.trim_end_matches('/');
                    format!("{base}/.well-known/openid-configuration")
                }),
                private_network: definition.private_network,
            },
        };
        Ok(Self {
            source,
            cache: Mutex::new(cache),
            fetching: Arc::default(),
            waiting: Semaphore::new(MAX_WAITING),
        })
    }

    /// The key with this id, if it is one for `algorithm`. Keys that are due are fetched meanwhile;
    /// only the very first caller, and one with an unknown `kid`, wait for the issuer.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: &str,
        algorithm: TokenAlgorithm,
        now: Timestamp,
    ) -> Result<IssuerKey, KeysError> {
        if let Some(found) = self.cached(kid, algorithm, now) {
            self.fetch_meanwhile(now);
            return found;
        }
        if matches!(self.source, Source::Uploaded) {
            return Err(KeysError::UnknownKid);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(KeysError::Busy);
        };
        let _turn = self.fetching.lock().await;
        // Whoever had the turn before may have brought it.
        if self.cached(kid, algorithm, now).is_none() && self.may_ask(now) {
            self.fetch_and_keep(now).await;
        }
        self.cached(kid, algorithm, now).unwrap_or_else(|| {
            let error = self.lock().error.clone();
            Err(error.map_or(KeysError::UnknownKid, KeysError::Fetch))
        })
    }

    /// What the cache says; nothing if it knows no such key.
    fn cached(
        &self,
        kid: &str,
        algorithm: TokenAlgorithm,
        now: Timestamp,
    ) -> Option<Result<IssuerKey, KeysError>> {
        let cache = self.lock();
        let fresh = cache.fetched_at.is_some_and(|at| now.0 < at.0 + KEEP);
        if !fresh && !matches!(self.source, Source::Uploaded) {
            return None;
        }
        let mut of_that_id = cache.keys.iter().filter(|key| key.kid() == kid).peekable();
        of_that_id.peek()?;
        let fitting = of_that_id.find(|key| key.fits(algorithm));
        Some(fitting.cloned().ok_or(KeysError::OtherAlgorithm))
    }

    /// Fetches keys that are due for those who come later, unless somebody is at it.
    fn fetch_meanwhile(self: &Arc<Self>, now: Timestamp) {
        let is_due = now >= self.lock().stale_at;
        if matches!(self.source, Source::Uploaded) || !is_due {
            return;
        }
        let Ok(turn) = Arc::clone(&self.fetching).try_lock_owned() else {
            return;
        };
        if self.may_ask(now) {
            let keys = Arc::clone(self);
            tokio::spawn(async move {
                keys.fetch_and_keep(now).await;
                drop(turn);
            });
        }
    }

    /// Takes the one question that may be asked every [`ASK_AGAIN`] seconds.
    fn may_ask(&self, now: Timestamp) -> bool {
        let mut cache = self.lock();
        let lately = cache
            .attempted_at
            .is_some_and(|at| now.0 < at.0 + ASK_AGAIN);
        if !lately {
            cache.attempted_at = Some(now);
        }
        !lately
    }

    async fn fetch_and_keep(&self, now: Timestamp) {
        let fetched = self.fetch().await;
        let mut cache = self.lock();
        match fetched {
            Ok((keys, max_age)) => {
                cache.keys = Arc::new(keys);
                cache.fetched_at = Some(now);
                cache.stale_at = Timestamp(now.0 + max_age.clamp(FLOOR, CEILING));
                cache.error = None;
            }
            Err(error) => {
                tracing::warn!(error, "the keys of a trusted issuer cannot be fetched");
                cache.error = Some(error);
            }
        }
    }

    /// The keys, and for how many seconds they may be kept.
    async fn fetch(&self) -> Result<(Vec<IssuerKey>, i64), String> {
        let Source::Discovery {
            client,
            issuer,
            url,
            private_network,
        } = &self.source
        else {
            return Err("its keys were uploaded".to_owned());
        };
        let (document, _) = get(client, url, *private_network).await?;
        match document["issuer"].as_str() {
            Some(found) if found == issuer => {}
            _ => return Err(format!("{url} is the discovery document of another issuer")),
        }
        let jwks_uri = document["jwks_uri"]
            .as_str()
            .ok_or_else(|| format!("{url} has no `jwks_uri`"))?;
        let (jwks, max_age) = get(client, jwks_uri, *private_network).await?;
        Ok((parse(&jwks)?, max_age.unwrap_or(DEFAULT)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
