//! The admin listener.

use axum::http::{Method, StatusCode};

use crate::harness::{AWS, TestApp, verify};

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
    let answer = app
        .admin(Method::GET, "/v1/keys")
        .bearer("guess")
        .send()
        .await;
    answer.assert_problem(401, "unauthenticated", "");
    let answer = app.admin(Method::GET, "/v1/keys").send().await;
    assert_eq!(answer.status, StatusCode::OK);
}
