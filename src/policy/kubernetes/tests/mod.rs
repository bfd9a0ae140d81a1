//! What the API server makes of tokens, as tables. Where a row names `oidc.go`, `validation.go` or
//! `rbac.go`, these are the API server's own sources (Kubernetes 1.34).

mod admitting;
mod bindings;
mod entries;
mod refusals;
mod rules;

use serde_json::{Map, Value, json};

use super::super::{BadPolicy, Decision, Document, Policy, Presented, Verdict};

/// The subject of most tests.
const SUBJECT: &str = "organization:acme:project:p:workspace:prod:run_phase:plan";

/// A run's token, with some claims changed; null takes one away.
fn token(changes: &Value) -> Presented {
    let mut claims = json!({
        "iss": "https://ci.example.com",
        "aud": "kubernetes.workload.identity",
        "sub": SUBJECT,
        "terraform_organization_name": "acme",
        "terraform_project_name": "p",
        "terraform_workspace_name": "prod",
        "terraform_run_phase": "plan",
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
        role_arn: None,
    }
}

/// A file with this entry, or these, under `jwt`.
fn with_entries(entries: &str) -> String {
    format!(
        "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\njwt:\n{entries}"
    )
}

/// An entry for the token's issuer that takes the name from `sub`, with more members.
fn entry(more: &str) -> String {
    with_entries(&format!(
        "- issuer: {{url: https://ci.example.com, audiences: [kubernetes.workload.identity]}}\n  \
         {more}\n  claimMappings: {{username: {{claim: sub, prefix: 'runmint:'}}}}\n"
    ))
}

fn read(text: &str) -> Result<Policy, BadPolicy> {
    Policy::read(&Document::all("auth.yaml", text).unwrap())
}

fn verdict(text: &str, presented: &Presented) -> Verdict {
    let policy = read(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(policy.relying_party(), "Kubernetes");
    policy.evaluate(presented)
}

/// A row: where the rule stands, the file, what of the token changes, the decision, and words of the
/// place and the reason of the first condition that does not hold (of the last one where all do).
type Row = (
    &'static str,
    String,
    Value,
    Decision,
    &'static str,
    &'static str,
);

fn hold(rows: Vec<Row>) {
    for (source, text, changes, decision, place, word) in rows {
        let verdict = verdict(&text, &token(&changes));
        let decisive = verdict.first_failure().or(verdict.checks.last()).unwrap();
        assert_eq!(verdict.decision, decision, "{source}\n{text}\n{verdict:#?}");
        let said = format!(
            "{} {:?} {}",
            decisive.why, decisive.found, decisive.operator
        );
        assert!(
            decisive.place.contains(place) && said.contains(word),
            "{source}\n{text}\n{decisive:#?}"
        );
    }
}
