//! Liveness and readiness.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// A database that takes longer is not one to mint with.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`
    status: &'static str,
}

/// Whether tokens can be minted here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// `ready` or `not ready`
    status: &'static str,
    /// Why no token can be minted. Discovery and JWKS answer all the same.
    problems: Vec<&'static str>,
    /// What will become a problem.
    warnings: Vec<String>,
}

/// The process answers; nothing else is looked at.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Health",
    summary = "Liveness",
    responses((status = 200, body = Health))
)]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Ready to mint: a usable signing key, and a database that takes audit records.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Health",
    summary = "Readiness",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness))
)]
pub(super) async fn readyz(State(app): State<App>) -> Response {
    let keyring = app.keyring.current();
    let mut problems = Vec::new();
    if let Err(error) = keyring.signer() {
        tracing::warn!(%error, "not ready: no usable signing key");
        problems.push("no usable signing key");
    }
    let now = app.clock.now();
    // Usually known: the keys are looked up twice a second anyway, and whoever asks for health must
    // not be able to keep the database busy.
    let is_known = (0..=1).contains(&now.seconds_since(app.keyring.checked_at()));
    let answers = if is_known {
        Ok(Ok(0))
    } else {
        tokio::time::timeout(TIMEOUT, app.store.key_revision()).await
    };
    match answers {
        Ok(Ok(_)) => match tokio::time::timeout(TIMEOUT, app.recorder.check()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => problems.push("the database takes no audit records"),
        },
        Ok(Err(_)) | Err(_) => problems.push("the database does not answer"),
    }
    let mut warnings = Vec::new();
    if let Some(activated_at) = keyring.active().and_then(|key| key.state.activated_at()) {
        let overdue_at = app.policy.overdue_at(activated_at);
        if now >= overdue_at {
            warnings.push(format!(
                "the rotation of the signing key is overdue since {overdue_at}"
            ));
        }
    }
    let (status, word) = if problems.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    let readiness = Readiness {
        status: word,
        problems,
        warnings,
    };
    (
        status,
        [(header::CACHE_CONTROL, "no-store")],
        Json(readiness),
    )
        .into_response()
}
