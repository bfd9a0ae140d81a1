//! The group commit: checks and records.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use runmint::domain::client::Client;
use runmint::domain::event::{Event, EventKind};
use runmint::domain::key::{Step, Version};
use runmint::domain::run::RunState;
use runmint::domain::secret::NewSecret;
use runmint::domain::time::Timestamp;
use runmint::store::{
    AddClient, Authority, Entry, EventFilter, KnownSecret, Outcome, Store, StoreError, Take,
};
use sqlx::PgPool;

use super::{
    ACTOR, add_client, add_issuer, add_run, at, by_secret, change, client, events, hash,
    signing_store, until_so_many_wait, waiting,
};
use crate::harness::{AWS, Database, START};
use crate::program::eventually;

fn entry(version: i64, authority: Authority, now: Timestamp, expires_at: Timestamp) -> Entry {
    Entry {
        event: Event {
            jti: Some("jti".to_owned()),
            kid: Some(format!("kid-{version}")),
            audience: Some(AWS.to_owned()),
            expires_at: Some(expires_at),
            ..Event::new(now, EventKind::TokenMinted, ACTOR)
        },
        authority,
        version: Version(version),
        take: None,
    }
}

fn of_run(id: &str) -> Authority {
    Authority::Run(id.to_owned())
}

fn of_client(name: &str) -> Authority {
    Authority::Client(Arc::new(client(name).client))
}

async fn by_secret_of(store: &Store, name: &str) -> KnownSecret {
    by_secret(store, &hash(name)).await.unwrap()
}

fn of_secret(known: &KnownSecret) -> Authority {
    Authority::Secret(Arc::new(known.clone()))
}

/// Known as another than it is.
fn with_session_tags(known: &KnownSecret) -> KnownSecret {
    let client = Client {
        aws_session_tags: true,
        ..(*known.client).clone()
    };
    KnownSecret {
        client: Arc::new(client),
        ..known.clone()
    }
}

async fn tokens_until(store: &Store, version: usize) -> i64 {
    store.keys().await.unwrap()[version - 1].tokens_until.0
}

#[tokio::test]
async fn a_foreign_token_is_not_taken_for_what_no_key_signs() {
    let store = signing_store(&Database::new().await).await;
    let revision = add_issuer(&store, "k8s").await;
    let record = async |version: i64, by: &str| {
        let take = Take {
            id: "token".to_owned(),
            by: by.to_owned(),
            until: at(60),
            issuer: "k8s".to_owned(),
            revision,
        };
        let entry = Entry {
            take: Some(take),
            ..entry(version, Authority::Workload, at(1), at(60))
        };
        store.record(&[entry]).await.unwrap()
    };
    assert_eq!(record(2, "first").await, [Outcome::NotSigning]);
    assert!(!store.is_taken("token").await.unwrap());
    assert_eq!(record(1, "second").await, [Outcome::Recorded]);
    assert_eq!(record(1, "third").await, [Outcome::TakenBefore]);
}

#[tokio::test]
async fn a_foreign_token_is_not_taken_for_a_client_that_was_changed_or_removed() {
    let store = signing_store(&Database::new().await).await;
    let revision = add_issuer(&store, "k8s").await;
    add_client(&store, "atlantis").await;
    let record = async |token: &str| {
        let take = Take {
            id: token.to_owned(),
            by: "request".to_owned(),
            until: at(60),
            issuer: "k8s".to_owned(),
            revision,
        };
        let entry = Entry {
            take: Some(take),
            ..entry(1, of_client("atlantis"), at(1), at(60))
        };
        let outcomes = store.record(&[entry]).await.unwrap();
        (outcomes, store.is_taken(token).await.unwrap())
    };
    assert_eq!(record("1").await, (vec![Outcome::Recorded], true));
    let mut changed = client("atlantis").client;
    changed.aws_session_tags = true;
    assert!(store.update_client(&changed, &ACTOR, at(2)).await.unwrap());
    assert_eq!(record("2").await, (vec![Outcome::ClientChanged], false));
    assert_eq!(events(&store, EventKind::TokenRefused).await.len(), 0);
    let removed = store.remove_client("atlantis", &ACTOR, at(3)).await;
    assert!(removed.unwrap());
    assert_eq!(record("2").await, (vec![Outcome::ClientGone], false));
    assert_eq!(events(&store, EventKind::TokenRefused).await.len(), 1);
}

