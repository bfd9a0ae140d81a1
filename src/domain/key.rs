//! Signing-key versions: their states, the policy that moves them, the steps it can take.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidField;
use super::time::Timestamp;

/// Which version of the signing key. An integer, and compared as one, everywhere: Terraform
/// Enterprise once ordered versions as text, and every cloud refused its tokens at the tenth key.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, ToSchema,
)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// The version that follows all of `keys`, also those that are gone: none is used twice.
    pub fn after(keys: &[KeyVersion]) -> Self {
        Self(keys.iter().map(|key| key.version.0).max().unwrap_or(0) + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A signature algorithm, as JOSE names it (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
pub enum Algorithm {
    /// Ed25519. AWS, GCP and Kubernetes refuse it; Azure is not known to take it.
    EdDSA,
    /// P-256 with SHA-256. AWS IAM Identity Center refuses it; Azure is not known to take it.
    ES256,
    /// RSA-2048, PKCS #1 v1.5, SHA-256. Every relying party takes it.
    RS256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EdDSA, Self::ES256, Self::RS256];

    /// As in a token's header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
        }
    }

    /// Takes `value` as the algorithm in `field`.
    ///
    /// # Errors
    /// Names the field and the three names.
    pub fn parse(field: &str, value: &str) -> Result<Self, InvalidField> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == value)
            .ok_or_else(|| InvalidField::new(field, "must be `RS256`, `ES256` or `EdDSA`"))
    }

    /// Who will refuse tokens of this algorithm.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::EdDSA => Some(
                "keys.algorithm is EdDSA: AWS, GCP and Kubernetes refuse its tokens, and Azure is \
                 not known to take them; choose RS256 unless every relying party takes EdDSA",
            ),
            Self::ES256 => Some(
                "keys.algorithm is ES256: AWS IAM Identity Center refuses its tokens, and \
                     Azure is not known to take them",
            ),
            Self::RS256 => None,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A signing key at one moment of its life.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyVersion {
    /// Its version.
    pub version: Version,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The RFC 7638 thumbprint of its public key.
    pub kid: String,
    /// The public key as a JWK, in JSON: the very members that are published.
    pub public_jwk: String,
    /// The sealed private key; gone once the version has stopped signing.
    pub sealed_private: Option<String>,
    /// Where it stands.
    pub state: KeyState,
    /// An operator asked for its next step as soon as that is safe.
    pub expedited: bool,
    /// When it was made, and with that published.
    pub created_at: Timestamp,
    /// No token signed by this version lives longer than this; [`Timestamp::default`] before the
    /// first signature. Written with the audit record, rounded up, never lowered.
    pub tokens_until: Timestamp,
}

/// The version that signs.
pub fn active(keys: &[KeyVersion]) -> Option<&KeyVersion> {
    keys.iter()
        .filter(|key| matches!(key.state, KeyState::Active { .. }))
        .max_by_key(|key| key.version)
}

/// The version that waits to sign.
pub fn staged(keys: &[KeyVersion]) -> Option<&KeyVersion> {
    keys.iter()
        .filter(|key| matches!(key.state, KeyState::Staged { .. }))
        .max_by_key(|key| key.version)
}

/// Where a key version stands.
///
/// ```text
/// Staged ──(seen outside + prepublish)──▶ Active ──▶ Retiring ──(last token dead)──▶ Retired
///    └────────────────────── Revoked ◀──────┴───────────┘
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyState {
    /// Published, not signing.
    Staged {
        /// When a probe first saw it at the public JWKS URL.
        seen_at: Option<Timestamp>,
    },
    /// Published and signing. There is at most one.
    Active {
        /// When it was first seen outside; the very first key signs without.
        seen_at: Option<Timestamp>,
        /// Since when it signs.
        activated_at: Timestamp,
    },
    /// Published, no longer signing; its private key is destroyed.
    Retiring {
        /// Since when it had signed.
        activated_at: Timestamp,
        /// When it stopped.
        deactivated_at: Timestamp,
    },
    /// No longer published: its last token is dead.
    Retired {
        /// Since when it had signed.
        activated_at: Timestamp,
        /// When it left the JWKS.
        retired_at: Timestamp,
    },
    /// Withdrawn at once, whatever its tokens.
    Revoked {
        /// Since when it had signed, if it ever had.
        activated_at: Option<Timestamp>,
        /// When it was withdrawn.
        revoked_at: Timestamp,
    },
}

