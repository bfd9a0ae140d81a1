//! Answers, discovery, keys.

use super::*;

#[test]
fn the_time_to_answer_is_judged() {
    for (millis, expected) in [
        (1_000, None),
        (1_001, Some("issuer-slow")),
        (5_000, Some("issuer-slow")),
        (5_001, Some("issuer-too-slow")),
    ] {
        let mut seen = healthy();
        seen.jwks.as_mut().unwrap().took = Duration::from_millis(millis);
        assert_eq!(found(&seen), expected.as_slice(), "{millis}");
    }
    let mut seen = healthy();
    seen.jwks.as_mut().unwrap().outcome = Err(FetchError::Timeout);
    assert_eq!(found(&seen), ["issuer-no-answer"]);
}

#[test]
fn what_is_no_document_is_named() {
    type Change = fn(&mut Answer);
    let table: [(Change, &[&str]); 14] = [
        (|answer| answer.status = 301, &["issuer-redirect"]),
        (|answer| answer.status = 308, &["issuer-redirect"]),
        (|answer| answer.status = 404, &["issuer-status"]),
        (|answer| answer.status = 503, &["issuer-status"]),
        (
            |answer| answer.content_type = None,
            &["issuer-content-type"],
        ),
        (
            |answer| answer.content_type = Some("text/plain".to_owned()),
            &["issuer-content-type"],
        ),
        (
            |answer| answer.content_type = Some("application/json; charset=utf-8".to_owned()),
            &[],
        ),
        (
            |answer| answer.content_type = Some("Application/JSON".to_owned()),
            &[],
        ),
        (
            |answer| answer.body = b"\n<!DOCTYPE html><p>".to_vec(),
            &["issuer-html"],
        ),
        (
            |answer| {
                answer.body = b"Sign in".to_vec();
                answer.content_type = Some("text/html; charset=utf-8".to_owned());
            },
            &["issuer-html"],
        ),
        (
            |answer| answer.body = b"{\"issuer\":".to_vec(),
            &["issuer-not-json"],
        ),
        (|answer| answer.body = b"[]".to_vec(), &["issuer-not-json"]),
        (|answer| answer.body = Vec::new(), &["issuer-not-json"]),
        (|answer| answer.is_cut = true, &["issuer-too-large"]),
    ];
    for (index, (change, expected)) in table.into_iter().enumerate() {
        // Both documents are judged alike.
        let mut seen = healthy();
        change(answer(&mut seen.discovery));
        assert_eq!(found(&seen), expected, "discovery {index}");
        let mut seen = healthy();
        change(answer(&mut seen.jwks));
        assert_eq!(found(&seen), expected, "keys {index}");
    }
}

#[test]
fn members_of_discovery_are_judged() {
    for (changes, expected) in [
        (json!({"issuer": "absent"}), &["issuer-member-missing"][..]),
        (json!({"jwks_uri": "absent"}), &["issuer-member-missing"]),
        (
            json!({"response_types_supported": "absent"}),
            &["issuer-member-missing"],
        ),
        (
            json!({"subject_types_supported": "absent"}),
            &["issuer-member-missing"],
        ),
        (
            json!({"id_token_signing_alg_values_supported": "absent"}),
            &["issuer-member-missing"],
        ),
        (
            json!({"authorization_endpoint": ""}),
            &["issuer-member-empty"],
        ),
        (
            json!({"subject_types_supported": []}),
            &["issuer-member-empty"],
        ),
        (json!({"claims_supported": null}), &["issuer-member-empty"]),
        (json!({"jwks_uri": ""}), &["issuer-member-empty"]),
        (json!({"claims_supported": "sub"}), &["issuer-member-type"]),
        (json!({"claims_supported": [1]}), &["issuer-member-type"]),
        (json!({"claims_parameter_supported": false}), &[]),
        (json!({"token_endpoint": 7}), &["issuer-member-type"]),
        (
            json!({"authorization_endpoint": "urn:kubernetes:programmatic_authorization"}),
            &[],
        ),
        (
            json!({"jwks_uri": "http://ci.example.com/keys"}),
            &["issuer-jwks-uri"],
        ),
        (json!({"jwks_uri": "/keys"}), &["issuer-jwks-uri"]),
        (
            json!({"jwks_uri": "https://localhost/keys"}),
            &["issuer-jwks-uri"],
        ),
        (
            json!({"jwks_uri": "https://169.254.169.254/keys"}),
            &["issuer-jwks-uri"],
        ),
        (
            json!({"jwks_uri": "https://keys.example.com/keys"}),
            &["issuer-jwks-elsewhere"],
        ),
        (
            json!({"id_token_signing_alg_values_supported": ["ES256"]}),
            &["issuer-no-rs256"],
        ),
        (
            json!({"id_token_signing_alg_values_supported": ["ES256", "RS256"]}),
            &[],
        ),
    ] {
        let discovery = with(discovery(), &changes);
        let seen = of(
            "https://ci.example.com",
            &discovery,
            &json!({"keys": [key()]}),
        );
        assert_eq!(found(&seen), expected, "{changes}");
    }
}

