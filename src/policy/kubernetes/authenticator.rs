//! What an entry makes of a token: the conditions in the order in which the API server looks at them
//! (apiserver's `AuthenticateToken`, Kubernetes 1.34).

use serde_json::{Map, Value, json};

use super::super::{Check, Part, Presented};
use super::configuration::{Authenticator, ClaimRule, Condition, Mapping};
use super::fields::difference;
use super::formula::Formula;
use super::{Site, Step, User, scan};
use crate::expression::Variables;

/// What an entry makes of a token, as far as it can be said.
pub(super) struct Login {
    pub(super) steps: Vec<Step>,
    /// Nothing if it has no name or one that is not known here.
    pub(super) user: Option<User>,
}

/// What stands for a text.
enum Made<T> {
    Is(T),
    /// It is refused.
    Fails(String),
    /// It cannot be said here.
    Unknown(String),
}

impl Authenticator {
    /// What this entry, which stands at `place`, makes of a token.
    pub(super) fn login(&self, place: &str, presented: &Presented) -> Login {
        let claims = &presented.claims;
        let seen = Variables::new("claims", &Value::Object(claims.clone()));
        let mut steps = vec![
            Step::new(Site::Issuer, self.issuer_check(place, presented)),
            Step::new(Site::Audience, self.audience_check(place, presented)),
        ];
        let mappings = format!("{place}.claimMappings");
        let name = self.username.name(claims, &seen);
        let is_named = matches!(&name, Made::Is(name) if !name.is_empty());
        let name = match name {
            Made::Is(name) if name.is_empty() => Made::Fails("the name would be empty".to_owned()),
            other => other,
        };
        let username = format!("{mappings}.username{}", self.username.member());
        let (check, name) = named(username, &self.username, claims, name);
        steps.push(Step::new(Site::Username, check));
        let groups = self.groups.as_ref().map(|groups| {
            let made = groups.names(claims, &seen);
            let place = format!("{mappings}.groups{}", groups.member());
            let (check, names) = all_named(place, groups, claims, made);
            steps.push(Step::new(Site::Groups, check));
            names
        });
        let uid = self.uid.as_ref().map(|uid| {
            let made = uid.name(claims, &seen);
            let (check, uid) = named(format!("{mappings}.uid{}", uid.member()), uid, claims, made);
            steps.push(Step::new(Site::Uid, check));
            uid.unwrap_or_default()
        });
        let mut extra = Map::new();
        for (index, mapping) in self.extra.iter().enumerate() {
            let place = format!("{mappings}.extra[{index}].valueExpression");
            let formula = Mapping::Expression(mapping.expression.clone());
            let made = evaluated_texts(&mapping.expression, &seen);
            let (check, values) = all_named(place, &formula, claims, made);
            steps.push(Step::new(Site::Extra(index), check));
            let values = values.filter(|values| !values.is_empty());
            extra.extend(values.map(|values| (mapping.key.clone(), json!(values))));
        }
        steps.extend(self.claim_steps(place, claims, &seen));
        let user = match (name, groups) {
            (Some(name), None) => Some(User::new(name, Vec::new())),
            (Some(name), Some(Some(groups))) => Some(User::new(name, groups)),
            _ => None,
        };
        let told = user.as_ref().map(|user| {
            let told = json!({
                "username": user.name, "groups": user.groups, "uid": uid.unwrap_or_default(),
                "extra": extra,
            });
            Variables::new("user", &told)
        });
        steps.extend(self.user_steps(place, user.as_ref(), told.as_ref()));
        Login {
            steps,
            user: user.filter(|_| is_named),
        }
    }

    fn issuer_check(&self, place: &str, presented: &Presented) -> Check {
        let issuer = presented.text("iss");
        let why = match issuer {
            None => "the token has no `iss`, so that the API server passes it over".to_owned(),
            Some(issuer) => format!(
                "{}; the API server passes the token over, and its log says no more than `invalid bearer \
                 token`",
                difference(&self.issuer, issuer)
            ),
        };
        let holds = issuer == Some(self.issuer.as_str());
        Check::new(
            format!("{place}.issuer.url"),
            Part::Issuer,
            "equals",
            holds,
            why,
        )
        .wanting([&self.issuer])
        .finding(issuer)
    }

