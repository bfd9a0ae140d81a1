//! Signing keys: list, rotate, trim, revoke, rewrap, export.

use axum::Json as JsonBody;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Problem, ProblemBody};
use super::super::extract::JsonOrDefault;
use super::exposure::{ExposureView, RevokedView};
use super::uninterrupted;
use crate::app::App;
use crate::auth::{FullOperator, Operator};
use crate::domain::key::{Algorithm, KeyState, KeyVersion, Policy, Version};
use crate::domain::time::Timestamp;
use crate::keys::plan::{retires_at, rotation_ready_at};
use crate::keys::rotation::{Rotated, Trimmed};

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
    operation_id = "list_keys",
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
    operation_id = "export_keys",
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

/// Rotates as soon as that is safe; in an emergency, at once.
#[utoipa::path(
    post,
    path = "/v1/keys/rotate",
    operation_id = "rotate_keys",
    tag = "Keys",
    summary = "Rotate the signing key",
    security(("operator" = [])),
    request_body = Option<RotateKeys>,
    responses(
        (status = 200, body = RotateResult),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn rotate(
    State(app): State<App>,
    operator: FullOperator,
    JsonOrDefault(body): JsonOrDefault<RotateKeys>,
) -> Result<JsonBody<RotateResult>, Problem> {
    uninterrupted(async move {
        if body.emergency {
            let now = app.rotation.now(&app.clock).await?;
            let exposure = app.rotation.emergency(None, &operator.actor(), now).await?;
            tracing::error!(?exposure.active, "the signing key was replaced in an emergency");
            let view = ExposureView::of(exposure, &app.policy, now);
            return Ok(JsonBody(RotateResult::Replaced(view)));
        }
        let (seen, now) = app.rotation.look(&app.probe, &app.clock).await?;
        let result = match app.rotation.rotate(&seen, &operator.actor(), now).await? {
            Rotated::Done(version) => RotateResult::Rotated { version },
            Rotated::Scheduled { version, ready_at } => RotateResult::Scheduled {
                version,
                ready_at,
                after_seen: app.policy.ready_at(now).seconds_since(now),
            },
        };
        Ok(JsonBody(result))
    })
    .await
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
    operation_id = "trim_keys",
    tag = "Keys",
    summary = "Trim old key versions",
    security(("operator" = [])),
    request_body = Option<TrimKeys>,
    responses(
        (status = 200, body = TrimResult),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn trim(
    State(app): State<App>,
    operator: FullOperator,
    JsonOrDefault(body): JsonOrDefault<TrimKeys>,
) -> Result<JsonBody<TrimResult>, Problem> {
    let Trimmed {
        retired,
        waiting,
        broken,
    } = uninterrupted(async move {
        let now = app.rotation.now(&app.clock).await?;
        Ok(app
            .rotation
            .trim(body.force, &operator.actor(), now)
            .await?)
    })
    .await?;
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
    operation_id = "revoke_key",
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
    operator: FullOperator,
    Path(version): Path<String>,
) -> Result<JsonBody<ExposureView>, Problem> {
    let version = parse(&version)?;
    uninterrupted(async move {
        let now = app.rotation.now(&app.clock).await?;
        let exposure = app
            .rotation
            .emergency(Some(version), &operator.actor(), now)
            .await?;
        tracing::warn!(key.version = version.0, "a key version was revoked");
        Ok(JsonBody(ExposureView::of(exposure, &app.policy, now)))
    })
    .await
}

/// What a version can be used for, withdrawn or not: the report of an emergency, to be read again.
#[utoipa::path(
    get,
    path = "/v1/keys/{version}/exposure",
    tag = "Keys",
    summary = "Report what a key version can still be used for",
    security(("operator" = [])),
    params(("version" = i64, Path, description = "The version")),
    responses(
        (status = 200, body = ExposureView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn exposure(
    State(app): State<App>,
    _operator: Operator,
    Path(version): Path<String>,
) -> Result<JsonBody<ExposureView>, Problem> {
    let version = parse(&version)?;
    let now = app.rotation.now(&app.clock).await?;
    let exposure = app.rotation.exposure(&[version], now).await?;
    if exposure.revoked.is_empty() {
        return Err(Problem::not_found("key version").about("version"));
    }
    Ok(JsonBody(ExposureView::of(exposure, &app.policy, now)))
}

fn parse(version: &str) -> Result<Version, Problem> {
    version
        .parse()
        .map(Version)
        .map_err(|_| Problem::not_found("key version").about("version"))
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
    operation_id = "rewrap_keys",
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
    operator: FullOperator,
) -> Result<JsonBody<RewrapResult>, Problem> {
    let sealing_key = app.keyring.sealer().key_id().to_owned();
    let rewrapped = uninterrupted(async move {
        let now = app.rotation.now(&app.clock).await?;
        Ok(app.rotation.rewrap(&operator.actor(), now).await?)
    })
    .await?;
    Ok(JsonBody(RewrapResult {
        rewrapped,
        sealing_key,
    }))
}
