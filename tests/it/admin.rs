//! The admin listener: clients, runs and the audit log.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{AWS, Answer, TestApp, VAULT, run_body, verify};

async fn get(app: &TestApp, path: &str) -> Answer {
    let answer = app.admin(Method::GET, path).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer
}

async fn add(app: &TestApp, body: &Value) -> Answer {
    app.admin(Method::POST, "/v1/clients")
        .json(body)
        .send()
        .await
}

/// One member of each row of a page.
fn column<'a>(page: &'a Value, rows: &str, member: &str) -> Vec<&'a str> {
    let rows = page[rows].as_array().unwrap();
    rows.iter()
        .map(|row| row[member].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_token_of_an_open_run_verifies_against_the_published_keys() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let claims = verify(&app.token(&run).await, &app.jwks().await, AWS, app.now()).unwrap();
    assert_eq!(claims["sub"], run.subject);
}

#[tokio::test]
async fn nobody_without_the_admin_token_gets_in() {
    let app = TestApp::start().await;
    let client = app.client("atlantis").await;
    for guess in ["guess", &client, "rma_0123", "an-admin-token-of-the-test"] {
        let answer = app
            .admin(Method::GET, "/v1/keys")
            .bearer(guess)
            .send()
            .await;
        answer.assert_problem(401, "unauthenticated", "");
    }
    get(&app, "/v1/keys").await;
}

