//! The ready-made definitions of docs/trusted-issuers.md, each held against tokens of the shape that
//! its issuer really signs; and a second runmint as the issuer, over HTTP.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::foreign::{AUDIENCE, Key};
use crate::harness::{AWS, Answer, Database, START, TestApp, VAULT, claims, run_body};
use crate::program::Setup;

/// The definition that the page shows under this name.
fn documented(name: &str) -> Value {
    let page = include_str!("../../docs/trusted-issuers.md");
    let start = format!("```json {name}\n");
    let (_, rest) = page.split_once(&start).unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    serde_json::from_str(text).unwrap()
}

/// A runmint that trusts that issuer, by keys that the test holds.
struct Trusting {
    app: TestApp,
    key: Key,
    issuer: String,
}

impl Trusting {
    async fn documented(name: &str) -> Self {
        let app = TestApp::start().await;
        app.client("atlantis").await;
        let key = Key::rsa("key-1");
        let mut definition = documented(name);
        let issuer = definition["issuer"].as_str().unwrap().to_owned();
        definition["jwks"] = json!({"keys": [key.jwk()]});
        app.trust(name, &definition).await;
        Self { app, key, issuer }
    }

    /// A token with these claims and those that every token has.
    fn token(&self, claims: &Value) -> String {
        let mut all = json!({"iss": self.issuer, "aud": AUDIENCE, "iat": START.0,
            "nbf": START.0, "exp": START.0 + 300, "jti": uuid::Uuid::new_v4().to_string()});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        self.key.token(&all)
    }

    async fn exchange(&self, claims: &Value) -> Answer {
        self.app.exchange(&self.token(claims), &[AWS]).await
    }

    /// The subject that these claims are mapped to.
    async fn subject(&self, claims: &Value) -> String {
        let answer = self.exchange(claims).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json["subject"].as_str().unwrap().to_owned()
    }

    /// Why these claims are refused.
    async fn reason(&self, claims: &Value) -> String {
        let answer = self.exchange(claims).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        let page = self.app.admin(Method::GET, "/v1/events?limit=1");
        let newest = page.send().await.json["events"][0].clone();
        newest["reason"].as_str().unwrap().to_owned()
    }
}

/// The claims with some of them changed, by their JSON pointers.
fn but(claims: &Value, changes: &[(&str, Value)]) -> Value {
    let mut claims = claims.clone();
    for (pointer, value) in changes {
        *claims.pointer_mut(pointer).unwrap() = value.clone();
    }
    claims
}

#[tokio::test]
async fn kubernetes_service_accounts() {
    let cluster = Trusting::documented("kubernetes").await;
    let plan = json!({
        "aud": [AUDIENCE],
        "kubernetes.io": {
            "namespace": "tf-net-1",
            "node": {"name": "ip-10-0-1-7", "uid": "6f1e9d4c-0001-4f3a-9a0e-000000000001"},
            "pod": {"name": "run-x7k2p", "uid": "6f1e9d4c-0001-4f3a-9a0e-000000000002"},
            "serviceaccount": {"name": "plan", "uid": "6f1e9d4c-0001-4f3a-9a0e-000000000003"}
        },
        "sub": "system:serviceaccount:tf-net-1:plan"
    });
    let subject = "organization:acme:project:Default Project:workspace:net-1:run_phase:plan";
    assert_eq!(cluster.subject(&plan).await, subject);
    let apply = but(
        &plan,
        &[("/kubernetes.io/serviceaccount/name", json!("apply"))],
    );
    assert_eq!(
        cluster.subject(&apply).await,
        subject.replace("plan", "apply")
    );
    for (pointer, value, word) in [
        (
            "/kubernetes.io/namespace",
            json!("kube-system"),
            "not a namespace of Terraform runs",
        ),
        (
            "/kubernetes.io/namespace",
            json!("tf-Net"),
            "not a namespace of Terraform runs",
        ),
        (
            "/kubernetes.io/namespace",
            json!("xtf-net-1"),
            "not a namespace of Terraform runs",
        ),
        (
            "/kubernetes.io/serviceaccount/name",
            json!("default"),
            "not a runner's service account",
        ),
        (
            "/kubernetes.io/namespace",
            json!("tf-prod"),
            "no grant covers workspace `prod`",
        ),
    ] {
        let reason = cluster.reason(&but(&plan, &[(pointer, value)])).await;
        assert!(reason.contains(word), "{reason}");
    }
    let mut unbound = plan.clone();
    unbound["kubernetes.io"]
        .as_object_mut()
        .unwrap()
        .remove("pod");
    assert!(
        cluster
            .reason(&unbound)
            .await
            .contains("not bound to a pod")
    );

    let orchestrator = json!({"sub": "system:serviceaccount:ci:atlantis", "kubernetes.io": {
        "namespace": "ci", "serviceaccount": {"name": "atlantis"}}});
    let token = cluster.token(&orchestrator);
    let call = cluster.app.post("/v1/runs").bearer(&token);
    let opened = call.json(&run_body("plan")).send().await;
    assert_eq!(opened.status, StatusCode::CREATED, "{opened:?}");
}

