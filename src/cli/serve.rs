//! `runmint serve`

use std::io::IsTerminal;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::CliError;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{LogFormat, LogLevel, LogSettings, Settings};
use crate::server::{Listeners, serve};
use crate::tls::Tls;

pub(super) async fn run(settings: Settings) -> Result<(), CliError> {
    start_tracing(&settings.log);
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    // The sockets first: whoever waits for the port finds it as soon as there is an answer.
    let listeners = Listeners::bind(settings.server.listen, settings.admin.listen)?;
    let tls = Tls::load(&settings)?;
    let (app, recorder) = App::build(settings, Clock::System).await?;
    tracing::info!(
        issuer = %app.issuer,
        server.listen = %listeners.public.local_addr()?,
        admin.listen = %listeners.admin.local_addr()?,
        store = if app.store.is_shared() { "postgres" } else { "sqlite" },
        "runmint is up"
    );
    let on_signal = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down: what is under way is finished and recorded");
        on_signal.cancel();
    });
    Ok(serve(app, recorder, listeners, tls, shutdown).await?)
}

/// runmint's own messages at the configured level. Libraries say warnings and errors only: at lower
/// levels an HTTP library may print a header, and with it a secret.
fn start_tracing(settings: &LogSettings) {
    let level = match settings.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let filter = EnvFilter::new(format!("warn,runmint={level}"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second subscriber cannot be set; in one process there is one `serve`.
    let _ = match settings.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_target(false).try_init(),
    };
}
