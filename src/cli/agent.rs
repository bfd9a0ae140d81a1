//! `runmint agent`: the run's credentials for processes beside this one.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use super::exec::phase;
use super::output::Printer;
use super::run_side::{AskArgs, FileArgs};
use crate::clock::Clock;
use crate::domain::phase::Phase;
use crate::runner::agent::{AgentOrder, Listen, agent};
use crate::runner::reader::Reader;
use crate::runner::{Environment, RunnerError};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Where the files go.
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// A token for whoever wants one, in a file of this name; may be given several times.
    #[arg(long = "token", value_name = "AUDIENCE=NAME", value_parser = token)]
    tokens: Vec<(String, String)>,
    /// Use the configurations with this tag for the file `environment`, where there are any.
    #[arg(long)]
    tag: Option<String>,
    /// `plan` or `apply`, at an issuer that does not tell.
    #[arg(long, value_name = "PHASE", value_parser = phase)]
    run_phase: Option<Phase>,
    /// Serve the request protocol at this address of this machine; with port 0, at any.
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "socket")]
    listen: Option<SocketAddr>,
    /// Serve it at a socket in the file system.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    file: FileArgs,
    /// Check that this user can read the files: `UID`, `UID:GID,GID` or names. In a pod, `fsGroup` is
    /// one of the groups. May be given several times.
    #[arg(long = "reader", value_name = "USER[:GROUPS]")]
    readers: Vec<String>,
    /// Close the run at the end.
    #[arg(long)]
    close: bool,
    #[command(flatten)]
    ask: AskArgs,
}

pub(super) async fn run(args: Args, environment: Environment) -> Result<(), CliError> {
    let readers = args.readers.iter().map(|reader| Reader::parse(reader));
    let order = AgentOrder {
        client: args.ask.client(&environment)?,
        environment,
        run_phase: args.run_phase,
        tag: args.tag,
        dir: args.dir,
        rules: args.file.rules(None)?,
        tokens: args.tokens,
        listen: args
            .listen
            .map(Listen::Tcp)
            .or(args.socket.map(Listen::Unix)),
        readers: readers
            .collect::<Result<_, _>>()
            .map_err(RunnerError::from)?,
        close: args.close,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    };
    let say = |line: &str| Printer::tell(line);
    Ok(agent(order, &Clock::System, stop, &say)
        .await
        .map_err(RunnerError::from)?)
}

fn token(text: &str) -> Result<(String, String), String> {
    let (audience, name) = text
        .rsplit_once('=')
        .filter(|(audience, name)| !audience.is_empty() && !name.is_empty())
        .ok_or("write `AUDIENCE=NAME`, e.g. `aws.workload.identity=aws-token`")?;
    Ok((audience.to_owned(), name.to_owned()))
}