#[tokio::test]
async fn github_actions() {
    let github = Trusting::documented("github").await;
    let push = json!({
        "sub": "repo:acme/net-1:ref:refs/heads/main",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
        "sha": "8b1a9953c4611296a827abf8c47804d7f1e2d3c4",
        "repository": "acme/net-1", "repository_id": "87654321", "repository_visibility": "private",
        "repository_owner": "acme", "repository_owner_id": "1234567",
        "run_id": "16543210987", "run_number": "42", "run_attempt": "1",
        "runner_environment": "github-hosted", "actor": "octocat", "actor_id": "583231",
        "workflow": "terraform", "head_ref": "", "base_ref": "", "event_name": "push",
        "workflow_ref": "acme/net-1/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_ref": "acme/ci/.github/workflows/terraform.yml@refs/heads/main",
    });
    let subject = |phase: &str| {
        format!("organization:acme:project:Default Project:workspace:net-1:run_phase:{phase}")
    };
    assert_eq!(github.subject(&push).await, subject("apply"));
    for (pointer, value) in [
        ("/ref", json!("refs/heads/feature")),
        ("/event_name", json!("pull_request")),
        (
            "/job_workflow_ref",
            json!("acme/net-1/.github/workflows/own.yml@refs/heads/main"),
        ),
    ] {
        assert_eq!(
            github.subject(&but(&push, &[(pointer, value)])).await,
            subject("plan")
        );
    }
    for (pointer, value, word) in [
        ("/repository_owner_id", json!("7654321"), "another owner"),
        ("/repository_owner_id", json!(1_234_567), "another owner"),
        ("/repository", json!("acme/a.b"), "workspace"),
    ] {
        let reason = github.reason(&but(&push, &[(pointer, value)])).await;
        assert!(reason.contains(word), "{reason}");
    }
    let fork = but(&push, &[("/event_name", json!("pull_request_target"))]);
    assert!(github.reason(&fork).await.contains("another event"));
    let old = but(&push, &[]);
    github.app.pass(299);
    github.subject(&old).await;
}

#[tokio::test]
async fn gitlab_id_tokens() {
    let gitlab = Trusting::documented("gitlab").await;
    let job = json!({
        "sub": "project_path:acme/net-1:ref_type:branch:ref:main",
        "namespace_id": "72", "namespace_path": "acme", "project_id": "20", "project_path": "acme/net-1",
        "user_id": "1", "user_login": "sam", "user_email": "sam@example.com", "user_access_level": "owner",
        "pipeline_id": "574", "pipeline_source": "push", "job_id": "302",
        "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "runner_id": 1, "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc", "project_visibility": "private",
        "ci_config_ref_uri": "gitlab.example.com/acme/net-1//.gitlab-ci.yml@refs/heads/main",
    });
    let subject = |phase: &str| {
        format!("organization:acme:project:Default Project:workspace:net-1:run_phase:{phase}")
    };
    assert_eq!(gitlab.subject(&job).await, subject("apply"));
    let branch = but(&job, &[("/ref_protected", json!("false"))]);
    assert_eq!(gitlab.subject(&branch).await, subject("plan"));
    let other = but(&job, &[("/namespace_id", json!("73"))]);
    assert!(gitlab.reason(&other).await.contains("another group"));
}

