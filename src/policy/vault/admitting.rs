//! The smallest change with which a role admits a token.

use serde_json::{Value, json};

use super::checks::find;
use super::{Config, Policy, Role, RoleType};
use crate::policy::{Change, Outcome, Presented};

/// What a new audience does where the role names other subjects.
const FOR_OTHERS: &str =
    ": with it the other subjects that the policy names may use this audience too";

/// What is changed, one condition after the other.
#[derive(Default)]
struct Edits(Vec<Change>);

impl Policy {
    /// The smallest change with which it admits the token, and the policy after it. Values are added
    /// beside those that are there; the issuer, of which a mount has one, is replaced. Nothing if the
    /// token lacks a claim, or if it is not known from where the run calls.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        let checks = self.evaluate(presented).checks;
        if checks.iter().all(|check| check.outcome == Outcome::Holds) {
            return None;
        }
        let mut after = self.clone();
        let mut edits = Edits::default();
        after.role.set_type(&mut edits);
        if let Some(config) = &mut after.config {
            config.set_issuer(presented, &mut edits)?;
        }
        after.role.add_subject(presented, &mut edits)?;
        let names_others = self.role.names_others(presented);
        after
            .role
            .add_audience(presented, names_others, &mut edits)?;
        after.role.set_user(presented, &mut edits);
        after.role.add_claims(presented, &mut edits)?;
        let change = Change::together(&edits.0)?;
        after
            .evaluate(presented)
            .admits()
            .then_some((change, after))
    }
}

impl Edits {
    fn add(&mut self, place: String, what: String, before: Option<String>, after: String) {
        self.0.push(Change {
            place,
            what,
            before: before.filter(|before| !before.is_empty()),
            after,
        });
    }
}

impl Config {
    fn set_issuer(&mut self, presented: &Presented, edits: &mut Edits) -> Option<()> {
        let issuer = presented.text("iss")?;
        let places = [self.at("oidc_discovery_url"), self.at("bound_issuer")];
        let values = [&mut self.oidc_discovery_url, &mut self.bound_issuer];
        for (place, value) in places.into_iter().zip(values) {
            let Some(value) = value.as_mut().filter(|value| *value != issuer) else {
                continue;
            };
            let what = format!(
                "set `{place}` to `{issuer}`; what logs in by another issuer needs a mount of its \
                 own"
            );
            let before = std::mem::replace(value, issuer.to_owned());
            edits.add(place, what, Some(before), issuer.to_owned());
        }
        Some(())
    }
}

impl Role {
    fn set_type(&mut self, edits: &mut Edits) {
        if self.kind == RoleType::Jwt {
            return;
        }
        let before = (self.kind == RoleType::Oidc).then(|| "oidc".to_owned());
        self.kind = RoleType::Jwt;
        edits.add(
            self.at("role_type"),
            "set `role_type` to `jwt`".to_owned(),
            before,
            "jwt".to_owned(),
        );
    }

    /// There can be one `bound_subject` only; two are values of `bound_claims`.
    fn add_subject(&mut self, presented: &Presented, edits: &mut Edits) -> Option<()> {
        let Some(bound) = self.bound_subject.clone() else {
            return Some(());
        };
        let subject = presented.text("sub")?;
        if bound == subject {
            return Some(());
        }
        let place = self.at("bound_subject");
        let is_free = !self.bound_claims.contains_key("sub") && !subject.contains('*');
        if is_free && !bound.contains('*') {
            let values = vec![json!(bound), json!(subject)];
            let after = format!("bound_claims {}", json!({"sub": values}));
            self.bound_claims.insert("sub".to_owned(), values);
            self.bound_subject = None;
            let what = format!(
                "take `bound_subject` away and bind the claim `sub` to both: `{bound}` and \
                 `{subject}`"
            );
            edits.add(place, what, Some(bound), after);
        } else {
            self.bound_subject = Some(subject.to_owned());
            let what = format!("set `bound_subject` to `{subject}`");
            edits.add(place, what, Some(bound), subject.to_owned());
        }
        Some(())
    }

    /// Whether it names other subjects than the token's: a text that is not this one, a pattern, or
    /// nobody, which is everybody.
    fn names_others(&self, presented: &Presented) -> bool {
        let subject = presented.text("sub");
        if let Some(bound) = &self.bound_subject {
            return Some(bound.as_str()) != subject;
        }
        let is_open = |text: &str| self.is_glob && text.contains('*');
        let is_own = |value: &Value| {
            let text = value.as_str().filter(|text| !is_open(text));
            text.is_some() && text == subject
        };
        let bound = self.bound_claims.get("sub");
        !bound.is_some_and(|values| values.iter().all(is_own))
    }

    /// Audiences and subjects are two lists: who is in the one may use all of the other.
    fn add_audience(
        &mut self,
        presented: &Presented,
        names_others: bool,
        edits: &mut Edits,
    ) -> Option<()> {
        let found = presented.texts("aud");
        let is_bound = |aud: &&str| self.bound_audiences.iter().any(|bound| bound == aud);
        let nothing_to_do = match self.bound_audiences.as_slice() {
            [] => found.is_empty(),
            _ => found.iter().any(is_bound),
        };
        if nothing_to_do {
            return Some(());
        }
        let audience = *found.first()?;
        let before = (!self.bound_audiences.is_empty()).then(|| json!(self.bound_audiences));
        self.bound_audiences.push(audience.to_owned());
        edits.add(
            self.at("bound_audiences"),
            format!(
                "add `{audience}` to `bound_audiences`{}",
                if names_others { FOR_OTHERS } else { "" }
            ),
            before.map(|before| before.to_string()),
            json!(self.bound_audiences).to_string(),
        );
        Some(())
    }

    fn set_user(&mut self, presented: &Presented, edits: &mut Edits) {
        let value = if self.user_claim_json_pointer {
            find(&presented.claims, &self.user_claim)
        } else {
            presented.claims.get(&self.user_claim).cloned()
        };
        if value.is_some_and(|value| value.is_string()) {
            return;
        }
        let names = ["terraform_full_workspace", "sub"];
        let Some(claim) = names
            .into_iter()
            .find(|name| presented.text(name).is_some())
        else {
            return;
        };
        let before = std::mem::replace(&mut self.user_claim, claim.to_owned());
        self.user_claim_json_pointer = false;
        edits.add(
            self.at("user_claim"),
            format!("set `user_claim` to `{claim}`"),
            Some(before),
            claim.to_owned(),
        );
    }

    fn add_claims(&mut self, presented: &Presented, edits: &mut Edits) -> Option<()> {
        let failing: Vec<String> = self
            .bound_claims
            .iter()
            .filter(|(claim, wanted)| {
                let found = find(&presented.claims, claim);
                !self.why_not(claim, wanted, found.as_ref()).is_empty()
            })
            .map(|(claim, _)| claim.clone())
            .collect();
        for claim in failing {
            let value = match find(&presented.claims, &claim)? {
                Value::Array(items) => items.first()?.clone(),
                one => one,
            };
            let is_plain = match &value {
                Value::String(text) => !(self.is_glob && text.contains('*')),
                Value::Bool(_) | Value::Number(_) => !self.is_glob,
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            };
            if !is_plain {
                return None;
            }
            let place = self.at(&format!("bound_claims[\"{claim}\"]"));
            let values = self.bound_claims.get_mut(&claim)?;
            let before = json!(values).to_string();
            values.push(value.clone());
            let what = format!("add {value} to the values of `bound_claims` for `{claim}`");
            edits.add(place, what, Some(before), json!(values).to_string());
        }
        Some(())
    }
}
