//! What an operator is told after a key was withdrawn: who may still trust it, for how long, and what
//! ends that.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::key::{Policy, Version};
use crate::domain::time::Timestamp;
use crate::keys::rotation::{Exposure, RevokedKey};
use crate::store::LiveToken;

/// What was withdrawn, and what it can still be used for.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ExposureView {
    /// The version that signs now.
    active: Option<Version>,
    revoked: Vec<RevokedView>,
    /// How long each relying party may still trust what was withdrawn, and what ends that.
    relying_parties: Vec<RelyingParty>,
}

/// A withdrawn version and its living tokens, by run and audience.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RevokedView {
    version: Version,
    kid: String,
    /// Where it stands now: `revoked`, or another state if it was not withdrawn.
    state: &'static str,
    live_tokens: Vec<LiveTokenView>,
}

#[derive(Serialize, ToSchema)]
struct LiveTokenView {
    run_id: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    /// How many.
    tokens: i64,
    /// When the last of them dies, in seconds since 1970.
    expires_at: i64,
}

/// A relying party and its cache of the key set.
#[derive(Serialize, ToSchema)]
struct RelyingParty {
    name: &'static str,
    /// When it has fetched the key set anew, in seconds since 1970, if it keeps to the cache time
    /// that runmint tells it; absent where that cannot be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    trusts_until: Option<Timestamp>,
    /// What ends it at once.
    action: &'static str,
}

impl ExposureView {
    pub(super) fn of(exposure: Exposure, policy: &Policy, now: Timestamp) -> Self {
        let Exposure { active, revoked } = exposure;
        let kept_to = now + policy.jwks_max_age + policy.cache_leeway;
        let relying_parties = vec![
            RelyingParty {
                name: "AWS",
                trusts_until: None,
                action: "its cache time is not documented: delete the IAM OIDC provider and create \
                         it again, and revoke sessions of the roles that trust it",
            },
            RelyingParty {
                name: "Azure",
                trusts_until: None,
                action: "its cache time is not documented (20 to 30 minutes were seen): delete the \
                         federated identity credentials and create them again",
            },
            RelyingParty {
                name: "GCP",
                trusts_until: None,
                action: "its cache time is not documented: disable the workload identity pool \
                         provider and remove the principal's bindings (credentials that were \
                         exchanged already live for an hour); if the key set was uploaded there, \
                         upload `runmint keys export` now",
            },
            RelyingParty {
                name: "Vault",
                trusts_until: None,
                action: "it keeps keys until a token fails: write auth/<mount>/config again",
            },
            RelyingParty {
                name: "Kubernetes",
                trusts_until: None,
                action: "kube-apiserver keeps keys until a token fails: restart it, or change its \
                         authentication configuration",
            },
            RelyingParty {
                name: "others that keep to Cache-Control",
                trusts_until: Some(kept_to),
                action: "purge the CDN in front of the JWKS URL, if there is one",
            },
        ];
        Self {
            active,
            revoked: revoked.into_iter().map(RevokedView::of).collect(),
            relying_parties,
        }
    }
}

impl RevokedView {
    pub(super) fn of(key: RevokedKey) -> Self {
        let RevokedKey {
            version,
            kid,
            state,
            live_tokens,
        } = key;
        let live_tokens = live_tokens
            .into_iter()
            .map(
                |LiveToken {
                     run_id,
                     subject,
                     audience,
                     tokens,
                     expires_at,
                 }| LiveTokenView {
                    run_id,
                    subject,
                    audience,
                    tokens,
                    expires_at,
                },
            )
            .collect();
        Self {
            version,
            kid,
            state,
            live_tokens,
        }
    }
}