#[tokio::test]
async fn each_entry_of_a_batch_is_judged_by_itself() {
    let store = signing_store(&Database::new().await).await;
    add_client(&store, "atlantis").await;
    for id in ["closed", "open"] {
        add_run(&store, id, "atlantis").await;
    }
    store.close_run("closed", &ACTOR, at(1)).await.unwrap();
    let known = by_secret_of(&store, "atlantis").await;
    let otherwise = with_session_tags(&known);
    let (early, late) = (at(2), at(3_600));
    let batch = [
        entry(1, of_run("open"), early, at(60)),
        entry(1, of_run("closed"), early, at(60)),
        entry(1, of_run("open"), late, at(3_660)),
        entry(1, of_run("unknown"), early, at(60)),
        entry(1, of_client("atlantis"), early, at(60)),
        entry(1, of_client("removed"), early, at(60)),
        entry(1, of_secret(&known), early, at(60)),
        entry(1, of_secret(&otherwise), early, at(60)),
        entry(2, of_run("open"), early, at(60)),
    ];
    assert_eq!(
        store.record(&batch).await.unwrap(),
        [
            Outcome::Recorded,
            Outcome::RunEnded(RunState::Closed),
            Outcome::RunEnded(RunState::Expired),
            Outcome::RunEnded(RunState::Expired),
            Outcome::Recorded,
            Outcome::ClientGone,
            Outcome::Recorded,
            Outcome::ClientChanged,
            Outcome::NotSigning,
        ]
    );
    assert_eq!(events(&store, EventKind::TokenMinted).await.len(), 3);
    let refused = events(&store, EventKind::TokenRefused).await;
    assert_eq!(refused.len(), 4, "what is stale is tried again, unrecorded");
    for refusal in refused {
        let event = refusal.event;
        assert_eq!((event.jti, event.kid, event.expires_at), (None, None, None));
        assert!(event.reason.is_some());
    }
}

/// On the strength of a secret as it was found, whatever has become of it and its client since.
#[tokio::test]
async fn a_secret_and_its_client_must_still_be_as_they_were_found() {
    let store = signing_store(&Database::new().await).await;
    for name in ["atlantis", "buildkite"] {
        add_client(&store, name).await;
    }
    let other = by_secret_of(&store, "buildkite").await;
    // Beside another's, and beside what is wrong anyhow.
    let record = async |known: &KnownSecret| {
        let by = |known| entry(1, of_secret(known), at(1), at(60));
        let plain = store.record(&[by(known), by(&other)]).await.unwrap();
        let closer = entry(1, of_client("removed"), at(1), at(60));
        let closer = store.record(&[by(known), closer]).await.unwrap();
        assert_eq!(plain, [closer[0], Outcome::Recorded]);
        closer[0]
    };
    let found = by_secret_of(&store, "atlantis").await;
    assert_eq!(record(&found).await, Outcome::Recorded);

    let mut changed = client("atlantis").client;
    changed.aws_session_tags = true;
    assert!(store.update_client(&changed, &ACTOR, at(2)).await.unwrap());
    assert_eq!(record(&found).await, Outcome::ClientChanged);
    changed.aws_session_tags = false;
    changed.grants =
        serde_json::from_str(r#"[{"organization":"acme","audiences":["*"]}]"#).unwrap();
    assert!(store.update_client(&changed, &ACTOR, at(2)).await.unwrap());
    assert_eq!(record(&found).await, Outcome::ClientChanged);
    // Another client that was what this one is now is not this one.
    let mixed = KnownSecret {
        grants: by_secret_of(&store, "atlantis").await.grants,
        client: Arc::new(Client {
            grants: changed.grants,
            ..(*other.client).clone()
        }),
        ..other.clone()
    };
    assert_eq!(record(&mixed).await, Outcome::ClientChanged);
    assert!(
        store
            .update_client(&client("atlantis").client, &ACTOR, at(2))
            .await
            .unwrap()
    );
    assert_eq!(record(&found).await, Outcome::Recorded);

    let second = NewSecret {
        hash: hash("second"),
        expires_at: None,
    };
    let added = store.add_client_secret("atlantis", &second, &ACTOR, at(3));
    assert!(added.await.unwrap());
    assert_eq!(record(&found).await, Outcome::Recorded);
    let removed = store.remove_client_secret("atlantis", &found.secret.id, &ACTOR, at(3));
    assert!(removed.await.unwrap());
    assert_eq!(record(&found).await, Outcome::ClientChanged);
    let found = by_secret(&store, &second.hash).await.unwrap();
    assert_eq!(record(&found).await, Outcome::Recorded);

    let removed = store.remove_client("atlantis", &ACTOR, at(4)).await;
    assert!(removed.unwrap());
    assert_eq!(record(&found).await, Outcome::ClientChanged);
    let anew = AddClient {
        secret: NewSecret {
            hash: hash("third"),
            expires_at: None,
        },
        ..client("atlantis")
    };
    store.add_client(&anew, &ACTOR, at(5)).await.unwrap();
    assert_eq!(record(&found).await, Outcome::ClientChanged);
}

#[tokio::test]
async fn a_version_that_no_longer_signs_records_nothing() {
    let store = signing_store(&Database::new().await).await;
    add_client(&store, "atlantis").await;
    let (one, two) = (Version(1), Version(2));
    let known = by_secret_of(&store, "atlantis").await;
    let batch = [entry(1, of_secret(&known), START, at(60))];
    change(&store, &[Step::Stage(two)]).await;
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded]);
    change(&store, &[Step::Deactivate(one), Step::Activate(two)]).await;
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::NotSigning]);
    assert_eq!(events(&store, EventKind::TokenMinted).await.len(), 1);
}

