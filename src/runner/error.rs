//! Everything that can go wrong on the runner's side, for the one place that tells it.

use super::account::AccountError;
use super::agent::AgentError;
use super::answer::CallerError;
use super::exec::ExecError;
use super::preparation::PreparationError;
use super::reader::Unreadable;
use super::request::{RequestError, SourceError};
use super::session::SessionError;
use super::sts::StsError;
use super::token_file::FileError;

/// Why a command of the runner's side was not done.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A user or a group.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The program that asks for a token.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// The command.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The server.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Where the server is.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// STS.
    #[error(transparent)]
    Sts(#[from] StsError),
    /// A reader that cannot read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl RunnerError {
    /// The exit status: 1 when the answer is no, 2 for what is set or given wrongly, that of the shells
    /// for a command that does not start, 3 otherwise.
    pub fn status(&self) -> u8 {
        match self {
            Self::Exec(ExecError::Child(error)) => error.status(),
            Self::Unreadable(_)
            | Self::Agent(AgentError::Unreadable(_))
            | Self::Request(RequestError::Refused { status: 403, .. }) => 1,
            Self::Account(_)
            | Self::Caller(_)
            | Self::Source(_)
            | Self::Agent(AgentError::Public(_)) => 2,
            Self::Exec(ExecError::Preparation(error))
            | Self::Agent(AgentError::Preparation(error))
                if error.is_usage() =>
            {
                2
            }
            Self::File(error) | Self::Agent(AgentError::Session(SessionError::File(error)))
                if error.is_usage() =>
            {
                2
            }
            Self::Agent(_) | Self::Exec(_) | Self::File(_) | Self::Request(_) | Self::Sts(_) => 3,
        }
    }

    /// What to do about it, where the message does not say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Account(error) => error.hint(),
            Self::File(error)
            | Self::Exec(ExecError::File(error) | ExecError::Session(SessionError::File(error)))
            | Self::Agent(
                AgentError::File(error) | AgentError::Session(SessionError::File(error)),
            ) => error.hint(),
            Self::Unreadable(error) | Self::Agent(AgentError::Unreadable(error)) => error.hint(),
            Self::Source(SourceError::Nowhere) => Some(
                "`runmint runs open` prints what a runner asks with; the orchestrator hands it over"
                    .to_owned(),
            ),
            Self::Request(error)
            | Self::Exec(
                ExecError::Preparation(PreparationError::Request(error))
                | ExecError::Session(SessionError::Request { source: error, .. }),
            )
            | Self::Agent(
                AgentError::Preparation(PreparationError::Request(error))
                | AgentError::Session(SessionError::Request { source: error, .. }),
            ) => error.hint(),
            _ => None,
        }
    }
}
