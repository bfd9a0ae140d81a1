//! Regular expressions as RE2 reads them. Relying parties have RE2 or Go's library, which is the same;
//! `regex`, which is used here, takes much that these refuse, and reads some of it differently.

use std::ops::Range;

use regex::Regex;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassPerl, ClassPerlKind, ClassSetBinaryOp, ClassSetItem,
    ClassUnicode, ClassUnicodeKind, Flag, Flags, FlagsItemKind, Group, GroupKind, HexLiteralKind,
    Literal, LiteralKind, Repetition, RepetitionKind, RepetitionRange, Span, SpecialLiteralKind,
};

/// The most that a repetition may count to, with those around it (Go's `regexp/syntax`, "Repetitions").
const MOST_REPEATS: u64 = 1_000;

/// General categories and scripts that both know under the same name and with the same members.
/// `C` is not among them: RE2 leaves what is not assigned out of it.
const CATEGORIES: &[&str] = &[
    "Arabic", "Cc", "Cf", "Co", "Cyrillic", "Greek", "Han", "Hebrew", "Hiragana", "Katakana", "L",
    "Latin", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So", "Z", "Zl", "Zp", "Zs",
];

/// Compiles a pattern of which it is known that RE2 takes it, and what it means there.
///
/// # Errors
/// Why it is not evaluated here. It may be one that RE2 takes, or one that it refuses.
pub fn re2(pattern: &str) -> Result<Regex, String> {
    let strange =
        |what: String| format!("is no regular expression here, though RE2 may know it: {what}");
    let parsed = ast::parse::Parser::new().parse(pattern);
    let parsed = parsed.map_err(|error| strange(error.kind().to_string()))?;
    let walk = Walk {
        pattern,
        repeats: 1,
        instead: Vec::new(),
    };
    let mut instead = ast::visit(&parsed, walk)?;
    instead.sort_by_key(|(place, _)| place.start);
    let mut text = String::with_capacity(pattern.len());
    let mut at = 0;
    for (place, what) in instead {
        text.push_str(&pattern[at..place.start]);
        text.push_str(what);
        at = place.end;
    }
    text.push_str(&pattern[at..]);
    Regex::new(&text).map_err(|error| strange(error.to_string()))
}

/// Looks at every part of a pattern, and refuses what is not known to be the same in RE2.
struct Walk<'a> {
    pattern: &'a str,
    /// How often what stands here may be repeated, by all repetitions around it.
    repeats: u64,
    /// What is written differently for `regex`, and where.
    instead: Vec<(Range<usize>, &'static str)>,
}

impl ast::Visitor for Walk<'_> {
    type Output = Vec<(Range<usize>, &'static str)>;
    type Err = String;

    fn finish(self) -> Result<Self::Output, String> {
        Ok(self.instead)
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), String> {
        match ast {
            Ast::Alternation(_) | Ast::Concat(_) | Ast::Dot(_) | Ast::Empty(_) => Ok(()),
            Ast::Flags(flags) => self.flags(&flags.flags),
            Ast::Literal(literal) => self.literal(literal),
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => Ok(()),
                AssertionKind::WordBoundary => self.write(&assertion.span, r"(?-u:\b)"),
                AssertionKind::NotWordBoundary => self.write(&assertion.span, r"(?-u:\B)"),
                _ => self.refuse(&assertion.span),
            },
            Ast::ClassUnicode(class) => self.category(class),
            Ast::ClassPerl(class) => self.perl(class),
            // RE2 has no operators in classes, and takes the second `-` of `[--a]` for a range's.
            Ast::ClassBracketed(class) => {
                let text = self.text(&class.span);
                if ["--", "&&", "~~"].iter().any(|two| text.contains(two)) {
                    return self.refuse(&class.span);
                }
                Ok(())
            }
            Ast::Repetition(repetition) => self.repetition(repetition),
            Ast::Group(group) => self.group(group),
        }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), String> {
        if let Ast::Repetition(repetition) = ast {
            self.repeats /= count(repetition);
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Ascii(_) | ClassSetItem::Empty(_) | ClassSetItem::Union(_) => Ok(()),
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Range(range) => {
                self.literal(&range.start)?;
                self.literal(&range.end)
            }
            ClassSetItem::Unicode(class) => self.category(class),
            ClassSetItem::Perl(class) => self.perl(class),
            ClassSetItem::Bracketed(class) => self.refuse(&class.span),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, op: &ClassSetBinaryOp) -> Result<(), String> {
        self.refuse(&op.span)
    }
}

