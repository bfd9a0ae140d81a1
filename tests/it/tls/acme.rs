//! ACME where there is no CA: the server lives, and says what is wrong.

use axum::http::{Method, StatusCode};

use crate::certificates::trusting;
use crate::harness::Database;
use crate::program::{Setup, eventually, free_port};

fn setup(database: &Database) -> Setup {
    Setup::on(database)
        .with("SERVER__LISTEN", &format!("127.0.0.1:{}", free_port()))
        .with("SERVER__ACME__DOMAINS", "ci.example.com")
        .with("SERVER__ACME__ACCEPT_TERMS", "true")
        .with("SERVER__ACME__DIRECTORY_URL", "https://127.0.0.1:1/dir")
}

#[tokio::test]
async fn without_a_ca_the_listener_is_alive_and_trusted_by_nobody() {
    let database = Database::durable().await;
    let server = setup(&database).serve_at_once().await;
    eventually("it is said", || async {
        let log = server.log();
        log.contains("no certificate by ACME")
            && log.contains("https://127.0.0.1:1/dir cannot be reached: Connection refused")
            && log.contains("again_at=")
    })
    .await;
    assert_eq!(server.cli(&["healthcheck"]).await.done(), "ok\n");

    let url = format!("{}/healthz", server.public.replace("http://", "https://"));
    let error = trusting(|client| client).get(&url).send().await;
    assert!(error.unwrap_err().is_connect());
    let anybody = trusting(|client| client.tls_danger_accept_invalid_certs(true));
    let answer = anybody.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let metrics = server.admin(Method::GET, "/metrics");
    let metrics = server.answer(metrics).await.text;
    assert!(
        metrics.contains("runmint_acme_failures_total 1"),
        "{metrics}"
    );
    // The certificate that fills the place has no end that anybody should watch.
    assert!(!metrics.contains("not_after_timestamp_seconds{"));
}

#[tokio::test]
async fn a_damaged_state_is_named_with_its_remedy() {
    let database = Database::durable().await;
    let folder = database.dir().join("acme");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("state.json");
    let certificate = r#"{"domains": ["ci.example.com"], "chain": "none", "key": "none"}"#;
    let directory = r#""directory_url": "https://127.0.0.1:1/dir", "account": null"#;
    for text in [
        "{".to_owned(),
        format!(r#"{{{directory}, "certificate": {certificate}}}"#),
    ] {
        std::fs::write(&file, text).unwrap();
        let ran = setup(&database).run(&["serve"]).await;
        ran.refused(3, &["acme/state.json: is damaged: remove it"]);
    }
}
