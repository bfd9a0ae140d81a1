//! `runmint clients secrets …`

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::CliError;
use super::clients::path;
use super::operator::Operator;
use super::output::{Printer, cell, items, table, time};
use crate::config::Span;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List a client's secrets by their ids; the secrets themselves are kept nowhere.
    List {
        /// The client's name.
        name: String,
    },
    /// Add a second secret; it is printed this once, and the first one stays good.
    Add {
        /// The client's name.
        name: String,
        /// How long it is good for (90d); until it is removed when left out.
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<Span>,
    },
    /// Remove a secret, at once; the client's runs stay open.
    Remove {
        /// The client's name.
        name: String,
        /// The secret's id.
        id: String,
    },
}

pub(super) async fn run(
    command: Command,
    operator: &Operator,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::List { name } => {
            let path = format!("{}/secrets", path(&name)?);
            printer.data(&operator.get(&path, &[]).await?, lines);
        }
        Command::Add { name, expires_in } => {
            let path = format!("{}/secrets", path(&name)?);
            let added = add(operator, &path, expires_in).await?;
            printer.say("the secret is shown this once; keep it where the orchestrator finds it");
            printer.data(&added, |added| vec![cell(added, "secret")]);
        }
        Command::Remove { name, id } => {
            let path = format!("{}/secrets/{}", path(&name)?, id_in_path(&id)?);
            operator.send(Method::DELETE, &path, None).await?;
            printer.say(&format!("secret {id} of {name} is removed"));
        }
    }
    Ok(())
}

/// Adds a secret, or a token, under this path.
pub(super) async fn add(
    operator: &Operator,
    path: &str,
    expires_in: Option<Span>,
) -> Result<Value, CliError> {
    let body = json!({ "expires_in": expires_in.map(|span| span.0.as_secs()) });
    Ok(operator.send(Method::POST, path, Some(&body)).await?)
}

/// What is no id cannot change which URL it is part of.
pub(super) fn id_in_path(id: &str) -> Result<&str, CliError> {
    if crate::domain::secret::is_id(id) {
        return Ok(id);
    }
    let rule = "is the id of no secret; `list` shows them: 12 hexadecimal digits";
    Err(CliError::Usage(format!("{id:?} {rule}")))
}

/// Secrets, or tokens, as people read them.
pub(super) fn lines(secrets: &Value) -> Vec<String> {
    let rows: Vec<_> = items(secrets)
        .iter()
        .map(|secret| {
            let expires = match secret["expired"].as_bool() {
                Some(true) => "expired".to_owned(),
                _ => time(secret, "expires_at"),
            };
            vec![
                cell(secret, "id"),
                time(secret, "created_at"),
                expires,
                time(secret, "last_used_at"),
                cell(secret, "issuer"),
            ]
        })
        .collect();
    table(&["id", "created", "expires", "last used", "issuer"], &rows)
}
