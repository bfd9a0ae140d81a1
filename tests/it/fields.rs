//! What a run or a token is asked for with: each field right and wrong, for both ways to ask.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::harness::{AWS, Answer, TestApp, VAULT, claims, run_body};

/// The body of a run with one field set, or left out.
fn with(field: &str, value: impl Into<Option<Value>>) -> Value {
    let mut body = run_body("plan");
    match value.into() {
        Some(value) => body[field] = value,
        None => drop(body.as_object_mut().unwrap().remove(field)),
    }
    body
}

async fn open(app: &TestApp, secret: &str, body: &Value) -> Answer {
    app.post("/v1/runs").bearer(secret).json(body).send().await
}

async fn mint(app: &TestApp, secret: &str, body: &Value) -> Answer {
    app.post("/v1/tokens")
        .bearer(secret)
        .json(body)
        .send()
        .await
}

#[tokio::test]
async fn every_wrong_field_is_refused_by_its_name() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let cases = [
        ("organization", None, "organization"),
        ("organization", Some(json!(5)), "organization"),
        ("organization", Some(json!(null)), "organization"),
        ("organization", Some(json!("")), "organization"),
        ("organization", Some(json!("a:b")), "organization"),
        ("organization", Some(json!("a*")), "organization"),
        ("organization", Some(json!("a b")), "organization"),
        ("organization", Some(json!("a\u{0}b")), "organization"),
        ("project", None, "project"),
        ("project", Some(json!(["p"])), "project"),
        ("project", Some(json!("p:q")), "project"),
        ("project", Some(json!("*")), "project"),
        ("project", Some(json!(" p")), "project"),
        ("project", Some(json!("p ")), "project"),
        ("workspace", None, "workspace"),
        ("workspace", Some(json!("net:run_phase:apply")), "workspace"),
        ("workspace", Some(json!("net-*")), "workspace"),
        ("workspace", Some(json!("net?")), "workspace"),
        ("workspace", Some(json!("a/b")), "workspace"),
        ("workspace", Some(json!("ä")), "workspace"),
        ("workspace", Some(json!("w".repeat(91))), "workspace"),
        ("run_phase", None, "run_phase"),
        ("run_phase", Some(json!("destroy")), "run_phase"),
        ("run_phase", Some(json!("Plan")), "run_phase"),
        ("run_phase", Some(json!("")), "run_phase"),
        ("audiences", None, "audiences"),
        ("audiences", Some(json!([])), "audiences"),
        ("audiences", Some(json!(AWS)), "audiences"),
        ("audiences", Some(json!(vec![AWS; 65])), "audiences"),
        ("audiences", Some(json!([AWS, 7])), "audiences[1]"),
        ("audiences", Some(json!([""])), "audiences[0]"),
        ("audiences", Some(json!([AWS, "*"])), "audiences[1]"),
        ("audiences", Some(json!(["a b"])), "audiences[0]"),
        ("audiences", Some(json!(["a".repeat(256)])), "audiences[0]"),
        ("subject_form", Some(json!("hcp")), "subject_form"),
        ("stack", Some(json!("s")), "stack"),
        ("deployment", Some(json!("d")), "deployment"),
        ("module", Some(json!("m")), "module"),
        ("stack_id", Some(json!("st-1")), "stack_id"),
        ("organization_id", Some(json!("org:1")), "organization_id"),
        ("project_id", Some(json!("")), "project_id"),
        ("workspace_id", Some(json!("ws-*")), "workspace_id"),
        ("run_id", Some(json!("r".repeat(55))), "run_id"),
        ("run_id", Some(json!(17)), "run_id"),
        ("workspaces", Some(json!("net")), "workspaces"),
    ];
    for (field, value, named) in cases {
        let body = with(field, value);
        for answer in [
            open(&app, &secret, &body).await,
            mint(&app, &secret, &body).await,
        ] {
            answer.assert_problem(422, "invalid-field", named);
        }
    }
    for value in [json!(0), json!(-1), json!(604_801), json!("1h"), json!(1.5)] {
        let answer = open(&app, &secret, &with("expires_in", value)).await;
        answer.assert_problem(422, "invalid-field", "expires_in");
    }
    for value in [json!(0), json!(-5), json!("1h"), json!(1.5)] {
        let answer = mint(&app, &secret, &with("ttl", value)).await;
        answer.assert_problem(422, "invalid-field", "ttl");
    }
    let answer = open(&app, &secret, &with("ttl", json!(60))).await;
    answer.assert_problem(422, "invalid-field", "ttl");
    let answer = mint(&app, &secret, &with("expires_in", json!(60))).await;
    answer.assert_problem(422, "invalid-field", "expires_in");
    assert!(app.events("run.opened").await.is_empty());
    assert!(app.events("token.minted").await.is_empty());
}

