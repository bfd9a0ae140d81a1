//! What tests share: a database of one's own, the application on a clock that stands still, requests
//! that read like sentences, and a verifier that knows nothing but the published documents.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use runmint::app::App;
use runmint::audit::RecorderTask;
use runmint::clock::Clock;
use runmint::config::Settings;
use runmint::domain::event::Actor;
use runmint::domain::time::Timestamp;
use runmint::http;
use runmint::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// Whoever holds [`ADMIN_TOKEN`], as the audit log calls it.
pub(crate) fn by_operator() -> Actor {
    Actor::Operator("admin".to_owned())
}

/// When tests begin: a Monday in November 2026.
pub(crate) const START: Timestamp = Timestamp(1_795_400_000);

pub(crate) const ADMIN_TOKEN: &str = "an-admin-token-of-the-tests";
pub(crate) const ISSUER: &str = "https://ci.example.com";
pub(crate) const AWS: &str = "aws.workload.identity";
pub(crate) const VAULT: &str = "vault.workload.identity";

/// A database that nobody else uses; it goes when the test ends.
#[derive(Clone)]
pub(crate) struct Database {
    store: Option<Store>,
    pub(crate) url: String,
    dir: Arc<TempDir>,
}

impl Database {
    /// On SQLite in memory, or on Postgres, as `RUNMINT_TEST_STORE` says.
    pub(crate) async fn new() -> Self {
        if on_postgres() {
            return Self::postgres().await;
        }
        let url = "sqlite::memory:".to_owned();
        let store = Store::connect(&url, 1).await.unwrap();
        Self {
            store: Some(store),
            url,
            dir: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    /// As [`Self::new`], but in a file where it would be in memory: for a process of its own.
    pub(crate) async fn durable() -> Self {
        if on_postgres() {
            return Self::postgres().await;
        }
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("test.db").display());
        Self {
            store: None,
            url,
            dir: Arc::new(dir),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment where to run"
    )]
    async fn postgres() -> Self {
        let server = std::env::var("RUNMINT_TEST_POSTGRES").expect(
            "RUNMINT_TEST_POSTGRES names a Postgres server whose user may create databases; \
             `script/test postgres` starts one",
        );
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let admin = sqlx::PgPool::connect(&server).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&admin)
            .await
            .unwrap();
        admin.close().await;
        let (base, _) = server.rsplit_once('/').unwrap();
        Self {
            store: None,
            url: format!("{base}/{name}"),
            dir: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    /// A store on it: the same memory on SQLite, a pool of one's own elsewhere.
    pub(crate) async fn store(&self) -> Store {
        match &self.store {
            Some(store) => store.clone(),
            None => Store::connect(&self.url, 5).await.unwrap(),
        }
    }

    /// A folder of this test's own.
    pub(crate) fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where to run"
)]
pub(crate) fn on_postgres() -> bool {
    match std::env::var("RUNMINT_TEST_STORE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("RUNMINT_TEST_STORE is {other:?}; it must be sqlite or postgres"),
    }
}

/// Settings of the tests; `overrides` are environment variables without `RUNMINT_`. ES256, since
/// its keys are made in no time.
pub(crate) fn settings(database: &Database, overrides: &[(&str, &str)]) -> Settings {
    let dir = database.dir().display().to_string();
    let mut environment: HashMap<String, String> = [
        ("DATA_DIR", dir.as_str()),
        ("ISSUER__URL", ISSUER),
        ("ADMIN__TOKEN", ADMIN_TOKEN),
        ("STORE__URL", &database.url),
        ("KEYS__ALGORITHM", "ES256"),
        (
            "KEYS__SEALING_KEY",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
    ]
    .iter()
    .chain(overrides)
    .map(|(name, value)| (format!("RUNMINT_{name}"), (*value).to_owned()))
    .collect();
    environment.retain(|_, value| value != "-");
    Settings::load(None, environment).unwrap()
}

/// The application in process, with both routers and a clock that stands still.
pub(crate) struct TestApp {
    pub(crate) app: App,
    pub(crate) database: Database,
    public: Router,
    admin: Router,
    _recorder: RecorderTask,
}

impl TestApp {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With settings overridden, as environment variables without `RUNMINT_`.
    pub(crate) async fn with(overrides: &[(&str, &str)]) -> Self {
        Self::on(Database::new().await, overrides, START).await
    }

    /// One more replica on a database, its clock at `now`.
    pub(crate) async fn on(database: Database, overrides: &[(&str, &str)], now: Timestamp) -> Self {
        let settings = settings(&database, overrides);
        let store = database.store().await;
        let (app, recorder) = App::on_store(settings, store, Clock::manual(now))
            .await
            .unwrap();
        Self {
            public: http::public(app.clone()),
            admin: http::admin(&app),
            app,
            database,
            _recorder: recorder,
        }
    }

    /// Another replica on the same database.
    pub(crate) async fn replica(&self) -> Self {
        Self::on(self.database.clone(), &[], self.app.clock.now()).await
    }

    /// Lets time pass on this replica.
    pub(crate) fn pass(&self, seconds: i64) {
        self.app
            .clock
            .set(Timestamp(self.app.clock.now().0 + seconds));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Serves the public listener at an address of this machine, until the test's runtime ends.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.public.clone();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    /// A request to the public listener.
    pub(crate) fn public(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.public, method, path)
    }

    pub(crate) fn get(&self, path: &str) -> Call<'_> {
        Call::new(&self.public, Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call<'_> {
        Call::new(&self.public, Method::POST, path)
    }

    /// A request to the admin listener, with the admin token.
    pub(crate) fn admin(&self, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.admin, method, path).bearer(ADMIN_TOKEN)
    }

    /// A request to the admin listener, with this token.
    pub(crate) fn admin_as(&self, token: &str, method: Method, path: &str) -> Call<'_> {
        Call::new(&self.admin, method, path).bearer(token)
    }

