//! Who is calling. Only this module can make a caller, so whoever holds one has been checked.

mod address;
pub mod federation;
mod issuer_keys;
mod last_used;
mod lookup;
pub mod mapping;
mod operator;
pub mod secret;
mod unverified;

use std::fmt;
use std::sync::Arc;

use self::federation::{Candidate, ForeignToken, Refusal};
pub use self::last_used::LastUsed;
use self::last_used::Use;
pub use self::lookup::Lookup;
use self::mapping::Identity;
pub use self::operator::{AdminTokens, FullOperator, Operator};
use self::secret::{Kind, Secret, SecretError};
use crate::domain::client::Client;
use crate::domain::grant::Grant;
use crate::domain::run::Run;
use crate::domain::time::Timestamp;
use crate::domain::workload::Workload;
use crate::store::{Authority, KnownSecret, Store, StoreError, Word};

/// A client that has shown one of its secrets, or a trusted issuer's token.
#[derive(Debug)]
pub struct CallingClient {
    client: Arc<Client>,
    used: Option<Use>,
    shown: Shown,
}

/// What a client has shown.
#[derive(Debug)]
enum Shown {
    Secret {
        known: Arc<KnownSecret>,
        is_remembered: bool,
    },
    Foreign(Box<ForeignToken>),
}

/// A workload that has shown a trusted issuer's token, which is taken when something is made for it.
#[derive(Debug)]
pub struct CallingWorkload {
    workload: Workload,
    grants: Vec<Grant>,
    foreign: ForeignToken,
}

/// Who a trusted issuer's token stands for.
#[derive(Debug)]
pub enum Federated {
    /// A client.
    Client(CallingClient),
    /// A workload.
    Workload(Box<CallingWorkload>),
}

/// A run that has shown its request token. Which one it is never changes; whether it has ended by now is
/// for the store to say.
#[derive(Debug)]
pub struct CallingRun {
    run: Arc<Run>,
    token_hash: String,
}

/// Whether what is remembered of a caller still holds. Dropped before that is known, also when whoever asked has
/// gone away, it is forgotten, so that a run that has ended or a client that is gone costs no signature again.
#[derive(Debug)]
pub struct Doubt<'a> {
    /// By which the caller is remembered.
    hash: Option<&'a str>,
    lookup: &'a Lookup,
}

/// As errors call a client's secret.
const SECRET: &str = "client secret";

/// Why a caller is nobody.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is no bearer token.
    #[error("there is no `Authorization: Bearer …` header")]
    Missing,
    /// The bearer token is not of the kind that this route takes, or mistyped.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Well-formed, and known to nobody.
    #[error("the {0} is not known here: it was mistyped, removed, or belongs to another server")]
    Unknown(&'static str),
    /// Known, and worth nothing any more. The caller is told what it would be told of an unknown one.
    #[error("the {0} has expired")]
    Expired(&'static str),
    /// An operator that may only look.
    #[error(
        "operator {0} has read access: it may look at everything and change nothing; \
         this takes the token of an operator with full access"
    )]
    ReadOnly(String),
    /// A foreign token that is refused. Why is for log and audit.
    #[error("the token is not accepted; the audit log says why, under the request id")]
    Foreign(Box<Refusal>),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CallingClient {
    /// Finds the client that has this secret.
    ///
    /// # Errors
    /// As [`AuthError`] says.
    pub async fn authenticate(
        bearer: &str,
        lookup: &Lookup,
        now: Timestamp,
    ) -> Result<Self, AuthError> {
        let hash = Secret::parse(Kind::Client, bearer)?.hash();
        Self::by_hash(&hash, lookup, now).await
    }

    /// The same, perhaps as the client was some time ago; whoever relies on it has to have its
    /// [`Authority`] looked at, and to [ask again](Self::ask_again) when that does not hold.
    ///
    /// # Errors
    /// As [`AuthError`] says.
    pub async fn remember_or_authenticate(
        bearer: &str,
        lookup: &Lookup,
        now: Timestamp,
    ) -> Result<Self, AuthError> {
        let hash = Secret::parse(Kind::Client, bearer)?.hash();
        match lookup.remembered_client(&hash, now) {
            Some(known) => Self::with_secret(known, true, now),
            None => Self::by_hash(&hash, lookup, now).await,
        }
    }

    /// Whether it was [remembered](Self::remember_or_authenticate).
    pub fn is_remembered(&self) -> bool {
        match self.shown {
            Shown::Secret { is_remembered, .. } => is_remembered,
            Shown::Foreign(_) => false,
        }
    }

    /// The hash of the secret that it showed, if it was one.
    pub fn secret_hash(&self) -> Option<&str> {
        match &self.shown {
            Shown::Secret { known, .. } => Some(&known.hash),
            Shown::Foreign(_) => None,
        }
    }

    /// Whether it is still what it was is now found out.
    pub fn doubt<'a>(&'a self, lookup: &'a Lookup) -> Doubt<'a> {
        Doubt {
            hash: self.secret_hash(),
            lookup,
        }
    }

    /// The client as it is now, if it showed a secret.
    ///
    /// # Errors
    /// As [`AuthError`] says.
    pub async fn ask_again(
        &self,
        lookup: &Lookup,
        now: Timestamp,
    ) -> Result<Option<Self>, AuthError> {
        match self.secret_hash() {
            Some(hash) => Self::by_hash(hash, lookup, now).await.map(Some),
            None => Ok(None),
        }
    }

    async fn by_hash(hash: &str, lookup: &Lookup, now: Timestamp) -> Result<Self, AuthError> {
        let found = lookup.client(hash, now).await?;
        Self::with_secret(found.ok_or(AuthError::Unknown(SECRET))?, false, now)
    }

    fn with_secret(
        known: Arc<KnownSecret>,
        is_remembered: bool,
        now: Timestamp,
    ) -> Result<Self, AuthError> {
        if known.secret.is_expired(now) {
            return Err(AuthError::Expired(SECRET));
        }
        let used = known.secret.is_use_news(now).then(|| Use::Client {
            hash: known.hash.clone(),
        });
        Ok(Self {
            client: Arc::clone(&known.client),
            used,
            shown: Shown::Secret {
                known,
                is_remembered,
            },
        })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The token that it showed, if it was not a secret.
    pub fn foreign(&self) -> Option<&ForeignToken> {
        match &self.shown {
            Shown::Secret { .. } => None,
            Shown::Foreign(foreign) => Some(foreign),
        }
    }

    /// In whose name it mints.
    pub fn authority(&self) -> Authority {
        match &self.shown {
            Shown::Secret { known, .. } => Authority::Secret(Arc::clone(known)),
            Shown::Foreign(_) => Authority::Client(Arc::clone(&self.client)),
        }
    }

    /// What it showed, if that is worth no more than a trusted issuer's word.
    pub fn word(&self) -> Option<Word<'_>> {
        match &self.shown {
            Shown::Secret { known, .. } => Some(Word::Secret {
                hash: &known.hash,
                issuer: known.secret.issuer.as_ref()?,
            }),
            Shown::Foreign(foreign) => Some(Word::Token(&foreign.take)),
        }
    }

    /// On whose word it calls, for the audit log; nothing if it needs nobody's.
    pub fn about(&self) -> Option<String> {
        match &self.shown {
            Shown::Secret { known, .. } => {
                let issuer = known.secret.issuer.as_ref()?;
                Some(format!(
                    "by a secret that a token of {issuer} was exchanged for"
                ))
            }
            Shown::Foreign(foreign) => Some(foreign.to_string()),
        }
    }
}

