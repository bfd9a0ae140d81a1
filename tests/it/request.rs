//! A runner asks with its run's request token, as GitHub's clients and Azure DevOps' do.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::harness::{AWS, OpenRun, TestApp, VAULT, claims, run_body, verify};

const AZURE: &str = "api://AzureADTokenExchange";

/// A run that may ask for these audiences.
async fn run_for(app: &TestApp, audiences: &[&str]) -> OpenRun {
    let name = format!("client-{}", uuid::Uuid::new_v4().simple());
    let grants = json!([{"organization": "acme", "audiences": ["*"]}]);
    let secret = app.client_with(&name, grants).await;
    let mut body = run_body("plan");
    body["audiences"] = json!(audiences);
    app.run_with(&secret, &body).await
}

#[tokio::test]
async fn githubs_clients_get_count_and_value() {
    let app = TestApp::start().await;
    let run = run_for(&app, &[AWS, AZURE]).await;
    assert!(
        run.url.contains('?'),
        "clients append `&audience=` and nothing else"
    );
    let path = format!("{}&audience=api%3A%2F%2FAzureADTokenExchange", run.url);
    let answer = app
        .get(&path)
        .bearer(&run.token)
        .header("accept", "application/json; api-version=2.0")
        .header("content-type", "application/x-www-form-urlencoded")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = answer.json["value"].as_str().unwrap();
    assert_eq!(answer.json, json!({"count": token.len(), "value": token}));
    let claims = verify(token, &app.jwks().await, AZURE, app.now()).unwrap();
    assert_eq!(claims["sub"], run.subject);
}

#[tokio::test]
async fn azure_devops_clients_get_their_member() {
    let app = TestApp::start().await;
    let run = run_for(&app, &[AWS, AZURE]).await;
    // As the azurerm provider writes it.
    let path = format!(
        "{}&api-version=7.1&serviceConnectionId=1&audience={AWS}",
        run.url
    );
    let answer = app
        .post(&path)
        .bearer(&run.token)
        .header("content-type", "application/json")
        .send()
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let token = answer.json["oidcToken"].as_str().unwrap();
    assert_eq!(answer.json, json!({"oidcToken": token}));
    verify(token, &app.jwks().await, AWS, app.now()).unwrap();
}

#[tokio::test]
async fn azure_identity_may_append_a_query_to_a_url_that_has_one() {
    let app = TestApp::start().await;
    let run = run_for(&app, &[AWS, AZURE]).await;
    let path = format!("{}?api-version=7.1&serviceConnectionId=2", run.url);
    let answer = app.post(&path).bearer(&run.token).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(
        claims(answer.json["oidcToken"].as_str().unwrap())["aud"],
        AZURE
    );
}

