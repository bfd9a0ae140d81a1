//! The real program, as a process of its own: started with a clean environment, always ended by its
//! own pid.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::certificates;
use crate::harness::{ADMIN_TOKEN, AWS, Answer, Database, ISSUER, OpenRun, VAULT, run_body};

pub(crate) const SEALING_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

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

    /// With this setting, as an environment variable without `RUNMINT_`.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let name = format!("RUNMINT_{name}");
        self.environment.insert(name, value.to_owned());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.environment.remove(&format!("RUNMINT_{name}"));
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_runmint"));
        command
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end. For `serve` this must be one that fails.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        let mut process = Process::spawn(self.command(arguments));
        let status = process.ended().await;
        process.ran(status)
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
        let mut process = Process::spawn(self.command(&["serve"]));
        let up = process.up.take().unwrap();
        let line = tokio::time::timeout(LOOK_EVERY * u32::try_from(LOOKS).unwrap(), up).await;
        let Ok(Ok(line)) = line else {
            panic!("the server did not come up:\n{}", process.stderr());
        };
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

/// What a command did.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Asserts that it was done, in silence on stderr; its data.
    #[track_caller]
    pub(crate) fn done(&self) -> &str {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        &self.stdout
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.done()).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Asserts that it was not done, with this status and all of these words, and without data.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, words: &[&str]) {
        assert_eq!(
            (self.status, self.stdout.as_str()),
            (status, ""),
            "{self:?}"
        );
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?}: {self:?}");
        }
        let errors: Vec<_> = self.stderr.matches("error: ").collect();
        assert_eq!(errors.len(), 1, "one line says what is wrong: {self:?}");
    }
}

/// A child whose words are kept; when it is dropped, it ends.
struct Process {
    child: Child,
    stdout: Words,
    stderr: Words,
    /// The line that says where it listens.
    up: Option<oneshot::Receiver<String>>,
}

impl Process {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (tell, up) = oneshot::channel();
        Self {
            stdout: Words::of(child.stdout.take().unwrap(), None),
            stderr: Words::of(child.stderr.take().unwrap(), Some(tell)),
            child,
            up: Some(up),
        }
    }

    fn stderr(&self) -> String {
        self.stderr.text.lock().unwrap().clone()
    }

    async fn ended(&mut self) -> ExitStatus {
        for _ in 0..LOOKS {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("the process does not end:\n{}", self.stderr());
    }

    fn ran(&mut self, status: ExitStatus) -> Ran {
        Ran {
            status: status.code().unwrap_or(-1),
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child writes, read by a thread so that the pipe never fills.
struct Words {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Words {
    fn of(
        pipe: impl std::io::Read + Send + 'static,
        mut tell: Option<oneshot::Sender<String>>,
    ) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut text = written.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
                drop(text);
                if line.contains("runmint is up")
                    && let Some(tell) = tell.take()
                {
                    let _ = tell.send(line);
                }
            }
        });
        Self {
            text,
            reader: Some(reader),
        }
    }

    /// All of it; the child has ended.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text.lock().unwrap().clone()
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
        let request = self
            .admin(Method::POST, "/v1/clients")
            .json(&json!({"name": name, "grants": grants}));
        let answer = self.answer(request).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json["secret"].as_str().unwrap().to_owned()
    }

    /// Opens a run of workspace `net-1`.
    pub(crate) async fn open(&self, secret: &str, phase: &str) -> OpenRun {
        let request = self.post("/v1/runs").bearer_auth(secret);
        let answer = self.answer(request.json(&run_body(phase))).await;
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
        let pid = self.process.child.id();
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits until it has ended; what it did.
    pub(crate) async fn ended(mut self) -> Ran {
        let status = self.process.ended().await;
        self.process.ran(status)
    }

    /// Ends it in the middle of whatever it does (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.process.child.kill().unwrap();
        self.process.child.wait().unwrap();
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
