//! A log as it is searched: without what terminals, CI systems and JSON have put around the messages.
//!
//! Twice: with its lines, for patterns that ask where a line ends; and flat, for a message that was
//! wrapped at the terminal's width or escaped into one line of JSON.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// A log, ready to be searched.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// With its lines.
    pub(super) lined: Version,
    /// All in one line: no escapes, no boxes, one blank between words.
    pub(super) flat: Version,
    /// What both are put together from: lines that are not empty, or parts of a long one.
    pub(super) pieces: Vec<Piece>,
    /// How many lines it has.
    pub(super) lines: usize,
}

/// One of the two.
#[derive(Debug, Default)]
pub(super) struct Version {
    pub(super) text: String,
    /// Where each piece starts.
    starts: Vec<usize>,
}

/// A line, or a part of a long one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// The line's number, from 1.
    pub(super) line: usize,
    /// Which message it belongs to, from 0: a box is one message, elsewhere each piece is.
    pub(super) message: usize,
    /// Whether it stands in one of Terraform's boxes.
    pub(super) is_boxed: bool,
}

/// What stands at the start of a line of a box.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Border {
    Bottom,
    None,
    Side,
    Top,
}

/// A longer line is taken apart, in bytes: somebody's whole log may be one line of JSON.
const LONG_LINE: usize = 2_000;

/// Nor is a part longer where there is no blank to cut it at, in bytes.
const LONGEST_PART: usize = 64 << 10;

/// Terraform's borders; the second form is UTF-8 that was read as Windows' code page.
const BORDERS: [(&str, Border); 7] = [
    ("╷", Border::Top),
    ("╵", Border::Bottom),
    ("│", Border::Side),
    ("â•·", Border::Top),
    ("â•µ", Border::Bottom),
    ("â”‚", Border::Side),
    // Somebody's quotation: nothing says that its lines belong together.
    ("| ", Border::None),
];

/// Colours, titles, and what else a terminal is told (ECMA-48, 5.4 and 5.6).
static TERMINAL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]_P^][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-~])").ok()
});

/// What CI systems put before each line: the time, with GitLab's stream (`00O`), or in brackets.
static PREFIX: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let time = r"(?:\d{4}-\d\d-\d\d[T ])?\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?";
    Regex::new(&format!(
        r"^(?:\[{time}\]\s?|{time}\s(?:\d\d[EO][ +]?)?|##\[\w+\])+"
    ))
    .ok()
});

/// What nobody who reads a report must see, each behind what may be seen of it. Its value is a group
/// where it may be a word as well.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = [
        // A JWT, also in a URL.
        r"(?P<jwt>eyJ)[A-Za-z0-9_-]{5,}(?:(?:\.|%(?:25)*2[Ee])[A-Za-z0-9_-]*)*",
        // Tokens of runmint, Vault, GitHub, GitLab, Google, EKS and AWS.
        r"(?P<form>rm[a-z]_|hv[a-z]\.|gh[a-z]_|github_pat_|gl(?:pat|ptt|rt|dt|cbt|oas|ft|soat|agent)-|ya29\.|k8s-aws-v1\.|IQoJ|FwoG)[A-Za-z0-9_.+/=-]{16,}",
        // Vault's, up to 1.9.
        r"(?P<old>(?-u:\b)[bsr]\.)[A-Za-z0-9]{20,}",
        // HCP Terraform's.
        r"[A-Za-z0-9]+(?P<atlas>\.atlasv1\.)[A-Za-z0-9_-]+",
        r"(?P<bearer>(?i:bearer )\s*)[A-Za-z0-9_.~+/=-]{20,}",
        r#"(?P<scheme>(?i:authorization\\*["']?[ \t]*[:=][ \t]*\\*["']?(?:basic|bearer|token)[ \t]+|--token[ \t]+["']?))[^\s"'\\,;]{4,}"#,
        r#"(?P<name>(?i:client_?secret|secret_?access_?key|session_?token|request_?token|x-[a-z-]{1,30}token|tf_token_[a-z0-9_-]+|api_?key|password)\\*["']?[ \t]*[:=][ \t]*\\*["']?)[^\s"'\\,;]{6,}"#,
        r#"(?P<assigned>(?i:(?:^|[^a-z]|access|auth|bearer|id|oidc|refresh|subject)token\\*["']?[ \t]*=[ \t]*\\*["']?))[^\s"'\\,;&]{8,}"#,
        r#"(?P<said>(?i:(?:^|[^a-z]|access|auth|bearer|id|oidc|refresh|subject)token|authorization)\\*["']?[ \t]*:[ \t]*\\*["']?)(?P<value>[A-Za-z0-9_.~+/=%-]{8,})"#,
        r#"(?P<url>://[^\s/:@"']*:)[^\s/"']+(?P<host>@)"#,
    ];
    Regex::new(&forms.join("|")).ok()
});

