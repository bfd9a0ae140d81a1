//! The log of a whole scenario at its most talkative level: it helps, and it gives nothing away.

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};

use crate::harness::{ADMIN_TOKEN, AWS, Database, OpenRun, on_postgres, run_body};
use crate::program::{Ran, SEALING_KEY, Server, Setup, eventually};

/// Not that of any database: a server that cannot get in names the database and not the password.
const DATABASE_PASSWORD: &str = "pa55word-of-the-database";

const REQUEST_ID: &str = "the-request-of-a-caller";

#[tokio::test]
async fn no_secret_is_in_the_text_log_at_its_most_talkative() {
    let (log, secrets) = scenario("text").await;
    assert_discreet(&log, &secrets);
    assert!(log.contains(REQUEST_ID), "{log}");
}

#[tokio::test]
async fn no_secret_is_in_the_json_log_and_each_of_its_lines_is_json() {
    let (log, secrets) = scenario("json").await;
    assert_discreet(&log, &secrets);
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        for member in ["timestamp", "level", "message"] {
            assert!(line[member].is_string(), "no {member}: {line}");
        }
    }
    assert!(
        lines
            .iter()
            .any(|line| line["span"]["request.id"] == REQUEST_ID),
        "{log}"
    );
}

#[tokio::test]
async fn a_database_password_is_never_told() {
    let database = Database::durable().await;
    let port = crate::program::free_port();
    let url = format!("postgres://runmint:{DATABASE_PASSWORD}@127.0.0.1:{port}/runmint");
    for format in ["text", "json"] {
        let setup = Setup::on(&database)
            .with("STORE__URL", &url)
            .with("LOG__LEVEL", "trace")
            .with("LOG__FORMAT", format);
        for command in [&["serve"][..], &["config", "show"], &["config", "check"]] {
            let Ran { stdout, stderr, .. } = setup.run(command).await;
            let words = stdout + &stderr;
            assert!(!words.is_empty());
            assert!(!words.contains(DATABASE_PASSWORD), "{words}");
        }
    }
}

