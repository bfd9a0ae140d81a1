//! `runmint doctor`: what is wrong when a relying party says no.

mod environment;
mod error;
pub(super) mod input;
mod issuer;
pub(super) mod policy;
pub(super) mod report;
mod token;

use clap::Subcommand;

use super::output::Printer;
use super::{CliError, Common};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look at an issuer as a relying party does: its certificate, discovery, keys.
    Issuer(issuer::Args),
    /// Take a token apart: signature, times, and what each relying party makes of it.
    Token(token::Args),
    /// Hold a token against a policy, condition by condition.
    Policy(policy::Args),
    /// Look at this machine's variables and token files, or at a pod.
    Environment(environment::Args),
    /// Find the known errors in a log.
    Error(error::Args),
}

/// Exit status 1 if something is in the way.
pub(super) async fn run(
    command: Command,
    common: &Common,
    printer: &Printer,
) -> Result<(), CliError> {
    let report = match command {
        Command::Issuer(args) => issuer::run(args).await,
        Command::Token(args) => token::run(args, common).await,
        Command::Policy(args) => policy::run(&args),
        Command::Environment(args) => environment::run(&args),
        Command::Error(args) => error::run(&args),
    }?;
    report::print(&report, printer)
}
