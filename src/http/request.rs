//! A runner asks for a token, in the form of GitHub Actions or in that of Azure DevOps, so that
//! clients that speak one of them need no change.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{Problem, ProblemBody};
use super::layers::RequestId;
use super::runs::NO_STORE;
use crate::app::App;
use crate::auth::CallingRun;
use crate::domain::InvalidField;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::grant::AllowedAudience;
use crate::domain::run::{Run, RunState};
use crate::domain::time::Timestamp;
use crate::mint::{MintError, Order, Token};

/// The audience of Azure clients, which do not name it.
const AZURE: &str = "api://AzureADTokenExchange";

/// GitHub's answer.
#[derive(Serialize, ToSchema)]
struct GithubToken {
    /// The length of the token, in bytes.
    count: usize,
    /// The signed token (RFC 7519).
    value: String,
}

/// Azure DevOps' answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AzureDevOpsToken {
    /// The signed token (RFC 7519).
    oidc_token: String,
}

/// The request protocol of GitHub Actions: clients append `&audience=…` to the URL they were given.
#[utoipa::path(
    get,
    path = "/v1/token",
    operation_id = "request_token",
    tag = "Tokens",
    summary = "Ask for a token as GitHub Actions' clients do",
    security(("run" = [])),
    params(
        ("run" = Option<String>, Query, nullable = false, pattern = "^[^\\u0000]*$", description = "The run; it must be the request token's"),
        ("audience" = Option<String>, Query, nullable = false, pattern = "^[^\\u0000]*$", description = "May be left out if the run has only one"),
    ),
    responses(
        (status = 200, body = GithubToken),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn github(
    State(app): State<App>,
    RequestId(request_id): RequestId,
    caller: CallingRun,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let Token { token, .. } = mint(&app, &caller, query, None, request_id).await?;
    let body = GithubToken {
        count: token.len(),
        value: token,
    };
    Ok((NO_STORE, Json(body)).into_response())
}

/// The request protocol of Azure DevOps, as the azurerm provider and azure-identity speak it.
#[utoipa::path(
    post,
    path = "/v1/token",
    operation_id = "request_token_azure_devops",
    tag = "Tokens",
    summary = "Ask for a token as Azure DevOps' clients do",
    security(("run" = [])),
    params(
        ("run" = Option<String>, Query, nullable = false, pattern = "^[^\\u0000]*$", description = "The run; it must be the request token's"),
        ("audience" = Option<String>, Query, nullable = false, pattern = "^[^\\u0000]*$", description = "`api://AzureADTokenExchange` when left out"),
    ),
    responses(
        (status = 200, body = AzureDevOpsToken),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 500, body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn azure_devops(
    State(app): State<App>,
    RequestId(request_id): RequestId,
    caller: CallingRun,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let Token { token, .. } = mint(&app, &caller, query, Some(AZURE), request_id).await?;
    Ok((NO_STORE, Json(AzureDevOpsToken { oidc_token: token })).into_response())
}

async fn mint(
    app: &App,
    caller: &CallingRun,
    query: Option<String>,
    default_audience: Option<&str>,
    request_id: String,
) -> Result<Token, Problem> {
    let now = app.clock.now();
    let run = caller.run();
    let query = parse(&query.unwrap_or_default())?;
    let refusal = Refusal {
        app,
        run,
        request_id: &request_id,
        now,
    };
    if query.run.as_ref().is_some_and(|id| *id != run.id) {
        let reason = "the request token belongs to another run than `run`";
        refusal.note(None, reason).await;
        return Err(Problem::forbidden(reason).about("run"));
    }
    let allowed = match audience(run, &query, default_audience)? {
        Ok(allowed) => allowed,
        Err(asked) => {
            let reason = "the run was not opened for this audience";
            refusal.note(Some(&asked), reason).await;
            let detail = format!("the run was not opened for the audience {asked:?}");
            return Err(Problem::forbidden(detail).about("audience"));
        }
    };
    // Looked at again in the transaction; here, so that a run that is known to be dead costs no signature.
    match run.state(now) {
        RunState::Open => {}
        ended => {
            let reason = match ended {
                RunState::Closed => "the run is closed",
                RunState::Expired | RunState::Open => "the run has passed its deadline",
            };
            refusal.note(Some(allowed.audience.as_str()), reason).await;
            return Err(MintError::RunEnded(ended).into());
        }
    }
    let order = Order::of_run(caller, allowed, Some(request_id));
    let doubt = caller.doubt(&app.lookup);
    let minted = app.mint.mint(&order, now).await;
    match &minted {
        Err(error @ MintError::RunEnded(_)) => {
            tracing::warn!(run.id = run.id, reason = %error, "a token was refused");
        }
        // Nor does an outage say that it has ended, and it needs no more questions.
        Ok(_) | Err(_) => doubt.dispel(),
    }
    minted?
        .into_iter()
        .next()
        .ok_or_else(|| Problem::unavailable("no token was minted"))
}

/// What the run may ask for; the inner error is an audience that it may not.
fn audience<'a>(
    run: &'a Run,
    query: &TokenQuery,
    default: Option<&str>,
) -> Result<Result<&'a AllowedAudience, String>, InvalidField> {
    if let Some(asked) = &query.audience {
        return Ok(run.find_audience(asked).ok_or_else(|| asked.clone()));
    }
    if let Some(allowed) = default.and_then(|audience| run.find_audience(audience)) {
        return Ok(Ok(allowed));
    }
    match run.audiences.as_slice() {
        [only] => Ok(Ok(only)),
        several => {
            let names: Vec<_> = several
                .iter()
                .map(|allowed| allowed.audience.as_str())
                .collect();
            let rule = format!("is missing; this run may ask for {}", names.join(", "));
            Err(InvalidField::new("audience", rule))
        }
    }
}

