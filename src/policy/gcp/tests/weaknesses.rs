//! What admits more than it seems to.

use serde_json::{Value, json};

use super::*;

#[rustfmt::skip]
#[test]
fn what_admits_more_than_it_seems_to_is_named() {
    let condition = "/attributeCondition";
    let cases: Vec<(Changes, Option<(&str, &str)>)> = vec![
        (vec![], None),
        (vec![(condition, json!(format!("assertion.sub == '{SUBJECT}'")))], None),
        (vec![(condition, json!("assertion.sub.matches('^organization:acme:project:[^:]+:workspace:w:run_phase:(plan|apply)$')"))], None),
        (vec![(condition, Value::Null)], Some(("attributeCondition", "no condition"))),
        (vec![(condition, json!("true"))], Some(("attributeCondition", "every token"))),
        (vec![(condition, json!("assertion.sub.startsWith(\"organization:acme:project:p:workspace:prod\")"))], Some(("attributeCondition", "`prod-x`"))),
        (vec![(condition, json!("assertion.sub.contains(':workspace:prod:')"))], Some(("attributeCondition", "wherever"))),
        (vec![(condition, json!("assertion.sub.matches('workspace:prod:')"))], Some(("attributeCondition", "`^`"))),
        (vec![(condition, json!("assertion.sub.matches('^a|b$')"))], Some(("attributeCondition", "brackets"))),
        (vec![("/attributeMapping/google.subject", json!("assertion.terraform_workspace_id"))], Some(("attributeMapping[\"google.subject\"]", "ids"))),
        (vec![("/oidc/allowedAudiences", json!(["x", "aws.workload.identity"]))], Some(("oidc.allowedAudiences[1]", "another relying party"))),
    ];
    for (changes, expected) in cases {
        let policy = read(&[changed(provider(), &changes)]);
        let found = policy.evaluate(&presented(claims())).weaknesses;
        match expected {
            None => {
                let is_of_the_provider = |w: &&Weakness| w.place != "bindings";
                assert_eq!(found.iter().find(is_of_the_provider), None);
            }
            Some((place, word)) => {
                let named = found
                    .iter()
                    .any(|w| w.place == place && w.what.contains(word));
                assert!(named, "{word}: {found:?}");
            }
        }
    }
}

#[test]
fn bindings_that_were_not_given_are_said_not_to_be_looked_at() {
    let unseen = |documents: &[Value]| {
        let verdict = read(documents).evaluate(&presented(claims()));
        verdict.weaknesses.iter().any(|weakness| {
            weakness.place == "bindings" && weakness.what.starts_with("not looked at")
        })
    };
    assert!(unseen(&[provider()]));
    assert!(!unseen(&[provider(), json!({"etag": "ACAB"})]));
    let refuses = changed(provider(), &[("/disabled", json!(true))]);
    assert!(!unseen(&[refuses]));
}

#[rustfmt::skip]
#[test]
fn members_that_are_too_wide_are_named() {
    let set = |rest: &str| format!("principalSet://iam.googleapis.com/{POOL}/{rest}");
    let ids = [(
        "/attributeMapping/attribute.id",
        json!("assertion.terraform_workspace_id"),
    )];
    for (member, word) in [
        (set("*"), "whole pool"),
        (set("attribute.phase/apply"), "every workspace"),
        (set("attribute.id/ws-1"), "an id"),
        ("allUsers".to_owned(), "everybody"),
    ] {
        let bindings =
            json!({"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": [member]}]});
        let policy = read(&[changed(provider(), &ids), bindings]);
        let found = policy.evaluate(&presented(claims())).weaknesses;
        let named = found
            .iter()
            .any(|w| w.place == "bindings[0].members[0]" && w.what.contains(word));
        assert!(named, "{word}: {found:?}");
    }
}
