//! Key versions, the lease, the revision.

use std::time::Duration;

use runmint::domain::event::EventKind;
use runmint::domain::key::{KeyState, Step, Version};
use runmint::store::{Store, StoreError};

use super::{ACTOR, at, change, events, new_key, signing_store};
use crate::harness::{Database, START};

const TTL: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_lease_is_held_by_one_until_it_expires_or_is_given_back() {
    let store = Database::new().await.store().await;
    let claim = async |holder: &str, seconds| {
        let lease = store.claim_lease(holder, TTL, at(seconds)).await.unwrap();
        lease.is_some()
    };
    assert!(claim("a", 0).await);
    assert!(!claim("b", 29).await, "it has not expired");
    assert!(claim("a", 29).await, "its holder may claim it again");
    assert!(!claim("b", 58).await, "and has it for longer then");
    assert!(claim("b", 59).await, "it has expired");
    let lease = store.take_over_lease("a", TTL, at(60)).await.unwrap();
    assert!(!claim("b", 61).await, "it was taken over");
    store.release_lease(&lease).await.unwrap();
    assert!(claim("b", 61).await, "it was given back");
    store.release_lease(&lease).await.unwrap();
    assert!(!claim("a", 62).await, "an old lease gives nothing back");
}

#[tokio::test]
async fn only_who_holds_the_lease_of_this_epoch_changes_keys() {
    let store = signing_store(&Database::new().await).await;
    let stage = [Step::Stage(Version(2))];
    let attempt = async |lease, seconds| {
        let steps = |_: &[_]| stage.to_vec();
        store
            .change_keys(lease, Some(&new_key(2)), &ACTOR, at(seconds), steps)
            .await
    };
    let before = (store.keys().await.unwrap(), store.key_revision().await);
    let expired = store.claim_lease("a", TTL, START).await.unwrap().unwrap();
    assert_lost(&attempt(&expired, 30).await);
    let older = store.claim_lease("a", TTL, START).await.unwrap().unwrap();
    let newer = store.claim_lease("a", TTL, START).await.unwrap().unwrap();
    assert_lost(&attempt(&older, 1).await);
    let other = store.take_over_lease("b", TTL, START).await.unwrap();
    assert_lost(&attempt(&newer, 1).await);
    let resealed = store
        .reseal_key(&newer, &before.0[0], "new", &ACTOR, at(1))
        .await;
    assert_lost(&resealed);
    store.release_lease(&other).await.unwrap();
    assert_lost(&attempt(&other, 1).await);
    let after = (store.keys().await.unwrap(), store.key_revision().await);
    assert_eq!(before.0, after.0);
    assert_eq!(before.1.unwrap(), after.1.unwrap());

    let lease = store.claim_lease("a", TTL, START).await.unwrap().unwrap();
    assert_eq!(attempt(&lease, 29).await.unwrap(), stage);
}

#[tokio::test]
async fn a_version_goes_through_its_states_and_nothing_else() {
    let store = signing_store(&Database::new().await).await;
    let (one, two) = (Version(1), Version(2));
    let keys = change(&store, &[Step::Stage(two)]).await;
    assert_eq!(keys[1].state, KeyState::Staged { seen_at: None });
    assert_eq!(keys[1].sealed_private.as_deref(), Some("sealed-2"));
    assert_refused(&store, Step::Activate(one)).await;
    assert_refused(&store, Step::Retire(two)).await;
    assert_refused(&store, Step::Deactivate(two)).await;

    let keys = change(&store, &[Step::MarkSeen(two), Step::Expedite(two)]).await;
    let seen_at = Some(START);
    assert_eq!(keys[1].state, KeyState::Staged { seen_at });
    assert!(keys[1].expedited);
    assert_refused(&store, Step::MarkSeen(two)).await;

    let keys = change(&store, &[Step::Deactivate(one), Step::Activate(two)]).await;
    let activated_at = START;
    assert_eq!(
        [keys[0].state, keys[1].state],
        [
            KeyState::Retiring {
                activated_at,
                deactivated_at: START
            },
            KeyState::Active {
                seen_at,
                activated_at
            },
        ]
    );
    assert_eq!(keys[0].sealed_private, None, "it is destroyed");
    assert!(!keys[1].expedited, "what was asked for has been done");
    assert_refused(&store, Step::Expedite(two)).await;

    let keys = change(&store, &[Step::Expedite(one), Step::Retire(one)]).await;
    let retired_at = START;
    assert_eq!(
        keys[0].state,
        KeyState::Retired {
            activated_at,
            retired_at
        }
    );
    for step in [
        Step::Revoke(one),
        Step::Activate(one),
        Step::Expedite(one),
        Step::MarkSeen(one),
    ] {
        assert_refused(&store, step).await;
    }

    let keys = change(&store, &[Step::Revoke(two)]).await;
    assert_eq!(
        keys[1].state,
        KeyState::Revoked {
            activated_at: Some(START),
            revoked_at: START
        }
    );
    assert_eq!(keys[1].sealed_private, None, "it is destroyed");
    assert_refused(&store, Step::Revoke(two)).await;
}