/// What stays of a secret: one of these groups, and what follows it.
const SEEN: [&str; 10] = [
    "jwt", "form", "old", "atlas", "bearer", "scheme", "name", "assigned", "said", "url",
];

impl Log {
    pub(super) fn read(text: &str) -> Self {
        let text = match TERMINAL.as_ref() {
            Some(terminal) => terminal.replace_all(text, ""),
            None => Cow::Borrowed(text),
        };
        let mut log = Self::default();
        // The box that the next line may belong to.
        let mut open = None;
        // Whether the line before ended within a secret.
        let mut is_cut = false;
        for line in text.lines() {
            log.lines += 1;
            let (border, line) = without_border(without_prefix(line));
            if border != Border::Side {
                open = None;
            }
            let line = line.trim_end();
            if line.trim_start().is_empty() {
                continue;
            }
            let line = masked(line, is_cut);
            is_cut = line.ends_with(MASK);
            for part in parts(&line) {
                let message = open.unwrap_or_else(|| log.messages());
                log.add(part, message, border == Border::Side);
            }
            if border == Border::Side {
                open = log.pieces.last().map(|piece| piece.message);
            }
        }
        log
    }

    /// How many messages there are.
    pub(super) fn messages(&self) -> usize {
        self.pieces.last().map_or(0, |piece| piece.message + 1)
    }

    fn add(&mut self, part: &str, message: usize, is_boxed: bool) {
        self.pieces.push(Piece {
            line: self.lines,
            message,
            is_boxed,
        });
        self.lined.start('\n');
        self.flat.start(' ');
        if part.is_ascii() {
            self.lined.text.push_str(part);
        } else {
            self.lined.text.extend(part.chars().map(straight));
        }
        flatten(part, &mut self.flat.text);
    }
}

impl Version {
    fn start(&mut self, between: char) {
        if !self.starts.is_empty() {
            self.text.push(between);
        }
        self.starts.push(self.text.len());
    }

    /// The first and the last piece of what stands there.
    pub(super) fn pieces(&self, span: &Range<usize>) -> (usize, usize) {
        let last = span.end.saturating_sub(1).max(span.start);
        (self.piece_at(span.start), self.piece_at(last))
    }

    fn piece_at(&self, at: usize) -> usize {
        self.starts
            .partition_point(|start| *start <= at)
            .saturating_sub(1)
    }

    /// What stands there, with a little of what is around it in the same pieces.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> String {
        let (first, last) = self.pieces(span);
        let floor = self.starts.get(first).copied().unwrap_or(0);
        let next = self.starts.get(last + 1).map(|start| start - 1);
        let ceiling = next.unwrap_or(self.text.len());
        let start = self
            .text
            .floor_char_boundary(span.start.saturating_sub(BEFORE));
        let start = start.max(floor);
        let end = (span.end + AFTER).min(start + EXCERPT).min(ceiling);
        let end = self.text.ceil_char_boundary(end);
        let mut excerpt = String::new();
        if start > floor {
            excerpt.push('…');
        }
        let shown = self.text.get(start..end).unwrap_or_default();
        // A blank for what steers: a terminal's sequences may be nested so that some are left.
        let words = shown.split(|c: char| c.is_whitespace() || steers(c));
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        excerpt.push_str(&words.join(" "));
        if end < ceiling {
            excerpt.push('…');
        }
        excerpt
    }
}

/// How much of what is around a message is shown, and how much in all, in bytes.
const BEFORE: usize = 80;
const AFTER: usize = 160;
const EXCERPT: usize = 400;

/// What stands where a secret was.
const MASK: char = '…';

