//! The language of conditions: `hashicorp/go-bexpr`, as its `grammar.peg` has it.
//!
//! `or` binds least, then `and`, then `not`; a comparison is a claim, an operator and a value, or for
//! `in` a value, the operator and a claim.

use super::expression::{Expression, Match, Operator};

/// Parses the whole of a text.
///
/// # Errors
/// What is wrong, with line and column, and what to write.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        comparisons: 0,
    };
    let expression = parser.or().and_then(|expression| {
        parser.blanks();
        if parser.rest().is_empty() {
            return Ok(expression);
        }
        Err(format!(
            "expected `and`, `or` or the end, with a blank before it; found `{}`",
            parser.word()
        ))
    });
    expression.map_err(|what| {
        let before = text.get(..parser.at).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        format!("line {line}, column {column}: {what}")
    })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    comparisons: usize,
}

/// One side of a comparison: a value always, a claim if it is written as one.
struct Operand {
    path: Option<Vec<String>>,
    value: String,
    at: usize,
}

/// Deeper ones are nobody's policy, and each level takes stack.
const DEEPEST: usize = 64;

/// More are nobody's policy either, and `or` and `and` nest with each.
const MOST_COMPARISONS: usize = 500;

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!(
                "more than {DEEPEST} levels of parentheses and `not`"
            ));
        }
        self.blanks();
        let start = self.at;
        let mut left = self.and()?;
        while self.keyword("or") {
            let right = self.and()?;
            left = Expression::Or(Box::new(left), Box::new(right), start..self.at);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn and(&mut self) -> Result<Expression, String> {
        let start = self.at;
        let mut left = self.not()?;
        while self.keyword("and") {
            let right = self.not()?;
            left = Expression::And(Box::new(left), Box::new(right), start..self.at);
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expression, String> {
        let start = self.at;
        let mut nots = 0;
        while self.rest().strip_prefix("not").is_some_and(begins_blank) {
            self.at += "not".len();
            self.blanks();
            nots += 1;
        }
        let inner = self.group()?;
        Ok(match nots % 2 {
            0 => inner,
            _ => Expression::Not(Box::new(inner), start..self.at),
        })
    }

    fn group(&mut self) -> Result<Expression, String> {
        if !self.rest().starts_with('(') {
            return self.comparison();
        }
        self.at += 1;
        let inner = self.or()?;
        self.blanks();
        if !self.rest().starts_with(')') {
            return Err("a `(` is not closed".to_owned());
        }
        self.at += 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        let start = self.at;
        self.comparisons += 1;
        if self.comparisons > MOST_COMPARISONS {
            return Err(format!(
                "more than {MOST_COMPARISONS} comparisons are not evaluated here"
            ));
        }
        let left = self.operand()?;
        let (operator, is_swapped) = self.operator()?;
        let (claim, value) = match operator {
            Operator::IsEmpty | Operator::IsNotEmpty => (left, None),
            _ if is_swapped => (self.operand()?, Some(left.value)),
            _ => (left, Some(self.operand()?.value)),
        };
        let path = claim
            .path
            .filter(|path| path[0] == "jwt_claims" && path.len() > 1);
        let Some(path) = path else {
            self.at = claim.at;
            return Err(format!(
                "`{}` is no claim; write `jwt_claims.sub` or `jwt_claims[\"sub\"]`",
                claim.value
            ));
        };
        Ok(Expression::Match(Match {
            path,
            operator,
            value,
            span: start..self.at,
        }))
    }

    /// The operator, and whether the claim comes after it.
    fn operator(&mut self) -> Result<(Operator, bool), String> {
        let start = self.at;
        self.blanks();
        for (text, operator) in [("==", Operator::Equal), ("!=", Operator::NotEqual)] {
            if self.rest().starts_with(text) {
                self.at += text.len();
                self.blanks();
                return Ok((operator, false));
            }
        }
        let has_blank = self.at > start;
        let mut words = Vec::new();
        for _ in 0..3 {
            let word = self.word();
            if word.is_empty() {
                break;
            }
            words.push(word);
            self.at += word.len();
            let end = self.at;
            self.blanks();
            let found = match words.as_slice() {
                ["in"] => Some((Operator::In, true)),
                ["not", "in"] => Some((Operator::NotIn, true)),
                ["contains"] => Some((Operator::In, false)),
                ["not", "contains"] => Some((Operator::NotIn, false)),
                ["matches"] => Some((Operator::Matches, false)),
                ["not", "matches"] => Some((Operator::NotMatches, false)),
                ["is", "empty"] => Some((Operator::IsEmpty, false)),
                ["is", "not", "empty"] => Some((Operator::IsNotEmpty, false)),
                _ => None,
            };
            if let Some((operator, is_swapped)) = found {
                let needs_blank = !matches!(operator, Operator::IsEmpty | Operator::IsNotEmpty);
                if !has_blank || (needs_blank && self.at == end) {
                    self.at = end;
                    return Err(format!("`{}` needs a blank on both sides", words.join(" ")));
                }
                if !needs_blank {
                    self.at = end;
                }
                return Ok((operator, is_swapped));
            }
        }
        self.at = start;
        self.blanks();
        Err(match words.first() {
            Some(&"is") => "`is` goes with `empty` and `not empty` only; to compare, write `==`",
            _ => {
                "expected `==`, `!=`, `matches`, `contains`, `in` or `is empty`, or these with `not`"
            }
        }
        .to_owned())
    }

    fn operand(&mut self) -> Result<Operand, String> {
        let at = self.at;
        let first = self.rest().chars().next();
        match first {
            Some('"' | '`') => {
                let value = self.quoted()?;
                // A quoted JSON pointer is a claim as well.
                let path = value.strip_prefix('/');
                let path = path.map(|path| path.split('/').map(unescaped).collect());
                Ok(Operand { path, value, at })
            }
            Some(c) if c.is_ascii_digit() || c == '-' => {
                let is_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
                let value = self.take(is_number).to_owned();
                let ends = self.rest().is_empty()
                    || self.rest().starts_with(')')
                    || begins_blank(self.rest());
                match value.parse::<f64>() {
                    Ok(_) if ends => Ok(Operand {
                        path: None,
                        value,
                        at,
                    }),
                    _ => {
                        self.at = at;
                        Err("is no number; a text stands in quotes".to_owned())
                    }
                }
            }
            Some(c) if c.is_ascii_alphabetic() => self.selector(),
            Some('[') => Err(
                "a list in brackets is not understood here; write one comparison for \
                              each value and join them by `or`"
                    .to_owned(),
            ),
            Some(c) => Err(format!("expected a claim or a value, found `{c}`")),
            None => Err("expected a claim or a value, found the end".to_owned()),
        }
    }

    fn selector(&mut self) -> Result<Operand, String> {
        let at = self.at;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '/');
        let mut path = vec![self.take(is_name).to_owned()];
        loop {
            if self.rest().starts_with('.') {
                self.at += 1;
                let part = self.take(is_name);
                if part.is_empty() {
                    return Err("expected a name after `.`".to_owned());
                }
                path.push(part.to_owned());
            } else if self.rest().starts_with('[') {
                self.at += 1;
                self.blanks();
                if !self.rest().starts_with(['"', '`']) {
                    return Err("expected a text in quotes after `[`".to_owned());
                }
                path.push(self.quoted()?);
                self.blanks();
                if !self.rest().starts_with(']') {
                    return Err("a `[` is not closed".to_owned());
                }
                self.at += 1;
            } else {
                let value = path.join(".");
                let path = Some(path);
                return Ok(Operand { path, value, at });
            }
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote = if self.rest().starts_with('`') {
            '`'
        } else {
            '"'
        };
        let start = self.at + 1;
        let inside = &self.text[start..];
        let Some(length) = inside.find(quote) else {
            return Err(format!("a {quote} is not closed"));
        };
        let inside = &inside[..length];
        let text = match quote {
            '`' => inside.replace('\r', ""),
            _ => unquoted(inside)?,
        };
        self.at = start + length + 1;
        Ok(text)
    }

    /// Passes over blanks and a word, if that comes next, with blanks around it.
    fn keyword(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(is_blank);
        let after = trimmed
            .strip_prefix(word)
            .filter(|after| begins_blank(after));
        match after {
            Some(after) if trimmed.len() < rest.len() => {
                self.at = self.text.len() - after.len();
                self.blanks();
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic());
        match end {
            Some(0) => rest.split(is_blank).next().unwrap_or_default(),
            Some(end) => &rest[..end],
            None => rest,
        }
    }

    fn blanks(&mut self) {
        self.take(is_blank);
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn begins_blank(text: &str) -> bool {
    text.starts_with(is_blank)
}

/// A part of a JSON pointer (RFC 6901 section 4).
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// As Go's `strconv.Unquote`, but for its rarer escapes.
fn unquoted(inside: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '\n' => return Err("a text in `\"` ends on its line; use backticks".to_owned()),
            '\\' => match chars.next() {
                Some('\\') => '\\',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                _ => {
                    return Err(
                        "a `\\` in a text in `\"` begins an escape, and this is none; a \
                                regular expression stands in backticks"
                            .to_owned(),
                    );
                }
            },
            c => c,
        };
        text.push(c);
    }
    Ok(text)
}
