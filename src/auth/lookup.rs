//! Finds out whose secret it is: one question to the database for all who ask at that moment.
//!
//! What was found is remembered for those who mint, since all of it is looked at again when a token is
//! recorded: whether a run has ended, and whether a client and its secret are still what they were. All others
//! ask. While one question is under way the next gathers; nobody waits for a timer.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use tokio::sync::{mpsc, oneshot};

use crate::batch::gather;
use crate::domain::client::Client;
use crate::domain::grant::Grant;
use crate::domain::pattern::Pattern;
use crate::domain::run::Run;
use crate::domain::time::Timestamp;
use crate::metrics::Metrics;
use crate::store::{KnownSecret, Store, StoreError};

/// Looks secrets up by their hashes.
#[derive(Clone, Debug)]
pub struct Lookup {
    clients: Asking<KnownSecret>,
    runs: Asking<Run>,
    /// Clients by the hashes of their secrets, each as it was when it was last asked for.
    seen_clients: Arc<Seen<KnownSecret>>,
    /// Runs by the hashes of their request tokens, each as it was when it was first asked for.
    seen_runs: Arc<Seen<Run>>,
}

type Seen<T> = Cache<String, Arc<T>, Bytes>;

/// Weighs what is remembered: roughly, in bytes.
#[derive(Clone, Debug)]
struct Bytes;

/// A way to the worker that asks for one kind of things.
#[derive(Clone, Debug)]
struct Asking<T>(mpsc::Sender<Question<T>>);

/// Whose secret has this hash, and who wants to know it.
#[derive(Debug)]
struct Question<T> {
    hash: String,
    answer: oneshot::Sender<Result<Option<Arc<T>>, Arc<StoreError>>>,
}

/// What the database knows, by hash. A row that says something unknown is a failure of its own only.
type Found<T> = Result<HashMap<String, Result<T, StoreError>>, StoreError>;

/// As many wait at most; the next is told to come back.
const QUEUE: usize = 4_096;

/// As many are asked for at once.
const BATCH: usize = 256;

/// As much is remembered of clients, and of runs, in bytes: all of a wave of ten thousand jobs.
const SEEN: u64 = 24 * 1024 * 1024;

/// And so many are expected, each of a few grants or audiences.
const SEEN_EACH: usize = 16_384;

/// What is remembered lies in so many parts, each with its share of the room, on however many cores: in many small
/// ones some would be full long before the others.
const SHARDS: usize = 16;

/// A database that takes longer counts as down: callers are told so while they still listen.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Lookup {
    /// Starts the workers; they end with the last clone of this.
    pub fn start(store: &Store, metrics: &Metrics) -> Self {
        let (of_clients, of_runs) = (store.clone(), store.clone());
        Self {
            clients: Asking::start(metrics.clone(), move |hashes| {
                let store = of_clients.clone();
                Box::pin(async move { store.find_clients_by_secrets(&hashes).await })
            }),
            runs: Asking::start(metrics.clone(), move |hashes| {
                let store = of_runs.clone();
                Box::pin(async move { store.find_runs_by_tokens(&hashes).await })
            }),
            seen_clients: Arc::new(seen()),
            seen_runs: Arc::new(seen()),
        }
    }

    /// The client that has a secret with this hash, and what is known of the secret.
    pub(super) async fn client(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<KnownSecret>>, StoreError> {
        let found = self.clients.ask(hash.to_owned()).await?;
        match &found {
            Some(known) => self.remember_client(known, now),
            None => drop(self.seen_clients.remove(hash)),
        }
        Ok(found)
    }

    /// The same, as it was when it was last asked for, if that is remembered. It is not when a use of the
    /// secret is worth writing down, which is once a minute.
    pub(super) fn remembered_client(&self, hash: &str, now: Timestamp) -> Option<Arc<KnownSecret>> {
        let known = self.seen_clients.get(hash);
        known.filter(|known| !known.secret.is_use_news(now))
    }

    fn remember_client(&self, known: &Arc<KnownSecret>, now: Timestamp) {
        let mut known = Arc::clone(known);
        if known.secret.is_use_news(now) {
            // Which is being written down.
            Arc::make_mut(&mut known).secret.last_used_at = Some(now);
        }
        self.seen_clients.insert(known.hash.clone(), known);
    }

    /// The run whose request token has this hash, as it was when it was first asked for.
    pub(super) async fn run(&self, hash: &str) -> Result<Option<Arc<Run>>, StoreError> {
        if let Some(run) = self.seen_runs.get(hash) {
            return Ok(Some(run));
        }
        let found = self.runs.ask(hash.to_owned()).await?;
        if let Some(run) = found.as_ref().filter(|run| run.closed_at.is_none()) {
            self.seen_runs.insert(hash.to_owned(), Arc::clone(run));
        }
        Ok(found)
    }

    /// Forgets whose secret has this hash: a client that may be gone, or a run that may have ended.
    pub(super) fn forget(&self, hash: &str) {
        self.seen_clients.remove(hash);
        self.seen_runs.remove(hash);
    }
}

