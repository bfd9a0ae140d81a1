//! `POST /oauth/introspect`: a relying party asks whether a token is still worth anything.

use axum::http::{Method, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::foreign::{Key, kubernetes, kubernetes_claims, site_as_client, site_claims};
use crate::harness::{AWS, Answer, TestApp, claims};

async fn ask(app: &TestApp, secret: &str, token: &str) -> Answer {
    let form = [("token", token), ("token_type_hint", "access_token")];
    let call = app.post("/oauth/introspect").bearer(secret).form(&form);
    let answer = call.send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer
}

async fn is_active(app: &TestApp, secret: &str, token: &str) -> bool {
    let answer = ask(app, secret, token).await;
    let active = answer.json["active"].as_bool().unwrap();
    if !active {
        // Nothing else is said (RFC 7662 section 2.2).
        assert_eq!(answer.json, json!({"active": false}));
    }
    active
}

/// A client without any grant: a relying party that wants to ask, and may do nothing else.
async fn relying_party(app: &TestApp) -> String {
    app.client_with("vault", json!([])).await
}

#[tokio::test]
async fn an_active_token_is_told_with_its_claims_until_its_run_is_closed() {
    let app = TestApp::start().await;
    let asker = relying_party(&app).await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let token = app.token(&run).await;
    let answer = ask(&app, &asker, &token).await;
    let mut expected = claims(&token);
    expected["active"] = json!(true);
    assert_eq!(answer.json, expected);

    // Another run's tokens are not concerned.
    let other = app.token(&app.run(&secret, "apply").await).await;
    let close = format!("/v1/runs/{}/close", run.id);
    app.post(&close).bearer(&secret).send().await;
    let replica = app.replica().await;
    for app in [&app, &replica] {
        assert!(!is_active(app, &asker, &token).await);
        assert!(is_active(app, &asker, &other).await);
    }
}

#[tokio::test]
async fn a_token_ends_with_its_life_its_key_and_whoever_it_was_minted_for() {
    let app = TestApp::start().await;
    let asker = relying_party(&app).await;
    let secret = app.client("atlantis").await;
    let mint = json!({"organization": "acme", "project": "p", "workspace": "w",
        "run_phase": "plan", "audiences": [AWS], "ttl": 60});
    let direct = |secret: String| {
        let call = app.post("/v1/tokens").bearer(&secret).json(&mint);
        async move {
            let answer = call.send().await;
            answer.json["tokens"][0]["token"]
                .as_str()
                .unwrap()
                .to_owned()
        }
    };
    // Its life.
    let token = direct(secret.clone()).await;
    assert!(is_active(&app, &asker, &token).await);
    app.pass(59);
    assert!(is_active(&app, &asker, &token).await);
    app.pass(1);
    assert!(!is_active(&app, &asker, &token).await);

    // Its client.
    let second = app.client("buildkite").await;
    let token = direct(second).await;
    assert!(is_active(&app, &asker, &token).await);
    app.admin(Method::DELETE, "/v1/clients/buildkite")
        .send()
        .await;
    assert!(!is_active(&app, &asker, &token).await);

    // Its trusted issuer.
    let key = Key::ec("k");
    app.trust("k8s", &kubernetes(&[&key])).await;
    let exchanged = app
        .exchange(&key.token(&kubernetes_claims("j")), &[AWS])
        .await;
    let token = exchanged.json["access_token"].as_str().unwrap().to_owned();
    assert!(is_active(&app, &asker, &token).await);
    app.admin(Method::DELETE, "/v1/issuers/k8s").send().await;
    assert!(!is_active(&app, &asker, &token).await);

    // Its key: at once, also on a replica that has not noticed yet.
    let replica = app.replica().await;
    let token = direct(secret.clone()).await;
    assert!(is_active(&replica, &asker, &token).await);
    let body = json!({"emergency": true});
    let rotated = app
        .admin(Method::POST, "/v1/keys/rotate")
        .json(&body)
        .send()
        .await;
    assert_eq!(rotated.status, StatusCode::OK, "{rotated:?}");
    assert!(!is_active(&replica, &asker, &token).await);
    assert!(!is_active(&app, &asker, &token).await);
    assert!(is_active(&app, &asker, &direct(secret).await).await);
}

#[tokio::test]
async fn whoever_has_a_name_anew_is_somebody_else() {
    let app = TestApp::start().await;
    let asker = relying_party(&app).await;
    let mint = json!({"organization": "acme", "project": "p", "workspace": "w",
        "run_phase": "plan", "audiences": [AWS], "ttl": 600});
    let secret = app.client("atlantis").await;
    let call = app.post("/v1/tokens").bearer(&secret).json(&mint);
    let minted = call.send().await;
    let of_client = minted.json["tokens"][0]["token"].as_str().unwrap();
    let key = Key::ec("k");
    app.trust("k8s", &kubernetes(&[&key])).await;
    let exchange = async |jti: &str| {
        let token = key.token(&kubernetes_claims(jti));
        let exchanged = app.exchange(&token, &[AWS]).await;
        exchanged.json["access_token"].as_str().unwrap().to_owned()
    };
    let of_issuer = exchange("one").await;
    app.pass(1);
    assert!(is_active(&app, &asker, of_client).await);
    assert!(is_active(&app, &asker, &of_issuer).await);

    for path in ["/v1/clients/atlantis", "/v1/issuers/k8s"] {
        let removed = app.admin(Method::DELETE, path).send().await;
        assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
    }
    app.client("atlantis").await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    assert!(!is_active(&app, &asker, of_client).await);
    assert!(!is_active(&app, &asker, &of_issuer).await);
    assert!(is_active(&app, &asker, &exchange("two").await).await);
}

#[tokio::test]
async fn what_is_no_token_of_ours_is_not_active() {
    let app = TestApp::start().await;
    let asker = relying_party(&app).await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let token = app.token(&run).await;
    let (message, _) = token.rsplit_once('.').unwrap();
    let foreign = Key::ec("k").token(&kubernetes_claims("j"));
    for other in [
        &run.token,
        &secret,
        "x",
        "a.b.c",
        message,
        &format!("{message}."),
        &foreign,
    ] {
        assert!(!is_active(&app, &asker, other).await, "{other}");
    }
}

#[tokio::test]
async fn only_clients_may_ask() {
    let app = TestApp::start().await;
    let asker = relying_party(&app).await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let token = app.token(&run).await;
    let form = [("token", token.as_str())];
    let call = || app.post("/oauth/introspect").form(&form);
    let basic = |name: &str, secret: &str| {
        let credentials = STANDARD.encode(format!("{name}:{secret}"));
        let value = format!("Basic {credentials}");
        call().header(header::AUTHORIZATION.as_str(), &value).send()
    };
    assert_eq!(basic("vault", &asker).await.json["active"], true);
    let cases = [
        call().send().await,
        call().bearer("rmc_0").send().await,
        call().bearer(&run.token).send().await,
        call().bearer(&token).send().await,
        basic("atlantis", &asker).await,
        basic("vault", &run.token).await,
        basic("", "").await,
        call().header("authorization", "Basic %%%").send().await,
    ];
    for answer in cases {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        assert_eq!(answer.json["error"], "invalid_client");
        assert!(
            answer
                .header("www-authenticate")
                .starts_with("Basic realm=")
        );
    }
    // A client by a trusted issuer's token may ask, as often as it likes.
    let (site, key) = (crate::foreign::Site::start().await, Key::ec("k"));
    site.publish(&[&key], "");
    app.trust("ci", &site_as_client(&site)).await;
    let foreign = key.token(&site_claims(&site, "j"));
    assert!(is_active(&app, &foreign, &token).await);
    assert!(is_active(&app, &foreign, &token).await);

    let missing: Vec<(&str, &str)> = Vec::new();
    let answer = app
        .post("/oauth/introspect")
        .bearer(&asker)
        .form(&missing)
        .send()
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["error"]),
        (400, &Value::from("invalid_request"))
    );
}
