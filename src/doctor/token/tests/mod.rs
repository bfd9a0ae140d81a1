//! Each fault by its name: a good token, one thing changed, and what is found.

mod signature;
mod text;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto};
use serde_json::{Value, json};

use super::*;
use crate::doctor::issuer::jwk::PublishedKey;
use crate::runner::SecretText;

pub(super) const NOW: Timestamp = Timestamp(1_795_400_000);
pub(super) const SUBJECT: &str =
    "organization:acme:project:Default Project:workspace:net:run_phase:plan";

/// A key of the tests: its private part in PEM, and its point.
pub(super) struct Key {
    pem: &'static str,
    x: &'static str,
    y: &'static str,
}

pub(super) const KEY: Key = Key {
    pem: "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoI+VkQ1S0kKCscT5
/lByDY3dRqIfkOlvWburTrUkuKGhRANCAASWQ2aCHeVRmF1Pd9Qyc0kZ8iCDi68l
O5N2cKoVzZIF8TRVAxdTuCuZpy3QfMkC2PlLetgFagiFkFEXrxHt9k0b
-----END PRIVATE KEY-----
",
    x: "lkNmgh3lUZhdT3fUMnNJGfIgg4uvJTuTdnCqFc2SBfE",
    y: "NFUDF1O4K5mnLdB8yQLY-Ut62AVqCIWQURevEe32TRs",
};

pub(super) const OTHER: Key = Key {
    pem: "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgCX1XkbnK7Sfsrs6U
5DG9Mlfikq1vqo2JdMZVYzd7FMKhRANCAAQ2YYlCjDF/zxIoKqP03Y48DmZSn8Ck
XaUD6GXtv3y6/m+6bMRGTfVv2cVJlA2Q+zrnZsiqMINUylRlGW6bjhG+
-----END PRIVATE KEY-----
",
    x: "NmGJQowxf88SKCqj9N2OPA5mUp_ApF2lA-hl7b98uv4",
    y: "b7psxEZN9W_ZxUmUDZD7OudmyKowg1TKVGUZbpuOEb4",
};

impl Key {
    pub(super) fn kid(&self) -> String {
        PublishedKey(&self.members()).thumbprint().unwrap()
    }

    fn members(&self) -> Value {
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "x": self.x, "y": self.y})
    }

    pub(super) fn jwk(&self) -> Value {
        with(self.members(), &json!({"kid": self.kid()}))
    }

    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let key = EncodingKey::from_ec_pem(self.pem.as_bytes()).unwrap();
        let algorithm = Header::new(Algorithm::ES256).alg;
        let signature = crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

pub(super) fn header() -> Value {
    json!({"alg": "ES256", "kid": KEY.kid(), "typ": "JWT"})
}

pub(super) fn claims() -> Value {
    json!({
        "jti": "7", "iss": "https://ci.example.com", "aud": "aws.workload.identity", "sub": SUBJECT,
        "iat": NOW.0 - 60, "nbf": NOW.0 - 65, "exp": NOW.0 + 240,
    })
}

pub(super) fn good() -> String {
    KEY.sign(&header(), &claims())
}

/// A change of a JSON object: members set, or taken away.
pub(super) fn with(mut document: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        let members = document.as_object_mut().unwrap();
        if value == "absent" {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    document
}

pub(super) fn seen(content: &str) -> Seen {
    Seen {
        file: FileSeen::of_text(content),
        issuer: None,
        keys: Keys::Set {
            from: "the test".to_owned(),
            issuer: None,
            document: json!({"keys": [KEY.jwk(), OTHER.jwk()]}),
        },
        versions: Versions::Listed(versions(&[(1, &KEY, "active")])),
    }
}

/// A list of the admin listener's: the second before the token was issued it changed.
pub(super) fn versions(keys: &[(i64, &Key, &str)]) -> Value {
    let keys = keys.iter().map(|(version, key, state)| {
        let mut key =
            json!({"version": version, "kid": key.kid(), "state": state, "created_at": 1});
        if *state != "staged" {
            key["activated_at"] = json!(2);
        }
        if *state == "retiring" {
            key["deactivated_at"] = json!(NOW.0);
            key["retires_at"] = json!(NOW.0 + 900);
        }
        key
    });
    keys.collect()
}

/// The ids of what is found, but for the algorithm of the tests' keys, which not everybody takes.
#[track_caller]
pub(super) fn found(seen: &Seen) -> Vec<&'static str> {
    let report = judge(seen, NOW);
    let ids = report.findings.iter().map(|finding| finding.id);
    ids.filter(|id| *id != "token-algorithm-rare").collect()
}