#[tokio::test]
async fn each_form_takes_its_own_fields_and_no_others() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let legacy = json!({"subject_form": "legacy", "organization": "acme", "workspace": "net",
        "run_phase": "apply", "audiences": [AWS]});
    let module_test = json!({"subject_form": "module_test", "organization": "acme",
        "module": "vpc", "audiences": [AWS]});
    let stack = json!({"subject_form": "stack", "organization": "acme", "project": "Infra",
        "stack": "net", "deployment": "eu", "run_phase": "plan", "audiences": [AWS]});
    for (body, subject) in [
        (&legacy, "organization:acme:workspace:net:run_phase:apply"),
        (
            &module_test,
            "organization:acme:module:vpc:operation:test_run",
        ),
        (
            &stack,
            "organization:acme:project:Infra:stack:net:deployment:eu:operation:plan",
        ),
    ] {
        let answer = open(&app, &secret, body).await;
        assert_eq!(answer.json["subject"], subject, "{answer:?}");
    }
    let cases = [
        (&legacy, "project", json!("Infra")),
        (&legacy, "project_id", json!("prj-1")),
        (&legacy, "workspace", Value::Null),
        (&module_test, "run_phase", json!("plan")),
        (&module_test, "workspace", json!("net")),
        (&module_test, "workspace_id", json!("ws-1")),
        (&module_test, "stack_id", json!("st-1")),
        (&module_test, "module", Value::Null),
        (&stack, "workspace", json!("net")),
        (&stack, "workspace_id", json!("ws-1")),
        (&stack, "deployment", Value::Null),
        (&stack, "deployment", json!("eu:us")),
        (&stack, "stack", Value::Null),
    ];
    for (body, field, value) in cases {
        let mut body = body.clone();
        body[field] = value;
        let answer = open(&app, &secret, &body).await;
        answer.assert_problem(422, "invalid-field", field);
    }
}

#[tokio::test]
async fn a_subject_too_long_for_gcp_is_warned_of_and_one_too_long_for_all_is_refused() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let of = |bytes: usize| {
        let fixed = "organization:acme:project:p:workspace::run_phase:plan".len();
        let names = bytes - fixed + 1;
        let mut body = with("workspace", json!("w".repeat(names.min(91) - 1)));
        body["project"] = json!("p".repeat(names - names.min(91) + 1));
        body
    };
    for (bytes, warnings) in [(127, 0), (128, 1)] {
        for answer in [
            open(&app, &secret, &of(bytes)).await,
            mint(&app, &secret, &of(bytes)).await,
        ] {
            assert_eq!(answer.json["subject"].as_str().unwrap().len(), bytes);
            assert_eq!(answer.json["warnings"].as_array().unwrap().len(), warnings);
        }
    }
    let mut longest = of(225);
    longest["organization"] = json!("acme");
    assert_eq!(
        open(&app, &secret, &longest).await.status,
        StatusCode::CREATED
    );

    let wide = app
        .client_with(
            "wide",
            json!([{"organization": "*", "audiences": [AWS, VAULT],
                "subject_forms": ["workspace", "stack"]}]),
        )
        .await;
    let mut body = of(225);
    body["organization"] = json!("o".repeat(4 + 30));
    assert_eq!(
        open(&app, &wide, &body).await.status,
        StatusCode::CREATED,
        "255 bytes"
    );
    body["organization"] = json!("o".repeat(4 + 31));
    let refused = open(&app, &wide, &body).await;
    refused.assert_problem(422, "invalid-field", "workspace");
    assert!(
        refused.json["detail"]
            .as_str()
            .unwrap()
            .contains("256 bytes")
    );

    let stack = json!({"subject_form": "stack", "organization": "o".repeat(90),
        "project": "p".repeat(90), "stack": "s".repeat(90), "deployment": "d",
        "run_phase": "plan", "audiences": [AWS]});
    open(&app, &wide, &stack)
        .await
        .assert_problem(422, "invalid-field", "stack");
}

#[tokio::test]
async fn ids_that_were_sent_are_taken_and_others_are_derived() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let mut body = run_body("plan");
    let sent = [
        ("organization_id", "org-GRNbCjYNpBB6NEBH"),
        ("project_id", "prj-vegSA59s1XPwMr2t"),
        ("workspace_id", "ws-mbsd5E3Ktt5Rg2Xm"),
        ("run_id", "run-CKuwsxMGgMd3W7Ui"),
    ];
    for (field, id) in sent {
        body[field] = json!(id);
    }
    let with_sent = claims(&app.token(&app.run_with(&secret, &body).await).await);
    for (field, id) in sent {
        assert_eq!(with_sent[format!("terraform_{field}")], id);
    }
    let one = claims(&app.token(&app.run(&secret, "plan").await).await);
    let two = claims(&app.token(&app.run(&secret, "apply").await).await);
    for (field, _) in &sent[..3] {
        let field = format!("terraform_{field}");
        assert_eq!(one[&field], two[&field], "{field}");
        assert_ne!(one[&field], with_sent[&field], "{field}");
    }
    assert_ne!(one["terraform_run_id"], two["terraform_run_id"]);
}

