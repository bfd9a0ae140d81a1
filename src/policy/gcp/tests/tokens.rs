//! A table of what the service makes of tokens, each row with its source.

use serde_json::{Value, json};

use super::*;

#[rustfmt::skip]
#[test]
fn providers_take_tokens_as_the_service_does() {
    let default = |scheme: &str| json!(format!("{scheme}//iam.googleapis.com/{}", name()));
    let long = |bytes: usize| json!("x".repeat(bytes));
    let subject = "/attributeMapping/google.subject";
    let condition = "/attributeCondition";
    let at_subject = "attributeMapping[\"google.subject\"]";
    let at_phase = "attributeMapping[\"attribute.phase\"]";
    let rows: Vec<(&str, Changes, Changes, Expected)> = vec![
        ("WIF: all of it holds", vec![], vec![], In),
        // The provider itself.
        ("API: disabled", vec![("/disabled", json!(true))], vec![], No("disabled", "disabled")),
        ("API: disabled is false", vec![("/disabled", json!(false))], vec![], In),
        ("API: state", vec![("/state", json!("DELETED"))], vec![], No("state", "30 days")),
        ("API: state is left out", vec![("/state", Value::Null)], vec![], In),
        // The issuer.
        ("API: iss is exact", vec![], vec![("/iss", json!("https://CI.example.com"))], No("oidc.issuerUri", "letter case")),
        ("API: iss is exact", vec![], vec![("/iss", json!("https://ci.example.com/"))], No("oidc.issuerUri", "trailing slash")),
        ("API: iss is exact", vec![], vec![("/iss", json!("https://other.example.com"))], No("oidc.issuerUri", "up to character 8")),
        ("WIF: iss is required", vec![], vec![("/iss", Value::Null)], No("oidc.issuerUri", "no `iss`")),
        ("API: a slash in issuerUri counts too", vec![("/oidc/issuerUri", json!("https://ci.example.com/"))], vec![], No("oidc.issuerUri", "slash")),
        // The audience.
        ("API: the full name with https:", vec![], vec![("/aud", default("https:"))], In),
        ("API: the full name with http:", vec![], vec![("/aud", default("http:"))], No("oidc.allowedAudiences", "full name")),
        ("API: without a list only the name", vec![], vec![("/aud", json!("gcp.workload.identity"))], No("oidc.allowedAudiences", "full name")),
        ("API: one of the list", vec![("/oidc/allowedAudiences", json!(["a", "b"]))], vec![("/aud", json!("b"))], In),
        ("seen: a list switches the name off", vec![("/oidc/allowedAudiences", json!(["a"]))], vec![], No("oidc.allowedAudiences", "taken no more")),
        ("API: audiences are exact", vec![("/oidc/allowedAudiences", json!(["https://a.example.com"]))], vec![("/aud", json!("https://A.example.com"))], No("oidc.allowedAudiences", "letter case")),
        ("API: audiences are exact", vec![("/oidc/allowedAudiences", json!(["https://a.example.com"]))], vec![("/aud", json!("https://a.example.com/"))], No("oidc.allowedAudiences", "slash")),
        ("API: `*` is no wildcard", vec![("/oidc/allowedAudiences", json!(["*"]))], vec![], No("oidc.allowedAudiences", "no wildcard")),
        ("WIF: aud is required", vec![], vec![("/aud", Value::Null)], No("oidc.allowedAudiences", "no `aud`")),
        ("API: an empty list is none", vec![("/oidc/allowedAudiences", json!([]))], vec![], In),
        ("API: the name is not given", vec![("/name", Value::Null)], vec![], Unknown("oidc.allowedAudiences", "add `name`")),
        ("WIF: the name has the project's id, where audiences have its number",
            vec![("/name", json!(name().replace("123456789012", "my-proj")))],
            vec![("/aud", json!(format!("//iam.googleapis.com/{}", name().replace("123456789012", "my-proj"))))],
            Unknown("oidc.allowedAudiences", "project's number")),
        ("API: whether an empty subject is taken is not documented", vec![(subject, json!("''"))], vec![], Unknown(at_subject, "it is empty")),
        ("API: the name is another provider's", vec![("/name", json!(format!("{POOL}/providers/other")))], vec![], No("oidc.allowedAudiences", "full name")),
        ("RFC 7519 4.1.3: one of several", vec![], vec![("/aud", json!(["x", default("")]))], In),
        // The subject.
        ("API: google.subject is required", vec![(subject, Value::Null)], vec![], No(at_subject, "requires")),
        ("API: 127 bytes fit", vec![(condition, Value::Null)], vec![("/sub", long(127))], In),
        ("API: 128 do not", vec![(condition, Value::Null)], vec![("/sub", long(128))], No(at_subject, "1 more than the 127")),
        ("API: bytes, not characters", vec![(condition, Value::Null)], vec![("/sub", json!("ä".repeat(64)))], No(at_subject, "128 bytes")),
        ("WIF: extract makes it shorter", vec![(subject, json!("assertion.sub.extract('workspace:{w}:')"))], vec![("/sub", json!(format!("{SUBJECT}{}", "x".repeat(90))))], In),
        ("WIF: no sub", vec![], vec![("/sub", Value::Null)], No(at_subject, "no `sub`")),
        ("seen: must be of type STRING", vec![(subject, json!("assertion.sub == 'x'"))], vec![], No(at_subject, "true or false")),
        ("seen: must be of type STRING", vec![(subject, json!("assertion.exp"))], vec![], No(at_subject, "a number")),
        ("WIF: a map in a mapping", vec![(subject, json!("{'ws-1': 'one'}[assertion.terraform_workspace_id]"))], vec![], In),
        ("CEL: a key that is not there", vec![(subject, json!("{'ws-2': 'two'}[assertion.terraform_workspace_id]"))], vec![], No(at_subject, "no `ws-1`")),
        ("not understood here", vec![(subject, json!("assertion.sub.reverse()"))], vec![], Unknown(at_subject, "`reverse`")),
        // Other attributes.
        ("seen: an attribute must be a text", vec![("/attributeMapping/attribute.phase", json!("assertion.exp"))], vec![], No(at_phase, "a number")),
        ("WIF: string() makes it one", vec![("/attributeMapping/attribute.phase", json!("string(assertion.exp)"))], vec![], In),
        ("not documented: a claim that is not there", vec![], vec![("/terraform_run_phase", Value::Null)], Unknown(at_phase, "not documented")),
        ("API: groups are texts", vec![("/attributeMapping/google.groups", json!("assertion.groups"))], vec![], In),
        ("API: groups, of a claim that is not there", vec![("/attributeMapping/google.groups", json!("assertion.other"))], vec![], Unknown("attributeMapping[\"google.groups\"]", "no `other`")),
        // The condition.
        ("API: no condition takes all", vec![(condition, Value::Null)], vec![("/sub", json!("x"))], In),
        ("API: an empty condition is none", vec![(condition, json!(""))], vec![("/sub", json!("x"))], In),
        ("CEL: == is exact", vec![(condition, json!(format!("assertion.sub == '{SUBJECT}'")))], vec![], In),
        ("CEL: == knows no wildcard", vec![(condition, json!(format!("assertion.sub == '{START}*'")))], vec![], No("attributeCondition", "`*`")),
        ("CEL: case counts", vec![(condition, json!("assertion.sub.startsWith('organization:Acme:')"))], vec![], No("attributeCondition", "case")),
        ("CEL: another workspace", vec![], vec![("/sub", json!("organization:acme:project:Default Project:workspace:prod-x:run_phase:apply"))], No("attributeCondition", "gives false")),
        ("CEL: startsWith without the colon takes prod-x", vec![(condition, json!("assertion.sub.startsWith('organization:acme:project:Default Project:workspace:prod')"))], vec![("/sub", json!("organization:acme:project:Default Project:workspace:prod-x:run_phase:apply"))], In),
        ("CEL: matches finds a part", vec![(condition, json!("assertion.sub.matches('workspace:pr')"))], vec![], In),
        ("CEL: anchors hold it", vec![(condition, json!("assertion.sub.matches('^workspace:prod$')"))], vec![], No("attributeCondition", "gives false")),
        ("CEL: in", vec![(condition, json!("assertion.terraform_run_phase in ['plan']"))], vec![], No("attributeCondition", "gives false")),
        ("seen: a claim that is not there is a no", vec![(condition, json!("assertion.other == 'x'"))], vec![], No("attributeCondition", "no `other`")),
        ("CEL: || passes over an error", vec![(condition, json!("assertion.other == 'x' || true"))], vec![], In),
        ("CEL: has", vec![(condition, json!("has(assertion.other) && assertion.other == 'x'"))], vec![], No("attributeCondition", "gives false")),
        ("API: google and attribute in a condition", vec![(condition, json!(format!("google.subject == '{SUBJECT}' && attribute.phase == 'apply'")))], vec![], In),
        ("API: groups in a condition", vec![(condition, json!("'ops' in google.groups")), ("/attributeMapping/google.groups", json!("assertion.groups"))], vec![], In),
        ("not understood here", vec![(condition, json!("assertion.iat < timestamp('2030-01-01T00:00:00Z')"))], vec![], Unknown("attributeCondition", "cannot be evaluated here")),
        ("it looks at what is not known", vec![(condition, json!("attribute.phase == 'plan'"))], vec![("/terraform_run_phase", Value::Null)], Unknown(at_phase, "not documented")),
    ];
    assert!(rows.len() >= 40);
    for (source, provider_changes, claim_changes, expected) in rows {
        let policy = read(&[changed(provider(), &provider_changes)]);
        let token = presented(changed(claims(), &claim_changes));
        assert_verdict(source, &policy, &token, &expected);
    }
}

#[rustfmt::skip]
#[test]
fn of_several_providers_the_nearest_decides() {
    let other = changed(
        provider(),
        &[("/oidc/issuerUri", json!("https://gitlab.example.com"))],
    );
    let policy = read(&[json!([other, provider()])]);
    assert!(policy.evaluate(&presented(claims())).admits());
    let token = presented(changed(claims(), &[("/sub", json!("x"))]));
    let verdict = policy.evaluate(&token);
    assert_eq!(
        verdict.first_failure().unwrap().place,
        "[1].attributeCondition"
    );
}
