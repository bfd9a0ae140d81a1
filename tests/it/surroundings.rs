//! What stands around a process and must not change what it does: the environment that Kubernetes
//! makes, a proxy, a file of settings with a slip in it, a token that was pasted with white space.

use std::collections::HashMap;

use runmint::config::Settings;

use crate::harness::{ADMIN_TOKEN, Database};
use crate::program::Setup;

fn load(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let environment: HashMap<_, _> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Settings::load(None, environment).map_err(|error| error.to_string())
}

#[test]
fn a_kubernetes_service_of_the_same_name_is_no_setting() {
    load(&[
        ("RUNMINT_SERVICE_HOST", "10.0.0.1"),
        ("RUNMINT_SERVICE_PORT", "8080"),
        ("RUNMINT_SERVICE_PORT_HTTP", "8080"),
        ("RUNMINT_PORT", "tcp://10.0.0.1:8080"),
        ("RUNMINT_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("RUNMINT_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("RUNMINT_ADMIN_SERVICE_HOST", "10.0.0.2"),
        ("RUNMINT_ADMIN_PORT_8081_TCP_PROTO", "tcp"),
    ])
    .unwrap();
    for setting in ["RUNMINT_SERVICE", "RUNMINT_SERVER__PORT", "RUNMINT_LISTEN"] {
        let error = load(&[(setting, "1")]).unwrap_err();
        assert!(error.contains("is not a setting"), "{setting}: {error}");
    }
}

#[test]
fn a_slip_in_the_file_is_named_by_its_line_without_the_secret_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runmint.toml");
    std::fs::write(&path, "[admin]\ntoken = \"rma_hunter2\n").unwrap();
    let error = Settings::load(Some(&path), HashMap::new())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 2") && error.contains("--config"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn operator_commands_and_the_healthcheck_go_through_no_proxy() {
    let database = Database::durable().await;
    let server = Setup::on(&database).serve().await;
    for arguments in [["keys", "list"], ["runs", "list"]] {
        // A proxy that nobody answers at: whoever went there would fail.
        server
            .cli_through("http://127.0.0.1:1", &arguments)
            .await
            .done();
    }
}

#[tokio::test]
async fn an_admin_token_is_taken_without_the_white_space_around_it_and_refused_if_mistyped() {
    let database = Database::durable().await;
    let padded = format!(" {ADMIN_TOKEN}\n");
    let server = Setup::on(&database)
        .with("ADMIN__TOKEN", &padded)
        .serve()
        .await;
    server.cli(&["keys", "list"]).await.done();

    let mistyped = format!("rma_{}", "0".repeat(72));
    let refused = Setup::on(&database)
        .with("ADMIN__TOKEN", &mistyped)
        .run(&["serve"])
        .await;
    refused.refused(3, &["admin.token", "mistyped"]);
}
