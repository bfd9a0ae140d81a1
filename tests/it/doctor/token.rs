//! `runmint doctor token`

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use runmint::clock::Clock;
use serde_json::{Value, json};

use super::site::{DISCOVERY, Page, Site, doctor, found, report};
use crate::foreign::Key;
use crate::harness::{AWS, Database};
use crate::program::{Server, Setup};
use crate::runner::files::is_root;

/// A token of a real server, in a file of mode 0600.
async fn minted() -> (Database, Server, String, String) {
    let database = Database::durable().await;
    let setup = Setup::on(&database).at_its_issuer_url();
    let server = setup.with("KEYS__ALGORITHM", "RS256").serve().await;
    let secret = server.client("atlantis").await;
    let run = server.open(&secret, "plan").await;
    let answer = server.answer(server.ask(&run)).await;
    let token = answer.json["value"].as_str().unwrap().to_owned();
    let path = file(database.dir(), &token);
    (database, server, token, path)
}

fn file(folder: &Path, content: &str) -> String {
    let path = folder.join("token");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_token_of_ours_is_all_clear_and_its_key_version_is_known() {
    let (_database, server, token, path) = minted().await;
    let ran = server
        .cli(&["doctor", "token", &path, "--format", "json"])
        .await;
    assert_eq!(found(&ran), [""; 0]);
    let facts = report(&ran)["facts"].clone();
    assert_eq!(
        facts["key version"],
        "1, active, the newest that has signed"
    );
    assert_eq!(facts["at AWS"], "fits");
    assert_eq!(facts["aud"], AWS);
    assert_eq!(facts["subject's workspace"], "net-1");
    let kid = &server.kids().await[0];
    let signature = format!(
        "right, of the key `{kid}` at {}/.well-known/jwks",
        server.public
    );
    assert_eq!(facts["signature"], signature);
    let text = server.cli(&["doctor", "token", &path]).await;
    assert!(text.done().ends_with("\nall clear\n"), "{text:?}");

    // The slash that Azure stumbles over.
    let slash = format!("{}/", server.public);
    let ran = doctor(&["token", &path, "--issuer", &slash]).await;
    assert_eq!(
        found(&ran),
        ["token-issuer-differs", "token-version-unasked"]
    );
    for ran in [&ran, &text] {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!ran.stdout.contains(signature) && !ran.stderr.contains(signature));
    }

    // The server has another key by now.
    let rotated = server.cli(&["keys", "rotate", "--emergency"]).await;
    assert_eq!(rotated.status, 0, "{rotated:?}");
    let ran = server
        .cli(&["doctor", "token", &path, "--format", "json"])
        .await;
    assert_eq!(
        found(&ran),
        ["token-kid-unknown", "token-version-withdrawn"]
    );
}

#[tokio::test]
async fn what_stands_around_a_token_in_a_file_is_named() {
    let (database, server, token, _) = minted().await;
    for (content, expected) in [
        (format!("{token}\n"), "token-newline"),
        (format!("\"{token}\""), "token-quoted"),
        (format!("Bearer {token}"), "token-bearer"),
        (
            json!({"count": 1, "value": token}).to_string(),
            "token-envelope",
        ),
        (String::new(), "token-empty"),
        (token[..100].to_owned(), "token-form"),
    ] {
        let path = file(database.dir(), &content);
        let ran = server
            .cli(&["doctor", "token", &path, "--format", "json"])
            .await;
        assert_eq!(found(&ran), [expected]);
        assert!(!ran.stdout.contains(&token) && !ran.stderr.contains(&token));
    }
}

/// The claims of a good token of this site.
fn claims(site: &Site) -> Value {
    let now = Clock::System.now().0;
    json!({
        "iss": site.url, "aud": AWS, "iat": now, "nbf": now - 5, "exp": now + 600,
        "sub": "organization:acme:project:p:workspace:w:run_phase:plan",
    })
}

/// What is found at these two, whatever else.
const ALWAYS: [&str; 2] = ["token-kid-not-thumbprint", "token-version-unasked"];

