//! The published keys.

use std::collections::BTreeMap;

use serde_json::Value;

use super::jwk::PublishedKey;
use super::party::{is_taken_by_all, summary};
use super::seen::shown;
use crate::doctor::kinds::issuer::key as kinds;
use crate::doctor::{Finding, Kind, Report};

/// More than any rotation needs.
const MANY: usize = 8;

/// AWS's and Entra's limit.
const TOO_MANY: usize = 100;

/// RFC 7518, section 3.3, in bits.
const LEAST_BITS: usize = 2_048;

pub(super) fn judge(document: &Value, report: &mut Report) {
    let Some(keys) = document["keys"].as_array() else {
        report.add(Finding::new(&kinds::NONE, "the key set has no list `keys`"));
        return;
    };
    report.fact("keys", keys.len().to_string());
    let kind = match keys.len() {
        0 => Some(&kinds::NONE),
        1..=MANY => None,
        count if count <= TOO_MANY => Some(&kinds::MANY),
        _ => Some(&kinds::TOO_MANY),
    };
    if let Some(kind) = kind {
        report.add(Finding::new(kind, format!("there are {} keys", keys.len())));
    }
    let mut kids: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, key) in keys.iter().enumerate() {
        let key = PublishedKey(key);
        let name = key.kid().map_or_else(
            || format!("number {}", index + 1),
            |kid| format!("`{}`", shown(kid)),
        );
        judge_key(key, &name, report);
        if let Some(kid) = key.kid() {
            *kids.entry(kid).or_default() += 1;
        }
    }
    let misnamed = keys.iter().map(PublishedKey).filter_map(|key| {
        let (kid, thumbprint) = key.kid().zip(key.thumbprint())?;
        (kid != thumbprint).then(|| format!("{}: {thumbprint}", shown(kid)))
    });
    let misnamed: Vec<_> = misnamed.collect();
    if !misnamed.is_empty() {
        let what = format!(
            "{} of {} keys have another name",
            misnamed.len(),
            keys.len()
        );
        report.add(Finding::new(&kinds::KID_NOT_THUMBPRINT, what).showing(misnamed));
    }
    for (kid, count) in kids.into_iter().filter(|(_, count)| *count > 1) {
        let what = format!("{count} keys have the `kid` `{}`", shown(kid));
        report.add(Finding::new(&kinds::KID_TWICE, what));
    }
}

fn judge_key(key: PublishedKey<'_>, name: &str, report: &mut Report) {
    let algorithm = key.algorithm();
    if let Some(algorithm) = algorithm {
        let description = format!(
            "{}, {}; {}",
            shown(algorithm),
            shown(&key.description()),
            summary(algorithm)
        );
        report.fact(format!("key {}", name.trim_matches('`')), description);
    }
    let mut add = |kind: &Kind, what: String| report.add(Finding::new(kind, what));
    let private = key.private_members();
    if !private.is_empty() {
        add(
            &kinds::PRIVATE,
            format!("the key {name} has `{}`", private.join("`, `")),
        );
    }
    if let Some(fault) = key.fault() {
        add(&kinds::BROKEN, format!("the key {name} {fault}"));
    } else if key.text("kty") == Some("RSA") && key.bits() < LEAST_BITS {
        add(
            &kinds::SMALL,
            format!("the key {name} has {} bits", key.bits()),
        );
    }
    if key.kid().is_none() {
        add(&kinds::KID_MISSING, format!("the key {name} has no `kid`"));
    }
    if let Some(usage) = key.text("use").filter(|usage| *usage != "sig") {
        add(
            &kinds::USE,
            format!("the key {name} has `\"use\":\"{}\"`", shown(usage)),
        );
    }
    if !key.0["key_ops"].is_null() {
        let what = format!(
            "the key {name} has `key_ops`: {}",
            shown(&key.0["key_ops"].to_string())
        );
        add(&kinds::OPERATIONS, what);
    }
    let certificates = key.certificate_members();
    if !certificates.is_empty() {
        add(
            &kinds::CERTIFICATES,
            format!("the key {name} has `{}`", certificates.join("`, `")),
        );
    }
    let further = key.further_members();
    if !further.is_empty() {
        add(
            &kinds::MEMBERS,
            format!("the key {name} has `{}`", shown(&further.join("`, `"))),
        );
    }
    if let Some(algorithm) = algorithm.filter(|algorithm| !is_taken_by_all(algorithm)) {
        let what = format!(
            "the key {name} is for {}: {}",
            shown(algorithm),
            summary(algorithm)
        );
        add(&kinds::ALGORITHM, what);
    }
}
