//! `runmint runs …` and `runmint events`

use std::os::unix::fs::PermissionsExt;

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::issuers::{file, living_claims};
use super::{GRANT, columns, server};
use crate::foreign::{Key, kubernetes};
use crate::harness::{AWS, Database};
use crate::program::{Ran, Server, Setup};

/// A client secret is given by the environment, where no list of processes shows it.
struct Orchestrator {
    setup: Setup,
}

impl Orchestrator {
    async fn of(database: &Database, server: &Server) -> Self {
        let added = server
            .cli(&["clients", "add", "atlantis", "--grant", GRANT])
            .await;
        let setup = Setup::on(database)
            .with("URL", &server.public)
            .with("CLIENT_SECRET", added.stdout.trim_end());
        Self { setup }
    }

    async fn open(&self, workspace: &str, more: &[&str]) -> Ran {
        let mut arguments = vec!["runs", "open", "--organization", "acme", "--project", "p"];
        arguments.extend([
            "--workspace",
            workspace,
            "--run-phase",
            "plan",
            "--audience",
            AWS,
        ]);
        self.setup.run(&[&arguments, more].concat()).await
    }
}

#[tokio::test]
async fn what_a_run_is_opened_with_is_what_its_runner_asks_with() {
    let (database, server) = server().await;
    let orchestrator = Orchestrator::of(&database, &server).await;
    let opened = orchestrator.open("net-1", &[]).await;
    let lines: Vec<_> = opened.done().lines().collect();
    let [url, token] = lines[..] else {
        panic!("{opened:?}");
    };
    let url = url.strip_prefix("RUNMINT_REQUEST_URL=").unwrap();
    let token = token.strip_prefix("RUNMINT_REQUEST_TOKEN=").unwrap();
    let asked = reqwest::Client::new().get(format!("{url}&audience={AWS}"));
    let answer = server.answer(asked.bearer_auth(token)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");

    let opened = orchestrator
        .open("net-1", &["--format", "json"])
        .await
        .json();
    assert!(
        opened["request_token"]
            .as_str()
            .unwrap()
            .starts_with("rmr_")
    );
}

#[tokio::test]
async fn a_client_secret_is_in_the_environment_or_in_a_file_and_never_an_argument() {
    let (database, server) = server().await;
    let orchestrator = Orchestrator::of(&database, &server).await;
    let secret = server.client("jenkins").await;
    let in_file = file(database.dir(), "secret", &format!("\n  {secret} \r\n"));
    let from_file = ["--client-secret-file", in_file.as_str()];
    let both = orchestrator.open("net-1", &from_file).await;
    let words = ["two client secrets", "keep one of them"];
    both.refused(2, &words);

    let without = orchestrator.setup.clone().without("CLIENT_SECRET");
    for setup in [without.clone(), without.clone().with("CLIENT_SECRET", "")] {
        let orchestrator = Orchestrator { setup };
        orchestrator.open("net-1", &from_file).await.done();
        let neither = orchestrator.open("net-1", &[]).await;
        let words = [
            "there is no client secret",
            "`RUNMINT_CLIENT_SECRET`",
            "`--client-secret-file`",
        ];
        neither.refused(2, &words);
    }
    let orchestrator = Orchestrator { setup: without };
    let argument = format!("--client-secret={secret}");
    for arguments in [
        vec!["--client-secret", secret.as_str()],
        vec![argument.as_str()],
        vec![secret.as_str()],
    ] {
        let ran = orchestrator.open("net-1", &arguments).await;
        ran.refused(2, &["unexpected argument"]);
    }

    let nowhere = ["--client-secret-file", "/no/such/secret"];
    let ran = orchestrator.open("net-1", &nowhere).await;
    let words = "`--client-secret-file`: /no/such/secret: No such file";
    ran.refused(3, &[words]);
    for text in ["", " \n", &format!("{secret}\n{secret}\n"), "rmc_\u{e4}"] {
        let path = file(database.dir(), "wrong", text);
        let ran = orchestrator
            .open("net-1", &["--client-secret-file", &path])
            .await;
        ran.refused(2, &["holds no client secret or token", &path]);
        assert!(!ran.stderr.contains("rmc_"), "{ran:?}");
    }
    let ran = Orchestrator {
        setup: orchestrator.setup.with("CLIENT_SECRET", "rmc_1 rmc_2"),
    };
    let ran = ran.open("net-1", &[]).await;
    ran.refused(2, &["`RUNMINT_CLIENT_SECRET` holds no client secret"]);
    assert!(!ran.stderr.contains("rmc_"), "{ran:?}");
}

#[tokio::test]
async fn a_foreign_token_in_a_file_opens_a_run() {
    let (database, server) = server().await;
    server.client("atlantis").await;
    let key = Key::ec("k1");
    let mut definition = kubernetes(&[&key]);
    definition["rules"] = json!([{"name": "orchestrator", "client": "'atlantis'"}]);
    let body = json!({"name": "k8s", "definition": definition});
    let trust = server.admin(Method::POST, "/v1/issuers").json(&body);
    let answer = server.answer(trust).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let token = file(database.dir(), "token", &key.token(&living_claims()));
    let setup = Setup::on(&database).with("URL", &server.public);
    let orchestrator = Orchestrator { setup };
    let opened = orchestrator
        .open("net-1", &["--client-secret-file", &token])
        .await;
    assert!(opened.done().contains("\nRUNMINT_REQUEST_TOKEN=rmr_"));
}

#[tokio::test]
async fn what_a_run_is_opened_with_goes_to_a_file_that_is_its_owners_alone() {
    let (database, server) = server().await;
    let orchestrator = Orchestrator::of(&database, &server).await;
    let folder = database.dir().join("handed over");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("run.env");
    // What was there, for everybody to read, is replaced.
    std::fs::write(&path, "before").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let name = path.display().to_string();
    let opened = orchestrator.open("net-1", &["--output", &name]).await;
    assert_eq!(opened.done(), "");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("RUNMINT_REQUEST_URL=http"), "{text}");
    assert!(lines[1].starts_with("RUNMINT_REQUEST_TOKEN=rmr_"), "{text}");
    assert!(lines.len() == 2 && text.ends_with('\n'), "{text}");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let json = ["--output", &name, "--format", "json"];
    orchestrator.open("net-1", &json).await.done();
    let text = std::fs::read_to_string(&path).unwrap();
    let opened: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(opened["warnings"], json!([]));
    assert_eq!(
        std::fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing else is left there"
    );

    // No run is opened whose token could not be kept.
    let link = folder.join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let link = link.display().to_string();
    let unwritten = format!("{name}/run.env");
    for (output, words) in [
        (link.as_str(), "no regular file"),
        (folder.to_str().unwrap(), "no regular file"),
        ("/no/such/folder/run.env", "No such file"),
        (unwritten.as_str(), "Not a directory"),
    ] {
        let ran = orchestrator.open("net-1", &["--output", output]).await;
        ran.refused(3, &[&format!("`--output`: {output}: "), words]);
    }
    let runs = server.cli(&["runs", "list"]).await;
    assert_eq!(runs.done().lines().count(), 1 + 2, "{runs:?}");
}

