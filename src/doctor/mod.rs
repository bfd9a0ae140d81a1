//! Says what is wrong when a relying party says no, and what to do about it.
//!
//! Every check gives a [`Report`]: findings, each of a [`Kind`] that has a stable id and a page in
//! `docs/findings/`, and facts that were seen on the way. Only `issuer` and the fetching of keys go out
//! to the network; the rest is given what it looks at.

pub mod environment;
pub mod errors;
pub mod explain;
mod finding;
pub mod issuer;
pub mod kinds;
pub mod pages;
pub mod policy;
pub mod token;

pub use self::finding::{Finding, Kind, Report, Severity};