    /// Adds a client that may do anything in organization `acme`; its secret.
    pub(crate) async fn client(&self, name: &str) -> String {
        self.client_with(
            name,
            json!([{
                "organization": "acme",
                "audiences": [AWS, VAULT],
                "subject_forms": ["workspace", "legacy", "stack", "module_test"],
            }]),
        )
        .await
    }

    /// Adds a client with these grants; its secret.
    pub(crate) async fn client_with(&self, name: &str, grants: Value) -> String {
        let body = json!({"name": name, "grants": grants});
        let answer = self
            .admin(Method::POST, "/v1/clients")
            .json(&body)
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json["secret"].as_str().unwrap().to_owned()
    }

    /// Trusts an issuer.
    pub(crate) async fn trust(&self, name: &str, definition: &Value) {
        let body = json!({"name": name, "definition": definition});
        let answer = self
            .admin(Method::POST, "/v1/issuers")
            .json(&body)
            .send()
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }

    /// Exchanges a foreign token for tokens with these audiences.
    pub(crate) async fn exchange(&self, token: &str, audiences: &[&str]) -> Answer {
        let mut form = vec![
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", token),
        ];
        form.extend(audiences.iter().map(|audience| ("audience", *audience)));
        self.post("/oauth/token").form(&form).send().await
    }

    /// Opens a run of workspace `net-1` with the client's secret.
    pub(crate) async fn run(&self, secret: &str, phase: &str) -> OpenRun {
        self.run_with(secret, &run_body(phase)).await
    }

    pub(crate) async fn run_with(&self, secret: &str, body: &Value) -> OpenRun {
        let answer = self.post("/v1/runs").bearer(secret).json(body).send().await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let text = |name: &str| answer.json[name].as_str().unwrap().to_owned();
        OpenRun {
            id: text("id"),
            url: text("request_url").strip_prefix(ISSUER).unwrap().to_owned(),
            token: text("request_token"),
            subject: text("subject"),
        }
    }

    /// Asks for a token in GitHub's form.
    pub(crate) async fn ask(&self, run: &OpenRun, audience: &str) -> Answer {
        let path = format!("{}&audience={audience}", run.url);
        self.get(&path).bearer(&run.token).send().await
    }

    /// Asks for a token and takes it.
    pub(crate) async fn token(&self, run: &OpenRun) -> String {
        let answer = self.ask(run, AWS).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json["value"].as_str().unwrap().to_owned()
    }

    /// The published key set, as a relying party fetches it.
    pub(crate) async fn jwks(&self) -> JwkSet {
        let answer = self.get("/.well-known/jwks").send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        serde_json::from_value(answer.json).unwrap()
    }

    /// The `kid`s that a probe would see.
    pub(crate) async fn kids(&self) -> Vec<String> {
        let keys = self.jwks().await.keys;
        keys.into_iter()
            .map(|key| key.common.key_id.unwrap())
            .collect()
    }

    /// One turn of the schedule in which the probe sees what this replica publishes.
    pub(crate) async fn turn(&self) -> Vec<runmint::domain::key::Step> {
        let seen = self.kids().await;
        self.app.rotation.turn(&seen, self.now()).await.unwrap()
    }

