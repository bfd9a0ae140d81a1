//! A command with the run's credentials: there before it starts, fresh while it runs, gone when it
//! is over.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::child::{Account, ChildError, ChildSpec, Ended, run};
use super::environment::Environment;
use super::keep::{Say, keep, keep_for};
use super::preparation::{Preparation, PreparationError, prepare};
use super::redact::Redactor;
use super::request::RequestClient;
use super::session::{Session, SessionError, SessionSettings};
use super::signals::Signals;
use super::token_file::{FileError, FileRules, Folder, remove, write};
use crate::clock::Clock;
use crate::domain::phase::Phase;

/// What to run, and with what.
#[derive(Debug)]
pub struct ExecOrder {
    /// Whom to ask.
    pub client: RequestClient,
    /// The variables that this was started with.
    pub environment: Environment,
    /// `--run-phase`
    pub run_phase: Option<Phase>,
    /// `--tag`
    pub tag: Option<String>,
    /// `--dir`; otherwise a folder of the run's own in `temporary`.
    pub dir: Option<PathBuf>,
    /// The folder for temporary files.
    pub temporary: PathBuf,
    /// Who may read the files.
    pub rules: FileRules,
    /// Who the command runs as.
    pub user: Option<Account>,
    /// Whether its output is masked.
    pub redact: bool,
    /// Whether the run is closed at the end.
    pub close: bool,
    /// A folder for the object variables, as Terraform reads them by itself.
    pub auto_tfvars: Option<PathBuf>,
    /// The command.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Why a command was not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The command itself.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What the run is to be given.
    #[error(transparent)]
    Preparation(#[from] PreparationError),
    /// What it could not be given.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Signals cannot be caught.
    #[error("signals cannot be caught: {0}")]
    Signals(#[source] std::io::Error),
}

/// Terraform reads whatever ends so, in the folder where it runs.
pub const AUTO_TFVARS: &str = "runmint.auto.tfvars.json";

/// A command that is told to end has as long.
const GRACE: Duration = Duration::from_secs(30);

/// Runs a command. `say` tells a person what should be known, on no account a secret.
///
/// # Errors
/// [`ExecError`], if the command did not run; whatever was handed out until then is ended.
pub async fn exec(order: ExecOrder, clock: &Clock, say: Say<'_>) -> Result<Ended, ExecError> {
    let client = order.close.then(|| order.client.clone());
    let ended = with_credentials(order, clock, say).await;
    // Whether or not the command ran: nobody will run it again in this run's name.
    if let Some(client) = client {
        match client.close().await {
            Ok(true) => {}
            Ok(false) => say("warning: `--close`: this issuer has no runs that can be closed"),
            Err(error) => say(&format!("warning: the run could not be closed: {error}")),
        }
    }
    ended
}

async fn with_credentials(
    order: ExecOrder,
    clock: &Clock,
    say: Say<'_>,
) -> Result<Ended, ExecError> {
    // Before anything is handed out: a signal that comes from here on ends it in good order.
    let mut signals = Signals::catch().map_err(ExecError::Signals)?;
    let prepared = tokio::select! {
        signal = signals.next_of_any() => return Ok(Ended::Killed(signal as i32)),
        prepared = prepare(
            &order.client,
            &order.environment,
            order.run_phase,
            order.tag.as_deref(),
        ) => prepared?,
    };
    for notice in &prepared.notices {
        say(notice);
    }
    let redactor = order.redact.then(Redactor::default);
    let mut session = Session::new(SessionSettings {
        client: order.client.clone(),
        source: order.client.source().clone(),
        tag: order.tag.clone(),
        environment: order.environment.clone(),
        folder: folder(&order, &prepared)?,
        run_id: prepared.run_id.clone(),
        redactor: redactor.clone(),
    });
    let opening = async {
        session.open(&prepared.configurations, clock.now()).await?;
        keep_for(session.settles_in(), &mut session, clock, say).await;
        Ok(None)
    };
    let opened: Result<_, SessionError> = tokio::select! {
        signal = signals.next_of_any() => Ok(Some(Ended::Killed(signal as i32))),
        opened = opening => opened,
    };
    let ended = match opened {
        Ok(None) => command(order, &mut session, redactor, signals, clock, say).await,
        Ok(Some(ended)) => Ok(ended),
        Err(error) => Err(error.into()),
    };
    for notice in session.end().await {
        say(&notice);
    }
    ended
}

/// The command, and beside it the upkeep.
async fn command(
    order: ExecOrder,
    session: &mut Session,
    redactor: Option<Redactor>,
    mut signals: Signals,
    clock: &Clock,
    say: Say<'_>,
) -> Result<Ended, ExecError> {
    let _tfvars = match &order.auto_tfvars {
        None => None,
        Some(folder) => Some(AutoTfvars::write(folder, session, order.rules)?),
    };
    let spec = ChildSpec {
        program: order.program,
        arguments: order.arguments,
        set: session.variables(),
        unset: Vec::new(),
        user: order.user,
        redactor,
        grace: GRACE,
    };
    let (over, never) = (CancellationToken::new(), CancellationToken::new());
    let ended = over.clone();
    // A task of its own, so that its output flows on while something is renewed.
    let child = tokio::spawn(async move {
        let (stdout, stderr) = (tokio::io::stdout(), tokio::io::stderr());
        let status = run(spec, &mut signals, &never, stdout, stderr).await;
        ended.cancel();
        status
    });
    keep(session, clock, &over, say, |_| {}).await;
    match child.await {
        Ok(ended) => Ok(ended?),
        Err(error) => Err(ChildError::Lost(error.into()).into()),
    }
}

/// Where the files go: as asked, or a folder of the run's own. A saved plan names its files, so that
/// its apply must find them at the same path: the folder has the same name in both phases.
fn folder(order: &ExecOrder, prepared: &Preparation) -> Result<Folder, FileError> {
    if let Some(dir) = &order.dir {
        return Folder::create(dir, order.rules);
    }
    let clean = |c: char| {
        if c.is_ascii_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let run: String = prepared.run_id.chars().map(clean).collect();
    let user = nix::unistd::geteuid();
    let ours = order.temporary.join(format!("runmint-{user}"));
    Folder::create(&ours.join(run), order.rules)
}

/// The object variables in a file that Terraform finds by itself; it goes when this is dropped.
struct AutoTfvars(PathBuf);

impl AutoTfvars {
    fn write(folder: &Path, session: &Session, rules: FileRules) -> Result<Self, FileError> {
        let path = folder.join(AUTO_TFVARS);
        let objects = serde_json::Value::Object(session.objects());
        write(&path, &format!("{objects:#}\n"), rules)?;
        Ok(Self(path))
    }
}

impl Drop for AutoTfvars {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(%error, "a file of the session is left");
        }
    }
}
