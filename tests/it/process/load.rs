//! Killed or told to stop while many clients mint: no answered token is without its record.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use crate::harness::{AWS, Answer, Database, OpenRun, VAULT, run_body};
use crate::program::{Server, Setup, answer, claims};

#[tokio::test]
async fn after_kill_9_under_load_every_answered_token_has_its_record() {
    let database = Database::durable().await;
    let setup = Setup::on(&database);
    let mut server = setup.serve().await;
    let secret = server.client("atlantis").await;
    let mut answered = BTreeSet::new();
    for kill_after in [1, 60, 150, 240] {
        let run = server.open(&secret, "plan").await;
        let mut load = Load::start(&server, &run, &secret);
        answered.extend(load.tokens(kill_after).await);
        server.kill();
        answered.extend(load.rest().await.0);

        server = setup.serve().await;
        let recorded: BTreeSet<_> = server.recorded().await.into_iter().collect();
        let lost: Vec<_> = answered.difference(&recorded).collect();
        assert_eq!(lost, Vec::<&String>::new(), "of {}", answered.len());
    }
}

#[tokio::test]
async fn sigterm_under_load_finishes_and_records_what_is_under_way() {
    let database = Database::durable().await;
    let setup = Setup::on(&database);
    let server = setup.serve().await;
    let secret = server.client("atlantis").await;
    let run = server.open(&secret, "plan").await;
    let mut load = Load::start(&server, &run, &secret);
    let mut answered: BTreeSet<_> = load.tokens(100).await.into_iter().collect();
    server.terminate();
    let (rest, refusals) = load.rest().await;
    answered.extend(rest);
    let ran = server.ended().await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(!ran.stderr.contains("ERROR"), "{}", ran.stderr);
    for refusal in refusals {
        refusal.assert_problem(503, "unavailable", "");
    }

    // Nothing was recorded that nobody was told, either: all that was under way was answered.
    let server = setup.serve().await;
    let recorded: BTreeSet<_> = server.recorded().await.into_iter().collect();
    assert_eq!(answered, recorded);
}

#[tokio::test]
async fn sigterm_ends_it_at_once_though_a_client_keeps_its_connection() {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        // Longer than a test waits.
        .with("SERVER__SHUTDOWN_GRACE", "1h")
        .serve()
        .await;
    let idle = tokio::net::TcpStream::connect(server.public.trim_start_matches("http://"))
        .await
        .unwrap();
    server.terminate();
    let ran = server.ended().await;
    assert_eq!(ran.status, 0, "{ran:?}");
    drop(idle);
}

const CLIENTS: usize = 24;

/// As many tokens as one client asks for at most.
const REQUESTS: usize = 400;

/// Many clients that mint, half of them with the run's token, half directly and two at a time.
struct Load {
    clients: JoinSet<()>,
    answered: UnboundedReceiver<Answered>,
}

enum Answered {
    /// The `jti` of a token.
    Minted(String),
    Refused(Answer),
}

impl Load {
    fn start(server: &Server, run: &OpenRun, secret: &str) -> Self {
        let (tell, answered) = unbounded_channel();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let request = if client % 2 == 0 {
                server.ask(run)
            } else {
                let mut body = run_body("plan");
                body["audiences"] = serde_json::json!([AWS, VAULT]);
                server.post("/v1/tokens").bearer_auth(secret).json(&body)
            };
            clients.spawn(mint(request, tell.clone()));
        }
        Self { clients, answered }
    }

    /// The next tokens, as soon as there are so many.
    async fn tokens(&mut self, count: usize) -> Vec<String> {
        let mut tokens = Vec::new();
        while tokens.len() < count {
            match self.answered.recv().await {
                Some(Answered::Minted(jti)) => tokens.push(jti),
                other => panic!("{:?} after {} tokens", other.is_some(), tokens.len()),
            }
        }
        tokens
    }

    /// All further tokens and refusals, when every client has seen its connection break.
    async fn rest(mut self) -> (Vec<String>, Vec<Answer>) {
        let (mut tokens, mut refusals) = (Vec::new(), Vec::new());
        while let Some(answered) = self.answered.recv().await {
            match answered {
                Answered::Minted(jti) => tokens.push(jti),
                Answered::Refused(answer) => refusals.push(answer),
            }
        }
        while let Some(client) = self.clients.join_next().await {
            client.unwrap();
        }
        (tokens, refusals)
    }
}

async fn mint(request: reqwest::RequestBuilder, tell: UnboundedSender<Answered>) {
    for _ in 0..REQUESTS {
        let Ok(answer) = answer(request.try_clone().unwrap()).await else {
            // The connection broke: the process is gone.
            return;
        };
        let tokens: Vec<&str> = match answer.status {
            StatusCode::OK => vec![answer.json["value"].as_str().unwrap()],
            StatusCode::CREATED => answer.json["tokens"]
                .as_array()
                .unwrap()
                .iter()
                .map(|token| token["token"].as_str().unwrap())
                .collect(),
            _ => {
                let _ = tell.send(Answered::Refused(answer));
                continue;
            }
        };
        for token in tokens {
            let jti = claims(token)["jti"].as_str().unwrap().to_owned();
            let _ = tell.send(Answered::Minted(jti));
        }
    }
}