/// A longer one that is all a line has is a token that was cut into lines; behind the beginning of one,
/// a shorter one is as well. In bytes.
const WRAPPED: usize = 60;
const REST: usize = 8;

/// A line without secrets; `is_cut` says that one began in the line before.
fn masked(line: &str, is_cut: bool) -> Cow<'_, str> {
    let word = line.trim();
    let least = if is_cut { REST } else { WRAPPED };
    let is_of_a_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if word.len() >= least && word.chars().all(is_of_a_token) && !is_word(word) {
        return Cow::Owned(MASK.to_string());
    }
    // Few lines have one, and to ask that is cheaper than to ask where.
    let Some(secret) = SECRET.as_ref().filter(|secret| secret.is_match(line)) else {
        return Cow::Borrowed(line);
    };
    secret.replace_all(line, |found: &Captures<'_>| {
        if found.name("value").is_some_and(|it| is_word(it.as_str())) {
            return found[0].to_owned();
        }
        let seen = SEEN.iter().find_map(|group| found.name(group));
        let seen = seen.map_or("", |seen| seen.as_str());
        let host = found.name("host").map_or("", |host| host.as_str());
        format!("{seen}{MASK}{host}")
    })
}

/// Whether it is a word of a message (`token: malformed`) rather than a token.
fn is_word(text: &str) -> bool {
    let word = text.trim_end_matches('.');
    word.len() < 25 && word.chars().all(|c| c.is_ascii_alphabetic())
}

/// Whether a terminal would obey it, or show other text than stands there.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

fn without_prefix(line: &str) -> &str {
    // Most lines have none, which is seen from what they begin with.
    if !line.starts_with(|c: char| c.is_numeric() || matches!(c, '[' | '#')) {
        return line;
    }
    let prefix = PREFIX.as_ref().and_then(|prefix| prefix.find(line));
    prefix.map_or(line, |prefix| &line[prefix.end()..])
}

fn without_border(line: &str) -> (Border, &str) {
    let trimmed = line.trim_start();
    for (text, border) in BORDERS {
        if let Some(rest) = trimmed.strip_prefix(text) {
            return (border, rest);
        }
    }
    (Border::None, line)
}

/// The parts of a line, none of them much longer than [`LONG_LINE`]: it is cut where a blank is, or at
/// [`LONGEST_PART`].
fn parts(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = rest.floor_char_boundary(LONG_LINE);
        let most = rest.floor_char_boundary(LONGEST_PART);
        let blank = rest[at..most].find([' ', '\t']);
        let end = blank.map_or(most, |blank| at + blank);
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

/// People's pages have curly quotation marks where the message has straight ones.
fn straight(c: char) -> char {
    match c {
        '‘' | '’' => '\'',
        '“' | '”' => '"',
        c => c,
    }
}

/// Adds a part of a line: JSON's escapes and borders undone, one blank for any number of them.
fn flatten(part: &str, flat: &mut String) {
    let start = flat.len();
    let mut rest = part;
    loop {
        // Most of a log is plain words, and a word at a time is much faster than a character.
        let (word, after) = rest.split_at(rest.bytes().take_while(|byte| is_plain(*byte)).count());
        flat.push_str(word);
        let Some(c) = after.chars().next() else {
            break;
        };
        let c = if c == '\\' {
            let escaped = after.trim_start_matches('\\');
            let Some((meant, behind)) = meant(escaped) else {
                flat.push_str(&after[..after.len() - escaped.len()]);
                rest = escaped;
                continue;
            };
            rest = behind;
            meant
        } else {
            rest = &after[c.len_utf8()..];
            straight(c)
        };
        match c {
            '│' | '╷' | '╵' | '|' => blank(flat, start),
            c if c.is_whitespace() => blank(flat, start),
            c => flat.push(c),
        }
    }
    flat.truncate(flat.trim_end().len().max(start));
}

/// Whether it stands for itself, whatever is around it.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'|')
}

/// A blank, unless there is one.
fn blank(flat: &mut String, start: usize) {
    if flat.len() > start && !flat.ends_with(' ') {
        flat.push(' ');
    }
}