#[tokio::test]
async fn what_no_grant_covers_is_refused_without_saying_what_is_granted() {
    let app = TestApp::start().await;
    let secret = app
        .client_with(
            "narrow",
            json!([{"organization": "acme", "project": "Secret Project", "workspace": "net-*",
                "run_phases": ["plan"], "audiences": [AWS]}]),
        )
        .await;
    let mut granted = with("project", json!("Secret Project"));
    granted["audiences"] = json!([AWS]);
    assert_eq!(
        open(&app, &secret, &granted).await.status,
        StatusCode::CREATED
    );
    for (field, value) in [
        ("organization", json!("evil")),
        ("project", json!("Other")),
        ("workspace", json!("app-1")),
        ("run_phase", json!("apply")),
        ("audiences", json!([AWS, VAULT])),
    ] {
        let mut body = granted.clone();
        body[field] = value;
        for answer in [
            open(&app, &secret, &body).await,
            mint(&app, &secret, &body).await,
        ] {
            answer.assert_problem(403, "not-granted", field);
            assert!(!answer.text.contains("Secret Project"), "{answer:?}");
            assert!(!answer.text.contains("net-*"), "{answer:?}");
        }
    }
    let legacy = json!({"subject_form": "legacy", "organization": "acme", "workspace": "net-1",
        "run_phase": "plan", "audiences": [AWS]});
    open(&app, &secret, &legacy)
        .await
        .assert_problem(403, "not-granted", "subject_form");
    let nothing = app.client_with("nothing", json!([])).await;
    open(&app, &nothing, &granted)
        .await
        .assert_problem(403, "not-granted", "organization");
}

#[tokio::test]
async fn a_refusal_names_a_field_that_the_form_has() {
    let app = TestApp::start().await;
    let forms = ["legacy", "stack", "module_test"];
    let narrow = |field: &str, value: Value| {
        let mut grant = json!({"organization": "acme", "audiences": [AWS], "subject_forms": forms});
        grant[field] = value;
        json!([grant])
    };
    let legacy = json!({"subject_form": "legacy", "organization": "acme", "workspace": "net",
        "run_phase": "plan", "audiences": [AWS]});
    let stack = json!({"subject_form": "stack", "organization": "acme", "project": "Infra",
        "stack": "net", "deployment": "eu", "run_phase": "plan", "audiences": [AWS]});
    let module_test = json!({"subject_form": "module_test", "organization": "acme",
        "module": "vpc", "audiences": [AWS]});
    let by_target = app
        .client_with("by-target", narrow("workspace", json!("app")))
        .await;
    let by_project = app
        .client_with("by-project", narrow("project", json!("Other")))
        .await;
    let by_phase = app
        .client_with("by-phase", narrow("run_phases", json!(["apply"])))
        .await;
    for (secret, body, field) in [
        (&by_target, &legacy, "workspace"),
        (&by_target, &stack, "stack"),
        (&by_target, &module_test, "module"),
        (&by_project, &stack, "project"),
        (&by_project, &legacy, "subject_form"),
        (&by_phase, &stack, "run_phase"),
        (&by_phase, &module_test, "subject_form"),
    ] {
        open(&app, secret, body)
            .await
            .assert_problem(403, "not-granted", field);
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused_for_what_it_is() {
    let app = TestApp::with(&[("SERVER__MAX_BODY", "2048")]).await;
    let secret = app.client("atlantis").await;
    let post = || app.post("/v1/runs").bearer(&secret);
    let plain = run_body("plan").to_string();

    post().send().await.assert_problem(415, "not-json", "");
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonp",
    ] {
        let answer = post().body(content_type, plain.clone()).send().await;
        answer.assert_problem(415, "not-json", "");
    }
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/x+json",
    ] {
        let answer = post().body(content_type, plain.clone()).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{content_type}");
    }
    for malformed in [
        "",
        "{",
        "{]",
        "nonsense",
        &format!("{plain} {plain}"),
        "{\"organization\":\"\u{0}\"}",
    ] {
        let answer = post()
            .body("application/json", malformed.to_owned())
            .send()
            .await;
        answer.assert_problem(400, "malformed-json", "");
    }
    let no_utf8 = post()
        .body("application/json", vec![b'"', 0xff, b'"'])
        .send()
        .await;
    assert!(no_utf8.status.is_client_error(), "{no_utf8:?}");
    for other in ["[]", "\"text\"", "5", "null"] {
        let answer = post().body("application/json", other).send().await;
        answer.assert_problem(422, "invalid-field", "body");
    }
    let twice = plain.replacen('{', r#"{"organization":"acme","#, 1);
    let answer = post().body("application/json", twice).send().await;
    answer.assert_problem(422, "invalid-field", "organization");

    let at_the_limit = format!("{plain}{}", " ".repeat(2_048 - plain.len()));
    let answer = post()
        .body("application/json", at_the_limit.clone())
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let over = post()
        .body("application/json", format!("{at_the_limit} "))
        .send()
        .await;
    over.assert_problem(413, "body-too-large", "");
    let announced = post()
        .json(&run_body("plan"))
        .header("content-length", "2049")
        .send()
        .await;
    announced.assert_problem(413, "body-too-large", "");
}
