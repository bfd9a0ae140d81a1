//! Connections that stay with what is asked all the time. A pool asks a connection before each use and
//! after it whether it is still there, which for a batch of tokens is as much talk as the batch itself.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool};

/// A pool, and one connection of it at hand.
#[derive(Debug)]
pub struct Line<DB: Database> {
    pool: Pool<DB>,
    /// Nothing stays at hand if others need the pool's connections as well.
    keeps: bool,
    at_hand: Mutex<Option<AtHand<DB>>>,
    breaks: Breaks,
}

/// How many connections broke, of all lines to one database: where one has, the others are suspect.
#[derive(Clone, Debug, Default)]
pub(super) struct Breaks(Arc<AtomicU64>);

#[derive(Debug)]
struct AtHand<DB: Database> {
    connection: PoolConnection<DB>,
    breaks: u64,
    since: Instant,
    used: Instant,
}

/// A connection in use. Dropped without [`InUse::keep`] it goes back to its pool, which looks at it.
#[derive(Debug)]
pub(super) struct InUse<'a, DB: Database> {
    connection: PoolConnection<DB>,
    line: &'a Line<DB>,
    since: Instant,
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

/// And after this time it is given back, so that the pool may replace what has grown old.
const AT_HAND: Duration = Duration::from_mins(1);

impl<DB: Database> Line<DB> {
    /// With a pool of its own.
    pub(super) fn new(pool: Pool<DB>, breaks: Breaks) -> Self {
        Self {
            pool,
            keeps: true,
            at_hand: Mutex::new(None),
            breaks,
        }
    }

    /// With a pool that others use.
    pub(super) fn shared(pool: Pool<DB>) -> Self {
        Self {
            keeps: false,
            ..Self::new(pool, Breaks::default())
        }
    }

    /// The connection at hand if it may be used unasked, and one of the pool otherwise.
    pub(super) async fn take(&self) -> Result<InUse<'_, DB>, sqlx::Error> {
        let breaks = self.breaks.count();
        let at_hand = self.take_at_hand().filter(|at_hand| {
            at_hand.breaks == breaks
                && at_hand.used.elapsed() < IDLE
                && at_hand.since.elapsed() < AT_HAND
        });
        Ok(match at_hand {
            Some(AtHand {
                connection, since, ..
            }) => InUse {
                connection,
                line: self,
                since,
                unasked: Some(Unasked {
                    breaks: self.breaks.clone(),
                    is_kept: false,
                }),
            },
            None => InUse {
                connection: self.pool.acquire().await?,
                line: self,
                since: Instant::now(),
                unasked: None,
            },
        })
    }

    /// The pool itself, with all its connections.
    pub fn pool(&self) -> &Pool<DB> {
        drop(self.take_at_hand());
        &self.pool
    }

    fn take_at_hand(&self) -> Option<AtHand<DB>> {
        self.place().take()
    }

    fn place(&self) -> MutexGuard<'_, Option<AtHand<DB>>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Breaks {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<DB: Database> InUse<'_, DB> {
    /// Whether nobody has asked this connection before: what fails on it may succeed on another.
    pub(super) fn is_unasked(&self) -> bool {
        self.unasked.is_some()
    }

    /// It has done what it was asked: it stays at hand.
    pub(super) fn keep(self) {
        if let Some(mut unasked) = self.unasked {
            unasked.is_kept = true;
        }
        let at_hand = AtHand {
            connection: self.connection,
            breaks: self.line.breaks.count(),
            since: self.since,
            used: Instant::now(),
        };
        if self.line.keeps {
            *self.line.place() = Some(at_hand);
        }
    }
}

impl<DB: Database> Deref for InUse<'_, DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<DB: Database> DerefMut for InUse<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl Drop for Unasked {
    fn drop(&mut self) {
        if !self.is_kept {
            self.breaks.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
