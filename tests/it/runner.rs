//! The runner's side, part by part.

mod session;
mod vault;
