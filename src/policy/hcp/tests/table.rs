//! What a condition says: a row for each rule of go-bexpr.

use super::{SUBJECT, provider, read, run};
use crate::policy::Decision::{self, Admitted, Refused, Undecided};

/// The sources are rules of go-bexpr's `grammar.peg` [g] and functions of its `evaluate.go` [e].
#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
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
            "[e] what Rust takes for an operator",
            "jwt_claims.sub matches `[a-z--m]`".into(),
            Undecided,
            "read differently",
        ),
        (
            "[e] two `-` outside of a class",
            "jwt_claims.sub not matches `a--b[^:]+\\[--`".into(),
            Admitted,
            "",
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
            Undecided,
            "no regular expression",
        ),
        (
            "[e] what Go refuses and Rust takes",
            "jwt_claims.sub matches `^organization:.{1,2000}$`".into(),
            Undecided,
            "more than 1000",
        ),
        (
            "[e] what Go takes and Rust refuses",
            "jwt_claims.sub matches `^\\Qorganization:acme:\\E.*`".into(),
            Undecided,
            "RE2 may know it",
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
