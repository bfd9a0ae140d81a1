//! What goes around every route: request id, log line, counting, limits, and errors in one shape.

use std::convert::Infallible;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;
use uuid::Uuid;

use super::attempt::CallerAddress;
use super::error::Problem;
use crate::app::App;
use crate::limits::Limit as Bound;
use crate::limits::shares::{Full, Share, Shares};
use crate::metrics::{Metrics, ResponseLabels};

/// The request's id: taken from the caller if it is a sane one, made otherwise.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

/// The answer of a service, on its way.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts everything around a listener's routes.
pub(super) fn around(router: Router, around: Around) -> Router {
    let fallback = || async { Problem::not_found("URL") };
    router
        .fallback(fallback)
        .method_not_allowed_fallback(wrong_method)
        .layer(around)
}

/// What is around the routes of one listener: each request is named, logged and counted, and what went
/// wrong is rendered.
#[derive(Clone, Debug)]
pub(super) struct Around {
    listener: &'static str,
    metrics: Metrics,
    pauses: Arc<Semaphore>,
}

impl Around {
    pub(super) fn new(listener: &'static str, app: &App) -> Self {
        Self {
            listener,
            metrics: app.metrics.clone(),
            pauses: Arc::new(Semaphore::new(PAUSES)),
        }
    }

    /// Counts an answer and writes the request's id on it.
    pub(super) fn answered(&self, response: &mut Response, id: &str) {
        self.metrics
            .responses
            .get_or_create(&ResponseLabels {
                listener: self.listener,
                status: response.status().as_u16(),
            })
            .inc();
        if let Ok(value) = HeaderValue::from_str(id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
    }
}

/// How long whoever is over a limit waits for the answer that says so. A flood sends its next request no
/// sooner, and leaves the processor to others; no place of `server.max_concurrency` is held meanwhile.
const PAUSE: Duration = Duration::from_millis(250);

/// As many wait so at once, some kilobytes each; more are answered without a pause.
const PAUSES: usize = 8_192;

/// Answers what a URL exists for, but not with this method.
pub(super) async fn wrong_method(method: Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "This URL does not take this method",
        format!("{method} is not taken here; `/openapi.json` says what is"),
    )
}

/// The id that a caller sent, if it is a sane one, or a new one.
pub(super) fn request_id_of(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_sane(id))
        .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// A route with what is around it.
#[derive(Clone, Debug)]
pub(super) struct Observed<S> {
    around: Around,
    route: S,
}

impl<S> Layer<S> for Around {
    type Service = Observed<S>;

    fn layer(&self, route: S) -> Observed<S> {
        Observed {
            around: self.clone(),
            route,
        }
    }
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let started = Instant::now();
        let id = request_id_of(request.headers());
        request.extensions_mut().insert(RequestId(id.clone()));
        let method = request.method().clone();
        let path = tracing::enabled!(tracing::Level::DEBUG).then(|| shown(request.uri().path()));
        let span = tracing::info_span!("request", request.id = id);
        let around = self.around.clone();
        let answer = span.in_scope(|| self.route.call(request));
        let answered = async move {
            let response = caught(answer).await;
            let problem = problem_of(&response);
            if response.status() == StatusCode::TOO_MANY_REQUESTS
                && let Ok(_pause) = around.pauses.try_acquire()
            {
                tokio::time::sleep(PAUSE).await;
            }
            let mut response = problem.map_or(response, |problem| problem.render(&id));
            around.answered(&mut response, &id);
            tracing::debug!(
                http.listener = around.listener,
                http.method = %method,
                http.path = path,
                http.status = response.status().as_u16(),
                elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
                "answered"
            );
            Ok(response)
        };
        Box::pin(answered.instrument(span))
    }
}

/// The answer of a route, also of one that panics.
async fn caught(answer: impl Future<Output = Result<Response, Infallible>>) -> Response {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        Err(_panic) => {
            tracing::error!("a handler panicked; this is a bug");
            let detail = "this is a fault of the server; its log says more under the request id";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, "internal", "Internal error", detail).into_response()
        }
    }
}

