//! `runmint explain`

use axum::http::{Method, StatusCode};
use runmint::domain::time::Timestamp;
use serde_json::{Value, json};

use crate::harness::{AWS, Database, OpenRun, VAULT, run_body};
use crate::program::{Ran, Server, Setup, claims};

/// A server that signs at once, and a run of it.
async fn server() -> (Database, Server, OpenRun) {
    let database = Database::durable().await;
    let server = Setup::on(&database).at_its_issuer_url().serve().await;
    let secret = server.client("atlantis").await;
    let mut body = run_body("plan");
    body["run_id"] = "run-1".into();
    body["audiences"] = json!([AWS]);
    let run = server.open_with(&secret, &body).await;
    (database, server, run)
}

/// A token of the run; its claims.
async fn mint(server: &Server, run: &OpenRun) -> Value {
    let answer = server.answer(server.ask(run)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    claims(answer.json["value"].as_str().unwrap())
}

async fn explain(server: &Server, arguments: &[&str]) -> Ran {
    server
        .cli(&[&["explain", "--format", "json"], arguments].concat())
        .await
}

/// The ids of the findings; the exit status says whether one is an error.
#[track_caller]
fn found(ran: &Ran) -> (String, Value) {
    let report: Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("no JSON: {ran:?}"));
    let clear = report["clear"].as_bool().unwrap();
    assert_eq!(ran.status, i32::from(!clear), "{ran:?}");
    let findings = report["findings"].as_array().unwrap();
    let ids: Vec<_> = findings
        .iter()
        .map(|finding| finding["id"].as_str().unwrap())
        .collect();
    (ids.join(" "), report["facts"].clone())
}

#[tokio::test]
async fn a_token_is_told_until_its_key_is_withdrawn() {
    let (_database, server, run) = server().await;
    let token = mint(&server, &run).await;
    let jti = token["jti"].as_str().unwrap();
    let (ids, facts) = found(&explain(&server, &["--jti", jti]).await);
    assert_eq!(ids, "");
    assert_eq!(facts["subject"], token["sub"]);
    assert_eq!(facts["audience"], AWS);
    assert_eq!(facts["run"], run.id);
    assert_eq!(facts["run id"], "run-1");
    assert_eq!(facts["client"], "atlantis");
    assert_eq!(facts["asked for by"], format!("run:{}", run.id));
    let expires = Timestamp(token["exp"].as_i64().unwrap()).to_string();
    assert!(
        facts["valid until"].as_str().unwrap().starts_with(&expires),
        "{facts}"
    );
    let kid = &server.kids().await[0];
    let key = format!("version 1 (`{kid}`, ES256), active, published");
    assert_eq!(facts["key"], key);
    assert!(facts["request"].is_string());

    let text = server.cli(&["explain", "--jti", jti]).await;
    assert!(text.done().ends_with("all clear\n"), "{text:?}");

    server.cli(&["keys", "rotate", "--emergency"]).await.done();
    let ran = explain(&server, &["--jti", jti]).await;
    let (ids, facts) = found(&ran);
    assert_eq!(ids, "explain-key-gone");
    assert!(
        facts["key"]
            .as_str()
            .unwrap()
            .contains("revoked, not published since 20"),
        "{facts}"
    );
    let (ids, _) = found(&explain(&server, &["--run", "run-1"]).await);
    assert_eq!(ids, "explain-key-gone");
}

