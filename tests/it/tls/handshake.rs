//! What is spoken, and what is not.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use axum::http::{Method, StatusCode, Version};
use reqwest::tls;

use super::with_tls;
use crate::certificates::trusting;
use crate::harness::Database;
use crate::program::{Server, Setup, free_port};

/// A server that has not closed a connection by then never will.
const PATIENCE: Duration = Duration::from_mins(1);

async fn server() -> (Database, Server) {
    let database = Database::durable().await;
    let setup = Setup::on(&database).with("SERVER__LISTEN", &format!("127.0.0.1:{}", free_port()));
    let setup = with_tls(with_tls(setup, "SERVER", "server"), "ADMIN", "server");
    (database, setup.serve().await)
}

#[tokio::test]
async fn both_listeners_speak_http_1_and_2_over_tls_1_2_and_1_3() {
    let (_database, server) = server().await;
    for base in [&server.public, &server.admin] {
        let url = format!("{base}/healthz");
        for (version, http) in [
            (tls::Version::TLS_1_2, Version::HTTP_2),
            (tls::Version::TLS_1_3, Version::HTTP_2),
        ] {
            let client =
                trusting(|client| client.tls_version_min(version).tls_version_max(version));
            let response = client.get(&url).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.version(), http, "{version:?}");
        }
        let client = trusting(reqwest::ClientBuilder::http1_only);
        let response = client.get(&url).send().await.unwrap();
        assert_eq!(response.version(), Version::HTTP_11);
        // The CA of the tests is a stranger to everybody else.
        reqwest::get(&url).await.unwrap_err();
    }
    assert_eq!(server.cli(&["healthcheck"]).await.done(), "ok\n");
}

#[tokio::test]
async fn plain_http_and_older_versions_are_refused() {
    let (_database, server) = server().await;
    for base in [&server.public, &server.admin] {
        let answer = sent(base, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        // TLS 1.0 and 1.1: a fatal alert (21), protocol_version (70): RFC 8446, section 6.2.
        for old in [1, 2] {
            let answer = sent(base, &client_hello(old));
            assert_eq!(answer.first(), Some(&21), "{answer:?}");
            assert_eq!(answer.get(5..7), Some(&[2, 70][..]), "{answer:?}");
        }
        // The same bytes for TLS 1.2 are answered by a handshake (22).
        let mut stream = TcpStream::connect(base.strip_prefix("https://").unwrap()).unwrap();
        stream.write_all(&client_hello(3)).unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(first, [22]);
    }
}

/// A hello of TLS 1.(`minor` - 1), with one suite, curve and signature (RFC 5246, section 7.4.1.2).
fn client_hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    // No session; TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256; no compression.
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    // Extensions: secp256r1, uncompressed points, ecdsa_secp256r1_sha256.
    body.extend([0, 22]);
    body.extend([0, 10, 0, 4, 0, 2, 0, 0x17]);
    body.extend([0, 11, 0, 2, 1, 0]);
    body.extend([0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(body.len()).unwrap();
    let mut hello = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    hello.extend(body);
    hello
}

/// What the server says to these bytes before it closes the connection.
fn sent(base: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(base.strip_prefix("https://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        // It may be closed hard; what came before counts.
        Ok(_) => answer,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => answer,
        Err(error) => panic!("it is not closed: {error}"),
    }
}

#[tokio::test]
async fn a_connection_without_a_handshake_is_closed_by_the_server() {
    let (_database, server) = server().await;
    let base = server.public.clone();
    let said = tokio::task::spawn_blocking(move || sent(&base, b"")).await;
    assert_eq!(said.unwrap(), b"");
}

#[tokio::test]
async fn the_metrics_say_when_each_certificate_ends() {
    let (_database, server) = server().await;
    let metrics = server.answer(server.admin(Method::GET, "/metrics")).await;
    // The 1st of January 2120.
    for listener in ["public", "admin"] {
        let line = format!(
            "runmint_certificate_not_after_timestamp_seconds{{listener=\"{listener}\"}} 4733510400"
        );
        assert!(metrics.text.contains(&line), "{}", metrics.text);
    }

    let database = Database::durable().await;
    let plain = Setup::on(&database).serve().await;
    let metrics = plain.answer(plain.admin(Method::GET, "/metrics")).await;
    assert!(
        !metrics
            .text
            .contains("certificate_not_after_timestamp_seconds{"),
        "{}",
        metrics.text
    );
}
