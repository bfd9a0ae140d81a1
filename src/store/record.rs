//! The group commit: one transaction checks a whole batch of tokens and writes their audit records.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sqlx::postgres::PgConnection;
use sqlx::{FromRow, QueryBuilder};

use super::append::{AppendEvents, Conditions};
use super::clients::ClientRow;
use super::issuers::{lock_issuers, take_tokens};
use super::keys::LOCK_KEYS;
use super::{GIVE_UP_SOON, KnownSecret, LARGEST, Store, StoreError, Take, Taken, in_tx, push_list};
use crate::domain::client::Client;
use crate::domain::event::{Event, EventKind};
use crate::domain::key::Version;
use crate::domain::name::Name;
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

/// In whose name a token is minted: looked at inside the transaction.
#[derive(Clone, Debug)]
pub enum Authority {
    /// A client that is as it was when it was looked up.
    Client(Arc<Client>),
    /// The same, and the secret by which it was found is still there.
    Secret(Arc<KnownSecret>),
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
    /// The client is gone, and it showed no secret. The refusal is recorded.
    ClientGone,
    /// The client was changed; or it showed a secret, and that or the client is gone. Nothing is recorded, and no
    /// foreign token taken: look the client up again.
    ClientChanged,
    /// The run is closed or has passed its deadline. The refusal is recorded.
    RunEnded(RunState),
    /// The foreign token was taken by another request. The refusal is recorded.
    TakenBefore,
    /// The trusted issuer was removed or changed. The refusal is recorded.
    IssuerChanged,
    /// The version does not sign: this replica's view is stale. Nothing is recorded.
    NotSigning,
}