#[tokio::test]
async fn a_client_is_added_shown_changed_and_removed() {
    let app = TestApp::start().await;
    let body = json!({"name": "atlantis", "aws_session_tags": true,
        "grants": [{"organization": "acme", "audiences": [AWS], "max_ttl": 60}]});
    let added = add(&app, &body).await;
    assert_eq!(added.status, StatusCode::CREATED);
    assert_eq!(added.header("cache-control"), "no-store");
    assert_eq!(added.json["name"], "atlantis");
    let secret = added.json["secret"].as_str().unwrap();
    assert!(secret.starts_with("rmc_"));

    let whole_grant = json!({"organization": "acme", "project": "*", "workspace": "*",
        "deployment": "*",
        "run_phases": ["plan", "apply"], "audiences": [AWS], "max_ttl": 60,
        "subject_forms": ["workspace"]});
    let shown = get(&app, "/v1/clients/atlantis").await;
    assert_eq!(
        shown.json,
        json!({"name": "atlantis", "grants": [whole_grant], "aws_session_tags": true,
            "created_at": app.now().0})
    );
    app.client("buildkite").await;
    let all = get(&app, "/v1/clients").await;
    let names: Vec<_> = all
        .json
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["atlantis", "buildkite"]);
    assert!(!all.text.contains("rmc_") && !shown.text.contains("rmc_"));

    let put = |body: Value| {
        app.admin(Method::PUT, "/v1/clients/atlantis")
            .json(&body)
            .send()
    };
    let changed = put(json!({"grants": []})).await;
    assert_eq!(
        (&changed.json["grants"], &changed.json["aws_session_tags"]),
        (&json!([]), &json!(true))
    );
    let changed = put(json!({"grants": [], "aws_session_tags": false})).await;
    assert_eq!(changed.json, get(&app, "/v1/clients/atlantis").await.json);
    assert_eq!(changed.json["aws_session_tags"], false);

    let delete = || app.admin(Method::DELETE, "/v1/clients/atlantis").send();
    let removed = delete().await;
    assert_eq!(
        (removed.status, removed.text.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    delete().await.assert_problem(404, "not-found", "");
    put(json!({"grants": []}))
        .await
        .assert_problem(404, "not-found", "");
    for name in ["atlantis", "a%00b", "a%20b", "%2e%2e"] {
        let path = format!("/v1/clients/{name}");
        let answer = app.admin(Method::GET, &path).send().await;
        answer.assert_problem(404, "not-found", "");
    }
}

#[tokio::test]
async fn a_client_that_is_wrong_is_refused_at_its_place() {
    let app = TestApp::start().await;
    app.client("atlantis").await;
    let taken = add(&app, &json!({"name": "atlantis", "grants": []})).await;
    taken.assert_problem(409, "conflict", "");
    let good = json!({"organization": "acme", "audiences": [AWS]});
    for (body, field) in [
        (json!({"grants": []}), "name"),
        (json!({"name": "a b", "grants": []}), "name"),
        (json!({"name": "", "grants": []}), "name"),
        (json!({"name": "x"}), "grants"),
        (json!({"name": "x", "grants": {}}), "grants"),
        (
            json!({"name": "x", "grants": [], "aws_session_tags": "yes"}),
            "aws_session_tags",
        ),
        (
            json!({"name": "x", "grants": [], "secret": "mine"}),
            "secret",
        ),
    ] {
        add(&app, &body)
            .await
            .assert_problem(422, "invalid-field", field);
    }
    for (field, value, place) in [
        ("organization", Value::Null, "organization"),
        ("organization", json!(""), "organization"),
        ("organization", json!("a:b"), "organization"),
        ("organization", json!("a?"), "organization"),
        ("project", json!("a/b"), "project"),
        ("workspace", json!("a b"), "workspace"),
        ("run_phases", json!([]), "run_phases"),
        ("run_phases", json!(["plan", "destroy"]), "run_phases[1]"),
        ("audiences", json!([]), "audiences"),
        ("audiences", json!(AWS), "audiences"),
        ("audiences", json!([AWS, ""]), "audiences[1]"),
        ("audiences", json!([AWS, "a b"]), "audiences[1]"),
        ("max_ttl", json!(0), "max_ttl"),
        ("max_ttl", json!("1h"), "max_ttl"),
        ("subject_forms", json!([]), "subject_forms"),
        ("subject_forms", json!(["any"]), "subject_forms[0]"),
        ("organisation", json!("acme"), "organisation"),
    ] {
        let mut wrong = good.clone();
        wrong[field] = value;
        let body = json!({"name": "x", "grants": [good, wrong]});
        let place = format!("grants[1].{place}");
        add(&app, &body)
            .await
            .assert_problem(422, "invalid-field", &place);
        let change = json!({"grants": [good, wrong]});
        let changed = app
            .admin(Method::PUT, "/v1/clients/atlantis")
            .json(&change)
            .send()
            .await;
        changed.assert_problem(422, "invalid-field", &place);
    }
}

#[tokio::test]
async fn runs_of_all_clients_are_listed_newest_first_and_filtered() {
    let app = TestApp::start().await;
    let (one, two) = (app.client("one").await, app.client("two").await);
    let mut opened = Vec::new();
    for (index, secret) in [&one, &two, &one, &two, &one].into_iter().enumerate() {
        let mut body = run_body("plan");
        body["run_id"] = json!(format!("run-{index}"));
        body["expires_in"] = json!(if index == 4 { 60 } else { 3_600 });
        opened.push(app.run_with(secret, &body).await.id);
    }
    let close = format!("/v1/runs/{}/close", opened[3]);
    app.post(&close).bearer(&two).send().await;
    app.pass(60);

    let ids = |query: &'static str| {
        let app = &app;
        async move {
            let page = get(app, &format!("/v1/runs{query}")).await.json;
            assert_eq!(page.get("next_cursor"), None, "{query}");
            let ids = column(&page, "runs", "run_id");
            ids.into_iter().map(str::to_owned).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids("").await, ["run-4", "run-3", "run-2", "run-1", "run-0"]);
    assert_eq!(ids("?client=one").await, ["run-4", "run-2", "run-0"]);
    assert_eq!(ids("?open=true").await, ["run-2", "run-1", "run-0"]);
    assert_eq!(ids("?client=two&open=true").await, ["run-1"]);
    assert_eq!(ids("?run_id=run-3").await, ["run-3"]);
    assert!(ids("?client=nobody").await.is_empty());
    let page = get(&app, "/v1/runs").await;
    assert_eq!(
        column(&page.json, "runs", "state"),
        ["expired", "closed", "open", "open", "open"]
    );
    assert!(!page.text.contains("rmr_"));
}

#[tokio::test]
async fn pages_of_runs_follow_each_other_without_gap_or_repetition() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    for _ in 0..7 {
        app.run(&secret, "plan").await;
    }
    let whole = get(&app, "/v1/runs").await.json;
    let mut seen = Vec::new();
    let mut path = "/v1/runs?limit=3".to_owned();
    for length in [3, 3, 1] {
        let page = get(&app, &path).await.json;
        let ids = column(&page, "runs", "id");
        assert_eq!(ids.len(), length);
        seen.extend(ids.into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/runs?limit=3&cursor={cursor}"),
            None => assert_eq!(length, 1, "only the last page has no cursor"),
        }
    }
    assert_eq!(seen, column(&whole, "runs", "id"));
}

#[tokio::test]
async fn an_operator_looks_at_any_run_and_closes_it() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let path = format!("/v1/runs/{}", run.id);
    let theirs = app.get(&path).bearer(&secret).send().await;
    assert_eq!(get(&app, &path).await.json, theirs.json);
    let close = format!("{path}/close");
    let closed = app.admin(Method::POST, &close).send().await;
    assert_eq!(
        (closed.status, &closed.json["state"]),
        (StatusCode::OK, &json!("closed"))
    );
    app.ask(&run, AWS)
        .await
        .assert_problem(403, "run-ended", "");
    for id in [&uuid::Uuid::now_v7().to_string(), "1", "%00"] {
        for (method, end) in [(Method::GET, ""), (Method::POST, "/close")] {
            let answer = app
                .admin(method, &format!("/v1/runs/{id}{end}"))
                .send()
                .await;
            answer.assert_problem(404, "not-found", "");
        }
    }
}

