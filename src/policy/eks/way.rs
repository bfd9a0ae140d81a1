//! The two doors of a cluster: for a token, and for the AWS role that a token became.

use super::super::{Change, Check, Outcome, Part, Presented};
use super::{Association, Entry, Mapping, Policy, Role, Site, Step, User};

/// By what somebody asks to be let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Door {
    /// The AWS role.
    Role,
    /// The token itself.
    Token,
}

/// What happens at a door.
pub(super) struct Way {
    pub(super) door: Door,
    pub(super) steps: Vec<Step>,
    pub(super) user: Option<User>,
    /// Whether EKS' own access policies say what the user may do.
    pub(super) is_by_policy: bool,
}

/// What a role is mapped to.
struct Mapped<'a> {
    check: Check,
    username: String,
    groups: &'a [String],
    /// The principal whose access policies hold.
    principal: Option<&'a str>,
}

impl Way {
    pub(super) fn admits(&self) -> bool {
        let mut steps = self.steps.iter();
        steps.all(|step| step.check.outcome == Outcome::Holds)
    }
}

impl Policy {
    /// What happens at a door.
    pub(super) fn through(&self, door: Door, presented: &Presented) -> Way {
        match (door, &self.provider) {
            (Door::Token, Some(provider)) => {
                let (mut steps, user) = provider.steps(presented);
                let bound = match &user {
                    Some(user) => self.rbac.checks(user),
                    None => self.rbac.unknown("what the user is called is not known"),
                };
                steps.extend(
                    bound
                        .into_iter()
                        .map(|check| Step::new(Site::Binding, check)),
                );
                Way {
                    door,
                    steps,
                    user,
                    is_by_policy: false,
                }
            }
            _ => self.through_role(presented),
        }
    }

    fn through_role(&self, presented: &Presented) -> Way {
        let door = Door::Role;
        let unknown = |why: String| {
            let check = Check::unknown(self.roles_place(), Part::Identity, "role ARN", why);
            Way {
                door,
                steps: vec![Step::new(Site::Role, check)],
                user: None,
                is_by_policy: false,
            }
        };
        let Some(arn) = &presented.role_arn else {
            return unknown(
                "here the cluster sees the AWS role that a token became, not the token; say which by \
                 `--role-arn`, as `aws sts get-caller-identity` prints it"
                    .to_owned(),
            );
        };
        let role = match Role::parse(arn) {
            Ok(role) => role,
            Err(why) => return unknown(why),
        };
        let Some(mapped) = self.mapped(&role) else {
            let check = self.unmapped(&role);
            return Way {
                door,
                steps: vec![Step::new(Site::Role, check)],
                user: None,
                is_by_policy: false,
            };
        };
        let user = User::new(mapped.username, mapped.groups.to_vec());
        let is_let_in = mapped.check.outcome == Outcome::Holds;
        let mut steps = vec![Step::new(Site::Role, mapped.check)];
        if is_let_in {
            steps.extend(self.granted(&user, mapped.principal));
        }
        Way {
            door,
            steps,
            user: Some(user),
            is_by_policy: self.policies_of(mapped.principal).next().is_some(),
        }
    }

