//! Where a URL leads, seen from here. An issuer names the URL of its keys, and a token its issuer: neither
//! may lead the doctor to what only this machine can reach, such as a cloud's metadata service.

use std::net::IpAddr;

use url::{Host, Url};

use super::seen::is_this_machine;

/// Where a URL leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::doctor) enum Place {
    /// To this machine itself.
    ThisMachine,
    /// To a link-local address (RFC 3927; RFC 4291, section 2.5.6), where clouds keep their metadata.
    Link,
    /// To another place.
    Elsewhere,
}

impl Place {
    /// By the name alone.
    fn of(url: &Url) -> Self {
        match url.host() {
            _ if is_this_machine(url) => Self::ThisMachine,
            Some(Host::Ipv4(address)) => Self::of_address(address.into()),
            Some(Host::Ipv6(address)) => Self::of_address(address.into()),
            Some(Host::Domain(_)) | None => Self::Elsewhere,
        }
    }

    /// By the name and the addresses that it has, if it has any.
    pub(in crate::doctor) fn of_host(url: &Url, addresses: &Result<Vec<IpAddr>, String>) -> Self {
        let addresses = addresses.iter().flatten().copied();
        let by_addresses = addresses.map(Self::of_address);
        std::iter::once(Self::of(url))
            .chain(by_addresses)
            .find(|place| *place != Self::Elsewhere)
            .unwrap_or(Self::Elsewhere)
    }

    fn of_address(address: IpAddr) -> Self {
        let (is_here, is_link) = match address.to_canonical() {
            // Linux connects 0.0.0.0 to itself.
            IpAddr::V4(v4) => (v4.is_loopback() || v4.octets()[0] == 0, v4.is_link_local()),
            IpAddr::V6(v6) => (
                v6.is_loopback() || v6.is_unspecified(),
                v6.is_unicast_link_local(),
            ),
        };
        match (is_here, is_link) {
            (true, _) => Self::ThisMachine,
            (_, true) => Self::Link,
            _ => Self::Elsewhere,
        }
    }
}

/// Why the URL of the keys is not followed: it reads on from the URL. Plain http is for a trial, where
/// issuer and keys are on this machine.
pub(in crate::doctor) fn fault(jwks_uri: &Url, issuer: &Url) -> Option<&'static str> {
    let is_trial = is_this_machine(issuer) && is_this_machine(jwks_uri);
    match jwks_uri.scheme() {
        "https" => {}
        "http" if is_trial => {}
        _ => return Some("is no https URL"),
    }
    strays(Place::of(jwks_uri), Place::of(issuer))
}

/// Why keys at this place are not fetched for an issuer at that one.
pub(in crate::doctor) fn strays(keys: Place, issuer: Place) -> Option<&'static str> {
    match keys {
        _ if keys == issuer => None,
        Place::ThisMachine => Some("leads to this machine, and the issuer is elsewhere"),
        Place::Link => Some("leads to a link-local address, and the issuer is elsewhere"),
        Place::Elsewhere => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn what_an_issuer_names_is_followed_only_to_where_it_is_itself() {
        let (remote, local) = ("https://ci.example.com", "http://localhost:8080");
        let (insecure, here, link) = ("no https", "this machine", "link-local");
        for (issuer, jwks_uri, expected) in [
            (remote, "https://keys.example.com/keys", None),
            (remote, "https://10.0.0.7/keys", None),
            (remote, "http://ci.example.com/keys", Some(insecure)),
            (remote, "http://localhost:8080/keys", Some(insecure)),
            (remote, "ftp://ci.example.com/keys", Some(insecure)),
            (remote, "https://localhost/keys", Some(here)),
            (remote, "https://a.localhost/keys", Some(here)),
            (remote, "https://127.9.9.9/keys", Some(here)),
            (remote, "https://0.0.0.0/keys", Some(here)),
            (remote, "https://[::1]/keys", Some(here)),
            (remote, "https://[::ffff:127.0.0.1]/keys", Some(here)),
            (remote, "https://2130706433/keys", Some(here)),
            (remote, "https://169.254.169.254/keys", Some(link)),
            (remote, "https://[fe80::1]/keys", Some(link)),
            (local, "http://localhost:8080/keys", None),
            (local, "http://127.0.0.1:9090/keys", None),
            (local, "https://keys.example.com/keys", None),
            (local, "http://keys.example.com/keys", Some(insecure)),
            (local, "http://169.254.169.254/keys", Some(insecure)),
            (local, "https://169.254.169.254/keys", Some(link)),
            (
                "http://ci.example.com",
                "http://ci.example.com/keys",
                Some(insecure),
            ),
        ] {
            let found = fault(&url(jwks_uri), &url(issuer));
            let is_right = match (found, expected) {
                (Some(found), Some(expected)) => found.contains(expected),
                (found, expected) => found == expected,
            };
            assert!(is_right, "{issuer} {jwks_uri}: {found:?}");
        }
    }

    #[test]
    fn a_name_is_where_one_of_its_addresses_is() {
        let name = url("https://ci.example.com");
        for (addresses, expected) in [
            (&[][..], Place::Elsewhere),
            (&["140.82.112.3", "10.0.0.7"], Place::Elsewhere),
            (&["140.82.112.3", "127.0.0.1"], Place::ThisMachine),
            (&["169.254.169.254"], Place::Link),
            (&["::ffff:169.254.169.254"], Place::Link),
        ] {
            let parsed: Vec<_> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(
                Place::of_host(&name, &Ok(parsed)),
                expected,
                "{addresses:?}"
            );
        }
    }
}
