//! Three replicas on one database, five relying parties, and everything that may happen to them.

use std::collections::HashMap;

use runmint::app::App;
use runmint::auth::CallingClient;
use runmint::auth::secret::{Kind, Secret};
use runmint::clock::Clock;
use runmint::config::Settings;
use runmint::domain::claims::Audience;
use runmint::domain::client::Client;
use runmint::domain::grant::AllowedAudience;
use runmint::domain::key::{Algorithm, MAX_PUBLISHED, Step};
use runmint::domain::name::Name;
use runmint::domain::secret::NewSecret;
use runmint::domain::time::Timestamp;
use runmint::domain::workload::{SentIds, Workload};
use runmint::keys::plan::{next_turn, plan};
use runmint::mint::Order;
use runmint::store::{AddClient, Store};

use super::party::{Outside, Party};
use super::random::Random;
use crate::harness::{AWS, Database, START, by_operator, settings};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// AWS takes a token five minutes past its `exp`; so do the relying parties here.
const GRACE: i64 = 299;

/// A prepublish of 25 hours covers the longest cache (24 hours), the difference of the clocks (30
/// seconds) and a step in which a probe fails; with less, a relying party that has just fetched
/// would meet the next key before it looks again. A key leaves as soon as it may (`trim_after` is
/// next to nothing), so that one that left too early would be missed.
const POLICY: [(&str, &str); 8] = [
    ("ROTATION__PERIOD", "30h"),
    ("ROTATION__PREPUBLISH", "25h"),
    ("ROTATION__JWKS_MAX_AGE", "5m"),
    ("ROTATION__CACHE_LEEWAY", "30s"),
    ("ROTATION__TRIM_AFTER", "1m"),
    ("ROTATION__CHECK_EVERY", "10m"),
    ("ROTATION__PROBE_URL", "http://127.0.0.1:1/"),
    ("EVENTS__KEEP", "2d"),
];

pub(super) struct World {
    random: Random,
    settings: Settings,
    pub(super) now: Timestamp,
    replicas: Vec<Replica>,
    outside: Outside,
    parties: Vec<Party>,
    caller: CallingClient,
    workload: Workload,
    audiences: [AllowedAudience; 1],
    tokens: Vec<Alive>,
    /// When a `kid` was revoked.
    revoked: HashMap<String, Timestamp>,
    /// When a `kid` began to sign that nobody had seen before, in an emergency.
    unannounced: HashMap<String, Timestamp>,
    pub(super) tally: Tally,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) versions: i64,
    pub(super) steps: u32,
    pub(super) manual: u32,
    pub(super) emergencies: u32,
    pub(super) restarts: u32,
    pub(super) stuck: u32,
    pub(super) tokens: u32,
    pub(super) checks: u32,
    /// Checks that failed because of an emergency.
    pub(super) excused: u32,
}

struct Replica {
    app: App,
    store: Store,
    /// By how much its clock is wrong.
    skew: i64,
}

struct Alive {
    token: String,
    kid: String,
    expires_at: Timestamp,
}

impl World {
    pub(super) async fn new(seed: u64) -> Self {
        let database = Database::new().await;
        let settings = settings(&database, &POLICY);
        let mut replicas = Vec::new();
        for skew in [-15, 0, 15] {
            let store = database.store().await;
            let app = start(&settings, &store, START, skew).await;
            replicas.push(Replica { app, store, skew });
        }
        let subject = "organization:acme:project:p:workspace:net-1:run_phase:apply";
        let audience = Audience::parse("audience", AWS).unwrap();
        let jwks = &replicas[0].app.keyring.current().jwks.bytes;
        let outside = Outside {
            jwks: serde_json::from_slice(jwks).unwrap(),
            as_of: START,
            stuck_until: START,
        };
        let caller = client(&replicas[0].app).await;
        Self {
            random: Random::new(seed),
            outside,
            settings,
            now: START,
            replicas,
            parties: [0, 5 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR]
                .map(Party::new)
                .into(),
            caller,
            workload: Workload::new(subject.parse().unwrap(), SentIds::default(), &[0; 16])
                .unwrap(),
            audiences: [AllowedAudience {
                audience,
                max_ttl: None,
            }],
            tokens: Vec::new(),
            revoked: HashMap::new(),
            unannounced: HashMap::new(),
            tally: Tally::default(),
        }
    }

    /// Time passes, and something happens.
    pub(super) async fn step(&mut self) {
        self.tally.steps += 1;
        self.pass();
        self.poll().await;
        self.publish();

        let steps = match self.random.between(1, 1_000) {
            1..=30 => self.rotate().await,
            31..=34 => self.emergency().await,
            35..=38 => self.restart().await,
            39..=44 => self.trim().await,
            _ => self.schedule().await,
        };
        let activated = steps.iter().any(|step| matches!(step, Step::Activate(_)));
        // Here the others have not looked at the database since, and it is they who mint.
        if activated || self.random.once_in(12) {
            let ttl = *[10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR, 24 * HOUR]
                .get(self.random.index(5))
                .unwrap();
            self.mint(ttl).await;
        }
        self.check(activated);
        self.look_after_the_keys();
    }

