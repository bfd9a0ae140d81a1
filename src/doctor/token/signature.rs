//! The signature, held against the published keys.

use std::str::FromStr;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

use super::keys::Keys;
use super::text::Token;
use crate::doctor::issuer::compare::{how, side_by_side};
use crate::doctor::issuer::jwk::PublishedKey;
use crate::doctor::issuer::seen::shown;
use crate::doctor::kinds::token::signature as kinds;
use crate::doctor::{Finding, Kind, Report};

/// Holds `iss` against the issuer that was named.
pub(super) fn judge_issuer(token: &Token, expected: Option<&str>, report: &mut Report) {
    let Some(expected) = expected else { return };
    let iss = token.text("iss").unwrap_or_default();
    if iss != expected {
        let what = format!(
            "`iss` differs {} from the issuer that was named",
            how(expected, iss)
        );
        let lines = side_by_side("named", expected, "iss", iss);
        report.add(Finding::new(&kinds::ISSUER_DIFFERS, what).showing(lines));
    }
}

/// Holds `iss` against the `issuer` of the discovery document that led to the keys.
fn judge_published_issuer(token: &Token, published: Option<&str>, report: &mut Report) {
    let iss = token.text("iss").unwrap_or_default();
    let Some(published) = published.filter(|published| *published != iss) else {
        return;
    };
    let what = format!(
        "`iss` differs {} from the `issuer` that is published",
        how(published, iss)
    );
    let lines = side_by_side("published", published, "iss", iss);
    report.add(Finding::new(&kinds::ISSUER_DIFFERS, what).showing(lines));
}

pub(super) fn judge(token: &Token, keys: &Keys, report: &mut Report) {
    let (from, document) = match keys {
        Keys::Set {
            from,
            issuer,
            document,
        } => {
            judge_published_issuer(token, issuer.as_deref(), report);
            (from, document)
        }
        Keys::Unseen(why) => {
            report.fact("signature", "not checked");
            report.add(Finding::new(&kinds::KEYS_UNSEEN, why.clone()));
            return;
        }
    };
    let Some(algorithm) = algorithm(token) else {
        report.fact("signature", "not checked: the algorithm is unknown here");
        return;
    };
    let all = document["keys"].as_array().map_or(&[][..], Vec::as_slice);
    let all: Vec<_> = all.iter().map(PublishedKey).collect();
    let signers: Vec<_> = all
        .iter()
        .filter(|key| verifies(token, algorithm, **key))
        .collect();
    let signer = signers.first().and_then(|key| key.kid());
    let Some(kid) = token.header("kid").filter(|kid| !kid.is_empty()) else {
        let words = match signer {
            Some(kid) => format!("of the key `{}` at {from}", shown(kid)),
            None if signers.is_empty() => "of no published key".to_owned(),
            None => format!("of a key without a `kid` at {from}"),
        };
        report.fact("signature", words);
        if signers.is_empty() {
            report.add(Finding::new(
                &kinds::SIGNATURE,
                format!("no key at {from} has signed it"),
            ));
        }
        return;
    };
    let named: Vec<_> = all
        .iter()
        .filter(|key| key.kid() == Some(kid))
        .copied()
        .collect();
    let shown_kid = shown(kid);
    if named.len() > 1 {
        let what = format!(
            "{} keys at {from} have the `kid` `{shown_kid}`",
            named.len()
        );
        report.add(Finding::new(&kinds::KID_TWICE, what));
    }
    if let [key] = named.as_slice()
        && let Some(thumbprint) = key.thumbprint().filter(|thumbprint| thumbprint != kid)
    {
        let what = format!("the key `{shown_kid}` has the thumbprint `{thumbprint}`");
        report.add(Finding::new(&kinds::KID_NOT_THUMBPRINT, what));
    }
    let is_right = |key: &PublishedKey<'_>| {
        verifies(token, algorithm, *key) && fits(token.header("alg").unwrap_or_default(), *key)
    };
    if named.iter().any(is_right) {
        report.fact(
            "signature",
            format!("right, of the key `{shown_kid}` at {from}"),
        );
        return;
    }
    report.fact("signature", "wrong");
    for (kind, what) in faults(token, &named, signer, from) {
        let finding = Finding::new(kind, what);
        let kids = all
            .iter()
            .filter_map(|key| key.kid())
            .map(|kid| format!("published: {}", shown(kid)));
        report.add(if kind == &kinds::KID_UNKNOWN {
            finding.showing(kids)
        } else {
            finding
        });
    }
}

