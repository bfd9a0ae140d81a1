//! The secrets of clients.

use runmint::domain::event::{Event, EventKind};
use runmint::domain::secret::{NewSecret, SecretInfo};
use runmint::store::{AddRun, OpenSession, Store, StoreError, Take, Taken, Word};
use sqlx::{AssertSqlSafe, PgPool};

use super::{
    ACTOR, add_client, add_issuer, at, by_secret, events, hash, opened, run, until_so_many_wait,
};
use crate::harness::{Database, START};

fn secret(hash: &str, expires_at: Option<i64>) -> NewSecret {
    NewSecret {
        hash: hash.to_owned(),
        expires_at: expires_at.map(at),
    }
}

async fn add(store: &Store, secret: &NewSecret, now: i64) -> Result<bool, StoreError> {
    store
        .add_client_secret("atlantis", secret, &ACTOR, at(now))
        .await
}

async fn ids(store: &Store, now: i64) -> Vec<String> {
    let secrets = store.client_secrets("atlantis", at(now)).await.unwrap();
    secrets.into_iter().map(|secret| secret.id).collect()
}

#[tokio::test]
async fn a_session_is_its_client_s_and_its_issuer_s_and_opens_runs_while_it_lives() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let revision = add_issuer(&store, "ci").await;
    let event = Event::new(START, EventKind::ClientSessionOpened, ACTOR);
    let open = async |client: &str, token: &str, revision: i64| {
        let take = Take {
            id: token.to_owned(),
            by: "request".to_owned(),
            until: at(60),
            issuer: "ci".to_owned(),
            revision,
        };
        let secret = secret(&format!("session by {token}"), Some(60));
        let opened = store.open_session(client, &secret, &take, &event).await;
        opened.unwrap()
    };
    assert_eq!(
        open("removed", "one", revision).await,
        OpenSession::ClientGone
    );
    let changed = OpenSession::NotTaken(Taken::IssuerChanged);
    assert_eq!(open("atlantis", "one", revision + 1).await, changed);
    assert_eq!(open("atlantis", "one", revision).await, OpenSession::Opened);
    assert_eq!(
        events(&store, EventKind::ClientSessionOpened).await.len(),
        1
    );

    let session = Word::Secret {
        hash: "session by one",
        issuer: "ci",
    };
    let add = async |id: &str| {
        let run = run(id, "atlantis");
        let (hash, event) = (hash(id), opened(&run));
        let added = store.add_run(&run, &hash, Some(session), &event).await;
        added.unwrap()
    };
    assert_eq!(add("1").await, AddRun::Added);
    let removed = store.remove_trusted_issuer("ci", &ACTOR, at(1)).await;
    assert!(removed.unwrap());
    assert_eq!(add("2").await, AddRun::ClientGone);
    assert_eq!(store.find_run("2").await.unwrap(), None);
    let run = store.find_run("1").await.unwrap().unwrap();
    assert_eq!(run.closed_at, Some(at(1)));
}

#[tokio::test]
async fn nothing_is_left_of_what_a_foreign_token_was_taken_for_too_late() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let revision = add_issuer(&store, "ci").await;
    let take = |by: &str| Take {
        id: "token".to_owned(),
        by: by.to_owned(),
        until: at(60),
        issuer: "ci".to_owned(),
        revision,
    };
    let event = Event::new(START, EventKind::ClientSessionOpened, ACTOR);
    let session = async |hash: &str, by: &str| {
        let (secret, take) = (secret(hash, Some(60)), take(by));
        let opened = store.open_session("atlantis", &secret, &take, &event);
        opened.await.unwrap()
    };
    assert_eq!(session("one", "first").await, OpenSession::Opened);
    let refused = OpenSession::NotTaken(Taken::Before);
    assert_eq!(session("two", "second").await, refused);
    let run = run("1", "atlantis");
    let (token_hash, opened) = (hash("1"), opened(&run));
    let take = take("third");
    let added = store.add_run(&run, &token_hash, Some(Word::Token(&take)), &opened);
    assert_eq!(added.await.unwrap(), AddRun::NotTaken(Taken::Before));

    assert!(by_secret(&store, "one").await.is_some());
    assert!(by_secret(&store, "two").await.is_none());
    assert_eq!(store.find_run("1").await.unwrap(), None);
    for (kind, count) in [
        (EventKind::ClientSessionOpened, 1),
        (EventKind::RunOpened, 0),
    ] {
        assert_eq!(events(&store, kind).await.len(), count, "{kind:?}");
    }
}

