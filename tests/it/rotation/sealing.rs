//! Private keys at rest: another key-encryption key, and a wrong one.

use axum::http::{Method, StatusCode};
use runmint::app::App;
use runmint::clock::Clock;

use crate::harness::{AWS, Database, START, TestApp, settings, verify};

const OLD: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

fn file(database: &Database, name: &str, text: &str) -> String {
    let path = database.dir().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// What a start with these settings ends with.
async fn start_error(database: &Database, overrides: &[(&str, &str)]) -> String {
    let settings = settings(database, overrides);
    let store = database.store().await;
    match App::on_store(settings, store, Clock::manual(START)).await {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn rewrap_moves_to_a_new_key_and_the_old_one_can_go() {
    let database = Database::new().await;
    let app = TestApp::on(database.clone(), &[("KEYS__SEALING_KEY", OLD)], START).await;
    let secret = app.client("atlantis").await;
    let before = app.kids().await;
    drop(app);

    let old = file(&database, "old", OLD);
    let both = [
        ("KEYS__SEALING_KEY", NEW),
        ("KEYS__PREVIOUS_SEALING_KEY_FILE", old.as_str()),
    ];
    let app = TestApp::on(database.clone(), &both, START).await;
    let sealed = async || {
        app.app.store.keys().await.unwrap()[0]
            .sealed_private
            .clone()
    };
    let under_old = sealed().await;
    let rewrap = async || {
        let answer = app.admin(Method::POST, "/v1/keys/rewrap").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json["rewrapped"].as_i64().unwrap()
    };
    assert_eq!(rewrap().await, 1);
    assert_ne!(sealed().await, under_old);
    assert_eq!(rewrap().await, 0, "all of them are under the new one");
    drop(app);

    let app = TestApp::on(database.clone(), &[("KEYS__SEALING_KEY", NEW)], START).await;
    assert_eq!(app.kids().await, before, "they are the same keys");
    let run = app.run(&secret, "plan").await;
    let token = app.token(&run).await;
    verify(&token, &app.jwks().await, AWS, START).unwrap();
    drop(app);
    start_error(&database, &[("KEYS__SEALING_KEY", OLD)]).await;
}

#[tokio::test]
async fn a_wrong_key_file_is_named_when_the_server_starts() {
    let database = Database::new().await;
    drop(TestApp::on(database.clone(), &[("KEYS__SEALING_KEY", OLD)], START).await);
    let wrong = file(&database, "wrong", NEW);
    let overrides = [
        ("KEYS__SEALING_KEY", "-"),
        ("KEYS__SEALING_KEY_FILE", wrong.as_str()),
    ];
    let error = start_error(&database, &overrides).await;
    for part in ["keys.sealing_key_file", &wrong, "key version 1"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    for (name, text) in [("empty", ""), ("short", "AAAA"), ("prose", "my secret")] {
        let path = file(&database, name, text);
        let overrides = [overrides[0], ("KEYS__SEALING_KEY_FILE", path.as_str())];
        let error = start_error(&database, &overrides).await;
        assert!(error.contains("keys.sealing_key_file"), "{error}");
        assert!(error.contains("32 bytes"), "{error}");
        assert!(text.is_empty() || !error.contains(text), "{error}");
    }
    let overrides = [overrides[0], ("KEYS__SEALING_KEY_FILE", "/nowhere/key")];
    let error = start_error(&database, &overrides).await;
    assert!(error.contains("/nowhere/key"), "{error}");
}
