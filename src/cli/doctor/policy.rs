//! `runmint doctor policy`

use super::super::CliError;
use crate::doctor::Report;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {}

pub(super) fn run(_args: &Args) -> Result<Report, CliError> {
    Ok(Report::default())
}
