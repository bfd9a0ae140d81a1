//! The life of the signing keys, as an operator and a relying party see it.

mod operator;
mod probe;
mod sealing;

use std::time::Duration;

use axum::http::{Method, StatusCode};
use runmint::domain::key::{Algorithm, Step, Version};
use runmint::domain::time::Timestamp;
use runmint::store::NewKey;
use serde_json::{Value, json};

use crate::harness::{AWS, Answer, OpenRun, START, TestApp, by_operator, verify};
use probe::Outside;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// An issuer, and the place where the world sees its keys.
struct Issuer {
    app: TestApp,
    outside: Outside,
    secret: String,
}

impl Issuer {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(overrides: &[(&str, &str)]) -> Self {
        let outside = Outside::start().await;
        let mut overrides = overrides.to_vec();
        overrides.push(("ROTATION__PROBE_URL", &outside.url));
        let app = TestApp::with(&overrides).await;
        let secret = app.client("atlantis").await;
        let issuer = Self {
            app,
            outside,
            secret,
        };
        issuer.publish().await;
        issuer
    }

    /// The world sees what is published now.
    async fn publish(&self) {
        let answer = self.app.get("/.well-known/jwks").send().await;
        self.outside.answer(200, answer.text.into_bytes());
    }

    /// One round of the schedule: look from outside, take a turn; then the world sees the outcome.
    async fn round(&self) -> Vec<Step> {
        let rotation = &self.app.app.rotation;
        let look = rotation.look(&self.app.app.probe, &self.app.app.clock);
        let (seen, now) = look.await.unwrap();
        let steps = rotation.turn(&seen, now).await.unwrap();
        self.publish().await;
        steps
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        let answer = self.app.admin(Method::POST, path).json(&body).send().await;
        self.publish().await;
        answer
    }

    /// As [`Self::post`], if it was done.
    async fn done(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json
    }

    async fn keys(&self) -> Vec<Value> {
        let answer = self.app.admin(Method::GET, "/v1/keys").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json.as_array().unwrap().clone()
    }

    /// The versions and their states, oldest first.
    async fn states(&self) -> Vec<(i64, String)> {
        let keys = self.keys().await;
        let state = |key: &Value| {
            let state = key["state"].as_str().unwrap().to_owned();
            (key["version"].as_i64().unwrap(), state)
        };
        keys.iter().map(state).collect()
    }

    #[track_caller]
    fn assert_max_age(answer: &Answer, seconds: i64) {
        let expected = format!("public, max-age={seconds}, must-revalidate");
        assert_eq!(answer.header("cache-control"), expected);
    }

    async fn jwks(&self) -> Answer {
        self.app.get("/.well-known/jwks").send().await
    }

    /// A run that stays open for a week.
    async fn run(&self, phase: &str) -> OpenRun {
        let body = json!({
            "organization": "acme", "project": "p", "workspace": "net-1", "run_phase": phase,
            "audiences": [AWS], "expires_in": 7 * DAY,
        });
        self.app.run_with(&self.secret, &body).await
    }

