//! A foreign token before its signature is checked: its form, and the claims that decide whether to
//! look at the signature at all. Reading them costs microseconds and no key.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::issuer_keys::IssuerKey;
use super::secret::hash;
use crate::domain::strict_json::{self, TOKEN_DEPTH};
use crate::domain::time::Timestamp;
use crate::domain::trusted_issuer::{Definition, LONGEST_TOKEN_AGE, TokenAlgorithm};

/// A token in compact form (RFC 7515 section 7.1) whose signature nobody has looked at.
#[derive(Debug)]
pub(super) struct Unverified<'a> {
    /// What is signed: header and payload, encoded.
    message: &'a str,
    /// The signature, encoded.
    signature: &'a str,
    /// How it says that it is signed.
    pub(super) algorithm: TokenAlgorithm,
    /// Which key it says that it is signed with.
    pub(super) kid: String,
    /// Who it says that it is of.
    pub(super) issuer: String,
    /// All claims.
    claims: Value,
}

/// The times of a token, looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Validity {
    /// From when on it is not accepted.
    pub(super) until: Timestamp,
    /// From when on nobody need remember that it was taken, whatever `max_token_age` becomes.
    pub(super) forget_at: Timestamp,
}

/// Why a token is refused; for log and audit, never for whoever sent it.
pub(super) type Reason = String;

/// Real ones have one to three kilobytes.
pub(super) const MAX_TOKEN: usize = 16 * 1024;

const MAX_KID: usize = 256;

/// What a token could bring its own key in (RFC 7515 section 4.1), or what changes how it is read.
const DANGEROUS: [&str; 6] = ["jwk", "jku", "x5u", "x5c", "crit", "b64"];

/// Clocks of issuers may be ahead by as much, in seconds. For `exp` there is no leeway.
const CLOCK_SKEW: i64 = 60;

/// The end of the year 9999, the last that RFC 3339 can write.
const LATEST: i64 = 253_402_300_799;

