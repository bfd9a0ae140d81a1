//! The database: SQLite for one machine, Postgres for several replicas. The only user of `sqlx`.
//!
//! One text of SQL serves both. A method is a use case and one transaction; none hands out a
//! connection. Races are settled by guarded writes (a write that changed nothing is
//! [`StoreError::LostRace`]), a lease row and unique indexes; there are no advisory locks.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteError, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

mod append;
mod clients;
mod events;
mod issuers;
mod keys;
mod line;
mod operators;
mod record;
mod runs;
mod secrets;

pub use clients::AddClient;
pub use events::{EventFilter, LiveToken, StoredEvent};
pub use issuers::{Take, Taken};
pub use keys::{Lease, NewKey};
pub use line::Line;
pub use record::{Authority, Entry, Outcome};
pub use runs::{AddRun, MintedToken, RunFilter, Word};
pub use secrets::{KnownSecret, OpenSession};

/// The database, chosen once, at start, by its URL.
#[derive(Clone, Debug)]
pub enum Store {
    /// One file, or memory.
    Sqlite {
        /// Connections that read.
        read: SqlitePool,
        /// The one that writes. SQLite lets one write at a time and is not fair about whose turn it
        /// is; the queue before this connection is.
        write: SqlitePool,
    },
    /// A server that several replicas share.
    Postgres {
        /// Connections for everything else.
        pool: PgPool,
        /// The one that records tokens: always the same, so that its plans and caches are warm.
        record: Arc<Line>,
        /// The one that finds out whose secret it is.
        lookup: Arc<Line>,
    },
}

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is one of that name already.
    #[error("{0} exists already")]
    Conflict(&'static str),
    /// A row says something that this program never writes.
    #[error("the database holds {0}, which this version of runmint does not understand")]
    Corrupt(String),
    /// Somebody else changed the row, or took the lease, first. Nothing was written.
    #[error("somebody else changed it first; nothing was written")]
    LostRace,
    /// There are as many of them as there may be.
    #[error("there are two {0} already; remove one of them first")]
    TwoAlready(&'static str),
    /// The database could not be reached or did not answer.
    #[error("the database did not answer: {0}")]
    Unavailable(#[from] sqlx::Error),
    /// What was asked for several callers at once failed for all of them.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    Timeout,
    /// The tables could not be brought up to date.
    #[error("the tables could not be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The URL of the store is none.
    #[error("`store.url` {0}")]
    Url(String),
}

impl StoreError {
    /// Whether the database is there and refuses what it was sent: the same will be refused again,
    /// other things need not be.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unavailable(sqlx::Error::Database(error)) if !is_busy(&**error))
    }

    /// Whether it gave up after waiting for what another has locked.
    pub fn gave_up(&self) -> bool {
        // lock_not_available
        matches!(self, Self::Unavailable(sqlx::Error::Database(error))
            if error.code().as_deref() == Some("55P03"))
    }
}

/// Connections to Postgres beside those of the pool: that which records, and that which looks up.
const LINES: u32 = 2;

/// How long to wait for a connection before giving up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a writer waits for another process that holds SQLite's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A writer that waits for a table's lock keeps all that come after it waiting, so it gives up soon and
/// is tried again later.
const GIVE_UP_SOON: &str = "SET LOCAL lock_timeout = '2s'";

/// A replica that stalls in the middle of a transaction loses it, and with it the locks that it holds.
const NO_IDLE_TRANSACTIONS: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// How often to open a SQLite file that another process is just making, and how long to wait between.
const BUSY_ATTEMPTS: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Runs one statement that reads on whichever pool this store holds.
macro_rules! on_pool {
    ($store:expr, |$pool:ident| $body:expr) => {
        match $store {
            Store::Sqlite { read: $pool, .. } => $body,
            Store::Postgres { pool: $pool, .. } => $body,
        }
    };
}

/// Runs one statement that finds out whose secret it is; on Postgres once more, on another connection, if
/// the first turns out to be broken.
macro_rules! on_lookup {
    ($store:expr, |$connection:ident| $body:expr) => {
        match $store {
            Store::Sqlite {
                read: $connection, ..
            } => $body,
            Store::Postgres { lookup, .. } => loop {
                let mut in_use = lookup.take().await?;
                let $connection = &mut *in_use;
                match $body {
                    Err(_) if in_use.is_unasked() => {}
                    Err(error) => break Err(error),
                    Ok(found) => {
                        in_use.keep();
                        break Ok(found);
                    }
                }
            },
        }
    };
}

/// Runs one statement that writes.
macro_rules! on_writer {
    ($store:expr, |$pool:ident| $body:expr) => {
        match $store {
            Store::Sqlite { write: $pool, .. } => $body,
            Store::Postgres { pool: $pool, .. } => $body,
        }
    };
}

/// Runs several statements in one write transaction; `?` in the body rolls it back, and `return` as well.
macro_rules! in_tx {
    ($store:expr, |$tx:ident| $body:expr) => {
        match $store {
            Store::Sqlite { write: pool, .. } => in_tx!(@run pool, "BEGIN IMMEDIATE", $tx, $body),
            Store::Postgres { pool, .. } => in_tx!(@run pool, "BEGIN", $tx, $body),
        }
    };
    (@record $store:expr, |$tx:ident| $body:expr) => {
        match $store {
            Store::Sqlite { write: pool, .. } => in_tx!(@run pool, "BEGIN IMMEDIATE", $tx, $body),
            Store::Postgres { record, .. } => {
                let mut in_use = record.take_asked().await?;
                let mut $tx = sqlx::Connection::begin_with(&mut *in_use, "BEGIN").await?;
                let out = $body;
                $tx.commit().await?;
                in_use.keep();
                Ok(out)
            }
        }
    };
    (@run $pool:ident, $begin:literal, $tx:ident, $body:expr) => {{
        let mut $tx = $pool.begin_with($begin).await?;
        let out = $body;
        $tx.commit().await?;
        Ok(out)
    }};
}

/// Binds a list of texts into a query, `($1, $2, …)`; its last places repeat the last text.
macro_rules! push_list {
    ($query:ident, $texts:expr) => {{
        let texts: &[&str] = $texts;
        let last = texts.last().copied().unwrap_or_default();
        let padded = texts.iter().copied().chain(std::iter::repeat(last));
        $query.push("(");
        let mut list = $query.separated(", ");
        for text in padded.take(crate::store::places(texts)) {
            list.push_bind(text);
        }
        $query.push(")");
    }};
}

use line::Breaks;
use {in_tx, on_lookup, on_pool, on_writer, push_list};

impl Store {
    /// Connects and brings the tables up to date.
    ///
    /// `url` is `sqlite:PATH`, `sqlite::memory:` or `postgres://…`. A SQLite file is made with mode
    /// 0600 if it is not there.
    ///
    /// # Errors
    /// The URL is none, the database cannot be reached, or its tables are newer than this program.
    pub async fn connect(url: &str, connections: u32) -> Result<Self, StoreError> {
        let store = match url.split_once(':') {
            Some(("sqlite", "memory:" | ":memory:")) => Self::memory().await?,
            Some(("sqlite", path)) => Self::open_file(path, connections).await?,
            Some(("postgres" | "postgresql", _)) => {
                let options = PgConnectOptions::from_str(url)
                    .map_err(|_| StoreError::Url("is not a valid `postgres://` URL".to_owned()))?
                    .application_name("runmint");
                let breaks = Breaks::default();
                let line = || Arc::new(Line::new(options.clone(), breaks.clone()));
                let (record, lookup) = (line(), line());
                let pool = PgPoolOptions::new()
                    .max_connections(connections.saturating_sub(LINES).max(1))
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .after_connect(|connection, _| Box::pin(prepare(connection)));
                let pool = pool.connect_with(options.clone()).await;
                let pool = match pool {
                    // The pool has tried again and again; a single connection says why in vain.
                    Err(sqlx::Error::PoolTimedOut) => {
                        tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect())
                            .await
                            .map_err(|_| StoreError::Timeout)??;
                        return Err(StoreError::Timeout);
                    }
                    other => other?,
                };
                Self::Postgres {
                    pool,
                    record,
                    lookup,
                }
            }
            _ => {
                return Err(StoreError::Url(
                    "must start with `sqlite:` or `postgres://`".to_owned(),
                ));
            }
        };
        store.migrate().await?;
        Ok(store)
    }

    /// Whether the database takes writes at this moment: one that only answers is none to mint with.
    ///
    /// # Errors
    /// It takes none: it is away, a standby, locked by another process, or its disk is full.
    pub async fn takes_writes(&self) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE rotation SET revision = revision WHERE id = 1";
        on_writer!(self, |pool| sqlx::query(SQL).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// Whether several replicas share this database.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// Closes the connections; what is under way is finished first.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                tokio::join!(write.close(), read.close());
            }
            Self::Postgres {
                pool,
                record,
                lookup,
            } => {
                tokio::join!(record.close(), lookup.close(), pool.close());
            }
        }
    }

    async fn memory() -> Result<Self, StoreError> {
        // Each connection to memory is a database of its own, so there is one, and it stays.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(
                SqliteConnectOptions::new()
                    .in_memory(true)
                    .foreign_keys(true),
            )
            .await?;
        Ok(Self::Sqlite {
            read: pool.clone(),
            write: pool,
        })
    }

    async fn open_file(path: &str, connections: u32) -> Result<Self, StoreError> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(StoreError::Url("names no file after `sqlite:`".to_owned()));
        }
        create_private(Path::new(path))
            .map_err(|error| StoreError::Url(format!("cannot be opened: {path}: {error}")))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            // FULL, because an audit record must outlive a power cut, and with WAL only FULL does.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true);
        let pool = |connections, options| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                // A file does not go away.
                .test_before_acquire(false)
                .connect_with(options)
        };
        // WAL is a property of the file, so the writer's word is enough. While another process gives
        // it, SQLite answers "locked" at once, whatever the timeout.
        let mut attempt = 0;
        let write = loop {
            let options = options.clone().journal_mode(SqliteJournalMode::Wal);
            match pool(1, options).await {
                Err(sqlx::Error::Database(error))
                    if is_busy(&*error) && attempt < BUSY_ATTEMPTS =>
                {
                    attempt += 1;
                    tokio::time::sleep(BUSY_PAUSE).await;
                }
                other => break other?,
            }
        };
        Ok(Self::Sqlite {
            read: pool(connections, options).await?,
            write,
        })
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        match self {
            // One write transaction around all of it: sqlx takes no lock on SQLite, and two
            // processes that start at once would both make the tables.
            Self::Sqlite { write, .. } => {
                let mut tx = write.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::migrate!("migrations/sqlite")
                    .run_direct(None, &mut *tx, false)
                    .await?;
                tx.commit().await?;
            }
            Self::Postgres { pool, .. } => sqlx::migrate!("migrations/postgres").run(pool).await?,
        }
        Ok(())
    }
}

/// What every connection to Postgres begins with.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(NO_IDLE_TRANSACTIONS)
        .execute(connection)
        .await?;
    Ok(())
}

/// A guarded write that changed nothing was overtaken.
fn exactly_one(rows: u64) -> Result<(), StoreError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(StoreError::LostRace)
    }
}

/// `SQLITE_BUSY`, also in its extended forms. Postgres has numbers of its own.
fn is_busy(error: &dyn DatabaseError) -> bool {
    let error = error.try_downcast_ref::<SqliteError>();
    let code = error.and_then(DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// As many things go into one statement at most.
const LARGEST: usize = 512;

/// How many places a statement over `items` has: a power of two, so that it has one of a few texts and
/// stays prepared. Those that are left over hold what changes nothing.
fn places<T>(items: &[T]) -> usize {
    items.len().next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_have_few_texts_and_room_for_all() {
        let sizes: std::collections::BTreeSet<usize> = (1..=LARGEST)
            .map(|length| {
                let places = places(&vec![(); length]);
                assert!(places >= length);
                places
            })
            .collect();
        assert_eq!(
            sizes.into_iter().collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
        );
    }
}
