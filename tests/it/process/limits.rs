//! Slow and huge requests do not hang it. Written byte by byte, as no decent client would.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::Database;
use crate::program::{Server, Setup};

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_its_length_is_told() {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        .with("SERVER__MAX_BODY", "2048")
        .serve()
        .await;
    let secret = server.client("atlantis").await;
    let head = post(&secret);

    let told = format!("{head}content-length: 2049\r\n\r\n{}", " ".repeat(2_049));
    let answer = converse(&server.public, &told).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("urn:runmint:problem:body-too-large"),
        "{answer}"
    );

    let chunk = format!("400\r\n{}\r\n", " ".repeat(1_024));
    let untold = format!(
        "{head}transfer-encoding: chunked\r\n\r\n{}",
        chunk.repeat(3)
    );
    let answer = converse(&server.public, &untold).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let within = format!("{head}content-length: 2048\r\n\r\n{}", " ".repeat(2_048));
    let answer = converse(&server.public, &within).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

#[tokio::test]
async fn half_a_body_is_answered_after_the_request_timeout() {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        .with("SERVER__REQUEST_TIMEOUT", "1s")
        .serve()
        .await;
    let secret = server.client("atlantis").await;
    let head = post(&secret);
    let half = format!("{head}content-length: 100\r\n\r\n{{");
    let answer = converse(&server.public, &half).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("`server.request_timeout`"), "{answer}");
}

/// The real time limit, ten seconds: all the connections wait side by side.
#[tokio::test]
async fn connections_that_send_half_a_head_or_nothing_are_closed_by_the_server() {
    let database = Database::durable().await;
    let server = Setup::on(&database).serve().await;
    let whole = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    let half = "GET /.well-known/jwks HTTP/1.1\r\nhost: x\r\nx-slow: ";
    let second = format!("{whole}{half}");
    let idle = [half, "", second.as_str(), whole];
    let (half, nothing, second, kept) = tokio::join!(
        converse(&server.public, idle[0]),
        converse(&server.public, idle[1]),
        converse(&server.admin, idle[2]),
        converse(&server.admin, idle[3]),
    );
    for answer in [half, nothing] {
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{answer}"
        );
    }
    for answer in [second, kept] {
        assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn slow_connections_do_not_keep_others_waiting() {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        .with("SERVER__MAX_CONCURRENCY", "4")
        .serve()
        .await;
    let secret = server.client("atlantis").await;
    let run = server.open(&secret, "plan").await;
    let mut slow = Vec::new();
    for _ in 0..64 {
        let mut connection = connect(&server.public).await;
        connection
            .write_all(b"GET /v1/token HTTP/1.1\r\n")
            .await
            .unwrap();
        slow.push(connection);
    }
    let answer = server.answer(server.ask(&run)).await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
}

#[tokio::test]
async fn more_requests_than_are_worked_on_at_once_are_told_to_come_back() {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        .with("SERVER__MAX_CONCURRENCY", "4")
        .serve()
        .await;
    let secret = server.client("atlantis").await;
    // Four requests whose bodies never come.
    let mut waiting = Vec::new();
    for _ in 0..4 {
        let mut connection = connect(&server.public).await;
        let head = format!(
            "{}content-length: 9\r\nexpect: 100-continue\r\n\r\n",
            post(&secret)
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // It is being worked on as soon as its body is asked for.
        let mut asked = [0; 25];
        connection.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
        waiting.push(connection);
    }
    let request = server.post("/v1/tokens").bearer_auth(&secret);
    let answer = server.answer(request).await;
    answer.assert_problem(503, "unavailable", "");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(server.kids().await.len(), 1);
    drop(waiting);
    crate::program::eventually("there is room again", || is_free(&server, &secret)).await;
}

async fn is_free(server: &Server, secret: &str) -> bool {
    let request = server.post("/v1/tokens").bearer_auth(secret);
    server.answer(request).await.status.as_u16() != 503
}

/// The head of a request for tokens, but for the length of its body.
fn post(secret: &str) -> String {
    format!(
        "POST /v1/tokens HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\nconnection: close\r\n"
    )
}

async fn connect(url: &str) -> TcpStream {
    let address = url.trim_start_matches("http://");
    TcpStream::connect(address).await.unwrap()
}

/// Sends this, then reads until the server closes the connection.
async fn converse(url: &str, request: &str) -> String {
    let mut connection = connect(url).await;
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end, too. The server's own limits are far below this one.
    let end = tokio::time::timeout(Duration::from_mins(1), connection.read_to_end(&mut answer));
    assert!(
        end.await.is_ok(),
        "the server does not close the connection"
    );
    String::from_utf8(answer).unwrap()
}
