//! The audit log's way in: no token leaves before its record is durable.
//!
//! A group commit: records wait in a queue, one transaction takes all that wait, then their callers
//! are answered. While it commits, the next batch gathers; nobody waits for a timer. Events that no token
//! waits for have a queue and a worker of their own, so that refusals do not keep tokens waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::batch::gather;
use crate::domain::event::Event;
use crate::limits::throttle::Throttle;
use crate::metrics::Metrics;
use crate::store::{Entry, Outcome, Store, StoreError};

/// Puts records into the queue.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Pending>,
    notes: mpsc::Sender<Note>,
    store: Store,
    metrics: Metrics,
    /// Of lines about a full queue of notes.
    log: Arc<Throttle>,
    /// The last batch was not written.
    failing: Arc<AtomicBool>,
}

/// The workers behind a [`Recorder`]; they end when every recorder is gone and the queues are empty.
#[derive(Debug)]
pub struct RecorderTask(Option<JoinHandle<()>>);

/// Records on their way, and who waits for them.
#[derive(Debug)]
struct Pending {
    entries: Vec<Entry>,
    answer: oneshot::Sender<Result<Vec<Outcome>, RecordError>>,
}

/// An event on its way, and who waits for it.
#[derive(Debug)]
struct Note {
    event: Event,
    answer: oneshot::Sender<()>,
}

/// A promise of the outcome of some records, in their order.
#[derive(Debug)]
pub struct Recording(oneshot::Receiver<Result<Vec<Outcome>, RecordError>>);

/// Why nothing was recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordError {
    /// More wait than the database can take soon.
    #[error("too many tokens are waiting to be recorded")]
    QueueFull,
    /// The database did not take the batch.
    #[error("the audit record could not be written")]
    Unavailable,
}

/// As many callers wait at most; the next is told to come back.
const QUEUE: usize = 4_096;

/// The records of as many callers go into one transaction at most.
const BATCH: usize = 512;

/// As many events wait at most; the next is dropped. Whoever is refused again and again can fill it.
const NOTES: usize = 1_024;

/// As many events go into one transaction at most: a token that waits for SQLite's only writer does
/// not wait long.
const NOTES_BATCH: usize = 256;

/// A database that takes longer counts as down: callers are told so while they still listen.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

impl Recorder {
    /// Starts the workers.
    pub fn start(store: Store, metrics: Metrics) -> (Self, RecorderTask) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (notes, noted) = mpsc::channel(NOTES);
        let failing = Arc::new(AtomicBool::new(false));
        let tokens = tokio::spawn(work(
            waiting,
            store.clone(),
            metrics.clone(),
            Arc::clone(&failing),
        ));
        let events = tokio::spawn(write_notes(noted, store.clone(), metrics.clone()));
        let task = tokio::spawn(async move {
            if tokio::try_join!(tokens, events).is_err() {
                tracing::error!("an audit worker panicked");
            }
        });
        (
            Self {
                queue,
                notes,
                store,
                metrics,
                log: Arc::new(Throttle::new(1)),
                failing,
            },
            RecorderTask(Some(task)),
        )
    }

    /// Queues the records of one answer. What is awaited later is committed meanwhile.
    ///
    /// # Errors
    /// [`RecordError::QueueFull`], at once; or [`RecordError::Unavailable`] after shutdown.
    pub fn submit(&self, entries: Vec<Entry>) -> Result<Recording, RecordError> {
        let (answer, outcome) = oneshot::channel();
        self.queue
            .try_send(Pending { entries, answer })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => RecordError::QueueFull,
                mpsc::error::TrySendError::Closed(_) => RecordError::Unavailable,
            })?;
        Ok(Recording(outcome))
    }

    /// Whether records can be written, as far as is known. Once a batch has failed the database is
    /// asked, until it takes writes again or a batch is written.
    ///
    /// # Errors
    /// [`RecordError::Unavailable`].
    pub async fn check(&self) -> Result<(), RecordError> {
        if self.failing.load(Ordering::Relaxed) {
            match self.store.takes_writes().await {
                Ok(()) => self.failing.store(false, Ordering::Relaxed),
                Err(_) => return Err(RecordError::Unavailable),
            }
        }
        Ok(())
    }

    /// Records an event that no token waits for, such as a refusal, and returns once it is durable. A
    /// failure is counted and logged: the caller is refused all the same.
    pub async fn note(&self, event: Event) {
        let at = event.at;
        let (answer, dealt_with) = oneshot::channel();
        if self.notes.try_send(Note { event, answer }).is_ok() {
            // Whatever has become of it, the worker has said so.
            let _ = dealt_with.await;
            return;
        }
        self.metrics.events_dropped.inc();
        if let Some(left_out) = self.log.turn(at) {
            tracing::error!(
                events.dropped = left_out + 1,
                "more refusals than can be recorded; these events are lost"
            );
        }
    }
}

