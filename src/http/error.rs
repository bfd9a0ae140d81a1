//! Errors as callers see them: `application/problem+json` (RFC 9457). One total match per error
//! type; what a caller must not know (a denial's reason, the database's words) ends here.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::audit::RecordError;
use crate::auth::AuthError;
use crate::domain::InvalidField;
use crate::domain::denial::Denial;
use crate::domain::run::RunState;
use crate::keys::rotation::RotationError;
use crate::limits::{Exceeded, Limit};
use crate::mint::MintError;
use crate::store::{StoreError, Taken};

/// An error on its way to the caller.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    field: Option<String>,
    retry_after: Option<u32>,
}

/// The body of every error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemBody {
    /// Stable: `urn:runmint:problem:` and a word.
    #[schema(example = "urn:runmint:problem:invalid-field")]
    r#type: String,
    /// The same for every problem of this type.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What was wrong this time, and what to do about it.
    detail: String,
    /// The field that was wrong, if it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The request, as logs and audit call it.
    request_id: String,
}

/// The database is usually back in a moment.
const RETRY_AFTER: u32 = 2;

impl Problem {
    pub(super) fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            slug,
            title,
            detail: detail.into(),
            field: None,
            retry_after: None,
        }
    }

    pub(super) fn about(self, field: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..self
        }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub(super) fn not_found(what: &str) -> Self {
        let detail = format!("there is no such {what}, or it is not yours");
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Not available at the moment",
            detail,
        )
        .retry_after(RETRY_AFTER)
    }

    pub(super) fn too_many_requests(exceeded: Exceeded) -> Self {
        let Exceeded { limit, retry_after } = exceeded;
        let whose = match limit {
            Limit::Failures => "failed authentications from this address",
            Limit::Requests => "requests of this caller",
            Limit::AddressRequests => "requests from this address",
            Limit::Concurrency | Limit::Connections => "requests under way",
        };
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests",
            format!(
                "there were more {whose} than `{}` allows; try again in {retry_after} s",
                limit.setting()
            ),
        )
        .retry_after(retry_after)
    }

    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "not-allowed", "Not allowed", detail)
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal error",
            "this is a fault of the server; its log says more under the request id",
        )
    }

    /// The status, what was wrong, and when to come back, in seconds.
    pub(super) fn parts(&self) -> (StatusCode, &str, Option<u32>) {
        (self.status, &self.detail, self.retry_after)
    }

    /// The answer, once the request's id is known.
    pub(super) fn render(self, request_id: &str) -> Response {
        let Self {
            status,
            slug,
            title,
            detail,
            field,
            retry_after,
        } = self;
        let body = ProblemBody {
            r#type: format!("urn:runmint:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail,
            field,
            request_id: request_id.to_owned(),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The outermost layer renders it, since it knows the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<InvalidField> for Problem {
    fn from(error: InvalidField) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-field",
            "A field is not as it must be",
            error.to_string(),
        )
        .about(error.field)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Problem {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Conflict(what) => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "It exists already",
                format!("there is {what} already"),
            ),
            StoreError::LostRace => Self::new(
                StatusCode::CONFLICT,
                "race",
                "Somebody else was faster",
                "somebody else changed it at the same moment; look at it and try again",
            ),
            StoreError::TwoAlready(_) => Self::new(
                StatusCode::CONFLICT,
                "two-already",
                "There are two already",
                error.to_string(),
            ),
            error if error.gave_up() => {
                tracing::warn!(%error, "something else was in the way of a change");
                Self::unavailable(
                    "something else was in the way; nothing was changed, so ask again",
                )
            }
            StoreError::Unavailable(_) | StoreError::Timeout => {
                tracing::error!(%error, "the database did not answer");
                Self::unavailable("the database does not answer")
            }
            StoreError::Shared(error) => Self::from(&**error),
            StoreError::Corrupt(_) | StoreError::Migrate(_) | StoreError::Url(_) => {
                tracing::error!(%error, "the database holds something unknown");
                Self::internal()
            }
        }
    }
}

impl From<Exceeded> for Problem {
    fn from(error: Exceeded) -> Self {
        Self::too_many_requests(error)
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            // A lie and an issuer that does not answer look different to an honest caller only.
            AuthError::Foreign(refusal) if refusal.is_passing => {
                Self::unavailable("the keys of the token's issuer cannot be had at the moment")
            }
            AuthError::Foreign(_)
            | AuthError::Missing
            | AuthError::Secret(_)
            | AuthError::Unknown(_) => Self::new(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "Not authenticated",
                error.to_string(),
            ),
            // Whoever guesses learns nothing from it; whoever is locked out finds it in the log.
            AuthError::Expired(what) => AuthError::Unknown(what).into(),
            AuthError::ReadOnly(_) => Self::forbidden(error.to_string()),
            AuthError::Store(error) => error.into(),
        }
    }
}

/// A foreign token that was verified and cannot be taken.
pub(super) fn not_taken(taken: Taken) -> Problem {
    let detail = match taken {
        Taken::Before | Taken::Now => {
            "this token was taken before: one token opens one run or is exchanged once; get a fresh \
             one, or exchange it at /oauth/token for a short-lived client secret"
        }
        Taken::IssuerChanged => {
            "what the token's issuer is trusted with has just changed; try again"
        }
    };
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "token-taken",
        "The token cannot be taken",
        detail,
    )
}

/// The reason stays in log and audit; the caller learns which field to look at.
impl From<Denial> for Problem {
    fn from(denial: Denial) -> Self {
        let field = denial.field;
        Self::new(
            StatusCode::FORBIDDEN,
            "not-granted",
            "No grant covers this",
            format!(
                "none of this client's grants covers the request; look at `{field}`, \
                 and ask an operator what is granted"
            ),
        )
        .about(field)
    }
}

impl From<MintError> for Problem {
    fn from(error: MintError) -> Self {
        match error {
            MintError::Invalid(error) => error.into(),
            MintError::RunEnded(state) => Self::new(
                StatusCode::FORBIDDEN,
                "run-ended",
                "The run has ended",
                match state {
                    RunState::Closed => "the run is closed, so it gets no more tokens",
                    RunState::Expired | RunState::Open => {
                        "the run has passed its deadline, so it gets no more tokens"
                    }
                },
            ),
            MintError::NotTaken(taken) => not_taken(taken),
            MintError::ClientGone => AuthError::Unknown("client secret").into(),
            MintError::ClientChanged => {
                Self::unavailable("the client is being changed at this moment; ask again")
            }
            MintError::NoSigningKey(reason) => {
                tracing::error!(reason, "there is no usable signing key");
                Self::unavailable("there is no usable signing key")
            }
            MintError::NotRecorded(RecordError::QueueFull) => Self::unavailable(
                "more tokens are asked for than can be recorded; ask again in a moment",
            ),
            MintError::NotRecorded(RecordError::Unavailable) => {
                Self::unavailable("the audit record could not be written, so there is no token")
            }
            MintError::Faulty => Self::internal(),
        }
    }
}

impl From<RotationError> for Problem {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::Store(error) => error.into(),
            RotationError::NotPublished(_) => Self::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "Not found",
                error.to_string(),
            )
            .about("version"),
            // An operator asked; the error is about keys, and holds no secret.
            RotationError::Signer(_) | RotationError::Seal(_) | RotationError::Keyring(_) => {
                tracing::error!(%error, "keys could not be changed");
                Self {
                    detail: error.to_string(),
                    ..Self::internal()
                }
            }
        }
    }
}
