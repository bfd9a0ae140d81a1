//! The keyring: an immutable snapshot of what signs and what is published, swapped whole.
//!
//! Signing and JWKS read it and never wait for the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use serde::Serialize;

use super::plan::next_publication;
use super::seal::{Label, SealError, Sealer};
use super::signer::{Signer, SignerError};
use crate::domain::claims::CLAIM_NAMES;
use crate::domain::issuer::Issuer;
use crate::domain::key::{Algorithm, KeyVersion, Policy, Version, active};
use crate::domain::time::{Timestamp, whole_seconds};
use crate::store::{Store, StoreError};

/// A snapshot of the keys.
#[derive(Debug)]
pub struct Keyring {
    /// Which revision of the keys in the database this is.
    pub revision: i64,
    /// The published keys and the newest one, without their sealed private parts.
    pub keys: Vec<KeyVersion>,
    /// The JWKS document.
    pub jwks: Document,
    /// The discovery document.
    pub discovery: Document,
    signer: Result<Arc<Signer>, Arc<KeyringError>>,
    published: PublishedKeys,
}

/// A public document, rendered once.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its bytes, as they are served.
    pub bytes: Bytes,
    /// Its entity tag, quoted (RFC 9110 section 8.8.3).
    pub etag: String,
}

impl Document {
    fn new(text: String) -> Self {
        let etag = URL_SAFE_NO_PAD.encode(&digest(&SHA256, text.as_bytes()).as_ref()[..12]);
        Self {
            bytes: Bytes::from(text),
            etag: format!("\"{etag}\""),
        }
    }
}

