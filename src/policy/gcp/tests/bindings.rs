//! A table of who may act as a service account, each row with its source.

use serde_json::{Value, json};

use super::*;

#[rustfmt::skip]
#[test]
fn bindings_say_who_may_act_as_the_account() {
    let principal = format!("principal://iam.googleapis.com/{POOL}/subject/{SUBJECT}");
    let set = |rest: &str| format!("principalSet://iam.googleapis.com/{POOL}/{rest}");
    let user = "roles/iam.workloadIdentityUser";
    let of = |role: &str, member: &str| json!({"etag": "BwX", "version": 1, "bindings": [{"role": role, "members": [member]}]});
    let mut conditional = of(user, &principal);
    conditional["bindings"][0]["condition"] =
        json!({"title": "t", "expression": "request.time < timestamp('2030-01-01T00:00:00Z')"});
    let mut both = conditional.clone();
    both["bindings"]
        .as_array_mut()
        .unwrap()
        .push(json!({"role": user, "members": [&principal]}));
    let at = "bindings[0].members[0]";
    let rows = [
        ("PRI: subject", of(user, &principal), In),
        ("PRI: subject, case counts", of(user, &principal.replace("acme", "Acme")), No("bindings", "case")),
        ("PRI: subject of another phase", of(user, &principal.replace("apply", "plan")), No("bindings", "none of the members")),
        ("PRI: attribute", of(user, &set("attribute.phase/apply")), In),
        ("PRI: attribute with another value", of(user, &set("attribute.phase/plan")), No("bindings", "none of the members")),
        ("PRI: attribute that is not mapped", of(user, &set("attribute.other/apply")), No("bindings", "none of the members")),
        ("PRI: group", of(user, &set("group/ops")), In),
        ("PRI: the whole pool", of(user, &set("*")), In),
        ("PRI: `*` is no wildcard elsewhere", of(user, &set("attribute.phase/*")), No("bindings", "none of the members")),
        ("PRI: another pool", of(user, &principal.replace("Pools/runmint", "Pools/other")), No("bindings", "another pool")),
        ("PRI: the project's id in place of its number", of(user, &principal.replace("123456789012", "acme-prod")), No("bindings", "another pool")),
        ("IAM roles: token creator may as well", of("roles/iam.serviceAccountTokenCreator", &principal), In),
        ("IAM roles: viewer may not", of("roles/viewer", &principal), No("bindings", "nobody has")),
        ("IAM roles: service account user may not", of("roles/iam.serviceAccountUser", &principal), No("bindings", "nobody has")),
        ("IAM roles: what a custom role holds", of("projects/p/roles/mine", &principal), Unknown(at, "getAccessToken")),
        ("IAM conditions: the request is not known", conditional, Unknown(at, "request.time")),
        ("IAM conditions: a binding without one decides", both, In),
        ("IAM: everybody", of(user, "allUsers"), In),
        ("IAM: no binding at all", json!({"etag": "ACAB"}), No("bindings", "nobody has")),
    ];
    let groups = [("/attributeMapping/google.groups", json!("assertion.groups"))];
    for (source, bindings, expected) in rows {
        let policy = read(&[changed(provider(), &groups), bindings]);
        assert_verdict(source, &policy, &presented(claims()), &expected);
    }
}

#[rustfmt::skip]
#[test]
fn a_check_that_cannot_be_said_is_said_so() {
    let policy = read(&[
        changed(
            provider(),
            &[
                ("/name", Value::Null),
                ("/oidc/allowedAudiences", json!(["a"])),
            ],
        ),
        json!({"etag": "x"}),
    ]);
    let verdict = policy.evaluate(&presented(changed(claims(), &[("/aud", json!("a"))])));
    assert_eq!(verdict.first_failure().unwrap().outcome, Outcome::Unknown);
}
