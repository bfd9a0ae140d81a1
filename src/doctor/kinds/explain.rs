//! What `explain` finds.

use crate::doctor::Kind;

/// All of them.
pub const ALL: &[&Kind] = &[];
