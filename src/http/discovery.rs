//! The discovery document.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::jwks::document;
use crate::app::App;

/// Answers from memory, also while the database is down.
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    tag = "Discovery",
    summary = "The discovery document",
    responses(
        (status = 200, description = "OpenID Connect Discovery 1.0", body = Object),
        (status = 304, description = "Not modified since the given ETag"),
    )
)]
pub(super) async fn discovery(State(app): State<App>, headers: HeaderMap) -> Response {
    answer(&app, &headers)
}

/// See [`discovery`].
pub(super) fn answer(app: &App, headers: &HeaderMap) -> Response {
    let keyring = app.keyring.current();
    document(
        &keyring.discovery,
        keyring.max_age(&app.policy, app.clock.now()),
        headers,
    )
}
