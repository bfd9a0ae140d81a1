//! What nobody thought of: generated input for everything that strangers send. The pure rules are held
//! so in `domain.rs`; here it goes through the routers, into the database and back.
//!
//! Few cases each time; `script/fuzz` runs many. `PROPTEST_CASES` says how many: the number is that of
//! the cheap targets, and the others run their part of it.

mod body;
mod expression;
mod grant;
mod header;
mod subject;
mod token;

use std::cell::Cell;
use std::fmt::Debug;

use axum::http::StatusCode;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Answer, TestApp};

/// Runs `case` with generated values on one application, in one test's thread: a stack that overflows
/// or a panic that nobody catches ends the test. `every` is how many of the cheapest target's cases one
/// of these is worth.
#[expect(
    clippy::print_stdout,
    reason = "how much was tried is half of the result"
)]
fn fuzz<S: Strategy<Value: Clone>>(
    target: &'static str,
    every: u32,
    strategy: &S,
    case: &impl AsyncFn(&TestApp, S::Value) -> TestCaseResult,
    prepare: &impl AsyncFn(&TestApp),
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // Failed authentications are what most of this is.
    let app = runtime.block_on(async {
        let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "0")]).await;
        prepare(&app).await;
        app
    });
    let mut config = ProptestConfig {
        // Seeds of what was found lie in tests/proptest-regressions and are tried first.
        source_file: Some(file!()),
        test_name: Some(target),
        ..ProptestConfig::default()
    };
    config.cases = (config.cases / every).max(1);
    let executions = Cell::new(0_u32);
    let result = TestRunner::new(config).run(strategy, |value| {
        executions.set(executions.get() + 1);
        runtime.block_on(case(&app, value))
    });
    println!("fuzz {target}: {} executions", executions.get());
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// Asserts what holds for every answer: it is no fault of ours, and an error has the one shape that it
/// has on this URL.
fn assert_sane(path: &str, answer: &Answer) -> TestCaseResult {
    let status = answer.status;
    prop_assert!(!status.is_server_error(), "{path}: {answer:?}");
    prop_assert!(!answer.text.contains("panicked"), "{path}: {answer:?}");
    if !status.is_client_error() {
        return Ok(());
    }
    prop_assert!(status != StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    let content_type = answer.header("content-type");
    if path.starts_with("/oauth/") {
        prop_assert_eq!(content_type, "application/json", "{}: {:?}", path, answer);
        prop_assert!(answer.json["error"].is_string(), "{path}: {answer:?}");
        let description = answer.json["error_description"].as_str();
        // RFC 6749 section 5.2
        let is_allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
        prop_assert!(
            description.is_some_and(|text| text.chars().all(is_allowed)),
            "{path}: {answer:?}"
        );
    } else {
        prop_assert_eq!(
            content_type,
            "application/problem+json",
            "{}: {:?}",
            path,
            answer
        );
        prop_assert_eq!(&answer.json["status"], &json!(status.as_u16()), "{}", path);
        for member in ["type", "title", "detail", "request_id"] {
            prop_assert!(answer.json[member].is_string(), "{path}: {answer:?}");
        }
    }
    Ok(())
}

/// Texts that have broken parsers before, and any others.
fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        3 => any::<String>(),
        2 => "[ -~]{0,20}",
        1 => proptest::sample::select(vec![
            "", " ", "*", ":", "a:b", "..", "../..", "\0", "\u{202e}", "\u{feff}a", "é", "٣", "ﬀ", "K",
            "null", "true", "-1", "1e999", "9223372036854775808", "{{7*7}}", "' OR 1=1 --", "%00", "\r\nX: y",
        ]).prop_map(str::to_owned),
        1 => (1_usize..2_000).prop_map(|length| "a".repeat(length)),
    ]
}

/// Any JSON, with numbers at the edges.
fn any_json() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(vec![0_i64, 1, -1, i64::MAX, i64::MIN, 1_795_400_000])
            .prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// What is done to one place of a valid JSON document.
#[derive(Clone, Debug)]
enum Mutation {
    Add(String, Value),
    Drop,
    Replace(Value),
    Twice,
}

fn mutations() -> impl Strategy<Value = (prop::sample::Index, Mutation)> + Clone {
    let what = prop_oneof![
        1 => (text(), any_json()).prop_map(|(name, value)| Mutation::Add(name, value)),
        1 => Just(Mutation::Drop),
        4 => any_json().prop_map(Mutation::Replace),
        2 => text().prop_map(|text| Mutation::Replace(Value::from(text))),
        1 => Just(Mutation::Twice),
    ];
    (any::<prop::sample::Index>(), what)
}

/// Carries out a mutation somewhere in the document.
fn mutate(document: &mut Value, place: prop::sample::Index, mutation: &Mutation) {
    let mut paths = Vec::new();
    pointers(document, String::new(), &mut paths);
    let pointer = place.get(&paths).clone();
    match mutation {
        Mutation::Replace(value) => {
            if let Some(target) = document.pointer_mut(&pointer) {
                *target = value.clone();
            }
        }
        Mutation::Add(name, value) => match document.pointer_mut(&pointer) {
            Some(Value::Object(members)) => drop(members.insert(name.clone(), value.clone())),
            Some(Value::Array(items)) => items.push(value.clone()),
            _ => {}
        },
        Mutation::Drop | Mutation::Twice => {
            let Some((parent, name)) = pointer.rsplit_once('/') else {
                return;
            };
            match document.pointer_mut(parent) {
                Some(Value::Object(members)) if matches!(mutation, Mutation::Drop) => {
                    members.remove(&name.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(items)) => {
                    let index: usize = name.parse().unwrap();
                    match mutation {
                        Mutation::Drop => drop(items.remove(index)),
                        _ => items.push(items[index].clone()),
                    }
                }
                _ => {}
            }
        }
    }
}

/// The place of every value in a document (RFC 6901).
fn pointers(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
    found.push(at);
}
