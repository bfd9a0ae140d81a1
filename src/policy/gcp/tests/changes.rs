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
        (vec![changed(provider(), &[("/attributeCondition", json!("google.subject == 'x' || google.subject == 'y'"))])], vec![], "add `|| assertion.sub"),
        (vec![changed(provider(), &[("/attributeMapping/google.subject", json!("''"))])], vec![], "map `google.subject`"),
        (vec![provider()], vec![("/aud", json!("gcp"))], ": with it the other subjects that the policy names"),
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
    for (condition, mapping) in [
        ("assertion.other == 'x'", "assertion.sub"),
        ("assertion.terraform_run_phase != 'apply'", "assertion.sub"),
        ("!assertion.sub.contains('prod')", "assertion.sub"),
        ("assertion.terraform_workspace_id == 'ws-OTHER'", "assertion.sub"),
        ("assertion.sub.startsWith('organization:acme:') && assertion.sub.endsWith(':plan')", "assertion.sub"),
        ("google.subject == 'x'", "assertion.terraform_workspace_name"),
    ] {
        let policy = read(&[changed(provider(), &[
            ("/attributeCondition", json!(condition)),
            ("/attributeMapping/google.subject", json!(mapping)),
        ])]);
        let token = presented(claims());
        assert!(!policy.evaluate(&token).admits(), "{condition}");
        assert!(policy.admitting(&token).is_none(), "{condition}");
    }
    let only = changed(provider(), &[("/attributeCondition", json!(format!("assertion.sub == '{SUBJECT}'")))]);
    let token = presented(changed(claims(), &[("/aud", json!("gcp"))]));
    let (change, _) = read(&[only]).admitting(&token).unwrap();
    assert!(!change.what.contains("other subjects"), "{change:?}");
    let strange = changed(provider(), &[("/attributeCondition", json!("request.x"))]);
    assert!(read(&[strange]).admitting(&presented(claims())).is_none());
}
