//! The key set: bytes, `ETag` and max-age of the keyring.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::keys::keyring::Document;

/// Answers from memory, also while the database is down.
#[utoipa::path(
    get,
    path = "/.well-known/jwks",
    tag = "Discovery",
    summary = "The key set",
    responses(
        (status = 200, description = "The public keys (RFC 7517)", body = Object),
        (status = 304, description = "Not modified since the given ETag"),
    )
)]
pub(super) async fn jwks(State(app): State<App>, headers: HeaderMap) -> Response {
    answer(&app, &headers)
}

/// See [`jwks`].
pub(super) fn answer(app: &App, headers: &HeaderMap) -> Response {
    let keyring = app.keyring.current();
    document(
        &keyring.jwks,
        keyring.max_age(&app.policy, app.clock.now()),
        headers,
    )
}

/// A public document with its validators (RFC 9110 section 13.1.2, RFC 9111 section 5.2.2).
pub(super) fn document(document: &Document, max_age: i64, headers: &HeaderMap) -> Response {
    let validators = [
        (header::ETAG, document.etag.clone()),
        (
            header::CACHE_CONTROL,
            format!("public, max-age={max_age}, must-revalidate"),
        ),
    ];
    if is_known(headers, &document.etag) {
        return (StatusCode::NOT_MODIFIED, validators).into_response();
    }
    let content_type = [
        (header::CONTENT_TYPE, "application/json"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let length = [(header::CONTENT_LENGTH, document.bytes.len())];
    let body = Body::from(document.bytes.clone());
    (validators, content_type, length, body).into_response()
}

fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|candidate| candidate == "*" || candidate.trim_start_matches("W/") == etag)
}
