//! Grants on their way through the database: what is minted is what the saved text allows, by another
//! matcher than ours.

use std::cell::OnceCell;

use axum::http::Method;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use regex::Regex;
use runmint::domain::pattern::Pattern;
use serde_json::{Value, json};

use super::{assert_sane, fuzz, text};
use crate::harness::{Answer, TestApp};

/// Few letters, so that patterns and names often meet; and what is special to other matchers.
fn pattern() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        12 => "[ab*]{1,4}",
        3 => Just("*".to_owned()),
        1 => r"[ab*.+?()\[\]{}|^$\\]{0,5}",
        1 => text(),
    ]
}

/// How long something may live; also longer than time itself.
fn seconds() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![
        6 => 1_i64..2_000,
        1 => select(vec![i64::MIN, -1, 0, 1, i64::MAX - 1_795_400_000, i64::MAX]),
    ]
}

fn grants() -> impl Strategy<Value = Value> {
    let phases = option::of(select(vec![
        json!(["plan"]),
        json!(["apply"]),
        json!(["apply", "plan"]),
    ]));
    let forms = option::of(select(vec![
        json!(["workspace"]),
        json!(["stack"]),
        json!(["legacy", "module_test"]),
        json!(["stack", "workspace", "legacy", "module_test"]),
    ]));
    let grant = (
        pattern(),
        option::of(pattern()),
        option::of(pattern()),
        option::weighted(0.2, pattern()),
        vec(pattern(), 1..3),
        phases,
        forms,
        option::of(seconds()),
    )
        .prop_map(
            |(organization, project, workspace, deployment, audiences, phases, forms, max_ttl)| {
                let mut grant = json!({"organization": organization, "audiences": audiences});
                let fields = [
                    ("project", project.map(Value::from)),
                    ("workspace", workspace.map(Value::from)),
                    ("deployment", deployment.map(Value::from)),
                    ("run_phases", phases),
                    ("subject_forms", forms),
                    ("max_ttl", max_ttl.map(Value::from)),
                ];
                for (name, value) in fields {
                    if let Some(value) = value {
                        grant[name] = value;
                    }
                }
                grant
            },
        );
    vec(grant, 0..4).prop_map(Value::from)
}

fn requests() -> impl Strategy<Value = Value> {
    let name = || "[ab]{1,3}".prop_map(Value::from);
    let phase = || select(vec!["plan", "apply"]);
    let workspace = (name(), name(), name(), phase()).prop_map(|(o, p, w, phase)| {
        json!({"organization": o, "project": p, "workspace": w, "run_phase": phase, "subject_form": "workspace"})
    });
    let legacy = (name(), name(), phase()).prop_map(|(o, w, phase)| {
        json!({"organization": o, "workspace": w, "run_phase": phase, "subject_form": "legacy"})
    });
    let stack = (name(), name(), name(), name(), phase()).prop_map(|(o, p, s, d, phase)| {
        json!({"organization": o, "project": p, "stack": s, "deployment": d, "run_phase": phase, "subject_form": "stack"})
    });
    let module = (name(), name())
        .prop_map(|(o, m)| json!({"organization": o, "module": m, "subject_form": "module_test"}));
    let subject = prop_oneof![4 => workspace, 1 => legacy, 2 => stack, 1 => module];
    let audiences = vec("[ab]{1,3}", 1..3);
    (subject, audiences, option::weighted(0.3, seconds())).prop_map(|(mut body, audiences, ttl)| {
        body["audiences"] = json!(audiences);
        if let Some(ttl) = ttl {
            body["ttl"] = json!(ttl);
        }
        body
    })
}

/// What a `*` pattern means, by a library for another kind of pattern.
fn fits(pattern: &Value, text: &Value) -> bool {
    let pattern = pattern.as_str().unwrap();
    let parts: Vec<_> = pattern.split('*').map(regex::escape).collect();
    Regex::new(&format!(r"\A(?s-m:{})\z", parts.join(".*")))
        .unwrap()
        .is_match(text.as_str().unwrap())
}

