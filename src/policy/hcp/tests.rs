//! A provider against tokens, as HCP and go-bexpr do it.

use serde_json::{Value, json};

use super::{Policy, recognizes};
use crate::policy::Decision::{self, Admitted, Refused, Undecided};
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

/// The sources are rules of go-bexpr's `grammar.peg` [g] and functions of its `evaluate.go` [e].
#[test]
fn a_condition_says_what_go_bexpr_says() {
    let full = format!("^{SUBJECT}$");
    let cases: Vec<(&str, String, Decision, &str)> = vec![
        (
            "[e] doMatchEqual",
            format!("jwt_claims.sub == \"{SUBJECT}\""),
            Admitted,
            "",
        ),
        (
            "[g] StringLiteral, raw",
            format!("jwt_claims.sub == `{SUBJECT}`"),
            Admitted,
            "",
        ),
        (
            "[g] `==` needs no blanks",
            format!("jwt_claims.sub==\"{SUBJECT}\""),
            Admitted,
            "",
        ),
        (
            "[g] IndexExpression",
            format!("jwt_claims[\"sub\"] == \"{SUBJECT}\""),
            Admitted,
            "",
        ),
        (
            "[g] JsonPointer",
            format!("\"/jwt_claims/sub\" == \"{SUBJECT}\""),
            Admitted,
            "",
        ),
        (
            "[g] Value, a name",
            "jwt_claims.terraform_workspace_name == prod".into(),
            Admitted,
            "",
        ),
        (
            "[e] another text",
            "jwt_claims.terraform_workspace_name == dev".into(),
            Refused,
            "terraform_workspace_name",
        ),
        (
            "[e] letter case",
            "jwt_claims.terraform_workspace_name == Prod".into(),
            Refused,
            "letter case",
        ),
        (
            "[e] `!=`",
            "jwt_claims.terraform_workspace_name != dev".into(),
            Admitted,
            "",
        ),
        (
            "[e] `!=` of what is equal",
            "jwt_claims.terraform_workspace_name != prod".into(),
            Refused,
            "is `prod`",
        ),
        (
            "[e] doMatchMatches",
            format!("jwt_claims.sub matches `{full}`"),
            Admitted,
            "",
        ),
        (
            "[e] anywhere in the text",
            "jwt_claims.sub matches `workspace:prod`".into(),
            Admitted,
            "",
        ),
        (
            "[e] RE2",
            "jwt_claims.sub matches `^organization:acme:project:[^:]+:workspace:prod:\
            run_phase:(plan|apply)$`"
                .into(),
            Admitted,
            "",
        ),
        (
            "[e] another name",
            "jwt_claims.sub matches `^organization:acme:project:p:workspace:dev:`".into(),
            Refused,
            "does not match",
        ),
        (
            "[e] case in a regular expression",
            "jwt_claims.sub matches `^Organization:`".into(),
            Refused,
            "letter case",
        ),
        (
            "[e] no glob",
            "jwt_claims.sub matches `organization:acme:project:*:workspace:prod`".into(),
            Refused,
            "`*` repeats",
        ),
        (
            "[e] not matches",
            "jwt_claims.sub not matches `dev`".into(),
            Admitted,
            "",
        ),
        (
            "[e] a bad regular expression",
            "jwt_claims.sub matches `(`".into(),
            Refused,
            "no regular expression",
        ),
        (
            "[e] matches takes no list",
            "jwt_claims.groups matches `dev`".into(),
            Refused,
            "not take",
        ),
        (
            "[e] doMatchIn, a list",
            "jwt_claims.groups contains \"ops\"".into(),
            Admitted,
            "",
        ),
        (
            "[e] in, a list",
            "ops in jwt_claims.groups".into(),
            Admitted,
            "",
        ),
        (
            "[e] in, not there",
            "\"qa\" in jwt_claims.groups".into(),
            Refused,
            "does not hold",
        ),
        (
            "[e] not in",
            "qa not in jwt_claims.groups".into(),
            Admitted,
            "",
        ),
        (
            "[e] not contains",
            "jwt_claims.groups not contains ops".into(),
            Refused,
            "holds",
        ),
        (
            "[e] a part of a text",
            "jwt_claims.sub contains \"workspace:prod\"".into(),
            Admitted,
            "",
        ),
        (
            "[e] a name of an object",
            "a in jwt_claims.nested".into(),
            Admitted,
            "",
        ),
        (
            "[e] a list is not equal to a text",
            "jwt_claims.groups == dev".into(),
            Refused,
            "a list",
        ),
        (
            "[g] a path",
            "jwt_claims.nested.a == deep".into(),
            Admitted,
            "",
        ),
        (
            "[g] an index",
            "jwt_claims.groups.0 == dev".into(),
            Admitted,
            "",
        ),
        (
            "[e] is empty",
            "jwt_claims.empty is empty".into(),
            Admitted,
            "",
        ),
        (
            "[e] is not empty",
            "jwt_claims.groups is not empty".into(),
            Admitted,
            "",
        ),
        (
            "[e] is empty, of a text",
            "jwt_claims.sub is empty".into(),
            Refused,
            "is not empty",
        ),
        (
            "[e] CoerceBool",
            "jwt_claims.is_protected == true".into(),
            Admitted,
            "",
        ),
        (
            "[e] CoerceBool, no bool",
            "jwt_claims.is_protected == yes".into(),
            Refused,
            "not true",
        ),
        (
            "[e] CoerceFloat64",
            "jwt_claims.level == 3".into(),
            Admitted,
            "",
        ),
        (
            "[e] CoerceFloat64, no number",
            "jwt_claims.level == x".into(),
            Refused,
            "no number",
        ),
        ("[e] null", "jwt_claims.gone == x".into(), Refused, "null"),
        (
            "[e] a missing claim",
            "jwt_claims.ref == main".into(),
            Refused,
            "no claim `ref`",
        ),
        (
            "[e] a missing claim under `!=`",
            "jwt_claims.ref != main".into(),
            Undecided,
            "not documented",
        ),
        (
            "[g] and",
            "jwt_claims.level == 3 and jwt_claims.terraform_workspace_name == prod".into(),
            Admitted,
            "",
        ),
        (
            "[g] and, the second fails",
            "jwt_claims.level == 3 and jwt_claims.level == 4".into(),
            Refused,
            "is not `4`",
        ),
        (
            "[g] or",
            "jwt_claims.level == 4 or jwt_claims.level == 3".into(),
            Admitted,
            "",
        ),
        (
            "[g] neither",
            "jwt_claims.level == 4 or jwt_claims.level == 5".into(),
            Refused,
            "none",
        ),
        (
            "[g] `and` binds more than `or`",
            "jwt_claims.level == 3 or jwt_claims.level == 3 and \
            jwt_claims.level == 4"
                .into(),
            Admitted,
            "",
        ),
        (
            "[g] parentheses",
            "(jwt_claims.level == 3 or jwt_claims.level == 3) and jwt_claims.level == 4".into(),
            Refused,
            "is not `4`",
        ),
        ("[g] not", "not jwt_claims.level == 4".into(), Admitted, ""),
        (
            "[g] not not",
            "not not jwt_claims.level == 4".into(),
            Refused,
            "",
        ),
        (
            "[g] not before parentheses",
            "not ( jwt_claims.level == 3 )".into(),
            Refused,
            "after `not`",
        ),
        (
            "[e] `or` does not look further",
            "jwt_claims.level == 3 or jwt_claims.ref == x".into(),
            Admitted,
            "",
        ),
        (
            "[e] an error before `or`",
            "jwt_claims.groups == x or jwt_claims.level == 3".into(),
            Refused,
            "a list",
        ),
        (
            "[g] blanks and lines",
            "\n jwt_claims.level  ==\n 3\n".into(),
            Admitted,
            "",
        ),
    ];
    for (name, condition, decision, said) in cases {
        let verdict = read(provider(&condition)).unwrap().evaluate(&run());
        let why = verdict.first_failure().map_or("", |check| &check.why);
        assert_eq!(verdict.decision, decision, "{name}: {why}");
        assert!(why.contains(said), "{name}: {why}");
        assert_eq!(why.is_empty(), decision == Admitted, "{name}: {why}");
    }
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