    /// What a role is mapped to. An access entry comes before `aws-auth`.
    fn mapped(&self, role: &Role) -> Option<Mapped<'_>> {
        let of_role = |entry: &&Entry| entry.role.as_ref().is_some_and(|own| own.is(role));
        if let Some(entry) = self.entries.iter().find(of_role) {
            let template = entry.username.clone();
            let template = template.unwrap_or_else(|| role.session_template());
            let username = role.fill(&template);
            let holds = entry.kind == "STANDARD";
            let why = format!(
                "its type is `{}`, which lets nodes in and no runs; a role has one entry, so use another role",
                entry.kind
            );
            let place = format!("{}.principalArn", entry.place());
            let check = Check::new(place, Part::Identity, "access entry", holds, why);
            return Some(Mapped {
                check: check.wanting([&entry.principal]).finding(shown(
                    &role.arn(),
                    &username,
                    &entry.groups,
                )),
                username,
                groups: &entry.groups,
                principal: Some(&entry.principal),
            });
        }
        let aws_auth = self.aws_auth.as_ref()?;
        if let Some((index, mapping)) = aws_auth.find(role) {
            let username = role.fill(&mapping.username);
            let place = format!("data.mapRoles[{index}].rolearn");
            let check = Check::holds(place, Part::Identity, "role ARN");
            return Some(Mapped {
                check: check.wanting([&mapping.arn]).finding(shown(
                    &role.bare(),
                    &username,
                    &mapping.groups,
                )),
                username,
                groups: &mapping.groups,
                principal: None,
            });
        }
        let account = role.fill("{{AccountID}}");
        let own = aws_auth.accounts.iter().find(|own| **own == account)?;
        let check = Check::holds("data.mapAccounts", Part::Identity, "account");
        Some(Mapped {
            check: check.wanting([own]).finding([role.bare()]),
            username: role.bare(),
            groups: &[],
            principal: None,
        })
    }

    /// That a role is mapped to nothing, and which mapping seems to be meant for it.
    fn unmapped(&self, role: &Role) -> Check {
        let entries = self.entries.iter().map(|entry| entry.principal.clone());
        let mappings = self.aws_auth.iter().flat_map(|aws_auth| &aws_auth.roles);
        let wanted: Vec<String> = entries
            .chain(mappings.map(|mapping| mapping.arn.clone()))
            .collect();
        let mut place = self.roles_place().to_owned();
        let mut near = String::new();
        let of_name = |entry: &&Entry| {
            let own = entry.role.as_ref();
            own.is_some_and(|own| own.name().eq_ignore_ascii_case(role.name()))
        };
        if let Some(entry) = self.entries.iter().find(of_name) {
            place = format!("{}.principalArn", entry.place());
            near = format!(
                "; the entry of `{}` is for a role of that name with another path, account or case",
                entry.principal
            );
        } else if let Some((index, why)) = self
            .aws_auth
            .as_ref()
            .and_then(|aws_auth| aws_auth.near(role))
        {
            place = format!("data.mapRoles[{index}].rolearn");
            near = format!("; {why}");
        }
        let why = format!(
            "no access entry and no mapping that is given here is for `{}`, so that the cluster answers \
             `Unauthorized` while AWS itself lets the role in; only who made the cluster is let in unnamed\
             {near}",
            role.bare()
        );
        Check::new(place, Part::Identity, "role ARN", false, why)
            .wanting(wanted)
            .finding([role.bare()])
    }

    /// What the user may do: by EKS' own access policies, by RBAC.
    fn granted(&self, user: &User, principal: Option<&str>) -> Vec<Step> {
        let policies: Vec<Step> = self
            .policies_of(principal)
            .map(|association| {
                let place = format!("associatedAccessPolicies of {}", association.principal);
                let check = Check::holds(place, Part::Identity, "access policy");
                let shown = format!("{} ({})", association.policy, association.scope);
                Step::new(Site::Binding, check.wanting([shown]).finding([&user.name]))
            })
            .collect();
        let is_whole = !user.name.contains("{{");
        let bound = self.rbac.checks(user).into_iter();
        // Either is enough.
        let bound = bound.filter(|check| policies.is_empty() || check.outcome == Outcome::Holds);
        let bound: Vec<Step> = bound
            .map(|mut check| {
                if check.outcome == Outcome::Fails && !is_whole {
                    check.outcome = Outcome::Unknown;
                    check.why = format!(
                        "none of its groups is bound, and what `{}` becomes is not known; give the session's \
                         ARN by `--role-arn`, or bind a group",
                        user.name
                    );
                }
                Step::new(Site::Binding, check)
            })
            .collect();
        let nothing = policies.is_empty() && bound.is_empty();
        let nothing = nothing
            .then(|| self.nothing_given(user, principal?))
            .flatten()
            .map(|check| Step::new(Site::Binding, check));
        policies.into_iter().chain(bound).chain(nothing).collect()
    }

    /// That an entry gives nothing: it has no group that could be bound, and no access policy.
    fn nothing_given(&self, user: &User, principal: &str) -> Option<Check> {
        if !user.groups.is_empty() {
            return None;
        }
        let place = format!("accessEntry {principal}.kubernetesGroups");
        let (part, operator) = (Part::Identity, "group or access policy");
        let check = if self.has_associations {
            let why = "it may do nothing: the entry has no group, and no access policy is associated with \
                       it; add a group and bind it, or associate an access policy";
            Check::new(place, part, operator, false, why)
        } else {
            let why = format!(
                "it may do nothing: the entry has no group, and no access policy is given here; give what \
                 `aws eks list-associated-access-policies --principal-arn {principal}` prints as a \
                 further `--policy`"
            );
            Check::unknown(place, part, operator, why)
        };
        Some(check.finding([&user.name]))
    }

    /// EKS' own policies that a principal has.
    fn policies_of(&self, principal: Option<&str>) -> impl Iterator<Item = &Association> {
        let all = self.associations.iter();
        all.filter(move |association| Some(association.principal.as_str()) == principal)
    }

    /// Where roles are let in.
    fn roles_place(&self) -> &'static str {
        if self.has_entries {
            "accessEntries"
        } else {
            "data.mapRoles"
        }
    }

    /// Lets a role in, as a group of its own that may do nothing yet.
    pub(super) fn add_role(&mut self, presented: &Presented) -> Option<Change> {
        let role = Role::parse(presented.role_arn.as_deref()?).ok()?;
        // An entry of another type stands in the way.
        if self.mapped(&role).is_some() {
            return None;
        }
        let group = group_of(presented);
        if self.has_entries {
            let arn = role.arn();
            let after = format!(
                "aws eks create-access-entry --cluster-name CLUSTER --principal-arn '{arn}' \
                 --kubernetes-groups '{group}'"
            );
            self.entries.push(Entry {
                principal: arn.clone(),
                role: Some(role),
                username: None,
                groups: vec![group.clone()],
                kind: "STANDARD".to_owned(),
            });
            return Some(Change {
                place: "accessEntries".to_owned(),
                what: format!(
                    "add an entry for `{arn}` with the group `{group}`, and bind that by RBAC"
                ),
                before: None,
                after,
            });
        }
        let aws_auth = self.aws_auth.as_mut()?;
        let arn = role.bare();
        if let Some((index, _)) = aws_auth.near(&role) {
            let mapping = aws_auth.roles.get_mut(index)?;
            let is_same = Role::parse(&mapping.arn).is_ok_and(|own| own.bare() == arn);
            if is_same {
                let before = std::mem::replace(&mut mapping.arn, arn.clone());
                return Some(Change {
                    place: format!("data.mapRoles[{index}].rolearn"),
                    what: format!("write `{arn}`, without a path"),
                    before: Some(before),
                    after: arn,
                });
            }
        }
        let username = "runmint:{{SessionName}}";
        let change = Change {
            place: "data.mapRoles".to_owned(),
            what: format!("add a mapping of `{arn}` to the group `{group}`, and bind that by RBAC"),
            before: None,
            after: format!("- rolearn: {arn}\n  username: {username}\n  groups:\n  - {group}"),
        };
        aws_auth.roles.push(Mapping {
            arn,
            username: username.to_owned(),
            groups: vec![group],
        });
        Some(change)
    }

    /// Gives a role that is let in a group that can be bound.
    pub(super) fn add_group(&mut self, presented: &Presented) -> Option<Change> {
        let role = Role::parse(presented.role_arn.as_deref()?).ok()?;
        let group = group_of(presented);
        let of_role = |entry: &&mut Entry| entry.role.as_ref().is_some_and(|own| own.is(&role));
        let (place, groups) = if let Some(entry) = self.entries.iter_mut().find(of_role) {
            (
                format!("{}.kubernetesGroups", entry.place()),
                &mut entry.groups,
            )
        } else {
            let aws_auth = self.aws_auth.as_mut()?;
            let index = aws_auth.find(&role)?.0;
            let mapping = aws_auth.roles.get_mut(index)?;
            (
                format!("data.mapRoles[{index}].groups"),
                &mut mapping.groups,
            )
        };
        groups.push(group.clone());
        Some(Change {
            place,
            what: format!("add the group `{group}`"),
            before: None,
            after: group,
        })
    }
}

/// A group for a run's workspace, that says nothing of what it may do.
fn group_of(presented: &Presented) -> String {
    let workspace = presented.text("terraform_workspace_name");
    format!("runmint:{}", workspace.unwrap_or("runs"))
}

/// What a role becomes.
fn shown(arn: &str, username: &str, groups: &[String]) -> Vec<String> {
    let mut shown = vec![arn.to_owned()];
    if !username.is_empty() {
        shown.push(format!("User {username}"));
    }
    shown.extend(groups.iter().map(|group| format!("Group {group}")));
    shown
}
