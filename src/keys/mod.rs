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
//! - [`plan`] decides, purely, what happens to which version.
//! - [`signer`] makes keys and signs; [`seal`] keeps private keys at rest.
//! - [`keyring`] is what signing and JWKS read: a snapshot, swapped whole, never the database.
//! - [`rotation`] carries plans out under a lease; [`publish`] looks from outside.

pub mod keyring;
pub mod plan;
pub mod publish;
pub mod rotation;
pub mod seal;
pub mod signer;
