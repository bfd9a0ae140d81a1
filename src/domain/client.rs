//! Clients: the orchestrators that open runs.

use super::grant::Grant;
use super::name::Name;
use super::time::Timestamp;

/// An orchestrator and what it may ask for. Its secrets are known by their hashes, to the store
/// alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Client {
    /// Its name, as audit and metrics call it.
    pub name: Name,
    /// What it may ask for.
    pub grants: Vec<Grant>,
    /// Whether its tokens carry AWS session tags.
    pub aws_session_tags: bool,
    /// When it was added.
    pub created_at: Timestamp,
}
