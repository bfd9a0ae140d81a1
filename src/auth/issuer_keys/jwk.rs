//! The keys of a published set (RFC 7517) that can verify a token.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use crate::domain::trusted_issuer::TokenAlgorithm;

/// A key that an issuer publishes.
#[derive(Clone)]
pub(in crate::auth) struct IssuerKey {
    kid: String,
    algorithms: &'static [TokenAlgorithm],
    key: DecodingKey,
}

const MAX_KEYS: usize = 200;

impl std::fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl IssuerKey {
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Whether it may verify signatures of this algorithm.
    pub(super) fn fits(&self, algorithm: TokenAlgorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether this key has signed `message`.
    pub(in crate::auth) fn verifies(
        &self,
        algorithm: TokenAlgorithm,
        message: &str,
        signature: &str,
    ) -> bool {
        jsonwebtoken::crypto::verify(
            signature,
            message.as_bytes(),
            &self.key,
            library_name(algorithm),
        )
        .unwrap_or(false)
    }
}

/// Whether somebody has mixed up the files (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
pub(super) fn holds_secrets(jwks: &Value) -> bool {
    let keys = jwks["keys"].as_array().into_iter().flatten();
    keys.into_iter()
        .any(|key| !key["d"].is_null() || !key["k"].is_null() || !key["p"].is_null())
}

/// The keys of a set that can verify a token; others in it are none of our business.
pub(super) fn parse(jwks: &Value) -> Result<Vec<IssuerKey>, String> {
    let keys = jwks["keys"]
        .as_array()
        .ok_or("is no key set: it has no `keys`")?;
    if keys.len() > MAX_KEYS {
        return Err(format!("holds more than {MAX_KEYS} keys"));
    }
    let usable: Vec<_> = keys.iter().filter_map(usable).collect();
    if usable.is_empty() {
        return Err(
            "holds no key that can verify a token: RSA from 2048 bits, P-256, P-384 or Ed25519, \
             with a `kid`"
                .to_owned(),
        );
    }
    Ok(usable)
}

fn usable(key: &Value) -> Option<IssuerKey> {
    use TokenAlgorithm as T;
    let jwk: Jwk = serde_json::from_value(key.clone()).ok()?;
    let kid = jwk.common.key_id.clone().filter(|kid| !kid.is_empty())?;
    let is_for_signatures = matches!(
        jwk.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    ) && jwk
        .common
        .key_operations
        .as_ref()
        .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let by_type: &'static [T] = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) if bits(&rsa.n) >= 2_048 => {
            &[T::RS256, T::RS384, T::RS512, T::PS256, T::PS384, T::PS512]
        }
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => &[T::ES256],
            EllipticCurve::P384 => &[T::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(_) => &[T::EdDSA],
        // Symmetric ones above all: a published secret is none.
        _ => return None,
    };
    let algorithms = match jwk.common.key_algorithm {
        None => by_type,
        Some(only) => {
            let position = by_type.iter().position(|known| names(only, *known))?;
            &by_type[position..=position]
        }
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    is_for_signatures.then_some(IssuerKey {
        kid,
        algorithms,
        key,
    })
}

/// How many bits a number in base64url has (RFC 7518 section 6.3.1.1).
fn bits(number: &str) -> usize {
    let bytes = URL_SAFE_NO_PAD.decode(number).unwrap_or_default();
    let leading = bytes.iter().take_while(|byte| **byte == 0).count();
    (bytes.len() - leading) * 8
}

fn names(key: KeyAlgorithm, token: TokenAlgorithm) -> bool {
    key.to_string() == token.as_str()
}

fn library_name(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::RS256 => Algorithm::RS256,
        TokenAlgorithm::RS384 => Algorithm::RS384,
        TokenAlgorithm::RS512 => Algorithm::RS512,
        TokenAlgorithm::PS256 => Algorithm::PS256,
        TokenAlgorithm::PS384 => Algorithm::PS384,
        TokenAlgorithm::PS512 => Algorithm::PS512,
        TokenAlgorithm::ES256 => Algorithm::ES256,
        TokenAlgorithm::ES384 => Algorithm::ES384,
        TokenAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}
