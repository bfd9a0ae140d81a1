//! A parsed signing key and its encoded header: `kid` and signature come from one value.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

use crate::domain::key::{Algorithm, Version};

/// Bits of an RSA key: what every relying party takes, and the fastest of those.
const RSA_BITS: usize = 2_048;

/// A key that was just made and has not been sealed yet.
pub struct GeneratedKey {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The RFC 7638 thumbprint of its public key.
    pub kid: String,
    /// The public key as a JWK, with just the members that every relying party takes.
    pub public_jwk: String,
    /// The private key (PKCS #8, DER); wiped when dropped.
    pub private: Zeroizing<Vec<u8>>,
}

/// Signs tokens with one version of the key.
pub struct Signer {
    version: Version,
    kid: String,
    algorithm: Algorithm,
    /// The encoded header and its dot.
    header: String,
    pair: Pair,
}

enum Pair {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// A key could not be made, read, or used.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignerError {
    /// The generator failed.
    #[error("no {0} key could be generated")]
    Generate(Algorithm),
    /// The private key is not one of its algorithm.
    #[error("the private key of version {0} cannot be read")]
    Unreadable(Version),
    /// The signature primitive failed.
    #[error("version {0} did not sign")]
    Sign(Version),
}

impl GeneratedKey {
    /// Makes a key. An RSA key takes a tenth of a second of one core.
    ///
    /// # Errors
    /// [`SignerError::Generate`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, SignerError> {
        let failed = SignerError::Generate(algorithm);
        let (private, members, thumbprint_of) = match algorithm {
            Algorithm::EdDSA => {
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
                let private = Zeroizing::new(document.map_err(|_| failed)?.as_ref().to_vec());
                let pair = Ed25519KeyPair::from_pkcs8(&private)
                    .map_err(|_| SignerError::Generate(algorithm))?;
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                (
                    private,
                    format!(r#""crv":"Ed25519","x":"{x}""#),
                    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
                )
            }
            Algorithm::ES256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| SignerError::Generate(algorithm))?;
                let document = pair.to_pkcs8v1().map_err(|_| failed)?;
                let private = Zeroizing::new(document.as_ref().to_vec());
                // An uncompressed point (SEC 1 section 2.3.3): 4, x, y, 32 bytes each.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                (
                    private,
                    format!(r#""crv":"P-256","x":"{x}","y":"{y}""#),
                    format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
                )
            }
            Algorithm::RS256 => {
                let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048)
                    .map_err(|_| SignerError::Generate(algorithm))?;
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed)?;
                let private = Zeroizing::new(document.as_ref().to_vec());
                // Read back, and with that checked, by another implementation.
                let key = rsa::RsaPrivateKey::from_pkcs8_der(&private)
                    .map_err(|_| SignerError::Generate(algorithm))?;
                // `to_bytes_be` writes no leading zero (RFC 7518 section 6.3.1.1).
                let n = URL_SAFE_NO_PAD.encode(key.n().to_bytes_be());
                let e = URL_SAFE_NO_PAD.encode(key.e().to_bytes_be());
                (
                    private,
                    format!(r#""n":"{n}","e":"{e}""#),
                    format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
                )
            }
        };
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, thumbprint_of.as_bytes()));
        let kty = match algorithm {
            Algorithm::EdDSA => "OKP",
            Algorithm::ES256 => "EC",
            Algorithm::RS256 => "RSA",
        };
        Ok(Self {
            algorithm,
            public_jwk: format!(
                r#"{{"kty":"{kty}","use":"sig","alg":"{algorithm}","kid":"{kid}",{members}}}"#
            ),
            kid,
            private,
        })
    }
}

