//! Operators and their tokens: add, list, remove. The configured admin token is none of these: it is
//! that of the operator `admin`, and changes with the settings.

use axum::Json as JsonBody;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Problem, ProblemBody};
use super::super::extract::{Json, JsonOrDefault};
use super::super::runs::{NO_STORE, no_randomness};
use super::secrets::{AddSecret, SecretView};
use crate::app::App;
use crate::auth::secret::{Kind, Secret};
use crate::auth::{FullOperator, Operator};
use crate::domain::name::Name;
use crate::domain::operator::{Access, CONFIGURED, Operator as KnownOperator};
use crate::domain::secret::{NewSecret, expiry, is_id};
use crate::domain::time::Timestamp;

/// An operator to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AddOperator {
    /// Its name: letters, digits, `-`, `_`; not `admin`.
    #[schema(
        example = "alice",
        min_length = 1,
        max_length = 90,
        pattern = "^[A-Za-z0-9_-]+$"
    )]
    name: String,
    /// What it may do: `full` is everything, `read` is to look at everything.
    access: Access,
    /// How long its token is good for, in seconds; until it is removed when left out.
    #[schema(minimum = 1, maximum = 315_360_000)]
    token_expires_in: Option<i64>,
}

/// An operator that was added. The token is shown this once.
#[derive(Serialize, ToSchema)]
struct AddedOperatorView {
    name: String,
    access: Access,
    token: String,
    /// What the token is called.
    token_id: String,
    /// In seconds since 1970; absent for a token that lasts until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_expires_at: Option<Timestamp>,
}

/// An operator.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct OperatorView {
    name: String,
    access: Access,
    /// In seconds since 1970; absent for `admin`, who was always there.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// In seconds since 1970, to the minute; absent for one who was never here.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
}

impl OperatorView {
    fn of(operator: KnownOperator) -> Self {
        let KnownOperator {
            name,
            access,
            created_at,
            last_used_at,
        } = operator;
        Self {
            name: name.to_string(),
            access,
            created_at,
            last_used_at,
        }
    }
}

