//! Running a command: with its credentials in the environment, signals passed on, secrets kept out
//! of its output, and its own exit status as the result.
//!
//! Nothing here knows where credentials come from, and nothing is printed: the output goes to the two
//! writers that are given. Nothing secret is ever an argument, since any user can list those.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::redact::Redactor;
use super::signals::Signals;
use super::text::SecretText;

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct ChildSpec {
    /// Its path, or its name in the child's `PATH`.
    pub program: OsString,
    /// Its arguments, without its name.
    pub arguments: Vec<OsString>,
    /// Variables that it is given beside those of this process: the only way for a secret.
    pub set: Vec<(String, SecretText)>,
    /// Variables of this process that it is not given. One that is in `set` as well is set.
    pub unset: Vec<String>,
    /// Who it runs as, if not as the user of this process.
    pub user: Option<Account>,
    /// What to mask in its output. Without one it writes to this process's stdout and stderr
    /// itself, and finds a terminal there if there is one.
    pub redactor: Option<Redactor>,
}

/// A user, by number. Only root can start a child as another one. Supplementary groups are
/// dropped and not looked up: a file that the child must read belongs to its user, or to `gid`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Account {
    /// The user's id.
    pub uid: u32,
    /// The id of its group.
    pub gid: u32,
}

/// How it went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// By itself, with this status.
    Exited(u8),
    /// By this signal.
    Killed(i32),
}

/// Why it has not run, or how that went is not known.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// There is no such account for this process.
    #[error("`{program}` cannot be started as user {uid} and group {gid}: only root can do that")]
    Account {
        /// What was to be started.
        program: String,
        /// The user's id.
        uid: u32,
        /// The group's.
        gid: u32,
    },
    /// The system lost it.
    #[error("how the command ended cannot be found out: {0}")]
    Lost(#[source] io::Error),
    /// The file is there.
    #[error("`{program}` cannot be executed: {reason}; is it a program, and may this user run it?")]
    NotExecutable {
        /// What was to be started.
        program: String,
        /// What the system says.
        reason: io::Error,
    },
    /// The file is not there.
    #[error(
        "`{program}` is not found: is it installed and in `PATH`, and the program that its first line \
         names as well?"
    )]
    NotFound {
        /// What was to be started.
        program: String,
    },
    /// Anything else: too many processes, too long a list of arguments and variables.
    #[error("`{program}` cannot be started: {reason}")]
    Start {
        /// What was to be started.
        program: String,
        /// What the system says.
        reason: io::Error,
    },
}

/// After the child has ended, how long something it has started may go on writing to its output.
const LINGER: Duration = Duration::from_secs(2);

/// What the child itself may have left in a pipe: the most that Linux lets a user's pipe hold
/// (pipe(7)), in bytes. It is read however long that takes.
const LARGEST_PIPE: usize = 1024 * 1024;

/// How much is read at once, in bytes: what a pipe holds unless someone changed that.
const CHUNK: usize = 64 * 1024;

/// Runs the command and waits for its end; other futures can run beside it. `signals` are passed on
/// to it. It is killed when this future is dropped.
///
/// stdin is inherited. With a redactor, what the command writes is written to `stdout` and
/// `stderr`, flushed at each turn. Where one of them takes no more, the child's pipe is closed: it is
/// ended by PIPE as usual, or finds out from the error.
///
/// # Errors
/// [`ChildError`]; its status is the shells'.
pub async fn run(
    spec: ChildSpec,
    signals: &mut Signals,
    stdout: impl AsyncWrite + Unpin,
    stderr: impl AsyncWrite + Unpin,
) -> Result<Ended, ChildError> {
    let mut child = start(&spec)?;
    let redactor = spec.redactor.as_ref();
    let gone = CancellationToken::new();
    let stdout = copy(child.stdout.take(), stdout, redactor, &gone);
    let stderr = copy(child.stderr.take(), stderr, redactor, &gone);
    let ended = async {
        let ended = wait(&mut child, signals).await;
        gone.cancel();
        ended
    };
    // Output that could not be written is no failure of the command: its status says how it took that.
    let (ended, _, _) = tokio::join!(ended, stdout, stderr);
    ended
}

fn start(spec: &ChildSpec) -> Result<Child, ChildError> {
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).kill_on_drop(true);
    for name in &spec.unset {
        command.env_remove(name);
    }
    for (name, value) in &spec.set {
        command.env(name, value.expose());
    }
    if let Some(Account { uid, gid }) = spec.user {
        // As root, the standard library drops the supplementary groups with it.
        command.uid(uid).gid(gid);
    }
    if spec.redactor.is_some() {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    command.spawn().map_err(|error| not_started(spec, error))
}

