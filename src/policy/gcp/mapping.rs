//! What a token's claims are mapped to: the principal's subject, its groups, its attributes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::provider::{Provider, mapping_place};
use crate::domain::subject::MAX_GCP_LENGTH;
use crate::expression::{Dialect, Expression, Given, Variables, Wanted};
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

/// What a mapping gives.
pub(super) enum Mapped {
    /// A text.
    Text(String),
    /// Nothing: the claim is not there, or the like.
    Failed(String),
    /// Something else than a text: what.
    Other(&'static str),
    /// The expression is not understood here.
    Strange(String),
}

impl Provider {
    /// Who a token becomes, and the checks of the mapping: that of the subject, and those of other
    /// attributes that do not hold.
    pub(super) fn identity(&self, presented: &Presented) -> (Identity, Vec<Check>) {
        let mut identity = Identity::default();
        let mut checks = vec![self.subject_check(presented, &mut identity)];
        let assertion = assertion(presented);
        for (attribute, source) in &self.mapping {
            let check = match attribute.as_str() {
                "google.subject" => None,
                "google.groups" => self.groups_check(source, &assertion, &mut identity),
                _ => self.attribute_check(attribute, source, &assertion, &mut identity),
            };
            checks.extend(check);
        }
        (identity, checks)
    }

    fn subject_check(&self, presented: &Presented, identity: &mut Identity) -> Check {
        let place = self.place(&mapping_place("google.subject"));
        let (part, operator) = (Part::Subject, "maps to at most 127 bytes");
        let Some(source) = self.mapping.get("google.subject") else {
            let why = "there is no mapping of `google.subject`, which IAM requires; map it to \
                       `assertion.sub`";
            return Check::new(place, part, operator, false, why);
        };
        let fails = |why: String| Check::new(place.clone(), part.clone(), operator, false, why);
        let check = match mapped(source, &assertion(presented)) {
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
        check.wanting([source])
    }

    /// Nothing if it maps to groups.
    fn groups_check(
        &self,
        source: &str,
        assertion: &Value,
        identity: &mut Identity,
    ) -> Option<Check> {
        let place = self.place(&mapping_place("google.groups"));
        let (part, operator) = (Part::Claim("google.groups".to_owned()), "maps to texts");
        let why = match compiled(source, Wanted::Texts) {
            Ok(expression) => match expression.texts(&Variables::new("assertion", assertion)) {
                Ok(groups) => {
                    identity.groups = groups;
                    return None;
                }
                Err(why) => plain(&why),
            },
            Err(why) => why,
        };
        identity.unknown.insert("google.groups".to_owned());
        Some(Check::unknown(place, part, operator, why).wanting([source]))
    }

    /// Nothing if it maps to a text.
    fn attribute_check(
        &self,
        attribute: &str,
        source: &str,
        assertion: &Value,
        identity: &mut Identity,
    ) -> Option<Check> {
        let place = self.place(&mapping_place(attribute));
        let (part, operator) = (Part::Claim(attribute.to_owned()), "maps to a text");
        let check = match mapped(source, assertion) {
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
        Some(check.wanting([source]))
    }
}

impl Identity {
    /// What a condition sees.
    pub(super) fn variables(&self, presented: &Presented) -> Variables {
        Variables::new("assertion", &assertion(presented))
            .with(
                "google",
                &json!({"subject": self.subject, "groups": self.groups}),
            )
            .with("attribute", &json!(self.attributes))
    }
}

/// The claims as an expression sees them.
pub(super) fn assertion(presented: &Presented) -> Value {
    Value::Object(presented.claims.clone())
}

/// What a mapping makes of the claims.
pub(super) fn mapped(source: &str, assertion: &Value) -> Mapped {
    let expression = match compiled(source, Wanted::Texts) {
        Ok(expression) => expression,
        // It is understood, but is no text: IAM says so only when a token comes.
        Err(_) if compiled(source, Wanted::Bool).is_ok() => return Mapped::Other("true or false"),
        Err(why) => return Mapped::Strange(why),
    };
    match expression.given(&Variables::new("assertion", assertion)) {
        Ok(Given::Text(text)) => Mapped::Text(text),
        Ok(Given::Other(what)) => Mapped::Other(what),
        Err(why) => Mapped::Failed(plain(&why)),
    }
}

/// An expression, or why it is not understood here.
pub(super) fn compiled(source: &str, wanted: Wanted) -> Result<Expression, String> {
    Expression::compile("expression", source, Dialect::Gcp, wanted)
        .map_err(|error| format!("it cannot be evaluated here: it {}", error.rule))
}

/// What the evaluation says, in the words of this module.
pub(super) fn plain(why: &str) -> String {
    match why.strip_prefix("No such key: ") {
        Some(name) => format!("the token has no `{name}`"),
        None => why.to_owned(),
    }
}
