//! A client mints directly; what a token looks like, how long it lives, and whose secret counts.

use axum::http::{Method, StatusCode};
use futures_util::FutureExt;
use runmint::auth::secret::{Kind, Secret};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{
    ADMIN_TOKEN, AWS, Answer, ISSUER, TestApp, VAULT, claims, decode, run_body, verify,
};

async fn mint(app: &TestApp, secret: &str, body: &Value) -> Answer {
    let answer = app
        .post("/v1/tokens")
        .bearer(secret)
        .json(body)
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    answer
}

/// The claims of the only token.
async fn minted(app: &TestApp, secret: &str, body: &Value) -> Value {
    let answer = mint(app, secret, body).await;
    claims(answer.json["tokens"][0]["token"].as_str().unwrap())
}

/// How long a token lives when `ttl` is asked for.
async fn life(app: &TestApp, secret: &str, mut body: Value, ttl: Option<i64>) -> i64 {
    body["ttl"] = json!(ttl);
    let claims = minted(app, secret, &body).await;
    claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
}

#[tokio::test]
async fn a_token_is_byte_for_byte_in_the_shape_of_hcp_terraform() {
    let app = TestApp::with(&[("KEYS__ALGORITHM", "RS256")]).await;
    let secret = app.client("atlantis").await;
    let mut body = run_body("apply");
    body["run_id"] = json!("run-CKuwsxMGgMd3W7Ui");
    body["ttl"] = json!(300);
    let answer = mint(&app, &secret, &body).await;
    let token = answer.json["tokens"][0]["token"].as_str().unwrap();
    let jti = answer.json["tokens"][0]["jti"].as_str().unwrap();
    assert_eq!(Uuid::parse_str(jti).unwrap().to_string(), jti);
    let (header, payload) = decode(token);
    let kid = &app.kids().await[0];
    assert_eq!(
        header,
        format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{kid}"}}"#)
    );
    let iat = app.now().0;
    let scope = "organization:acme:project:Default Project:workspace:net-1";
    assert_eq!(
        payload,
        format!(
            concat!(
                r#"{{"jti":"{jti}","iss":"{issuer}","aud":"aws.workload.identity","#,
                r#""iat":{iat},"nbf":{nbf},"exp":{exp},"sub":"{scope}:run_phase:apply","#,
                r#""terraform_organization_id":"org-XYokEkhmWpUm4bJz","#,
                r#""terraform_organization_name":"acme","#,
                r#""terraform_project_id":"prj-6GjXMHMpLXzzfBrr","#,
                r#""terraform_project_name":"Default Project","#,
                r#""terraform_workspace_id":"{workspace_id}","#,
                r#""terraform_workspace_name":"net-1","#,
                r#""terraform_full_workspace":"{scope}","#,
                r#""terraform_run_id":"run-CKuwsxMGgMd3W7Ui","terraform_run_phase":"apply"}}"#,
            ),
            jti = jti,
            issuer = ISSUER,
            iat = iat,
            nbf = iat - 5,
            exp = iat + 300,
            scope = scope,
            workspace_id = claims(token)["terraform_workspace_id"].as_str().unwrap(),
        )
    );
    verify(token, &app.jwks().await, AWS, app.now()).unwrap();
}

#[tokio::test]
async fn every_algorithm_names_itself_and_verifies() {
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let app = TestApp::with(&[("KEYS__ALGORITHM", algorithm)]).await;
        let secret = app.client("atlantis").await;
        let answer = mint(&app, &secret, &run_body("plan")).await;
        let token = answer.json["tokens"][0]["token"].as_str().unwrap();
        let kid = &app.kids().await[0];
        let header = format!(r#"{{"typ":"JWT","alg":"{algorithm}","kid":"{kid}"}}"#);
        assert_eq!(decode(token).0, header);
        verify(token, &app.jwks().await, AWS, app.now()).unwrap();
    }
}

