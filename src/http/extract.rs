//! Callers, bodies and queries as handler arguments; what is wrong with them becomes a [`Problem`].

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::attempt::{Attempt, bearer, client, minting_client, unauthenticated, untaken};
use super::error::Problem;
use super::layers::{self, RequestId};
use crate::app::App;
use crate::auth::secret::Kind;
use crate::auth::{CallingClient, CallingRun, FullOperator, Operator};
use crate::domain::InvalidField;

impl FromRequestParts<App> for CallingClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let bearer = bearer(parts).map_err(|error| unauthenticated(parts, app, error))?;
        client(parts, app, bearer).await
    }
}

/// A client that opens a run: the foreign token that it showed, if it was one, is taken.
#[derive(Debug)]
pub(super) struct OpeningClient(pub(super) CallingClient);

impl FromRequestParts<App> for OpeningClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let client = CallingClient::from_request_parts(parts, app).await?;
        shows_nothing_taken(parts, app, &client).await?;
        Ok(Self(client))
    }
}

/// A client that mints: the foreign token that it showed, if it was one, is taken. It may be remembered.
#[derive(Debug)]
pub(super) struct MintingClient(pub(super) CallingClient);

impl FromRequestParts<App> for MintingClient {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let bearer = bearer(parts).map_err(|error| unauthenticated(parts, app, error))?;
        let client = minting_client(parts, app, bearer).await?;
        shows_nothing_taken(parts, app, &client).await?;
        Ok(Self(client))
    }
}

async fn shows_nothing_taken(
    parts: &Parts,
    app: &App,
    client: &CallingClient,
) -> Result<(), Problem> {
    match client.foreign() {
        Some(foreign) => untaken(parts, app, foreign).await,
        None => Ok(()),
    }
}

impl FromRequestParts<App> for CallingRun {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let bearer = bearer(parts).map_err(|error| unauthenticated(parts, app, error))?;
        let attempt = Attempt::begin(parts, app, Kind::Run, bearer)?;
        let caller = attempt.judge(Self::authenticate(attempt.bearer, &app.lookup).await)?;
        app.limits
            .request_of_run(&caller.run().id, app.clock.now())?;
        Ok(caller)
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let now = app.clock.now();
        let (tokens, store) = (&app.admin_tokens, &app.store);
        let bearer = bearer(parts).map_err(|error| unauthenticated(parts, app, error))?;
        // Compared in memory, so the configured one passes whatever its address did.
        let is_stored = bearer.starts_with(Kind::Admin.prefix()) && !tokens.is_configured(bearer);
        let operator = if is_stored {
            let attempt = Attempt::begin(parts, app, Kind::Admin, bearer)?;
            attempt.judge(tokens.authenticate(bearer, store, now).await)?
        } else {
            let operator = tokens.authenticate(bearer, store, now).await;
            operator.map_err(|error| unauthenticated(parts, app, error))?
        };
        app.last_used.by_operator(&operator, now);
        Ok(operator)
    }
}

impl FromRequestParts<App> for FullOperator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let operator = Operator::from_request_parts(parts, app).await?;
        Ok(operator.full().inspect_err(|error| {
            tracing::warn!(%error, "an operator was refused");
        })?)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request_id(parts)))
    }
}

pub(super) fn request_id(parts: &Parts) -> String {
    let id = parts.extensions.get::<RequestId>();
    id.map_or_else(String::new, |RequestId(id)| id.clone())
}

/// A JSON body; unknown fields are refused by the types themselves.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = body(request, app).await?;
        if is_json {
            parse(&bytes).map(Self)
        } else {
            Err(not_json())
        }
    }
}

/// A JSON body that may be left out; `null` is as good as none.
#[derive(Debug)]
pub(super) struct JsonOrDefault<T>(pub(super) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for JsonOrDefault<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = body(request, app).await?;
        match (bytes.is_empty(), is_json) {
            (true, _) => Ok(Self(T::default())),
            (false, true) => parse::<Option<T>>(&bytes).map(|body| Self(body.unwrap_or_default())),
            (false, false) => Err(not_json()),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|media_type| {
            let media_type = media_type.trim();
            media_type.eq_ignore_ascii_case("application/json") || media_type.ends_with("+json")
        })
}

fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not-json",
        "The body is not JSON",
        "send the header `Content-Type: application/json` and a JSON body",
    )
}

pub(super) async fn body(request: Request, app: &App) -> Result<Bytes, Problem> {
    Bytes::from_request(request, app)
        .await
        .map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                layers::too_large()
            } else {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    "body-incomplete",
                    "The body could not be read",
                    "the body ended before it was complete; send it again",
                )
            }
        })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() {
            wrong_field(&path, &inner.to_string())
        } else {
            malformed(&inner)
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed-json",
        "The body is not well-formed JSON",
        error.to_string(),
    )
}

/// serde says "unknown field `x`, expected …" and "missing field `x` at line 1"; the field is what
/// a caller looks for.
fn wrong_field(path: &str, message: &str) -> Problem {
    let message = message.split(" at line ").next().unwrap_or(message);
    let named = |prefix: &str| {
        message
            .strip_prefix(prefix)
            .and_then(|rest| rest.split_once('`'))
            .map(|(name, _)| name)
    };
    let missing = named("missing field `").map(|name| (name, "is missing"));
    let named = missing
        .or_else(|| named("duplicate field `").map(|name| (name, "is given twice; keep one")));
    let field = match (path, named) {
        (".", Some((name, _))) => name.to_owned(),
        (path, Some((name, _))) => format!("{path}.{name}"),
        (".", None) => "body".to_owned(),
        (path, None) => path.to_owned(),
    };
    let rule = match named {
        Some((_, rule)) => rule.to_owned(),
        None => format!("is refused: {message}"),
    };
    InvalidField::new(field, rule).into()
}

/// A query, each of whose parameters is known; for the admin listener.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            // No database stores one, and Postgres would fail over it.
            if value.contains('\0') {
                return Err(InvalidField::new(name, "holds a NUL character").into());
            }
        }
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|rejection| {
                let text = rejection.body_text();
                let detail = text
                    .split_once(": ")
                    .map_or(text.as_str(), |(_, detail)| detail);
                // "unknown field `x`, expected …", or "x: what is wrong with its value".
                let named = ["unknown field `", "duplicate field `"];
                let (field, rule) = match named.iter().find_map(|n| detail.strip_prefix(n)) {
                    Some(rest) => (rest.split('`').next(), detail),
                    None => detail
                        .split_once(": ")
                        .map_or((None, detail), |(field, rule)| (Some(field), rule)),
                };
                InvalidField::new(field.unwrap_or("query"), format!("is refused: {rule}")).into()
            })
    }
}
