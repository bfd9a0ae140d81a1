//! Clients and runs.

use runmint::domain::client::Client;
use runmint::domain::event::EventKind;
use runmint::domain::grant::Grant;
use runmint::domain::pattern::Pattern;
use runmint::domain::phase::Phase;
use runmint::domain::run::RunState;
use runmint::domain::subject::SubjectForm;
use runmint::store::{AddRun, RunFilter, StoreError};

use super::{
    ACTOR, add_client, add_run, at, by_secret, by_token, client, events, hash, opened, run,
};
use crate::harness::Database;

#[tokio::test]
async fn a_client_is_found_by_its_name_and_by_its_secret() {
    let store = Database::new().await.store().await;
    let mut add = client("atlantis");
    add.client.aws_session_tags = true;
    store.add_client(&add, &ACTOR, at(0)).await.unwrap();
    add_client(&store, "buildkite").await;
    let expected = Some(add.client.clone());
    assert_eq!(store.find_client("atlantis").await.unwrap(), expected);
    let known = by_secret(&store, &hash("atlantis")).await;
    assert_eq!(known.map(|known| Client::clone(&known.client)), expected);
    assert_eq!(store.find_client("Atlantis").await.unwrap(), None);
    assert!(by_secret(&store, "atlantis").await.is_none());
    let names: Vec<String> = store
        .clients()
        .await
        .unwrap()
        .iter()
        .map(|client| client.name.to_string())
        .collect();
    assert_eq!(names, ["atlantis", "buildkite"]);
    assert_eq!(events(&store, EventKind::ClientAdded).await.len(), 2);
}

#[tokio::test]
async fn a_second_client_of_a_name_is_a_conflict() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let mut again = client("atlantis");
    again.secret.hash = "another".to_owned();
    let error = store.add_client(&again, &ACTOR, at(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error}");
    assert!(by_secret(&store, "another").await.is_none());
    assert_eq!(events(&store, EventKind::ClientAdded).await.len(), 1);
}

#[tokio::test]
async fn an_update_replaces_grants_and_settings() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let mut changed = client("atlantis").client;
    changed.aws_session_tags = true;
    changed.grants = vec![Grant {
        organization: Pattern("acme".to_owned()),
        project: Pattern::default(),
        workspace: Pattern("net-*".to_owned()),
        deployment: Pattern::default(),
        run_phases: vec![Phase::Plan],
        audiences: vec![Pattern("aws.*".to_owned())],
        max_ttl: Some(60),
        subject_forms: vec![SubjectForm::Workspace],
    }];
    assert!(store.update_client(&changed, &ACTOR, at(1)).await.unwrap());
    let found = store.find_client("atlantis").await.unwrap();
    assert_eq!(found, Some(changed));
    let nobody = client("nobody").client;
    assert!(!store.update_client(&nobody, &ACTOR, at(1)).await.unwrap());
    assert_eq!(events(&store, EventKind::ClientUpdated).await.len(), 1);
}

#[tokio::test]
async fn a_client_goes_with_its_secrets_and_its_runs() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add_client(&store, "buildkite").await;
    add_run(&store, "1", "atlantis").await;
    add_run(&store, "2", "buildkite").await;
    store.close_run("1", &ACTOR, at(1)).await.unwrap();
    add_run(&store, "3", "atlantis").await;

    assert!(
        store
            .remove_client("atlantis", &ACTOR, at(2))
            .await
            .unwrap()
    );
    assert!(
        !store
            .remove_client("atlantis", &ACTOR, at(3))
            .await
            .unwrap()
    );
    assert!(by_secret(&store, &hash("atlantis")).await.is_none());
    let closed_at = async |id: &str| store.find_run(id).await.unwrap().unwrap().closed_at;
    assert_eq!(closed_at("1").await, Some(at(1)), "it was closed before");
    assert_eq!(closed_at("2").await, None, "it is another client's");
    assert_eq!(closed_at("3").await, Some(at(2)));
    assert_eq!(events(&store, EventKind::ClientRemoved).await.len(), 1);

    let late = run("4", "atlantis");
    let added = store.add_run(&late, &hash("4"), None, &opened(&late)).await;
    assert_eq!(added.unwrap(), AddRun::ClientGone);
    assert_eq!(store.find_run("4").await.unwrap(), None);
    assert_eq!(events(&store, EventKind::RunOpened).await.len(), 3);
}

