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

/// All of them; those of the subject only if it has one of our forms. `named` are the values that the
/// policy names itself: whoever has one of them may be let in by what is added for the run.
pub(super) fn neighbours(presented: &Presented, named: &[String]) -> Vec<Neighbour> {
    let mut all = of_names(presented, named);
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
        other.role_arn = Some(another_role(role));
        all.push(Neighbour {
            who: "other AWS roles".to_owned(),
            presented: other,
        });
    }
    all
}

/// The subjects and audiences that stand in the policy, each with the rest of the run's token, and each
/// subject with each audience.
fn of_names(presented: &Presented, named: &[String]) -> Vec<Neighbour> {
    let subjects: Vec<String> = named.iter().flat_map(|name| subjects_of(name)).collect();
    let own = presented.text("sub").unwrap_or_default();
    let audience = presented.text("aud").unwrap_or_default();
    let audiences = named
        .iter()
        .filter(|name| !name.contains([' ', '"', '*', '?']));
    let audiences: Vec<&str> = audiences.map(String::as_str).chain([audience]).collect();
    let mut all = Vec::new();
    for subject in subjects.iter().map(String::as_str).chain([own]) {
        for other in &audiences {
            if (subject, *other) == (own, audience) || *other == own {
                continue;
            }
            let mut with = match subject.parse() {
                Ok(parsed) if subject != own => with_subject(presented, &parsed),
                _ => presented.clone(),
            };
            with.claims.insert("sub".to_owned(), json!(subject));
            with.claims.insert("aud".to_owned(), json!(other));
            let mut who = if subject == own {
                "this run".to_owned()
            } else {
                format!("`{subject}`")
            };
            if *other != audience {
                who = format!("{who} with tokens for `{other}`");
            }
            all.push(Neighbour {
                who,
                presented: with,
            });
        }
    }
    all
}

/// The subjects of a value that names one; a `*` for the phase stands for both.
fn subjects_of(name: &str) -> Vec<String> {
    let phases = Phase::ALL.map(|phase| {
        name.strip_suffix('*')
            .map(|start| format!("{start}{phase}"))
    });
    let all = phases.into_iter().flatten().chain([name.to_owned()]);
    all.filter(|text| text.parse::<Subject>().is_ok()).collect()
}

/// The ARN of a role with another name, or of a session of such a role
/// (`arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION`).
fn another_role(arn: &str) -> String {
    match arn.split_once(":assumed-role/") {
        Some((account, rest)) => {
            let (name, session) = rest.split_once('/').unwrap_or((rest, ""));
            format!("{account}:assumed-role/{name}-other/{session}")
        }
        None => format!("{arn}-other"),
    }
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
        (
            format!("x-{target}"),
            format!("{field}s whose names end with `{target}`"),
        ),
        (
            swapped(target),
            format!("the {field} `{}`", swapped(target)),
        ),
        (unlike(target), format!("every other {field} there")),
    ] {
        if let Ok(name) = Name::parse(field, &other) {
            all.push((who, changed(subject, |parts| parts.target = name)));
        }
    }
    if let Some(project) = subject.project() {
        let project = project.as_str();
        for (other, who) in [
            (
                format!("{project}-x"),
                format!("a {field} of that name in projects whose names begin with `{project}`"),
            ),
            (
                unlike(project),
                format!("a {field} of that name in other projects"),
            ),
        ] {
            if let Ok(name) = ProjectName::parse("project", &other) {
                all.push((who, changed(subject, |parts| parts.project = Some(name))));
            }
        }
    }
    let organization = subject.organization().as_str();
    for (other, who) in [
        (
            format!("{organization}-x"),
            format!("organizations whose names begin with `{organization}`"),
        ),
        (unlike(organization), "other organizations".to_owned()),
    ] {
        if let Ok(name) = Name::parse("organization", &other) {
            all.push((who, changed(subject, |parts| parts.organization = name)));
        }
    }
    all
}

