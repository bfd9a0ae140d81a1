//! The smallest change that admits a token: condition after condition, until none fails.

use super::super::{Change, Outcome, Presented};
use super::configuration::{Authenticator, ClaimRule, Condition, Configuration, Mapping};
use super::formula::Formula;
use super::{Policy, Site, place, tests_only};
use crate::expression::Wanted;

/// More changes than there are conditions are none.
const MOST_CHANGES: usize = 128;

/// Claims that say who it is, as `sub` does.
const NAMES: &[&str] = &[
    "sub",
    "terraform_full_workspace",
    "terraform_organization_name",
    "terraform_project_name",
    "terraform_workspace_name",
];

/// What a new audience does where other subjects are let in.
const FOR_OTHERS: &str =
    ": with it the other subjects that the policy names may use this audience too";

/// What stands before names that we choose.
const PREFIX: &str = "runmint:";

impl Policy {
    /// The smallest change with which it admits the token, and the policy after it.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        let mut policy = self.clone();
        let mut changes = Vec::new();
        for _ in 0..MOST_CHANGES {
            let (steps, _) = policy.steps(presented);
            let failing = steps
                .iter()
                .find(|step| step.check.outcome == Outcome::Fails);
            let Some(failing) = failing else { break };
            let (change, changed) = policy.mended(failing.site, presented)?;
            changes.push(change);
            policy = changed;
        }
        let is_valid = policy.configuration.is_unambiguous();
        let admits = is_valid && policy.evaluate(presented).admits();
        together(changes)
            .filter(|_| admits)
            .map(|change| (change, policy))
    }

    fn mended(&self, site: Site, presented: &Presented) -> Option<(Change, Self)> {
        let mut changed = self.clone();
        let subject = presented.text("sub")?;
        let issuer = presented.text("iss")?;
        if site == Site::Binding {
            let (_, user) = self.steps(presented);
            let (change, rbac) = self.rbac.binding("User", &user?.name);
            changed.rbac = rbac;
            return Some((change, changed));
        }
        let Some(index) = self.entry(presented) else {
            let change = changed.configuration.add(issuer, presented)?;
            return Some((change, changed));
        };
        let entry = changed.configuration.jwt.get_mut(index)?;
        let change = entry.mend(site, &place(index), presented, subject)?;
        Some((change, changed))
    }
}

impl Configuration {
    /// An entry for this very run, since there is none for its issuer.
    fn add(&mut self, issuer: &str, presented: &Presented) -> Option<Change> {
        let audience = *presented.texts("aud").first()?;
        let subject = presented.text("sub")?;
        let place = place(self.jwt.len());
        // JSON's texts are YAML's as well.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let after = format!(
            "- issuer:\n    url: {}\n    audiences: [{}]\n  claimValidationRules:\n  - claim: sub\n    \
             requiredValue: {}\n  claimMappings:\n    username: {{claim: sub, prefix: {}}}",
            quoted(issuer),
            quoted(audience),
            quoted(subject),
            quoted(PREFIX),
        );
        self.jwt.push(Authenticator {
            issuer: issuer.to_owned(),
            audiences: vec![audience.to_owned()],
            rules: vec![ClaimRule::Equals {
                claim: "sub".to_owned(),
                value: subject.to_owned(),
            }],
            username: Mapping::Claim {
                claim: "sub".to_owned(),
                prefix: PREFIX.to_owned(),
            },
            groups: None,
            uid: None,
            extra: Vec::new(),
            user_rules: Vec::new(),
        });
        Some(Change {
            place,
            what: format!("add an entry for the issuer `{issuer}` that lets `{subject}` in"),
            before: None,
            after,
        })
    }

    /// What the API server refuses twice: an issuer, an expression.
    fn is_unambiguous(&self) -> bool {
        let mut issuers: Vec<_> = self.jwt.iter().map(|entry| &entry.issuer).collect();
        issuers.sort();
        let entries = issuers.len();
        issuers.dedup();
        let rules = |entry: &Authenticator| {
            let mut all: Vec<_> = entry
                .rules
                .iter()
                .filter_map(|rule| match rule {
                    ClaimRule::Holds(condition) => Some(condition.expression.text().to_owned()),
                    ClaimRule::Equals { .. } => None,
                })
                .collect();
            all.sort();
            let before = all.len();
            all.dedup();
            before == all.len()
        };
        entries == issuers.len() && self.jwt.iter().all(rules)
    }
}