/// A batch of tokens takes foreign tokens last. Whoever took one first, and then waited for a table that a
/// removal waits for, would wait for the batch, and that for the token, until the database notices.
#[tokio::test]
async fn a_foreign_token_is_taken_last() {
    let database = Database::new().await;
    let store = database.store().await;
    if !store.is_shared() {
        return;
    }
    let pool = &PgPool::connect(&database.url).await.unwrap();
    add_client(&store, "atlantis").await;
    let revision = add_issuer(&store, "ci").await;
    for table in ["client_secret", "run"] {
        let take = Take {
            id: format!("for {table}"),
            by: "request".to_owned(),
            until: at(60),
            issuer: "ci".to_owned(),
            revision,
        };
        let mut batch = pool.begin().await.unwrap();
        let share = format!("LOCK TABLE {table} IN ROW SHARE MODE");
        let share = sqlx::query(AssertSqlSafe(share));
        share.execute(&mut *batch).await.unwrap();
        let removal = async {
            let mut removal = pool.begin().await.unwrap();
            let lock = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
            let lock = sqlx::query(AssertSqlSafe(lock));
            lock.execute(&mut *removal).await.unwrap();
            removal.commit().await.unwrap();
        };
        let opening = async {
            until_so_many_wait(pool, 1).await;
            if table == "run" {
                let run = run("1", "atlantis");
                let word = Some(Word::Token(&take));
                let added = store.add_run(&run, &hash("1"), word, &opened(&run)).await;
                assert_eq!(added.unwrap(), AddRun::Added);
            } else {
                let secret = secret("session", Some(60));
                let event = Event::new(START, EventKind::ClientSessionOpened, ACTOR);
                let opened = store.open_session("atlantis", &secret, &take, &event).await;
                assert_eq!(opened.unwrap(), OpenSession::Opened);
            }
        };
        let taking = async {
            until_so_many_wait(pool, 2).await;
            let taking =
                sqlx::query("INSERT INTO taken_token VALUES ($1, 'batch', 0)").bind(&take.id);
            taking.execute(&mut *batch).await.unwrap();
            batch.rollback().await.unwrap();
        };
        tokio::join!(removal, opening, taking);
    }
}

