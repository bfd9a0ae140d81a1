//! `runmint doctor issuer`

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rcgen::date_time_ymd;
use runmint::clock::Clock;
use runmint::doctor::issuer::fetch_chain;
use serde_json::{Value, json};

use super::site::{Authority, DISCOVERY, JWKS, Page, Site, doctor, found, report};
use crate::certificates;
use crate::harness::Database;
use crate::program::{Setup, free_port};

/// What is found at each issuer on this machine.
const LOCAL: [&str; 2] = ["issuer-this-machine", "issuer-port"];

/// The same where its keys are of the tests' own making.
const PLAIN: [&str; 3] = [
    "issuer-this-machine",
    "issuer-port",
    "issuer-kid-not-thumbprint",
];

#[track_caller]
fn assert_found(found: &[String], expected: &[&str]) {
    let (mut found, mut expected) = (found.to_vec(), expected.to_vec());
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_server_of_ours_is_clear_over_tls_with_its_ca() {
    let database = Database::durable().await;
    let address = format!("localhost:{}", free_port());
    let url = format!("https://{address}");
    let server = Setup::on(&database)
        .with("KEYS__ALGORITHM", "RS256")
        .with("SERVER__LISTEN", &address.replace("localhost", "127.0.0.1"))
        .with("ISSUER__URL", &url)
        .with(
            "SERVER__TLS__CERTIFICATE_FILE",
            &certificates::path("server.pem"),
        )
        .with("SERVER__TLS__KEY_FILE", &certificates::path("server.key"))
        .serve()
        .await;
    let ca = certificates::path("ca.pem");
    let ran = doctor(&["issuer", &url, "--ca", &ca]).await;
    assert_found(&found(&ran), &[&LOCAL[..], &["issuer-private-ca"]].concat());
    let facts = &report(&ran)["facts"];
    assert_eq!(facts["TLS of localhost"], "TLS 1.3");
    assert_eq!(facts["keys"], "1");
    let kid = &server.kids().await[0];
    let key = facts[format!("key {kid}")].as_str().unwrap();
    assert!(
        key.starts_with("RS256, RSA with 2048 bits; taken by AWS, Azure, GCP"),
        "{key}"
    );

    // Without the CA it is a stranger; the documents are looked at all the same.
    let ran = doctor(&["issuer", &url]).await;
    assert_found(
        &found(&ran),
        &[&LOCAL[..], &["issuer-certificate-untrusted"]].concat(),
    );
    assert_eq!(report(&ran)["facts"]["keys"], "1");

    // The wrong name of the same server.
    let slash = format!("{url}/");
    let ran = doctor(&["issuer", &slash, "--ca", &ca]).await;
    let wrong = ["issuer-private-ca", "issuer-slash", "issuer-mismatch"];
    assert_found(&found(&ran), &[&LOCAL[..], &wrong].concat());
    let report = report(&ran);
    let findings = report["findings"].as_array().unwrap();
    let mismatch = findings
        .iter()
        .find(|finding| finding["id"] == "issuer-mismatch")
        .unwrap();
    assert_eq!(
        mismatch["what"],
        "`issuer` in the document differs by a slash at the end"
    );
    assert_eq!(mismatch["shown"][0], format!("asked for: {slash}"));
    assert!(ran.stderr.contains("1 error: see above"), "{ran:?}");
}

#[tokio::test]
async fn certificates_are_looked_at_as_they_are_sent() {
    let authority = Authority::new();
    let between = authority.intermediate.der().to_vec();
    let folder = tempfile::tempdir().unwrap();
    let ca = authority.file(folder.path()).display().to_string();
    let good = authority.issue("localhost", |_| {});
    let ended = authority.issue("localhost", |params| {
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let early = authority.issue("localhost", |params| {
        params.not_before = date_time_ymd(2110, 1, 1);
    });
    let elsewhere = authority.issue("elsewhere.example.com", |_| {});
    let root = authority.root.der().to_vec();
    for (name, (certificate, key), rest, expected) in [
        (
            "good",
            good.clone(),
            vec![between.clone()],
            "issuer-private-ca",
        ),
        (
            "ended",
            ended,
            vec![between.clone()],
            "issuer-certificate-ended",
        ),
        (
            "early",
            early,
            vec![between.clone()],
            "issuer-certificate-early",
        ),
        (
            "elsewhere",
            elsewhere,
            vec![between.clone()],
            "issuer-certificate-host",
        ),
        ("alone", good.clone(), vec![], "issuer-chain-incomplete"),
    ] {
        let last = rest.last().unwrap_or(&certificate).clone();
        let site = Site::with_chain([vec![certificate], rest].concat(), key).await;
        let ran = doctor(&["issuer", &site.url, "--ca", &ca]).await;
        assert_found(&found(&ran), &[&PLAIN[..], &[expected]].concat());
        let thumbprint: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, &last)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<Vec<_>>()
            .concat();
        assert_eq!(
            report(&ran)["facts"]["thumbprint of localhost"],
            thumbprint,
            "{name}"
        );
        let url = site.url.parse().unwrap();
        let chain = fetch_chain(&url, std::time::Duration::from_mins(1))
            .await
            .unwrap();
        assert_eq!(chain.thumbprint(), thumbprint, "{name}");
    }
    // In the wrong order, which some clients forgive.
    let (certificate, key) = good;
    let site = Site::with_chain(vec![certificate, root, between], key).await;
    let ran = doctor(&["issuer", &site.url, "--ca", &ca]).await;
    let expected = ["issuer-private-ca", "issuer-chain-order"];
    assert_found(&found(&ran), &[&PLAIN[..], &expected].concat());
}

/// Answers with each page in turn, and asserts that this alone is found.
async fn assert_each(site: &Site, path: &str, table: Vec<(Page, &str)>) {
    let good = site.page(path);
    for (page, expected) in table {
        site.set(path, page);
        let mut found = found(&doctor(&["issuer", &site.url]).await);
        found.retain(|id| !PLAIN.contains(&id.as_str()));
        assert_found(&found, &[expected]);
    }
    site.set(path, good);
    let ran = doctor(&["issuer", &site.url]).await;
    assert_found(&found(&ran), &PLAIN);
}

#[tokio::test]
async fn each_fault_of_discovery_is_found_in_the_real_answer() {
    let site = Site::plain(&[]);
    let good = site.page(DISCOVERY);
    let with = |name: &str, value: Value| {
        let mut document = site.document(DISCOVERY);
        document[name] = value;
        Page::json(&document)
    };
    let redirect = Page {
        status: 302,
        ..good.clone()
    };
    let page = Page {
        body: b"<!doctype html><title>Sign in</title>".to_vec(),
        ..good.clone()
    };
    let slash = json!(format!("{}/", site.url));
    let body = String::from_utf8(good.body.clone()).unwrap();
    let twice = Page {
        body: body
            .replacen('{', "{\"issuer\":\"https://other.example\",", 1)
            .into(),
        ..good.clone()
    };
    let table = vec![
        (twice, "issuer-member-twice"),
        // Neither is asked: both would be silent until the time is over.
        (
            with("jwks_uri", json!("http://169.254.169.254/keys")),
            "issuer-jwks-uri",
        ),
        (
            with("jwks_uri", json!("https://169.254.169.254/keys")),
            "issuer-jwks-uri",
        ),
        (redirect.with("location", "/login"), "issuer-redirect"),
        (
            good.with("content-type", "text/plain"),
            "issuer-content-type",
        ),
        (page.with("content-type", "text/html"), "issuer-html"),
        (with("issuer", slash), "issuer-mismatch"),
        (
            with("authorization_endpoint", json!("")),
            "issuer-member-empty",
        ),
        (
            with("subject_types_supported", json!([])),
            "issuer-member-empty",
        ),
    ];
    assert_each(&site, DISCOVERY, table).await;
}

#[tokio::test]
async fn each_fault_of_the_key_set_is_found_in_the_real_answer() {
    let site = Site::plain(&[]);
    let good = || site.page(JWKS);
    let in_key = |name: &str, value: Value| {
        let mut document = site.document(JWKS);
        document["keys"][0][name] = value;
        Page::json(&document)
    };
    let key = site.document(JWKS)["keys"][0].clone();
    let off = |seconds: i64| {
        let at = Clock::System.now().0 + seconds;
        let since = std::time::Duration::from_secs(at.unsigned_abs());
        good().with(
            "date",
            &http_date(std::time::SystemTime::UNIX_EPOCH + since),
        )
    };
    let gone = Page {
        status: 404,
        ..good()
    };
    let large = Page {
        body: vec![b' '; (1 << 20) + 1],
        ..good()
    };
    let table = vec![
        (Page::json(&json!({"keys": [key, key]})), "issuer-kid-twice"),
        (in_key("x5c", json!(["MIIB"])), "issuer-key-certificates"),
        (in_key("key_ops", json!(["verify"])), "issuer-key-ops"),
        (in_key("d", json!("AQAB")), "issuer-key-private"),
        (gone, "issuer-status"),
        (good().without("cache-control"), "issuer-cache-none"),
        (
            good().with("cache-control", "no-store"),
            "issuer-cache-no-store",
        ),
        (good().without("etag"), "issuer-etag-none"),
        (off(-200), "issuer-clock-off"),
        (off(1_000), "issuer-clock-wrong"),
        (large, "issuer-too-large"),
    ];
    assert_each(&site, JWKS, table).await;
}

/// RFC 9110, section 5.6.7; the day of the week is not read.
fn http_date(at: std::time::SystemTime) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = humantime::format_rfc3339_seconds(at).to_string();
    let month = MONTHS[text[5..7].parse::<usize>().unwrap() - 1];
    format!(
        "Mon, {} {month} {} {} GMT",
        &text[8..10],
        &text[..4],
        &text[11..19]
    )
}

#[tokio::test]
async fn a_server_that_is_away_silent_or_no_tls_server_is_told_apart() {
    let away = format!("http://localhost:{}", free_port());
    let ran = doctor(&["issuer", &away]).await;
    assert_found(
        &found(&ran),
        &[&LOCAL[..], &["issuer-unreachable"]].concat(),
    );

    // It takes the connection and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://localhost:{}", silent.local_addr().unwrap().port());
    let ran = doctor(&["issuer", &url, "--timeout", "1"]).await;
    assert_found(&found(&ran), &[&LOCAL[..], &["issuer-no-answer"]].concat());

    let plain = Site::plain(&[]);
    let url = plain.url.replace("http://", "https://");
    let ran = doctor(&["issuer", &url]).await;
    assert_found(&found(&ran), &[&LOCAL[..], &["issuer-tls-failed"]].concat());

    let ran = doctor(&["issuer", "https://runmint.invalid"]).await;
    let found = found(&ran);
    assert!(
        found.contains(&"issuer-no-such-host".to_owned()),
        "{found:?}"
    );
}

#[tokio::test]
async fn what_is_no_url_and_a_ca_that_is_none_are_named() {
    let ran = doctor(&["issuer", "ci.example.com"]).await;
    assert_found(&found(&ran), &["issuer-form"]);
    let ran = doctor(&["issuer", "https://localhost:1", "--ca", "/nonexistent"]).await;
    ran.refused(3, &["`--ca`: /nonexistent"]);
}
