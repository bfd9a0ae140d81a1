//! The audit log.

use std::sync::Arc;

use runmint::domain::event::{Actor, Event, EventKind};
use runmint::domain::key::Version;
use runmint::domain::time::Timestamp;
use runmint::store::{Authority, Entry, EventFilter, LiveToken, Store};

use super::{ACTOR, add_client, add_run, at, client, signing_store};
use crate::harness::{Database, START};

const WEEK: i64 = 7 * 24 * 3_600;

fn note(seconds: i64, kind: EventKind) -> Event {
    Event::new(at(seconds), kind, ACTOR)
}

async fn ids(store: &Store, filter: &EventFilter, limit: i64) -> Vec<i64> {
    let events = store.events(filter, limit).await.unwrap();
    events.into_iter().map(|event| event.id).collect()
}

async fn times(store: &Store) -> Vec<i64> {
    let events = store.events(&EventFilter::default(), 1_000).await.unwrap();
    let times = events
        .iter()
        .map(|event| event.event.at.seconds_since(START));
    times.collect()
}

#[tokio::test]
async fn an_event_reads_back_as_it_was_written() {
    let store = Database::new().await.store().await;
    let full = Event {
        at: START,
        kind: EventKind::TokenMinted,
        actor: Actor::Client("atlantis".to_owned()),
        request_id: Some("request".to_owned()),
        run: Some("run".to_owned()),
        run_id: Some("run-1".to_owned()),
        subject: Some("subject".to_owned()),
        audience: Some("audience".to_owned()),
        jti: Some("jti".to_owned()),
        kid: Some("kid".to_owned()),
        expires_at: Some(at(60)),
        reason: Some("it's a \"reason\"; -- ü".to_owned()),
    };
    let bare = note(1, EventKind::KeyStaged);
    for event in [&full, &bare] {
        store.add_event(event).await.unwrap();
    }
    let read = store.events(&EventFilter::default(), 10).await.unwrap();
    let read: Vec<_> = read.into_iter().map(|stored| stored.event).collect();
    assert_eq!(read, [bare, full]);
}

#[tokio::test]
async fn several_events_keep_their_order() {
    let store = Database::new().await.store().await;
    let events: Vec<_> = (0..300)
        .map(|seconds| note(seconds, EventKind::TokenRefused))
        .collect();
    store.add_events(&events).await.unwrap();
    store.add_events(&[]).await.unwrap();
    let read = store.events(&EventFilter::default(), 1_000).await.unwrap();
    let read: Vec<_> = read.into_iter().rev().map(|stored| stored.event).collect();
    assert_eq!(read, events);
}