impl<'a> Unverified<'a> {
    pub(super) fn parse(token: &'a str) -> Result<Self, Reason> {
        if token.len() > MAX_TOKEN {
            return Err(format!("it is larger than {MAX_TOKEN} bytes"));
        }
        let not_compact = || "it is no JWT: three parts in base64url are expected".to_owned();
        let (message, signature) = token.rsplit_once('.').ok_or_else(not_compact)?;
        let (header, payload) = message.split_once('.').ok_or_else(not_compact)?;
        if payload.contains('.') {
            return Err(not_compact());
        }
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| not_compact());
        let header = object("header", &decode(header)?)?;
        // Before anything else is taken from it.
        let name = string(&header, "alg").ok_or("its header has no `alg`")?;
        let algorithm = TokenAlgorithm::find(name)
            .ok_or_else(|| format!("its algorithm {} is not taken from anybody", shown(name)))?;
        if let Some(member) = DANGEROUS
            .iter()
            .find(|member| header.contains_key(**member))
        {
            return Err(format!(
                "its header has `{member}`, which is not taken from a token"
            ));
        }
        match header.get("typ") {
            None => {}
            Some(Value::String(typ)) if typ.eq_ignore_ascii_case("JWT") => {}
            Some(_) => return Err("its `typ` is not `JWT`".to_owned()),
        }
        let kid = string(&header, "kid").ok_or("its header has no `kid`")?;
        if kid.is_empty() || kid.len() > MAX_KID {
            return Err(format!("its `kid` must have 1 to {MAX_KID} bytes"));
        }
        let claims = object("payload", &decode(payload)?)?;
        let issuer = string(&claims, "iss").ok_or("it has no `iss`")?;
        Ok(Self {
            message,
            signature,
            algorithm,
            kid: kid.to_owned(),
            issuer: issuer.to_owned(),
            claims: Value::Object(claims),
        })
    }

    /// Everything about it that can be said without a key.
    pub(super) fn check(&self, trusted: &Definition, now: Timestamp) -> Result<Validity, Reason> {
        if !trusted.algorithms.contains(&self.algorithm) {
            return Err(format!(
                "its algorithm {} is not among this issuer's `algorithms`",
                self.algorithm.as_str()
            ));
        }
        let wanted = |audience: &Value| {
            audience
                .as_str()
                .is_some_and(|audience| trusted.audiences.iter().any(|own| own == audience))
        };
        let is_for_us = match &self.claims["aud"] {
            Value::Array(several) => several.iter().any(wanted),
            one => wanted(one),
        };
        if !is_for_us {
            return Err(format!(
                "its `aud` {} is not among this issuer's `audiences`",
                shown(&self.claims["aud"].to_string())
            ));
        }
        let expires_at = self.time("exp")?.ok_or("it has no `exp`")?;
        let issued_at = self.time("iat")?.ok_or("it has no `iat`")?;
        if expires_at <= now.0 {
            return Err(format!("it expired at {}", Timestamp(expires_at)));
        }
        if issued_at > now.0 + CLOCK_SKEW {
            return Err(format!(
                "it is issued in the future, at {}",
                Timestamp(issued_at)
            ));
        }
        if let Some(not_before) = self.time("nbf")?
            && not_before > now.0 + CLOCK_SKEW
        {
            return Err(format!("it is valid from {} on", Timestamp(not_before)));
        }
        let oldest = issued_at + trusted.max_token_age;
        if oldest <= now.0 {
            return Err(format!(
                "it was issued at {}, longer ago than `max_token_age`",
                Timestamp(issued_at)
            ));
        }
        Ok(Validity {
            until: Timestamp(expires_at.min(oldest)),
            forget_at: Timestamp(expires_at.min(issued_at + LONGEST_TOKEN_AGE)),
        })
    }

    /// Whether one of these keys of its issuer has signed it.
    pub(super) fn is_signed_by(&self, keys: &[IssuerKey]) -> bool {
        keys.iter()
            .any(|key| key.verifies(self.algorithm, self.message, self.signature))
    }

    /// The claims, to be believed once the signature has been checked.
    pub(super) fn into_claims(self) -> Value {
        self.claims
    }

    /// What is remembered of it once it was taken: a hash of `jti` if it has one, else of what is
    /// signed. Not of the signature, because an ECDSA signature has a twin.
    pub(super) fn fingerprint(&self) -> String {
        match self.claims["jti"].as_str() {
            Some(jti) => hash(&format!("jti\n{}\n{jti}", self.issuer)),
            None => hash(&format!("jws\n{}\n{}", self.issuer, self.message)),
        }
    }

    /// A hash of whose token it says that it is.
    pub(super) fn holder(&self) -> String {
        let sub = self.claims["sub"].as_str().unwrap_or_default();
        hash(&format!("holder\n{}\n{sub}", self.issuer))
    }

    /// Some words about it for the log: what it says that it is.
    pub(super) fn described(&self) -> String {
        let claim = |name: &str| self.claims[name].as_str().map(shown);
        let sub = claim("sub").unwrap_or_else(|| "-".to_owned());
        match claim("jti") {
            Some(jti) => format!("sub {sub}, jti {jti}"),
            None => format!("sub {sub}"),
        }
    }

    /// A time of RFC 7519 section 2; with a fraction it is rounded down.
    fn time(&self, name: &str) -> Result<Option<i64>, Reason> {
        let number = match &self.claims[name] {
            Value::Null => return Ok(None),
            value => value.as_i64().or_else(|| whole(value.as_f64()?)),
        };
        match number {
            Some(time) if (0..=LATEST).contains(&time) => Ok(Some(time)),
            _ => Err(format!("its `{name}` is no time")),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is looked at before"
)]
fn whole(number: f64) -> Option<i64> {
    (0.0..1e12).contains(&number).then_some(number as i64)
}

fn object(what: &str, bytes: &[u8]) -> Result<Map<String, Value>, Reason> {
    match strict_json::parse::<TOKEN_DEPTH>(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(format!("its {what} is no JSON object")),
        Err(error) => Err(format!("its {what} is refused: {error}")),
    }
}

fn string<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// As much of a stranger's text as a log needs, and nothing that could look like another line.
pub(super) fn shown(text: &str) -> String {
    let mut start: String = text
        .chars()
        .take(200)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(200).is_some() {
        start.push('…');
    }
    format!("`{start}`")
}

/// The fingerprint of bytes that are no JWT, for a log that must not hold them.
pub(super) fn fingerprint_of(text: &str) -> String {
    let digest = digest(&SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..9])
}