/// Whether a grant, as it was sent, covers a request and an audience.
fn covers(grant: &Value, request: &Value, audience: &Value) -> bool {
    let star = json!("*");
    let part = |name: &str| grant.get(name).unwrap_or(&star);
    let is_in = |name: &str, default: Value, wanted: &Value| {
        let list = grant.get(name).cloned().unwrap_or(default);
        list.as_array().unwrap().contains(wanted)
    };
    let target = ["workspace", "stack", "module"]
        .into_iter()
        .find_map(|name| request.get(name));
    let plan = json!("plan");
    let phase = request.get("run_phase").unwrap_or(&plan);
    fits(part("organization"), &request["organization"])
        && request
            .get("project")
            .map_or(*part("project") == star, |name| fits(part("project"), name))
        && fits(part("workspace"), target.unwrap())
        && request
            .get("deployment")
            .is_none_or(|name| fits(part("deployment"), name))
        && is_in("run_phases", json!(["plan", "apply"]), phase)
        && is_in(
            "subject_forms",
            json!(["workspace"]),
            &request["subject_form"],
        )
        && grant["audiences"]
            .as_array()
            .unwrap()
            .iter()
            .any(|pattern| fits(pattern, audience))
}

async fn save(app: &TestApp, grants: &Value) -> Answer {
    let body = json!({"grants": grants});
    app.admin(Method::PUT, "/v1/clients/orchestrator")
        .json(&body)
        .send()
        .await
}

#[test]
fn what_is_minted_is_what_the_saved_grants_cover() {
    let secret = OnceCell::new();
    fuzz(
        "grant",
        4,
        &(grants(), requests()),
        &async |app, (grants, request)| {
            let saved = save(app, &grants).await;
            assert_sane("/v1/clients/orchestrator", &saved)?;
            if saved.status != 200 {
                prop_assert_eq!(saved.status.as_u16(), 422, "{:?}", saved);
                return Ok(());
            }
            let secret: &String = secret.get().unwrap();
            let answer = app
                .post("/v1/tokens")
                .bearer(secret)
                .json(&request)
                .send()
                .await;
            assert_sane("/v1/tokens", &answer)?;
            let mut audiences = request["audiences"].as_array().unwrap().clone();
            audiences.dedup();
            let grants = grants.as_array().unwrap();
            let covering = |audience: &Value| -> Vec<_> {
                grants
                    .iter()
                    .filter(|grant| covers(grant, &request, audience))
                    .collect()
            };
            let all = audiences
                .iter()
                .all(|audience| !covering(audience).is_empty());
            if !all {
                prop_assert_eq!(answer.status.as_u16(), 403, "{:?}", answer);
                return Ok(());
            }
            if request["ttl"].as_i64().is_some_and(|ttl| ttl < 1) {
                prop_assert_eq!(answer.status.as_u16(), 422, "{:?}", answer);
                return Ok(());
            }
            prop_assert_eq!(answer.status.as_u16(), 201, "{:?}", answer);
            for (audience, token) in audiences
                .iter()
                .zip(answer.json["tokens"].as_array().unwrap())
            {
                prop_assert_eq!(&token["audience"], audience);
                let lives = token["expires_at"].as_i64().unwrap() - app.now().0;
                let longest = covering(audience)
                    .iter()
                    .map(|grant| grant["max_ttl"].as_i64().unwrap_or(i64::MAX))
                    .max();
                prop_assert!(
                    longest.is_some_and(|longest| lives <= longest),
                    "{} lives {}",
                    token,
                    lives
                );
            }
            Ok(())
        },
        &async |app| secret.set(app.client("orchestrator").await).unwrap(),
    );
}

proptest! {
    #[test]
    fn a_pattern_matches_any_text_as_a_regular_expression_would(
        parts in vec(text(), 1..4),
        fills in vec(text(), 0..3),
        other in text(),
    ) {
        let pattern = parts.join("*");
        let fills = fills.iter().map(String::as_str).chain(std::iter::repeat(""));
        let made: String = parts.iter().zip(fills).flat_map(|(part, fill)| [part, fill]).collect();
        for candidate in [made, other, pattern.clone()] {
            let expected = fits(&json!(pattern), &json!(candidate));
            prop_assert_eq!(Pattern(pattern.clone()).matches(&candidate), expected, "{:?}", candidate);
        }
    }
}
