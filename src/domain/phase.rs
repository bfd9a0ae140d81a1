//! The phases of a run.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidField;

/// What a run does: look, or change.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reads and plans.
    Plan,
    /// Changes what was planned.
    Apply,
}

impl Phase {
    /// Both, in the order in which a run goes through them.
    pub const ALL: [Self; 2] = [Self::Plan, Self::Apply];

    /// Takes `value` as the phase in `field`.
    ///
    /// # Errors
    /// Names the field when the value is neither `plan` nor `apply`.
    pub fn parse(field: &str, value: &str) -> Result<Self, InvalidField> {
        Self::ALL
            .into_iter()
            .find(|phase| phase.as_str() == value)
            .ok_or_else(|| InvalidField::new(field, "must be `plan` or `apply`"))
    }

    /// As it stands in the subject and in `terraform_run_phase`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
