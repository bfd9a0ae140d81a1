//! What operators may do: keys, clients, runs, and the audit log.

pub(super) mod clients;
pub(super) mod events;
mod exposure;
pub(super) mod keys;
pub(super) mod runs;

/// How many rows a page has when nothing is asked for, and at most.
const PAGE: (i64, i64) = (100, 1_000);

fn page_size(limit: Option<i64>) -> i64 {
    limit.unwrap_or(PAGE.0).clamp(1, PAGE.1)
}
