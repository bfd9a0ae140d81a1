//! A run's credentials, on a clock that is set: hours pass in as long as the requests take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use runmint::auth::secret::{Kind, Secret};
use runmint::domain::phase::Phase;
use runmint::domain::time::Timestamp;
use runmint::runner::preparation::{PreparationError, prepare};
use runmint::runner::request::{RequestClient, RequestSource};
use runmint::runner::schedule::NEVER;
use runmint::runner::session::{Session, SessionError, SessionSettings};
use runmint::runner::token_file::{FileRules, Folder};
use runmint::runner::{Environment, IdentityToken};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::harness::{AWS, OpenRun, TestApp, run_body};

const AZURE: &str = "api://AzureADTokenExchange";
const GCP: &str =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/runmint";
const HCP: &str = "iam/project/0/service-principal/s/workload-identity-provider/w";
const KUBERNETES: &str = "kubernetes.example.com";
const NEXUS: &str = "nexus.example.com";

/// Every provider that needs no Vault.
const EVERYTHING: [(&str, &str); 16] = [
    ("TFC_AWS_PROVIDER_AUTH", "true"),
    (
        "TFC_AWS_PLAN_ROLE_ARN",
        "arn:aws:iam::123456789012:role/plan",
    ),
    (
        "TFC_AWS_APPLY_ROLE_ARN",
        "arn:aws:iam::123456789012:role/apply",
    ),
    ("TFC_AWS_PROVIDER_AUTH_PROD", "true"),
    (
        "TFC_AWS_RUN_ROLE_ARN_PROD",
        "arn:aws:iam::210987654321:role/prod",
    ),
    ("TFC_AZURE_PROVIDER_AUTH", "true"),
    (
        "TFC_AZURE_RUN_CLIENT_ID",
        "11111111-2222-3333-4444-555555555555",
    ),
    ("ARM_TENANT_ID", "99999999-2222-3333-4444-555555555555"),
    ("TFC_GCP_PROVIDER_AUTH", "true"),
    (
        "TFC_GCP_WORKLOAD_PROVIDER_NAME",
        "projects/1/locations/global/workloadIdentityPools/pool/providers/runmint",
    ),
    (
        "TFC_GCP_RUN_SERVICE_ACCOUNT_EMAIL",
        "tf@p.iam.gserviceaccount.com",
    ),
    ("TFC_HCP_PROVIDER_AUTH", "true"),
    ("TFC_HCP_RUN_PROVIDER_RESOURCE_NAME", HCP),
    ("TFC_KUBERNETES_PROVIDER_AUTH", "true"),
    ("TFC_KUBERNETES_WORKLOAD_IDENTITY_AUDIENCE", KUBERNETES),
    ("TFC_WORKLOAD_IDENTITY_AUDIENCE_NEXUS", NEXUS),
];

/// A server, one run of it, and a folder.
struct Stage {
    app: TestApp,
    run: OpenRun,
    client: RequestClient,
    deadline: Option<Timestamp>,
    dir: TempDir,
}

impl Stage {
    /// A run of `phase` with a deadline in `expires_in` seconds, whose tokens live for ten minutes.
    async fn new(phase: &str, expires_in: i64) -> Self {
        let app = TestApp::start().await;
        let audiences = [AWS, AZURE, GCP, HCP, KUBERNETES, NEXUS];
        let grants = json!([{"organization": "acme", "audiences": audiences, "max_ttl": 600}]);
        let secret = app.client_with("atlantis", grants).await;
        let mut body = run_body(phase);
        body["run_id"] = json!("run-CKuwsxMGgMd3W7Ui");
        body["expires_in"] = json!(expires_in);
        body["audiences"] = json!(audiences);
        let run = app.run_with(&secret, &body).await;
        let url = format!("http://{}{}", app.serve().await, run.url);
        let source = RequestSource::new(&url, &run.token).unwrap();
        Self {
            client: RequestClient::new(source, None).unwrap(),
            deadline: Some(Timestamp(app.now().0 + expires_in)),
            app,
            run,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("credentials")
    }

    /// Where a file of the session is.
    fn path(&self, name: &str) -> String {
        self.folder().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder().join(name)).unwrap()
    }