impl Authenticator {
    fn mend(
        &mut self,
        site: Site,
        place: &str,
        presented: &Presented,
        subject: &str,
    ) -> Option<Change> {
        let mappings = format!("{place}.claimMappings");
        match site {
            Site::Binding => None,
            Site::Issuer => {
                let issuer = presented.text("iss")?;
                let before = std::mem::replace(&mut self.issuer, issuer.to_owned());
                Some(replace(
                    format!("{place}.issuer.url"),
                    format!("write `{issuer}`, as the token's `iss` has it"),
                    before,
                    issuer,
                ))
            }
            Site::Audience => {
                let audience = (*presented.texts("aud").first()?).to_owned();
                let before = self.audiences.join(", ");
                let others = if self.names_only(subject) {
                    ""
                } else {
                    FOR_OTHERS
                };
                self.audiences.push(audience.clone());
                Some(replace(
                    format!("{place}.issuer.audiences"),
                    format!("add `{audience}`, and set `audienceMatchPolicy: MatchAny`{others}"),
                    before,
                    &self.audiences.join(", "),
                ))
            }
            Site::Username => {
                let prefix = match &self.username {
                    Mapping::Claim { prefix, .. } => prefix.clone(),
                    Mapping::Expression(_) => PREFIX.to_owned(),
                };
                let before = self.username.shown();
                let claim = "sub".to_owned();
                self.username = Mapping::Claim { claim, prefix };
                let after = self.username.shown();
                Some(replace(
                    format!("{mappings}.username"),
                    format!("take the name from `sub`: {after}"),
                    before,
                    &after,
                ))
            }
            Site::Groups => {
                let before = self.groups.take()?.shown();
                Some(remove(format!("{mappings}.groups"), before))
            }
            Site::Uid => {
                let before = self.uid.take()?.shown();
                Some(remove(format!("{mappings}.uid"), before))
            }
            Site::Extra(index) => {
                let before = self.extra.remove(index).expression.text().to_owned();
                Some(remove(format!("{mappings}.extra[{index}]"), before))
            }
            Site::Rule(index) => {
                let rule = self.rules.get_mut(index)?;
                rule.admit(format!("{place}.claimValidationRules[{index}]"), subject)
            }
            Site::UserRule(index) => {
                // What keeps Kubernetes' own names out is meant.
                let username = self.username_of(presented)?;
                let condition = self.user_rules.get_mut(index)?;
                if !tests_only("user.username", condition.expression.text()) {
                    return None;
                }
                let own = format!("user.username == {}", literal(&username));
                Some(condition.or(
                    &own,
                    format!("{place}.userValidationRules[{index}].expression"),
                    &username,
                ))
            }
        }
    }

    /// Whether a rule lets in this subject alone.
    fn names_only(&self, subject: &str) -> bool {
        self.rules.iter().any(|rule| match rule {
            ClaimRule::Equals { claim, value } => claim == "sub" && value == subject,
            ClaimRule::Holds(_) => false,
        })
    }

    fn username_of(&self, presented: &Presented) -> Option<String> {
        let name = self.login("", presented).user?.name;
        (!name.starts_with("system:")).then_some(name)
    }
}

impl ClaimRule {
    /// Lets a subject in beside those that it lets in already. Nothing if the rule is about something else
    /// than who it is: that limit is meant for this subject too.
    fn admit(&mut self, place: String, subject: &str) -> Option<Change> {
        let own = format!("claims.sub == {}", literal(subject));
        match self {
            Self::Holds(condition) => tests_only("claims.sub", condition.expression.text())
                .then(|| condition.or(&own, format!("{place}.expression"), subject)),
            Self::Equals { claim, .. } if !NAMES.contains(&claim.as_str()) => None,
            Self::Equals { claim, value } => {
                let before = format!("claim: {claim}, requiredValue: {value}");
                let old = format!("claims[{}] == {}", literal(claim), literal(value));
                let expression = format!("{own} || {old}");
                *self = Self::Holds(Condition {
                    expression: Formula::new(expression.clone(), Wanted::Bool),
                    message: String::new(),
                });
                Some(replace(
                    place,
                    format!(
                        "let `{subject}` in besides; a required value is one only, so write an expression"
                    ),
                    before,
                    &format!("expression: {expression}"),
                ))
            }
        }
    }
}

impl Condition {
    /// What is added comes first: it decides before a claim is missed that the token has not.
    fn or(&mut self, own: &str, place: String, who: &str) -> Change {
        let before = self.expression.text().to_owned();
        self.expression = Formula::new(format!("{own} || ({before})"), Wanted::Bool);
        replace(
            place,
            format!("let `{who}` in besides"),
            before,
            self.expression.text(),
        )
    }
}

impl Mapping {
    /// As it is written in YAML.
    fn shown(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Claim { claim, prefix } => {
                format!("{{claim: {}, prefix: {}}}", quoted(claim), quoted(prefix))
            }
            Self::Expression(formula) => format!("{{expression: {}}}", quoted(formula.text())),
        }
    }
}

/// Several changes as one, in their order.
pub(in crate::policy) fn together(changes: Vec<Change>) -> Option<Change> {
    let mut changes = changes.into_iter();
    let first = changes.next()?;
    Some(changes.fold(first, |all, next| Change {
        place: format!("{}, {}", all.place, next.place),
        what: format!("{}; then, at `{}`, {}", all.what, next.place, next.what),
        before: match (all.before, next.before) {
            (Some(a), Some(b)) => Some(format!("{a}\n{b}")),
            (a, b) => a.or(b),
        },
        after: format!("{}\n{}", all.after, next.after),
    }))
}

fn replace(place: String, what: String, before: String, after: &str) -> Change {
    Change {
        place,
        what,
        before: Some(before),
        after: after.to_owned(),
    }
}

fn remove(place: String, before: String) -> Change {
    replace(
        place,
        "remove it: it fails for this token".to_owned(),
        before,
        "",
    )
}

/// A text in CEL; JSON's escapes are CEL's.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
