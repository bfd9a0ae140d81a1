//! CEL: whatever an operator writes is saved or refused with words, and whatever a token then brings to
//! a rule ends inside the rule's grants.

use std::cell::Cell;

use axum::http::Method;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use runmint::domain::subject::Subject;
use serde_json::{Value, json};

use super::{any_json, assert_sane, fuzz, text};
use crate::foreign::{AUDIENCE, KUBERNETES, Key};
use crate::harness::{AWS, START, TestApp, VAULT};

/// Expressions by a grammar somewhat wider than the language: most are refused, by another rule each.
fn expressions() -> impl Strategy<Value = String> + Clone {
    let leaf = prop_oneof![
        4 => select(vec![
            "claims", "claims.sub", "claims.n", "claims['a b']", "claims.list", "claims.missing", "true", "null",
            "0", "-1", "9223372036854775807", "9223372036854775808", "1.5", "1e400", "0x10", "5u", "''", "'plan'",
            "\"a\\u00e9\"", "r'\\d+'", "b'\\xff'", "'''a\nb'''", "[]", "{}", "x", "_", "@", "..", "\\",
        ]).prop_map(str::to_owned),
        1 => "[a-z.()\\[\\]{}'\"0-9 +*/%&|!?:<>=,-]{0,12}",
        1 => text(),
    ];
    leaf.prop_recursive(6, 48, 4, |inner| {
        let pair = (inner.clone(), inner.clone());
        let operator = select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "&&", "||", " in ", "=", "===", ".",
            ",",
        ]);
        let function = select(vec![
            "size",
            "string",
            "int",
            "double",
            "uint",
            "bytes",
            "type",
            "duration",
            "timestamp",
            "has",
            "dyn",
            "matches",
            "bool",
            "optional.of",
            "nothing",
        ]);
        let method = select(vec![
            "startsWith",
            "endsWith",
            "contains",
            "matches",
            "split",
            "join",
            "replace",
            "substring",
            "charAt",
            "indexOf",
            "lowerAscii",
            "upperAscii",
            "trim",
            "size",
            "all",
            "exists",
            "exists_one",
            "map",
            "filter",
            "format",
            "reverse",
            "nothing",
        ]);
        prop_oneof![
            (pair.clone(), operator).prop_map(|((a, b), operator)| format!("{a} {operator} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| format!("!{a}")),
            inner.clone().prop_map(|a| format!("-{a}")),
            pair.clone().prop_map(|(a, b)| format!("{a}[{b}]")),
            pair.clone().prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            (function, vec(inner.clone(), 0..3))
                .prop_map(|(f, a)| format!("{f}({})", a.join(", "))),
            (inner.clone(), method, vec(inner.clone(), 0..3))
                .prop_map(|(a, f, b)| format!("{a}.{f}({})", b.join(", "))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}.exists(x, {b} == x)")),
            (inner.clone(), pair).prop_map(|(a, (b, c))| format!("{a} ? {b} : {c}")),
        ]
    })
}

/// One token of an expression, many times: what takes a stack down.
fn deep() -> impl Strategy<Value = String> + Clone {
    let unit = select(vec![
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("!", "true", ""),
        ("-", "1", ""),
        ("1+", "1", ""),
        ("claims.", "a", ""),
        ("claims[", "0", "]"),
        ("true?", "true", ":false"),
        ("{1:", "1", "}"),
        ("size(", "''", ")"),
        ("'a'.contains(", "'a'", ")"),
        ("claims.all(x,", "true", ")"),
        ("", "claims", ".a"),
        ("", "claims", "[0]"),
        ("", "''", ".trim()"),
        ("true&&", "true", ""),
        ("f(", "", ")"),
        ("{", "", ""),
        ("((((", "", ""),
    ]);
    (unit, 1_usize..700).prop_map(|((before, middle, after), times)| {
        format!("{}{middle}{}", before.repeat(times), after.repeat(times))
    })
}

