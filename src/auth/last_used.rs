//! When secrets were last used: written down beside the requests that used them, which neither wait for
//! it nor fail over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::{CallingClient, Operator};
use crate::batch::gather;
use crate::domain::operator::CONFIGURED;
use crate::domain::secret::USE_STEP;
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

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
    uses: mpsc::Sender<(Use, Timestamp)>,
    /// When the configured admin token was last written down; at first, never.
    configured: Arc<AtomicI64>,
}

/// As many uses wait at most; what finds no place is written down by a later use.
const QUEUE: usize = 1_024;

/// How long the worker rests between two writes: many that are written together disturb those who wait for
/// their tokens no more than one.
const REST: Duration = Duration::from_millis(250);

impl LastUsed {
    /// Starts the worker; it ends with the last clone of this.
    pub fn start(store: &Store) -> Self {
        let (uses, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(waiting, store.clone()));
        Self {
            uses,
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
        let is_configured = matches!(used, Use::Configured);
        let last = Timestamp(self.configured.load(Ordering::Relaxed));
        if is_configured && now.seconds_since(last) <= USE_STEP {
            return;
        }
        if self.uses.try_send((used.clone(), now)).is_ok() && is_configured {
            self.configured.store(now.0, Ordering::Relaxed);
        }
    }
}

async fn work(mut waiting: mpsc::Receiver<(Use, Timestamp)>, store: Store) {
    let mut batch = Vec::new();
    while gather(&mut waiting, &mut batch, QUEUE).await > 0 {
        let (store, uses) = (store.clone(), std::mem::take(&mut batch));
        // In a task of its own: if that panics, the worker goes on.
        if let Ok(Err(error)) = tokio::spawn(write(store, uses)).await {
            // Told elsewhere, and louder: the database is away.
            tracing::debug!(%error, "the last use of a secret could not be written down");
        }
        tokio::time::sleep(REST).await;
    }
}

async fn write(store: Store, uses: Vec<(Use, Timestamp)>) -> Result<(), StoreError> {
    let latest = uses.iter().map(|(_, now)| *now).max().unwrap_or_default();
    let mut of_clients = Vec::new();
    let mut written = Ok(());
    for (used, now) in uses {
        // One that fails keeps no later one from being written.
        written = written.and(match used {
            Use::Client { hash } => {
                of_clients.push(hash);
                Ok(())
            }
            Use::Configured => store.mark_operator_used(CONFIGURED, None, now).await,
            Use::Operator { name, hash } => store.mark_operator_used(&name, Some(&hash), now).await,
        });
    }
    written.and(store.mark_client_secrets_used(&of_clients, latest).await)
}
