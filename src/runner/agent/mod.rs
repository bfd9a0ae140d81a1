//! The same as a side process: files in a folder that others share, and the request protocol for
//! those who ask themselves.

mod listener;
mod server;

use std::fmt::Write;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

use self::listener::Listener;
use self::server::{Served, router};
use super::environment::Environment;
use super::keep::{Say, keep, keep_for};
use super::preparation::{Preparation, PreparationError, prepare};
use super::reader::{Reader, Unreadable, check};
use super::request::RequestClient;
use super::session::{Session, SessionError, SessionSettings};
use super::text::SecretText;
use super::token_file::{FileError, FileRules, Folder};
use crate::clock::Clock;
use crate::domain::phase::Phase;
use crate::domain::time::Timestamp;

/// What an agent is to do.
#[derive(Debug)]
pub struct AgentOrder {
    /// Whom to ask.
    pub client: RequestClient,
    /// The variables that it was started with.
    pub environment: Environment,
    /// `--run-phase`
    pub run_phase: Option<Phase>,
    /// `--tag`
    pub tag: Option<String>,
    /// The folder that is shared.
    pub dir: PathBuf,
    /// Who may read in it.
    pub rules: FileRules,
    /// Further tokens: an audience, and the name of a file.
    pub tokens: Vec<(String, String)>,
    /// Where the request protocol is served.
    pub listen: Option<Listen>,
    /// Who must be able to read the files.
    pub readers: Vec<Reader>,
    /// Whether the run is closed at the end.
    pub close: bool,
}

/// Where the request protocol is served.
#[derive(Debug)]
pub enum Listen {
    /// On this machine.
    Tcp(SocketAddr),
    /// In the file system; who may connect is who may enter its folder.
    Unix(PathBuf),
}

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The listener.
    #[error("the agent cannot listen at {at}: {source}")]
    Listen {
        /// Where.
        at: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It would serve tokens to the network.
    #[error(
        "`--listen {0}` is no address of this machine alone; use 127.0.0.1, [::1] or `--socket`"
    )]
    Public(SocketAddr),
    /// What the run is to be given.
    #[error(transparent)]
    Preparation(#[from] PreparationError),
    /// What it could not be given.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A reader that cannot read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// No randomness for its own token.
    #[error("no random bytes could be had")]
    Random,
}

/// The file that says that all others are there and fresh.
pub const READY_FILE: &str = "ready";

/// The file with the agent's own token.
pub const TOKEN_FILE: &str = "agent-token";

const TOKEN_PREFIX: &str = "runmint-agent-";

/// The file with the variables, for a shell to read.
pub const ENVIRONMENT_FILE: &str = "environment";

/// Runs an agent until `stop` resolves, then ends what it handed out.
///
/// # Errors
/// [`AgentError`]; then nothing is left behind.
pub async fn agent(
    order: AgentOrder,
    clock: &Clock,
    stop: impl Future<Output = ()> + Send,
    say: Say<'_>,
) -> Result<(), AgentError> {
    let ready = Arc::new(AtomicBool::new(false));
    let mut was_told = false;
    let stop = async {
        stop.await;
        was_told = true;
    };
    let ended = serve(&order, &ready, clock, stop, say).await;
    // One that did not come up may be started again, in the same run's name.
    if order.close
        && was_told
        && let Err(error) = order.client.close().await
    {
        say(&format!("warning: the run could not be closed: {error}"));
    }
    ended
}

async fn serve(
    order: &AgentOrder,
    ready: &Arc<AtomicBool>,
    clock: &Clock,
    stop: impl Future<Output = ()> + Send,
    say: Say<'_>,
) -> Result<(), AgentError> {
    let mut stop = std::pin::pin!(stop);
    // First of all, so that nobody takes what an agent that was killed has left for the files of this.
    let token = own_token(&order.dir)?;
    let folder = Folder::create(&order.dir, order.rules)?;
    folder.write(TOKEN_FILE, token.expose())?;
    let tag = order.tag.as_deref();
    let preparation = tokio::select! {
        () = &mut stop => return Ok(()),
        prepared = prepare(&order.client, &order.environment, order.run_phase, tag) => prepared?,
    };
    let listener = Listener::bind(order.listen.as_ref(), order.rules).await?;
    let served = Served {
        client: order.client.clone(),
        token: token.clone(),
        ready: Arc::clone(ready),
    };
    // Who asks the agent need not know the run's own request token.
    let own_source = listener.source(&token, preparation.run.as_ref());
    let source = own_source.unwrap_or_else(|| order.client.source().clone());
    let mut session = Session::new(SessionSettings {
        source,
        client: order.client.clone(),
        environment: order.environment.clone(),
        deadline: preparation.run.as_ref().map(|run| run.expires_at),
        folder,
        run_id: preparation.run_id.clone(),
        tag: order.tag.clone(),
        // It prints nothing of others.
        redactor: None,
    });
    let running = Running {
        order,
        preparation: &preparation,
        how_to_ask: listener.variables(&token, preparation.run.as_ref()),
        ready,
        over: CancellationToken::new(),
    };
    let ended = {
        let mut work = std::pin::pin!(running.run(&mut session, clock, say));
        // What is under way is finished, so that nothing of it is lost.
        tokio::select! {
            ended = &mut work => ended,
            () = &mut stop => {
                running.over.cancel();
                work.await
            }
            served = listener.serve(router(served)) => {
                running.over.cancel();
                work.await.and(served)
            }
        }
    };
    for notice in session.end().await {
        say(&notice);
    }
    ended
}