#[tokio::test]
async fn one_version_signs_and_one_waits() {
    let store = signing_store(&Database::new().await).await;
    change(&store, &[Step::Stage(Version(2))]).await;
    // Not even a plan that forgets about the others gets through.
    assert_refused(&store, Step::Stage(Version(3))).await;
    let lease = store.take_over_lease("a", TTL, START).await.unwrap();
    let both_sign = store
        .change_keys(&lease, None, &ACTOR, START, |_| {
            vec![Step::Activate(Version(2))]
        })
        .await;
    assert!(both_sign.is_err(), "{both_sign:?}");
    let states: Vec<_> = store
        .keys()
        .await
        .unwrap()
        .iter()
        .map(|key| key.state.as_str())
        .collect();
    assert_eq!(states, ["active", "staged"]);
}

#[tokio::test]
async fn a_plan_is_carried_out_whole_or_not_at_all() {
    let store = signing_store(&Database::new().await).await;
    let revision = store.key_revision().await.unwrap();
    let recorded = events(&store, EventKind::KeyRevoked).await.len();
    let lease = store.take_over_lease("a", TTL, START).await.unwrap();
    let lost = store
        .change_keys(&lease, None, &ACTOR, START, |_| {
            vec![Step::Revoke(Version(1)), Step::Retire(Version(1))]
        })
        .await;
    assert_lost(&lost);
    // A key that was generated for another version than the plan says now.
    let lost = store
        .change_keys(&lease, Some(&new_key(2)), &ACTOR, START, |_| {
            vec![Step::Stage(Version(3))]
        })
        .await;
    assert_lost(&lost);
    assert_eq!(store.keys().await.unwrap()[0].state.as_str(), "active");
    assert_eq!(store.key_revision().await.unwrap(), revision);
    assert_eq!(events(&store, EventKind::KeyRevoked).await.len(), recorded);
}

#[tokio::test]
async fn a_change_raises_the_revision_and_an_idle_plan_does_not() {
    let store = signing_store(&Database::new().await).await;
    let revision = store.key_revision().await.unwrap();
    change(&store, &[]).await;
    assert_eq!(store.key_revision().await.unwrap(), revision);
    change(&store, &[Step::Stage(Version(2))]).await;
    assert_eq!(store.key_revision().await.unwrap(), revision + 1);
    let staged = events(&store, EventKind::KeyStaged).await;
    assert_eq!(staged[0].event.kid.as_deref(), Some("kid-2"));
    assert_eq!(staged[0].event.actor, ACTOR);
}

#[tokio::test]
async fn versions_are_ordered_as_numbers() {
    let store = signing_store(&Database::new().await).await;
    for version in 2..=11 {
        let (old, new) = (Version(version - 1), Version(version));
        change(
            &store,
            &[
                Step::Stage(new),
                Step::Deactivate(old),
                Step::Activate(new),
                Step::Retire(old),
            ],
        )
        .await;
    }
    let versions = |keys: Vec<runmint::domain::key::KeyVersion>| -> Vec<i64> {
        keys.iter().map(|key| key.version.0).collect()
    };
    let all: Vec<i64> = (1..=11).collect();
    assert_eq!(versions(store.keys().await.unwrap()), all);
    assert_eq!(versions(store.current_keys().await.unwrap()), [11]);
    // Also when nothing is published: its number must not be given out again.
    change(&store, &[Step::Revoke(Version(11))]).await;
    assert_eq!(versions(store.current_keys().await.unwrap()), [11]);
}

#[tokio::test]
async fn a_private_key_is_sealed_anew_only_if_it_is_still_the_same() {
    let store = signing_store(&Database::new().await).await;
    let key = store.keys().await.unwrap().remove(0);
    let lease = store.take_over_lease("a", TTL, START).await.unwrap();
    let reseal = async |new| store.reseal_key(&lease, &key, new, &ACTOR, START).await;
    reseal("new").await.unwrap();
    let sealed = store.keys().await.unwrap().remove(0).sealed_private;
    assert_eq!(sealed.as_deref(), Some("new"));
    assert_lost(&reseal("newer").await);
    assert_eq!(events(&store, EventKind::KeyRewrapped).await.len(), 1);
}

#[tokio::test]
async fn replicas_share_the_clock_of_the_database_where_it_has_one() {
    let store = Database::new().await.store().await;
    let now = store.shared_now().await.unwrap();
    assert_eq!(now.is_some(), store.is_shared());
    store.close().await;
    let error = store.key_revision().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

#[track_caller]
fn assert_lost<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::LostRace)), "{result:?}");
}

/// The step is not carried out, and the keys stay as they are.
async fn assert_refused(store: &Store, step: Step) {
    let before = store.keys().await.unwrap();
    let lease = store.take_over_lease("a", TTL, START).await.unwrap();
    let new_key = new_key(step.version().0);
    let result = store
        .change_keys(&lease, Some(&new_key), &ACTOR, START, |_| vec![step])
        .await;
    assert!(result.is_err(), "{step:?} was carried out");
    assert_eq!(store.keys().await.unwrap(), before, "{step:?}");
}
