//! Who is calling. Only this module can make a caller, so whoever holds one has been checked.

pub mod secret;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use self::secret::{Kind, Secret, SecretError};
use crate::domain::client::Client;
use crate::domain::run::Run;
use crate::store::{Store, StoreError};

/// Whoever holds the admin token.
#[derive(Debug)]
pub struct Operator(());

/// A client that has shown one of its secrets.
#[derive(Debug)]
pub struct CallingClient(Client);

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
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl CallingClient {
    /// Finds the client that has this secret.
    ///
    /// # Errors
    /// As [`AuthError`] says.
    pub async fn authenticate(bearer: &str, store: &Store) -> Result<Self, AuthError> {
        let secret = Secret::parse(Kind::Client, bearer)?;
        store
            .find_client_by_secret(&secret.hash())
            .await?
            .map(Self)
            .ok_or(AuthError::Unknown("client secret"))
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.0
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
