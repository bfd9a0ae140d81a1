//! `aws-auth`: the `ConfigMap` that maps roles to user names and groups (EKS' user guide, "Grant IAM users
//! access to Kubernetes with a `ConfigMap`"; aws-iam-authenticator's `ParseMap`).

use serde_json::{Map, Value};

use super::super::kubernetes::Fields;
use super::super::{BadPolicy, Document};
use super::role::Role;

/// Roles by their ARNs.
#[derive(Clone, Debug, Default)]
pub(super) struct AwsAuth {
    pub(super) roles: Vec<Mapping>,
    /// Accounts whose every role is let in, without groups.
    pub(super) accounts: Vec<String>,
}

/// A role, and what its sessions become.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    pub(super) arn: String,
    pub(super) username: String,
    pub(super) groups: Vec<String>,
}

/// Whether a document is the `ConfigMap`, or a list of what stands in it.
pub(super) fn recognizes(document: &Value) -> bool {
    let name = document.get("metadata").and_then(|m| m.get("name"));
    let is_map = document.get("kind").and_then(Value::as_str) == Some("ConfigMap");
    let has_roles = document
        .get("data")
        .is_some_and(|data| data.get("mapRoles").is_some());
    (is_map && (has_roles || name.and_then(Value::as_str) == Some("aws-auth"))) || is_list(document)
}

fn is_list(document: &Value) -> bool {
    let items = document.as_array();
    let first = items.and_then(|items| items.first());
    first.is_some_and(|item| item.get("rolearn").is_some())
}

impl AwsAuth {
    /// Reads a document.
    pub(super) fn read(document: &Document) -> Result<Self, BadPolicy> {
        if is_list(&document.value) {
            let roles = roles("mapRoles", &document.value)?;
            return Ok(Self {
                roles,
                accounts: Vec::new(),
            });
        }
        let fields = Fields::of("", &document.value)?;
        let metadata = fields.object("metadata")?;
        let (name, namespace) = match &metadata {
            Some(metadata) => (metadata.text("name")?, metadata.text("namespace")?),
            None => (None, None),
        };
        if name.as_deref() != Some("aws-auth") || namespace.is_some_and(|n| n != "kube-system") {
            return Err(BadPolicy::at(
                "metadata",
                "must be `aws-auth` in the namespace `kube-system`; the cluster reads no other",
            ));
        }
        let Some(data) = fields.object("data")? else {
            return Ok(Self::default());
        };
        let mut read = Self::default();
        if let Some(value) = inside(&data, "mapRoles")? {
            read.roles = roles("data.mapRoles", &value)?;
        }
        if let Some(value) = inside(&data, "mapAccounts")? {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            read.accounts = items.iter().map(super::super::kubernetes::shown).collect();
        }
        Ok(read)
    }

    /// What a role is mapped to, and where: of several, the last, which is the one that counts. ARNs are
    /// compared in lower case.
    pub(super) fn find(&self, role: &Role) -> Option<(usize, &Mapping)> {
        let arn = role.bare().to_ascii_lowercase();
        let mut mappings = self.roles.iter().enumerate().rev();
        mappings.find(|(_, mapping)| mapping.arn.to_ascii_lowercase() == arn)
    }

    /// A mapping that seems to be meant for a role, and why it is none.
    pub(super) fn near(&self, role: &Role) -> Option<(usize, String)> {
        self.roles.iter().enumerate().find_map(|(index, mapping)| {
            let own = Role::parse(&mapping.arn).ok()?;
            if !own.name().eq_ignore_ascii_case(role.name()) {
                return None;
            }
            let why = if own.is_session() {
                format!("is a session's ARN; write the role's, `{}`", role.bare())
            } else if own.has_path() {
                format!(
                    "has a path, which a session's ARN has lost when the cluster compares it, so that it \
                     never matches; write `{}`",
                    own.bare()
                )
            } else {
                "is another account's or partition's role of that name".to_owned()
            };
            Some((index, format!("`{}` {why}", mapping.arn)))
        })
    }
}

/// YAML, or JSON, that stands as a text in the `ConfigMap`.
fn inside(data: &Fields<'_>, name: &str) -> Result<Option<Value>, BadPolicy> {
    let Some(text) = data.text(name)? else {
        return Ok(None);
    };
    if ["", "``", "\"\""].contains(&text.trim()) {
        return Ok(None);
    }
    let place = data.place(name);
    match Document::all(&place, &text) {
        Ok(documents) => Ok(documents.into_iter().next().map(|document| document.value)),
        Err(error) => Err(BadPolicy::at(
            place,
            format!("must be a list in YAML, or the cluster reads none of it: {error}"),
        )),
    }
}

/// The names of members are taken in upper and lower case.
fn roles(place: &str, value: &Value) -> Result<Vec<Mapping>, BadPolicy> {
    let Some(items) = value.as_array() else {
        return Err(BadPolicy::at(place, "must be a list of mappings"));
    };
    let items = items.iter().enumerate();
    items
        .map(|(index, item)| {
            let members = item.as_object().into_iter().flatten();
            let lower: Map<String, Value> = members
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect();
            let lower = Value::Object(lower);
            let fields = Fields::of(format!("{place}[{index}]"), &lower)?;
            Ok(Mapping {
                arn: fields.required("rolearn")?,
                username: fields.text("username")?.unwrap_or_default(),
                groups: fields.texts("groups")?,
            })
        })
        .collect()
}