#[tokio::test]
async fn a_large_batch_is_recorded_whole_and_in_its_order() {
    let store = signing_store(&Database::new().await).await;
    add_client(&store, "atlantis").await;
    for number in 0..40 {
        add_run(&store, &format!("run-{number}"), "atlantis").await;
    }
    store.close_run("run-7", &ACTOR, at(1)).await.unwrap();
    let batch: Vec<Entry> = (0..700)
        .map(|number| entry(1, of_run(&format!("run-{}", number % 40)), at(2), at(60)))
        .collect();
    let outcomes = store.record(&batch).await.unwrap();
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = match number % 40 {
            7 => Outcome::RunEnded(RunState::Closed),
            _ => Outcome::Recorded,
        };
        assert_eq!(*outcome, expected, "entry {number}");
    }
    assert_eq!(store.record(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn the_death_of_the_last_token_is_rounded_up_and_never_brought_forward() {
    let store = signing_store(&Database::new().await).await;
    add_client(&store, "atlantis").await;
    let record = async |expires_at: i64| {
        let expires_at = Timestamp(expires_at);
        let batch = [entry(1, of_client("atlantis"), START, expires_at)];
        assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded]);
        let until = tokens_until(&store, 1).await;
        assert!(until >= expires_at.0, "{until} {expires_at:?}");
        until
    };
    // Steps of ten minutes.
    let base = START.0.div_euclid(600) * 600;
    assert_eq!(record(base + 1_201).await, base + 1_800);
    assert_eq!(record(base + 1_800).await, base + 1_800);
    assert_eq!(record(base + 60).await, base + 1_800);
    assert_eq!(record(base + 1_801).await, base + 2_400);
}

/// `close` waits for records under way, and records wait for `close`: whichever comes first in the
/// database, nothing is recorded after `close` has been answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_close_was_answered_no_token_is_recorded() {
    let database = Database::durable().await;
    let (store, other) = (signing_store(&database).await, database.store().await);
    add_client(&store, "atlantis").await;
    for round in 0..30 {
        let id = format!("run-{round}");
        add_run(&store, &id, "atlantis").await;
        let (first, minted_one) = tokio::sync::oneshot::channel::<()>();
        let minting = {
            let (other, id) = (other.clone(), id.clone());
            tokio::spawn(async move {
                let mut first = Some(first);
                loop {
                    let batch = [entry(1, of_run(&id), at(1), at(60))];
                    match other.record(&batch).await.unwrap()[..] {
                        [Outcome::Recorded] => drop(first.take()),
                        [Outcome::RunEnded(RunState::Closed)] => return,
                        ref outcome => panic!("{outcome:?}"),
                    }
                }
            })
        };
        // The sender is dropped after the first record: from here on, one follows the other.
        let _ = minted_one.await;
        store.close_run(&id, &ACTOR, at(2)).await.unwrap();
        let minted = events(&store, EventKind::TokenMinted).await.len();
        minting.await.unwrap();
        let after = events(&store, EventKind::TokenMinted).await.len();
        assert_eq!(minted, after, "round {round}");
    }
}