impl Signer {
    /// Parses a private key (PKCS #8, DER) once, for all its signatures.
    ///
    /// # Errors
    /// [`SignerError::Unreadable`].
    pub fn new(
        version: Version,
        kid: &str,
        algorithm: Algorithm,
        private: &[u8],
    ) -> Result<Self, SignerError> {
        let unreadable = |_| SignerError::Unreadable(version);
        let pair = match algorithm {
            Algorithm::EdDSA => {
                Pair::EdDsa(Ed25519KeyPair::from_pkcs8(private).map_err(unreadable)?)
            }
            Algorithm::ES256 => Pair::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private)
                    .map_err(unreadable)?,
            ),
            Algorithm::RS256 => Pair::Rs256(RsaKeyPair::from_pkcs8(private).map_err(unreadable)?),
        };
        let header = format!(r#"{{"typ":"JWT","alg":"{algorithm}","kid":"{kid}"}}"#);
        Ok(Self {
            version,
            kid: kid.to_owned(),
            algorithm,
            header: URL_SAFE_NO_PAD.encode(header) + ".",
            pair,
        })
    }

    /// The version that signs.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The `kid` in the header of what it signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The `alg` in the header of what it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs a payload: the compact serialization of RFC 7515 section 7.1.
    ///
    /// # Errors
    /// [`SignerError::Sign`] when the primitive fails, which it does not unless memory is broken.
    pub fn sign(&self, payload: &[u8]) -> Result<String, SignerError> {
        let mut token = String::with_capacity(self.header.len() + payload.len() * 4 / 3 + 350);
        token.push_str(&self.header);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let message = token.as_bytes();
        let failed = |_| SignerError::Sign(self.version);
        let signature = match &self.pair {
            Pair::EdDsa(pair) => URL_SAFE_NO_PAD.encode(pair.sign(message)),
            Pair::Es256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(failed)?;
                URL_SAFE_NO_PAD.encode(signature)
            }
            Pair::Rs256(pair) => {
                let mut signature = [0; RSA_BITS / 8];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .map_err(failed)?;
                URL_SAFE_NO_PAD.encode(signature)
            }
        };
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("version", &self.version)
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_jwk_has_just_the_members_that_every_relying_party_takes() {
        for (algorithm, members) in [
            (
                Algorithm::RS256,
                ["alg", "e", "kid", "kty", "n", "use"].as_slice(),
            ),
            (
                Algorithm::ES256,
                &["alg", "crv", "kid", "kty", "use", "x", "y"],
            ),
            (Algorithm::EdDSA, &["alg", "crv", "kid", "kty", "use", "x"]),
        ] {
            let key = GeneratedKey::generate(algorithm).unwrap();
            let jwk: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&key.public_jwk).unwrap();
            let names: BTreeSet<&str> = jwk.keys().map(String::as_str).collect();
            assert_eq!(names, members.iter().copied().collect());
            assert_eq!(key.kid.len(), 43);
            if let Some(n) = jwk.get("n").and_then(|n| n.as_str()) {
                let n = URL_SAFE_NO_PAD.decode(n).unwrap();
                assert_eq!(n.len(), 256);
                assert_ne!(n[0], 0);
            }
        }
    }

    #[test]
    fn the_kid_is_the_thumbprint_that_another_implementation_computes() {
        for algorithm in Algorithm::ALL {
            let key = GeneratedKey::generate(algorithm).unwrap();
            let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(&key.public_jwk).unwrap();
            let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
            assert_eq!(thumbprint.unwrap(), key.kid);
        }
    }

    #[test]
    fn the_header_is_exactly_typ_alg_kid() {
        let key = GeneratedKey::generate(Algorithm::ES256).unwrap();
        let signer = Signer::new(Version(1), &key.kid, key.algorithm, &key.private).unwrap();
        let token = signer.sign(b"{}").unwrap();
        let header = URL_SAFE_NO_PAD
            .decode(token.split('.').next().unwrap())
            .unwrap();
        let expected = format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{}"}}"#, key.kid);
        assert_eq!(String::from_utf8(header).unwrap(), expected);
    }

    #[test]
    fn a_key_of_another_algorithm_is_not_read() {
        let key = GeneratedKey::generate(Algorithm::ES256).unwrap();
        let error = Signer::new(Version(3), &key.kid, Algorithm::RS256, &key.private);
        assert_eq!(error.unwrap_err(), SignerError::Unreadable(Version(3)));
    }
}
