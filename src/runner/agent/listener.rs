//! Where the agent's request protocol is served: at an address of this machine, or at a socket in the
//! file system.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use nix::sys::stat::{Mode, umask};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::{AgentError, Listen};
use crate::runner::request::{OwnRun, RequestSource};
use crate::runner::text::SecretText;
use crate::runner::token_file::{FileRules, hand_over_socket};

/// A listener that is bound, or none.
pub(super) enum Listener {
    None,
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// A socket's file, which nobody removes otherwise.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds it. A socket is for those who may read the files.
    pub(super) async fn bind(
        listen: Option<&Listen>,
        rules: FileRules,
    ) -> Result<Self, AgentError> {
        match listen {
            None => Ok(Self::None),
            Some(Listen::Tcp(address)) if !address.ip().is_loopback() => {
                Err(AgentError::Public(*address))
            }
            Some(Listen::Tcp(address)) => {
                let bound = TcpListener::bind(address).await.and_then(|listener| {
                    let address = listener.local_addr()?;
                    Ok(Self::Tcp(listener, address))
                });
                bound.map_err(failed(&address))
            }
            Some(Listen::Unix(path)) => {
                // What an agent that was killed has left is in the way; one that runs answers.
                if is_left_over(path) && UnixStream::connect(path).await.is_err() {
                    let _ = std::fs::remove_file(path);
                }
                // From its first moment for nobody else.
                let before = umask(Mode::from_bits_truncate(0o177));
                let listener = UnixListener::bind(path);
                umask(before);
                let listener = listener.map_err(failed(&path.display()))?;
                let file = SocketFile(path.clone());
                hand_over_socket(path, rules)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// Where others ask, if that is a URL.
    pub(super) fn source(&self, token: &SecretText, run: Option<&OwnRun>) -> Option<RequestSource> {
        let Self::Tcp(_, address) = self else {
            return None;
        };
        let run = run.map_or("agent", |run| &run.id);
        // Clients append `&audience=…`, so there is a query already.
        let url = format!("http://{address}/v1/token?run={run}");
        RequestSource::new(&url, token.expose()).ok()
    }

    /// How others are told where to ask and with what.
    pub(super) fn variables(
        &self,
        token: &SecretText,
        run: Option<&OwnRun>,
    ) -> Vec<(String, SecretText)> {
        if let Self::Unix(_, SocketFile(path)) = self {
            let path = SecretText::new(path.display().to_string());
            return vec![
                ("RUNMINT_AGENT_SOCKET".to_owned(), path),
                ("RUNMINT_AGENT_TOKEN".to_owned(), token.clone()),
            ];
        }
        let Some(source) = self.source(token, run) else {
            return Vec::new();
        };
        let url = SecretText::new(source.url().as_str());
        let names = ["RUNMINT_REQUEST", "ACTIONS_ID_TOKEN_REQUEST"];
        names
            .iter()
            .flat_map(|name| {
                [
                    (format!("{name}_URL"), url.clone()),
                    (format!("{name}_TOKEN"), token.clone()),
                ]
            })
            .collect()
    }

    /// Serves until something breaks; for ever if there is nothing to serve.
    pub(super) async fn serve(self, router: Router) -> Result<(), AgentError> {
        match self {
            Self::None => std::future::pending().await,
            Self::Tcp(listener, address) => {
                let served = axum::serve(listener, router).await;
                served.map_err(failed(&address))
            }
            Self::Unix(listener, file) => {
                let served = axum::serve(listener, router).await;
                served.map_err(failed(&file.0.display()))
            }
        }
    }
}

fn failed(at: &impl ToString) -> impl FnOnce(std::io::Error) -> AgentError {
    let at = at.to_string();
    move |source| AgentError::Listen { at, source }
}

/// Whatever else has the name stays where it is.
fn is_left_over(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let found = std::fs::symlink_metadata(path);
    found.is_ok_and(|found| found.file_type().is_socket())
}
