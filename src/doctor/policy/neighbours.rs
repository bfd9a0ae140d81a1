//! Runs next to a run: the same token with one thing changed. What a policy or a change of it admits
//! besides the run is tried on them.

use serde_json::{Value, json};

use crate::domain::name::{Name, ProjectName};
use crate::domain::phase::Phase;
use crate::domain::subject::Subject;
use crate::policy::Presented;

/// One of them.
pub(super) struct Neighbour {
    /// Who it is, for people: `apply runs of this workspace`.
    pub(super) who: String,
    /// Its token.
    pub(super) presented: Presented,
}

/// All of them; those of the subject only if it has one of our forms.
pub(super) fn neighbours(presented: &Presented) -> Vec<Neighbour> {
    let mut all = Vec::new();
    if let Some(subject) = presented.text("sub").and_then(|sub| sub.parse().ok()) {
        all.extend(
            of_subject(&subject)
                .into_iter()
                .map(|(who, subject)| Neighbour {
                    who,
                    presented: with_subject(presented, &subject),
                }),
        );
    }
    let other_claim = |claim: &str, value: &str| {
        let mut presented = presented.clone();
        presented.claims.insert(claim.to_owned(), json!(value));
        presented
    };
    if let Some(audience) = presented.text("aud") {
        all.push(Neighbour {
            who: "tokens for any audience".to_owned(),
            presented: other_claim("aud", &format!("{audience}.other")),
        });
    }
    if let Some(issuer) = presented.text("iss") {
        all.push(Neighbour {
            who: "tokens of other issuers".to_owned(),
            presented: other_claim("iss", &format!("{issuer}.example.net")),
        });
    }
    if let Some(role) = &presented.role_arn {
        let mut other = presented.clone();
        other.role_arn = Some(format!("{role}-other"));
        all.push(Neighbour {
            who: "other AWS roles".to_owned(),
            presented: other,
        });
    }
    all
}

/// Longer names come first: they show an open end.
fn of_subject(subject: &Subject) -> Vec<(String, Subject)> {
    let target = subject.target().as_str();
    let field = subject.target_field();
    let phase = match subject.phase() {
        Phase::Plan => Phase::Apply,
        Phase::Apply => Phase::Plan,
    };
    let mut all = Vec::new();
    if !matches!(subject, Subject::ModuleTest { .. }) {
        let who = format!("{phase} runs of this {field}");
        all.push((who, changed(subject, |parts| parts.phase = phase)));
    }
    for (other, who) in [
        (
            format!("{target}-x"),
            format!("{field}s whose names begin with `{target}`"),
        ),
        (unlike(target), format!("every other {field} there")),
    ] {
        if let Ok(name) = Name::parse(field, &other) {
            all.push((who, changed(subject, |parts| parts.target = name)));
        }
    }
    if let Some(project) = subject.project() {
        let other = ProjectName::parse("project", &unlike(project.as_str()));
        if let Ok(other) = other {
            let who = format!("a {field} of that name in other projects");
            all.push((who, changed(subject, |parts| parts.project = Some(other))));
        }
    }
    if let Ok(other) = Name::parse("organization", &unlike(subject.organization().as_str())) {
        let who = "other organizations".to_owned();
        all.push((who, changed(subject, |parts| parts.organization = other)));
    }
    all
}

/// A name that has nothing in common with another one at either end.
fn unlike(name: &str) -> String {
    let end = |c: Option<char>| if c == Some('z') { 'y' } else { 'z' };
    let (first, last) = (end(name.chars().next()), end(name.chars().last()));
    format!("{first}-other-{last}")
}

struct Parts {
    organization: Name,
    project: Option<ProjectName>,
    target: Name,
    phase: Phase,
}

fn changed(subject: &Subject, change: impl FnOnce(&mut Parts)) -> Subject {
    let mut parts = Parts {
        organization: subject.organization().clone(),
        project: subject.project().cloned(),
        target: subject.target().clone(),
        phase: subject.phase(),
    };
    change(&mut parts);
    let Parts {
        organization,
        project,
        target,
        phase,
    } = parts;
    match (subject, project) {
        (Subject::ModuleTest { .. }, _) => Subject::ModuleTest {
            organization,
            module: target,
        },
        (Subject::Stack { deployment, .. }, Some(project)) => Subject::Stack {
            organization,
            project,
            stack: target,
            deployment: deployment.clone(),
            phase,
        },
        (_, Some(project)) => Subject::Workspace {
            organization,
            project,
            workspace: target,
            phase,
        },
        (_, None) => Subject::Legacy {
            organization,
            workspace: target,
            phase,
        },
    }
}