    fn session(&self, environment: &Environment, run_id: &str, tag: Option<&str>) -> Session {
        Session::new(SessionSettings {
            client: self.client.clone(),
            source: self.client.source().clone(),
            deadline: self.deadline,
            tag: tag.map(str::to_owned),
            environment: environment.clone(),
            folder: Folder::create(&self.folder(), FileRules::default()).unwrap(),
            run_id: run_id.to_owned(),
            redactor: None,
        })
    }

    async fn open(&self, variables: &[(&str, &str)], tag: Option<&str>) -> Session {
        let environment: Environment = variables.iter().copied().collect();
        let prepared = prepare(&self.client, &environment, None, tag)
            .await
            .unwrap();
        let mut session = self.session(&environment, &prepared.run_id, tag);
        let configurations = &prepared.configurations;
        session.open(configurations, self.app.now()).await.unwrap();
        session
    }

    /// Lets time pass until something is due, and gives the session its turn.
    async fn turn(&self, session: &mut Session) -> (Timestamp, Vec<String>) {
        let now = session.next_at();
        self.app.app.clock.set(now);
        let notices = session.turn(now, &CancellationToken::new()).await;
        (now, notices)
    }

    /// The tokens in the folder, by the names of their files.
    fn tokens(&self) -> BTreeMap<String, IdentityToken> {
        let files = std::fs::read_dir(self.folder()).unwrap();
        files
            .filter_map(|file| {
                let name = file.unwrap().file_name().into_string().unwrap();
                let token = IdentityToken::parse(&self.read(&name)).ok()?;
                Some((name, token))
            })
            .collect()
    }

    async fn close(&self) {
        let path = format!("/v1/runs/{}/close", self.run.id);
        let closed = self.app.post(&path).bearer(&self.run.token).send().await;
        assert_eq!(closed.status, StatusCode::OK, "{closed:?}");
    }
}