    /// A token of an apply that lives for `ttl` seconds.
    async fn token(&self, ttl: i64) -> String {
        let body = json!({
            "organization": "acme", "project": "p", "workspace": "net-1", "run_phase": "apply",
            "run_id": "run-CKuwsxMGgMd3W7Ui", "audiences": [AWS], "ttl": ttl,
        });
        let call = self.app.post("/v1/tokens").bearer(&self.secret);
        let answer = call.json(&body).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json["tokens"][0]["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn verify(&self, token: &str) -> Result<Value, String> {
        verify(token, &self.app.jwks().await, AWS, self.app.now())
    }

    /// Until the next version signs, in the way of the schedule.
    async fn rotate_by_schedule(&self, period: i64, prepublish: i64) {
        let before = self.states().await.len();
        self.app.pass(period - prepublish);
        let steps = self.round().await;
        assert!(matches!(steps[0], Step::Stage(_)), "{steps:?}");
        self.round().await;
        self.app.pass(prepublish);
        let steps = self.round().await;
        assert!(matches!(steps[0], Step::Deactivate(_)), "{steps:?}");
        assert_eq!(self.states().await.len(), before + 1);
    }
}

fn states(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    let owned = |(version, state): &(i64, &str)| (*version, (*state).to_owned());
    expected.iter().map(owned).collect()
}

#[tokio::test]
async fn a_version_is_staged_seen_active_retiring_and_retired_in_its_time() {
    let issuer = Issuer::start().await;
    assert_eq!(issuer.states().await, states(&[(1, "active")]));

    // 90 days, less a day of being published, less two checks.
    issuer.app.pass(89 * DAY - 2 * MINUTE - 1);
    assert_eq!(issuer.round().await, []);
    issuer.app.pass(1);
    assert_eq!(issuer.round().await, [Step::Stage(Version(2))]);
    assert_eq!(issuer.round().await, [Step::MarkSeen(Version(2))]);
    assert_eq!(
        issuer.states().await,
        states(&[(1, "active"), (2, "staged")])
    );

    issuer.app.pass(DAY + 2 * MINUTE - 1);
    assert_eq!(issuer.round().await, [], "it is not due");
    issuer.app.pass(1);
    let swap = [Step::Deactivate(Version(1)), Step::Activate(Version(2))];
    assert_eq!(issuer.round().await, swap);
    assert_eq!(
        issuer.states().await,
        states(&[(1, "retiring"), (2, "active")])
    );
    issuer.app.pass(30 * DAY - 1);
    assert_eq!(issuer.round().await, []);
    issuer.app.pass(1);
    assert_eq!(issuer.round().await, [Step::Retire(Version(1))]);
    assert_eq!(issuer.app.kids().await.len(), 1);
    let keys = issuer.keys().await;
    assert_eq!(keys[0]["state"], "retired");
    assert_eq!(keys[0]["retired_at"], issuer.app.now().0);
    assert_eq!(keys[1]["state"], "active");
}

#[tokio::test]
async fn a_token_outlives_the_change_of_keys() {
    let issuer = Issuer::with(&[("ROTATION__PERIOD", "2d"), ("ROTATION__TRIM_AFTER", "1m")]).await;
    issuer.app.pass(DAY - 2 * MINUTE);
    issuer.round().await;
    issuer.round().await;
    issuer.app.pass(DAY + 2 * MINUTE);
    let token = issuer.token(24 * HOUR).await;
    let swap = [Step::Deactivate(Version(1)), Step::Activate(Version(2))];
    assert_eq!(issuer.round().await, swap);
    for _ in 0..24 {
        issuer.verify(&token).await.unwrap();
        issuer.app.pass(HOUR);
        issuer.round().await;
    }
    // AWS takes it for five minutes more; it is published for them and for all caches.
    issuer.app.pass(5 * MINUTE - 1);
    issuer.round().await;
    issuer.verify(&token).await.unwrap();
    issuer.app.pass(DAY);
    issuer.round().await;
    assert_eq!(issuer.states().await[0].1, "retired");
}

#[tokio::test]
async fn a_private_key_is_destroyed_when_it_stops_signing() {
    let issuer = Issuer::start().await;
    issuer.rotate_by_schedule(90 * DAY, DAY).await;
    issuer.done("/v1/keys/rotate", json!({})).await;
    issuer
        .done("/v1/keys/rotate", json!({"emergency": true}))
        .await;
    let keys = issuer.app.app.store.keys().await.unwrap();
    for key in keys {
        let signs = key.state.as_str() == "active";
        assert_eq!(key.sealed_private.is_some(), signs, "{:?}", key.state);
    }
    assert_eq!(
        issuer.states().await,
        states(&[
            (1, "retiring"),
            (2, "revoked"),
            (3, "revoked"),
            (4, "active")
        ])
    );
}

#[tokio::test]
async fn while_nobody_sees_the_staged_key_the_old_one_goes_on() {
    let issuer = Issuer::start().await;
    let metric = async || -> i64 {
        let answer = issuer.app.admin(Method::GET, "/metrics").send().await;
        let name = "runmint_rotation_overdue_in_seconds ";
        let line = answer.text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{answer:?}"))
            .parse()
            .unwrap()
    };
    // Due after 90 days, a failure after nine more.
    assert_eq!(metric().await, 99 * DAY);
    issuer.app.pass(90 * DAY);
    assert_eq!(issuer.round().await, [Step::Stage(Version(2))]);
    issuer.outside.answer(503, Vec::new());
    for day in 1..=9 {
        issuer.app.pass(DAY);
        let app = &issuer.app.app;
        let (seen, now) = app.rotation.look(&app.probe, &app.clock).await.unwrap();
        let steps = app.rotation.turn(&seen, now).await.unwrap();
        assert_eq!(steps, [], "day {day}");
        assert_eq!(metric().await, (9 - day) * DAY);
        let token = issuer.token(HOUR).await;
        issuer.verify(&token).await.unwrap();
        let ready = issuer.app.get("/readyz").send().await;
        assert_eq!(ready.status, StatusCode::OK, "{ready:?}");
        let warned = !ready.json["warnings"].as_array().unwrap().is_empty();
        assert_eq!(warned, day == 9, "{ready:?}");
    }
    assert_eq!(
        issuer.states().await,
        states(&[(1, "active"), (2, "staged")])
    );

    // It is seen at last: a day later it signs, and all is well.
    issuer.publish().await;
    assert_eq!(issuer.round().await, [Step::MarkSeen(Version(2))]);
    issuer.app.pass(DAY);
    let swap = [Step::Deactivate(Version(1)), Step::Activate(Version(2))];
    assert_eq!(issuer.round().await[..2], swap);
    assert_eq!(metric().await, 99 * DAY);
    let ready = issuer.app.get("/readyz").send().await;
    assert_eq!(ready.json["warnings"], json!([]));
}

#[tokio::test]
async fn a_key_that_vanishes_from_outside_does_not_take_over() {
    let issuer = Issuer::start().await;
    issuer.app.pass(89 * DAY);
    issuer.round().await;
    assert_eq!(issuer.round().await, [Step::MarkSeen(Version(2))]);
    issuer.app.pass(2 * DAY);
    issuer.outside.answer(200, br#"{"keys":[]}"#.to_vec());
    assert_eq!(issuer.round().await, []);
    assert_eq!(issuer.round().await.len(), 2, "it is seen again");
}

#[tokio::test]
async fn caches_end_when_the_published_keys_change() {
    let issuer = Issuer::start().await;
    Issuer::assert_max_age(&issuer.jwks().await, 300);
    let stage_at = 89 * DAY - 2 * MINUTE;
    for (left, max_age) in [(300, 300), (299, 299), (60, 60), (10, 10), (1, 1)] {
        let clock = &issuer.app.app.clock;
        clock.set(Timestamp(START.0 + stage_at - left));
        Issuer::assert_max_age(&issuer.jwks().await, max_age);
    }
    issuer.app.pass(1);
    // Late is not a reason to come back every second.
    Issuer::assert_max_age(&issuer.jwks().await, 300);
    issuer.round().await;
    Issuer::assert_max_age(&issuer.jwks().await, 300);
}

#[tokio::test]
async fn another_algorithm_is_rotated_to_and_each_token_verifies() {
    let database = crate::harness::Database::new().await;
    let mut tokens = Vec::new();
    let mut now = START;
    for (version, algorithm) in [(1, "RS256"), (2, "ES256"), (3, "EdDSA")] {
        let outside = Outside::start().await;
        let overrides = [
            ("KEYS__ALGORITHM", algorithm),
            ("ROTATION__PREPUBLISH", "6m"),
            ("ROTATION__PROBE_URL", &outside.url),
        ];
        let app = TestApp::on(database.clone(), &overrides, now).await;
        // Without waiting for the period: staged, seen, and ready six minutes later.
        app.turn().await;
        app.turn().await;
        app.pass(6 * MINUTE);
        app.turn().await;
        now = app.now();
        let secret = app.client(algorithm).await;
        let run = app.run(&secret, "plan").await;
        tokens.push(app.token(&run).await);
        let header = jsonwebtoken::decode_header(tokens.last().unwrap()).unwrap();
        assert_eq!(format!("{:?}", header.alg), algorithm);
        let active = app.app.keyring.current().active().unwrap().version;
        assert_eq!(active, Version(version));
        for token in &tokens {
            verify(token, &app.jwks().await, AWS, app.now()).unwrap();
        }
        let discovery = app.get("/.well-known/openid-configuration").send().await;
        let algorithms = &discovery.json["id_token_signing_alg_values_supported"];
        let count = usize::try_from(version).unwrap();
        assert_eq!(algorithms.as_array().unwrap().len(), count, "{algorithms}");
    }
}

#[tokio::test]
async fn versions_grow_as_numbers_past_ten_a_hundred_and_a_thousand() {
    let issuer = Issuer::start().await;
    for greatest in [9, 99, 999] {
        use_up(&issuer, greatest - 1).await;
        for version in greatest..greatest + 3 {
            let replaced = issuer
                .done("/v1/keys/rotate", json!({"emergency": true}))
                .await;
            assert_eq!(replaced["active"], version);
            let token = issuer.token(HOUR).await;
            issuer.verify(&token).await.unwrap();
            let keys = issuer.keys().await;
            assert_eq!(keys.last().unwrap()["version"], version);
        }
        issuer.rotate_by_schedule(90 * DAY, DAY).await;
        let states = issuer.states().await;
        assert_eq!(
            states[states.len() - 2..],
            [
                (greatest + 2, "retiring".to_owned()),
                (greatest + 3, "active".to_owned())
            ]
        );
    }
}

/// Stages and revokes versions up to this one: their numbers are taken.
async fn use_up(issuer: &Issuer, greatest: i64) {
    let store = &issuer.app.app.store;
    let now = issuer.app.now();
    let ttl = Duration::from_secs(30);
    let lease = store.take_over_lease("test", ttl, now).await.unwrap();
    let next = issuer.states().await.len() + 1;
    for version in (i64::try_from(next).unwrap()..=greatest).map(Version) {
        let key = NewKey {
            version,
            algorithm: Algorithm::ES256,
            kid: format!("gone-{version}"),
            public_jwk: String::new(),
            sealed_private: String::new(),
        };
        let steps = |_: &[_]| vec![Step::Stage(version), Step::Revoke(version)];
        store
            .change_keys(&lease, Some(&key), &by_operator(), now, steps)
            .await
            .unwrap();
    }
    store.release_lease(&lease).await.unwrap();
}