#[tokio::test]
async fn what_a_cloud_will_refuse_is_said_when_the_run_is_opened() {
    let (database, server) = server().await;
    let orchestrator = Orchestrator::of(&database, &server).await;
    let opened = orchestrator.open(&"w".repeat(90), &[]).await;
    assert_eq!(opened.status, 0, "{opened:?}");
    assert!(opened.stderr.starts_with("warning: "), "{opened:?}");
    assert_eq!(opened.stdout.lines().count(), 2, "{opened:?}");
}

#[tokio::test]
async fn runs_are_listed_a_page_at_a_time_shown_and_closed() {
    let (database, server) = server().await;
    let orchestrator = Orchestrator::of(&database, &server).await;
    for workspace in ["net-1", "net-2", "net-3"] {
        orchestrator
            .open(workspace, &["--run-id", "run-1"])
            .await
            .done();
    }
    let page = server.cli(&["runs", "list", "--limit", "2"]).await;
    let head = ["ID", "STATE", "CLIENT", "SUBJECT", "RUN ID", "EXPIRES"];
    assert_eq!(columns(&page.stdout), head);
    let newest: Vec<_> = page.stdout.lines().skip(1).collect();
    assert!(newest[0].contains("workspace:net-3:") && newest[1].contains("workspace:net-2:"));
    let (_, hint) = page.stderr.split_once("hint: `--cursor ").unwrap();
    let (cursor, _) = hint.split_once('`').unwrap();
    let rest = server
        .cli(&["runs", "list", "--limit", "2", "--cursor", cursor])
        .await;
    assert_eq!(rest.done().lines().count(), 2, "{rest:?}");
    assert!(rest.stdout.contains("workspace:net-1:"), "{rest:?}");

    let id = newest[0].split_whitespace().next().unwrap();
    let closed = server.cli(&["runs", "close", id]).await;
    let shown = server.cli(&["runs", "show", id]).await;
    assert_eq!(closed.done(), shown.done());
    assert!(
        shown.stdout.replace("  ", "").contains("state: closed"),
        "{shown:?}"
    );
    let shown = server
        .cli(&["runs", "show", id, "--format", "json"])
        .await
        .json();
    assert_eq!(shown["state"], "closed");
    let filters = [
        "runs", "list", "--open", "--client", "atlantis", "--run-id", "run-1",
    ];
    let open = server.cli(&filters).await;
    assert_eq!(open.done().lines().count(), 3, "{open:?}");
}

