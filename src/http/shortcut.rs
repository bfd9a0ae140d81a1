//! The two public documents, answered before a route is looked for: bytes in memory, and others may ask
//! for them more often than for all else.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use tower_service::Service;

use super::layers::{Answer, Around, request_id_of};
use super::{discovery, jwks};
use crate::app::App;

/// Answers a plain GET of a document, and leaves the rest to the router.
#[derive(Clone)]
pub(super) struct Shortcut {
    app: App,
    around: Around,
    paths: Arc<Paths>,
    rest: Router,
}

struct Paths {
    discovery: String,
    jwks: String,
}

impl Shortcut {
    /// Before the routes of the public listener.
    pub(super) fn before(rest: Router, around: Around, app: App) -> Router {
        let path = |document: &str| format!("{}{document}", app.issuer.path());
        let paths = Paths {
            discovery: path("/.well-known/openid-configuration"),
            jwks: path("/.well-known/jwks"),
        };
        Router::new().fallback_service(Self {
            paths: Arc::new(paths),
            app,
            around,
            rest,
        })
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

impl Service<Request> for Shortcut {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As a router, it always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let Some(answer) = self.document(&request) else {
            return Box::pin(self.rest.call(request));
        };
        let mut response = answer(&self.app, request.headers());
        let anybody = HeaderValue::from_static("*");
        response
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
        let id = request_id_of(request.headers());
        self.around.answered(&mut response, &id);
        tracing::debug!(
            http.method = "GET",
            http.path = request.uri().path(),
            http.status = response.status().as_u16(),
            request.id = id,
            "answered"
        );
        Box::pin(ready(Ok(response)))
    }
}
