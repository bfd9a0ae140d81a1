//! HCP: a workload identity provider of a service principal.
//!
//! It names an issuer, audiences, and a condition in the language of `hashicorp/go-bexpr` over the
//! token's claims (HCP's documentation, "Federate workload identity with other OIDC providers"; the
//! library's `grammar.peg` and `evaluate.go`).

mod condition;
mod expression;
mod parse;

use serde_json::{Map, Value, json};

use self::condition::Trouble;
use self::expression::{Expression, Match, Operator};
use super::difference::difference;
use super::{BadPolicy, Change, Check, Document, Part, Presented, Verdict, Weakness};

/// A workload identity provider.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The resource name, the audience where none is set.
    resource_name: Option<String>,
    issuer: At<String>,
    audiences: At<Vec<String>>,
    condition: At<Condition>,
}

/// A value and its place in the document.
#[derive(Clone, Debug)]
struct At<T> {
    place: String,
    value: T,
}

#[derive(Clone, Debug)]
struct Condition {
    text: String,
    expression: Expression,
}

/// Whether a document is one of these: as the API and `hcp iam workload-identity-providers read` give
/// it, or with the names of Terraform's resource.
pub fn recognizes(document: &Value) -> bool {
    let (members, _) = members(document);
    member(members, &["conditional_access", "conditionalAccess"]).is_some()
}

impl Policy {
    /// Reads the document: one provider.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place, in the condition with line and column.
    pub fn read(documents: &[Document]) -> Result<Self, BadPolicy> {
        let [document] = documents else {
            let second = documents.get(1).map_or("", |document| &document.name);
            return Err(BadPolicy::at(
                second,
                "is a second workload identity provider; a token is exchanged at one: give that one",
            ));
        };
        let (members, inside) = members(&document.value);
        let oidc_names = ["oidc_config", "oidcConfig", "oidc"];
        let oidc = member(members, &oidc_names).filter(|(_, oidc)| oidc.is_object());
        let Some((oidc_name, oidc)) = oidc else {
            return Err(BadPolicy::at(
                format!("{inside}oidc_config"),
                "is missing: a provider for AWS takes no token of an OIDC issuer",
            ));
        };
        let oidc_place = format!("{inside}{oidc_name}");
        let issuer = member(oidc, &["issuer_uri", "issuerUri"]);
        let issuer = match issuer {
            Some((name, Value::String(issuer))) => At {
                place: format!("{oidc_place}.{name}"),
                value: issuer.clone(),
            },
            _ => {
                return Err(BadPolicy::at(
                    format!("{oidc_place}.issuer_uri"),
                    "must be a text: the issuer's URL",
                ));
            }
        };
        Ok(Self {
            resource_name: member(members, &["resource_name", "resourceName"])
                .and_then(|(_, name)| name.as_str())
                .map(str::to_owned),
            issuer,
            audiences: audiences(oidc, &oidc_place)?,
            condition: condition(members, inside)?,
        })
    }

    /// What it says about a token: issuer, audience, condition. A condition whose parts are joined by
    /// `and` gives a check for each.
    pub fn evaluate(&self, presented: &Presented) -> Verdict {
        let mut checks = vec![self.check_issuer(presented), self.check_audience(presented)];
        let parts = self.condition.value.expression.conjuncts();
        checks.extend(
            parts
                .into_iter()
                .map(|part| self.check_part(part, presented)),
        );
        let mut verdict = Verdict::of(checks);
        verdict.weaknesses = self.weaknesses();
        verdict
    }

