//! The smallest change.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::super::super::Decision;
use super::super::Policy;
use super::{ARN, SUBJECT, policy, presented, read, statement};

fn condition(operator: &str, sub: &Value) -> Value {
    let mut condition = json!({"StringEquals": {"ci.example.com:aud": "aws.workload.identity"}});
    condition[operator]["ci.example.com:sub"] = sub.clone();
    condition
}

#[test]
fn the_exact_subject_is_added_beside_what_is_there() {
    let before = policy(&json!([statement(&condition("StringLike", &json!("a:*")))]));
    let (change, after) = before.admitting(&presented(&json!({}))).unwrap();
    assert_eq!(
        change.place,
        "Statement[0].Condition.StringLike[\"ci.example.com:sub\"]"
    );
    assert_eq!(change.before.as_deref(), Some("\"a:*\""));
    assert_eq!(change.after, json!(["a:*", SUBJECT]).to_string());
    assert!(change.what.contains(SUBJECT), "{}", change.what);
    let others = json!({"sub": SUBJECT.replace("prod", "prod-x")});
    assert!(after.evaluate(&presented(&json!({}))).admits());
    assert!(!after.evaluate(&presented(&others)).admits());
}

#[test]
fn what_is_mended_depends_on_what_is_wrong() {
    let tags = json!({"https://aws.amazon.com/tags": {"principal_tags": {"t": ["v"]}}});
    let good = || statement(&condition("StringEquals", &json!(SUBJECT)));
    let with = |name: &str, value: Value| {
        let mut statement = good();
        statement[name] = value;
        json!([statement])
    };
    for (statements, token, place, part) in [
        (
            json!([good()]),
            tags,
            "Statement[0].Action",
            "`sts:TagSession`",
        ),
        (
            json!([good()]),
            json!({"aud": "b"}),
            "Statement[0].Condition.StringEquals[\"ci.example.com:aud\"]",
            "add `b`",
        ),
        (
            with("Action", json!("sts:AssumeRole")),
            json!({}),
            "Statement[0].Action",
            "`sts:AssumeRoleWithWebIdentity`",
        ),
        // The key of the bare host, for an issuer with a path.
        (
            with("Principal", json!({"Federated": format!("{ARN}/oidc")})),
            json!({"iss": "https://ci.example.com/oidc"}),
            "Statement[0].Condition.StringEquals, Statement[0].Condition.StringEquals",
            "instead of `ci.example.com:aud`",
        ),
        // Someone else's statement stays as it is.
        (
            with(
                "Principal",
                json!({"Federated": ARN.replace("ci.", "other.")}),
            ),
            json!({}),
            "Statement[1]",
            "add a statement",
        ),
        // So does one that keeps the token out on purpose.
        (
            json!([statement(&condition("StringNotEquals", &json!(SUBJECT)))]),
            json!({}),
            "Statement[1]",
            "add a statement",
        ),
        // No token ever has such a key.
        (
            with(
                "Condition",
                json!({"StringEquals": {"ci.example.com:terraform_workspace_name": "prod"}}),
            ),
            json!({}),
            "Statement[1]",
            "add a statement",
        ),
        // One statement without a list around it.
        (
            statement(&json!({"StringNotLike": {"ci.example.com:sub": "*"}})),
            json!({}),
            "Statement[1]",
            "add a statement",
        ),
    ] {
        let before = policy(&statements);
        let presented = presented(&token);
        assert!(!before.evaluate(&presented).admits(), "{statements}");
        let (change, after) = before.admitting(&presented).unwrap();
        assert_eq!(change.place, place);
        assert!(change.what.contains(part), "{}", change.what);
        assert!(after.evaluate(&presented).admits(), "{}", after.document());
    }
}

#[test]
fn a_key_that_is_renamed_gets_this_runs_value_only() {
    let old = SUBJECT.replace("plan", "apply");
    let mut statement = statement(&json!({"StringEquals": {
        "ci.example.com:aud": ["aws.workload.identity", "b"], "ci.example.com:sub": [old, "x"]}}));
    statement["Principal"]["Federated"] = json!(format!("{ARN}/oidc"));
    let issuer = "https://ci.example.com/oidc";
    let (_, after) = policy(&json!([statement]))
        .admitting(&presented(&json!({"iss": issuer})))
        .unwrap();
    assert_eq!(
        after.document()["Statement"][0]["Condition"],
        json!({"StringEquals": {
            "ci.example.com/oidc:aud": "aws.workload.identity", "ci.example.com/oidc:sub": SUBJECT}})
    );
    let before = presented(&json!({"iss": issuer, "sub": old}));
    assert!(!after.evaluate(&before).admits());
}