fn variables(session: &Session) -> BTreeMap<String, String> {
    let variables = session.variables().into_iter();
    variables
        .map(|(name, value)| (name, value.expose().to_owned()))
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
async fn each_cloud_s_clients_find_what_they_look_for() {
    let stage = Stage::new("plan", 7_200).await;
    let session = stage.open(&EVERYTHING, None).await;
    let tokens = stage.tokens();
    let names: Vec<_> = tokens.keys().map(String::as_str).collect();
    let expected = [
        "tfc-aws-token",
        "tfc-aws-token_PROD",
        "tfc-azure-token",
        "tfc-gcp-token",
        "tfc-hcp-token",
        "tfc-kubernetes-token",
        "tfc-workload-identity-token_NEXUS",
    ];
    assert_eq!(names, expected);
    let jtis: BTreeSet<_> = tokens.values().map(|token| &token.claims.jti).collect();
    assert_eq!(jtis.len(), expected.len(), "a token for each configuration");

    let set = variables(&session);
    let client_id = "11111111-2222-3333-4444-555555555555";
    for (name, value) in [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/plan"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &stage.path("tfc-aws-token")),
        ("AWS_ROLE_SESSION_NAME", "terraform-run-CKuwsxMGgMd3W7Ui"),
        ("ARM_CLIENT_ID", client_id),
        ("ARM_USE_OIDC", "true"),
        (
            "ARM_OIDC_REQUEST_URL",
            stage.client.source().url_for(AZURE).as_str(),
        ),
        ("ARM_OIDC_REQUEST_TOKEN", &stage.run.token),
        ("AZURE_CLIENT_ID", client_id),
        ("AZURE_FEDERATED_TOKEN_FILE", &stage.path("tfc-azure-token")),
        ("AZURE_TENANT_ID", "99999999-2222-3333-4444-555555555555"),
        (
            "GOOGLE_APPLICATION_CREDENTIALS",
            &stage.path("tfc-google-application-credentials"),
        ),
        ("HCP_CRED_FILE", &stage.path("tfc-hcp-credentials")),
        ("KUBE_TOKEN", &stage.read("tfc-kubernetes-token")),
        (
            "TFC_WORKLOAD_IDENTITY_TOKEN_NEXUS",
            &stage.read("tfc-workload-identity-token_NEXUS"),
        ),
        (
            "RUNMINT_WORKLOAD_IDENTITY_TOKEN_FILE_NEXUS",
            &stage.path("tfc-workload-identity-token_NEXUS"),
        ),
    ] {
        assert_eq!(set.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(
        stage.read("tfc-aws-shared-config_PROD"),
        format!(
            "[default]\nrole_arn = arn:aws:iam::210987654321:role/prod\n\
             web_identity_token_file = {}\nrole_session_name = terraform-run-CKuwsxMGgMd3W7Ui\n",
            stage.path("tfc-aws-token_PROD")
        )
    );
    assert_eq!(stage.read("tfc-azure-client-id"), client_id);
    let json = |name: &str| serde_json::from_str::<Value>(&stage.read(name)).unwrap();
    assert_eq!(
        json("tfc-google-application-credentials"),
        json!({
            "universe_domain": "googleapis.com",
            "type": "external_account",
            "audience": GCP,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": "https://sts.googleapis.com/v1/token",
            "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/\
                projects/-/serviceAccounts/tf@p.iam.gserviceaccount.com:generateAccessToken",
            "credential_source": {"file": stage.path("tfc-gcp-token"), "format": {"type": "text"}},
        })
    );
    assert_eq!(
        json("tfc-hcp-credentials"),
        json!({"scheme": "workload", "workload": {
            "provider_resource_name": HCP, "file": {"path": stage.path("tfc-hcp-token")}}})
    );

    // Terraform's object variables: one by one in variables, and together for a file.
    let objects = session.objects();
    for (name, expected) in [
        (
            "tfc_aws_dynamic_credentials",
            json!({
                "default": {"shared_config_file": stage.path("tfc-aws-shared-config")},
                "aliases": {"PROD": {"shared_config_file": stage.path("tfc-aws-shared-config_PROD")}},
            }),
        ),
        (
            "tfc_azure_dynamic_credentials",
            json!({"aliases": {}, "default": {
                "client_id_file_path": stage.path("tfc-azure-client-id"),
                "oidc_token_file_path": stage.path("tfc-azure-token")}}),
        ),
        (
            "tfc_gcp_dynamic_credentials",
            json!({"aliases": {}, "default": {
                "credentials": stage.path("tfc-google-application-credentials")}}),
        ),
        (
            "tfc_hcp_dynamic_credentials",
            json!({"aliases": {}, "default": {"credential_file": stage.path("tfc-hcp-credentials")}}),
        ),
        (
            "tfc_kubernetes_dynamic_credentials",
            json!({"aliases": {}, "default": {"token_path": stage.path("tfc-kubernetes-token")}}),
        ),
    ] {
        assert_eq!(objects[name], expected, "{name}");
        let variable: Value = serde_json::from_str(&set[&format!("TF_VAR_{name}")]).unwrap();
        assert_eq!(variable, expected, "{name}");
    }
    assert_eq!(session.end().await, Vec::<String>::new());
    assert!(!stage.folder().exists(), "nothing is left");
}

#[tokio::test]
async fn the_phase_s_own_role_is_taken_and_a_tag_takes_the_default_s_place() {
    let stage = Stage::new("apply", 7_200).await;
    let session = stage.open(&EVERYTHING, None).await;
    let role = &variables(&session)["AWS_ROLE_ARN"];
    assert_eq!(role, "arn:aws:iam::123456789012:role/apply");
    session.end().await;
    let session = stage.open(&EVERYTHING, Some("PROD")).await;
    let set = variables(&session);
    assert_eq!(set["AWS_ROLE_ARN"], "arn:aws:iam::210987654321:role/prod");
    assert_eq!(
        set["AWS_WEB_IDENTITY_TOKEN_FILE"],
        stage.path("tfc-aws-token_PROD")
    );
    // A provider without that tag keeps its default, and Terraform's own variables are as ever.
    assert!(set.contains_key("GOOGLE_APPLICATION_CREDENTIALS"));
    let object = &session.objects()["tfc_aws_dynamic_credentials"];
    assert!(object["default"].is_object() && object["aliases"]["PROD"].is_object());
}

#[tokio::test]
async fn a_cluster_makes_the_kubeconfig_whole() {
    let stage = Stage::new("plan", 7_200).await;
    let mut set = vec![
        ("TFC_KUBERNETES_PROVIDER_AUTH", "true"),
        ("TFC_KUBERNETES_WORKLOAD_IDENTITY_AUDIENCE", KUBERNETES),
    ];
    let session = stage.open(&set, None).await;
    assert!(
        !variables(&session).contains_key("KUBECONFIG"),
        "no cluster, no use"
    );
    session.end().await;
    set.extend([
        ("KUBE_HOST", "https://k8s.example.com"),
        (
            "KUBE_CLUSTER_CA_CERT_DATA",
            "-----BEGIN CERTIFICATE-----\nMII=\n",
        ),
    ]);
    let session = stage.open(&set, None).await;
    let set = variables(&session);
    assert_eq!(set["KUBECONFIG"], stage.path("tfc-kubeconfig"));
    assert_eq!(set["KUBE_CONFIG_PATH"], set["KUBECONFIG"]);
    let kubeconfig: Value = serde_json::from_str(&stage.read("tfc-kubeconfig")).unwrap();
    assert_eq!(
        kubeconfig,
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "runmint",
            "clusters": [{"name": "runmint", "cluster": {"server": "https://k8s.example.com",
                "certificate-authority-data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JST0K"}}],
            "contexts": [{"name": "runmint", "context": {"cluster": "runmint", "user": "runmint"}}],
            "users": [{"name": "runmint", "user": {"tokenFile": stage.path("tfc-kubernetes-token")}}],
        })
    );
}

/// The promise to a long apply: whoever reads a file at any moment finds a token that lives.
#[tokio::test]
async fn over_three_hours_every_file_is_renewed_before_its_token_ends() {
    let stage = Stage::new("apply", 4 * 3_600).await;
    let mut session = stage.open(&EVERYTHING, None).await;
    let start = stage.app.now();
    let mut renewals: BTreeMap<String, usize> = BTreeMap::new();
    let mut before = stage.tokens();
    while session.next_at().seconds_since(start) < 3 * 3_600 {
        for (name, token) in &before {
            assert!(
                token.claims.exp > session.next_at(),
                "{name} ends before it is renewed"
            );
        }
        let (now, notices) = stage.turn(&mut session).await;
        assert_eq!(notices, Vec::<String>::new());
        assert!(session.is_fresh(now));
        let after = stage.tokens();
        assert_eq!(after.len(), before.len());
        for (name, token) in &after {
            if token.claims.jti != before[name].claims.jti {
                *renewals.entry(name.clone()).or_default() += 1;
            }
        }
        before = after;
    }
    // Of ten minutes, after 7 to 8: 22 to 25 times in three hours.
    assert_eq!(renewals.len(), before.len());
    let is_right = |times: &usize| (22..=25).contains(times);
    assert!(renewals.values().all(is_right), "{renewals:?}");
}

#[tokio::test]
async fn the_last_token_before_the_deadline_is_said_and_not_asked_for_again() {
    let stage = Stage::new("plan", 700).await;
    let mut session = stage.open(&EVERYTHING[..3], None).await;
    let start = stage.app.now();
    let (mut notices, mut turns) = (Vec::new(), 0);
    while session.next_at() != NEVER {
        notices.extend(stage.turn(&mut session).await.1);
        turns += 1;
        assert!(turns < 20, "{notices:?}");
    }
    let [notice] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert!(
        notice.starts_with("AWS: ") && notice.contains("deadline"),
        "{notice}"
    );
    let end = stage.tokens()["tfc-aws-token"].claims.exp;
    assert_eq!(end, Timestamp(start.0 + 700));
    assert!(!session.is_fresh(end));
    // Whoever waits for nothing else looks again then.
    assert_eq!(session.next_end(start), end);
    assert_eq!(session.next_end(end), NEVER);
}

/// A server whose every answer is 503 while it is down.
async fn with_outages(stage: &mut Stage) -> Arc<AtomicBool> {
    let down = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&down);
    let outage = from_fn(move |request: Request, next: Next| {
        let is_down = switch.load(Ordering::SeqCst);
        async move {
            if is_down {
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            } else {
                next.run(request).await
            }
        }
    });
    let router = runmint::http::public(stage.app.app.clone()).layer(outage);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{}", listener.local_addr().unwrap(), stage.run.url);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let source = RequestSource::new(&url, &stage.run.token).unwrap();
    stage.client = RequestClient::new(source, None).unwrap();
    down
}

