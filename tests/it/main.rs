//! All tests that touch HTTP or SQL, in one binary. They run on SQLite, and again on Postgres with
//! `RUNMINT_TEST_STORE=postgres`; `script/test` does both.
//!
//! Clippy takes only `#[cfg(test)]` modules for tests, hence the attribute on each.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod api;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod domain;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod foreign;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod introspect;
#[cfg(test)]
mod issuer_keys;
#[cfg(test)]
mod issuers;
#[cfg(test)]
mod jwks;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod mappings;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod operators;
#[cfg(test)]
mod process;
#[cfg(test)]
mod program;
#[cfg(test)]
mod races;
#[cfg(test)]
mod request;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod store;
#[cfg(test)]
mod surroundings;
#[cfg(test)]
mod threats;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod trust;
