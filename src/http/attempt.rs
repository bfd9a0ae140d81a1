//! One attempt to authenticate: whose address it is, whether the attempt is worth the database, and what
//! its outcome counts for.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};

use super::error::{Problem, not_taken};
use super::extract::request_id;
use crate::app::App;
use crate::auth::federation::ForeignToken;
use crate::auth::secret::{Kind, Secret};
use crate::auth::{AuthError, CallingClient, Federated};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::name::Name;
use crate::limits::address::Address;
use crate::store::Taken;

/// The address that a request counts for, behind trusted proxies.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallerAddress(pub(super) Address);

impl CallerAddress {
    pub(super) fn of(parts: &Parts, app: &App) -> Self {
        if let Some(known) = parts.extensions.get::<Self>() {
            return *known;
        }
        let Some(ConnectInfo(peer)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() else {
            return Self(Address::NONE);
        };
        let forwarded_for = parts.headers.get_all("x-forwarded-for").iter();
        Self(
            app.limits
                .caller(peer.ip(), forwarded_for.map(HeaderValue::as_bytes)),
        )
    }
}

impl FromRequestParts<App> for CallerAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

/// A bearer secret whose form is right, before anybody knows whose it is.
pub(super) struct Attempt<'a> {
    app: &'a App,
    address: Address,
    hash: String,
    /// The secret in the clear.
    pub(super) bearer: &'a str,
}

impl<'a> Attempt<'a> {
    /// Looks at what costs nothing: the form and the checksum; whether the secret was accepted here not
    /// long ago; if not, whether the address has failed too often.
    ///
    /// # Errors
    /// 401 or 429.
    pub(super) fn begin(
        parts: &Parts,
        app: &'a App,
        kind: Kind,
        bearer: &'a str,
    ) -> Result<Self, Problem> {
        let CallerAddress(address) = CallerAddress::of(parts, app);
        let secret = Secret::parse(kind, bearer);
        let secret = secret.map_err(|error| refused(app, address, error.into()))?;
        let hash = secret.hash();
        if !app.limits.is_known(&hash) {
            app.limits.check_address(address, app.clock.now())?;
        }
        Ok(Self {
            app,
            address,
            hash,
            bearer,
        })
    }

    /// Remembers what came of it. A database that does not answer is nobody's failure.
    ///
    /// # Errors
    /// 401, 429 or 503.
    pub(super) fn judge<T>(&self, result: Result<T, AuthError>) -> Result<T, Problem> {
        judge(self.app, self.address, &self.hash, result)
    }
}

fn judge<T>(
    app: &App,
    address: Address,
    hash: &str,
    result: Result<T, AuthError>,
) -> Result<T, Problem> {
    match result {
        Ok(caller) => {
            app.limits.accepted(hash);
            Ok(caller)
        }
        Err(AuthError::Store(error)) => Err(error.into()),
        Err(error) => {
            // A secret that was removed does not go on passing its address's limit.
            app.limits.forget(hash);
            Err(refused(app, address, error))
        }
    }
}

/// The client that a secret, or a trusted issuer's token, belongs to.
///
/// # Errors
/// 401, 429 or 503.
pub(super) async fn client(
    parts: &Parts,
    app: &App,
    bearer: &str,
) -> Result<CallingClient, Problem> {
    known_client(parts, app, bearer, false).await
}

/// The same, perhaps [remembered](CallingClient::remember_or_authenticate).
///
/// # Errors
/// 401, 429 or 503.
pub(super) async fn minting_client(
    parts: &Parts,
    app: &App,
    bearer: &str,
) -> Result<CallingClient, Problem> {
    known_client(parts, app, bearer, true).await
}

async fn known_client(
    parts: &Parts,
    app: &App,
    bearer: &str,
    may_be_remembered: bool,
) -> Result<CallingClient, Problem> {
    // Secrets have no dot, compact tokens have two.
    let caller = if bearer.contains('.') {
        match federated(parts, app, bearer).await? {
            Federated::Client(client) => client,
            Federated::Workload(workload) => {
                let error = workload.foreign().refused(
                    "it stands for a workload, not for a client; exchange it at /oauth/token",
                );
                return Err(foreign_refused(parts, app, error).await);
            }
        }
    } else {
        let attempt = Attempt::begin(parts, app, Kind::Client, bearer)?;
        let now = app.clock.now();
        let (bearer, lookup) = (attempt.bearer, &app.lookup);
        let caller = if may_be_remembered {
            CallingClient::remember_or_authenticate(bearer, lookup, now).await
        } else {
            CallingClient::authenticate(bearer, lookup, now).await
        };
        let caller = attempt.judge(caller)?;
        app.last_used.by_client(&caller, now);
        caller
    };
    let name = caller.client().name.as_str();
    app.limits.request_of_client(name, app.clock.now())?;
    Ok(caller)
}

/// The client as it is now, if it showed a secret.
///
/// # Errors
/// 401, 429 or 503.
pub(super) async fn asked_again(
    app: &App,
    CallerAddress(address): CallerAddress,
    caller: &CallingClient,
) -> Result<Option<CallingClient>, Problem> {
    let Some(hash) = caller.secret_hash() else {
        return Ok(None);
    };
    let now = app.clock.now();
    let as_it_is_now = caller.ask_again(&app.lookup, now).await;
    let as_it_is_now = judge(app, address, hash, as_it_is_now)?;
    if let Some(caller) = &as_it_is_now {
        app.last_used.by_client(caller, now);
    }
    Ok(as_it_is_now)
}