impl KeyState {
    /// Its name, as the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Staged { .. } => "staged",
            Self::Active { .. } => "active",
            Self::Retiring { .. } => "retiring",
            Self::Retired { .. } => "retired",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Whether the public key is in the JWKS.
    pub fn is_published(self) -> bool {
        match self {
            Self::Staged { .. } | Self::Active { .. } | Self::Retiring { .. } => true,
            Self::Retired { .. } | Self::Revoked { .. } => false,
        }
    }

    /// Since when it signs, or had signed.
    pub fn activated_at(self) -> Option<Timestamp> {
        match self {
            Self::Staged { .. } => None,
            Self::Active { activated_at, .. }
            | Self::Retiring { activated_at, .. }
            | Self::Retired { activated_at, .. } => Some(activated_at),
            Self::Revoked { activated_at, .. } => activated_at,
        }
    }
}

/// When keys change. All durations are whole seconds.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
    /// How long a version signs.
    pub period: Duration,
    /// How long a new version must have been seen outside before it signs.
    pub prepublish: Duration,
    /// For how long others may cache the JWKS.
    pub jwks_max_age: Duration,
    /// Added to every wait for others' caches.
    pub cache_leeway: Duration,
    /// How long a version stays published after it has stopped signing; longer if one of its
    /// tokens may be alive, shorter if too many versions are published.
    pub trim_after: Duration,
    /// How often the schedule is looked at.
    pub check_every: Duration,
}

/// Beyond the last token's expiry, its leeway and the JWKS cache time: spare time before a key
/// leaves the JWKS. AWS accepts a token five minutes past `exp`, and clocks differ.
const SPARE: Duration = Duration::from_mins(10);

/// With more versions published, retiring ones leave as soon as that is safe. Relying parties keep
/// the first hundred (Entra) or refuse all beyond (AWS); eight leave room.
pub const MAX_PUBLISHED: usize = 8;

impl Policy {
    /// When a staged version that was seen at `seen_at` may sign.
    pub fn ready_at(&self, seen_at: Timestamp) -> Timestamp {
        seen_at + self.prepublish.max(self.jwks_max_age + self.cache_leeway)
    }

    /// When the successor of a version that was activated at `activated_at` is due to sign.
    pub fn due_at(&self, activated_at: Timestamp) -> Timestamp {
        activated_at + self.period
    }

    /// When that successor is made: early enough to be probed, seen and ready when it is due.
    pub fn stage_at(&self, activated_at: Timestamp) -> Timestamp {
        self.due_at(activated_at) - self.prepublish - self.check_every * 2
    }

    /// When a rotation that has not happened is a failure, not a delay.
    pub fn overdue_at(&self, activated_at: Timestamp) -> Timestamp {
        self.due_at(activated_at) + (self.period / 10).max(self.check_every * 10)
    }

    /// When a retiring version may leave the JWKS without a living token failing.
    pub fn safe_to_retire_at(
        &self,
        deactivated_at: Timestamp,
        tokens_until: Timestamp,
    ) -> Timestamp {
        deactivated_at.max(tokens_until) + self.cache_leeway + self.jwks_max_age + SPARE
    }

    /// When a retiring version leaves the JWKS if nobody asks for it earlier.
    pub fn retire_at(&self, deactivated_at: Timestamp, tokens_until: Timestamp) -> Timestamp {
        self.safe_to_retire_at(deactivated_at, tokens_until)
            .max(deactivated_at + self.trim_after)
    }
}

/// One change of one key version. A list of them is written in one transaction, in its order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// A new version is published.
    Stage(Version),
    /// A probe saw it outside.
    MarkSeen(Version),
    /// It starts to sign.
    Activate(Version),
    /// It stops signing; its private key is destroyed.
    Deactivate(Version),
    /// Its next step comes as soon as that is safe.
    Expedite(Version),
    /// It leaves the JWKS.
    Retire(Version),
    /// It leaves the JWKS at once, and its private key is destroyed.
    Revoke(Version),
}

impl Step {
    /// The version that changes.
    pub fn version(self) -> Version {
        match self {
            Self::Stage(version)
            | Self::MarkSeen(version)
            | Self::Activate(version)
            | Self::Deactivate(version)
            | Self::Expedite(version)
            | Self::Retire(version)
            | Self::Revoke(version) => version,
        }
    }
}
