//! The group commit: one transaction checks a whole batch of tokens and writes their audit records.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{FromRow, QueryBuilder};

use super::events::{EventRow, insert_events};
use super::issuers::{lock_issuers, take_tokens};
use super::{Store, StoreError, Take, Taken, chunks, in_tx};
use crate::domain::event::{Event, EventKind};
use crate::domain::key::Version;
use crate::domain::run::RunState;
use crate::domain::time::Timestamp;

/// A token that is about to be minted: its audit record, and what must be true for it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The record, of kind [`EventKind::TokenMinted`].
    pub event: Event,
    /// In whose name it is minted.
    pub authority: Authority,
    /// The version that signs it.
    pub version: Version,
    /// The foreign token that it is minted for, which is taken with it. All entries of one request
    /// have the same.
    pub take: Option<Take>,
}

/// In whose name a token is minted, by id: looked at inside the transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authority {
    /// A client that still exists.
    Client(String),
    /// A run that is still open.
    Run(String),
    /// A workload whose foreign token is taken with it.
    Workload,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The record is durable; the token may leave.
    Recorded,
    /// The client is gone. The refusal is recorded.
    ClientGone,
    /// The run is closed or has passed its deadline. The refusal is recorded.
    RunEnded(RunState),
    /// The foreign token was taken by another request. The refusal is recorded.
    TakenBefore,
    /// The trusted issuer was removed or changed. The refusal is recorded.
    IssuerChanged,
    /// The version does not sign: this replica's view is stale. Nothing is recorded.
    NotSigning,
}

/// `tokens_until` is rounded up to this many seconds, so that a busy key's row is written once in a
/// while and not with every batch.
const TOKENS_UNTIL_STEP: i64 = 600;

impl Store {
    /// Checks and records a batch, all in one transaction.
    ///
    /// Close, removal and revocation wait for the locks that this takes shared: once one of them has
    /// been answered, no token is recorded, and so none is made, on the strength of what was true
    /// before.
    pub async fn record(&self, batch: &[Entry]) -> Result<Vec<Outcome>, StoreError> {
        let clients = distinct(batch, |entry| match &entry.authority {
            Authority::Client(name) => Some(name.as_str()),
            Authority::Run(_) | Authority::Workload => None,
        });
        let runs = distinct(batch, |entry| match &entry.authority {
            Authority::Client(_) | Authority::Workload => None,
            Authority::Run(id) => Some(id.as_str()),
        });
        let lock = match self {
            // BEGIN IMMEDIATE has shut out all other writers already.
            Self::Sqlite { .. } => "",
            Self::Postgres(_) => " FOR SHARE",
        };
        in_tx!(self, |tx| {
            for (version, until) in tokens_until(batch) {
                const RAISE: &str = "UPDATE key_version SET tokens_until = $1 WHERE version = $2 AND tokens_until < $3";
                let rounded = until.0.div_euclid(TOKENS_UNTIL_STEP) * TOKENS_UNTIL_STEP;
                sqlx::query(RAISE)
                    .bind(rounded + TOKENS_UNTIL_STEP)
                    .bind(version.0)
                    .bind(until.0)
                    .execute(&mut *tx)
                    .await?;
            }
            let mut query =
                QueryBuilder::new("SELECT version FROM key_version WHERE state = 'active'");
            query.push(lock);
            let signing: Option<i64> = query.build_query_scalar().fetch_optional(&mut *tx).await?;

            // What is not recorded for want of a key takes nothing either.
            let takes: BTreeMap<_, _> = batch
                .iter()
                .filter(|entry| signing == Some(entry.version.0))
                .filter_map(|entry| entry.take.as_ref())
                .map(|take| ((take.id.as_str(), take.by.as_str()), take))
                .collect();
            let takes: Vec<&Take> = takes.into_values().collect();
            let revisions = lock_issuers!(self, tx, &takes);

            let mut known_clients = BTreeSet::new();
            for chunk in chunks(&clients) {
                let mut query = QueryBuilder::new("SELECT name FROM client WHERE name IN (");
                let mut names = query.separated(", ");
                for name in chunk {
                    names.push_bind(*name);
                }
                query.push(") ORDER BY name").push(lock);
                let rows: Vec<String> = query.build_query_scalar().fetch_all(&mut *tx).await?;
                known_clients.extend(rows);
            }
            let mut known_runs = BTreeMap::new();
            for chunk in chunks(&runs) {
                let mut query =
                    QueryBuilder::new("SELECT id, expires_at, closed_at FROM run WHERE id IN (");
                let mut ids = query.separated(", ");
                for id in chunk {
                    ids.push_bind(*id);
                }
                query.push(") ORDER BY id").push(lock);
                let rows: Vec<RunTimes> = query.build_query_as().fetch_all(&mut *tx).await?;
                known_runs.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
            }

            let taken = take_tokens!(tx, &takes, &revisions);

            let outcomes: Vec<Outcome> = batch
                .iter()
                .map(|entry| {
                    let taken = match &entry.take {
                        Some(take) => taken.get(&(take.id.as_str(), take.by.as_str())).copied(),
                        None => None,
                    };
                    judge(entry, signing, &known_clients, &known_runs, taken)
                })
                .collect();
            let events: Vec<Event> = batch
                .iter()
                .zip(&outcomes)
                .filter_map(|(entry, outcome)| event_of(entry, *outcome))
                .collect();
            insert_events!(tx, &events);
            outcomes
        })
    }
}

