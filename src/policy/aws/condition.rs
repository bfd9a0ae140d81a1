//! One condition of a statement: an operator, a key, and the values that are asked for.
//!
//! IAM user guide: "Condition operators", "Single-valued vs. multivalued context keys".

use serde_json::Value;

use super::super::{BadPolicy, Outcome};
use super::context::Found;
use super::pattern::{Pattern, arn_matches, difference};

/// One operator with one key.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) operator: Operator,
    /// As it is written; AWS reads it without regard to case.
    pub(super) key: String,
    /// One of these.
    pub(super) wanted: Vec<String>,
}

/// How a key is compared.
#[derive(Clone, Debug)]
pub(super) struct Operator {
    /// As it is written, e.g. `ForAnyValue:StringLikeIfExists`.
    pub(super) name: String,
    pub(super) over: Over,
    pub(super) test: Test,
    /// `StringNotEquals` and its like: none of the values may match.
    pub(super) is_negated: bool,
    if_exists: bool,
}

/// Which of a key's values are looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Over {
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
    /// Neither: the key has one value.
    One,
}

/// What is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Test {
    Arn,
    Bool,
    Null,
    /// Numbers, dates, addresses, bytes: no key that is known here has such values.
    Other,
    Text(Text),
}

/// How texts are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Text {
    Equals,
    EqualsIgnoreCase,
    Like,
}

/// All operators; a negated one has a name of its own.
const OPERATORS: [(&str, Test, bool); 27] = [
    ("ArnEquals", Test::Arn, false),
    ("ArnLike", Test::Arn, false),
    ("ArnNotEquals", Test::Arn, true),
    ("ArnNotLike", Test::Arn, true),
    ("BinaryEquals", Test::Other, false),
    ("Bool", Test::Bool, false),
    ("DateEquals", Test::Other, false),
    ("DateGreaterThan", Test::Other, false),
    ("DateGreaterThanEquals", Test::Other, false),
    ("DateLessThan", Test::Other, false),
    ("DateLessThanEquals", Test::Other, false),
    ("DateNotEquals", Test::Other, true),
    ("IpAddress", Test::Other, false),
    ("NotIpAddress", Test::Other, true),
    ("Null", Test::Null, false),
    ("NumericEquals", Test::Other, false),
    ("NumericGreaterThan", Test::Other, false),
    ("NumericGreaterThanEquals", Test::Other, false),
    ("NumericLessThan", Test::Other, false),
    ("NumericLessThanEquals", Test::Other, false),
    ("NumericNotEquals", Test::Other, true),
    ("StringEquals", Test::Text(Text::Equals), false),
    (
        "StringEqualsIgnoreCase",
        Test::Text(Text::EqualsIgnoreCase),
        false,
    ),
    ("StringLike", Test::Text(Text::Like), false),
    ("StringNotEquals", Test::Text(Text::Equals), true),
    (
        "StringNotEqualsIgnoreCase",
        Test::Text(Text::EqualsIgnoreCase),
        true,
    ),
    ("StringNotLike", Test::Text(Text::Like), true),
];

impl Condition {
    /// All conditions of a `Condition` block, which stands at `place`.
    pub(super) fn read_all(place: &str, block: &Value) -> Result<Vec<Self>, BadPolicy> {
        let Some(block) = block.as_object() else {
            return Err(BadPolicy::at(
                place,
                "must be an object of operators, such as `{\"StringEquals\": {…}}`",
            ));
        };
        let mut conditions = Vec::new();
        for (name, keys) in block {
            let place = format!("{place}.{name}");
            let operator = Operator::read(&place, name)?;
            let Some(keys) = keys.as_object() else {
                return Err(BadPolicy::at(
                    place,
                    "must be an object of keys and the values that they may have",
                ));
            };
            for (key, values) in keys {
                let place = format!("{place}[\"{key}\"]");
                let is_same = |other: &&String| *other != key && other.eq_ignore_ascii_case(key);
                if let Some(other) = keys.keys().find(is_same) {
                    let what = format!(
                        "is there as `{other}` as well, and AWS reads keys without regard to case; \
                         write one key with all values"
                    );
                    return Err(BadPolicy::at(place, what));
                }
                let wanted = match values {
                    Value::Array(items) => items.iter().map(|item| scalar(&place, item)).collect(),
                    value => scalar(&place, value).map(|value| vec![value]),
                }?;
                operator.check(&place, &wanted)?;
                conditions.push(Self {
                    operator: operator.clone(),
                    key: key.clone(),
                    wanted,
                });
            }
        }
        Ok(conditions)
    }