#[tokio::test]
async fn another_runmint_s_claims() {
    let partner = Trusting::documented("runmint").await;
    // Minted by a real one, and signed anew by a key of the test's, since its issuer is another.
    let other = TestApp::start().await;
    let grants = json!([{"organization": "partner", "audiences": [AUDIENCE]}]);
    let secret = other.client_with("ci", grants).await;
    let mut body = run_body("apply");
    body["organization"] = json!("partner");
    body["project"] = json!("Shared");
    body["audiences"] = json!([AUDIENCE]);
    let run = other.run_with(&secret, &body).await;
    let answer = other.ask(&run, AUDIENCE).await;
    let mut minted = claims(answer.json["value"].as_str().unwrap());
    minted["iss"] = json!(partner.issuer);
    let exchange = |claims: &Value| {
        let token = partner.token(claims);
        let app = &partner.app;
        async move { app.exchange(&token, &[VAULT]).await }
    };
    let answer = exchange(&minted).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(
        answer.json["subject"],
        "organization:partner:project:Shared:workspace:net-1:run_phase:apply"
    );
    let exchanged = claims(answer.json["access_token"].as_str().unwrap());
    assert_eq!(exchanged["terraform_run_id"], minted["terraform_run_id"]);
    for (pointer, value) in [
        ("/terraform_organization_name", json!("acme")),
        ("/terraform_project_name", json!("Secret")),
    ] {
        let mut claims = but(&minted, &[(pointer, value)]);
        claims["jti"] = json!(pointer);
        assert_eq!(
            exchange(&claims).await.status,
            StatusCode::BAD_REQUEST,
            "{pointer}"
        );
    }
}

/// Two programs, two databases, real HTTP: the first one's run gets a token for the second one, which
/// fetches the first one's keys by discovery.
#[tokio::test]
async fn a_second_runmint_s_token_becomes_a_run_s_token_over_http() {
    let (first_database, second_database) = (Database::durable().await, Database::durable().await);
    let first = Setup::on(&first_database).at_its_issuer_url().serve().await;
    let second = Setup::on(&second_database)
        .at_its_issuer_url()
        .serve()
        .await;

    let body = json!({"name": "ci", "grants": [{"organization": "partner", "audiences": [second.public]}]});
    let added = first
        .answer(first.admin(Method::POST, "/v1/clients").json(&body))
        .await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    let secret = added.json["secret"].as_str().unwrap();
    let mint = json!({"organization": "partner", "project": "Shared", "workspace": "net-1",
        "run_phase": "plan", "audiences": [second.public]});
    let minted = first
        .answer(first.post("/v1/tokens").bearer_auth(secret).json(&mint))
        .await;
    assert_eq!(minted.status, StatusCode::CREATED, "{minted:?}");
    let token = minted.json["tokens"][0]["token"].as_str().unwrap();

    let mut definition = documented("runmint");
    definition["issuer"] = json!(first.public);
    definition["audiences"] = json!([second.public]);
    definition["private_network"] = json!(true);
    let body = json!({"name": "first", "definition": definition});
    let trusted = second
        .answer(second.admin(Method::POST, "/v1/issuers").json(&body))
        .await;
    assert_eq!(trusted.status, StatusCode::CREATED, "{trusted:?}");
    let exchange = || {
        let form = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", token),
            ("audience", VAULT),
        ];
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = second.post("/oauth/token").body(form);
        second.answer(request.header("content-type", "application/x-www-form-urlencoded"))
    };
    let exchanged = exchange().await;
    assert_eq!(exchanged.status, StatusCode::OK, "{exchanged:?}");
    assert_eq!(
        exchanged.json["subject"],
        "organization:partner:project:Shared:workspace:net-1:run_phase:plan"
    );
    let again = exchange().await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "{again:?}");
}
