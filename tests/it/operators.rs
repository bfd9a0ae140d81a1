//! Operators: who may look, who may change things, and how their tokens change without a pause.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{ADMIN_TOKEN, Answer, Database, START, TestApp};

async fn add(app: &TestApp, name: &str, access: &str) -> String {
    let body = json!({"name": name, "access": access});
    let added = post(app, "/v1/operators", &body).await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    assert_eq!(added.header("cache-control"), "no-store");
    assert_eq!(
        (&added.json["name"], &added.json["access"]),
        (&json!(name), &json!(access))
    );
    let token = added.json["token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("rma_"));
    token
}

async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.admin(Method::POST, path).json(body).send().await
}

async fn get(app: &TestApp, path: &str) -> Value {
    let answer = app.admin(Method::GET, path).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    // In a description it may be named, as in `rma_…`.
    let told = answer.text.split("rma_").skip(1);
    let told: Vec<_> = told.filter_map(|rest| rest.chars().next()).collect();
    assert!(told.iter().all(|c| *c == '…'), "{answer:?}");
    answer.json
}

/// Method and path of every operation of the admin listener that asks who is there.
async fn operations(app: &TestApp) -> Vec<(Method, String)> {
    let description = get(app, "/openapi.json").await;
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"].is_array() {
                let path = path
                    .replace("{version}", "1")
                    .replace("{id}", "0123456789ab")
                    .replace("{name}", "somebody");
                operations.push((method.to_uppercase().parse().unwrap(), path));
            }
        }
    }
    operations
}

#[tokio::test]
async fn a_read_only_operator_sees_everything_and_changes_nothing() {
    let app = TestApp::start().await;
    let reader = add(&app, "auditor", "read").await;
    let writer = add(&app, "alice", "full").await;
    let mut seen = [0, 0];
    for (method, path) in operations(&app).await {
        let place = format!("{method} {path}");
        let call = |token: &str| app.admin_as(token, method.clone(), &path).json(&json!({}));
        let answer = call(&reader).send().await;
        if method == Method::GET {
            seen[0] += 1;
            let found = [StatusCode::OK, StatusCode::NOT_FOUND].contains(&answer.status);
            assert!(found, "{place}: {answer:?}");
        } else {
            seen[1] += 1;
            answer.assert_problem(403, "not-allowed", "");
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(
                detail.contains("auditor has read access"),
                "{place}: {detail}"
            );
            let answer = call(&writer).send().await;
            assert!(
                ![StatusCode::FORBIDDEN, StatusCode::UNAUTHORIZED].contains(&answer.status),
                "{place}: {answer:?}"
            );
        }
    }
    assert!(seen[0] >= 8 && seen[1] >= 14, "{seen:?}");
}

