//! Signing keys: list, rotate, trim, revoke, rewrap, export.

use axum::Json as JsonBody;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Problem, ProblemBody};
use super::super::extract::Json;
use crate::app::App;
use crate::auth::Operator;
use crate::domain::event::Actor;
use crate::domain::key::{Algorithm, KeyState, KeyVersion, Policy, Version};
use crate::domain::time::Timestamp;
use crate::keys::plan::{retires_at, rotation_ready_at};
use crate::keys::rotation::{Exposure, RevokedKey, Rotated, Trimmed};
use crate::store::LiveToken;

/// A key version. Times are seconds since 1970; what has not happened is absent.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct KeyView {
    version: Version,
    kid: String,
    algorithm: Algorithm,
    /// `staged`, `active`, `retiring`, `retired` or `revoked`
    state: &'static str,
    created_at: Timestamp,
    /// When a probe first saw it at the public JWKS URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_at: Option<Timestamp>,
    /// When a staged version may sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<Timestamp>,
    /// When the successor of the active version is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotates_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deactivated_at: Option<Timestamp>,
    /// When a retiring version leaves the JWKS.
    #[serde(skip_serializing_if = "Option::is_none")]
    retires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// No token signed by it is alive after this.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_until: Option<Timestamp>,
}

impl KeyView {
    fn of(key: &KeyVersion, policy: &Policy) -> Self {
        let KeyVersion {
            version,
            algorithm,
            kid,
            state,
            created_at,
            tokens_until,
            ..
        } = key;
        let mut view = Self {
            version: *version,
            kid: kid.clone(),
            algorithm: *algorithm,
            state: state.as_str(),
            created_at: *created_at,
            seen_at: None,
            ready_at: rotation_ready_at(std::slice::from_ref(key), policy),
            activated_at: state.activated_at(),
            rotates_at: None,
            deactivated_at: None,
            retires_at: retires_at(key, policy),
            retired_at: None,
            revoked_at: None,
            tokens_until: (tokens_until.0 > 0).then_some(*tokens_until),
        };
        match *state {
            KeyState::Staged { seen_at } => view.seen_at = seen_at,
            KeyState::Active {
                seen_at,
                activated_at,
            } => {
                view.seen_at = seen_at;
                view.rotates_at = Some(policy.due_at(activated_at));
            }
            KeyState::Retiring { deactivated_at, .. } => view.deactivated_at = Some(deactivated_at),
            KeyState::Retired { retired_at, .. } => view.retired_at = Some(retired_at),
            KeyState::Revoked { revoked_at, .. } => view.revoked_at = Some(revoked_at),
        }
        view
    }
}

/// All key versions there ever were, oldest first.
#[utoipa::path(
    get,
    path = "/v1/keys",
    tag = "Keys",
    summary = "List key versions",
    security(("operator" = [])),
    responses(
        (status = 200, body = [KeyView]),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    _operator: Operator,
) -> Result<JsonBody<Vec<KeyView>>, Problem> {
    let keys = app.store.keys().await?;
    Ok(JsonBody(
        keys.iter()
            .map(|key| KeyView::of(key, &app.policy))
            .collect(),
    ))
}

/// The JWKS, to be uploaded where a relying party cannot fetch it.
#[utoipa::path(
    get,
    path = "/v1/keys/jwks",
    tag = "Keys",
    summary = "Export the key set",
    security(("operator" = [])),
    responses(
        (status = 200, description = "The public keys (RFC 7517)", body = Object),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn export(
    State(app): State<App>,
    _operator: Operator,
) -> impl IntoResponse {
    let jwks = app.keyring.current().jwks.bytes.clone();
    ([(header::CONTENT_TYPE, "application/json")], jwks)
}

/// How to rotate.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RotateKeys {
    /// The signing key has leaked: withdraw it at once.
    #[serde(default)]
    emergency: bool,
}

/// What was done, or when it will be.
#[derive(Serialize, ToSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(in crate::http) enum RotateResult {
    /// A new version signs.
    Rotated {
        /// It.
        version: Version,
    },
    /// A version takes over by itself.
    Scheduled {
        /// It.
        version: Version,
        /// When, in seconds since 1970; absent until a probe has seen it at the public JWKS URL.
        #[serde(skip_serializing_if = "Option::is_none")]
        ready_at: Option<Timestamp>,
        /// How long after it has been seen, in seconds.
        after_seen: i64,
    },
    /// The leaked version was withdrawn.
    Replaced(ExposureView),
}

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
    fn of(exposure: Exposure, policy: &Policy, now: Timestamp) -> Self {
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
                trusts_until: Some(kept_to),
                action: "disable the workload identity pool provider; if the key set was uploaded \
                         there, upload `runmint keys export` now",
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
    fn of(key: RevokedKey) -> Self {
        let RevokedKey {
            version,
            kid,
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
            live_tokens,
        }
    }
}

