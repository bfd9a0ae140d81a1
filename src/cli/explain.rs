//! `runmint explain`: what was minted, by which key, for whom, and why it was refused.

use super::CliError;
use super::operator::Operator;
use super::output::Printer;

#[derive(clap::Args, Debug)]
pub(super) struct Args {}

#[expect(clippy::unused_async, reason = "TODO")]
pub(super) async fn run(
    _args: Args,
    _operator: Operator,
    _printer: &Printer,
) -> Result<(), CliError> {
    Ok(())
}
