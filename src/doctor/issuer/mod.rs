//! An issuer as a relying party sees it: URL, name, certificates, discovery, keys.
//!
//! [`look()`] goes out and takes down what is [`Seen`]; [`judge`] says what is wrong with it, and touches
//! nothing. [`fetch_chain`] alone is of use elsewhere: AWS wants the thumbprint of a chain.

mod answer;
mod chain;
pub(in crate::doctor) mod compare;
mod discovery;
mod form;
pub(in crate::doctor) mod jwk;
mod jwks;
pub(in crate::doctor) mod look;
mod network;
pub(in crate::doctor) mod party;
pub(in crate::doctor) mod place;
pub(in crate::doctor) mod seen;
#[cfg(test)]
mod tests;

pub use self::chain::{Certificate, Chain, ChainError, fetch_chain};
pub use self::look::{LookError, Options, TIMEOUT, look};
pub use self::seen::{Answer, Distrust, Exchange, FetchError, HostSeen, Seen};
use crate::doctor::Report;
use crate::domain::time::Timestamp;

/// Says what a relying party would find wrong.
pub fn judge(seen: &Seen, now: Timestamp) -> Report {
    let mut report = Report::default();
    report.fact("issuer", seen::shown(&seen.issuer));
    form::judge(&seen.issuer, &mut report);
    for host in &seen.hosts {
        network::judge(host, seen, now, &mut report);
    }
    if let Some(exchange) = &seen.discovery {
        let document = answer::judge(exchange, "discovery", &mut report);
        if let Some(document) = document {
            discovery::judge(&document, seen, &mut report);
        }
    }
    if let Some(exchange) = &seen.jwks {
        let document = answer::judge(exchange, "key set", &mut report);
        if let Some(document) = document {
            answer::judge_caching(exchange, &mut report);
            jwks::judge(&document, &mut report);
        }
    }
    answer::judge_clocks(seen, &mut report);
    report
}