    /// The smallest change with which it admits the token, and the policy after it: the issuer is
    /// replaced, an audience or a subject is added. Nothing if the token has none of them.
    pub fn admitting(&self, presented: &Presented) -> Option<(Change, Self)> {
        if self.evaluate(presented).admits() {
            return None;
        }
        let mut after = self.clone();
        let mut changes = Vec::new();
        let mut change = |place: &str, what: String, before: String, after: String| {
            changes.push(Change {
                place: place.to_owned(),
                what,
                before: Some(before).filter(|before| !before.is_empty()),
                after,
            });
        };
        let issuer = presented.text("iss")?;
        if issuer != self.issuer.value {
            issuer.clone_into(&mut after.issuer.value);
            let what = format!("set the issuer to `{issuer}`");
            let before = self.issuer.value.clone();
            change(&self.issuer.place, what, before, issuer.to_owned());
        }
        if !self.check_audience(presented).why.is_empty() {
            let audience = *presented.texts("aud").first()?;
            let audiences = &mut after.audiences.value;
            if let (true, Some(name)) = (audiences.is_empty(), &self.resource_name) {
                audiences.push(name.clone());
            }
            audiences.push(audience.to_owned());
            let what = format!("add `{audience}` to the allowed audiences");
            let before = match self.audiences.value.as_slice() {
                [] => String::new(),
                some => json!(some).to_string(),
            };
            let now = json!(after.audiences.value).to_string();
            change(&self.audiences.place, what, before, now);
        }
        let condition = &self.condition.value;
        if condition::evaluate(&condition.expression, &presented.claims, None) != Ok(true) {
            let subject = presented.text("sub")?;
            if !subject.chars().all(is_plain) {
                return None;
            }
            // In front: what comes after `or` may fail for want of a claim, and is then not looked at.
            let text = format!(
                "jwt_claims.sub == \"{subject}\" or ({})",
                condition.text.trim()
            );
            let expression = parse::parse(&text).ok()?;
            let what = format!("also admit the subject `{subject}`: write `{text}`");
            let before = condition.text.clone();
            change(&self.condition.place, what, before, text.clone());
            after.condition.value = Condition { text, expression };
        }
        let change = Change::together(&changes)?;
        after
            .evaluate(presented)
            .admits()
            .then_some((change, after))
    }

    fn check_issuer(&self, presented: &Presented) -> Check {
        let wanted = &self.issuer.value;
        let found = presented.text("iss");
        let why = match found {
            None => "the token has no `iss` that is a text".to_owned(),
            Some(found) if found == wanted => String::new(),
            Some(found) => format!("`iss` {}", difference(wanted, found)),
        };
        let place = self.issuer.place.clone();
        Check::new(place, Part::Issuer, "equals", why.is_empty(), why)
            .wanting([wanted])
            .finding(found)
    }

    /// Where no audience is set, it is the provider's resource name.
    fn check_audience(&self, presented: &Presented) -> Check {
        let found = presented.texts("aud");
        let wanted: Vec<&String> = match (self.audiences.value.as_slice(), &self.resource_name) {
            ([], Some(name)) => vec![name],
            ([], None) => {
                return Check::unknown(
                    &self.audiences.place,
                    Part::Audience,
                    "any of",
                    "no audience is set, so it is the provider's resource name, which is not in the \
                     document (`resource_name`)",
                )
                .finding(found);
            }
            (some, _) => some.iter().collect(),
        };
        let holds = found.iter().any(|aud| wanted.iter().any(|one| one == aud));
        let why = match (wanted.as_slice(), found.as_slice()) {
            (_, []) => "the token has no `aud` that is a text".to_owned(),
            ([wanted], [found]) => format!("`aud` {}", difference(wanted, found)),
            _ => "none of the audiences is the token's".to_owned(),
        };
        Check::new(&self.audiences.place, Part::Audience, "any of", holds, why)
            .wanting(wanted)
            .finding(found)
    }

    fn check_part(&self, part: &Expression, presented: &Presented) -> Check {
        let text = &self.condition.value.text;
        let (about, operator) = match part {
            Expression::Match(one) => (one.part(), one.operator.as_str()),
            _ => (Part::Expression, "go-bexpr"),
        };
        let place = self.condition.place.clone();
        let claims = &presented.claims;
        let check = match condition::evaluate(part, claims, None) {
            Ok(true) => Check::holds(place, about, operator),
            Ok(false) => Check::new(
                place,
                about,
                operator,
                false,
                condition::why_not(part, claims),
            ),
            // go-bexpr can be told to take a missing value for an empty one; whether HCP does is not
            // documented. Where both come to the same, it does not matter.
            Err(Trouble::Missing(claim)) => {
                match condition::evaluate(part, claims, Some(&Value::String(String::new()))) {
                    Ok(true) => Check::unknown(
                        place,
                        about,
                        operator,
                        format!(
                            "the token has no claim `{claim}`; whether HCP takes that for an empty \
                             one is not documented"
                        ),
                    ),
                    Ok(false) | Err(_) => Check::new(
                        place,
                        about,
                        operator,
                        false,
                        format!("the token has no claim `{claim}`"),
                    ),
                }
            }
            Err(Trouble::Type(what)) => Check::new(place, about, operator, false, what),
            Err(Trouble::Elsewhere(what)) => Check::unknown(place, about, operator, what),
        };
        check
            .wanting([text.get(part.span()).unwrap_or(text)])
            .finding(condition::found(part, claims))
    }

