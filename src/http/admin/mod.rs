//! What operators may do: keys, clients and their secrets, trusted issuers, operators, runs, and the
//! audit log.

pub(super) mod clients;
pub(super) mod events;
mod exposure;
pub(super) mod issuers;
pub(super) mod keys;
pub(super) mod operators;
pub(super) mod runs;
pub(super) mod secrets;

use tracing::Instrument;

use super::error::Problem;

/// Runs a change of keys to its end, also when the operator's connection is gone or the request has
/// taken too long: it is one transaction, and what came of it is in the audit log.
pub(super) async fn uninterrupted<T: Send + 'static>(
    change: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    tokio::spawn(change.in_current_span())
        .await
        .unwrap_or_else(|_| Err(Problem::internal()))
}

/// How many rows a page has when nothing is asked for, and at most.
const PAGE: (i64, i64) = (100, 1_000);

fn page_size(limit: Option<i64>) -> i64 {
    limit.unwrap_or(PAGE.0).clamp(1, PAGE.1)
}