    fn audience_check(&self, place: &str, presented: &Presented) -> Check {
        let audiences = presented.texts("aud");
        let holds = audiences
            .iter()
            .any(|audience| self.audiences.iter().any(|own| own == audience));
        let why = match (audiences.as_slice(), self.audiences.as_slice()) {
            ([], _) => "the token has no `aud`".to_owned(),
            ([found], [wanted]) => format!(
                "{}; the log says `oidc: expected audience in …`",
                difference(wanted, found)
            ),
            _ => "none of the token's audiences is one of these; the log says `oidc: expected audience \
                  in …`"
                .to_owned(),
        };
        let place = format!("{place}.issuer.audiences");
        Check::new(place, Part::Audience, "MatchAny", holds, why)
            .wanting(&self.audiences)
            .finding(audiences)
    }

    /// The required values first, whatever the order in which they are written.
    fn claim_steps(&self, place: &str, claims: &Map<String, Value>, seen: &Variables) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            if let ClaimRule::Equals { claim, value } = rule {
                let place = format!("{place}.claimValidationRules[{index}].requiredValue");
                let check = required(place, claim, value, claims);
                steps.push(Step::new(Site::Rule(index), check));
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if let ClaimRule::Holds(condition) = rule {
                let place = format!("{place}.claimValidationRules[{index}].expression");
                let found = claims_in(condition.expression.text(), claims);
                let check = condition.check(place, Some(seen)).finding(found);
                steps.push(Step::new(Site::Rule(index), check));
            }
        }
        steps
    }

    fn user_steps(&self, place: &str, user: Option<&User>, told: Option<&Variables>) -> Vec<Step> {
        let rules = self.user_rules.iter().enumerate();
        rules
            .map(|(index, condition)| {
                let place = format!("{place}.userValidationRules[{index}].expression");
                let found = user.map(|user| format!("user.username = {:?}", user.name));
                let check = condition.check(place, told).finding(found);
                Step::new(Site::UserRule(index), check)
            })
            .collect()
    }
}

/// A claim that must be a text, and this one.
pub(in crate::policy) fn required(
    place: String,
    claim: &str,
    value: &str,
    claims: &Map<String, Value>,
) -> Check {
    let part = match claim {
        "sub" => Part::Subject,
        claim => Part::Claim(claim.to_owned()),
    };
    let found = text_of(claims, claim);
    let (holds, why) = match &found {
        Ok(found) => (found == value, difference(value, found)),
        Err(why) => (false, why.clone()),
    };
    Check::new(place, part, "equals", holds, why)
        .wanting([value])
        .finding(claims.get(claim).map(shown))
}

/// A claim as Go reads it into a string: null leaves it empty.
pub(in crate::policy) fn text_of(
    claims: &Map<String, Value>,
    claim: &str,
) -> Result<String, String> {
    match claims.get(claim) {
        None => Err(format!("the token has no claim `{claim}`")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Null) => Ok(String::new()),
        Some(other) => Err(format!(
            "the claim `{claim}` is {}, and only a text is taken",
            kind(other)
        )),
    }
}

/// A claim as a list of texts; a text alone is one of them. A claim that is missing gives none.
pub(in crate::policy) fn texts_of(
    claims: &Map<String, Value>,
    claim: &str,
) -> Result<Vec<String>, String> {
    let not_texts = |other: &Value| {
        format!(
            "the claim `{claim}` is {}, and a text or a list of texts is taken",
            kind(other)
        )
    };
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(all @ Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Null => Ok(String::new()),
                _ => Err(not_texts(all)),
            })
            .collect(),
        Some(other) => Err(not_texts(other)),
    }
}

impl Mapping {
    fn member(&self) -> &'static str {
        match self {
            Self::Claim { .. } => ".claim",
            Self::Expression(_) => ".expression",
        }
    }

    fn name(&self, claims: &Map<String, Value>, seen: &Variables) -> Made<String> {
        match self {
            Self::Expression(formula) => match formula.compiled() {
                Err(why) => Made::Unknown(why),
                Ok(expression) => expression
                    .text(seen)
                    .map_or_else(|error| failed(&error), Made::Is),
            },
            Self::Claim { claim, prefix } => {
                if let Some(why) = unverified(claim, claims) {
                    return Made::Fails(why);
                }
                match text_of(claims, claim) {
                    Ok(text) => Made::Is(format!("{prefix}{text}")),
                    Err(why) => Made::Fails(why),
                }
            }
        }
    }

    fn names(&self, claims: &Map<String, Value>, seen: &Variables) -> Made<Vec<String>> {
        match self {
            Self::Expression(formula) => evaluated_texts(formula, seen),
            Self::Claim { claim, prefix } => match texts_of(claims, claim) {
                Err(why) => Made::Fails(why),
                Ok(texts) => Made::Is(texts.iter().map(|text| format!("{prefix}{text}")).collect()),
            },
        }
    }

    /// What it asks for, as it is written.
    fn wanted(&self) -> String {
        match self {
            Self::Claim { claim, prefix } if prefix.is_empty() => claim.clone(),
            Self::Claim { claim, prefix } => format!("{prefix}{{{claim}}}"),
            Self::Expression(formula) => formula.text().to_owned(),
        }
    }
}

