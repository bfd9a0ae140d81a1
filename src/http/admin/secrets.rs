//! The secrets of a client: list, add, remove. With two at a time they change without a pause.

use axum::Json as JsonBody;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Problem, ProblemBody};
use super::super::extract::JsonOrDefault;
use super::super::runs::{NO_STORE, no_randomness};
use super::clients::find;
use crate::app::App;
use crate::auth::secret::{Kind, Secret};
use crate::auth::{FullOperator, Operator};
use crate::domain::secret::{NewSecret, SecretInfo, expiry, is_id};
use crate::domain::time::Timestamp;

/// A secret, without the secret.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct SecretView {
    /// What it is called: the first 12 digits of its SHA-256.
    #[schema(example = "0a1b2c3d4e5f")]
    id: String,
    /// In seconds since 1970.
    created_at: Timestamp,
    /// In seconds since 1970; absent for one that lasts until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Whether it is worth nothing any more.
    expired: bool,
    /// In seconds since 1970, to the minute; absent for one that was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
    /// The trusted issuer whose token was exchanged for it; such a one is none of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
}

impl SecretView {
    pub(super) fn of(secret: SecretInfo, now: Timestamp) -> Self {
        let expired = secret.is_expired(now);
        let SecretInfo {
            id,
            created_at,
            expires_at,
            last_used_at,
            issuer,
        } = secret;
        Self {
            id,
            created_at,
            expires_at,
            expired,
            last_used_at,
            issuer,
        }
    }
}

/// How long a new secret, or token, is to be good for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AddSecret {
    /// In seconds; until it is removed when left out.
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub(super) expires_in: Option<i64>,
}

/// A secret that was added. It is shown this once.
#[derive(Serialize, ToSchema)]
struct AddedSecretView {
    /// What it is called.
    id: String,
    secret: String,
    /// In seconds since 1970; absent for one that lasts until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// The secrets of a client, without the secrets.
#[utoipa::path(
    get,
    path = "/v1/clients/{name}/secrets",
    operation_id = "list_client_secrets",
    tag = "Clients",
    summary = "List a client's secrets",
    security(("operator" = [])),
    params(
        ("name" = String, Path, description = "The client's name"),
    ),
    responses(
        (status = 200, body = [SecretView]),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    _operator: Operator,
    Path(name): Path<String>,
) -> Result<JsonBody<Vec<SecretView>>, Problem> {
    let now = app.clock.now();
    let client = find(&app, &name).await?;
    let secrets = app.store.client_secrets(client.name.as_str(), now).await?;
    let views = secrets
        .into_iter()
        .map(|secret| SecretView::of(secret, now));
    Ok(JsonBody(views.collect()))
}

/// Gives a client a second secret. Both are good until one is removed or expires; a third is
/// refused.
#[utoipa::path(
    post,
    path = "/v1/clients/{name}/secrets",
    operation_id = "add_client_secret",
    tag = "Clients",
    summary = "Add a secret to a client",
    security(("operator" = [])),
    params(
        ("name" = String, Path, description = "The client's name"),
    ),
    request_body = Option<AddSecret>,
    responses(
        (status = 201, body = AddedSecretView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn add(
    State(app): State<App>,
    operator: FullOperator,
    Path(name): Path<String>,
    JsonOrDefault(body): JsonOrDefault<AddSecret>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let client = find(&app, &name).await?.name;
    let expires_at = expiry("expires_in", body.expires_in, now)?;
    let secret = Secret::generate(Kind::Client).map_err(no_randomness)?;
    let new = NewSecret {
        hash: secret.hash(),
        expires_at,
    };
    let actor = operator.actor();
    if !app
        .store
        .add_client_secret(client.as_str(), &new, &actor, now)
        .await?
    {
        return Err(Problem::not_found("client"));
    }
    app.limits.accepted(&new.hash);
    tracing::info!(
        client.id = client.as_str(),
        secret.id = new.id(),
        "a secret of a client was added"
    );
    let body = AddedSecretView {
        id: new.id().to_owned(),
        secret: secret.expose().to_owned(),
        expires_at,
    };
    Ok((StatusCode::CREATED, NO_STORE, JsonBody(body)).into_response())
}

/// Removes a secret: it is worth nothing at once, on every replica. Runs that were opened with it
/// stay open.
#[utoipa::path(
    delete,
    path = "/v1/clients/{name}/secrets/{id}",
    operation_id = "remove_client_secret",
    tag = "Clients",
    summary = "Remove a secret of a client",
    security(("operator" = [])),
    params(
        ("name" = String, Path, description = "The client's name"),
        ("id" = String, Path, description = "What the secret is called"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn remove(
    State(app): State<App>,
    operator: FullOperator,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let client = find(&app, &name).await?.name;
    let (actor, now) = (operator.actor(), app.clock.now());
    // What is no id names no secret, and need not reach the database.
    let removed = is_id(&id)
        && app
            .store
            .remove_client_secret(client.as_str(), &id, &actor, now)
            .await?;
    if !removed {
        return Err(Problem::not_found("secret"));
    }
    tracing::info!(
        client.id = client.as_str(),
        secret.id = id,
        "a secret of a client was removed"
    );
    Ok(StatusCode::NO_CONTENT)
}
