//! What is taken for a policy, what is refused, and what is said to be weak.

use serde_json::{Value, json};

use super::super::recognizes;
use super::{ARN, SUBJECT, policy, presented, read, statement};

fn closed() -> Value {
    json!({
        "StringEquals": {"ci.example.com:aud": "aws.workload.identity"},
        "StringLike": {
            "ci.example.com:sub":
                "organization:acme:project:Default Project:workspace:prod:run_phase:*",
        },
    })
}

#[test]
fn a_policy_is_taken_bare_and_as_the_tools_print_it() {
    let bare = json!({"Version": "2012-10-17", "Statement": [statement(&closed())]});
    // As the API has it: RFC 3986, blanks as %20.
    let encoded = percent_encoding::utf8_percent_encode(
        &bare.to_string(),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .to_string();
    let arn = "arn:aws:iam::123456789012:role/net";
    for document in [
        bare.clone(),
        json!({"Role": {"Arn": arn, "AssumeRolePolicyDocument": bare}}),
        json!({"Arn": arn, "AssumeRolePolicyDocument": bare}),
        json!({"Role": {"Arn": arn, "AssumeRolePolicyDocument": encoded}}),
    ] {
        assert!(recognizes(&document), "{document}");
        let policy = read(&[document]).unwrap();
        assert!(policy.evaluate(&presented(&json!({}))).admits());
        assert_eq!(policy.document(), &bare);
    }
    let provider = json!({"Url": "ci.example.com", "ClientIDList": ["a"], "ThumbprintList": []});
    assert!(recognizes(&provider));
    for other in [
        json!({"kind": "ClusterRole"}),
        json!([]),
        json!("Statement"),
        json!({"issuer": "https://ci.example.com", "subject": "x"}),
    ] {
        assert!(!recognizes(&other), "{other}");
    }
}

#[test]
fn what_cannot_be_a_trust_policy_is_refused_with_its_place() {
    let with = |name: &str, value: Value| {
        let mut statement = statement(&json!({}));
        statement[name] = value;
        json!({"Version": "2012-10-17", "Statement": [statement]})
    };
    let without = |name: &str| {
        let mut statement = statement(&json!({}));
        statement.as_object_mut().unwrap().remove(name);
        json!({"Version": "2012-10-17", "Statement": [statement]})
    };
    for (document, part) in [
        (
            with("NotPrincipal", json!("*")),
            "Statement[0].NotPrincipal",
        ),
        (with("Resource", json!("*")), "permissions policy"),
        (with("Effect", json!("allow")), "Statement[0].Effect"),
        (with("condition", json!({})), "written `Condition`"),
        (with("Actions", json!([])), "no element"),
        (with("NotAction", json!("x")), "Statement[0].Action"),
        (without("Action"), "Statement[0].Action"),
        (without("Principal"), "Statement[0].Principal"),
        (without("Effect"), "Statement[0].Effect"),
        (with("Principal", json!(ARN)), "must name whom"),
        (
            with("Principal", json!({"OIDC": ARN})),
            "no kind of principal",
        ),
        (
            with(
                "Principal",
                json!({"Federated": "arn:aws:iam::*:oidc-provider/x"}),
            ),
            "may hold no `*`",
        ),
        (with("Action", json!([])), "must be a text or a list"),
        (with("Condition", json!([])), "must be an object"),
        (
            with("Condition", json!({"StringEquals": "x"})),
            "object of keys",
        ),
        (
            with("Condition", json!({"StringEquals": {"k": {}}})),
            "[\"k\"]",
        ),
        (
            with("Condition", json!({"StringEquals": {"k": []}})),
            "a value at least",
        ),
        (
            with(
                "Condition",
                json!({"StringEquals": {"ci.example.com:aud": "a", "CI.example.com:AUD": "b"}}),
            ),
            "without regard to case",
        ),
        (with("Sid", json!("x".repeat(4_096))), "4096 at most"),
        (
            with("Condition", json!({"stringLike": {"k": "x"}})),
            "write `StringLike`",
        ),
        (
            with("Condition", json!({"StringMatches": {"k": "x"}})),
            "no operator",
        ),
        (
            with("Condition", json!({"NullIfExists": {"k": "true"}})),
            "`Null` goes",
        ),
        (
            with("Condition", json!({"Null": {"k": "yes"}})),
            "`true` or `false`",
        ),
        (
            json!({"Version": "2024-01-01", "Statement": []}),
            "2012-10-17",
        ),
        (json!({"Statement": []}), "a statement at least"),
        (json!({"AssumeRolePolicyDocument": "%7B"}), "is no JSON"),
        (
            json!({"Url": "ci.example.com", "ClientIDList": ["a"]}),
            "trust policy as well",
        ),
    ] {
        let error = read(std::slice::from_ref(&document))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{document}: {error}");
    }
    let good = json!({"Statement": [statement(&json!({}))]});
    let error = read(&[good.clone(), good]).unwrap_err().to_string();
    assert!(error.contains("second trust policy"), "{error}");
}

#[test]
fn what_admits_more_than_it_seems_to_is_named() {
    let like = |sub: &str| {
        let mut condition = closed();
        condition["StringLike"]["ci.example.com:sub"] = json!(sub);
        condition
    };
    let aud = json!({"ci.example.com:aud": "aws.workload.identity"});
    let start = "organization:acme:project:p:workspace";
    for (condition, part) in [
        (json!({}), "no subject"),
        (json!({"StringEquals": aud}), "no subject"),
        (
            json!({"StringEquals": {"ci.example.com:sub": SUBJECT}}),
            "no audience",
        ),
        (
            json!({"StringEquals": aud, "ForAllValues:StringLike": {"ci.example.com:sub": "a:*"}}),
            "`ForAllValues` holds also",
        ),
        (
            json!({"StringEquals": aud, "StringNotLike": {"ci.example.com:sub": "a:*"}}),
            "no subject",
        ),
        (like("*"), "fits everything"),
        (like("organization:acme*"), "such as `acme-x`"),
        (like(&format!("{start}:prod*")), "such as `prod-x`"),
        (
            like("organization:acme:project:p:workspace:*-prod:*"),
            "write the name out",
        ),
        (
            like("organization:*:project:p:workspace:prod:run_phase:*"),
            "every organization",
        ),
        (
            like("*:workspace:prod:run_phase:plan"),
            "every organization",
        ),
        (
            json!({"StringEquals": {
                "ci.example.com:aud": "aws.workload.identity",
                "ci.example.com:sub": "organization:acme:*",
            }}),
            "use `StringLike`",
        ),
        (
            json!({"StringEquals": {"ci.example.com:sub": SUBJECT, "ci.example.com:aud": "a"},
                "StringNotEquals": {"ci.example.com:terraform_run_id": "x"}}),
            "keeps nobody out",
        ),
        (
            json!({"StringEquals": aud,
                "StringEqualsIgnoreCase": {"ci.example.com:sub": SUBJECT}}),
            "differ by case only",
        ),
    ] {
        let weaknesses = policy(&json!([statement(&condition)]))
            .evaluate(&presented(&json!({})))
            .weaknesses;
        assert!(
            weaknesses
                .iter()
                .any(|weakness| weakness.what.contains(part)),
            "{condition}: {weaknesses:?}"
        );
        for weakness in weaknesses {
            assert!(!weakness.what.ends_with('.'), "{}", weakness.what);
        }
    }
    let many: Vec<String> = (0..40).map(|n| format!("{SUBJECT}-{n}")).collect();
    let verdict = policy(&json!([statement(&json!({"StringEquals": {
        "ci.example.com:aud": "aws.workload.identity", "ci.example.com:sub": many}}))]))
    .evaluate(&presented(&json!({})));
    assert!(verdict.weaknesses[0].what.contains("2048"), "{verdict:?}");
}

#[test]
fn each_provider_of_a_statement_is_looked_at() {
    let other = ARN.replace("ci.", "other.");
    let key = |provider: &str, claim: &str| format!("{provider}.example.com:{claim}");
    let of = |operator: &str, providers: &[&str]| {
        let mut condition = json!({});
        for provider in providers {
            condition[operator][key(provider, "sub")] = json!(SUBJECT);
            condition[operator][key(provider, "aud")] = json!("aws.workload.identity");
        }
        condition
    };
    let subject = "condition on `ci.example.com:sub`";
    let audience = "condition on `ci.example.com:aud`";
    let others = "condition on `other.example.com:sub`";
    for (condition, open) in [
        // A condition that holds of what is missing restricts the one provider only.
        (
            of("StringEqualsIfExists", &["other"]),
            vec![subject, audience],
        ),
        (
            of("ForAllValues:StringEquals", &["other"]),
            vec![subject, audience],
        ),
        (
            of("StringNotEquals", &["other"]),
            vec![subject, audience, others],
        ),
        (of("StringEqualsIfExists", &["ci"]), vec![others]),
        (of("StringEqualsIfExists", &["ci", "other"]), vec![]),
        // Nobody of the other gets in at all.
        (of("StringEquals", &["other"]), vec![]),
        (of("StringEquals", &["ci", "other"]), vec![]),
    ] {
        for federated in [json!([other, ARN]), json!([ARN, other])] {
            let mut statement = statement(&condition);
            statement["Principal"]["Federated"] = federated;
            let verdict = policy(&json!([statement])).evaluate(&presented(&json!({})));
            for part in [subject, audience, others] {
                let is_said = verdict.weaknesses.iter().any(|w| w.what.contains(part));
                assert_eq!(is_said, open.contains(&part), "{statement} {part}");
            }
        }
    }
}

#[test]
fn a_closed_policy_has_no_weakness() {
    for condition in [
        closed(),
        json!({"StringEquals": {
            "ci.example.com:aud": "aws.workload.identity", "ci.example.com:sub": SUBJECT}}),
        json!({
            "StringEquals": {"ci.example.com:aud": "aws.workload.identity"},
            "StringLike": {"ci.example.com:sub":
                ["organization:acme:project:*:workspace:prod:run_phase:*"]},
        }),
    ] {
        let verdict = policy(&json!([statement(&condition)])).evaluate(&presented(&json!({})));
        assert_eq!(verdict.weaknesses, [], "{condition}");
    }
}

#[test]
fn the_statement_that_comes_nearest_is_shown_in_the_order_in_which_aws_looks() {
    let like = |workspace: &str| {
        json!({
            "StringLike": {"ci.example.com:sub": format!(
                "organization:acme:project:Default Project:workspace:{workspace}:run_phase:*")},
            "StringEquals": {"ci.example.com:aud": "aws.workload.identity"},
        })
    };
    let policy = policy(&json!([
        {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"},
        statement(&like("test")),
        statement(&like("prod-x")),
    ]));
    let verdict = policy.evaluate(&presented(&json!({})));
    let places: Vec<&str> = verdict
        .checks
        .iter()
        .map(|check| check.place.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "Statement[2].Principal.Federated",
            "Statement[2].Action",
            "Statement[2].Condition.StringEquals[\"ci.example.com:aud\"]",
            "Statement[2].Condition.StringLike[\"ci.example.com:sub\"]",
        ]
    );
    let failure = verdict.first_failure().unwrap();
    assert_eq!(failure.found, [SUBJECT]);
    assert!(
        failure.why.contains("wanted `-x:run_phase:*`"),
        "{}",
        failure.why
    );
}