/// Who a trusted issuer's token stands for.
///
/// # Errors
/// 401, with one text for all that is wrong with a token; 429 or 503.
pub(super) async fn federated(parts: &Parts, app: &App, token: &str) -> Result<Federated, Problem> {
    let CallerAddress(address) = CallerAddress::of(parts, app);
    let now = app.clock.now();
    let candidate = match app.federation.consider(token, now) {
        Ok(candidate) => candidate,
        Err(refusal) => return Err(foreign_refused(parts, app, refusal.into()).await),
    };
    // Whose tokens were good not long ago has not to wait for others at its address.
    let holder = candidate.holder();
    if !app.limits.is_known(&holder) {
        app.limits.check_address(address, now)?;
    }
    match Federated::authenticate(candidate, &app.store, now).await {
        Ok(caller) => {
            app.limits.accepted(&holder);
            Ok(caller)
        }
        Err(AuthError::Store(error)) => Err(error.into()),
        Err(error) => {
            // Somebody else may have written this name into a forgery: then it opens no more doors
            // until the real one has been here again.
            if matches!(&error, AuthError::Foreign(refusal) if !refusal.is_passing) {
                app.limits.forget(&holder);
            }
            Err(foreign_refused(parts, app, error).await)
        }
    }
}

/// Refuses a foreign token that was taken before: something is to be made for it, and that would
/// cost a signature. The transaction that makes it looks again.
///
/// # Errors
/// 401, 429 or 503.
pub(super) async fn untaken(
    parts: &Parts,
    app: &App,
    foreign: &ForeignToken,
) -> Result<(), Problem> {
    if !app.store.is_taken(&foreign.take.id).await? {
        return Ok(());
    }
    app.limits.forget(&foreign.holder);
    let refused = foreign.refused("it was taken before");
    let problem = foreign_refused(parts, app, refused).await;
    Err(match problem.parts() {
        (StatusCode::UNAUTHORIZED, ..) => not_taken(Taken::Before),
        _ => problem,
    })
}

/// Counts a genuine token that somebody uses for what it does not serve, again and again perhaps.
///
/// # Errors
/// 429, instead of what would be recorded.
pub(super) fn misused(parts: &Parts, app: &App, foreign: &ForeignToken) -> Result<(), Problem> {
    let CallerAddress(address) = CallerAddress::of(parts, app);
    app.limits.forget(&foreign.holder);
    Ok(app.limits.failed(address, app.clock.now())?)
}

/// Counts, logs and records a foreign token that is refused, and says what the caller is told. Of an
/// address that has failed too often nothing is recorded: the log of record is not a flood's to fill.
async fn foreign_refused(parts: &Parts, app: &App, error: AuthError) -> Problem {
    let CallerAddress(address) = CallerAddress::of(parts, app);
    let now = app.clock.now();
    let AuthError::Foreign(refusal) = &error else {
        return refused(app, address, error);
    };
    // An issuer that does not answer is not its workload's failure.
    if !refusal.is_passing
        && let Err(exceeded) = app.limits.failed(address, now)
    {
        return exceeded.into();
    }
    let issuer = refusal.issuer.as_ref();
    let mut reason = refusal.reason.clone();
    if !refusal.is_genuine {
        match app.limits.unproven_record(now) {
            None => return error.into(),
            Some(0) => {}
            Some(left_out) => {
                let more = format!("; {left_out} refusals before it were left out");
                reason.push_str(&more);
            }
        }
    }
    if let Some(left_out) = app.limits.failure_line(now) {
        tracing::warn!(
            issuer.name = issuer.map(Name::as_str),
            reason,
            caller.address = %address,
            log.left_out = left_out,
            "a foreign token was refused"
        );
    }
    let actor = issuer.map_or(Actor::Anonymous, |name| Actor::Issuer(name.to_string()));
    app.recorder
        .note(Event {
            request_id: Some(request_id(parts)),
            reason: Some(reason),
            ..Event::new(now, EventKind::IssuerTokenRefused, actor)
        })
        .await;
    error.into()
}

/// Counts and logs that nobody was authenticated.
pub(super) fn unauthenticated(parts: &Parts, app: &App, error: AuthError) -> Problem {
    refused(app, CallerAddress::of(parts, app).0, error)
}

/// Counts and logs a failed authentication, and says what the caller is told.
fn refused(app: &App, address: Address, error: AuthError) -> Problem {
    let now = app.clock.now();
    if let Err(exceeded) = app.limits.failed(address, now) {
        return exceeded.into();
    }
    // Whoever shows nothing at all is a browser or a scanner: not worth a line.
    if !matches!(error, AuthError::Missing)
        && let Some(left_out) = app.limits.failure_line(now)
    {
        tracing::warn!(
            %error,
            caller.address = %address,
            log.left_out = left_out,
            "a caller was not authenticated"
        );
    }
    error.into()
}

/// The scheme's case does not matter (RFC 9110 section 11.1); cosign writes `bearer`.
pub(super) fn bearer(parts: &Parts) -> Result<&str, AuthError> {
    authorization(parts, "bearer").ok_or(AuthError::Missing)
}

/// What the `Authorization` header holds, if it is of this scheme.
pub(super) fn authorization<'a>(parts: &'a Parts, scheme: &str) -> Option<&'a str> {
    parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(found, _)| found.eq_ignore_ascii_case(scheme))
        .map(|(_, credentials)| credentials.trim())
        .filter(|credentials| !credentials.is_empty())
}