#[test]
fn what_stands_twice_in_a_document_is_named() {
    let twice = |exchange: &mut Option<Exchange>, member: &str| {
        let body = &mut answer(exchange).body;
        // The value that was there stays the last.
        *body = format!("{{{member},{}", String::from_utf8_lossy(&body[1..])).into_bytes();
    };
    let mut seen = healthy();
    twice(&mut seen.discovery, "\"issuer\":\"https://other.example\"");
    assert_eq!(found(&seen), ["issuer-member-twice"]);
    let mut seen = healthy();
    twice(&mut seen.jwks, "\"keys\":[]");
    let report = judge(&seen, NOW);
    assert_eq!(
        report.findings[0].what,
        "`https://ci.example.com/.well-known/jwks`: \"keys\" is named twice in one object; leave one of \
         them at line 1 column 17"
    );
}

#[test]
fn an_issuer_that_differs_is_shown_with_the_difference() {
    for (asked, issuer, words) in [
        (
            "https://ci.example.com",
            "https://ci.example.com/",
            "by a slash at the end",
        ),
        (
            "https://ci.example.com",
            "https://CI.example.com",
            "by upper and lower case only",
        ),
        (
            "https://ci.example.com",
            "https://ci.example.com:443",
            "by its port",
        ),
        (
            "https://ci.example.com",
            "https://ci.example.com/oidc",
            "by its path",
        ),
        (
            "https://ci.example.com",
            "http://ci.example.com",
            "by its scheme only",
        ),
    ] {
        let discovery = with(discovery(), &json!({"issuer": issuer}));
        let report = judge(&of(asked, &discovery, &json!({"keys": [key()]})), NOW);
        let finding = &report.findings[0];
        assert_eq!(finding.id, "issuer-mismatch");
        assert!(finding.what.ends_with(words), "{}", finding.what);
        assert!(finding.shown[1].ends_with(issuer), "{:?}", finding.shown);
        assert!(!report.is_clear());
    }
    // With the slash on both sides it is the same issuer, if not a good one.
    let discovery = with(discovery(), &json!({"issuer": "https://ci.example.com/"}));
    let seen = of(
        "https://ci.example.com/",
        &discovery,
        &json!({"keys": [key()]}),
    );
    assert_eq!(found(&seen), ["issuer-slash"]);
    assert!(judge(&seen, NOW).is_clear());
}

#[test]
fn members_of_keys_are_judged() {
    let numbers = |bytes: usize| "A".repeat(2) + &"_".repeat(bytes * 4 / 3);
    for (changes, expected) in [
        (json!({"kid": "absent"}), &["issuer-kid-missing"][..]),
        (json!({"kid": ""}), &["issuer-kid-missing"]),
        (json!({"kid": "2026-11"}), &["issuer-kid-not-thumbprint"]),
        (json!({"d": "AQAB"}), &["issuer-key-private"]),
        (json!({"p": "AQAB", "q": "AQAB"}), &["issuer-key-private"]),
        (json!({"x5c": ["MIIB"]}), &["issuer-key-certificates"]),
        (json!({"x5t": "AQAB"}), &["issuer-key-certificates"]),
        (json!({"key_ops": ["verify"]}), &["issuer-key-ops"]),
        (json!({"use": "enc"}), &["issuer-key-use"]),
        (json!({"use": "absent"}), &[]),
        (json!({"alg": "absent"}), &[]),
        (json!({"alg": "PS256"}), &["issuer-key-algorithm"]),
        (json!({"ext": true, "iat": 7}), &["issuer-key-members"]),
        (json!({"e": "absent"}), &["issuer-key-broken"]),
        (
            json!({"n": "not base64url!"}),
            &["issuer-key-broken", "issuer-kid-not-thumbprint"],
        ),
        (
            json!({"n": numbers(128)}),
            &["issuer-key-small", "issuer-kid-not-thumbprint"],
        ),
        (json!({"kty": "absent"}), &["issuer-key-broken"]),
        (
            json!({"kty": "oct", "k": "AQAB"}),
            &["issuer-key-private", "issuer-key-broken"],
        ),
    ] {
        let key = with(key(), &changes);
        let seen = of(
            "https://ci.example.com",
            &discovery(),
            &json!({"keys": [key]}),
        );
        assert_eq!(found(&seen), expected, "{changes}");
    }
}

