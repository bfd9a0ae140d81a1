//! Kubernetes: the API server's `AuthenticationConfiguration`, which says who a token becomes, and the
//! RBAC bindings that say what that may do (Kubernetes' documentation, "Authenticating" and "Using RBAC
//! Authorization").
//!
//! A run's name is `runmint:` and its subject; where a part of the subject is any, runs are in a group
//! that is named after the other parts, since RBAC knows no wildcards.

mod rbac;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt::Write;

pub(super) use self::rbac::{Binding, Subject, json, label, name, terraform, yaml};
pub(super) use self::yaml::quoted;
use super::{Bundle, Document, Form, Order, Part, Phases, SubjectPattern, TrustError, hcl};

/// What stands before the names of runs and groups, so that they are nobody else's.
pub(super) const PREFIX: &str = "runmint:";

/// What a run may do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The role's name; `view`, which looks only, when left out.
    pub role: Option<String>,
    /// Whether that is a role of the cluster or of a namespace.
    pub role_kind: RoleKind,
    /// Where it holds; everywhere when left out.
    pub namespace: Option<String>,
    /// The role of plans where phases are apart; `view` when left out.
    pub plan_role: Option<String>,
}

/// What a binding names.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RoleKind {
    /// A role of the cluster; it may be bound in one namespace.
    #[default]
    ClusterRole,
    /// A role of the namespace.
    Role,
}

/// Writes the API server's configuration and the bindings.
///
/// # Errors
/// [`TrustError`] names the option.
pub fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    let apart = order.scope.phases == Phases::Apart;
    options.check(apart)?;
    let groups = order.scope.groups().into_iter();
    let bindings: Vec<Binding> = groups
        .map(|(phase, patterns)| options.binding(&order.scope, phase, apart, subjects(&patterns)))
        .collect();
    let mut warnings = order.warnings();
    warnings.extend(options.warnings());
    let mut tf = String::from(
        "# Who a token becomes is said in the API server's AuthenticationConfiguration, which is a file of\n\
         # the control plane: `runmint trust kubernetes --form yaml` writes it.\n\n",
    );
    tf.push_str(&hcl::file(&terraform(&bindings)));
    let document = |name: &str, form: Form, about: &str, text: String| Document {
        name: name.to_owned(),
        form,
        about: about.to_owned(),
        text,
    };
    Ok(Bundle {
        documents: vec![
            document(
                "authentication-configuration.yaml",
                Form::Yaml,
                "for `--authentication-config` of the API server, which reads it anew when it changes; add \
                 the entry to those that are there",
                configuration(order),
            ),
            document(
                "rbac.yaml",
                Form::Yaml,
                "for `kubectl apply -f`",
                yaml(&bindings),
            ),
            document(
                "rbac.tf",
                Form::Terraform,
                "the bindings; the provider `kubernetes` applies them",
                tf,
            ),
        ],
        warnings,
    })
}

/// The entry for the issuer. Rules are closed: every run that no pattern fits is refused.
fn configuration(order: &Order) -> String {
    let groups = order.scope.groups();
    let patterns: Vec<&SubjectPattern> = groups.iter().flat_map(|(_, all)| all).collect();
    let mut conditions: Vec<String> = Vec::new();
    let mut shapes: Vec<String> = Vec::new();
    for pattern in patterns {
        add_new(&mut conditions, pattern.cel("claims.sub"));
        if pattern.subjects().is_none() {
            add_new(&mut shapes, group_expression(pattern));
        }
    }
    let mut out = format!(
        "apiVersion: \"apiserver.config.k8s.io/v1\"\nkind: \"AuthenticationConfiguration\"\njwt:\n  \
         - issuer:\n      url: {}\n      audiences:\n        - {}\n    claimValidationRules:\n      \
         - expression: {}\n        message: \"the run is none of those that this cluster lets in\"\n    \
         claimMappings:\n      username:\n        expression: {}\n",
        quoted(order.issuer.as_str()),
        quoted(order.audience.as_str()),
        quoted(&conditions.join(" || ")),
        quoted(&format!("\"{PREFIX}\" + claims.sub")),
    );
    if !shapes.is_empty() {
        let expression = format!("[{}]", shapes.join(", "));
        let _ = write!(
            out,
            "      groups:\n        expression: {}\n",
            quoted(&expression)
        );
    }
    out
}

/// The runs that a binding names: each by its name, or by the group that it is in.
pub(super) fn subjects(patterns: &[SubjectPattern]) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for pattern in patterns {
        match pattern.subjects() {
            Some(exact) => {
                for subject in exact {
                    add_new(&mut subjects, Subject::User(format!("{PREFIX}{subject}")));
                }
            }
            None => add_new(&mut subjects, Subject::Group(group(pattern))),
        }
    }
    subjects
}

/// The parts that are not any: how they are called in a subject, the claim that holds each, its value.
fn exact_parts(pattern: &SubjectPattern) -> Vec<(&'static str, &'static str, String)> {
    let all = [
        (
            "organization",
            "terraform_organization_name",
            pattern.organization.exact().map(ToString::to_string),
        ),
        (
            "project",
            "terraform_project_name",
            pattern.project.exact().map(ToString::to_string),
        ),
        (
            "workspace",
            "terraform_workspace_name",
            pattern.workspace.exact().map(ToString::to_string),
        ),
        (
            "run_phase",
            "terraform_run_phase",
            pattern.phase.map(|phase| phase.to_string()),
        ),
    ];
    let parts = all.into_iter();
    parts
        .filter_map(|(part, claim, value)| Some((part, claim, value?)))
        .collect()
}

/// The group of a pattern, e.g. `runmint:organization:acme:workspace:prod`. Names hold no `:`, so that no
/// other parts make the same.
fn group(pattern: &SubjectPattern) -> String {
    let parts = exact_parts(pattern);
    let parts: Vec<String> = parts
        .iter()
        .map(|(part, _, value)| format!("{part}:{value}"))
        .collect();
    match parts.as_slice() {
        [] => format!("{PREFIX}runs"),
        parts => format!("{PREFIX}{}", parts.join(":")),
    }
}

/// The same as an expression: it puts every run into the group of its own parts.
fn group_expression(pattern: &SubjectPattern) -> String {
    let parts = exact_parts(pattern);
    if parts.is_empty() {
        return format!("\"{PREFIX}runs\"");
    }
    let mut before = PREFIX.to_owned();
    let mut pieces = Vec::new();
    for (part, claim, _) in parts {
        pieces.push(format!("\"{before}{part}:\" + claims.{claim}"));
        ":".clone_into(&mut before);
    }
    pieces.join(" + ")
}

fn add_new<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

impl RoleKind {
    /// As it stands in a `roleRef`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterRole => "ClusterRole",
            Self::Role => "Role",
        }
    }
}

/// Whether every part is one name, so that runs can be named one by one.
pub(super) fn is_exact(order: &Order) -> bool {
    let scope = &order.scope;
    scope.organization != Part::Any
        && scope.project != Part::Any
        && !scope.workspaces.contains(&Part::Any)
}
