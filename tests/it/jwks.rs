//! The key set, as a relying party fetches it.

use axum::http::{Method, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::harness::{START, TestApp};

const JWKS: &str = "/.well-known/jwks";

async fn the_key(algorithm: &str) -> Value {
    let app = TestApp::with(&[("KEYS__ALGORITHM", algorithm)]).await;
    let answer = app.get(JWKS).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let members: Vec<_> = answer.json.as_object().unwrap().keys().collect();
    assert_eq!(members, ["keys"]);
    let keys = answer.json["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["alg"], algorithm);
    assert_eq!(keys[0]["use"], "sig");
    assert_eq!(bytes(&keys[0]["kid"]).len(), 32, "a SHA-256 thumbprint");
    keys[0].clone()
}

fn members(key: &Value) -> Vec<&str> {
    let mut members: Vec<_> = key
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    members
}

fn bytes(member: &Value) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(member.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn an_rsa_key_has_only_the_members_it_needs_and_no_leading_zero() {
    let key = the_key("RS256").await;
    assert_eq!(members(&key), ["alg", "e", "kid", "kty", "n", "use"]);
    assert_eq!(key["kty"], "RSA");
    assert_eq!(key["e"], "AQAB");
    let modulus = bytes(&key["n"]);
    assert_eq!(modulus.len(), 256);
    assert!(
        modulus[0] >= 0x80,
        "2048 bits, and no zero in front of them"
    );
}

#[tokio::test]
async fn an_elliptic_key_has_only_the_members_it_needs_at_full_width() {
    let key = the_key("ES256").await;
    assert_eq!(members(&key), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!((&key["kty"], &key["crv"]), (&"EC".into(), &"P-256".into()));
    assert_eq!(bytes(&key["x"]).len(), 32);
    assert_eq!(bytes(&key["y"]).len(), 32);
}

#[tokio::test]
async fn an_edwards_key_has_only_the_members_it_needs() {
    let key = the_key("EdDSA").await;
    assert_eq!(members(&key), ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!(
        (&key["kty"], &key["crv"]),
        (&"OKP".into(), &"Ed25519".into())
    );
    assert_eq!(bytes(&key["x"]).len(), 32);
}

#[tokio::test]
async fn the_kid_is_the_thumbprint_of_rfc_7638() {
    let key = the_key("ES256").await;
    let text = |member: &str| key[member].as_str().unwrap();
    let canonical = format!(
        r#"{{"crv":"{}","kty":"{}","x":"{}","y":"{}"}}"#,
        text("crv"),
        text("kty"),
        text("x"),
        text("y")
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
    assert_eq!(text("kid"), URL_SAFE_NO_PAD.encode(digest));
}

#[tokio::test]
async fn who_has_the_key_set_already_is_told_so() {
    let app = TestApp::start().await;
    let fresh = app.get(JWKS).send().await;
    let etag = fresh.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
    for known in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"other\", {etag}"),
        format!("\"other\" ,W/{etag},\"more\""),
        "*".to_owned(),
    ] {
        let answer = app.get(JWKS).header("if-none-match", &known).send().await;
        assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(answer.text, "");
        assert_eq!(answer.header("etag"), etag);
        assert_eq!(
            answer.header("cache-control"),
            fresh.header("cache-control")
        );
    }
    for unknown in ["\"other\"", "other", "", etag.trim_matches('"')] {
        let answer = app.get(JWKS).header("if-none-match", unknown).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{unknown}");
        assert_eq!(answer.text, fresh.text);
    }
}

#[tokio::test]
async fn the_etag_changes_with_the_keys_and_only_with_them() {
    let app = TestApp::start().await;
    let etag = || async { app.get(JWKS).send().await.header("etag").to_owned() };
    let before = etag().await;
    app.pass(3_600);
    app.turn().await;
    assert_eq!(etag().await, before);
    app.admin(Method::POST, "/v1/keys/rotate")
        .json(&serde_json::json!({"emergency": true}))
        .send()
        .await;
    assert_ne!(etag().await, before);
    let answer = app.get(JWKS).header("if-none-match", &before).send().await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn head_answers_what_get_answers_without_the_body() {
    let app = TestApp::start().await;
    let get = app.get(JWKS).send().await;
    let head = app.public(Method::HEAD, JWKS).send().await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.text, "");
    for header in ["etag", "cache-control", "content-type", "content-length"] {
        assert_eq!(head.header(header), get.header(header), "{header}");
    }
    assert_eq!(get.header("content-length"), get.text.len().to_string());
}

#[tokio::test]
async fn a_browser_may_read_it_from_anywhere() {
    let app = TestApp::start().await;
    let answer = app
        .get(JWKS)
        .header("origin", "https://console.example.com")
        .send()
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let preflight = app
        .public(Method::OPTIONS, JWKS)
        .header("origin", "https://console.example.com")
        .header("access-control-request-method", "GET")
        .send()
        .await;
    assert_eq!(preflight.status, StatusCode::OK);
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert!(
        preflight
            .header("access-control-allow-methods")
            .contains("GET")
    );
}

#[tokio::test]
async fn a_browser_may_not_ask_for_tokens() {
    let app = TestApp::start().await;
    let preflight = app
        .public(Method::OPTIONS, "/v1/tokens")
        .header("origin", "https://evil.example.com")
        .header("access-control-request-method", "POST")
        .send()
        .await;
    assert_eq!(preflight.header("access-control-allow-origin"), "");
    assert_eq!(preflight.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn caches_keep_it_for_the_setting_and_never_past_the_next_change() {
    let app = TestApp::start().await;
    let max_age = || async {
        let answer = app.get(JWKS).send().await;
        let text = answer.header("cache-control").to_owned();
        let seconds = text.strip_prefix("public, max-age=").unwrap();
        seconds.split(',').next().unwrap().parse::<i64>().unwrap()
    };
    assert_eq!(max_age().await, 300);
    let next = runmint::keys::plan::next_publication(
        &app.app.keyring.current().keys,
        &app.app.policy,
        START,
    );
    let until_next = next.unwrap().seconds_since(START);
    app.pass(until_next - 60);
    assert_eq!(max_age().await, 60);
    app.pass(59);
    assert_eq!(max_age().await, 1);
}