pub(super) fn fact(report: &Report, name: &str) -> String {
    let fact = report.facts.iter().find(|(known, _)| known == name);
    fact.unwrap_or_else(|| panic!("no {name}: {report:#?}"))
        .1
        .clone()
}

#[test]
fn a_good_token_is_all_clear_and_its_facts_are_there() {
    let seen = seen(&good());
    assert_eq!(found(&seen), [""; 0]);
    let report = judge(&seen, NOW);
    for (name, expected) in [
        ("sub", SUBJECT),
        ("subject's organization", "acme"),
        ("subject's project", "Default Project"),
        ("subject's workspace", "net"),
        ("subject's phase", "plan"),
        ("exp", "1795400240 (2026-11-23T02:17:20Z)"),
        ("life", "5m, of which 4m are left"),
        ("at AWS", "fits"),
        ("at Azure", "is not known to take the algorithm"),
        ("key version", "1, active, the newest that has signed"),
    ] {
        assert_eq!(fact(&report, name), expected, "{name}");
    }
}

#[test]
fn a_token_is_never_said_nor_is_its_signature() {
    let token = good();
    let signature = token.rsplit('.').next().unwrap();
    for content in [
        token.clone(),
        format!("\"{token}\"\n"),
        format!("{token}x"),
        format!("{token}\n{token}"),
    ] {
        let mut seen = seen(&content);
        for keys in [seen.keys.clone(), Keys::Unseen("away".to_owned())] {
            seen.keys = keys;
            let report = serde_json::to_string(&judge(&seen, NOW)).unwrap();
            let debug = format!("{seen:?} {:?}", extract(&SecretText::new(&*content)));
            assert!(!report.contains(signature) && !debug.contains(signature));
        }
    }
}

#[test]
fn headers_are_judged() {
    for (changes, expected) in [
        (json!({"kid": "absent"}), &["token-no-kid"][..]),
        (json!({"typ": "absent"}), &[]),
        (json!({"typ": "jwt"}), &[]),
        (json!({"typ": "at+jwt"}), &["token-typ"]),
        (json!({"typ": 7}), &["token-typ"]),
        (json!({"crit": ["exp"]}), &["token-crit"]),
        (
            json!({"jku": "https://elsewhere.example.com"}),
            &["token-key-in-header"],
        ),
        (
            json!({"x5u": "https://elsewhere.example.com"}),
            &["token-key-in-header"],
        ),
        (json!({"alg": "HS256"}), &["token-algorithm"]),
        (json!({"alg": "none"}), &["token-algorithm"]),
        (json!({"alg": "absent"}), &["token-algorithm"]),
    ] {
        let token = KEY.sign(&with(header(), &changes), &claims());
        assert_eq!(found(&seen(&token)), expected, "{changes}");
    }
}

#[test]
fn claims_are_judged() {
    for (changes, expected) in [
        (json!({"iss": "absent"}), &["token-claim-missing"][..]),
        (json!({"sub": null}), &["token-claim-missing"]),
        (json!({"aud": "absent"}), &["token-claim-missing"]),
        (json!({"iat": "absent"}), &["token-claim-missing"]),
        (json!({"exp": "absent"}), &["token-claim-missing"]),
        (json!({"nbf": "absent"}), &[]),
        (json!({"iss": 7}), &["token-claim-type"]),
        (json!({"sub": ""}), &["token-claim-type"]),
        (json!({"iat": "1795400000"}), &["token-claim-type"]),
        (json!({"exp": 1_795_400_240.5}), &["token-claim-type"]),
        // The last second that has a year of four digits, and milliseconds.
        (
            json!({"exp": 253_402_300_799_i64}),
            &["token-lives-too-long"],
        ),
        (
            json!({"exp": 253_402_300_800_i64}),
            &["token-claim-type", "token-lives-too-long"],
        ),
        (
            json!({"iat": 1_795_400_000.5, "exp": 99_999_999_999_999_999_i64}),
            &[
                "token-claim-type",
                "token-claim-type",
                "token-lives-too-long",
            ],
        ),
        (
            json!({"iat": "absent", "exp": NOW.0 + 86_401}),
            &["token-claim-missing", "token-lives-long"],
        ),
        (
            json!({"iat": "absent", "exp": NOW.0 - 1}),
            &["token-claim-missing", "token-expired"],
        ),
        (json!({"aud": ["a"]}), &["token-audiences"]),
        (json!({"aud": ["a", "b"]}), &["token-audiences"]),
        (json!({"aud": []}), &["token-claim-type"]),
        (json!({"aud": ""}), &["token-claim-type"]),
        (json!({"azp": "sts.amazonaws.com"}), &["token-azp"]),
        (json!({"Sub": "x"}), &["token-claim-case"]),
        (json!({"AUD": "x"}), &["token-claim-case"]),
        (json!({"Team": "x"}), &[]),
        (
            json!({"sub": "system:serviceaccount:ci:runner"}),
            &["token-subject-form"],
        ),
        (
            json!({"sub": "repo:ümlaut"}),
            &["token-subject-ascii", "token-subject-form"],
        ),
    ] {
        let token = KEY.sign(&header(), &with(claims(), &changes));
        assert_eq!(found(&seen(&token)), expected, "{changes}");
    }
}

