//! `runmint events`

use clap::Args as ClapArgs;

use super::CliError;
use super::operator::Operator;
use super::output::{Printer, cell, items, table, time};

#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Of this run: its id, or its `terraform_run_id`.
    #[arg(long)]
    run: Option<String>,
    /// Of this subject.
    #[arg(long)]
    subject: Option<String>,
    /// Of this token.
    #[arg(long)]
    jti: Option<String>,
    /// Of this key.
    #[arg(long)]
    kid: Option<String>,
    /// Of this kind, e.g. `token.minted`.
    #[arg(long)]
    kind: Option<String>,
    /// From this time on, in seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    since: Option<i64>,
    /// Before this time, in seconds since 1970.
    #[arg(long, value_name = "SECONDS")]
    until: Option<i64>,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: i64,
    /// Where to go on, as the page before said.
    #[arg(long)]
    cursor: Option<i64>,
}

pub(super) async fn run(args: Args, operator: Operator, printer: &Printer) -> Result<(), CliError> {
    let Args {
        run,
        subject,
        jti,
        kid,
        kind,
        since,
        until,
        limit,
        cursor,
    } = args;
    let filters = [
        ("run", run),
        ("subject", subject),
        ("jti", jti),
        ("kid", kid),
        ("kind", kind),
        ("since", since.map(|at| at.to_string())),
        ("until", until.map(|at| at.to_string())),
        ("limit", Some(limit.to_string())),
        ("cursor", cursor.map(|id| id.to_string())),
    ];
    let query: Vec<_> = filters
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let page = operator.get("/v1/events", &query).await?;
    printer.data(&page, |page| {
        let rows: Vec<_> = items(&page["events"])
            .iter()
            .map(|event| {
                vec![
                    time(event, "at"),
                    cell(event, "kind"),
                    cell(event, "actor"),
                    cell(event, "run_id"),
                    cell(event, "audience"),
                    cell(event, "jti"),
                    cell(event, "reason"),
                ]
            })
            .collect();
        table(
            &["at", "kind", "actor", "run id", "audience", "jti", "reason"],
            &rows,
        )
    });
    if let Some(cursor) = page["next_cursor"].as_i64() {
        printer.say(&format!("hint: `--cursor {cursor}` goes on from here"));
    }
    Ok(())
}
