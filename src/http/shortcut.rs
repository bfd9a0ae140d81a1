//! The two public documents, answered before a route is looked for: bytes in memory, and others may ask
//! for them more often than for all else.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;

use super::{discovery, jwks};
use crate::app::App;

/// Answers a plain GET of a document, and nothing else.
#[derive(Clone)]
pub(super) struct Shortcut {
    app: App,
    paths: Arc<Paths>,
}

struct Paths {
    discovery: String,
    jwks: String,
}

impl Shortcut {
    pub(super) fn new(app: App) -> Self {
        let path = |document: &str| format!("{}{document}", app.issuer.path());
        let paths = Paths {
            discovery: path("/.well-known/openid-configuration"),
            jwks: path("/.well-known/jwks"),
        };
        Self {
            paths: Arc::new(paths),
            app,
        }
    }

    /// The document, if one is asked for.
    pub(super) fn answer(&self, request: &Request) -> Option<Response> {
        let mut response = self.document(request)?(&self.app, request.headers());
        let anybody = HeaderValue::from_static("*");
        response
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
        Some(response)
    }

    fn document(&self, request: &Request) -> Option<fn(&App, &HeaderMap) -> Response> {
        let path = request.uri().path();
        if request.method() != Method::GET {
            None
        } else if path == self.paths.jwks {
            Some(jwks::answer)
        } else if path == self.paths.discovery {
            Some(discovery::answer)
        } else {
            None
        }
    }
}
