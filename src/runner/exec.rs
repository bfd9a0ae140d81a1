//! A command with the run's credentials: there before it starts, fresh while it runs, gone when it
//! is over.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::account;
use super::child::{Account, ChildError, ChildSpec, Ended, run};
use super::environment::Environment;
use super::keep::{Say, keep, keep_for};
use super::preparation::{Preparation, PreparationError, prepare};
use super::redact::Redactor;
use super::request::RequestClient;
use super::session::{Session, SessionError, SessionSettings};
use super::signals::Signals;
use super::text::SecretText;
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

/// What belongs to others than the run, and is not for its command.
const NOT_FOR_THE_COMMAND: [&str; 4] = [
    "RUNMINT_ADMIN__PREVIOUS_TOKEN",
    "RUNMINT_ADMIN__TOKEN",
    "RUNMINT_CLIENT_SECRET",
    "RUNMINT_KEYS__SEALING_KEY",
];

/// Runs a command. `say` tells a person what should be known, on no account a secret.
///
/// # Errors
/// [`ExecError`], if the command did not run; whatever was handed out until then is ended.
pub async fn exec(order: ExecOrder, clock: &Clock, say: Say<'_>) -> Result<Ended, ExecError> {
    // Before anything is handed out: a signal that comes from here on ends it in good order.
    let mut signals = Signals::catch().map_err(ExecError::Signals)?;
    let client = order.close.then(|| order.client.clone());
    let (session, ended) = with_credentials(order, &mut signals, clock, say).await;
    let revoked = async {
        match session {
            Some(session) => session.end().await,
            None => Vec::new(),
        }
    };
    // Whether or not the command ran: nobody will run it again in this run's name.
    let closed = async {
        match &client {
            Some(client) => client.close().await,
            None => Ok(true),
        }
    };
    // Those that ended the command are no sign of impatience.
    signals.forget();
    tokio::select! {
        _ = signals.next_of_any() => say("warning: not waited for what is still to be revoked"),
        (notices, closed) = async { tokio::join!(revoked, closed) } => {
            for notice in notices {
                say(&notice);
            }
            match closed {
                Ok(true) => {}
                Ok(false) => say("warning: `--close`: this issuer has no runs that can be closed"),
                Err(error) => say(&format!("warning: the run could not be closed: {error}")),
            }
        }
    }
    ended
}

/// The command, and the session that is to be ended afterwards.
async fn with_credentials(
    order: ExecOrder,
    signals: &mut Signals,
    clock: &Clock,
    say: Say<'_>,
) -> (Option<Session>, Result<Ended, ExecError>) {
    let tag = order.tag.as_deref();
    let prepared = tokio::select! {
        signal = signals.next_of_any() => return (None, Ok(Ended::Killed(signal as i32))),
        prepared = prepare(&order.client, &order.environment, order.run_phase, tag) => prepared,
    };
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => return (None, Err(error.into())),
    };
    if prepared.configurations.is_empty() {
        say(
            "note: no `TFC_…_PROVIDER_AUTH` is `true` and `TFC_WORKLOAD_IDENTITY_AUDIENCE` is not set, \
             so there are no credentials to hand out",
        );
    }
    let folder = match folder(&order, &prepared) {
        Ok(folder) => folder,
        Err(error) => return (None, Err(error.into())),
    };
    let redactor = order.redact.then(Redactor::default);
    let mut session = Session::new(SessionSettings {
        client: order.client.clone(),
        source: order.client.source().clone(),
        deadline: prepared.run.as_ref().map(|run| run.expires_at),
        tag: order.tag.clone(),
        environment: order.environment.clone(),
        folder,
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
    (Some(session), ended)
}

/// The command, and beside it the upkeep.
async fn command(
    order: ExecOrder,
    session: &mut Session,
    redactor: Option<Redactor>,
    signals: &mut Signals,
    clock: &Clock,
    say: Say<'_>,
) -> Result<Ended, ExecError> {
    let _tfvars = match &order.auto_tfvars {
        None => None,
        Some(folder) => Some(AutoTfvars::write(folder, session, order.rules)?),
    };
    for name in NOT_FOR_THE_COMMAND {
        if let (Some(redactor), Some(secret)) = (&redactor, order.environment.find(name)) {
            let _ = redactor.add(&SecretText::new(secret));
        }
    }
    let unset = NOT_FOR_THE_COMMAND.into_iter().chain(session.unset());
    let mut set = session.variables();
    if let Some(user) = order.user {
        set.extend(home(user));
    }
    let spec = ChildSpec {
        program: order.program,
        arguments: order.arguments,
        set,
        unset: unset.map(str::to_owned).collect(),
        user: order.user,
        redactor,
    };
    let over = CancellationToken::new();
    let mut upkeep = std::pin::pin!(keep(session, clock, &over, say, |_, _| {}));
    let ended = {
        let (stdout, stderr) = (tokio::io::stdout(), tokio::io::stderr());
        let mut child = std::pin::pin!(run(spec, signals, stdout, stderr));
        tokio::select! {
            biased;
            ended = &mut child => ended,
            // It does not end by itself.
            () = &mut upkeep => child.await,
        }
    };
    over.cancel();
    signals.forget();
    // What is under way is finished, so that nothing of it is lost; a second signal ends that.
    tokio::select! {
        () = upkeep => {}
        _ = signals.next_of_any() => {}
    }
    Ok(ended?)
}

/// What a login as this user would set: root's home is nothing for anybody else.
fn home(account: Account) -> Vec<(String, SecretText)> {
    let (name, home) = account::login_of(account.uid);
    let set = |variable: &str, value: &str| (variable.to_owned(), SecretText::new(value));
    vec![
        set("HOME", &home),
        set("LOGNAME", &name),
        set("USER", &name),
    ]
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
    Folder::in_shared(&order.temporary, &run, order.rules)
}

/// The object variables in a file that Terraform finds by itself; it goes when this is dropped.
struct AutoTfvars(PathBuf);

impl AutoTfvars {
    fn write(folder: &Path, session: &Session, rules: FileRules) -> Result<Self, FileError> {
        let path = folder.join(AUTO_TFVARS);
        // What a session that was killed has left holds nothing else.
        let is_ours = |text: &str| {
            let objects: Option<BTreeMap<String, Value>> = serde_json::from_str(text).ok();
            objects.is_some_and(|objects| objects.keys().all(|name| is_object(name)))
        };
        match std::fs::read_to_string(&path) {
            Ok(text) if !is_ours(&text) => return Err(FileError::Taken { path }),
            _ => {}
        }
        let objects = Value::Object(session.objects());
        write(&path, &format!("{objects:#}\n"), rules)?;
        Ok(Self(path))
    }
}

/// Whether it is the name of one of HCP Terraform's object variables.
fn is_object(name: &str) -> bool {
    name.starts_with("tfc_") && name.ends_with("_dynamic_credentials")
}

impl Drop for AutoTfvars {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            tracing::warn!(%error, "a file of the session is left");
        }
    }
}
