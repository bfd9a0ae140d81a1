//! How the keys of a trusted issuer are come by: fetched, cached, asked for again, and what an issuer
//! that is slow, huge, or lies can do about it.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use serde_json::{Value, json};

use crate::foreign::{
    AUDIENCE, Key, Page, Site, kubernetes, kubernetes_claims, site_as_client, site_claims,
};
use crate::harness::{AWS, Answer, START, TestApp, run_body};

#[tokio::test]
async fn keys_are_fetched_once_and_again_for_an_unknown_kid_but_not_at_any_rate() {
    let (site, one, two) = (Site::start().await, Key::ec("one"), Key::ec("two"));
    site.publish(&[&one], "max-age=600");
    let app = TestApp::start().await;
    app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let list = |key: &Key| {
        let token = key.token(&site_claims(&site, "list"));
        let path = "/v1/runs/00000000-0000-7000-8000-000000000000";
        let call = app.get(path).bearer(&token);
        async move { call.send().await.status.as_u16() }
    };
    // 404 is what an authenticated client is told about a run that is not its own.
    let answers = tokio::join!(list(&one), list(&one), list(&one), list(&one));
    assert_eq!(answers, (404, 404, 404, 404));
    assert_eq!(site.asked("/keys"), 1, "four callers, one question");

    // The issuer rotates. It was asked a moment ago, so it is not asked again yet.
    site.publish(&[&one, &two], "max-age=600");
    assert_eq!((list(&two).await, site.asked("/keys")), (401, 1));
    app.pass(29);
    assert_eq!((list(&two).await, site.asked("/keys")), (401, 1));
    app.pass(1);
    let answers = tokio::join!(list(&two), list(&two), list(&two));
    assert_eq!((answers, site.asked("/keys")), ((404, 404, 404), 2));

    // Kids that nobody has: one question in thirty seconds, however many ask.
    for n in 0..50 {
        app.pass(2);
        assert_eq!(list(&Key::ec(&format!("guess-{n}"))).await, 401);
    }
    assert_eq!(site.asked("/keys"), 5, "100 seconds, 3 questions");

    // A key that is withdrawn is forgotten at the next look, which is due after max-age: whoever
    // asks then still gets the old answer, and fetches for those who come later.
    site.publish(&[&two], "max-age=600");
    app.pass(600);
    let before = site.asked("/keys");
    list(&one).await;
    for _ in 0..1_000 {
        if site.asked("/keys") > before && list(&one).await == 401 {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the withdrawn key is still trusted");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_trusted_on_its_last_word_for_an_hour() {
    let (site, key) = (Site::start().await, Key::ec("one"));
    site.publish(&[&key], "max-age=60");
    let app = TestApp::start().await;
    app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let list = || {
        let token = key.token(&site_claims(&site, "list"));
        let path = "/v1/runs/00000000-0000-7000-8000-000000000000";
        let call = app.get(path).bearer(&token);
        async move { call.send().await.status.as_u16() }
    };
    assert_eq!(list().await, 404);
    site.set("/keys", Page::Status(500));
    app.pass(3_659);
    assert_eq!(list().await, 404);
    app.pass(31);
    assert_eq!(
        list().await,
        503,
        "not the caller's fault, so it may come again"
    );
    site.publish(&[&key], "max-age=60");
    app.pass(31);
    assert_eq!(list().await, 404);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn a_lying_issuer_gets_nowhere() {
    let (site, elsewhere, key) = (Site::start().await, Site::start().await, Key::ec("k"));
    elsewhere.publish(&[&key], "");
    let app = TestApp::start().await;
    app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let cluster = Key::ec("k8s");
    app.trust("k8s", &kubernetes(&[&cluster])).await;
    let mut lies = BTreeSet::new();
    let discovery = "/.well-known/openid-configuration";
    let says =
        |issuer: &str, jwks: &str| Page::Json(json!({"issuer": issuer, "jwks_uri": jwks}), "");
    let url = site.url();
    let own_keys = format!("{url}/keys");
    let keys = |keys: Value| Page::Json(json!({"keys": keys}), "");
    let good = keys(json!([key.jwk()]));
    let mut with_alg = key.jwk();
    with_alg["alg"] = json!("HS256");
    let mut for_encryption = key.jwk();
    for_encryption["use"] = json!("enc");
    let small = json!({"kty": "RSA", "kid": "k", "e": "AQAB", "n": "uA".repeat(80)});
    let secret = json!({"kty": "oct", "kid": "k", "k": "c2VjcmV0"});
    for (lie, document, jwks) in [
        (
            "another issuer's document",
            says(&elsewhere.url(), &own_keys),
            good.clone(),
        ),
        (
            "one slash more",
            says(&format!("{url}/"), &own_keys),
            good.clone(),
        ),
        (
            "a redirect to another host",
            Page::To(format!("{}{discovery}", elsewhere.url())),
            good.clone(),
        ),
        (
            "keys that redirect to another host",
            says(&url, &own_keys),
            Page::To(format!("{}/keys", elsewhere.url())),
        ),
        (
            "a redirect in a circle",
            Page::To(format!("{url}{discovery}")),
            good.clone(),
        ),
        ("a file", says(&url, "file:///etc/passwd"), good.clone()),
        ("no URL", says(&url, "keys"), good.clone()),
        ("a NUL", says(&url, &format!("{url}/\0keys")), good.clone()),
        (
            "a URL that is huge",
            says(&url, &format!("{own_keys}/{}", "é".repeat(100_000))),
            good.clone(),
        ),
        ("no keys", says(&url, &own_keys), keys(json!([]))),
        (
            "keys of another type",
            says(&url, &own_keys),
            keys(json!([secret, with_alg, for_encryption, small])),
        ),
        (
            "a huge key set",
            says(&url, &own_keys),
            Page::Raw(vec![b' '; 300_000]),
        ),
        (
            "too many keys",
            says(&url, &own_keys),
            keys(json!(vec![key.jwk(); 201])),
        ),
        (
            "no JSON",
            says(&url, &own_keys),
            Page::Raw(b"<html>".to_vec()),
        ),
        (
            "deep JSON",
            says(&url, &own_keys),
            Page::Raw("[".repeat(100_000).into_bytes()),
        ),
        ("an error", Page::Status(500), good.clone()),
        ("a status that is not 200", Page::Status(204), good.clone()),
    ] {
        site.set(discovery, document);
        site.set("/keys", jwks);
        app.pass(31);
        let token = key.token(&site_claims(&site, lie));
        let call = app.post("/v1/runs").bearer(&token);
        // Another issuer's refusal at the same time.
        let mut stranger = kubernetes_claims(lie);
        stranger["kubernetes.io"]["namespace"] = json!("default");
        let stranger = cluster.token(&stranger);
        let (answer, refused) = tokio::join!(
            call.json(&run_body("plan")).send(),
            app.exchange(&stranger, &[AWS])
        );
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
        lies.insert(lie);
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{lie}: {answer:?}"
        );
        assert!(
            !answer.text.contains(&url),
            "what went wrong is for the log: {answer:?}"
        );
    }
    // Each is on record in a line of its own, and so are those that the other issuer's tokens met.
    let events = app.events("issuer.token_refused").await;
    for lie in lies {
        let jti = format!("jti `{}`", lie.escape_debug());
        let about: Vec<_> = events
            .iter()
            .map(|event| event["reason"].as_str().unwrap())
            .filter(|reason| reason.contains(&jti))
            .collect();
        assert_eq!(about.len(), 2, "{lie}: {about:?}");
        for reason in about {
            assert!(reason.len() <= 2_048, "{lie}: {}", reason.len());
            assert!(!reason.contains(char::is_control), "{lie}: {reason:?}");
        }
    }
    // A redirect within the host is followed.
    site.set(discovery, Page::To(format!("{url}/discovery")));
    site.set("/discovery", says(&url, &own_keys));
    site.set("/keys", good);
    app.pass(31);
    let token = key.token(&site_claims(&site, "good"));
    let answer = app
        .post("/v1/runs")
        .bearer(&token)
        .json(&run_body("plan"))
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
}

#[tokio::test]
async fn a_private_address_is_not_asked_unless_that_is_allowed() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    app.client("atlantis").await;
    let test = |url: &str| {
        let definition = json!({"issuer": url, "audiences": [AUDIENCE],
            "rules": [{"name": "r", "conditions": [{"expression": "true"}], "client": "'atlantis'"}]});
        let token =
            key.token(&json!({"iss": url, "aud": AUDIENCE, "iat": START.0, "exp": START.0 + 60}));
        let body = json!({"definition": definition, "token": token});
        app.admin(Method::POST, "/v1/issuers/test")
            .json(&body)
            .send()
    };
    for url in [
        "https://127.0.0.1:1",
        "https://169.254.169.254",
        "https://[::1]:1",
        "https://10.0.0.1",
        "https://localhost:1",
        "https://[::ffff:127.0.0.1]:1",
    ] {
        let answer = test(url).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let failure = answer.json["checks"][3]["failure"].as_str().unwrap();
        assert!(failure.contains("private_network"), "{url}: {failure}");
    }
}

#[tokio::test]
async fn a_silent_issuer_keeps_only_a_few_waiting() {
    let (site, key) = (Site::start().await, Key::ec("k"));
    site.set("/.well-known/openid-configuration", Page::Silence);
    let app = TestApp::start().await;
    app.client("atlantis").await;
    app.trust("silent", &site_as_client(&site)).await;
    let cluster = Key::ec("k8s");
    app.trust("k8s", &kubernetes(&[&cluster])).await;
    let token = |n: usize| key.token(&site_claims(&site, &n.to_string()));
    let calls = (0..100).map(|n| {
        let call = app.post("/v1/runs").bearer(&token(n));
        call.json(&run_body("plan")).send()
    });
    let mut calls: FuturesUnordered<_> = calls.collect();
    // All but a few are sent away at once, while nothing comes from the issuer.
    for _ in 0..68 {
        let answer = calls.next().await.unwrap();
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    }
    assert!(calls.next().now_or_never().is_none(), "the others wait");
    // The question is on its way.
    while site.asked("/.well-known/openid-configuration") == 0 {
        tokio::task::yield_now().await;
    }
    // Meanwhile other issuers' workloads are served as ever.
    let answer = app
        .exchange(&cluster.token(&kubernetes_claims("j")), &[AWS])
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let rest: Vec<_> = calls.collect().await;
    assert_eq!(rest.len(), 32);
    let away = |answer: &Answer| answer.status == StatusCode::SERVICE_UNAVAILABLE;
    assert!(rest.iter().all(away));
    assert_eq!(site.asked("/.well-known/openid-configuration"), 1);
    // Nobody can be held to them, so the audit log is not theirs to fill.
    assert_eq!(app.events("issuer.token_refused").await.len(), 10);
}

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_spend_the_question() {
    let (site, key) = (Site::start().await, Key::ec("k"));
    site.publish(&[&key], "");
    let app = TestApp::start().await;
    app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let open = |jti: &str| {
        let token = key.token(&site_claims(&site, jti));
        let call = app.post("/v1/runs").bearer(&token);
        call.json(&run_body("plan")).send()
    };
    // Gone as soon as the issuer has been asked.
    let mut impatient = Box::pin(open("gone"));
    while site.asked("/.well-known/openid-configuration") == 0 {
        assert!(impatient.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
    }
    drop(impatient);
    let answer = open("next").await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(site.asked("/.well-known/openid-configuration"), 1);
}

/// As kube-apiserver has it: kept for an hour, and an hour more when it does not answer.
#[tokio::test]
async fn keys_that_are_kept_for_the_longest_time_are_fetched_meanwhile_too() {
    let (site, key) = (Site::start().await, Key::ec("one"));
    site.publish(&[&key], "max-age=3600");
    let app = TestApp::start().await;
    app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let list = || {
        let token = key.token(&site_claims(&site, "list"));
        let path = "/v1/runs/00000000-0000-7000-8000-000000000000";
        let call = app.get(path).bearer(&token);
        async move { call.send().await.status.as_u16() }
    };
    assert_eq!(list().await, 404);
    site.set("/keys", Page::Status(500));
    app.pass(3_600 + 3_599);
    assert_eq!(list().await, 404);
    app.pass(31);
    assert_eq!(list().await, 503);
    // A clock that was set back far distrusts what it seems to have fetched in the future.
    site.publish(&[&key], "");
    app.pass(-3_600);
    assert_eq!(list().await, 404);
}
