//! The condition of a provider, and the texts that stand in it.

use super::mapping::Identity;
use super::provider::Provider;
use crate::policy::{Check, Part, Presented};

impl Provider {
    /// Whether the condition holds; nothing if there is none.
    pub(super) fn condition_check(
        &self,
        presented: &Presented,
        identity: &Identity,
    ) -> Option<Check> {
        let formula = self.condition.as_ref()?;
        let source = formula.source.as_str();
        let place = self.place("attributeCondition");
        let (part, operator) = (Part::Expression, "CEL");
        let seen = claims_in(source, presented);
        let check = match formula.holds(&identity.variables(presented)) {
            None => {
                let why = formula.strangeness().unwrap_or_default();
                Check::unknown(place, part, operator, why)
            }
            Some(Ok(true)) => Check::holds(place, part, operator),
            Some(_) if identity.unknown.iter().any(|name| source.contains(name)) => {
                let why = "it looks at an attribute of which it is not known what it is";
                Check::unknown(place, part, operator, why)
            }
            Some(Ok(false)) => Check::new(place, part, operator, false, reason(source, presented)),
            Some(Err(why)) => {
                let why = format!("it cannot be said, which counts as no: {why}");
                Check::new(place, part, operator, false, why)
            }
        };
        let seen = seen
            .into_iter()
            .map(|(name, value)| format!("{name} = {value}"));
        Some(check.wanting([source]).finding(seen))
    }
}

/// Why it gives false, as far as its texts tell.
fn reason(source: &str, presented: &Presented) -> String {
    let texts: Vec<String> = literals(source).into_iter().map(|l| l.text).collect();
    for (name, value) in claims_in(source, presented) {
        for text in &texts {
            let is_start = value.starts_with(text.as_str());
            let start = value.get(..text.len());
            if !is_start && start.is_some_and(|start| start.eq_ignore_ascii_case(text)) {
                return format!(
                    "it gives false: `{name}` differs from `{text}` in upper and lower case, which \
                     counts"
                );
            }
            if !text.is_empty()
                && text.trim_end_matches('/') == value.trim_end_matches('/')
                && *text != value
            {
                return format!(
                    "it gives false: `{name}` differs from `{text}` in a slash at the end"
                );
            }
            if text.ends_with('*') && value.starts_with(text.trim_end_matches('*')) {
                return format!(
                    "it gives false: the `*` in `{text}` stands for itself; use `startsWith` or \
                     `matches`"
                );
            }
        }
    }
    "it gives false".to_owned()
}

/// The claims that a condition names, and what the token has there.
fn claims_in(source: &str, presented: &Presented) -> Vec<(String, String)> {
    let claims = presented.claims.iter().filter(|(name, _)| {
        let dotted = format!("assertion.{name}");
        let is_whole = |at: usize| {
            let next = source[at + dotted.len()..].chars().next();
            !next.is_some_and(|c| c.is_alphanumeric() || c == '_')
        };
        source.match_indices(&dotted).any(|(at, _)| is_whole(at))
            || source.contains(&format!("assertion['{name}']"))
            || source.contains(&format!("assertion[\"{name}\"]"))
    });
    let text = |value: &serde_json::Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    claims
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// A text in quotes, and what is called with it.
pub(super) struct Literal {
    /// The text.
    pub(super) text: String,
    /// What stands before it, up to the text before it: `assertion.sub.startsWith(`.
    pub(super) before: String,
}

/// All texts in quotes of an expression.
pub(super) fn literals(source: &str) -> Vec<Literal> {
    let mut found = Vec::new();
    let mut before = String::new();
    let mut rest = source.chars();
    while let Some(c) = rest.next() {
        if c != '\'' && c != '"' {
            before.push(c);
            continue;
        }
        let mut text = String::new();
        while let Some(inside) = rest.next() {
            match inside {
                '\\' => text.extend(rest.next()),
                _ if inside == c => break,
                _ => text.push(inside),
            }
        }
        found.push(Literal {
            text,
            before: std::mem::take(&mut before),
        });
    }
    found
}
