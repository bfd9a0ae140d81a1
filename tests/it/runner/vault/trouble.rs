//! A Vault that is sealed, busy, elsewhere, not there, not itself, or talks too much.

use runmint::runner::variables::Vault;
use runmint::runner::vault::{VaultClient, VaultError};
use serde_json::json;

use super::server::{HIDDEN, Instead, Server};
use super::{Scene, assert_hidden, refusal, token, vault};
use crate::certificates;
use crate::harness::{TestApp, VAULT};

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