    /// To the next moment in which keys change or a token dies, or somewhere before it.
    fn pass(&mut self) {
        let app = &self.replicas[0].app;
        let keyring = app.keyring.current();
        let change = next_turn(&keyring.keys, &app.policy, self.now)
            .map(|at| at.seconds_since(self.now) + 16);
        let death = self
            .tokens
            .iter()
            .map(|token| token.expires_at.seconds_since(self.now) + GRACE)
            .min();
        // What is due already, or waits for a probe, is looked at every ten minutes.
        let change = change.filter(|seconds| *seconds > 0).unwrap_or(10 * MINUTE);
        let next = death.map_or(change, |death| change.min(death.max(1)));
        let seconds = match self.random.between(1, 10) {
            1 => self.random.between(1, 20),
            2 => self.random.between(1, next),
            _ => next,
        };
        self.now = Timestamp(self.now.0 + seconds);
        for replica in &self.replicas {
            let clock = Timestamp(self.now.0 + replica.skew);
            replica.app.clock.set(clock);
        }
        let now = self.now;
        self.tokens
            .retain(|token| now.seconds_since(token.expires_at) <= GRACE);
    }

    /// Each replica looks at the database twice a second; all of them have, since time has passed.
    /// (Those that would find nothing new are spared it.)
    async fn poll(&self) {
        let revision = |replica: &Replica| replica.app.keyring.current().revision;
        let newest = self.replicas.iter().map(revision).max();
        for replica in &self.replicas {
            if Some(revision(replica)) != newest {
                let now = replica.app.clock.now();
                replica.app.keyring.refresh(now).await.unwrap();
            }
        }
    }

    fn replica(&mut self) -> usize {
        self.random.index(self.replicas.len())
    }

    /// The world sees what any replica answers, but for the hours in which publishing fails.
    fn publish(&mut self) {
        let app = &self.replicas[self.random.index(3)].app;
        let bytes = app.keyring.current().jwks.bytes.clone();
        self.outside.publish(&bytes, self.now);
        if self.random.once_in(150) && self.now >= self.outside.stuck_until {
            self.tally.stuck += 1;
            let until = self.now.0 + self.random.between(HOUR, 30 * HOUR);
            self.outside.stuck_until = Timestamp(until);
        }
    }

    /// What a probe sees; now and then it fails.
    fn probe(&mut self) -> Vec<String> {
        if self.random.once_in(20) {
            return Vec::new();
        }
        let keys = self.outside.jwks.keys.iter();
        keys.filter_map(|key| key.common.key_id.clone()).collect()
    }

    /// The schedule's turn, sometimes on two replicas at once.
    async fn schedule(&mut self) -> Vec<Step> {
        let seen = self.probe();
        let (one, other) = (self.replica(), self.replica());
        let (one, other) = (&self.replicas[one].app, &self.replicas[other].app);
        // What each turn finds out first, without asking the database for all keys.
        let idle = |app: &App| {
            let keyring = app.keyring.current();
            plan(&keyring.keys, &app.policy, &seen, app.clock.now()).is_empty()
        };
        if idle(one) && idle(other) {
            return Vec::new();
        }
        let (steps, others) = tokio::join!(
            one.rotation.turn(&seen, one.clock.now()),
            other.rotation.turn(&seen, other.clock.now()),
        );
        [steps.unwrap(), others.unwrap()].concat()
    }

    async fn rotate(&mut self) -> Vec<Step> {
        self.tally.manual += 1;
        let seen = self.probe();
        let app = &self.replicas[self.random.index(3)].app;
        let before = app.keyring.current().active().map(|key| key.version);
        let rotated = app
            .rotation
            .rotate(&seen, &by_operator(), app.clock.now())
            .await;
        rotated.unwrap();
        let active = app.keyring.current().active().map(|key| key.version);
        active
            .filter(|_| active != before)
            .map(Step::Activate)
            .into_iter()
            .collect()
    }

    async fn emergency(&mut self) -> Vec<Step> {
        self.tally.emergencies += 1;
        let app = &self.replicas[self.random.index(3)].app;
        let exposure = app
            .rotation
            .emergency(None, &by_operator(), app.clock.now())
            .await
            .unwrap();
        let keyring = app.keyring.current();
        let kid = &keyring.active().unwrap().kid;
        self.unannounced.insert(kid.clone(), self.now);
        let revoked = exposure.revoked.iter();
        self.revoked
            .extend(revoked.map(|key| (key.kid.clone(), self.now)));
        vec![Step::Activate(exposure.active.unwrap())]
    }

    async fn trim(&mut self) -> Vec<Step> {
        let app = &self.replicas[self.random.index(3)].app;
        let trimmed = app
            .rotation
            .trim(false, &by_operator(), app.clock.now())
            .await
            .unwrap();
        trimmed.retired.into_iter().map(Step::Retire).collect()
    }