    /// Whether it holds of what the request has, and why not. `variables`: the policy's version knows
    /// policy variables.
    pub(super) fn hold(&self, found: &Found, variables: bool) -> (Outcome, String) {
        let values = match found {
            Found::Unknown(why) => return (Outcome::Unknown, why.clone()),
            Found::Missing(why) => return self.hold_of_nothing(why),
            Found::Values(values) if values.is_empty() => {
                return self.hold_of_nothing("the token's list is empty");
            }
            Found::Values(values) => values,
        };
        if self.operator.test == Test::Null {
            let holds = self.asks_for("false");
            return said(holds, || "the key is there, and must not be".to_owned());
        }
        if self.operator.over == Over::One && values.len() > 1 {
            let why = "the key has several values, for which AWS asks for `ForAnyValue:` or \
                       `ForAllValues:` before the operator; what it does without is not documented";
            return (Outcome::Unknown, why.to_owned());
        }
        let single: Vec<_> = values
            .iter()
            .map(|value| self.hold_of(value, variables))
            .collect();
        let has = |outcome| single.iter().find(|(found, _)| *found == outcome).cloned();
        let order = match self.operator.over {
            // One that fails is enough to fail, one that holds is enough to hold.
            Over::All | Over::One => [Outcome::Fails, Outcome::Unknown, Outcome::Holds],
            Over::Any => [Outcome::Holds, Outcome::Unknown, Outcome::Fails],
        };
        let first = order.into_iter().find_map(has);
        first.unwrap_or((Outcome::Fails, String::new()))
    }

    /// What a missing key means: positive operators fail, negated ones hold.
    fn hold_of_nothing(&self, why: &str) -> (Outcome, String) {
        let operator = &self.operator;
        if operator.test == Test::Null {
            return said(self.asks_for("true"), || {
                format!("the key must be there: {why}")
            });
        }
        let holds = operator.if_exists
            || match operator.over {
                Over::All => true,
                Over::Any => false,
                Over::One => operator.is_negated,
            };
        said(holds, || why.to_owned())
    }

    /// One value of the request against all that are asked for.
    fn hold_of(&self, value: &str, variables: bool) -> (Outcome, String) {
        let mut unknown = None;
        for wanted in &self.wanted {
            match self.matches(wanted, value, variables) {
                Ok(true) if self.operator.is_negated => {
                    let why = format!("`{value}` is what must not be: `{wanted}`");
                    return (Outcome::Fails, why);
                }
                Ok(true) => return (Outcome::Holds, String::new()),
                Ok(false) => {}
                Err(why) => unknown = Some(why),
            }
        }
        match unknown {
            Some(why) => (Outcome::Unknown, why),
            None if self.operator.is_negated => (Outcome::Holds, String::new()),
            None => (Outcome::Fails, self.why_not(value)),
        }
    }

    /// Nothing is known of the answer: why.
    fn matches(&self, wanted: &str, value: &str, variables: bool) -> Result<bool, String> {
        let unresolved = |variable: String| {
            format!("the value of the policy variable `{variable}` is not known here")
        };
        match self.operator.test {
            Test::Text(text) => {
                let (wanted, value) = match text {
                    Text::EqualsIgnoreCase => (wanted.to_lowercase(), value.to_lowercase()),
                    Text::Equals | Text::Like => (wanted.to_owned(), value.to_owned()),
                };
                Pattern::parse(&wanted, text == Text::Like, variables)
                    .map(|pattern| pattern.matches(&value))
                    .map_err(unresolved)
            }
            Test::Arn if value.starts_with("arn:") => {
                arn_matches(wanted, value, variables).map_err(unresolved)
            }
            Test::Arn => Err(format!(
                "`{value}` is no ARN; what AWS makes of it here is not documented"
            )),
            Test::Bool => Ok(wanted.eq_ignore_ascii_case(value)),
            Test::Null | Test::Other => Err(format!(
                "the key is a text; what AWS makes of it in `{}` is not documented",
                self.operator.name
            )),
        }
    }