/// A removal locks the client and then its runs. A batch for both that took them the other way round
/// would wait for it, and it for the batch, until the database ends one of the two.
#[tokio::test]
async fn a_batch_takes_clients_before_their_runs() {
    let store = signing_store(&Database::new().await).await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    let known = by_secret_of(&store, "atlantis").await;
    let batch = [
        entry(1, of_run("1"), at(1), at(60)),
        entry(1, of_secret(&known), at(1), at(60)),
    ];
    // So that the key knows how long its tokens live, and the next batch is the one of every day.
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded; 2]);

    let mut removal = pool.begin().await.unwrap();
    let client = sqlx::query("SELECT 1 FROM client WHERE name = 'atlantis' FOR UPDATE");
    client.execute(&mut *removal).await.unwrap();
    let recording = start(&store, batch.to_vec());
    until_it_waits(pool, &recording).await;
    let run = sqlx::query("SELECT 1 FROM run WHERE id = '1' FOR UPDATE NOWAIT");
    run.execute(&mut *removal).await.unwrap();
    removal.commit().await.unwrap();
    assert_eq!(recording.await.unwrap().unwrap(), [Outcome::Recorded; 2]);
}

/// Whoever changes a client or removes its secret just before a batch for it is waited for, and the batch then
/// sees what they have done, be that nothing.
#[tokio::test]
async fn a_batch_sees_what_was_changed_while_it_waited() {
    let store = signing_store(&Database::new().await).await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    for name in ["atlantis", "buildkite"] {
        add_client(&store, name).await;
    }
    let known = by_secret_of(&store, "atlantis").await;
    let other = by_secret_of(&store, "buildkite").await;
    let batch = [&known, &other].map(|known| entry(1, of_secret(known), at(1), at(60)));
    // So that the key knows how long its tokens live, and the next batch is the one of every day.
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded; 2]);
    for (change, expected) in [
        (
            "UPDATE client SET created_at = created_at WHERE name = $1",
            Outcome::Recorded,
        ),
        (
            "UPDATE client SET aws_session_tags = TRUE WHERE name = $1",
            Outcome::ClientChanged,
        ),
        (
            "UPDATE client SET aws_session_tags = FALSE WHERE name = $1",
            Outcome::Recorded,
        ),
        (
            "UPDATE client_secret SET hash = hash WHERE client = $1",
            Outcome::Recorded,
        ),
        // The same grants, written down otherwise.
        (
            "UPDATE client SET grants = '[ ]' WHERE name = $1",
            Outcome::Recorded,
        ),
        (
            "UPDATE client SET grants = '[]' WHERE name = $1",
            Outcome::Recorded,
        ),
        (
            "DELETE FROM client_secret WHERE client = $1",
            Outcome::ClientChanged,
        ),
    ] {
        let mut changing = pool.begin().await.unwrap();
        let change_it = sqlx::query(change).bind("atlantis");
        let changed = change_it.execute(&mut *changing).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{change}");
        // All that it was is read again afterwards, so that it is held.
        let lock = "SELECT 1 FROM client_secret WHERE client = $1 FOR UPDATE";
        let secret = sqlx::query(lock).bind("atlantis");
        secret.execute(&mut *changing).await.unwrap();
        let recording = start(&store, batch.to_vec());
        until_it_waits(pool, &recording).await;
        changing.commit().await.unwrap();
        let outcomes = recording.await.unwrap().unwrap();
        assert_eq!(outcomes, [expected, Outcome::Recorded], "{change}");
    }
}

