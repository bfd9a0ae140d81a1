//! Certificate files: taken up when they change, and named when they cannot be used.

use std::os::unix::fs::PermissionsExt;

use reqwest::Client;
use reqwest::tls::TlsInfo;

use super::{Mount, with_tls};
use crate::certificates::{path, read, trusting};
use crate::harness::Database;
use crate::program::{Server, Setup, eventually};

/// A client that tells which certificate it was shown.
fn looking() -> Client {
    trusting(|client| client.tls_info(true))
}

/// Which of the tests' certificates a client is shown.
async fn shown(server: &Server, client: &Client) -> &'static str {
    let url = format!("{}/healthz", server.public);
    let response = client.get(url).send().await.unwrap();
    let info = response.extensions().get::<TlsInfo>().unwrap();
    let der = info.peer_certificate().unwrap();
    ["server", "renewed", "ended"]
        .into_iter()
        .find(|name| der_of(name) == der)
        .unwrap()
}

fn der_of(name: &str) -> Vec<u8> {
    use base64::Engine;
    let pem = String::from_utf8(read(&format!("{name}.pem"))).unwrap();
    let text: String = pem.lines().filter(|line| !line.contains("-----")).collect();
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

#[tokio::test]
async fn a_changed_certificate_is_taken_up_and_open_connections_go_on() {
    let database = Database::durable().await;
    let mount = Mount::of(&database, "server");
    let server = Setup::on(&database)
        .with("SERVER__TLS__CERTIFICATE_FILE", &mount.path("tls.pem"))
        .with("SERVER__TLS__KEY_FILE", &mount.path("tls.key"))
        .serve()
        .await;
    // Over HTTP/2 this client stays on one connection.
    let before = looking();
    assert_eq!(shown(&server, &before).await, "server");

    mount.swap(&read("renewed.pem"), "renewed");
    eventually(
        "a new connection is shown the renewed certificate",
        || async { shown(&server, &looking()).await == "renewed" },
    )
    .await;
    assert_eq!(shown(&server, &before).await, "server");

    // What cannot be used is said, and the certificate before it stays.
    for (certificate, words) in [
        (b"no certificate".to_vec(), "holds no certificate in PEM"),
        (
            read("server.pem"),
            "is not the key of the first certificate",
        ),
    ] {
        mount.swap(&certificate, "renewed");
        eventually(words, || async { server.log().contains(words) }).await;
        assert_eq!(shown(&server, &looking()).await, "renewed");
    }
    let log = server.log();
    assert!(log.contains("the certificate before them stays"), "{log}");
    assert!(!log.contains("PRIVATE"), "{log}");

    mount.swap(&read("server.pem"), "server");
    eventually("what is mended is taken up", || async {
        shown(&server, &looking()).await == "server"
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_an_error_in_the_log() {
    let database = Database::durable().await;
    let server = with_tls(Setup::on(&database), "SERVER", "ended")
        .serve_at_once()
        .await;
    eventually("it is said", || async {
        server.log().contains("the certificate has ended")
    })
    .await;
    let log = server.log();
    assert!(log.contains("2021-01-01T00:00:00Z"), "{log}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_their_setting() {
    let database = Database::durable().await;
    let setup = with_tls(Setup::on(&database), "ADMIN", "server");
    let junk = path("make");
    let key = path("renewed.key");
    for (name, file, words) in [
        (
            "CERTIFICATE_FILE",
            "/no/such/file.pem",
            ["`admin.tls.certificate_file`", "No such file"],
        ),
        (
            "CERTIFICATE_FILE",
            &junk,
            [
                "`admin.tls.certificate_file`",
                "holds no certificate in PEM",
            ],
        ),
        (
            "KEY_FILE",
            "/no/such/file.key",
            ["`admin.tls.key_file`", "No such file"],
        ),
        (
            "KEY_FILE",
            &junk,
            ["`admin.tls.key_file`", "holds no private key in PEM"],
        ),
        (
            "KEY_FILE",
            &key,
            [
                "`admin.tls.key_file`",
                "is not the key of the first certificate",
            ],
        ),
        (
            "CLIENT_CA_FILE",
            "/no/such/ca.pem",
            ["`admin.tls.client_ca_file`", "No such file"],
        ),
        (
            "CLIENT_CA_FILE",
            &junk,
            ["`admin.tls.client_ca_file`", "holds no certificate in PEM"],
        ),
    ] {
        let setup = setup.clone().with(&format!("ADMIN__TLS__{name}"), file);
        let ran = setup.run(&["serve"]).await;
        ran.refused(3, &[words[0], words[1], file]);
    }
    for (name, setting) in [
        ("ROTATION__PROBE_CA_FILE", "`rotation.probe_ca_file`"),
        (
            "SERVER__ACME__DIRECTORY_CA_FILE",
            "`server.acme.directory_ca_file`",
        ),
    ] {
        let setup = Setup::on(&database)
            .with("SERVER__ACME__DOMAINS", "ci.example.com")
            .with("SERVER__ACME__ACCEPT_TERMS", "true")
            .with(name, &junk);
        let ran = setup.run(&["serve"]).await;
        ran.refused(3, &[setting, &junk, "no certificate in PEM"]);
    }
}

#[tokio::test]
async fn a_key_that_everybody_can_read_is_warned_of() {
    let database = Database::durable().await;
    let mount = Mount::of(&database, "server");
    let setup = Setup::on(&database)
        .with("SERVER__TLS__CERTIFICATE_FILE", &mount.path("tls.pem"))
        .with("SERVER__TLS__KEY_FILE", &mount.path("tls.key"));
    let words = "`server.tls.key_file` can be read by every user";
    let server = setup.serve().await;
    assert!(!server.log().contains(words), "{}", server.log());
    server.kill();
    let everybody = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(mount.path("tls.key"), everybody).unwrap();
    let server = setup.serve().await;
    assert!(server.log().contains(words), "{}", server.log());
}