/// Why there is no signer, or no keyring.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Nothing is active: the very first moment of a new database.
    #[error("no key version is active")]
    NoActiveKey,
    /// The private key does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The private key does not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// What the private key signs does not verify against the published key.
    #[error("the private key of version {0} does not belong to its public key")]
    Mismatch(Version),
    /// A public key in the database is none.
    #[error("the published keys cannot be read: {0}")]
    Published(#[from] serde_json::Error),
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Keyring {
    /// Builds a snapshot. `before` lends its parsed signer if the active version is the same.
    ///
    /// # Errors
    /// [`KeyringError::Published`] only: a private key that cannot be used leaves a keyring without
    /// a signer, since the published keys are still right.
    pub fn build(
        revision: i64,
        keys: Vec<KeyVersion>,
        issuer: &Issuer,
        sealer: &Sealer,
        before: Option<&Self>,
    ) -> Result<Self, KeyringError> {
        let members: Vec<&str> = keys
            .iter()
            .filter(|key| key.state.is_published())
            .map(|key| key.public_jwk.as_str())
            .collect();
        let jwks = format!(r#"{{"keys":[{}]}}"#, members.join(","));
        // From the very bytes that are served, so that a token is checked as others will check it.
        let published = PublishedKeys::parse(jwks.as_bytes())?;
        let signer = signer(&keys, sealer, &published, before).map_err(Arc::new);
        Ok(Self {
            revision,
            discovery: Document::new(discovery(issuer, &keys)?),
            jwks: Document::new(jwks),
            keys: keys
                .into_iter()
                .map(|key| KeyVersion {
                    sealed_private: None,
                    ..key
                })
                .collect(),
            signer,
            published,
        })
    }

    /// What signs.
    ///
    /// # Errors
    /// Why nothing does.
    pub fn signer(&self) -> Result<&Arc<Signer>, &Arc<KeyringError>> {
        self.signer.as_ref()
    }

    /// The version that is active, whether it can be used here or not.
    pub fn active(&self) -> Option<&KeyVersion> {
        active(&self.keys)
    }

    /// Whether a token verifies against the published JWKS.
    pub fn verifies(&self, token: &str) -> bool {
        self.published.verifies(token)
    }

    /// For how long the JWKS may be cached, in seconds: the setting, or until the published keys
    /// change, if that is sooner.
    pub fn max_age(&self, policy: &Policy, now: Timestamp) -> i64 {
        let setting = whole_seconds(policy.jwks_max_age);
        next_publication(&self.keys, policy, now)
            .map_or(setting, |change| setting.min(change.seconds_since(now)))
    }

    /// A keyring whose signer is not the one that its keys say: the fault that
    /// [`Keyring::verifies`] is there for.
    #[cfg(test)]
    pub(crate) fn with_signer(self, signer: Signer) -> Self {
        Self {
            signer: Ok(Arc::new(signer)),
            ..self
        }
    }
}

/// OpenID Connect Discovery 1.0 section 3, with HCP Terraform's seven members and no empty list:
/// Entra refuses a document that has one.
fn discovery(issuer: &Issuer, keys: &[KeyVersion]) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Discovery<'a> {
        issuer: &'a str,
        jwks_uri: String,
        response_types_supported: [&'static str; 1],
        subject_types_supported: [&'static str; 1],
        id_token_signing_alg_values_supported: Vec<&'static str>,
        scopes_supported: [&'static str; 1],
        claims_supported: &'static [&'static str],
    }
    let mut algorithms: Vec<_> = keys
        .iter()
        .filter(|key| key.state.is_published())
        .map(|key| key.algorithm.as_str())
        .collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    if algorithms.is_empty() {
        algorithms.push(Algorithm::RS256.as_str());
    }
    serde_json::to_string(&Discovery {
        issuer: issuer.as_str(),
        jwks_uri: issuer.url_of("/.well-known/jwks"),
        response_types_supported: ["id_token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: algorithms,
        scopes_supported: ["openid"],
        claims_supported: CLAIM_NAMES,
    })
}

fn signer(
    keys: &[KeyVersion],
    sealer: &Sealer,
    published: &PublishedKeys,
    before: Option<&Keyring>,
) -> Result<Arc<Signer>, KeyringError> {
    let key = active(keys).ok_or(KeyringError::NoActiveKey)?;
    if let Some(Ok(signer)) = before.map(|before| &before.signer)
        && (signer.version(), signer.kid()) == (key.version, key.kid.as_str())
    {
        return Ok(Arc::clone(signer));
    }
    let label = Label {
        version: key.version,
        kid: &key.kid,
        algorithm: key.algorithm,
    };
    let sealed = key
        .sealed_private
        .as_deref()
        .ok_or(SealError::Damaged(key.version))?;
    let private = sealer.open(label, sealed)?;
    let signer = Signer::new(key.version, &key.kid, key.algorithm, &private)?;
    // Once when it is loaded, and again with every token: a wrong key never leaves the house.
    if published.verifies(&signer.sign(br#"{"sub":"self-test"}"#)?) {
        Ok(Arc::new(signer))
    } else {
        Err(KeyringError::Mismatch(key.version))
    }
}

/// The public keys as a relying party reads them from the JWKS document, parsed once for all tokens.
#[derive(Debug)]
struct PublishedKeys(Vec<PublishedKey>);

#[derive(Debug)]
struct PublishedKey {
    /// The header that a token by this key has, encoded.
    header: String,
    key: ParsedPublicKey,
}

impl PublishedKeys {
    fn parse(jwks: &[u8]) -> Result<Self, serde_json::Error> {
        let set: JwkSet = serde_json::from_slice(jwks)?;
        set.keys
            .iter()
            .map(PublishedKey::parse)
            .collect::<Result<Vec<_>, _>>()
            .map(Self)
    }

    fn verifies(&self, token: &str) -> bool {
        let Some((message, signature)) = token.rsplit_once('.') else {
            return false;
        };
        let Some((header, _)) = message.split_once('.') else {
            return false;
        };
        let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        self.0.iter().any(|published| {
            published.header == header
                && published
                    .key
                    .verify_sig(message.as_bytes(), &signature)
                    .is_ok()
        })
    }
}

impl PublishedKey {
    fn parse(jwk: &Jwk) -> Result<Self, serde_json::Error> {
        use serde::de::Error;
        let wrong = serde_json::Error::custom::<&str>;
        let (Some(kid), Some(algorithm)) = (&jwk.common.key_id, jwk.common.key_algorithm) else {
            return Err(wrong("a key without `kid` or `alg`"));
        };
        let header = format!(r#"{{"typ":"JWT","alg":"{algorithm}","kid":"{kid}"}}"#);
        let bytes = |member: &str| {
            URL_SAFE_NO_PAD
                .decode(member)
                .map_err(serde_json::Error::custom)
        };
        let algorithm = Algorithm::parse("alg", &algorithm.to_string());
        let key = match (
            algorithm.map_err(serde_json::Error::custom)?,
            &jwk.algorithm,
        ) {
            (Algorithm::EdDSA, AlgorithmParameters::OctetKeyPair(parameters)) => {
                ParsedPublicKey::new(&ED25519, bytes(&parameters.x)?)
            }
            (Algorithm::ES256, AlgorithmParameters::EllipticCurve(parameters)) => {
                // Uncompressed (SEC 1 section 2.3.3).
                let point = [vec![4], bytes(&parameters.x)?, bytes(&parameters.y)?].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            (Algorithm::RS256, AlgorithmParameters::RSA(parameters)) => RsaPublicKeyComponents {
                n: bytes(&parameters.n)?,
                e: bytes(&parameters.e)?,
            }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256),
            _ => return Err(wrong("a key whose `kty` does not belong to its `alg`")),
        };
        Ok(Self {
            header: URL_SAFE_NO_PAD.encode(header),
            key: key.map_err(serde_json::Error::custom)?,
        })
    }
}

/// Where everybody finds the current keyring; it follows the database.
#[derive(Debug)]
pub struct KeyringHandle {
    current: ArcSwap<Keyring>,
    checked_at: AtomicI64,
    store: Store,
    issuer: Arc<Issuer>,
    sealer: Sealer,
}

impl KeyringHandle {
    /// Loads the keyring for the first time.
    ///
    /// # Errors
    /// The database does not answer, or a public key in it is none.
    pub async fn load(
        store: Store,
        issuer: Arc<Issuer>,
        sealer: Sealer,
        now: Timestamp,
    ) -> Result<Self, KeyringError> {
        let keyring = read(&store, &issuer, &sealer, None).await?;
        Ok(Self {
            current: ArcSwap::new(keyring),
            checked_at: AtomicI64::new(now.0),
            store,
            issuer,
            sealer,
        })
    }

    /// The keyring of this moment.
    pub fn current(&self) -> Arc<Keyring> {
        self.current.load_full()
    }

    /// What seals private keys.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// When the database last confirmed that this keyring is the newest.
    pub fn checked_at(&self) -> Timestamp {
        Timestamp(self.checked_at.load(Ordering::Relaxed))
    }

    /// Loads the keys again if they have changed; whether they had.
    ///
    /// # Errors
    /// The database does not answer, or a public key in it is none; the keyring stays as it was.
    pub async fn refresh(&self, now: Timestamp) -> Result<bool, KeyringError> {
        let before = self.current();
        let changed = self.store.key_revision().await? != before.revision;
        if changed {
            let keyring = read(&self.store, &self.issuer, &self.sealer, Some(&before)).await?;
            // Two refreshes may overlap; the newer one stays.
            self.current.rcu(|current| {
                if current.revision > keyring.revision {
                    Arc::clone(current)
                } else {
                    Arc::clone(&keyring)
                }
            });
        }
        self.checked_at.store(now.0, Ordering::Relaxed);
        Ok(changed)
    }

    #[cfg(test)]
    pub(crate) fn replace(&self, keyring: Keyring) {
        self.current.store(Arc::new(keyring));
    }
}

async fn read(
    store: &Store,
    issuer: &Issuer,
    sealer: &Sealer,
    before: Option<&Keyring>,
) -> Result<Arc<Keyring>, KeyringError> {
    // The revision first: if a key changes in between, the next look at it loads again.
    let revision = store.key_revision().await?;
    let keys = store.current_keys().await?;
    Keyring::build(revision, keys, issuer, sealer, before).map(Arc::new)
}
