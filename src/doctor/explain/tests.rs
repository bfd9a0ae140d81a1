//! What is said about tokens, runs and calls.

use serde_json::{Value, json};

use super::*;
use crate::policy::Presented;

const NOW: Timestamp = Timestamp(1_795_400_000);
const SUBJECT: &str = "organization:acme:project:Default Project:workspace:net:run_phase:plan";
const ISSUER: &str = "https://ci.example.com";

fn minted(jti: &str, at: i64, run_id: &str) -> Value {
    json!({
        "id": 1, "at": NOW.0 + at, "kind": "token.minted", "actor": "run:r1", "request_id": "q1",
        "run": "r1", "run_id": run_id, "subject": SUBJECT, "audience": "aws.workload.identity",
        "jti": jti, "kid": "k1", "expires_at": NOW.0 + at + 600,
    })
}

fn refused(at: i64, audience: &str, reason: &str) -> Value {
    json!({
        "id": 2, "at": NOW.0 + at, "kind": "token.refused", "actor": "run:r1", "run": "r1",
        "audience": audience, "reason": reason, "request_id": "q2",
    })
}

fn log(events: Vec<Value>, key: &str, run: &str) -> Log {
    let keys = json!([{
        "version": 3, "kid": "k1", "algorithm": "RS256", "state": key, "created_at": 1,
        "revoked_at": (key == "revoked").then_some(NOW.0 - 5),
    }]);
    let runs = vec![json!({
        "id": "r1", "run_id": "run-1", "subject": SUBJECT, "client": "atlantis",
        "run_phase": "plan", "audiences": ["aws.workload.identity"], "state": run,
        "opened_at": NOW.0 - 900, "expires_at": NOW.0 + 900,
        "closed_at": (run == "closed").then_some(NOW.0 - 300),
    })];
    Log::read(events, keys, runs).unwrap()
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.id).collect()
}

fn fact<'a>(report: &'a Report, name: &str) -> &'a str {
    let found = report.facts.iter().find(|(fact, _)| fact == name);
    found.map_or("", |(_, value)| value)
}

#[test]
fn a_token_is_told_from_its_record() {
    let log = log(vec![minted("j1", -60, "run-1")], "active", "open");
    let report = token("j1", &log, NOW);
    assert_eq!(ids(&report), [""; 0], "{report:#?}");
    assert_eq!(fact(&report, "subject"), SUBJECT);
    assert_eq!(
        fact(&report, "key"),
        "version 3 (`k1`, RS256), active, published"
    );
    assert!(
        fact(&report, "valid until").ends_with("(9m left)"),
        "{report:#?}"
    );
    assert_eq!(fact(&report, "client"), "atlantis");
    assert_eq!(fact(&report, "request"), "q1");
    let report = token("j2", &log, NOW);
    assert_eq!(ids(&report), ["explain-unknown-token"]);
}

#[test]
fn what_has_become_of_a_token_is_said() {
    let rows = [
        (-60, "active", "closed", "explain-run-ended"),
        (-60, "active", "expired", "explain-run-ended"),
        (-600, "active", "open", "explain-token-expired"),
        (-600, "retired", "open", "explain-token-expired"),
        (-60, "revoked", "open", "explain-key-gone"),
        (-60, "retired", "open", "explain-key-gone"),
        (-60, "retiring", "open", ""),
    ];
    for (at, key, run, expected) in rows {
        let log = log(vec![minted("j1", at, "run-1")], key, run);
        let report = token("j1", &log, NOW);
        assert_eq!(ids(&report).join(" "), expected, "{at} {key} {run}");
    }
    let mut faulty = minted("j1", -60, "run-1");
    faulty["kind"] = "token.faulty".into();
    let log = log(vec![faulty, minted("j1", -60, "run-1")], "active", "open");
    assert_eq!(ids(&token("j1", &log, NOW)), ["explain-withheld"]);
}