impl Recording {
    /// Waits until the records are durable.
    ///
    /// # Errors
    /// [`RecordError::Unavailable`] when they are not, or when that is not known.
    pub async fn outcome(self) -> Result<Vec<Outcome>, RecordError> {
        self.0.await.unwrap_or(Err(RecordError::Unavailable))
    }
}

impl RecorderTask {
    /// Waits until everything in the queues is recorded.
    pub async fn finish(mut self) {
        self.ended().await;
    }

    /// Resolves when the workers have ended, which they do not while a recorder is in use unless one
    /// panicked.
    pub async fn ended(&mut self) {
        if let Some(task) = &mut self.0 {
            // It does not panic, and says so if one of its workers did.
            let _ = task.await;
            self.0 = None;
        }
    }
}

async fn work(
    mut waiting: mpsc::Receiver<Pending>,
    store: Store,
    metrics: Metrics,
    failing: Arc<AtomicBool>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while gather(&mut waiting, &mut batch, BATCH).await > 0 {
        // Whoever has gone away gets no token, so there is nothing to record.
        batch.retain(|pending| !pending.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        let mut entries = Vec::with_capacity(batch.len());
        let callers: Vec<_> = batch
            .drain(..)
            .map(
                |Pending {
                     entries: of_one,
                     answer,
                 }| {
                    let count = of_one.len();
                    entries.extend(of_one);
                    (answer, count)
                },
            )
            .collect();
        let result = commit(&store, &entries).await;
        failing.store(result.is_err(), Ordering::Relaxed);
        match result {
            Ok(outcomes) => {
                metrics
                    .batch_size
                    .observe(f64::from(u32::try_from(entries.len()).unwrap_or(0)));
                let mut outcomes = outcomes.into_iter();
                for (answer, count) in callers {
                    // A caller that has gone away is no harm: its record stands.
                    let _ = answer.send(Ok(outcomes.by_ref().take(count).collect()));
                }
            }
            Err(error) => {
                metrics.store_failed("record");
                tracing::error!(%error, batch.size = entries.len(), "tokens could not be recorded");
                for (answer, _) in callers {
                    let _ = answer.send(Err(RecordError::Unavailable));
                }
            }
        }
    }
}

async fn commit(store: &Store, entries: &[Entry]) -> Result<Vec<Outcome>, StoreError> {
    match tokio::time::timeout(COMMIT_TIMEOUT, store.record(entries)).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::Timeout),
    }
}

async fn write_notes(mut noted: mpsc::Receiver<Note>, store: Store, metrics: Metrics) {
    let mut batch = Vec::with_capacity(NOTES_BATCH);
    while noted.recv_many(&mut batch, NOTES_BATCH).await > 0 {
        let (events, callers): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|Note { event, answer }| (event, answer))
            .unzip();
        if let Err((error, lost)) = write(&store, &events).await {
            metrics.store_failed("note");
            metrics
                .events_dropped
                .inc_by(u64::try_from(lost.len()).unwrap_or(0));
            tracing::error!(
                %error,
                events.dropped = lost.len(),
                events.first = lost.first().map(|event| event.kind.as_str()),
                "events could not be recorded"
            );
        }
        for answer in callers {
            let _ = answer.send(());
        }
    }
}

/// Writes events together and, if the database refuses them, one by one, so that a bad one does not
/// take others with it; those that are lost, and the last error.
async fn write<'a>(store: &Store, events: &'a [Event]) -> Result<(), (StoreError, Vec<&'a Event>)> {
    let together = tokio::time::timeout(COMMIT_TIMEOUT, store.add_events(events)).await;
    match together.unwrap_or(Err(StoreError::Timeout)) {
        Ok(()) => return Ok(()),
        Err(error) if events.len() > 1 && error.is_refusal() => {}
        Err(error) => return Err((error, events.iter().collect())),
    }
    let mut lost = Vec::new();
    let mut refused = None;
    for (place, event) in events.iter().enumerate() {
        let alone = tokio::time::timeout(COMMIT_TIMEOUT, store.add_event(event)).await;
        match alone.unwrap_or(Err(StoreError::Timeout)) {
            Ok(()) => {}
            Err(error) if error.is_refusal() => {
                lost.push(event);
                refused = Some(error);
            }
            // It has gone away meanwhile.
            Err(error) => {
                lost.extend(&events[place..]);
                return Err((error, lost));
            }
        }
    }
    match refused {
        Some(error) => Err((error, lost)),
        None => Ok(()),
    }
}