/// Rotates as soon as that is safe; in an emergency, at once.
#[utoipa::path(
    post,
    path = "/v1/keys/rotate",
    tag = "Keys",
    summary = "Rotate the signing key",
    security(("operator" = [])),
    request_body = RotateKeys,
    responses(
        (status = 200, body = RotateResult),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn rotate(
    State(app): State<App>,
    _operator: Operator,
    Json(body): Json<RotateKeys>,
) -> Result<JsonBody<RotateResult>, Problem> {
    let now = app.rotation.now(&app.clock).await?;
    if body.emergency {
        let exposure = app.rotation.emergency(None, &Actor::Operator, now).await?;
        tracing::error!(?exposure.active, "the signing key was replaced in an emergency");
        let view = ExposureView::of(exposure, &app.policy, now);
        return Ok(JsonBody(RotateResult::Replaced(view)));
    }
    let seen = app.rotation.look(&app.probe, now).await;
    let result = match app.rotation.rotate(&seen, &Actor::Operator, now).await? {
        Rotated::Done(version) => RotateResult::Rotated { version },
        Rotated::Scheduled { version, ready_at } => RotateResult::Scheduled {
            version,
            ready_at,
            after_seen: app.policy.ready_at(now).seconds_since(now),
        },
    };
    Ok(JsonBody(result))
}

/// How to trim.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TrimKeys {
    /// Also what living tokens still need.
    #[serde(default)]
    force: bool,
}

/// What left the JWKS, what will, and what fails because of it.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TrimResult {
    retired: Vec<Version>,
    waiting: Vec<WaitingKey>,
    /// Living tokens that no relying party accepts any more.
    broken: Vec<RevokedView>,
}

#[derive(Serialize, ToSchema)]
struct WaitingKey {
    version: Version,
    /// When it leaves by itself, in seconds since 1970.
    retires_at: Timestamp,
}

/// Lets old versions leave the JWKS as soon as no living token needs them.
#[utoipa::path(
    post,
    path = "/v1/keys/trim",
    tag = "Keys",
    summary = "Trim old key versions",
    security(("operator" = [])),
    request_body = TrimKeys,
    responses(
        (status = 200, body = TrimResult),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn trim(
    State(app): State<App>,
    _operator: Operator,
    Json(body): Json<TrimKeys>,
) -> Result<JsonBody<TrimResult>, Problem> {
    let now = app.rotation.now(&app.clock).await?;
    let Trimmed {
        retired,
        waiting,
        broken,
    } = app.rotation.trim(body.force, &Actor::Operator, now).await?;
    Ok(JsonBody(TrimResult {
        retired,
        waiting: waiting
            .into_iter()
            .map(|(version, retires_at)| WaitingKey {
                version,
                retires_at,
            })
            .collect(),
        broken: broken.into_iter().map(RevokedView::of).collect(),
    }))
}

/// Withdraws one version at once. If it is the one that signs, a fresh one takes over.
#[utoipa::path(
    post,
    path = "/v1/keys/{version}/revoke",
    tag = "Keys",
    summary = "Revoke a key version",
    security(("operator" = [])),
    params(("version" = i64, Path, description = "The version")),
    responses(
        (status = 200, body = ExposureView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn revoke(
    State(app): State<App>,
    _operator: Operator,
    Path(version): Path<String>,
) -> Result<JsonBody<ExposureView>, Problem> {
    let version = version
        .parse()
        .map(Version)
        .map_err(|_| Problem::not_found("key version").about("version"))?;
    let now = app.rotation.now(&app.clock).await?;
    let exposure = app
        .rotation
        .emergency(Some(version), &Actor::Operator, now)
        .await?;
    tracing::warn!(key.version = version.0, "a key version was revoked");
    Ok(JsonBody(ExposureView::of(exposure, &app.policy, now)))
}

/// How many private keys were sealed anew.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RewrapResult {
    rewrapped: usize,
    /// The key-encryption key that seals all of them now.
    sealing_key: String,
}

/// Seals all private keys under the current key-encryption key.
#[utoipa::path(
    post,
    path = "/v1/keys/rewrap",
    tag = "Keys",
    summary = "Move to a new key-encryption key",
    security(("operator" = [])),
    responses(
        (status = 200, body = RewrapResult),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn rewrap(
    State(app): State<App>,
    _operator: Operator,
) -> Result<JsonBody<RewrapResult>, Problem> {
    let now = app.rotation.now(&app.clock).await?;
    let rewrapped = app.rotation.rewrap(&Actor::Operator, now).await?;
    let sealing_key = app.keyring.sealer().key_id().to_owned();
    Ok(JsonBody(RewrapResult {
        rewrapped,
        sealing_key,
    }))
}
