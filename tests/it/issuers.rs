//! Trusted issuers on the admin listener.

use axum::http::{Method, StatusCode};
use runmint::store::Store;
use serde_json::{Value, json};

use crate::foreign::{KUBERNETES, Key, kubernetes, kubernetes_claims};
use crate::harness::{AWS, ISSUER, TestApp};

#[tokio::test]
async fn an_issuer_is_added_shown_changed_and_removed() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    let definition = kubernetes(&[&key]);
    app.trust("k8s", &definition).await;
    let shown = app.admin(Method::GET, "/v1/issuers/k8s").send().await;
    assert_eq!(shown.json["definition"]["issuer"], KUBERNETES);
    assert_eq!(
        shown.json["definition"]["algorithms"],
        json!(["RS256", "ES256"])
    );
    assert_eq!(shown.json["created_at"], app.now().0);
    let all = app.admin(Method::GET, "/v1/issuers").send().await;
    assert_eq!(all.json, json!([shown.json]));

    let add = |name: &str, definition: &Value| {
        let body = json!({"name": name, "definition": definition});
        app.admin(Method::POST, "/v1/issuers").json(&body).send()
    };
    add("k8s", &kubernetes(&[&key]))
        .await
        .assert_problem(409, "conflict", "");
    add("same-iss", &kubernetes(&[&key]))
        .await
        .assert_problem(409, "conflict", "");
    let mut other = definition.clone();
    other["issuer"] = json!("https://other.example.com");
    assert_eq!(add("other", &other).await.status, StatusCode::CREATED);
    let put = app
        .admin(Method::PUT, "/v1/issuers/other")
        .json(&definition)
        .send()
        .await;
    put.assert_problem(409, "conflict", "");
    app.admin(Method::PUT, "/v1/issuers/nobody")
        .json(&other)
        .send()
        .await
        .assert_problem(409, "conflict", "");
    other["issuer"] = json!("https://third.example.com");
    app.admin(Method::PUT, "/v1/issuers/nobody")
        .json(&other)
        .send()
        .await
        .assert_problem(404, "not-found", "");
    app.admin(Method::GET, "/v1/issuers/a%20b")
        .send()
        .await
        .assert_problem(404, "not-found", "");
    let removed = app.admin(Method::DELETE, "/v1/issuers/other").send().await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    app.admin(Method::DELETE, "/v1/issuers/other")
        .send()
        .await
        .assert_problem(404, "not-found", "");
    let kinds = ["issuer.added", "issuer.updated", "issuer.removed"];
    let mut counts = Vec::new();
    for kind in kinds {
        counts.push(app.events(kind).await.len());
    }
    assert_eq!(counts, [2, 0, 1]);
}

