//! Connections that stay with what is asked all the time. A pool asks a connection before each use and
//! after it whether it is still there, which for a batch of tokens is as much talk as the batch itself.

use std::fmt;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::{Mutex, MutexGuard};

use super::{ACQUIRE_TIMEOUT, prepare};

/// One connection to Postgres, for one use after the other.
pub struct Line {
    options: PgConnectOptions,
    slot: Mutex<Slot>,
    breaks: Breaks,
}

/// How many connections broke, of all lines to one database: where one has, the others are suspect.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaks(Arc<AtomicU64>);

#[derive(Debug)]
enum Slot {
    Empty,
    AtHand(AtHand),
    Closed,
}

#[derive(Debug)]
struct AtHand {
    connection: PgConnection,
    /// Of all lines, when it was last taken.
    breaks: u64,
    since: Instant,
    used: Instant,
}

/// The connection in use. Dropped without [`InUse::keep`] it is closed.
#[derive(Debug)]
pub(super) struct InUse<'a> {
    slot: MutexGuard<'a, Slot>,
    connection: PgConnection,
    since: Instant,
    breaks: u64,
    unasked: Option<Unasked>,
}

/// Nobody asked a connection whether it is still there. Unless it is kept, it counts as broken.
#[derive(Debug)]
struct Unasked {
    breaks: Breaks,
    is_kept: bool,
}

/// A connection that was idle for longer is asked whether it is still there.
const IDLE: Duration = Duration::from_secs(1);

/// One that is older is replaced, as pools do it, so that no server keeps what it has cached for ever.
const LIFETIME: Duration = Duration::from_mins(30);

/// A connection that takes longer to answer that is taken for broken.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait before a server that is just starting, or full, is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Settings of a connection, and their values.
const SETTINGS: [(&str, &str); 5] = [
    // Whoever waits for a statement has given up by then: it must not pile up behind a lock, or be carried
    // out later.
    ("statement_timeout", "5s"),
    // A plan is made once, and then perhaps for tables that have just been created. What is asked for here
    // has a key, so it is looked up by that, however small the table and whatever the list.
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

impl Line {
    pub(super) fn new(options: PgConnectOptions, breaks: Breaks) -> Self {
        Self {
            options,
            slot: Mutex::new(Slot::Empty),
            breaks,
        }
    }

    /// Waits for its turn; opens the connection if there is none, or none that can be trusted.
    pub(super) async fn take(&self) -> Result<InUse<'_>, sqlx::Error> {
        self.in_time(IDLE).await
    }

    /// The same, and has the connection asked whether it is still there.
    pub(super) async fn take_asked(&self) -> Result<InUse<'_>, sqlx::Error> {
        self.in_time(Duration::ZERO).await
    }

    async fn in_time(&self, idle: Duration) -> Result<InUse<'_>, sqlx::Error> {
        tokio::time::timeout(ACQUIRE_TIMEOUT, self.trusted(idle))
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn trusted(&self, idle: Duration) -> Result<InUse<'_>, sqlx::Error> {
        let mut slot = self.slot.lock().await;
        let breaks = self.breaks.count();
        let at_hand = match std::mem::replace(&mut *slot, Slot::Empty) {
            Slot::AtHand(at_hand) if at_hand.since.elapsed() < LIFETIME => Some(at_hand),
            Slot::AtHand(_) | Slot::Empty => None,
            Slot::Closed => {
                *slot = Slot::Closed;
                return Err(sqlx::Error::PoolClosed);
            }
        };
        let is_unasked = at_hand
            .as_ref()
            .is_some_and(|it| it.breaks == breaks && it.used.elapsed() < idle);
        let trusted = match at_hand {
            Some(mut at_hand) if !is_unasked => {
                let asked = tokio::time::timeout(PATIENCE, at_hand.connection.ping());
                if matches!(asked.await, Ok(Ok(()))) {
                    Some(at_hand)
                } else {
                    self.breaks.add();
                    None
                }
            }
            unasked_or_none => unasked_or_none,
        };
        let (connection, since) = match trusted {
            Some(at_hand) => (at_hand.connection, at_hand.since),
            None => (self.connect().await?, Instant::now()),
        };
        Ok(InUse {
            slot,
            connection,
            since,
            breaks,
            unasked: is_unasked.then(|| Unasked {
                breaks: self.breaks.clone(),
                is_kept: false,
            }),
        })
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = loop {
            match PgConnection::connect_with(&self.options).await {
                Err(error) if is_passing(&error) => tokio::time::sleep(RETRY).await,
                other => break other?,
            }
        };
        prepare(&mut connection).await?;
        for (name, value) in SETTINGS {
            sqlx::query("SELECT set_config($1, $2, FALSE)")
                .bind(name)
                .bind(value)
                .execute(&mut connection)
                .await?;
        }
        Ok(connection)
    }

    /// Closes the connection when whoever uses it has done so; there will be none after it.
    pub async fn close(&self) {
        let mut slot = self.slot.lock().await;
        if let Slot::AtHand(at_hand) = std::mem::replace(&mut *slot, Slot::Closed) {
            // The server notices in any case.
            let _ = at_hand.connection.close().await;
        }
    }
}

/// Whether a server that answers so may take connections in a moment.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == ErrorKind::ConnectionRefused,
        // cannot_connect_now, too_many_connections
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some("57P03" | "53300"))
        }
        _ => false,
    }
}

impl fmt::Debug for Line {
    // The options know a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Breaks {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl InUse<'_> {
    /// Whether nobody has asked this connection before: what fails on it may succeed on another.
    pub(super) fn is_unasked(&self) -> bool {
        self.unasked.is_some()
    }

    /// It has done what it was asked: it stays at hand.
    pub(super) fn keep(mut self) {
        if let Some(mut unasked) = self.unasked {
            unasked.is_kept = true;
        }
        *self.slot = Slot::AtHand(AtHand {
            connection: self.connection,
            breaks: self.breaks,
            since: self.since,
            used: Instant::now(),
        });
    }
}

impl Deref for InUse<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl DerefMut for InUse<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl Drop for Unasked {
    fn drop(&mut self) {
        if !self.is_kept {
            self.breaks.add();
        }
    }
}
