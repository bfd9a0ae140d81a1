//! The database goes away in the middle of things and comes back.

use axum::http::StatusCode;
use futures_util::future::join_all;
use runmint::auth::secret::{Kind, Secret};
use runmint::domain::key::{Step, Version};
use runmint::store::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::{HOUR, POLICY, assert_sound};
use crate::harness::{AWS, Database, OpenRun, START, TestApp, verify};

/// A database that takes no writes: on Postgres nobody gets in, on SQLite somebody else holds the
/// file.
enum Outage {
    Postgres { admin: PgConnection, name: String },
    Sqlite(SqliteConnection),
}

impl Outage {
    async fn begin(database: &Database, store: &Store) -> Self {
        match store {
            Store::Postgres { .. } => {
                let (server, name) = database.url.rsplit_once('/').unwrap();
                let mut admin = PgConnection::connect(&format!("{server}/postgres"))
                    .await
                    .unwrap();
                for statement in [
                    format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
                    format!(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = '{name}'"
                    ),
                ] {
                    let statement = sqlx::raw_sql(AssertSqlSafe(statement));
                    statement.execute(&mut admin).await.unwrap();
                }
                Self::Postgres {
                    admin,
                    name: name.to_owned(),
                }
            }
            Store::Sqlite { write: pool, .. } => {
                // Each connection of the replica gives up at once instead of after five seconds.
                let mut connections = Vec::new();
                while let Some(connection) = pool.try_acquire() {
                    connections.push(connection);
                }
                for connection in &mut connections {
                    let patience = sqlx::query("PRAGMA busy_timeout = 0");
                    patience.execute(&mut **connection).await.unwrap();
                }
                drop(connections);
                let mut holder = SqliteConnection::connect(&database.url).await.unwrap();
                let hold = sqlx::raw_sql("BEGIN EXCLUSIVE");
                hold.execute(&mut holder).await.unwrap();
                Self::Sqlite(holder)
            }
        }
    }

    async fn end(self) {
        match self {
            Self::Postgres { mut admin, name } => {
                let open = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true");
                let open = sqlx::raw_sql(AssertSqlSafe(open));
                open.execute(&mut admin).await.unwrap();
            }
            Self::Sqlite(mut holder) => {
                let release = sqlx::raw_sql("ROLLBACK");
                release.execute(&mut holder).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn an_outage_during_a_rotation_delays_it_and_breaks_nothing() {
    let database = Database::durable().await;
    let app = TestApp::on(database.clone(), POLICY, START).await;
    let secret = app.client("atlantis").await;
    app.pass(HOUR);
    assert_eq!(app.turn().await, [Step::Stage(Version(2))]);
    assert_eq!(app.turn().await, [Step::MarkSeen(Version(2))]);
    app.pass(HOUR);
    let run = app.run(&secret, "plan").await;
    let before = app.token(&run).await;
    let published = app.kids().await;

    let outage = Outage::begin(&database, &app.app.store).await;
    for _ in 0..2 {
        let turn = app.app.rotation.turn(&published, app.now()).await;
        assert!(turn.is_err(), "{turn:?}");
        let answer = app.ask(&run, AWS).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert_ne!(answer.header("retry-after"), "", "{answer:?}");
        // Others go on trusting: the documents answer from memory.
        assert_eq!(app.kids().await, published);
        verify(&before, &app.jwks().await, AWS, app.now()).unwrap();
    }
    outage.end().await;

    // The next turn of the schedule does what this one could not.
    let swap = [Step::Deactivate(Version(1)), Step::Activate(Version(2))];
    assert_eq!(app.turn().await, swap);
    assert_sound(&app, "after the outage").await;
    let after = app.token(&run).await;
    for token in [&before, &after] {
        verify(token, &app.jwks().await, AWS, app.now()).unwrap();
    }
}

/// All who authenticate at one moment are one question to the database: when it fails, it fails for each
/// of them, and is nobody's failure.
#[tokio::test]
async fn whoever_asks_during_an_outage_is_told_to_come_back() {
    let database = Database::durable().await;
    let app = TestApp::on(database.clone(), POLICY, START).await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let forged = OpenRun {
        token: Secret::generate(Kind::Run).unwrap().expose().to_owned(),
        ..run.clone()
    };
    let asks = async || {
        let callers = [&run, &forged].repeat(6);
        join_all(callers.into_iter().map(async |caller| {
            let is_forged = caller.token == forged.token;
            (is_forged, app.ask(caller, AWS).await)
        }))
        .await
    };

    let outage = Outage::begin(&database, &app.app.store).await;
    for (is_forged, answer) in asks().await {
        // A file that takes no writes is still read.
        if is_forged && !app.app.store.is_shared() {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            continue;
        }
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
        assert_ne!(answer.header("retry-after"), "", "{answer:?}");
    }
    outage.end().await;
    for (is_forged, answer) in asks().await {
        let right = if is_forged {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::OK
        };
        assert_eq!(answer.status, right, "{answer:?}");
    }
}

/// The connections at hand are not asked before each use whether they are still there.
#[tokio::test]
async fn connections_that_broke_meanwhile_are_replaced_before_anybody_notices() {
    let database = Database::durable().await;
    let app = TestApp::on(database.clone(), POLICY, START).await;
    let Store::Postgres { pool, .. } = &app.app.store else {
        return;
    };
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    for _ in 0..3 {
        // The second one is the case of every day: one statement.
        app.token(&run).await;
        app.token(&run).await;
        let of_minting = "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
             WHERE datname = current_database() AND query NOT LIKE '%terminate%' \
             AND (query LIKE '%FROM signing%' OR query LIKE '%token_hash IN%')";
        let ended: i64 = sqlx::query_scalar(of_minting)
            .fetch_one(pool)
            .await
            .unwrap();
        assert_eq!(ended, 2, "one records and one looks up");
    }
    app.token(&run).await;
}

/// Clients and runs are looked up over one connection.
#[tokio::test]
async fn clients_and_runs_authenticate_at_the_same_time() {
    let app = TestApp::on(Database::durable().await, POLICY, START).await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    for _ in 0..8 {
        let by_runs = join_all((0..4).map(async |_| app.token(&run).await));
        let by_clients = join_all((0..4).map(async |_| app.run(&secret, "plan").await));
        tokio::join!(by_runs, by_clients);
    }
}
