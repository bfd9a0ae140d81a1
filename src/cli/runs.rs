//! `runmint runs …`: open as a client; list, show and close as an operator.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::operator::{OperatorError, ca, direct, send};
use super::output::{Printer, card, cell, items, table, time};
use super::{CliError, Common};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Open a run with a client secret (`RUNMINT_CLIENT_SECRET`).
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

#[derive(Args, Debug)]
pub(super) struct Open {
    /// The public URL of the server; the issuer of the settings when left out.
    #[arg(long, env = "RUNMINT_URL")]
    url: Option<String>,
    /// The CA of its certificate (PEM), where it is a private one.
    #[arg(long, value_name = "FILE", env = "RUNMINT_CA")]
    ca: Option<PathBuf>,
    /// The client secret.
    #[arg(long, env = "RUNMINT_CLIENT_SECRET", hide_env_values = true)]
    client_secret: String,
    /// The organization.
    #[arg(long)]
    organization: String,
    /// The project.
    #[arg(long)]
    project: Option<String>,
    /// The workspace.
    #[arg(long)]
    workspace: Option<String>,
    /// `plan` or `apply`.
    #[arg(long)]
    run_phase: Option<String>,
    /// For `terraform_run_id`; made when left out.
    #[arg(long)]
    run_id: Option<String>,
    /// What tokens may be asked for; may be given several times.
    #[arg(long = "audience", value_name = "AUDIENCE", required = true)]
    audiences: Vec<String>,
    /// Seconds until its deadline.
    #[arg(long)]
    expires_in: Option<i64>,
}

pub(super) async fn run(
    command: Command,
    common: &Common,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::Open(open) => {
            let opened = open_run(*open, common).await?;
            for warning in items(&opened["warnings"]) {
                printer.say(&format!(
                    "warning: {}",
                    warning.as_str().unwrap_or_default()
                ));
            }
            printer.data(&opened, |opened| {
                vec![
                    format!("RUNMINT_REQUEST_URL={}", cell(opened, "request_url")),
                    format!("RUNMINT_REQUEST_TOKEN={}", cell(opened, "request_token")),
                ]
            });
        }
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

async fn open_run(open: Open, common: &Common) -> Result<Value, CliError> {
    let Open {
        url,
        ca: ca_file,
        client_secret,
        organization,
        project,
        workspace,
        run_phase,
        run_id,
        audiences,
        expires_in,
    } = open;
    let base = match url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => common.settings()?.issuer.url,
    };
    let mut body = json!({ "organization": organization, "audiences": audiences });
    let optional = [
        ("project", project.map(Value::from)),
        ("workspace", workspace.map(Value::from)),
        ("run_phase", run_phase.map(Value::from)),
        ("run_id", run_id.map(Value::from)),
        ("expires_in", expires_in.map(Value::from)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            body[name] = value;
        }
    }
    let url = format!("{base}/v1/runs");
    let roots = ca(ca_file.as_deref(), "--ca").map_err(CliError::Public)?;
    let with_roots = |builder: reqwest::ClientBuilder| match roots {
        Some(roots) => builder.tls_certs_only(roots),
        None => builder,
    };
    // As the environment says: the server may be behind a proxy. Not so on this machine.
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    let client = if host.starts_with("127.") || host.starts_with("localhost") {
        direct(with_roots)?
    } else {
        with_roots(reqwest::Client::builder())
            .build()
            .map_err(OperatorError::Client)?
    };
    let request = client.post(&url).bearer_auth(client_secret).json(&body);
    send(request, &url).await.map_err(CliError::Public)
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