#[test]
fn a_run_is_told_with_its_tokens_and_refusals() {
    let other = "the run was not opened for this audience";
    let aws = "aws.workload.identity";
    let rows: Vec<(Vec<Value>, &str)> = vec![
        (
            vec![minted("j2", -10, "run-1"), minted("j1", -60, "run-1")],
            "",
        ),
        (vec![], "explain-nothing-minted"),
        (vec![refused(-5, "vault", other)], "explain-refused"),
        (
            vec![refused(-5, "vault", other), minted("j1", -60, "run-1")],
            "explain-refused",
        ),
        (
            vec![minted("j1", -5, "run-1"), refused(-60, aws, other)],
            "explain-refused-before",
        ),
        (
            vec![refused(-5, aws, "closed"), minted("j1", -60, "run-1")],
            "explain-refused",
        ),
        (
            vec![refused(-5, "vault", other), refused(-6, "vault", other)],
            "explain-refused",
        ),
    ];
    for (events, expected) in rows {
        let count = events
            .iter()
            .filter(|event| event["kind"] == "token.minted")
            .count();
        let report = run("run-1", &log(events, "active", "open"), NOW);
        assert_eq!(ids(&report).join(" "), expected, "{report:#?}");
        let tokens = report
            .facts
            .iter()
            .filter(|(name, _)| name.starts_with("token "));
        assert_eq!(tokens.count(), count);
    }
    let twice = vec![refused(-5, "vault", other), refused(-6, "vault", other)];
    let report = run("run-1", &log(twice, "active", "open"), NOW);
    assert!(
        report.findings[0].what.contains("the last of 2 times"),
        "{report:#?}"
    );
    let nothing = Log::default();
    assert_eq!(ids(&run("run-9", &nothing, NOW)), ["explain-unknown-run"]);
}

/// An event of `CloudTrail`, cut down to what matters.
fn event(session: &str) -> Value {
    let provider = "arn:aws:iam::111122223333:oidc-provider/ci.example.com";
    json!({
        "userIdentity": {
            "type": "WebIdentityUser",
            "principalId": format!("{provider}:aws.workload.identity:{SUBJECT}"),
            "userName": SUBJECT,
            "identityProvider": provider,
        },
        "eventTime": NOW.to_string(),
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRoleWithWebIdentity",
        "requestParameters": {
            "roleArn": "arn:aws:iam::111122223333:role/ci",
            "roleSessionName": session,
        },
        "responseElements": null,
    })
}

fn matched(event: &Value, events: Vec<Value>) -> Report {
    let call = &calls(&event.to_string()).unwrap()[0];
    super::call(call, &log(events, "active", "open"), ISSUER, NOW).0
}

#[test]
fn a_call_is_matched_to_the_token_that_was_shown() {
    let two = || vec![minted("j2", -10, "run-2"), minted("j1", -60, "run-1")];
    let rows = [
        ("terraform-run-1", two(), "j1", "certain", ""),
        ("terraform-run-2", two(), "j2", "certain", ""),
        (
            "botocore-session-1",
            two(),
            "j2",
            "a guess",
            "explain-ambiguous",
        ),
        (
            "terraform-run-9",
            vec![minted("j1", -60, "run-1")],
            "j1",
            "likely",
            "explain-other-run",
        ),
        ("s1", vec![minted("j1", -60, "run-1")], "j1", "likely", ""),
        // As far as STS forgives, before and after.
        (
            "terraform-run-1",
            vec![minted("j1", 290, "run-1")],
            "j1",
            "certain",
            "",
        ),
        (
            "terraform-run-1",
            vec![minted("j1", -890, "run-1")],
            "j1",
            "certain",
            "explain-token-expired",
        ),
        (
            "terraform-run-1",
            vec![minted("j1", 301, "run-1")],
            "",
            "",
            "explain-unknown-token",
        ),
        (
            "terraform-run-1",
            vec![minted("j1", -901, "run-1")],
            "",
            "",
            "explain-unknown-token",
        ),
        ("terraform-run-1", vec![], "", "", "explain-unknown-token"),
        (
            "terraform-run-1",
            vec![minted("j2", -5, "run-1"), minted("j1", -60, "run-1")],
            "j2",
            "the run is certain",
            "",
        ),
    ];
    for (session, events, jti, sure, expected) in rows {
        let report = matched(&event(session), events);
        assert_eq!(fact(&report, "token"), jti, "{session}: {report:#?}");
        assert!(
            fact(&report, "match").starts_with(sure),
            "{session}: {report:#?}"
        );
        assert_eq!(ids(&report).join(" "), expected, "{session}: {report:#?}");
    }
}

