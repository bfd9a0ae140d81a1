//! `POST /oauth/token`: a trusted issuer's token is exchanged for a run's tokens (RFC 8693).

use axum::Json as JsonBody;
use axum::extract::{FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::attempt::{federated, misused, untaken};
use super::error::Problem;
use super::extract::{body, request_id};
use super::layers::RequestId;
use super::oauth_error::{OAuthError, OAuthErrorBody};
use super::runs::{NO_STORE, no_randomness};
use super::workload::audiences;
use crate::app::App;
use crate::auth::secret::{Kind, Secret};
use crate::auth::{CallingClient, CallingWorkload, Federated};
use crate::domain::claims::Audience;
use crate::domain::denial::Mismatch;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::grant::decide;
use crate::domain::secret::NewSecret;
use crate::domain::time::Timestamp;
use crate::mint::{Order, Token};
use crate::store::OpenSession;

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The longest life of a client secret that was exchanged for a token, in seconds.
const LONGEST_SESSION: i64 = 3_600;

/// The form of RFC 8693 section 2.1. `audience` may be given several times: a token is taken once,
/// so what it is exchanged for is asked for at once.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes the form; Exchange::parse reads it")]
pub(super) struct ExchangeForm {
    /// `urn:ietf:params:oauth:grant-type:token-exchange`
    #[schema(
        example = "urn:ietf:params:oauth:grant-type:token-exchange",
        pattern = "^urn:ietf:params:oauth:grant-type:token-exchange$"
    )]
    grant_type: String,
    /// The trusted issuer's token.
    #[schema(min_length = 1)]
    subject_token: String,
    /// `urn:ietf:params:oauth:token-type:jwt`, `…:id_token` or `…:access_token`: a JWT all the same.
    #[schema(
        example = "urn:ietf:params:oauth:token-type:jwt",
        pattern = "^urn:ietf:params:oauth:token-type:(jwt|id_token|access_token)$"
    )]
    subject_token_type: String,
    /// What the tokens are for; one token each. Left out where the token stands for a client.
    #[schema(value_type = Option<Vec<Audience>>, nullable = false, max_items = 64)]
    audience: Option<Vec<String>>,
    /// How long they shall live, in seconds; less if a limit is lower.
    #[schema(nullable = false, minimum = 1)]
    requested_lifetime: Option<i64>,
    /// `urn:ietf:params:oauth:token-type:jwt`, if at all.
    #[schema(
        nullable = false,
        pattern = "^urn:ietf:params:oauth:token-type:(jwt|id_token|access_token)$"
    )]
    requested_token_type: Option<String>,
}

/// The answer of RFC 8693 section 2.2.1, and beside it one token for each audience.
#[derive(Serialize, ToSchema)]
struct Exchanged {
    /// A workload's token for the first audience; of a client, a secret `rmc_…`.
    access_token: String,
    /// What it is: `urn:ietf:params:oauth:token-type:jwt`, of a client `…:access_token`.
    issued_token_type: &'static str,
    /// `N_A`: relying parties say how it is used (RFC 8693 section 2.2.1); of a client `Bearer`.
    token_type: &'static str,
    /// Seconds until it expires.
    expires_in: i64,
    /// The client, where the token stood for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// The exact `sub` of a workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// All tokens of a workload, in the order of the audiences.
    tokens: Vec<ExchangedToken>,
}

#[derive(Serialize, ToSchema)]
struct ExchangedToken {
    audience: String,
    /// The signed token (RFC 7519).
    token: String,
    jti: String,
    /// In seconds since 1970.
    expires_at: Timestamp,
}

/// Exchanges a trusted issuer's token.
#[utoipa::path(
    post,
    path = "/oauth/token",
    operation_id = "exchange_token",
    tag = "Tokens",
    summary = "Exchange a trusted issuer's token (RFC 8693)",
    request_body(content = ExchangeForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = Exchanged),
        (status = "4XX", body = OAuthErrorBody),
        (status = 500, body = OAuthErrorBody),
        (status = 503, body = OAuthErrorBody),
    )
)]
pub(super) async fn token(
    State(app): State<App>,
    RequestId(request_id): RequestId,
    parts: Parts,
    form: Form,
) -> Result<Response, OAuthError> {
    let now = app.clock.now();
    let exchange = Exchange::parse(&form)?;
    let caller = federated(&parts, &app, &exchange.subject_token).await;
    let caller = caller.map_err(|problem| {
        app.mint.refused(exchange.audiences.len().max(1));
        refused_or(problem)
    })?;
    let foreign = match &caller {
        Federated::Workload(workload) => Some(workload.foreign()),
        Federated::Client(client) => client.foreign(),
    };
    if let Some(foreign) = foreign {
        app.limits
            .request_of_client(&foreign.holder, now)
            .map_err(Problem::from)?;
        untaken(&parts, &app, foreign).await.map_err(refused_or)?;
    }
    match caller {
        Federated::Workload(workload) => {
            exchange_workload(&app, &exchange, &workload, &parts, now).await
        }
        Federated::Client(client) => open_session(&app, &exchange, &client, request_id, now).await,
    }
}

