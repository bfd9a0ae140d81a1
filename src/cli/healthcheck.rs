//! `runmint healthcheck`: for containers, which have no curl.

use std::time::Duration;

use super::CliError;
use super::operator::{OperatorError, direct, reachable, send};
use super::output::{Printer, cell};
use crate::config::Settings;

pub(super) async fn run(settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let scheme = if settings.public_tls() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{}/healthz", reachable(settings.server.listen));
    let failed = |error: OperatorError| CliError::No(error.to_string());
    // Whether the process is alive, and no more: its certificate is not for this address, and if it
    // has ended or is not there yet, to start the server again would not help. No secret is sent.
    let client = direct(|builder| builder.tls_danger_accept_invalid_certs(true)).map_err(failed)?;
    let request = client.get(&url).timeout(Duration::from_secs(3));
    let health = send(request, &url).await.map_err(failed)?;
    printer.data(&health, |health| vec![cell(health, "status")]);
    Ok(())
}
