//! Slow and huge requests do not hang it. Written byte by byte, as no decent client would.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Answer, Database};
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
    // Requests whose bodies never come: two of each of two addresses.
    let mut waiting = Vec::new();
    for address in ["127.0.0.1", "127.0.0.2"] {
        for _ in 0..2 {
            waiting.push(body_awaited(&server, address, &secret).await);
        }
        let third = without_body(&server, address, &secret).await;
        third.assert_problem(503, "unavailable", "");
        assert_eq!(third.header("retry-after"), "1");
        let whose = third.json["detail"].as_str().unwrap();
        assert_eq!(
            whose.contains("of this address"),
            waiting.len() == 2,
            "{whose}"
        );
    }
    let another = without_body(&server, "127.0.0.3", &secret).await;
    another.assert_problem(503, "unavailable", "");
    assert_eq!(server.kids().await.len(), 1);
    drop(waiting);
    crate::program::eventually("there is room again", || is_free(&server, &secret)).await;
}

/// As many connections as a listener holds, half of them for one address; the next are closed at once.
#[tokio::test]
async fn one_address_leaves_connections_for_others() {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        .with("SERVER__MAX_CONNECTIONS", "6")
        .serve_at_once()
        .await;
    let address = server.public.trim_start_matches("http://").to_owned();
    let answered = async |from: &str| {
        let mut connection = connect_from(&address, from).await;
        let request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
        // A closed connection may refuse to be written to, too.
        let _ = connection.write_all(request).await;
        let mut start = [0; 12];
        let read = connection.read_exact(&mut start).await;
        (read.is_ok() && &start == b"HTTP/1.1 200").then_some(connection)
    };
    let mut held = Vec::new();
    for _ in 0..3 {
        held.extend(answered("127.0.0.1").await);
    }
    assert_eq!(held.len(), 3);
    assert!(answered("127.0.0.1").await.is_none());
    for _ in 0..3 {
        held.extend(answered("127.0.0.2").await);
    }
    assert_eq!(held.len(), 6);
    assert!(answered("127.0.0.3").await.is_none());
    let metrics = server
        .answer(server.admin(Method::GET, "/metrics"))
        .await
        .text;
    let closed = r#"runmint_limited_total{limit="max_connections"} 2"#;
    assert!(metrics.contains(closed), "{metrics}");
    held.clear();
    crate::program::eventually("there is room again", || async {
        answered("127.0.0.1").await.is_some()
    })
    .await;
}

/// A request from this address, once it is being worked on: its body has been asked for.
async fn body_awaited(server: &Server, from: &str, secret: &str) -> TcpStream {
    let address = server.public.trim_start_matches("http://");
    let mut connection = connect_from(address, from).await;
    let head = format!(
        "{}content-length: 9\r\nexpect: 100-continue\r\n\r\n",
        post(secret)
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; 25];
    connection.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection
}

async fn without_body(server: &Server, from: &str, secret: &str) -> Answer {
    let client = reqwest::Client::builder()
        .local_address(from.parse::<IpAddr>().unwrap())
        .build()
        .unwrap();
    let url = format!("{}/v1/tokens", server.public);
    server.answer(client.post(url).bearer_auth(secret)).await
}

/// Linux lets a program call from any address of 127.0.0.0/8.
async fn connect_from(address: &str, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    socket.connect(address.parse().unwrap()).await.unwrap()
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