/// Whoever changes what the batch has looked at must wait for it; when a secret was last used is none of that.
#[tokio::test]
async fn a_batch_holds_what_it_has_looked_at() {
    let store = signing_store(&Database::new().await).await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    add_client(&store, "atlantis").await;
    let ids = ["1", "2", "3"];
    for id in ids {
        add_run(&store, id, "atlantis").await;
    }
    let known = by_secret_of(&store, "atlantis").await;
    let mut batch = ids.map(|id| entry(1, of_run(id), at(1), at(60))).to_vec();
    batch.push(entry(1, of_secret(&known), at(1), at(60)));
    // So that the key knows how long its tokens live, and the next batch is the one of every day.
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded; 4]);

    // It stops at its second run.
    let mut closing = pool.begin().await.unwrap();
    let run = sqlx::query("SELECT 1 FROM run WHERE id = '2' FOR UPDATE");
    run.execute(&mut *closing).await.unwrap();
    let recording = start(&store, batch);
    until_it_waits(pool, &recording).await;
    let lock = async |row: &'static str| {
        let mut other = pool.begin().await.unwrap();
        sqlx::query(row).execute(&mut *other).await.map(drop)
    };
    for free in [
        "SELECT 1 FROM run WHERE id = '3' FOR UPDATE NOWAIT",
        "SELECT 1 FROM client_secret FOR NO KEY UPDATE NOWAIT",
    ] {
        lock(free).await.unwrap();
    }
    for held in [
        "SELECT 1 FROM client FOR NO KEY UPDATE NOWAIT",
        "SELECT 1 FROM client_secret FOR UPDATE NOWAIT",
        "SELECT 1 FROM run WHERE id = '1' FOR UPDATE NOWAIT",
        "SELECT 1 FROM key_version WHERE version = 1 FOR UPDATE NOWAIT",
    ] {
        let error = lock(held).await.unwrap_err();
        let code = error.into_database_error().unwrap();
        // lock_not_available
        assert_eq!(code.code().as_deref(), Some("55P03"), "{held}");
    }
    closing.commit().await.unwrap();
    assert_eq!(recording.await.unwrap().unwrap(), [Outcome::Recorded; 4]);
}

/// Recorders that are never idle must not keep waiting who removes a leaked secret, or changes its client.
#[tokio::test]
async fn no_later_batch_overtakes_who_changes_a_client() {
    let store = signing_store(&Database::new().await).await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    for what in ["settings", "secret", "client"] {
        add_client(&store, what).await;
        let known = by_secret_of(&store, what).await;
        let batch = vec![entry(1, of_secret(&known), at(1), at(60))];
        // So that the key knows how long its tokens live, and the next batch is the one of every day.
        assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded]);

        let mut earlier = pool.begin().await.unwrap();
        for lock in [
            "SELECT 1 FROM client WHERE name = $1 FOR SHARE",
            "SELECT 1 FROM client_secret WHERE client = $1 FOR KEY SHARE",
        ] {
            let held = sqlx::query(lock).bind(what);
            held.execute(&mut *earlier).await.unwrap();
        }
        let changing = async {
            let id = &known.secret.id;
            let changed = match what {
                "settings" => {
                    let changed = with_session_tags(&known).client;
                    store.update_client(&changed, &ACTOR, at(2)).await
                }
                "secret" => store.remove_client_secret(what, id, &ACTOR, at(2)).await,
                _ => store.remove_client(what, &ACTOR, at(2)).await,
            };
            assert!(changed.unwrap(), "{what}");
        };
        let recording = async {
            until_so_many_wait(pool, 1).await;
            let recording = start(&store, batch);
            until_so_many_wait(pool, 2).await;
            earlier.commit().await.unwrap();
            recording.await.unwrap().unwrap()
        };
        let ((), outcomes) = tokio::join!(changing, recording);
        assert_eq!(outcomes, [Outcome::ClientChanged], "{what}");
    }
}

/// Nor who closes a run that asks for tokens without a pause, on several replicas.
#[tokio::test]
async fn no_later_batch_overtakes_who_closes_a_run() {
    let database = Database::new().await;
    let store = signing_store(&database).await;
    if !store.is_shared() {
        return;
    }
    let pool = &PgPool::connect(&database.url).await.unwrap();
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    let batch = vec![entry(1, of_run("1"), at(1), at(60))];
    // So that the key knows how long its tokens live, and the next batch is the one of every day.
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded]);

    // As batches have it; nothing if somebody has to come first.
    let share = async || {
        let mut batch = pool.begin().await.unwrap();
        let table = sqlx::query("LOCK TABLE run IN ROW SHARE MODE NOWAIT");
        if let Err(error) = table.execute(&mut *batch).await {
            let code = error.into_database_error().unwrap();
            // lock_not_available
            assert_eq!(code.code().as_deref(), Some("55P03"));
            return None;
        }
        let row = sqlx::query("SELECT 1 FROM run WHERE id = '1' FOR SHARE");
        row.execute(&mut *batch).await.unwrap();
        Some(batch)
    };
    let mut earlier = share().await.unwrap();
    let closing = async {
        let closed = store.close_run("1", &ACTOR, at(2)).await.unwrap();
        assert_eq!(closed.unwrap().closed_at, Some(at(2)));
    };
    let recording = async {
        // None is long, but there always is one.
        let mut shared = 1;
        while let Some(later) = share().await {
            earlier.commit().await.unwrap();
            earlier = later;
            shared += 1;
            assert!(shared < 5_000, "it is overtaken again and again");
        }
        let recording = start(&store, batch);
        until_so_many_wait(pool, 2).await;
        earlier.commit().await.unwrap();
        recording.await.unwrap().unwrap()
    };
    let ((), outcomes) = tokio::join!(closing, recording);
    assert_eq!(outcomes, [Outcome::RunEnded(RunState::Closed)]);
}

