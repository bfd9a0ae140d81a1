//! A provider against tokens, as HCP and go-bexpr do it.

mod table;

use serde_json::{Value, json};

use super::{Policy, recognizes};
use crate::policy::Decision::{Admitted, Refused, Undecided};
use crate::policy::{BadPolicy, Document, Presented};

const SUBJECT: &str = "organization:acme:project:p:workspace:prod:run_phase:plan";

fn run() -> Presented {
    let claims = json!({
        "iss": "https://ci.example.com", "sub": SUBJECT, "aud": "hcp.workload.identity",
        "terraform_workspace_name": "prod", "empty": "", "groups": ["dev", "ops"], "level": 3,
        "is_protected": true, "nested": {"a": "deep"}, "gone": null,
    });
    Presented {
        claims: claims.as_object().unwrap().clone(),
        role_arn: None,
    }
}

fn read(value: Value) -> Result<Policy, BadPolicy> {
    Policy::read(&[Document {
        name: "f.json".to_owned(),
        value,
    }])
}

fn provider(condition: &str) -> Value {
    json!({"resource_name": "iam/project/1/service-principal/ci/workload-identity-provider/runmint",
        "conditional_access": condition, "oidc_config": {"issuer_uri": "https://ci.example.com",
        "allowed_audiences": ["hcp.workload.identity"]}})
}

#[test]
fn issuer_and_audience_are_compared() {
    let condition = format!("jwt_claims.sub == \"{SUBJECT}\"");
    let name = "iam/project/1/service-principal/ci/workload-identity-provider/runmint";
    let of = |oidc: Value| json!({"conditional_access": condition, "oidc": oidc});
    let cases = [
        (provider(&condition), Admitted, ""),
        (json!({"provider": provider(&condition)}), Admitted, ""),
        (
            json!({"conditionalAccess": condition, "oidcConfig": {"issuerUri": "https://ci.example.com",
            "allowedAudiences": ["x", "hcp.workload.identity"]}}),
            Admitted,
            "",
        ),
        (
            of(
                json!({"issuer_uri": "https://ci.example.com/", "allowed_audiences":
            ["hcp.workload.identity"]}),
            ),
            Refused,
            "trailing slash",
        ),
        (
            of(
                json!({"issuer_uri": "https://app.terraform.io", "allowed_audiences":
            ["hcp.workload.identity"]}),
            ),
            Refused,
            "iss",
        ),
        (
            of(json!({"issuer_uri": "https://ci.example.com", "allowed_audiences": ["x"]})),
            Refused,
            "aud",
        ),
        (
            of(json!({"issuer_uri": "https://ci.example.com", "allowed_audiences": ["x", "y"]})),
            Refused,
            "none of the audiences",
        ),
        (
            of(json!({"issuer_uri": "https://ci.example.com"})),
            Undecided,
            "resource name",
        ),
        (
            json!({"conditional_access": condition, "resource_name": name, "oidc_config":
            {"issuer_uri": "https://ci.example.com", "allowed_audiences": []}}),
            Refused,
            "aud",
        ),
        (
            json!({"conditional_access": condition, "resource_name": "hcp.workload.identity",
            "oidc_config": {"issuer_uri": "https://ci.example.com"}}),
            Admitted,
            "",
        ),
    ];
    for (value, decision, said) in cases {
        assert!(recognizes(&value), "{value}");
        let policy = read(value.clone()).unwrap();
        let verdict = policy.evaluate(&run());
        assert_eq!(verdict.decision, decision, "{value}");
        let why = verdict.first_failure().map_or("", |check| &check.why);
        assert!(why.contains(said), "{why}");
        match policy.admitting(&run()) {
            Some((_, after)) => assert!(after.evaluate(&run()).admits(), "{value}"),
            None => assert_eq!(decision, Admitted, "{value}"),
        }
    }
}