/// The token that such a run would have: its names, and ids that are not this run's where a name is not.
fn with_subject(presented: &Presented, subject: &Subject) -> Presented {
    let mut other = presented.clone();
    let claims = &mut other.claims;
    let mut set = |claim: &str, value: String, id: Option<&str>| {
        let changes = claims
            .get(claim)
            .is_some_and(|now| *now != Value::String(value.clone()));
        if changes {
            claims.insert(claim.to_owned(), Value::String(value));
        }
        if let Some(id) = id.filter(|id| changes && claims.contains_key(*id)) {
            claims.insert(id.to_owned(), json!(format!("{id}-other")));
        }
    };
    let sub = subject.to_string();
    if let Some((full, _)) = sub.split_once(":run_phase:") {
        set("terraform_full_workspace", full.to_owned(), None);
    }
    set(
        "terraform_organization_name",
        subject.organization().to_string(),
        Some("terraform_organization_id"),
    );
    if let Some(project) = subject.project() {
        set(
            "terraform_project_name",
            project.to_string(),
            Some("terraform_project_id"),
        );
    }
    let target = subject.target().to_string();
    set(
        "terraform_workspace_name",
        target.clone(),
        Some("terraform_workspace_id"),
    );
    set("terraform_stack_name", target, Some("terraform_stack_id"));
    set("terraform_run_phase", subject.phase().to_string(), None);
    set("terraform_operation", subject.phase().to_string(), None);
    set("terraform_run_id", "run-other".to_owned(), None);
    set("sub", sub, None);
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_neighbour_differs_in_one_thing() {
        let claims = json!({
            "iss": "https://ci.example.com", "aud": "aws.workload.identity",
            "sub": "organization:acme:project:p:workspace:zoo:run_phase:plan",
            "terraform_workspace_name": "zoo", "terraform_workspace_id": "ws-1",
            "terraform_full_workspace": "organization:acme:project:p:workspace:zoo",
            "terraform_run_phase": "plan",
        });
        let presented = Presented {
            claims: claims.as_object().unwrap().clone(),
            role_arn: None,
        };
        let all = neighbours(&presented);
        let subjects: Vec<_> = all
            .iter()
            .map(|n| n.presented.text("sub").unwrap())
            .collect();
        assert_eq!(
            subjects[..5],
            [
                "organization:acme:project:p:workspace:zoo:run_phase:apply",
                "organization:acme:project:p:workspace:zoo-x:run_phase:plan",
                "organization:acme:project:p:workspace:y-other-z:run_phase:plan",
                "organization:acme:project:z-other-z:workspace:zoo:run_phase:plan",
                "organization:z-other-z:project:p:workspace:zoo:run_phase:plan",
            ]
        );
        assert_eq!(all.len(), 7);
        assert_eq!(
            all[1].presented.text("terraform_workspace_name"),
            Some("zoo-x")
        );
        assert_eq!(
            all[1].presented.text("terraform_workspace_id"),
            Some("terraform_workspace_id-other")
        );
        assert_eq!(
            all[0].presented.text("terraform_workspace_id"),
            Some("ws-1")
        );
        assert_eq!(all[0].presented.text("terraform_run_phase"), Some("apply"));
        assert_eq!(
            all[1].presented.text("terraform_full_workspace"),
            Some("organization:acme:project:p:workspace:zoo-x")
        );
        assert_eq!(
            all[5].presented.text("aud"),
            Some("aws.workload.identity.other")
        );
        assert_eq!(
            all[6].presented.text("iss"),
            Some("https://ci.example.com.example.net")
        );
    }

    #[test]
    fn a_token_of_another_form_has_fewer() {
        let claims = json!({"iss": "https://ci.example.com", "sub": "repo:acme/net"});
        let presented = Presented {
            claims: claims.as_object().unwrap().clone(),
            role_arn: Some("arn:aws:iam::1:role/r".to_owned()),
        };
        let who: Vec<_> = neighbours(&presented).into_iter().map(|n| n.who).collect();
        assert_eq!(who, ["tokens of other issuers", "other AWS roles"]);
    }
}
