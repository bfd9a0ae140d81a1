//! A client mints directly, without a run's request token in between.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::attempt::{CallerAddress, asked_again};
use super::error::{Problem, ProblemBody};
use super::extract::{Json, MintingClient};
use super::layers::RequestId;
use super::runs::NO_STORE;
use super::workload::workload_body;
use crate::app::App;
use crate::auth::CallingClient;
use crate::domain::claims::Audience;
use crate::domain::denial::Denial;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::grant::decide;
use crate::domain::lifetime;
use crate::domain::time::Timestamp;
use crate::domain::workload::Workload;
use crate::mint::{MintError, Order, Token};

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

/// A client that is changed again and again meanwhile is asked about so often; each time costs signatures.
const ASK_AGAIN: usize = 3;

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
    address: CallerAddress,
    MintingClient(mut caller): MintingClient,
    body: Result<Json<MintTokens>, Problem>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    // Nobody is refused anything on the strength of what is remembered.
    let asked = match body.and_then(|Json(body)| Asked::of(body, request_id)) {
        Ok(asked) => asked,
        Err(problem) => {
            if caller.is_remembered() {
                asked_again(&app, address, &caller).await?;
            }
            return Err(problem);
        }
    };
    let mut minted = asked.mint(&app, &caller, now).await;
    for _ in 0..ASK_AGAIN {
        let may_differ_now = match &minted {
            Err(Refusal::NotGranted(_) | Refusal::Failed(MintError::Invalid(_))) => {
                caller.is_remembered()
            }
            Err(Refusal::Failed(error)) => matches!(error, MintError::ClientChanged),
            Ok(_) => false,
        };
        if may_differ_now && let Some(as_it_is_now) = asked_again(&app, address, &caller).await? {
            caller = as_it_is_now;
            minted = asked.mint(&app, &caller, now).await;
        } else {
            break;
        }
    }
    let tokens = match minted {
        Ok(tokens) => tokens,
        Err(Refusal::NotGranted(denial)) => {
            asked.note_denial(&app, &caller, &denial, now).await;
            return Err(denial.into());
        }
        Err(Refusal::Failed(error)) => {
            match error {
                MintError::Invalid(_) => app.mint.refused(asked.audiences.len()),
                MintError::ClientChanged => app.mint.unavailable(asked.audiences.len()),
                // It has been counted.
                _ => {}
            }
            return Err(error.into());
        }
    };
    let workload = asked.workload;
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

/// What a client asks for.
struct Asked {
    workload: Workload,
    audiences: Vec<Audience>,
    ttl: Option<i64>,
    request_id: String,
}

/// Why it does not get it.
enum Refusal {
    NotGranted(Denial),
    Failed(MintError),
}

impl Asked {
    fn of(body: MintTokens, request_id: String) -> Result<Self, Problem> {
        let (workload, audiences, (ttl,)) = body.parts(Uuid::new_v4().as_bytes())?;
        Ok(Self {
            workload,
            audiences,
            ttl,
            request_id,
        })
    }

    async fn mint(
        &self,
        app: &App,
        caller: &CallingClient,
        now: Timestamp,
    ) -> Result<Vec<Token>, Refusal> {
        let subject = &self.workload.subject;
        let allowed = decide(&caller.client().grants, subject, &self.audiences);
        let allowed = allowed.map_err(Refusal::NotGranted)?;
        lifetime::check_asked(self.ttl).map_err(|error| Refusal::Failed(error.into()))?;
        let request_id = Some(self.request_id.clone());
        let order = Order::of_client(caller, &self.workload, &allowed, request_id);
        let doubt = caller.doubt(&app.lookup);
        let minted = app.mint.mint(&order.with_ttl(self.ttl), now).await;
        if !matches!(minted, Err(MintError::ClientChanged)) {
            doubt.dispel();
        }
        minted.map_err(Refusal::Failed)
    }

    async fn note_denial(
        &self,
        app: &App,
        caller: &CallingClient,
        denial: &Denial,
        now: Timestamp,
    ) {
        let client = &caller.client().name;
        let reason = denial.to_string();
        tracing::warn!(client.id = client.as_str(), reason, "a token was refused");
        app.mint.refused(self.audiences.len());
        let actor = Actor::Client(client.to_string());
        app.recorder
            .note(Event {
                request_id: Some(self.request_id.clone()),
                run_id: Some(self.workload.ids.run.clone()),
                subject: Some(self.workload.subject.to_string()),
                reason: Some(reason),
                ..Event::new(now, EventKind::TokenRefused, actor)
            })
            .await;
    }
}
