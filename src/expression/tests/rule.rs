//! Our own rules.

use serde_json::json;

use super::super::*;

fn refusal(source: &str, wanted: Wanted) -> String {
    let error = Expression::compile("conditions[0]", source, Dialect::Rule, wanted).unwrap_err();
    assert_eq!(error.field, "conditions[0]");
    error.rule
}

fn holds(source: &str, claims: &serde_json::Value) -> Result<bool, String> {
    Expression::compile("c", source, Dialect::Rule, Wanted::Bool)
        .unwrap()
        .holds(&Variables::new("claims", claims))
}

fn text(source: &str, claims: &serde_json::Value) -> Result<String, String> {
    Expression::compile("c", source, Dialect::Rule, Wanted::Text)
        .unwrap()
        .text(&Variables::new("claims", claims))
}

#[test]
fn conditions_hold_or_do_not() {
    let claims = json!({
        "sub": "system:serviceaccount:ci:runner", "n": 5, "big": 1e300, "yes": true,
        "huge": 18_446_744_073_709_551_615_u64, "groups": ["a", "b"], "kubernetes.io": {"namespace": "ci"}, "none": null,
    });
    for (source, expected) in [
        ("claims.sub == 'system:serviceaccount:ci:runner'", true),
        ("claims.sub.startsWith('system:') && claims.n == 5", true),
        ("claims['kubernetes.io'].namespace == 'ci'", true),
        (
            "claims['kubernetes.io']['namespace'] in ['ci', 'build']",
            true,
        ),
        ("has(claims.sub) && !has(claims.other)", true),
        ("'a' in claims.groups && !('c' in claims.groups)", true),
        ("claims.groups.exists(g, g == 'b')", true),
        ("claims.groups.exists(g, g in ['b', 'c'])", true),
        ("claims.huge == 18446744073709551615u", true),
        ("string(claims.huge) == '18446744073709551615'", true),
        ("claims.groups.all(g, g != 'c')", true),
        ("claims.groups.filter(g, g != 'a').size() == 1", true),
        ("size(claims.groups.map(g, g + '!')) == 2", true),
        ("claims.n > 4 && claims.n * 2 <= 10", true),
        (
            "claims.sub.matches('^system:serviceaccount:[a-z]+:runner$')",
            true,
        ),
        ("claims.yes", true),
        ("claims.none == null", true),
        ("claims.n == 6 || claims.sub == ''", false),
    ] {
        assert_eq!(holds(source, &claims), Ok(expected), "{source}");
    }
}

#[test]
fn texts_are_made_of_claims() {
    let claims = json!({"repository": "acme/Net-1", "run": 7, "ref": "refs/heads/main"});
    for (source, expected) in [
        ("'acme'", "acme"),
        ("claims.repository.split('/')[1].lowerAscii()", "net-1"),
        (
            "claims.ref == 'refs/heads/main' ? 'apply' : 'plan'",
            "apply",
        ),
        ("'run-' + string(claims.run)", "run-7"),
        ("claims.ref.substring(11).replace('a', 'o').trim()", "moin"),
        (
            "claims.repository.split('/').join('-').upperAscii()",
            "ACME-NET-1",
        ),
        (
            "string(claims.ref.indexOf('/') + claims.ref.lastIndexOf('/'))",
            "14",
        ),
        (
            "claims.ref.charAt(0) + string(int('5')) + string(size('ab'))",
            "r52",
        ),
    ] {
        assert_eq!(text(source, &claims), Ok(expected.to_owned()), "{source}");
    }
}

#[test]
fn what_cannot_be_said_is_an_error_and_never_true() {
    let claims = json!({"n": 5, "t": "x"});
    for source in [
        "claims.missing == 'x'",
        "claims.n",
        "claims.t.startsWith('x') && claims.n",
    ] {
        holds(source, &claims).unwrap_err();
    }
    assert!(text("claims.n", &claims).unwrap_err().contains("a number"));
    assert!(
        text("claims.missing", &claims)
            .unwrap_err()
            .contains("missing")
    );
    text("claims.t.split('/')[1]", &claims).unwrap_err();
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (source, place, word) in [
        ("claims.sub ==", "line 1, column", ""),
        (
            "claim.sub == 'x'",
            "line 1, column 1:",
            "`claim` is not known",
        ),
        ("'u' == 'u' && x", "line 1, column 15:", "`x` is not known"),
        (
            "true &&\n  subject",
            "line 2, column 3:",
            "`subject` is not known",
        ),
        (
            "claims.sub.beginsWith('x')",
            "line 1",
            "no function `beginsWith`",
        ),
        ("claims.sub.startsWith(5)", "line 1", "`startsWith`"),
        ("startsWith(claims.sub, 'x')", "line 1", "`startsWith`"),
        ("'x'.lowerAscii() == 5", "line 1", "never equal"),
        ("claims.a && 'x'", "line 1", "true or false"),
        ("!'x'", "line 1", "true or false"),
        ("'a' + 5 == 'a5'", "line 1", "`+`"),
        ("'a'.b == 'c'", "line 1", "no member `b`"),
        ("'a' < 5", "line 1", "no order"),
        ("'a' in 'abc'", "line 1", "`in`"),
        (
            "claims.sub.matches('(')",
            "line 1, column 20:",
            "regular expression",
        ),
        (
            "claims.sub.matches(claims.pattern)",
            "line 1, column",
            "in quotes",
        ),
        (
            "claims.a.exists(x, claims.b.exists(y, x == y))",
            "line 1",
            "inside another",
        ),
        ("'a'.exists(x, true)", "line 1", "no elements"),
        (
            "claims.a.exists(x, x.matches('a'))",
            "line 1",
            "not allowed inside",
        ),
        (
            "claims.a.all(x, x.split('a').size() == 1)",
            "line 1",
            "not allowed inside",
        ),
        (
            "claims.a.exists(x, x in claims.b)",
            "line 1",
            "written here",
        ),
        (
            "claims.a.replace('a', claims.b) == ''",
            "line 1",
            "in quotes",
        ),
        ("size({'a': 1}) == 1", "line 1", "maps"),
        ("optional.of(1).hasValue()", "line 1", ""),
        ("type(claims.sub) == string", "line 1", ""),
    ] {
        let rule = refusal(source, Wanted::Bool);
        assert!(
            rule.contains(place) && rule.contains(word),
            "{source}: {rule}"
        );
    }
    assert!(refusal("'x'", Wanted::Bool).contains("gives a text"));
    assert!(refusal("1 + 1", Wanted::Text).contains("gives a number"));
    assert!(refusal("", Wanted::Text).contains("no CEL expression"));
    assert!(refusal(&"(".repeat(3_000), Wanted::Bool).contains("longer than"));
    refusal(
        &format!("{}true{}", "(".repeat(900), ")".repeat(900)),
        Wanted::Bool,
    );
    let deep = [
        format!("1{} == 1", "+1".repeat(900)),
        format!("claims{} == 1", "[0]".repeat(600)),
        format!("{}1{} == 1", "[".repeat(30), "]".repeat(30)),
    ];
    for source in deep {
        assert!(refusal(&source, Wanted::Bool).contains("nested too deeply"));
    }
}

#[test]
fn what_is_allowed_fits_the_stack_of_a_worker() {
    let source = format!("1{} == 1", "+1".repeat(20));
    assert_eq!(holds(&source, &json!({})), Ok(false));
    let conditions = vec!["claims.a == 'b'"; 100].join(" && ");
    assert_eq!(holds(&conditions, &json!({"a": "b"})), Ok(true));
}