/// What an escape stands for, and what is behind it, by what follows its backslashes: any number of them,
/// since JSON is put into JSON. Backslashes that escape nothing stay.
fn meant(after: &str) -> Option<(char, &str)> {
    let mut behind = after.chars();
    let meant = match behind.next()? {
        'n' | 'r' | 't' => ' ',
        quote @ ('"' | '\'') => quote,
        'u' => return code(behind.as_str()),
        _ => return None,
    };
    Some((meant, behind.as_str()))
}

/// A printable ASCII character by its number (`003c`), and what is behind it.
fn code(text: &str) -> Option<(char, &str)> {
    let (digits, behind) = text.split_at_checked(4)?;
    let number = u8::from_str_radix(digits.strip_prefix("00")?, 16).ok()?;
    let c = char::from(number);
    (c.is_ascii_graphic() || c == ' ').then_some((c, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> String {
        Log::read(text).flat.text
    }

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&TERMINAL, &PREFIX, &SECRET] {
            assert!(pattern.is_some());
        }
    }

    #[test]
    fn what_terminals_and_ci_systems_put_around_a_line_is_not_there() {
        for line in [
            "\x1b[31mError: no\x1b[0m\r",
            "2026-11-24T10:00:00.0000000Z Error: no",
            "2026-11-24T10:00:00.0000000Z ##[error]Error: no",
            "2026-11-24T10:00:00.000000Z 00E Error: no",
            "[12:00:01] Error: no",
            "[2026-11-24T10:00:00.123Z] Error: no",
            "[2026-11-24 10:00:00,123] Error: no",
            "\x1b_bk;t=1700000000000\x07Error: no",
            "2026-11-24T10:00:00Z \x1b[31m│\x1b[0m \x1b[1mError: no",
            "| Error: no",
            "  Error:\t  no  ",
            "â”‚ Error: no",
        ] {
            assert_eq!(flat(line), "Error: no", "{line:?}");
        }
    }

    #[test]
    fn escapes_are_undone_however_often_they_were_made() {
        assert_eq!(
            flat(r#"a\nb \"c\" \\\"d\\\" \u003ce\u003e"#),
            r#"a b "c" "d" <e>"#
        );
        assert_eq!(flat(r"[\w+=,.@-]* \u0007 \"), r"[\w+=,.@-]* \u0007 \");
        assert_eq!(flat("“a” ‘b’"), "\"a\" 'b'");
        assert_eq!(flat(r"\\w \"), r"\\w \");
    }

    #[test]
    fn there_is_one_blank_between_words_whatever_stands_there() {
        assert_eq!(
            flat("a\u{b}b\u{a0} c|│ | d \\n\\t e\u{1}f"),
            "a b c d e\u{1}f"
        );
    }

    #[test]
    fn a_box_is_one_message_and_each_line_outside_of_one_is() {
        let log = Log::read("a\n\n╷\n│ b\n│ \n│ c\n╵\n╷\n│ d\n╵\ne\nf\n");
        let seen: Vec<_> = log.pieces.iter().map(|p| (p.line, p.message)).collect();
        assert_eq!(seen, [(1, 0), (4, 1), (6, 1), (9, 2), (11, 3), (12, 4)]);
        assert_eq!((log.lines, log.messages()), (12, 5));
        assert_eq!(log.flat.text, "a b c d e f");
        assert_eq!(log.lined.text, "a\n b\n c\n d\ne\nf");
    }

    #[test]
    fn a_long_line_is_taken_apart_between_words() {
        let line = "word ".repeat(2_000);
        let log = Log::read(&line);
        assert_eq!(log.flat.text, line.trim_end());
        assert!(log.pieces.len() > 4 && log.pieces.iter().all(|piece| piece.line == 1));
        let log = Log::read(&"é".repeat(5_000));
        assert_eq!(log.pieces.len(), 1);
        let log = Log::read(&"€".repeat(50_000));
        assert_eq!(log.pieces.len(), 3);
    }

    #[test]
    fn secrets_are_masked() {
        let signature = "c2ln".repeat(20);
        let jwt = format!("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.{signature}");
        for text in [
            format!("token={jwt} sent"),
            format!("{{\"token\":\"{jwt}\"}}"),
            format!("│ {signature}\n│ next"),
            format!("Authorization: Bearer {signature}"),
            format!("AWS_SESSION_TOKEN={signature}"),
            format!("\\\"client_secret\\\": \\\"{signature}\\\""),
            format!("hvs.{signature}"),
            format!("rmr_{signature}"),
            "VAULT_TOKEN=s.c2lnc2lnc2lnc2lnc2lnc2ln".to_owned(),
            "lookup of s.c2lnc2lnc2lnc2lnc2lnc2ln".to_owned(),
            "VAULT_TOKEN=c2lnc2ln".to_owned(),
            "X-Vault-Token: c2lnc2lnc2ln".to_owned(),
            "ARM_OIDC_TOKEN=c2lnc2lnc2ln".to_owned(),
            "token: c2lnc2lnc2ln".to_owned(),
            "--token c2lnc2lnc2ln".to_owned(),
            "TF_TOKEN_app_terraform_io=c2lnc2lnc2ln".to_owned(),
            "api_key=c2lnc2lnc2ln".to_owned(),
            r#""accessToken": "c2lnc2lnc2ln""#.to_owned(),
            format!("x-amz-security-token: {signature}"),
            format!("&X-Amz-Security-Token={signature}%3D&a=b"),
            "Authorization: Basic c2lnc2ln".to_owned(),
            r#"{\"Authorization\":\"Basic c2lnc2ln\"}"#.to_owned(),
            "postgres://user:c2lnc2ln@db/x".to_owned(),
            "postgres://user:p@c2lnc2ln@db/x".to_owned(),
            format!("using ya29.a0{signature}"),
            format!("using glpat-{signature}"),
            format!("using github_pat_{signature}"),
            format!("using c2lnc2lnc2lnc2.atlasv1.{signature}"),
            format!("?jwt=eyJhbGciOiJSUzI1NiJ9%2EeyJzdWIiOiJhIn0%2E{signature}&a=b"),
            format!("2026-11-24T10:00:00.0000000Z {signature}"),
            "2026-11-24T10:00:00Z eyJhbGciOiJSUzI1NiJ9.eyJz\n2026-11-24T10:00:00Z c2lnc2lnc2ln"
                .to_owned(),
        ] {
            let log = Log::read(&text);
            for seen in [&log.flat.text, &log.lined.text] {
                assert!(!seen.contains("c2lnc2ln"), "{text} -> {seen}");
                assert!(seen.contains('…'), "{text} -> {seen}");
            }
        }
        for plain in [
            "InvalidIdentityToken: Token signature invalid; password authentication failed",
            "token: expired",
            "open /var/run/token: permission denied",
            "error validating token: malformed.",
            "GET https://login.example.com:8443/a/b?c=d: 403 for a@b.c",
            "Authorization: required",
            "verify token: oidc: x509: certificate",
        ] {
            assert_eq!(flat(plain), plain);
        }
    }

    #[test]
    fn an_excerpt_stays_within_its_lines_and_says_where_it_was_cut() {
        let log = Log::read(&format!(
            "before\n{} needle é {}\nafter",
            "x".repeat(200),
            "y".repeat(400)
        ));
        let at = log.flat.text.find("needle").unwrap();
        let excerpt = log.flat.excerpt(&(at..at + 6));
        assert!(
            excerpt.starts_with("…xxx") && excerpt.ends_with("yyy…"),
            "{excerpt}"
        );
        assert!(
            excerpt.contains(" needle é ") && excerpt.len() < 420,
            "{excerpt}"
        );
        let at = log.lined.text.find("after").unwrap();
        assert_eq!(log.lined.excerpt(&(at..at + 5)), "after");
        assert_eq!(log.lined.pieces(&(at..at + 5)), (2, 2));
    }

    #[test]
    fn nothing_in_an_excerpt_steers_a_terminal() {
        for text in [
            "\x1b[\x1b[31m2JToken\u{9b}31m too\x07 old\x08",
            "Token\x1b]\x1b]0;a\x07 too\x1b\x1b[1m[2J old",
            "\u{202e}Token\u{200b} too\u{2066} old\u{feff}\x7f",
        ] {
            let log = Log::read(text);
            for version in [&log.flat, &log.lined] {
                let excerpt = version.excerpt(&(0..version.text.len()));
                assert!(!excerpt.contains(steers), "{excerpt:?}");
                assert!(excerpt.contains("Token"), "{excerpt:?}");
            }
        }
    }
}
