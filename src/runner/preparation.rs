//! Before anything is handed out: where to ask, which run it is, what the variables ask for, and
//! whether the run may have it. What does not fit is named here, all of it at once.

use std::fmt::Write;

use super::environment::Environment;
use super::request::{OwnRun, RequestClient, RequestError};
use super::variables::{Configuration, InvalidVariable, read};
use crate::domain::phase::Phase;
use crate::domain::run::RunState;

/// What a run is going to be given.
#[derive(Debug)]
pub struct Preparation {
    /// The configurations, in the order in which they are handed out.
    pub configurations: Vec<Configuration>,
    /// The run, if the issuer tells.
    pub run: Option<OwnRun>,
    /// What names the run: `terraform_run_id`; by chance where the issuer does not tell.
    pub run_id: String,
}

/// Why a run cannot be given what is asked for.
#[derive(Debug, thiserror::Error)]
pub enum PreparationError {
    /// Variables that are missing, wrong, or contradict each other.
    #[error("{}", list("the variables do not fit together", .0))]
    Variables(Vec<InvalidVariable>),
    /// The run may not ask for what the variables name.
    #[error(
        "the run was not opened for {}; it may ask for {}",
        quoted(.asked),
        quoted(.allowed)
    )]
    Audiences {
        /// What the variables name.
        asked: Vec<String>,
        /// What it was opened for.
        allowed: Vec<String>,
    },
    /// `--run-phase` says another phase than the run.
    #[error("`--run-phase {said}` is given, and the run is opened for {is}; leave the option out")]
    Phase {
        /// On the command line.
        said: Phase,
        /// In its tokens.
        is: Phase,
    },
    /// There are no configurations with this tag.
    #[error("no configuration has the tag `{tag}`; {}", tags(.known))]
    Tag {
        /// On the command line.
        tag: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// It is over.
    #[error("the run is {0}, so it gets no tokens")]
    Ended(&'static str),
    /// The server could not be asked.
    #[error(transparent)]
    Request(#[from] RequestError),
}

impl PreparationError {
    /// Whether something is set or given wrongly.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Variables(_) | Self::Audiences { .. } | Self::Phase { .. } | Self::Tag { .. } => {
                true
            }
            Self::Ended(_) | Self::Request(_) => false,
        }
    }
}

/// Finds out what a run is to be given.
///
/// # Errors
/// [`PreparationError`].
pub async fn prepare(
    client: &RequestClient,
    environment: &Environment,
    said: Option<Phase>,
    tag: Option<&str>,
) -> Result<Preparation, PreparationError> {
    let run = own_run(client).await?;
    let phase = match (said, run.as_ref().map(|run| run.run_phase)) {
        (Some(said), Some(is)) if said != is => return Err(PreparationError::Phase { said, is }),
        (said, is) => said.or(is),
    };
    let configurations = read(environment, phase, tag).map_err(PreparationError::Variables)?;
    if let Some(run) = &run {
        may_ask(run, &configurations)?;
    }
    if let Some(tag) = tag {
        let mut known: Vec<_> = configurations
            .iter()
            .filter_map(|configuration| configuration.tag.as_ref())
            .map(|tag| tag.as_str().to_owned())
            .collect();
        known.sort();
        known.dedup();
        if !known.iter().any(|known| known == tag) {
            let tag = tag.to_owned();
            return Err(PreparationError::Tag { tag, known });
        }
    }
    Ok(Preparation {
        configurations,
        run_id: run.as_ref().map_or_else(
            || format!("session-{:016x}", fastrand::u64(..)),
            |run| run.run_id.clone(),
        ),
        run,
    })
}

/// The run, if the server tells: one that knows nothing of runs is not runmint, and is asked for tokens
/// all the same.
async fn own_run(client: &RequestClient) -> Result<Option<OwnRun>, PreparationError> {
    let run = match client.run().await {
        Ok(run) => run,
        Err(RequestError::Refused {
            status: 404 | 405, ..
        }) => None,
        Err(error) => return Err(error.into()),
    };
    match run.as_ref().map(|run| run.state) {
        Some(RunState::Closed) => Err(PreparationError::Ended("closed")),
        Some(RunState::Expired) => Err(PreparationError::Ended("past its deadline")),
        Some(RunState::Open) | None => Ok(run),
    }
}

fn may_ask(run: &OwnRun, configurations: &[Configuration]) -> Result<(), PreparationError> {
    let mut asked: Vec<String> = configurations
        .iter()
        .filter_map(|configuration| configuration.provider.audience())
        .filter(|audience| !run.audiences.iter().any(|allowed| allowed == audience))
        .map(str::to_owned)
        .collect();
    asked.sort();
    asked.dedup();
    if asked.is_empty() {
        return Ok(());
    }
    let allowed = run.audiences.clone();
    Err(PreparationError::Audiences { asked, allowed })
}

fn list(what: &str, invalid: &[InvalidVariable]) -> String {
    let mut text = what.to_owned();
    for variable in invalid {
        // Writing to a String does not fail.
        let _ = write!(text, "\n  {variable}");
    }
    text
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn tags(known: &[String]) -> String {
    if known.is_empty() {
        "none has a tag".to_owned()
    } else {
        format!("those that there are: {}", quoted(known))
    }
}
