//! What the runner's commands share: where to ask, and how the files are to be.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::operator::ca;
use crate::runner::account::{gid, uid};
use crate::runner::child::Account;
use crate::runner::request::{RequestClient, RequestSource};
use crate::runner::token_file::FileRules;
use crate::runner::{Environment, RunnerError};

/// How a run's server is reached.
#[derive(Args, Debug)]
pub(super) struct AskArgs {
    /// The CA of the server's certificate (PEM), where it is a private one.
    #[arg(long, value_name = "FILE", env = "RUNMINT_CA")]
    ca: Option<PathBuf>,
}

impl AskArgs {
    /// Asks with `RUNMINT_REQUEST_URL` and `RUNMINT_REQUEST_TOKEN`, else with
    /// `ACTIONS_ID_TOKEN_REQUEST_URL` and `…_TOKEN`: from the environment only, since everybody sees
    /// the command line.
    pub(super) fn client(&self, environment: &Environment) -> Result<RequestClient, CliError> {
        let source = RequestSource::of(environment).map_err(RunnerError::from)?;
        let roots = self.roots()?;
        Ok(RequestClient::new(source, roots).map_err(RunnerError::from)?)
    }

    pub(super) fn roots(&self) -> Result<Option<Vec<reqwest::Certificate>>, CliError> {
        ca(self.ca.as_deref(), "--ca").map_err(CliError::Public)
    }
}

/// Who may read the files.
#[derive(Args, Debug)]
pub(super) struct FileArgs {
    /// The user that the files belong to, by name or number; whoever runs this when left out.
    #[arg(long, value_name = "USER")]
    pub(super) owner: Option<String>,
    /// A group that may read them, by name or number: 0640 instead of 0600.
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Option<String>,
    /// Their mode, in octal; others never get a right.
    #[arg(long, value_name = "MODE")]
    pub(super) mode: Option<String>,
}

impl FileArgs {
    /// The rules; the files belong to whom is said, else to `user`.
    pub(super) fn rules(&self, user: Option<Account>) -> Result<FileRules, CliError> {
        let mode = self.mode.as_deref().map(|mode| {
            u32::from_str_radix(mode, 8).map_err(|_| {
                CliError::Usage(format!("`--mode {mode}` is not octal; write 0600 or 0640"))
            })
        });
        let owner = self.owner.as_deref().map(uid).transpose();
        let owner = owner.map_err(RunnerError::from)?;
        let group = self.group.as_deref().map(gid).transpose();
        let group = group.map_err(RunnerError::from)?;
        let owner = owner.or(user.map(|user| user.uid));
        let rules = FileRules::new(mode.transpose()?, owner, group);
        Ok(rules.map_err(RunnerError::from)?)
    }
}
