//! Clients: add, list, show, update, remove.

use axum::Json as JsonBody;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Problem, ProblemBody};
use super::super::extract::Json;
use super::super::runs::{NO_STORE, no_randomness};
use crate::app::App;
use crate::auth::secret::{Kind, Secret};
use crate::auth::{FullOperator, Operator};
use crate::domain::InvalidField;
use crate::domain::client::Client;
use crate::domain::grant::Grant;
use crate::domain::name::Name;
use crate::domain::secret::{NewSecret, expiry};
use crate::domain::time::Timestamp;
use crate::store::AddClient as AddedClient;

/// A client to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AddClient {
    /// Its name: letters, digits, `-`, `_`.
    #[schema(
        example = "atlantis",
        min_length = 1,
        max_length = 90,
        pattern = "^[A-Za-z0-9_-]+$"
    )]
    name: String,
    /// What it may ask for.
    grants: Vec<Grant>,
    /// Whether its tokens carry AWS session tags.
    #[serde(default)]
    aws_session_tags: bool,
    /// How long its secret is good for, in seconds; until it is removed when left out.
    #[schema(minimum = 1, maximum = 315_360_000)]
    secret_expires_in: Option<i64>,
}

/// A client that was added. The secret is shown this once.
#[derive(Serialize, ToSchema)]
struct AddedClientView {
    name: String,
    secret: String,
    /// What the secret is called.
    secret_id: String,
    /// In seconds since 1970; absent for a secret that lasts until it is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_expires_at: Option<Timestamp>,
}

/// A client.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct ClientView {
    name: String,
    grants: Vec<Grant>,
    aws_session_tags: bool,
    /// In seconds since 1970.
    created_at: Timestamp,
}

impl ClientView {
    fn of(client: Client) -> Self {
        let Client {
            name,
            grants,
            aws_session_tags,
            created_at,
        } = client;
        Self {
            name: name.to_string(),
            grants,
            aws_session_tags,
            created_at,
        }
    }
}

/// Adds a client and answers its secret.
#[utoipa::path(
    post,
    path = "/v1/clients",
    operation_id = "add_client",
    tag = "Clients",
    summary = "Add a client",
    security(("operator" = [])),
    request_body = AddClient,
    responses(
        (status = 201, body = AddedClientView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn add(
    State(app): State<App>,
    operator: FullOperator,
    Json(body): Json<AddClient>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let AddClient {
        name,
        grants,
        aws_session_tags,
        secret_expires_in,
    } = body;
    let name = Name::parse("name", &name)?;
    check(&grants)?;
    let expires_at = expiry("secret_expires_in", secret_expires_in, now)?;
    let secret = Secret::generate(Kind::Client).map_err(no_randomness)?;
    let client = Client {
        name,
        grants,
        aws_session_tags,
        created_at: now,
    };
    let added = AddedClient {
        client,
        secret: NewSecret {
            hash: secret.hash(),
            expires_at,
        },
    };
    app.store.add_client(&added, &operator.actor(), now).await?;
    app.limits.accepted(&added.secret.hash);
    tracing::info!(client.id = added.client.name.as_str(), "a client was added");
    let body = AddedClientView {
        name: added.client.name.to_string(),
        secret: secret.expose().to_owned(),
        secret_id: added.secret.id().to_owned(),
        secret_expires_at: expires_at,
    };
    Ok((StatusCode::CREATED, NO_STORE, JsonBody(body)).into_response())
}

/// All clients, by name.
#[utoipa::path(
    get,
    path = "/v1/clients",
    operation_id = "list_clients",
    tag = "Clients",
    summary = "List clients",
    security(("operator" = [])),
    responses(
        (status = 200, body = [ClientView]),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    _operator: Operator,
) -> Result<JsonBody<Vec<ClientView>>, Problem> {
    let clients = app.store.clients().await?;
    Ok(JsonBody(clients.into_iter().map(ClientView::of).collect()))
}

/// One client.
#[utoipa::path(
    get,
    path = "/v1/clients/{name}",
    operation_id = "show_client",
    tag = "Clients",
    summary = "Look at a client",
    security(("operator" = [])),
    params(("name" = String, Path, description = "The client's name")),
    responses(
        (status = 200, body = ClientView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn show(
    State(app): State<App>,
    _operator: Operator,
    Path(name): Path<String>,
) -> Result<JsonBody<ClientView>, Problem> {
    Ok(JsonBody(ClientView::of(find(&app, &name).await?)))
}

/// New grants and settings of a client.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UpdateClient {
    /// What it may ask for from now on; open runs keep what they were opened with.
    grants: Vec<Grant>,
    /// Whether its tokens carry AWS session tags; as before when left out.
    aws_session_tags: Option<bool>,
}

/// Replaces what a client may ask for.
#[utoipa::path(
    put,
    path = "/v1/clients/{name}",
    operation_id = "update_client",
    tag = "Clients",
    summary = "Change a client's grants",
    security(("operator" = [])),
    params(("name" = String, Path, description = "The client's name")),
    request_body = UpdateClient,
    responses(
        (status = 200, body = ClientView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn update(
    State(app): State<App>,
    operator: FullOperator,
    Path(name): Path<String>,
    Json(body): Json<UpdateClient>,
) -> Result<JsonBody<ClientView>, Problem> {
    let UpdateClient {
        grants,
        aws_session_tags,
    } = body;
    check(&grants)?;
    let before = find(&app, &name).await?;
    let client = Client {
        grants,
        aws_session_tags: aws_session_tags.unwrap_or(before.aws_session_tags),
        ..before
    };
    if !app
        .store
        .update_client(&client, &operator.actor(), app.clock.now())
        .await?
    {
        return Err(Problem::not_found("client"));
    }
    Ok(JsonBody(ClientView::of(client)))
}

/// Removes a client: its secrets are worth nothing and its runs are closed, at once.
#[utoipa::path(
    delete,
    path = "/v1/clients/{name}",
    operation_id = "remove_client",
    tag = "Clients",
    summary = "Remove a client",
    security(("operator" = [])),
    params(("name" = String, Path, description = "The client's name")),
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
    let name = Name::parse("name", &name).map_err(|_| Problem::not_found("client"))?;
    let now = app.clock.now();
    if !app
        .store
        .remove_client(name.as_str(), &operator.actor(), now)
        .await?
    {
        return Err(Problem::not_found("client"));
    }
    tracing::info!(client.id = name.as_str(), "a client was removed");
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn find(app: &App, name: &str) -> Result<Client, Problem> {
    // What is no name is nobody's, and need not reach the database.
    let name = Name::parse("name", name).map_err(|_| Problem::not_found("client"))?;
    let client = app.store.find_client(name.as_str()).await?;
    client.ok_or_else(|| Problem::not_found("client"))
}

fn check(grants: &[Grant]) -> Result<(), InvalidField> {
    grants
        .iter()
        .enumerate()
        .try_for_each(|(index, grant)| grant.check(index))
}
