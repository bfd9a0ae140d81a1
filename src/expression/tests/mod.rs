//! What each dialect takes, gives and refuses.

mod gcp;
mod kubernetes;
mod rule;

use serde_json::Value as Json;

use super::*;

/// Whether a condition holds; `claims` are seen under `name`.
fn holds(
    dialect: Dialect,
    source: &str,
    name: &'static str,
    claims: &Json,
) -> Result<bool, String> {
    Expression::compile("condition", source, dialect, Wanted::Bool)
        .unwrap_or_else(|error| panic!("{source}: {}", error.rule))
        .holds(&Variables::new(name, claims))
}

/// The texts that an expression gives.
fn texts(
    dialect: Dialect,
    source: &str,
    name: &'static str,
    claims: &Json,
) -> Result<Vec<String>, String> {
    Expression::compile("mapping", source, dialect, Wanted::Texts)
        .unwrap_or_else(|error| panic!("{source}: {}", error.rule))
        .texts(&Variables::new(name, claims))
}

/// Why an expression is not taken.
fn refusal(dialect: Dialect, source: &str, wanted: Wanted) -> String {
    match Expression::compile("condition", source, dialect, wanted) {
        Ok(_) => panic!("{source} is taken"),
        Err(error) => error.rule,
    }
}
