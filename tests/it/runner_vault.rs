//! A run's token at Vault: login, upkeep, and what the secrets engines give.

mod server;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use runmint::runner::variables::{
    AwsCredentialKind, GcpAccount, GcpCredentialKind, Vault, VaultBackedAws, VaultBackedAzure,
    VaultBackedGcp,
};
use runmint::runner::vault::{
    AzureCredentials, GcpCredentials, Lease, Login, VaultClient, VaultError,
};
use runmint::runner::{IdentityToken, SecretText};
use serde_json::json;

use self::server::{HIDDEN, Instead, Server};
use crate::certificates;
use crate::harness::{AWS, TestApp, VAULT};

/// A run of workspace `net-1`, and a Vault that trusts it.
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

fn gcp(account: GcpAccount, kind: GcpCredentialKind) -> VaultBackedGcp {
    VaultBackedGcp {
        vault: None,
        mount_path: "gcp".to_owned(),
        account,
        kind,
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

#[tokio::test]
async fn a_run_logs_in_with_its_token() {
    let scene = Scene::new().await;
    scene.server.inner().namespace = Some("team/a".to_owned());
    let vault = Vault {
        namespace: Some("team/a".to_owned()),
        address: format!("{}/", scene.server.url()),
        ..vault(&scene.server)
    };
    let client = VaultClient::new(&vault).unwrap();
    let identity = token(&scene.app, VAULT).await;
    let login = client.login(&identity).await.unwrap();
    assert!(login.token.expose().starts_with("hvs."));
    let expected = Lease {
        id: None,
        seconds: 1_200,
        renewable: true,
    };
    assert_eq!(login.lease, expected);
    let warning = "TTL of \"2h\" exceeded the effective max_ttl";
    assert_eq!(login.warnings, [warning]);
    assert_hidden(&login);

    let asked = scene.server.take_asked();
    let [asked] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(asked.uri, "/v1/auth/jwt/login");
    assert_eq!(
        asked.body,
        json!({"role": "deploy", "jwt": identity.text().expose()})
    );
    assert_eq!(asked.header("x-vault-token"), None);
}

#[tokio::test]
async fn a_refused_login_says_why_and_is_not_tried_again() {
    let scene = Scene::new().await;
    let vault = vault(&scene.server);
    let identity = token(&scene.app, VAULT).await;
    let subject = &identity.claims.sub;
    let mut forged = identity.text().expose().to_owned();
    let signature = forged.rfind('.').unwrap() + 1;
    forged.replace_range(signature..=signature + 3, "AAAA");
    let forged = IdentityToken::parse(&forged).unwrap();
    let for_aws = token(&scene.app, AWS).await;

    let with_role = |role: &str| Vault {
        role: role.to_owned(),
        ..vault.clone()
    };
    {
        let mut inner = scene.server.inner();
        let of_workspace = server::Role::of_workspace;
        let other = of_workspace("net-10");
        inner.roles.insert("other".to_owned(), other);
        let oidc = server::Role {
            kind: "oidc",
            ..of_workspace("net-1")
        };
        inner.roles.insert("oidc".to_owned(), oidc);
        let unbound = server::Role {
            bound_audiences: Vec::new(),
            ..of_workspace("net-1")
        };
        inner.roles.insert("unbound".to_owned(), unbound);
        let user = server::Role {
            user_claim: "email",
            ..of_workspace("net-1")
        };
        inner.roles.insert("user".to_owned(), user);
    }
    for (vault, identity, reason, remedy) in [
        (
            vault.clone(),
            &for_aws,
            "audience claim does not match any expected audience",
            "`bound_audiences` must have `vault.workload.identity`",
        ),
        (
            with_role("unbound"),
            &identity,
            "no audiences bound to the role",
            "`bound_audiences`",
        ),
        (
            with_role("other"),
            &identity,
            "claim \"sub\" does not match any associated bound claim values",
            subject,
        ),
        (
            with_role("oidc"),
            &identity,
            "role with oidc role_type is not allowed",
            "`role_type` `jwt`",
        ),
        (
            with_role("user"),
            &identity,
            "claim \"email\" not found in token",
            "`user_claim`",
        ),
        (
            with_role("nobody"),
            &identity,
            "role \"nobody\" could not be found",
            "TFC_VAULT_…_ROLE",
        ),
        (
            vault,
            &forged,
            "failed to verify id token signature",
            "`oidc_discovery_ca_pem`",
        ),
    ] {
        let client = VaultClient::new(&vault).unwrap();
        let result = client.login(identity).await;
        assert!(!result.as_ref().unwrap_err().is_passing());
        let (status, message) = refusal(result);
        assert_eq!(status, 400);
        for part in [&scene.server.url(), "`auth/jwt/login`", reason, remedy] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!message.contains(identity.text().expose()), "{message}");
        assert_eq!(scene.server.take_asked().len(), 1, "{message}");
    }
}

#[tokio::test]
async fn an_expired_token_and_a_wrong_mount_or_namespace_are_told_apart() {
    let scene = Scene::new().await;
    let identity = token(&scene.app, VAULT).await;
    let elsewhere = |auth_path: &str, namespace: Option<&str>| {
        VaultClient::new(&Vault {
            auth_path: auth_path.to_owned(),
            namespace: namespace.map(str::to_owned),
            ..vault(&scene.server)
        })
        .unwrap()
    };
    // Without an auth method at the path, Vault asks for a token.
    let (status, message) = refusal(elsewhere("runmint/ci", None).login(&identity).await);
    assert_eq!(status, 403);
    assert!(message.contains("`auth/runmint/ci/login`"), "{message}");
    let (status, message) = refusal(elsewhere("jwt", Some("team")).login(&identity).await);
    assert_eq!(status, 404);
    assert!(message.contains("`TFC_VAULT_NAMESPACE`"), "{message}");

    scene.app.pass(86_400 * 2);
    let late = Server::start(&scene.app).await;
    let client = VaultClient::new(&vault(&late)).unwrap();
    let (_, message) = refusal(client.login(&identity).await);
    assert!(message.contains("token is expired"), "{message}");
    assert!(message.contains("clocks"), "{message}");
}

#[tokio::test]
async fn tokens_are_renewed_unless_they_are_of_another_kind() {
    let scene = Scene::new().await;
    let login = scene.login().await.unwrap();
    scene.server.take_asked();
    // In a task of its own, as whoever keeps it does.
    let (client, of_run) = (scene.client.clone(), login.token.clone());
    let renewing = tokio::spawn(async move { client.renew(&of_run).await });
    let lease = renewing.await.unwrap().unwrap();
    assert_eq!((lease.seconds, lease.renewable), (1_200, true));
    let asked = scene.server.take_asked();
    assert_eq!(asked[0].uri, "/v1/auth/token/renew-self");
    let sent = asked[0].header("x-vault-token");
    assert_eq!(sent, Some(login.token.expose()));

    scene.server.change(|role| role.token_ttl = 0);
    let without_end = scene.login().await.unwrap().lease;
    assert_eq!((without_end.seconds, without_end.renewable), (0, true));

    scene.server.change(|role| role.token_type = "batch");
    let batch = scene.login().await.unwrap();
    assert!(!batch.lease.renewable);
    let (status, message) = refusal(scene.client.renew(&batch.token).await);
    assert_eq!(status, 400);
    assert!(
        message.contains("batch tokens cannot be renewed"),
        "{message}"
    );
    assert!(!scene.client.revoke(&batch.token).await.unwrap());
}

#[tokio::test]
async fn revoking_a_token_ends_its_leases_and_no_others() {
    let (scene, token) = Scene::reading(&["azure/creds/deploy"]).await;
    let other = scene.login().await.unwrap().token;
    let kept = scene.azure("azure", &other).await.unwrap().lease;
    scene.azure("azure", &token).await.unwrap();
    assert_eq!(scene.server.leases().len(), 2);
    assert!(scene.client.revoke(&token).await.unwrap());
    assert_eq!(scene.server.leases(), [kept.id.unwrap()]);

    let (status, message) = refusal(scene.azure("azure", &token).await);
    assert_eq!(status, 403);
    assert!(message.contains("has ended, or was revoked"), "{message}");
    // Again, as after an answer that was lost.
    assert!(scene.client.revoke(&token).await.unwrap());
    scene.server.instead([Instead::Lost]);
    assert!(scene.client.revoke(&other).await.unwrap());
    assert!(scene.server.leases().is_empty());
}

#[tokio::test]
async fn leases_are_renewed_and_revoked_one_by_one() {
    let paths = ["aws/creds/ops@acme", "aws/sts/several"];
    let (scene, token) = Scene::reading(&paths).await;
    let user = aws("aws", "ops@acme", AwsCredentialKind::IamUser);
    let user = scene.client.aws(&user, &token).await.unwrap();
    let id = user.lease.id.unwrap();
    let renewed = scene.client.renew_lease(&id, &token).await.unwrap();
    let expected = Lease {
        id: Some(id.clone()),
        seconds: 3_600,
        renewable: true,
    };
    assert_eq!(renewed, expected);
    scene.client.revoke_lease(&id, &token).await.unwrap();
    assert!(scene.server.leases().is_empty());
    let gone = scene.client.renew_lease(&id, &token).await;
    assert!(refusal(gone).1.contains("lease not found"));

    let role_arn = Some("arn:aws:iam::1:role/a".to_owned());
    let session = aws(
        "aws",
        "several",
        AwsCredentialKind::AssumedRole { role_arn },
    );
    let lease = scene.client.aws(&session, &token).await.unwrap().lease;
    assert!(!lease.renewable);
    let refused = scene.client.renew_lease(&lease.id.unwrap(), &token).await;
    assert!(refusal(refused).1.contains("lease is not renewable"));
}

#[tokio::test]
async fn aws_gives_the_keys_of_users_and_of_sessions() {
    let paths = ["aws/creds/ops@acme", "aws/sts/several", "team/aws/sts/old"];
    let (scene, token) = Scene::reading(&paths).await;
    let assumed = |role_arn: Option<&str>| AwsCredentialKind::AssumedRole {
        role_arn: role_arn.map(str::to_owned),
    };
    for (aws, line, key, seconds) in [
        (
            aws("aws", "ops@acme", AwsCredentialKind::IamUser),
            "GET /v1/aws/creds/ops@acme",
            "AKIAUSER",
            2_764_800,
        ),
        (
            aws("aws/", "several", assumed(Some("arn:aws:iam::1:role/a"))),
            "GET /v1/aws/sts/several?role_arn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fa",
            "ASIASESSION",
            900,
        ),
        (
            aws("team/aws", "old", AwsCredentialKind::FederationToken),
            "GET /v1/team/aws/sts/old",
            "ASIAOLD",
            3_599,
        ),
    ] {
        let credentials = scene.client.aws(&aws, &token).await.unwrap();
        assert_eq!(scene.server.take_lines(), [line]);
        assert_eq!(credentials.access_key_id, key);
        assert!(credentials.secret_access_key.expose().contains("/key+"));
        let session = credentials.session_token.as_ref();
        assert_eq!(session.is_some(), key.starts_with("ASIA"));
        assert!(session.is_none_or(|token| token.expose().contains("/session+")));
        assert_eq!(credentials.lease.seconds, seconds);
        assert_hidden(&credentials);
    }
    let unclear = aws("aws", "several", assumed(None));
    let (_, message) = refusal(scene.client.aws(&unclear, &token).await);
    assert!(
        message.contains("`TFC_VAULT_BACKED_AWS_…_ROLE_ARN`"),
        "{message}"
    );
}

#[tokio::test]
async fn azure_gives_a_client_and_its_password() {
    let (scene, token) = Scene::reading(&["azure/creds/deploy"]).await;
    let credentials = scene.azure("azure", &token).await.unwrap();
    assert_eq!(scene.server.take_lines(), ["GET /v1/azure/creds/deploy"]);
    assert_eq!(
        credentials.client_id,
        "11112222-0000-0000-0000-333344445555"
    );
    assert!(credentials.client_secret.expose().contains("/password+"));
    assert_eq!(credentials.lease.id, scene.server.leases().pop());
    assert!(credentials.lease.renewable);
    assert_hidden(&credentials);
}

#[tokio::test]
async fn gcp_gives_tokens_and_keys_of_rolesets_and_static_accounts() {
    let paths = [
        "gcp/roleset/net/token",
        "gcp/roleset/net/key",
        "gcp/static-account/net/token",
        "gcp/static-account/net/key",
    ];
    let (scene, token) = Scene::reading(&paths).await;
    let roleset = GcpAccount::Roleset("net".to_owned());
    let account = GcpAccount::StaticAccount("net".to_owned());
    for (account, kind, path) in [
        (&roleset, GcpCredentialKind::AccessToken, paths[0]),
        (&roleset, GcpCredentialKind::ServiceAccountKey, paths[1]),
        (&account, GcpCredentialKind::AccessToken, paths[2]),
        (&account, GcpCredentialKind::ServiceAccountKey, paths[3]),
    ] {
        let gcp = gcp(account.clone(), kind);
        let credentials = scene.client.gcp(&gcp, &token).await.unwrap();
        assert_eq!(scene.server.take_lines(), [format!("GET /v1/{path}")]);
        assert_hidden(&credentials);
        match credentials {
            GcpCredentials::AccessToken { token, lease } => {
                assert_eq!(kind, GcpCredentialKind::AccessToken);
                assert!(token.expose().contains("/token+"));
                let expected = Lease {
                    id: None,
                    seconds: 3_599,
                    renewable: false,
                };
                assert_eq!(lease, expected);
            }
            GcpCredentials::ServiceAccountKey { json, lease } => {
                assert_eq!(kind, GcpCredentialKind::ServiceAccountKey);
                let file: serde_json::Value = serde_json::from_str(json.expose()).unwrap();
                assert_eq!(file["type"], "service_account");
                assert!(lease.id.unwrap().starts_with(path));
            }
        }
    }
}

#[tokio::test]
async fn a_policy_or_an_engine_that_is_missing_is_named() {
    let (scene, token) = Scene::reading(&["nowhere/creds/deploy"]).await;
    let (status, message) = refusal(scene.azure("azure", &token).await);
    assert_eq!(status, 403);
    let remedy = r#"`path "azure/creds/deploy" { capabilities = ["read"] }`"#;
    assert!(message.contains(remedy), "{message}");
    let (status, message) = refusal(scene.azure("nowhere", &token).await);
    assert_eq!(status, 404);
    assert!(message.contains("MOUNT_PATH"), "{message}");
}

#[tokio::test]
async fn a_variable_that_leads_to_another_path_is_refused_before_anything_is_sent() {
    let (scene, token) = Scene::reading(&[]).await;
    let user = || AwsCredentialKind::IamUser;
    let access = GcpCredentialKind::AccessToken;
    for away in ["..", "../sys/auth", "a/../../b", "%2e%2e", "a?b", "a#b", ""] {
        let client = &scene.client;
        let results = [
            client.aws(&aws(away, "r", user()), &token).await.map(drop),
            client
                .aws(&aws("aws", away, user()), &token)
                .await
                .map(drop),
            client.azure(&azure(away, "r"), &token).await.map(drop),
            client.azure(&azure("azure", away), &token).await.map(drop),
            client
                .gcp(&gcp(GcpAccount::Roleset(away.to_owned()), access), &token)
                .await
                .map(drop),
            client
                .gcp(
                    &gcp(GcpAccount::StaticAccount(away.to_owned()), access),
                    &token,
                )
                .await
                .map(drop),
        ];
        for result in results {
            let error = result.unwrap_err();
            assert!(matches!(error, VaultError::Setting { .. }), "{error}");
        }
    }
    assert!(scene.server.take_asked().is_empty());
}

#[tokio::test]
async fn what_passes_is_asked_again_where_nothing_is_made_twice() {
    let (scene, token) = Scene::reading(&["azure/creds/deploy"]).await;
    let sealed = Instead::Status(503, "Vault is sealed");
    let lagging = Instead::Status(412, "required index state not present");
    let busy = Instead::Status(429, "request path \"azure\": rate limit quota exceeded");
    let broken = Instead::Status(500, "internal error");
    for passing in [&sealed, &lagging, &busy] {
        scene.server.instead([passing.clone(), passing.clone()]);
        scene.azure("azure", &token).await.unwrap();
        assert_eq!(scene.server.take_asked().len(), 3);
    }
    for passing in [&sealed, &broken, &Instead::Lost] {
        scene.server.instead([passing.clone()]);
        scene.login().await.unwrap();
        assert_eq!(scene.server.take_asked().len(), 2);
    }
    scene.server.instead(vec![sealed; 5]);
    let result = scene.login().await;
    assert!(result.as_ref().unwrap_err().is_passing());
    let (status, message) = refusal(result);
    assert_eq!(status, 503);
    assert!(message.contains("unseal"), "{message}");
    assert_eq!(scene.server.take_asked().len(), 5);

    // Something may have been made.
    let before = scene.server.leases().len();
    for unclear in [broken, Instead::Lost] {
        scene.server.instead([unclear]);
        let error = scene.azure("azure", &token).await.unwrap_err();
        assert!(error.is_passing(), "{error}");
        assert_eq!(scene.server.take_asked().len(), 1, "{error}");
    }
    assert_eq!(scene.server.leases().len(), before + 1);
    scene.client.revoke(&token).await.unwrap();
    assert!(scene.server.leases().is_empty(), "they end with the token");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let scene = Scene::new().await;
    // A port that nobody is given by chance.
    let address = "http://127.0.0.1:1".to_owned();
    let client = VaultClient::new(&Vault {
        address: address.clone(),
        ..vault(&scene.server)
    });
    let identity = token(&scene.app, VAULT).await;
    let error = client.unwrap().login(&identity).await.unwrap_err();
    assert!(error.is_passing());
    let message = error.to_string();
    assert!(message.contains(&address), "{message}");
    assert!(message.contains("refused"), "{message}");
}

#[tokio::test]
async fn a_standby_leads_to_the_active_node_with_token_and_body() {
    let scene = Scene::new().await;
    let standby = Server::start(&scene.app).await;
    let client = VaultClient::new(&vault(&standby)).unwrap();
    let active = |path: &str| Instead::Redirect(307, format!("{}{path}", scene.server.url()));
    standby.instead([active("/v1/auth/jwt/login")]);
    let identity = token(&scene.app, VAULT).await;
    let login = client.login(&identity).await.unwrap();
    assert_eq!(
        scene.server.take_asked()[0].body["jwt"],
        identity.text().expose()
    );
    standby.instead([active("/v1/auth/token/renew-self")]);
    client.renew(&login.token).await.unwrap();
    assert_eq!(standby.take_asked().len(), 2);
}

#[tokio::test]
async fn no_other_redirect_is_followed() {
    let scene = Scene::new().await;
    let identity = token(&scene.app, VAULT).await;
    let other = Server::start(&scene.app).await;
    let login = |server: &Server| format!("{}/v1/auth/jwt/login", server.url());
    for status in [301, 302, 303, 308] {
        scene
            .server
            .instead([Instead::Redirect(status, login(&other))]);
        let (refused, message) = refusal(scene.client.login(&identity).await);
        assert_eq!(refused, status);
        assert!(message.contains(&other.url()), "{message}");
        assert!(message.contains("`TFC_VAULT_ADDR`"), "{message}");
    }
    scene.server.take_asked();
    // In a circle.
    let itself = Instead::Redirect(307, login(&scene.server));
    scene.server.instead(vec![itself; 9]);
    assert_eq!(refusal(scene.client.login(&identity).await).0, 307);
    assert_eq!(scene.server.take_asked().len(), 4);

    // From TLS to none.
    let secure = Server::start_with_tls(&scene.app).await;
    secure.instead([Instead::Redirect(307, login(&other))]);
    let client = VaultClient::new(&trusting(&secure, "ca.pem")).unwrap();
    assert_eq!(refusal(client.login(&identity).await).0, 307);
    assert!(other.take_asked().is_empty());
}

fn trusting(server: &Server, ca: &str) -> Vault {
    Vault {
        ca_pem: Some(String::from_utf8(certificates::read(ca)).unwrap()),
        ..vault(server)
    }
}

#[tokio::test]
async fn a_ca_is_trusted_instead_of_the_system_s() {
    let app = TestApp::start().await;
    let server = Server::start_with_tls(&app).await;
    let identity = token(&app, VAULT).await;
    let client = VaultClient::new(&trusting(&server, "ca.pem")).unwrap();
    client.login(&identity).await.unwrap();
    server.take_asked();
    for vault in [trusting(&server, "other-ca.pem"), vault(&server)] {
        let client = VaultClient::new(&vault).unwrap();
        let error = client.login(&identity).await.unwrap_err();
        assert!(matches!(error, VaultError::Untrusted { .. }), "{error}");
        assert!(!error.is_passing());
        let message = error.to_string();
        assert!(message.contains("`TFC_VAULT_ENCODED_CACERT`"), "{message}");
    }
    assert!(server.take_asked().is_empty());
}

#[tokio::test]
async fn what_is_no_answer_is_refused_and_nothing_of_it_is_told() {
    let (scene, token) = Scene::reading(&[]).await;
    for (answer, reason) in [
        (
            Instead::Text("<html>hidden</html>"),
            "it has no `data.client_id`",
        ),
        (
            Instead::Json(json!({"data": {"client_id": "a", "client_secret": ["hidden"]}})),
            "`data.client_secret`",
        ),
        (
            Instead::Json(json!({"data": {"client_id": "a", "client_secret": "hidden\nb"}})),
            "`data.client_secret`",
        ),
    ] {
        scene.server.instead([answer]);
        let error = scene.azure("azure", &token).await.unwrap_err();
        assert!(matches!(error, VaultError::Answer { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains(reason), "{message}");
        assert!(!message.contains(HIDDEN), "{message}");
        assert_hidden(&error);
    }
    for auth in [
        json!(null),
        json!({"client_token": ""}),
        json!({"client_token": "a b"}),
    ] {
        scene.server.instead([Instead::Json(json!({"auth": auth}))]);
        let error = scene.login().await.unwrap_err();
        assert!(error.to_string().contains("`auth.client_token`"), "{error}");
    }
    let auth = json!({"client_token": "", "mfa_requirement": {"mfa_request_id": "1"}});
    scene.server.instead([Instead::Json(json!({"auth": auth}))]);
    let error = scene.login().await.unwrap_err().to_string();
    assert!(error.contains("second factor"), "{error}");
}

#[tokio::test]
async fn a_server_that_repeats_what_it_was_sent_tells_no_secret() {
    let scene = Scene::new().await;
    let identity = token(&scene.app, VAULT).await;
    scene.server.instead([Instead::Echo(400)]);
    let (_, message) = refusal(scene.client.login(&identity).await);
    let jwt = identity.text().expose();
    assert!(message.contains("\"role\":\"deploy\""), "{message}");
    for part in jwt.split('.') {
        assert!(!message.contains(part), "{message}");
    }
    let token = scene.login().await.unwrap().token;
    scene.server.instead([Instead::Echo(400)]);
    refusal(scene.client.renew(&token).await);
    assert_hidden(&scene.client);
}