fn seen<T>() -> Seen<T>
where
    Bytes: Weighter<String, Arc<T>>,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(SEEN_EACH)
        .weight_capacity(SEEN)
        .shards(SHARDS)
        .build();
    #[expect(clippy::expect_used, reason = "both capacities are set")]
    let options = options.expect("capacities");
    Cache::with_options(
        options,
        Bytes,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

impl Weighter<String, Arc<KnownSecret>> for Bytes {
    fn weight(&self, hash: &String, known: &Arc<KnownSecret>) -> u64 {
        let client = &known.client;
        // Once as text, and once read.
        let grants = client.grants.iter().map(bytes_of_grant).sum::<usize>() + known.grants.len();
        let names = 256;
        let own = size_of::<KnownSecret>() + size_of::<Client>() + 2 * hash.len();
        u64::try_from(own + names + grants).unwrap_or(u64::MAX)
    }
}

fn bytes_of_grant(grant: &Grant) -> usize {
    // The least that is allocated.
    const LEAST: usize = 16;
    let Grant {
        organization,
        project,
        workspace,
        deployment,
        audiences,
        ..
    } = grant;
    let patterns = [organization, project, workspace, deployment].into_iter();
    let patterns = patterns
        .chain(audiences)
        .map(|pattern| size_of::<Pattern>() + pattern.0.len().max(LEAST));
    let phases_and_forms = 2 * LEAST;
    size_of::<Grant>() + phases_and_forms + patterns.sum::<usize>()
}

impl Weighter<String, Arc<Run>> for Bytes {
    fn weight(&self, hash: &String, run: &Arc<Run>) -> u64 {
        let audiences = run.audiences.iter();
        let audiences =
            audiences.map(|allowed| size_of_val(allowed) + allowed.audience.as_str().len());
        // All other texts of it have a limit.
        let ids = 1_024;
        let bytes = hash.len() + size_of::<Run>() + ids + audiences.sum::<usize>();
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl<T: Send + Sync + 'static> Asking<T> {
    fn start(
        metrics: Metrics,
        find: impl Fn(Vec<String>) -> Pin<Box<dyn Future<Output = Found<T>> + Send>> + Send + 'static,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(work(waiting, metrics, find));
        Self(queue)
    }

    async fn ask(&self, hash: String) -> Result<Option<Arc<T>>, StoreError> {
        let (answer, found) = oneshot::channel();
        let question = Question { hash, answer };
        self.0.try_send(question).map_err(|_| StoreError::Timeout)?;
        let found = found.await.map_err(|_| StoreError::Timeout)?;
        found.map_err(StoreError::Shared)
    }
}

async fn work<T: Send + Sync + 'static>(
    mut waiting: mpsc::Receiver<Question<T>>,
    metrics: Metrics,
    find: impl Fn(Vec<String>) -> Pin<Box<dyn Future<Output = Found<T>> + Send>>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while gather(&mut waiting, &mut batch, BATCH).await > 0 {
        batch.retain(|question| !question.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        let hashes = batch.iter().map(|question| question.hash.clone()).collect();
        // In a task of its own: if that panics, the worker goes on.
        let asked = tokio::spawn(tokio::time::timeout(TIMEOUT, find(hashes)));
        let found = match asked.await {
            Ok(Ok(found)) => found,
            Ok(Err(_)) | Err(_) => Err(StoreError::Timeout),
        };
        match found {
            Ok(found) => {
                // Several may have shown the same one.
                let found: HashMap<String, Result<Arc<T>, Arc<StoreError>>> = found
                    .into_iter()
                    .map(|(hash, found)| (hash, found.map(Arc::new).map_err(Arc::new)))
                    .collect();
                for Question { hash, answer } in batch.drain(..) {
                    // Whoever has gone away needs no answer.
                    let _ = answer.send(found.get(&hash).cloned().transpose());
                }
            }
            Err(error) => {
                metrics.store_failed("authenticate");
                let error = Arc::new(error);
                for Question { answer, .. } in batch.drain(..) {
                    let _ = answer.send(Err(Arc::clone(&error)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claims::Audience;
    use crate::domain::grant::AllowedAudience;
    use crate::domain::name::Name;
    use crate::domain::secret::SecretInfo;
    use crate::domain::workload::{SentIds, Workload};

    /// As many jobs ask within the same minute.
    const WAVE: usize = 10_000;

    #[test]
    fn the_runs_of_a_wave_are_remembered_and_no_more_than_there_is_room_for() {
        let subject = "organization:acme:project:p:workspace:w:run_phase:plan";
        let subject = subject.parse().unwrap();
        let workload = Workload::new(subject, SentIds::default(), &[0; 16]).unwrap();
        let run = |number: usize, audiences: Vec<AllowedAudience>| {
            Arc::new(Run {
                id: number.to_string(),
                workload: workload.clone(),
                audiences,
                client: Name::parse("client", "atlantis").unwrap(),
                aws_session_tags: false,
                opened_at: Timestamp(0),
                expires_at: Timestamp(1),
                closed_at: None,
            })
        };
        let audience = |text: &str| AllowedAudience {
            audience: Audience::parse("audience", text).unwrap(),
            max_ttl: None,
        };
        let (usual, long) = (
            audience("aws.workload.identity"),
            audience(&"a".repeat(255)),
        );
        let seen = seen();
        for number in 0..WAVE {
            seen.insert(format!("{number:064}"), run(number, vec![usual.clone(); 2]));
        }
        assert_eq!(seen.len(), WAVE);
        for number in 0..WAVE {
            let audiences = vec![long.clone(); number % 20];
            seen.insert(number.to_string(), run(number, audiences));
            assert!(seen.weight() <= SEEN, "{}", seen.weight());
        }
        assert!(seen.len() > WAVE / 4, "{}", seen.len());
    }

    #[test]
    fn the_clients_of_a_wave_are_remembered_and_no_more_than_there_is_room_for() {
        let grants = r#"[{"organization":"acme","audiences":["aws.workload.identity","a1","a2","a3","a4"]}]"#;
        let grants: Vec<Grant> = serde_json::from_str(grants).unwrap();
        // As the database has it.
        let text = serde_json::to_string(&grants).unwrap();
        let client = Client {
            name: Name::parse("client", "atlantis").unwrap(),
            grants,
            aws_session_tags: false,
            created_at: Timestamp(0),
        };
        let client = Arc::new(client);
        let seen = seen();
        for number in 0..3 * WAVE {
            if number == WAVE {
                assert_eq!(seen.len(), WAVE);
            }
            let known = KnownSecret {
                hash: format!("{number:064}"),
                client: Arc::clone(&client),
                grants: text.clone(),
                secret: SecretInfo {
                    id: String::new(),
                    created_at: Timestamp(0),
                    expires_at: None,
                    last_used_at: None,
                    issuer: None,
                },
            };
            seen.insert(known.hash.clone(), Arc::new(known));
            assert!(seen.weight() <= SEEN, "{}", seen.weight());
        }
        assert!(seen.len() >= WAVE, "{}", seen.len());
    }
}
