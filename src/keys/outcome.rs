//! What comes of a change of keys, and what an operator is told about it.

use super::keyring::KeyringError;
use super::seal::SealError;
use super::signer::SignerError;
use crate::domain::key::Version;
use crate::domain::time::Timestamp;
use crate::store::{LiveToken, StoreError};

/// What became of an operator's `rotate`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rotated {
    /// This version signs now.
    Done(Version),
    /// This version takes over by itself: at the given time, or some time after a probe has seen it.
    Scheduled {
        /// The version that is staged.
        version: Version,
        /// When it takes over; unknown until a probe has seen it outside.
        ready_at: Option<Timestamp>,
    },
}

/// What an emergency did, and what the leaked versions can still be used for.
#[derive(Clone, Debug)]
pub struct Exposure {
    /// The version that signs now.
    pub active: Option<Version>,
    /// What was withdrawn.
    pub revoked: Vec<RevokedKey>,
}

/// A withdrawn version and its tokens that are still alive.
#[derive(Clone, Debug)]
pub struct RevokedKey {
    /// The version.
    pub version: Version,
    /// Its thumbprint.
    pub kid: String,
    /// Where it stands now.
    pub state: &'static str,
    /// Tokens that runmint signed with it and that have not expired.
    pub live_tokens: Vec<LiveToken>,
}

/// What `trim` did.
#[derive(Clone, Debug, Default)]
pub struct Trimmed {
    /// Versions that left the JWKS.
    pub retired: Vec<Version>,
    /// Versions that leave by themselves, and when.
    pub waiting: Vec<(Version, Timestamp)>,
    /// Living tokens that fail from now on, because `--force` was given.
    pub broken: Vec<RevokedKey>,
}

/// Why no key changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The database did not answer, or somebody else was faster each time.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A new key could not be made.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// A private key could not be sealed or opened.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The keys were changed, but the new keyring cannot be loaded here.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// There is no such version, or it is not published any more.
    #[error("key version {0} is not published; `keys list` shows those that are")]
    NotPublished(Version),
}
