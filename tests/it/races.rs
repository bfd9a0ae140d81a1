//! The races that other issuers lost, and what happens when a replica or the database goes away in
//! the middle of a rotation.

mod outage;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use futures_util::future::join_all;
use runmint::domain::event::Actor;
use runmint::domain::key::{Step, Version, active};
use runmint::keys::plan::plan;
use runmint::store::{NewKey, StoreError};
use serde_json::json;

use crate::foreign::{Key, kubernetes, kubernetes_claims};
use crate::harness::{
    AWS, Database, ISSUER, START, TestApp, VAULT, by_operator, killed_after, run_body, verify,
};
use crate::program::eventually;

/// Keys change as soon as they may: a period of two hours, a wait of one.
const POLICY: &[(&str, &str)] = &[
    ("ROTATION__PERIOD", "2h"),
    ("ROTATION__PREPUBLISH", "1h"),
    ("ROTATION__CHECK_EVERY", "1m"),
    ("ROTATION__PROBE_URL", "http://127.0.0.1:1/"),
];

const HOUR: i64 = 3_600;

async fn replicas<const N: usize>(database: &Database) -> [TestApp; N] {
    let mut replicas = Vec::new();
    for _ in 0..N {
        replicas.push(TestApp::on(database.clone(), POLICY, START).await);
    }
    let Ok(replicas) = replicas.try_into() else {
        unreachable!("{N} were pushed")
    };
    replicas
}

/// The versions and their states, oldest first.
async fn states(app: &TestApp) -> Vec<(i64, &'static str)> {
    let keys = app.app.store.keys().await.unwrap();
    keys.iter()
        .map(|key| (key.version.0, key.state.as_str()))
        .collect()
}

/// One signs, one may wait, and every version was made once.
async fn assert_sound(app: &TestApp, when: &str) {
    let states = states(app).await;
    let count = |state: &str| states.iter().filter(|(_, other)| *other == state).count();
    let versions: Vec<i64> = states.iter().map(|(version, _)| *version).collect();
    let expected: Vec<i64> = (1..).take(versions.len()).collect();
    assert_eq!(versions, expected, "{when}: {states:?}");
    assert_eq!(count("active"), 1, "{when}: {states:?}");
    assert!(count("staged") <= 1, "{when}: {states:?}");
}

fn pass(replicas: &[TestApp], seconds: i64) {
    for replica in replicas {
        replica.pass(seconds);
    }
}

async fn refresh(replicas: &[TestApp]) {
    for replica in replicas {
        replica.app.keyring.refresh(replica.now()).await.unwrap();
    }
}

