//! Errors of `/oauth/*` as RFC 6749 section 5.2 has them. What else goes wrong on these routes (a
//! body that is too large, a limit, the database) is rendered in the same form.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::layers::problem_of;
use crate::auth::AuthError;
use crate::mint::MintError;
use crate::store::StoreError;

/// An error of the protocol.
#[derive(Clone, Debug)]
pub(super) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: String,
    retry_after: Option<u32>,
}

/// The body of such an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OAuthErrorBody {
    /// The code: of RFC 6749 section 5.2, RFC 8693 section 2.2.2, or `temporarily_unavailable` and
    /// `server_error` of RFC 6749 section 4.1.2.1.
    #[schema(example = "invalid_request")]
    error: &'static str,
    /// For people.
    error_description: String,
}

impl OAuthError {
    /// A parameter is missing, malformed or given twice; or the subject token is not accepted, for
    /// whatever reason (RFC 8693 section 2.2.2).
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    /// No token is issued for an audience (RFC 8693 section 2.2.2).
    pub(super) fn invalid_target(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_target", description)
    }

    /// The caller is not authenticated.
    pub(super) fn invalid_client(description: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_client", description)
    }

    pub(super) fn new(
        status: StatusCode,
        error: &'static str,
        description: impl Into<String>,
    ) -> Self {
        Self {
            status,
            error,
            description: description.into(),
            retry_after: None,
        }
    }

    /// The one answer to a subject token that is refused: why is for log and audit.
    pub(super) fn token_refused() -> Self {
        Self::invalid_request(
            "the subject_token is not accepted; the audit log says why, under the request id",
        )
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let Self {
            status,
            error,
            description,
            retry_after,
        } = self;
        // RFC 6749 section 5.2 allows these characters alone.
        let error_description = description
            .chars()
            .map(|c| match c {
                '"' => '\'',
                '\\' => '/',
                c if c.is_ascii() && !c.is_ascii_control() => c,
                _ => '?',
            })
            .collect();
        let body = OAuthErrorBody {
            error,
            error_description,
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let schemes = HeaderValue::from_static("Basic realm=\"runmint\", Bearer");
            headers.insert(header::WWW_AUTHENTICATE, schemes);
        }
        response
    }
}

impl From<Problem> for OAuthError {
    fn from(problem: Problem) -> Self {
        let (status, detail, retry_after) = problem.parts();
        let error = match status {
            StatusCode::UNAUTHORIZED => "invalid_client",
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                "temporarily_unavailable"
            }
            status if status.is_server_error() => "server_error",
            _ => "invalid_request",
        };
        Self {
            status,
            error,
            description: detail.to_owned(),
            retry_after,
        }
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

impl From<AuthError> for OAuthError {
    fn from(error: AuthError) -> Self {
        Problem::from(error).into()
    }
}

impl From<MintError> for OAuthError {
    fn from(error: MintError) -> Self {
        match error {
            MintError::NotTaken(_) => Self::token_refused(),
            MintError::Invalid(error) if error.field == "ttl" => {
                Self::invalid_request(format!("`requested_lifetime` {}", error.rule))
            }
            other => Problem::from(other).into(),
        }
    }
}

/// Gives every error of the routes inside the form of this protocol.
pub(super) async fn in_this_form(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    problem_of(&response).map_or(response, |problem| {
        OAuthError::from(problem).into_response()
    })
}