#[tokio::test]
async fn a_refusal_says_what_to_look_at() {
    let (database, server) = server().await;
    let orchestrator = Orchestrator::of(&database, &server).await;
    let usage = orchestrator.open("a:b", &[]).await;
    usage.refused(2, &["`workspace` holds ':'"]);
    let denied = orchestrator.open("net-1", &["--audience", "other"]).await;
    denied.refused(3, &["none of this client's grants", "`audiences`"]);

    let wrong = orchestrator.setup.clone().with("CLIENT_SECRET", "rmc_123");
    let ran = Orchestrator { setup: wrong }.open("net-1", &[]).await;
    ran.refused(
        3,
        &["client secret is not complete", "RUNMINT_CLIENT_SECRET"],
    );
    assert!(!ran.stderr.contains("rmc_123"), "{ran:?}");
    let nowhere = orchestrator.setup.clone().with("URL", "http://127.0.0.1:1");
    let ran = Orchestrator { setup: nowhere }.open("net-1", &[]).await;
    ran.refused(
        3,
        &["http://127.0.0.1:1/v1/runs cannot be reached", "`--url`"],
    );

    for command in ["show", "close"] {
        let ran = server.cli(&["runs", command, "7"]).await;
        ran.refused(2, &["`7` is no run's id", "`runs list`"]);
        let unknown = "01a20763-420f-76ef-a18e-336a1383cf5c";
        let ran = server.cli(&["runs", command, unknown]).await;
        ran.refused(3, &["no such run", "hint: "]);
    }
}

#[tokio::test]
async fn events_are_read_newest_first_by_what_they_are_about() {
    let (database, server) = server().await;
    let orchestrator = Orchestrator::of(&database, &server).await;
    orchestrator
        .open("net-1", &["--run-id", "run-1"])
        .await
        .done();
    let all = server.cli(&["events"]).await;
    let head = ["AT", "KIND", "ACTOR", "RUN ID", "AUDIENCE", "JTI", "REASON"];
    assert_eq!(columns(all.done()), head);
    let kinds: Vec<_> = all
        .stdout
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().nth(1).unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["run.opened", "client.added", "key.activated", "key.staged"]
    );

    let page = server.cli(&["events", "--limit", "3"]).await;
    let (_, hint) = page.stderr.split_once("hint: `--cursor ").unwrap();
    let (cursor, _) = hint.split_once('`').unwrap();
    let rest = server.cli(&["events", "--cursor", cursor]).await;
    assert_eq!(rest.done().lines().count(), 2, "{rest:?}");

    for filter in [
        ["--run", "run-1"],
        ["--kind", "run.opened"],
        ["--since", "1"],
    ] {
        let command = [&["events", "--format", "json"][..], &filter].concat();
        let page = server.cli(&command).await.json();
        assert_eq!(page["events"][0]["kind"], "run.opened", "{page}");
    }
    for filter in [
        ["--until", "1"],
        ["--jti", "x"],
        ["--kid", "x"],
        ["--subject", "x"],
    ] {
        let none = server.cli(&[&["events"][..], &filter].concat()).await;
        assert_eq!(none.done().lines().count(), 1, "{none:?}");
    }
    let wrong = server.cli(&["events", "--kind", "token.stolen"]).await;
    wrong.refused(
        2,
        &[
            "`kind` is refused: unknown variant `token.stolen`",
            "`token.minted`",
        ],
    );
}
