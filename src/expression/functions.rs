//! Which functions an expression may call, by whose it is. A list that is closed: what is not in it is
//! refused when the expression is compiled, not when a token is held against it.

use cel::common::ast::{CallExpr, Expr, IdedExpr};
use cel::common::types::{CelBool, CelString};
use cel::parser::Macro;
use cel::{DeclarationError, Env, ExecutionError};

use super::kind::Kind;
use super::{Dialect, re2};

/// What `matches` becomes in a policy, where its pattern is one of RE2. Nobody can write that name.
pub(super) const RE2_MATCHES: &str = "@matches";

/// Name, target, arguments, result.
pub(super) type Function = (&'static str, Option<Kind>, &'static [Kind], Kind);

/// What every dialect knows: CEL's standard functions, and its extension library of text functions.
const COMMON: &[Function] = &[
    ("charAt", Some(Kind::Text), &[Kind::Int], Kind::Text),
    ("contains", Some(Kind::Text), &[Kind::Text], Kind::Bool),
    ("double", None, &[Kind::Any], Kind::Double),
    ("endsWith", Some(Kind::Text), &[Kind::Text], Kind::Bool),
    ("indexOf", Some(Kind::Text), &[Kind::Text], Kind::Int),
    ("int", None, &[Kind::Any], Kind::Int),
    ("join", Some(Kind::List), &[], Kind::Text),
    ("join", Some(Kind::List), &[Kind::Text], Kind::Text),
    ("lastIndexOf", Some(Kind::Text), &[Kind::Text], Kind::Int),
    ("lowerAscii", Some(Kind::Text), &[], Kind::Text),
    ("matches", Some(Kind::Text), &[Kind::Text], Kind::Bool),
    (
        "replace",
        Some(Kind::Text),
        &[Kind::Text, Kind::Text],
        Kind::Text,
    ),
    ("size", None, &[Kind::Any], Kind::Int),
    ("size", Some(Kind::Any), &[], Kind::Int),
    ("split", Some(Kind::Text), &[Kind::Text], Kind::List),
    ("startsWith", Some(Kind::Text), &[Kind::Text], Kind::Bool),
    ("string", None, &[Kind::Any], Kind::Text),
    ("substring", Some(Kind::Text), &[Kind::Int], Kind::Text),
    (
        "substring",
        Some(Kind::Text),
        &[Kind::Int, Kind::Int],
        Kind::Text,
    ),
    ("trim", Some(Kind::Text), &[], Kind::Text),
    ("upperAscii", Some(Kind::Text), &[], Kind::Text),
];

/// What relying parties know besides. They check an expression when it is saved; one that they would
/// have refused does not get here, so that a function too many does no harm.
const POLICIES: &[Function] = &[
    ("bool", None, &[Kind::Any], Kind::Bool),
    ("bytes", None, &[Kind::Any], Kind::Bytes),
    ("dyn", None, &[Kind::Any], Kind::Any),
    (
        "indexOf",
        Some(Kind::Text),
        &[Kind::Text, Kind::Int],
        Kind::Int,
    ),
    (
        "lastIndexOf",
        Some(Kind::Text),
        &[Kind::Text, Kind::Int],
        Kind::Int,
    ),
    (RE2_MATCHES, None, &[Kind::Text, Kind::Text], Kind::Bool),
    (
        "replace",
        Some(Kind::Text),
        &[Kind::Text, Kind::Text, Kind::Int],
        Kind::Text,
    ),
    (
        "split",
        Some(Kind::Text),
        &[Kind::Text, Kind::Int],
        Kind::List,
    ),
    ("type", None, &[Kind::Any], Kind::Type),
    ("uint", None, &[Kind::Any], Kind::Uint),
];

/// IAM's own (its reference of condition attributes, "Extracting values").
const GCP: &[Function] = &[("extract", Some(Kind::Text), &[Kind::Text], Kind::Text)];

/// Optional values and `format` (Kubernetes' documentation, "Common Expression Language").
const KUBERNETES: &[Function] = &[
    ("format", Some(Kind::Text), &[Kind::List], Kind::Text),
    ("hasValue", Some(Kind::Optional), &[], Kind::Bool),
    ("optional.none", None, &[], Kind::Optional),
    ("optional.of", None, &[Kind::Any], Kind::Optional),
    (
        "optional.ofNonZeroValue",
        None,
        &[Kind::Any],
        Kind::Optional,
    ),
    (
        "or",
        Some(Kind::Optional),
        &[Kind::Optional],
        Kind::Optional,
    ),
    ("orValue", Some(Kind::Optional), &[Kind::Any], Kind::Any),
    ("value", Some(Kind::Optional), &[], Kind::Any),
];

