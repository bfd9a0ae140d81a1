//! `runmint clients …`

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::operator::Operator;
use super::output::{Printer, card, cell, duration, items, table, time};
use super::{CliError, secrets};
use crate::config::Span;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a client; its secret is printed this once.
    Add {
        /// Its name.
        name: String,
        /// What it may ask for, in JSON; may be given several times. Without one it may ask for
        /// nothing.
        #[arg(long = "grant", value_name = "JSON")]
        grants: Vec<String>,
        /// Its tokens carry AWS session tags.
        #[arg(long)]
        aws_session_tags: bool,
        /// How long its secret is good for (90d); until it is removed when left out.
        #[arg(long, value_name = "DURATION")]
        secret_expires_in: Option<Span>,
    },
    /// List all clients.
    List,
    /// Show one client, its secrets and its grants.
    Show {
        /// Its name.
        name: String,
    },
    /// Replace what a client may ask for.
    Update {
        /// Its name.
        name: String,
        /// What it may ask for, in JSON; may be given several times.
        #[arg(long = "grant", value_name = "JSON", required = true)]
        grants: Vec<String>,
        /// Whether its tokens carry AWS session tags; as before when left out.
        #[arg(long)]
        aws_session_tags: Option<bool>,
    },
    /// Remove a client and close its runs, at once.
    Remove {
        /// Its name.
        name: String,
    },
    /// A client's secrets, two at a time: list, add, remove.
    #[command(subcommand)]
    Secrets(secrets::Command),
}

pub(super) async fn run(
    command: Command,
    operator: Operator,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::Add {
            name,
            grants,
            aws_session_tags,
            secret_expires_in,
        } => {
            let body = json!({
                "name": name,
                "grants": parse(&grants)?,
                "aws_session_tags": aws_session_tags,
                "secret_expires_in": secret_expires_in.map(|span| span.0.as_secs()),
            });
            let added = operator
                .send(Method::POST, "/v1/clients", Some(&body))
                .await?;
            printer.say("the secret is shown this once; keep it where the orchestrator finds it");
            printer.data(&added, |added| vec![cell(added, "secret")]);
        }
        Command::List => {
            let clients = operator.get("/v1/clients", &[]).await?;
            printer.data(&clients, |clients| {
                let rows: Vec<_> = items(clients)
                    .iter()
                    .map(|client| {
                        vec![
                            cell(client, "name"),
                            items(&client["grants"]).len().to_string(),
                            time(client, "created_at"),
                        ]
                    })
                    .collect();
                table(&["name", "grants", "created"], &rows)
            });
        }
        Command::Show { name } => {
            let client = operator.get(&path(&name)?, &[]).await?;
            show(client, &operator, printer).await?;
        }
        Command::Update {
            name,
            grants,
            aws_session_tags,
        } => {
            let mut body = json!({ "grants": parse(&grants)? });
            if let Some(tags) = aws_session_tags {
                body["aws_session_tags"] = json!(tags);
            }
            let path = path(&name)?;
            let client = operator.send(Method::PUT, &path, Some(&body)).await?;
            show(client, &operator, printer).await?;
        }
        Command::Remove { name } => {
            operator.send(Method::DELETE, &path(&name)?, None).await?;
            printer.say(&format!("{name} is removed, and its runs are closed"));
        }
        Command::Secrets(command) => secrets::run(command, &operator, printer).await?,
    }
    Ok(())
}

async fn show(mut client: Value, operator: &Operator, printer: &Printer) -> Result<(), CliError> {
    let path = path(&cell(&client, "name"))?;
    client["secrets"] = operator.get(&format!("{path}/secrets"), &[]).await?;
    printer.data(&client, |client| {
        let mut lines = card(&[
            ("name", cell(client, "name")),
            ("created", time(client, "created_at")),
            ("AWS session tags", cell(client, "aws_session_tags")),
        ]);
        lines.push(String::new());
        lines.extend(secrets::lines(&client["secrets"]));
        lines.push(String::new());
        let rows: Vec<_> = items(&client["grants"])
            .iter()
            .map(|grant| {
                vec![
                    cell(grant, "organization"),
                    cell(grant, "project"),
                    cell(grant, "workspace"),
                    cell(grant, "run_phases"),
                    cell(grant, "audiences"),
                    duration(grant, "max_ttl"),
                    cell(grant, "subject_forms"),
                    cell(grant, "deployment"),
                ]
            })
            .collect();
        lines.extend(table(
            &[
                "organization",
                "project",
                "workspace",
                "phases",
                "audiences",
                "max ttl",
                "forms",
                "deployments",
            ],
            &rows,
        ));
        lines
    });
    Ok(())
}

fn parse(grants: &[String]) -> Result<Vec<Value>, CliError> {
    grants
        .iter()
        .map(|grant| {
            serde_json::from_str(grant)
                .map_err(|error| CliError::Usage(format!("`--grant` is not JSON: {error}")))
        })
        .collect()
}

/// The client's URL; what is no name cannot change which one it is.
pub(super) fn path(name: &str) -> Result<String, CliError> {
    crate::domain::name::Name::parse("name", name)
        .map(|name| format!("/v1/clients/{name}"))
        .map_err(|error| CliError::Usage(error.to_string()))
}
