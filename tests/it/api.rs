//! What holds for every URL of both listeners: descriptions, errors, request ids, counting, health.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{AWS, Answer, Call, TestApp, VAULT};

#[derive(Clone, Copy, Debug)]
enum Listener {
    Admin,
    Public,
}

const LISTENERS: [Listener; 2] = [Listener::Admin, Listener::Public];

/// A request of nobody in particular.
fn call<'a>(app: &'a TestApp, listener: Listener, method: Method, path: &str) -> Call<'a> {
    match listener {
        Listener::Admin => app.admin(method, path).header("authorization", "none"),
        Listener::Public => app.public(method, path),
    }
}

async fn description(app: &TestApp, listener: Listener) -> Value {
    let answer = call(app, listener, Method::GET, "/openapi.json")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json
}

/// Method, path and description of every operation.
fn operations(description: &Value) -> Vec<(Method, String, Value)> {
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if let Ok(method) = method.to_uppercase().parse::<Method>()
                && ["GET", "POST", "PUT", "DELETE"].contains(&method.as_str())
            {
                operations.push((method, path.clone(), operation.clone()));
            }
        }
    }
    operations
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                if let ("$ref", Some(reference)) = (name.as_str(), member.as_str()) {
                    found.insert(reference.to_owned());
                }
                references(member, found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn the_descriptions_are_whole() {
    let app = TestApp::start().await;
    for listener in LISTENERS {
        let description = description(&app, listener).await;
        assert!(description["openapi"].as_str().unwrap().starts_with("3."));
        assert!(!description["info"]["version"].as_str().unwrap().is_empty());
        let mut found = BTreeSet::new();
        references(&description, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(
                description.pointer(pointer).is_some(),
                "{listener:?}: {reference}"
            );
        }
        let operations = operations(&description);
        let mut ids = BTreeSet::new();
        for (method, path, operation) in &operations {
            let place = format!("{listener:?}: {method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "{place}"
            );
            assert!(
                !operation["summary"].as_str().unwrap().is_empty(),
                "{place}"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                let description = response["description"].as_str();
                assert!(
                    description.is_some_and(|text| !text.is_empty()),
                    "{place}: {status}"
                );
            }
            let named: Vec<_> = path
                .split('{')
                .skip(1)
                .filter_map(|p| p.split('}').next())
                .collect();
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let in_path: Vec<_> = parameters.iter().filter(|p| p["in"] == "path").collect();
            assert_eq!(in_path.len(), named.len(), "{place}");
            for scheme in operation["security"].as_array().into_iter().flatten() {
                let name = scheme.as_object().unwrap().keys().next().unwrap();
                let pointer = format!("/components/securitySchemes/{name}");
                assert!(description.pointer(&pointer).is_some(), "{place}: {name}");
            }
        }
        assert!(operations.len() >= 8, "{listener:?}");
    }
}

#[tokio::test]
async fn every_url_that_is_described_is_answered_and_asks_who_is_there() {
    let app = TestApp::start().await;
    for listener in LISTENERS {
        for (method, path, operation) in operations(&description(&app, listener).await) {
            let place = format!("{listener:?}: {method} {path}");
            let path = path
                .replace("{version}", "1")
                .replace("{id}", "1")
                .replace("{name}", "a");
            let answer = call(&app, listener, method, &path)
                .json(&json!({}))
                .send()
                .await;
            if path.starts_with("/oauth/") {
                // Of another protocol, with errors of its own.
                let expected = match operation["security"].as_array() {
                    Some(_) => (401, "invalid_client"),
                    None => (400, "invalid_request"),
                };
                let error = answer.json["error"].as_str().unwrap();
                assert_eq!((answer.status.as_u16(), error), expected, "{place}");
            } else if operation["security"]
                .as_array()
                .is_some_and(|schemes| !schemes.is_empty())
            {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{place}");
                answer.assert_problem(401, "unauthenticated", "");
            } else {
                assert_eq!(answer.status, StatusCode::OK, "{place}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_described_as_public_holds_nothing_that_needs_an_operator() {
    let app = TestApp::start().await;
    let admin = operations(&description(&app, Listener::Admin).await);
    let public: BTreeSet<_> = operations(&description(&app, Listener::Public).await)
        .into_iter()
        .map(|(method, path, _)| (method.to_string(), path))
        .collect();
    for path in ["/v1/keys", "/v1/clients", "/v1/events", "/metrics"] {
        app.get(path)
            .send()
            .await
            .assert_problem(404, "not-found", "");
    }
    for (method, path, operation) in admin {
        if operation["security"].is_array() && path.contains("keys") {
            assert!(
                !public.contains(&(method.to_string(), path.clone())),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn an_unknown_url_and_a_wrong_method_are_problems_like_any_other() {
    let app = TestApp::start().await;
    for (listener, known, method, allowed) in [
        (Listener::Admin, "/v1/clients", Method::DELETE, "POST"),
        (Listener::Admin, "/metrics", Method::POST, "GET"),
        (Listener::Public, "/v1/runs", Method::GET, "POST"),
        (Listener::Public, "/v1/token", Method::DELETE, "GET"),
        (Listener::Public, "/.well-known/jwks", Method::POST, "GET"),
        (Listener::Public, "/healthz", Method::POST, "GET"),
    ] {
        let wrong: Answer = call(&app, listener, method, known).send().await;
        wrong.assert_problem(405, "method-not-allowed", "");
        assert!(
            wrong.header("allow").contains(allowed),
            "RFC 9110 section 15.5.6: {wrong:?}"
        );
        for unknown in [
            "/",
            "/v2/runs",
            "/v1/runs/",
            "/.well-known/jwks.json",
            "//v1/runs",
        ] {
            let answer = call(&app, listener, Method::GET, unknown).send().await;
            answer.assert_problem(404, "not-found", "");
        }
    }
}

#[tokio::test]
async fn a_sane_request_id_is_echoed_and_another_is_replaced() {
    let app = TestApp::start().await;
    for listener in LISTENERS {
        for path in ["/healthz", "/unknown"] {
            for id in ["job-17", "a_b.c:d", &"x".repeat(128)] {
                let call = call(&app, listener, Method::GET, path);
                let answer = call.header("x-request-id", id).send().await;
                assert_eq!(answer.header("x-request-id"), id);
            }
            for id in [
                "",
                "a b",
                "a\"b",
                "<script>",
                "a,b",
                "a/b",
                &"x".repeat(129),
            ] {
                let call = call(&app, listener, Method::GET, path);
                let answer = call.header("x-request-id", id).send().await;
                let made = answer.header("x-request-id");
                assert_eq!(
                    uuid::Uuid::parse_str(made).unwrap().to_string(),
                    made,
                    "{id}"
                );
            }
        }
    }
    let (one, two) = (
        app.get("/healthz").send().await,
        app.get("/healthz").send().await,
    );
    assert_ne!(one.header("x-request-id"), two.header("x-request-id"));
}

/// The value of a series, by its name and labels as they are written.
fn series(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn the_metrics_say_what_an_operator_must_know() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    app.token(&run).await;
    app.ask(&run, VAULT).await;
    app.admin(Method::POST, &format!("/v1/runs/{}/close", run.id))
        .send()
        .await;
    // The first is refused when it would be recorded, the second before it comes to that.
    app.ask(&run, AWS).await;
    app.ask(&run, AWS).await;
    app.pass(3_600);

    let answer = call(&app, Listener::Admin, Method::GET, "/metrics")
        .send()
        .await;
    assert_eq!(
        answer.status,
        StatusCode::OK,
        "scrapers have no admin token"
    );
    assert!(
        answer
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(answer.text.ends_with("# EOF\n"));
    let kid = &app.kids().await[0];
    assert!(!answer.text.contains("rmc_") && !answer.text.contains("rmr_"));
    let value = |name: &str| {
        series(&answer.text, name).unwrap_or_else(|| panic!("{name} is missing: {}", answer.text))
    };
    let period = 90.0 * 86_400.0;
    for (name, expected) in [
        (
            r#"runmint_tokens_total{algorithm="ES256",result="minted"}"#,
            2.0,
        ),
        (
            r#"runmint_tokens_total{algorithm="ES256",result="refused"}"#,
            1.0,
        ),
        (
            r#"runmint_tokens_total{algorithm="none",result="refused"}"#,
            1.0,
        ),
        ("runmint_tokens_faulty_total", 0.0),
        ("runmint_mint_duration_seconds_count", 3.0),
        (r#"runmint_key_age_seconds{version="1"}"#, 3_600.0),
        (
            &format!(
                r#"runmint_key_state{{version="1",kid="{kid}",algorithm="ES256",state="active"}}"#
            ),
            1.0,
        ),
        ("runmint_audit_batch_size_count", 3.0),
        (r#"runmint_store_errors_total{operation="record"}"#, 0.0),
        ("runmint_can_sign", 1.0),
        ("runmint_rotation_failures_total", 0.0),
        ("runmint_probe_last_success_timestamp_seconds", 0.0),
        (
            r#"runmint_http_responses_total{listener="admin",status="201"}"#,
            1.0,
        ),
    ] {
        assert!(
            (value(name) - expected).abs() < 0.5,
            "{name} is {}",
            value(name)
        );
    }
    let overdue_in = value("runmint_rotation_overdue_in_seconds");
    assert!(overdue_in >= period - 3_600.0, "{overdue_in}");
}

#[tokio::test]
async fn an_overdue_rotation_shows_in_readiness_and_metrics() {
    let app = TestApp::start().await;
    let ready = app.get("/readyz").send().await;
    assert_eq!(
        ready.json,
        json!({"status": "ready", "problems": [], "warnings": []})
    );
    app.pass(120 * 86_400);
    let ready = app.get("/readyz").send().await;
    assert_eq!(ready.status, StatusCode::OK, "it still signs");
    assert_eq!(ready.json["warnings"].as_array().unwrap().len(), 1);
    let metrics = app.admin(Method::GET, "/metrics").send().await.text;
    assert!(series(&metrics, "runmint_rotation_overdue_in_seconds").unwrap() < 0.0);
}
