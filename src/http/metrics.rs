//! The metrics page.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::app::App;

/// OpenMetrics text. Without authentication, as scrapers want it; it holds no secret.
pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let keyring = app.keyring.current();
    app.metrics
        .can_sign
        .set(i64::from(keyring.signer().is_ok()));
    let text = app.metrics.render(
        &keyring.keys,
        keyring.revision,
        &app.policy,
        app.clock.now(),
    );
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text)
}