    fn weaknesses(&self) -> Vec<Weakness> {
        let matches = self.condition.value.expression.matches();
        let weakness = |what: String| Weakness {
            place: self.condition.place.clone(),
            what,
        };
        let mut weaknesses: Vec<Weakness> = matches
            .iter()
            .filter_map(|one| openness(one))
            .map(weakness)
            .collect();
        let names_a_run = |one: &&Match| {
            let claim = one.path.get(1).map_or("", String::as_str);
            (claim == "sub" || claim.starts_with("terraform_")) && one.operator.is_positive()
        };
        if !matches.iter().any(names_a_run) {
            weaknesses.push(weakness(
                "no condition is on `jwt_claims.sub` or a `terraform_…` claim, so every run that the \
                 issuer serves is admitted; compare `jwt_claims.sub`"
                    .to_owned(),
            ));
        }
        weaknesses
    }
}

/// How a condition on the subject admits more than its text seems to say.
fn openness(one: &Match) -> Option<String> {
    let is_subject = one.path.get(1).is_some_and(|claim| claim == "sub");
    let value = one.value.as_deref().unwrap_or_default();
    let closed = "write `^organization:O:project:P:workspace:W:run_phase:(plan|apply)$`";
    match one.operator {
        _ if !is_subject => None,
        Operator::In => Some(format!(
            "`{value}` may stand anywhere in the subject; compare the whole of it: {closed}"
        )),
        Operator::Matches if !value.starts_with('^') => Some(format!(
            "`{value}` may match anywhere in the subject, as it does not begin with `^`; {closed}"
        )),
        Operator::Matches if !ends_closed(value) => Some(format!(
            "`{value}` also matches subjects that go on after it, such as a workspace of which this \
             is the beginning of the name; {closed}"
        )),
        Operator::Matches
            if value
                .trim_end_matches('$')
                .trim_end_matches(".*")
                .contains(".*")
                || value.contains(".+") =>
        {
            Some(format!(
                "`.*` and `.+` in `{value}` reach over `:`, so over more than one name; write `[^:]+`"
            ))
        }
        _ => None,
    }
}

/// At the end of the subject, or before its last part.
fn ends_closed(regex: &str) -> bool {
    regex.ends_with('$') || regex.ends_with(":run_phase:.*") || regex.ends_with(":run_phase:")
}

/// What needs no escape in a quoted text.
fn is_plain(c: char) -> bool {
    c.is_ascii() && !c.is_ascii_control() && c != '"' && c != '\\'
}

/// The provider itself, or what the API wraps it in.
fn members(document: &Value) -> (&Value, &'static str) {
    match document.get("provider") {
        Some(provider @ Value::Object(_)) => (provider, "provider."),
        _ => (document, ""),
    }
}

/// A member by one of its names.
fn member<'a>(value: &'a Value, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
    let object: &Map<String, Value> = value.as_object()?;
    names
        .iter()
        .find_map(|name| Some((*name, object.get(*name)?)))
}

fn audiences(oidc: &Value, place: &str) -> Result<At<Vec<String>>, BadPolicy> {
    let found = member(oidc, &["allowed_audiences", "allowedAudiences"]);
    let (name, value) = found.unwrap_or(("allowed_audiences", &Value::Null));
    let place = format!("{place}.{name}");
    let texts = match value {
        Value::Null => Some(Vec::new()),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    let value = texts.ok_or_else(|| BadPolicy::at(&place, "must be a list of texts"))?;
    Ok(At { place, value })
}

fn condition(members: &Value, inside: &str) -> Result<At<Condition>, BadPolicy> {
    let found = member(members, &["conditional_access", "conditionalAccess"]);
    let (name, value) = found.unwrap_or(("conditional_access", &Value::Null));
    let place = format!("{inside}{name}");
    let Some(text) = value.as_str().filter(|text| !text.trim().is_empty()) else {
        return Err(BadPolicy::at(
            place,
            "must be a condition, such as jwt_claims.sub == \"…\"",
        ));
    };
    let expression = parse::parse(text).map_err(|error| BadPolicy::at(&place, error))?;
    Ok(At {
        place,
        value: Condition {
            text: text.to_owned(),
            expression,
        },
    })
}

#[cfg(test)]
mod tests;