#[tokio::test]
async fn an_audience_that_is_not_named_is_the_only_one_or_azures() {
    let app = TestApp::start().await;
    for (audiences, github, azure) in [
        (&[AWS][..], Some(AWS), Some(AWS)),
        (&[AWS, VAULT], None, None),
        (&[AWS, AZURE], None, Some(AZURE)),
    ] {
        let run = run_for(&app, audiences).await;
        let get = app.get(&run.url).bearer(&run.token).send().await;
        let post = app.post(&run.url).bearer(&run.token).send().await;
        for (answer, member, expected) in [(get, "value", github), (post, "oidcToken", azure)] {
            if let Some(expected) = expected {
                let token = answer.json[member].as_str().unwrap();
                assert_eq!(claims(token)["aud"], expected);
            } else {
                answer.assert_problem(422, "invalid-field", "audience");
                let detail = answer.json["detail"].as_str().unwrap();
                assert!(
                    audiences.iter().all(|audience| detail.contains(audience)),
                    "{detail}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_scheme_is_taken_in_any_case() {
    let app = TestApp::start().await;
    let run = run_for(&app, &[AWS]).await;
    for scheme in ["bearer", "Bearer", "BEARER"] {
        let header = format!("{scheme} {}", run.token);
        let answer = app
            .get(&run.url)
            .header("authorization", &header)
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{scheme}");
    }
}

#[tokio::test]
async fn an_audience_that_the_run_was_not_opened_for_is_refused() {
    let app = TestApp::start().await;
    let run = run_for(&app, &[AWS]).await;
    for audience in [
        VAULT,
        "",
        "AWS.workload.identity",
        "aws.workload.identity%20",
        "*",
        "%C3%A4",
    ] {
        app.ask(&run, audience)
            .await
            .assert_problem(403, "not-allowed", "audience");
    }
    assert!(app.events("token.minted").await.is_empty());
}

#[tokio::test]
async fn a_query_that_contradicts_itself_or_holds_nul_is_refused() {
    let app = TestApp::start().await;
    let run = run_for(&app, &[AWS, VAULT]).await;
    for (query, field) in [
        (format!("&audience={AWS}&audience={VAULT}"), "audience"),
        (format!("?audience={AWS}&audience={VAULT}"), "audience"),
        ("&run=other".to_owned(), "run"),
        ("&audience=a%00b".to_owned(), "audience"),
    ] {
        let path = format!("{}{query}", run.url);
        let answer = app.get(&path).bearer(&run.token).send().await;
        answer.assert_problem(422, "invalid-field", field);
    }
    let twice = format!("{}&run={}&audience={AWS}&audience={AWS}", run.url, run.id);
    let answer = app.get(&twice).bearer(&run.token).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn a_request_token_works_for_its_own_run_only() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let (mine, other) = (
        app.run(&secret, "plan").await,
        app.run(&secret, "plan").await,
    );
    let never = uuid::Uuid::now_v7().to_string();
    for id in [other.id.as_str(), &never, "", "%00x"] {
        for method in [Method::GET, Method::POST] {
            let path = format!("/v1/token?run={id}&audience={AWS}");
            let answer = app.public(method, &path).bearer(&mine.token).send().await;
            assert!(answer.status.is_client_error(), "{id}: {answer:?}");
            assert_eq!(answer.json["field"], "run", "{id}: {answer:?}");
        }
    }
    let answer = app
        .ask(
            &OpenRun {
                url: other.url,
                ..mine.clone()
            },
            AWS,
        )
        .await;
    answer.assert_problem(403, "not-allowed", "run");
    let without = app
        .get(&format!("/v1/token?audience={AWS}"))
        .bearer(&mine.token)
        .send()
        .await;
    assert_eq!(
        without.status,
        StatusCode::OK,
        "the request token says whose run it is"
    );
    assert_eq!(app.events("token.minted").await[0]["run"], mine.id);
}

#[tokio::test]
async fn a_plan_token_cannot_get_an_apply_token() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let (plan, apply) = (
        app.run(&secret, "plan").await,
        app.run(&secret, "apply").await,
    );
    let stolen = OpenRun {
        url: apply.url.clone(),
        ..plan.clone()
    };
    app.ask(&stolen, AWS)
        .await
        .assert_problem(403, "not-allowed", "run");
    // What a runner says about itself does not matter.
    let path = format!(
        "{}&audience={AWS}&run_phase=apply&phase=apply&workspace=other&ttl=86400",
        plan.url
    );
    let answer = app.get(&path).bearer(&plan.token).send().await;
    let claims = claims(answer.json["value"].as_str().unwrap());
    assert_eq!(claims["sub"], plan.subject);
    assert_eq!(claims["terraform_run_phase"], "plan");
    assert_eq!(claims["exp"], app.now().0 + 3_600);
    // Nor does its token open anything else; it closes its own run alone.
    for path in ["/v1/runs", "/v1/tokens"] {
        let answer = app
            .post(path)
            .bearer(&plan.token)
            .json(&run_body("apply"))
            .send()
            .await;
        answer.assert_problem(401, "unauthenticated", "");
    }
    let close = format!("/v1/runs/{}/close", apply.id);
    let answer = app.post(&close).bearer(&plan.token).send().await;
    answer.assert_problem(404, "not-found", "");
    let admin = app
        .admin(Method::GET, "/v1/keys")
        .bearer(&plan.token)
        .send()
        .await;
    admin.assert_problem(401, "unauthenticated", "");
}

#[tokio::test]
async fn each_ask_mints_another_token() {
    let app = TestApp::start().await;
    let run = run_for(&app, &[AWS]).await;
    let (one, two) = (
        claims(&app.token(&run).await),
        claims(&app.token(&run).await),
    );
    assert_ne!(one["jti"], two["jti"]);
    assert_eq!(one["sub"], two["sub"]);
}