/// A token that was added. It is shown this once.
#[derive(Serialize, ToSchema)]
struct AddedTokenView {
    /// What it is called.
    id: String,
    token: String,
    /// In seconds since 1970; absent for one that lasts until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Adds an operator and answers its token.
#[utoipa::path(
    post,
    path = "/v1/operators",
    operation_id = "add_operator",
    tag = "Operators",
    summary = "Add an operator",
    security(("operator" = [])),
    request_body = AddOperator,
    responses(
        (status = 201, body = AddedOperatorView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn add(
    State(app): State<App>,
    operator: FullOperator,
    Json(body): Json<AddOperator>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let AddOperator {
        name,
        access,
        token_expires_in,
    } = body;
    let name = not_configured(Name::parse("name", &name)?)?;
    let expires_at = expiry("token_expires_in", token_expires_in, now)?;
    let (token, new) = new_token(expires_at)?;
    let actor = operator.actor();
    app.store
        .add_operator(&name, access, &new, &actor, now)
        .await?;
    app.limits.accepted(&new.hash);
    tracing::info!(
        operator.id = name.as_str(),
        operator.access = access.as_str(),
        "an operator was added"
    );
    let body = AddedOperatorView {
        name: name.to_string(),
        access,
        token: token.expose().to_owned(),
        token_id: new.id().to_owned(),
        token_expires_at: expires_at,
    };
    Ok((StatusCode::CREATED, NO_STORE, JsonBody(body)).into_response())
}

/// All operators, by name.
#[utoipa::path(
    get,
    path = "/v1/operators",
    operation_id = "list_operators",
    tag = "Operators",
    summary = "List operators",
    security(("operator" = [])),
    responses(
        (status = 200, body = [OperatorView]),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    _operator: Operator,
) -> Result<JsonBody<Vec<OperatorView>>, Problem> {
    let operators = app.store.operators().await?;
    Ok(JsonBody(
        operators.into_iter().map(OperatorView::of).collect(),
    ))
}

/// Removes an operator: its tokens are worth nothing at once, on every replica.
#[utoipa::path(
    delete,
    path = "/v1/operators/{name}",
    operation_id = "remove_operator",
    tag = "Operators",
    summary = "Remove an operator",
    security(("operator" = [])),
    params(
        ("name" = String, Path, description = "The operator's name"),
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
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name = not_configured(known_name(&name)?)?;
    let (actor, now) = (operator.actor(), app.clock.now());
    if !app
        .store
        .remove_operator(name.as_str(), &actor, now)
        .await?
    {
        return Err(Problem::not_found("operator"));
    }
    tracing::info!(operator.id = name.as_str(), "an operator was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// The tokens of an operator, without the tokens.
#[utoipa::path(
    get,
    path = "/v1/operators/{name}/tokens",
    operation_id = "list_operator_tokens",
    tag = "Operators",
    summary = "List an operator's tokens",
    security(("operator" = [])),
    params(
        ("name" = String, Path, description = "The operator's name"),
    ),
    responses(
        (status = 200, body = [SecretView]),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list_tokens(
    State(app): State<App>,
    _operator: Operator,
    Path(name): Path<String>,
) -> Result<JsonBody<Vec<SecretView>>, Problem> {
    let now = app.clock.now();
    let name = known_name(&name)?;
    let tokens = app.store.operator_tokens(name.as_str()).await?;
    let tokens = tokens.ok_or_else(|| Problem::not_found("operator"))?;
    let views = tokens.into_iter().map(|token| SecretView::of(token, now));
    Ok(JsonBody(views.collect()))
}

/// Gives an operator a second token. Both are good until one is removed or expires; a third is
/// refused.
#[utoipa::path(
    post,
    path = "/v1/operators/{name}/tokens",
    operation_id = "add_operator_token",
    tag = "Operators",
    summary = "Add a token to an operator",
    security(("operator" = [])),
    params(
        ("name" = String, Path, description = "The operator's name"),
    ),
    request_body = Option<AddSecret>,
    responses(
        (status = 201, body = AddedTokenView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn add_token(
    State(app): State<App>,
    operator: FullOperator,
    Path(name): Path<String>,
    JsonOrDefault(body): JsonOrDefault<AddSecret>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let name = not_configured(known_name(&name)?)?;
    let expires_at = expiry("expires_in", body.expires_in, now)?;
    let (token, new) = new_token(expires_at)?;
    let actor = operator.actor();
    if !app
        .store
        .add_operator_token(name.as_str(), &new, &actor, now)
        .await?
    {
        return Err(Problem::not_found("operator"));
    }
    app.limits.accepted(&new.hash);
    tracing::info!(
        operator.id = name.as_str(),
        secret.id = new.id(),
        "a token of an operator was added"
    );
    let body = AddedTokenView {
        id: new.id().to_owned(),
        token: token.expose().to_owned(),
        expires_at,
    };
    Ok((StatusCode::CREATED, NO_STORE, JsonBody(body)).into_response())
}

/// Removes a token: it is worth nothing at once, on every replica.
#[utoipa::path(
    delete,
    path = "/v1/operators/{name}/tokens/{id}",
    operation_id = "remove_operator_token",
    tag = "Operators",
    summary = "Remove a token of an operator",
    security(("operator" = [])),
    params(
        ("name" = String, Path, description = "The operator's name"),
        ("id" = String, Path, description = "What the token is called"),
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn remove_token(
    State(app): State<App>,
    operator: FullOperator,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let name = not_configured(known_name(&name)?)?;
    let (actor, now) = (operator.actor(), app.clock.now());
    // What is no id names no token, and need not reach the database.
    let removed = is_id(&id)
        && app
            .store
            .remove_operator_token(name.as_str(), &id, &actor, now)
            .await?;
    if !removed {
        return Err(Problem::not_found("token"));
    }
    tracing::info!(
        operator.id = name.as_str(),
        secret.id = id,
        "a token of an operator was removed"
    );
    Ok(StatusCode::NO_CONTENT)
}

fn new_token(expires_at: Option<Timestamp>) -> Result<(Secret, NewSecret), Problem> {
    let token = Secret::generate(Kind::Admin).map_err(no_randomness)?;
    let new = NewSecret {
        hash: token.hash(),
        expires_at,
    };
    Ok((token, new))
}

/// What is no name is nobody's, and need not reach the database.
fn known_name(name: &str) -> Result<Name, Problem> {
    Name::parse("name", name).map_err(|_| Problem::not_found("operator"))
}

fn not_configured(name: Name) -> Result<Name, Problem> {
    if name.as_str() == CONFIGURED {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "It exists already",
            "`admin` is the operator of the configured admin token: it changes with the settings \
             `admin.token` and `admin.previous_token` alone",
        ));
    }
    Ok(name)
}
