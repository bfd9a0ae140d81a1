//! Who is turned away, and who is not: failures and requests by address, requests by client and run.

use axum::http::{Method, StatusCode};

use crate::audit::occupy;
use crate::foreign::{Key, kubernetes, kubernetes_claims};
use crate::harness::{ADMIN_TOKEN, AWS, Answer, TestApp, run_body};

/// Addresses of callers: one that attacks, and others.
const ATTACKER: &str = "192.0.2.1";
const OTHER: &str = "198.51.100.7";
const PROXY: &str = "10.0.0.1";

/// A client secret that nobody has: its form and its checksum are right.
fn made_up() -> String {
    use runmint::auth::secret::{Kind, Secret};
    Secret::generate(Kind::Client).unwrap().expose().to_owned()
}

async fn mint(app: &TestApp, secret: &str, address: &str) -> Answer {
    app.post("/v1/tokens")
        .bearer(secret)
        .from(address)
        .json(&run_body("plan"))
        .send()
        .await
}

/// Fails until the address is over its limit; how often it was let.
async fn exhaust(app: &TestApp, address: &str) -> usize {
    let mut failures = 0;
    loop {
        let answer = mint(app, &made_up(), address).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            return failures;
        }
        answer.assert_problem(401, "unauthenticated", "");
        failures += 1;
    }
}

#[track_caller]
fn assert_limited(answer: &Answer, setting: &str, retry_after: &str) {
    answer.assert_problem(429, "too-many-requests", "");
    assert_eq!(answer.header("retry-after"), retry_after, "{answer:?}");
    let detail = answer.json["detail"].as_str().unwrap();
    assert!(detail.contains(&format!("`{setting}`")), "{detail}");
}

async fn turned_away(app: &TestApp, limit: &str) -> u64 {
    let metrics = app.admin(Method::GET, "/metrics").send().await.text;
    let series = format!("runmint_limited_total{{limit=\"{limit}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

#[tokio::test]
async fn an_address_that_fails_too_often_is_told_when_to_come_back() {
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "3")]).await;
    assert_eq!(turned_away(&app, "failures_per_minute").await, 0);
    assert_eq!(exhaust(&app, ATTACKER).await, 3);
    let failures = "limits.failures_per_minute";
    for wrong in [made_up().as_str(), "rmc_0", "eyJ.eyJ.x"] {
        assert_limited(&mint(&app, wrong, ATTACKER).await, failures, "20");
    }
    let nothing = app.get("/v1/token").from(ATTACKER).send().await;
    assert_limited(&nothing, failures, "20");
    assert_eq!(turned_away(&app, "failures_per_minute").await, 5);
    mint(&app, &made_up(), OTHER)
        .await
        .assert_problem(401, "unauthenticated", "");

    app.pass(20);
    assert_eq!(exhaust(&app, ATTACKER).await, 1);
    app.pass(3_600);
    assert_eq!(exhaust(&app, ATTACKER).await, 3);
}

#[tokio::test]
async fn an_ipv6_network_is_one_address() {
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "3")]).await;
    for last in 1..=3 {
        let address = format!("2001:db8:1:2::{last}");
        mint(&app, &made_up(), &address)
            .await
            .assert_problem(401, "unauthenticated", "");
    }
    let answer = mint(&app, &made_up(), "2001:db8:1:2:ffff::1").await;
    assert_limited(&answer, "limits.failures_per_minute", "20");
    mint(&app, &made_up(), "2001:db8:1:3::1")
        .await
        .assert_problem(401, "unauthenticated", "");
}

#[tokio::test]
async fn whoever_is_over_the_limit_does_not_reach_the_database() {
    let app = TestApp::with(&[
        ("LIMITS__FAILURES_PER_MINUTE", "1"),
        ("SERVER__REQUEST_TIMEOUT", "1s"),
    ])
    .await;
    exhaust(&app, ATTACKER).await;
    let held = occupy(&app.app.store).await;
    let answer = mint(&app, &made_up(), ATTACKER).await;
    assert_limited(&answer, "limits.failures_per_minute", "60");
    let asked = mint(&app, &made_up(), OTHER).await;
    asked.assert_problem(503, "unavailable", "");
    drop(held);
    // A database that does not answer was nobody's failure.
    assert_eq!(exhaust(&app, OTHER).await, 1);
}

