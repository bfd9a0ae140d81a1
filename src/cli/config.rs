//! `runmint config show|check`

use clap::Subcommand;

use super::output::Printer;
use super::{CliError, Common};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print all settings as they are in force; secrets are hidden.
    Show,
    /// Check the settings; exit status 1 if they are refused.
    Check,
}

pub(super) fn run(command: &Command, common: &Common, printer: &Printer) -> Result<(), CliError> {
    match command {
        Command::Show => {
            let settings = common.settings()?;
            let value =
                serde_json::to_value(&settings).map_err(|error| CliError::No(error.to_string()))?;
            printer.data(&value, |_| {
                let text = toml::to_string(&settings).unwrap_or_default();
                text.lines().map(str::to_owned).collect()
            });
        }
        Command::Check => {
            let settings = common
                .settings()
                .map_err(|error| CliError::No(error.to_string()))?;
            for warning in settings.warnings() {
                printer.say(&format!("warning: {warning}"));
            }
            printer.data(
                &serde_json::json!({"ok": true, "warnings": settings.warnings()}),
                |_| vec!["ok".to_owned()],
            );
        }
    }
    Ok(())
}