#[tokio::test]
async fn pages_follow_the_cursor_without_gap_or_repetition() {
    let store = Database::new().await.store().await;
    for seconds in 0..10 {
        let event = note(seconds, EventKind::TokenRefused);
        store.add_event(&event).await.unwrap();
    }
    let all = ids(&store, &EventFilter::default(), 100).await;
    let mut paged = Vec::new();
    let mut filter = EventFilter::default();
    loop {
        let page = ids(&store, &filter, 3).await;
        let Some(last) = page.last() else { break };
        filter.before = Some(*last);
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert_eq!(all.len(), 10);
    assert!(all.is_sorted_by(|newer, older| newer > older), "{all:?}");
}

#[tokio::test]
async fn each_filter_finds_its_own() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let id = "0198a2b4-0000-7000-8000-000000000001";
    add_run(&store, id, "atlantis").await;
    let event = Event {
        run: Some(id.to_owned()),
        run_id: Some(format!("run-of-{id}")),
        subject: Some("subject".to_owned()),
        jti: Some("jti".to_owned()),
        kid: Some("kid".to_owned()),
        ..note(100, EventKind::TokenMinted)
    };
    store.add_event(&event).await.unwrap();
    let other = note(200, EventKind::TokenRefused);
    store.add_event(&other).await.unwrap();
    let found = async |filter: EventFilter| -> Vec<i64> {
        let events = store.events(&filter, 100).await.unwrap();
        let times = events
            .iter()
            .map(|stored| stored.event.at.seconds_since(START));
        times.collect()
    };
    let none = EventFilter::default;
    let text = |text: &str| Some(text.to_owned());
    // The run was opened at 0.
    let run = text(id);
    assert_eq!(found(EventFilter { run, ..none() }).await, [100, 0]);
    let run = Some(format!("run-of-{id}"));
    assert_eq!(found(EventFilter { run, ..none() }).await, [100, 0]);
    let subject = text("subject");
    assert_eq!(found(EventFilter { subject, ..none() }).await, [100]);
    let jti = text("jti");
    assert_eq!(found(EventFilter { jti, ..none() }).await, [100]);
    let kid = text("kid");
    assert_eq!(found(EventFilter { kid, ..none() }).await, [100]);
    let kind = Some(EventKind::TokenRefused);
    assert_eq!(found(EventFilter { kind, ..none() }).await, [200]);
    let since = Some(at(100));
    assert_eq!(found(EventFilter { since, ..none() }).await, [200, 100]);
    let until = Some(at(200));
    let both = EventFilter {
        since,
        until,
        ..none()
    };
    assert_eq!(found(both).await, [100]);
    let nothing = EventFilter {
        jti: text("jti"),
        kind,
        ..none()
    };
    assert_eq!(found(nothing).await, [0; 0]);
}

#[tokio::test]
async fn living_tokens_are_counted_by_run_and_audience() {
    let store = signing_store(&Database::new().await).await;
    add_client(&store, "atlantis").await;
    let token = |run_id: &str, audience: &str, lives: i64| Entry {
        event: Event {
            run_id: Some(run_id.to_owned()),
            audience: Some(audience.to_owned()),
            kid: Some("kid-1".to_owned()),
            expires_at: Some(at(lives)),
            ..note(0, EventKind::TokenMinted)
        },
        authority: Authority::Client(Arc::new(client("atlantis").client)),
        version: Version(1),
        take: None,
    };
    let batch = [
        token("run-1", "aws", 100),
        token("run-1", "aws", 300),
        token("run-1", "vault", 200),
        token("run-2", "aws", 50),
        token("run-2", "aws", 40),
    ];
    store.record(&batch).await.unwrap();
    let faulty = Event {
        kind: EventKind::TokenFaulty,
        ..batch[1].event.clone()
    };
    store.add_event(&faulty).await.unwrap();
    let live = async |kid: &str, now| -> Vec<(String, String, i64, i64)> {
        let row = |LiveToken {
                       run_id,
                       audience,
                       tokens,
                       expires_at,
                       ..
                   }| {
            let lives = Timestamp(expires_at).seconds_since(START);
            (run_id.unwrap(), audience.unwrap(), tokens, lives)
        };
        let tokens = store.live_tokens(kid, at(now)).await.unwrap();
        tokens.into_iter().map(row).collect()
    };
    let row = |run_id: &str, audience: &str, tokens, lives| {
        (run_id.to_owned(), audience.to_owned(), tokens, lives)
    };
    assert_eq!(
        live("kid-1", 40).await,
        [
            row("run-1", "aws", 2, 300),
            row("run-1", "vault", 1, 200),
            row("run-2", "aws", 1, 50),
        ]
    );
    assert_eq!(live("kid-1", 299).await, [row("run-1", "aws", 1, 300)]);
    assert!(live("kid-1", 300).await.is_empty());
    assert!(live("kid-2", 0).await.is_empty());
}

