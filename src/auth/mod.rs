//! Who is calling. Only this module can make a caller, so whoever holds one has been checked.

mod last_used;
mod operator;
pub mod secret;

pub use self::last_used::LastUsed;
use self::last_used::Use;
pub use self::operator::{AdminTokens, FullOperator, Operator};
use self::secret::{Kind, Secret, SecretError};
use crate::domain::client::Client;
use crate::domain::run::Run;
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

/// A client that has shown one of its secrets.
#[derive(Debug)]
pub struct CallingClient {
    client: Client,
    used: Option<Use>,
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
    /// Known, and worth nothing any more. The caller is told what it would be told of an unknown one.
    #[error("the {0} has expired")]
    Expired(&'static str),
    /// An operator that may only look.
    #[error(
        "operator {0} has read access: it may look at everything and change nothing; \
         this takes the token of an operator with full access"
    )]
    ReadOnly(String),
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
        store: &Store,
        now: Timestamp,
    ) -> Result<Self, AuthError> {
        const SECRET: &str = "client secret";
        let hash = Secret::parse(Kind::Client, bearer)?.hash();
        let found = store.find_client_by_secret(&hash).await?;
        let (client, secret) = found.ok_or(AuthError::Unknown(SECRET))?;
        if secret.is_expired(now) {
            return Err(AuthError::Expired(SECRET));
        }
        let used = secret.is_use_news(now).then_some(Use::Client { hash });
        Ok(Self { client, used })
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
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
