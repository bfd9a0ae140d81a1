//! The request protocol on this machine, for processes that must not hold the run's own request
//! token: they show the agent's, and the agent asks in the run's name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::runner::answer::Answer;
use crate::runner::environment::Environment;
use crate::runner::request::{RequestClient, RequestError};
use crate::runner::text::SecretText;
use crate::runner::token::IdentityToken;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(super) struct Served {
    pub(super) client: RequestClient,
    /// What callers show.
    pub(super) token: SecretText,
    /// Whether all that is kept is fresh.
    pub(super) ready: Arc<AtomicBool>,
}

/// The audience of Azure clients, which do not name it.
const AZURE: &str = "api://AzureADTokenExchange";

#[derive(Debug, Deserialize)]
struct Asked {
    audience: Option<String>,
}

/// The URL table.
pub(super) fn router(served: Served) -> Router {
    Router::new()
        .route("/v1/token", get(github).post(azure_devops))
        .route("/v1/runs/{id}", get(run))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(served)
}

async fn github(
    State(served): State<Served>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    match served.token(&headers, asked.audience.as_deref()).await {
        Ok(token) => {
            // No variable of the caller's is known here, and this form asks for none.
            let answer = Answer::Github.render(&token, &Environment::default());
            no_store(answer.unwrap_or(Value::Null))
        }
        Err(refusal) => refusal,
    }
}

async fn azure_devops(
    State(served): State<Served>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let audience = asked.audience.as_deref().unwrap_or(AZURE);
    match served.token(&headers, Some(audience)).await {
        Ok(token) => no_store(json!({"oidcToken": token.text().expose()})),
        Err(refusal) => refusal,
    }
}

/// The run, so that whoever asks here finds out its phase as from the server itself.
async fn run(State(served): State<Served>, headers: HeaderMap) -> Response {
    if !served.is_allowed(&headers) {
        return not_allowed();
    }
    match served.client.run().await {
        Ok(Some(run)) => Json(run).into_response(),
        Ok(None) => problem(StatusCode::NOT_FOUND, "the issuer does not tell about runs"),
        Err(error) => refusal(&error),
    }
}

async fn readyz(State(served): State<Served>) -> Response {
    if served.ready.load(Ordering::SeqCst) {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

impl Served {
    /// A token, or the answer that says why there is none.
    async fn token(
        &self,
        headers: &HeaderMap,
        audience: Option<&str>,
    ) -> Result<IdentityToken, Response> {
        if !self.is_allowed(headers) {
            return Err(not_allowed());
        }
        let Some(audience) = audience.filter(|audience| !audience.is_empty()) else {
            return Err(problem(StatusCode::BAD_REQUEST, "`audience` is missing"));
        };
        self.client
            .token_at_once(audience)
            .await
            .map_err(|error| refusal(&error))
    }

    fn is_allowed(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(header::AUTHORIZATION);
        let shown = shown.and_then(|value| value.to_str().ok());
        let Some((scheme, shown)) = shown.and_then(|value| value.split_once(' ')) else {
            return false;
        };
        // In constant time, since whoever can reach the port may try as often as they like.
        let expected = self.token.expose().as_bytes();
        scheme.eq_ignore_ascii_case("bearer")
            && aws_lc_rs::constant_time::verify_slices_are_equal(shown.trim().as_bytes(), expected)
                .is_ok()
    }
}

fn not_allowed() -> Response {
    let detail = "show the agent's token, which is in the file `environment` of its folder";
    problem(StatusCode::UNAUTHORIZED, detail)
}

/// The server's refusal is passed on; what else went wrong is not the caller's fault.
fn refusal(error: &RequestError) -> Response {
    let status = match error {
        RequestError::Refused { status, .. } => StatusCode::from_u16(*status).ok(),
        _ => None,
    };
    problem(
        status.unwrap_or(StatusCode::BAD_GATEWAY),
        &error.to_string(),
    )
}

fn no_store(body: Value) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({"status": status.as_u16(), "detail": detail});
    let content_type = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, content_type, body.to_string()).into_response()
}