/// What a refusal is recorded with.
struct Refusal<'a> {
    app: &'a App,
    run: &'a Run,
    request_id: &'a str,
    now: Timestamp,
}

impl Refusal<'_> {
    async fn note(&self, audience: Option<&str>, reason: &str) {
        let Self {
            app,
            run,
            request_id,
            now,
        } = self;
        tracing::warn!(run.id = run.id, reason, "a token was refused");
        app.mint.refused(1);
        // As much of it as a record needs; a runner wrote it.
        let asked = audience.map(|audience| audience.chars().take(255).collect());
        app.recorder
            .note(Event {
                request_id: Some((*request_id).to_owned()),
                run: Some(run.id.clone()),
                run_id: Some(run.workload.ids.run.clone()),
                subject: Some(run.workload.subject.to_string()),
                audience: asked,
                reason: Some(reason.to_owned()),
                ..Event::new(*now, EventKind::TokenRefused, Actor::Run(run.id.clone()))
            })
            .await;
    }
}

#[derive(Debug, Default)]
struct TokenQuery {
    run: Option<String>,
    audience: Option<String>,
}

/// Takes `run` and `audience` and lets the rest pass (`api-version`, `serviceConnectionId`).
///
/// azure-identity appends `?api-version=…` to whatever URL it was given, so a second `?` separates
/// like a `&`.
fn parse(query: &str) -> Result<TokenQuery, InvalidField> {
    let mut parsed = TokenQuery::default();
    for part in query.split('?') {
        for (name, value) in url::form_urlencoded::parse(part.as_bytes()) {
            let (field, slot) = match &*name {
                "run" => ("run", &mut parsed.run),
                "audience" => ("audience", &mut parsed.audience),
                _ => continue,
            };
            if value.contains('\0') {
                return Err(InvalidField::new(field, "holds a NUL character"));
            }
            if slot.as_ref().is_some_and(|before| *before != value) {
                return Err(InvalidField::new(
                    field,
                    "is given twice, with different values",
                ));
            }
            *slot = Some(value.into_owned());
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_each_client_writes_it() {
        for query in [
            "run=1&audience=api%3A%2F%2Fx",
            "run=1&placeholder=true&audience=api://x",
            "run=1?api-version=7.1&serviceConnectionId=2&audience=api%3A%2F%2Fx",
            "audience=api://x&run=1&audience=api://x",
        ] {
            let parsed = parse(query).unwrap();
            assert_eq!(parsed.run.as_deref(), Some("1"), "{query}");
            assert_eq!(parsed.audience.as_deref(), Some("api://x"), "{query}");
        }
        assert_eq!(
            parse("audience=a&audience=b").unwrap_err().field,
            "audience"
        );
        assert_eq!(parse("run=a&run=b").unwrap_err().field, "run");
    }
}
