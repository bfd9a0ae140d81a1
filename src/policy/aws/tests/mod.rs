//! The evaluator against the vendor's rules, and what reading, weaknesses and changes are to do.

mod change;
mod read;
mod table;

use serde_json::{Map, Value, json};

use super::super::{Document, Presented};
use super::Policy;

const ARN: &str = "arn:aws:iam::123456789012:oidc-provider/ci.example.com";
const SUBJECT: &str = "organization:acme:project:Default Project:workspace:prod:run_phase:plan";

/// A token of the workspace `prod`, with these claims in place of its own; null takes one out.
fn presented(with: &Value) -> Presented {
    let mut claims = Map::new();
    for (name, value) in [
        ("iss", "https://ci.example.com"),
        ("aud", "aws.workload.identity"),
        ("sub", SUBJECT),
    ] {
        claims.insert(name.to_owned(), json!(value));
    }
    for (name, value) in with.as_object().into_iter().flatten() {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
    Presented {
        claims,
        role_arn: None,
    }
}

/// A statement that lets the provider's tokens in under a condition.
fn statement(condition: &Value) -> Value {
    json!({
        "Effect": "Allow",
        "Principal": {"Federated": ARN},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    })
}

fn read(documents: &[Value]) -> Result<Policy, super::BadPolicy> {
    let documents: Vec<Document> = documents
        .iter()
        .map(|value| Document {
            name: "p.json".to_owned(),
            value: value.clone(),
        })
        .collect();
    Policy::read(&documents)
}

fn policy(statements: &Value) -> Policy {
    read(&[json!({"Version": "2012-10-17", "Statement": statements})]).unwrap()
}
