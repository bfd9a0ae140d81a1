//! The database goes away in the middle of things and comes back.

use std::str::FromStr;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use futures_util::future::join_all;
use runmint::auth::secret::{Kind, Secret};
use runmint::domain::key::{Step, Version};
use runmint::store::Store;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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
    let known = app.run(&secret, "plan").await;
    let end_both = async || {
        let of_minting = "SELECT COUNT(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
             WHERE datname = current_database() AND query NOT LIKE '%terminate%' \
             AND (query LIKE '%FROM signing%' OR query LIKE '%token_hash IN%')";
        let ended = sqlx::query_scalar::<_, i64>(of_minting).fetch_one(pool);
        assert_eq!(ended.await.unwrap(), 2, "one records and one looks up");
    };
    let mut tokens = 0;
    for _ in 0..3 {
        // Twice, since the second is the case of every day: one statement.
        for run in [&app.run(&secret, "plan").await, &known, &known] {
            app.token(run).await;
            tokens += 1;
        }
        end_both().await;
        // Nobody is looked up: it is the record that finds the connection broken.
        app.token(&known).await;
        app.token(&app.run(&secret, "plan").await).await;
        app.token(&known).await;
        tokens += 3;
        end_both().await;
    }
    assert_eq!(app.events("token.minted").await.len(), tokens);
}

/// A connection that ends, or breaks, when all is done but to say so.
#[tokio::test]
async fn what_was_recorded_when_the_connection_was_lost_is_not_recorded_twice() {
    let database = Database::durable().await;
    let app = TestApp::on(database.clone(), POLICY, START).await;
    if !app.app.store.is_shared() {
        return;
    }
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let way = Way::to(&database.url).await;
    let mut beyond = database.clone();
    beyond.url.clone_from(&way.url);
    let replica = TestApp::on(beyond, POLICY, START).await;
    let minted = async || app.events("token.minted").await.len();
    for tokens in 1..=2 {
        replica.token(&run).await;
        assert_eq!(minted().await, tokens);
    }
    // The third has been recorded, by a statement that is prepared; the fourth, which has yet to prepare it,
    // has not.
    for tokens in 3..=4 {
        way.lose(ENDED);
        replica.token(&run).await;
        assert!(way.has_lost(), "an answer was lost");
        assert_eq!(minted().await, tokens);
    }
    // What has become of a statement whose connection just broke, nobody knows: it is recorded, and the
    // caller is told to come back. One that was idle for a second is asked before, and then replaced.
    let mut tokens = 4;
    let is_told = async {
        for _ in 0..10 {
            replica.token(&run).await;
            way.lose(b"");
            let answer = replica.ask(&run, AWS).await;
            assert!(way.has_lost(), "an answer was lost");
            tokens += 2;
            assert_eq!(minted().await, tokens);
            if answer.status == StatusCode::SERVICE_UNAVAILABLE {
                return true;
            }
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
        false
    };
    assert!(is_told.await, "in vain");
}

/// What a server says that ends a connection: `ErrorResponse` with severity, code and message.
const ENDED: &[u8] = b"E\0\0\0\x21SFATAL\0VFATAL\0C57P01\0Mended\0\0";

/// A way to a Postgres that can be told to lose the next answer, and the connection with it.
struct Way {
    url: String,
    loss: Arc<Mutex<Option<&'static [u8]>>>,
}

impl Way {
    async fn to(url: &str) -> Self {
        let server = PgConnectOptions::from_str(url).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let loss = Arc::new(Mutex::new(None));
        let way = Self {
            url: url.replace(
                &format!("@{}:{}/", server.get_host(), server.get_port()),
                &format!("@127.0.0.1:{port}/"),
            ),
            loss: Arc::clone(&loss),
        };
        assert_ne!(way.url, url);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect((server.get_host(), server.get_port()));
                let far = far.await.unwrap();
                tokio::spawn(relay(near, far, Arc::clone(&loss)));
            }
        });
        way
    }

    /// Puts `instead` in place of the next answer.
    fn lose(&self, instead: &'static [u8]) {
        *self.loss.lock().unwrap() = Some(instead);
    }

    fn has_lost(&self) -> bool {
        self.loss.lock().unwrap().is_none()
    }
}

async fn relay(mut near: TcpStream, mut far: TcpStream, loss: Arc<Mutex<Option<&'static [u8]>>>) {
    let (mut asked, mut answered) = near.split();
    let (mut answers, mut asks) = far.split();
    let there = tokio::io::copy(&mut asked, &mut asks);
    let back = async {
        let mut bytes = [0; 8_192];
        while let Ok(count @ 1..) = answers.read(&mut bytes).await {
            let lost = loss.lock().unwrap().take();
            if let Some(instead) = lost {
                answered.write_all(instead).await.unwrap();
                return;
            }
            answered.write_all(&bytes[..count]).await.unwrap();
        }
    };
    tokio::select! {
        _ = there => {}
        () = back => {}
    }
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
