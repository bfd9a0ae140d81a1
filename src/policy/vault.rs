//! TODO

use serde_json::Value;

use super::{BadPolicy, Change, Document, Presented, Verdict};

/// TODO
#[derive(Clone, Debug)]
pub struct Policy;

/// Whether a document is one of these.
pub fn recognizes(_document: &Value) -> bool {
    false
}

impl Policy {
    /// Reads the documents.
    ///
    /// # Errors
    /// [`BadPolicy`] names the place.
    pub fn read(_documents: &[Document]) -> Result<Self, BadPolicy> {
        Ok(Self)
    }

    /// What it says about a token.
    pub fn evaluate(&self, _presented: &Presented) -> Verdict {
        Verdict::of(Vec::new())
    }

    /// The smallest change with which it admits the token, and the policy after it.
    pub fn admitting(&self, _presented: &Presented) -> Option<(Change, Self)> {
        None
    }
}