#[tokio::test]
async fn an_outage_leaves_the_files_as_they_are_and_is_asked_through() {
    let mut stage = Stage::new("plan", 7_200).await;
    let down = with_outages(&mut stage).await;
    let mut session = stage.open(&EVERYTHING[..3], None).await;
    let before = stage.tokens()["tfc-aws-token"].clone();
    down.store(true, Ordering::SeqCst);
    let mut notices = Vec::new();
    for _ in 0..6 {
        notices.extend(stage.turn(&mut session).await.1);
        assert_eq!(
            stage.tokens()["tfc-aws-token"].claims.jti,
            before.claims.jti
        );
    }
    down.store(false, Ordering::SeqCst);
    let (now, told) = stage.turn(&mut session).await;
    assert!(now < before.claims.exp, "in time");
    assert_ne!(
        stage.tokens()["tfc-aws-token"].claims.jti,
        before.claims.jti
    );
    notices.extend(told);
    // Said once, not at each attempt.
    let [notice] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert!(
        notice.starts_with("warning: AWS: not renewed yet"),
        "{notice}"
    );

    // One that lasts longer than the token: an end that is said, and a way back.
    down.store(true, Ordering::SeqCst);
    while session.is_fresh(session.next_at()) {
        stage.turn(&mut session).await;
    }
    let (_, told) = stage.turn(&mut session).await;
    assert!(told[0].starts_with("error: AWS: ended at "), "{told:?}");
    let (_, told) = stage.turn(&mut session).await;
    assert_eq!(told, [""; 0], "said once");
    down.store(false, Ordering::SeqCst);
    let (now, _) = stage.turn(&mut session).await;
    assert!(session.is_fresh(now));
}