#[tokio::test]
async fn a_client_has_two_secrets_and_no_third() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add_client(&store, "buildkite").await;
    assert!(add(&store, &secret("two", Some(50)), 1).await.unwrap());
    let error = add(&store, &secret("three", None), 2).await.unwrap_err();
    assert!(matches!(error, StoreError::TwoAlready(_)), "{error}");
    assert!(error.to_string().contains("remove one"), "{error}");
    let nobody = store
        .add_client_secret("nobody", &secret("x", None), &ACTOR, at(2))
        .await;
    assert!(!nobody.unwrap());

    let listed = store.client_secrets("atlantis", at(3)).await.unwrap();
    assert_eq!(
        listed[1],
        SecretInfo {
            id: "two".to_owned(),
            created_at: at(1),
            expires_at: Some(at(50)),
            last_used_at: None,
            issuer: None,
        }
    );
    let known = by_secret(&store, "two").await.unwrap();
    assert_eq!(known.client.name.as_str(), "atlantis");
    assert_eq!(known.secret, listed[1]);

    assert!(add(&store, &secret("three", None), 50).await.unwrap());
    let named = ["hash of atla", "two", "three"];
    assert_eq!(ids(&store, 50).await, named, "the expired one is shown");
    let added = events(&store, EventKind::ClientSecretAdded).await;
    assert_eq!(added.len(), 2);
    assert_eq!(added[1].event.expires_at, Some(at(50)));
    let reason = added[1].event.reason.as_deref();
    assert_eq!(reason, Some("client atlantis, secret two"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_add_a_second_secret_at_once_one_does() {
    let database = Database::durable().await;
    let stores = [database.store().await, database.store().await];
    for round in 0..5 {
        let name = format!("client-{round}");
        add_client(&stores[0], &name).await;
        let adding: Vec<_> = (0..6)
            .map(|n| {
                let (store, name) = (stores[n % 2].clone(), name.clone());
                let secret = secret(&format!("{round}-{n}"), None);
                tokio::spawn(
                    async move { store.add_client_secret(&name, &secret, &ACTOR, at(1)).await },
                )
            })
            .collect();
        let mut added = 0;
        for outcome in adding {
            match outcome.await.unwrap() {
                Ok(known) => added += usize::from(known),
                Err(error) => assert!(matches!(error, StoreError::TwoAlready(_)), "{error}"),
            }
        }
        assert_eq!(added, 1);
        let secrets = stores[0].client_secrets(&name, at(1)).await.unwrap();
        assert_eq!(secrets.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_goes_while_it_is_given_a_secret_goes_with_it() {
    let database = Database::durable().await;
    let [adding, removing, using] = [
        database.store().await,
        database.store().await,
        database.store().await,
    ];
    for round in 0..20 {
        let name = format!("client-{round}");
        add_client(&adding, &name).await;
        let new = secret(&format!("new-{round}"), None);
        let (first, at) = ([hash(&name)], at(1));
        let (added, removed, used) = tokio::join!(
            adding.add_client_secret(&name, &new, &ACTOR, at),
            removing.remove_client(&name, &ACTOR, at),
            using.mark_client_secrets_used(&first, at),
        );
        added.unwrap();
        used.unwrap();
        assert!(removed.unwrap());
        assert_eq!(adding.client_secrets(&name, at).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_secret_is_removed_from_its_own_client_alone() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add_client(&store, "buildkite").await;
    add(&store, &secret("two", None), 1).await.unwrap();
    let remove = async |client: &str, id: &str| {
        let removed = store.remove_client_secret(client, id, &ACTOR, at(2)).await;
        removed.unwrap()
    };
    assert!(!remove("buildkite", "two").await);
    assert!(!remove("atlantis", "three").await);
    assert!(remove("atlantis", "hash of atla").await);
    assert!(!remove("atlantis", "hash of atla").await);
    assert_eq!(ids(&store, 2).await, ["two"]);
    assert!(by_secret(&store, &hash("atlantis")).await.is_none());
    assert_eq!(
        events(&store, EventKind::ClientSecretRemoved).await.len(),
        1
    );
}

#[tokio::test]
async fn a_use_is_written_down_once_a_minute() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    for (now, expected) in [(5, 5), (65, 5), (66, 66), (30, 66)] {
        let used = [hash("atlantis"), "?".to_owned(), hash("atlantis")];
        let marked = store.mark_client_secrets_used(&used, at(now)).await;
        marked.unwrap();
        let secrets = store.client_secrets("atlantis", at(now)).await.unwrap();
        assert_eq!(secrets[0].last_used_at, Some(at(expected)), "at {now}");
    }
    store.mark_client_secrets_used(&[], at(99)).await.unwrap();
}

#[tokio::test]
async fn many_uses_are_written_down_at_once_each_if_it_is_news() {
    let store = Database::new().await.store().await;
    let names: Vec<String> = (0..600).map(|number| format!("c{number}")).collect();
    for name in &names {
        add_client(&store, name).await;
    }
    let used: Vec<String> = names.iter().map(|name| hash(name)).collect();
    let mark = async |used: &[String], now| {
        let marked = store.mark_client_secrets_used(used, at(now)).await;
        marked.unwrap();
    };
    mark(&used[..1], 10).await;
    mark(&used[..599], 70).await;
    for (name, expected) in [
        ("c0", Some(10)),
        ("c1", Some(70)),
        ("c598", Some(70)),
        ("c599", None),
    ] {
        let secrets = store.client_secrets(name, at(70)).await.unwrap();
        assert_eq!(secrets[0].last_used_at, expected.map(at), "{name}");
    }
}

#[tokio::test]
async fn an_expired_secret_is_forgotten_a_day_later() {
    let day = 24 * 3_600;
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add(&store, &secret("two", Some(10)), 1).await.unwrap();
    store.maintain(at(0), at(10 + day)).await.unwrap();
    assert_eq!(ids(&store, 10 + day).await.len(), 2);
    store.maintain(at(0), at(11 + day)).await.unwrap();
    assert_eq!(ids(&store, 11 + day).await, ["hash of atla"]);
}

#[tokio::test]
async fn short_lived_secrets_are_none_of_the_two_and_vanish_when_they_expire() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let sql = "INSERT INTO client_secret (hash, id, client, created_at, expires_at, issuer) \
               VALUES ('session', 'session', 'atlantis', $1, $2, 'github')";
    let (made, ends) = (at(0).0, at(60).0);
    match &store {
        Store::Sqlite { write, .. } => {
            let insert = sqlx::query(sql).bind(made).bind(ends);
            insert.execute(write).await.map(drop).unwrap();
        }
        Store::Postgres { pool, .. } => {
            let insert = sqlx::query(sql).bind(made).bind(ends);
            insert.execute(pool).await.map(drop).unwrap();
        }
    }
    assert!(add(&store, &secret("two", None), 1).await.unwrap());
    assert_eq!(ids(&store, 59).await, ["hash of atla", "two", "session"]);
    assert_eq!(ids(&store, 60).await, ["hash of atla", "two"]);
    let info = by_secret(&store, "session").await.unwrap().secret;
    assert_eq!(info.issuer.as_deref(), Some("github"));
    assert!(info.is_expired(at(60)) && !info.is_expired(at(59)));
}
