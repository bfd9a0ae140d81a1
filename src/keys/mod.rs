//! The life of the signing keys.
//!
//! ```text
//!            generate + seal            probe saw it, prepublish passed
//!  nothing ─────────────────▶ Staged ─────────────────────────────▶ Active
//!                               │                                     │ successor is ready
//!                        revoke │◀────────────── revoke ──────────────┤
//!                               ▼                                     ▼
//!                            Revoked ◀──────────── revoke ───────── Retiring ──────▶ Retired
//!                                                              last token dead, trim_after
//! ```
//!
//! - [`plan`] decides, purely, what happens to which version by schedule, [`orders`] what by an
//!   operator's word.
//! - [`signer`] makes keys and signs; [`seal`] keeps private keys at rest.
//! - [`keyring`] is what signing and JWKS read: a snapshot, swapped whole, never the database.
//! - [`publish`] looks from outside; [`rotation`] carries plans out under a lease; [`schedule`] does
//!   both again and again.

pub mod keyring;
pub mod orders;
mod outcome;
pub mod plan;
pub mod publish;
pub mod rotation;
pub mod schedule;
pub mod seal;
pub mod signer;
