//! URL, addresses, certificates.

use super::*;

#[test]
fn all_that_is_wrong_with_a_url_is_said() {
    let clear: [&str; 0] = [];
    let long = format!("https://ci.example.com/{}", "a".repeat(300));
    for (url, expected) in [
        ("https://ci.example.com", &clear[..]),
        ("https://ci.example.com/Team-A/oidc", &[]),
        ("https://ci.example.com/", &["issuer-slash"]),
        ("https://CI.example.com", &["issuer-host-case"]),
        ("https://ci.example.com:8443", &["issuer-port"]),
        (
            "https://CI.example.com:8443/",
            &["issuer-host-case", "issuer-port", "issuer-slash"],
        ),
        ("http://ci.example.com", &["issuer-not-https"]),
        ("ftp://ci.example.com", &["issuer-not-https"]),
        (
            "http://127.0.0.1:8080",
            &["issuer-this-machine", "issuer-port"],
        ),
        ("https://[::1]", &["issuer-this-machine"]),
        ("https://ci.example.com?x=1", &["issuer-form"]),
        ("https://ci.example.com#x", &["issuer-form"]),
        ("https://me@ci.example.com", &["issuer-form"]),
        ("https://ci.example.com//x", &["issuer-form"]),
        ("https://ci.example.com/../x", &["issuer-form"]),
        ("https://ci.example.com/a b", &["issuer-form"]),
        ("https://ci.example.com/{run}", &["issuer-form"]),
        ("ci.example.com", &["issuer-form"]),
        ("", &["issuer-form"]),
        (
            "https://ci.example.com/.well-known/openid-configuration",
            &["issuer-is-discovery-url"],
        ),
        (&long, &["issuer-too-long"]),
    ] {
        let mut report = Report::default();
        form::judge(url, &mut report);
        let found: Vec<_> = report.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(found, expected, "{url}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_judged_as_a_url(url in ".{0,40}", rest in "[a-zA-Z0-9:/?#@.%-]{0,40}") {
        for url in [url, format!("https://{rest}")] {
            form::judge(&url, &mut Report::default());
        }
    }
}

#[test]
fn addresses_that_the_world_cannot_reach_are_named_by_their_kind() {
    for (addresses, expected) in [
        (&["140.82.112.3", "2606:4700::1111"][..], None),
        (&["10.1.2.3"], Some("issuer-address-private")),
        (&["172.16.0.1"], Some("issuer-address-private")),
        (
            &["192.168.1.1", "140.82.112.3"],
            Some("issuer-address-private"),
        ),
        (&["100.64.0.1"], Some("issuer-address-private")),
        (&["fd00::1"], Some("issuer-address-private")),
        (&["127.0.0.1"], Some("issuer-address-nowhere")),
        (&["::1"], Some("issuer-address-nowhere")),
        (&["169.254.169.254"], Some("issuer-address-nowhere")),
        (&["fe80::1"], Some("issuer-address-nowhere")),
        (&["::ffff:10.0.0.1"], Some("issuer-address-private")),
        (&["::ffff:127.0.0.1"], Some("issuer-address-nowhere")),
        (&["0.0.0.0"], Some("issuer-address-nowhere")),
        (&["192.0.2.1"], Some("issuer-address-nowhere")),
        (&["2001:db8::1"], Some("issuer-address-nowhere")),
    ] {
        let mut seen = healthy();
        let parsed = addresses.iter().map(|address| address.parse().unwrap());
        seen.hosts[0].addresses = Ok(parsed.collect());
        assert_eq!(found(&seen), expected.as_slice(), "{addresses:?}");
    }
    let mut seen = healthy();
    seen.hosts[0].addresses = Err("no such host".to_owned());
    seen.hosts[0].chain = None;
    // A proxy has found it.
    assert_eq!(found(&seen), ["issuer-chain-unseen"]);
    // It shows a certificate of its own.
    seen.discovery.as_mut().unwrap().distrust = Some(Distrust::Unknown);
    let expected = ["issuer-chain-unseen", "issuer-certificate-untrusted"];
    assert_eq!(found(&seen), expected);
    seen.discovery.as_mut().unwrap().distrust = None;
    seen.jwks = None;
    let unknown = FetchError::Connection("no such host".to_owned());
    seen.discovery.as_mut().unwrap().outcome = Err(unknown);
    assert_eq!(found(&seen), ["issuer-no-such-host"]);
}

/// A healthy issuer whose chain was changed, and whose certificate the library refuses for a reason.
fn shows(change: impl FnOnce(&mut Chain), distrust: impl Into<Option<Distrust>>) -> Seen {
    let distrust = distrust.into();
    let mut seen = healthy();
    let mut chain = chain();
    change(&mut chain);
    seen.hosts[0].chain = Some(Ok(chain));
    for exchange in [&mut seen.discovery, &mut seen.jwks] {
        exchange.as_mut().unwrap().distrust = distrust.clone();
    }
    seen
}

#[test]
fn what_is_wrong_with_certificates_is_said_once() {
    let long_ago = NOW - Duration::from_hours(1);
    let seen = shows(
        |chain| chain.certificates[0].not_after = long_ago,
        Distrust::Ended,
    );
    assert_eq!(found(&seen), ["issuer-certificate-ended"]);
    let seen = shows(
        |chain| chain.certificates[1].not_before = NOW + Duration::from_hours(1),
        Distrust::NotYet,
    );
    assert_eq!(found(&seen), ["issuer-certificate-early"]);
    // 90 days, of which 17 are left.
    let soon = |chain: &mut Chain| {
        let first = &mut chain.certificates[0];
        first.not_before = NOW - Duration::from_hours(24 * 73);
        first.not_after = NOW + Duration::from_hours(24 * 17);
    };
    assert_eq!(found(&shows(soon, None)), ["issuer-certificate-ends-soon"]);
    let other = |chain: &mut Chain| chain.certificates[0].names = vec!["example.com".to_owned()];
    assert_eq!(
        found(&shows(other, Distrust::Host)),
        ["issuer-certificate-host"]
    );
    // The library stops at the first reason; both are told.
    let both = shows(
        |chain| {
            other(chain);
            chain.certificates[0].not_after = long_ago;
        },
        Distrust::Ended,
    );
    assert_eq!(
        found(&both),
        ["issuer-certificate-ended", "issuer-certificate-host"]
    );
    let reversed = shows(
        |chain| chain.certificates.push(chain.certificates[0].clone()),
        None,
    );
    assert_eq!(found(&reversed), ["issuer-chain-order"]);
}

#[test]
fn a_chain_that_ends_too_early_is_told_from_one_of_a_stranger() {
    let alone = |chain: &mut Chain| chain.certificates.truncate(1);
    let seen = shows(alone, Distrust::Unknown);
    assert_eq!(found(&seen), ["issuer-chain-incomplete"]);
    assert!(
        judge(&seen, NOW).findings[0]
            .what
            .contains("issued by `CN=R3`")
    );

    let private = |chain: &mut Chain| {
        alone(chain);
        chain.certificates[0].points_to_issuer = false;
    };
    let mut seen = shows(private, Distrust::Unknown);
    assert_eq!(found(&seen), ["issuer-certificate-untrusted"]);
    // The CA was given, and it is not the one that issued it.
    seen.private_ca = true;
    assert_eq!(found(&seen), ["issuer-chain-incomplete"]);

    let itself = |chain: &mut Chain| {
        private(chain);
        chain.certificates[0].issuer = chain.certificates[0].subject.clone();
    };
    let seen = shows(itself, Distrust::Unknown);
    assert_eq!(found(&seen), ["issuer-certificate-untrusted"]);
    let seen = shows(|_| {}, Distrust::Other("CaUsedAsEndEntity".to_owned()));
    assert_eq!(found(&seen), ["issuer-certificate-untrusted"]);
}

#[test]
fn a_private_ca_that_was_given_is_remarked_on() {
    let mut seen = healthy();
    seen.private_ca = true;
    assert_eq!(found(&seen), ["issuer-private-ca"]);
    assert!(judge(&seen, NOW).is_clear());
}

#[test]
fn a_chain_that_cannot_be_seen_is_told_from_one_that_is_none() {
    let host = || "ci.example.com:443".to_owned();
    let mut seen = healthy();
    let cause = "connection refused".to_owned();
    seen.hosts[0].chain = Some(Err(ChainError::Connection {
        host: host(),
        cause,
    }));
    assert_eq!(found(&seen), ["issuer-chain-unseen"]);
    // The whole issuer is away: that is said once.
    seen.jwks = None;
    let refused = FetchError::Connection("connection refused".to_owned());
    seen.discovery.as_mut().unwrap().outcome = Err(refused);
    assert_eq!(found(&seen), ["issuer-unreachable"]);

    let cause = "received corrupt message".to_owned();
    seen.hosts[0].chain = Some(Err(ChainError::Handshake {
        host: host(),
        cause,
    }));
    let broken = FetchError::Tls("received corrupt message".to_owned());
    seen.discovery.as_mut().unwrap().outcome = Err(broken);
    assert_eq!(found(&seen), ["issuer-tls-failed"]);
}