#[tokio::test]
async fn maintenance_drops_what_is_old_and_keeps_the_rest() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add_run(&store, "old", "atlantis").await;
    for week in 0..4 {
        let event = note(week * WEEK, EventKind::TokenRefused);
        store.add_event(&event).await.unwrap();
        let now = at(week * WEEK);
        store.maintain(Timestamp(0), now).await.unwrap();
    }
    let kept = vec![3 * WEEK, 2 * WEEK, WEEK, 0, 0, 0];
    assert_eq!(
        times(&store).await,
        kept,
        "nothing was old, nothing is lost"
    );
    assert!(store.find_run("old").await.unwrap().is_some());

    // On Postgres events go by whole weeks: with the first one that is old to its end.
    for _ in 0..2 {
        let now = at(3 * WEEK);
        store.maintain(at(2 * WEEK), now).await.unwrap();
        assert_eq!(times(&store).await[..2], [3 * WEEK, 2 * WEEK]);
        assert!(!times(&store).await.contains(&0));
        assert_eq!(store.find_run("old").await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_open_run_outlives_maintenance() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    store.maintain(at(3_600), at(3_600)).await.unwrap();
    assert!(store.find_run("1").await.unwrap().is_some(), "it ends now");
    store.maintain(at(3_601), at(3_601)).await.unwrap();
    assert_eq!(store.find_run("1").await.unwrap(), None);
}

/// Events of a week without a partition are caught by the default one, and move when it is made.
#[tokio::test]
async fn partitions_are_made_ahead_filled_and_dropped() {
    let store = Database::new().await.store().await;
    let Store::Postgres { pool, .. } = &store else {
        return;
    };
    let rows = async |table: &str| -> i64 {
        let count = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
    };
    let partitions = async || -> Vec<String> {
        const SQL: &str = "SELECT relname::TEXT FROM pg_inherits JOIN pg_class ON oid = inhrelid \
             WHERE inhparent = 'event'::regclass ORDER BY 1";
        sqlx::query_scalar(SQL).fetch_all(pool).await.unwrap()
    };
    let monday = Timestamp(START.0.div_euclid(WEEK) * WEEK);
    let names = |weeks: &[i64]| -> Vec<String> {
        let weeks = weeks
            .iter()
            .map(|week| format!("event_w{}", monday.0 + week * WEEK));
        std::iter::once("event_default".to_owned())
            .chain(weeks)
            .collect()
    };
    let event = |week: i64| Event {
        at: Timestamp(monday.0 + week * WEEK),
        ..note(0, EventKind::TokenRefused)
    };
    for week in [0, 1, 5] {
        store.add_event(&event(week)).await.unwrap();
    }
    assert_eq!(rows("event_default").await, 3);
    for _ in 0..2 {
        store.maintain(Timestamp(0), monday).await.unwrap();
        assert_eq!(partitions().await, names(&[0, 1]));
        assert_eq!(rows("event_default").await, 1, "week 5 has no partition");
        assert_eq!(rows("event").await, 3);
    }
    store.add_event(&event(0)).await.unwrap();
    assert_eq!(rows(&format!("event_w{}", monday.0)).await, 2);

    // Week 0 is old when all of it is.
    let (last, over) = (monday.0 + WEEK - 1, monday.0 + WEEK);
    store.maintain(Timestamp(last), monday).await.unwrap();
    assert_eq!(partitions().await, names(&[0, 1]));
    let now = Timestamp(over);
    store.maintain(Timestamp(over), now).await.unwrap();
    assert_eq!(partitions().await, names(&[1, 2]));
    assert_eq!(rows("event").await, 2);
    let far = Timestamp(monday.0 + 5 * WEEK + 1);
    store.maintain(far, now).await.unwrap();
    assert_eq!(rows("event_default").await, 0, "the net is emptied, too");
}

/// Replicas start together, and each makes room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_may_maintain_at_the_same_time() {
    let database = Database::durable().await;
    let store = database.store().await;
    for week in 0..5 {
        let now = at(week * WEEK);
        let maintaining: Vec<_> = (0..3)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.maintain(START, now).await })
            })
            .collect();
        for replica in maintaining {
            replica.await.unwrap().unwrap();
        }
    }
}
