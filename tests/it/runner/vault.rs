//! A run's token at Vault: login and upkeep, what the secrets engines give, and what happens when
//! something is not as it should be.

mod engines;
mod login;
mod server;
mod session;
mod trouble;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use runmint::runner::variables::{AwsCredentialKind, Vault, VaultBackedAws, VaultBackedAzure};
use runmint::runner::vault::{AzureCredentials, Login, VaultClient, VaultError};
use runmint::runner::{IdentityToken, SecretText};

use self::server::{HIDDEN, Server};
use crate::harness::{TestApp, VAULT};

struct Scene {
    app: TestApp,
    server: Server,
    client: VaultClient,
}

impl Scene {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let server = Server::start(&app).await;
        let client = VaultClient::new(&vault(&server)).unwrap();
        Self {
            app,
            server,
            client,
        }
    }

    /// With a policy that allows to read these paths, and logged in.
    async fn reading(paths: &[&'static str]) -> (Self, SecretText) {
        let scene = Self::new().await;
        let policy = paths.iter().copied().collect::<BTreeSet<_>>();
        scene.server.change(|role| role.policy = policy);
        let token = scene.login().await.unwrap().token;
        scene.server.take_asked();
        (scene, token)
    }

    async fn azure(
        &self,
        mount_path: &str,
        token: &SecretText,
    ) -> Result<AzureCredentials, VaultError> {
        let azure = azure(mount_path, "deploy");
        self.client.azure(&azure, token).await
    }

    async fn login(&self) -> Result<Login, VaultError> {
        self.client.login(&token(&self.app, VAULT).await).await
    }
}

fn vault(server: &Server) -> Vault {
    Vault {
        audience: VAULT.to_owned(),
        address: server.url(),
        namespace: None,
        auth_path: "jwt".to_owned(),
        role: "deploy".to_owned(),
        ca_pem: None,
        client_timeout: Duration::from_mins(1),
    }
}

async fn token(app: &TestApp, audience: &str) -> IdentityToken {
    let name = format!("client-{}", uuid::Uuid::new_v4().simple());
    let secret = app.client(&name).await;
    let run = app.run(&secret, "apply").await;
    let answer = app.ask(&run, audience).await;
    IdentityToken::parse(answer.json["value"].as_str().unwrap()).unwrap()
}

fn aws(mount_path: &str, role: &str, kind: AwsCredentialKind) -> VaultBackedAws {
    VaultBackedAws {
        vault: None,
        mount_path: mount_path.to_owned(),
        kind,
        role: role.to_owned(),
        sleep: Duration::ZERO,
    }
}

fn azure(mount_path: &str, role: &str) -> VaultBackedAzure {
    VaultBackedAzure {
        vault: None,
        mount_path: mount_path.to_owned(),
        role: role.to_owned(),
        sleep: Duration::ZERO,
    }
}

/// The refusal's status and whole message, in which nothing is that should be hidden.
#[track_caller]
fn refusal<T: Debug>(result: Result<T, VaultError>) -> (u16, String) {
    let error = result.unwrap_err();
    let message = error.to_string();
    assert_hidden(&error);
    assert!(!message.contains(HIDDEN), "{message}");
    match error {
        VaultError::Refused { status, .. } => (status, message),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn assert_hidden(value: &impl Debug) {
    let text = format!("{value:?}");
    assert!(!text.contains(HIDDEN), "{text}");
}