#[tokio::test]
async fn nobody_locks_out_those_who_share_the_address() {
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "1")]).await;
    let (known, stranger) = (
        app.client("known").await,
        app.replica().await.client("stranger").await,
    );
    exhaust(&app, ATTACKER).await;

    assert_eq!(
        mint(&app, &known, ATTACKER).await.status,
        StatusCode::CREATED,
        "it was made here"
    );
    let run = app.run(&known, "plan").await;
    let path = format!("{}&audience={AWS}", run.url);
    let asked = app.get(&path).bearer(&run.token).from(ATTACKER).send();
    assert_eq!(asked.await.status, StatusCode::OK, "so was this");
    // Nothing is known yet of this one, until it is accepted from elsewhere.
    let answer = mint(&app, &stranger, ATTACKER).await;
    assert_limited(&answer, "limits.failures_per_minute", "60");
    assert_eq!(
        mint(&app, &stranger, OTHER).await.status,
        StatusCode::CREATED
    );
    assert_eq!(
        mint(&app, &stranger, ATTACKER).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn a_secret_that_was_removed_is_a_stranger_again() {
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "2")]).await;
    let secret = app.client("atlantis").await;
    assert_eq!(
        mint(&app, &secret, ATTACKER).await.status,
        StatusCode::CREATED
    );
    app.admin(Method::DELETE, "/v1/clients/atlantis")
        .send()
        .await;
    for _ in 0..2 {
        let answer = mint(&app, &secret, ATTACKER).await;
        answer.assert_problem(401, "unauthenticated", "");
    }
    let answer = mint(&app, &secret, ATTACKER).await;
    assert_limited(&answer, "limits.failures_per_minute", "30");
}

#[tokio::test]
async fn who_calls_behind_a_proxy_is_what_a_trusted_one_says() {
    let app = TestApp::with(&[
        ("LIMITS__FAILURES_PER_MINUTE", "1"),
        ("LIMITS__TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8"),
    ])
    .await;
    let fail = async |peer: &str, forwarded_for: &str| {
        let call = app.post("/v1/tokens").bearer(&made_up()).from(peer);
        let call = call.header("x-forwarded-for", forwarded_for);
        call.json(&run_body("plan")).send().await.status.as_u16()
    };
    // The header of somebody who is no proxy does not change who that is.
    assert_eq!(fail(ATTACKER, "203.0.113.1").await, 401);
    assert_eq!(fail(ATTACKER, "203.0.113.2").await, 429);
    assert_eq!(fail(PROXY, "203.0.113.1").await, 401);
    // Behind a proxy each caller counts alone, and what a caller wrote before the proxy did is not read.
    assert_eq!(fail(PROXY, OTHER).await, 401);
    assert_eq!(fail(PROXY, &format!("203.0.113.3, {OTHER}")).await, 429);
    assert_eq!(
        fail("fd00::1", &format!("203.0.113.4, {OTHER}, 10.0.0.2")).await,
        429
    );
    assert_eq!(fail(PROXY, "203.0.113.5").await, 401);
}