struct Running<'a> {
    order: &'a AgentOrder,
    preparation: &'a Preparation,
    how_to_ask: Vec<(String, SecretText)>,
    ready: &'a AtomicBool,
    over: CancellationToken,
}

impl Running<'_> {
    async fn run(
        &self,
        session: &mut Session,
        clock: &Clock,
        say: Say<'_>,
    ) -> Result<(), AgentError> {
        tokio::select! {
            () = self.over.cancelled() => return Ok(()),
            opened = self.open(session, clock, say) => opened?,
        }
        self.write_variables(session)?;
        for reader in &self.order.readers {
            for path in session.folder().paths() {
                check(&path, reader)?;
            }
        }
        self.tell_whether_fresh(session, clock.now())?;
        say(&format!("the files are in {}", self.order.dir.display()));
        // Only whoever runs as a service of systemd is listening.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        keep(session, clock, &self.over, say, |session, now| {
            let told = self.write_variables(session);
            if let Err(error) = told.and_then(|()| self.tell_whether_fresh(session, now)) {
                say(&format!("error: {error}"));
            }
        })
        .await;
        Ok(())
    }

    async fn open(
        &self,
        session: &mut Session,
        clock: &Clock,
        say: Say<'_>,
    ) -> Result<(), SessionError> {
        let now = clock.now();
        session.open(&self.preparation.configurations, now).await?;
        for (audience, file) in &self.order.tokens {
            session.add_token(audience, file, now).await?;
        }
        keep_for(session.settles_in(), session, clock, say).await;
        Ok(())
    }

    fn write_variables(&self, session: &Session) -> Result<(), FileError> {
        let mut variables = session.variables();
        variables.extend_from_slice(&self.how_to_ask);
        let text = exports(session.unset(), &variables);
        session.folder().write(ENVIRONMENT_FILE, text.expose())
    }

    fn tell_whether_fresh(&self, session: &Session, now: Timestamp) -> Result<(), FileError> {
        let folder = session.folder();
        let fresh = session.is_fresh(now);
        self.ready.store(fresh, Ordering::SeqCst);
        if fresh {
            folder.write(READY_FILE, "")
        } else {
            folder.remove(READY_FILE)
        }
    }
}

/// For `. FILE` in a POSIX shell.
fn exports<'a>(
    unset: impl Iterator<Item = &'a str>,
    variables: &[(String, SecretText)],
) -> SecretText {
    let mut text = String::new();
    for name in unset {
        // Writing to a String does not fail.
        let _ = writeln!(text, "unset {name}");
    }
    for (name, value) in variables {
        let _ = writeln!(
            text,
            "export {name}='{}'",
            value.expose().replace('\'', r"'\''")
        );
    }
    SecretText::new(text)
}

/// 256 random bits, in hexadecimal. An agent that is started again in the place of one that was killed
/// takes the same, so that whoever has read it can go on.
fn own_token(dir: &Path) -> Result<SecretText, AgentError> {
    if let Ok(before) = std::fs::read_to_string(dir.join(TOKEN_FILE)) {
        let digits = before.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
        if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(SecretText::new(before));
        }
    }
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AgentError::Random)?;
    let mut text = TOKEN_PREFIX.to_owned();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(SecretText::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_variables_as_they_are() {
        let variables = [("A".to_owned(), SecretText::new("it's $HOME"))];
        assert_eq!(
            exports(["B"].into_iter(), &variables).expose(),
            "unset B\nexport A='it'\\''s $HOME'\n"
        );
    }
}