impl Federated {
    /// Verifies a trusted issuer's token and finds who it stands for.
    ///
    /// # Errors
    /// As [`AuthError`] says.
    pub async fn authenticate(
        candidate: Candidate<'_>,
        store: &Store,
        now: Timestamp,
    ) -> Result<Self, AuthError> {
        let (foreign, identity) = candidate.verify(now).await?;
        match identity {
            Identity::Client(name) => match store.find_client(name.as_str()).await? {
                Some(client) => Ok(Self::Client(CallingClient {
                    client: Arc::new(client),
                    used: None,
                    shown: Shown::Foreign(Box::new(foreign)),
                })),
                None => Err(foreign.refused(&format!("there is no client `{name}`"))),
            },
            Identity::Workload(workload, grants) => Ok(Self::Workload(Box::new(CallingWorkload {
                workload: *workload,
                grants,
                foreign,
            }))),
        }
    }
}

impl CallingWorkload {
    /// Who it is.
    pub fn workload(&self) -> &Workload {
        &self.workload
    }

    /// What it may ask for.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The token that it showed.
    pub fn foreign(&self) -> &ForeignToken {
        &self.foreign
    }
}

impl ForeignToken {
    /// Refuses it for a reason that its issuer has nothing to do with.
    pub fn refused(&self, reason: &str) -> AuthError {
        AuthError::from(Refusal {
            issuer: Some(self.issuer.clone()),
            reason: format!("{reason}; rule {}, {}", self.rule, self.described),
            is_genuine: true,
            is_passing: false,
        })
    }
}

impl From<Refusal> for AuthError {
    fn from(refusal: Refusal) -> Self {
        Self::Foreign(Box::new(refusal))
    }
}

impl fmt::Display for ForeignToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            issuer,
            rule,
            described,
            ..
        } = self;
        write!(f, "by a token of {issuer}, rule {rule}, {described}")
    }
}

impl CallingRun {
    /// Finds the run that has this request token.
    ///
    /// # Errors
    /// As [`AuthError`] says.
    pub async fn authenticate(bearer: &str, lookup: &Lookup) -> Result<Self, AuthError> {
        let token_hash = Secret::parse(Kind::Run, bearer)?.hash();
        match lookup.run(&token_hash).await? {
            Some(run) => Ok(Self { run, token_hash }),
            None => Err(AuthError::Unknown("request token")),
        }
    }

    /// The run, as it was when its token was first shown here.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Whether it is still open is now found out.
    pub fn doubt<'a>(&'a self, lookup: &'a Lookup) -> Doubt<'a> {
        Doubt {
            hash: Some(&self.token_hash),
            lookup,
        }
    }
}

impl Doubt<'_> {
    /// It holds, or nothing says that it does not.
    pub fn dispel(mut self) {
        self.hash = None;
    }
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(hash) = self.hash {
            self.lookup.forget(hash);
        }
    }
}
