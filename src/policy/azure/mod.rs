//! Azure: the federated identity credentials of an application or of a managed identity.
//!
//! Microsoft Entra compares issuer, subject and audience of a token with those of a credential, letter
//! by letter (Microsoft's documentation, "Workload identity federation"). There are no wildcards for an
//! issuer of one's own, and no other claim is looked at.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::difference::difference;
use super::{BadPolicy, Change, Check, Document, Part, Presented, Verdict};
use crate::domain::pattern::Pattern;

/// The credentials of one application or managed identity.
#[derive(Clone, Debug)]
pub struct Policy {
    credentials: Vec<Credential>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Credential {
    /// Before the names of its members, e.g. `value[0].`.
    place: String,
    name: Option<String>,
    issuer: String,
    who: Who,
    audience: String,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Who {
    Subject(String),
    /// `claimsMatchingExpression` of a flexible credential: its text.
    Expression(String),
}

/// How many credentials an application or a managed identity can have ("Important considerations and
/// restrictions for federated identity credentials").
const MOST: usize = 20;

/// The longest issuer, subject and audience, in characters (ibid.).
const LONGEST: usize = 600;

/// Whether a document is one of these: a credential as `az … show` prints it, a list, Microsoft Graph's
/// `value`, or the resource manager's `properties`. An empty list is Azure's answer for an application
/// without credentials.
pub fn recognizes(document: &Value) -> bool {
    match document {
        Value::Array(items) => items.iter().all(is_credential),
        Value::Object(members) => match members.get("value") {
            Some(Value::Array(items)) => items.iter().all(is_credential),
            _ => is_credential(document),
        },
        _ => false,
    }
}

fn is_credential(value: &Value) -> bool {
    let members = value.get("properties").unwrap_or(value);
    members.get("issuer").is_some_and(Value::is_string)
        && ["subject", "audiences", "claimsMatchingExpression"]
            .iter()
            .any(|name| members.get(name).is_some())
}

impl Policy {
    /// Reads the documents: each holds one credential or a list.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place of what Azure would not store.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let mut credentials: Vec<Credential> = Vec::new();
        for document in documents {
            let start = match documents {
                [_] => String::new(),
                _ => format!("{}: ", document.name),
            };
            let (list, items) = match (&document.value, document.value.get("value")) {
                (Value::Array(items), _) => ("", items.as_slice()),
                (_, Some(Value::Array(items))) => ("value", items.as_slice()),
                (one, _) => {
                    credentials.push(Credential::read(&start, one)?);
                    continue;
                }
            };
            for (index, item) in items.iter().enumerate() {
                credentials.push(Credential::read(&format!("{start}{list}[{index}]."), item)?);
            }
        }
        if credentials.len() > MOST {
            return Err(BadPolicy::at(
                "credentials",
                format!(
                    "there are {}, but an application or a managed identity can have {MOST}; give \
                     those of one at a time",
                    credentials.len()
                ),
            ));
        }
        for (index, one) in credentials.iter().enumerate() {
            let before = &credentials[..index];
            if let Some(same) = before
                .iter()
                .find(|other| other.issuer == one.issuer && other.who == one.who)
            {
                return Err(BadPolicy::at(
                    format!("{}subject", one.place),
                    format!(
                        "is the same as `{}subject`, with the same issuer: issuer and subject \
                         together must be unique",
                        same.place
                    ),
                ));
            }
            if one.name.is_some() && before.iter().any(|other| other.name == one.name) {
                return Err(BadPolicy::at(
                    format!("{}name", one.place),
                    "is another credential's as well; names must be unique",
                ));
            }
        }
        Ok(Self { credentials })
    }

    /// What it says about a token: what the credential says that comes nearest.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        let Some(nearest) = self.nearest(presented) else {
            return Verdict::of(vec![Check::new(
                "credentials",
                Part::Issuer,
                "equals",
                false,
                "there is no federated identity credential at all (AADSTS70025)",
            )]);
        };
        let mut checks = nearest.checks(presented);
        let is_full = self.credentials.len() == MOST;
        if let (true, Some(failed)) = (is_full, checks.iter_mut().find(|c| !c.why.is_empty())) {
            failed.why.push_str(
                "; all 20 credentials are used, so one must be deleted before another is added",
            );
        }
        Verdict::of(checks)
    }

    /// The smallest change with which it admits the token, and the policy after it: a credential more,
    /// or another audience, issuer or subject in one that was meant for this token. Nothing if all 20
    /// are used for something else.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        let (issuer, subject) = (presented.text("iss")?, presented.text("sub")?);
        let audience = presented.text("aud")?;
        let fits = |text: &str| (1..=LONGEST).contains(&text.chars().count());
        let storable = [issuer, subject, audience].into_iter().all(fits)
            && issuer.trim() == issuer
            && !self.evaluate(presented).admits();
        if !storable {
            return None;
        }
        let mut after = self.clone();
        let meant = after
            .credentials
            .iter_mut()
            .find(|one| one.is_meant_for(issuer, subject));
        if let Some(one) = meant {
            let before = one.clone();
            issuer.clone_into(&mut one.issuer);
            one.who = Who::Subject(subject.to_owned());
            audience.clone_into(&mut one.audience);
            let change = Change {
                place: before.place.trim_end_matches('.').to_owned(),
                what: format!(
                    "set issuer `{issuer}`, subject `{subject}` and audience `{audience}` in the \
                     credential{}",
                    before
                        .name
                        .as_ref()
                        .map_or(String::new(), |name| format!(" `{name}`"))
                ),
                before: Some(before.to_json().to_string()),
                after: one.to_json().to_string(),
            };
            return Some((change, after));
        }
        if self.credentials.len() >= MOST {
            return None;
        }
        let added = Credential {
            place: format!("[{}].", self.credentials.len()),
            name: Some(self.free_name(issuer, subject)),
            issuer: issuer.to_owned(),
            who: Who::Subject(subject.to_owned()),
            audience: audience.to_owned(),
        };
        let change = Change {
            place: "credentials".to_owned(),
            what: format!(
                "add a credential with issuer `{issuer}`, subject `{subject}` and audience \
                 `{audience}` (it will be number {} of {MOST})",
                self.credentials.len() + 1
            ),
            before: None,
            after: added.to_json().to_string(),
        };
        after.credentials.push(added);
        Some((change, after))
    }

    /// Most of the three hold; of several, where the subject is equal for longest.
    fn nearest(&self, presented: &Presented) -> Option<&Credential> {
        let subject = presented.text("sub").unwrap_or_default();
        let likeness = |one: &Credential| {
            let checks = one.checks(presented);
            let failing = checks.iter().filter(|check| !check.why.is_empty()).count();
            let common = match &one.who {
                Who::Subject(text) => common_start(text, subject),
                Who::Expression(_) => 0,
            };
            (std::cmp::Reverse(failing), common)
        };
        // `max_by_key` would take the last of equals.
        self.credentials
            .iter()
            .rev()
            .max_by_key(|one| likeness(one))
    }

    fn free_name(&self, issuer: &str, subject: &str) -> String {
        let name = |text: &str| {
            let digest = digest(&SHA256, text.as_bytes());
            let hex = digest.as_ref().iter().map(|byte| format!("{byte:02x}"));
            format!("runmint-{}", &hex.collect::<String>()[..16])
        };
        let usual = name(subject);
        let is_taken = |one: &Credential| one.name.as_ref() == Some(&usual);
        if self.credentials.iter().any(is_taken) {
            return name(&format!("{issuer}\n{subject}"));
        }
        usual
    }
}