#[tokio::test]
async fn what_the_run_may_not_have_is_named_before_anything_is_handed_out() {
    let stage = Stage::new("plan", 7_200).await;
    let refused = async |variables: &[(&str, &str)], said: Option<Phase>, tag: Option<&str>| {
        let environment: Environment = variables.iter().copied().collect();
        let prepared = prepare(&stage.client, &environment, said, tag).await;
        prepared.unwrap_err()
    };
    let elsewhere = [("TFC_WORKLOAD_IDENTITY_AUDIENCE", "elsewhere")];
    let error = refused(&elsewhere, None, None).await;
    assert!(
        error.is_usage() && error.to_string().contains("`elsewhere`"),
        "{error}"
    );
    let error = refused(&[], Some(Phase::Apply), None).await;
    assert!(matches!(error, PreparationError::Phase { .. }), "{error}");
    let error = refused(&EVERYTHING, None, Some("DEV")).await;
    assert!(error.to_string().contains("`PROD`"), "{error}");
    let wrong = [
        ("TFC_AWS_PROVIDER_AUTH", "yes"),
        ("TFC_GCP_PROVIDER_AUTH", "1"),
    ];
    let error = refused(&wrong, None, None).await.to_string();
    for (name, _) in wrong {
        assert!(error.contains(name), "{error}");
    }
    stage.close().await;
    let error = refused(&EVERYTHING, None, None).await;
    assert!(error.to_string().contains("closed"), "{error}");
}

