//! No token without its record; and what the log says that an answer does not.

use std::collections::BTreeSet;
use std::future::ready;
use std::pin::{Pin, pin};

use axum::http::{Method, StatusCode};
use runmint::audit::Recorder;
use runmint::domain::event::{Event, EventKind};
use runmint::domain::time::Timestamp;
use runmint::metrics::Metrics;
use runmint::store::{EventFilter, Store};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::{
    AWS, Answer, Database, START, TestApp, VAULT, by_operator, claims, decode, run_body,
};

/// Holds every connection of a store: what comes next waits for the database.
pub(crate) async fn occupy(store: &Store) -> Vec<Box<dyn Send>> {
    let mut held: Vec<Box<dyn Send>> = Vec::new();
    match store {
        Store::Sqlite { write: pool, .. } => {
            for _ in 0..pool.options().get_max_connections() {
                held.push(Box::new(pool.acquire().await.unwrap()));
            }
        }
        Store::Postgres { pool, .. } => {
            // Those who look secrets up have a connection of their own, and wait for a lock.
            let mut tx = pool.begin().await.unwrap();
            let lock = sqlx::query("LOCK TABLE run, client IN ACCESS EXCLUSIVE MODE");
            lock.execute(&mut *tx).await.unwrap();
            held.push(Box::new(tx));
            for _ in 1..pool.options().get_max_connections() {
                held.push(Box::new(pool.acquire().await.unwrap()));
            }
        }
    }
    held
}

#[tokio::test]
async fn every_minted_token_has_its_record() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "apply").await;
    let path = format!("{}&audience={AWS}", run.url);
    let by_run = app
        .get(&path)
        .bearer(&run.token)
        .header("x-request-id", "job-17")
        .send()
        .await;
    let by_client = app
        .post("/v1/tokens")
        .bearer(&secret)
        .header("x-request-id", "direct-1")
        .json(&run_body("plan"))
        .send()
        .await;
    let direct = |index: usize| by_client.json["tokens"][index]["token"].as_str().unwrap();
    let run_actor = format!("run:{}", run.id);
    let issued = [
        (
            by_run.json["value"].as_str().unwrap(),
            run_actor.as_str(),
            json!(run.id),
            "job-17",
        ),
        (direct(0), "client:atlantis", Value::Null, "direct-1"),
        (direct(1), "client:atlantis", Value::Null, "direct-1"),
    ];
    let records = app.events("token.minted").await;
    assert_eq!(records.len(), issued.len());
    for (token, actor, run, request_id) in issued {
        let claims = claims(token);
        let header: Value = serde_json::from_str(&decode(token).0).unwrap();
        let record = records
            .iter()
            .find(|record| record["jti"] == claims["jti"])
            .unwrap();
        assert_eq!(
            *record,
            json!({
                "id": record["id"], "at": claims["iat"], "kind": "token.minted", "actor": actor,
                "request_id": request_id, "run_id": claims["terraform_run_id"],
                "subject": claims["sub"], "audience": claims["aud"], "jti": claims["jti"],
                "kid": header["kid"], "expires_at": claims["exp"],
            })
            .as_object()
            .map(|expected| {
                let mut expected = expected.clone();
                if !run.is_null() {
                    expected.insert("run".to_owned(), run);
                }
                Value::Object(expected)
            })
            .unwrap()
        );
    }
}

