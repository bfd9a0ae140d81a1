//! The real program, as a process of its own: started with a clean environment, always ended by its
//! own pid.

mod process;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nix::sys::signal::Signal;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub(crate) use self::process::{Process, Ran};

use crate::certificates;
use crate::harness::{ADMIN_TOKEN, AWS, Answer, Database, ISSUER, OpenRun, VAULT, run_body};

pub(crate) const SEALING_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

const PROGRAM: &str = env!("CARGO_BIN_EXE_runmint");

/// How often a condition is looked at, and how many times before the test gives up.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: usize = 1_200;

/// What a process is started with.
#[derive(Clone)]
pub(crate) struct Setup {
    environment: BTreeMap<String, String>,
}

impl Setup {
    /// A replica on this database, with ports of its own. ES256, since its keys are made in no time;
    /// the probe reaches nobody.
    pub(crate) fn on(database: &Database) -> Self {
        let dir = database.dir().display().to_string();
        let environment = [
            ("DATA_DIR", dir.as_str()),
            ("ISSUER__URL", ISSUER),
            ("SERVER__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
            ("ADMIN__TOKEN", ADMIN_TOKEN),
            ("STORE__URL", &database.url),
            ("KEYS__ALGORITHM", "ES256"),
            ("KEYS__SEALING_KEY", SEALING_KEY),
            ("ROTATION__PROBE_URL", "http://127.0.0.1:1/"),
        ]
        .map(|(name, value)| (format!("RUNMINT_{name}"), value.to_owned()));
        Self {
            environment: environment.into(),
        }
    }

    /// Nothing but where programs are.
    pub(crate) fn bare() -> Self {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Self {
            environment: BTreeMap::new(),
        }
        .with_variable("PATH", path)
    }

    /// With this setting, as an environment variable without `RUNMINT_`.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.with_variable(&format!("RUNMINT_{name}"), value)
    }

    /// With this environment variable.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn without(self, name: &str) -> Self {
        self.without_variable(&format!("RUNMINT_{name}"))
    }

    pub(crate) fn without_variable(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Reached at its issuer URL, as the probe does: both on a port that was free a moment ago.
    pub(crate) fn at_its_issuer_url(self) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        self.with("SERVER__LISTEN", &address)
            .with("ISSUER__URL", &format!("http://{address}"))
            .without("ROTATION__PROBE_URL")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).env_clear().envs(&self.environment);
        command
    }

    /// Runs a command to its end. For `serve` this must be one that fails.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.start(arguments).over().await
    }

    /// Starts a command.
    pub(crate) fn start(&self, arguments: &[&str]) -> Process {
        Process::spawn(self.command(arguments))
    }

    /// Starts it in a terminal of its own: what is typed goes to whoever reads there, and a Ctrl-C
    /// is an INT for all of them. stdout and stderr are one.
    pub(crate) fn start_in_terminal(&self, arguments: &[&str]) -> Process {
        // As an array of the shell's, so that nothing needs to be quoted.
        let line = "eval \"set -- $ARGUMENTS\"; exec \"$PROGRAM\" \"$@\"";
        let names = (0..arguments.len()).map(|index| format!("\"$ARGUMENT_{index}\""));
        let names: Vec<_> = names.collect();
        let mut command = Command::new("script");
        command
            .args([
                "--quiet",
                "--return",
                "--flush",
                "--command",
                line,
                "/dev/null",
            ])
            .env_clear()
            .envs(&self.environment)
            .env("PROGRAM", PROGRAM)
            .env("ARGUMENTS", names.join(" "));
        for (index, argument) in arguments.iter().enumerate() {
            command.env(format!("ARGUMENT_{index}"), argument);
        }
        Process::spawn_with_input(command)
    }

    /// Starts `serve` and waits until it is ready.
    pub(crate) async fn serve(&self) -> Server {
        let server = self.serve_at_once().await;
        eventually("the server is ready", || async {
            server.answer(server.get("/readyz")).await.status == StatusCode::OK
        })
        .await;
        server
    }

    /// Starts `serve` and waits until it says where it listens.
    pub(crate) async fn serve_at_once(&self) -> Server {
        let process = self.start(&["serve"]);
        process.says("runmint is up").await;
        let log = process.stderr();
        let line = log.lines().find(|line| line.contains("runmint is up"));
        let line = line.unwrap();
        let address = |name: &str, tls: &str| {
            let tls = format!("RUNMINT_{tls}__TLS__CERTIFICATE_FILE");
            let scheme = if self.environment.contains_key(&tls) {
                "https"
            } else {
                "http"
            };
            let (_, rest) = line.split_once(name).unwrap();
            let rest = rest.trim_start_matches(['"', ':', '=']);
            let address: String = rest
                .chars()
                .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
                .collect();
            format!("{scheme}://{address}")
        };
        Server {
            public: address("server.listen", "SERVER"),
            admin: address("admin.listen", "ADMIN"),
            process,
            setup: self.clone(),
            http: certificates::trusting(|client| client),
        }
    }
}

