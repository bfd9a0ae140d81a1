//! `runmint clients …`

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::CliError;
use super::operator::Operator;
use super::output::{Printer, card, cell, duration, items, table, time};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Add a client; its secret is printed this once.
    Add {
        /// Its name.
        name: String,
        /// What it may ask for, in JSON; may be given several times.
        #[arg(long = "grant", value_name = "JSON", required = true)]
        grants: Vec<String>,
        /// Its tokens carry AWS session tags.
        #[arg(long)]
        aws_session_tags: bool,
    },
    /// List all clients.
    List,
    /// Show one client and its grants.
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
        } => {
            let body = json!({
                "name": name,
                "grants": parse(&grants)?,
                "aws_session_tags": aws_session_tags,
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
        Command::Show { name } => show(&operator.get(&path(&name)?, &[]).await?, printer),
        Command::Update {
            name,
            grants,
            aws_session_tags,
        } => {
            let mut body = json!({ "grants": parse(&grants)? });
            if let Some(tags) = aws_session_tags {
                body["aws_session_tags"] = json!(tags);
            }
            show(
                &operator
                    .send(Method::PUT, &path(&name)?, Some(&body))
                    .await?,
                printer,
            );
        }
        Command::Remove { name } => {
            operator.send(Method::DELETE, &path(&name)?, None).await?;
            printer.say(&format!("{name} is removed, and its runs are closed"));
        }
    }
    Ok(())
}

fn show(client: &Value, printer: &Printer) {
    printer.data(client, |client| {
        let mut lines = card(&[
            ("name", cell(client, "name")),
            ("created", time(client, "created_at")),
            ("AWS session tags", cell(client, "aws_session_tags")),
        ]);
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
fn path(name: &str) -> Result<String, CliError> {
    crate::domain::name::Name::parse("name", name)
        .map(|name| format!("/v1/clients/{name}"))
        .map_err(|error| CliError::Usage(error.to_string()))
}
