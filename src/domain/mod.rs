//! The nouns and their rules. No I/O, no clock, no async, and no import of ours.
//!
//! Glossary, in the order in which a reader meets the words:
//!
//! - **Issuer**: the one URL that relying parties trust; a value, byte for byte ([`issuer`]).
//! - **Subject**: who a run is, as a relying party reads it ([`subject`]), built from **names**
//!   ([`name`]).
//! - **Workload**: a subject and the ids behind its names ([`workload`]).
//! - **Run**: one **phase** ([`phase`]) of one CI run, open until its deadline or until it is closed ([`run`]).
//! - **Claims**: what goes into a token, and in which order ([`claims`]); for how long is its
//!   **lifetime** ([`lifetime`]).
//! - **Client**: an orchestrator; its **grants** say what it may ask for, in **patterns** ([`client`],
//!   [`grant`], [`pattern`]).
//! - **Operator**: who looks after the server, with full **access** or to read ([`operator`]).
//! - **Secret**: what a client, an operator or a run proves itself by; of the first two, two at a time
//!   ([`secret`]).
//! - **Trusted issuer**: somebody else's issuer, whose tokens are exchanged for ours by its **rules**
//!   ([`trusted_issuer`]).
//! - **Key version**: one signing key and where it stands in its life ([`key`]).
//! - **Strict JSON**: what strangers and files say, where no member is named twice ([`strict_json`]).
//! - **Event**: everything the audit log can say ([`event`]).

pub mod claims;
pub mod client;
pub mod denial;
pub mod event;
pub mod grant;
pub mod issuer;
pub mod key;
pub mod lifetime;
pub mod name;
pub mod operator;
pub mod pattern;
pub mod phase;
pub mod run;
pub mod secret;
pub mod strict_json;
pub mod subject;
pub mod time;
pub mod trusted_issuer;
pub mod workload;

/// A value that was refused: which field, and the rule it broke with what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{field}` {rule}")]
pub struct InvalidField {
    /// The field as the caller wrote it, e.g. `workspace` or `audiences`.
    pub field: String,
    /// The rule in words a person can act on; reads on from the field's name.
    pub rule: String,
}

impl InvalidField {
    /// A refusal of `field` because of `rule`.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
        }
    }
}