/// With upper case for lower case, and the other way.
fn swapped(name: &str) -> String {
    let swap = |c: char| {
        if c.is_ascii_uppercase() {
            c.to_ascii_lowercase()
        } else {
            c.to_ascii_uppercase()
        }
    };
    name.chars().map(swap).collect()
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
        let all = neighbours(&presented, &[]);
        let find = |sub: &str| {
            let found = all
                .iter()
                .find(|other| other.presented.text("sub") == Some(sub));
            found.unwrap_or_else(|| panic!("no {sub}"))
        };
        for (subject, who) in [
            (
                "acme:project:p:workspace:zoo:run_phase:apply",
                "apply runs of this workspace",
            ),
            (
                "acme:project:p:workspace:zoo-x:run_phase:plan",
                "workspaces whose names begin with `zoo`",
            ),
            (
                "acme:project:p:workspace:x-zoo:run_phase:plan",
                "workspaces whose names end with `zoo`",
            ),
            (
                "acme:project:p:workspace:ZOO:run_phase:plan",
                "the workspace `ZOO`",
            ),
            (
                "acme:project:p:workspace:y-other-z:run_phase:plan",
                "every other workspace there",
            ),
            (
                "acme:project:z-other-z:workspace:zoo:run_phase:plan",
                "a workspace of that name in other projects",
            ),
            (
                "acme-x:project:p:workspace:zoo:run_phase:plan",
                "organizations whose names begin with `acme`",
            ),
            (
                "z-other-z:project:p:workspace:zoo:run_phase:plan",
                "other organizations",
            ),
        ] {
            assert_eq!(find(&format!("organization:{subject}")).who, who);
        }
        let longer = &find("organization:acme:project:p:workspace:zoo-x:run_phase:plan").presented;
        assert_eq!(longer.text("terraform_workspace_name"), Some("zoo-x"));
        assert_eq!(
            longer.text("terraform_workspace_id"),
            Some("terraform_workspace_id-other")
        );
        assert_eq!(
            longer.text("terraform_full_workspace"),
            Some("organization:acme:project:p:workspace:zoo-x")
        );
        let apply = &find("organization:acme:project:p:workspace:zoo:run_phase:apply").presented;
        assert_eq!(apply.text("terraform_workspace_id"), Some("ws-1"));
        assert_eq!(apply.text("terraform_run_phase"), Some("apply"));
        let differing = |claim: &str| {
            let own = presented.text(claim);
            all.iter()
                .filter(|other| other.presented.text(claim) != own)
                .count()
        };
        assert_eq!((differing("aud"), differing("iss")), (1, 1));
    }

    #[test]
    fn what_the_policy_names_is_tried_with_what_is_added() {
        let claims = json!({"iss": "https://ci.example.com", "aud": "mine",
            "sub": "organization:acme:project:p:workspace:zoo:run_phase:plan"});
        let presented = Presented {
            claims: claims.as_object().unwrap().clone(),
            role_arn: None,
        };
        let named = [
            "theirs",
            "organization:acme:project:p:workspace:x:run_phase:*",
            "mine",
        ];
        let all = of_names(&presented, &named.map(str::to_owned));
        let who: Vec<_> = all.iter().map(|other| other.who.as_str()).collect();
        let of_x =
            |phase: &str| format!("`organization:acme:project:p:workspace:x:run_phase:{phase}`");
        for expected in [
            of_x("plan"),
            format!("{} with tokens for `theirs`", of_x("apply")),
            "this run with tokens for `theirs`".to_owned(),
        ] {
            assert!(who.contains(&expected.as_str()), "{who:#?}");
        }
        assert!(!who.contains(&"this run"), "{who:#?}");
    }

    #[test]
    fn another_role_has_another_name_and_not_another_session() {
        assert_eq!(
            another_role("arn:aws:sts::1:assumed-role/net/s"),
            "arn:aws:sts::1:assumed-role/net-other/s"
        );
        assert_eq!(
            another_role("arn:aws:iam::1:role/net"),
            "arn:aws:iam::1:role/net-other"
        );
    }

    #[test]
    fn a_token_of_another_form_has_fewer() {
        let claims = json!({"iss": "https://ci.example.com", "sub": "repo:acme/net"});
        let presented = Presented {
            claims: claims.as_object().unwrap().clone(),
            role_arn: Some("arn:aws:iam::1:role/r".to_owned()),
        };
        let who: Vec<_> = neighbours(&presented, &[])
            .into_iter()
            .map(|n| n.who)
            .collect();
        assert_eq!(who, ["tokens of other issuers", "other AWS roles"]);
    }
}