impl Credential {
    fn read(start: &str, value: &Value) -> Result<Self, BadPolicy> {
        let place = |member: &str| format!("{start}{member}");
        let outside = value.as_object();
        let outside = outside.ok_or_else(|| {
            BadPolicy::at(
                start.trim_end_matches('.'),
                "is no object with `issuer`, `subject` and `audiences`",
            )
        })?;
        let (members, inside) = match outside.get("properties") {
            Some(Value::Object(properties)) => (properties, format!("{start}properties.")),
            _ => (outside, start.to_owned()),
        };
        let name = match outside.get("name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if is_name(name) => Some(name.clone()),
            Some(name) => {
                return Err(BadPolicy::at(
                    place("name"),
                    format!(
                        "is {name}; a name has 3 to 120 letters, digits, `-` and `_`, and begins \
                         with a letter or a digit"
                    ),
                ));
            }
        };
        let issuer = text(members, "issuer", &inside)?;
        if issuer.trim() != issuer {
            return Err(BadPolicy::at(
                format!("{inside}issuer"),
                "begins or ends with a blank, which Azure refuses; remove it",
            ));
        }
        let expression = members.get("claimsMatchingExpression");
        let has_subject = members.get("subject").is_some_and(|s| !s.is_null());
        let who = match expression.filter(|expression| !expression.is_null()) {
            Some(_) if has_subject => {
                return Err(BadPolicy::at(
                    format!("{inside}claimsMatchingExpression"),
                    "stands beside a `subject`; a credential has one of them",
                ));
            }
            Some(expression) => {
                let value = expression.get("value").and_then(Value::as_str);
                Who::Expression(value.map_or_else(|| expression.to_string(), str::to_owned))
            }
            None => Who::Subject(text(members, "subject", &inside)?),
        };
        Ok(Self {
            name,
            issuer,
            who,
            audience: audience(members, &inside)?,
            place: inside,
        })
    }

