//! What an operator can do about the keys.

use axum::http::{Method, StatusCode};
use runmint::domain::key::{Step, Version};
use serde_json::{Value, json};

use super::{DAY, HOUR, Issuer, MINUTE, states};
use crate::harness::{AWS, TestApp};

#[tokio::test]
async fn rotate_says_when_it_will_be_and_then_it_happens_by_itself() {
    let issuer = Issuer::start().await;
    let rotate = async || issuer.done("/v1/keys/rotate", json!({})).await;
    let scheduled = json!({"result": "scheduled", "version": 2, "after_seen": DAY});
    assert_eq!(rotate().await, scheduled, "nobody has seen it");
    // Asking again looks again, and now it is there.
    let ready_at = issuer.app.now().0 + DAY;
    let scheduled = json!({
        "result": "scheduled", "version": 2, "after_seen": DAY, "ready_at": ready_at,
    });
    assert_eq!(rotate().await, scheduled);
    assert_eq!(
        rotate().await,
        scheduled,
        "asking once more changes nothing"
    );
    assert_eq!(issuer.keys().await[1]["ready_at"], ready_at);

    issuer.app.pass(DAY - 1);
    assert_eq!(issuer.round().await, []);
    issuer.app.pass(1);
    let swap = [Step::Deactivate(Version(1)), Step::Activate(Version(2))];
    assert_eq!(issuer.round().await, swap);
}

#[tokio::test]
async fn rotate_promotes_a_key_that_is_ready() {
    let issuer = Issuer::start().await;
    // Staged a day and two checks ahead, so it is ready a little before it is due.
    issuer.app.pass(89 * DAY - 2 * MINUTE);
    issuer.round().await;
    issuer.round().await;
    issuer.app.pass(DAY);
    assert_eq!(issuer.round().await, [], "it is not due");
    let rotated = issuer.done("/v1/keys/rotate", json!({})).await;
    assert_eq!(rotated, json!({"result": "rotated", "version": 2}));
    assert_eq!(
        issuer.states().await,
        states(&[(1, "retiring"), (2, "active")])
    );
}

#[tokio::test]
async fn an_emergency_replaces_the_key_at_once_and_reports_what_is_exposed() {
    let issuer = Issuer::start().await;
    issuer.done("/v1/keys/rotate", json!({})).await;
    let run = issuer.run("plan").await;
    let leaked = [
        issuer.app.token(&run).await,
        issuer.app.token(&run).await,
        issuer.token(6 * HOUR).await,
    ];
    let before = issuer.app.kids().await;
    let report = issuer
        .done("/v1/keys/rotate", json!({"emergency": true}))
        .await;

    assert_eq!(report["result"], "replaced");
    assert_eq!(report["active"], 3);
    assert_eq!(
        issuer.states().await,
        states(&[(1, "revoked"), (2, "revoked"), (3, "active")])
    );
    let after = issuer.app.kids().await;
    assert!(after.iter().all(|kid| !before.contains(kid)), "{after:?}");
    for token in &leaked {
        issuer.verify(token).await.unwrap_err();
    }
    let fresh = issuer.token(HOUR).await;
    issuer.verify(&fresh).await.unwrap();

    let versions: Vec<_> = report["revoked"].as_array().unwrap().iter().collect();
    assert_eq!([&versions[0]["version"], &versions[1]["version"]], [1, 2]);
    assert_eq!(versions[1]["live_tokens"], json!([]), "it never signed");
    let tokens = versions[0]["live_tokens"].as_array().unwrap();
    let now = issuer.app.now().0;
    assert_eq!(tokens.len(), 2, "{report}");
    assert_eq!(tokens[0]["run_id"], "run-CKuwsxMGgMd3W7Ui");
    assert_eq!(tokens[0]["tokens"], 1);
    assert_eq!(tokens[0]["expires_at"], now + 6 * HOUR);
    assert_eq!(tokens[1]["subject"], run.subject);
    assert_eq!(tokens[1]["audience"], AWS);
    assert_eq!(tokens[1]["tokens"], 2);
    assert_eq!(tokens[1]["expires_at"], now + HOUR);

    let parties = report["relying_parties"].as_array().unwrap();
    for name in ["AWS", "Azure", "GCP", "Vault", "Kubernetes"] {
        let party = parties.iter().find(|party| party["name"] == name);
        let party = party.unwrap_or_else(|| panic!("{name} is missing: {report}"));
        assert!(!party["action"].as_str().unwrap().is_empty());
    }
    // Those that keep to what Cache-Control says have looked again by then.
    let others = parties.last().unwrap();
    assert_eq!(others["trusts_until"], now + 330);
}

