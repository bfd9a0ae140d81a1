//! What an operator is told about a change of keys.

use crate::domain::key::Version;
use crate::domain::time::Timestamp;
use crate::store::LiveToken;

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
