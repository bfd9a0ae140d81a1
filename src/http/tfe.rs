//! Terraform Enterprise's two admin calls, as go-tfe makes them: empty body, 204.

use axum::extract::State;
use axum::http::StatusCode;

use super::admin::uninterrupted;
use super::error::{Problem, ProblemBody};
use crate::app::App;
use crate::auth::FullOperator;

/// As Terraform Enterprise's call: the key rotates as soon as that is safe, and the period starts
/// anew then.
#[utoipa::path(
    post,
    path = "/api/v2/admin/oidc-settings/actions/rotate-key",
    tag = "Terraform Enterprise",
    summary = "Rotate the key",
    security(("operator" = [])),
    responses(
        (status = 204, description = "It rotates now, or as soon as the next key has been seen"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate_key(
    State(app): State<App>,
    operator: FullOperator,
) -> Result<StatusCode, Problem> {
    uninterrupted(async move {
        let (seen, now) = app.rotation.look(&app.probe, &app.clock).await?;
        app.rotation.rotate(&seen, &operator.actor(), now).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// As Terraform Enterprise's call: old versions leave the JWKS as soon as no living token needs
/// them.
#[utoipa::path(
    post,
    path = "/api/v2/admin/oidc-settings/actions/trim-key",
    tag = "Terraform Enterprise",
    summary = "Trim old keys",
    security(("operator" = [])),
    responses(
        (status = 204, description = "They leave now, or as soon as their last token is dead"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn trim_key(
    State(app): State<App>,
    operator: FullOperator,
) -> Result<StatusCode, Problem> {
    uninterrupted(async move {
        let now = app.rotation.now(&app.clock).await?;
        app.rotation.trim(false, &operator.actor(), now).await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}
