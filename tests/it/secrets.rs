//! Secrets of clients: two at a time, so that they change without a pause.

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use runmint::store::Store;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::harness::{Answer, Database, START, TestApp, run_body};
use crate::program::eventually;

const PATH: &str = "/v1/clients/atlantis/secrets";

async fn add(app: &TestApp, body: &Value) -> Answer {
    app.admin(Method::POST, PATH).json(body).send().await
}

async fn list(app: &TestApp) -> Vec<Value> {
    let answer = app.admin(Method::GET, PATH).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(!answer.text.contains("rmc_"), "{answer:?}");
    answer.json.as_array().unwrap().clone()
}

async fn mint(app: &TestApp, secret: &str) -> Answer {
    let call = app.post("/v1/tokens").bearer(secret);
    call.json(&run_body("plan")).send().await
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap()
}

#[tokio::test]
async fn a_secret_is_changed_without_a_pause_on_every_replica() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let old = app.client("atlantis").await;
    let run = app.run(&old, "plan").await;

    let added = app.admin(Method::POST, PATH).send().await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    assert_eq!(added.header("cache-control"), "no-store");
    let new = text(&added.json, "secret").to_owned();
    assert!(new.starts_with("rmc_") && new != old);
    for replica in [&app, &other] {
        for secret in [&old, &new] {
            assert_eq!(mint(replica, secret).await.status, StatusCode::CREATED);
        }
    }

    let secrets = list(&app).await;
    assert_eq!(secrets.len(), 2);
    let new_id = text(&added.json, "id");
    let old_id = secrets
        .iter()
        .map(|secret| text(secret, "id"))
        .find(|id| *id != new_id)
        .unwrap();
    let remove = || {
        app.admin(Method::DELETE, &format!("{PATH}/{old_id}"))
            .send()
    };
    let removed = remove().await;
    assert_eq!(
        (removed.status, removed.text.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    remove().await.assert_problem(404, "not-found", "");
    for replica in [&app, &other] {
        let refused = mint(replica, &old).await;
        refused.assert_problem(401, "unauthenticated", "");
        assert_eq!(mint(replica, &new).await.status, StatusCode::CREATED);
        // What was opened with the old one goes on.
        replica.token(&run).await;
    }
    let removed = &app.events("client.secret_removed").await[0];
    assert_eq!(removed["actor"], "operator:admin");
    assert_eq!(
        removed["reason"],
        format!("client atlantis, secret {old_id}")
    );
    let added = &app.events("client.secret_added").await[0];
    assert_eq!(added["reason"], format!("client atlantis, secret {new_id}"));
}

#[tokio::test]
async fn a_third_secret_is_refused_with_what_to_do() {
    let app = TestApp::start().await;
    app.client("atlantis").await;
    assert_eq!(
        add(&app, &json!({"expires_in": 100})).await.status,
        StatusCode::CREATED
    );
    let third = add(&app, &json!({})).await;
    third.assert_problem(409, "two-already", "");
    assert!(
        text(&third.json, "detail").contains("remove one"),
        "{third:?}"
    );
    assert_eq!(list(&app).await.len(), 2);
    // One that has expired is none of the two.
    app.pass(100);
    assert_eq!(add(&app, &json!({})).await.status, StatusCode::CREATED);
    add(&app, &json!({}))
        .await
        .assert_problem(409, "two-already", "");
}

#[tokio::test]
async fn an_expired_secret_is_worth_as_little_as_an_unknown_one_and_is_shown_for_a_day() {
    let app = TestApp::start().await;
    let body = json!({"name": "atlantis", "secret_expires_in": 60,
        "grants": [{"organization": "acme", "audiences": ["*"]}]});
    let added = app
        .admin(Method::POST, "/v1/clients")
        .json(&body)
        .send()
        .await;
    assert_eq!(added.json["secret_expires_at"], START.0 + 60, "{added:?}");
    let secret = text(&added.json, "secret");
    let (_, shown) = (mint(&app, secret).await, &list(&app).await[0]);
    assert_eq!(shown["id"], added.json["secret_id"]);
    assert_eq!(
        (&shown["expires_at"], &shown["expired"]),
        (&json!(START.0 + 60), &json!(false))
    );

    app.pass(59);
    assert_eq!(mint(&app, secret).await.status, StatusCode::CREATED);
    let run = app.run(secret, "plan").await;
    app.pass(1);
    let expired = mint(&app, secret).await;
    expired.assert_problem(401, "unauthenticated", "");
    let other = app.client("buildkite").await;
    app.admin(Method::DELETE, "/v1/clients/buildkite")
        .send()
        .await;
    let unknown = mint(&app, &other).await;
    assert_eq!(expired.json["detail"], unknown.json["detail"]);
    app.token(&run).await;
    assert_eq!(list(&app).await[0]["expired"], true);

    let events = app.events("client.added").await;
    assert_eq!(events[1]["expires_at"], START.0 + 60);
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_its_name() {
    let app = TestApp::start().await;
    app.client("atlantis").await;
    for wrong in [
        json!(0),
        json!(-1),
        json!("90d"),
        json!(1.5),
        json!(i64::MAX),
    ] {
        let answer = add(&app, &json!({ "expires_in": wrong })).await;
        answer.assert_problem(422, "invalid-field", "expires_in");
        let body = json!({"name": "x", "grants": [], "secret_expires_in": wrong});
        let answer = app
            .admin(Method::POST, "/v1/clients")
            .json(&body)
            .send()
            .await;
        answer.assert_problem(422, "invalid-field", "secret_expires_in");
    }
    add(&app, &json!({"ttl": 5}))
        .await
        .assert_problem(422, "invalid-field", "ttl");
    for (method, path) in [
        (Method::GET, "/v1/clients/nobody/secrets"),
        (Method::POST, "/v1/clients/nobody/secrets"),
        (Method::POST, "/v1/clients/a%00b/secrets"),
        (Method::DELETE, "/v1/clients/nobody/secrets/0123456789ab"),
        (Method::DELETE, "/v1/clients/atlantis/secrets/0123456789ab"),
        (Method::DELETE, "/v1/clients/atlantis/secrets/a%00b"),
        (Method::DELETE, "/v1/clients/atlantis/secrets/%25"),
    ] {
        let answer = app.admin(method, path).send().await;
        answer.assert_problem(404, "not-found", "");
    }
    assert_eq!(list(&app).await.len(), 1);
}

#[tokio::test]
async fn the_last_use_is_shown_to_the_minute() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    add(&app, &json!({})).await;
    for secret in list(&app).await {
        assert_eq!(secret.get("last_used_at"), None, "{secret}");
    }
    // The secret that is used, found by its id, until it shows when that was.
    let used_at = async |expected: i64| {
        for _ in 0..1_000 {
            mint(&app, &secret).await;
            let secrets = list(&app).await;
            let used: Vec<_> = secrets
                .iter()
                .filter_map(|secret| secret["last_used_at"].as_i64())
                .collect();
            if used == [expected] {
                return;
            }
            assert!(used.len() < 2, "the other one was not used: {used:?}");
            tokio::task::yield_now().await;
        }
        panic!("in vain: used at {expected}");
    };
    used_at(START.0).await;
    app.pass(60);
    used_at(START.0).await;
    app.pass(1);
    used_at(START.0 + 61).await;
}

/// Those that begin to work at the same moment are all seen to have done so.
#[tokio::test]
async fn the_uses_of_many_are_all_written_down() {
    let app = TestApp::start().await;
    let names: Vec<String> = (0..40).map(|number| format!("c{number}")).collect();
    let mut secrets = Vec::new();
    for name in &names {
        secrets.push(app.client(name).await);
    }
    for answer in join_all(secrets.iter().map(|secret| mint(&app, secret))).await {
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }
    eventually("all uses show", || async {
        for name in &names {
            let secrets = app.app.store.client_secrets(name, START).await.unwrap();
            if secrets[0].last_used_at != Some(START) {
                return false;
            }
        }
        true
    })
    .await;
}

/// Lets everybody read and nobody write down a use, until it is dropped.
async fn hold_uses(app: &TestApp) -> Box<dyn std::any::Any> {
    match &app.app.store {
        Store::Sqlite { .. } => {
            let path = app.database.url.strip_prefix("sqlite:").unwrap();
            let options = SqliteConnectOptions::new().filename(path);
            let mut other = options.connect().await.unwrap();
            other.execute("BEGIN IMMEDIATE").await.unwrap();
            Box::new(other)
        }
        Store::Postgres { pool, .. } => {
            let mut tx = pool.begin().await.unwrap();
            let lock = "LOCK TABLE client_secret, operator IN EXCLUSIVE MODE";
            tx.execute(lock).await.unwrap();
            Box::new(tx)
        }
    }
}

#[tokio::test]
async fn nobody_waits_until_a_use_is_written_down() {
    let app = TestApp::on(Database::durable().await, &[], START).await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    app.pass(61);
    let path = format!("/v1/runs/{}", run.id);
    let look = async || app.get(&path).bearer(&secret).send().await.status;
    let held = hold_uses(&app).await;
    for _ in 0..20 {
        assert_eq!(look().await, StatusCode::OK);
        list(&app).await;
    }
    drop(held);
    // Whichever use finds the way free.
    eventually("the use shows", || async {
        look().await;
        list(&app).await[0]["last_used_at"] == START.0 + 61
    })
    .await;
}
