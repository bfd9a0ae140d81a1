//! The issuer: one value, byte for byte, from the configuration to `iss`, discovery and every URL.

use std::fmt;

use super::InvalidField;

/// The configured issuer URL, and every public path under it.
///
/// Relying parties compare it as a string (OpenID Connect Discovery 1.0 section 4.3), so nothing
/// here parses it and prints it again: what was configured is what is said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issuer {
    url: String,
    path_start: usize,
}

/// AWS IAM takes at most 255 characters for an OIDC provider's URL.
const MAX_LENGTH: usize = 255;

const FIELD: &str = "issuer.url";

impl Issuer {
    /// Takes a URL that every relying party can accept.
    ///
    /// # Errors
    /// Names `issuer.url` and the rule: `https` (plain `http` only towards this machine), lower-case
    /// host, no user info, query or fragment, no slash at the end, at most 255 bytes.
    pub fn parse(url: &str) -> Result<Self, InvalidField> {
        let refuse = |rule: &str| Err(InvalidField::new(FIELD, rule));
        if url.len() > MAX_LENGTH {
            return refuse("is longer than the 255 bytes that AWS accepts");
        }
        if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refuse("may hold printable ASCII characters only");
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return refuse("must be a URL such as `https://ci.example.com`");
        };
        if rest.contains(['?', '#']) {
            return refuse("may not have a query or a fragment");
        }
        if url.ends_with('/') {
            return refuse("may not end with a slash: relying parties compare it byte for byte");
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return refuse("may not hold a user name or a password");
        }
        if authority.is_empty() || authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return refuse("needs a host in lower case");
        }
        let path = &rest[authority.len()..];
        if path.contains("//") || path.split('/').any(|part| part == "." || part == "..") {
            return refuse("may not have an empty or a dotted path segment");
        }
        if path.contains(['{', '}', '*', '%', ':']) {
            return refuse("may not hold `{`, `}`, `*`, `%` or `:` in its path");
        }
        match scheme {
            "https" => {}
            "http" if is_loopback(authority) => {}
            "http" => {
                return refuse(
                    "must start with `https://`: relying parties refuse plain http \
                     (it is taken for 127.0.0.1, [::1] and localhost only)",
                );
            }
            _ => return refuse("must start with `https://`"),
        }
        Ok(Self {
            url: url.to_owned(),
            path_start: url.len() - path.len(),
        })
    }

    /// The issuer string itself: `iss`, and the `issuer` of the discovery document.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The path of the issuer: empty, or `/oidc` for `https://ci.example.com/oidc`.
    pub fn path(&self) -> &str {
        &self.url[self.path_start..]
    }

    /// The full URL of a public route, e.g. `/.well-known/jwks`.
    pub fn url_of(&self, route: &str) -> String {
        format!("{}{route}", self.url)
    }

    /// What a relying party may object to although the URL is well-formed.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.url.starts_with("http://") {
            warnings.push(
                "issuer.url is plain http on this machine: good for a trial, \
                 but no cloud will accept it"
                    .to_owned(),
            );
        } else if has_port(self.authority()) {
            warnings.push("issuer.url has a port: AWS asks for an issuer without one".to_owned());
        }
        warnings
    }

    fn authority(&self) -> &str {
        let start = self.url.find("://").map_or(0, |at| at + 3);
        &self.url[start..self.path_start]
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn is_loopback(authority: &str) -> bool {
    let host = if has_port(authority) {
        authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host)
    } else {
        authority
    };
    host == "localhost"
        || host == "[::1]"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_is_kept_byte_for_byte() {
        for url in [
            "https://ci.example.com",
            "https://ci.example.com/oidc",
            "https://ci.example.com/Team-A/oidc",
            "http://127.0.0.1:8080",
            "http://localhost:8080/x",
            "http://[::1]:8080",
        ] {
            assert_eq!(Issuer::parse(url).unwrap().as_str(), url);
        }
    }

    #[test]
    fn the_path_is_what_follows_the_host() {
        let path = |url| Issuer::parse(url).unwrap().path().to_owned();
        assert_eq!(path("https://ci.example.com"), "");
        assert_eq!(path("https://ci.example.com/a/b"), "/a/b");
    }

    #[test]
    fn what_a_relying_party_would_refuse_is_refused() {
        for url in [
            "",
            "ci.example.com",
            "ftp://ci.example.com",
            "http://ci.example.com",
            "http://127.0.0.1.example.com",
            "https://ci.example.com/",
            "https://ci.example.com/oidc/",
            "https://CI.example.com",
            "https://user@ci.example.com",
            "https://ci.example.com?x=1",
            "https://ci.example.com#x",
            "https://ci.example.com//oidc",
            "https://ci.example.com/../oidc",
            "https://ci.example.com/{run}",
            "https://ci.example.com/:run",
            "https://ci.example.com/a b",
            "https://",
        ] {
            let refusal = Issuer::parse(url).unwrap_err();
            assert_eq!(refusal.field, "issuer.url", "{url}");
        }
        assert!(Issuer::parse(&format!("https://{}", "a".repeat(250))).is_err());
    }

    #[test]
    fn a_port_is_worth_a_warning() {
        let warnings = |url| Issuer::parse(url).unwrap().warnings().len();
        assert_eq!(warnings("https://ci.example.com"), 0);
        assert_eq!(warnings("https://ci.example.com:8443"), 1);
        assert_eq!(warnings("http://127.0.0.1:8080"), 1);
    }
}
