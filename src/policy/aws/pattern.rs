//! Texts in conditions: wildcards, policy variables, and how two texts differ.
//!
//! IAM user guide: "Condition operators" (wildcards, case), "Variables and tags" (`${…}`).

use crate::policy::difference::difference as between;

/// A text of a policy, ready to be compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Piece {
    /// Any run of characters, `:` included.
    Any,
    Literal(char),
    /// Exactly one character.
    One,
}

impl Pattern {
    /// With `wildcards`, `*` and `?` have their meaning, else they are letters like others; with
    /// `variables` (version 2012-10-17), `${*}`, `${?}` and `${$}` stand for the character.
    ///
    /// # Errors
    /// The policy variable whose value is not known here.
    pub(super) fn parse(text: &str, wildcards: bool, variables: bool) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if let Some((name, after)) = variable(rest).filter(|_| variables) {
                let &[character @ ('*' | '?' | '$')] = name.chars().collect::<Vec<_>>().as_slice()
                else {
                    return Err(format!("${{{name}}}"));
                };
                pieces.push(Piece::Literal(character));
                rest = after;
                continue;
            }
            pieces.push(match next {
                '*' if wildcards => Piece::Any,
                '?' if wildcards => Piece::One,
                literal => Piece::Literal(literal),
            });
            rest = &rest[next.len_utf8()..];
        }
        Ok(Self(pieces))
    }

    /// Whether it stands for the whole of a text.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let pieces = &self.0;
        let (mut piece, mut at) = (0, 0);
        // Where to go on when a `*` has taken too little: after the last one, a character later.
        let mut retry: Option<(usize, usize)> = None;
        while at < text.len() {
            match pieces.get(piece) {
                Some(Piece::Any) => {
                    retry = Some((piece + 1, at));
                    piece += 1;
                }
                Some(Piece::One) => (piece, at) = (piece + 1, at + 1),
                Some(Piece::Literal(c)) if *c == text[at] => (piece, at) = (piece + 1, at + 1),
                _ => {
                    let Some((after, taken)) = retry else {
                        return false;
                    };
                    retry = Some((after, taken + 1));
                    (piece, at) = (after, taken + 1);
                }
            }
        }
        pieces[piece..].iter().all(|piece| *piece == Piece::Any)
    }
}

/// The name in the `${…}` that a text begins with, and what follows.
fn variable(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("${")?.split_once('}')
}

/// Whether an ARN is what `pattern` stands for: its six parts are compared each for itself, so that a `*`
/// does not reach over a `:` before the last ("Amazon Resource Name (ARN) condition operators").
///
/// # Errors
/// The policy variable whose value is not known here.
pub(super) fn arn_matches(pattern: &str, arn: &str, variables: bool) -> Result<bool, String> {
    let wanted: Vec<&str> = pattern.splitn(6, ':').collect();
    let found: Vec<&str> = arn.splitn(6, ':').collect();
    if wanted.len() != found.len() {
        // A `*` alone is the only pattern with fewer parts that people write.
        return Ok(pattern == "*");
    }
    for (wanted, found) in wanted.iter().zip(&found) {
        if !Pattern::parse(wanted, true, variables)?.matches(found) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How a text fails to be the one that is wanted, in a sentence without a full stop.
pub(super) fn difference(wanted: &str, found: &str, wildcards: bool) -> String {
    let has_wildcard = wanted.contains(['*', '?']);
    if wildcards && has_wildcard {
        return difference_from_glob(wanted, found);
    }
    if has_wildcard && glob(wanted, found) {
        return "`*` and `?` are plain characters in this operator; write the value out, or use \
                `StringLike`"
            .to_owned();
    }
    format!("the token's value {}", between(wanted, found))
}

fn difference_from_glob(wanted: &str, found: &str) -> String {
    if glob(&wanted.to_lowercase(), &found.to_lowercase()) {
        return "it would fit but for letter case, which counts".to_owned();
    }
    if glob(wanted.trim(), found) {
        return "it would fit but for blanks at the beginning or the end".to_owned();
    }
    let start = wanted.split(['*', '?']).next().unwrap_or_default();
    let same = common_start(start, found);
    if same < start.len() {
        return format!(
            "they part after `{}`: wanted `{}`, the token has `{}`",
            &start[..same],
            &wanted[same..],
            &found[same..]
        );
    }
    format!("what follows `{start}` does not fit: `{}`", &found[same..])
}

/// How many bytes two texts begin with alike, whole characters only.
pub(super) fn common_start(one: &str, other: &str) -> usize {
    let pairs = one.chars().zip(other.chars());
    pairs
        .take_while(|(one, other)| one == other)
        .map(|(c, _)| c.len_utf8())
        .sum()
}

fn glob(pattern: &str, text: &str) -> bool {
    Pattern::parse(pattern, true, false).is_ok_and(|pattern| pattern.matches(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the plain definition by recursion.
        #[test]
        fn a_pattern_matches_what_its_definition_says(
            pattern in "[a:*?]{0,8}",
            text in "[ab:]{0,8}",
        ) {
            fn defined(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|n| defined(rest, &text[n..])),
                    Some((b'?', rest)) => !text.is_empty() && defined(rest, &text[1..]),
                    Some((c, rest)) => text.first() == Some(c) && defined(rest, &text[1..]),
                }
            }
            prop_assert_eq!(glob(&pattern, &text), defined(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_variable_is_not_guessed() {
        assert_eq!(
            Pattern::parse("a${aws:username}", true, true),
            Err("${aws:username}".to_owned())
        );
        // Before 2012-10-17 there were none.
        let old = Pattern::parse("a${aws:username}", true, false).unwrap();
        assert!(old.matches("a${aws:username}"));
        let escaped = Pattern::parse("a${*}${?}${$}", true, true).unwrap();
        assert!(escaped.matches("a*?$") && !escaped.matches("abc$"));
    }

    #[test]
    fn it_is_said_how_texts_differ() {
        for (wanted, found, wildcards, part) in [
            ("a:prod", "a:Prod", false, "letter case"),
            ("a:prod/", "a:prod", false, "slash"),
            ("a:*", "a:prod", false, "plain characters"),
            ("a:prod ", "a:prod", false, "blanks"),
            ("https://a", "a", false, "https://"),
            ("a:prod", "a:prod-x", false, "goes on with `-x`"),
            ("a:prod-x", "a:prod", false, "goes on with `-x`"),
            ("a:prod", "a:test", false, "up to character 2"),
            ("a:PROD:*", "a:prod:x", true, "letter case"),
            (
                "a:prod:*",
                "a:prod-x:x",
                true,
                "part after `a:prod`: wanted `:*`",
            ),
            ("a:*:plan", "a:x:apply", true, "what follows `a:`"),
            ("ü:*", "ö:x", true, "part after"),
        ] {
            let said = difference(wanted, found, wildcards);
            assert!(said.contains(part), "{wanted} {found}: {said}");
        }
    }
}