/// Each batch stands behind whoever waits for one of the tables, also if it looks at no row of it: who removes a
/// client waits for its runs as well. The statement of every day names these tables, but for the issuers.
const STAND_IN_LINE: &str =
    "LOCK TABLE key_version, trusted_issuer, client, client_secret, run IN ROW SHARE MODE";

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
        if self.record_at_once(batch).await? {
            return Ok(vec![Outcome::Recorded; batch.len()]);
        }
        loop {
            match self.attempt(batch).await? {
                Attempt::Done(outcomes) => return Ok(outcomes),
                Attempt::OutlivesKey(version, until) => {
                    match self.raise_tokens_until(version, until).await {
                        // Another replica may have done it meanwhile. `audit.rs` does not wait for ever.
                        Err(error) if error.gave_up() => {
                            tracing::warn!(%error, "tokens wait for the key's row");
                        }
                        raised => raised?,
                    }
                }
            }
        }
    }

    /// The case of every day, all by one statement: nothing is wrong with any entry of the batch, or
    /// nothing is written. Whether it was.
    async fn record_at_once(&self, batch: &[Entry]) -> Result<bool, StoreError> {
        let Some(first) = batch.first() else {
            return Ok(true);
        };
        let is_plain = |entry: &Entry| {
            entry.version == first.version
                && entry.take.is_none()
                && matches!(entry.authority, Authority::Secret(_) | Authority::Run(_))
        };
        if batch.len() > LARGEST || !batch.iter().all(is_plain) {
            return Ok(false);
        }
        let authorities = Authorities::of(batch);
        let latest = |time: fn(&Event) -> Option<Timestamp>| {
            let times = batch.iter().filter_map(|entry| time(&entry.event));
            times.max().unwrap_or_default().0
        };
        let conditions = Conditions {
            version: first.version.0,
            until: latest(|event| event.expires_at),
            runs: &authorities.runs,
            now: latest(|event| Some(event.at)),
            secrets: &authorities.secrets,
            clients: &authorities.known,
        };
        let events: Vec<&Event> = batch.iter().map(|entry| &entry.event).collect();
        Ok(match self {
            Self::Sqlite { write: pool, .. } => {
                let mut connection = pool.acquire().await?;
                connection.append_events_if(&events, conditions).await?
            }
            Self::Postgres { record, .. } => {
                let mut connection = record.take().await?;
                let mut written = connection.append_events_if(&events, conditions).await;
                if let Err(error) = &written
                    && connection.is_unasked()
                    && was_ended(error)
                {
                    drop(connection);
                    connection = record.take_asked().await?;
                    // It may have been ended when all was done but to say so.
                    written = match is_recorded(&mut connection, &first.event).await {
                        Ok(false) => connection.append_events_if(&events, conditions).await,
                        recorded => recorded,
                    };
                }
                let written = written?;
                connection.keep();
                written
            }
        })
    }

    async fn attempt(&self, batch: &[Entry]) -> Result<Attempt, StoreError> {
        let authorities = Authorities::of(batch);
        let (lock, lock_secret) = match self {
            // BEGIN IMMEDIATE has shut out all other writers already.
            Self::Sqlite { .. } => ("", ""),
            // When it was last used may be written down meanwhile.
            Self::Postgres { .. } => (" FOR SHARE", " FOR KEY SHARE"),
        };
        in_tx!(@record self, |tx| 'judged: {
            if self.is_shared() {
                sqlx::query(STAND_IN_LINE).execute(&mut *tx).await?;
            }
            let mut query = QueryBuilder::new(
                "SELECT version, tokens_until FROM key_version WHERE state = 'active'",
            );
            query.push(lock);
            let key: Option<(i64, i64)> = query.build_query_as().fetch_optional(&mut *tx).await?;
            let signing = key.map(|(version, _)| version);
            let until = latest_expiry(batch, signing);
            if let Some((version, known_until)) = key
                && let Some(until) = until.filter(|until| until.0 > known_until)
            {
                break 'judged Attempt::OutlivesKey(Version(version), until);
            }

            // What is not recorded for want of a key takes nothing either.
            let takes: BTreeMap<_, _> = batch
                .iter()
                .filter(|entry| signing == Some(entry.version.0))
                .filter_map(|entry| entry.take.as_ref())
                .map(|take| ((take.id.as_str(), take.by.as_str()), take))
                .collect();
            let takes: Vec<&Take> = takes.into_values().collect();
            let revisions = lock_issuers!(self, tx, &takes);

            let mut there = There::default();
            for chunk in authorities.clients.chunks(LARGEST) {
                let mut query = QueryBuilder::new(
                    "SELECT name, grants, aws_session_tags, created_at FROM client WHERE name IN ",
                );
                push_list!(query, chunk);
                query.push(" ORDER BY name").push(lock);
                let rows: Vec<ClientRow> = query.build_query_as().fetch_all(&mut *tx).await?;
                // One that cannot be read is not as it was.
                let clients = rows.into_iter().filter_map(|row| Client::try_from(row).ok());
                there.clients.extend(clients.map(|client| (client.name.clone(), client)));
            }
            for chunk in authorities.secrets.chunks(LARGEST) {
                let mut query = QueryBuilder::new("SELECT hash FROM client_secret WHERE hash IN ");
                push_list!(query, chunk);
                query.push(" ORDER BY hash").push(lock_secret);
                let rows: Vec<String> = query.build_query_scalar().fetch_all(&mut *tx).await?;
                there.secrets.extend(rows);
            }
            for chunk in authorities.runs.chunks(LARGEST) {
                let mut query =
                    QueryBuilder::new("SELECT id, expires_at, closed_at FROM run WHERE id IN ");
                push_list!(query, chunk);
                query.push(" ORDER BY id").push(lock);
                let rows: Vec<RunTimes> = query.build_query_as().fetch_all(&mut *tx).await?;
                there.runs.extend(rows.into_iter().map(|row| (row.id.clone(), row)));
            }

            // Nor does what is not recorded because its client is another by now.
            let for_nothing: BTreeSet<_> = batch
                .iter()
                .filter(|entry| !there.has_its_client(entry))
                .filter_map(|entry| entry.take.as_ref())
                .map(|take| (take.id.as_str(), take.by.as_str()))
                .collect();
            let takes: Vec<&Take> = takes
                .into_iter()
                .filter(|take| !for_nothing.contains(&(take.id.as_str(), take.by.as_str())))
                .collect();
            let taken = take_tokens!(tx, &takes, &revisions);

            let outcomes: Vec<Outcome> = batch
                .iter()
                .map(|entry| {
                    let taken = match &entry.take {
                        Some(take) => taken.get(&(take.id.as_str(), take.by.as_str())).copied(),
                        None => None,
                    };
                    judge(entry, signing, &there, taken)
                })
                .collect();
            let events: Vec<Cow<'_, Event>> = batch
                .iter()
                .zip(&outcomes)
                .filter_map(|(entry, outcome)| event_of(entry, *outcome))
                .collect();
            tx.append_events(&events).await?;
            Attempt::Done(outcomes)
        })
    }

    /// Remembers with a key how long its tokens live. Not in the transaction that writes their records: that one
    /// holds the key's row shared. So do those of other replicas, which must not keep this waiting: hence the
    /// table's lock.
    async fn raise_tokens_until(
        &self,
        version: Version,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        const RAISE: &str =
            "UPDATE key_version SET tokens_until = $1 WHERE version = $2 AND tokens_until < $1";
        let rounded = until.0.div_euclid(TOKENS_UNTIL_STEP) * TOKENS_UNTIL_STEP;
        in_tx!(self, |tx| {
            if self.is_shared() {
                for lock in [GIVE_UP_SOON, LOCK_KEYS] {
                    sqlx::query(lock).execute(&mut *tx).await?;
                }
            }
            sqlx::query(RAISE)
                .bind(rounded + TOKENS_UNTIL_STEP)
                .bind(version.0)
                .execute(&mut *tx)
                .await?;
        })
    }
}

/// Whether the server says that it has ended the connection, and does nothing for it any more. One that just
/// breaks may leave a statement behind that is still being carried out.
fn was_ended(error: &sqlx::Error) -> bool {
    // admin_shutdown
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("57P01"))
}

/// Whether this token's record is there, and with it all that were written by the same statement.
async fn is_recorded(connection: &mut PgConnection, event: &Event) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SELECT 1 FROM event WHERE jti = $1 AND at = $2")
        .bind(&event.jti)
        .bind(event.at.0)
        .fetch_optional(connection);
    Ok(row.await?.is_some())
}

