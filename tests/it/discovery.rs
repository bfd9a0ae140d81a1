//! The discovery document, and what the world can reach when other things are broken or forged.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{AWS, ISSUER, TestApp, claims, run_body, verify};

const DISCOVERY: &str = "/.well-known/openid-configuration";
const JWKS: &str = "/.well-known/jwks";

#[tokio::test]
async fn the_document_has_hcps_seven_members_and_no_empty_list() {
    let app = TestApp::start().await;
    let answer = app.get(DISCOVERY).send().await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json.as_object().unwrap();
    let mut members: Vec<_> = document.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "claims_supported",
            "id_token_signing_alg_values_supported",
            "issuer",
            "jwks_uri",
            "response_types_supported",
            "scopes_supported",
            "subject_types_supported",
        ]
    );
    for (name, value) in document {
        assert!(
            value.as_array().is_none_or(|list| !list.is_empty()),
            "{name}"
        );
    }
    assert_eq!(document["issuer"], ISSUER);
    assert_eq!(document["jwks_uri"], format!("{ISSUER}{JWKS}"));
    assert_eq!(document["response_types_supported"], json!(["id_token"]));
    assert_eq!(document["subject_types_supported"], json!(["public"]));
    assert_eq!(document["scopes_supported"], json!(["openid"]));
    assert_eq!(
        document["id_token_signing_alg_values_supported"],
        json!(["ES256"])
    );
}

#[tokio::test]
async fn every_claim_of_a_workspace_token_is_announced() {
    let app = TestApp::start().await;
    let announced = app.get(DISCOVERY).send().await.json["claims_supported"].clone();
    let secret = app.client("atlantis").await;
    let token = app.token(&app.run(&secret, "plan").await).await;
    let claims = verify(&token, &app.jwks().await, AWS, app.now()).unwrap();
    for claim in claims.as_object().unwrap().keys() {
        assert!(
            announced.as_array().unwrap().contains(&json!(claim)),
            "{claim}"
        );
    }
}

#[tokio::test]
async fn who_has_the_document_already_is_told_so() {
    let app = TestApp::start().await;
    let fresh = app.get(DISCOVERY).send().await;
    let etag = fresh.header("etag");
    let answer = app
        .get(DISCOVERY)
        .header("if-none-match", etag)
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::NOT_MODIFIED);
    assert_eq!(
        fresh.header("cache-control"),
        "public, max-age=300, must-revalidate"
    );
    let head = app.public(Method::HEAD, DISCOVERY).send().await;
    assert_eq!((head.status, head.header("etag")), (StatusCode::OK, etag));
    let with_origin = app
        .get(DISCOVERY)
        .header("origin", "https://a.example")
        .send()
        .await;
    assert_eq!(with_origin.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn no_header_of_a_request_changes_what_the_issuer_says() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let plain = app.get(DISCOVERY).send().await;
    for (name, value) in [
        ("host", "evil.example.com"),
        ("x-forwarded-host", "evil.example.com"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-host", "evil.example.com"),
        ("forwarded", "host=evil.example.com;proto=http"),
    ] {
        let forged = app.get(DISCOVERY).header(name, value).send().await;
        assert_eq!(forged.text, plain.text, "{name}");
        let opened = app
            .post("/v1/runs")
            .header(name, value)
            .bearer(&secret)
            .json(&run_body("plan"))
            .send()
            .await;
        let url = opened.json["request_url"].as_str().unwrap();
        assert!(
            url.starts_with(&format!("{ISSUER}/v1/token?run=")),
            "{name}: {url}"
        );
    }
}

#[tokio::test]
async fn an_issuer_with_a_path_has_all_public_routes_under_it_and_none_outside() {
    const WITH_PATH: &str = "https://ci.example.com/Team-A/oidc";
    const PATH: &str = "/Team-A/oidc";
    let app = TestApp::with(&[("ISSUER__URL", WITH_PATH)]).await;
    let secret = app.client("atlantis").await;

    let document = app.get(&format!("{PATH}{DISCOVERY}")).send().await.json;
    assert_eq!(document["issuer"], WITH_PATH);
    assert_eq!(document["jwks_uri"], format!("{WITH_PATH}{JWKS}"));
    assert_eq!(
        app.get(&format!("{PATH}{JWKS}")).send().await.status,
        StatusCode::OK
    );

    let opened = app
        .post(&format!("{PATH}/v1/runs"))
        .bearer(&secret)
        .json(&run_body("plan"))
        .send()
        .await;
    assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
    let url = opened.json["request_url"].as_str().unwrap();
    let path = url.strip_prefix("https://ci.example.com").unwrap();
    let token = app
        .get(&format!("{path}&audience={AWS}"))
        .bearer(opened.json["request_token"].as_str().unwrap())
        .send()
        .await;
    let claims = claims(token.json["value"].as_str().unwrap());
    assert_eq!(claims["iss"], WITH_PATH);

    let description = app.get(&format!("{PATH}/openapi.json")).send().await.json;
    for route in description["paths"].as_object().unwrap().keys() {
        if !["/healthz", "/readyz"].contains(&route.as_str()) {
            app.get(route)
                .send()
                .await
                .assert_problem(404, "not-found", "");
        }
    }
    app.get("/openapi.json")
        .send()
        .await
        .assert_problem(404, "not-found", "");
    for health in [
        "/healthz",
        "/readyz",
        "/Team-A/oidc/healthz",
        "/Team-A/oidc/readyz",
    ] {
        assert_eq!(
            app.get(health).send().await.status,
            StatusCode::OK,
            "{health}"
        );
    }
}

#[tokio::test]
async fn documents_answer_and_minting_says_come_back_while_the_database_is_down() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let (discovery, jwks) = (app.get(DISCOVERY).send().await, app.get(JWKS).send().await);
    assert_eq!(app.get("/readyz").send().await.json["status"], "ready");

    app.app.store.close().await;
    // What the replica has heard from the database counts for a second.
    app.pass(2);

    assert_eq!(app.get(DISCOVERY).send().await.text, discovery.text);
    assert_eq!(app.get(JWKS).send().await.text, jwks.text);
    assert_eq!(app.get("/healthz").send().await.status, StatusCode::OK);
    let ready = app.get("/readyz").send().await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        ready.json["problems"],
        json!(["the database does not answer"])
    );
    for refused in [
        app.ask(&run, AWS).await,
        app.post("/v1/runs")
            .bearer(&secret)
            .json(&run_body("plan"))
            .send()
            .await,
        app.post("/v1/tokens")
            .bearer(&secret)
            .json(&run_body("plan"))
            .send()
            .await,
        app.get(&format!("/v1/runs/{}", run.id))
            .bearer(&secret)
            .send()
            .await,
        app.admin(Method::GET, "/v1/clients").send().await,
    ] {
        refused.assert_problem(503, "unavailable", "");
        assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
        assert!(
            !refused.text.contains("pool"),
            "the database's words stay inside: {refused:?}"
        );
    }
}