#[test]
fn a_token_for_another_audience_was_not_shown() {
    let mut other = minted("j1", -60, "run-1");
    other["audience"] = "vault.workload.identity".into();
    let report = matched(&event("terraform-run-1"), vec![other]);
    assert_eq!(ids(&report), ["explain-unknown-token"]);
}

#[test]
fn a_call_tells_its_errors_its_issuer_and_its_time() {
    let mut denied = event("terraform-run-1");
    denied["errorCode"] = "AccessDenied".into();
    denied["errorMessage"] = "Not authorized to perform sts:AssumeRoleWithWebIdentity".into();
    let report = matched(&denied, vec![minted("j1", -60, "run-1")]);
    assert_eq!(ids(&report), ["explain-call-failed"]);
    assert!(
        report.findings[0].what.contains("Not authorized"),
        "{report:#?}"
    );

    let mut foreign = event("terraform-run-1");
    foreign["userIdentity"]["identityProvider"] =
        "arn:aws:iam::111122223333:oidc-provider/app.terraform.io".into();
    let report = matched(&foreign, vec![minted("j1", -60, "run-1")]);
    assert_eq!(ids(&report), ["explain-other-issuer"]);

    let call = &calls(&event("terraform-run-1").to_string()).unwrap()[0];
    let mut closed = log(vec![minted("j1", -400, "run-1")], "active", "closed");
    closed.runs[0].closed_at = Some(Timestamp(NOW.0 - 1));
    let (report, found) = super::call(call, &closed, ISSUER, NOW);
    assert!(
        found.is_some() && report.has(&kinds::USED_AFTER_END),
        "{report:#?}"
    );
}

#[test]
fn events_come_alone_in_log_files_and_from_the_command_line() {
    let one = event("s1");
    let other = json!({"eventName": "AssumeRole"});
    for (value, count) in [
        (one.clone(), 1),
        (json!([one, other, one]), 2),
        (json!({"Records": [other, one]}), 1),
        (
            json!({"Events": [{"EventId": "e", "CloudTrailEvent": one.to_string()}]}),
            1,
        ),
    ] {
        assert_eq!(calls(&value.to_string()).unwrap().len(), count, "{value}");
    }
    let mut without = one.clone();
    without["eventTime"] = "yesterday".into();
    for (text, words) in [
        (
            other.to_string(),
            "it has no event `AssumeRoleWithWebIdentity`",
        ),
        ("{".to_owned(), "it is no JSON"),
        (without.to_string(), "event 1 has no `eventTime`"),
    ] {
        let error = calls(&text).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn an_audience_is_told_from_the_principal_even_with_colons_in_it() {
    let mut azure = event("s1");
    let provider = "arn:aws:iam::111122223333:oidc-provider/ci.example.com";
    let principal = format!("{provider}:api://x:y:{SUBJECT}");
    azure["userIdentity"]["principalId"] = principal.into();
    let mut token = minted("j1", -60, "run-1");
    token["audience"] = "api://x:y".into();
    assert_eq!(fact(&matched(&azure, vec![token]), "token"), "j1");
}

#[test]
fn claims_are_rebuilt_but_for_those_that_no_record_holds() {
    let log = log(vec![minted("j1", -60, "run-1")], "active", "open");
    let Presented { claims, role_arn } = rebuilt::presented(log.find_token("j1").unwrap(), ISSUER);
    assert_eq!(role_arn, None);
    let expected = json!({
        "jti": "j1",
        "iss": ISSUER,
        "aud": "aws.workload.identity",
        "iat": NOW.0 - 60,
        "nbf": NOW.0 - 65,
        "exp": NOW.0 + 540,
        "sub": SUBJECT,
        "terraform_organization_name": "acme",
        "terraform_project_name": "Default Project",
        "terraform_workspace_name": "net",
        "terraform_full_workspace": "organization:acme:project:Default Project:workspace:net",
        "terraform_run_id": "run-1",
        "terraform_run_phase": "plan",
    });
    assert_eq!(Value::Object(claims), expected);
}
