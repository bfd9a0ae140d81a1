//! A run, a server that it was opened at, and what a runner of it is started with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::server;
use crate::harness::{AWS, Database, OpenRun, VAULT, run_body};
use crate::program::{Process, Ran, Server, Setup, eventually};

pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/net";
pub(super) const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/dns";

/// What each command of a runner begins with: it works in the test's folder, and waits for a file
/// in it for no longer than the test lasts.
const PRELUDE: &str =
    r#"cd "$STAGE"; wait_for() { until [ -e "$1" ] || [ ! -d "$STAGE" ]; do sleep 0.02; done; }; "#;

pub(super) struct Runner {
    pub(super) server: Server,
    pub(super) run: OpenRun,
    /// Its variables.
    pub(super) setup: Setup,
    secret: String,
    database: Database,
}

impl Runner {
    /// Of a run whose tokens live for an hour.
    pub(super) async fn new() -> Self {
        Self::with_tokens_of(3_600).await
    }

    /// Of a run whose tokens live for as many seconds.
    pub(super) async fn with_tokens_of(seconds: i64) -> Self {
        let (database, server) = server().await;
        let grants = json!([
            {"organization": "acme", "audiences": [AWS, VAULT], "max_ttl": seconds}
        ]);
        let secret = server.client_with("atlantis", &grants).await;
        let run = server.open_with(&secret, &body("plan")).await;
        let stage = database.dir().display().to_string();
        let setup = Setup::bare()
            .with_variable("STAGE", &stage)
            .with_variable("TMPDIR", &stage)
            .with("REQUEST_URL", &format!("{}{}", server.public, run.url))
            .with("REQUEST_TOKEN", &run.token);
        Self {
            server,
            run,
            setup,
            secret,
            database,
        }
    }

    /// The same in another run.
    pub(super) async fn again(&mut self, body: &Value) {
        self.run = self.server.open_with(&self.secret, body).await;
        let url = format!("{}{}", self.server.public, self.run.url);
        let setup = self.setup.clone().with("REQUEST_URL", &url);
        self.setup = setup.with("REQUEST_TOKEN", &self.run.token);
    }

    /// With these variables too.
    pub(super) fn given(mut self, variables: &[(&str, &str)]) -> Self {
        for (name, value) in variables {
            self.setup = self.setup.with_variable(name, value);
        }
        self
    }

    /// With a role at AWS.
    pub(super) fn with_aws(self) -> Self {
        self.given(&[
            ("TFC_AWS_PROVIDER_AUTH", "true"),
            ("TFC_AWS_RUN_ROLE_ARN", ROLE),
        ])
    }

    /// With one more, whose tag is `DNS`.
    pub(super) fn with_tagged_aws(self) -> Self {
        self.with_aws().given(&[
            ("TFC_AWS_PROVIDER_AUTH_DNS", "true"),
            ("TFC_AWS_RUN_ROLE_ARN_DNS", OTHER_ROLE),
        ])
    }

    /// Lets other users pass the test's folder. It is root's alone otherwise.
    pub(super) fn open_to_others(&self) {
        fs::set_permissions(self.database.dir(), Permissions::from_mode(0o711)).unwrap();
    }

    /// The test's folder.
    pub(super) fn dir(&self) -> &Path {
        self.database.dir()
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.dir().join(name).display().to_string()
    }

    /// The folder of the run's own that `exec` makes.
    pub(super) fn folder(&self) -> PathBuf {
        let user = nix::unistd::geteuid();
        self.dir().join(format!("runmint-{user}/run-7"))
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(super) fn is_there(&self, name: &str) -> bool {
        self.dir().join(name).exists()
    }

    /// Lets a command that waits for this file go on.
    pub(super) fn let_go(&self, name: &str) {
        fs::write(self.dir().join(name), "").unwrap();
    }

    pub(super) async fn appears(&self, name: &str) {
        eventually(name, || async { self.is_there(name) }).await;
    }

    /// Waits until a file holds this and nothing else.
    pub(super) async fn holds(&self, name: &str, content: &str) {
        eventually(&format!("{name} holds {content:?}"), || async {
            fs::read_to_string(self.dir().join(name)).is_ok_and(|text| text == content)
        })
        .await;
    }

    /// Runs a command of runmint's to its end.
    pub(super) async fn ran(&self, arguments: &[&str]) -> Ran {
        self.over(self.setup.start(arguments)).await
    }

    /// Runs a shell's script in the run's name.
    pub(super) async fn exec(&self, options: &[&str], script: &str) -> Ran {
        self.over(self.start_exec(options, script)).await
    }

    pub(super) fn start_exec(&self, options: &[&str], script: &str) -> Process {
        let script = format!("{PRELUDE}{script}");
        self.setup.start(&command(options, &script))
    }

    pub(super) fn start_exec_in_terminal(&self, options: &[&str], script: &str) -> Process {
        let script = format!("{PRELUDE}{script}");
        self.setup.start_in_terminal(&command(options, &script))
    }

    /// Waits until a process has ended. Whatever it did, nothing secret was said.
    pub(super) async fn over(&self, process: Process) -> Ran {
        let ran = process.over().await;
        self.assert_discreet(&ran.stderr);
        ran
    }

    #[track_caller]
    pub(super) fn assert_discreet(&self, said: &str) {
        for secret in [self.run.token.as_str(), "eyJ", "runmint-agent-", "rmr_"] {
            assert!(!said.contains(secret), "{secret} is said:\n{said}");
        }
    }

    pub(super) async fn close(&self) {
        let path = format!("/v1/runs/{}/close", self.run.id);
        let answer = self.server.admin(Method::POST, &path);
        let answer = self.server.answer(answer).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }

    /// What the server says of the run: `open`, `closed`.
    pub(super) async fn state(&self) -> String {
        let path = format!("/v1/runs/{}", self.run.id);
        let answer = self.server.admin(Method::GET, &path);
        let answer = self.server.answer(answer).await;
        answer.json["state"].as_str().unwrap().to_owned()
    }

    /// How often the server has refused a token.
    pub(super) async fn refusals(&self) -> usize {
        let path = "/v1/events?kind=token.refused&limit=1000";
        let answer = self.server.admin(Method::GET, path);
        let answer = self.server.answer(answer).await;
        answer.json["events"].as_array().unwrap().len()
    }
}

/// A run with an id of its orchestrator's.
pub(super) fn body(phase: &str) -> Value {
    let mut body = run_body(phase);
    body["run_id"] = json!("run-7");
    body
}

fn command<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&["exec"], options, &["--", "sh", "-c", script]].concat()
}

pub(super) fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// What is in a folder, in alphabetical order; nothing if there is no folder.
pub(super) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
