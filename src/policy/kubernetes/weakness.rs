//! What an entry admits more than it seems to.

use super::super::Weakness;
use super::configuration::{Authenticator, ClaimRule, Mapping};
use super::{User, scan};

impl Authenticator {
    /// What this entry, which stands at `place`, admits more than it seems to.
    pub(super) fn weaknesses(&self, place: &str, user: Option<&User>) -> Vec<Weakness> {
        let mut weaknesses = self.open_rules(place);
        weaknesses.extend(self.any_run(place));
        weaknesses.extend(self.names(place));
        weaknesses.extend(user.into_iter().flat_map(|user| systems(place, user)));
        weaknesses
    }

    /// Texts that are compared from their beginning, or somewhere inside.
    fn open_rules(&self, place: &str) -> Vec<Weakness> {
        let mut weaknesses = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let ClaimRule::Holds(condition) = rule else {
                continue;
            };
            let text = condition.expression.text();
            let mut open = Vec::new();
            for literal in scan::arguments(text, "startsWith") {
                if !literal.ends_with(':') {
                    open.push(format!(
                        "`startsWith(\"{literal}\")` also admits whatever goes on with other letters, such \
                         as `{literal}-x`; end it with the `:` after the name"
                    ));
                }
            }
            for function in ["contains", "endsWith"] {
                for literal in scan::arguments(text, function) {
                    open.push(format!(
                        "`{function}(\"{literal}\")` says nothing of what stands before it; compare the \
                         whole, or its beginning up to a `:`"
                    ));
                }
            }
            for literal in scan::arguments(text, "matches") {
                if !literal.starts_with('^') || !literal.ends_with('$') {
                    open.push(format!(
                        "`matches(\"{literal}\")` is found anywhere inside; write `^` before it and `$` \
                         after it"
                    ));
                }
                if literal.contains(".*") || literal.contains(".+") {
                    open.push(format!(
                        "`matches(\"{literal}\")` lets a `.` reach over a `:` into the next part; write \
                         `[^:]+`"
                    ));
                }
            }
            let place = format!("{place}.claimValidationRules[{index}].expression");
            weaknesses.extend(open.into_iter().map(|what| Weakness {
                place: place.clone(),
                what,
            }));
        }
        weaknesses
    }

    /// No rule that looks at who it is.
    fn any_run(&self, place: &str) -> Option<Weakness> {
        let tells = |claim: &str| claim == "sub" || claim.starts_with("terraform_");
        let looks = self.rules.iter().any(|rule| match rule {
            ClaimRule::Equals { claim, .. } => tells(claim),
            ClaimRule::Holds(condition) => scan::claims_named(condition.expression.text())
                .iter()
                .any(|claim| tells(claim)),
        });
        let by_user = self
            .user_rules
            .iter()
            .any(|rule| rule.expression.text().contains("organization:"));
        (!looks && !by_user).then(|| Weakness {
            place: format!("{place}.claimValidationRules"),
            what: "no rule looks at `sub`, so that every run of every organization of this issuer is let \
                   in as somebody, and only bindings keep it from anything; add one such as \
                   `claims.sub.startsWith(\"organization:ORG:\")`"
                .to_owned(),
        })
    }

    /// Names that may be somebody else's.
    fn names(&self, place: &str) -> Vec<Weakness> {
        let mut weaknesses = Vec::new();
        let mappings = [
            ("username", Some(&self.username)),
            ("groups", self.groups.as_ref()),
        ];
        for (what, mapping) in mappings {
            let is_bare = match mapping {
                None => false,
                Some(Mapping::Claim { prefix, .. }) => prefix.is_empty(),
                Some(Mapping::Expression(formula)) => {
                    formula.text().trim_start().starts_with("claims.")
                }
            };
            if is_bare {
                weaknesses.push(Weakness {
                    place: format!("{place}.claimMappings.{what}"),
                    what: format!(
                        "{what} without a prefix may be those of another issuer, or Kubernetes' own \
                         `system:` names; put one before them, such as `runmint:`"
                    ),
                });
            }
        }
        weaknesses
    }
}

/// Names that belong to Kubernetes.
fn systems(place: &str, user: &User) -> Vec<Weakness> {
    let names = std::iter::once(("username", &user.name));
    let names = names.chain(user.groups.iter().map(|group| ("groups", group)));
    names
        .filter(|(_, name)| name.starts_with("system:"))
        .map(|(what, name)| Weakness {
            place: format!("{place}.claimMappings.{what}"),
            what: format!(
                "the token becomes `{name}`; names that begin with `system:` are Kubernetes' own, and some \
                 of them may do anything"
            ),
        })
        .collect()
}
