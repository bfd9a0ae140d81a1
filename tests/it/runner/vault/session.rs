//! A session whose credentials come from Vault: kept up by Vault's own rules, and ended there.

use std::collections::BTreeMap;

use runmint::runner::Environment;
use runmint::runner::preparation::prepare;
use runmint::runner::request::{RequestClient, RequestSource};
use runmint::runner::session::{Session, SessionSettings};
use runmint::runner::token_file::{FileRules, Folder};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::server::{Instead, Server};
use crate::harness::TestApp;

const AWS_USER: &str = "aws/creds/ops@acme";

/// A session that is logged in and has keys of an AWS user.
struct Scene {
    app: TestApp,
    server: Server,
    session: Session,
    dir: TempDir,
}

impl Scene {
    async fn open() -> Self {
        let app = TestApp::start().await;
        let server = Server::start(&app).await;
        server.change(|role| role.policy = [AWS_USER].into());
        let secret = app.client("atlantis").await;
        let run = app.run(&secret, "apply").await;
        let url = format!("http://{}{}", app.serve().await, run.url);
        let source = RequestSource::new(&url, &run.token).unwrap();
        let client = RequestClient::new(source.clone(), None).unwrap();
        let environment: Environment = [
            ("TFC_VAULT_PROVIDER_AUTH", "true"),
            ("TFC_VAULT_ADDR", &server.url()),
            ("TFC_VAULT_RUN_ROLE", "deploy"),
            ("TFC_VAULT_BACKED_AWS_AUTH", "true"),
            ("TFC_VAULT_BACKED_AWS_AUTH_TYPE", "iam_user"),
            ("TFC_VAULT_BACKED_AWS_RUN_VAULT_ROLE", "ops@acme"),
        ]
        .into_iter()
        .collect();
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(&dir.path().join("c"), FileRules::default()).unwrap();
        let prepared = prepare(&client, &environment, None, None).await.unwrap();
        let mut session = Session::new(SessionSettings {
            client,
            source,
            deadline: prepared.run.map(|run| run.expires_at),
            tag: None,
            environment,
            folder,
            run_id: prepared.run_id,
            redactor: None,
        });
        let configurations = &prepared.configurations;
        session.open(configurations, app.now()).await.unwrap();
        server.take_asked();
        Self {
            app,
            server,
            session,
            dir,
        }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("c").join(name)).unwrap()
    }

    /// Lets time pass until something is due; what was asked of Vault, and what is told.
    async fn turn(&mut self) -> (Vec<String>, Vec<String>) {
        let now = self.session.next_at();
        self.app.app.clock.set(now);
        self.server.inner().now = now;
        let told = self.session.turn(now, &CancellationToken::new()).await;
        (self.server.take_lines(), told)
    }
}

const RENEW: &str = "POST /v1/auth/token/renew-self";
const LOGIN: &str = "POST /v1/auth/jwt/login";
const READ: &str = "GET /v1/aws/creds/ops@acme";

fn silence() -> Vec<String> {
    Vec::new()
}

#[tokio::test]
async fn what_vault_gave_is_where_sdks_look_and_ends_with_the_session() {
    let scene = Scene::open().await;
    let set: BTreeMap<_, _> = scene.session.variables().into_iter().collect();
    assert_eq!(set["VAULT_TOKEN"].expose(), scene.read("tfc-vault-token"));
    assert_eq!(set["VAULT_ADDR"].expose(), scene.server.url());
    let file = set["AWS_SHARED_CREDENTIALS_FILE"].expose();
    assert!(
        file.ends_with("/tfc-vault-backed-aws-shared-credentials"),
        "{file}"
    );
    let credentials = scene.read("tfc-vault-backed-aws-shared-credentials");
    assert!(credentials.starts_with("[default]\naws_access_key_id = AKIAUSER\n"));
    let object = &scene.session.objects()["tfc_vault_backed_aws_dynamic_credentials"];
    assert_eq!(object["default"]["shared_credentials_file"], *file);

    // A pod's web identity would come before them.
    let unset: Vec<_> = scene.session.unset().collect();
    assert!(unset.contains(&"AWS_WEB_IDENTITY_TOKEN_FILE"), "{unset:?}");

    assert_eq!(scene.server.leases().len(), 1);
    assert_eq!(scene.session.end().await, silence());
    assert_eq!(
        scene.server.leases(),
        silence(),
        "its lease ends with its token"
    );
    assert_eq!(
        scene.server.take_lines(),
        ["POST /v1/auth/token/revoke-self"]
    );
}

#[tokio::test]
async fn a_login_is_prolonged_and_made_anew_when_vault_does_not_prolong_it() {
    let mut scene = Scene::open().await;
    let first = scene.read("tfc-vault-token");
    let keys = scene.read("tfc-vault-backed-aws-shared-credentials");
    for _ in 0..3 {
        assert_eq!(scene.turn().await, (vec![RENEW.to_owned()], silence()));
    }
    assert_eq!(scene.read("tfc-vault-token"), first);

    // Near its longest life it is prolonged for less: that is the last time.
    let shortened =
        json!({"auth": {"client_token": first, "lease_duration": 300, "renewable": true}});
    scene.server.instead([Instead::Json(shortened)]);
    assert_eq!(scene.turn().await, (vec![RENEW.to_owned()], silence()));
    let (asked, told) = scene.turn().await;
    assert_eq!(asked, [LOGIN]);
    assert!(told[0].starts_with("Vault: logged in anew"), "{told:?}");
    assert_ne!(scene.read("tfc-vault-token"), first);
    // What was made with the first login ends with it, whatever its own lease is.
    let (asked, told) = scene.turn().await;
    assert_eq!(asked, [READ]);
    assert!(
        told[0].starts_with("AWS by Vault: new credentials"),
        "{told:?}"
    );
    assert_ne!(scene.read("tfc-vault-backed-aws-shared-credentials"), keys);

    assert_eq!(scene.server.leases().len(), 2);
    assert_eq!(scene.session.end().await, silence());
    assert_eq!(scene.server.leases(), silence(), "both logins are over");
}

#[tokio::test]
async fn a_token_that_vault_does_not_know_any_more_is_replaced() {
    let mut scene = Scene::open().await;
    let first = scene.read("tfc-vault-token");
    scene
        .server
        .instead([Instead::Status(403, "permission denied")]);
    let (asked, told) = scene.turn().await;
    assert_eq!(asked, [RENEW]);
    assert!(
        told[0].starts_with("warning: Vault: not renewed yet"),
        "{told:?}"
    );
    let (asked, _) = scene.turn().await;
    assert_eq!(asked, [LOGIN]);
    assert_ne!(scene.read("tfc-vault-token"), first);
}

#[tokio::test]
async fn what_could_not_be_revoked_is_told_and_the_files_are_gone_all_the_same() {
    let scene = Scene::open().await;
    scene.server.instead([Instead::Status(400, "no")]);
    let told = scene.session.end().await;
    assert!(
        told[0].starts_with("warning: Vault: could not be revoked: "),
        "{told:?}"
    );
    assert!(!scene.dir.path().join("c").exists());
}