/// Whatever is wrong with the token is an invalid request (RFC 8693 section 2.2.2).
fn refused_or(problem: Problem) -> OAuthError {
    match problem.parts() {
        (StatusCode::UNAUTHORIZED, ..) => OAuthError::token_refused(),
        _ => problem.into(),
    }
}

/// A client that shows a foreign token gets a secret that lives no longer than that token.
async fn open_session(
    app: &App,
    exchange: &Exchange,
    caller: &CallingClient,
    request_id: String,
    now: Timestamp,
) -> Result<Response, OAuthError> {
    let name = caller.client().name.as_str();
    let Some(foreign) = caller.foreign() else {
        return Err(OAuthError::token_refused());
    };
    if !exchange.audiences.is_empty() {
        return Err(OAuthError::invalid_target(
            "this token stands for a client: leave `audience` out and get a client secret, or show \
             it to /v1/runs or /v1/tokens",
        ));
    }
    let asked = exchange.lifetime.unwrap_or(LONGEST_SESSION);
    if asked < 1 {
        return Err(OAuthError::invalid_request(
            "`requested_lifetime` must be at least one second",
        ));
    }
    let expires_at = Timestamp(now.0 + asked.min(LONGEST_SESSION)).min(foreign.until);
    let secret = Secret::generate(Kind::Client).map_err(no_randomness)?;
    let new = NewSecret {
        hash: secret.hash(),
        expires_at: Some(expires_at),
    };
    let opened = Event {
        request_id: Some(request_id),
        expires_at: Some(expires_at),
        reason: Some(format!("secret {}, {foreign}", new.id())),
        ..Event::new(
            now,
            EventKind::ClientSessionOpened,
            Actor::Client(name.to_owned()),
        )
    };
    let outcome = app
        .store
        .open_session(name, &new, &foreign.take, &opened)
        .await?;
    let refused = match outcome {
        OpenSession::Opened => None,
        OpenSession::ClientGone => Some(format!("the client was removed; {foreign}")),
        OpenSession::NotTaken(taken) => Some(format!("it cannot be taken ({taken:?}); {foreign}")),
    };
    if refused.is_some() {
        let refused = Event {
            kind: EventKind::IssuerTokenRefused,
            expires_at: None,
            reason: refused,
            ..opened
        };
        app.recorder.note(refused).await;
        return Err(OAuthError::token_refused());
    }
    app.limits.accepted(&new.hash);
    let body = Exchanged {
        access_token: secret.expose().to_owned(),
        issued_token_type: ACCESS_TOKEN,
        token_type: "Bearer",
        expires_in: expires_at.seconds_since(now),
        client: Some(name.to_owned()),
        subject: None,
        tokens: Vec::new(),
    };
    Ok((NO_STORE, JsonBody(body)).into_response())
}

async fn exchange_workload(
    app: &App,
    exchange: &Exchange,
    caller: &CallingWorkload,
    parts: &Parts,
    now: Timestamp,
) -> Result<Response, OAuthError> {
    if exchange.audiences.is_empty() {
        return Err(OAuthError::invalid_request(
            "`audience` is missing; name what the token is for, e.g. `aws.workload.identity`",
        ));
    }
    let audiences = audiences(&exchange.audiences)
        .map_err(|error| OAuthError::invalid_target(format!("`audience` {}", error.rule)))?;
    let subject = &caller.workload().subject;
    let allowed = match decide(caller.grants(), subject, &audiences) {
        Ok(allowed) => allowed,
        Err(denial) => {
            let reason = format!("{denial}; {}", caller.foreign());
            tracing::warn!(
                issuer.name = caller.foreign().issuer.as_str(),
                reason,
                "an exchange was refused"
            );
            app.mint.refused(audiences.len());
            misused(parts, app, caller.foreign())?;
            let actor = Actor::Issuer(caller.foreign().issuer.to_string());
            app.recorder
                .note(Event {
                    request_id: Some(request_id(parts)),
                    run_id: Some(caller.workload().ids.run.clone()),
                    subject: Some(subject.to_string()),
                    reason: Some(reason),
                    ..Event::new(now, EventKind::TokenRefused, actor)
                })
                .await;
            return Err(match denial.mismatch {
                Mismatch::Audience => OAuthError::invalid_target(
                    "an `audience` is not among those that this workload may ask for",
                ),
                _ => OAuthError::token_refused(),
            });
        }
    };
    let order =
        Order::of_workload(caller, &allowed, Some(request_id(parts))).with_ttl(exchange.lifetime);
    let tokens: Vec<_> = app.mint.mint(&order, now).await?;
    let tokens: Vec<_> = tokens
        .into_iter()
        .map(
            |Token {
                 audience,
                 token,
                 jti,
                 expires_at,
             }| ExchangedToken {
                audience,
                token,
                jti,
                expires_at,
            },
        )
        .collect();
    let first = tokens.first().map(|t| (t.token.clone(), t.expires_at));
    let (access_token, expires_at) = first.unwrap_or_default();
    let body = Exchanged {
        access_token,
        issued_token_type: JWT,
        token_type: "N_A",
        expires_in: expires_at.seconds_since(now),
        client: None,
        subject: Some(subject.to_string()),
        tokens,
    };
    Ok((NO_STORE, JsonBody(body)).into_response())
}

