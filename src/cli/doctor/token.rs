//! `runmint doctor token`

use super::super::{CliError, Common};
use crate::doctor::Report;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {}

#[expect(clippy::unused_async, reason = "TODO")]
pub(super) async fn run(_args: Args, _common: &Common) -> Result<Report, CliError> {
    Ok(Report::default())
}
