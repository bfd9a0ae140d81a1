//! The table of attacks: foreign tokens that must not be taken for real, whatever they look like.
//! Each is refused with the protocol's one error, and the audit log knows why.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::foreign::{AUDIENCE, KUBERNETES, Key, kubernetes, kubernetes_claims};
use crate::harness::{AWS, Answer, START, TestApp};

/// A runmint that trusts a cluster with these keys.
async fn trusting(keys: &[&Key]) -> TestApp {
    let app = TestApp::start().await;
    app.trust("k8s", &kubernetes(keys)).await;
    app
}

/// The reason of the newest refusal of a foreign token. A second passes or is taken back, since of
/// unproven ones only a few are recorded in each.
async fn reason(app: &TestApp) -> String {
    let refusals = app.events("issuer.token_refused").await;
    app.pass(if app.now() == START { 1 } else { -1 });
    refusals[0]["reason"].as_str().unwrap().to_owned()
}

#[track_caller]
fn assert_refused(answer: &Answer, attack: &str) {
    assert_eq!(answer.status, 400, "{attack}: {answer:?}");
    assert_eq!(answer.json["error"], "invalid_request", "{attack}");
    // The same words for every attack: nothing to learn from.
    assert_eq!(
        answer.json["error_description"],
        "the subject_token is not accepted; the audit log says why, under the request id",
        "{attack}"
    );
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(64)
        .map(|l| std::str::from_utf8(l).unwrap())
        .collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}

/// The claims with one of them changed, or taken away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = kubernetes_claims("with");
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn forged_signatures_are_refused() {
    let (ours, theirs, rsa) = (Key::ec("k1"), Key::ec("k1"), Key::rsa("k2"));
    let app = trusting(&[&ours, &rsa]).await;
    let claims = kubernetes_claims("j1");
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid, "typ": "JWT"});
    let message = |header: &Value| format!("{}.{}", encode(header), encode(&claims));
    let genuine = ours.token(&claims);
    let (signed, signature) = genuine.rsplit_once('.').unwrap();
    let mut flipped = URL_SAFE_NO_PAD.decode(signature).unwrap();
    flipped[7] ^= 1;
    let other = kubernetes_claims("j2");
    let der = rsa.public_der();
    let attacks: Vec<(&str, String, &str)> = vec![
        (
            "another key with the same kid",
            theirs.token(&claims),
            "signature",
        ),
        (
            "none",
            format!("{}.", message(&header("none", "k1"))),
            "algorithm",
        ),
        (
            "None",
            format!("{}.", message(&header("None", "k1"))),
            "algorithm",
        ),
        (
            "no signature",
            format!("{}.", message(&header("ES256", "k1"))),
            "signature",
        ),
        (
            "the signature of zeros",
            format!(
                "{}.{}",
                message(&header("ES256", "k1")),
                URL_SAFE_NO_PAD.encode([0; 64])
            ),
            "signature",
        ),
        (
            "a flipped bit",
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&flipped)),
            "signature",
        ),
        (
            "a signature of another payload",
            format!("{}.{}.{signature}", encode(&ours.header()), encode(&other)),
            "signature",
        ),
        (
            "HS256 with the public key in DER",
            hs256(&der, &header("HS256", "k2"), &claims),
            "algorithm",
        ),
        (
            "HS256 with the public key in PEM",
            hs256(pem(&der).as_bytes(), &header("HS256", "k2"), &claims),
            "algorithm",
        ),
        (
            "RS256 that is an HMAC",
            hs256(&der, &header("RS256", "k2"), &claims),
            "signature",
        ),
        (
            "HS512",
            hs256(&der, &header("HS512", "k2"), &claims),
            "algorithm",
        ),
        (
            "the RSA key for ES256",
            rsa.sign(
                header("ES256", "k2").to_string().as_bytes(),
                claims.to_string().as_bytes(),
            ),
            "another algorithm",
        ),
        (
            "the EC key for RS256",
            ours.sign(
                header("RS256", "k1").to_string().as_bytes(),
                claims.to_string().as_bytes(),
            ),
            "another algorithm",
        ),
        (
            "PS256 with a key for RS256",
            rsa.sign(
                header("PS256", "k2").to_string().as_bytes(),
                claims.to_string().as_bytes(),
            ),
            "not among",
        ),
        (
            "an algorithm that was not allowed",
            rsa.sign(
                header("RS384", "k2").to_string().as_bytes(),
                claims.to_string().as_bytes(),
            ),
            "not among",
        ),
        (
            "an encrypted token",
            format!(
                "{}.x.x.x.x",
                encode(&json!({"alg": "RSA-OAEP", "enc": "A128GCM"}))
            ),
            "no JWT",
        ),
    ];
    for (attack, token, word) in attacks {
        assert_refused(&app.exchange(&token, &[AWS]).await, attack);
        let reason = reason(&app).await;
        assert!(reason.contains(word), "{attack}: {reason}");
    }
    assert!(app.events("token.minted").await.is_empty());
    // And the real one is taken, after all that.
    assert_eq!(app.exchange(&genuine, &[AWS]).await.status, 200);
}