    /// A replica is started again, with nothing but what is in the database. (`races` kills replicas
    /// in the middle of a turn.)
    async fn restart(&mut self) -> Vec<Step> {
        self.tally.restarts += 1;
        let index = self.replica();
        let replica = &mut self.replicas[index];
        replica.app = start(&self.settings, &replica.store, self.now, replica.skew).await;
        Vec::new()
    }

    async fn mint(&mut self, ttl: i64) {
        let app = &self.replicas[self.random.index(3)].app;
        let order = Order::of_client(&self.caller, &self.workload, &self.audiences, None)
            .with_ttl(Some(ttl));
        let minted = app.mint.mint(&order, app.clock.now()).await;
        let minted = minted.unwrap_or_else(|error| panic!("{error}; {}", self.state()));
        for token in minted {
            let header = jsonwebtoken::decode_header(&token.token).unwrap();
            let kid = header.kid.unwrap();
            assert!(
                !self.revoked.contains_key(&kid),
                "signed with a key that was revoked before; {}",
                self.state()
            );
            self.tally.tokens += 1;
            self.tokens.push(Alive {
                token: token.token,
                kid,
                expires_at: token.expires_at,
            });
        }
    }

    /// Relying parties check tokens: all of them the newest one after a change of keys and one that
    /// is about to die, some of them any.
    fn check(&mut self, all_of_newest: bool) {
        for index in 0..self.tokens.len() {
            let token = &self.tokens[index];
            let dying = self.now.seconds_since(token.expires_at) > GRACE - 20;
            let newest = all_of_newest && index + 1 == self.tokens.len();
            for party in 0..self.parties.len() {
                if dying || newest || self.random.once_in(12) {
                    self.check_one(index, party);
                }
            }
        }
    }

    fn check_one(&mut self, token: usize, party: usize) {
        let token = &self.tokens[token];
        let party = &mut self.parties[party];
        let keeps = party.keeps;
        self.tally.checks += 1;
        let Err((error, as_of)) = party.check(&token.token, &self.outside, self.now) else {
            return;
        };
        let revoked = self.revoked.get(&token.kid);
        let unannounced = self.unannounced.get(&token.kid);
        if revoked.is_some_and(|at| as_of >= *at) || unannounced.is_some_and(|at| as_of <= *at) {
            self.tally.excused += 1;
            return;
        }
        panic!(
            "the relying party that keeps keys for {} s, and has those of {} s ago, refuses a token \
             that expires in {} s: {error}; {}",
            keeps,
            self.now.seconds_since(as_of),
            token.expires_at.seconds_since(self.now),
            self.state()
        );
    }

    /// What holds at every moment, whatever happens.
    fn look_after_the_keys(&mut self) {
        let app = &self.replicas[0].app;
        let keyring = app.keyring.current();
        let active = keyring.active().unwrap();
        let newest = keyring.keys.iter().map(|key| key.version.0).max().unwrap();
        self.tally.versions = newest;
        let published = keyring.keys.iter().filter(|key| key.state.is_published());
        let published = published.count();
        let due_at = app.policy.due_at(active.state.activated_at().unwrap());
        assert!(
            published <= MAX_PUBLISHED,
            "{published} keys are published; {}",
            self.state()
        );
        assert!(
            self.now.seconds_since(due_at) < 72 * HOUR,
            "the rotation has stopped: it was due at {due_at}; {}",
            self.state()
        );
    }

    /// For a failure: enough to see what went wrong, and to do it again.
    pub(super) fn state(&self) -> String {
        let keyring = self.replicas[0].app.keyring.current();
        let keys: Vec<String> = keyring
            .keys
            .iter()
            .rev()
            .take(5)
            .map(|key| {
                format!(
                    "version {} {}: {:?}, tokens until {}",
                    key.version,
                    &key.kid[..6],
                    key.state,
                    key.tokens_until.0
                )
            })
            .collect();
        format!(
            "now {}, {:?}, newest keys {keys:#?}",
            self.now.0, self.tally
        )
    }
}

async fn start(settings: &Settings, store: &Store, now: Timestamp, skew: i64) -> App {
    let clock = Clock::manual(Timestamp(now.0 + skew));
    let (app, _recorder) = App::on_store(settings.clone(), store.clone(), clock)
        .await
        .unwrap();
    assert_eq!(app.policy.algorithm, Algorithm::ES256, "RSA takes too long");
    app
}

async fn client(app: &App) -> CallingClient {
    let secret = Secret::generate(Kind::Client).unwrap();
    let client = Client {
        name: Name::parse("name", "atlantis").unwrap(),
        grants: Vec::new(),
        aws_session_tags: false,
        created_at: START,
    };
    let add = AddClient {
        client,
        secret: NewSecret {
            hash: secret.hash(),
            expires_at: None,
        },
    };
    let actor = by_operator();
    app.store.add_client(&add, &actor, START).await.unwrap();
    CallingClient::authenticate(secret.expose(), &app.lookup, START)
        .await
        .unwrap()
}