/// The problem that a route answered with, also when a library answered without one of ours.
pub(super) fn problem_of(response: &Response) -> Option<Problem> {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let problem = response.extensions().get::<Problem>().cloned();
    match problem {
        Some(problem) => Some(problem),
        None if is_json => None,
        None if status == StatusCode::PAYLOAD_TOO_LARGE => Some(too_large()),
        None if failed => {
            let title = status.canonical_reason().unwrap_or("Refused");
            let detail = "the request is not one that this server understands; \
                          `/openapi.json` says what is";
            Some(Problem::new(status, "refused", title, detail))
        }
        None => None,
    }
}

/// The body is larger than the setting allows.
pub(super) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body-too-large",
        "The body is too large",
        "the body is larger than `server.max_body` allows; runmint's requests are small",
    )
}

/// A path as it is logged. The query stays away, since it may hold anything; so does a segment that
/// is longer than an id: somebody may have pasted a secret.
fn shown(path: &str) -> String {
    let segments = path.split('/');
    let short = segments.map(|segment| if segment.len() > 40 { "…" } else { segment });
    short.collect::<Vec<_>>().join("/")
}

fn is_sane(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// Bounds how large requests are, how many are worked on at once, and for how long.
pub(super) fn limit(app: &App) -> Limit {
    Limit {
        places: Shares::new(app.settings.server.max_concurrency),
        app: app.clone(),
    }
}

/// The bounds of one listener.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    places: Arc<Shares>,
    app: App,
}

/// A route within the bounds.
#[derive(Clone, Debug)]
pub(super) struct Limited<S> {
    limit: Limit,
    route: S,
}

impl<S> Layer<S> for Limit {
    type Service = Limited<S>;

    fn layer(&self, route: S) -> Limited<S> {
        Limited {
            limit: self.clone(),
            route,
        }
    }
}

impl<S> Service<Request> for Limited<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (place, request) = match self.limit.admit(request) {
            Ok(admitted) => admitted,
            Err(problem) => return Box::pin(ready(Ok(problem.into_response()))),
        };
        let within = self.limit.app.settings.server.request_timeout.0;
        let answer = tokio::time::timeout(within, self.route.call(request));
        Box::pin(async move {
            let _place = place;
            answer.await.unwrap_or_else(|_| {
                let late = "the answer took longer than `server.request_timeout`";
                Ok(Problem::unavailable(late).into_response())
            })
        })
    }
}

impl Limit {
    /// Gives a request its place, and its caller's address.
    fn admit(&self, request: Request) -> Result<(Share, Request), Problem> {
        let Self { places, app } = self;
        let (mut parts, body) = request.into_parts();
        let caller = CallerAddress::of(&parts, app);
        app.limits.request_from(caller.0, app.clock.now())?;
        let place = places.take(Some(caller.0)).map_err(|full| {
            app.limits.turned_away(Bound::Concurrency);
            Problem::unavailable(match full {
                Full::All => "more requests are under way than `server.max_concurrency`",
                Full::Half => {
                    "more requests of this address are under way than half of \
                               `server.max_concurrency`"
                }
            })
            .retry_after(1)
        })?;
        parts.extensions.insert(caller);
        let max_body = app.settings.server.max_body;
        if announced(&parts.headers).is_some_and(|length| length > max_body) {
            return Err(too_large());
        }
        let body = bounded(body, max_body);
        Ok((place, Request::from_parts(parts, body)))
    }
}

/// How long the body is, as the caller says.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body that fails once it is longer than so many bytes; one that is empty stays as it is.
fn bounded(body: Body, max: usize) -> Body {
    if body.size_hint().exact() == Some(0) {
        body
    } else {
        Body::new(http_body_util::Limited::new(body, max))
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_route_that_panics_is_answered_for() {
        let faulty = || async {
            assert!(std::hint::black_box(false), "a bug");
        };
        let routes = Router::new().route("/", get(faulty));
        let response = caught(routes.oneshot(Request::<Body>::default())).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let problem = problem_of(&response).unwrap();
        assert_eq!(problem.parts().0, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
