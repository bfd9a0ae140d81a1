//! A client mints directly, without a run's request token in between.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::{Problem, ProblemBody};
use super::extract::{Json, MakingClient};
use super::layers::RequestId;
use super::runs::NO_STORE;
use super::workload::workload_body;
use crate::app::App;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::grant::decide;
use crate::domain::time::Timestamp;
use crate::mint::{Order, Token};

workload_body! {
    /// Tokens to be minted, one for each audience.
    MintTokens {
        /// How long they shall live, in seconds; less if a limit is lower.
        #[schema(minimum = 1)]
        ttl: Option<i64>,
    }
}

/// The tokens, in the order of the audiences.
#[derive(Serialize, ToSchema)]
struct MintedTokens {
    /// The exact `sub`.
    subject: String,
    tokens: Vec<TokenView>,
    /// What a cloud will object to.
    warnings: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct TokenView {
    audience: String,
    /// The signed token (RFC 7519).
    token: String,
    jti: String,
    /// In seconds since 1970.
    expires_at: Timestamp,
}

/// Mints one token for each audience.
#[utoipa::path(
    post,
    path = "/v1/tokens",
    operation_id = "mint_tokens",
    tag = "Tokens",
    summary = "Mint tokens as a client",
    security(("client" = [])),
    request_body = MintTokens,
    responses(
        (status = 201, body = MintedTokens),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn mint(
    State(app): State<App>,
    RequestId(request_id): RequestId,
    MakingClient(caller): MakingClient,
    Json(body): Json<MintTokens>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let client = caller.client();
    let (workload, audiences, (ttl,)) = body.parts(Uuid::new_v4().as_bytes())?;
    let allowed = match decide(&client.grants, &workload.subject, &audiences) {
        Ok(allowed) => allowed,
        Err(denial) => {
            let reason = denial.to_string();
            tracing::warn!(
                client.id = client.name.as_str(),
                reason,
                "a token was refused"
            );
            app.mint.refused(audiences.len());
            let actor = Actor::Client(client.name.to_string());
            app.recorder
                .note(Event {
                    request_id: Some(request_id),
                    run_id: Some(workload.ids.run.clone()),
                    subject: Some(workload.subject.to_string()),
                    reason: Some(reason),
                    ..Event::new(now, EventKind::TokenRefused, actor)
                })
                .await;
            return Err(denial.into());
        }
    };
    let order = Order::of_client(&caller, &workload, &allowed, Some(request_id)).with_ttl(ttl);
    let tokens = app.mint.mint(&order, now).await?;
    let body = MintedTokens {
        subject: workload.subject.to_string(),
        tokens: tokens
            .into_iter()
            .map(
                |Token {
                     audience,
                     token,
                     jti,
                     expires_at,
                 }| TokenView {
                    audience,
                    token,
                    jti,
                    expires_at,
                },
            )
            .collect(),
        warnings: workload.subject.warnings(),
    };
    Ok((StatusCode::CREATED, NO_STORE, JsonBody(body)).into_response())
}
