//! Names on their way through a request: what comes out in `sub` is what was sent, or nothing.

use std::cell::OnceCell;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use runmint::domain::subject::Subject;
use serde_json::{Map, Value, json};

use super::{assert_sane, fuzz, text};
use crate::harness::{AWS, claims};

/// Mostly names, and now and then something that would be one for a careless reader.
fn name() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        8 => "[A-Za-z0-9_-]{1,12}",
        2 => "[A-Za-z0-9_-]{1,90}",
        1 => "[A-Za-z0-9 _:*?/-]{1,12}",
        1 => text(),
    ]
}

/// A field that may be there; with its name.
fn field(
    name: &'static str,
    value: impl Strategy<Value = String>,
    present: f64,
) -> impl Strategy<Value = Option<(&'static str, String)>> {
    option::weighted(present, value.prop_map(move |value| (name, value)))
}

fn bodies() -> impl Strategy<Value = Map<String, Value>> {
    // Each form with its fields, and a chance that one is missing or too many.
    let forms = select(vec![
        ("legacy", [0.02, 0.98, 0.02, 0.02, 0.02]),
        ("module_test", [0.02, 0.02, 0.02, 0.02, 0.98]),
        ("stack", [0.98, 0.02, 0.98, 0.98, 0.02]),
        ("workspace", [0.98, 0.98, 0.02, 0.02, 0.02]),
    ]);
    forms.prop_flat_map(|(form, [project, workspace, stack, deployment, module])| {
        let phase =
            prop_oneof![8 => select(vec!["plan", "apply"]).prop_map(str::to_owned), 1 => text()];
        let has_phase = if form == "module_test" { 0.02 } else { 0.98 };
        (
            name(),
            field("project", name(), project),
            field("workspace", name(), workspace),
            field("stack", name(), stack),
            field("deployment", name(), deployment),
            field("module", name(), module),
            field("run_phase", phase, has_phase),
            field("run_id", name(), 0.2),
        )
            .prop_map(
                move |(
                    organization,
                    project,
                    workspace,
                    stack,
                    deployment,
                    module,
                    phase,
                    run_id,
                )| {
                    let mut body = Map::new();
                    body.insert("organization".to_owned(), json!(organization));
                    body.insert("subject_form".to_owned(), json!(form));
                    body.insert("audiences".to_owned(), json!([AWS]));
                    let fields = [project, workspace, stack, deployment, module, phase, run_id];
                    body.extend(
                        fields
                            .into_iter()
                            .flatten()
                            .map(|(name, value)| (name.to_owned(), value.into())),
                    );
                    body
                },
            )
    })
}

/// The subject that a request asks for, put together without any parser.
fn expected(body: &Map<String, Value>) -> String {
    let of = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or("MISSING");
    let organization = of("organization");
    match of("subject_form") {
        "legacy" => format!(
            "organization:{organization}:workspace:{}:run_phase:{}",
            of("workspace"),
            of("run_phase")
        ),
        "module_test" => format!(
            "organization:{organization}:module:{}:operation:test_run",
            of("module")
        ),
        "stack" => format!(
            "organization:{organization}:project:{}:stack:{}:deployment:{}:operation:{}",
            of("project"),
            of("stack"),
            of("deployment"),
            of("run_phase"),
        ),
        _ => format!(
            "organization:{organization}:project:{}:workspace:{}:run_phase:{}",
            of("project"),
            of("workspace"),
            of("run_phase"),
        ),
    }
}

#[test]
fn a_token_s_subject_is_what_was_sent_or_there_is_no_token() {
    let everything = json!([{"organization": "*", "audiences": ["*"],
        "subject_forms": ["legacy", "module_test", "stack", "workspace"]}]);
    let secret = OnceCell::new();
    fuzz(
        "subject",
        4,
        &bodies(),
        &async |app, body| {
            let secret: &String = secret.get().unwrap();
            let sent = Value::Object(body.clone());
            let answer = app
                .post("/v1/tokens")
                .bearer(secret)
                .json(&sent)
                .send()
                .await;
            assert_sane("/v1/tokens", &answer)?;
            if answer.status != 201 {
                prop_assert_eq!(answer.status.as_u16(), 422, "{:?}", answer);
                return Ok(());
            }
            let token = answer.json["tokens"][0]["token"].as_str().unwrap();
            let claims = claims(token);
            let subject = claims["sub"].as_str().unwrap();
            prop_assert_eq!(subject, expected(&body));
            prop_assert!(subject.len() <= 255);
            // Four, six or eight parts more than one would be a name that holds a separator.
            let read: Subject = subject
                .parse()
                .map_err(|error| TestCaseError::fail(format!("{error}")))?;
            prop_assert_eq!(read.to_string(), subject);
            prop_assert_eq!(
                read.organization().as_str(),
                sent["organization"].as_str().unwrap()
            );
            prop_assert_eq!(
                read.target().as_str(),
                sent[read.target_field()].as_str().unwrap()
            );
            prop_assert_eq!(read.form().as_str(), sent["subject_form"].as_str().unwrap());
            prop_assert!(!subject.contains(['*', '?', '\0', '\n']));
            Ok(())
        },
        &async |app| {
            secret
                .set(app.client_with("orchestrator", everything.clone()).await)
                .unwrap();
        },
    );
}