impl Walk<'_> {
    fn text(&self, span: &Span) -> &str {
        let place = span.start.offset..span.end.offset;
        self.pattern.get(place).unwrap_or(self.pattern)
    }

    fn refuse(&self, span: &Span) -> Result<(), String> {
        Err(format!(
            "holds `{}`, which is written or read differently in RE2, so it is not evaluated here",
            self.text(span)
        ))
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it is one of the outcomes of looking at a part, as `refuse` is"
    )]
    fn write(&mut self, span: &Span, what: &'static str) -> Result<(), String> {
        let place = span.start.offset..span.end.offset;
        self.instead.push((place, what));
        Ok(())
    }

    fn flags(&self, flags: &Flags) -> Result<(), String> {
        let is_known = |kind: &FlagsItemKind| {
            matches!(
                kind,
                FlagsItemKind::Negation
                    | FlagsItemKind::Flag(
                        Flag::CaseInsensitive
                            | Flag::MultiLine
                            | Flag::DotMatchesNewLine
                            | Flag::SwapGreed
                    )
            )
        };
        if flags.items.iter().all(|item| is_known(&item.kind)) {
            return Ok(());
        }
        self.refuse(&flags.span)
    }

    fn literal(&self, literal: &Literal) -> Result<(), String> {
        match literal.kind {
            LiteralKind::Verbatim
            | LiteralKind::Meta
            | LiteralKind::Superfluous
            | LiteralKind::HexFixed(HexLiteralKind::X)
            | LiteralKind::HexBrace(HexLiteralKind::X)
            | LiteralKind::Special(
                SpecialLiteralKind::Bell
                | SpecialLiteralKind::FormFeed
                | SpecialLiteralKind::Tab
                | SpecialLiteralKind::LineFeed
                | SpecialLiteralKind::CarriageReturn
                | SpecialLiteralKind::VerticalTab,
            ) => Ok(()),
            _ => self.refuse(&literal.span),
        }
    }

    fn category(&self, class: &ClassUnicode) -> Result<(), String> {
        let name = match &class.kind {
            ClassUnicodeKind::OneLetter(letter) => letter.to_string(),
            ClassUnicodeKind::Named(name) => name.clone(),
            ClassUnicodeKind::NamedValue { .. } => String::new(),
        };
        if CATEGORIES.contains(&name.as_str()) {
            return Ok(());
        }
        self.refuse(&class.span)
    }

    /// RE2's are of ASCII only, and its `\s` has no vertical tab.
    fn perl(&mut self, class: &ClassPerl) -> Result<(), String> {
        let ascii = match (&class.kind, class.negated) {
            (ClassPerlKind::Digit, false) => "[0-9]",
            (ClassPerlKind::Digit, true) => "[^0-9]",
            (ClassPerlKind::Space, false) => r"[\t\n\f\r ]",
            (ClassPerlKind::Space, true) => r"[^\t\n\f\r ]",
            (ClassPerlKind::Word, false) => "[0-9A-Za-z_]",
            (ClassPerlKind::Word, true) => "[^0-9A-Za-z_]",
        };
        self.write(&class.span, ascii)
    }

    fn repetition(&mut self, repetition: &Repetition) -> Result<(), String> {
        self.repeats = self.repeats.saturating_mul(count(repetition));
        let written = match &repetition.op.kind {
            RepetitionKind::Range(RepetitionRange::Exactly(n)) => format!("{{{n}}}"),
            RepetitionKind::Range(RepetitionRange::AtLeast(n)) => format!("{{{n},}}"),
            RepetitionKind::Range(RepetitionRange::Bounded(n, m)) => format!("{{{n},{m}}}"),
            _ => String::new(),
        };
        // With a blank or a zero more, RE2 takes the braces for themselves; `a**` it refuses.
        let op = self.text(&repetition.op.span);
        let is_other = !written.is_empty() && op.trim_end_matches('?') != written;
        let is_doubled = matches!(*repetition.ast, Ast::Repetition(_));
        if is_other || is_doubled {
            return self.refuse(&repetition.span);
        }
        if self.repeats > MOST_REPEATS {
            return Err(format!(
                "holds `{op}`, which comes to more than {MOST_REPEATS} repetitions: RE2 takes no more"
            ));
        }
        Ok(())
    }

    fn group(&self, group: &Group) -> Result<(), String> {
        match &group.kind {
            GroupKind::CaptureIndex(_) => Ok(()),
            GroupKind::NonCapturing(flags) => self.flags(flags),
            GroupKind::CaptureName {
                starts_with_p,
                name,
            } => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if *starts_with_p && name.name.chars().all(is_name) {
                    return Ok(());
                }
                self.refuse(&name.span)
            }
        }
    }
}