#[tokio::test]
async fn a_token_cannot_bring_its_own_key() {
    let (ours, theirs) = (Key::ec("k1"), Key::ec("evil"));
    let app = trusting(&[&ours]).await;
    let claims = kubernetes_claims("j1").to_string();
    for (member, value) in [
        ("jwk", theirs.jwk()),
        ("jku", json!("https://evil.example.com/keys")),
        ("x5u", json!("https://evil.example.com/chain")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        let mut header = json!({"alg": "ES256", "kid": "evil"});
        header[member] = value;
        for kid in ["evil", "k1"] {
            header["kid"] = json!(kid);
            let token = theirs.sign(header.to_string().as_bytes(), claims.as_bytes());
            assert_refused(&app.exchange(&token, &[AWS]).await, member);
            assert!(
                reason(&app).await.contains(&format!("`{member}`")),
                "{member}"
            );
        }
        // Not even when the issuer itself has signed it.
        let token = ours.sign(header.to_string().as_bytes(), claims.as_bytes());
        assert_refused(&app.exchange(&token, &[AWS]).await, member);
    }
}

#[tokio::test]
async fn a_kid_is_a_name_and_nothing_else() {
    let key = Key::ec("k1");
    let app = trusting(&[&key]).await;
    let claims = kubernetes_claims("j1").to_string();
    for kid in [
        json!("../../../../dev/null"),
        json!("' OR 1=1 --"),
        json!("k1\u{0}"),
        json!("K1"),
        json!("https://evil.example.com/keys#k1"),
        json!("x".repeat(257)),
        json!(""),
        json!(1),
        json!(["k1"]),
        json!({"k": "k1"}),
        Value::Null,
    ] {
        let header = json!({"alg": "ES256", "kid": kid});
        let token = key.sign(header.to_string().as_bytes(), claims.as_bytes());
        assert_refused(&app.exchange(&token, &[AWS]).await, &kid.to_string());
        assert!(reason(&app).await.contains("kid"), "{kid}");
    }
    let token = key.sign(br#"{"alg":"ES256"}"#, claims.as_bytes());
    assert_refused(&app.exchange(&token, &[AWS]).await, "no kid");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn each_wrong_claim_is_denied_with_its_reason() {
    let key = Key::ec("k1");
    let app = trusting(&[&key]).await;
    let now = START.0;
    let cases: Vec<(Value, &str)> = vec![
        (with("exp", json!(now)), "expired"),
        (with("exp", json!(now - 86_400)), "expired"),
        (with("exp", Value::Null), "no `exp`"),
        (with("exp", json!("1795403600")), "`exp` is no time"),
        (with("exp", json!(-1)), "`exp` is no time"),
        (with("exp", json!(1e300)), "`exp` is no time"),
        (with("exp", json!(253_402_300_800_i64)), "`exp` is no time"),
        (
            with("iat", json!(253_402_300_799_i64)),
            "in the future, at 9999-12-31",
        ),
        (with("iat", json!(253_402_300_800_i64)), "`iat` is no time"),
        (with("nbf", json!(300_000_000_000_i64)), "`nbf` is no time"),
        (with("nbf", json!(now + 62)), "valid from"),
        (with("iat", json!(now + 62)), "in the future"),
        (with("iat", Value::Null), "no `iat`"),
        (with("iat", json!(now - 86_400)), "max_token_age"),
        (with("aud", json!("https://ci.example.com/")), "`aud`"),
        (with("aud", json!("HTTPS://ci.example.com")), "`aud`"),
        (with("aud", json!(["sts.amazonaws.com"])), "`aud`"),
        (with("aud", json!([])), "`aud`"),
        (with("aud", json!({AUDIENCE: AUDIENCE})), "`aud`"),
        (with("aud", json!([[AUDIENCE]])), "`aud`"),
        (with("aud", Value::Null), "`aud`"),
        (
            with("iss", json!(format!("{KUBERNETES}/"))),
            "no trusted issuer",
        ),
        (
            with("iss", json!(KUBERNETES.to_uppercase())),
            "no trusted issuer",
        ),
        (
            with("iss", json!(format!(" {KUBERNETES}"))),
            "no trusted issuer",
        ),
        (
            with("iss", json!("https://evil.example.com")),
            "no trusted issuer",
        ),
        (with("iss", json!([KUBERNETES])), "no `iss`"),
        (with("iss", Value::Null), "no `iss`"),
        (with("kubernetes.io", Value::Null), "another namespace"),
        (
            with("kubernetes.io", json!({"namespace": "other"})),
            "another namespace",
        ),
        (
            with(
                "kubernetes.io",
                json!({"namespace": "ci", "serviceaccount": {"name": "x"}}),
            ),
            "no runner",
        ),
        (
            with(
                "kubernetes.io",
                json!({"namespace": "ci", "serviceaccount": {"name": "runner-a:b"}, "pod": {"uid": "1"}}),
            ),
            "workspace",
        ),
        (
            with(
                "kubernetes.io",
                json!({"namespace": "ci", "serviceaccount": {"name": "runner-*"}, "pod": {"uid": "1"}}),
            ),
            "workspace",
        ),
        (
            with(
                "kubernetes.io",
                json!({"namespace": "ci", "serviceaccount": {"name": "runner-"}, "pod": {"uid": "1"}}),
            ),
            "workspace",
        ),
        (
            with(
                "kubernetes.io",
                json!({"namespace": "ci", "serviceaccount": {"name": "runner-net"}, "pod": {"uid": 1}}),
            ),
            "run_id",
        ),
        (
            with(
                "kubernetes.io",
                json!({"namespace": "ci", "serviceaccount": {"name": "runner-net"}, "pod": {"uid": "a b"}}),
            ),
            "run_id",
        ),
    ];
    for (claims, word) in cases {
        let answer = app.exchange(&key.token(&claims), &[AWS]).await;
        assert_refused(&answer, word);
        let reason = reason(&app).await;
        assert!(reason.contains(word), "{word}: {reason}");
    }
    // Within the clock's leeway, with two audiences, with fractions of a second: all fine.
    for (n, claims) in [
        with("nbf", json!(now + 60)),
        with("iat", json!(now + 60)),
        with("aud", json!(["other", AUDIENCE])),
        with("aud", json!(AUDIENCE)),
        with("exp", json!(1_795_403_600.5)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut claims = claims;
        claims["jti"] = json!(n.to_string());
        let answer = app.exchange(&key.token(&claims), &[AWS]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn malformed_tokens_are_refused_before_any_key_is_looked_at() {
    let key = Key::ec("k1");
    let app = trusting(&[&key]).await;
    let header = key.header().to_string();
    let claims = kubernetes_claims("j1").to_string();
    let twice =
        |name: &str, value: &str| claims.replacen('{', &format!("{{\"{name}\":{value},"), 1);
    let nested = |levels: usize| {
        let deep = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        claims.replacen('{', &format!("{{\"deep\":{deep},"), 1)
    };
    let huge = claims.replacen('{', &format!("{{\"pad\":\"{}\",", "x".repeat(16_000)), 1);
    let genuine = key.sign(header.as_bytes(), claims.as_bytes());
    let signed = |payload: &str| key.sign(header.as_bytes(), payload.as_bytes());
    for (attack, token) in [
        (
            "duplicate iss",
            signed(&twice("iss", "\"https://evil.example.com\"")),
        ),
        ("duplicate sub", signed(&twice("sub", "\"system:admin\""))),
        (
            "duplicate by an escape",
            signed(&twice("\\u0073ub", "\"x\"")),
        ),
        (
            "duplicate alg",
            key.sign(
                br#"{"alg":"none","alg":"ES256","kid":"k1"}"#,
                claims.as_bytes(),
            ),
        ),
        (
            "duplicate kid",
            key.sign(
                br#"{"kid":"x","alg":"ES256","kid":"k1"}"#,
                claims.as_bytes(),
            ),
        ),
        ("huge", signed(&huge)),
        ("deep", signed(&nested(20))),
        ("very deep", signed(&nested(5_000))),
        (
            "deep header",
            key.sign(
                format!(
                    "{{\"alg\":\"ES256\",\"kid\":\"k1\",\"x\":{}1{}}}",
                    "[".repeat(3_000),
                    "]".repeat(3_000)
                )
                .as_bytes(),
                claims.as_bytes(),
            ),
        ),
        ("a list", signed("[]")),
        ("a text", signed("\"x\"")),
        ("no JSON", signed("{")),
        ("rest", signed(&format!("{claims} x"))),
        (
            "not UTF-8",
            key.sign(header.as_bytes(), b"{\"iss\":\"\xff\"}"),
        ),
        (
            "another typ",
            key.sign(
                br#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#,
                claims.as_bytes(),
            ),
        ),
        ("padding", format!("{genuine}==")),
        ("a fourth part", format!("{genuine}.x")),
        ("two parts", genuine.rsplit_once('.').unwrap().0.to_owned()),
        ("other base64", genuine.replace(['-', '_'], "+") + "+"),
        ("spaces inside", genuine.replacen('.', " .", 1)),
        ("dots", "..".to_owned()),
        ("nothing in it", ".".repeat(5_000)),
        ("a secret", "rmc_0123".to_owned()),
    ] {
        assert_refused(&app.exchange(&token, &[AWS]).await, attack);
    }
    assert_eq!(app.exchange(&genuine, &[AWS]).await.status, 200);
}

#[tokio::test]
async fn a_token_is_taken_once_also_by_two_at_once_on_two_replicas() {
    let key = Key::ec("k1");
    let app = trusting(&[&key]).await;
    let replica = app.replica().await;
    let token = key.token(&kubernetes_claims("once"));
    let (one, two, three) = tokio::join!(
        app.exchange(&token, &[AWS]),
        replica.exchange(&token, &[AWS]),
        app.exchange(&token, &[AWS]),
    );
    let mut statuses = [one.status, two.status, three.status].map(|s| s.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400]);
    assert_refused(&replica.exchange(&token, &[AWS]).await, "replay");
    assert_eq!(app.events("token.minted").await.len(), 1);
    // By the transaction, or by the look before it.
    let mut reasons = app.events("token.refused").await;
    reasons.extend(app.events("issuer.token_refused").await);
    assert_eq!(reasons.len(), 3);
    for event in reasons {
        let reason = event["reason"].as_str().unwrap();
        assert!(reason.contains("taken before"), "{reason}");
    }

    // Its ECDSA twin (r, n - s) is the same token; so is a second signature over the same claims.
    let resigned = key.token(&kubernetes_claims("once"));
    assert_ne!(resigned, token);
    assert_refused(&app.exchange(&resigned, &[AWS]).await, "signed anew");

    // Without a `jti`, what is signed is remembered, not how.
    let mut claims = kubernetes_claims("");
    claims.as_object_mut().unwrap().remove("jti");
    let (first, second) = (key.token(&claims), key.token(&claims));
    assert_ne!(first, second);
    assert_eq!(app.exchange(&first, &[AWS]).await.status, 200);
    assert_refused(&app.exchange(&second, &[AWS]).await, "no jti, signed anew");

    // It stays taken while it lives, and housekeeping does not forget it too early.
    app.pass(3_599);
    app.app.store.maintain(START, app.now()).await.unwrap();
    assert_refused(&app.exchange(&token, &[AWS]).await, "late replay");
}
