//! Which known errors stand in a log, and where.
//!
//! All patterns are tried at once, then those that hit at all each on their own. Where several hit the
//! same message, the entry of the highest priority is meant. A frame is meant only if what it wraps is
//! not known: it has a box, or the lines around it, to look for that.

use std::collections::BTreeMap;
use std::ops::Range;

use super::catalogue::{CATALOGUE, Entry};
use super::text::{Log, Version};

/// A known error that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The error.
    pub entry: &'static Entry,
    /// The lines in which it begins, from 1; one for each time.
    pub lines: Vec<usize>,
    /// What stands at the first of them, secrets masked.
    pub excerpt: String,
}

/// One hit.
#[derive(Debug)]
struct Hit<'a> {
    entry: &'static Entry,
    version: &'a Version,
    span: Range<usize>,
    /// The first and the last piece.
    pieces: (usize, usize),
}

/// What a frame wraps stands in the lines after it, or, in a traceback, before it.
const AFTER_A_FRAME: usize = 12;
const BEFORE_A_FRAME: usize = 3;

/// The known errors in a log, in the order in which they first appear.
pub(super) fn search(log: &Log) -> Vec<Found> {
    let mut hits = hits_in(log, &log.flat);
    hits.extend(hits_in(log, &log.lined));
    // Errors by where they begin; of one that hit twice there, the hit that reaches farther.
    hits.sort_by_key(|hit| (hit.pieces.0, std::cmp::Reverse(hit.pieces.1)));
    let hits = without_general(hits, log);
    let hits = without_explained_frames(hits, log);
    let mut by_entry: BTreeMap<&str, Vec<Hit<'_>>> = BTreeMap::new();
    for hit in hits {
        by_entry.entry(&hit.entry.id).or_default().push(hit);
    }
    let found = by_entry.values().filter_map(|hits| found(hits, log));
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(at, found)| (*at, &found.entry.id));
    found.into_iter().map(|(_, found)| found).collect()
}

/// All hits of one entry as one, and the piece in which it first begins.
fn found(hits: &[Hit<'_>], log: &Log) -> Option<(usize, Found)> {
    let first = hits.first()?;
    let mut lines = Vec::new();
    let mut seen = None;
    for hit in hits {
        let (begin, end) = messages(hit, log);
        // Otherwise it is the same message once more.
        if seen.is_none_or(|seen| seen < begin) {
            lines.push(log.pieces[hit.pieces.0].line);
        }
        seen = seen.max(Some(end));
    }
    let found = Found {
        entry: first.entry,
        lines,
        excerpt: first.version.excerpt(&first.span),
    };
    Some((first.pieces.0, found))
}

fn hits_in<'a>(log: &Log, version: &'a Version) -> Vec<Hit<'a>> {
    let text = version.text.as_bytes();
    if log.pieces.is_empty() {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for at in &CATALOGUE.any.matches(text) {
        let (entry, pattern) = &CATALOGUE.patterns[at];
        hits.extend(pattern.find_iter(text).map(|hit| Hit {
            entry: &CATALOGUE.entries[*entry],
            version,
            span: hit.range(),
            pieces: version.pieces(&hit.range()),
        }));
    }
    hits
}

/// The first and the last message that a hit stands in.
fn messages(hit: &Hit<'_>, log: &Log) -> (usize, usize) {
    let (first, last) = hit.pieces;
    (log.pieces[first].message, log.pieces[last].message)
}

/// Without what hit the same message as something of a higher priority.
fn without_general<'a>(mut hits: Vec<Hit<'a>>, log: &Log) -> Vec<Hit<'a>> {
    let mut best = vec![0; log.messages()];
    for hit in &hits {
        let (first, last) = messages(hit, log);
        for priority in &mut best[first..=last] {
            *priority = hit.entry.priority.max(*priority);
        }
    }
    hits.retain(|hit| {
        let (first, last) = messages(hit, log);
        best[first..=last]
            .iter()
            .all(|priority| *priority <= hit.entry.priority)
    });
    hits
}

/// Without frames whose reason stands beside them. A box is a message of its own: what it wraps would
/// stand in it.
fn without_explained_frames<'a>(mut hits: Vec<Hit<'a>>, log: &Log) -> Vec<Hit<'a>> {
    let reasons = hits.iter().filter(|hit| !hit.entry.is_frame());
    let reasons: Vec<_> = reasons
        .filter(|hit| !log.pieces[hit.pieces.0].is_boxed)
        .map(|hit| (messages(hit, log).0, hit.entry.relying_party.family()))
        .collect();
    hits.retain(|hit| {
        if !hit.entry.is_frame() || log.pieces[hit.pieces.0].is_boxed {
            return true;
        }
        let (first, last) = messages(hit, log);
        let family = hit.entry.relying_party.family();
        let from = reasons.partition_point(|(at, _)| at + BEFORE_A_FRAME < first);
        let near = reasons[from..]
            .iter()
            .take_while(|(at, _)| *at <= last + AFTER_A_FRAME);
        !near.into_iter().any(|(_, of)| *of == family)
    });
    hits
}