#[tokio::test]
async fn dead_tokens_are_not_reported() {
    let issuer = Issuer::start().await;
    issuer.token(HOUR).await;
    issuer.token(2 * HOUR).await;
    issuer.app.pass(HOUR);
    let report = issuer
        .done("/v1/keys/rotate", json!({"emergency": true}))
        .await;
    let tokens = &report["revoked"][0]["live_tokens"];
    assert_eq!(tokens.as_array().unwrap().len(), 1, "{report}");
    assert_eq!(tokens[0]["tokens"], 1, "{report}");
}

#[tokio::test]
async fn a_version_of_each_state_is_revoked_or_refused() {
    let issuer = Issuer::start().await;
    issuer.rotate_by_schedule(90 * DAY, DAY).await;
    issuer.done("/v1/keys/rotate", json!({})).await;
    let revoke = async |version: &str| {
        let path = format!("/v1/keys/{version}/revoke");
        issuer.post(&path, json!({})).await
    };
    let all = [(1, "retiring"), (2, "active"), (3, "staged")];
    assert_eq!(issuer.states().await, states(&all));

    // Retiring and staged leave; what signs goes on.
    let answer = revoke("1").await;
    assert_eq!(answer.json["active"], 2, "{answer:?}");
    let answer = revoke("3").await;
    assert_eq!(answer.json["active"], 2, "{answer:?}");
    let left = [(1, "revoked"), (2, "active"), (3, "revoked")];
    assert_eq!(issuer.states().await, states(&left));
    assert_eq!(issuer.app.kids().await.len(), 1);

    // What signs is replaced.
    let answer = revoke("2").await;
    assert_eq!(answer.json["active"], 4, "{answer:?}");
    let token = issuer.token(HOUR).await;
    issuer.verify(&token).await.unwrap();

    for gone in ["1", "2", "3", "99", "x"] {
        let answer = revoke(gone).await;
        assert!(answer.status.is_client_error(), "{gone}: {answer:?}");
    }
    assert_eq!(issuer.states().await.len(), 4);
}

#[tokio::test]
async fn trim_removes_what_is_safe_and_hastens_the_rest() {
    let issuer = Issuer::start().await;
    issuer.app.pass(89 * DAY);
    issuer.round().await;
    issuer.round().await;
    issuer.app.pass(DAY);
    let token = issuer.token(2 * HOUR).await;
    issuer.round().await;
    let trimmed = issuer.done("/v1/keys/trim", json!({})).await;
    // Its last token, rounded up, and then the caches and ten minutes.
    let until = issuer.keys().await[0]["tokens_until"].as_i64().unwrap();
    assert!(until >= issuer.app.now().0 + 2 * HOUR);
    let retires_at = until + 330 + 10 * MINUTE;
    assert_eq!(
        trimmed,
        json!({
            "retired": [], "broken": [],
            "waiting": [{"version": 1, "retires_at": retires_at}],
        })
    );
    issuer.app.pass(2 * HOUR);
    assert_eq!(issuer.round().await, []);
    issuer.verify(&token).await.unwrap();
    issuer.app.pass(retires_at - issuer.app.now().0);
    assert_eq!(issuer.round().await, [Step::Retire(Version(1))]);
    let trimmed = issuer.done("/v1/keys/trim", json!({})).await;
    let nothing = json!({"retired": [], "waiting": [], "broken": []});
    assert_eq!(trimmed, nothing);
}