#[tokio::test]
async fn the_other_forms_have_their_own_claims() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let names = |claims: &Value| -> Vec<String> {
        let names = claims.as_object().unwrap().keys();
        let mut names: Vec<_> = names.filter_map(|n| n.strip_prefix("terraform_")).collect();
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect()
    };
    let legacy = json!({"subject_form": "legacy", "organization": "acme", "workspace": "net",
        "run_phase": "apply", "audiences": [AWS]});
    let claims = minted(&app, &secret, &legacy).await;
    assert_eq!(
        names(&claims),
        [
            "full_workspace",
            "organization_id",
            "organization_name",
            "run_id",
            "run_phase",
            "workspace_id",
            "workspace_name"
        ]
    );
    assert_eq!(
        claims["terraform_full_workspace"],
        "organization:acme:workspace:net"
    );

    let module_test = json!({"subject_form": "module_test", "organization": "acme",
        "module": "vpc", "audiences": [AWS]});
    let claims = minted(&app, &secret, &module_test).await;
    assert_eq!(
        names(&claims),
        [
            "organization_id",
            "organization_name",
            "run_id",
            "run_phase"
        ]
    );
    assert_eq!(claims["terraform_run_phase"], "plan");
    assert!(
        claims["terraform_run_id"]
            .as_str()
            .unwrap()
            .starts_with("trun-")
    );
    assert_eq!(claims["nbf"], app.now().0 - 30);

    let stack = json!({"subject_form": "stack", "organization": "acme", "project": "Infra",
        "stack": "net", "deployment": "eu", "run_phase": "apply", "stack_id": "st-1",
        "audiences": [AWS]});
    let claims = minted(&app, &secret, &stack).await;
    assert_eq!(
        names(&claims),
        [
            "operation",
            "organization_id",
            "organization_name",
            "plan_id",
            "project_id",
            "project_name",
            "stack_deployment_name",
            "stack_id",
            "stack_name"
        ]
    );
    assert_eq!(claims["terraform_stack_id"], "st-1");
    assert_eq!(claims["terraform_operation"], "apply");
}

#[tokio::test]
async fn several_audiences_get_a_token_each_in_their_order() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let mut body = run_body("plan");
    body["audiences"] = json!([VAULT, AWS, VAULT]);
    let answer = mint(&app, &secret, &body).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let tokens = answer.json["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 2, "what is named twice counts once");
    assert_ne!(tokens[0]["jti"], tokens[1]["jti"]);
    for (token, audience) in tokens.iter().zip([VAULT, AWS]) {
        assert_eq!(token["audience"], audience);
        let jws = token["token"].as_str().unwrap();
        let claims = verify(jws, &app.jwks().await, audience, app.now()).unwrap();
        assert_eq!(claims["aud"], audience, "a plain string");
        assert_eq!(claims["jti"], token["jti"]);
        assert_eq!(claims["exp"], token["expires_at"]);
        assert_eq!(claims["sub"], answer.json["subject"]);
    }
}

#[tokio::test]
async fn all_audiences_are_granted_or_no_token_is_minted() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let mut body = run_body("plan");
    body["audiences"] = json!([AWS, "other"]);
    let answer = app
        .post("/v1/tokens")
        .bearer(&secret)
        .json(&body)
        .send()
        .await;
    answer.assert_problem(403, "not-granted", "audiences");
    assert!(app.events("token.minted").await.is_empty());
}

#[tokio::test]
async fn a_life_is_what_was_asked_for_within_the_limit_of_the_phase() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let (plan, apply) = (run_body("plan"), run_body("apply"));
    assert_eq!(life(&app, &secret, plan.clone(), None).await, 3_600);
    assert_eq!(life(&app, &secret, plan.clone(), Some(1)).await, 1);
    assert_eq!(life(&app, &secret, plan, Some(i64::MAX)).await, 7_200);
    assert_eq!(life(&app, &secret, apply, Some(i64::MAX)).await, 86_400);
    let module_test = json!({"subject_form": "module_test", "organization": "acme",
        "module": "vpc", "audiences": [AWS]});
    for (asked, seconds) in [(None, 600), (Some(1), 300), (Some(9_999), 1_800)] {
        assert_eq!(
            life(&app, &secret, module_test.clone(), asked).await,
            seconds
        );
    }
}

