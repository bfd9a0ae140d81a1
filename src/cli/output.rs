//! The only place that prints.
#![expect(clippy::print_stderr, reason = "this is the printer")]

use std::io::{IsTerminal, Write};
use std::time::Duration;

use clap::ValueEnum;
use serde_json::Value;

use crate::config::Span;
use crate::domain::time::Timestamp;

/// How data is printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Format {
    /// For programs.
    Json,
    /// For people.
    Text,
    /// `token` only: AWS credentials, for a `credential_process`.
    AwsProcess,
    /// `token` only: for kubectl's exec plugins.
    ExecCredential,
    /// `token` only: for Google's executable-sourced credentials.
    GcpExecutable,
    /// `token` only: as GitHub Actions' request protocol answers.
    Github,
}

impl Format {
    /// Whether every command can print so.
    pub(super) fn is_general(self) -> bool {
        matches!(self, Self::Json | Self::Text)
    }
}

/// Prints data to stdout and talk to stderr.
#[derive(Debug)]
pub(super) struct Printer {
    format: Format,
}

impl Printer {
    pub(super) fn new(format: Format) -> Self {
        Self { format }
    }

    /// clap's own words about the command line.
    pub(super) fn usage(error: &clap::Error) -> u8 {
        let _ = error.print();
        if error.use_stderr() { 2 } else { 0 }
    }

    /// Data: JSON as it is, or the lines that `text` makes of it.
    pub(super) fn data(&self, value: &Value, text: impl FnOnce(&Value) -> Vec<String>) {
        let rendered = self.rendered(value, text);
        // A reader that has gone away (`| head`) is no error.
        let _ = std::io::stdout().lock().write_all(rendered.as_bytes());
    }

    /// What [`Self::data`] prints.
    pub(super) fn rendered(
        &self,
        value: &Value,
        text: impl FnOnce(&Value) -> Vec<String>,
    ) -> String {
        let lines = match self.format {
            Format::Text => text(value),
            _ => vec![serde_json::to_string_pretty(value).unwrap_or_default()],
        };
        lines
            .iter()
            .flat_map(|line| [line.as_str(), "\n"])
            .collect()
    }

    /// Data as it is. A line ends only for people: whoever keeps a token in a file wants no newline in
    /// it, since SDKs send what they read.
    ///
    /// # Errors
    /// It could not be written: half a token, or none, must not look like one.
    pub(super) fn plain(text: &str) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let end = if out.is_terminal() { "\n" } else { "" };
        write!(out, "{text}{end}")?;
        out.flush()
    }

    /// Talk, for people only.
    pub(super) fn say(&self, line: &str) {
        if self.format == Format::Text {
            eprintln!("{line}");
        }
    }

    /// Talk that belongs to no data.
    pub(super) fn tell(line: &str) {
        eprintln!("{line}");
    }

    /// What went wrong, and what to do about it.
    pub(super) fn error(error: &dyn std::error::Error, hint: Option<&str>) {
        if std::io::stderr().is_terminal() {
            eprintln!("\x1b[31merror:\x1b[0m {error}");
        } else {
            eprintln!("error: {error}");
        }
        if let Some(hint) = hint {
            eprintln!("hint: {hint}");
        }
    }
}

/// What a word means to the eye: colour on a terminal, nothing elsewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tone {
    /// Nothing works so.
    Bad,
    /// It works, but.
    Doubtful,
    /// As it should be.
    Good,
    /// As it is.
    Plain,
}

impl Tone {
    /// A word for stdout.
    pub(super) fn paint(self, word: &str) -> String {
        let colour = match self {
            Self::Bad => "31",
            Self::Doubtful => "33",
            Self::Good => "32",
            Self::Plain => return word.to_owned(),
        };
        if std::io::stdout().is_terminal() {
            format!("\x1b[{colour}m{word}\x1b[0m")
        } else {
            word.to_owned()
        }
    }
}

/// Columns as wide as their widest cell.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|name| name.to_uppercase()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            all.iter()
                .map(|row| row.get(column).map_or(0, |cell| cell.chars().count()))
                .max()
                .unwrap_or(0)
        })
        .collect();
    all.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

/// A member of a JSON object as a cell; `-` if it is not there.
pub(super) fn cell(value: &Value, member: &str) -> String {
    match &value[member] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect::<Vec<_>>()
            .join(","),
        other => other.to_string(),
    }
}

/// A time in a JSON object, as people read it.
pub(super) fn time(value: &Value, member: &str) -> String {
    value[member]
        .as_i64()
        .map_or_else(|| "-".to_owned(), |at| Timestamp(at).to_string())
}

/// A number of seconds in a JSON object, as people read it.
pub(super) fn duration(value: &Value, member: &str) -> String {
    value[member].as_u64().map_or_else(
        || "-".to_owned(),
        |seconds| Span(Duration::from_secs(seconds)).to_string(),
    )
}

/// One thing, a line for each of its members, their names aligned.
pub(super) fn card(members: &[(&str, String)]) -> Vec<String> {
    let width = members.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or(0) + 1;
    members
        .iter()
        .map(|(name, value)| format!("{:width$} {value}", format!("{name}:")))
        .collect()
}

/// The items of a JSON array; none if it is none.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
