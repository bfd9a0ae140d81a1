//! What a check has found.

use serde::Serialize;

/// A kind of finding: what does not change from case to case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kind {
    /// Its name, for ever: `token-expired`.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a few words, without a full stop.
    pub title: &'static str,
    /// Why it matters, or how it comes about; sentences.
    pub why: &'static str,
    /// What to do; sentences, commands in backticks.
    pub fix: &'static str,
    /// Where the rule stands: an RFC's section, a vendor's page.
    pub source: &'static str,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; nothing fails because of it.
    Info,
    /// It works, but not everywhere, not for long, or for too many.
    Warning,
    /// It cannot work so.
    Error,
}

/// One thing that was found.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// The kind's id.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found here, with the values: a sentence, in which literals are in backticks.
    pub what: String,
    /// Lines that show it: two values with the difference marked, a line of a log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<String>,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub fix: String,
    /// Where the rule stands.
    pub source: String,
}

/// What a check gives.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// What was seen, in order: a name and a value. For people to compare, and to know that it was looked at.
    pub facts: Vec<(String, String)>,
    /// What was found, in the order in which to mend it.
    pub findings: Vec<Finding>,
}

impl Finding {
    /// A finding of a kind; `what` says what was found here.
    pub fn new(kind: &Kind, what: impl Into<String>) -> Self {
        Self {
            id: kind.id,
            severity: kind.severity,
            what: what.into(),
            shown: Vec::new(),
            why: kind.why.to_owned(),
            fix: kind.fix.to_owned(),
            source: kind.source.to_owned(),
        }
    }

    /// With lines that show it.
    #[must_use]
    pub fn showing(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.shown = lines.into_iter().map(Into::into).collect();
        self
    }

    /// With what to do here, in place of the kind's general advice.
    #[must_use]
    pub fn to_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}

impl Report {
    /// Adds a fact.
    pub fn fact(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.facts.push((name.into(), value.into()));
    }

    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds all of another report.
    pub fn append(&mut self, other: Self) {
        self.facts.extend(other.facts);
        self.findings.extend(other.findings);
    }

    /// Says of everything in it where it was found; facts stand in a column, so theirs is shorter.
    pub fn put_under(&mut self, place: &str, short: &str) {
        for (name, _) in &mut self.facts {
            *name = format!("{short}: {name}");
        }
        for finding in &mut self.findings {
            finding.what = format!("{place}: {}", finding.what);
        }
    }

    /// Whether nothing is in the way: no finding is an error.
    pub fn is_clear(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity < Severity::Error)
    }

    /// Whether there is a finding of this kind.
    pub fn has(&self, kind: &Kind) -> bool {
        self.findings.iter().any(|finding| finding.id == kind.id)
    }
}
