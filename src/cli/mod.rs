//! Commands: arguments → settings → call → exit status.
//!
//! Data goes to stdout, talk to stderr. Exit status 0: done; 1: the answer is no; 2: wrong usage;
//! 3: could not be done.

mod agent;
mod clients;
mod config;
mod doctor;
mod events;
mod exec;
mod explain;
mod healthcheck;
mod issuers;
mod keys;
mod open;
mod operator;
mod operators;
mod output;
mod run_side;
mod runs;
mod secrets;
mod serve;
mod token;
mod trust;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::operator::{AdminArgs, OperatorError};
use self::output::{Format, Printer};
use crate::app::AppError;
use crate::config::{ConfigError, Settings};
use crate::runner::{Environment, RunnerError, SecretText};
use crate::store::StoreError;
use crate::tls::TlsError;

/// A standalone OIDC workload-identity issuer: a short-lived signed token for every CI run.
#[derive(Debug, Parser)]
#[command(name = "runmint", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Apart from a command's own options in its help.
const EVERYWHERE: &str = "For every command";

/// What every command takes.
#[derive(Args, Debug)]
struct Common {
    /// Settings that override the defaults (TOML); the environment overrides both.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RUNMINT_CONFIG",
        help_heading = EVERYWHERE
    )]
    config: Option<PathBuf>,
    #[command(flatten)]
    admin: AdminArgs,
    /// How to print.
    #[arg(long, global = true, default_value = "text", help_heading = EVERYWHERE)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Show or check the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Signing keys: list, rotate, trim, revoke, rewrap, export.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Clients: add, list, show, update, remove; their secrets.
    #[command(subcommand)]
    Clients(clients::Command),
    /// Trusted issuers: add, list, show, update, remove, test.
    #[command(subcommand)]
    Issuers(issuers::Command),
    /// Operators: add, list, remove; their tokens.
    #[command(subcommand)]
    Operators(operators::Command),
    /// Runs: open, list, show, close.
    #[command(subcommand)]
    Runs(runs::Command),
    /// Ask for a token as a run does.
    Token(token::Args),
    /// Run a command with the run's credentials for AWS, Azure, GCP, Vault, Kubernetes and HCP.
    Exec(exec::Args),
    /// Keep the run's credentials in a folder for others, and serve them the request protocol.
    Agent(agent::Args),
    /// Read the audit log, newest first.
    Events(events::Args),
    /// Say what is wrong when a relying party says no.
    #[command(subcommand)]
    Doctor(doctor::Command),
    /// Say what was minted, by which key and for whom, and why it was refused.
    Explain(explain::Args),
    /// Write what a relying party needs to let runs in.
    #[command(subcommand)]
    Trust(trust::Command),
    /// Ask the server on this machine whether it is alive; exit status 0 or 1.
    Healthcheck,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
enum CliError {
    /// The answer is no.
    #[error("{0}")]
    No(String),
    /// An argument that clap could not judge.
    #[error("{0}")]
    Usage(String),
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server could not be built.
    #[error(transparent)]
    App(#[from] AppError),
    /// What a listener proves itself with.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A listener or another part of the machine.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The admin listener.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The public listener, asked as a client.
    #[error(transparent)]
    Public(OperatorError),
    /// The runner's side.
    #[error(transparent)]
    Runner(Box<RunnerError>),
}

impl From<RunnerError> for CliError {
    fn from(error: RunnerError) -> Self {
        Self::Runner(Box::new(error))
    }
}

impl CliError {
    fn status(&self) -> u8 {
        match self {
            Self::No(_) => 1,
            Self::Usage(_) => 2,
            Self::Operator(error) | Self::Public(error) if error.is_usage() => 2,
            Self::Runner(error) => error.status(),
            Self::Config(_)
            | Self::App(_)
            | Self::Tls(_)
            | Self::Io(_)
            | Self::Operator(_)
            | Self::Public(_) => 3,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Self::Runner(error) = self {
            return error.hint();
        }
        self.fixed_hint().map(str::to_owned)
    }

    fn fixed_hint(&self) -> Option<&'static str> {
        match self {
            Self::Operator(error) => error.hint(),
            Self::Public(error) if error.is_untrusted() => Some(
                "`--ca` (RUNMINT_CA) names the CA of the public listener's certificate, where it is \
                 a private one",
            ),
            Self::Public(OperatorError::Unreachable { .. }) => {
                Some("is `runmint serve` running? `--url` (RUNMINT_URL) names its public listener")
            }
            Self::Public(OperatorError::Refused { status: 401, .. }) => Some(
                "`runmint clients add` prints a client's secret; look at RUNMINT_CLIENT_SECRET, or \
                 at the file that `--client-secret-file` names",
            ),
            Self::Io(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                Some("another process listens there: stop it, or choose another address")
            }
            Self::App(AppError::Store(StoreError::Unavailable(_) | StoreError::Timeout)) => {
                Some("`store.url` names the database: does it run, and may this user use it?")
            }
            _ => None,
        }
    }
}

/// How many turns of tasks a thread takes before it looks what has come in. One may make a signature of half a
/// millisecond, and until the database's answer is seen nothing more is recorded: with the 61 of the runtime's
/// default, callers in their dozens are served before that, and then nothing is left to do.
const TURNS: u32 = 8;

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(status_of(Printer::usage(&error), is_exec())),
    };
    let is_exec = matches!(cli.command, Command::Exec(_));
    let printer = Printer::new(cli.common.format);
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(TURNS)
        .build()
        .map_err(CliError::from)
        .and_then(|runtime| runtime.block_on(run(cli, &printer)));
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            Printer::error(&error, error.hint().as_deref());
            ExitCode::from(status_of(error.status(), is_exec))
        }
    }
}

