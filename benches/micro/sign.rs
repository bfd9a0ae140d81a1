//! One signature of each algorithm, and its check against the published keys.

use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use runmint::domain::key::{Algorithm, KeyState, KeyVersion, Version};
use runmint::domain::time::Timestamp;
use runmint::keys::keyring::Keyring;
use runmint::keys::seal::{Label, Sealer, SealingKey};
use runmint::keys::signer::GeneratedKey;

use crate::run::{AWS, NOW, audience, issuer, payload, workload};

#[divan::bench(args = Algorithm::ALL)]
fn sign(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let keyring = keyring(algorithm);
    let signer = keyring.signer().unwrap();
    let payload = payload(&workload(), &audience(AWS));
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench(|| signer.sign(black_box(&payload)).unwrap());
}

#[divan::bench(args = Algorithm::ALL)]
fn verify(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let keyring = keyring(algorithm);
    let token = keyring
        .signer()
        .unwrap()
        .sign(&payload(&workload(), &audience(AWS)))
        .unwrap();
    assert!(keyring.verifies(&token));
    bencher
        .counter(ItemsCount::new(1_u32))
        .bench(|| keyring.verifies(black_box(&token)));
}

/// A key that signs and one that waits, both published.
pub(crate) fn keyring(algorithm: Algorithm) -> Keyring {
    let sealing_key = SealingKey::generate().unwrap();
    let sealer = Sealer::new(SealingKey::parse(&sealing_key).unwrap(), Vec::new());
    let activated_at = NOW - Duration::from_hours(24);
    let active = KeyState::Active {
        seen_at: None,
        activated_at,
    };
    let staged = KeyState::Staged { seen_at: Some(NOW) };
    let keys = vec![
        key(Version(1), algorithm, active, &sealer),
        key(Version(2), algorithm, staged, &sealer),
    ];
    Keyring::build(1, keys, &issuer(), &sealer, None).unwrap()
}

fn key(version: Version, algorithm: Algorithm, state: KeyState, sealer: &Sealer) -> KeyVersion {
    let key = GeneratedKey::generate(algorithm).unwrap();
    let label = Label {
        version,
        kid: &key.kid,
        algorithm,
    };
    KeyVersion {
        version,
        algorithm,
        sealed_private: Some(sealer.seal(label, &key.private).unwrap()),
        kid: key.kid,
        public_jwk: key.public_jwk,
        state,
        expedited: false,
        created_at: NOW - Duration::from_hours(24),
        tokens_until: Timestamp::default(),
    }
}