#[tokio::test]
async fn trim_removes_at_once_what_no_living_token_needs() {
    let issuer = Issuer::start().await;
    issuer.rotate_by_schedule(90 * DAY, DAY).await;
    issuer.app.pass(HOUR);
    let trimmed = issuer.done("/v1/keys/trim", json!({})).await;
    assert_eq!(trimmed["retired"], json!([1]));
    assert_eq!(issuer.app.kids().await.len(), 1);
}

#[tokio::test]
async fn a_forced_trim_says_what_it_breaks() {
    let issuer = Issuer::start().await;
    issuer.app.pass(89 * DAY);
    issuer.round().await;
    issuer.round().await;
    issuer.app.pass(DAY);
    let token = issuer.token(2 * HOUR).await;
    issuer.round().await;
    let trimmed = issuer.done("/v1/keys/trim", json!({"force": true})).await;
    assert_eq!(trimmed["retired"], json!([1]));
    assert_eq!(trimmed["broken"][0]["version"], 1);
    let broken = &trimmed["broken"][0]["live_tokens"][0];
    assert_eq!(broken["run_id"], "run-CKuwsxMGgMd3W7Ui", "{trimmed}");
    issuer.verify(&token).await.unwrap_err();
}

#[tokio::test]
async fn the_calls_of_terraform_enterprise_answer_204_and_do_it() {
    let issuer = Issuer::start().await;
    let call = async |action: &str| {
        let path = format!("/api/v2/admin/oidc-settings/actions/{action}");
        let answer = issuer.app.admin(Method::POST, &path).send().await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
        assert_eq!(answer.text, "");
        issuer.publish().await;
    };
    call("rotate-key").await;
    issuer.round().await;
    issuer.app.pass(DAY);
    // It is ready, so the call itself promotes it.
    call("rotate-key").await;
    let rotated = [(1, "retiring"), (2, "active")];
    assert_eq!(issuer.states().await, states(&rotated));
    issuer.app.pass(HOUR);
    call("trim-key").await;
    let trimmed = [(1, "retired"), (2, "active")];
    assert_eq!(issuer.states().await, states(&trimmed));
}

#[tokio::test]
async fn each_change_of_a_key_is_in_the_audit_log_with_who_did_it() {
    let issuer = Issuer::start().await;
    issuer.rotate_by_schedule(90 * DAY, DAY).await;
    issuer
        .done("/v1/keys/rotate", json!({"emergency": true}))
        .await;
    let actors = async |kind: &str| -> Vec<Value> {
        let events = issuer.app.events(kind).await;
        events.iter().map(|event| event["actor"].clone()).collect()
    };
    let (operator, schedule) = ("operator:admin", "schedule");
    assert_eq!(actors("key.staged").await, [operator, schedule, schedule]);
    assert_eq!(actors("key.seen").await, [schedule]);
    assert_eq!(
        actors("key.activated").await,
        [operator, schedule, schedule]
    );
    assert_eq!(actors("key.deactivated").await, [schedule]);
    assert_eq!(actors("key.revoked").await, [operator]);
}

#[tokio::test]
async fn a_change_reaches_another_replica_when_it_looks() {
    let one = TestApp::with(&[("ROTATION__PROBE_URL", "http://127.0.0.1:1/")]).await;
    let other = one.replica().await;
    let call = one.admin(Method::POST, "/v1/keys/rotate");
    call.json(&json!({"emergency": true})).send().await;
    assert_ne!(one.kids().await, other.kids().await);
    let changed = other.app.keyring.refresh(other.now()).await;
    assert!(changed.unwrap());
    assert_eq!(one.kids().await, other.kids().await);
    assert!(!other.app.keyring.refresh(other.now()).await.unwrap());
}