/// A running server.
pub(crate) struct Server {
    process: Process,
    setup: Setup,
    http: reqwest::Client,
    /// Where its public listener is, as a URL without a slash.
    pub(crate) public: String,
    /// Where its admin listener is.
    pub(crate) admin: String,
}

impl Server {
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.public))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.public))
    }

    /// A request to the admin listener, with the admin token.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.admin))
            .bearer_auth(ADMIN_TOKEN)
    }

    pub(crate) async fn answer(&self, request: RequestBuilder) -> Answer {
        match answer(request).await {
            Ok(answer) => answer,
            Err(error) => panic!("no answer: {error:?}\n{}", self.log()),
        }
    }

    /// Adds a client that may do anything in organization `acme`; its secret.
    pub(crate) async fn client(&self, name: &str) -> String {
        let grants = json!([{"organization": "acme", "audiences": [AWS, VAULT]}]);
        self.client_with(name, &grants).await
    }

    pub(crate) async fn client_with(&self, name: &str, grants: &Value) -> String {
        let request = self
            .admin(Method::POST, "/v1/clients")
            .json(&json!({"name": name, "grants": grants}));
        let answer = self.answer(request).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json["secret"].as_str().unwrap().to_owned()
    }

    /// Opens a run of workspace `net-1`.
    pub(crate) async fn open(&self, secret: &str, phase: &str) -> OpenRun {
        self.open_with(secret, &run_body(phase)).await
    }

    pub(crate) async fn open_with(&self, secret: &str, body: &Value) -> OpenRun {
        let request = self.post("/v1/runs").bearer_auth(secret);
        let answer = self.answer(request.json(body)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let text = |name: &str| answer.json[name].as_str().unwrap().to_owned();
        let url = text("request_url");
        let at = url.find("/v1/token").unwrap();
        OpenRun {
            id: text("id"),
            url: url[at..].to_owned(),
            token: text("request_token"),
            subject: text("subject"),
        }
    }

    /// The request for a token in GitHub's form.
    pub(crate) fn ask(&self, run: &OpenRun) -> RequestBuilder {
        self.get(&format!("{}&audience={AWS}", run.url))
            .bearer_auth(&run.token)
    }

    /// The `kid`s that it publishes.
    pub(crate) async fn kids(&self) -> Vec<String> {
        let answer = self.answer(self.get("/.well-known/jwks")).await;
        let keys = answer.json["keys"].as_array().unwrap();
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The `jti` of every token in the audit log.
    pub(crate) async fn recorded(&self) -> Vec<String> {
        let mut recorded = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/events?limit=1000&kind=token.minted{cursor}");
            let page = self.answer(self.admin(Method::GET, &path)).await.json;
            recorded.extend(
                page["events"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|event| event["jti"].as_str().unwrap().to_owned()),
            );
            match page["next_cursor"].as_i64() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return recorded,
            }
        }
    }

    /// Runs a command of the same settings against this server.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> Ran {
        self.setup
            .clone()
            .with("ADMIN_URL", &self.admin)
            .with("URL", &self.public)
            .run(arguments)
            .await
    }

    /// As [`Self::cli`], where the environment names a proxy.
    pub(crate) async fn cli_through(&self, proxy: &str, arguments: &[&str]) -> Ran {
        let mut setup = self.setup.clone().with("ADMIN_URL", &self.admin);
        for name in ["http_proxy", "HTTP_PROXY", "all_proxy"] {
            setup.environment.insert(name.to_owned(), proxy.to_owned());
        }
        setup.run(arguments).await
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.stderr()
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Waits until it has ended; what it did.
    pub(crate) async fn ended(self) -> Ran {
        self.process.over().await
    }

    /// Ends it in the middle of whatever it does (SIGKILL).
    pub(crate) fn kill(self) {
        self.process.kill();
    }
}

/// Sends a request; the error is that of a connection.
pub(crate) async fn answer(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await?;
    Ok(Answer {
        status,
        headers,
        json: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// Looks again and again until it is so; a test that waits in vain fails.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    for _ in 0..LOOKS {
        if is_so().await {
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    panic!("in vain: {what}");
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A port that nobody uses at this moment.
pub(crate) fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}
