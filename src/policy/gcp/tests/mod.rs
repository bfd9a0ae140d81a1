//! What is promised of GCP's providers and bindings.
//!
//! Sources: `API` is IAM's REST reference of workload identity pool providers; `WIF` Google's
//! documentation of workload identity federation and its troubleshooting page; `PRI` "Principal
//! identifiers"; `CEL` the language's specification; `seen` what was measured at the real service.

mod bindings;
mod changes;
mod documents;
mod tokens;
mod weaknesses;

use serde_json::{Value, json};

use super::*;
use crate::policy::Outcome;

/// Pointers into a document, and what is to stand there.
type Changes = Vec<(&'static str, Value)>;

const POOL: &str = "projects/123456789012/locations/global/workloadIdentityPools/runmint";
const SUBJECT: &str = "organization:acme:project:Default Project:workspace:prod:run_phase:apply";
const START: &str = "organization:acme:project:Default Project:workspace:prod:run_phase:";

fn name() -> String {
    format!("{POOL}/providers/runmint")
}

fn provider() -> Value {
    json!({
        "name": name(),
        "state": "ACTIVE",
        "oidc": {"issuerUri": "https://ci.example.com"},
        "attributeMapping": {
            "google.subject": "assertion.sub",
            "attribute.phase": "assertion.terraform_run_phase",
        },
        "attributeCondition": format!("assertion.sub.startsWith('{START}')"),
    })
}

fn claims() -> Value {
    json!({
        "iss": "https://ci.example.com", "aud": format!("//iam.googleapis.com/{}", name()),
        "sub": SUBJECT, "exp": 1_700_000_300, "iat": 1_700_000_000,
        "terraform_organization_name": "acme", "terraform_project_name": "Default Project",
        "terraform_workspace_name": "prod", "terraform_workspace_id": "ws-1",
        "terraform_run_phase": "apply", "groups": ["ops"],
    })
}

/// The value at a pointer, set; `null` removes it.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    let members = parent.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(last);
    } else {
        members.insert(last.to_owned(), value);
    }
}

fn changed(mut document: Value, changes: &[(&str, Value)]) -> Value {
    for (pointer, value) in changes {
        set(&mut document, pointer, value.clone());
    }
    document
}

fn presented(claims: Value) -> Presented {
    let Value::Object(claims) = claims else {
        panic!("claims are an object");
    };
    Presented {
        claims,
        role_arn: None,
    }
}

fn read(documents: &[Value]) -> Policy {
    let documents = documents.iter().map(|value| Document {
        name: "p.json".to_owned(),
        value: value.clone(),
    });
    Policy::read(&documents.collect::<Vec<_>>()).unwrap()
}

/// What is expected: let in; or refused or undecided at a place, for a reason that holds a word.
enum Expected {
    In,
    No(&'static str, &'static str),
    Unknown(&'static str, &'static str),
}

use Expected::{In, No, Unknown};

fn assert_verdict(source: &str, policy: &Policy, token: &Presented, expected: &Expected) {
    let verdict = policy.evaluate(token);
    let (decision, place, word) = match expected {
        In => (Decision::Admitted, "", ""),
        No(place, word) => (Decision::Refused, *place, *word),
        Unknown(place, word) => (Decision::Undecided, *place, *word),
    };
    assert_eq!(verdict.decision, decision, "{source}: {verdict:#?}");
    if let Some(check) = verdict.first_failure() {
        assert_eq!(check.place, place, "{source}: {check:?}");
        assert!(check.why.contains(word), "{source}: {}", check.why);
        assert!(!check.why.ends_with('.'), "{source}: {}", check.why);
    }
}
