//! A client opens a run; it, or the run itself by its request token, looks at it and closes it.

use axum::http::{Method, StatusCode};
use runmint::auth::secret::{Kind, Secret};
use serde_json::{Value, json};

use crate::harness::{ADMIN_TOKEN, AWS, Answer, ISSUER, TestApp, VAULT, claims, run_body};

/// The body of a run with one field set, or left out.
fn with(field: &str, value: impl Into<Option<Value>>) -> Value {
    let mut body = run_body("plan");
    match value.into() {
        Some(value) => body[field] = value,
        None => drop(body.as_object_mut().unwrap().remove(field)),
    }
    body
}

async fn open(app: &TestApp, secret: &str, body: &Value) -> Answer {
    app.post("/v1/runs").bearer(secret).json(body).send().await
}

async fn mint(app: &TestApp, secret: &str, body: &Value) -> Answer {
    app.post("/v1/tokens")
        .bearer(secret)
        .json(body)
        .send()
        .await
}

async fn close(app: &TestApp, secret: &str, id: &str) -> Answer {
    let path = format!("/v1/runs/{id}/close");
    app.post(&path).bearer(secret).send().await
}

async fn look(app: &TestApp, secret: &str, id: &str) -> Answer {
    app.get(&format!("/v1/runs/{id}"))
        .bearer(secret)
        .send()
        .await
}

#[tokio::test]
async fn an_opened_run_is_answered_with_all_that_its_runner_needs() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let body = with("run_id", json!("run-CKuwsxMGgMd3W7Ui"));
    let answer = open(&app, &secret, &body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("cache-control"), "no-store");
    let id = answer.json["id"].as_str().unwrap();
    let token = answer.json["request_token"].as_str().unwrap();
    assert!(token.starts_with("rmr_"));
    assert_eq!(
        answer.json,
        json!({
            "id": id,
            "run_id": "run-CKuwsxMGgMd3W7Ui",
            "subject": "organization:acme:project:Default Project:workspace:net-1:run_phase:plan",
            "request_url": format!("{ISSUER}/v1/token?run={id}"),
            "request_token": token,
            "expires_at": app.now().0 + 7_200,
            "warnings": [],
        })
    );
}

#[tokio::test]
async fn a_closed_run_mints_nothing_at_once_on_every_replica() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    assert_eq!(other.ask(&run, AWS).await.status, StatusCode::OK);

    let closed = close(&app, &secret, &run.id).await;
    assert_eq!(
        (closed.status, &closed.json["state"]),
        (StatusCode::OK, &json!("closed"))
    );
    for replica in [&app, &other] {
        replica
            .ask(&run, AWS)
            .await
            .assert_problem(403, "run-ended", "");
        assert_eq!(
            look(replica, &secret, &run.id).await.json["state"],
            "closed"
        );
    }
}

/// What a replica remembers of a run is which it is. That it has ended is found out when its token would be
/// recorded, and then it is remembered no more.
#[tokio::test]
async fn a_run_that_was_closed_elsewhere_costs_one_signature_more_and_no_token() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    assert_eq!(other.ask(&run, AWS).await.status, StatusCode::OK);
    assert_eq!(other.mint_attempts().await, 1);
    close(&app, &secret, &run.id).await;
    for _ in 0..3 {
        let refused = other.ask(&run, AWS).await;
        refused.assert_problem(403, "run-ended", "");
        assert_eq!(other.mint_attempts().await, 2);
    }
    let refusals = app.events("token.refused").await;
    assert_eq!(refusals.len(), 3);
    for refusal in refusals {
        assert_eq!(refusal["reason"], "the run is closed", "{refusal}");
    }
}

#[tokio::test]
async fn closing_twice_changes_nothing() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let first = close(&app, &secret, &run.id).await;
    app.pass(60);
    let second = close(&app, &secret, &run.id).await;
    assert_eq!(second.status, StatusCode::OK);
    assert_eq!(first.json, second.json);
    assert_eq!(app.events("run.closed").await.len(), 1);
}