    /// Issuer, subject, audience: the order in which Entra's messages tell them apart.
    fn checks(&self, presented: &Presented) -> Vec<Check> {
        let place = |member: &str| format!("{}{member}", self.place);
        let issuer = equals(
            place("issuer"),
            Part::Issuer,
            &self.issuer,
            presented.text("iss"),
            "700211",
        );
        let subject = match &self.who {
            Who::Subject(subject) => equals(
                place("subject"),
                Part::Subject,
                subject,
                presented.text("sub"),
                "700213",
            ),
            Who::Expression(expression) => Check::new(
                place("claimsMatchingExpression"),
                Part::Subject,
                "claimsMatchingExpression",
                false,
                "flexible credentials are for GitHub, GitLab and HCP Terraform only, not for an \
                 issuer of one's own; write one credential with a `subject` for each workspace and \
                 phase",
            )
            .wanting([expression])
            .finding(presented.text("sub")),
        };
        let audience = match presented.claims.get("aud") {
            Some(Value::Array(_)) => Check::unknown(
                place("audiences[0]"),
                Part::Audience,
                "equals",
                "the token's `aud` is a list; what Azure makes of one is not documented",
            )
            .wanting([&self.audience])
            .finding(presented.texts("aud")),
            _ => equals(
                place("audiences[0]"),
                Part::Audience,
                &self.audience,
                presented.text("aud"),
                "700212",
            ),
        };
        vec![issuer, subject, audience]
    }

    /// Whether it can only have been written for this issuer and subject: there is no room for another
    /// beside it, or it differs by what was mistyped.
    fn is_meant_for(&self, issuer: &str, subject: &str) -> bool {
        let plain = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
        if plain(&self.issuer) != plain(issuer) {
            return false;
        }
        match &self.who {
            Who::Subject(own) => {
                own.trim() == subject
                    || (own.contains('*') && Pattern(own.clone()).matches(subject))
            }
            Who::Expression(_) => false,
        }
    }

    fn to_json(&self) -> Value {
        let mut members = Map::new();
        if let Some(name) = &self.name {
            members.insert("name".to_owned(), json!(name));
        }
        members.insert("issuer".to_owned(), json!(self.issuer));
        match &self.who {
            Who::Subject(subject) => members.insert("subject".to_owned(), json!(subject)),
            Who::Expression(value) => members.insert(
                "claimsMatchingExpression".to_owned(),
                json!({"value": value, "languageVersion": 1}),
            ),
        };
        members.insert("audiences".to_owned(), json!([self.audience]));
        Value::Object(members)
    }
}

/// The codes are Microsoft's ("Microsoft Entra authentication and authorization error codes").
fn equals(place: String, part: Part, wanted: &str, found: Option<&str>, code: &str) -> Check {
    let claim = match part {
        Part::Issuer => "iss",
        Part::Audience => "aud",
        _ => "sub",
    };
    let why = match found {
        None => format!("the token has no `{claim}` that is a text"),
        Some(found) if found == wanted => String::new(),
        Some(found) => {
            let how = difference(wanted, found);
            let code = if found.eq_ignore_ascii_case(wanted) {
                "7002138"
            } else {
                code
            };
            format!("`{claim}` {how} (AADSTS{code}, or AADSTS70021)")
        }
    };
    Check::new(place, part, "equals", why.is_empty(), why)
        .wanting([wanted])
        .finding(found)
}

fn text(members: &Map<String, Value>, name: &str, place: &str) -> Result<String, BadPolicy> {
    let refuse = |what: String| Err(BadPolicy::at(format!("{place}{name}"), what));
    match members.get(name) {
        Some(Value::String(text)) if text.is_empty() => refuse("is empty".to_owned()),
        Some(Value::String(text)) if text.chars().count() > LONGEST => {
            refuse(format!("is longer than {LONGEST} characters"))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) if !other.is_null() => refuse(format!("is {other}; it must be a text")),
        _ => refuse("is missing".to_owned()),
    }
}

fn audience(members: &Map<String, Value>, place: &str) -> Result<String, BadPolicy> {
    let refuse = |what: &str| Err(BadPolicy::at(format!("{place}audiences"), what));
    match members.get("audiences") {
        Some(Value::Array(items)) => match items.as_slice() {
            [Value::String(one)] if (1..=LONGEST).contains(&one.chars().count()) => Ok(one.clone()),
            [Value::String(_)] => refuse("must hold a text of 1 to 600 characters"),
            _ => refuse("must hold exactly one audience, as a text in a list"),
        },
        Some(_) => refuse("must be a list with one audience"),
        None => refuse("is missing; it must be a list with one audience"),
    }
}

fn is_name(name: &str) -> bool {
    (3..=120).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

/// In characters.
fn common_start(one: &str, other: &str) -> usize {
    one.chars()
        .zip(other.chars())
        .take_while(|(a, b)| a == b)
        .count()
}

#[cfg(test)]
mod tests;
