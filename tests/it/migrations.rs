//! Migrations: the same names, tables and columns on both databases, and no harm to what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use runmint::store::Store;

use crate::harness::{AWS, Database, START, TestApp, on_postgres};

/// Table → column → its type.
type Tables = BTreeMap<String, BTreeMap<String, String>>;

/// What differs by intent, and means the same: SQLite counts up in an `INTEGER`, Postgres in a
/// `BIGINT` with a sequence.
const SAME: &[(&str, &str)] = &[("INTEGER", "BIGINT")];

fn folder(database: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(database)
}

/// The names of a database's migrations, in the order in which they are applied.
fn names(database: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder(database))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The statements of all migrations of a database, without comments.
fn statements(database: &str) -> Vec<String> {
    let mut text = String::new();
    for name in names(database) {
        text += &std::fs::read_to_string(folder(database).join(name)).unwrap();
        text.push('\n');
    }
    let code: Vec<_> = text
        .lines()
        .map(|line| line.split("--").next().unwrap())
        .collect();
    code.join("\n")
        .split(';')
        .map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// The tables as the text of the migrations makes them.
fn written(database: &str) -> Tables {
    let mut tables = Tables::new();
    for statement in statements(database) {
        let words: Vec<_> = statement.split(' ').collect();
        match words.as_slice() {
            ["CREATE", "TABLE", _, "PARTITION", ..] => {}
            ["CREATE", "TABLE", name, ..] => {
                let (_, columns) = statement.split_once('(').unwrap();
                tables.insert((*name).to_owned(), columns_of(columns));
            }
            ["ALTER", "TABLE", name, "ADD", "COLUMN", column, kind, ..] => {
                let table = tables.get_mut(*name).unwrap();
                table.insert((*column).to_owned(), normal(kind));
            }
            ["ALTER" | "DROP", "TABLE", ..] => {
                panic!("teach this test what `{statement}` does")
            }
            _ => {}
        }
    }
    tables
}

fn columns_of(text: &str) -> BTreeMap<String, String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {}
        }
        if depth < 0 {
            break;
        }
        if c != ',' || depth > 0 {
            parts.last_mut().unwrap().push(c);
        }
    }
    parts
        .iter()
        .filter_map(|part| part.trim().split_once(' '))
        .filter(|(name, _)| !["PRIMARY", "UNIQUE", "CHECK", "FOREIGN"].contains(name))
        .map(|(name, rest)| (name.to_owned(), normal(rest.split(' ').next().unwrap())))
        .collect()
}

fn normal(kind: &str) -> String {
    let kind = kind.to_uppercase();
    SAME.iter()
        .find(|(one, _)| *one == kind)
        .map_or(kind, |(_, other)| (*other).to_owned())
}

/// The tables as the database has them.
async fn real(store: &Store) -> Tables {
    let rows: Vec<(String, String, String)> = match store {
        Store::Sqlite { write: pool, .. } => sqlx::query_as(
            "SELECT t.name, c.name, c.type FROM sqlite_master t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'",
        )
        .fetch_all(pool)
        .await
        .unwrap(),
        Store::Postgres { pool, .. } => sqlx::query_as(
            "SELECT c.table_name::TEXT, c.column_name::TEXT, c.data_type::TEXT \
             FROM information_schema.columns c JOIN pg_class t ON t.relname = c.table_name \
             WHERE c.table_schema = 'public' AND NOT t.relispartition \
             AND c.table_name NOT LIKE '\\_sqlx%'",
        )
        .fetch_all(pool)
        .await
        .unwrap(),
    };
    let mut tables = Tables::new();
    for (table, column, kind) in rows {
        tables
            .entry(table)
            .or_default()
            .insert(column, normal(&kind));
    }
    tables
}

/// The migrations that the database says were applied, in their order.
async fn applied(store: &Store) -> Vec<(i64, String)> {
    let sql = "SELECT version, description FROM _sqlx_migrations WHERE success ORDER BY installed_on, version";
    match store {
        Store::Sqlite { write: pool, .. } => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
        Store::Postgres { pool, .. } => sqlx::query_as(sql).fetch_all(pool).await.unwrap(),
    }
}

#[test]
fn both_databases_have_migrations_of_the_same_names() {
    let sqlite = names("sqlite");
    assert_eq!(sqlite, names("postgres"));
    for (index, name) in sqlite.iter().enumerate() {
        assert!(
            name.starts_with(&format!("{:04}_", index + 1)),
            "{name} leaves a gap"
        );
        assert_eq!(Path::new(name).extension().unwrap(), "sql");
    }
    assert!(!sqlite.is_empty());
}