#[tokio::test]
async fn times_claims_and_keys_are_held_against_the_published_ones() {
    let (first, second, stranger) = (Key::rsa("one"), Key::rsa("two"), Key::rsa("three"));
    let site = Site::plain(&[&first, &second]);
    let folder = tempfile::tempdir().unwrap();
    let now = Clock::System.now().0;
    let with = |name: &str, value: Value| {
        let mut claims = claims(&site);
        claims[name] = value;
        claims
    };
    let confused = second.sign(
        first.header().to_string().as_bytes(),
        claims(&site).to_string().as_bytes(),
    );
    let forged = stranger.sign(
        first.header().to_string().as_bytes(),
        claims(&site).to_string().as_bytes(),
    );
    for (token, expected) in [
        (first.token(&claims(&site)), &[][..]),
        (
            first.token(&with("exp", json!(now - 100))),
            &["token-expired", "token-times-order"],
        ),
        (
            first.token(&with("azp", json!("sts.amazonaws.com"))),
            &["token-azp"],
        ),
        (
            first.token(&with("iat", json!(now - 90_000))),
            &["token-old", "token-lives-long"],
        ),
        (stranger.token(&claims(&site)), &["token-kid-unknown"]),
        (forged, &["token-signature"]),
        (confused, &["token-signature-of-another"]),
    ] {
        let path = file(folder.path(), &token);
        let mut found = found(&doctor(&["token", &path]).await);
        found.retain(|id| !ALWAYS.contains(&id.as_str()));
        assert_eq!(found, expected);
    }
    // Nobody is asked over plain HTTP, but for this machine.
    let path = file(
        folder.path(),
        &first.token(&with("iss", json!("http://ci.example.com"))),
    );
    let ran = doctor(&["token", &path]).await;
    assert_eq!(found(&ran), ["token-keys-unseen", "token-version-unasked"]);
    assert!(ran.stdout.contains("so nobody is asked"), "{ran:?}");
}

/// Whoever wrote the token has named the issuer.
#[tokio::test]
async fn a_token_leads_nobody_to_a_metadata_service() {
    let key = Key::rsa("one");
    let site = Site::plain(&[&key]);
    let folder = tempfile::tempdir().unwrap();
    for (iss, jwks_uri, expected) in [
        (&*site.url, "http://169.254.169.254/keys", "is no https URL"),
        (&*site.url, "https://169.254.169.254/keys", "link-local"),
        (&*site.url, "file:///keys", "is no https URL"),
        ("http://169.254.169.254", "", "is no https URL"),
        ("https://169.254.169.254", "", "link-local"),
        ("https://[fe80::1]", "", "link-local"),
    ] {
        let mut discovery = site.document(DISCOVERY);
        discovery["jwks_uri"] = json!(jwks_uri);
        site.set(DISCOVERY, Page::json(&discovery));
        let mut claims = claims(&site);
        claims["iss"] = json!(iss);
        let path = file(folder.path(), &key.token(&claims));
        let ran = doctor(&["token", &path]).await;
        assert_eq!(found(&ran), ["token-keys-unseen", "token-version-unasked"]);
        let what = report(&ran)["findings"][0]["what"].clone();
        let what = what.as_str().unwrap();
        assert!(
            what.contains(expected) && what.ends_with("so nobody is asked"),
            "{what}"
        );
    }
}

/// The pipe is fed by a process, so no server may be needed: the keys are in a file.
#[tokio::test]
async fn a_token_on_stdin_is_held_against_keys_in_a_file() {
    let key = Key::rsa("one");
    let site = Site::plain(&[&key]);
    let folder = tempfile::tempdir().unwrap();
    let jwks = folder.path().join("jwks.json");
    std::fs::write(&jwks, site.document("/keys").to_string()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_runmint"))
        .args(["doctor", "token", "-", "--format", "json", "--jwks"])
        .arg(&jwks)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .current_dir(folder.path())
        .spawn()
        .unwrap();
    let token = key.token(&claims(&site));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(token.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let signature = format!("right, of the key `one` at {}", jwks.display());
    assert_eq!(report["facts"]["signature"], signature);

    std::fs::write(&jwks, "{}").unwrap();
    let path = file(folder.path(), &token);
    let ran = doctor(&["token", &path, "--jwks", &jwks.display().to_string()]).await;
    ran.refused(3, &["`--jwks`", "is no key set"]);
}

#[tokio::test]
async fn who_cannot_read_the_file_is_named_with_the_remedy() {
    let (database, server, token, path) = minted().await;
    let ran = server
        .cli(&["doctor", "token", "/nonexistent/token", "--format", "json"])
        .await;
    assert_eq!(found(&ran), ["token-file-absent"]);
    let ran = doctor(&["token", &path, "--reader", "no such user"]).await;
    ran.refused(2, &["there is no user `no such user`"]);

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = server
        .cli(&["doctor", "token", &path, "--format", "json"])
        .await;
    assert_eq!(found(&ran), ["token-file-open"]);

    if !is_root("a reader of a token file that is not root") {
        return;
    }
    std::fs::set_permissions(database.dir(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let path = file(database.dir(), &token);
    let ask = [
        "doctor",
        "token",
        &path,
        "--reader",
        "54321:54322",
        "--format",
        "json",
    ];
    let ran = server.cli(&ask).await;
    assert_eq!(found(&ran), ["token-file-closed"]);
    let finding = &report(&ran)["findings"][0];
    assert!(
        finding["what"]
            .as_str()
            .unwrap()
            .contains("uid 54321 (group 54322) cannot read")
    );
    assert!(finding["fix"].as_str().unwrap().contains("`--owner 54321`"));
}
