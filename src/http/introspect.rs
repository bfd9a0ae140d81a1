//! `POST /oauth/introspect` (RFC 7662): a relying party asks whether a token is still worth anything.

use axum::Json as JsonBody;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::attempt::{authorization, bearer, client, unauthenticated};
use super::oauth::Form;
use super::oauth_error::{OAuthError, OAuthErrorBody};
use super::runs::NO_STORE;
use crate::app::App;
use crate::auth::CallingClient;
use crate::domain::event::Actor;
use crate::domain::run::RunState;
use crate::domain::time::Timestamp;
use crate::store::{MintedToken, StoreError};

/// The form of RFC 7662 section 2.1.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(dead_code, reason = "it describes the form; the handler reads it")]
pub(super) struct IntrospectForm {
    /// The token that somebody has shown.
    #[schema(min_length = 1)]
    token: String,
    /// Not needed: what it is is seen from it.
    #[schema(nullable = false)]
    token_type_hint: Option<String>,
}

/// The answer of RFC 7662 section 2.2: `active`, and of an active token its claims.
#[derive(Serialize, ToSchema)]
struct Introspection {
    /// Whether it may still be accepted: signed by a key that is published, alive, and its run open.
    active: bool,
    /// Its claims.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    claims: Map<String, Value>,
}

/// A client, by HTTP Basic authentication as RFC 6749 section 2.3.1 has it, or by a bearer token.
#[derive(Debug)]
pub(super) struct OAuthClient;

impl FromRequestParts<App> for OAuthClient {
    type Rejection = OAuthError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, OAuthError> {
        let Some(credentials) = authorization(parts, "basic") else {
            let bearer = bearer(parts).map_err(|error| unauthenticated(parts, app, error))?;
            let _: CallingClient = client(parts, app, bearer).await?;
            return Ok(Self);
        };
        let wrong =
            || OAuthError::invalid_client("the client's name and secret are not known here");
        let (name, secret) = basic(credentials).ok_or_else(wrong)?;
        let caller = client(parts, app, &secret).await?;
        if caller.client().name.as_str() == name {
            Ok(Self)
        } else {
            Err(wrong())
        }
    }
}

/// Says whether a token of ours is active. What it was minted for is not told anew: whoever has the
/// token can read it.
#[utoipa::path(
    post,
    path = "/oauth/introspect",
    operation_id = "introspect_token",
    tag = "Tokens",
    summary = "Ask whether a token is active (RFC 7662)",
    security(("client" = []), ("client_basic" = [])),
    request_body(content = IntrospectForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = Introspection),
        (status = "4XX", body = OAuthErrorBody),
        (status = 500, body = OAuthErrorBody),
        (status = 503, body = OAuthErrorBody),
    )
)]
pub(super) async fn introspect(
    State(app): State<App>,
    _caller: OAuthClient,
    form: Form,
) -> Result<Response, OAuthError> {
    let token = form
        .one("token")?
        .ok_or_else(|| OAuthError::invalid_request("`token` is missing"))?;
    let claims = match active_claims(&app, token, app.clock.now()).await? {
        Ok(claims) => Some(claims),
        Err(reason) => {
            tracing::debug!(reason, "a token is not active");
            None
        }
    };
    let body = Introspection {
        active: claims.is_some(),
        claims: claims.unwrap_or_default(),
    };
    Ok((NO_STORE, JsonBody(body)).into_response())
}

/// The claims of a token that is active; the inner error is why it is not.
async fn active_claims(
    app: &App,
    token: &str,
    now: Timestamp,
) -> Result<Result<Map<String, Value>, &'static str>, StoreError> {
    // Another replica may have changed the keys a moment ago; the database is asked below.
    if !app.keyring.current().verifies(token) {
        return Ok(Err("no published key has signed it"));
    }
    let claims = token.split('.').nth(1);
    let claims = claims.and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = claims.and_then(|payload| serde_json::from_slice(&payload).ok());
    let Some(Value::Object(claims)) = claims else {
        return Ok(Err("it has no claims"));
    };
    if claims
        .get("exp")
        .and_then(Value::as_i64)
        .is_none_or(|exp| exp <= now.0)
    {
        return Ok(Err("it has expired"));
    }
    let Some(jti) = claims.get("jti").and_then(Value::as_str) else {
        return Ok(Err("it has no jti"));
    };
    let Some(minted) = app.store.find_minted(jti).await? else {
        return Ok(Err("there is no record of it"));
    };
    let MintedToken {
        at,
        actor,
        is_key_published,
        run,
    } = minted;
    if !is_key_published {
        return Ok(Err("its key is not published any more"));
    }
    // Whoever has the name now may be somebody else than whoever had it then.
    let was_there = |created_at: Timestamp| created_at <= at;
    let is_known = match &actor {
        Actor::Run(_) => match run.map(|run| run.state(now)) {
            Some(RunState::Open) => true,
            Some(RunState::Closed | RunState::Expired) | None => false,
        },
        Actor::Client(name) => {
            let client = app.store.find_client(name).await?;
            client.is_some_and(|client| was_there(client.created_at))
        }
        Actor::Issuer(name) => {
            let issuer = app.store.find_trusted_issuer(name).await?;
            issuer.is_some_and(|issuer| was_there(issuer.created_at))
        }
        // Nobody else mints.
        _ => false,
    };
    Ok(if is_known {
        Ok(claims)
    } else {
        Err("the run has ended, or whoever it was minted for is not trusted any more")
    })
}

/// Name and secret, each encoded as in a form (RFC 6749 section 2.3.1).
fn basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    let decode = |value: &str| {
        let pair = format!("x={value}");
        let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
        decoded.map(|(_, value)| value.into_owned())
    };
    Some((decode(name)?, decode(secret)?))
}
