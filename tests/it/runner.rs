//! The runner's side, as jobs and their tools meet it.

mod child;
pub(crate) mod files;
mod session;
mod vault;
