//! The table of `cases.json`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{presented, read, statement};

const TABLE: &str = include_str!("cases.json");

#[test]
fn aws_decides_as_its_rules_say() {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let mut wrong = Vec::new();
    for case in table["cases"].as_array().unwrap() {
        let says = case["says"].as_str().unwrap();
        let verdict = evaluate(case);
        let decision = serde_json::to_value(verdict.decision).unwrap();
        let failure = verdict.first_failure();
        let why = failure.map_or("", |check| check.why.as_str());
        let wanted = case["why"].as_str().unwrap_or_default();
        // What does not hold always has its reason.
        let is_explained = failure.is_none_or(|check| !check.why.is_empty());
        if decision != case["expect"] || !why.contains(wanted) || !is_explained {
            wrong.push(format!("{says}: {decision}, {failure:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_many_cases_and_each_has_its_source() {
    let table: Value = serde_json::from_str(TABLE).unwrap();
    let cases = table["cases"].as_array().unwrap();
    assert!(cases.len() >= 120, "{}", cases.len());
    let mut seen = BTreeSet::new();
    for case in cases {
        let says = case["says"].as_str().unwrap();
        assert!(seen.insert(says), "{says} is there twice");
        let source = case["source"].as_str().unwrap();
        assert!(table["sources"][source].is_string(), "{says}: {source}");
    }
}

fn evaluate(case: &Value) -> super::super::Verdict {
    let statements = match &case["statements"] {
        Value::Null => {
            let mut statement = statement(&case["condition"]);
            if case["condition"].is_null() {
                statement.as_object_mut().unwrap().remove("Condition");
            }
            json!([statement])
        }
        statements => statements.clone(),
    };
    let mut document = json!({"Version": "2012-10-17", "Statement": statements});
    match case.get("version") {
        None => {}
        Some(Value::Null) => {
            document.as_object_mut().unwrap().remove("Version");
        }
        Some(version) => document["Version"] = version.clone(),
    }
    let mut documents = vec![document];
    if let Some(arn) = case.get("role") {
        documents[0] = json!({"Role": {"Arn": arn, "AssumeRolePolicyDocument": documents[0]}});
    }
    documents.extend(case.get("provider").cloned());
    let mut presented = presented(&case["token"]);
    if case["null"] == true {
        let roles = "https://aws.amazon.com/roles".to_owned();
        presented.claims.insert(roles, Value::Null);
    }
    read(&documents).unwrap().evaluate(&presented)
}