/// All replicas take a turn of the schedule at the same instant; what all of them did, but for
/// retiring what is long past.
async fn turn_together(replicas: &[TestApp]) -> Vec<Step> {
    let seen = replicas[0].kids().await;
    let turns: Vec<_> = replicas
        .iter()
        .map(|replica| {
            let (rotation, now, seen) = (replica.app.rotation.clone(), replica.now(), seen.clone());
            tokio::spawn(async move { rotation.turn(&seen, now).await })
        })
        .collect();
    let mut steps = Vec::new();
    for turn in turns {
        steps.extend(turn.await.unwrap().unwrap());
    }
    refresh(replicas).await;
    steps.retain(|step| !matches!(step, Step::Retire(_)));
    steps
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_rotate_at_the_same_instant_make_one_new_version() {
    let replicas: [_; 2] = replicas(&Database::durable().await).await;
    for round in 1..=20 {
        // Staged an hour and two checks ahead, seen, and an hour later it takes over.
        pass(&replicas, HOUR);
        let staged = turn_together(&replicas).await;
        assert_eq!(staged, [Step::Stage(Version(round + 1))], "round {round}");
        let seen = turn_together(&replicas).await;
        assert_eq!(seen, [Step::MarkSeen(Version(round + 1))], "round {round}");
        pass(&replicas, HOUR);
        let swapped = turn_together(&replicas).await;
        let (old, new) = (Version(round), Version(round + 1));
        assert_eq!(
            swapped,
            [Step::Deactivate(old), Step::Activate(new)],
            "round {round}"
        );
        assert_sound(&replicas[0], &format!("round {round}")).await;
        for replica in &replicas {
            let active = replica.app.keyring.current().active().unwrap().version;
            assert_eq!(active, new, "round {round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_who_rotate_at_the_same_instant_stage_one_version() {
    let replicas: [_; 3] = replicas(&Database::durable().await).await;
    for round in 0..10 {
        let rotations: Vec<_> = replicas
            .iter()
            .map(|replica| {
                let (rotation, now) = (replica.app.rotation.clone(), replica.now());
                tokio::spawn(async move { rotation.rotate(&[], &by_operator(), now).await })
            })
            .collect();
        for rotation in rotations {
            let rotated = rotation.await.unwrap();
            assert!(rotated.is_ok(), "round {round}: {rotated:?}");
        }
        refresh(&replicas).await;
        let states = states(&replicas[0]).await;
        assert_eq!(
            states[states.len() - 2..],
            [(round + 1, "active"), (round + 2, "staged")],
            "{states:?}"
        );
        // Seen now, and ready an hour later.
        turn_together(&replicas).await;
        pass(&replicas, HOUR);
        turn_together(&replicas).await;
        assert_sound(&replicas[0], &format!("round {round}")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_that_start_on_an_empty_database_make_one_key() {
    for round in 0..5 {
        let database = Database::durable().await;
        let starting: Vec<_> = (0..3)
            .map(|_| {
                let database = database.clone();
                tokio::spawn(async move { TestApp::on(database, POLICY, START).await })
            })
            .collect();
        let mut kids = BTreeSet::new();
        for replica in starting {
            kids.extend(replica.await.unwrap().kids().await);
        }
        assert_eq!(kids.len(), 1, "round {round}");
        let keys = database.store().await.keys().await.unwrap();
        assert_eq!(keys.len(), 1, "round {round}: {keys:?}");
    }
}

#[tokio::test]
async fn a_replica_that_wakes_after_its_lease_changes_nothing() {
    let [stalled, other]: [_; 2] = replicas(&Database::durable().await).await;
    let ttl = Duration::from_secs(30);
    let store = &stalled.app.store;
    let steps = [Step::Revoke(Version(1))];

    // It stalls for so long that its lease expires, and nobody else is there.
    let lease = store.claim_lease("stalled", ttl, START).await.unwrap();
    let lease = lease.unwrap();
    let late = |seconds| runmint::domain::time::Timestamp(START.0 + seconds);
    let woken = store
        .change_keys(&lease, None, &Actor::Schedule, late(30), |_| steps.to_vec())
        .await;
    assert!(matches!(woken, Err(StoreError::LostRace)), "{woken:?}");

    // It stalls, and meanwhile another replica has taken its place.
    pass(std::slice::from_ref(&other), HOUR);
    assert_eq!(other.turn().await, [Step::Stage(Version(2))]);
    let now = stalled.now();
    let woken = store
        .change_keys(&lease, None, &Actor::Schedule, now, |_| steps.to_vec())
        .await;
    assert!(matches!(woken, Err(StoreError::LostRace)), "{woken:?}");
    assert_eq!(states(&stalled).await, [(1, "active"), (2, "staged")]);
}

#[tokio::test]
async fn an_operator_takes_the_lease_from_a_schedule_that_has_planned_already() {
    let [schedule, operator]: [_; 2] = replicas(&Database::durable().await).await;
    let ttl = Duration::from_secs(30);
    let lease = schedule
        .app
        .store
        .claim_lease("schedule", ttl, START)
        .await
        .unwrap()
        .unwrap();
    let rotated = operator.app.rotation.clone();
    rotated.rotate(&[], &by_operator(), START).await.unwrap();
    let late = schedule
        .app
        .store
        .change_keys(&lease, None, &Actor::Schedule, START, |_| {
            vec![Step::Revoke(Version(1))]
        })
        .await;
    assert!(matches!(late, Err(StoreError::LostRace)), "{late:?}");
}

/// After any number of steps, also between generating a key and committing it, and between the
/// commit and the new keyring: the next replica finds the keys sound and goes on.
#[tokio::test]
async fn a_replica_may_be_killed_at_any_moment_of_a_rotation() {
    let database = Database::durable().await;
    let [witness]: [_; 1] = replicas(&database).await;
    let mut finished = 0;
    for polls in 0..200 {
        let victim = TestApp::on(database.clone(), POLICY, witness.now()).await;
        witness.pass(HOUR);
        victim.pass(HOUR);
        let seen = victim.kids().await;
        let turn = victim.app.rotation.turn(&seen, victim.now());
        let done = killed_after(polls, turn).await;
        drop(victim);
        assert_sound(&witness, &format!("killed after {polls} polls")).await;

        // The lease of the dead replica runs out; the schedule goes on until nothing is left to do.
        witness.pass(31);
        refresh(std::slice::from_ref(&witness)).await;
        witness.turn().await;
        assert_sound(&witness, &format!("after {polls} polls and a turn")).await;
        finished += usize::from(done.is_some());
        if finished == 3 {
            let versions = states(&witness).await.len();
            assert!(versions > polls / 4, "{versions} versions, {polls} polls");
            return;
        }
    }
    panic!("no turn ended within 200 polls");
}

/// The keys change in the database and this replica does not know yet: what it signs with the old
/// key is not recorded, so it looks again and signs with the new one.
#[tokio::test]
async fn a_stale_replica_never_signs_with_the_key_before() {
    let [stale, other]: [_; 2] = replicas(&Database::durable().await).await;
    let secret = stale.client("atlantis").await;
    let run = stale
        .run_with(
            &secret,
            &json!({
                "organization": "acme", "project": "p", "workspace": "w", "run_phase": "plan",
                "audiences": [AWS], "expires_in": 24 * HOUR,
            }),
        )
        .await;
    for round in 1..=3 {
        for replica in [&stale, &other] {
            replica.pass(HOUR);
        }
        other.turn().await;
        other.turn().await;
        for replica in [&stale, &other] {
            replica.pass(HOUR);
        }
        other.turn().await;
        let published = other.jwks().await;
        let active = other.app.keyring.current().active().unwrap().kid.clone();
        let known = stale.app.keyring.current().active().unwrap().kid.clone();
        assert_ne!(active, known, "round {round}: it must be stale");

        let token = stale.token(&run).await;
        let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
        assert_eq!(kid, active, "round {round}");
        verify(&token, &published, AWS, stale.now()).unwrap();
    }
}

/// A stale replica that cannot look again signs nothing: there is no record, so there is no token.
#[tokio::test]
async fn a_stale_replica_without_a_database_signs_nothing() {
    let [stale, other]: [_; 2] = replicas(&Database::durable().await).await;
    let secret = stale.client("atlantis").await;
    let run = stale.run(&secret, "plan").await;
    let emergency = json!({"emergency": true});
    let call = other.admin(Method::POST, "/v1/keys/rotate");
    let answer = call.json(&emergency).send().await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    stale.app.store.close().await;
    let answer = stale.ask(&run, AWS).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    let kids = stale.kids().await;
    assert_eq!(kids.len(), 1, "the key set answers from memory");
}

/// Replicas mint at full speed while the key is withdrawn; every token with the leaked `kid` that
/// anybody was given is in the report.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_of_an_emergency_has_every_token_that_was_answered() {
    let [operator, a, b]: [_; 3] = replicas(&Database::durable().await).await;
    let secret = operator.client("atlantis").await;
    // Each replica ends a round with one token of the fresh key, which leaks in the next.
    let mut of_round_before = 0;
    for round in 0..5 {
        let leaked = operator.app.keyring.current().active().unwrap().kid.clone();
        let mint = async |replica: &TestApp| {
            let mut answered = 0;
            let run = replica.run(&secret, "plan").await;
            loop {
                let token = replica.token(&run).await;
                let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
                if kid != leaked {
                    return answered;
                }
                answered += 1;
                assert!(answered < 5_000, "it goes on with the leaked key");
            }
        };
        let withdraw = async {
            // Both have minted before.
            let minted = async || operator.events("token.minted").await.len();
            let before = minted().await;
            while minted().await < before + 10 {
                tokio::task::yield_now().await;
            }
            let rotation = &operator.app.rotation;
            let exposure = rotation.emergency(None, &by_operator(), START).await;
            exposure.unwrap()
        };
        let (exposure, by_a, by_b) = tokio::join!(withdraw, mint(&a), mint(&b));
        let reported: i64 = exposure
            .revoked
            .iter()
            .filter(|key| key.kid == leaked)
            .flat_map(|key| &key.live_tokens)
            .map(|tokens| tokens.tokens)
            .sum();
        let answered = of_round_before + by_a + by_b;
        assert_eq!(reported, answered, "round {round}: {exposure:?}");
        of_round_before = 2;
    }
}

/// A key that was generated for a plan that is no longer true is thrown away.
#[tokio::test]
async fn a_key_made_for_another_version_is_not_staged() {
    let [app]: [_; 1] = replicas(&Database::durable().await).await;
    let key = NewKey {
        version: Version(3),
        algorithm: runmint::domain::key::Algorithm::ES256,
        kid: "kid".to_owned(),
        public_jwk: "{}".to_owned(),
        sealed_private: "sealed".to_owned(),
    };
    app.pass(HOUR);
    let now = app.now();
    let store = &app.app.store;
    let ttl = Duration::from_secs(30);
    let lease = store.take_over_lease("test", ttl, now).await.unwrap();
    let policy = &app.app.policy;
    let staged = store
        .change_keys(&lease, Some(&key), &Actor::Schedule, now, |keys| {
            assert!(active(keys).is_some());
            plan(keys, policy, &[], now)
        })
        .await;
    assert!(matches!(staged, Err(StoreError::LostRace)), "{staged:?}");
    assert_eq!(states(&app).await, [(1, "active")]);
}

/// Recorders that are never idle must not keep the end of trust waiting, and once it has been answered
/// nothing is minted on the issuer's word: not by who comes later, nor by the runs of before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trust_is_withdrawn_while_all_replicas_exchange() {
    const CALLERS: usize = 4;
    let [operator, a, b]: [_; 3] = replicas(&Database::durable().await).await;
    operator.client("atlantis").await;
    let key = Key::ec("k");
    let mut definition = kubernetes(&[&key]);
    let orchestrator = json!({
        "name": "orchestrator", "client": "'atlantis'",
        "conditions": [{"expression": "claims.sub == 'orchestrator'", "message": "none"}],
    });
    definition["rules"]
        .as_array_mut()
        .unwrap()
        .push(orchestrator);
    let mut minted = 0;
    for round in 0..5 {
        operator.trust("k8s", &definition).await;
        for replica in [&a, &b] {
            replica.app.federation.refresh().await.unwrap();
        }
        let is_withdrawn = AtomicBool::new(false);
        let exchange = async |replica: &TestApp, caller: usize| {
            let mut answered = 0;
            loop {
                let late = is_withdrawn.load(Ordering::SeqCst);
                let jti = format!("{round} {caller} {answered}");
                let token = key.token(&kubernetes_claims(&jti));
                match replica.exchange(&token, &[AWS]).await {
                    answer if answer.status == StatusCode::OK => assert!(!late, "{answer:?}"),
                    answer => {
                        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
                        return answered;
                    }
                }
                answered += 1;
            }
        };
        let run = async |replica: &TestApp, caller: usize| {
            let mut answered = 0;
            loop {
                let late = is_withdrawn.load(Ordering::SeqCst);
                let mut claims = kubernetes_claims(&format!("{round} run {caller} {answered}"));
                claims["sub"] = json!("orchestrator");
                claims["kubernetes.io"]["namespace"] = json!("default");
                let open = replica.post("/v1/runs").bearer(&key.token(&claims));
                let opened = open.json(&run_body("plan")).send().await;
                if opened.status != StatusCode::CREATED {
                    assert_eq!(opened.status, StatusCode::UNAUTHORIZED, "{opened:?}");
                    return answered;
                }
                assert!(!late, "{opened:?}");
                let path = opened.json["request_url"].as_str().unwrap();
                let path = format!("{}&audience={AWS}", path.strip_prefix(ISSUER).unwrap());
                let token = opened.json["request_token"].as_str().unwrap();
                let answer = replica.get(&path).bearer(token).send().await;
                if answer.status != StatusCode::OK {
                    answer.assert_problem(403, "run-ended", "");
                    return answered;
                }
                answered += 1;
            }
        };
        let withdraw = async {
            while operator.events("token.minted").await.len() < minted + 20 {
                tokio::task::yield_now().await;
            }
            let removed = operator.admin(Method::DELETE, "/v1/issuers/k8s");
            let removed = removed.send().await;
            assert_eq!(removed.status, StatusCode::NO_CONTENT, "{removed:?}");
            is_withdrawn.store(true, Ordering::SeqCst);
            operator.events("token.minted").await.len()
        };
        let callers = (0..CALLERS).map(|caller| {
            let (a, b) = (&a, &b);
            let (exchange, run) = (&exchange, &run);
            async move {
                let (on_a, on_b) = (caller, CALLERS + caller);
                let (a, b, c, d) = tokio::join!(
                    exchange(a, on_a),
                    exchange(b, on_b),
                    run(a, on_a),
                    run(b, on_b)
                );
                a + b + c + d
            }
        });
        let (recorded, answered) = tokio::join!(withdraw, futures_util::future::join_all(callers));
        minted += answered.iter().sum::<usize>();
        assert_eq!(recorded, minted, "round {round}");
        let open = operator
            .admin(Method::GET, "/v1/runs?open=true")
            .send()
            .await;
        assert_eq!(open.json["runs"], json!([]), "round {round}");
    }
}

/// Two operators hear of the leak at once, each at another replica.
#[tokio::test]
async fn two_emergencies_at_the_same_instant_withdraw_one_key_and_not_the_fresh_one() {
    for _ in 0..10 {
        let database = Database::durable().await;
        let [one, other] = replicas::<2>(&database).await;
        let emergency = |app: &TestApp| {
            let (rotation, now) = (app.app.rotation.clone(), app.now());
            tokio::spawn(async move { rotation.emergency(None, &by_operator(), now).await })
        };
        let (first, second) = tokio::join!(emergency(&one), emergency(&other));
        let (first, second) = (first.unwrap().unwrap(), second.unwrap().unwrap());

        let after = states(&one).await;
        let revoked = after
            .iter()
            .filter(|(_, state)| *state == "revoked")
            .count();
        // One after the other they are two leaks; at the same instant they are one.
        assert!(revoked == 1 || revoked == 2, "{after:?}");
        for exposure in [&first, &second] {
            assert!(!exposure.revoked.is_empty(), "{after:?}");
        }
        assert_sound(&one, "after two emergencies").await;
    }
}

/// Two replicas mint by it without a pause, and both stop at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaked_secret_is_removed_while_all_replicas_mint_by_it() {
    const CALLERS: usize = 4;
    let [operator, a, b]: [_; 3] = replicas(&Database::durable().await).await;
    let secret = operator.client("atlantis").await;
    let body = run_body("plan");
    let path = "/v1/clients/atlantis";
    let added = operator.admin(Method::POST, &format!("{path}/secrets"));
    let added = added.json(&json!({})).send().await;
    let kept = added.json["secret"].as_str().unwrap();
    let listed = operator.admin(Method::GET, &format!("{path}/secrets"));
    let listed = listed.send().await.json;
    let listed = listed.as_array().unwrap().iter();
    let mut ids = listed.map(|secret| secret["id"].as_str().unwrap());
    let leaked = ids.find(|id| *id != added.json["id"]).unwrap();

    let mint = async |replica: &TestApp, secret: &str| {
        let call = replica.post("/v1/tokens").bearer(secret);
        call.json(&body).send().await.status
    };
    let minted = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let minting = join_all(
        [&a, &b]
            .into_iter()
            .zip(&minted)
            .flat_map(|(replica, minted)| {
                let (mint, secret) = (&mint, &secret);
                (0..CALLERS).map(move |_| async move {
                    loop {
                        match mint(replica, secret).await {
                            StatusCode::CREATED => minted.fetch_add(1, Ordering::Relaxed),
                            status => break assert_eq!(status, StatusCode::UNAUTHORIZED),
                        };
                    }
                })
            }),
    );
    let changing = async {
        let so_far = |minted: &AtomicUsize| minted.load(Ordering::Relaxed);
        eventually("both mint", || async {
            minted.iter().all(|minted| so_far(minted) >= 2 * CALLERS)
        })
        .await;
        let grants = json!([{"organization": "acme", "audiences": [AWS, VAULT, "a"]}]);
        let changed = operator
            .admin(Method::PUT, path)
            .json(&json!({"grants": grants}));
        assert_eq!(changed.send().await.status, StatusCode::OK);
        let removed = operator.admin(Method::DELETE, &format!("{path}/secrets/{leaked}"));
        assert_eq!(removed.send().await.status, StatusCode::NO_CONTENT);
        for replica in [&a, &b] {
            assert_eq!(mint(replica, &secret).await, StatusCode::UNAUTHORIZED);
        }
    };
    tokio::join!(minting, changing);
    assert_eq!(mint(&a, kept).await, StatusCode::CREATED);
}

/// Recorders that are never idle must not keep a revocation waiting.
#[tokio::test]
async fn an_emergency_gets_through_while_all_replicas_mint() {
    let database = Database::durable().await;
    let replicas = replicas::<3>(&database).await;
    let secret = replicas[0].client("atlantis").await;
    let run = replicas[0].run(&secret, "plan").await;
    let leaked = replicas[0].kids().await;
    let minting = async {
        loop {
            let asked = replicas.iter().map(|replica| replica.ask(&run, AWS));
            for answer in asked.collect::<Vec<_>>() {
                let status = answer.await.status;
                assert!(status == StatusCode::OK || status == StatusCode::SERVICE_UNAVAILABLE);
            }
        }
    };
    let now = replicas[1].now();
    let operator = by_operator();
    let exposure = tokio::select! {
        () = minting => unreachable!("it does not end"),
        exposure = replicas[1].app.rotation.emergency(None, &operator, now) => exposure,
    };
    assert_eq!(exposure.unwrap().revoked[0].kid, leaked[0]);
    let report = replicas[1]
        .admin(Method::GET, "/v1/keys/1/exposure")
        .send()
        .await;
    assert_eq!(report.json["revoked"][0]["state"], "revoked", "{report:?}");
    let unknown = replicas[1]
        .admin(Method::GET, "/v1/keys/9/exposure")
        .send()
        .await;
    unknown.assert_problem(404, "not-found", "version");
}
