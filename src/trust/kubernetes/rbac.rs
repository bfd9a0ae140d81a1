//! RBAC: which role whom gives, as YAML, JSON and Terraform.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::super::hcl::Block;
use super::super::{Part, Scope, TrustError};
use super::yaml::quoted;
use super::{Options, PREFIX, RoleKind};
use crate::domain::phase::Phase;

const API_GROUP: &str = "rbac.authorization.k8s.io";

/// Looks at everything but secrets, changes nothing; every cluster has it.
const LOOKS_ONLY: &str = "view";

/// A role, and who is given it.
#[derive(Clone, Debug)]
pub(in crate::trust) struct Binding {
    pub(in crate::trust) name: String,
    /// Nothing for the whole cluster.
    namespace: Option<String>,
    role_kind: RoleKind,
    role: String,
    pub(in crate::trust) subjects: Vec<Subject>,
    /// For Terraform's own name of it.
    phase: Option<Phase>,
}

/// A name that a token has, or a group that it is in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::trust) enum Subject {
    Group(String),
    User(String),
}

impl Options {
    /// Refuses what Kubernetes would refuse, and a role that may do anything.
    ///
    /// # Errors
    /// [`TrustError`] names the option.
    pub(in crate::trust) fn check(&self, phases_apart: bool) -> Result<(), TrustError> {
        check_role("--role", self.role.as_deref())?;
        check_role("--plan-role", self.plan_role.as_deref())?;
        if self.plan_role.is_some() && !phases_apart {
            return Err(TrustError::new("--plan-role", "goes with `--split-phases`"));
        }
        if self.role_kind == RoleKind::Role && self.namespace.is_none() {
            return Err(TrustError::new(
                "--role-kind",
                "is `role`, which stands in a namespace; say which by `--namespace`",
            ));
        }
        let is_label = |name: &str| {
            let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            (1..=63).contains(&name.len())
                && name.bytes().all(inside)
                && !name.starts_with('-')
                && !name.ends_with('-')
        };
        match &self.namespace {
            Some(namespace) if !is_label(namespace) => Err(TrustError::new(
                "--namespace",
                "must be 1 to 63 small letters, digits and `-`, which stands inside only",
            )),
            _ => Ok(()),
        }
    }

    /// What to know about the role.
    pub(in crate::trust) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.role.is_none() {
            warnings.push(format!(
                "without `--role` the runs are bound to `{LOOKS_ONLY}` and cannot change anything; name a \
                 ClusterRole, or a Role by `--role-kind role --namespace NAME`, with what they need"
            ));
        } else if self.namespace.is_none() {
            warnings.push(
                "without `--namespace` the role holds in every namespace; where the runs need one only, \
                 name it"
                    .to_owned(),
            );
        }
        warnings
    }

    /// The binding of those who are let in together.
    pub(in crate::trust) fn binding(
        &self,
        scope: &Scope,
        phase: Option<Phase>,
        phases_apart: bool,
        subjects: Vec<Subject>,
    ) -> Binding {
        let own = match phase {
            Some(Phase::Plan) if phases_apart => &self.plan_role,
            _ => &self.role,
        };
        let (role_kind, role) = match own {
            Some(role) => (self.role_kind, role.clone()),
            None => (RoleKind::ClusterRole, LOOKS_ONLY.to_owned()),
        };
        Binding {
            name: name(scope, phase),
            namespace: self.namespace.clone(),
            role_kind,
            role,
            subjects,
            phase,
        }
    }
}

fn check_role(option: &'static str, role: Option<&str>) -> Result<(), TrustError> {
    let Some(role) = role else { return Ok(()) };
    if role == "cluster-admin" {
        return Err(TrustError::new(
            option,
            "may not be `cluster-admin`, which may do anything; name a role with what the runs need",
        ));
    }
    let is_name = !role.is_empty()
        && role != "."
        && role != ".."
        && role
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"/%".contains(&b));
    if is_name {
        Ok(())
    } else {
        Err(TrustError::new(
            option,
            "must be the name of a role: printable ASCII without blanks, `/` and `%`",
        ))
    }
}

