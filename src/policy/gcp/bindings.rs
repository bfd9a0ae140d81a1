//! A service account's IAM policy: which principals may act as it.

use serde_json::Value;

use super::mapping::Identity;
use super::provider::Provider;
use crate::policy::{BadPolicy, Change, Check, Part, Weakness};

/// The role that lets a principal of a pool act as a service account.
const ROLE: &str = "roles/iam.workloadIdentityUser";

/// Roles that hold `iam.serviceAccounts.getAccessToken` (IAM's reference of roles).
const SUFFICIENT: &[&str] = &[ROLE, "roles/iam.serviceAccountTokenCreator"];

/// The policy.
#[derive(Clone, Debug)]
pub(super) struct Bindings {
    all: Vec<Binding>,
}

#[derive(Clone, Debug)]
struct Binding {
    role: String,
    members: Vec<String>,
    /// The expression of its condition.
    condition: Option<String>,
}

/// Whether a document is an IAM policy, as `gcloud iam service-accounts get-iam-policy` prints it; one
/// without bindings has an `etag` only.
pub(super) fn recognizes(document: &Value) -> bool {
    let Some(members) = document.as_object() else {
        return false;
    };
    let is_known =
        |name: &String| ["bindings", "etag", "version", "auditConfigs"].contains(&name.as_str());
    members.keys().all(is_known)
        && (members.contains_key("bindings") || members.contains_key("etag"))
}

