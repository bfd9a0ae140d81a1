//! The runner's side, as jobs and their tools meet it.

mod files;
mod session;
mod vault;
