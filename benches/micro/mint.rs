//! A token but for its audit record: what `Mint` does while the record is being committed.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use runmint::domain::key::Algorithm;

use crate::run::{self, AWS, audience, workload};
use crate::sign::keyring;

/// Signed and verified.
#[divan::bench(args = Algorithm::ALL)]
fn token(bencher: Bencher<'_, '_>, algorithm: Algorithm) {
    let keyring = keyring(algorithm);
    let signer = keyring.signer().unwrap();
    let (workload, audience) = (workload(), audience(AWS));
    bencher.counter(ItemsCount::new(1_u32)).bench(|| {
        let payload = run::payload(black_box(&workload), &audience);
        let signed = signer.sign(&payload).unwrap();
        assert!(keyring.verifies(&signed));
        signed
    });
}

/// The part of it that is no cryptography.
#[divan::bench]
fn payload(bencher: Bencher<'_, '_>) {
    let (workload, audience) = (workload(), audience(AWS));
    bencher.bench(|| run::payload(black_box(&workload), &audience));
}
