//! `runmint doctor issuer`

use std::path::PathBuf;
use std::time::Duration;

use super::super::CliError;
use super::super::operator::{OperatorError, ca};
use crate::clock::Clock;
use crate::doctor::Report;
use crate::doctor::issuer::{LookError, Options, TIMEOUT, judge, look};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// The issuer, exactly as `iss` has it.
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    network: NetworkArgs,
}

/// How relying parties' fetches are imitated.
#[derive(clap::Args, Debug)]
pub(super) struct NetworkArgs {
    /// The CA of the issuer's certificate (PEM), where it is a private one.
    #[arg(long, value_name = "FILE", env = "RUNMINT_CA")]
    ca: Option<PathBuf>,
    /// How many seconds to wait for each answer.
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

impl NetworkArgs {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    pub(super) fn options(&self) -> Result<Options, CliError> {
        Ok(Options {
            timeout: self.timeout(),
            roots: ca(self.ca.as_deref(), "--ca").map_err(CliError::Public)?,
        })
    }
}

impl From<LookError> for CliError {
    fn from(error: LookError) -> Self {
        Self::Public(OperatorError::Client(error.0))
    }
}

pub(super) async fn run(args: Args) -> Result<Report, CliError> {
    let options = args.network.options()?;
    let now = || Clock::System.now();
    let seen = look(&args.url, &options, &now).await?;
    Ok(judge(&seen, now()))
}