    /// How often this replica has set about minting.
    pub(crate) async fn mint_attempts(&self) -> u32 {
        let metrics = self.admin(Method::GET, "/metrics").send().await.text;
        let count = metrics
            .lines()
            .find_map(|line| line.strip_prefix("runmint_mint_duration_seconds_count "));
        count.unwrap().parse().unwrap()
    }

    /// The events of this kind, newest first.
    pub(crate) async fn events(&self, kind: &str) -> Vec<Value> {
        let path = format!("/v1/events?limit=1000&kind={kind}");
        let answer = self.admin(Method::GET, &path).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json["events"].as_array().unwrap().clone()
    }
}

/// A run, as its orchestrator and its runner know it.
#[derive(Clone, Debug)]
pub(crate) struct OpenRun {
    pub(crate) id: String,
    /// The request URL without the issuer: path and query.
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) subject: String,
}

/// The body that opens a run of workspace `net-1`.
pub(crate) fn run_body(phase: &str) -> Value {
    json!({
        "organization": "acme",
        "project": "Default Project",
        "workspace": "net-1",
        "run_phase": phase,
        "audiences": [AWS, VAULT],
    })
}

/// A request on its way.
pub(crate) struct Call<'a> {
    router: &'a Router,
    request: axum::http::request::Builder,
    body: Body,
}

impl<'a> Call<'a> {
    fn new(router: &'a Router, method: Method, path: &str) -> Self {
        Self {
            router,
            request: Request::builder().method(method).uri(path),
            body: Body::empty(),
        }
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header(header::AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// Sets a header; one that was set before is replaced.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        if let Some(headers) = self.request.headers_mut() {
            headers.insert(
                axum::http::HeaderName::from_bytes(name.as_bytes()).unwrap(),
                value.parse().unwrap(),
            );
        }
        self
    }

    /// From this address, as the socket's other end; without it there is none.
    pub(crate) fn from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 40_000);
        self.request = self.request.extension(ConnectInfo(peer));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Self {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        self.body("application/x-www-form-urlencoded", form)
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Body>) -> Self {
        let mut call = self.header(header::CONTENT_TYPE.as_str(), content_type);
        call.body = body.into();
        call
    }

    pub(crate) async fn send(self) -> Answer {
        let request = self.request.body(self.body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            headers,
            json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }
}

/// What came back; `Debug` shows all of it in a failing assertion.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a problem of this status and type, about this field (`""` for none).
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, slug: &str, field: &str) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        assert_eq!(
            self.json["type"],
            format!("urn:runmint:problem:{slug}"),
            "{self:?}"
        );
        assert_eq!(self.json["field"].as_str().unwrap_or(""), field, "{self:?}");
        assert_eq!(
            self.json["request_id"],
            self.header("x-request-id"),
            "{self:?}"
        );
        assert!(
            !self.json["detail"].as_str().unwrap().is_empty(),
            "{self:?}"
        );
    }
}

/// Checks a token as a relying party does, with nothing but a key set and the time; its claims.
pub(crate) fn verify(
    token: &str,
    jwks: &JwkSet,
    audience: &str,
    now: Timestamp,
) -> Result<Value, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
    let kid = header.kid.ok_or("no kid")?;
    let key = jwks
        .find(&kid)
        .ok_or_else(|| format!("kid {kid} is not published"))?;
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[ISSUER]);
    // The library reads the machine's clock; time is checked below, by the test's.
    validation.validate_exp = false;
    let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
    let claims: Value = jsonwebtoken::decode(token, &key, &validation)
        .map_err(|error| error.to_string())?
        .claims;
    let time = |name: &str| claims[name].as_i64().ok_or_else(|| format!("no {name}"));
    // AWS allows five minutes either way.
    if now.0 + 300 < time("nbf")? || now.0 >= time("exp")? + 300 {
        return Err(format!("not valid at {}", now.0));
    }
    Ok(claims)
}

/// Header and payload of a token, as the text that was signed.
pub(crate) fn decode(token: &str) -> (String, String) {
    use base64::Engine;
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "a compact JWS has three parts");
    let text = |part| {
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        String::from_utf8(engine.decode(part).unwrap()).unwrap()
    };
    (text(parts[0]), text(parts[1]))
}

/// The payload of a token, unchecked.
pub(crate) fn claims(token: &str) -> Value {
    serde_json::from_str(&decode(token).1).unwrap()
}

/// Lets a future take `polls` steps and then drops it, as a process is killed: its result, if it was
/// done before.
pub(crate) async fn killed_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
