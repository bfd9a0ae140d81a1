//! `runmint agent`

mod listener;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use nix::sys::signal::Signal;
use tokio::net::UnixDatagram;

use super::runner::{ROLE, Runner, mode, names};
use crate::harness::{AWS, VAULT};
use crate::program::{Process, claims, eventually};

/// The folder of the agents here.
const FOLDER: &str = "credentials";

impl Runner {
    /// Starts an agent and waits until it is ready.
    async fn agent(&self, options: &[&str]) -> Process {
        let process = self.start_agent(options);
        process.says("the files are in ").await;
        assert!(self.is_there("credentials/ready"), "{}", process.stderr());
        process
    }

    fn start_agent(&self, options: &[&str]) -> Process {
        let dir = self.path(FOLDER);
        let arguments = [&["agent", "--dir", &dir], options].concat();
        self.setup.start(&arguments)
    }

    /// The variables as a shell has them that has read `environment`.
    fn sourced(&self) -> BTreeMap<String, String> {
        let output = Command::new("sh")
            .args([
                "-c",
                ". \"$0\"; env -0",
                &self.path("credentials/environment"),
            ])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| !["PATH", "PWD", "_", "SHLVL", "OLDPWD"].contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn files(&self) -> Vec<String> {
        names(&self.dir().join(FOLDER))
    }

    /// Tells an agent to end, and waits until it has.
    async fn end(&self, process: Process, signal: Signal) {
        process.signal(signal);
        let ran = self.over(process).await;
        assert_eq!((ran.status, ran.stdout.as_str()), (0, ""), "{ran:?}");
        assert!(!self.is_there(FOLDER), "{:?}", self.files());
    }
}

#[tokio::test]
async fn ready_is_there_once_all_else_is() {
    let runner = Runner::new().await.with_aws();
    let sigstore = format!("{VAULT}=sigstore-token");
    let agent = runner.agent(&["--token", &sigstore]).await;
    let files = [
        ".runmint.lock",
        "agent-token",
        "environment",
        "ready",
        "sigstore-token",
        "tfc-aws-shared-config",
        "tfc-aws-token",
    ];
    assert_eq!(runner.files(), files);
    let written = |name: &str| {
        let path = runner.dir().join(FOLDER).join(name);
        assert_eq!(mode(&path), 0o600, "{name}");
        let written = path.metadata().unwrap();
        (written.mtime(), written.mtime_nsec())
    };
    let ready = written("ready");
    assert!(files[1..].iter().all(|name| written(name) <= ready));
    assert_eq!(runner.read("credentials/ready"), "");
    for (name, audience) in [("tfc-aws-token", AWS), ("sigstore-token", VAULT)] {
        let claims = claims(&runner.read(&format!("{FOLDER}/{name}")));
        assert_eq!(claims["aud"], audience);
    }
    runner.end(agent, Signal::SIGTERM).await;
}

#[tokio::test]
async fn a_shell_reads_the_variables_and_never_the_runs_own_request_token() {
    let runner = Runner::new().await.with_aws().given(&[
        ("TFC_AZURE_PROVIDER_AUTH", "true"),
        (
            "TFC_AZURE_RUN_CLIENT_ID",
            "11111111-2222-3333-4444-555555555555",
        ),
        ("TFC_AZURE_WORKLOAD_IDENTITY_AUDIENCE", VAULT),
        ("ARM_TENANT_ID", "99999999-2222-3333-4444-555555555555"),
    ]);
    let agent = runner.agent(&["--listen", "127.0.0.1:0"]).await;
    let variables = runner.sourced();
    assert_eq!(variables["AWS_ROLE_ARN"], ROLE);
    let token = runner.path("credentials/tfc-aws-token");
    assert_eq!(variables["AWS_WEB_IDENTITY_TOKEN_FILE"], token);
    let objects = &variables["TF_VAR_tfc_aws_dynamic_credentials"];
    assert!(objects.contains("tfc-aws-shared-config"), "{objects}");
    for name in ["RUNMINT_REQUEST", "ACTIONS_ID_TOKEN_REQUEST"] {
        let url = &variables[&format!("{name}_URL")];
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        assert!(url.ends_with(&format!("/v1/token?run={}", runner.run.id)));
        let token = &variables[&format!("{name}_TOKEN")];
        assert_eq!(*token, variables["ARM_OIDC_REQUEST_TOKEN"]);
    }
    let text = runner.read("credentials/environment");
    assert!(!text.contains(&runner.run.token), "the run's own token");
    runner.end(agent, Signal::SIGTERM).await;

    // Without a listener there is nobody else to ask than the server.
    let agent = runner.agent(&[]).await;
    let variables = runner.sourced();
    assert_eq!(variables.get("RUNMINT_REQUEST_URL"), None);
    assert_eq!(variables["ARM_OIDC_REQUEST_TOKEN"], runner.run.token);
    runner.end(agent, Signal::SIGTERM).await;
}

#[tokio::test]
async fn a_reader_that_cannot_read_is_named_before_anybody_is_told_to_begin() {
    let runner = Runner::new().await.with_aws();
    runner.open_to_others();
    let options = ["--reader", "54321:54321,54322"];
    let ran = runner.over(runner.start_agent(&options)).await;
    let words = [
        "uid 54321 (groups 54321, 54322) cannot read",
        "the folder",
        "hint: ",
        "`--owner 54321`",
        "`--group 54322`",
    ];
    ran.refused(1, &words);
    assert!(!runner.is_there(FOLDER), "{:?}", runner.files());

    // Where a file of somebody else's has the name `ready`, writing that would fail first.
    fs::create_dir(runner.dir().join(FOLDER)).unwrap();
    runner.let_go("credentials/ready");
    let ran = runner.over(runner.start_agent(&options)).await;
    ran.refused(1, &["cannot read"]);
    assert_eq!(runner.files(), ["ready"]);
    let ran = runner.over(runner.start_agent(&[])).await;
    ran.refused(
        3,
        &["credentials/ready is there already", "hint: remove it"],
    );
    assert_eq!(runner.files(), ["ready"]);
}

#[tokio::test]
async fn a_further_token_has_an_audience_and_the_name_of_a_file() {
    let runner = Runner::new().await;
    for (token, status, words) in [
        (AWS, 2, "write `AUDIENCE=NAME`"),
        (
            "aws.workload.identity=a/b",
            2,
            "`a/b` is no name for a file",
        ),
        (
            "elsewhere=token",
            3,
            "no token for the file `token` (audience `elsewhere`)",
        ),
    ] {
        let ran = runner.over(runner.start_agent(&["--token", token])).await;
        ran.refused(status, &[words]);
        assert!(!runner.is_there(FOLDER), "{token}");
    }
}

#[tokio::test]
async fn two_agents_do_not_share_a_folder() {
    let runner = Runner::new().await.with_aws();
    let agent = runner.agent(&[]).await;
    let files = runner.files();
    let ran = runner.over(runner.start_agent(&[])).await;
    ran.refused(3, &["another session uses", "hint: ", "`--dir`"]);
    assert_eq!(runner.files(), files);
    runner.end(agent, Signal::SIGTERM).await;
}

#[tokio::test]
async fn it_ends_in_good_order_and_closes_the_run_if_it_is_to() {
    let runner = Runner::new().await.with_aws();
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM] {
        let agent = runner.agent(&["--listen", "127.0.0.1:0"]).await;
        runner.end(agent, signal).await;
        assert_eq!(runner.state().await, "open");
    }
    let agent = runner.agent(&["--close"]).await;
    runner.end(agent, Signal::SIGTERM).await;
    assert_eq!(runner.state().await, "closed");
    let ran = runner.over(runner.start_agent(&[])).await;
    ran.refused(3, &["the run is closed"]);
    assert!(!runner.is_there(FOLDER));
}