#[tokio::test]
async fn a_refusal_has_its_reason_in_the_log_and_not_in_the_answer() {
    let app = TestApp::start().await;
    let secret = app
        .client_with(
            "narrow",
            json!([{"organization": "acme", "workspace": "secret-*", "audiences": [AWS]}]),
        )
        .await;
    let mut body = run_body("plan");
    for (path, kind) in [("/v1/runs", "run.refused"), ("/v1/tokens", "token.refused")] {
        let answer = app.post(path).bearer(&secret).json(&body).send().await;
        answer.assert_problem(403, "not-granted", "workspace");
        let record = &app.events(kind).await[0];
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains("`net-1`"), "{reason}");
        assert!(!answer.text.contains(reason), "{answer:?}");
        assert_eq!(record["actor"], "client:narrow");
        assert_eq!(record["request_id"], answer.json["request_id"]);
        let subject = "organization:acme:project:Default Project:workspace:net-1:run_phase:plan";
        assert_eq!(record["subject"], subject);
        assert!(record.get("jti").is_none());
    }

    body["workspace"] = json!("secret-1");
    body["audiences"] = json!([AWS]);
    let run = app.run_with(&secret, &body).await;
    let outside = app.ask(&run, VAULT).await;
    let record = &app.events("token.refused").await[0];
    assert_eq!(record["audience"], VAULT);
    assert_eq!(record["actor"], format!("run:{}", run.id));
    assert_eq!(record["request_id"], outside.json["request_id"]);

    let close = format!("/v1/runs/{}/close", run.id);
    app.post(&close).bearer(&secret).send().await;
    let ended = app.ask(&run, AWS).await;
    let record = &app.events("token.refused").await[0];
    assert_eq!(record["reason"], "the run is closed");
    assert_eq!(record["request_id"], ended.json["request_id"]);
    assert_eq!(record["run"], run.id);
    assert!(record.get("jti").is_none() && record.get("kid").is_none());
}

#[tokio::test]
async fn what_a_runner_wrote_is_kept_no_longer_than_a_record_needs() {
    let app = TestApp::start().await;
    let run = app.run(&app.client("atlantis").await, "plan").await;
    app.ask(&run, &"x".repeat(5_000))
        .await
        .assert_problem(403, "not-allowed", "audience");
    let record = &app.events("token.refused").await[0];
    assert_eq!(record["audience"].as_str().unwrap().len(), 255);
}

#[tokio::test]
async fn runs_and_clients_come_and_go_on_record() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    let close = format!("/v1/runs/{}/close", run.id);
    app.admin(Method::POST, &close).send().await;
    let grants = json!({"grants": []});
    app.admin(Method::PUT, "/v1/clients/atlantis")
        .json(&grants)
        .send()
        .await;
    app.admin(Method::DELETE, "/v1/clients/atlantis")
        .send()
        .await;
    for (kind, actor) in [
        ("client.added", "operator:admin"),
        ("run.opened", "client:atlantis"),
        ("run.closed", "operator:admin"),
        ("client.updated", "operator:admin"),
        ("client.removed", "operator:admin"),
        ("key.activated", "schedule"),
    ] {
        let records = app.events(kind).await;
        assert_eq!(records.len(), 1, "{kind}");
        assert_eq!(records[0]["actor"], actor, "{kind}");
    }
    let opened = &app.events("run.opened").await[0];
    assert_eq!(
        (&opened["run"], &opened["subject"]),
        (&json!(run.id), &json!(run.subject))
    );
}

