//! Several processes on one database: three on Postgres, two on a SQLite file.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Database, on_postgres};
use crate::program::{Server, Setup, claims, eventually};

/// Starts all replicas at the same moment, each with a `data_dir` of its own.
async fn replicas(database: &Database) -> Vec<Server> {
    let count = if on_postgres() { 3 } else { 2 };
    let setups = (0..count).map(|replica| {
        let dir = database.dir().join(format!("replica-{replica}"));
        Setup::on(database).with("DATA_DIR", &dir.display().to_string())
    });
    at_once(setups.collect()).await
}

async fn at_once(setups: Vec<Setup>) -> Vec<Server> {
    let starting: Vec<_> = setups
        .into_iter()
        .map(|setup| tokio::spawn(async move { setup.serve().await }))
        .collect();
    let mut servers = Vec::new();
    for server in starting {
        servers.push(server.await.unwrap());
    }
    servers
}

#[tokio::test]
async fn replicas_that_start_at_once_on_an_empty_database_share_one_key() {
    let database = Database::durable().await;
    let replicas = replicas(&database).await;
    let first = replicas[0].kids().await;
    assert_eq!(first.len(), 1);
    for replica in &replicas {
        assert_eq!(replica.kids().await, first);
        let keys = replica.answer(replica.admin(Method::GET, "/v1/keys")).await;
        assert_eq!(keys.json.as_array().unwrap().len(), 1, "{keys:?}");
    }
}

#[tokio::test]
async fn processes_that_start_at_once_in_one_folder_agree_on_the_files_they_make() {
    let database = Database::durable().await;
    if on_postgres() {
        // The key-encryption key of replicas is given, never made.
        return;
    }
    let setup = Setup::on(&database)
        .without("KEYS__SEALING_KEY")
        .without("ADMIN__TOKEN");
    let servers = at_once(vec![setup.clone(), setup.clone(), setup.clone()]).await;
    for server in &servers {
        let keys = server
            .cli(&["keys", "list", "--format", "json"])
            .await
            .json();
        assert_eq!(keys.as_array().unwrap().len(), 1, "{keys}");
    }
    drop(servers);
    // The key that is on the disk is the one that the signing key is sealed with.
    setup.serve().await;
}

#[tokio::test]
async fn a_run_opened_on_one_replica_mints_on_all_until_one_closes_it() {
    let database = Database::durable().await;
    let replicas = replicas(&database).await;
    let secret = replicas[0].client("atlantis").await;
    for closing in &replicas {
        let run = replicas[0].open(&secret, "plan").await;
        for replica in &replicas {
            let answer = replica.answer(replica.ask(&run)).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
        let close = closing.post(&format!("/v1/runs/{}/close", run.id));
        let closed = closing.answer(close.bearer_auth(&secret)).await;
        assert_eq!(closed.status, StatusCode::OK, "{closed:?}");
        for replica in &replicas {
            let answer = replica.answer(replica.ask(&run)).await;
            answer.assert_problem(403, "run-ended", "");
        }
    }
}

#[tokio::test]
async fn keys_changed_on_one_replica_are_published_by_all() {
    let database = Database::durable().await;
    let replicas = replicas(&database).await;
    let secret = replicas[0].client("atlantis").await;
    let run = replicas[0].open(&secret, "plan").await;
    let first = replicas[0].kids().await;

    rotate(&replicas[0], false).await;
    let two = replicas[0].kids().await;
    assert_eq!(two.len(), 2);
    all_publish(&replicas, &two).await;
    assert!(two.starts_with(&first));

    rotate(replicas.last().unwrap(), true).await;
    let fresh = replicas.last().unwrap().kids().await;
    assert_eq!(fresh.len(), 1);
    assert!(!two.contains(&fresh[0]));
    all_publish(&replicas, &fresh).await;
    for replica in &replicas {
        let answer = replica.answer(replica.ask(&run)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let token = answer.json["value"].as_str().unwrap();
        assert_eq!(claims(token)["sub"], run.subject);
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.kid.as_ref(), Some(&fresh[0]));
    }
}

async fn rotate(replica: &Server, emergency: bool) {
    let request = replica.admin(Method::POST, "/v1/keys/rotate");
    let answer = replica
        .answer(request.json(&json!({ "emergency": emergency })))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

async fn all_publish(replicas: &[Server], kids: &[String]) {
    let expected: BTreeSet<_> = kids.iter().cloned().collect();
    for replica in replicas {
        eventually("the replica publishes the same keys", || async {
            replica.kids().await.into_iter().collect::<BTreeSet<_>>() == expected
        })
        .await;
    }
}
