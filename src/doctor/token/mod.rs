//! A token taken apart: the file, the text, header and claims, times, the signature and its key.
//!
//! [`FileSeen`] and [`Keys`] are what is read and fetched; [`judge`] says what is wrong, and touches
//! nothing. The token itself and its signature are never said, whatever is found.

mod content;
mod file;
mod keys;
mod limits;
mod signature;
#[cfg(test)]
mod tests;
mod text;
mod times;
mod version;

pub use self::file::FileSeen;
pub use self::keys::Keys;
pub use self::text::{Token, extract};
pub use self::version::Versions;
use crate::doctor::Report;
use crate::domain::time::Timestamp;

/// What was seen of a token and of those who can speak for it.
#[derive(Debug)]
pub struct Seen {
    /// The file, or what was given in its place.
    pub file: FileSeen,
    /// The issuer that it should name, if that was said.
    pub issuer: Option<String>,
    /// The published keys.
    pub keys: Keys,
    /// The server's own list of key versions.
    pub versions: Versions,
}

/// Says what a relying party would find wrong.
pub fn judge(seen: &Seen, now: Timestamp) -> Report {
    let mut report = Report::default();
    file::judge(&seen.file, &mut report);
    let Some(content) = &seen.file.content else {
        return report;
    };
    let (findings, token) = extract(content);
    report.findings.extend(findings);
    let Some(token) = token else { return report };
    content::judge(&token, &mut report);
    times::judge(&token, now, &mut report);
    limits::judge(&token, &mut report);
    signature::judge_issuer(&token, seen.issuer.as_deref(), &mut report);
    signature::judge(&token, &seen.keys, &mut report);
    version::judge(&token, &seen.versions, &mut report);
    report
}
