//! The issuer, its keys, and which version signed.

use super::*;

fn against(token: &str, keys: &[Value]) -> Vec<&'static str> {
    let mut seen = seen(token);
    seen.keys = Keys::Set {
        from: "the test".to_owned(),
        issuer: None,
        document: json!({"keys": keys}),
    };
    found(&seen)
}

#[test]
fn signatures_are_held_against_the_key_that_the_kid_names() {
    let token = good();
    let forged = |n: usize| {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[n] ^= 1;
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    assert_eq!(against(&token, &[KEY.jwk()]), [""; 0]);
    assert_eq!(against(&forged(9), &[KEY.jwk()]), ["token-signature"]);
    assert_eq!(
        against(&forged(9), &[KEY.jwk(), OTHER.jwk()]),
        ["token-signature"]
    );
    assert_eq!(against(&token, &[OTHER.jwk()]), ["token-kid-unknown"]);
    assert_eq!(against(&token, &[]), ["token-kid-unknown"]);
    assert_eq!(
        against(&token, &[KEY.jwk(), KEY.jwk()]),
        ["token-kid-twice"]
    );

    // The right signature under the wrong name: what Terraform Enterprise did.
    let confused = OTHER.sign(&header(), &claims());
    assert_eq!(against(&confused, &[KEY.jwk()]), ["token-signature"]);
    assert_eq!(
        against(&confused, &[KEY.jwk(), OTHER.jwk()]),
        ["token-signature-of-another"]
    );
    let seen = seen(&confused);
    let what = &judge(&seen, NOW).findings[1].what;
    assert!(
        what.contains(&KEY.kid()) && what.contains(&OTHER.kid()),
        "{what}"
    );

    // The same the other way round: the key set has the names wrong.
    let misnamed = with(OTHER.jwk(), &json!({"kid": KEY.kid()}));
    let named_so = with(KEY.jwk(), &json!({"kid": OTHER.kid()}));
    assert_eq!(
        against(&token, &[misnamed, named_so]),
        ["token-kid-not-thumbprint", "token-signature-of-another"]
    );

    let for_rsa = json!({"kty": "RSA", "kid": KEY.kid(), "n": "AQAB", "e": "AQAB"});
    assert_eq!(
        against(&token, &[for_rsa]),
        ["token-kid-not-thumbprint", "token-key-type"]
    );
    // It has signed, and says itself that it is for something else.
    let for_other_hashes = with(KEY.jwk(), &json!({"alg": "ES384"}));
    assert_eq!(against(&token, &[for_other_hashes]), ["token-key-type"]);
    let for_another = with(KEY.jwk(), &json!({"kid": "2026-11"}));
    assert_eq!(
        against(&token, &[for_another]),
        ["token-kid-unknown", "token-signature-of-another"]
    );
}

#[test]
fn a_token_without_a_kid_is_held_against_all_keys() {
    let header = with(header(), &json!({"kid": "absent"}));
    let token = KEY.sign(&header, &claims());
    assert_eq!(against(&token, &[OTHER.jwk(), KEY.jwk()]), ["token-no-kid"]);
    assert_eq!(
        against(&token, &[OTHER.jwk()]),
        ["token-no-kid", "token-signature"]
    );
}

/// A public key is no secret to make HMACs with (RFC 8725, section 2.1).
#[test]
fn a_published_key_is_never_taken_for_a_shared_secret() {
    let secret = json!({"kty": "oct", "k": "c2VjcmV0", "kid": KEY.kid(), "alg": "HS256"});
    let header = with(header(), &json!({"alg": "HS256"}));
    let message = KEY.sign(&header, &claims());
    let (message, _) = message.rsplit_once('.').unwrap();
    let key = EncodingKey::from_secret(b"secret");
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    let mut seen = seen(&format!("{message}.{signature}"));
    seen.keys = Keys::Set {
        from: "the test".to_owned(),
        issuer: None,
        document: json!({"keys": [secret]}),
    };
    let report = judge(&seen, NOW);
    assert!(fact(&report, "signature").starts_with("not checked"));
    assert!(!report.is_clear());
}

#[test]
fn keys_that_could_not_be_had_are_an_error_and_say_why() {
    let mut seen = seen(&good());
    seen.keys = Keys::Unseen("`https://ci.example.com` answers 503".to_owned());
    assert_eq!(found(&seen), ["token-keys-unseen"]);
    let report = judge(&seen, NOW);
    assert_eq!(fact(&report, "signature"), "not checked");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.what.ends_with("answers 503"))
    );
}

