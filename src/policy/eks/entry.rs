//! Access entries and the access policies that are associated with them (EKS' user guide, "Grant IAM
//! users access to Kubernetes with EKS access entries").

use serde_json::Value;

use super::super::BadPolicy;
use super::super::kubernetes::Fields;
use super::role::Role;

/// A principal, and what its sessions become.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// As it is written; a role, a user, or what EKS has not heard of.
    pub(super) principal: String,
    pub(super) role: Option<Role>,
    pub(super) username: Option<String>,
    pub(super) groups: Vec<String>,
    /// `STANDARD`, or what kind of node it is for.
    pub(super) kind: String,
}

/// A policy of EKS' own that an entry has.
#[derive(Clone, Debug)]
pub(super) struct Association {
    pub(super) principal: String,
    /// Its name, the end of its ARN.
    pub(super) policy: String,
    /// `cluster`, or `namespace` and which.
    pub(super) scope: String,
}

/// What stands in documents.
pub(super) enum Item<'a> {
    Entry(&'a Value),
    Associations(&'a Value),
}

/// The entries and associations of a document.
pub(super) fn items(document: &Value) -> Vec<Item<'_>> {
    if let Some(items) = document.as_array() {
        return items.iter().flat_map(items_of_one).collect();
    }
    let listed = document.get("accessEntries").and_then(Value::as_array);
    match listed {
        Some(listed) => listed.iter().map(Item::Entry).collect(),
        None => items_of_one(document),
    }
}

fn items_of_one(document: &Value) -> Vec<Item<'_>> {
    if let Some(entry) = document.get("accessEntry") {
        vec![Item::Entry(entry)]
    } else if document.get("associatedAccessPolicies").is_some()
        || document.get("policyArn").is_some()
        || document.get("associatedAccessPolicy").is_some()
    {
        vec![Item::Associations(document)]
    } else if document.get("principalArn").is_some() {
        vec![Item::Entry(document)]
    } else {
        Vec::new()
    }
}

impl Entry {
    /// Reads one.
    pub(super) fn read(value: &Value) -> Result<Self, BadPolicy> {
        if let Some(arn) = value.as_str() {
            return Err(BadPolicy::at(
                "accessEntries",
                format!(
                    "holds ARNs only; give what `aws eks describe-access-entry --principal-arn {arn}` prints"
                ),
            ));
        }
        let fields = Fields::of("accessEntry", value)?.only(&[
            "accessEntryArn",
            "clientRequestToken",
            "clusterName",
            "createdAt",
            "kubernetesGroups",
            "modifiedAt",
            "principalArn",
            "tags",
            "type",
            "username",
        ])?;
        let principal = fields.required("principalArn")?;
        let role = Role::parse(&principal).ok();
        if role.as_ref().is_some_and(Role::is_session) {
            return Err(BadPolicy::at(
                fields.place("principalArn"),
                "is a session's ARN, which EKS does not take; write the role's, \
                 `arn:aws:iam::ACCOUNT:role/NAME`",
            ));
        }
        let groups = fields.texts("kubernetesGroups")?;
        let kind = fields.some_text("type")?;
        let kind = kind.unwrap_or_else(|| "STANDARD".to_owned());
        let is_own = |group: &&String| group.starts_with("system:");
        if let Some(group) = groups.iter().find(is_own).filter(|_| kind == "STANDARD") {
            return Err(BadPolicy::at(
                fields.place("kubernetesGroups"),
                format!(
                    "may not hold `{group}`: EKS refuses groups that begin with `system:`; associate an \
                     access policy instead"
                ),
            ));
        }
        Ok(Self {
            principal,
            role,
            username: fields.some_text("username")?,
            groups,
            kind,
        })
    }

    /// Where it stands.
    pub(super) fn place(&self) -> String {
        format!("accessEntry {}", self.principal)
    }
}

impl Association {
    /// Reads those of a document: what `list-associated-access-policies` prints, or one request.
    pub(super) fn read(value: &Value) -> Result<Vec<Self>, BadPolicy> {
        let fields = Fields::of("", value)?;
        let principal = fields.required("principalArn")?;
        let mut all = fields.list("associatedAccessPolicies")?;
        all.extend(fields.object("associatedAccessPolicy")?);
        if value.get("policyArn").is_some() {
            all.push(Fields::of("", value)?);
        }
        let read = all.into_iter().map(|one| {
            let arn = one.required("policyArn")?;
            let scope = one.object("accessScope")?;
            let scope =
                scope.ok_or_else(|| BadPolicy::at(one.place("accessScope"), "is required"))?;
            let kind = scope.required("type")?;
            let namespaces = scope.texts("namespaces")?;
            Ok(Self {
                principal: principal.clone(),
                policy: arn.rsplit('/').next().unwrap_or_default().to_owned(),
                scope: match namespaces.as_slice() {
                    [] => kind,
                    some => format!("{kind} {}", some.join(", ")),
                },
            })
        });
        read.collect()
    }
}
