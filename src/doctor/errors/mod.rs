//! `error`: the known errors in a log, with cause and cure.

mod catalogue;
mod search;
mod text;

pub use self::catalogue::{Check, Class, Entry, Family, RelyingParty, all};
pub use self::search::Found;

use self::text::Log;
use super::kinds::error::UNKNOWN;
use super::{Finding, Report, Severity};

/// The known errors in a log, in the order in which they first appear: each once, with all its lines.
pub fn find(log: &str) -> Vec<Found> {
    search::search(&Log::read(log))
}

/// What [`find`] finds, as findings. One that only wraps another, which is not known, is a
/// warning.
pub fn report(log: &str) -> Report {
    let log = Log::read(log);
    let found = search::search(&log);
    let mut report = Report::default();
    report.fact("lines", log.lines.to_string());
    report.fact("known errors", found.len().to_string());
    if found.is_empty() {
        report.add(Finding::new(&UNKNOWN, "no known error stands in it"));
    }
    for error in &found {
        report.add(error.finding());
    }
    report
}

/// How many further lines are named.
const FURTHER: usize = 8;

impl Found {
    /// As a finding.
    fn finding(&self) -> Finding {
        let entry = self.entry;
        let first = self.lines.first().copied().unwrap_or_default();
        let place = match self.lines.len() {
            1 => format!("line {first}"),
            times => format!("{times} times, first in line {first}"),
        };
        let severity = if entry.wraps {
            Severity::Warning
        } else {
            Severity::Error
        };
        let says = format!(
            "{}: {} ({place})",
            entry.relying_party.name(),
            entry.meaning()
        );
        let mut shown = vec![format!("{first}: {}", self.excerpt)];
        shown.extend(self.further());
        Finding {
            id: &entry.id,
            severity,
            what: says,
            shown,
            why: entry.cause.clone(),
            fix: format!("{}\nNext: `{}`", entry.fix, entry.next().command()),
            source: entry.source.clone(),
        }
    }

    /// Where else it stands.
    fn further(&self) -> Option<String> {
        let further = self.lines.get(1..).unwrap_or_default();
        if further.is_empty() {
            return None;
        }
        let named: Vec<_> = further.iter().take(FURTHER).map(usize::to_string).collect();
        let rest = further.len() - named.len();
        let rest = match rest {
            0 => String::new(),
            rest => format!(" and {rest} more"),
        };
        Some(format!("also in line {}{rest}", named.join(", ")))
    }
}