/// Everything that can happen, well and badly; the log, and what must not be in it.
async fn scenario(format: &str) -> (String, Vec<String>) {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        .at_its_issuer_url()
        .with("LOG__LEVEL", "trace")
        .with("LOG__FORMAT", format)
        .with("ROTATION__JWKS_MAX_AGE", "1s")
        .with("ROTATION__CACHE_LEEWAY", "0s")
        .with("ROTATION__PREPUBLISH", "1s")
        .with("ROTATION__CHECK_EVERY", "1s")
        .serve()
        .await;
    let mut secrets = vec![ADMIN_TOKEN.to_owned(), SEALING_KEY.to_owned()];
    let client = server.client("atlantis").await;
    let run = server.open(&client, "apply").await;
    secrets.extend([client.clone(), run.token.clone()]);

    well(&server, &client, &run, &mut secrets).await;
    change(&server, &mut secrets).await;
    secrets.extend(badly(&server, &client, &run).await);
    rotate(&server).await;
    trouble(&server, &database, &client).await;

    server.terminate();
    let ran = server.ended().await;
    assert_eq!((ran.status, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    (ran.stderr, secrets)
}

/// Tokens, by all ways.
async fn well(server: &Server, client: &str, run: &OpenRun, secrets: &mut Vec<String>) {
    let github = server.answer(server.ask(run)).await;
    secrets.push(github.json["value"].as_str().unwrap().to_owned());
    let azure = server
        .post(&format!("{}?api-version=7.1&audience={AWS}", run.url))
        .bearer_auth(&run.token);
    let azure = server.answer(azure).await;
    secrets.push(azure.json["oidcToken"].as_str().unwrap().to_owned());
    let direct = server
        .post("/v1/tokens")
        .bearer_auth(client)
        .header("x-request-id", REQUEST_ID);
    let direct = server.answer(direct.json(&run_body("plan"))).await;
    for token in direct.json["tokens"].as_array().unwrap() {
        secrets.push(token["token"].as_str().unwrap().to_owned());
    }
}

/// Secrets that come and go.
async fn change(server: &Server, secrets: &mut Vec<String>) {
    let add = async |path: &str, body: Value, member: &str| {
        let request = server.admin(Method::POST, path).json(&body);
        let added = server.answer(request).await;
        added.json[member].as_str().unwrap().to_owned()
    };
    let path = "/v1/clients/atlantis/secrets";
    let second = add(path, json!({"expires_in": 1}), "secret").await;
    let operator = json!({"name": "alice", "access": "read"});
    let first_token = add("/v1/operators", operator, "token").await;
    let second_token = add("/v1/operators/alice/tokens", json!({}), "token").await;
    let request = server.post("/v1/tokens").bearer_auth(&second);
    server.answer(request.json(&run_body("plan"))).await;
    for (token, method) in [(&first_token, Method::GET), (&second_token, Method::POST)] {
        let url = format!("{}/v1/clients", server.admin);
        let request = reqwest::Client::new().request(method, url);
        let answer = request.bearer_auth(token).json(&json!({}));
        assert_ne!(server.answer(answer).await.status.as_u16(), 401);
    }
    for command in [
        &["operators", "remove", "alice"][..],
        &["clients", "secrets", "list", "atlantis"],
    ] {
        server.cli(command).await;
    }
    let gone = reqwest::Client::new().get(format!("{}/v1/keys", server.admin));
    let gone = server.answer(gone.bearer_auth(&first_token)).await;
    gone.assert_problem(401, "unauthenticated", "");
    secrets.extend([second, first_token, second_token]);
}

/// Whatever a caller can do wrong; some of it looks like a secret, and may be one.
async fn badly(server: &Server, client: &str, run: &OpenRun) -> Vec<String> {
    // Another last digit than it has.
    let last = if client.ends_with('0') { '1' } else { '0' };
    let mistyped = format!("{}{last}", &client[..client.len() - 1]);
    let unknown = "a-token-pasted-into-the-wrong-place";
    for secret in [mistyped.as_str(), unknown, run.token.as_str(), ADMIN_TOKEN] {
        let request = server.post("/v1/tokens").bearer_auth(secret);
        let answer = server.answer(request.json(&run_body("plan"))).await;
        answer.assert_problem(401, "unauthenticated", "");
        let request = server.admin(Method::GET, "/v1/keys").bearer_auth(secret);
        assert_ne!(server.answer(request).await.status.as_u16(), 500);
    }
    // In the query, in the path, in the body, in a header.
    let requests = [
        server
            .get(&format!("/v1/runs/{client}"))
            .bearer_auth(client),
        server.get(&format!("/v1/token/{}", run.token)),
        server.get(&format!(
            "/v1/token?run={unknown}&audience={AWS}&token={unknown}"
        )),
        server
            .get(&format!("/v1/runs/{unknown}"))
            .bearer_auth(client),
        server
            .get(&format!("{}&audience={unknown}", run.url))
            .bearer_auth(&run.token),
        server
            .post("/v1/tokens")
            .bearer_auth(client)
            .json(&json!({ unknown: unknown })),
        server
            .post("/v1/tokens")
            .bearer_auth(client)
            .header("content-type", "application/json")
            .body(format!("{{\"organization\": {unknown}")),
        server
            .post("/v1/tokens")
            .bearer_auth(client)
            .body(unknown.to_owned()),
        server
            .get("/healthz")
            .header("cookie", unknown)
            .header("x-request-id", "a b"),
    ];
    for request in requests {
        server.answer(request).await;
    }
    let mut other = run_body("plan");
    other["organization"] = json!("somebody-else");
    let request = server.post("/v1/tokens").bearer_auth(client).json(&other);
    let answer = server.answer(request).await;
    answer.assert_problem(403, "not-granted", "organization");
    vec![mistyped, format!("token={unknown}")]
}

async fn rotate(server: &Server) {
    let staged = server.cli(&["keys", "rotate"]).await;
    assert_eq!(staged.status, 0, "{staged:?}");
    eventually("version 2 signs", || async {
        let keys = server
            .cli(&["keys", "list", "--format", "json"])
            .await
            .json();
        keys[1]["state"] == "active"
    })
    .await;
    let commands: [&[&str]; 5] = [
        &["keys", "rotate", "--emergency"],
        &["keys", "revoke", "1"],
        &["keys", "trim", "--force"],
        &["keys", "rewrap"],
        &["clients", "remove", "nobody"],
    ];
    for command in commands {
        server.cli(command).await;
    }
}

/// The database goes away and comes back. (On Postgres `process::outage` stops a server.)
async fn trouble(server: &Server, database: &Database, client: &str) {
    if on_postgres() {
        return;
    }
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let options = SqliteConnectOptions::new().filename(path);
    let mut other: SqliteConnection = options.connect().await.unwrap();
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    let request = server.post("/v1/tokens").bearer_auth(client);
    let answer = server.answer(request.json(&run_body("plan"))).await;
    answer.assert_problem(503, "unavailable", "");
    // What it writes arrives here a moment later.
    eventually("the log says so", || async {
        server.log().contains("tokens could not be recorded")
    })
    .await;
    drop(other);
}

#[track_caller]
fn assert_discreet(log: &str, secrets: &[String]) {
    assert!(log.lines().count() > 20, "a scenario leaves more:\n{log}");
    for secret in secrets {
        assert!(
            !log.contains(secret.as_str()),
            "{secret} is in the log:\n{log}"
        );
    }
    // Whatever else looks like one: bearer secrets, tokens, keys; and no colours for a file.
    for sign in [
        "rmc_",
        "rmr_",
        "rma_",
        "eyJ",
        "PRIVATE KEY",
        "Bearer ",
        "\u{1b}[",
    ] {
        // `rmc_` alone may be named, as in "a client secret starts with `rmc_`".
        let found = log.match_indices(sign).find(|(at, _)| {
            let rest = log[at + sign.len()..].chars().next();
            !sign.starts_with("rm") || rest.is_some_and(|c| c.is_ascii_alphanumeric())
        });
        assert_eq!(found, None, "{log}");
    }
}