fn definition(key: &Key, condition: &str, workspace: &str) -> Value {
    json!({
        "issuer": KUBERNETES, "jwks": {"keys": [key.jwk()]}, "audiences": [AUDIENCE],
        "rules": [{
            "name": "rule",
            "conditions": [{"expression": condition}],
            "workload": {"organization": "'acme'", "project": "'p'", "workspace": workspace, "run_phase": "'plan'"},
            "grants": [{"organization": "acme", "audiences": [AWS]}]
        }]
    })
}

fn foreign(key: &Key, extra: &Value, jti: u32) -> String {
    let mut claims = json!({"iss": KUBERNETES, "aud": AUDIENCE, "sub": "net-1", "iat": START.0,
        "exp": START.0 + 3_600, "n": 7, "a b": "c", "list": ["a", 1, {"b": null}]});
    if let (Some(claims), Some(extra)) = (claims.as_object_mut(), extra.as_object()) {
        for (name, value) in extra {
            claims.entry(name).or_insert(value.clone());
        }
    }
    claims["jti"] = json!(format!("j{jti}"));
    key.token(&claims)
}

#[test]
fn any_expression_is_saved_or_refused_and_then_says_something() {
    let key = Key::ec("k1");
    let next = Cell::new(0);
    let sources = prop_oneof![5 => expressions(), 1 => deep(), 1 => text()];
    fuzz(
        "expression",
        8,
        &(sources, any::<bool>()),
        &async |app, (source, as_condition)| {
            let definition = if as_condition {
                definition(&key, &source, "'net'")
            } else {
                definition(&key, "true", &source)
            };
            let path = "/v1/issuers/fuzzed";
            let saved = app.admin(Method::PUT, path).json(&definition).send().await;
            assert_sane(path, &saved)?;
            if saved.status != 200 {
                prop_assert_eq!(saved.status.as_u16(), 422, "{:?}", saved);
                let place = if as_condition {
                    "rules[0].conditions[0].expression"
                } else {
                    "rules[0].workload.workspace"
                };
                prop_assert_eq!(&saved.json["field"], place);
                return Ok(());
            }
            // What was saved is evaluated, where a worker would do it.
            next.set(next.get() + 1);
            let token = foreign(&key, &json!({}), next.get());
            let tested = app
                .admin(Method::POST, "/v1/issuers/test")
                .json(&json!({"token": token}))
                .send()
                .await;
            prop_assert_eq!(tested.status.as_u16(), 200, "{:?}", tested);
            let answer = app.exchange(&token, &[AWS]).await;
            assert_sane("/oauth/token", &answer)?;
            prop_assert_eq!(
                answer.status == 200,
                tested.json["accepted"] == true,
                "{:?}",
                tested
            );
            if answer.status == 200 {
                let subject = answer.json["subject"].as_str().unwrap();
                prop_assert!(subject.parse::<Subject>().is_ok(), "{}", subject);
                prop_assert_eq!(subject, tested.json["subject"].as_str().unwrap());
            }
            Ok(())
        },
        &async |app| {
            app.trust("fuzzed", &definition(&key, "true", "'net'"))
                .await;
        },
    );
}

