//! `runmint trust aws`

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let Args { scope } = args;
    let order = scope.order(common, "TODO")?;
    let _ = (order, printer);
    Ok(())
}
