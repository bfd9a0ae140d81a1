//! What a cluster makes of tokens and roles, as tables. `EKSUG` is EKS' user guide, `authenticator` the
//! sources of aws-iam-authenticator, `oidc.go` those of the API server.

mod admitting;
mod entries;
mod refusals;
mod roles;
mod tokens;

use serde_json::{Map, Value, json};

use super::super::{BadPolicy, Decision, Document, Policy, Presented, Verdict};

/// The subject of most tests.
const SUBJECT: &str = "organization:acme:project:p:workspace:prod:run_phase:plan";

/// A run's token, with some claims changed (null takes one away), and the role that it became.
fn presented(changes: &Value, role_arn: Option<&str>) -> Presented {
    let mut claims = json!({
        "iss": "https://ci.example.com",
        "aud": "kubernetes.workload.identity",
        "sub": SUBJECT,
        "terraform_organization_name": "acme",
        "terraform_workspace_name": "prod",
        "iat": 1_650_486_122,
    });
    let members: &mut Map<String, Value> = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    Presented {
        claims: members.clone(),
        role_arn: role_arn.map(str::to_owned),
    }
}

/// A binding of the role `view` to one subject.
fn binding(kind: &str, name: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}],
    })
}

fn read(documents: &[Value]) -> Result<Policy, BadPolicy> {
    let documents: Vec<Document> = documents
        .iter()
        .enumerate()
        .map(|(index, value)| Document {
            name: format!("{index}.json"),
            value: value.clone(),
        })
        .collect();
    Policy::read(&documents)
}

fn verdict(documents: &[Value], presented: &Presented) -> Verdict {
    let policy = read(documents).unwrap_or_else(|error| panic!("{documents:#?}\n{error}"));
    assert_eq!(policy.relying_party(), "EKS");
    policy.evaluate(presented)
}

/// Holds a verdict against the decision, and words of the place and of the reason of the first condition
/// that does not hold, or of the last one where all do.
fn hold(source: &str, verdict: &Verdict, decision: Decision, place: &str, word: &str) {
    let decisive = verdict.first_failure().or(verdict.checks.last()).unwrap();
    assert_eq!(verdict.decision, decision, "{source}\n{verdict:#?}");
    let said = format!(
        "{} {:?} {}",
        decisive.why, decisive.found, decisive.operator
    );
    assert!(
        decisive.place.contains(place) && said.contains(word),
        "{source}\n{decisive:#?}"
    );
}
