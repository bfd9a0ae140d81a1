//! Operators and their tokens.

use runmint::domain::event::EventKind;
use runmint::domain::name::Name;
use runmint::domain::operator::{Access, CONFIGURED};
use runmint::domain::secret::NewSecret;
use runmint::store::{Store, StoreError};

use super::{ACTOR, at, events};
use crate::harness::Database;

fn token(hash: &str, expires_at: Option<i64>) -> NewSecret {
    NewSecret {
        hash: hash.to_owned(),
        expires_at: expires_at.map(at),
    }
}

async fn add(store: &Store, name: &str, access: Access) -> Result<(), StoreError> {
    let token = token(&format!("token of {name}"), None);
    let name = Name::parse("name", name).unwrap();
    store
        .add_operator(&name, access, &token, &ACTOR, at(0))
        .await
}

async fn names(store: &Store) -> Vec<(String, Access, bool)> {
    let operators = store.operators().await.unwrap();
    operators
        .into_iter()
        .map(|operator| {
            let was_added = operator.created_at.is_some();
            (operator.name.to_string(), operator.access, was_added)
        })
        .collect()
}

#[tokio::test]
async fn an_operator_is_added_found_by_its_token_and_removed() {
    let store = Database::new().await.store().await;
    add(&store, "alice", Access::Full).await.unwrap();
    add(&store, "bob", Access::Read).await.unwrap();
    let again = add(&store, "alice", Access::Full).await.unwrap_err();
    assert!(matches!(again, StoreError::Conflict(_)), "{again}");
    let of = |name: &str, access, was_added| (name.to_owned(), access, was_added);
    let expected = [
        of("admin", Access::Full, false),
        of("alice", Access::Full, true),
        of("bob", Access::Read, true),
    ];
    assert_eq!(names(&store).await, expected);

    let found = store.find_operator_by_token("token of bob").await.unwrap();
    let (operator, token) = found.unwrap();
    assert_eq!(
        (operator.name.as_str(), operator.access),
        ("bob", Access::Read)
    );
    assert_eq!(
        (operator.created_at, token.created_at),
        (Some(at(0)), at(0))
    );
    assert_eq!((token.id.as_str(), token.issuer), ("token of bob", None));

    assert!(store.remove_operator("bob", &ACTOR, at(1)).await.unwrap());
    assert!(!store.remove_operator("bob", &ACTOR, at(1)).await.unwrap());
    let found = store.find_operator_by_token("token of bob").await.unwrap();
    assert_eq!(found, None);
    assert_eq!(store.operator_tokens("bob").await.unwrap(), None);
    assert_eq!(events(&store, EventKind::OperatorAdded).await.len(), 2);
    assert_eq!(events(&store, EventKind::OperatorRemoved).await.len(), 1);
}

#[tokio::test]
async fn the_configured_operator_stays_and_has_no_token_here() {
    let store = Database::new().await.store().await;
    assert!(add(&store, CONFIGURED, Access::Full).await.is_err());
    let removed = store.remove_operator(CONFIGURED, &ACTOR, at(1)).await;
    assert!(!removed.unwrap());
    let added = store
        .add_operator_token(CONFIGURED, &token("x", None), &ACTOR, at(1))
        .await;
    assert!(!added.unwrap());
    assert_eq!(store.find_operator_by_token("x").await.unwrap(), None);
    assert_eq!(
        store.operator_tokens(CONFIGURED).await.unwrap(),
        Some(vec![])
    );
}

#[tokio::test]
async fn an_operator_has_two_tokens_and_no_third() {
    let store = Database::new().await.store().await;
    add(&store, "alice", Access::Full).await.unwrap();
    let add = async |hash: &str, expires_at, now| {
        let token = token(hash, expires_at);
        store
            .add_operator_token("alice", &token, &ACTOR, at(now))
            .await
    };
    assert!(add("two", Some(50), 1).await.unwrap());
    let error = add("three", None, 49).await.unwrap_err();
    assert!(matches!(error, StoreError::TwoAlready(_)), "{error}");
    assert!(add("three", None, 50).await.unwrap());
    let remove = async |name: &str, id: &str| {
        let removed = store.remove_operator_token(name, id, &ACTOR, at(51)).await;
        removed.unwrap()
    };
    assert!(remove("alice", "two").await);
    assert!(!remove("alice", "two").await);
    assert!(!remove("bob", "three").await);
    let left = store.operator_tokens("alice").await.unwrap().unwrap();
    let ids: Vec<_> = left.iter().map(|token| token.id.as_str()).collect();
    assert_eq!(ids, ["token of ali", "three"]);
    assert_eq!(events(&store, EventKind::OperatorTokenAdded).await.len(), 2);
    let removed = events(&store, EventKind::OperatorTokenRemoved).await;
    let reason = removed[0].event.reason.as_deref();
    assert_eq!(reason, Some("operator alice, token two"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_add_a_second_token_at_once_one_does() {
    let database = Database::durable().await;
    let stores = [database.store().await, database.store().await];
    add(&stores[0], "alice", Access::Full).await.unwrap();
    let adding: Vec<_> = (0..8)
        .map(|n| {
            let (store, token) = (stores[n % 2].clone(), token(&format!("t{n}"), None));
            tokio::spawn(async move {
                store
                    .add_operator_token("alice", &token, &ACTOR, at(1))
                    .await
            })
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
}

#[tokio::test]
async fn uses_are_written_down_for_the_operator_and_for_its_token() {
    let store = Database::new().await.store().await;
    add(&store, "alice", Access::Full).await.unwrap();
    let two = token("two", None);
    let added = store.add_operator_token("alice", &two, &ACTOR, at(0)).await;
    assert!(added.unwrap());
    let mark = async |name: &str, hash: Option<&str>, now| {
        store.mark_operator_used(name, hash, at(now)).await.unwrap();
    };
    mark("alice", Some("token of alice"), 5).await;
    mark("alice", Some("two"), 30).await;
    mark("alice", Some("two"), 80).await;
    mark(CONFIGURED, None, 7).await;
    let used: Vec<_> = store
        .operators()
        .await
        .unwrap()
        .iter()
        .map(|operator| operator.last_used_at)
        .collect();
    assert_eq!(used, [Some(at(7)), Some(at(80))]);
    let tokens = store.operator_tokens("alice").await.unwrap().unwrap();
    let used = |id: &str| {
        let token = tokens.iter().find(|token| token.id == id).unwrap();
        token.last_used_at
    };
    assert_eq!(used("token of ali"), Some(at(5)));
    assert_eq!(used("two"), Some(at(30)), "once a minute");
}

#[tokio::test]
async fn an_expired_token_is_forgotten_a_day_later() {
    let day = 24 * 3_600;
    let store = Database::new().await.store().await;
    add(&store, "alice", Access::Full).await.unwrap();
    let two = token("two", Some(10));
    let added = store.add_operator_token("alice", &two, &ACTOR, at(0)).await;
    assert!(added.unwrap());
    for (now, left) in [(10 + day, 2), (11 + day, 1)] {
        store.maintain(at(0), at(now)).await.unwrap();
        let tokens = store.operator_tokens("alice").await.unwrap().unwrap();
        assert_eq!(tokens.len(), left);
    }
}