#[tokio::test]
async fn a_run_is_told_by_either_id_with_what_it_was_refused_and_when_it_was_closed() {
    let (_database, server, run) = server().await;
    let (ids, _) = found(&explain(&server, &["--run", &run.id]).await);
    assert_eq!(ids, "explain-nothing-minted");

    let wrong = server.get(&format!("{}&audience={VAULT}", run.url));
    let answer = server.answer(wrong.bearer_auth(&run.token)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    let token = mint(&server, &run).await;
    for id in [run.id.as_str(), "run-1"] {
        let ran = explain(&server, &["--run", id]).await;
        let (ids, facts) = found(&ran);
        assert_eq!(ids, "explain-refused");
        for words in [VAULT, "the run was not opened for this audience"] {
            assert!(ran.stdout.contains(words), "{ran:?}");
        }
        let minted = facts["token 1"].as_str().unwrap();
        assert!(
            minted.starts_with(token["jti"].as_str().unwrap()),
            "{facts}"
        );
    }

    server.cli(&["runs", "close", &run.id]).await.done();
    let ran = explain(&server, &["--run", "run-1"]).await;
    let (ids, facts) = found(&ran);
    assert_eq!(ids, "explain-run-ended explain-refused");
    assert!(ran.stdout.contains(" by operator:admin"), "{ran:?}");
    assert_eq!(facts["run's state"], "closed");
    let ran = explain(&server, &["--jti", token["jti"].as_str().unwrap()]).await;
    assert_eq!(found(&ran).0, "explain-run-ended");
}

#[tokio::test]
async fn what_nobody_minted_here_is_an_alarm() {
    let (_database, server, _run) = server().await;
    let ran = explain(&server, &["--jti", "11111111-2222-4333-8444-555555555555"]).await;
    assert_eq!(found(&ran).0, "explain-unknown-token");
    let ran = explain(&server, &["--run", "run-9"]).await;
    assert_eq!(found(&ran).0, "explain-unknown-run");
}

/// What `CloudTrail` has of a call with this token, cut down.
fn event(token: &Value, session: &str) -> Value {
    let (subject, audience) = (
        token["sub"].as_str().unwrap(),
        token["aud"].as_str().unwrap(),
    );
    let (_, issuer) = token["iss"].as_str().unwrap().split_once("://").unwrap();
    let provider = format!("arn:aws:iam::111122223333:oidc-provider/{issuer}");
    json!({
        "userIdentity": {
            "type": "WebIdentityUser",
            "principalId": format!("{provider}:{audience}:{subject}"),
            "userName": subject,
            "identityProvider": provider,
        },
        "eventTime": Timestamp(token["iat"].as_i64().unwrap() + 2).to_string(),
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRoleWithWebIdentity",
        "awsRegion": "eu-west-1",
        "requestParameters": {
            "roleArn": "arn:aws:iam::111122223333:role/ci",
            "roleSessionName": session,
        },
        "responseElements": {
            "subjectFromWebIdentityToken": subject,
            "provider": provider,
            "audience": audience,
        },
    })
}

#[tokio::test]
async fn a_call_in_cloudtrail_leads_to_the_token_that_was_shown() {
    let (database, server, run) = server().await;
    let token = mint(&server, &run).await;
    let path = database.dir().join("event.json");
    let file = path.display().to_string();
    let write = |value: &Value| std::fs::write(&path, value.to_string()).unwrap();

    let mut shown = event(&token, "terraform-run-1");
    write(&shown);
    let (ids, facts) = found(&explain(&server, &["--cloudtrail", &file]).await);
    assert_eq!(ids, "");
    assert_eq!(facts["token"], token["jti"]);
    assert!(
        facts["match"].as_str().unwrap().starts_with("certain"),
        "{facts}"
    );
    assert_eq!(facts["client"], "atlantis");

    write(&json!({"Events": [
        {"CloudTrailEvent": shown.to_string()},
        {"CloudTrailEvent": event(&token, "terraform-run-7").to_string()},
    ]}));
    let (ids, facts) = found(&explain(&server, &["--cloudtrail", &file]).await);
    assert_eq!(ids, "explain-other-run");
    assert_eq!(facts["call 1: token"], token["jti"]);
    assert_eq!(facts["call 2: session"], "terraform-run-7");

    // A token with a subject that this issuer never wrote: somebody else has a key, or the record.
    let mut forged = token.clone();
    forged["sub"] = "organization:acme:project:p:workspace:prod:run_phase:apply".into();
    write(&json!({"Records": [event(&forged, "terraform-run-1")]}));
    let (ids, _) = found(&explain(&server, &["--cloudtrail", &file]).await);
    assert_eq!(ids, "explain-unknown-token");

    shown["errorCode"] = "AccessDenied".into();
    shown["errorMessage"] = "Not authorized to perform sts:AssumeRoleWithWebIdentity".into();
    shown["responseElements"] = Value::Null;
    write(&shown);
    let ran = explain(&server, &["--cloudtrail", &file]).await;
    assert_eq!(found(&ran).0, "explain-call-failed");

    write(&event(&token, "terraform-run-1"));
    let elsewhere = ["--cloudtrail", &file, "--issuer", "https://ci.example.com"];
    let ran = explain(&server, &elsewhere).await;
    assert_eq!(found(&ran).0, "explain-other-issuer");
}

#[tokio::test]
async fn what_cannot_be_asked_is_wrong_usage() {
    let (database, server, _run) = server().await;
    let neither = server.cli(&["explain"]).await;
    neither.refused(2, &["--jti", "--run", "--cloudtrail"]);
    let both = server.cli(&["explain", "--jti", "a", "--run", "b"]).await;
    both.refused(2, &["cannot be used with"]);
    let path = database.dir().join("x.json");
    let file = path.display().to_string();
    std::fs::write(&path, r#"{"a": 1}"#).unwrap();
    let ran = server
        .cli(&["explain", "--jti", "a", "--policy", &file])
        .await;
    ran.refused(2, &["`--policy`: it is not known whose policy"]);
    let ran = server.cli(&["explain", "--cloudtrail", &file]).await;
    ran.refused(2, &["`--cloudtrail`: it has no event"]);
    let ran = server
        .cli(&["explain", "--cloudtrail", "/no/such/file"])
        .await;
    ran.refused(3, &["`--cloudtrail`: /no/such/file: No such file"]);
}

#[tokio::test]
async fn a_token_that_a_client_asked_for_directly_has_no_run() {
    let (_database, server, _run) = server().await;
    let secret = server.client("jenkins").await;
    let mut body = run_body("apply");
    body["audiences"] = json!([AWS]);
    let request = server.post("/v1/tokens").bearer_auth(&secret).json(&body);
    let answer = server.answer(request).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let token = claims(answer.json["tokens"][0]["token"].as_str().unwrap());
    let (ids, facts) = found(&explain(&server, &["--jti", token["jti"].as_str().unwrap()]).await);
    assert_eq!(ids, "");
    assert_eq!(facts["asked for by"], "client:jenkins");
    assert!(facts["run"].is_null(), "{facts}");
    // A removed client leaves its records.
    let remove = server.admin(Method::DELETE, "/v1/clients/jenkins");
    assert!(server.answer(remove).await.status.is_success());
    let ran = explain(&server, &["--jti", token["jti"].as_str().unwrap()]).await;
    assert_eq!(found(&ran).0, "");
}
