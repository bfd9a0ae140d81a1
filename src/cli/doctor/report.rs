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
    let width = report
        .facts
        .iter()
        .map(|(name, _)| name.chars().count())
        .max();
    let width = width.unwrap_or(0) + 1;
    let facts = report.facts.iter().map(|(name, value)| {
        // A value of several lines stays under its name.
        let value = value.replace('\n', &format!("\n{:width$} ", ""));
        format!("{:width$} {value}", format!("{name}:"))
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
    let mut lines = vec![format!("{head}: {}", finding.what)];
    lines.extend(finding.shown.iter().map(|line| format!("    {line}")));
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

/// A name, and a text beside it that is broken between words. Lines of the text stay lines.
fn wrapped(name: &str, text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut start = format!("  {:7} ", format!("{name}:"));
    for paragraph in text.lines() {
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