/// Rules as people write them, each with a mapping that believes its claims too much.
async fn trusting(app: &TestApp, key: &Key) {
    let rule = |name: &str, condition: &str, workspace: &str, project: &str| {
        json!({
            "name": name,
            "conditions": [{"expression": condition}],
            "workload": {"organization": "string(claims.org)", "project": project, "workspace": workspace,
                "run_phase": "claims.ref == 'refs/heads/main' ? 'apply' : 'plan'", "run_id": "'run-' + string(claims.run)"},
            "grants": [{"organization": "acme", "workspace": "net-*", "project": "p*", "run_phases": ["plan"],
                "audiences": [AWS, "*.example.com"], "max_ttl": 300}]
        })
    };
    let definition = json!({
        "issuer": KUBERNETES, "jwks": {"keys": [key.jwk()]}, "audiences": [AUDIENCE],
        "rules": [
            rule("split", "has(claims.repo)", "claims.repo.split('/')[1]", "'p'"),
            rule("list", "has(claims.groups) && claims.groups.exists(g, g == 'ci')", "claims.groups[0]", "claims.groups.filter(g, g != 'ci').join('-')"),
            rule("regex", "has(claims.name) && claims.name.matches('^net-')", "claims.name", "claims['p q'].trim()"),
            rule("number", "has(claims.n2) && claims.n2 * 2 > 4", "'net-' + string(claims.n2 / (claims.n2 - 3))", "'p'"),
            rule("cut", "true", "claims.cut.substring(int(claims.from), int(claims.to)).replace('x', 'net-')", "claims.cut"),
        ]
    });
    app.trust("rules", &definition).await;
}

fn claim_values() -> impl Strategy<Value = Value> + Clone {
    let word = select(vec![
        "acme",
        "acme/net-1",
        "net-1",
        "net-",
        "net-1\nnet-2",
        "net-1:x",
        "net-*",
        "ci",
        "p",
        "p 1",
        "refs/heads/main",
        "x1",
        "1",
        "*",
        "a/b/c",
    ]);
    prop_oneof![
        6 => word.clone().prop_map(Value::from),
        2 => vec(word.prop_map(Value::from), 0..4).prop_map(Value::from),
        2 => (-5_i64..9).prop_map(Value::from),
        2 => any_json(),
    ]
}

#[test]
fn any_claims_end_inside_the_grants() {
    let key = Key::ec("k1");
    let next = Cell::new(0);
    let names = select(vec![
        "repo", "groups", "name", "n2", "cut", "from", "to", "p q",
    ]);
    let fixed = (
        prop_oneof![6 => Just(json!("acme")), 1 => claim_values()],
        prop_oneof![3 => Just(json!("refs/heads/dev")), 1 => claim_values()],
        prop_oneof![3 => (0_i64..100).prop_map(Value::from), 1 => claim_values()],
    );
    let claims =
        (fixed, vec((names, claim_values()), 0..5)).prop_map(|((org, reference, run), others)| {
            let mut claims = json!({"org": org, "ref": reference, "run": run});
            for (name, value) in others {
                claims[name] = value;
            }
            claims
        });
    fuzz(
        "claims",
        4,
        &(
            claims,
            select(vec![AWS, VAULT, "a.example.com", "example.com"]),
        ),
        &async |app, (claims, audience)| {
            next.set(next.get() + 1);
            let token = foreign(&key, &claims, next.get());
            let answer = app.exchange(&token, &[audience]).await;
            assert_sane("/oauth/token", &answer)?;
            if answer.status != 200 {
                prop_assert_eq!(answer.status.as_u16(), 400, "{:?}", answer);
                return Ok(());
            }
            prop_assert!([AWS, "a.example.com"].contains(&audience), "{}", audience);
            prop_assert!(
                answer.json["expires_in"]
                    .as_i64()
                    .is_some_and(|lives| lives <= 300)
            );
            let subject = answer.json["subject"].as_str().unwrap();
            let read: Subject = subject
                .parse()
                .map_err(|error| TestCaseError::fail(format!("{subject}: {error}")))?;
            prop_assert_eq!(read.to_string(), subject);
            prop_assert_eq!(read.organization().as_str(), "acme");
            prop_assert!(
                read.project()
                    .is_some_and(|project| project.as_str().starts_with('p')),
                "{}",
                subject
            );
            prop_assert!(read.target().as_str().starts_with("net-"), "{}", subject);
            prop_assert_eq!(read.phase().to_string(), "plan");
            Ok(())
        },
        &async |app| trusting(app, &key).await,
    );
}
