//! What a condition says about claims, as go-bexpr's `evaluate.go` has it.

use serde_json::{Map, Value};

use super::expression::{Expression, Match, Operator};
use crate::expression::re2;
use crate::policy::difference::difference;

/// Why nothing is said. For the library all but the last are errors, and an error admits nobody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// There is no such claim.
    Missing(String),
    /// A claim that the operator cannot be used on, or a value that is not of the claim's type.
    Type(String),
    /// It is understood there, but not here.
    Elsewhere(String),
}

/// Whether the condition holds; `instead` stands for claims that are missing.
pub(super) fn evaluate(
    expression: &Expression,
    claims: &Map<String, Value>,
    instead: Option<&Value>,
) -> Result<bool, Trouble> {
    match expression {
        Expression::And(left, right, _) => {
            Ok(evaluate(left, claims, instead)? && evaluate(right, claims, instead)?)
        }
        Expression::Or(left, right, _) => {
            Ok(evaluate(left, claims, instead)? || evaluate(right, claims, instead)?)
        }
        Expression::Not(inner, _) => Ok(!evaluate(inner, claims, instead)?),
        Expression::Match(one) => {
            let found = find(claims, &one.path).or(instead);
            let found = found.ok_or_else(|| Trouble::Missing(one.path[1..].join(".")))?;
            holds(one, found)
        }
    }
}

fn holds(one: &Match, found: &Value) -> Result<bool, Trouble> {
    let wanted = one.value.as_deref().unwrap_or_default();
    match one.operator {
        Operator::Equal => equals(wanted, found),
        Operator::NotEqual => Ok(!equals(wanted, found)?),
        Operator::In => contains(wanted, found),
        Operator::NotIn => Ok(!contains(wanted, found)?),
        Operator::IsEmpty => is_empty(found),
        Operator::IsNotEmpty => Ok(!is_empty(found)?),
        Operator::Matches => matches(wanted, found),
        Operator::NotMatches => Ok(!matches(wanted, found)?),
    }
}

fn equals(wanted: &str, found: &Value) -> Result<bool, Trouble> {
    match found {
        Value::String(text) => Ok(text == wanted),
        // Go's `strconv.ParseBool`.
        Value::Bool(value) => match wanted {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(*value),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(!*value),
            _ => Err(wrong(format!(
                "`{wanted}` is not true or false, as the claim is"
            ))),
        },
        Value::Number(number) => match wanted.parse::<f64>() {
            Ok(wanted) => Ok(number.as_f64() == Some(wanted)),
            Err(_) => Err(wrong(format!("`{wanted}` is no number, as the claim is"))),
        },
        Value::Array(_) => Err(wrong(
            "the claim is a list, which `==` does not take; write `contains`".to_owned(),
        )),
        Value::Null | Value::Object(_) => Err(wrong(format!(
            "the claim is {found}, which `==` does not take"
        ))),
    }
}

/// A part of a text, an item of a list, a name of an object.
fn contains(wanted: &str, found: &Value) -> Result<bool, Trouble> {
    match found {
        Value::String(text) => Ok(text.contains(wanted)),
        Value::Array(items) => Ok(items
            .iter()
            .any(|item| equals(wanted, item).unwrap_or(false))),
        Value::Object(members) => Ok(members.contains_key(wanted)),
        other => Err(wrong(format!(
            "the claim is {other}, which `in` and `contains` do not take"
        ))),
    }
}

fn is_empty(found: &Value) -> Result<bool, Trouble> {
    match found {
        Value::String(text) => Ok(text.is_empty()),
        Value::Array(items) => Ok(items.is_empty()),
        Value::Object(members) => Ok(members.is_empty()),
        other => Err(wrong(format!(
            "the claim is {other}, which `is empty` does not take"
        ))),
    }
}

fn matches(wanted: &str, found: &Value) -> Result<bool, Trouble> {
    let Value::String(text) = found else {
        return Err(wrong(format!(
            "the claim is {found}, which `matches` does not take"
        )));
    };
    // Where Go refuses the pattern nobody is admitted; that is not known here.
    let regex = re2(wanted).map_err(|why| Trouble::Elsewhere(format!("`{wanted}` {why}")))?;
    Ok(regex.is_match(text))
}

/// Why a condition does not hold: about the first comparison that says so.
pub(super) fn why_not(expression: &Expression, claims: &Map<String, Value>) -> String {
    let one = match expression {
        Expression::Match(one) => one,
        Expression::And(left, right, _) => {
            let is_left = evaluate(left, claims, None) != Ok(true);
            return why_not(if is_left { left } else { right }, claims);
        }
        Expression::Or(..) => return "none of the sides of `or` holds".to_owned(),
        Expression::Not(..) => return "what stands after `not` holds".to_owned(),
    };
    let claim = one.path[1..].join(".");
    let wanted = one.value.as_deref().unwrap_or_default();
    let found = find(claims, &one.path);
    match (one.operator, found) {
        (Operator::Equal, Some(Value::String(found))) => {
            format!("`{claim}` {}", difference(wanted, found))
        }
        (Operator::Matches, found) => {
            let found = found.unwrap_or(&Value::Null);
            let but_case = matches(&format!("(?i){wanted}"), found) == Ok(true);
            let glob = wanted.contains('*') && !wanted.contains(".*") && !wanted.contains("]*");
            match (but_case, glob) {
                (true, _) => format!("`{claim}` would match but for letter case, which counts"),
                (false, true) => format!(
                    "`{claim}` does not match: this is a regular expression, in which `*` repeats \
                     what stands before it; any name is `[^:]+`"
                ),
                (false, false) => format!("`{claim}` does not match the regular expression"),
            }
        }
        (Operator::In, _) => format!("`{claim}` does not hold `{wanted}`"),
        (Operator::IsEmpty, _) => format!("`{claim}` is not empty"),
        (Operator::IsNotEmpty, _) => format!("`{claim}` is empty"),
        (Operator::NotIn, _) => format!("`{claim}` holds `{wanted}`"),
        (Operator::NotMatches, _) => format!("`{claim}` matches the regular expression"),
        (Operator::NotEqual, _) => format!("`{claim}` is `{wanted}`"),
        (Operator::Equal, _) => format!("`{claim}` is not `{wanted}`"),
    }
}

/// What the token has of the claims that are compared.
pub(super) fn found(expression: &Expression, claims: &Map<String, Value>) -> Vec<String> {
    let (left, right) = match expression {
        Expression::Match(one) => {
            let value = find(claims, &one.path);
            let text = value.map(|value| {
                value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned)
            });
            return text.into_iter().collect();
        }
        Expression::Not(inner, _) => return found(inner, claims),
        Expression::And(left, right, _) | Expression::Or(left, right, _) => (left, right),
    };
    let mut values = found(left, claims);
    for value in found(right, claims) {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

/// `path` begins with `jwt_claims`.
fn find<'a>(claims: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let [_, first, rest @ ..] = path else {
        return None;
    };
    let start = claims.get(first)?;
    rest.iter().try_fold(start, |value, part| match value {
        Value::Object(members) => members.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn wrong(what: String) -> Trouble {
    Trouble::Type(what)
}
