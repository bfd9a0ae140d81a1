//! The probe, over a real connection.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use runmint::keys::publish::{Probe, ProbeError};
use tokio::net::TcpListener;

/// What the world sees at the public JWKS URL: a server of its own that says what it is told, as a
/// bucket behind a CDN does.
pub(super) struct Outside {
    pub(super) url: String,
    says: Arc<Mutex<(u16, Vec<u8>)>>,
}

impl Outside {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new((404, Vec::new())));
        let told = Arc::clone(&says);
        let router = Router::new().fallback(move || {
            let (status, body) = told.lock().unwrap().clone();
            let response = Response::builder()
                .status(StatusCode::from_u16(status).unwrap())
                .header(header::LOCATION, "/elsewhere")
                .body(Body::from(body))
                .unwrap();
            std::future::ready(response)
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, says }
    }

    pub(super) fn answer(&self, status: u16, body: Vec<u8>) {
        *self.says.lock().unwrap() = (status, body);
    }
}

const KEYS: &str = r#"{"keys":[{"kty":"OKP","use":"sig","alg":"EdDSA","kid":"a","crv":"Ed25519",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[tokio::test]
async fn it_sees_the_kids_that_are_published() {
    let outside = Outside::start().await;
    let probe = Probe::new(outside.url.clone(), Vec::new()).unwrap();
    outside.answer(200, KEYS.into());
    assert_eq!(probe.look().await.unwrap(), ["a"]);
    outside.answer(200, br#"{"keys":[]}"#.to_vec());
    assert_eq!(probe.look().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn it_sees_nothing_where_a_relying_party_would_see_nothing() {
    let outside = Outside::start().await;
    let probe = Probe::new(outside.url.clone(), Vec::new()).unwrap();
    for status in [301, 302, 307, 404, 500, 503] {
        outside.answer(status, KEYS.into());
        let error = probe.look().await.unwrap_err();
        let expected = format!(
            "{} answered {status}; relying parties need 200 without a redirect",
            outside.url
        );
        assert_eq!(error.to_string(), expected);
    }
    for body in ["", "<html>", "{}", r#"{"keys":{}}"#, "[]"] {
        outside.answer(200, body.into());
        let error = probe.look().await.unwrap_err();
        assert!(
            matches!(error, ProbeError::NoKeySet { .. }),
            "{body}: {error}"
        );
    }
}

#[tokio::test]
async fn it_does_not_swallow_whatever_it_is_given() {
    let outside = Outside::start().await;
    let probe = Probe::new(outside.url.clone(), Vec::new()).unwrap();
    let padded = |length: usize| format!("{KEYS}{}", " ".repeat(length - KEYS.len()));
    outside.answer(200, padded(1 << 20).into());
    assert_eq!(probe.look().await.unwrap(), ["a"]);
    outside.answer(200, padded((1 << 20) + 1).into());
    let error = probe.look().await.unwrap_err();
    assert!(matches!(error, ProbeError::NoKeySet { .. }), "{error}");
}

#[tokio::test]
async fn it_says_why_nobody_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    drop(listener);
    let error = Probe::new(url.clone(), Vec::new())
        .unwrap()
        .look()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("{url} did not answer: ")),
        "{text}"
    );
    assert!(text.to_lowercase().contains("connection refused"), "{text}");
}