/// What RE2 counts a repetition as; 1 if it does not count.
fn count(repetition: &Repetition) -> u64 {
    let count = match &repetition.op.kind {
        RepetitionKind::Range(RepetitionRange::Exactly(n) | RepetitionRange::AtLeast(n)) => *n,
        RepetitionKind::Range(RepetitionRange::Bounded(_, most)) => *most,
        _ => 1,
    };
    u64::from(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_in_re2_is_evaluated_as_there() {
        for (pattern, text, expected) in [
            (
                "^organization:acme:project:[^:]+:",
                "organization:acme:project:p:",
                true,
            ),
            (r"(?i)^ACME$", "acme", true),
            (r"(?s-i:a.b)", "a\nb", true),
            (r"(?P<org>[a-z0-9_-]+)\.x", "ac-me.x", true),
            (r"^a{2,3}?$", "aaa", true),
            (r"^.{1,1000}$", "x", true),
            (r"^\x41\x{42}\t\_\-$", "AB\t_-", true),
            (r"^\pL\p{Lu}[\p{Greek}\d]$", "éÉ1", true),
            (r"^[[:alpha:]_]+$", "a_", true),
            (r"^[]a-]+$", "]-a", true),
            // Of ASCII only.
            (r"^\d$", "٣", false),
            (r"^\D$", "٣", true),
            (r"^[^\d]$", "٣", true),
            (r"^[\W]$", "é", true),
            (r"^\w+$", "é", false),
            (r"^\s$", "\u{b}", false),
            (r"^\S$", "\u{a0}", true),
            (r"\bb", "éb", true),
            (r"\w+:\d{3}\b-\s", "né:123- ", false),
            (r"\w+:\d{3}\b-\s", "né n:123- ", true),
        ] {
            let regex = re2(pattern).unwrap_or_else(|why| panic!("{pattern} {why}"));
            assert_eq!(regex.is_match(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_re2_has_not_or_reads_differently_is_not_evaluated() {
        for pattern in [
            "(?ix)a b",
            "(?x: a )",
            "(?R)$",
            "(?u)a",
            "(?-u:a)",
            r"\p{Alphabetic}",
            r"\p{greek}",
            r"\p{gc=L}",
            r"\pC",
            r"\u003a",
            r"\u{3a}",
            r"\U0000003a",
            ".{1,2000}",
            "(.{100}){11}",
            "(?:(?:a{10}){10}){11}",
            "a{ 2 }",
            "a{1, 2}",
            "a{02}",
            "a**",
            "a{2}{3}",
            r"\b{start}a",
            r"\<a",
            "[a-z--m]",
            "[--a]",
            "[a&&b]",
            "[a~~b]",
            "[a[b]]",
            "(?<n>a)",
            "(?P<n.m>a)",
            r"[\p{Alphabetic}]",
            r"[\u003a-z]",
            // The other way round: RE2 takes these.
            r"^\Qacme:\E.*",
            ".{,500}",
            r"\C",
            // And neither takes these.
            "(",
            "a(?=b)",
            r"(a)\1",
        ] {
            let why = re2(pattern).map(|_| ()).unwrap_err();
            assert!(why.contains("RE2"), "{pattern} {why}");
        }
        let deep = format!("{}a{}", "(".repeat(50_000), ")".repeat(50_000));
        re2(&deep).unwrap_err();
    }
}
