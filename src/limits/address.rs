//! Whose request it is, as far as an address tells.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::config::Networks;

/// What counts as one caller: an IPv4 address, or the first 64 bits of an IPv6 one, since whoever has one
/// of those has all under it (RFC 6177 section 2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Address(IpAddr);

impl Address {
    /// Of a request that came through no socket.
    pub const NONE: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

    /// Whose request it is that came from `peer` with these values of `X-Forwarded-For`.
    ///
    /// Each proxy appends the address that it was called from. So the list is read from its end, for as
    /// long as a trusted proxy wrote it; what stands before that, a caller may have made up. `Forwarded`
    /// (RFC 7239) is not read: a proxy that writes one of the two lets the other one pass unseen.
    pub(super) fn behind<'a>(
        trusted: &Networks,
        peer: IpAddr,
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Self {
        let mut address = peer.to_canonical();
        let mut list = forwarded_for
            .rev()
            .flat_map(|value| value.rsplit(|byte| *byte == b','));
        while trusted.contain(address) {
            let Some(before) = list.next().and_then(parse) else {
                break;
            };
            address = before;
        }
        Self::from(address)
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from(network))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

/// Some proxies add the port, and IPv6 in brackets.
fn parse(item: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(item).ok()?.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(peer: &str, forwarded_for: &[&str]) -> String {
        let trusted = "10.0.0.0/8, fd00::/8".parse().unwrap();
        let values = forwarded_for.iter().map(|value| value.as_bytes());
        Address::behind(&trusted, peer.parse().unwrap(), values).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        for (peer, forwarded_for, caller) in [
            ("192.0.2.1", &[][..], "192.0.2.1"),
            // Anybody can write a header.
            ("192.0.2.1", &["198.51.100.7"], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            (
                "10.0.0.1",
                &["203.0.113.9,198.51.100.7 , 10.0.0.2"],
                "198.51.100.7",
            ),
            // A trusted proxy that was called by itself, or that says nothing.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // What cannot be read ends the list.
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            // As proxies write addresses.
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::/64"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::/64"),
            ("fd00::1", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
            ("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
        ] {
            assert_eq!(
                behind(peer, forwarded_for),
                caller,
                "{peer} {forwarded_for:?}"
            );
        }
    }

    #[test]
    fn a_header_that_is_no_text_hides_nobody() {
        let trusted = "10.0.0.1".parse().unwrap();
        let peer = "10.0.0.1".parse().unwrap();
        let values: [&[u8]; 1] = [b"\xff, 198.51.100.7"];
        let caller = Address::behind(&trusted, peer, values.into_iter());
        assert_eq!(caller.to_string(), "198.51.100.7");
    }
}
