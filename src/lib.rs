//! runmint: a standalone OIDC workload-identity issuer.
//!
//! An orchestrator opens a run; the run's request token mints short-lived signed tokens for exactly
//! that run and phase; relying parties check them against the published keys, which rotate without
//! one token failing. `ARCHITECTURE.md` is the map; [`domain`] is the glossary.
//!
//! ```text
//! http → auth → mint → keys, audit → store
//! ```

pub mod app;
pub mod audit;
pub mod auth;
pub mod batch;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
pub mod domain;
pub mod expression;
pub mod http;
pub mod keys;
pub mod limits;
pub mod metrics;
pub mod mint;
pub mod policy;
pub mod runner;
pub mod server;
pub mod store;
pub mod tls;
pub mod trust;
