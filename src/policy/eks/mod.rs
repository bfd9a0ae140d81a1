//! EKS: who may enter a cluster. A token is let in by the cluster's OIDC identity provider; the AWS role
//! that a token became by an access entry or by `aws-auth`. What either may do, RBAC says where it is
//! given too.

mod entry;
mod mapping;
mod provider;
mod role;
#[cfg(test)]
mod tests;
mod way;

use serde_json::Value;

use self::entry::{Association, Entry, Item};
use self::mapping::{AwsAuth, Mapping};
use self::provider::Provider;
use self::role::Role;
use self::way::{Door, Way};
use super::kubernetes::{MASTERS, Rbac, User, together};
use super::{BadPolicy, Change, Check, Document, Outcome, Presented, Verdict, Weakness};

/// More changes than there are conditions are none.
const MOST_CHANGES: usize = 128;

/// Who is let in, and what is bound.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    provider: Option<Box<Provider>>,
    aws_auth: Option<AwsAuth>,
    /// Whether access entries are given: a cluster with them may have none.
    has_entries: bool,
    entries: Vec<Entry>,
    /// Whether the policies associated with entries are given: an entry may have none.
    has_associations: bool,
    associations: Vec<Association>,
    rbac: Rbac,
}

/// A condition, and what to change so that it holds.
struct Step {
    site: Site,
    check: Check,
}

/// What a condition hangs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Site {
    Audience,
    Binding,
    Groups,
    Issuer,
    Required(usize),
    Role,
    Status,
    Username,
}

/// Whether a document is one of these.
pub fn recognizes(document: &Value) -> bool {
    provider::recognizes(document)
        || mapping::recognizes(document)
        || document.get("accessEntries").is_some()
        || !entry::items(document).is_empty()
}

impl Policy {
    /// Reads the documents, RBAC's among them.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let mut policy = Self {
            rbac: Rbac::read(documents)?,
            ..Self::default()
        };
        for document in documents {
            let second = |what: &str| BadPolicy::at(&document.name, what);
            if provider::recognizes(&document.value) {
                let read = Provider::read(&document.value)?;
                if policy.provider.replace(Box::new(read)).is_some() {
                    return Err(second("is a second identity provider; a cluster has one"));
                }
            } else if mapping::recognizes(&document.value) {
                let read = AwsAuth::read(document)?;
                if policy.aws_auth.replace(read).is_some() {
                    return Err(second("is a second aws-auth; a cluster has one"));
                }
            } else if !super::kubernetes::is_rbac(&document.value) {
                policy.has_entries = true;
                for item in entry::items(&document.value) {
                    match item {
                        Item::Entry(value) => policy.entries.push(Entry::read(value)?),
                        Item::Associations(value) => {
                            policy.has_associations = true;
                            policy.associations.extend(Association::read(value)?);
                        }
                    }
                }
            }
        }
        Ok(policy)
    }

    /// What it says about a token, or about the role that it became.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        let way = self.way(presented);
        let mut verdict = Verdict::of(way.steps.into_iter().map(|step| step.check).collect());
        verdict.weaknesses = self.weaknesses();
        verdict
            .weaknesses
            .extend(self.rbac.weaknesses(way.user.as_ref()));
        if verdict.admits() && !way.is_by_policy {
            let unseen = way.user.and_then(|user| self.rbac.not_looked_at(&user));
            verdict.weaknesses.extend(unseen);
        }
        verdict
    }

    /// The smallest change with which it admits the token or the role, and the policy after it.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        let door = self.way(presented).door;
        let mut policy = self.clone();
        let mut changes = Vec::new();
        for _ in 0..MOST_CHANGES {
            let way = policy.through(door, presented);
            let failing = way.steps.iter().find(|step| match step.check.outcome {
                Outcome::Fails => true,
                // A group can be bound where the user's name is not known.
                Outcome::Unknown => step.site == Site::Binding,
                Outcome::Holds => false,
            });
            let Some(failing) = failing else { break };
            let change = policy.mend(door, failing.site, &way, presented)?;
            changes.push(change);
        }
        let admits = policy.evaluate(presented).admits();
        together(changes)
            .filter(|_| admits)
            .map(|change| (change, policy))
    }

    /// Of both doors the one that lets in; else the one that somebody is at.
    fn way(&self, presented: &Presented) -> Way {
        let mut doors = Vec::new();
        if self.aws_auth.is_some() || self.has_entries {
            doors.push(Door::Role);
        }
        if self.provider.is_some() {
            let at = if presented.role_arn.is_some() {
                doors.len()
            } else {
                0
            };
            doors.insert(at, Door::Token);
        }
        let mut ways = doors.into_iter().map(|door| self.through(door, presented));
        let Some(first) = ways.next() else {
            return self.through(Door::Role, presented);
        };
        if first.admits() {
            return first;
        }
        ways.find(Way::admits).unwrap_or(first)
    }

    /// Mends one condition.
    fn mend(&mut self, door: Door, site: Site, way: &Way, presented: &Presented) -> Option<Change> {
        if site == Site::Binding {
            let user = way.user.as_ref()?;
            let own = |group: &&String| !group.starts_with("system:");
            let group = user.groups.iter().find(own);
            let (kind, name) = match (door, group) {
                (Door::Token, _) => ("User", user.name.clone()),
                (Door::Role, Some(group)) => ("Group", group.clone()),
                (Door::Role, None) => return self.add_group(presented),
            };
            let (change, rbac) = self.rbac.binding(kind, &name);
            self.rbac = rbac;
            return Some(change);
        }
        match door {
            Door::Token => self.provider.as_mut()?.mend(site, presented),
            Door::Role => self.add_role(presented),
        }
    }

    fn weaknesses(&self) -> Vec<Weakness> {
        let mut weaknesses = Vec::new();
        let mut add = |place: String, what: String| weaknesses.push(Weakness { place, what });
        for (place, what) in self.provider.iter().flat_map(|own| own.weaknesses()) {
            add(place, what);
        }
        if let Some(aws_auth) = &self.aws_auth {
            for (index, mapping) in aws_auth.roles.iter().enumerate() {
                if mapping.groups.iter().any(|group| group == MASTERS) {
                    add(
                        format!("data.mapRoles[{index}].groups"),
                        format!(
                            "`{MASTERS}` lets whoever can assume `{}` do anything in the cluster, whatever \
                             RBAC says; write a group of its own and bind that to a role",
                            mapping.arn
                        ),
                    );
                }
            }
            for account in &aws_auth.accounts {
                add(
                    "data.mapAccounts".to_owned(),
                    format!(
                        "every user and every role of the account {account} is let in as somebody; map the \
                         roles one by one"
                    ),
                );
            }
        }
        for association in &self.associations {
            let is_admin = association.policy == "AmazonEKSClusterAdminPolicy"
                || association.policy == "AmazonEKSAdminPolicy";
            if is_admin && association.scope == "cluster" {
                add(
                    format!("associatedAccessPolicies of {}", association.principal),
                    format!(
                        "`{}` gives the whole cluster; associate `AmazonEKSEditPolicy` or less, with a scope \
                         of namespaces",
                        association.policy
                    ),
                );
            }
        }
        weaknesses
    }
}

impl Step {
    fn new(site: Site, check: Check) -> Self {
        Self { site, check }
    }
}