#[test]
fn the_issuer_is_compared_byte_for_byte() {
    for (expected, words) in [
        ("https://ci.example.com", None),
        ("https://ci.example.com/", Some("by a slash at the end")),
        (
            "https://CI.example.com",
            Some("by upper and lower case only"),
        ),
        ("http://ci.example.com", Some("by its scheme only")),
    ] {
        let mut seen = seen(&good());
        seen.issuer = Some(expected.to_owned());
        let report = judge(&seen, NOW);
        let finding = report
            .findings
            .iter()
            .find(|finding| finding.id == "token-issuer-differs");
        assert_eq!(finding.is_some(), words.is_some(), "{expected}");
        if let (Some(finding), Some(words)) = (finding, words) {
            assert!(finding.what.contains(words), "{}", finding.what);
            assert_eq!(finding.shown.len(), 3);
        }
    }
}

#[test]
fn the_issuer_that_is_published_is_compared_too() {
    for (published, expected) in [
        ("https://ci.example.com", None),
        ("https://ci.example.com/", Some("token-issuer-differs")),
    ] {
        let mut seen = seen(&good());
        seen.keys = Keys::Set {
            from: "the test".to_owned(),
            issuer: Some(published.to_owned()),
            document: json!({"keys": [KEY.jwk()]}),
        };
        assert_eq!(found(&seen), expected.as_slice(), "{published}");
    }
}

#[test]
fn the_version_that_signed_is_judged() {
    let (key, other) = (&KEY, &OTHER);
    for (list, expected, place) in [
        (
            versions(&[(1, key, "active")]),
            None,
            "1, active, the newest",
        ),
        (
            versions(&[(1, key, "active"), (2, other, "staged")]),
            None,
            "1, active, the newest",
        ),
        (
            versions(&[(9, key, "active"), (10, other, "staged")]),
            None,
            "9, active, the newest",
        ),
        // Numbers, not texts: 9 is not after 10.
        (
            versions(&[(9, key, "active"), (10, other, "retiring")]),
            Some("token-version-old"),
            "10 is the newest",
        ),
        (
            versions(&[(9, other, "retired"), (10, key, "active")]),
            None,
            "10, active, the newest",
        ),
        (
            versions(&[(1, key, "retiring"), (2, other, "active")]),
            Some("token-version-retiring"),
            "leaves the key set at",
        ),
        (
            versions(&[(1, key, "retired"), (2, other, "active")]),
            Some("token-version-withdrawn"),
            "1, retired",
        ),
        (
            versions(&[(1, key, "revoked"), (2, other, "active")]),
            Some("token-version-withdrawn"),
            "1, revoked",
        ),
        (
            versions(&[(1, other, "active"), (2, key, "staged")]),
            Some("token-version-staged"),
            "2, staged",
        ),
    ] {
        let mut seen = seen(&good());
        seen.versions = Versions::Listed(list.clone());
        assert_eq!(found(&seen), expected.as_slice(), "{list}");
        let version = fact(&judge(&seen, NOW), "key version");
        assert!(version.contains(place), "{version}");
    }
    let mut seen = seen(&good());
    seen.versions = Versions::Listed(versions(&[(1, other, "active")]));
    assert_eq!(found(&seen), ["token-version-unknown"]);
    seen.versions = Versions::Unasked("there is no admin token".to_owned());
    assert_eq!(found(&seen), ["token-version-unasked"]);

    // It was issued a minute ago; its key had stopped before.
    let mut late = versions(&[(1, key, "retiring"), (2, other, "active")]);
    late[0]["deactivated_at"] = json!(NOW.0 - 63);
    seen.versions = Versions::Listed(late.clone());
    assert_eq!(found(&seen), ["token-version-old"]);
    late[0]["deactivated_at"] = json!(NOW.0 - 62);
    seen.versions = Versions::Listed(late);
    assert_eq!(found(&seen), ["token-version-retiring"]);
}