#[test]
fn lengths_are_held_against_each_relying_party() {
    let of = |bytes: usize| {
        // Three names share what is left of the fixed parts.
        let names = bytes - 48;
        let (o, p) = (names.min(90), names.saturating_sub(90).clamp(1, 90));
        let w = names.saturating_sub(o + p).max(1);
        let o = if o + p + w > names { names - p - w } else { o };
        let name = |length| "x".repeat(length);
        format!(
            "organization:{}:project:{}:workspace:{}:run_phase:plan",
            name(o),
            name(p),
            name(w)
        )
    };
    for (bytes, expected, gcp) in [
        (127, &[][..], "fits"),
        (128, &["token-subject-long"], "`sub` is 128 bytes, over 127"),
        (255, &["token-subject-long"], "`sub` is 255 bytes, over 127"),
        (
            256,
            &["token-subject-too-long"],
            "`sub` is 256 bytes, over 127",
        ),
    ] {
        let sub = of(bytes);
        assert_eq!(sub.len(), bytes);
        let token = KEY.sign(&header(), &with(claims(), &json!({"sub": sub})));
        let seen = seen(&token);
        assert_eq!(found(&seen), expected, "{bytes}");
        assert_eq!(fact(&judge(&seen, NOW), "at GCP"), gcp);
    }
    for (bytes, expected) in [
        (5_000, None),
        (9_000, Some("token-long")),
        (30_000, Some("token-too-long")),
    ] {
        let token = KEY.sign(
            &header(),
            &with(claims(), &json!({"more": "x".repeat(bytes * 3 / 4)})),
        );
        assert_eq!(found(&seen(&token)), expected.as_slice(), "{bytes}");
    }
}

#[test]
fn times_are_held_against_the_clock() {
    let day = 86_400;
    // Issued and not before, seconds ago; expires, seconds from now.
    for (iat, nbf, exp, expected) in [
        (60, 65, 240, &[][..]),
        (0, 0, 300, &[]),
        (60, 65, 60, &[]),
        (60, 65, 59, &["token-ends-soon"]),
        (60, 65, 1, &["token-ends-soon"]),
        (60, 65, 0, &["token-expired"]),
        (400, 405, -100, &["token-expired"]),
        (-60, 0, 300, &[]),
        (-61, 0, 300, &["token-not-yet"]),
        (0, -1, 300, &["token-not-yet"]),
        (0, 0, day, &[]),
        (0, 0, day + 1, &["token-lives-long"]),
        (0, 0, 2 * day - 1, &["token-lives-long"]),
        (0, 0, 2 * day, &["token-lives-too-long"]),
        (day, day, 300, &["token-old", "token-lives-long"]),
        (-30, 0, 30, &["token-ends-soon", "token-times-order"]),
    ] {
        let times = json!({"iat": NOW.0 - iat, "nbf": NOW.0 - nbf, "exp": NOW.0 + exp});
        let token = KEY.sign(&header(), &with(claims(), &times));
        assert_eq!(found(&seen(&token)), expected, "{iat} {nbf} {exp}");
    }
    let late = KEY.sign(&header(), &with(claims(), &json!({"exp": NOW.0 - 3_661})));
    assert_eq!(
        judge(&seen(&late), NOW).findings[1].what,
        "it expired 1h 1m ago"
    );
}