#[test]
fn private_numbers_are_named_and_never_shown() {
    let key = with(key(), &json!({"d": "c2VjcmV0"}));
    let seen = of(
        "https://ci.example.com",
        &discovery(),
        &json!({"keys": [key]}),
    );
    let report = serde_json::to_string(&judge(&seen, NOW)).unwrap();
    assert!(report.contains("has `d`") && !report.contains("c2VjcmV0"));
}

#[test]
fn other_kinds_of_keys_are_held_against_each_relying_party() {
    let ec = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "x",
        "x": "AQAB", "y": "AQAB"});
    let ed = json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "x",
        "x": "AQAB"});
    for (key, words) in [
        (ec, "taken by AWS, GCP, Vault"),
        (ed, "refused by AWS, GCP"),
    ] {
        let seen = of(
            "https://ci.example.com",
            &discovery(),
            &json!({"keys": [key]}),
        );
        let expected = ["issuer-key-algorithm", "issuer-kid-not-thumbprint"];
        assert_eq!(found(&seen), expected);
        let report = judge(&seen, NOW);
        let what = &report.findings[0].what;
        assert!(what.contains(words), "{what}");
    }
}

#[test]
fn the_number_of_keys_is_judged_and_no_kid_may_stand_twice() {
    let keys = |count: usize| {
        let keys: Vec<_> = (0..count)
            .map(|n| with(key(), &json!({"kid": format!("k{n}")})))
            .collect();
        let mut found = found(&of(
            "https://ci.example.com",
            &discovery(),
            &json!({"keys": keys}),
        ));
        found.retain(|id| *id != "issuer-kid-not-thumbprint");
        found
    };
    assert_eq!(keys(0), ["issuer-no-keys"]);
    assert_eq!(keys(8), [""; 0]);
    assert_eq!(keys(9), ["issuer-many-keys"]);
    assert_eq!(keys(100), ["issuer-many-keys"]);
    assert_eq!(keys(101), ["issuer-too-many-keys"]);
    let no_list = of("https://ci.example.com", &discovery(), &json!({}));
    assert_eq!(found(&no_list), ["issuer-no-keys"]);
    let twice = of(
        "https://ci.example.com",
        &discovery(),
        &json!({"keys": [key(), key()]}),
    );
    assert_eq!(found(&twice), ["issuer-kid-twice"]);
}

#[test]
fn the_time_for_which_keys_are_kept_is_judged() {
    for (header, expected) in [
        (Some("public, max-age=300, must-revalidate"), None),
        (Some("Max-Age=\"3600\""), None),
        (Some("max-age=3601"), Some("issuer-cache-long")),
        (Some("max-age=59"), Some("issuer-cache-short")),
        (Some("no-store"), Some("issuer-cache-no-store")),
        (Some("no-cache, max-age=300"), Some("issuer-cache-no-store")),
        (Some("public"), Some("issuer-cache-none")),
        (Some("s-maxage=300"), Some("issuer-cache-none")),
        (None, Some("issuer-cache-none")),
    ] {
        let mut seen = healthy();
        answer(&mut seen.jwks).cache_control = header.map(str::to_owned);
        assert_eq!(found(&seen), expected.as_slice(), "{header:?}");
    }
    let mut seen = healthy();
    answer(&mut seen.jwks).etag = None;
    assert_eq!(found(&seen), ["issuer-etag-none"]);
}

#[test]
fn clocks_are_compared() {
    for (ahead, age, expected) in [
        (0, 0, None),
        (60, 0, None),
        (-60, 0, None),
        (61, 0, Some("issuer-clock-off")),
        (-61, 0, Some("issuer-clock-off")),
        (300, 0, Some("issuer-clock-off")),
        (301, 0, Some("issuer-clock-wrong")),
        (-90_000, 0, Some("issuer-clock-wrong")),
        // A cache has kept it for an hour.
        (-3_600, 3_600, None),
    ] {
        let mut seen = healthy();
        for exchange in [&mut seen.discovery, &mut seen.jwks] {
            let answer = answer(exchange);
            answer.date = Some(Timestamp(NOW.0 + ahead));
            answer.age = age;
        }
        assert_eq!(found(&seen), expected.as_slice(), "{ahead} {age}");
    }
}
