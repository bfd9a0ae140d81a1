//! `runmint operators …`

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::CliError;
use super::operator::Operator;
use super::output::{Printer, cell, items, table, time};
use super::secrets::{add, id_in_path, lines};
use crate::config::Span;
use crate::domain::name::Name;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add an operator; its token is printed this once.
    Add {
        /// Its name.
        name: String,
        /// It may look at everything and change nothing.
        #[arg(long)]
        read_only: bool,
        /// How long its token is good for (90d); until it is removed when left out.
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<Span>,
    },
    /// List all operators; `admin` is whoever holds the configured admin token.
    List,
    /// Remove an operator with its tokens, at once.
    Remove {
        /// Its name.
        name: String,
    },
    /// An operator's tokens, two at a time: list, add, remove.
    #[command(subcommand)]
    Tokens(Tokens),
}

#[derive(Debug, Subcommand)]
pub(super) enum Tokens {
    /// List an operator's tokens by their ids; the tokens themselves are kept nowhere.
    List {
        /// The operator's name.
        name: String,
    },
    /// Add a second token; it is printed this once, and the first one stays good.
    Add {
        /// The operator's name.
        name: String,
        /// How long it is good for (90d); until it is removed when left out.
        #[arg(long, value_name = "DURATION")]
        expires_in: Option<Span>,
    },
    /// Remove a token, at once.
    Remove {
        /// The operator's name.
        name: String,
        /// The token's id.
        id: String,
    },
}

const SHOWN_ONCE: &str = "the token is shown this once; operator commands take it from \
                          RUNMINT_ADMIN__TOKEN";

pub(super) async fn run(
    command: Command,
    operator: Operator,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::Add {
            name,
            read_only,
            expires_in,
        } => {
            let body = json!({
                "name": name,
                "access": if read_only { "read" } else { "full" },
                "token_expires_in": expires_in.map(|span| span.0.as_secs()),
            });
            let added = operator
                .send(Method::POST, "/v1/operators", Some(&body))
                .await?;
            printer.say(SHOWN_ONCE);
            printer.data(&added, |added| vec![cell(added, "token")]);
        }
        Command::List => {
            let operators = operator.get("/v1/operators", &[]).await?;
            printer.data(&operators, |operators| {
                let rows: Vec<_> = items(operators)
                    .iter()
                    .map(|operator| {
                        vec![
                            cell(operator, "name"),
                            cell(operator, "access"),
                            time(operator, "created_at"),
                            time(operator, "last_used_at"),
                        ]
                    })
                    .collect();
                table(&["name", "access", "created", "last used"], &rows)
            });
        }
        Command::Remove { name } => {
            operator.send(Method::DELETE, &path(&name)?, None).await?;
            printer.say(&format!("{name} is removed, and its tokens with it"));
        }
        Command::Tokens(command) => tokens(command, &operator, printer).await?,
    }
    Ok(())
}

async fn tokens(command: Tokens, operator: &Operator, printer: &Printer) -> Result<(), CliError> {
    match command {
        Tokens::List { name } => {
            let path = format!("{}/tokens", path(&name)?);
            printer.data(&operator.get(&path, &[]).await?, lines);
        }
        Tokens::Add { name, expires_in } => {
            let path = format!("{}/tokens", path(&name)?);
            let added = add(operator, &path, expires_in).await?;
            printer.say(SHOWN_ONCE);
            printer.data(&added, |added| vec![cell(added, "token")]);
        }
        Tokens::Remove { name, id } => {
            let path = format!("{}/tokens/{}", path(&name)?, id_in_path(&id)?);
            operator.send(Method::DELETE, &path, None).await?;
            printer.say(&format!("token {id} of {name} is removed"));
        }
    }
    Ok(())
}

/// The operator's URL; what is no name cannot change which one it is.
fn path(name: &str) -> Result<String, CliError> {
    Name::parse("name", name)
        .map(|name| format!("/v1/operators/{name}"))
        .map_err(|error| CliError::Usage(error.to_string()))
}
