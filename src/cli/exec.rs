//! `runmint exec`: a command with the run's credentials, for as long as it runs.

use std::ffi::OsString;
use std::path::PathBuf;

use super::output::Printer;
use super::run_side::{AskArgs, FileArgs};
use super::{CliError, temporary_folder};
use crate::clock::Clock;
use crate::domain::phase::Phase;
use crate::runner::account::{AccountError, groups_of, uid};
use crate::runner::child::{Account, Ended};
use crate::runner::exec::{ExecOrder, exec};
use crate::runner::{Environment, RunnerError};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Use the configurations with this tag for the command's variables, where there are any.
    #[arg(long)]
    tag: Option<String>,
    /// Where the files go; a folder of the run's own under the temporary folder when left out.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// `plan` or `apply`, at an issuer that does not tell.
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    run_phase: Option<Phase>,
    /// Close the run when the command is over.
    #[arg(long)]
    close: bool,
    /// Mask tokens and other secrets in what the command prints.
    #[arg(long)]
    redact: bool,
    /// Write the object variables to `runmint.auto.tfvars.json` in this folder too.
    #[arg(long, value_name = "FOLDER")]
    auto_tfvars: Option<PathBuf>,
    /// Run the command as this user, by name or number; the files are its own then. Takes root.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    ask: AskArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(super) async fn run(args: Args, environment: Environment) -> Result<Ended, CliError> {
    let user = args.user.as_deref().map(account).transpose();
    let user = user.map_err(RunnerError::from)?;
    let mut command = args.command.into_iter();
    let order = ExecOrder {
        client: args.ask.client(&environment)?,
        environment,
        run_phase: args.run_phase,
        tag: args.tag,
        dir: args.dir,
        temporary: temporary_folder(),
        rules: args.file.rules(user)?,
        user,
        redact: args.redact,
        close: args.close,
        auto_tfvars: args.auto_tfvars,
        program: command.next().unwrap_or_default(),
        arguments: command.collect(),
    };
    let say = |line: &str| Printer::tell(line);
    let ended = exec(order, &Clock::System, &say).await;
    Ok(ended.map_err(RunnerError::from)?)
}

/// A user and its primary group; the group of the same number for one that is not known here.
fn account(user: &str) -> Result<Account, AccountError> {
    let uid = uid(user)?;
    let gid = groups_of(uid)?.first().copied().unwrap_or(uid);
    Ok(Account { uid, gid })
}

pub(super) fn phase(value: &str) -> Result<Phase, String> {
    Phase::parse("--run-phase", value).map_err(|error| error.rule)
}