#[tokio::test]
async fn one_that_cannot_be_read_does_not_take_others_with_it() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    let mut other = kubernetes(&[&key]);
    other["issuer"] = json!("https://other.example.com");
    app.trust("other", &other).await;
    let spoil =
        "UPDATE trusted_issuer SET definition = '{\"of\": \"tomorrow\"}' WHERE name = 'other'";
    match &app.app.store {
        Store::Sqlite { write: pool, .. } => {
            sqlx::query(spoil).execute(pool).await.map(drop).unwrap();
        }
        Store::Postgres { pool, .. } => sqlx::query(spoil).execute(pool).await.map(drop).unwrap(),
    }
    // A replica starts, and the other issuer's tokens are accepted.
    let replica = app.replica().await;
    let token = key.token(&kubernetes_claims("one"));
    let exchanged = replica.exchange(&token, &[AWS]).await;
    assert_eq!(exchanged.status, StatusCode::OK, "{exchanged:?}");
    let mut claims = kubernetes_claims("two");
    claims["iss"] = json!("https://other.example.com");
    let refused = replica.exchange(&key.token(&claims), &[AWS]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
    let listed = replica.admin(Method::GET, "/v1/issuers").send().await;
    assert_eq!(listed.json.as_array().unwrap().len(), 1, "{listed:?}");
    // It can be removed as any other.
    let removed = replica.admin(Method::DELETE, "/v1/issuers/other");
    assert_eq!(removed.send().await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn a_definition_that_is_wrong_is_refused_at_its_place() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    let good = kubernetes(&[&key]);
    let changed = |pointer: &str, value: Value| {
        let mut definition = good.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        definition.pointer_mut(parent).unwrap()[member] = value;
        definition
    };
    let mut private = key.jwk();
    private["d"] = json!("AAAA");
    for (definition, field) in [
        (
            changed("/issuer", json!("ci.example.com")),
            "definition.issuer",
        ),
        (
            changed("/issuer", json!("http://ci.example.com")),
            "definition.issuer",
        ),
        (
            changed("/issuer", json!("https://user@ci.example.com")),
            "definition.issuer",
        ),
        (
            changed("/issuer", json!("https://ci.example.com?x")),
            "definition.issuer",
        ),
        (changed("/issuer", json!("https://")), "definition.issuer"),
        (
            changed("/discovery_url", json!("https://x.example.com/d")),
            "definition.discovery_url",
        ),
        (
            changed("/ca_certificates", json!("x")),
            "definition.ca_certificates",
        ),
        (
            changed("/jwks", json!({"keys": [private]})),
            "definition.jwks",
        ),
        (changed("/jwks", json!({"keys": []})), "definition.jwks"),
        (changed("/jwks", json!([])), "definition.jwks"),
        (changed("/audiences", json!([])), "definition.audiences"),
        (
            changed("/audiences", json!([""])),
            "definition.audiences[0]",
        ),
        (changed("/algorithms", json!([])), "definition.algorithms"),
        (
            changed("/algorithms", json!(["HS256"])),
            "definition.algorithms[0]",
        ),
        (
            changed("/algorithms", json!(["none"])),
            "definition.algorithms[0]",
        ),
        (
            changed("/max_token_age", json!(0)),
            "definition.max_token_age",
        ),
        (changed("/rules", json!([])), "definition.rules"),
        (
            changed("/rules/0/name", json!("a b")),
            "definition.rules[0].name",
        ),
        (
            changed("/rules/0/client", json!("'x'")),
            "definition.rules[0].client",
        ),
        (
            changed("/rules/0/workload", Value::Null),
            "definition.rules[0].workload",
        ),
        (
            changed("/rules/0/grants", json!([])),
            "definition.rules[0].grants",
        ),
        (
            changed("/rules/0/grants/0/audiences", json!([])),
            "definition.rules[0].grants[0].audiences",
        ),
        (
            changed("/rules/0/conditions/1/expression", json!("claims.x ==")),
            "definition.rules[0].conditions[1].expression",
        ),
        (
            changed("/rules/0/conditions/0/expression", json!("claims.sub")),
            "",
        ),
        (
            changed("/rules/0/conditions/0/expression", json!("'text'")),
            "definition.rules[0].conditions[0].expression",
        ),
        (
            changed("/rules/0/workload/run_phase", json!("phase")),
            "definition.rules[0].workload.run_phase",
        ),
        (
            changed("/rules/0/workload/workspce", json!("'x'")),
            "definition.rules[0].workload.workspce",
        ),
        (changed("/extra", json!(1)), "definition.extra"),
    ] {
        let body = json!({"name": "k8s", "definition": definition});
        let answer = app
            .admin(Method::POST, "/v1/issuers")
            .json(&body)
            .send()
            .await;
        if field.is_empty() {
            assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
            app.admin(Method::DELETE, "/v1/issuers/k8s").send().await;
        } else {
            answer.assert_problem(422, "invalid-field", field);
        }
    }
    // Fetched keys are everybody's who has a token of that issuer.
    let mut open = good.clone();
    open.as_object_mut().unwrap().remove("jwks");
    open["rules"][0]["conditions"] = json!([]);
    let mut ours = good.clone();
    ours["issuer"] = json!(ISSUER);
    for (definition, field) in [
        (open, "definition.rules[0].conditions"),
        (ours, "definition.issuer"),
    ] {
        let body = json!({"name": "k8s", "definition": definition});
        let answer = app
            .admin(Method::POST, "/v1/issuers")
            .json(&body)
            .send()
            .await;
        answer.assert_problem(422, "invalid-field", field);
    }
    let body = json!({"name": "test", "definition": good});
    app.admin(Method::POST, "/v1/issuers")
        .json(&body)
        .send()
        .await
        .assert_problem(422, "invalid-field", "name");
}

#[tokio::test]
async fn a_test_shows_what_a_token_would_become_and_takes_nothing() {
    let key = Key::ec("k");
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    let test = |token: String, definition: Option<Value>| {
        let body = json!({"token": token, "definition": definition});
        app.admin(Method::POST, "/v1/issuers/test")
            .json(&body)
            .send()
    };
    let token = key.token(&kubernetes_claims("j"));
    let shown = test(token.clone(), None).await;
    assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
    assert_eq!(shown.json["accepted"], true, "{shown:?}");
    assert_eq!(shown.json["issuer"], "k8s");
    assert_eq!(shown.json["rule"], "runners");
    assert_eq!(
        shown.json["subject"],
        "organization:acme:project:Default Project:workspace:net-1:run_phase:plan"
    );
    assert_eq!(shown.json["rules"][0]["conditions"][0]["holds"], true);
    assert_eq!(app.exchange(&token, &[AWS]).await.status, StatusCode::OK);
    let again = test(token, None).await;
    assert_eq!(again.json["accepted"], false);
    let last = again.json["checks"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    assert!(
        last["failure"].as_str().unwrap().contains("taken before"),
        "{last}"
    );

    let mut claims = kubernetes_claims("j2");
    claims["kubernetes.io"]["namespace"] = json!("prod");
    claims["kubernetes.io"]["serviceaccount"] = json!({});
    let denied = test(key.token(&claims), None).await;
    let rule = &denied.json["rules"][0];
    assert_eq!(rule["conditions"][0]["holds"], false);
    assert_eq!(rule["conditions"][1]["holds"], Value::Null);
    assert!(
        rule["conditions"][1]["error"]
            .as_str()
            .unwrap()
            .contains("name")
    );
    assert!(
        rule["denial"]
            .as_str()
            .unwrap()
            .contains("another namespace")
    );

    // A slash too many is found out.
    let mut claims = kubernetes_claims("j3");
    claims["iss"] = json!(format!("{KUBERNETES}/"));
    let wrong = test(key.token(&claims), None).await;
    assert!(
        wrong.json["checks"][1]["failure"]
            .as_str()
            .unwrap()
            .contains("differs from it by a slash")
    );

    // A draft is tried before it is saved; a broken one is refused as when it is saved.
    let mut draft = kubernetes(&[&key]);
    draft["rules"][0]["workload"]["workspace"] = json!("claims.sub");
    let drafted = test(key.token(&kubernetes_claims("j4")), Some(draft.clone())).await;
    assert!(
        drafted.json["rules"][0]["denial"]
            .as_str()
            .unwrap()
            .contains("workspace"),
        "{drafted:?}"
    );
    draft["rules"][0]["workload"]["workspace"] = json!("5");
    let broken = test(key.token(&kubernetes_claims("j4")), Some(draft)).await;
    broken.assert_problem(
        422,
        "invalid-field",
        "definition.rules[0].workload.workspace",
    );
}
