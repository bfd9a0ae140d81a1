//! What claims are mapped to: a subject that fits, and an attribute that bindings can name.

use crate::domain::name::MAX_LENGTH;
use crate::domain::phase::Phase;
use crate::domain::subject::MAX_GCP_LENGTH;
use crate::trust::{Part, Phases, Scope, SubjectPattern};

/// The attribute that bindings name: the parts of the subject that are exact.
const SCOPE: &str = "attribute.terraform_scope";

/// Names as attributes, for bindings that people write themselves.
const NAMES: [(&str, &str); 4] = [
    (
        "attribute.terraform_organization_name",
        "assertion.terraform_organization_name",
    ),
    (
        "attribute.terraform_project_name",
        "assertion.terraform_project_name",
    ),
    (
        "attribute.terraform_workspace_name",
        "assertion.terraform_workspace_name",
    ),
    (
        "attribute.terraform_run_phase",
        "assertion.terraform_run_phase",
    ),
];

/// The mapping of a provider.
pub(super) struct Mapping {
    /// Attribute and CEL expression, in the order in which they are written.
    pub(super) attributes: Vec<(&'static str, String)>,
    /// What to know of the subject.
    pub(super) warnings: Vec<String>,
}

impl Mapping {
    /// The mapping for what is let in.
    pub(super) fn of(scope: &Scope) -> Self {
        let (subject, warnings) = subject(scope);
        let mut attributes = vec![("google.subject", subject), (SCOPE, scope_source(scope))];
        attributes.extend(NAMES.map(|(name, source)| (name, source.to_owned())));
        Self {
            attributes,
            warnings,
        }
    }
}

/// A part of a subject.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Organization,
    Project,
    Workspace,
}

impl Name {
    fn label(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Project => "project",
            Self::Workspace => "workspace",
        }
    }

    /// Whether it differs among the runs that are let in.
    fn varies(self, scope: &Scope) -> bool {
        match self {
            Self::Organization => scope.organization == Part::Any,
            Self::Project => scope.project == Part::Any,
            Self::Workspace => scope.workspaces.len() > 1 || scope.workspaces.contains(&Part::Any),
        }
    }

    /// The longest that it can be, in bytes.
    fn longest(self, scope: &Scope) -> usize {
        match self {
            Self::Organization => length(&scope.organization),
            Self::Project => length(&scope.project),
            Self::Workspace => scope.workspaces.iter().map(length).max().unwrap_or(0),
        }
    }
}

fn length<T: std::fmt::Display>(part: &Part<T>) -> usize {
    match part {
        Part::Any => MAX_LENGTH,
        Part::Exactly(name) => name.to_string().len(),
    }
}

/// What a subject may be made of, the fullest first.
const CHOICES: [&[Name]; 7] = {
    use Name::{Organization, Project, Workspace};
    [
        &[Organization, Project, Workspace],
        &[Project, Workspace],
        &[Organization, Workspace],
        &[Workspace],
        &[Organization, Project],
        &[Project],
        &[Organization],
    ]
};

/// The whole `sub` where it always fits. Otherwise names, which are what grants are about (ids are the
/// client's word): all that differ among the runs that are let in, so that no two of them become the
/// same principal, and as many of the others as fit.
fn subject(scope: &Scope) -> (String, Vec<String>) {
    let names: usize = CHOICES[0].iter().map(|name| name.longest(scope)).sum();
    let fixed = "organization::project::workspace::run_phase:".len();
    if names + fixed + longest_phase(scope) <= MAX_GCP_LENGTH {
        return ("assertion.sub".to_owned(), Vec::new());
    }
    let is_enough = |choice: &&&[Name]| {
        let all = CHOICES[0].iter().filter(|name| name.varies(scope));
        all.into_iter().all(|name| choice.contains(name))
    };
    let bytes = |choice: &[Name]| {
        let names: usize = choice.iter().map(|name| name.longest(scope)).sum();
        names + choice.len() + longest_phase(scope)
    };
    let enough: Vec<&[Name]> = CHOICES.iter().filter(is_enough).copied().collect();
    let fitting = enough.iter().find(|choice| bytes(choice) <= MAX_GCP_LENGTH);
    let smallest = || enough.iter().min_by_key(|choice| bytes(choice));
    let chosen: &[Name] = fitting.or_else(smallest).copied().unwrap_or(CHOICES[0]);
    let mut warnings = vec![format!(
        "`google.subject` is made of names, since `sub` may be longer than the {MAX_GCP_LENGTH} bytes \
         that IAM takes; it is unique among what this provider lets in, so keep the pool for this \
         provider alone"
    )];
    if fitting.is_none() {
        let labels: Vec<&str> = chosen.iter().map(|name| name.label()).collect();
        warnings.push(format!(
            "runs whose names of {} are together longer than {} bytes are refused by IAM: \
             `google.subject` must tell them apart in {MAX_GCP_LENGTH} bytes",
            labels.join(" and "),
            MAX_GCP_LENGTH - chosen.len() - longest_phase(scope),
        ));
    }
    let names: Vec<String> = chosen.iter().map(|name| claim(name.label())).collect();
    let names = names.join(" + \"/\" + ");
    let source = format!("{names} + \":\" + assertion.terraform_run_phase");
    (source, warnings)
}

fn longest_phase(scope: &Scope) -> usize {
    match scope.phases {
        Phases::Only(phase) => phase.as_str().len(),
        Phases::Apart | Phases::Both => Phase::Apply.as_str().len(),
    }
}

/// The expression of the attribute that bindings name: a subject without what is any.
fn scope_source(scope: &Scope) -> String {
    let names = CHOICES[0].iter().filter(|name| is_named(**name, scope));
    let mut parts: Vec<(&str, String)> = names
        .map(|name| (name.label(), claim(name.label())))
        .collect();
    if scope.phases != Phases::Both {
        parts.push(("run_phase", "assertion.terraform_run_phase".to_owned()));
    }
    if parts.is_empty() {
        return "\"any\"".to_owned();
    }
    let parts = parts.iter().enumerate().map(|(index, (label, claim))| {
        let colon = if index == 0 { "" } else { ":" };
        format!("\"{colon}{label}:\" + {claim}")
    });
    parts.collect::<Vec<_>>().join(" + ")
}

/// Who is let in by bindings of these patterns: what follows the pool in a member.
pub(super) fn members(scope: &Scope, patterns: &[SubjectPattern]) -> Vec<String> {
    let mut members: Vec<String> = patterns
        .iter()
        .map(|pattern| format!("{SCOPE}/{}", scope_value(scope, pattern)))
        .collect();
    members.sort();
    members.dedup();
    members
}

fn scope_value(scope: &Scope, pattern: &SubjectPattern) -> String {
    let mut parts: Vec<String> = CHOICES[0]
        .iter()
        .filter(|name| is_named(**name, scope))
        .map(|name| {
            let value = match name {
                Name::Organization => pattern.organization.glob(),
                Name::Project => pattern.project.glob(),
                Name::Workspace => pattern.workspace.glob(),
            };
            format!("{}:{value}", name.label())
        })
        .collect();
    if let Some(phase) = pattern.phase {
        parts.push(format!("run_phase:{phase}"));
    }
    if parts.is_empty() {
        return "any".to_owned();
    }
    parts.join(":")
}

/// Whether every pattern names it.
fn is_named(name: Name, scope: &Scope) -> bool {
    match name {
        Name::Organization | Name::Project => !name.varies(scope),
        Name::Workspace => !scope.workspaces.contains(&Part::Any),
    }
}

fn claim(label: &str) -> String {
    format!("assertion.terraform_{label}_name")
}