#[tokio::test]
async fn only_a_server_that_knows_no_runs_is_asked_without_knowing_which_it_is() {
    let stage = Stage::new("plan", 7_200).await;
    let environment: Environment = EVERYTHING.into_iter().collect();
    let asked = async |url: &str, token: &str| {
        let source = RequestSource::new(url, token).unwrap();
        let client = RequestClient::new(source, None).unwrap();
        prepare(&client, &environment, None, None).await
    };
    let url = stage.client.source().url().as_str();
    let unknown = Secret::generate(Kind::Run).unwrap();
    let unknown = unknown.expose();
    for wrong in ["rmr_nonsense", unknown] {
        let error = asked(url, wrong).await.unwrap_err();
        assert!(error.to_string().contains("answered 401"), "{error}");
    }
    // The phase is not known then, so what differs by phase is asked about.
    let elsewhere = url.replace("/v1/token", "/token");
    let error = asked(&elsewhere, &stage.run.token).await.unwrap_err();
    assert!(error.to_string().contains("--run-phase"), "{error}");
}

/// Terraform reads a variable of the environment as HCL, where `${` is a template.
#[tokio::test]
async fn a_path_that_looks_like_a_template_is_none() {
    let mut stage = Stage::new("plan", 7_200).await;
    stage.dir = tempfile::Builder::new()
        .prefix("${a}%{b}")
        .tempdir()
        .unwrap();
    let session = stage.open(&EVERYTHING[..3], None).await;
    let variable = &variables(&session)["TF_VAR_tfc_aws_dynamic_credentials"];
    assert!(variable.contains("/$${a}%%{b}"), "{variable}");
    let path = &session.objects()["tfc_aws_dynamic_credentials"]["default"]["shared_config_file"];
    assert_eq!(*path, stage.path("tfc-aws-shared-config"));
}

/// Another issuer may give the token that it has, until that is nearly over.
#[tokio::test]
async fn an_issuer_that_gives_the_same_token_again_is_asked_again() {
    let mut stage = Stage::new("plan", 7_200).await;
    let token = stage.client.token(AWS).await.unwrap();
    let given = Arc::new(std::sync::Mutex::new(token.text().clone()));
    let answer = Arc::clone(&given);
    let answer = move || {
        let token = answer.lock().unwrap().expose().to_owned();
        async move { axum::Json(json!({"count": token.len(), "value": token})) }
    };
    let router = axum::Router::new().route("/token", axum::routing::get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token?a=b", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let server = stage.client.clone();
    let source = RequestSource::new(&url, "token").unwrap();
    stage.client = RequestClient::new(source, None).unwrap();
    stage.deadline = None;

    let environment: Environment = [
        ("TFC_AWS_PROVIDER_AUTH", "true"),
        ("TFC_AWS_RUN_ROLE_ARN", "arn:aws:iam::123456789012:role/net"),
    ]
    .into_iter()
    .collect();
    let prepared = prepare(&stage.client, &environment, None, None)
        .await
        .unwrap();
    let mut session = stage.session(&environment, &prepared.run_id, None);
    session
        .open(&prepared.configurations, stage.app.now())
        .await
        .unwrap();
    let (_, told) = stage.turn(&mut session).await;
    assert!(
        told[0].starts_with("warning: AWS: not renewed yet"),
        "{told:?}"
    );
    let fresh = server.token(AWS).await.unwrap();
    *given.lock().unwrap() = fresh.text().clone();
    stage.turn(&mut session).await;
    assert_eq!(stage.tokens()["tfc-aws-token"].claims.jti, fresh.claims.jti);
}

#[tokio::test]
async fn a_mint_that_fails_leaves_no_file_behind() {
    let stage = Stage::new("plan", 7_200).await;
    let environment: Environment = EVERYTHING.into_iter().collect();
    let prepared = prepare(&stage.client, &environment, None, None)
        .await
        .unwrap();
    stage.close().await;
    let mut session = stage.session(&environment, "run-1", None);
    let opened = session
        .open(&prepared.configurations, stage.app.now())
        .await;
    let error = opened.unwrap_err();
    assert!(matches!(error, SessionError::Request { .. }), "{error}");
    assert!(error.to_string().contains("the run is closed"), "{error}");
    session.end().await;
    assert!(!Path::new(&stage.folder()).exists());
}