#[test]
fn another_providers_keys_stay_its_own() {
    let other = ARN.replace("ci.", "other.");
    let old = SUBJECT.replace("plan", "apply");
    let mut statement = statement(&json!({"StringEquals": {
        "other.example.com:aud": "aws.workload.identity", "other.example.com:sub": old}}));
    statement["Principal"]["Federated"] = json!([other, ARN]);
    let before = policy(&json!([statement]));
    let of_other = presented(&json!({"iss": "https://other.example.com", "sub": old}));
    assert!(before.evaluate(&of_other).admits());
    let (change, after) = before.admitting(&presented(&json!({}))).unwrap();
    assert_eq!(change.place, "Statement[1]");
    assert!(after.evaluate(&of_other).admits());
    assert!(!after.evaluate(&presented(&json!({"sub": old}))).admits());
}

#[test]
fn a_provider_gets_the_audience_and_another_url_means_another_provider() {
    let role = json!({"Version": "2012-10-17", "Statement": [statement(&json!({}))]});
    let provider = |url: &str, id: &str| json!({"Url": url, "ClientIDList": [id]});
    let read = |provider| read(&[role.clone(), provider]).unwrap();
    let (change, after) = read(provider("ci.example.com", "x"))
        .admitting(&presented(&json!({})))
        .unwrap();
    assert_eq!(change.place, "ClientIDList");
    assert_eq!(change.after, r#"["x","aws.workload.identity"]"#);
    assert!(after.evaluate(&presented(&json!({}))).admits());
    let (change, _) = read(provider("ci.example.com/", "aws.workload.identity"))
        .admitting(&presented(&json!({})))
        .unwrap();
    assert_eq!(change.place, "Url");
    assert!(change.what.contains("cannot be changed"), "{}", change.what);
}

#[test]
fn where_no_change_of_the_policy_helps_there_is_none() {
    let allow = || statement(&condition("StringEquals", &json!(SUBJECT)));
    let mut deny = statement(&json!({"StringLike": {"ci.example.com:sub": "*:plan"}}));
    deny["Effect"] = json!("Deny");
    let unknown = statement(&json!({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}));
    for (statements, token) in [
        (json!([allow()]), json!({})),
        (json!([allow(), deny]), json!({})),
        (json!([unknown]), json!({})),
        (json!([allow()]), json!({"aud": ["a", "b"]})),
        (json!([allow()]), json!({"aud": null})),
        (json!([allow()]), json!({"sub": null})),
        (json!([allow()]), json!({"iss": "http://ci.example.com"})),
        (
            json!([{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
                "Action": "sts:AssumeRole"}]),
            json!({}),
        ),
    ] {
        let change = policy(&statements).admitting(&presented(&token));
        assert!(change.is_none(), "{statements} {token}: {change:?}");
    }
}

fn statements() -> impl Strategy<Value = Value> {
    let key = select(vec![
        "ci.example.com:aud",
        "ci.example.com:sub",
        "ci.example.com:amr",
        "ci.example.com/oidc:sub",
        "app.terraform.io:sub",
        "https://ci.example.com:aud",
        "ci.example.com:terraform_run_id",
        "aws:PrincipalType",
        "aws:SourceIp",
    ]);
    let operator = select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLike",
        "StringEqualsIgnoreCase",
        "ForAllValues:StringLike",
        "ForAnyValue:StringEquals",
        "StringLikeIfExists",
        "ArnLike",
        "IpAddress",
    ]);
    let value = select(vec![
        "aws.workload.identity",
        SUBJECT,
        "organization:acme:*",
        "*",
        "${*}",
        "x",
        "${aws:username}",
    ]);
    let condition = prop::collection::vec((operator, key, value), 0..4).prop_map(|all| {
        let mut condition = json!({});
        for (operator, key, value) in all {
            condition[operator][key] = json!(value);
        }
        condition
    });
    let principal = select(vec![
        json!({"Federated": ARN}),
        json!({"Federated": [ARN, "arn:aws:iam::123456789012:oidc-provider/app.terraform.io"]}),
        json!({"Federated": format!("{ARN}/oidc")}),
        json!({"AWS": "123456789012"}),
        json!("*"),
    ]);
    let action = select(vec![
        json!("sts:AssumeRoleWithWebIdentity"),
        json!(["sts:AssumeRole"]),
        json!("sts:*"),
    ]);
    let effect = prop_oneof![4 => Just("Allow"), 1 => Just("Deny")];
    let statement = (effect, principal, action, condition).prop_map(
        |(effect, principal, action, condition)| {
            json!({"Effect": effect, "Principal": principal, "Action": action,
                "Condition": condition})
        },
    );
    prop::collection::vec(statement, 1..4).prop_map(|all| json!(all))
}

fn tokens() -> impl Strategy<Value = Value> {
    let subject = select(vec![SUBJECT, "a*b?c${aws:username}", "${*}", "other"]);
    let issuer = select(vec![
        "https://ci.example.com",
        "https://ci.example.com/oidc",
    ]);
    let audience = select(vec![json!("aws.workload.identity"), json!(["b"])]);
    let tags = any::<bool>();
    (subject, issuer, audience, tags).prop_map(|(subject, issuer, audience, tags)| {
        let tags = if tags {
            json!({"principal_tags": {"t": ["v"]}})
        } else {
            Value::Null
        };
        json!({"sub": subject, "iss": issuer, "aud": audience, "https://aws.amazon.com/tags": tags})
    })
}