    /// How the value fails to be the one that is nearest to it.
    fn why_not(&self, value: &str) -> String {
        let nearest = self.nearest(value).map_or("", String::as_str);
        match self.operator.test {
            Test::Text(text) => difference(nearest, value, text == Text::Like),
            _ => "none of these fits".to_owned(),
        }
    }

    /// What is asked for that begins most like a value.
    pub(super) fn nearest(&self, value: &str) -> Option<&String> {
        let alike = |wanted: &&String| {
            let folded = (wanted.to_lowercase(), value.to_lowercase());
            let exactly = super::pattern::common_start(wanted, value);
            (super::pattern::common_start(&folded.0, &folded.1), exactly)
        };
        self.wanted.iter().max_by_key(alike)
    }

    fn asks_for(&self, value: &str) -> bool {
        self.wanted
            .iter()
            .any(|wanted| wanted.eq_ignore_ascii_case(value))
    }
}

impl Operator {
    fn read(place: &str, name: &str) -> Result<Self, BadPolicy> {
        let (over, plain) = match name.split_once(':') {
            Some(("ForAllValues", rest)) => (Over::All, rest),
            Some(("ForAnyValue", rest)) => (Over::Any, rest),
            _ => (Over::One, name),
        };
        let (plain, if_exists) = match plain.strip_suffix("IfExists") {
            Some(plain) => (plain, true),
            None => (plain, false),
        };
        let known = OPERATORS.iter().find(|(known, ..)| *known == plain);
        let Some((_, test, is_negated)) = known else {
            let meant = OPERATORS
                .iter()
                .find(|(known, ..)| known.eq_ignore_ascii_case(plain));
            return Err(BadPolicy::at(
                place,
                match meant {
                    Some((meant, ..)) => format!("is no operator of AWS; write `{meant}`"),
                    None => "is no operator of AWS; for claims there are `StringEquals`, \
                             `StringLike` and their negations"
                        .to_owned(),
                },
            ));
        };
        if *test == Test::Null && (if_exists || over != Over::One) {
            return Err(BadPolicy::at(
                place,
                "cannot be: `Null` goes with neither `IfExists` nor a set operator",
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            over,
            test: *test,
            is_negated: *is_negated,
            if_exists,
        })
    }

    /// Values that the operator cannot be asked for.
    fn check(&self, place: &str, wanted: &[String]) -> Result<(), BadPolicy> {
        if wanted.is_empty() {
            return Err(BadPolicy::at(place, "must have a value at least"));
        }
        let is_bool = |value: &String| {
            value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
        };
        if matches!(self.test, Test::Bool | Test::Null) && !wanted.iter().all(is_bool) {
            return Err(BadPolicy::at(place, "must be `true` or `false`"));
        }
        Ok(())
    }

    /// Whether it asks for a text: what can be given another value to admit.
    pub(super) fn asks_for_text(&self) -> bool {
        matches!(self.test, Test::Text(_)) && !self.is_negated
    }
}

fn said(holds: bool, why: impl FnOnce() -> String) -> (Outcome, String) {
    if holds {
        (Outcome::Holds, String::new())
    } else {
        (Outcome::Fails, why())
    }
}

/// A text, a number or true and false, which need no quotes ("Grammar of the IAM JSON policy language").
fn scalar(place: &str, value: &Value) -> Result<String, BadPolicy> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(BadPolicy::at(place, "must be a text or a list of texts")),
    }
}
