//! The smallest change.

use serde_json::{Value, json};

use super::*;

#[rustfmt::skip]
#[test]
fn the_smallest_change_admits_the_run_and_no_other() {
    let user = "roles/iam.workloadIdentityUser";
    let member = |rest: &str| json!({"bindings": [{"role": user, "members": [format!("principal://iam.googleapis.com/{POOL}/subject/{rest}")]}]});
    let cases: Vec<(Vec<Value>, Changes, &str)> = vec![
        (vec![changed(provider(), &[("/disabled", json!(true))])], vec![], "enable"),
        (vec![changed(provider(), &[("/state", json!("DELETED"))])], vec![], "bring the provider back"),
        (vec![provider()], vec![("/iss", json!("https://new.example.com"))], "set the issuer"),
        (vec![provider()], vec![("/aud", json!("gcp"))], "beside the provider's full name"),
        (vec![changed(provider(), &[("/oidc/allowedAudiences", json!(["a"]))])], vec![], "add the audience"),
        (vec![changed(provider(), &[("/attributeMapping/google.subject", Value::Null)])], vec![], "map `google.subject` to `assertion.sub`"),
        (vec![changed(provider(), &[("/attributeMapping/attribute.phase", json!("assertion.exp"))])], vec![], "`string(assertion.exp)`"),
        (vec![provider()], vec![("/terraform_run_phase", Value::Null)], "has(assertion.terraform_run_phase)"),
        (vec![provider()], vec![("/sub", json!(SUBJECT.replace("prod", "dev")))], "|| assertion.sub == \"organization:acme:project:Default Project:workspace:dev:run_phase:apply\""),
        (vec![changed(provider(), &[("/attributeCondition", json!("assertion.other == 'x'"))])], vec![], "add `|| assertion.sub"),
        (vec![provider()], vec![("/sub", json!(SUBJECT.replace("prod", &"w".repeat(90))))], "size(assertion.sub) <= 127"),
        (vec![provider(), member("other")], vec![], "give roles/iam.workloadIdentityUser"),
        (vec![provider(), json!({"etag": "ACAB"})], vec![], "give roles/iam.workloadIdentityUser"),
        (vec![provider(), member("other")], vec![("/sub", json!(SUBJECT.replace("prod", "dev"))), ("/aud", json!("x"))], "; add `||"),
    ];
    for (documents, claim_changes, word) in cases {
        let policy = read(&documents);
        let token = presented(changed(claims(), &claim_changes));
        assert!(!policy.evaluate(&token).admits(), "{word}");
        let (change, after) = policy
            .admitting(&token)
            .unwrap_or_else(|| panic!("{word}: nothing"));
        assert!(change.what.contains(word), "{word}: {change:?}");
        assert!(after.evaluate(&token).admits(), "{word}");
        let mut other = token.clone();
        let subject = SUBJECT.replace("prod", "another");
        other.claims.insert("sub".to_owned(), json!(subject));
        assert!(!after.evaluate(&other).admits(), "{word}");
    }
    assert!(
        read(&[provider()])
            .admitting(&presented(claims()))
            .is_none(),
        "nothing to change"
    );
    for (pointer, value) in [
        ("/iss", Value::Null),
        ("/aud", Value::Null),
        ("/sub", Value::Null),
        ("/iss", json!("http://ci.example.com")),
    ] {
        let token = presented(changed(claims(), &[(pointer, value)]));
        assert!(read(&[provider()]).admitting(&token).is_none(), "{pointer}");
    }
    let strange = changed(provider(), &[("/attributeCondition", json!("request.x"))]);
    assert!(read(&[strange]).admitting(&presented(claims())).is_none());
}