impl Dialect {
    /// All functions that it knows.
    pub(super) fn functions(self) -> impl Iterator<Item = &'static Function> {
        let own: &[&[Function]] = match self {
            Self::Gcp => &[COMMON, POLICIES, GCP],
            Self::Kubernetes => &[COMMON, POLICIES, KUBERNETES],
            Self::Rule => &[COMMON],
        };
        own.iter().copied().flatten()
    }
}

/// Gives an environment IAM's `extract`.
pub(super) fn add_extract(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_member_overload!(env, fn extract: (CelString, CelString) -> Result<CelString>)
}

/// Gives an environment [`RE2_MATCHES`].
pub(super) fn add_re2(env: &mut Env) -> Result<(), DeclarationError> {
    cel::add_overload!(env, fn re2_matches: (CelString, CelString) -> Result<CelBool>,
        name = RE2_MATCHES, id = RE2_MATCHES)
}

fn re2_matches(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    let regex = re2(pattern.inner())
        .map_err(|why| ExecutionError::function_error("matches", format!("its pattern {why}")))?;
    Ok(regex.is_match(text.inner()).into())
}

/// Both ways to write `matches`, made [`RE2_MATCHES`].
pub(super) fn re2_macros() -> [Macro; 2] {
    let call = |args: Vec<IdedExpr>| {
        Expr::Call(CallExpr {
            func_name: RE2_MATCHES.to_owned(),
            target: None,
            args,
        })
    };
    [
        Macro::receiver("matches", 1, move |helper, target, args| {
            let args = target.take().into_iter().chain(args.drain(..)).collect();
            Ok(Some(helper.next_expr(call(args))))
        }),
        Macro::global("matches", 2, move |helper, _, args| {
            Ok(Some(helper.next_expr(call(std::mem::take(args)))))
        }),
    ]
}

fn extract(
    text: &CelString<'_>,
    template: &CelString<'_>,
) -> Result<CelString<'static>, ExecutionError> {
    let (prefix, suffix) = template_of(template.inner())
        .map_err(|rule| ExecutionError::function_error("extract", rule))?;
    Ok(between(text.inner(), prefix, suffix).to_owned().into())
}

/// What stands before and after the `{name}` of a template.
///
/// # Errors
/// What is wrong with it; reads on from the template.
pub(super) fn template_of(template: &str) -> Result<(&str, &str), &'static str> {
    let parts = template.split_once('{').and_then(|(prefix, rest)| {
        let (name, suffix) = rest.split_once('}')?;
        Some((prefix, name, suffix))
    });
    match parts {
        Some((prefix, name, suffix))
            if !name.is_empty()
                && ![prefix, name, suffix]
                    .iter()
                    .any(|p| p.contains(['{', '}'])) =>
        {
            Ok((prefix, suffix))
        }
        _ => Err("must hold one `{name}`, and what stands before and after it as it is"),
    }
}

/// What is between the first `prefix` and the first `suffix` after it; nothing if one of them is not
/// there.
fn between<'a>(text: &'a str, prefix: &str, suffix: &str) -> &'a str {
    let Some((_, rest)) = text.split_once(prefix) else {
        return "";
    };
    if suffix.is_empty() {
        return rest;
    }
    rest.split_once(suffix).map_or("", |(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of IAM's reference of condition attributes, "Extracting values".
    #[test]
    fn a_value_is_extracted_as_iam_does_it() {
        let text = "projects/_/buckets/acme-orders-aaa/objects/data_lake/orders/\
                    order_date=2019-11-03/aef87g87ae0876";
        for (template, expected) in [
            ("/order_date={date}/", "2019-11-03"),
            ("buckets/{name}/", "acme-orders-aaa"),
            ("/orders/{empty}order_date", ""),
            (
                "{start}/objects/data_lake",
                "projects/_/buckets/acme-orders-aaa",
            ),
            ("orders/{end}", "order_date=2019-11-03/aef87g87ae0876"),
            ("{all}", text),
            ("/orders/{none}/order_date=", ""),
            ("/orders/order_date=2019-11-03/{id}/data_lake", ""),
            ("/nowhere/{x}", ""),
        ] {
            let (prefix, suffix) = template_of(template).unwrap();
            assert_eq!(between(text, prefix, suffix), expected, "{template}");
        }
    }

    #[test]
    fn a_template_has_one_value() {
        for template in ["", "a/b", "{}", "a/{b", "a}/{b}", "{a}/{b}", "{{a}}", "a}"] {
            assert!(template_of(template).is_err(), "{template}");
        }
    }
}