#[tokio::test]
async fn many_tokens_minted_at_once_are_all_on_record() {
    const RUNS: usize = 8;
    const EACH: usize = 25;
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let mut asking = JoinSet::new();
    let router = runmint::http::public(app.app.clone());
    for _ in 0..RUNS {
        let run = app.run(&secret, "plan").await;
        for _ in 0..EACH {
            let request = axum::http::Request::get(format!("{}&audience={AWS}", run.url))
                .header("authorization", format!("Bearer {}", run.token))
                .body(axum::body::Body::empty())
                .unwrap();
            let router = router.clone();
            asking.spawn(async move {
                let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
                assert_eq!(response.status(), StatusCode::OK);
                let body = http_body_util::BodyExt::collect(response.into_body())
                    .await
                    .unwrap();
                let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap();
                claims(body["value"].as_str().unwrap())["jti"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            });
        }
    }
    let issued: BTreeSet<String> = asking.join_all().await.into_iter().collect();
    let recorded: BTreeSet<String> = app
        .events("token.minted")
        .await
        .iter()
        .map(|record| record["jti"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(issued.len(), RUNS * EACH);
    assert_eq!(issued, recorded);
}

#[tokio::test]
async fn there_is_no_token_when_its_record_cannot_be_written() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    // The table of records alone is gone: callers are still known, keys still loaded.
    let statement = "ALTER TABLE event RENAME TO event_away";
    match &app.app.store {
        Store::Sqlite { write: pool, .. } => sqlx::query(statement)
            .execute(pool)
            .await
            .map(drop)
            .unwrap(),
        Store::Postgres { pool, .. } => sqlx::query(statement)
            .execute(pool)
            .await
            .map(drop)
            .unwrap(),
    }
    let direct = app
        .post("/v1/tokens")
        .bearer(&secret)
        .json(&run_body("plan"))
        .send()
        .await;
    for refused in [app.ask(&run, AWS).await, direct] {
        refused.assert_problem(503, "unavailable", "");
        assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
        assert!(!refused.text.contains("eyJ"), "{refused:?}");
        assert!(
            !refused.text.contains("event"),
            "the database's words stay inside: {refused:?}"
        );
    }
    let opened = app
        .post("/v1/runs")
        .bearer(&secret)
        .json(&run_body("plan"))
        .send()
        .await;
    opened.assert_problem(503, "unavailable", "");
    let metrics = app.admin(Method::GET, "/metrics").send().await.text;
    assert!(
        metrics.contains(r#"runmint_store_errors_total{operation="record"} 2"#),
        "{metrics}"
    );

    let statement = "ALTER TABLE event_away RENAME TO event";
    match &app.app.store {
        Store::Sqlite { write: pool, .. } => sqlx::query(statement)
            .execute(pool)
            .await
            .map(drop)
            .unwrap(),
        Store::Postgres { pool, .. } => sqlx::query(statement)
            .execute(pool)
            .await
            .map(drop)
            .unwrap(),
    }
    app.token(&run).await;
    assert_eq!(app.events("token.minted").await.len(), 1);
}

/// Lets a future take one step.
async fn ends_at_once(future: Pin<&mut impl Future<Output = ()>>) -> bool {
    tokio::select! {
        biased;
        () = future => true,
        () = ready(()) => false,
    }
}

#[tokio::test]
async fn refusals_beyond_the_queue_are_dropped_and_counted_and_the_others_recorded() {
    const QUEUE: usize = 1_024;
    const DROPPED: usize = 76;
    let app = TestApp::start().await;
    let note = |number: usize| {
        let event = Event {
            request_id: Some(number.to_string()),
            ..Event::new(app.now(), EventKind::TokenRefused, by_operator())
        };
        app.app.recorder.note(event)
    };
    // One step each: it is in the queue. The worker has had no turn yet.
    for number in 0..QUEUE - 1 {
        assert!(!ends_at_once(pin!(note(number))).await);
    }
    let mut last = pin!(note(QUEUE - 1));
    assert!(!ends_at_once(last.as_mut()).await);
    for number in QUEUE..QUEUE + DROPPED {
        assert!(ends_at_once(pin!(note(number))).await);
    }
    let metrics = app.app.metrics.events_dropped.get();
    assert_eq!(metrics, u64::try_from(DROPPED).unwrap());
    // Nobody waits for the first ones any more; they are recorded all the same, in their turn.
    last.await;
    note(QUEUE + DROPPED).await;
    let filter = EventFilter {
        kind: Some(EventKind::TokenRefused),
        ..EventFilter::default()
    };
    let recorded = app.app.store.events(&filter, 10_000).await.unwrap();
    let numbers: Vec<_> = recorded
        .iter()
        .rev()
        .map(|stored| stored.event.request_id.clone().unwrap())
        .collect();
    let expected: Vec<_> = (0..QUEUE)
        .chain([QUEUE + DROPPED])
        .map(|number| number.to_string())
        .collect();
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn refusals_that_wait_are_recorded_before_the_worker_ends() {
    let store = Database::new().await.store().await;
    let (recorder, task) = Recorder::start(store.clone(), Metrics::default());
    for seconds in 0..300 {
        let at = Timestamp(START.0 + seconds);
        let event = Event::new(at, EventKind::TokenRefused, by_operator());
        assert!(!ends_at_once(pin!(recorder.note(event))).await);
    }
    drop(recorder);
    task.finish().await;
    let recorded = store.events(&EventFilter::default(), 10_000).await.unwrap();
    assert_eq!(recorded.len(), 300);
}

#[tokio::test]
async fn refusals_that_the_database_does_not_take_are_counted_and_nobody_waits_for_ever() {
    let app = TestApp::start().await;
    app.app.store.close().await;
    let event = Event::new(app.now(), EventKind::TokenRefused, by_operator());
    app.app.recorder.note(event).await;
    assert_eq!(app.app.metrics.events_dropped.get(), 1);
}

#[tokio::test]
async fn one_bad_event_does_not_take_others_with_it() {
    let app = TestApp::start().await;
    let note = |reason: &str| {
        let event = Event {
            reason: Some(reason.to_owned()),
            ..Event::new(app.now(), EventKind::TokenRefused, by_operator())
        };
        app.app.recorder.note(event)
    };
    match &app.app.store {
        Store::Sqlite { write: pool, .. } => sqlx::query(
            "CREATE TRIGGER bad BEFORE INSERT ON event WHEN new.reason = 'bad' \
             BEGIN SELECT RAISE(ABORT, 'bad'); END",
        )
        .execute(pool)
        .await
        .map(drop)
        .unwrap(),
        Store::Postgres { pool, .. } => {
            sqlx::query("ALTER TABLE event ADD CHECK (reason <> 'bad')")
                .execute(pool)
                .await
                .map(drop)
                .unwrap();
        }
    }
    // One batch: the worker has no turn before all of them wait.
    let mut notes = ["one", "bad", "two", "bad", "three"].map(|reason| Box::pin(note(reason)));
    for note in &mut notes {
        assert!(!ends_at_once(note.as_mut()).await);
    }
    for note in notes {
        note.await;
    }
    let recorded = app.events("token.refused").await;
    let reasons: Vec<_> = recorded.iter().map(|event| &event["reason"]).collect();
    assert_eq!(reasons, ["three", "two", "one"]);
    assert_eq!(app.app.metrics.events_dropped.get(), 2);
}

#[tokio::test]
async fn more_requests_than_the_limit_are_told_to_come_back() {
    let app = TestApp::with(&[("SERVER__MAX_CONCURRENCY", "1")]).await;
    let run = app.run(&app.client("atlantis").await, "plan").await;
    let held = occupy(&app.app.store).await;
    let mut first = pin!(app.ask(&run, AWS));
    // Once, so that it is under way and waits for the database.
    tokio::select! {
        biased;
        answer = &mut first => panic!("it did not wait: {answer:?}"),
        () = ready(()) => {}
    }
    let second: Answer = app.ask(&run, AWS).await;
    second.assert_problem(503, "unavailable", "");
    assert_eq!(second.header("retry-after"), "1");
    for path in [
        "/.well-known/jwks",
        "/.well-known/openid-configuration",
        "/healthz",
    ] {
        assert_eq!(app.get(path).send().await.status, StatusCode::OK, "{path}");
    }
    drop(held);
    assert_eq!(first.await.status, StatusCode::OK);
    assert_eq!(app.ask(&run, AWS).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_told_to_come_back() {
    let app = TestApp::with(&[("SERVER__REQUEST_TIMEOUT", "1s")]).await;
    let run = app.run(&app.client("atlantis").await, "plan").await;
    let held = occupy(&app.app.store).await;
    app.ask(&run, AWS)
        .await
        .assert_problem(503, "unavailable", "");
    drop(held);
    assert_eq!(app.ask(&run, AWS).await.status, StatusCode::OK);
}