/// A name that no other scope has: names hold neither `:` nor `+` nor `,`.
pub(in crate::trust) fn name(scope: &Scope, phase: Option<Phase>) -> String {
    let mut name = PREFIX.to_owned();
    let workspaces: Vec<String> = scope.workspaces.iter().map(Part::glob).collect();
    let parts = [
        scope.organization.glob(),
        scope.project.glob().replace(' ', "+"),
        workspaces.join(","),
    ];
    name.push_str(&parts.join(":"));
    if let Some(phase) = phase {
        let _ = write!(name, ":{phase}");
    }
    name
}

impl Binding {
    fn kind(&self) -> &'static str {
        match self.namespace {
            None => "ClusterRoleBinding",
            Some(_) => "RoleBinding",
        }
    }

    fn to_yaml(&self) -> String {
        let mut out = format!(
            "---\napiVersion: {}\nkind: {}\nmetadata:\n  name: {}\n",
            quoted(&format!("{API_GROUP}/v1")),
            quoted(self.kind()),
            quoted(&self.name),
        );
        if let Some(namespace) = &self.namespace {
            let _ = writeln!(out, "  namespace: {}", quoted(namespace));
        }
        let _ = write!(
            out,
            "roleRef:\n  apiGroup: {}\n  kind: {}\n  name: {}\nsubjects:\n",
            quoted(API_GROUP),
            quoted(self.role_kind.as_str()),
            quoted(&self.role),
        );
        for subject in &self.subjects {
            let (kind, name) = subject.parts();
            let _ = write!(
                out,
                "  - apiGroup: {}\n    kind: {}\n    name: {}\n",
                quoted(API_GROUP),
                quoted(kind),
                quoted(name),
            );
        }
        out
    }

    fn to_json(&self) -> Json {
        let mut metadata = json!({"name": self.name});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = namespace.as_str().into();
        }
        let subjects = self.subjects.iter().map(|subject| {
            let (kind, name) = subject.parts();
            json!({"apiGroup": API_GROUP, "kind": kind, "name": name})
        });
        json!({
            "apiVersion": format!("{API_GROUP}/v1"),
            "kind": self.kind(),
            "metadata": metadata,
            "roleRef": {
                "apiGroup": API_GROUP, "kind": self.role_kind.as_str(), "name": self.role,
            },
            "subjects": subjects.collect::<Vec<_>>(),
        })
    }

    fn to_terraform(&self) -> Block {
        let resource = match self.namespace {
            None => "kubernetes_cluster_role_binding_v1",
            Some(_) => "kubernetes_role_binding_v1",
        };
        let mut metadata = Block::new("metadata").with("name", self.name.as_str());
        if let Some(namespace) = &self.namespace {
            metadata = metadata.with("namespace", namespace.as_str());
        }
        let label = label(self.phase);
        let mut block = Block::new(format!("resource \"{resource}\" \"{label}\""))
            .inside(metadata)
            .inside(
                Block::new("role_ref")
                    .with("api_group", API_GROUP)
                    .with("kind", self.role_kind.as_str())
                    .with("name", self.role.as_str()),
            );
        for subject in &self.subjects {
            let (kind, name) = subject.parts();
            block = block.inside(
                Block::new("subject")
                    .with("api_group", API_GROUP)
                    .with("kind", kind)
                    .with("name", name),
            );
        }
        block
    }
}

impl Subject {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Group(name) => ("Group", name),
            Self::User(name) => ("User", name),
        }
    }
}

/// Terraform's own name of what is made for a phase.
pub(in crate::trust) fn label(phase: Option<Phase>) -> String {
    phase.map_or_else(|| "runmint".to_owned(), |phase| format!("runmint_{phase}"))
}

/// Bindings as YAML, each a document of its own.
pub(in crate::trust) fn yaml(bindings: &[Binding]) -> String {
    bindings.iter().map(Binding::to_yaml).collect()
}

/// Bindings as one JSON document, a `List`.
pub(in crate::trust) fn json(bindings: &[Binding]) -> Json {
    let items: Vec<Json> = bindings.iter().map(Binding::to_json).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// Bindings as Terraform.
pub(in crate::trust) fn terraform(bindings: &[Binding]) -> Vec<Block> {
    bindings.iter().map(Binding::to_terraform).collect()
}