#[test]
fn both_databases_are_written_with_the_same_tables_and_columns() {
    let sqlite = written("sqlite");
    assert_eq!(sqlite, written("postgres"));
    for table in [
        "client",
        "client_secret",
        "event",
        "key_version",
        "operator",
        "operator_secret",
        "rotation",
        "run",
    ] {
        assert!(sqlite[table].len() > 2, "{table}");
    }
}

#[test]
fn only_types_are_used_that_both_databases_agree_on() {
    for database in ["sqlite", "postgres"] {
        for (table, columns) in written(database) {
            for (column, kind) in columns {
                let known = ["BIGINT", "BOOLEAN", "TEXT"].contains(&kind.as_str());
                assert!(known, "{database}: {table}.{column} is {kind}");
            }
        }
    }
}

#[test]
fn both_databases_have_indexes_of_the_same_names() {
    let indexes = |database| -> BTreeSet<String> {
        let statements = statements(database);
        let indexes = statements.iter().filter(|s| s.contains(" INDEX "));
        indexes.cloned().collect()
    };
    assert_eq!(indexes("sqlite"), indexes("postgres"));
}

#[tokio::test]
async fn the_database_has_the_tables_that_are_written() {
    let store = Database::new().await.store().await;
    let (real, mut written) = (real(&store).await, written("sqlite"));
    assert_eq!(
        real.keys().collect::<Vec<_>>(),
        written.keys().collect::<Vec<_>>()
    );
    for (table, columns) in &real {
        assert_eq!(Some(columns), written.remove(table).as_ref(), "{table}");
    }
}

#[tokio::test]
async fn an_empty_database_gets_every_migration_in_its_order() {
    let database = Database::durable().await;
    let store = database.store().await;
    let applied = applied(&store).await;
    let names: Vec<String> = applied
        .iter()
        .map(|(version, description)| format!("{version:04}_{}.sql", description.replace(' ', "_")))
        .collect();
    assert_eq!(names, self::names("sqlite"));
}

#[tokio::test]
async fn opening_a_database_again_keeps_what_is_in_it() {
    let database = Database::durable().await;
    let first = TestApp::on(database.clone(), &[], START).await;
    let secret = first.client("atlantis").await;
    let run = first.run(&secret, "plan").await;
    let token = first.token(&run).await;
    let events = first.events("token.minted").await;
    let kids = first.kids().await;
    let before = applied(&first.app.store).await;
    first.app.store.close().await;
    drop(first);

    let again = TestApp::on(database, &[], START).await;
    assert_eq!(applied(&again.app.store).await, before);
    assert_eq!(again.kids().await, kids);
    assert_eq!(again.events("token.minted").await, events);
    assert_eq!(again.ask(&run, AWS).await.status, 200);
    crate::harness::verify(&token, &again.jwks().await, AWS, START).unwrap();
    again.run(&secret, "apply").await;
}

#[tokio::test]
async fn secrets_from_before_they_had_ids_have_those_that_they_would_have_now() {
    let database = Database::durable().await;
    let hash = "0123456789abcdef".repeat(4);
    let before = format!(
        "INSERT INTO client (name, grants, aws_session_tags, created_at) \
         VALUES ('atlantis', '[]', FALSE, 7); \
         INSERT INTO client_secret (hash, client, created_at) VALUES ('{hash}', 'atlantis', 7);"
    );
    let read = |on: &str, name| std::fs::read_to_string(folder(on).join(name)).unwrap();
    let on = if on_postgres() { "postgres" } else { "sqlite" };
    let steps = [
        read(on, "0001_init.sql"),
        before,
        read(on, "0002_secrets_and_operators.sql"),
    ]
    .map(sqlx::AssertSqlSafe);
    let sql = "SELECT id, expires_at, issuer FROM client_secret";
    let row: (String, Option<i64>, Option<String>) = if on_postgres() {
        let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
        for step in steps {
            sqlx::raw_sql(step).execute(&pool).await.unwrap();
        }
        sqlx::query_as(sql).fetch_one(&pool).await.unwrap()
    } else {
        let url = format!("{}?mode=rwc", database.url);
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        for step in steps {
            sqlx::raw_sql(step).execute(&pool).await.unwrap();
        }
        sqlx::query_as(sql).fetch_one(&pool).await.unwrap()
    };
    assert_eq!(row, ("0123456789ab".to_owned(), None, None));
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let database = Database::durable().await;
    let store = database.store().await;
    let sql = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
               VALUES (9999, 'from the future', TRUE, '', 0)";
    match &store {
        Store::Sqlite { write: pool, .. } => drop(sqlx::query(sql).execute(pool).await.unwrap()),
        Store::Postgres { pool, .. } => drop(sqlx::query(sql).execute(pool).await.unwrap()),
    }
    let before = real(&store).await;
    let error = Store::connect(&database.url, 1).await.unwrap_err();
    assert!(error.to_string().contains("9999"), "{error}");
    assert_eq!(real(&store).await, before);
}