#[tokio::test]
async fn a_life_is_shortened_by_settings_and_by_the_grant_of_each_audience() {
    let overrides = [("TOKENS__PLAN_TTL", "30m"), ("TOKENS__DEFAULT_TTL", "2h")];
    let app = TestApp::with(&overrides).await;
    let grants = json!([
        {"organization": "acme", "audiences": [AWS], "max_ttl": 60},
        {"organization": "acme", "workspace": "net-*", "audiences": [AWS], "max_ttl": 120},
        {"organization": "acme", "workspace": "app-*", "audiences": [AWS], "max_ttl": 900},
        {"organization": "acme", "audiences": [VAULT]},
    ]);
    let secret = app.client_with("short", grants).await;
    let of = |audience: &str| {
        let mut body = run_body("plan");
        body["audiences"] = json!([audience]);
        body
    };
    assert_eq!(life(&app, &secret, of(VAULT), None).await, 1_800);
    assert_eq!(life(&app, &secret, of(AWS), None).await, 120);
    assert_eq!(life(&app, &secret, of(AWS), Some(30)).await, 30);
    let run = app.run(&secret, "plan").await;
    for (audience, seconds) in [(AWS, 120), (VAULT, 1_800)] {
        let token = app.ask(&run, audience).await.json["value"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(claims(&token)["exp"], app.now().0 + seconds, "{audience}");
    }
}

#[tokio::test]
async fn session_tags_are_there_for_the_client_that_chose_them() {
    let app = TestApp::start().await;
    let plain = app.client("plain").await;
    let body = json!({"name": "tagged", "aws_session_tags": true,
        "grants": [{"organization": "acme", "audiences": [AWS, VAULT]}]});
    let added = app
        .admin(Method::POST, "/v1/clients")
        .json(&body)
        .send()
        .await;
    let tagged = added.json["secret"].as_str().unwrap();
    let tags = |claims: Value| claims.get("https://aws.amazon.com/tags").cloned();
    let expected = json!({"principal_tags": {
        "terraform_organization_name": ["acme"],
        "terraform_project_name": ["Default Project"],
        "terraform_workspace_name": ["net-1"],
        "terraform_run_phase": ["plan"],
    }});
    assert_eq!(tags(minted(&app, &plain, &run_body("plan")).await), None);
    assert_eq!(
        tags(minted(&app, tagged, &run_body("plan")).await),
        Some(expected.clone())
    );
    let of_run = |secret: String| {
        let app = &app;
        async move { claims(&app.token(&app.run(&secret, "plan").await).await) }
    };
    assert_eq!(tags(of_run(plain).await), None);
    assert_eq!(tags(of_run(tagged.to_owned()).await), Some(expected));
}

/// A replica remembers a client that mints, and what has become of it since counts all the same.
#[tokio::test]
async fn what_changes_about_a_client_counts_at_once_on_every_replica() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let secret = app.client("atlantis").await;
    let change = async |audiences: &[&str], aws_session_tags: bool| {
        let body = json!({"aws_session_tags": aws_session_tags,
            "grants": [{"organization": "acme", "audiences": audiences}]});
        let path = "/v1/clients/atlantis";
        let changed = app.admin(Method::PUT, path).json(&body).send().await;
        assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    };
    let ask = async |audience: &str| {
        let mut body = run_body("plan");
        body["audiences"] = json!([audience]);
        let call = other.post("/v1/tokens").bearer(&secret);
        call.json(&body).send().await
    };
    assert_eq!(ask(AWS).await.status, StatusCode::CREATED);

    change(&[VAULT], false).await;
    ask(AWS)
        .await
        .assert_problem(403, "not-granted", "audiences");
    assert_eq!(ask(VAULT).await.status, StatusCode::CREATED);
    change(&[AWS, VAULT], true).await;
    let claims = minted(&other, &secret, &run_body("plan")).await;
    assert!(claims.get("https://aws.amazon.com/tags").is_some());
    change(&[AWS, VAULT], false).await;
    let claims = minted(&other, &secret, &run_body("plan")).await;
    assert_eq!(claims.get("https://aws.amazon.com/tags"), None);
    // Each was refused or granted once, as it was then.
    let refusals = app.events("token.refused").await;
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(app.events("token.minted").await.len(), 6);
    let metrics = other.admin(Method::GET, "/metrics").send().await.text;
    for line in [
        r#"runmint_tokens_total{algorithm="ES256",result="minted"} 6"#,
        r#"runmint_tokens_total{algorithm="none",result="refused"} 1"#,
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}\n{metrics}");
    }

    let removed = app.admin(Method::DELETE, "/v1/clients/atlantis").send();
    assert_eq!(removed.await.status, StatusCode::NO_CONTENT);
    app.client("atlantis").await;
    ask(AWS).await.assert_problem(401, "unauthenticated", "");
}

