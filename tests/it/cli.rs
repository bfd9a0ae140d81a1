//! The commands, as people and programs use them: data on stdout, talk on stderr, and an exit status
//! that says which of the two to read.

mod agent;
mod arguments;
mod clients;
mod exec;
mod issuers;
mod keys;
mod operators;
mod runner;
mod runs;
mod secrets;
mod settings;
mod token;
mod trust;

use crate::harness::Database;
use crate::program::{Server, Setup};

/// A server with its own issuer URL, as a first trial has it.
async fn server() -> (Database, Server) {
    let database = Database::durable().await;
    let server = Setup::on(&database).at_its_issuer_url().serve().await;
    (database, server)
}

const GRANT: &str = r#"{"organization": "acme", "audiences": ["aws.workload.identity"]}"#;

/// The head of a table as it is printed, its columns apart.
fn columns(table: &str) -> Vec<&str> {
    let head = table.lines().next().unwrap_or_default();
    head.split("  ")
        .map(str::trim)
        .filter(|column| !column.is_empty())
        .collect()
}