/// Nor a batch whose tokens live longer than any before.
#[tokio::test]
async fn no_later_batch_overtakes_one_whose_tokens_live_longer() {
    let database = Database::new().await;
    let (store, other) = (signing_store(&database).await, database.store().await);
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    let batch = |expires_at| vec![entry(1, of_run("1"), at(1), expires_at)];
    assert_eq!(
        store.record(&batch(at(60))).await.unwrap(),
        [Outcome::Recorded]
    );

    let mut earlier = pool.begin().await.unwrap();
    let held = sqlx::query("SELECT 1 FROM key_version WHERE version = 1 FOR SHARE");
    held.execute(&mut *earlier).await.unwrap();
    let longer = start(&store, batch(at(86_400)));
    until_somebody_waits_for_table(pool, "key_version").await;
    let shorter = start(&other, batch(at(60)));
    until_so_many_wait(pool, 2).await;
    earlier.commit().await.unwrap();
    for recording in [longer, shorter] {
        assert_eq!(recording.await.unwrap().unwrap(), [Outcome::Recorded]);
    }
    assert!(tokens_until(&store, 1).await >= at(86_400).0);
}

/// Which other replicas may keep waiting for as long as it takes one of them to stall and be thrown out.
#[tokio::test]
async fn a_batch_whose_tokens_live_longer_is_tried_again() {
    const SINCE: &str = "SELECT query_start::TEXT FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let store = signing_store(&Database::new().await).await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    add_client(&store, "atlantis").await;
    let mut stalled = pool.begin().await.unwrap();
    let held = sqlx::query("SELECT 1 FROM key_version WHERE version = 1 FOR SHARE");
    held.execute(&mut *stalled).await.unwrap();
    let recording = start(&store, vec![entry(1, of_client("atlantis"), at(1), at(60))]);
    let waits = RefCell::new(BTreeSet::new());
    eventually("it waits once more", || async {
        let since: Option<String> = sqlx::query_scalar(SINCE)
            .fetch_optional(pool)
            .await
            .unwrap();
        waits.borrow_mut().extend(since);
        waits.borrow().len() > 1
    })
    .await;
    stalled.commit().await.unwrap();
    assert_eq!(recording.await.unwrap().unwrap(), [Outcome::Recorded]);
}

/// Its runs end with it, so their rows are waited for as well: whatever the batch is made of that comes later.
#[tokio::test]
async fn no_later_batch_overtakes_who_removes_a_client_with_its_runs() {
    let database = Database::new().await;
    let store = signing_store(&database).await;
    if !store.is_shared() {
        return;
    }
    let pool = &PgPool::connect(&database.url).await.unwrap();
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    let take = Take {
        id: "token".to_owned(),
        by: "request".to_owned(),
        until: at(60),
        issuer: "ci".to_owned(),
        revision: add_issuer(&store, "ci").await,
    };
    let of_workload = Entry {
        take: Some(take),
        ..entry(1, Authority::Workload, at(1), at(60))
    };
    let of_run = entry(1, of_run("1"), at(1), at(60));
    let mut earlier = pool.begin().await.unwrap();
    let held = sqlx::query("SELECT 1 FROM run WHERE id = '1' FOR SHARE");
    held.execute(&mut *earlier).await.unwrap();
    let removing = async {
        let removed = store.remove_client("atlantis", &ACTOR, at(2)).await;
        assert!(removed.unwrap());
    };
    let recording = async {
        until_so_many_wait(pool, 1).await;
        let recording = start(&store, vec![of_run, of_workload]);
        until_so_many_wait(pool, 2).await;
        earlier.commit().await.unwrap();
        recording.await.unwrap().unwrap()
    };
    let ((), outcomes) = tokio::join!(removing, recording);
    let closed = Outcome::RunEnded(RunState::Closed);
    assert_eq!(outcomes, [closed, Outcome::Recorded]);
}