#[tokio::test]
async fn a_run_sees_and_closes_itself_and_mints_nothing_afterwards() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let shown = look(&app, &run.token, &run.id).await;
    assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
    assert_eq!(shown.json, look(&app, &secret, &run.id).await.json);
    assert!(!shown.text.contains("rmr_"));
    // An id is the same one however it is written.
    let shouted = run.id.to_uppercase();
    for party in [&run.token, &secret] {
        assert_eq!(look(&app, party, &shouted).await.json, shown.json);
    }

    app.pass(60);
    let closed = close(&app, &run.token, &run.id).await;
    assert_eq!(
        (
            closed.status,
            &closed.json["state"],
            &closed.json["closed_at"]
        ),
        (StatusCode::OK, &json!("closed"), &json!(app.now().0))
    );
    for replica in [&app, &other] {
        replica
            .ask(&run, AWS)
            .await
            .assert_problem(403, "run-ended", "");
        for party in [&run.token, &secret] {
            assert_eq!(look(replica, party, &run.id).await.json, closed.json);
        }
    }
    // Again, by either of them, changes nothing.
    app.pass(60);
    for party in [&run.token, &secret] {
        assert_eq!(close(&app, party, &run.id).await.json, closed.json);
    }
    let events = app.events("run.closed").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["actor"], format!("run:{}", run.id));
    assert_eq!(events[0]["run"], run.id);
}

#[tokio::test]
async fn to_a_run_there_is_no_run_but_itself() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let plan = app.run(&secret, "plan").await;
    // Of the same workspace, and of another client.
    let theirs = app.client("jenkins").await;
    let others = [
        app.run(&secret, "apply").await,
        app.run(&theirs, "plan").await,
    ];
    let never = uuid::Uuid::now_v7().to_string();
    let unknown = look(&app, &plan.token, &never).await;
    for id in [&others[0].id, &others[1].id, &never, "1", "%00"] {
        for answer in [
            look(&app, &plan.token, id).await,
            close(&app, &plan.token, id).await,
        ] {
            answer.assert_problem(404, "not-found", "");
            assert_eq!(answer.json["detail"], unknown.json["detail"], "{id}");
        }
    }
    for run in &others {
        app.token(run).await;
    }
    assert!(app.events("run.closed").await.is_empty());
    // An ended run is no key to another one either.
    close(&app, &plan.token, &plan.id).await;
    close(&app, &plan.token, &others[0].id)
        .await
        .assert_problem(404, "not-found", "");
    app.token(&others[0]).await;
}

#[tokio::test]
async fn a_run_that_has_ended_still_sees_itself() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run_with(&secret, &with("expires_in", json!(600))).await;
    app.pass(600);
    let shown = look(&app, &run.token, &run.id).await;
    assert_eq!(shown.json["state"], "expired", "{shown:?}");
    assert_eq!(shown.json, look(&app, &secret, &run.id).await.json);
    let closed = close(&app, &run.token, &run.id).await;
    assert_eq!(closed.json["state"], "closed", "as by its client");

    // Its client is gone, and it was closed with it.
    let run = app.run(&secret, "plan").await;
    app.admin(Method::DELETE, "/v1/clients/atlantis")
        .send()
        .await;
    let shown = look(&app, &run.token, &run.id).await;
    assert_eq!(shown.json["state"], "closed", "{shown:?}");
}

#[tokio::test]
async fn only_a_run_s_client_and_its_own_request_token_are_let_in() {
    let app = TestApp::start().await;
    let run = app.run(&app.client("atlantis").await, "plan").await;
    // Well-formed and known to nobody; mistyped; of another kind; an attempt to be two kinds at once.
    let made_up = Secret::generate(Kind::Run).unwrap().expose().to_owned();
    let last = if run.token.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{last}", &run.token[..run.token.len() - 1]);
    let operator = Secret::generate(Kind::Admin).unwrap().expose().to_owned();
    let dotted = format!("{}.x.y", run.token);
    for (wrong, words) in [
        (made_up.as_str(), "request token is not known"),
        (&mistyped, "request token is mistyped"),
        (&dotted, "request token is not complete"),
        ("rmr_", "request token is not complete"),
        (&operator, "client secret is expected"),
        (ADMIN_TOKEN, "client secret is expected"),
    ] {
        for answer in [
            look(&app, wrong, &run.id).await,
            close(&app, wrong, &run.id).await,
        ] {
            answer.assert_problem(401, "unauthenticated", "");
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{answer:?}");
            assert!(
                !answer.text.contains(wrong) || wrong == "rmr_",
                "{answer:?}"
            );
        }
    }
    app.token(&run).await;
}