proptest! {
    /// Whatever the policy was: after the change the token is in, and a token of another subject that
    /// was kept out is kept out still.
    #[test]
    fn a_change_admits_the_token_and_no_other(
        statements in statements(),
        token in tokens(),
        version in select(vec!["2008-10-17", "2012-10-17"]),
    ) {
        let before = read(&[json!({"Version": version, "Statement": statements})]).unwrap();
        let run = presented(&token);
        let was = before.evaluate(&run).decision;
        let Some((change, after)) = before.admitting(&run) else {
            // Only where it is let in, kept out on purpose, or not known.
            let text = statements.to_string();
            let reasons = ["Deny", "SourceIp", "IpAddress", "ArnLike", "${aws:username}"];
            let has_reason = reasons.iter().any(|reason| text.contains(reason));
            let is_nobodys = !text.contains("oidc-provider");
            prop_assert!(was == Decision::Admitted || has_reason || is_nobodys, "{text}");
            return Ok(());
        };
        prop_assert_ne!(was, Decision::Admitted);
        prop_assert!(after.evaluate(&run).admits(), "{change:?}");
        prop_assert!(!change.what.is_empty() && !change.after.is_empty());
        // Written out and read again it is the same.
        let again: Policy = read(&[after.document().clone()]).unwrap();
        prop_assert!(again.evaluate(&run).admits());
        if version == "2012-10-17" && !change.what.contains("instead of") {
            let mut other = token.clone();
            other["sub"] = json!("organization:elsewhere:project:p:workspace:w:run_phase:plan");
            let other = presented(&other);
            let is_kept_out = before.evaluate(&other).decision == Decision::Refused;
            // A statement that lacked an action or an audience only may have been meant for others too.
            if is_kept_out && change.place.contains(":sub\"]") {
                prop_assert!(!after.evaluate(&other).admits(), "{change:?}");
            }
        }
    }
}

/// Statements that name subjects and audiences, of one provider or of two.
fn listing() -> impl Strategy<Value = Value> {
    let some = |names: &[&'static str]| {
        let count = names.len();
        prop::sample::subsequence(names.to_vec(), 0..=count)
    };
    let operator = || {
        select(vec![
            "StringEquals",
            "StringLike",
            "StringEqualsIfExists",
            "StringEqualsIgnoreCase",
        ])
    };
    let key = || {
        select(vec![
            "ci.example.com",
            "ci.example.com",
            "other.example.com",
        ])
    };
    let providers = select(vec![
        json!(ARN),
        json!([ARN]),
        json!([ARN, ARN.replace("ci.", "other.")]),
    ]);
    let action = select(vec![
        "sts:AssumeRoleWithWebIdentity",
        "sts:AssumeRoleWithWebIdentity",
        "sts:AssumeRole",
    ]);
    let subjects = (operator(), key(), some(&SUBJECTS));
    let audiences = (operator(), key(), some(&AUDIENCES));
    let statement = (providers, action, subjects, audiences).prop_map(
        |(providers, action, (for_subject, its, subjects), (for_audience, whose, audiences))| {
            let mut condition = json!({});
            if !subjects.is_empty() {
                condition[for_subject][format!("{its}:sub")] = json!(subjects);
            }
            if !audiences.is_empty() {
                condition[for_audience][format!("{whose}:aud")] = json!(audiences);
            }
            json!({"Effect": "Allow", "Principal": {"Federated": providers}, "Action": action,
                "Condition": condition})
        },
    );
    prop::collection::vec(statement, 1..3).prop_map(|all| json!(all))
}

const SUBJECTS: [&str; 5] = [SUBJECT, "a", "A", "a*", "b?"];
const AUDIENCES: [&str; 3] = ["aws.workload.identity", "AWS.workload.identity", "b"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Of all combinations of issuers, subjects and audiences, a change lets in the run's own and no
    /// other, and shuts nobody out.
    #[test]
    fn a_change_admits_one_pair_of_subject_and_audience(
        statements in listing(),
        subject in select(SUBJECTS.to_vec()),
        audience in select(AUDIENCES.to_vec()),
        version in select(vec!["2008-10-17", "2012-10-17"]),
    ) {
        let before = read(&[json!({"Version": version, "Statement": statements})]).unwrap();
        let run = presented(&json!({"sub": subject, "aud": audience}));
        let Some((change, after)) = before.admitting(&run) else {
            prop_assert!(before.evaluate(&run).admits());
            return Ok(());
        };
        for issuer in ["https://ci.example.com", "https://other.example.com"] {
            for (sub, aud) in SUBJECTS.iter().flat_map(|sub| AUDIENCES.map(|aud| (sub, aud))) {
                let other = presented(&json!({"iss": issuer, "sub": sub, "aud": aud}));
                let is_run = other.claims == run.claims;
                let was_in = before.evaluate(&other).admits();
                prop_assert_eq!(
                    after.evaluate(&other).admits(), was_in || is_run, "{} {:?}", sub, change);
            }
        }
    }
}