/// `exec` has not run the command, and says so as env, timeout and others do: 1 to 3 may be what the
/// command says, and `terraform plan -detailed-exitcode` says 2 for changes.
const NOT_RUN: u8 = 125;

fn status_of(status: u8, is_exec: bool) -> u8 {
    match status {
        1..=3 if is_exec => NOT_RUN,
        status => status,
    }
}

/// Whether a command line that cannot be parsed was for `exec`.
fn is_exec() -> bool {
    let arguments = std::env::args_os().skip(1);
    let mut before_the_command = arguments.take_while(|argument| argument != "--");
    before_the_command.any(|argument| argument == "exec")
}

/// The exit status is 0, but for `exec`: there it is the command's own.
async fn run(cli: Cli, printer: &Printer) -> Result<u8, CliError> {
    let Cli { common, command } = cli;
    let format = common.format;
    if !format.is_general() && !matches!(command, Command::Token(_)) {
        let usage = "this `--format` is for `runmint token`; here it is `text` or `json`";
        return Err(CliError::Usage(usage.to_owned()));
    }
    match command {
        Command::Serve => serve::run(common.settings()?).await,
        Command::Config(command) => config::run(&command, &common, printer),
        Command::Keys(command) => keys::run(command, common.operator()?, printer).await,
        Command::Clients(command) => clients::run(command, common.operator()?, printer).await,
        Command::Issuers(command) => issuers::run(command, common.operator()?, printer).await,
        Command::Operators(command) => operators::run(command, common.operator()?, printer).await,
        Command::Runs(command) => runs::run(command, &common, printer).await,
        Command::Token(args) => token::run(args, format, &environment()).await,
        Command::Exec(args) => {
            let ended = exec::run(args, environment()).await?;
            return Ok(ended.status());
        }
        Command::Agent(args) => agent::run(args, environment()).await,
        Command::Events(args) => events::run(args, common.operator()?, printer).await,
        Command::Doctor(command) => doctor::run(command, &common, printer).await,
        Command::Explain(args) => explain::run(args, &common, printer).await,
        Command::Trust(command) => trust::run(command, &common, printer).await,
        Command::Healthcheck => healthcheck::run(&common.settings()?, printer).await,
    }?;
    Ok(0)
}

/// The variables that the program was started with; one that is not UTF-8 is none of ours.
fn variables() -> impl Iterator<Item = (String, String)> {
    let variables = std::env::vars_os();
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Where temporary files go (`TMPDIR`).
fn temporary_folder() -> PathBuf {
    std::env::temp_dir()
}

fn environment() -> Environment {
    variables().collect()
}

/// A secret of the environment; one that is set to nothing is none.
fn variable(name: &str) -> Option<SecretText> {
    let value = std::env::var_os(name)?;
    let text = value.to_string_lossy();
    (!text.is_empty()).then(|| SecretText::new(text))
}

impl Common {
    fn settings(&self) -> Result<Settings, CliError> {
        let environment: HashMap<_, _> = variables().collect();
        Ok(Settings::load(self.config.as_deref(), environment)?)
    }

    fn operator(&self) -> Result<operator::Operator, CliError> {
        let settings = self.settings()?;
        Ok(operator::Operator::new(&settings, &self.admin)?)
    }
}
