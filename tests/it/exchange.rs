//! `POST /oauth/token`, and clients that show a trusted issuer's token.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::foreign::{Key, Site, kubernetes, kubernetes_claims, site_as_client, site_claims};
use crate::harness::{AWS, Answer, TestApp, VAULT, run_body, verify};

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

#[track_caller]
fn assert_oauth(answer: &Answer, status: u16, error: &str, word: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json["error"], error, "{answer:?}");
    let description = answer.json["error_description"].as_str().unwrap();
    assert!(description.contains(word), "{word}: {description}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_service_account_s_token_becomes_a_run_s_tokens() {
    let key = Key::rsa("k8s-1");
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    let token = key.token(&kubernetes_claims("j1"));
    let answer = app.exchange(&token, &[AWS, VAULT]).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json["issued_token_type"], JWT);
    assert_eq!(answer.json["token_type"], "N_A");
    // The rule's grant allows 900 seconds.
    assert_eq!(answer.json["expires_in"], 900);
    let jwks = app.jwks().await;
    let first = answer.json["access_token"].as_str().unwrap();
    let claims = verify(first, &jwks, AWS, app.now()).unwrap();
    let subject = "organization:acme:project:Default Project:workspace:net-1:run_phase:plan";
    assert_eq!(claims["sub"], subject);
    assert_eq!(answer.json["subject"], subject);
    assert_eq!(
        claims["terraform_run_id"],
        "run-3a3a5d4c-2b8e-4f3a-9a0e-000000000002"
    );
    let tokens = answer.json["tokens"].as_array().unwrap();
    assert_eq!(tokens[0]["token"], first);
    let second = tokens[1]["token"].as_str().unwrap();
    verify(second, &jwks, VAULT, app.now()).unwrap();

    let minted = app.events("token.minted").await;
    assert_eq!(minted.len(), 2);
    assert_eq!(minted[0]["actor"], "issuer:k8s");
    let about = minted[0]["reason"].as_str().unwrap();
    for part in [
        "k8s",
        "rule runners",
        "system:serviceaccount:ci:runner-net-1",
        "j1",
    ] {
        assert!(about.contains(part), "{about}");
    }
}

