//! A published key (RFC 7517, RFC 7518).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A key of a set.
#[derive(Clone, Copy, Debug)]
pub(in crate::doctor) struct PublishedKey<'a>(pub(in crate::doctor) &'a Value);

/// Members that only the owner of a key may have (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What a public key needs.
const NEEDED: [&str; 9] = ["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"];

/// The members of certificates.
const CERTIFICATES: [&str; 4] = ["x5c", "x5t", "x5t#S256", "x5u"];

impl<'a> PublishedKey<'a> {
    pub(in crate::doctor) fn kid(self) -> Option<&'a str> {
        self.text("kid").filter(|kid| !kid.is_empty())
    }

    /// The algorithm that it names, else the usual one of its type.
    pub(in crate::doctor) fn algorithm(self) -> Option<&'a str> {
        let by_type = match (self.text("kty")?, self.text("crv")) {
            ("RSA", _) => "RS256",
            ("EC", Some("P-256")) => "ES256",
            ("EC", Some("P-384")) => "ES384",
            ("EC", Some("P-521")) => "ES512",
            ("OKP", Some("Ed25519")) => "EdDSA",
            _ => return None,
        };
        Some(self.text("alg").unwrap_or(by_type))
    }

    /// In words: `RSA with 2048 bits`, `EC P-256`.
    pub(super) fn description(self) -> String {
        match (self.text("kty"), self.text("crv")) {
            (Some("RSA"), _) => format!("RSA with {} bits", self.bits()),
            (Some(kty), Some(crv)) => format!("{kty} {crv}"),
            (kty, _) => kty.unwrap_or("of no type").to_owned(),
        }
    }

    /// How many bits an RSA modulus has.
    pub(super) fn bits(self) -> usize {
        let bytes = self.bytes("n").unwrap_or_default();
        let leading = bytes.iter().take_while(|byte| **byte == 0).count();
        let first = bytes
            .get(leading)
            .map_or(0, |byte| byte.leading_zeros() as usize);
        (bytes.len() - leading) * 8 - first
    }

    /// Why it cannot be used at all, if it cannot; reads on from "the key".
    pub(super) fn fault(self) -> Option<String> {
        let Some(kty) = self.text("kty") else {
            return Some("has no `kty`".to_owned());
        };
        let numbers: &[&str] = match (kty, self.text("crv")) {
            ("RSA", _) => &["n", "e"],
            ("EC", Some("P-256" | "P-384" | "P-521")) => &["x", "y"],
            ("OKP", Some("Ed25519")) => &["x"],
            ("EC" | "OKP", _) => {
                return Some("is on a curve that nobody uses for tokens".to_owned());
            }
            _ => return Some("is of a type that nobody uses for tokens".to_owned()),
        };
        let broken = numbers.iter().find(|name| self.bytes(name).is_none());
        broken.map(|name| format!("has no `{name}` in base64url"))
    }

    /// The members that nobody but its owner may have.
    pub(super) fn private_members(self) -> Vec<&'static str> {
        PRIVATE
            .into_iter()
            .filter(|name| !self.0[*name].is_null())
            .collect()
    }

    /// The members of certificates that it has.
    pub(super) fn certificate_members(self) -> Vec<&'static str> {
        CERTIFICATES
            .into_iter()
            .filter(|name| !self.0[*name].is_null())
            .collect()
    }

    /// Other members that a public key does not need.
    pub(super) fn further_members(self) -> Vec<&'a str> {
        let members = self.0.as_object().into_iter().flatten();
        let names = members.map(|(name, _)| name.as_str());
        let is_known = |name: &str| {
            let known = NEEDED
                .iter()
                .chain(&PRIVATE)
                .chain(&CERTIFICATES)
                .chain(&["key_ops"]);
            known.into_iter().any(|known| *known == name)
        };
        names.filter(|name| !is_known(name)).collect()
    }

    /// Its thumbprint (RFC 7638): SHA-256 over the required members in order, without white space.
    pub(in crate::doctor) fn thumbprint(self) -> Option<String> {
        let names: &[&str] = match self.text("kty")? {
            "RSA" => &["e", "kty", "n"],
            "EC" => &["crv", "kty", "x", "y"],
            "OKP" => &["crv", "kty", "x"],
            _ => return None,
        };
        let members: Option<Vec<String>> = names
            .iter()
            .map(|name| Some(format!("\"{name}\":{}", Value::from(self.text(name)?))))
            .collect();
        let text = format!("{{{}}}", members?.join(","));
        Some(URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())))
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.0[name].as_str()
    }

    fn bytes(self, name: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(self.text(name)?).ok()?;
        (!bytes.is_empty()).then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_standard_s_example() {
        // RFC 7638, section 3.1.
        let key = json!({"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"});
        let key = PublishedKey(&key);
        assert_eq!(
            key.thumbprint().unwrap(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        assert_eq!(key.description(), "RSA with 2048 bits");
        assert_eq!(key.fault(), None);
    }
}
