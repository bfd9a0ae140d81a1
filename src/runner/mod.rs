//! The runner's side: one run's request token becomes credentials that the clouds' SDKs find, fresh
//! for as long as they are needed, and gone afterwards.
//!
//! It talks to a server over HTTP like any other client; of the server's modules it knows none.
//! Printing is left to `cli`, and so is reading the process's environment, which comes in as an
//! [`Environment`].
//!
//! ```text
//! exec, agent → preparation → variables
//!             → session → cloud, vault → token_file
//!             → keep (gives the session its turns)
//! ```

pub mod account;
pub mod agent;
pub mod answer;
pub mod child;
pub mod cloud;
pub mod environment;
mod error;
pub mod exec;
pub(crate) mod http;
pub mod keep;
pub mod preparation;
pub mod reader;
pub mod redact;
pub mod request;
pub mod schedule;
pub mod session;
pub mod signals;
pub mod sts;
pub mod text;
pub mod token;
pub mod token_file;
pub mod variables;
pub mod vault;

pub use self::environment::Environment;
pub use self::error::RunnerError;
pub use self::text::SecretText;
pub use self::token::IdentityToken;