#[tokio::test]
async fn a_wrong_admin_token_counts_and_the_right_one_always_passes() {
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "2")]).await;
    let call = async |token: &str| {
        let call = app.admin(Method::GET, "/v1/clients").bearer(token);
        call.from(ATTACKER).send().await
    };
    for wrong in ["guess", "rma_guess"] {
        call(wrong).await.assert_problem(401, "unauthenticated", "");
    }
    assert_limited(&call("guess").await, "limits.failures_per_minute", "30");
    assert_eq!(call(ADMIN_TOKEN).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_and_each_of_its_runs_have_a_rate_of_their_own() {
    let app = TestApp::with(&[("LIMITS__REQUESTS_PER_SECOND", "2")]).await;
    let (busy, other) = (app.client("busy").await, app.client("other").await);
    let (run, quiet) = (app.run(&busy, "plan").await, app.run(&busy, "plan").await);
    let requests = "limits.requests_per_second";
    assert_limited(&mint(&app, &busy, OTHER).await, requests, "1");
    assert_eq!(mint(&app, &other, OTHER).await.status, StatusCode::CREATED);
    for _ in 0..2 {
        app.token(&run).await;
    }
    assert_limited(&app.ask(&run, AWS).await, requests, "1");
    app.token(&quiet).await;
    assert_eq!(turned_away(&app, "requests_per_second").await, 2);
    app.pass(1);
    assert_eq!(mint(&app, &busy, OTHER).await.status, StatusCode::CREATED);
    app.token(&run).await;
}

#[tokio::test]
async fn a_run_that_looks_at_itself_is_limited_as_one_that_mints() {
    use runmint::auth::secret::{Kind, Secret};
    let app = TestApp::with(&[
        ("LIMITS__FAILURES_PER_MINUTE", "3"),
        ("LIMITS__REQUESTS_PER_SECOND", "2"),
    ])
    .await;
    let run = app.run(&app.client("atlantis").await, "plan").await;
    let path = format!("/v1/runs/{}", run.id);
    let look = async |token: &str| app.get(&path).bearer(token).from(ATTACKER).send().await;
    let made_up = || Secret::generate(Kind::Run).unwrap().expose().to_owned();
    for wrong in [made_up(), made_up(), "rmr_0".to_owned()] {
        look(&wrong)
            .await
            .assert_problem(401, "unauthenticated", "");
    }
    let failures = "limits.failures_per_minute";
    for wrong in [made_up().as_str(), "rmr_0"] {
        assert_limited(&look(wrong).await, failures, "20");
    }
    // The genuine one was made here, so it passes; it looks and mints at one rate.
    assert_eq!(look(&run.token).await.status, StatusCode::OK);
    app.token(&run).await;
    let requests = "limits.requests_per_second";
    assert_limited(&look(&run.token).await, requests, "1");
    let close = app.post(&format!("{path}/close")).bearer(&run.token);
    assert_limited(&close.send().await, requests, "1");
    app.pass(1);
    app.token(&run).await;
}

#[tokio::test]
async fn an_address_has_a_rate_and_documents_have_none() {
    let app = TestApp::with(&[("LIMITS__ADDRESS_REQUESTS_PER_SECOND", "2")]).await;
    let secret = app.client("atlantis").await;
    for _ in 0..2 {
        assert_eq!(
            mint(&app, &secret, ATTACKER).await.status,
            StatusCode::CREATED
        );
    }
    let limited = mint(&app, &secret, ATTACKER).await;
    assert_limited(&limited, "limits.address_requests_per_second", "1");
    for path in [
        "/.well-known/jwks",
        "/.well-known/openid-configuration",
        "/healthz",
    ] {
        let answer = app.get(path).from(ATTACKER).send().await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    assert_eq!(mint(&app, &secret, OTHER).await.status, StatusCode::CREATED);
    app.pass(1);
    assert_eq!(
        mint(&app, &secret, ATTACKER).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn limits_that_are_off_turn_nobody_away() {
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "0")]).await;
    for _ in 0..200 {
        let answer = mint(&app, "rmc_0", ATTACKER).await;
        answer.assert_problem(401, "unauthenticated", "");
    }
}

#[tokio::test]
async fn the_defaults_hold_up_no_fan_out_behind_one_address() {
    let app = TestApp::start().await;
    let secret = app.client("atlantis").await;
    let run = app.run(&secret, "plan").await;
    for _ in 0..300 {
        app.token(&run).await;
    }
    assert_eq!(exhaust(&app, ATTACKER).await, 120);
}

/// An exchange from this address; status and error.
async fn exchange(app: &TestApp, token: &str, audience: &str, address: &str) -> u16 {
    let form = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", token),
        ("audience", audience),
    ];
    let call = app.post("/oauth/token").from(address).form(&form);
    let answer = call.send().await;
    if answer.status == StatusCode::TOO_MANY_REQUESTS {
        assert_eq!(answer.json["error"], "temporarily_unavailable");
        assert!(!answer.header("retry-after").is_empty());
    }
    answer.status.as_u16()
}

