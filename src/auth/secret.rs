//! Bearer secrets: 256 random bits behind a prefix, with a checksum, so that secret scanners find
//! them and a slip of the keyboard is told from a wrong secret. Kept as SHA-256 only: with that many
//! bits there is nothing that a slow hash would protect.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

/// Whose secret it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `rma_…`
    Admin,
    /// `rmc_…`
    Client,
    /// `rmr_…`
    Run,
}

/// A secret in the clear. It has no `Display`, its `Debug` says nothing, and it is wiped when
/// dropped.
pub struct Secret(Zeroizing<String>);

/// Why a text is no secret. The text itself is never part of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SecretError {
    /// It starts with another prefix.
    #[error("a {} is expected here, which starts with `{}`", .0.name(), .0.prefix())]
    Kind(Kind),
    /// It has the wrong length or other characters.
    #[error("the {} is not complete: it has `{}` and 72 hexadecimal digits", .0.name(), .0.prefix())]
    Form(Kind),
    /// Its checksum is wrong.
    #[error("the {} is mistyped: its checksum does not fit", .0.name())]
    Checksum(Kind),
    /// No randomness.
    #[error("no random bytes could be had")]
    Random,
}

const RANDOM_DIGITS: usize = 64;
const CHECKSUM_DIGITS: usize = 8;

impl Kind {
    /// What its secrets start with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Admin => "rma_",
            Self::Client => "rmc_",
            Self::Run => "rmr_",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin token",
            Self::Client => "client secret",
            Self::Run => "request token",
        }
    }
}

impl Secret {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`SecretError::Random`].
    pub fn generate(kind: Kind) -> Result<Self, SecretError> {
        let mut bytes = Zeroizing::new([0; RANDOM_DIGITS / 2]);
        rand::fill(&mut *bytes).map_err(|_| SecretError::Random)?;
        let mut text = Zeroizing::new(String::with_capacity(76));
        text.push_str(kind.prefix());
        for byte in bytes.iter() {
            push_hex(&mut text, *byte);
        }
        let checksum = crc32fast::hash(text.as_bytes());
        for byte in checksum.to_be_bytes() {
            push_hex(&mut text, byte);
        }
        Ok(Self(text))
    }

    /// Takes a text that somebody sent.
    ///
    /// # Errors
    /// What is wrong with its form; a well-formed one may still be unknown.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, SecretError> {
        let digits = text
            .strip_prefix(kind.prefix())
            .ok_or(SecretError::Kind(kind))?;
        let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != RANDOM_DIGITS + CHECKSUM_DIGITS || !digits.bytes().all(lower_hex) {
            return Err(SecretError::Form(kind));
        }
        let (body, checksum) = text.split_at(text.len() - CHECKSUM_DIGITS);
        if u32::from_str_radix(checksum, 16) != Ok(crc32fast::hash(body.as_bytes())) {
            return Err(SecretError::Checksum(kind));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The secret in the clear, to be handed out once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the store keeps of it: SHA-256 in hexadecimal.
    pub fn hash(&self) -> String {
        hash(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 in hexadecimal.
pub fn hash(secret: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, secret.as_bytes()).as_ref() {
        push_hex(&mut text, *byte);
    }
    text
}

fn push_hex(text: &mut String, byte: u8) {
    for digit in [byte >> 4, byte & 15] {
        text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_and_only_as_its_own_kind() {
        let secret = Secret::generate(Kind::Client).unwrap();
        let text = secret.expose();
        assert_eq!(text.len(), 76);
        assert_eq!(
            Secret::parse(Kind::Client, text).unwrap().hash(),
            secret.hash()
        );
        let error = Secret::parse(Kind::Run, text).unwrap_err();
        assert_eq!(error, SecretError::Kind(Kind::Run));
    }

    #[test]
    fn a_slip_of_the_keyboard_is_told_from_a_wrong_secret() {
        let secret = Secret::generate(Kind::Run).unwrap();
        let text = secret.expose();
        for at in 4..text.len() {
            let mut slip = text.to_owned().into_bytes();
            slip[at] = if slip[at] == b'0' { b'1' } else { b'0' };
            let slip = String::from_utf8(slip).unwrap();
            let error = Secret::parse(Kind::Run, &slip).unwrap_err();
            assert_eq!(error, SecretError::Checksum(Kind::Run));
        }
        for wrong in [
            &text[..70],
            "rmr_",
            &text.to_uppercase().replace("RMR_", "rmr_"),
        ] {
            assert!(Secret::parse(Kind::Run, wrong).is_err());
        }
    }

    #[test]
    fn debug_says_nothing() {
        let secret = Secret::generate(Kind::Admin).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn the_hash_is_sha_256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash("abc"), expected);
    }
}