fn not_started(spec: &ChildSpec, reason: io::Error) -> ChildError {
    let program = spec.program.to_string_lossy().into_owned();
    match (reason.raw_os_error().map(Errno::from_raw), spec.user) {
        (Some(Errno::EPERM), Some(Account { uid, gid })) => {
            ChildError::Account { program, uid, gid }
        }
        (Some(Errno::ENOENT | Errno::ENOTDIR), _) => ChildError::NotFound { program },
        (Some(Errno::EACCES | Errno::EPERM | Errno::ENOEXEC), _) => {
            ChildError::NotExecutable { program, reason }
        }
        _ => ChildError::Start { program, reason },
    }
}

/// Until the child ends. Signals go to it only before: its number may be another's afterwards.
async fn wait(child: &mut Child, signals: &mut Signals) -> Result<Ended, ChildError> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let send = |signal: Signal| {
        if let Some(id) = id
            && let Err(error) = kill(Pid::from_raw(id), signal)
        {
            tracing::warn!(signal = signal.as_str(), %error, "a signal was not passed on");
        }
    };
    let mut pass_on = async || -> Infallible {
        loop {
            send(signals.next().await);
        }
    };
    tokio::select! {
        status = child.wait() => status.map(Ended::from).map_err(ChildError::Lost),
        never = pass_on() => match never {},
    }
}

/// Copies what comes out of `pipe` without its secrets: to the end, or until there is nobody left
/// whom it is worth waiting for.
async fn copy(
    pipe: Option<impl AsyncRead + Unpin>,
    mut to: impl AsyncWrite + Unpin,
    redactor: Option<&Redactor>,
    gone: &CancellationToken,
) -> io::Result<()> {
    let (Some(pipe), Some(redactor)) = (pipe, redactor) else {
        return Ok(());
    };
    let mut output = Output::new(pipe, gone);
    let mut stream = redactor.stream();
    while let Some(bytes) = output.next().await {
        to.write_all(&stream.push(bytes)).await?;
        to.flush().await?;
    }
    to.write_all(&stream.finish()).await?;
    to.flush().await
}

/// A pipe from the child, which whatever the child has started may hold open.
struct Output<'a, R> {
    pipe: R,
    buffer: Vec<u8>,
    /// Whether the child has ended,
    gone: &'a CancellationToken,
    /// and until when others are waited for then.
    until: Option<Instant>,
    /// How much may still come from the child itself.
    left: usize,
}

impl<'a, R: AsyncRead + Unpin> Output<'a, R> {
    fn new(pipe: R, gone: &'a CancellationToken) -> Self {
        Self {
            pipe,
            buffer: vec![0; CHUNK],
            gone,
            until: None,
            left: LARGEST_PIPE,
        }
    }

    /// What comes next; nothing at the end.
    async fn next(&mut self) -> Option<&[u8]> {
        if self.until.is_none() {
            tokio::select! {
                biased;
                () = self.gone.cancelled() => self.until = Some(Instant::now() + LINGER),
                read = self.pipe.read(&mut self.buffer) => return self.taken(read),
            }
        }
        let until = self.until?;
        if self.left == 0 && until <= Instant::now() {
            return None;
        }
        // What is there already is read even when the time is over.
        let read = self.pipe.read(&mut self.buffer);
        let read = tokio::time::timeout_at(until, read).await.ok()?;
        self.left = self.left.saturating_sub(*read.as_ref().ok()?);
        self.taken(read)
    }

    fn taken(&self, read: io::Result<usize>) -> Option<&[u8]> {
        let count = read.ok()?;
        (count > 0).then(|| &self.buffer[..count])
    }
}

impl Ended {
    /// As a shell tells it: 128 and the signal's number for one that was killed.
    pub fn status(self) -> u8 {
        match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

impl From<ExitStatus> for Ended {
    fn from(status: ExitStatus) -> Self {
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        match (code, status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Killed(signal),
            // Neither: a status of a process that goes on, which nobody waits for.
            (None, None) => Self::Exited(u8::MAX),
        }
    }
}

impl ChildError {
    /// 127 and 126 as the shells have it; 3 for what no shell has a number for.
    pub fn status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            Self::Account { .. } | Self::Lost(_) | Self::Start { .. } => 3,
        }
    }
}