#[tokio::test]
async fn a_run_reads_back_as_it_was_opened() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let expected = Some(add_run(&store, "1", "atlantis").await);
    assert_eq!(store.find_run("1").await.unwrap(), expected);
    assert_eq!(by_token(&store, &hash("1")).await, expected);
    assert_eq!(store.find_run("2").await.unwrap(), None);
    assert_eq!(by_token(&store, "1").await, None);
}

#[tokio::test]
async fn a_run_is_closed_once() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add_run(&store, "1", "atlantis").await;
    for seconds in [5, 6] {
        let run = store.close_run("1", &ACTOR, at(seconds)).await.unwrap();
        let run = run.unwrap();
        assert_eq!(run.closed_at, Some(at(5)));
        assert_eq!(run.state(at(5)), RunState::Closed);
    }
    assert_eq!(store.close_run("2", &ACTOR, at(7)).await.unwrap(), None);
    let closed = events(&store, EventKind::RunClosed).await;
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert_eq!(closed[0].event.run.as_deref(), Some("1"));
}

#[tokio::test]
async fn runs_come_newest_first_a_page_at_a_time() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    add_client(&store, "buildkite").await;
    for (id, client) in [
        ("1", "atlantis"),
        ("2", "buildkite"),
        ("3", "atlantis"),
        ("4", "atlantis"),
    ] {
        add_run(&store, id, client).await;
    }
    store.close_run("3", &ACTOR, at(1)).await.unwrap();
    let ids = async |filter: RunFilter, limit| -> Vec<String> {
        let runs = store.runs(&filter, limit).await.unwrap();
        runs.into_iter().map(|run| run.id).collect()
    };
    let all = RunFilter::default;
    assert_eq!(ids(all(), 10).await, ["4", "3", "2", "1"]);
    assert_eq!(ids(all(), 2).await, ["4", "3"]);
    let before = Some("3".to_owned());
    assert_eq!(ids(RunFilter { before, ..all() }, 2).await, ["2", "1"]);
    let client = Some("atlantis".to_owned());
    assert_eq!(ids(RunFilter { client, ..all() }, 9).await, ["4", "3", "1"]);
    let run_id = Some("run-of-2".to_owned());
    assert_eq!(ids(RunFilter { run_id, ..all() }, 9).await, ["2"]);
    let open_at = |seconds| RunFilter {
        open_at: Some(at(seconds)),
        ..all()
    };
    assert_eq!(ids(open_at(3_599), 9).await, ["4", "2", "1"]);
    assert_eq!(ids(open_at(3_600), 9).await, [""; 0]);
}

#[tokio::test]
async fn many_are_found_by_one_question_each_by_its_own_secret() {
    let store = Database::new().await.store().await;
    add_client(&store, "atlantis").await;
    let mut tokens = Vec::new();
    for number in 0..300 {
        let run = run(&format!("run-{number}"), "atlantis");
        let token = format!("token-{number}");
        let added = store.add_run(&run, &token, None, &opened(&run)).await;
        assert_eq!(added.unwrap(), AddRun::Added);
        tokens.push(token);
    }
    for count in [0, 1, 2, 3, 255, 256, 257, 300] {
        let mut asked = tokens[..count].to_vec();
        // Also what is nobody's, and the same one twice.
        asked.push("nobody".to_owned());
        asked.extend(tokens.first().cloned());
        let found = store.find_runs_by_tokens(&asked).await.unwrap();
        assert_eq!(found.len(), count.max(1));
        for (token, run) in found {
            assert_eq!(run.unwrap().id, token.replace("token", "run"));
        }
    }
}