/// How many refusals are on record.
async fn refusals(app: &TestApp) -> usize {
    app.events("issuer.token_refused").await.len() + app.events("token.refused").await.len()
}

/// A runmint that lets an address fail three times a minute and trusts a cluster with this key.
async fn trusting(key: &Key) -> TestApp {
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "3")]).await;
    app.trust("k8s", &kubernetes(&[key])).await;
    app
}

#[tokio::test]
async fn a_spent_token_is_limited_and_fills_no_log() {
    let key = Key::ec("k");
    let app = trusting(&key).await;
    let spent = key.token(&kubernetes_claims("spent"));
    assert_eq!(exchange(&app, &spent, AWS, ATTACKER).await, 200);
    for _ in 0..3 {
        assert_eq!(exchange(&app, &spent, AWS, ATTACKER).await, 400);
    }
    for _ in 0..5 {
        assert_eq!(exchange(&app, &spent, AWS, ATTACKER).await, 429);
    }
    assert_eq!(refusals(&app).await, 3);
    // Its holder is let in elsewhere, and then here again.
    let fresh = |jti: &str| key.token(&kubernetes_claims(jti));
    assert_eq!(exchange(&app, &fresh("1"), AWS, OTHER).await, 200);
    assert_eq!(exchange(&app, &fresh("2"), AWS, ATTACKER).await, 200);
}

#[tokio::test]
async fn a_workload_that_asks_for_what_it_may_not_is_limited() {
    let key = Key::ec("k");
    let app = trusting(&key).await;
    let token = key.token(&kubernetes_claims("denied"));
    for expected in [400, 400, 400, 429, 429] {
        let status = exchange(&app, &token, "gcp.workload.identity", ATTACKER).await;
        assert_eq!(status, expected);
    }
    assert_eq!(refusals(&app).await, 3);
}

#[tokio::test]
async fn a_forger_who_knows_a_workload_s_name_is_limited_all_the_same() {
    let (key, forged) = (Key::ec("k"), Key::ec("k"));
    let app = trusting(&key).await;
    let genuine = |jti: &str| key.token(&kubernetes_claims(jti));
    assert_eq!(exchange(&app, &genuine("1"), AWS, OTHER).await, 200);
    assert_eq!(exhaust(&app, ATTACKER).await, 3);
    // One signature is looked at, because the name is known; then it is not any more.
    let forgery = forged.token(&kubernetes_claims("f"));
    for _ in 0..5 {
        assert_eq!(exchange(&app, &forgery, AWS, ATTACKER).await, 429);
    }
    assert_eq!(exchange(&app, &genuine("2"), AWS, OTHER).await, 200);
    // A genuine token from the flooder's address has to wait until its name has been here again.
    assert_eq!(exchange(&app, &genuine("3"), AWS, ATTACKER).await, 200);
}

#[tokio::test]
async fn unproven_refusals_are_recorded_at_a_bounded_rate_and_counted() {
    let key = Key::ec("k");
    let app = TestApp::with(&[("LIMITS__FAILURES_PER_MINUTE", "0")]).await;
    app.trust("k8s", &kubernetes(&[&key])).await;
    let forgery = Key::ec("k").token(&kubernetes_claims("f"));
    for _ in 0..25 {
        assert_eq!(exchange(&app, &forgery, AWS, ATTACKER).await, 400);
    }
    assert_eq!(refusals(&app).await, 10);
    app.pass(1);
    exchange(&app, &forgery, AWS, ATTACKER).await;
    let newest = &app.events("issuer.token_refused").await[0];
    let reason = newest["reason"].as_str().unwrap();
    assert!(
        reason.contains("15 refusals before it were left out"),
        "{reason}"
    );
}
