//! Conformance: what every method of the store promises, on both databases.

mod clients;
mod events;
mod keys;
mod operators;
mod record;
mod secrets;

use runmint::domain::claims::Audience;
use runmint::domain::client::Client;
use runmint::domain::event::{Actor, Event, EventKind};
use runmint::domain::grant::AllowedAudience;
use runmint::domain::key::{Algorithm, KeyVersion, Step, Version};
use runmint::domain::name::Name;
use runmint::domain::run::Run;
use runmint::domain::secret::NewSecret;
use runmint::domain::time::Timestamp;
use runmint::domain::workload::{SentIds, Workload};
use runmint::store::{AddClient, AddRun, EventFilter, KnownSecret, NewKey, Store, StoredEvent};
use sqlx::PgPool;

use crate::foreign::{Key, kubernetes};
use crate::harness::{AWS, Database, START};
use crate::program::eventually;

const ACTOR: Actor = Actor::Schedule;

fn client(name: &str) -> AddClient {
    AddClient {
        client: Client {
            name: Name::parse("name", name).unwrap(),
            grants: Vec::new(),
            aws_session_tags: false,
            created_at: START,
        },
        secret: NewSecret {
            hash: hash(name),
            expires_at: None,
        },
    }
}

async fn add_client(store: &Store, name: &str) {
    store
        .add_client(&client(name), &ACTOR, START)
        .await
        .unwrap();
}

/// Trusts an issuer; its revision.
async fn add_issuer(store: &Store, name: &str) -> i64 {
    let definition = serde_json::from_value(kubernetes(&[&Key::ec("k")])).unwrap();
    let name = Name::parse("name", name).unwrap();
    let added = store.add_trusted_issuer(&name, &definition, &ACTOR, START);
    added.await.unwrap().revision
}

/// A run of `client` that is open for an hour; its request token's hash is `hash of ` its id.
fn run(id: &str, client: &str) -> Run {
    let subject = "organization:acme:project:p:workspace:net-1:run_phase:plan";
    let sent = SentIds {
        run: Some(format!("run-of-{id}")),
        ..SentIds::default()
    };
    Run {
        id: id.to_owned(),
        workload: Workload::new(subject.parse().unwrap(), sent, &[0; 16]).unwrap(),
        audiences: vec![AllowedAudience {
            audience: Audience::parse("audience", AWS).unwrap(),
            max_ttl: Some(600),
        }],
        client: Name::parse("name", client).unwrap(),
        aws_session_tags: true,
        opened_at: START,
        expires_at: at(3_600),
        closed_at: None,
    }
}

async fn add_run(store: &Store, id: &str, client: &str) -> Run {
    let run = run(id, client);
    let added = store.add_run(&run, &hash(id), None, &opened(&run)).await;
    assert_eq!(added.unwrap(), AddRun::Added);
    run
}

fn hash(id: &str) -> String {
    format!("hash of {id}")
}

fn opened(run: &Run) -> Event {
    Event {
        run: Some(run.id.clone()),
        run_id: Some(run.workload.ids.run.clone()),
        ..Event::new(START, EventKind::RunOpened, ACTOR)
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(START.0 + seconds)
}

fn new_key(version: i64) -> NewKey {
    NewKey {
        version: Version(version),
        algorithm: Algorithm::ES256,
        kid: format!("kid-{version}"),
        public_jwk: "{}".to_owned(),
        sealed_private: format!("sealed-{version}"),
    }
}

/// Stages `version` if a step says so, and carries the steps out.
async fn change(store: &Store, steps: &[Step]) -> Vec<KeyVersion> {
    let lease = store
        .take_over_lease("test", std::time::Duration::from_secs(30), START)
        .await
        .unwrap();
    let staged = steps.iter().find_map(|step| match step {
        Step::Stage(version) => Some(new_key(version.0)),
        _ => None,
    });
    store
        .change_keys(&lease, staged.as_ref(), &ACTOR, START, |_| steps.to_vec())
        .await
        .unwrap();
    store.release_lease(&lease).await.unwrap();
    store.keys().await.unwrap()
}

/// A store in which version 1 signs.
async fn signing_store(database: &Database) -> Store {
    let store = database.store().await;
    change(
        &store,
        &[Step::Stage(Version(1)), Step::Activate(Version(1))],
    )
    .await;
    store
}

async fn events(store: &Store, kind: EventKind) -> Vec<StoredEvent> {
    let filter = EventFilter {
        kind: Some(kind),
        ..EventFilter::default()
    };
    store.events(&filter, 1_000).await.unwrap()
}

/// Whose secret has this hash.
async fn by_secret(store: &Store, hash: &str) -> Option<KnownSecret> {
    let found = store.find_clients_by_secrets(&[hash.to_owned()]).await;
    found.unwrap().remove(hash).map(Result::unwrap)
}

/// Whose request token has this hash.
async fn by_token(store: &Store, hash: &str) -> Option<Run> {
    let found = store.find_runs_by_tokens(&[hash.to_owned()]).await;
    found.unwrap().remove(hash).map(Result::unwrap)
}

async fn until_so_many_wait(pool: &PgPool, connections: i64) {
    let what = format!("{connections} wait for a lock");
    eventually(&what, || async { waiting(pool).await == connections }).await;
}

/// How many connections wait for what another has locked.
async fn waiting(pool: &PgPool) -> i64 {
    let waits = "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waits).fetch_one(pool).await.unwrap()
}