/// What a replica remembers of a client is checked when its token would be recorded, and then remembered no
/// more.
#[tokio::test]
async fn a_secret_that_was_removed_elsewhere_costs_one_signature_more_and_no_token() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let secret = app.client("atlantis").await;
    mint(&other, &secret, &run_body("plan")).await;
    assert_eq!(other.mint_attempts().await, 1);
    let removed = app.admin(Method::DELETE, "/v1/clients/atlantis").send();
    assert_eq!(removed.await.status, StatusCode::NO_CONTENT);
    for _ in 0..3 {
        let call = other.post("/v1/tokens").bearer(&secret);
        let refused = call.json(&run_body("plan")).send().await;
        refused.assert_problem(401, "unauthenticated", "");
        assert_eq!(other.mint_attempts().await, 2);
    }
    assert_eq!(app.events("token.minted").await.len(), 2);
}

/// Nor for whoever never waits for the refusal.
#[tokio::test]
async fn whoever_goes_away_is_remembered_no_more() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let secret = app.client("atlantis").await;
    mint(&other, &secret, &run_body("plan")).await;
    let removed = app.admin(Method::DELETE, "/v1/clients/atlantis").send();
    assert_eq!(removed.await.status, StatusCode::NO_CONTENT);
    let ask = || {
        let call = other.post("/v1/tokens").bearer(&secret);
        call.json(&run_body("plan")).send()
    };
    // Until its tokens wait to be recorded.
    assert!(ask().now_or_never().is_none());
    ask().await.assert_problem(401, "unauthenticated", "");
    // That of the beginning.
    assert_eq!(other.mint_attempts().await, 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_said_and_the_secret_is_not_repeated() {
    let app = TestApp::start().await;
    let client = app.client("atlantis").await;
    let run = app.run(&client, "plan").await;
    let slip = |secret: &str| {
        let (start, last) = secret.split_at(secret.len() - 1);
        format!("{start}{}", if last == "0" { "1" } else { "0" })
    };
    let unknown = |kind| Secret::generate(kind).unwrap().expose().to_owned();
    let cases = [
        ("/v1/tokens", run.token.clone(), "starts with `rmc_`"),
        ("/v1/tokens", ADMIN_TOKEN.to_owned(), "starts with `rmc_`"),
        ("/v1/tokens", slip(&client), "checksum"),
        ("/v1/tokens", client[..60].to_owned(), "not complete"),
        ("/v1/tokens", format!("{client}0"), "not complete"),
        ("/v1/tokens", client.to_uppercase(), "starts with `rmc_`"),
        ("/v1/tokens", unknown(Kind::Client), "not known"),
        ("/v1/token", client.clone(), "starts with `rmr_`"),
        ("/v1/token", slip(&run.token), "checksum"),
        ("/v1/token", run.token[..60].to_owned(), "not complete"),
        ("/v1/token", unknown(Kind::Run), "not known"),
    ];
    for (path, secret, said) in cases {
        let answer = app
            .post(path)
            .bearer(&secret)
            .json(&run_body("plan"))
            .send()
            .await;
        answer.assert_problem(401, "unauthenticated", "");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(
            answer.json["detail"].as_str().unwrap().contains(said),
            "{said}: {answer:?}"
        );
        assert!(!answer.text.contains(&secret[4..]), "{answer:?}");
    }
    for wrong in ["", "Bearer", "Bearer ", &format!("Basic {client}"), &client] {
        let answer = app
            .post("/v1/tokens")
            .header("authorization", wrong)
            .send()
            .await;
        answer.assert_problem(401, "unauthenticated", "");
    }
    app.post("/v1/tokens")
        .send()
        .await
        .assert_problem(401, "unauthenticated", "");
}
