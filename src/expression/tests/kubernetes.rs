//! Mappings and rules of API servers.

use serde_json::{Value as Json, json};

use super::*;

fn claims() -> Json {
    json!({
        "sub": "organization:acme:project:p:workspace:net:run_phase:apply",
        "terraform_run_phase": "apply", "groups": ["ops", "dev"], "roles": "a,b",
        "exp": 1_700_000_600, "nbf": 1_700_000_000, "email_verified": true,
        "kubernetes.io": {"namespace": "ci"},
    })
}

fn rule(source: &str) -> Result<bool, String> {
    holds(Dialect::Kubernetes, source, "claims", &claims())
}

fn mapped(source: &str) -> Result<Vec<String>, String> {
    texts(Dialect::Kubernetes, source, "claims", &claims())
}

#[test]
fn rules_as_people_write_them_hold_or_do_not() {
    for (source, expected) in [
        ("claims.exp - claims.nbf <= 86400", true),
        (
            "has(claims.terraform_run_phase) && claims.terraform_run_phase == 'apply'",
            true,
        ),
        ("claims.?email_verified.orValue(true) == true", true),
        ("claims.?email_verified.orValue(true)", true),
        ("claims.?other.orValue('') == ''", true),
        ("claims.?other.hasValue()", false),
        ("claims.?sub.value().startsWith('organization:acme:')", true),
        (
            "claims[?'kubernetes.io'].?namespace.orValue('') == 'ci'",
            true,
        ),
        (
            "claims.?other.?deeper.or(optional.of('x')).value() == 'x'",
            true,
        ),
        ("!optional.none().hasValue()", true),
        (
            "claims.?roles.optMap(r, r.split(',')).orValue([]).size() == 2",
            true,
        ),
        ("claims['kubernetes.io'].namespace == 'ci'", true),
        ("type(claims.groups) == list", true),
        ("claims.groups.all(g, !g.startsWith('system:'))", true),
        ("claims.sub.matches('^organization:acme:')", true),
        ("claims.?sub.orValue('').matches('^[[:alpha:]]+:')", true),
        ("'é'.matches('^\\\\w$')", false),
        (
            "claims.?groups.optMap(g, g.all(a, g.exists(b, a == b))).orValue(false)",
            true,
        ),
        ("{'a': 1}.?b.orValue(2) == 2", true),
    ] {
        assert_eq!(rule(source), Ok(expected), "{source}");
    }
}

#[test]
fn mappings_as_people_write_them_give_texts() {
    for (source, expected) in [
        (
            "claims.sub",
            vec!["organization:acme:project:p:workspace:net:run_phase:apply"],
        ),
        ("'ci:' + claims.terraform_run_phase", vec!["ci:apply"]),
        ("claims.roles.split(',')", vec!["a", "b"]),
        ("claims.groups.map(g, 'ci:' + g)", vec!["ci:ops", "ci:dev"]),
        ("has(claims.other) ? claims.other : []", vec![]),
        ("claims.?other.orValue([])", vec![]),
        (
            "claims.?groups.orValue([]) + ['all']",
            vec!["ops", "dev", "all"],
        ),
        ("[claims.terraform_run_phase]", vec!["apply"]),
        (
            "[?claims.?other, ?claims.?terraform_run_phase]",
            vec!["apply"],
        ),
        (
            "'%s-%s'.format([claims.terraform_run_phase, 'x'])",
            vec!["apply-x"],
        ),
        ("claims.?terraform_run_phase.orValue('none')", vec!["apply"]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(mapped(source), Ok(expected), "{source}");
    }
}

#[test]
fn rules_about_users_see_the_user() {
    let user =
        json!({"username": "ci:net", "groups": ["ops"], "extra": {"example.com/run": ["run-1"]}});
    for (source, expected) in [
        ("!user.username.startsWith('system:')", true),
        ("user.groups.all(group, !group.startsWith('system:'))", true),
        ("user.extra['example.com/run'] == ['run-1']", true),
        ("'admins' in user.groups", false),
    ] {
        assert_eq!(
            holds(Dialect::Kubernetes, source, "user", &user),
            Ok(expected),
            "{source}"
        );
    }
}

#[test]
fn what_cannot_be_said_is_an_error_and_never_true() {
    for source in [
        "claims.other == 'x'",
        "claims.?other.value() == 'x'",
        "claims.exp",
        "claims.sub.orValue('x') == ''",
    ] {
        rule(source).unwrap_err();
    }
}

#[test]
fn what_an_api_server_does_not_know_is_refused() {
    for (source, word) in [
        ("assertion.sub == 'x'", "under `claims`"),
        ("claims.sub.extract('{x}') == ''", "no function `extract`"),
        ("claims.?sub == 'x'", "never equal"),
        ("claims.?sub", "orValue"),
        ("claims.?sub.startsWith('x')", "`startsWith`"),
        (
            "optional.ofNothing(1).hasValue()",
            "no function `optional.ofNothing`",
        ),
        ("claims.sub.find('[0-9]+') == ''", "no function `find`"),
        (
            "timestamp(claims.exp) > timestamp(0)",
            "no function `timestamp`",
        ),
    ] {
        let found = refusal(Dialect::Kubernetes, source, Wanted::Bool);
        assert!(found.contains(word), "{source}: {found}");
    }
}