/// Nor does it keep anybody else waiting then.
#[tokio::test]
async fn a_run_that_is_closed_is_closed_again_without_a_lock() {
    let store = signing_store(&Database::new().await).await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    let close = async |now| store.close_run("1", &ACTOR, at(now)).await;
    let first = close(2).await.unwrap().unwrap();
    let mut recording = pool.begin().await.unwrap();
    let held = sqlx::query("SELECT 1 FROM run WHERE id = '1' FOR SHARE");
    held.execute(&mut *recording).await.unwrap();
    assert_eq!(close(3).await.unwrap().unwrap(), first);
    recording.commit().await.unwrap();
}

/// Minting must not get slower with each run that is open.
#[tokio::test]
async fn what_is_asked_for_by_its_key_is_all_that_is_read() {
    const TURNS: usize = 20;
    const ASKED: usize = 8;
    let database = Database::new().await;
    let filling = signing_store(&database).await;
    if !filling.is_shared() {
        return;
    }
    let pool = PgPool::connect(&database.url).await.unwrap();
    let version: i32 = sqlx::query_scalar("SELECT current_setting('server_version_num')::INT")
        .fetch_one(&pool)
        .await
        .unwrap();
    // Older ones count some time later.
    if version < 150_000 {
        return;
    }
    let names: Vec<String> = (0..200).map(|number| format!("{number:03}")).collect();
    for name in &names {
        add_client(&filling, name).await;
        add_run(&filling, name, name).await;
    }
    let mut known = BTreeMap::new();
    for name in &names {
        known.insert(name.clone(), by_secret_of(&filling, name).await);
    }
    let batch = |names: &[String]| -> Vec<Entry> {
        let authorities = names
            .iter()
            .flat_map(|name| [of_run(name), of_secret(&known[name])]);
        authorities
            .map(|authority| entry(1, authority, at(1), at(60)))
            .collect()
    };
    // So that the key knows how long its tokens live, and the next batches are those of every day.
    let recorded = filling.record(&batch(&names[..1])).await.unwrap();
    assert_eq!(recorded, [Outcome::Recorded; 2]);
    filling.close().await;

    let before = rows_read(&pool).await;
    let minting = database.store().await;
    for names in names.chunks(ASKED).take(TURNS) {
        let hashes: Vec<String> = names.iter().map(|name| hash(name)).collect();
        let runs = minting.find_runs_by_tokens(&hashes).await.unwrap();
        let clients = minting.find_clients_by_secrets(&hashes).await.unwrap();
        assert_eq!((runs.len(), clients.len()), (ASKED, ASKED));
        let recorded = minting.record(&batch(names)).await.unwrap();
        assert_eq!(recorded, [Outcome::Recorded; 2 * ASKED]);
    }
    minting.close().await;
    let read: BTreeMap<String, i64> = rows_read(&pool)
        .await
        .into_iter()
        .map(|(table, rows)| (table.clone(), rows - before[&table]))
        .collect();
    // Twice a turn: to find out whose secret it is, and to record.
    let twice = i64::try_from(2 * TURNS * ASKED).unwrap();
    let expected = [("client", twice), ("client_secret", twice), ("run", twice)];
    assert_eq!(
        read,
        expected
            .map(|(table, rows)| (table.to_owned(), rows))
            .into()
    );
}

/// How many rows of each table have been read by connections that have ended, which all are awaited.
async fn rows_read(pool: &PgPool) -> BTreeMap<String, i64> {
    const OTHERS: &str = "SELECT COUNT(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'runmint'";
    const ROWS: &str = "SELECT relname::TEXT, seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables \
         WHERE relname IN ('client', 'client_secret', 'run')";
    eventually("all connections have ended", || async {
        let others: i64 = sqlx::query_scalar(OTHERS).fetch_one(pool).await.unwrap();
        others == 0
    })
    .await;
    let rows: Vec<(String, i64)> = sqlx::query_as(ROWS).fetch_all(pool).await.unwrap();
    rows.into_iter().collect()
}