#[tokio::test]
async fn what_a_read_only_operator_was_refused_did_not_happen() {
    let app = TestApp::start().await;
    let reader = add(&app, "auditor", "read").await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let before = get(&app, "/v1/events?limit=1000").await["events"]
        .as_array()
        .unwrap()
        .len();
    for (method, path) in [
        (Method::DELETE, "/v1/clients/atlantis".to_owned()),
        (Method::POST, format!("/v1/runs/{}/close", run.id)),
        (Method::POST, "/v1/keys/rotate".to_owned()),
        (Method::POST, "/v1/operators/auditor/tokens".to_owned()),
        (Method::DELETE, "/v1/operators/auditor".to_owned()),
    ] {
        let answer = app.admin_as(&reader, method, &path).send().await;
        answer.assert_problem(403, "not-allowed", "");
    }
    app.token(&run).await;
    let after = get(&app, "/v1/events?limit=1000").await["events"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(after, before + 1, "the token");
}

#[tokio::test]
async fn a_named_operator_is_on_record_with_all_that_it_changes() {
    let app = TestApp::start().await;
    let token = add(&app, "alice", "full").await;
    let alice = |method, path: &str| app.admin_as(&token, method, path);
    let client = json!({"name": "atlantis", "grants": []});
    alice(Method::POST, "/v1/clients")
        .json(&client)
        .send()
        .await;
    alice(Method::POST, "/v1/clients/atlantis/secrets")
        .send()
        .await;
    alice(Method::PUT, "/v1/clients/atlantis")
        .json(&json!({"grants": []}))
        .send()
        .await;
    alice(Method::DELETE, "/v1/clients/atlantis").send().await;
    let rotate = json!({"emergency": true});
    alice(Method::POST, "/v1/keys/rotate")
        .json(&rotate)
        .send()
        .await;
    let bob = json!({"name": "bob", "access": "read"});
    alice(Method::POST, "/v1/operators").json(&bob).send().await;
    let added = alice(Method::POST, "/v1/operators/bob/tokens").send().await;
    let id = added.json["id"].as_str().unwrap();
    alice(Method::DELETE, &format!("/v1/operators/bob/tokens/{id}"))
        .send()
        .await;
    alice(Method::DELETE, "/v1/operators/bob").send().await;
    let run = app.run(&app.client("jenkins").await, "plan").await;
    alice(Method::POST, &format!("/v1/runs/{}/close", run.id))
        .send()
        .await;
    for kind in [
        "client.secret_added",
        "client.updated",
        "client.removed",
        "key.revoked",
        "operator.added",
        "operator.token_added",
        "operator.token_removed",
        "operator.removed",
        "run.closed",
    ] {
        let record = &app.events(kind).await[0];
        assert_eq!(record["actor"], "operator:alice", "{kind}: {record}");
    }
    let by: Vec<_> = app
        .events("client.added")
        .await
        .iter()
        .map(|e| e["actor"].clone())
        .collect();
    assert_eq!(by, ["operator:admin", "operator:alice"]);
    let removed = &app.events("operator.token_removed").await[0];
    assert_eq!(removed["reason"], format!("operator bob, token {id}"));
}

#[tokio::test]
async fn a_token_is_changed_without_a_pause_on_every_replica() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let old = add(&app, "alice", "full").await;
    let path = "/v1/operators/alice/tokens";
    let old_id = get(&app, path).await[0]["id"].as_str().unwrap().to_owned();
    let added = post(&app, path, &json!({"expires_in": 600})).await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    let new = added.json["token"].as_str().unwrap();
    post(&app, path, &json!({}))
        .await
        .assert_problem(409, "two-already", "");
    let status = async |replica: &TestApp, token: &str| {
        replica
            .admin_as(token, Method::GET, "/v1/keys")
            .send()
            .await
            .status
    };
    for replica in [&app, &other] {
        assert_eq!(status(replica, &old).await, StatusCode::OK);
        assert_eq!(status(replica, new).await, StatusCode::OK);
    }
    // With the new one, as one does.
    let remove = format!("{path}/{old_id}");
    let removed = app.admin_as(new, Method::DELETE, &remove).send().await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
    for replica in [&app, &other] {
        assert_eq!(status(replica, &old).await, StatusCode::UNAUTHORIZED);
        assert_eq!(status(replica, new).await, StatusCode::OK);
    }
    app.pass(600);
    let expired = app.admin_as(new, Method::GET, "/v1/keys").send().await;
    expired.assert_problem(401, "unauthenticated", "");
    let unknown = app.admin_as(&old, Method::GET, "/v1/keys").send().await;
    assert_eq!(expired.json["detail"], unknown.json["detail"]);
    assert_eq!(get(&app, path).await[0]["expired"], true);

    let again = post(&app, path, &json!({})).await;
    let again = again.json["token"].as_str().unwrap();
    assert_eq!(status(&other, again).await, StatusCode::OK);
    app.admin(Method::DELETE, "/v1/operators/alice")
        .send()
        .await;
    assert_eq!(status(&other, again).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_configured_token_too_is_changed_without_a_pause() {
    const NEW: &str = "a-new-admin-token-of-the-tests";
    let database = Database::durable().await;
    let status = async |app: &TestApp, token: &str| {
        app.admin_as(token, Method::GET, "/v1/keys")
            .send()
            .await
            .status
    };
    let before = TestApp::on(database.clone(), &[], START).await;
    let between = [
        ("ADMIN__TOKEN", NEW),
        ("ADMIN__PREVIOUS_TOKEN", ADMIN_TOKEN),
    ];
    let between = TestApp::on(database.clone(), &between, START).await;
    let after = TestApp::on(database, &[("ADMIN__TOKEN", NEW)], START).await;
    let (good, bad) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    for (app, expected) in [
        (&before, [good, bad]),
        (&between, [good; 2]),
        (&after, [bad, good]),
    ] {
        let found = [status(app, ADMIN_TOKEN).await, status(app, NEW).await];
        assert_eq!(found, expected);
        assert_eq!(status(app, "").await, bad);
    }
    let by_previous = between.admin(Method::POST, "/v1/clients");
    by_previous
        .json(&json!({"name": "a", "grants": []}))
        .send()
        .await;
    assert_eq!(
        between.events("client.added").await[0]["actor"],
        "operator:admin"
    );
}

#[tokio::test]
async fn admin_is_the_configured_token_and_nothing_else() {
    let app = TestApp::start().await;
    let body = json!({"name": "admin", "access": "full"});
    for (method, path) in [
        (Method::POST, "/v1/operators"),
        (Method::DELETE, "/v1/operators/admin"),
        (Method::POST, "/v1/operators/admin/tokens"),
        (Method::DELETE, "/v1/operators/admin/tokens/0123456789ab"),
    ] {
        let call = app.admin(method, path);
        let call = if path == "/v1/operators" {
            call.json(&body)
        } else {
            call
        };
        let answer = call.send().await;
        answer.assert_problem(409, "conflict", "");
        assert!(answer.text.contains("admin.previous_token"), "{answer:?}");
    }
    assert_eq!(get(&app, "/v1/operators/admin/tokens").await, json!([]));
    let operators = get(&app, "/v1/operators").await;
    assert_eq!(operators[0]["name"], "admin");
    assert_eq!(
        (&operators[0]["access"], operators[0].get("created_at")),
        (&json!("full"), None)
    );
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_name() {
    let app = TestApp::start().await;
    for (body, field) in [
        (json!({"access": "full"}), "name"),
        (json!({"name": "a b", "access": "full"}), "name"),
        (json!({"name": "alice"}), "access"),
        (json!({"name": "alice", "access": "root"}), "access"),
        (
            json!({"name": "alice", "access": "read", "token_expires_in": 0}),
            "token_expires_in",
        ),
        (
            json!({"name": "alice", "access": "read", "grants": []}),
            "grants",
        ),
    ] {
        let answer = post(&app, "/v1/operators", &body).await;
        answer.assert_problem(422, "invalid-field", field);
    }
    add(&app, "alice", "read").await;
    let again = json!({"name": "alice", "access": "full"});
    let again = post(&app, "/v1/operators", &again).await;
    again.assert_problem(409, "conflict", "");
    for (method, path) in [
        (Method::DELETE, "/v1/operators/nobody"),
        (Method::DELETE, "/v1/operators/a%00b"),
        (Method::GET, "/v1/operators/nobody/tokens"),
        (Method::POST, "/v1/operators/nobody/tokens"),
        (Method::DELETE, "/v1/operators/alice/tokens/0123456789ab"),
        (Method::DELETE, "/v1/operators/alice/tokens/a%00b"),
    ] {
        let answer = app.admin(method, path).send().await;
        answer.assert_problem(404, "not-found", "");
    }
}

#[tokio::test]
async fn the_last_use_of_each_operator_is_shown() {
    let app = TestApp::start().await;
    let token = add(&app, "alice", "read").await;
    let shows = async |expected: &[Option<i64>]| {
        for _ in 0..1_000 {
            // The configured token is used by the look itself.
            let operators = get(&app, "/v1/operators").await;
            let used: Vec<_> = operators
                .as_array()
                .unwrap()
                .iter()
                .map(|operator| operator["last_used_at"].as_i64())
                .collect();
            if used == expected {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("in vain: {expected:?}");
    };
    shows(&[Some(START.0), None]).await;
    app.pass(61);
    for _ in 0..1_000 {
        app.admin_as(&token, Method::GET, "/v1/keys").send().await;
        let tokens = get(&app, "/v1/operators/alice/tokens").await;
        if tokens[0]["last_used_at"] == START.0 + 61 {
            break;
        }
        tokio::task::yield_now().await;
    }
    shows(&[Some(START.0 + 61); 2]).await;
}

#[tokio::test]
async fn without_a_database_the_configured_token_is_known_and_others_are_not_guessed_at() {
    let app = TestApp::on(Database::durable().await, &[], START).await;
    let token = add(&app, "alice", "full").await;
    app.app.store.close().await;
    let keys = |token: &str| app.admin_as(token, Method::GET, "/v1/keys").send();
    keys(ADMIN_TOKEN)
        .await
        .assert_problem(503, "unavailable", "");
    keys(&token).await.assert_problem(503, "unavailable", "");
    // From memory.
    let jwks = app.admin(Method::GET, "/v1/keys/jwks").send().await;
    assert_eq!(jwks.status, StatusCode::OK, "{jwks:?}");
    // What is no token of ours is refused without a look.
    for guess in ["a-guess-of-somebody-else", "rma_0123"] {
        keys(guess).await.assert_problem(401, "unauthenticated", "");
    }
}
