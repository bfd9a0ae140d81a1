//! Operators: the people and programs that look after this server.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::name::Name;
use super::time::Timestamp;

/// Whoever holds the configured admin token is called so; no other operator can be.
pub const CONFIGURED: &str = "admin";

/// What an operator may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Everything.
    #[default]
    Full,
    /// Look at everything, change nothing.
    Read,
}

impl Access {
    /// Its name, as the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Read => "read",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Full, Self::Read]
            .into_iter()
            .find(|access| access.as_str() == text)
    }
}

/// An operator. Its tokens are known by their hashes, to the store alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operator {
    /// Its name, as audit and logs call it.
    pub name: Name,
    /// What it may do.
    pub access: Access,
    /// When it was added; `None` for [`CONFIGURED`], which was always there.
    pub created_at: Option<Timestamp>,
    /// When one of its tokens was last used, give or take a minute; `None` for never.
    pub last_used_at: Option<Timestamp>,
}