/// What came of one attempt to record a batch.
enum Attempt {
    Done(Vec<Outcome>),
    /// A token would live longer than is remembered with its key. Nothing was recorded.
    OutlivesKey(Version, Timestamp),
}

/// What a batch is minted in the name of, and what there is of that.
#[derive(Default)]
struct There {
    clients: BTreeMap<Name, Client>,
    secrets: BTreeSet<String>,
    runs: BTreeMap<String, RunTimes>,
}

impl There {
    /// Whether the client in whose name it is minted, if it is one, is as it was.
    fn has_its_client(&self, entry: &Entry) -> bool {
        match &entry.authority {
            Authority::Client(client) => self.is_as_it_was(client),
            Authority::Secret(_) | Authority::Run(_) | Authority::Workload => true,
        }
    }

    fn is_as_it_was(&self, client: &Client) -> bool {
        self.clients.get(&client.name) == Some(client)
    }
}

fn judge(entry: &Entry, signing: Option<i64>, there: &There, taken: Option<Taken>) -> Outcome {
    if signing != Some(entry.version.0) {
        return Outcome::NotSigning;
    }
    if let Authority::Client(client) = &entry.authority
        && !there.is_as_it_was(client)
    {
        return match there.clients.get(&client.name) {
            Some(_) => Outcome::ClientChanged,
            None => Outcome::ClientGone,
        };
    }
    match taken {
        None | Some(Taken::Now) => {}
        Some(Taken::Before) => return Outcome::TakenBefore,
        Some(Taken::IssuerChanged) => return Outcome::IssuerChanged,
    }
    match &entry.authority {
        Authority::Client(_) => Outcome::Recorded,
        Authority::Secret(known)
            if there.secrets.contains(&known.hash) && there.is_as_it_was(&known.client) =>
        {
            Outcome::Recorded
        }
        Authority::Secret(_) => Outcome::ClientChanged,
        Authority::Run(id) => match there.runs.get(id).map(|run| run.state(entry.event.at)) {
            Some(RunState::Open) => Outcome::Recorded,
            Some(ended) => Outcome::RunEnded(ended),
            None => Outcome::RunEnded(RunState::Expired),
        },
        // On the strength of its token alone, so not without one.
        Authority::Workload if taken.is_some() => Outcome::Recorded,
        Authority::Workload => Outcome::TakenBefore,
    }
}

fn event_of(entry: &Entry, outcome: Outcome) -> Option<Cow<'_, Event>> {
    let reason = match outcome {
        Outcome::Recorded => return Some(Cow::Borrowed(&entry.event)),
        Outcome::NotSigning | Outcome::ClientChanged => return None,
        Outcome::ClientGone => "the client was removed",
        Outcome::TakenBefore => "the foreign token was taken before",
        Outcome::IssuerChanged => "the trusted issuer was removed or changed",
        Outcome::RunEnded(RunState::Closed) => "the run is closed",
        Outcome::RunEnded(_) => "the run has passed its deadline",
    };
    Some(Cow::Owned(Event {
        kind: EventKind::TokenRefused,
        jti: None,
        kid: None,
        expires_at: None,
        reason: Some(match &entry.event.reason {
            Some(about) => format!("{reason}; {about}"),
            None => reason.to_owned(),
        }),
        ..entry.event.clone()
    }))
}

/// In whose names a batch is minted. Each list is sorted, so that two replicas take row locks in the same
/// order, and nothing is in it twice.
struct Authorities<'a> {
    /// All clients, by name.
    clients: Vec<&'a str>,
    /// Those that showed a secret, as they were known by it; two that were known differently are two.
    known: Vec<&'a KnownSecret>,
    /// The secrets, by hash.
    secrets: Vec<&'a str>,
    /// The runs, by id.
    runs: Vec<&'a str>,
}

impl<'a> Authorities<'a> {
    fn of(batch: &'a [Entry]) -> Self {
        let mut known = BTreeMap::new();
        let (mut clients, mut secrets, mut runs) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for entry in batch {
            match &entry.authority {
                Authority::Client(client) => {
                    clients.insert(client.name.as_str());
                }
                Authority::Secret(secret) => {
                    let client = &secret.client;
                    clients.insert(client.name.as_str());
                    secrets.insert(secret.hash.as_str());
                    let was = (
                        client.name.as_str(),
                        secret.grants.as_str(),
                        client.aws_session_tags,
                    );
                    known.insert(was, &**secret);
                }
                Authority::Run(id) => {
                    runs.insert(id.as_str());
                }
                Authority::Workload => {}
            }
        }
        Self {
            clients: clients.into_iter().collect(),
            known: known.into_values().collect(),
            secrets: secrets.into_iter().collect(),
            runs: runs.into_iter().collect(),
        }
    }
}

/// When the last token of the batch by the key that signs expires.
fn latest_expiry(batch: &[Entry], signing: Option<i64>) -> Option<Timestamp> {
    batch
        .iter()
        .filter(|entry| signing == Some(entry.version.0))
        .filter_map(|entry| entry.event.expires_at)
        .max()
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
