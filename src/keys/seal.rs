//! Private keys at rest: sealed with AES-256-GCM under a key-encryption key.
//!
//! The associated data binds version, kid and algorithm, so a sealed key that was moved to another
//! row does not open.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::domain::key::{Algorithm, Version};

/// Seals with one key-encryption key and opens with it or with the ones before it.
#[derive(Debug)]
pub struct Sealer {
    current: SealingKey,
    previous: Vec<SealingKey>,
}

/// A key-encryption key: 256 bits, known by an id that gives nothing away.
pub struct SealingKey {
    id: String,
    key: LessSafeKey,
}

/// Which private key is sealed: the associated data.
#[derive(Clone, Copy, Debug)]
pub struct Label<'a> {
    /// Its version.
    pub version: Version,
    /// Its thumbprint.
    pub kid: &'a str,
    /// Its algorithm.
    pub algorithm: Algorithm,
}

/// Why a sealed key does not open, or a key-encryption key is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// The text is no key.
    #[error(
        "this is no key: it must be 32 bytes in base64, as `openssl rand -base64 32` prints them"
    )]
    NoKey,
    /// Sealed under a key-encryption key that is not configured.
    #[error(
        "key version {version} is sealed with the key-encryption key {sealed_with}, \
         but the configured one is {configured}: configure the right one, \
         or name the old one as `keys.previous_sealing_key_file`"
    )]
    OtherKey {
        /// The version that does not open.
        version: Version,
        /// The id of the key it is sealed with.
        sealed_with: String,
        /// The id of the key there is.
        configured: String,
    },
    /// The bytes were changed, or belong to another row.
    #[error("the sealed private key of version {0} is damaged or belongs to another version")]
    Damaged(Version),
    /// The random generator or the cipher failed.
    #[error("the cipher failed")]
    Cipher,
}

const FORMAT: &str = "v1";

impl SealingKey {
    /// Reads 32 bytes in base64 or hexadecimal; white space around them does not matter.
    ///
    /// # Errors
    /// [`SealError::NoKey`].
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let bytes = Zeroizing::new(
            STANDARD
                .decode(text)
                .ok()
                .filter(|bytes| bytes.len() == 32)
                .or_else(|| {
                    URL_SAFE_NO_PAD
                        .decode(text)
                        .ok()
                        .filter(|bytes| bytes.len() == 32)
                })
                .or_else(|| from_hex(text))
                .ok_or(SealError::NoKey)?,
        );
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::NoKey)?;
        // The digest is over the key and a constant, so the id is no oracle for anything else.
        let mut seed = Zeroizing::new(b"runmint key-encryption key id".to_vec());
        seed.extend_from_slice(&bytes);
        let id = URL_SAFE_NO_PAD.encode(&digest(&SHA256, &seed).as_ref()[..6]);
        Ok(Self {
            id,
            key: LessSafeKey::new(key),
        })
    }

    /// A new one, as the text that [`Self::parse`] reads.
    ///
    /// # Errors
    /// [`SealError::Cipher`] when there is no randomness.
    pub fn generate() -> Result<Zeroizing<String>, SealError> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(&mut *bytes).map_err(|_| SealError::Cipher)?;
        Ok(Zeroizing::new(STANDARD.encode(*bytes)))
    }

    /// Eight characters that tell it from others.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Sealer {
    /// Seals with `current`; opens with it or any of `previous`.
    pub fn new(current: SealingKey, previous: Vec<SealingKey>) -> Self {
        Self { current, previous }
    }

    /// The id of the key that seals.
    pub fn key_id(&self) -> &str {
        self.current.id()
    }

    /// Whether `sealed` is under the current key.
    pub fn is_current(&self, sealed: &str) -> bool {
        sealed.split('.').nth(1) == Some(self.current.id())
    }

    /// Seals a private key (PKCS #8, DER) as `v1.KEY-ID.BASE64URL(nonce, ciphertext, tag)`.
    ///
    /// # Errors
    /// [`SealError::Cipher`].
    pub fn seal(&self, label: Label<'_>, private: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Cipher)?;
        let mut buffer = Zeroizing::new(private.to_vec());
        let tag = self
            .current
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated(label)),
                &mut buffer,
            )
            .map_err(|_| SealError::Cipher)?;
        let sealed = [&nonce, buffer.as_slice(), tag.as_ref()].concat();
        Ok(format!(
            "{FORMAT}.{}.{}",
            self.current.id,
            URL_SAFE_NO_PAD.encode(sealed)
        ))
    }

    /// Opens what [`Self::seal`] made under the same label. The bytes are wiped when dropped.
    ///
    /// # Errors
    /// [`SealError::OtherKey`] or [`SealError::Damaged`].
    pub fn open(&self, label: Label<'_>, sealed: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let damaged = || SealError::Damaged(label.version);
        let mut parts = sealed.split('.');
        let (Some(FORMAT), Some(id), Some(body), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(damaged());
        };
        let key = std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|key| key.id == id)
            .ok_or_else(|| SealError::OtherKey {
                version: label.version,
                sealed_with: id.to_owned(),
                configured: self.current.id.clone(),
            })?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| damaged())?;
        let (nonce, ciphertext) = bytes.split_at_checked(NONCE_LEN).ok_or_else(damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged())?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = key
            .key
            .open_in_place(nonce, Aad::from(associated(label)), &mut buffer)
            .map_err(|_| damaged())?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

