//! One attempt to authenticate: whose address it is, whether the attempt is worth the database, and what
//! its outcome counts for.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};

use super::error::Problem;
use crate::app::App;
use crate::auth::AuthError;
use crate::auth::secret::{Kind, Secret};
use crate::limits::address::Address;

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
    pub(super) fn begin(parts: &'a Parts, app: &'a App, kind: Kind) -> Result<Self, Problem> {
        let CallerAddress(address) = CallerAddress::of(parts, app);
        let form = || -> Result<_, AuthError> {
            let bearer = bearer(parts)?;
            Ok((bearer, Secret::parse(kind, bearer)?.hash()))
        };
        let (bearer, hash) = form().map_err(|error| refused(app, address, error))?;
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
        match result {
            Ok(caller) => {
                self.app.limits.accepted(&self.hash);
                Ok(caller)
            }
            Err(AuthError::Store(error)) => Err(error.into()),
            Err(error) => {
                // A secret that was removed does not go on passing its address's limit.
                self.app.limits.forget(&self.hash);
                Err(refused(self.app, self.address, error))
            }
        }
    }
}

/// Counts and logs a failed authentication, and says what the caller is told.
pub(super) fn refused(app: &App, address: Address, error: AuthError) -> Problem {
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
    parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| !token.is_empty())
        .ok_or(AuthError::Missing)
}