/// Why the signature does not verify against the keys that its `kid` names.
fn faults(
    token: &Token,
    named: &[PublishedKey<'_>],
    signer: Option<&str>,
    from: &str,
) -> Vec<(&'static Kind, String)> {
    let kid = shown(token.header("kid").unwrap_or_default());
    let alg = token.header("alg").unwrap_or_default();
    let mut faults = Vec::new();
    let fits = |key: &PublishedKey<'_>| fits(alg, *key);
    if named.is_empty() {
        faults.push((
            &kinds::KID_UNKNOWN,
            format!("no key at {from} has the `kid` `{kid}`"),
        ));
    } else if !named.iter().any(fits) {
        let of = named
            .first()
            .and_then(|key| key.algorithm())
            .unwrap_or("nothing");
        let what = format!(
            "the key `{kid}` is for {}, and `alg` is `{}`",
            shown(of),
            shown(alg)
        );
        faults.push((&kinds::KEY_TYPE, what));
    }
    match signer {
        Some(signer) if named.iter().all(|key| key.kid() != Some(signer)) => {
            let signer = shown(signer);
            let what = format!("`kid` is `{kid}`, and the key `{signer}` has signed it");
            faults.push((&kinds::SIGNATURE_OF_ANOTHER, what));
        }
        None if faults.is_empty() => {
            let what =
                format!("the key `{kid}` at {from} has not signed it, nor has another one there");
            faults.push((&kinds::SIGNATURE, what));
        }
        Some(_) | None => {}
    }
    faults
}

/// The token's algorithm, if it is one with public keys.
fn algorithm(token: &Token) -> Option<Algorithm> {
    let name = token.header("alg")?;
    // A published key must never be taken for a shared secret (RFC 8725, section 2.1).
    let is_public = ["RS", "PS", "ES", "Ed"]
        .iter()
        .any(|start| name.starts_with(start));
    is_public.then(|| Algorithm::from_str(name).ok()).flatten()
}

/// Whether a key may verify an algorithm: the one that it names, else one of its type.
fn fits(algorithm: &str, key: PublishedKey<'_>) -> bool {
    if let Some(only) = key.0["alg"].as_str() {
        return only == algorithm;
    }
    match key.0["kty"].as_str() {
        Some("RSA") => algorithm.starts_with("RS") || algorithm.starts_with("PS"),
        _ => key.algorithm() == Some(algorithm),
    }
}

fn verifies(token: &Token, algorithm: Algorithm, key: PublishedKey<'_>) -> bool {
    let text = |name: &str| key.0[name].as_str().unwrap_or_default();
    let decoding = match (&key.0["kty"], algorithm) {
        (Value::String(kty), Algorithm::ES256 | Algorithm::ES384) if kty == "EC" => {
            DecodingKey::from_ec_components(text("x"), text("y"))
        }
        (Value::String(kty), Algorithm::EdDSA) if kty == "OKP" => {
            DecodingKey::from_ed_components(text("x"))
        }
        (Value::String(kty), algorithm)
            if kty == "RSA"
                && !matches!(
                    algorithm,
                    Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA
                ) =>
        {
            DecodingKey::from_rsa_components(text("n"), text("e"))
        }
        _ => return false,
    };
    let message = token.message.as_bytes();
    decoding.is_ok_and(|key| {
        jsonwebtoken::crypto::verify(&token.signature, message, &key, algorithm).unwrap_or(false)
    })
}