/// The parameters of an exchange, each looked at.
#[derive(Debug)]
struct Exchange {
    subject_token: String,
    audiences: Vec<String>,
    lifetime: Option<i64>,
}

impl Exchange {
    fn parse(form: &Form) -> Result<Self, OAuthError> {
        match form.one("grant_type")? {
            Some(TOKEN_EXCHANGE) => {}
            None => return Err(missing("grant_type", TOKEN_EXCHANGE)),
            Some(_) => {
                return Err(OAuthError::new(
                    StatusCode::BAD_REQUEST,
                    "unsupported_grant_type",
                    format!("`grant_type` must be {TOKEN_EXCHANGE}"),
                ));
            }
        }
        for unsupported in ["actor_token", "actor_token_type"] {
            if form.one(unsupported)?.is_some() {
                return Err(OAuthError::invalid_request(format!(
                    "`{unsupported}` is not supported: a run acts for itself alone"
                )));
            }
        }
        if form.all("resource").next().is_some() {
            return Err(OAuthError::invalid_target(
                "`resource` is not supported; name the relying party's audience as `audience`",
            ));
        }
        if form.one("scope")?.is_some() {
            return Err(OAuthError::new(
                StatusCode::BAD_REQUEST,
                "invalid_scope",
                "there are no scopes here; leave `scope` out",
            ));
        }
        match form.one("requested_token_type")? {
            None | Some(JWT | ID_TOKEN | ACCESS_TOKEN) => {}
            Some(_) => {
                return Err(OAuthError::invalid_request(format!(
                    "`requested_token_type` must be {JWT}, or be left out"
                )));
            }
        }
        match form.one("subject_token_type")? {
            Some(JWT | ID_TOKEN | ACCESS_TOKEN) => {}
            None => return Err(missing("subject_token_type", JWT)),
            Some(_) => {
                return Err(OAuthError::invalid_request(format!(
                    "`subject_token_type` must be {JWT}"
                )));
            }
        }
        let lifetime = form.one("requested_lifetime")?;
        let lifetime = lifetime.map(|seconds| {
            seconds.parse::<i64>().map_err(|_| {
                OAuthError::invalid_request("`requested_lifetime` must be a number of seconds")
            })
        });
        Ok(Self {
            subject_token: form
                .one("subject_token")?
                .ok_or_else(|| missing("subject_token", "the trusted issuer's token"))?
                // A file's last line ends with a newline.
                .trim()
                .to_owned(),
            audiences: form.all("audience").map(str::to_owned).collect(),
            lifetime: lifetime.transpose()?,
        })
    }
}

fn missing(parameter: &str, value: &str) -> OAuthError {
    OAuthError::invalid_request(format!("`{parameter}` is missing; it must be {value}"))
}

/// A form (RFC 6749 appendix B): names and values, in their order. A parameter without a value
/// counts as left out (section 3.2).
#[derive(Debug)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// A parameter that may be given once (RFC 6749 section 3.2).
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, OAuthError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(OAuthError::invalid_request(format!(
                "`{name}` is given twice"
            )));
        }
        Ok(first)
    }

    /// A parameter that may be given several times.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(found, value)| found == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

impl FromRequest<App> for Form {
    type Rejection = OAuthError;

    async fn from_request(request: Request, app: &App) -> Result<Self, OAuthError> {
        let is_form = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|found| {
                found
                    .trim()
                    .eq_ignore_ascii_case("application/x-www-form-urlencoded")
            });
        let bytes = body(request, app).await?;
        if !is_form {
            return Err(OAuthError::invalid_request(
                "send the header `Content-Type: application/x-www-form-urlencoded` and a form",
            ));
        }
        let pairs = url::form_urlencoded::parse(&bytes);
        Ok(Self(pairs.into_owned().collect()))
    }
}
