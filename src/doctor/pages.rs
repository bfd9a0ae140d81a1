//! The pages in `docs/findings/`: one for each kind of finding and each known error, and their index.
//!
//! Pure: `tests/it/doctor/pages.rs` holds the files to it, and writes them when asked to.

use super::errors::{self, Entry, Family};
use super::{Kind, Severity, kinds};

/// All pages: a file's name and its text.
pub fn pages() -> Vec<(String, String)> {
    let mut pages = vec![("README.md".to_owned(), index())];
    pages.extend(kinds::all().map(|kind| (format!("{}.md", kind.id), of_kind(kind))));
    let errors = errors::all().iter();
    pages.extend(errors.map(|error| (format!("{}.md", error.id), of_error(error))));
    pages
}

/// The areas of the kinds: how their ids begin, and what finds them.
const AREAS: [(&str, &str); 7] = [
    ("issuer", "runmint doctor issuer URL"),
    ("token", "runmint doctor token FILE"),
    ("policy", "runmint doctor policy --token FILE --policy FILE"),
    ("environment", "runmint doctor environment"),
    ("pod", "runmint doctor environment --pod FILE"),
    ("error", "runmint doctor error"),
    ("explain", "runmint explain"),
];

const INTRODUCTION: &str = "\
# Findings

What `runmint doctor` and `runmint explain` can find, by id. An id stays what it is, so it can be searched
for and counted. [Troubleshooting](../troubleshooting.md) says which command to run when.

The pages are made from the program's own texts: `src/doctor/kinds/` and `src/doctor/errors/`.
";

fn index() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (area, command) in AREAS {
        let lines: Vec<_> = kinds::all()
            .filter(|kind| area_of(kind) == Some((area, command)))
            .map(|kind| line(kind.id, kind.title))
            .collect();
        if !lines.is_empty() {
            page.push_str(&section(&format!("`{command}`"), &lines.concat()));
        }
    }
    for family in Family::ALL {
        let lines: Vec<_> = errors::all()
            .iter()
            .filter(|error| error.relying_party.family() == family)
            .map(|error| line(&error.id, gist(&error.cause)))
            .collect();
        if !lines.is_empty() {
            let title = format!("Known errors: {}", family.name());
            page.push_str(&section(&title, &lines.concat()));
        }
    }
    page
}

fn of_kind(kind: &Kind) -> String {
    let found_by = area_of(kind).map_or("runmint doctor", |(_, command)| command);
    let meaning = format!(
        "{}.\n\n{} Found by `{found_by}`.\n",
        escaped(kind.title),
        consequence(kind.severity)
    );
    [
        format!("# {}\n", kind.id),
        section("What it means", &meaning),
        section("Why", &paragraphs(kind.why)),
        section("What to do", &paragraphs(kind.fix)),
        section("Check again", &format!("    {found_by}\n")),
        section("Source", &paragraphs(kind.source)),
        BACK.to_owned(),
    ]
    .concat()
}

fn of_error(error: &Entry) -> String {
    let meaning = format!(
        "Said by {}: {}.\n",
        error.relying_party.name(),
        error.meaning()
    );
    let examples: Vec<_> = error.examples().map(fenced).collect();
    [
        format!("# {}\n", error.id),
        section("What it means", &meaning),
        section("What it looks like", &examples.join("\n")),
        section("Why", &paragraphs(&error.cause)),
        section("What to do", &paragraphs(&error.fix)),
        section("Check next", &format!("    {}\n", error.next().command())),
        section("Source", &paragraphs(&error.source)),
        BACK.to_owned(),
    ]
    .concat()
}

const BACK: &str = "\n---\n\n[All findings](README.md)\n";

fn area_of(kind: &Kind) -> Option<(&'static str, &'static str)> {
    let area = kind.id.split('-').next();
    AREAS.into_iter().find(|(name, _)| area == Some(name))
}

fn consequence(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Good to know: nothing fails because of it.",
        Severity::Warning => {
            "A warning: it works, but not everywhere, not for long, or for too many."
        }
        Severity::Error => "An error: it cannot work so.",
    }
}

fn section(title: &str, text: &str) -> String {
    format!("\n## {title}\n\n{text}")
}

fn line(id: &str, gist: &str) -> String {
    format!("- [`{id}`]({id}.md): {}\n", escaped(gist))
}

/// A text whose lines are paragraphs.
fn paragraphs(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(escaped).collect();
    format!("{}\n", lines.join("\n\n"))
}

/// The first sentence, or the first part of it that says enough; a mark within backticks ends nothing.
fn gist(text: &str) -> &str {
    let mut is_code = false;
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next();
        match c {
            '`' => is_code = !is_code,
            ':' | ';' if at < ENOUGH => {}
            '.' | ':' | ';' if !is_code && next.is_none_or(|next| next == ' ') => {
                return &text[..at];
            }
            _ => {}
        }
    }
    text
}

/// In bytes.
const ENOUGH: usize = 40;

/// As a block; its fence is longer than any within it.
fn fenced(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!(
        "{fence}text\n{}\n{fence}\n",
        text.trim_end().replace('\r', "")
    )
}

/// Plain text as Markdown: what would be a tag or emphasis, outside of backticks, is none.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_code = false;
    for c in text.chars() {
        if c == '`' {
            is_code = !is_code;
        } else if !is_code && matches!(c, '<' | '*') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gist_ends_where_it_can_stand_alone() {
        for (text, wanted) in [
            ("It is so. And so.", "It is so"),
            ("Version 1.18 only", "Version 1.18 only"),
            (
                "Not so: so, at https://a.b/c. No.",
                "Not so: so, at https://a.b/c",
            ),
            (
                "Here `a: b. c` is what is wrong in that file: see.",
                "Here `a: b. c` is what is wrong in that file",
            ),
        ] {
            assert_eq!(gist(text), wanted);
        }
    }

    #[test]
    fn text_is_not_taken_for_markup() {
        assert_eq!(escaped("a <b> `<c*>` *d*"), "a \\<b> `<c*>` \\*d\\*");
        assert_eq!(fenced("a\r\n```\nb\n"), "````text\na\n```\nb\n````\n");
    }

    #[test]
    fn every_kind_has_an_area() {
        for kind in kinds::all() {
            assert!(area_of(kind).is_some(), "{}", kind.id);
        }
    }
}