impl Bindings {
    /// Reads it.
    pub(super) fn read(value: &Value) -> Result<Self, BadPolicy> {
        let bindings = match value.get("bindings") {
            None => &Vec::new(),
            Some(Value::Array(bindings)) => bindings,
            Some(_) => return Err(BadPolicy::at("bindings", "must be a list")),
        };
        let all = bindings.iter().enumerate().map(|(index, binding)| {
            let at = |name: &str| format!("bindings[{index}].{name}");
            let Some(role) = binding.get("role").and_then(Value::as_str) else {
                return Err(BadPolicy::at(at("role"), "must be a role, in a text"));
            };
            let members = binding.get("members").and_then(Value::as_array);
            let members = members.map(Vec::as_slice).unwrap_or_default();
            let texts = members
                .iter()
                .map(|member| member.as_str().map(str::to_owned));
            let Some(members) = texts.collect::<Option<_>>() else {
                return Err(BadPolicy::at(at("members"), "must be a list of texts"));
            };
            let condition = match binding.get("condition") {
                None | Some(Value::Null) => None,
                Some(condition) => {
                    let expression = condition.get("expression").and_then(Value::as_str);
                    let Some(expression) = expression else {
                        let what = "must be a CEL expression, in a text";
                        return Err(BadPolicy::at(at("condition.expression"), what));
                    };
                    Some(expression.to_owned())
                }
            };
            Ok(Binding {
                role: role.to_owned(),
                members,
                condition,
            })
        });
        Ok(Self {
            all: all.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a principal may act as the service account.
    pub(super) fn check(&self, provider: &Provider, identity: &Identity) -> Check {
        let (part, operator) = (
            Part::Identity,
            "is a member for roles/iam.workloadIdentityUser",
        );
        let Some(pool) = provider.pool() else {
            let why = format!(
                "whose principals these are is not known: the provider's full name {}",
                provider.numbered().err().unwrap_or("names no pool")
            );
            return Check::unknown("bindings", part, operator, why);
        };
        let principals = principals(pool, identity);
        let mut undecided = None;
        for (index, binding) in self.all.iter().enumerate() {
            for (number, member) in binding.members.iter().enumerate() {
                if !admits(member, pool, identity) {
                    continue;
                }
                let place = format!("bindings[{index}].members[{number}]");
                let is_custom = !binding.role.starts_with("roles/");
                let is_sufficient = SUFFICIENT.contains(&binding.role.as_str());
                if is_sufficient && binding.condition.is_none() {
                    return Check::holds(place, part, operator)
                        .wanting([member])
                        .finding(principals);
                }
                let why = match &binding.condition {
                    Some(condition) if is_sufficient || is_custom => format!(
                        "the binding has a condition about the request, which is not known here: \
                         `{condition}`"
                    ),
                    _ if is_custom => format!(
                        "whether `{}` holds the permission iam.serviceAccounts.getAccessToken is not \
                         known here",
                        binding.role
                    ),
                    _ => continue,
                };
                undecided = Some(
                    Check::unknown(place, part.clone(), operator, why)
                        .wanting([member])
                        .finding(principals.clone()),
                );
            }
        }
        undecided.unwrap_or_else(|| {
            let members = self.members(ROLE);
            let why = self.why(pool, identity);
            let fails = Check::new("bindings", part, operator, false, why);
            // Of an attribute that is not known, no member can be ruled out.
            let check = match members
                .iter()
                .find(|member| names_unknown(member, pool, identity))
            {
                Some(member) => Check::unknown(
                    fails.place,
                    fails.part,
                    operator,
                    format!("the attribute that `{member}` is about is not known here"),
                ),
                None => fails,
            };
            check.wanting(members).finding(principals)
        })
    }

    fn members(&self, role: &str) -> Vec<String> {
        let of_it = self.all.iter().filter(|binding| binding.role == role);
        of_it.flat_map(|binding| binding.members.clone()).collect()
    }

    fn why(&self, pool: &str, identity: &Identity) -> String {
        let members = self.members(ROLE);
        let of_pools = |member: &&String| member.contains("/workloadIdentityPools/");
        let of_this = |member: &&String| is_of_pool(member, pool);
        let has = principals(pool, identity);
        let near = members
            .iter()
            .find(|member| has.iter().any(|mine| mine.eq_ignore_ascii_case(member)));
        if let Some(near) = near {
            return format!(
                "`{near}` differs from the principal in upper and lower case, which counts"
            );
        }
        if members.is_empty() {
            return format!("nobody has {ROLE} on this service account");
        }
        let mut others = members.iter().filter(of_pools).peekable();
        if others.peek().is_some() && !members.iter().any(|member| of_this(&member)) {
            return format!(
                "the members are of another pool; of this one they begin with \
                 `principal://iam.googleapis.com/{pool}/` or `principalSet://…`"
            );
        }
        "none of the members is this principal, or a set that it is in".to_owned()
    }

    /// Adds the principal, if it is not there.
    pub(super) fn admit(
        &mut self,
        provider: &Provider,
        identity: &Identity,
    ) -> Option<Vec<Change>> {
        use crate::policy::Outcome;
        if self.check(provider, identity).outcome == Outcome::Holds {
            return Some(Vec::new());
        }
        let subject = identity.subject.as_deref()?;
        let pool = provider.pool()?;
        let member = format!("principal://iam.googleapis.com/{pool}/subject/{subject}");
        let is_plain = |binding: &&mut Binding| binding.role == ROLE && binding.condition.is_none();
        match self.all.iter_mut().find(is_plain) {
            Some(binding) => binding.members.push(member.clone()),
            None => self.all.push(Binding {
                role: ROLE.to_owned(),
                members: vec![member.clone()],
                condition: None,
            }),
        }
        Some(vec![Change {
            place: "bindings".to_owned(),
            what: format!("give {ROLE} on the service account to `{member}`"),
            before: None,
            after: member,
        }])
    }

    /// Members that let more in than they seem to.
    pub(super) fn weaknesses(&self, providers: &[Provider]) -> Vec<Weakness> {
        let mut found = Vec::new();
        for (index, binding) in self.all.iter().enumerate() {
            for (number, member) in binding.members.iter().enumerate() {
                let what = weakness(member, binding, providers);
                found.extend(what.map(|what| Weakness {
                    place: format!("bindings[{index}].members[{number}]"),
                    what,
                }));
            }
        }
        found
    }
}

fn weakness(member: &str, binding: &Binding, providers: &[Provider]) -> Option<String> {
    if binding.condition.is_some() {
        return None;
    }
    if ["allUsers", "allAuthenticatedUsers"].contains(&member) {
        return Some(format!(
            "`{member}` is everybody; name principals of the pool"
        ));
    }
    let provider = providers
        .iter()
        .find(|provider| provider.pool().is_some_and(|pool| is_of_pool(member, pool)))?;
    if member.ends_with("/*") {
        let extent = match provider.condition {
            None => "every token that the issuer mints for this audience",
            Some(_) => {
                "whatever any provider of the pool takes, also providers that are added later"
            }
        };
        return Some(format!(
            "`{member}` is the whole pool: {extent}; name a subject or an attribute's value"
        ));
    }
    let attribute = member.split("/attribute.").nth(1)?.split('/').next()?;
    let formula = provider.mapping.get(&format!("attribute.{attribute}"))?;
    let source = formula.source.as_str();
    if super::weaknesses::is_of_ids(source) {
        return Some(format!(
            "`{member}` goes by an id, which is what a client says when it opens a run, while grants \
             are about names; name an attribute that is made of names"
        ));
    }
    (source == "assertion.terraform_run_phase").then(|| {
        format!(
            "`{member}` is one phase of every workspace that the provider takes; name an attribute \
             that holds the workspace as well"
        )
    })
}

/// Whether a member is this principal, or a set that it is in.
fn admits(member: &str, pool: &str, identity: &Identity) -> bool {
    ["allUsers", "allAuthenticatedUsers"].contains(&member)
        || principals(pool, identity).iter().any(|mine| mine == member)
        || member == format!("principalSet://iam.googleapis.com/{pool}/*")
}

/// All that a principal is called (IAM's documentation, "Principal identifiers").
fn principals(pool: &str, identity: &Identity) -> Vec<String> {
    let set = |rest: String| format!("principalSet://iam.googleapis.com/{pool}/{rest}");
    let subject = identity.subject.iter();
    let subject = subject.map(|s| format!("principal://iam.googleapis.com/{pool}/subject/{s}"));
    let groups = identity.groups.iter().map(|g| set(format!("group/{g}")));
    let attributes = identity.attributes.iter();
    let attributes = attributes.map(|(name, value)| set(format!("attribute.{name}/{value}")));
    subject.chain(groups).chain(attributes).collect()
}

/// Whether a member is about something of which it is not known what it is.
fn names_unknown(member: &str, pool: &str, identity: &Identity) -> bool {
    let start = format!("principalSet://iam.googleapis.com/{pool}/");
    let Some(rest) = member.strip_prefix(&start) else {
        return false;
    };
    let kind = rest.split('/').next().unwrap_or_default();
    identity.unknown.contains(kind)
        || (kind == "group" && identity.unknown.contains("google.groups"))
}

fn is_of_pool(member: &str, pool: &str) -> bool {
    let rest = member
        .strip_prefix("principal://iam.googleapis.com/")
        .or_else(|| member.strip_prefix("principalSet://iam.googleapis.com/"));
    let rest = rest.and_then(|rest| rest.strip_prefix(pool));
    rest.is_some_and(|rest| rest.starts_with('/'))
}
