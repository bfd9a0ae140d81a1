//! Conditions and mappings of GCP's providers.

use serde_json::{Value as Json, json};

use super::*;

const SUBJECT: &str = "organization:acme:project:Default Project:workspace:net:run_phase:apply";

fn claims() -> Json {
    json!({
        "sub": SUBJECT, "aud": "https://gcp.example.com", "terraform_workspace_name": "net",
        "terraform_run_phase": "apply", "email": "Ann@Example.COM", "groups": ["ops", "dev"],
        "oid": "55d36609", "arn": "arn:aws:sts::123456789012:assumed-role/ci/i-1",
        "https://example.com/roles": ["reader"], "active": true, "n": 5,
    })
}

fn condition(source: &str) -> Result<bool, String> {
    holds(Dialect::Gcp, source, "assertion", &claims())
}

fn mapped(source: &str) -> Result<Vec<String>, String> {
    texts(Dialect::Gcp, source, "assertion", &claims())
}

#[test]
fn conditions_as_people_write_them_hold_or_do_not() {
    for (source, expected) in [
        (
            "assertion.sub.startsWith('organization:acme:project:Default Project:')",
            true,
        ),
        (
            "assertion.sub.startsWith(\"organization:acme:project:Default\")",
            true,
        ),
        (
            "assertion.sub.endsWith(':run_phase:apply') && assertion.active",
            true,
        ),
        ("assertion.sub.contains(':workspace:net:')", true),
        (
            "assertion.sub.matches('^organization:acme:project:[^:]+:workspace:net:run_phase:(plan|apply)$')",
            true,
        ),
        ("assertion.sub.matches('workspace:net')", true),
        (
            "assertion.sub.matches('workspace:' + assertion.terraform_workspace_name)",
            true,
        ),
        ("matches(assertion.sub, 'workspace:prod')", false),
        ("'٣'.matches('^\\\\d$')", false),
        ("matches('٣', '^\\\\D$')", true),
        ("'٣'.matches('^' + '\\\\d$')", false),
        ("assertion.groups.exists(g, g.matches('^o'))", true),
        ("assertion.terraform_run_phase in ['plan', 'apply']", true),
        ("'ops' in assertion.groups", true),
        ("assertion.groups.exists(g, g.startsWith('o'))", true),
        (
            "has(assertion.terraform_workspace_name) && !has(assertion.other)",
            true,
        ),
        ("has(assertion.other) && assertion.other == 'x'", false),
        ("assertion['sub'] == assertion.sub", true),
        ("'reader' in assertion['https://example.com/roles']", true),
        ("assertion.sub.extract('workspace:{w}:') == 'net'", true),
        (
            "assertion.email.lowerAscii().endsWith('@example.com')",
            true,
        ),
        ("assertion.n > 3 ? assertion.active : false", true),
        ("'apply' in {'plan': 1, 'apply': 2}", true),
        (
            "type(assertion.n) == int && type(assertion.sub) == string",
            true,
        ),
        ("true", true),
        (
            "assertion.groups.exists(a, assertion.groups.exists(b, a != b))",
            true,
        ),
    ] {
        assert_eq!(condition(source), Ok(expected), "{source}");
    }
}

#[test]
fn mappings_as_people_write_them_give_texts() {
    for (source, expected) in [
        ("assertion.sub", SUBJECT),
        (
            "\"runmint::\" + assertion.terraform_workspace_name",
            "runmint::net",
        ),
        ("assertion.arn.extract('assumed-role/{role}/')", "ci"),
        (
            "assertion.arn.contains('assumed-role') ? \
             assertion.arn.extract('{account_arn}assumed-role/') + 'assumed-role/' + \
             assertion.arn.extract('assumed-role/{role_name}/') : assertion.arn",
            "arn:aws:sts::123456789012:assumed-role/ci",
        ),
        (
            "{'8bb39bdb': 'Workload1', '55d36609': 'Workload2'}[assertion.oid]",
            "Workload2",
        ),
        ("assertion.email.split('@')[0].lowerAscii()", "ann"),
        (
            "assertion.sub.split(':').join('/')",
            "organization/acme/project/Default Project/workspace/net/run_phase/apply",
        ),
        (
            "assertion.email.split('@', 2)[1].upperAscii()",
            "EXAMPLE.COM",
        ),
        ("string(assertion.n)", "5"),
        ("assertion.sub.extract('stack:{s}:')", ""),
    ] {
        assert_eq!(mapped(source), Ok(vec![expected.to_owned()]), "{source}");
    }
    let groups = mapped("assertion.groups.map(g, 'team-' + g)");
    assert_eq!(
        groups,
        Ok(vec!["team-ops".to_owned(), "team-dev".to_owned()])
    );
}

#[test]
fn a_condition_sees_what_was_mapped() {
    let variables = Variables::new("assertion", &claims())
        .with("google", &json!({"subject": "s", "groups": ["ops"]}))
        .with("attribute", &json!({"workspace": "net"}));
    let source = "google.subject == 's' && 'ops' in google.groups && attribute.workspace == 'net'";
    let expression = Expression::compile("c", source, Dialect::Gcp, Wanted::Bool).unwrap();
    assert_eq!(expression.holds(&variables), Ok(true));
}

#[test]
fn what_cannot_be_said_is_an_error_and_never_true() {
    for source in [
        "assertion.other == 'x'",
        "assertion.n.startsWith('5')",
        "{'a': true}[assertion.oid]",
        "assertion.sub.extract(assertion.email) == ''",
        "assertion.sub.matches(assertion.other)",
        "assertion.sub.matches('(?x)' + 'a')",
    ] {
        condition(source).unwrap_err();
    }
    mapped("assertion.other").unwrap_err();
    mapped("assertion.n").unwrap_err();
}

#[test]
fn what_iam_does_not_know_is_refused() {
    for (source, word) in [
        ("claims.sub == 'x'", "under `assertion`"),
        ("assertion.sub == x", "`x` is not known"),
        ("assertion.sub.beginsWith('x')", "no function `beginsWith`"),
        ("assertion.?sub.orValue('') == ''", "no CEL expression"),
        ("assertion.sub.extract('x') == ''", "one `{name}`"),
        ("assertion.sub.extract('{a}{b}') == ''", "one `{name}`"),
        ("assertion.sub.matches('(') ", "regular expression"),
        ("assertion.sub.matches('(?ix)a b')", "differently in RE2"),
        ("matches(assertion.sub, '.{1,2000}')", "more than 1000"),
        ("assertion.sub.matches(5)", "no `matches` with"),
        ("assertion.sub.matches('a', 'b')", "no `matches` of"),
        (
            "[1].all(a, [1].all(b, [1].all(c, a == b && b == c)))",
            "inside each other",
        ),
        (
            "request.time < timestamp('2030-01-01T00:00:00Z')",
            "not known",
        ),
        ("'%s'.format([assertion.sub]) == ''", "no function `format`"),
    ] {
        let rule = refusal(Dialect::Gcp, source, Wanted::Bool);
        assert!(rule.contains(word), "{source}: {rule}");
    }
    let list = format!("1 in [{}1]", "1,".repeat(1_000));
    assert!(refusal(Dialect::Gcp, &list, Wanted::Bool).contains("1000 items"));
    let long = format!("assertion.sub == '{}'", "x".repeat(4_100));
    assert!(refusal(Dialect::Gcp, &long, Wanted::Bool).contains("longer than 4096"));
}
