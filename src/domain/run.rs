//! A run: one phase of one CI run, from the moment it is opened until its deadline or its close.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::grant::AllowedAudience;
use super::name::Name;
use super::time::Timestamp;
use super::workload::Workload;

/// A run that a client opened; its request token mints for this workload and nothing else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Run {
    /// Our own id of it (a UUID), as in `/v1/runs/{id}`; `terraform_run_id` is in `workload`.
    pub id: String,
    /// Who the run is.
    pub workload: Workload,
    /// What it may ask tokens for.
    pub audiences: Vec<AllowedAudience>,
    /// The client that opened it, and that alone may look at it and close it.
    pub client: Name,
    /// Whether its tokens carry AWS session tags.
    pub aws_session_tags: bool,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Its deadline: no token is minted from here on, and none lives longer.
    pub expires_at: Timestamp,
    /// When it was closed, if it was.
    pub closed_at: Option<Timestamp>,
}

impl Run {
    /// Whether the run may mint at `now`.
    pub fn state(&self, now: Timestamp) -> RunState {
        RunState::at(self.closed_at, self.expires_at, now)
    }

    /// What this run may ask tokens for, if `audience` is among it.
    pub fn find_audience(&self, audience: &str) -> Option<&AllowedAudience> {
        self.audiences
            .iter()
            .find(|allowed| allowed.audience.as_str() == audience)
    }
}

/// Where a run stands. Only an open one mints.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Mints.
    Open,
    /// Was ended by its client or by an operator.
    Closed,
    /// Has passed its deadline.
    Expired,
}

impl RunState {
    /// The state of a run with these times.
    pub fn at(closed_at: Option<Timestamp>, expires_at: Timestamp, now: Timestamp) -> Self {
        if closed_at.is_some() {
            Self::Closed
        } else if now >= expires_at {
            Self::Expired
        } else {
            Self::Open
        }
    }
}