fn judge(
    entry: &Entry,
    signing: Option<i64>,
    clients: &BTreeSet<String>,
    runs: &BTreeMap<String, RunTimes>,
    taken: Option<Taken>,
) -> Outcome {
    if signing != Some(entry.version.0) {
        return Outcome::NotSigning;
    }
    match taken {
        None | Some(Taken::Now) => {}
        Some(Taken::Before) => return Outcome::TakenBefore,
        Some(Taken::IssuerChanged) => return Outcome::IssuerChanged,
    }
    match &entry.authority {
        Authority::Client(name) if clients.contains(name) => Outcome::Recorded,
        Authority::Client(_) => Outcome::ClientGone,
        Authority::Run(id) => match runs.get(id).map(|run| run.state(entry.event.at)) {
            Some(RunState::Open) => Outcome::Recorded,
            Some(ended) => Outcome::RunEnded(ended),
            None => Outcome::RunEnded(RunState::Expired),
        },
        // On the strength of its token alone, so not without one.
        Authority::Workload if taken.is_some() => Outcome::Recorded,
        Authority::Workload => Outcome::TakenBefore,
    }
}

fn event_of(entry: &Entry, outcome: Outcome) -> Option<Event> {
    let reason = match outcome {
        Outcome::Recorded => return Some(entry.event.clone()),
        Outcome::NotSigning => return None,
        Outcome::ClientGone => "the client was removed",
        Outcome::TakenBefore => "the foreign token was taken before",
        Outcome::IssuerChanged => "the trusted issuer was removed or changed",
        Outcome::RunEnded(RunState::Closed) => "the run is closed",
        Outcome::RunEnded(_) => "the run has passed its deadline",
    };
    Some(Event {
        kind: EventKind::TokenRefused,
        jti: None,
        kid: None,
        expires_at: None,
        reason: Some(match &entry.event.reason {
            Some(about) => format!("{reason}; {about}"),
            None => reason.to_owned(),
        }),
        ..entry.event.clone()
    })
}

/// Sorted, so that two replicas take row locks in the same order.
fn distinct<'a>(batch: &'a [Entry], id: impl Fn(&'a Entry) -> Option<&'a str>) -> Vec<&'a str> {
    batch
        .iter()
        .filter_map(id)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn tokens_until(batch: &[Entry]) -> BTreeMap<Version, Timestamp> {
    let mut until = BTreeMap::new();
    for entry in batch {
        if let Some(expires_at) = entry.event.expires_at {
            let latest = until.entry(entry.version).or_insert(expires_at);
            *latest = expires_at.max(*latest);
        }
    }
    until
}

#[derive(FromRow)]
struct RunTimes {
    id: String,
    expires_at: i64,
    closed_at: Option<i64>,
}

impl RunTimes {
    fn state(&self, now: Timestamp) -> RunState {
        RunState::at(
            self.closed_at.map(Timestamp),
            Timestamp(self.expires_at),
            now,
        )
    }
}