/// Its callers have been told that there is no token.
#[tokio::test]
async fn a_batch_that_waits_too_long_is_not_recorded_later() {
    let store = signing_store(&Database::new().await).await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    let batch = vec![entry(1, of_run("1"), at(1), at(60))];
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded]);
    let before = events(&store, EventKind::TokenMinted).await.len();

    let mut closing = pool.begin().await.unwrap();
    let run = sqlx::query("SELECT 1 FROM run WHERE id = '1' FOR UPDATE");
    run.execute(&mut *closing).await.unwrap();
    let recording = start(&store, batch.clone());
    until_it_waits(pool, &recording).await;
    let ends = tokio::time::timeout(Duration::from_mins(1), recording);
    let error = ends.await.expect("the server ends it").unwrap();
    error.unwrap_err();
    closing.commit().await.unwrap();
    assert_eq!(store.record(&batch).await.unwrap(), [Outcome::Recorded]);
    let after = events(&store, EventKind::TokenMinted).await.len();
    assert_eq!(after, before + 1);
}

type Recording = tokio::task::JoinHandle<Result<Vec<Outcome>, StoreError>>;

fn start(store: &Store, batch: Vec<Entry>) -> Recording {
    let store = store.clone();
    tokio::spawn(async move { store.record(&batch).await })
}

/// Until a connection waits for a row that another has locked.
async fn until_it_waits(pool: &PgPool, recording: &Recording) {
    while waiting(pool).await == 0 {
        assert!(!recording.is_finished(), "it waits for no lock");
    }
}

async fn until_somebody_waits_for_table(pool: &PgPool, table: &str) {
    const WAITS: &str = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted \
         AND locktype = 'relation' AND relation = $1::REGCLASS \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let what = format!("somebody waits for the table {table}");
    eventually(&what, || async {
        let waits = sqlx::query_scalar(WAITS).bind(table).fetch_one(pool);
        waits.await.unwrap()
    })
    .await;
}

/// A batch is recorded by one statement if nothing is wrong with it, and looked at entry by entry
/// otherwise: which of the two it was, nobody can tell.
#[tokio::test]
async fn a_batch_has_the_same_outcomes_at_once_and_one_by_one() {
    let store = signing_store(&Database::new().await).await;
    add_client(&store, "atlantis").await;
    for id in ["open", "closed"] {
        add_run(&store, id, "atlantis").await;
    }
    let closed = store.close_run("closed", &ACTOR, at(0)).await.unwrap();
    assert!(closed.is_some());
    let known = by_secret_of(&store, "atlantis").await;
    let removed = KnownSecret {
        hash: hash("removed"),
        ..known.clone()
    };
    let kinds = [
        (of_run("open"), at(1)),
        (of_run("closed"), at(1)),
        (of_run("open"), at(i64::from(u32::MAX))),
        (of_run("nobody's"), at(1)),
        (of_client("atlantis"), at(1)),
        (of_client("removed"), at(1)),
        (of_secret(&known), at(1)),
        (of_secret(&with_session_tags(&known)), at(1)),
        (of_secret(&removed), at(1)),
    ];
    // So that the key knows how long its tokens live.
    let first = entry(1, of_client("atlantis"), at(1), at(i64::from(u32::MAX)));
    assert_eq!(store.record(&[first]).await.unwrap(), [Outcome::Recorded]);
    for chosen in 1..1 << kinds.len() {
        let of_kinds = kinds.iter().enumerate();
        let batch: Vec<Entry> = of_kinds
            .filter(|(place, _)| chosen & (1 << place) != 0)
            .map(|(_, (authority, now))| entry(1, authority.clone(), *now, *now))
            .collect();
        let at_once = store.record(&batch).await.unwrap();
        let is_recorded = |outcome: &&Outcome| **outcome != Outcome::ClientChanged;
        let events = at_once.iter().filter(is_recorded).count();
        let recorded = latest(&store, events).await;
        // What no key signs is not recorded, and is no business of the one statement.
        let mut with_another = batch.clone();
        with_another.push(entry(9, of_run("open"), at(1), at(1)));
        let mut one_by_one = store.record(&with_another).await.unwrap();
        assert_eq!(one_by_one.pop(), Some(Outcome::NotSigning));
        assert_eq!(at_once, one_by_one, "{batch:?}");
        assert_eq!(recorded, latest(&store, events).await, "{batch:?}");
    }
}

/// What so many events say, the last first.
async fn latest(store: &Store, count: usize) -> Vec<String> {
    let events = store.events(&EventFilter::default(), 10).await.unwrap();
    let of_tokens = events.iter().map(|stored| format!("{:?}", stored.event));
    of_tokens.take(count).collect()
}
