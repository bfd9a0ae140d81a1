//! A report, for people and for programs.

use serde_json::{Value, json};

use super::super::CliError;
use super::super::output::{Printer, Tone};
use crate::doctor::{Finding, Report, Severity};

/// Prints it.
///
/// # Errors
/// The answer is no if a finding is an error.
pub(in crate::cli) fn print(report: &Report, printer: &Printer) -> Result<(), CliError> {
    let facts: serde_json::Map<String, Value> = report
        .facts
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let value = json!({
        "clear": report.is_clear(),
        "facts": facts,
        "findings": report.findings,
    });
    printer.data(&value, |_| lines(report));
    let errors = count(report, Severity::Error);
    if errors == 0 {
        return Ok(());
    }
    let plural = if errors == 1 { "" } else { "s" };
    Err(CliError::No(format!("{errors} error{plural}: see above")))
}

fn count(report: &Report, severity: Severity) -> usize {
    let of_it = |finding: &&Finding| finding.severity == severity;
    report.findings.iter().filter(of_it).count()
}

fn lines(report: &Report) -> Vec<String> {
    let widths = report.facts.iter().map(|(name, _)| name.chars().count());
    // Some names are paths; they do not push all values to the right.
    let width = widths.filter(|width| *width <= WIDEST_NAME).max();
    let width = width.unwrap_or(0) + 1;
    let facts = report.facts.iter().map(|(name, value)| {
        // A value of several lines stays under its name.
        let lines: Vec<String> = value.lines().map(harmless).collect();
        let value = lines.join(&format!("\n{:width$} ", ""));
        format!("{:width$} {value}", format!("{}:", harmless(name)))
    });
    let mut lines: Vec<String> = facts.collect();
    for finding in &report.findings {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(of_finding(finding));
    }
    if report.findings.is_empty() {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(Tone::Good.paint("all clear"));
    }
    lines
}

fn of_finding(finding: &Finding) -> Vec<String> {
    let (word, tone) = match finding.severity {
        Severity::Error => ("error", Tone::Bad),
        Severity::Info => ("info", Tone::Plain),
        Severity::Warning => ("warning", Tone::Doubtful),
    };
    let head = tone.paint(&format!("{word}[{}]", finding.id));
    let mut lines = vec![format!("{head}: {}", harmless(&finding.what))];
    let shown = finding.shown.iter();
    lines.extend(shown.map(|line| format!("    {}", harmless(line))));
    for (name, text) in [
        ("why", &finding.why),
        ("fix", &finding.fix),
        ("source", &finding.source),
    ] {
        if !text.is_empty() {
            lines.extend(wrapped(name, text));
        }
    }
    lines
}

/// As wide as people read with ease, in characters.
const WIDTH: usize = 100;

/// Of the names of facts, in characters.
const WIDEST_NAME: usize = 32;

/// What came from others (an issuer, a log, a policy) may hold what would steer the terminal.
fn harmless(text: &str) -> String {
    // Marks that turn the direction of writing, or that nobody sees, hide what stands there.
    let is_hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let harmless = |c: char| {
        if c.is_control() || is_hidden(c) {
            '\u{fffd}'
        } else {
            c
        }
    };
    text.chars().map(harmless).collect()
}

/// A name, and a text beside it that is broken between words. Lines of the text stay lines.
fn wrapped(name: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut start = format!("  {:7} ", format!("{name}:"));
    for paragraph in text.lines().map(harmless) {
        // What is to be pasted stays on its line.
        if paragraph.starts_with("- ") || paragraph.starts_with("+ ") {
            lines.push(format!("{start}{paragraph}"));
            start = " ".repeat(10);
            continue;
        }
        let mut line = start.clone();
        let mut is_fresh = true;
        for word in paragraph.split(' ') {
            if !is_fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
                lines.push(std::mem::replace(&mut line, " ".repeat(10)));
                is_fresh = true;
            }
            if !is_fresh {
                line.push(' ');
            }
            line.push_str(word);
            is_fresh = false;
        }
        lines.push(line);
        start = " ".repeat(10);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::kinds::policy::SUBJECT;

    #[test]
    fn what_others_have_written_steers_no_terminal() {
        let evil = "a\u{1b}[31mb\u{9b}2Jc\u{7}d\u{202e}e\r";
        let mut report = Report::default();
        report.fact(evil, evil);
        report.add(Finding::new(&SUBJECT, evil).showing([evil]).to_fix(evil));
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        for line in lines(&report) {
            assert!(!line.contains(steers), "{line:?}");
        }
        assert!(lines(&report)[0].contains("a\u{fffd}[31mb"));
    }

    #[test]
    fn a_long_text_is_broken_between_words_and_what_is_pasted_is_not() {
        let long = "word ".repeat(40);
        let pasted = format!("+ {long}");
        let broken = wrapped("fix", &format!("{}\n{pasted}", long.trim_end()));
        assert!(broken[0].starts_with("  fix:    word word"), "{broken:#?}");
        assert!(
            broken
                .iter()
                .take(broken.len() - 1)
                .all(|line| line.len() <= WIDTH)
        );
        assert_eq!(broken.last().unwrap().trim_start(), pasted);
    }
}