#[tokio::test]
async fn another_clients_run_is_as_unknown_as_one_that_never_was() {
    let app = TestApp::start().await;
    let run = app.run(&app.client("atlantis").await, "plan").await;
    let stranger = app.client("jenkins").await;
    let never = uuid::Uuid::now_v7().to_string();
    for id in [run.id.as_str(), &never, "1", "%00", "%FF", "..%2f"] {
        let looked = look(&app, &stranger, id).await;
        let closed = close(&app, &stranger, id).await;
        if id != "%FF" {
            looked.assert_problem(404, "not-found", "");
            closed.assert_problem(404, "not-found", "");
        }
        assert!(looked.status.is_client_error() && closed.status.is_client_error());
        assert_eq!(looked.header("content-type"), "application/problem+json");
    }
    let (theirs, nobodys) = (
        look(&app, &stranger, &run.id).await,
        look(&app, &stranger, &never).await,
    );
    assert_eq!(theirs.json["detail"], nobodys.json["detail"]);
    assert_eq!(
        app.ask(&run, AWS).await.status,
        StatusCode::OK,
        "it was not closed"
    );
}

#[tokio::test]
async fn a_run_is_shown_to_its_client_as_it_is() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run_with(&secret, &with("run_id", json!("run-1"))).await;
    let shown = look(&app, &secret, &run.id).await;
    let now = app.now().0;
    assert_eq!(
        shown.json,
        json!({
            "id": run.id, "run_id": "run-1", "subject": run.subject, "client": "atlantis",
            "run_phase": "plan", "audiences": [AWS, VAULT], "state": "open", "opened_at": now,
            "expires_at": now + 7_200, "closed_at": null,
        })
    );
    assert!(!shown.text.contains("rmr_"));
}

#[tokio::test]
async fn no_token_outlives_the_deadline_and_none_is_minted_after_it() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run_with(&secret, &with("expires_in", json!(600))).await;
    let deadline = app.now().0 + 600;
    assert_eq!(claims(&app.token(&run).await)["exp"], deadline);
    app.pass(599);
    assert_eq!(claims(&app.token(&run).await)["exp"], deadline);
    app.pass(1);
    app.ask(&run, AWS)
        .await
        .assert_problem(403, "run-ended", "");
    assert_eq!(look(&app, &secret, &run.id).await.json["state"], "expired");
}

#[tokio::test]
async fn a_deadline_that_was_not_asked_for_is_the_phases_longest_token() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let module_test = json!({"subject_form": "module_test", "organization": "acme",
        "module": "vpc", "audiences": [AWS]});
    for (body, seconds) in [
        (run_body("plan"), 7_200),
        (run_body("apply"), 86_400),
        (module_test, 1_800),
        (with("expires_in", json!(604_800)), 604_800),
    ] {
        let answer = open(&app, &secret, &body).await;
        assert_eq!(answer.json["expires_at"], app.now().0 + seconds);
    }
}

#[tokio::test]
async fn a_removed_clients_runs_are_dead_at_once() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let removed = app
        .admin(Method::DELETE, "/v1/clients/atlantis")
        .send()
        .await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    for replica in [&app, &other] {
        replica
            .ask(&run, AWS)
            .await
            .assert_problem(403, "run-ended", "");
        open(replica, &secret, &run_body("plan"))
            .await
            .assert_problem(401, "unauthenticated", "");
        mint(replica, &secret, &run_body("plan"))
            .await
            .assert_problem(401, "unauthenticated", "");
    }
    let again = app.client("atlantis").await;
    look(&app, &secret, &run.id)
        .await
        .assert_problem(401, "unauthenticated", "");
    assert_eq!(look(&app, &again, &run.id).await.json["state"], "closed");
}

#[tokio::test]
async fn open_runs_keep_what_they_were_opened_with() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let changed = app
        .admin(Method::PUT, "/v1/clients/atlantis")
        .json(&json!({"grants": [{"organization": "acme", "audiences": [VAULT]}]}))
        .send()
        .await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(app.ask(&run, AWS).await.status, StatusCode::OK);
    open(&app, &secret, &run_body("plan"))
        .await
        .assert_problem(403, "not-granted", "audiences");
}
