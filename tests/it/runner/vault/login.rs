//! Login, and the upkeep of tokens and leases.

use runmint::runner::IdentityToken;
use runmint::runner::variables::{AwsCredentialKind, Vault};
use runmint::runner::vault::{Lease, VaultClient};
use serde_json::json;

use super::server::{Instead, Role, Server};
use super::{Scene, assert_hidden, aws, refusal, token, vault};
use crate::harness::{AWS, VAULT};

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
        let of_workspace = Role::of_workspace;
        let other = of_workspace("net-10");
        inner.roles.insert("other".to_owned(), other);
        let oidc = Role {
            kind: "oidc",
            ..of_workspace("net-1")
        };
        inner.roles.insert("oidc".to_owned(), oidc);
        let unbound = Role {
            bound_audiences: Vec::new(),
            ..of_workspace("net-1")
        };
        inner.roles.insert("unbound".to_owned(), unbound);
        let user = Role {
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
