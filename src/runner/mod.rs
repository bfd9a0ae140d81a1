//! The runner's side: one run's request token becomes credentials that the clouds' SDKs find, fresh
//! for as long as they are needed, and gone afterwards.
//!
//! It talks to a server over HTTP like any other client; of the server's modules it knows none.
//! Printing is left to `cli`, and so is reading the process's environment, which comes in as an
//! [`Environment`].

pub mod child;
pub mod environment;
pub mod redact;
pub mod request;
pub mod signals;
pub mod text;
pub mod token;
pub mod variables;

pub use self::environment::Environment;
pub use self::text::SecretText;
pub use self::token::IdentityToken;
