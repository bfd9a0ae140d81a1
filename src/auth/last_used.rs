//! When secrets were last used: written down beside the request that used them, which neither waits
//! for it nor fails over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Semaphore;

use super::{CallingClient, Operator};
use crate::domain::operator::CONFIGURED;
use crate::domain::secret::USE_STEP;
use crate::domain::time::Timestamp;
use crate::store::Store;

/// Which secret was used, when that is news.
#[derive(Clone, Debug)]
pub(super) enum Use {
    /// Of a client.
    Client { hash: String },
    /// A configured admin token; whether that is news is not known.
    Configured,
    /// Of a named operator.
    Operator { name: String, hash: String },
}

/// Writes down when secrets were last used, at most once a minute for each.
#[derive(Clone, Debug)]
pub struct LastUsed {
    store: Store,
    /// One at a time: what finds it taken is written down by a later use.
    turn: Arc<Semaphore>,
    /// When the configured admin token was last written down; at first, never.
    configured: Arc<AtomicI64>,
}

impl LastUsed {
    /// In this store.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            turn: Arc::new(Semaphore::new(1)),
            configured: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }

    /// A client was here.
    pub fn by_client(&self, client: &CallingClient, now: Timestamp) {
        self.mark(client.used.as_ref(), now);
    }

    /// An operator was here.
    pub fn by_operator(&self, operator: &Operator, now: Timestamp) {
        self.mark(operator.used.as_ref(), now);
    }

    fn mark(&self, used: Option<&Use>, now: Timestamp) {
        let Some(used) = used else { return };
        let last = Timestamp(self.configured.load(Ordering::Relaxed));
        if matches!(used, Use::Configured) && now.seconds_since(last) <= USE_STEP {
            return;
        }
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            return;
        };
        let (used, store) = (used.clone(), self.store.clone());
        let configured = Arc::clone(&self.configured);
        tokio::spawn(async move {
            let _turn = turn;
            let written = match &used {
                Use::Client { hash } => store.mark_client_secret_used(hash, now).await,
                Use::Configured => {
                    configured.store(now.0, Ordering::Relaxed);
                    store.mark_operator_used(CONFIGURED, None, now).await
                }
                Use::Operator { name, hash } => {
                    store.mark_operator_used(name, Some(hash), now).await
                }
            };
            if let Err(error) = written {
                // Told elsewhere, and louder: the database is away.
                tracing::debug!(%error, "the last use of a secret could not be written down");
            }
        });
    }
}