#[tokio::test]
async fn a_life_is_what_was_asked_within_the_grant() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    for (asked, lives) in [("60", 60), ("900", 900), ("86400", 900)] {
        let token = key.token(&kubernetes_claims(asked));
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token_type", JWT),
            ("audience", AWS),
            ("subject_token", &token),
            ("requested_lifetime", asked),
        ];
        let answer = app.post("/oauth/token").form(&form).send().await;
        assert_eq!(answer.json["expires_in"], lives, "{answer:?}");
    }
    for wrong in ["0", "-5", "1h"] {
        let token = key.token(&kubernetes_claims(wrong));
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token_type", JWT),
            ("audience", AWS),
            ("subject_token", &token),
            ("requested_lifetime", wrong),
        ];
        let answer = app.post("/oauth/token").form(&form).send().await;
        assert_oauth(&answer, 400, "invalid_request", "`requested_lifetime`");
        // A mistake in the form costs no token.
        assert_eq!(app.exchange(&token, &[AWS]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn mistakes_in_the_form_are_named_in_the_protocol_s_words() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    let token = key.token(&kubernetes_claims("j"));
    let good = [
        ("grant_type", EXCHANGE),
        ("subject_token_type", JWT),
        ("audience", AWS),
        ("subject_token", token.as_str()),
    ];
    let without = |name: &str| {
        good.iter()
            .copied()
            .filter(|(n, _)| *n != name)
            .collect::<Vec<_>>()
    };
    let and = |name: &'static str, value: &'static str| {
        let mut form = good.to_vec();
        form.push((name, value));
        form
    };
    let instead = |name: &'static str, value: &'static str| {
        let mut form = without(name);
        form.push((name, value));
        form
    };
    for (form, error, word) in [
        (
            without("grant_type"),
            "invalid_request",
            "`grant_type` is missing",
        ),
        (
            without("subject_token"),
            "invalid_request",
            "`subject_token` is missing",
        ),
        (
            without("subject_token_type"),
            "invalid_request",
            "`subject_token_type` is missing",
        ),
        (
            without("audience"),
            "invalid_request",
            "`audience` is missing",
        ),
        (
            instead("subject_token", ""),
            "invalid_request",
            "`subject_token` is missing",
        ),
        (
            instead("grant_type", "client_credentials"),
            "unsupported_grant_type",
            "`grant_type`",
        ),
        (
            instead(
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:saml2",
            ),
            "invalid_request",
            "`subject_token_type`",
        ),
        (
            and("grant_type", EXCHANGE),
            "invalid_request",
            "given twice",
        ),
        (and("subject_token", "x"), "invalid_request", "given twice"),
        (
            and(
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:saml2",
            ),
            "invalid_request",
            "`requested_token_type`",
        ),
        (and("actor_token", "x"), "invalid_request", "`actor_token`"),
        (and("scope", "openid"), "invalid_scope", "scope"),
        (and("resource", "https://x"), "invalid_target", "`resource`"),
        (
            instead("audience", "with space"),
            "invalid_target",
            "`audience`",
        ),
        (
            instead("audience", "gcp.workload.identity"),
            "invalid_target",
            "`audience`",
        ),
        (
            and("audience", "gcp.workload.identity"),
            "invalid_target",
            "`audience`",
        ),
    ] {
        let answer = app.post("/oauth/token").form(&form).send().await;
        assert_oauth(&answer, 400, error, word);
    }
    let json = app.post("/oauth/token").json(&json!({})).send().await;
    assert_oauth(&json, 400, "invalid_request", "Content-Type");
    let get = app.get("/oauth/token").send().await;
    assert_oauth(&get, 405, "invalid_request", "GET");
    let huge = app
        .post("/oauth/token")
        .form(&[("subject_token", &"x".repeat(70_000))])
        .send()
        .await;
    assert_oauth(&huge, 413, "invalid_request", "max_body");
    // Parameters that nobody knows are ignored (RFC 6749 section 3.2), and the token is still good.
    let answer = app
        .post("/oauth/token")
        .form(&and("unknown", "x"))
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn a_mapping_that_goes_astray_ends_at_the_grants() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    let mut claims = kubernetes_claims("j");
    claims["kubernetes.io"]["serviceaccount"]["name"] = json!("runner-prod");
    let answer = app.exchange(&key.token(&claims), &[AWS]).await;
    assert_oauth(&answer, 400, "invalid_request", "not accepted");
    let refused = &app.events("token.refused").await[0];
    assert_eq!(refused["actor"], "issuer:k8s");
    assert_eq!(
        refused["subject"],
        "organization:acme:project:Default Project:workspace:prod:run_phase:plan"
    );
    assert!(
        refused["reason"]
            .as_str()
            .unwrap()
            .contains("workspace `prod`"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_client_may_show_a_foreign_token_in_place_of_a_secret() {
    let (site, key) = (Site::start().await, Key::ec("k"));
    site.publish(&[&key], "max-age=300");
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let token = key.token(&site_claims(&site, "one"));

    let open = |token: &str| {
        app.post("/v1/runs")
            .bearer(token)
            .json(&run_body("plan"))
            .send()
    };
    let opened = open(&token).await;
    assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
    let event = &app.events("run.opened").await[0];
    assert_eq!(event["actor"], "client:atlantis");
    assert!(
        event["reason"].as_str().unwrap().contains("a token of ci"),
        "{event}"
    );

    // It opens one run, and looks at it and closes it for as long as it lives.
    open(&token).await.assert_problem(401, "token-taken", "");
    let refused = &app.events("issuer.token_refused").await[0];
    assert!(
        refused["reason"].as_str().unwrap().contains("taken before"),
        "{refused}"
    );
    let path = format!("/v1/runs/{}", opened.json["id"].as_str().unwrap());
    assert_eq!(
        app.get(&path).bearer(&token).send().await.status,
        StatusCode::OK
    );
    let close = format!("{path}/close");
    assert_eq!(
        app.post(&close).bearer(&token).send().await.status,
        StatusCode::OK
    );

    // The same for minting directly, and the same client as with its secret.
    let mint = json!({"organization": "acme", "project": "p", "workspace": "w", "run_phase": "plan", "audiences": [AWS, VAULT]});
    let token = key.token(&site_claims(&site, "two"));
    let post = |token: &str| app.post("/v1/tokens").bearer(token).json(&mint).send();
    let minted = post(&token).await;
    assert_eq!(minted.status, StatusCode::CREATED, "{minted:?}");
    post(&token).await.assert_problem(401, "token-taken", "");
    open(&token).await.assert_problem(401, "token-taken", "");
    assert_eq!(
        app.get(&path).bearer(&secret).send().await.status,
        StatusCode::OK
    );

    // Grants are the client's, and a name that is none is nobody.
    let mut claims = site_claims(&site, "three");
    claims["sub"] = json!("nobody");
    open(&key.token(&claims))
        .await
        .assert_problem(401, "unauthenticated", "");
    let refused = &app.events("issuer.token_refused").await[0];
    assert!(
        refused["reason"]
            .as_str()
            .unwrap()
            .contains("no client `nobody`"),
        "{refused}"
    );
    let forged = Key::ec("k").token(&site_claims(&site, "four"));
    let answer = open(&forged).await;
    answer.assert_problem(401, "unauthenticated", "");
    assert!(!answer.text.contains("signature"), "{answer:?}");

    // A workload's token is none of a client's.
    let cluster = Key::ec("k8s");
    app.trust("k8s", &kubernetes(&[&cluster])).await;
    open(&cluster.token(&kubernetes_claims("w")))
        .await
        .assert_problem(401, "unauthenticated", "");
}

#[tokio::test]
async fn trust_that_is_withdrawn_ends_at_once_everywhere() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    let replica = app.replica().await;
    let token = |jti: &str| key.token(&kubernetes_claims(jti));
    assert_eq!(
        replica.exchange(&token("1"), &[AWS]).await.status,
        StatusCode::OK
    );

    // A replica that has not noticed yet verifies by the old rules, and its transaction refuses.
    let mut stricter = kubernetes(&[&key]);
    stricter["rules"][0]["grants"][0]["workspace"] = json!("app-*");
    let put = app
        .admin(Method::PUT, "/v1/issuers/k8s")
        .json(&stricter)
        .send()
        .await;
    assert_eq!(put.status, StatusCode::OK, "{put:?}");
    let refused = replica.exchange(&token("2"), &[AWS]).await;
    assert_oauth(&refused, 400, "invalid_request", "not accepted");
    assert!(
        app.events("token.refused").await[0]["reason"]
            .as_str()
            .unwrap()
            .contains("changed")
    );
    assert!(replica.app.federation.refresh().await.unwrap());
    assert!(!replica.app.federation.refresh().await.unwrap());

    let put = app
        .admin(Method::PUT, "/v1/issuers/k8s")
        .json(&kubernetes(&[&key]))
        .send()
        .await;
    assert_eq!(put.status, StatusCode::OK);
    replica.app.federation.refresh().await.unwrap();
    let removed = app.admin(Method::DELETE, "/v1/issuers/k8s").send().await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    for app in [&replica, &app] {
        assert_oauth(
            &app.exchange(&token("3"), &[AWS]).await,
            400,
            "invalid_request",
            "not accepted",
        );
    }
    assert_eq!(app.events("token.minted").await.len(), 1);
}

#[tokio::test]
async fn runs_that_were_opened_on_an_issuer_s_word_end_with_it() {
    let (site, key) = (Site::start().await, Key::ec("k"));
    site.publish(&[&key], "max-age=300");
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let token = |jti: &str| key.token(&site_claims(&site, jti));
    let exchanged = app.exchange(&token("session"), &[]).await;
    let session = exchanged.json["access_token"].as_str().unwrap();
    let by_token = app.run(&token("run"), "plan").await;
    let by_session = app.run(session, "plan").await;
    let by_secret = app.run(&secret, "plan").await;
    let opened = app.events("run.opened").await;
    assert!(opened[0]["reason"].is_null(), "{opened:?}");
    for event in &opened[1..] {
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.contains("a token of ci"), "{reason}");
    }

    // Whoever changes what an issuer is trusted with does not mean the runs that are under way.
    let put = app.admin(Method::PUT, "/v1/issuers/ci");
    let put = put.json(&site_as_client(&site)).send().await;
    assert_eq!(put.status, StatusCode::OK, "{put:?}");
    for run in [&by_token, &by_session, &by_secret] {
        app.token(run).await;
    }

    let removed = app.admin(Method::DELETE, "/v1/issuers/ci").send().await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let removed = app.events("issuer.removed").await;
    let reason = removed[0]["reason"].as_str().unwrap();
    assert!(reason.contains("2 runs"), "{reason}");
    let replica = app.replica().await;
    for app in [&app, &replica] {
        for run in [&by_token, &by_session] {
            app.ask(run, AWS).await.assert_problem(403, "run-ended", "");
        }
        app.token(&by_secret).await;
    }
}

#[tokio::test]
async fn a_client_s_token_is_exchanged_for_a_secret_that_dies_with_it() {
    let (site, key) = (Site::start().await, Key::ec("k"));
    site.publish(&[&key], "max-age=300");
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    app.trust("ci", &site_as_client(&site)).await;
    let token = |jti: &str, lives: i64| {
        let mut claims = site_claims(&site, jti);
        claims["iat"] = json!(app.now().0);
        claims["exp"] = json!(app.now().0 + lives);
        key.token(&claims)
    };
    let exchange = |token: String| async {
        let token = token;
        app.exchange(&token, &[]).await
    };
    let first = token("one", 600);
    let answer = exchange(first.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["expires_in"], 600);
    assert_eq!(answer.json["client"], "atlantis");
    let session = answer.json["access_token"].as_str().unwrap().to_owned();
    let opened = &app.events("client.session_opened").await[0];
    assert_eq!(opened["actor"], "client:atlantis");
    assert!(opened["reason"].as_str().unwrap().contains("a token of ci"));

    // Taken, so it opens nothing more; the secret opens as many runs as it likes.
    let again = exchange(first.clone()).await;
    assert_oauth(&again, 400, "invalid_request", "not accepted");
    let call = app.post("/v1/runs").bearer(&first);
    let replayed = call.json(&run_body("plan")).send().await;
    replayed.assert_problem(401, "token-taken", "");
    for _ in 0..3 {
        app.run(&session, "plan").await;
    }
    // An hour at most, and less if less is asked for; it is shown beside the client's two.
    assert_eq!(
        exchange(token("two", 86_000)).await.json["expires_in"],
        3_600
    );
    let list = app.admin(Method::GET, "/v1/clients/atlantis/secrets");
    let listed = list.send().await;
    let by: Vec<_> = listed
        .json
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["issuer"])
        .collect();
    assert_eq!(by, [&serde_json::Value::Null, &json!("ci"), &json!("ci")]);
    assert_oauth(
        &app.exchange(&token("x", 60), &[AWS]).await,
        400,
        "invalid_target",
        "client",
    );

    let refused = |secret: String| {
        let call = app.post("/v1/runs").bearer(&secret).json(&run_body("plan"));
        async move { call.send().await.status == StatusCode::UNAUTHORIZED }
    };
    app.pass(599);
    assert!(!refused(session.clone()).await);
    app.pass(1);
    assert!(refused(session).await);

    // It ends with the trust in its issuer, changed or removed.
    for change in [Method::PUT, Method::DELETE] {
        let answer = exchange(token(change.as_str(), 600)).await;
        let session = answer.json["access_token"].as_str().unwrap().to_owned();
        assert!(!refused(session.clone()).await);
        let call = app.admin(change, "/v1/issuers/ci");
        let changed = call.json(&site_as_client(&site)).send().await;
        assert!(changed.status.is_success(), "{changed:?}");
        assert!(refused(session).await);
    }
    assert!(!refused(secret).await);
}

#[tokio::test]
async fn a_taken_token_stays_taken_when_its_issuer_is_given_more_time() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    let mut definition = kubernetes(&[&key]);
    definition["max_token_age"] = json!(600);
    app.trust("k8s", &definition).await;
    let mut claims = kubernetes_claims("j");
    claims["exp"] = json!(app.now().0 + 80_000);
    let token = key.token(&claims);
    assert_eq!(app.exchange(&token, &[AWS]).await.status, StatusCode::OK);
    app.pass(2_000);
    app.app
        .store
        .maintain(crate::harness::START, app.now())
        .await
        .unwrap();
    definition["max_token_age"] = json!(86_400);
    let put = app.admin(Method::PUT, "/v1/issuers/k8s").json(&definition);
    assert_eq!(put.send().await.status, StatusCode::OK);
    let again = app.exchange(&token, &[AWS]).await;
    assert_oauth(&again, 400, "invalid_request", "not accepted");
    // The next one is good, also from a file whose last line ends.
    claims["jti"] = json!("j2");
    let next = format!("{}\n", key.token(&claims));
    assert_eq!(app.exchange(&next, &[AWS]).await.status, StatusCode::OK);
}