#[test]
fn what_does_not_parse_is_refused_with_line_and_column() {
    for (condition, said) in [
        ("", "must be a condition"),
        ("jwt_claims.sub = \"x\"", "line 1, column 16: expected `==`"),
        ("jwt_claims.sub is `x`", "`is` goes with `empty`"),
        ("jwt_claims.sub == \"x", "column 19: a \" is not closed"),
        (
            "jwt_claims.sub == organization:x",
            "expected `and`, `or` or the end",
        ),
        (
            "jwt_claims.sub == x and\njwt_token.aud == y",
            "line 2, column 1: `jwt_token.aud` is no claim",
        ),
        ("jwt_claims == x", "is no claim"),
        ("\"sub\" == x", "is no claim"),
        ("(jwt_claims.sub == x", "a `(` is not closed"),
        ("jwt_claims.sub == x)", "found `)`"),
        ("not(jwt_claims.sub == x)", "expected"),
        ("jwt_claims.sub matches \"a\\.b\"", "backticks"),
        ("jwt_claims.sub in [\"a\"]", "join them by `or`"),
        ("jwt_claims.sub == 1x", "is no number"),
        ("jwt_claims[sub] == x", "in quotes after `[`"),
        ("jwt_claims.sub ==", "found the end"),
        ("jwt_claims.sub == x && jwt_claims.aud == y", "found `&&`"),
        ("jwt_claims.sub matches`x`", "needs a blank on both sides"),
    ] {
        let error = read(provider(condition)).unwrap_err().to_string();
        assert!(
            error.starts_with("conditional_access: ") && error.contains(said),
            "{error}"
        );
    }
    let deep = format!("{}jwt_claims.sub == x{}", "(".repeat(100), ")".repeat(100));
    assert!(
        read(provider(&deep))
            .unwrap_err()
            .to_string()
            .contains("64 levels")
    );
    let long = |terms: usize| vec!["jwt_claims.sub == x"; terms].join(" or ");
    for terms in [501, 20_000] {
        let error = read(provider(&long(terms))).unwrap_err().to_string();
        assert!(error.contains("more than 500 comparisons"), "{error}");
    }
    let verdict = read(provider(&long(500))).unwrap().evaluate(&run());
    assert_eq!(verdict.decision, Refused);
}

#[test]
fn a_document_that_is_no_provider_for_tokens_is_refused_with_its_place() {
    for (value, said) in [
        (
            json!({"conditional_access": "x", "aws_config": {"account_id": "1"}}),
            "oidc_config: is missing",
        ),
        (
            json!({"conditional_access": "x", "oidc": {}}),
            "oidc.issuer_uri: must be a text",
        ),
        (
            json!({"conditional_access": "x", "oidc": {"issuer_uri": "x", "allowed_audiences": "y"}}),
            "oidc.allowed_audiences: must be a list",
        ),
    ] {
        let error = read(value).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    for value in [
        json!({"issuer": "x", "subject": "y"}),
        json!({"role_type": "jwt"}),
        json!([1]),
    ] {
        assert!(!recognizes(&value), "{value}");
    }
}

#[test]
fn a_subject_is_added_in_front_of_what_is_there() {
    for condition in [
        "jwt_claims.sub == x",
        "jwt_claims.ref == main and jwt_claims.sub == x",
        "(jwt_claims.sub == x) or jwt_claims.sub == y",
        "jwt_claims.ref != main",
    ] {
        let policy = read(provider(condition)).unwrap();
        let (change, after) = policy.admitting(&run()).unwrap();
        let text = format!("jwt_claims.sub == \"{SUBJECT}\" or ({condition})");
        assert_eq!(change.after, text);
        assert!(after.evaluate(&run()).admits());
    }
}

#[test]
fn open_conditions_are_named() {
    let what = |condition: &str| {
        let verdict = read(provider(condition)).unwrap().evaluate(&run());
        let all = verdict
            .weaknesses
            .iter()
            .map(|weakness| weakness.what.clone());
        all.collect::<Vec<_>>().join("\n")
    };
    for (condition, said) in [
        ("jwt_claims.sub matches `workspace:prod`", "anywhere"),
        (
            "jwt_claims.sub matches `^organization:acme:project:p:workspace:prod`",
            "go on after it",
        ),
        (
            "jwt_claims.sub matches `^organization:acme:project:.*:workspace:prod:run_phase:.*`",
            "`[^:]+`",
        ),
        ("jwt_claims.sub contains prod", "anywhere"),
        ("jwt_claims.level == 3", "every run"),
        ("not jwt_claims.sub == x", "every run"),
        (
            "jwt_claims.sub matches `^organization:acme:project:p:workspace:prod:run_phase:.*`",
            "",
        ),
        ("jwt_claims.sub == x or jwt_claims.sub == y", ""),
        ("jwt_claims.terraform_workspace_id == x", ""),
    ] {
        let found = what(condition);
        assert!(found.contains(said), "{condition}: {found}");
        assert_eq!(found.is_empty(), said.is_empty(), "{condition}: {found}");
    }
}