#[tokio::test]
async fn events_are_found_by_what_they_are_about() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let mut body = run_body("plan");
    body["run_id"] = json!("run-one");
    let (one, two) = (
        app.run_with(&secret, &body).await,
        app.run(&secret, "apply").await,
    );
    let start = app.now().0;
    app.pass(100);
    app.token(&one).await;
    app.ask(&one, VAULT).await;
    app.pass(100);
    app.token(&two).await;

    let minted = app.events("token.minted").await;
    assert_eq!(minted.len(), 3);
    let (jti, kid) = (
        minted[0]["jti"].as_str().unwrap(),
        minted[0]["kid"].as_str().unwrap(),
    );
    let subject = one.subject.replace(' ', "%20");
    let all = get(&app, "/v1/events").await.json["events"]
        .as_array()
        .unwrap()
        .len();
    let since = start + 100;
    for (query, expected) in [
        (format!("run={}", one.id), 3),
        ("run=run-one".to_owned(), 3),
        (format!("run={}&kind=token.minted", one.id), 2),
        (format!("subject={subject}"), 3),
        (format!("jti={jti}"), 1),
        (format!("kid={kid}&kind=token.minted"), 3),
        (format!("since={since}"), 3),
        (format!("since={since}&until={}", since + 100), 2),
        (format!("until={since}"), all - 3),
        ("run=other".to_owned(), 0),
        ("limit=99999".to_owned(), all),
    ] {
        let page = get(&app, &format!("/v1/events?{query}")).await.json;
        let events = page["events"].as_array().unwrap();
        assert_eq!(events.len(), expected, "{query}: {page}");
        let ids: Vec<_> = events
            .iter()
            .map(|event| event["id"].as_i64().unwrap())
            .collect();
        assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first");
    }
}

#[tokio::test]
async fn pages_of_events_follow_each_other_without_gap_or_repetition() {
    let app = TestApp::start().await;
    let run = app.run(&app.client("atlantis").await, "plan").await;
    for _ in 0..7 {
        app.token(&run).await;
    }
    let whole = app.events("token.minted").await;
    let mut seen = Vec::new();
    let mut path = "/v1/events?kind=token.minted&limit=3".to_owned();
    for length in [3, 3, 1] {
        let page = get(&app, &path).await.json;
        let events = page["events"].as_array().unwrap();
        assert_eq!(events.len(), length);
        seen.extend(events.clone());
        // What happens meanwhile does not move the pages.
        app.token(&run).await;
        match page["next_cursor"].as_i64() {
            Some(cursor) => path = format!("/v1/events?kind=token.minted&limit=3&cursor={cursor}"),
            None => assert_eq!(length, 1, "only the last page has no cursor"),
        }
    }
    assert_eq!(seen, whole);
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let app = TestApp::start().await;
    for (query, field) in [
        ("/v1/events?limit=many", "limit"),
        ("/v1/events?cursor=x", "cursor"),
        ("/v1/events?since=yesterday", "since"),
        ("/v1/events?until=1.5", "until"),
        ("/v1/events?kind=token.stolen", "kind"),
        ("/v1/events?kind=", "kind"),
        ("/v1/events?actor=me", "actor"),
        ("/v1/events?run=a&run=b", "run"),
        ("/v1/events?subject=%00", "subject"),
        ("/v1/runs?limit=many", "limit"),
        ("/v1/runs?open=perhaps", "open"),
        ("/v1/runs?state=open", "state"),
        ("/v1/runs?client=a%00", "client"),
        ("/v1/runs?client=a&client=b", "client"),
    ] {
        let answer = app.admin(Method::GET, query).send().await;
        assert_eq!(answer.json["field"], field, "{query}: {answer:?}");
        answer.assert_problem(422, "invalid-field", field);
    }
}

#[tokio::test]
async fn terraform_enterprises_clients_need_no_change() {
    let app = TestApp::start().await;
    for action in ["rotate-key", "trim-key"] {
        let path = format!("/api/v2/admin/oidc-settings/actions/{action}");
        let call = || {
            app.admin(Method::POST, &path)
                .header("accept", "application/vnd.api+json")
        };
        let answer = call()
            .header("content-type", "application/vnd.api+json")
            .send()
            .await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::NO_CONTENT, ""),
            "{action}"
        );
        call()
            .bearer("guess")
            .send()
            .await
            .assert_problem(401, "unauthenticated", "");
    }
}