/// Why an e-mail address is not taken: OpenID Connect's claim beside it says that nobody has verified it.
pub(in crate::policy) fn unverified(claim: &str, claims: &Map<String, Value>) -> Option<String> {
    match claims.get("email_verified") {
        Some(verified) if claim == "email" && verified != true => {
            Some("`email_verified` is not true; the log says `oidc: email not verified`".to_owned())
        }
        _ => None,
    }
}

impl Condition {
    /// Whether it holds; without variables it cannot be said.
    fn check(&self, place: String, seen: Option<&Variables>) -> Check {
        let result = match (self.expression.compiled(), seen) {
            (Err(why), _) => Made::Unknown(why),
            (Ok(_), None) => Made::Unknown("what the user is called is not known".to_owned()),
            (Ok(expression), Some(seen)) => expression
                .holds(seen)
                .map_or_else(|error| failed(&error), Made::Is),
        };
        let check = match result {
            Made::Is(holds) => {
                let why = match self.message.as_str() {
                    "" => "it is false".to_owned(),
                    message => format!("it is false; the log says `failed: {message}`"),
                };
                Check::new(place, Part::Expression, "CEL", holds, why)
            }
            Made::Fails(why) => Check::new(place, Part::Expression, "CEL", false, why),
            Made::Unknown(why) => Check::unknown(place, Part::Expression, "CEL", why),
        };
        check.wanting([self.expression.text()])
    }
}

fn failed<T>(error: &str) -> Made<T> {
    Made::Fails(format!("it cannot be evaluated for this token: {error}"))
}

/// Empty texts are left out, as the API server leaves them out of what expressions give.
fn evaluated_texts(formula: &Formula, seen: &Variables) -> Made<Vec<String>> {
    match formula.compiled() {
        Err(why) => Made::Unknown(why),
        Ok(expression) => expression.texts(seen).map_or_else(
            |error| failed(&error),
            |texts| Made::Is(texts.into_iter().filter(|text| !text.is_empty()).collect()),
        ),
    }
}

fn named(
    place: String,
    mapping: &Mapping,
    claims: &Map<String, Value>,
    made: Made<String>,
) -> (Check, Option<String>) {
    let made = match made {
        Made::Is(name) => Made::Is(vec![name]),
        Made::Fails(why) => Made::Fails(why),
        Made::Unknown(why) => Made::Unknown(why),
    };
    let (check, names) = all_named(place, mapping, claims, made);
    (check, names.and_then(|names| names.into_iter().next()))
}

/// Of a name that was made, `found` is the name; of one that was not, the claims that it was to be made of.
fn all_named(
    place: String,
    mapping: &Mapping,
    claims: &Map<String, Value>,
    made: Made<Vec<String>>,
) -> (Check, Option<Vec<String>>) {
    let operator = match mapping {
        Mapping::Claim { .. } => "claim",
        Mapping::Expression(_) => "CEL",
    };
    let found = || match mapping {
        Mapping::Claim { claim, .. } => claims.get(claim).map(shown).into_iter().collect(),
        Mapping::Expression(formula) => claims_in(formula.text(), claims),
    };
    let (check, names) = match made {
        Made::Is(names) => {
            let check = Check::holds(place, Part::Identity, operator).finding(&names);
            (check, Some(names))
        }
        Made::Fails(why) => {
            let check = Check::new(place, Part::Identity, operator, false, why);
            (check.finding(found()), None)
        }
        Made::Unknown(why) => {
            let check = Check::unknown(place, Part::Identity, operator, why);
            (check.finding(found()), None)
        }
    };
    (check.wanting([mapping.wanted()]), names)
}

/// The claims that an expression names, with their values.
fn claims_in(expression: &str, claims: &Map<String, Value>) -> Vec<String> {
    let names = scan::claims_named(expression).into_iter();
    names
        .filter_map(|name| {
            claims
                .get(&name)
                .map(|value| format!("claims.{name} = {value}"))
        })
        .collect()
}

/// A text without its quotes, anything else as JSON.
pub(in crate::policy) fn shown(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
