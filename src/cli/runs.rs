//! `runmint runs …`: open as a client; list, show and close as an operator.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use super::open::Open;
use super::output::{Printer, card, cell, items, table, time};
use super::{CliError, Common};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open a run as a client, by its secret or a trusted issuer's token.
    Open(Box<Open>),
    /// List runs, newest first.
    List {
        /// Of this client.
        #[arg(long)]
        client: Option<String>,
        /// With this `terraform_run_id`.
        #[arg(long)]
        run_id: Option<String>,
        /// Only those that may mint now.
        #[arg(long)]
        open: bool,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: i64,
        /// Where to go on, as the page before said.
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Show one run.
    Show {
        /// Its id.
        id: String,
    },
    /// End a run: it mints nothing from here on.
    Close {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(
    command: Command,
    common: &Common,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::Open(open) => open.run(common, printer).await?,
        Command::List {
            client,
            run_id,
            open,
            limit,
            cursor,
        } => {
            let filters = [
                ("client", client),
                ("run_id", run_id),
                ("open", Some(open.to_string())),
                ("limit", Some(limit.to_string())),
                ("cursor", cursor),
            ];
            let query: Vec<_> = filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            let page = common.operator()?.get("/v1/runs", &query).await?;
            printer.data(&page, |page| rows(items(&page["runs"])));
            if let Some(cursor) = page["next_cursor"].as_str() {
                printer.say(&format!("hint: `--cursor {cursor}` goes on from here"));
            }
        }
        Command::Show { id } => {
            let run = common.operator()?.get(&path(&id, "")?, &[]).await?;
            printer.data(&run, shown);
        }
        Command::Close { id } => {
            let path = path(&id, "/close")?;
            let run = common.operator()?.send(Method::POST, &path, None).await?;
            printer.data(&run, shown);
        }
    }
    Ok(())
}

fn rows(runs: &[Value]) -> Vec<String> {
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            vec![
                cell(run, "id"),
                cell(run, "state"),
                cell(run, "client"),
                cell(run, "subject"),
                cell(run, "run_id"),
                time(run, "expires_at"),
            ]
        })
        .collect();
    table(
        &["id", "state", "client", "subject", "run id", "expires"],
        &rows,
    )
}

fn shown(run: &Value) -> Vec<String> {
    card(&[
        ("id", cell(run, "id")),
        ("state", cell(run, "state")),
        ("client", cell(run, "client")),
        ("subject", cell(run, "subject")),
        ("run id", cell(run, "run_id")),
        ("audiences", cell(run, "audiences")),
        ("opened", time(run, "opened_at")),
        ("expires", time(run, "expires_at")),
        ("closed", time(run, "closed_at")),
    ])
}

/// A run's URL; what is no id cannot change which one it is.
fn path(id: &str, action: &str) -> Result<String, CliError> {
    uuid::Uuid::parse_str(id)
        .map(|id| format!("/v1/runs/{id}{action}"))
        .map_err(|_| CliError::Usage(format!("`{id}` is no run's id; `runs list` shows them")))
}
