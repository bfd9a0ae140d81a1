//! `runmint doctor issuer`

use super::super::CliError;
use crate::doctor::Report;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {}

#[expect(clippy::unused_async, reason = "TODO")]
pub(super) async fn run(_args: Args) -> Result<Report, CliError> {
    Ok(Report::default())
}