fn associated(label: Label<'_>) -> Vec<u8> {
    format!(
        "runmint/{}/{}/{}",
        label.version, label.kid, label.algorithm
    )
    .into_bytes()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..32)
        .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealingKey {
        SealingKey::parse(&SealingKey::generate().unwrap()).unwrap()
    }

    const LABEL: Label<'static> = Label {
        version: Version(7),
        kid: "kid",
        algorithm: Algorithm::RS256,
    };

    #[test]
    fn what_was_sealed_opens_under_the_same_label_alone() {
        let sealer = Sealer::new(key(), Vec::new());
        let sealed = sealer.seal(LABEL, b"private").unwrap();
        assert!(!sealed.contains("private"));
        assert_eq!(sealer.open(LABEL, &sealed).unwrap().as_slice(), b"private");
        for other in [
            Label {
                version: Version(8),
                ..LABEL
            },
            Label {
                kid: "dik",
                ..LABEL
            },
            Label {
                algorithm: Algorithm::ES256,
                ..LABEL
            },
        ] {
            let error = sealer.open(other, &sealed).unwrap_err();
            assert_eq!(error, SealError::Damaged(other.version));
        }
    }

    #[test]
    fn another_key_file_is_named_in_the_error() {
        let (old, new) = (
            Sealer::new(key(), Vec::new()),
            Sealer::new(key(), Vec::new()),
        );
        let sealed = old.seal(LABEL, b"private").unwrap();
        let error = new.open(LABEL, &sealed).unwrap_err().to_string();
        assert!(
            error.contains(old.key_id()) && error.contains(new.key_id()),
            "{error}"
        );
    }

    #[test]
    fn the_key_before_still_opens_and_no_longer_seals() {
        let text = SealingKey::generate().unwrap();
        let old = Sealer::new(SealingKey::parse(&text).unwrap(), Vec::new());
        let sealed = old.seal(LABEL, b"private").unwrap();
        let both = Sealer::new(key(), vec![SealingKey::parse(&text).unwrap()]);
        assert!(!both.is_current(&sealed));
        let opened = both.open(LABEL, &sealed).unwrap();
        assert!(both.is_current(&both.seal(LABEL, &opened).unwrap()));
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let sealer = Sealer::new(key(), Vec::new());
        let sealed = sealer.seal(LABEL, b"private").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(sealer.open(LABEL, &changed).is_err(), "{at}");
        }
        assert!(sealer.open(LABEL, "").is_err());
        assert!(sealer.open(LABEL, &sealed[..sealed.len() - 8]).is_err());
    }

    #[test]
    fn a_key_is_32_bytes_in_base64_or_hexadecimal() {
        let hex = "00".repeat(32);
        let base64 = format!(" {}\n", STANDARD.encode([0; 32]));
        assert_eq!(
            SealingKey::parse(&hex).unwrap().id(),
            SealingKey::parse(&base64).unwrap().id()
        );
        for wrong in ["", "x", &STANDARD.encode([0; 16]), &"zz".repeat(32)] {
            assert_eq!(SealingKey::parse(wrong).unwrap_err(), SealError::NoKey);
        }
    }
}
