//! Who is calling. Only this module can make a caller, so whoever holds one has been checked.

mod address;
mod expression;
pub mod federation;
mod issuer_keys;
pub mod mapping;
pub mod secret;
mod strict_json;
mod unverified;

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use self::federation::{Candidate, ForeignToken, Refusal};
use self::mapping::Identity;
use self::secret::{Kind, Secret, SecretError};
use crate::domain::client::Client;
use crate::domain::grant::Grant;
use crate::domain::run::Run;
use crate::domain::time::Timestamp;
use crate::domain::workload::Workload;
use crate::store::{Store, StoreError};

/// Whoever holds the admin token.
#[derive(Debug)]
pub struct Operator(());

/// A client that has shown one of its secrets, or a trusted issuer's token.
#[derive(Debug)]
pub struct CallingClient(Client, Option<ForeignToken>);

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
    Workload(CallingWorkload),
}

/// A run that has shown its request token. It may have ended since.
#[derive(Debug)]
pub struct CallingRun(Run);

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
    pub async fn authenticate(secret: &str, store: &Store) -> Result<Self, AuthError> {
        let secret = Secret::parse(Kind::Client, secret)?;
        store
            .find_client_by_secret(&secret.hash())
            .await?
            .map(|client| Self(client, None))
            .ok_or(AuthError::Unknown("client secret"))
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// The token that it showed, if it was not a secret.
    pub fn foreign(&self) -> Option<&ForeignToken> {
        self.1.as_ref()
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
                Some(client) => Ok(Self::Client(CallingClient(client, Some(foreign)))),
                None => Err(foreign.refused(&format!("there is no client `{name}`"))),
            },
            Identity::Workload(workload, grants) => Ok(Self::Workload(CallingWorkload {
                workload: *workload,
                grants,
                foreign,
            })),
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
    pub async fn authenticate(bearer: &str, store: &Store) -> Result<Self, AuthError> {
        let secret = Secret::parse(Kind::Run, bearer)?;
        store
            .find_run_by_token(&secret.hash())
            .await?
            .map(Self)
            .ok_or(AuthError::Unknown("request token"))
    }

    /// The run.
    pub fn run(&self) -> &Run {
        &self.0
    }
}

/// The admin token, as its hash.
#[derive(Clone, Debug)]
pub struct AdminToken(String);

impl AdminToken {
    /// Takes the hash of the configured token and forgets the token.
    pub fn new(token: &str) -> Self {
        Self(secret::hash(token))
    }

    /// Whether `bearer` is the admin token.
    ///
    /// # Errors
    /// [`AuthError::Unknown`].
    pub fn authenticate(&self, bearer: &str) -> Result<Operator, AuthError> {
        if bearer.starts_with(Kind::Admin.prefix()) {
            Secret::parse(Kind::Admin, bearer)?;
        }
        verify_slices_are_equal(self.0.as_bytes(), secret::hash(bearer).as_bytes())
            .map(|()| Operator(()))
            .map_err(|_| AuthError::Unknown("admin token"))
    }
}