#[tokio::test]
async fn what_an_agent_that_was_killed_has_left_is_replaced_by_the_next_one() {
    let runner = Runner::new().await.with_aws();
    let socket = runner.path("socket");
    let mine = format!("{AWS}=mine");
    let options = ["--socket", &socket, "--token", &mine];
    runner.agent(&options).await.kill();
    assert!(runner.is_there("credentials/ready") && runner.is_there("socket"));
    let before = claims(&runner.read("credentials/tfc-aws-token"));
    let agent = runner.agent(&["--socket", &socket]).await;
    let after = claims(&runner.read("credentials/tfc-aws-token"));
    assert_ne!(before["jti"], after["jti"]);
    assert!(!runner.is_there("credentials/mine"));
    agent.signal(Signal::SIGTERM);
    assert_eq!(runner.over(agent).await.status, 0);
    // It did not make the folder, so it leaves it.
    assert_eq!(runner.files(), [""; 0]);
    assert!(!runner.is_there("socket"));
}

#[tokio::test]
async fn systemd_is_told_when_the_files_are_there() {
    let runner = Runner::new().await.with_aws();
    let path = runner.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let runner = runner.given(&[("NOTIFY_SOCKET", &path)]);
    let agent = runner.start_agent(&[]);
    let mut told = [0; 64];
    let received = tokio::time::timeout(std::time::Duration::from_mins(1), socket.recv(&mut told));
    let length = received.await.expect("it tells").unwrap();
    assert_eq!(&told[..length], b"READY=1\n");
    assert!(runner.is_there("credentials/ready"));
    runner.end(agent, Signal::SIGTERM).await;
}

#[tokio::test]
async fn it_is_not_ready_once_something_has_ended() {
    let runner = Runner::with_tokens_of(5).await.with_aws();
    let agent = runner.agent(&["--listen", "127.0.0.1:0"]).await;
    let variables = runner.sourced();
    let url = variables["RUNMINT_REQUEST_URL"].split("/v1/").next();
    let readyz = format!("{}/readyz", url.unwrap());
    let answer = reqwest::get(&readyz).await.unwrap();
    assert_eq!(answer.status(), 200);
    runner.close().await;
    eventually("`ready` is gone", || async {
        !runner.is_there("credentials/ready")
    })
    .await;
    let answer = reqwest::get(&readyz).await.unwrap();
    assert_eq!(answer.status(), 503);
    assert!(runner.is_there("credentials/tfc-aws-token"), "what it has");
    let said = agent.stderr();
    assert!(said.contains("cannot be renewed"), "{said}");
    runner.end(agent, Signal::SIGTERM).await;
}
