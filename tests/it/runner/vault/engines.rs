//! What the secrets engines give, and where they are asked.

use runmint::runner::variables::{
    AwsCredentialKind, GcpAccount, GcpCredentialKind, VaultBackedGcp,
};
use runmint::runner::vault::{GcpCredentials, Lease, VaultError};

use super::{Scene, assert_hidden, aws, azure, refusal};

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

fn gcp(account: GcpAccount, kind: GcpCredentialKind) -> VaultBackedGcp {
    VaultBackedGcp {
        vault: None,
        mount_path: "gcp".to_owned(),
        account,
        kind,
    }
}
