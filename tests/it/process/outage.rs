//! The database stops and comes back.

use axum::http::StatusCode;
use reqwest::Method;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Executor};

use super::cluster::Cluster;
use crate::harness::{Answer, Database, OpenRun, on_postgres, run_body};
use crate::program::{Server, Setup, eventually};

/// How a database is made to stop: a server is stopped; a file is locked by another writer.
enum Outage {
    Lock {
        path: String,
        holder: Option<SqliteConnection>,
    },
    Stop(Cluster),
}

impl Outage {
    async fn begin(&mut self) {
        match self {
            Self::Lock { path, holder } => {
                let options = SqliteConnectOptions::new().filename(path);
                let mut connection = options.connect().await.unwrap();
                connection.execute("BEGIN EXCLUSIVE").await.unwrap();
                *holder = Some(connection);
            }
            Self::Stop(cluster) => cluster.down(),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Lock { holder, .. } => drop(holder.take()),
            Self::Stop(cluster) => cluster.up(),
        }
    }
}

async fn database() -> (Setup, Outage, Database) {
    let database = Database::durable().await;
    let setup = Setup::on(&database);
    if on_postgres() {
        let cluster = Cluster::start();
        let setup = setup.with("STORE__URL", &cluster.url());
        return (setup, Outage::Stop(cluster), database);
    }
    let path = database.url.strip_prefix("sqlite:").unwrap().to_owned();
    (setup, Outage::Lock { path, holder: None }, database)
}

#[tokio::test]
async fn while_the_database_is_down_discovery_answers_and_minting_says_when_to_come_back() {
    let (setup, mut outage, _database) = database().await;
    let server = setup.serve().await;
    let secret = server.client("atlantis").await;
    let run = server.open(&secret, "plan").await;
    let kids = server.kids().await;
    assert_eq!(server.answer(server.ask(&run)).await.status, StatusCode::OK);

    for _ in 0..2 {
        outage.begin().await;
        assert_eq!(server.kids().await, kids);
        for path in ["/.well-known/openid-configuration", "/healthz"] {
            let answer = server.answer(server.get(path)).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        }
        for answer in attempts(&server, &run, &secret).await {
            answer.assert_problem(503, "unavailable", "");
            assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
        }
        let answer = server.answer(server.get("/readyz")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert_eq!(answer.json["status"], "not ready", "{answer:?}");

        outage.end();
        eventually("the server is ready again by itself", || async {
            server.answer(server.get("/readyz")).await.status == StatusCode::OK
        })
        .await;
        eventually("tokens are minted again", || async {
            server.answer(server.ask(&run)).await.status == StatusCode::OK
        })
        .await;
    }
}

/// What needs the database.
async fn attempts(server: &Server, run: &OpenRun, secret: &str) -> Vec<Answer> {
    let mint = server.post("/v1/tokens").bearer_auth(secret);
    let open = server.post("/v1/runs").bearer_auth(secret);
    let rotate = server.admin(Method::POST, "/v1/keys/rotate");
    let answers = tokio::join!(
        server.answer(server.ask(run)),
        server.answer(mint.json(&run_body("plan"))),
        server.answer(open.json(&run_body("plan"))),
        server.answer(rotate.json(&serde_json::json!({}))),
    );
    vec![answers.0, answers.1, answers.2, answers.3]
}

#[tokio::test]
async fn a_server_that_starts_while_the_database_is_down_says_which_setting_names_it() {
    let database = Database::durable().await;
    let url = format!(
        "postgres://u:pa55word@127.0.0.1:{}/x",
        crate::program::free_port()
    );
    let ran = Setup::on(&database)
        .with("STORE__URL", &url)
        .run(&["serve"])
        .await;
    ran.refused(
        3,
        &[
            "error: the database",
            "Connection refused",
            "hint: `store.url`",
        ],
    );
    assert!(!ran.stderr.contains("pa55word"), "{ran:?}");
}
