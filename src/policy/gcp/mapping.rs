//! What a token's claims are mapped to: the principal's subject, its groups, its attributes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::formula::{Formula, Mapped};
use super::provider::{Provider, mapping_place};
use crate::domain::subject::MAX_GCP_LENGTH;
use crate::expression::Variables;
use crate::policy::{Check, Part, Presented};

/// Who a token becomes.
#[derive(Clone, Debug, Default)]
pub(super) struct Identity {
    /// `google.subject`.
    pub(super) subject: Option<String>,
    /// `google.groups`.
    pub(super) groups: Vec<String>,
    /// `attribute.NAME`, by NAME.
    pub(super) attributes: BTreeMap<String, String>,
    /// Attributes of which it is not known what they are, as they are mapped: `attribute.NAME`.
    pub(super) unknown: BTreeSet<String>,
}

impl Provider {
    /// Who a token becomes, and the checks of the mapping: that of the subject, and those of other
    /// attributes that do not hold.
    pub(super) fn identity(&self, presented: &Presented) -> (Identity, Vec<Check>) {
        let mut identity = Identity::default();
        let assertion = assertion(presented);
        let mut checks = vec![self.subject_check(&assertion, &mut identity)];
        for (attribute, formula) in &self.mapping {
            let check = match attribute.as_str() {
                "google.subject" => None,
                "google.groups" => self.groups_check(formula, &assertion, &mut identity),
                _ => self.attribute_check(attribute, formula, &assertion, &mut identity),
            };
            checks.extend(check);
        }
        (identity, checks)
    }

    fn subject_check(&self, assertion: &Variables, identity: &mut Identity) -> Check {
        let place = self.place(&mapping_place("google.subject"));
        let (part, operator) = (Part::Subject, "maps to at most 127 bytes");
        let Some(formula) = self.mapping.get("google.subject") else {
            let why = "there is no mapping of `google.subject`, which IAM requires; map it to \
                       `assertion.sub`";
            return Check::new(place, part, operator, false, why);
        };
        let fails = |why: String| Check::new(place.clone(), part.clone(), operator, false, why);
        let check = match formula.map(assertion) {
            Mapped::Text(subject) if subject.is_empty() => {
                let why =
                    "it is empty; whether IAM takes that is not documented: map `assertion.sub`";
                Check::unknown(place.clone(), part.clone(), operator, why)
            }
            Mapped::Text(subject) => {
                let length = subject.len();
                let why = format!(
                    "it is {length} bytes long, {} more than the {MAX_GCP_LENGTH} that IAM takes; map \
                     names in place of the whole subject",
                    length.saturating_sub(MAX_GCP_LENGTH)
                );
                let holds = length <= MAX_GCP_LENGTH;
                identity.subject = Some(subject.clone());
                Check::new(place.clone(), part.clone(), operator, holds, why).finding([subject])
            }
            Mapped::Failed(why) => fails(why),
            Mapped::Other(what) => fails(format!("it gives {what}; IAM takes a text only")),
            Mapped::Strange(why) => Check::unknown(place.clone(), part.clone(), operator, why),
        };
        check.wanting([&formula.source])
    }

    /// Nothing if it maps to groups.
    fn groups_check(
        &self,
        formula: &Formula,
        assertion: &Variables,
        identity: &mut Identity,
    ) -> Option<Check> {
        let place = self.place(&mapping_place("google.groups"));
        let (part, operator) = (Part::Claim("google.groups".to_owned()), "maps to texts");
        let why = match formula.texts(assertion) {
            Ok(groups) => {
                identity.groups = groups;
                return None;
            }
            Err(why) => why,
        };
        identity.unknown.insert("google.groups".to_owned());
        Some(Check::unknown(place, part, operator, why).wanting([&formula.source]))
    }

    /// Nothing if it maps to a text.
    fn attribute_check(
        &self,
        attribute: &str,
        formula: &Formula,
        assertion: &Variables,
        identity: &mut Identity,
    ) -> Option<Check> {
        let place = self.place(&mapping_place(attribute));
        let (part, operator) = (Part::Claim(attribute.to_owned()), "maps to a text");
        let check = match formula.map(assertion) {
            Mapped::Text(text) => {
                let name = attribute.strip_prefix("attribute.").unwrap_or(attribute);
                identity.attributes.insert(name.to_owned(), text);
                return None;
            }
            Mapped::Other(what) => {
                let why = format!("it gives {what}; IAM takes a text only");
                Check::new(place, part, operator, false, why)
            }
            Mapped::Failed(why) => {
                let why = format!(
                    "{why}; whether IAM then leaves the attribute out is not documented: write \
                     `has(…) ? … : ''`"
                );
                Check::unknown(place, part, operator, why)
            }
            Mapped::Strange(why) => Check::unknown(place, part, operator, why),
        };
        identity.unknown.insert(attribute.to_owned());
        Some(check.wanting([&formula.source]))
    }
}

impl Identity {
    /// What a condition sees.
    pub(super) fn variables(&self, presented: &Presented) -> Variables {
        assertion(presented)
            .with(
                "google",
                &json!({"subject": self.subject, "groups": self.groups}),
            )
            .with("attribute", &json!(self.attributes))
    }
}

/// The claims as an expression sees them.
pub(super) fn assertion(presented: &Presented) -> Variables {
    Variables::new("assertion", &Value::Object(presented.claims.clone()))
}
