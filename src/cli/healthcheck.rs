//! `runmint healthcheck`: for containers, which have no curl.

use std::time::Duration;

use super::CliError;
use super::operator::{direct, reachable, send};
use super::output::{Printer, cell};
use crate::config::Settings;

pub(super) async fn run(settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let url = format!("http://{}/healthz", reachable(settings.server.listen));
    let request = direct()
        .map_err(|error| CliError::No(error.to_string()))?
        .get(&url)
        .timeout(Duration::from_secs(3));
    let health = send(request, &url)
        .await
        .map_err(|error| CliError::No(error.to_string()))?;
    printer.data(&health, |health| vec![cell(health, "status")]);
    Ok(())
}
