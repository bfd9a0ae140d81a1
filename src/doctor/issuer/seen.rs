//! What was seen of an issuer: plain data, to be judged.

use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

use super::chain::{Chain, ChainError};
use crate::domain::time::Timestamp;

/// An issuer, as it was seen from this machine.
#[derive(Debug)]
pub struct Seen {
    /// The issuer's URL as it was given, byte for byte.
    pub issuer: String,
    /// Whether the CAs were given, rather than the system's.
    pub private_ca: bool,
    /// The hosts of discovery and keys, the issuer's own first; each once.
    pub hosts: Vec<HostSeen>,
    /// The discovery document.
    pub discovery: Option<Exchange>,
    /// The key set; nothing if no URL of one was found.
    pub jwks: Option<Exchange>,
}

/// A host that was looked at.
#[derive(Debug)]
pub struct HostSeen {
    /// Its name, and its port.
    pub url: Url,
    /// Its addresses.
    pub addresses: Result<Vec<IpAddr>, String>,
    /// The certificates that it shows; nothing for plain http.
    pub chain: Option<Result<Chain, ChainError>>,
}

/// A question and its answer.
#[derive(Debug)]
pub struct Exchange {
    /// What was asked for.
    pub url: String,
    /// When the answer had come, by this machine's clock.
    pub at: Timestamp,
    /// How long it took, with the connection.
    pub took: Duration,
    /// Why the certificate is not trusted. The documents were then fetched all the same, to be looked
    /// at: they are public, and nothing is believed because of them.
    pub distrust: Option<Distrust>,
    /// What came.
    pub outcome: Result<Answer, FetchError>,
}

/// Why a certificate is not trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Distrust {
    /// One of the chain has ended.
    Ended,
    /// It is for another host.
    Host,
    /// One of the chain is not valid yet.
    NotYet,
    /// Nobody who is trusted has issued it.
    Unknown,
    /// Something else, in the library's words.
    Other(String),
}

/// Why nothing came.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchError {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// The certificate is not trusted.
    #[error("its certificate is not trusted")]
    Distrusted(Distrust),
    /// TLS itself.
    #[error("{0}")]
    Tls(String),
    /// Nothing came in time.
    #[error("nothing came in time")]
    Timeout,
}

/// An answer over HTTP.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// `Location`
    pub location: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// `ETag`
    pub etag: Option<String>,
    /// `Date`
    pub date: Option<Timestamp>,
    /// `Age`: how many seconds ago a cache has asked for it.
    pub age: i64,
    /// The body, as far as it was read: 1 MiB.
    pub body: Vec<u8>,
    /// Whether there was more.
    pub is_cut: bool,
}

/// As much of an answer is read, in bytes.
pub(in crate::doctor) const MAX_BODY: usize = 1 << 20;

/// The path of the discovery document under an issuer (`OpenID` Connect Discovery 1.0, section 4).
pub(in crate::doctor) const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";

/// The issuer without what people add to it: the path of the discovery document, and the slash that the
/// standard takes away (section 4.1).
pub(in crate::doctor) fn bare(issuer: &str) -> &str {
    let issuer = issuer.strip_suffix(DISCOVERY_PATH).unwrap_or(issuer);
    issuer.strip_suffix('/').unwrap_or(issuer)
}

/// Whether a URL names this machine itself, by its name or by an address.
pub(in crate::doctor) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Somebody else's words on one line, without what would steer a terminal, cut off where they do not
/// end.
pub(in crate::doctor) fn shown(text: &str) -> String {
    const MOST: usize = 300;
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_add_to_an_issuer_is_taken_away() {
        for url in [
            "https://ci.example.com",
            "https://ci.example.com/",
            "https://ci.example.com/.well-known/openid-configuration",
        ] {
            assert_eq!(bare(url), "https://ci.example.com");
        }
        assert_eq!(
            bare("https://ci.example.com/a/"),
            "https://ci.example.com/a"
        );
    }

    #[test]
    fn what_would_steer_a_terminal_is_not_shown() {
        assert_eq!(
            shown("a\u{1b}[31m\nb\u{202e}c"),
            "a\u{fffd}[31m\u{fffd}b\u{fffd}c"
        );
        assert_eq!(shown(&"x".repeat(900)).chars().count(), 301);
    }
}
