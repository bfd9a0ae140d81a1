//! The keys of one trusted issuer: uploaded, or fetched by discovery, cached, and fetched again.
//!
//! A slow, huge, redirecting or lying issuer harms nobody else: its answers are bounded in time and
//! size, only a few callers wait for it, and it is asked at a limited rate.

mod fetch;
mod jwk;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Client;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore};
use tokio::task::JoinHandle;

use self::fetch::{client, get};
pub(super) use self::jwk::IssuerKey;
use self::jwk::{holds_secrets, parse};
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

/// An issuer that does not answer is trusted on its last answer for as long once that is stale, in
/// seconds.
const KEEP: i64 = 3_600;

/// A clock may be set back by as much before what was fetched counts as never fetched, in seconds.
const STEP_BACK: i64 = 300;

/// For discovery and key set together.
const TIMEOUT: Duration = Duration::from_secs(5);

/// More than that many callers do not wait for one issuer.
const MAX_WAITING: usize = 32;

impl Cache {
    /// Whether there is an answer that still counts.
    fn is_usable(&self, now: Timestamp) -> bool {
        let fetched = |at: Timestamp| at.seconds_since(now) <= STEP_BACK;
        self.fetched_at.is_some_and(fetched) && now.0 < self.stale_at.0 + KEEP
    }
}

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

    /// The keys with this id that are for `algorithm`; during a rotation there may be two. Keys that
    /// are due are fetched meanwhile; only the very first caller, and one with an unknown `kid`, wait
    /// for the issuer.
    pub(super) async fn find(
        self: &Arc<Self>,
        kid: &str,
        algorithm: TokenAlgorithm,
        now: Timestamp,
    ) -> Result<Vec<IssuerKey>, KeysError> {
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
        let turn = Arc::clone(&self.fetching).lock_owned().await;
        // Whoever had the turn before may have brought it.
        if self.cached(kid, algorithm, now).is_none() && self.may_ask(now) {
            // It goes on when the caller hangs up: the question is spent either way.
            let _ = self.fetch(turn, now).await;
        }
        self.cached(kid, algorithm, now)
            .unwrap_or_else(|| Err(self.why_not(now)))
    }

    /// What the cache says; nothing if it knows no such key.
    fn cached(
        &self,
        kid: &str,
        algorithm: TokenAlgorithm,
        now: Timestamp,
    ) -> Option<Result<Vec<IssuerKey>, KeysError>> {
        let cache = self.lock();
        if !cache.is_usable(now) && !matches!(self.source, Source::Uploaded) {
            return None;
        }
        let mut of_that_id = cache.keys.iter().filter(|key| key.kid() == kid).peekable();
        of_that_id.peek()?;
        let fitting: Vec<_> = of_that_id
            .filter(|key| key.fits(algorithm))
            .cloned()
            .collect();
        Some(if fitting.is_empty() {
            Err(KeysError::OtherAlgorithm)
        } else {
            Ok(fitting)
        })
    }

    /// Why there is no such key: the issuer has none, or that cannot be said now.
    fn why_not(&self, now: Timestamp) -> KeysError {
        let cache = self.lock();
        match &cache.error {
            Some(error) => KeysError::Fetch(error.clone()),
            None if cache.is_usable(now) => KeysError::UnknownKid,
            None => KeysError::Fetch("the issuer's keys have not been fetched yet".to_owned()),
        }
    }

    /// Fetches keys that are due for those who come later, unless somebody is at it.
    fn fetch_meanwhile(self: &Arc<Self>, now: Timestamp) {
        let is_due = now >= self.lock().stale_at;
        if matches!(self.source, Source::Uploaded) || !is_due {
            return;
        }
        if let Ok(turn) = Arc::clone(&self.fetching).try_lock_owned()
            && self.may_ask(now)
        {
            drop(self.fetch(turn, now));
        }
    }

    /// Takes the one question that may be asked every [`ASK_AGAIN`] seconds.
    fn may_ask(&self, now: Timestamp) -> bool {
        let mut cache = self.lock();
        // A clock that was set back asks at once.
        let lately = |at: Timestamp| (0..ASK_AGAIN).contains(&now.seconds_since(at));
        if cache.attempted_at.is_some_and(lately) {
            return false;
        }
        cache.attempted_at = Some(now);
        true
    }

    /// Fetches in a task of its own, which holds the turn until it is done.
    fn fetch(self: &Arc<Self>, turn: OwnedMutexGuard<()>, now: Timestamp) -> JoinHandle<()> {
        let keys = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = tokio::time::timeout(TIMEOUT, keys.ask()).await;
            let fetched = fetched.unwrap_or_else(|_| Err("the issuer is too slow".to_owned()));
            keys.keep(fetched, now);
            drop(turn);
        })
    }

    fn keep(&self, fetched: Result<(Vec<IssuerKey>, i64), String>, now: Timestamp) {
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
    async fn ask(&self) -> Result<(Vec<IssuerKey>, i64), String> {
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
