//! Patterns with `*`, as grants are written in.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Text in which `*` stands for any characters, also none. It matches from end to end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(min_length = 1, pattern = "^[!-~]+$")]
pub struct Pattern(pub String);

impl Default for Pattern {
    fn default() -> Self {
        Self("*".to_owned())
    }
}

impl Pattern {
    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            // The first place is the right one: it leaves the most for the parts that follow.
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_from_end_to_end() {
        let cases = [
            ("*", "", true),
            ("*", "anything", true),
            ("net-*", "net-1", true),
            ("net-*", "net-", true),
            ("net-*", "xnet-1", false),
            ("*-prod", "net-prod", true),
            ("*-prod", "net-prod-2", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("a*ab", "ab", false),
            ("net", "net", true),
            ("net", "net-1", false),
            ("", "", true),
            ("", "x", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(
                Pattern(pattern.to_owned()).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
    }
}
