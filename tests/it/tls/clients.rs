//! Client certificates on the admin listener, and our own commands and probe over TLS.

use axum::http::StatusCode;

use super::with_tls;
use crate::certificates::{identity, path, read, trusting};
use crate::harness::{ADMIN_TOKEN, Database};
use crate::program::{Server, Setup, eventually, free_port};

fn asking(database: &Database, client_ca: &str) -> Setup {
    with_tls(Setup::on(database), "ADMIN", "server").with("ADMIN__TLS__CLIENT_CA_FILE", client_ca)
}

/// The status of a request with this client certificate and the admin token; nothing if the
/// connection was refused.
async fn status(server: &Server, client: Option<&str>, token: &str) -> Option<StatusCode> {
    let client = trusting(|builder| match client {
        Some(name) => builder.identity(identity(name)),
        None => builder,
    });
    let url = format!("{}/v1/keys", server.admin);
    let response = client.get(url).bearer_auth(token).send().await.ok()?;
    Some(response.status())
}

#[tokio::test]
async fn the_admin_listener_takes_a_certificate_of_its_ca_and_the_token() {
    let database = Database::durable().await;
    let ca = database.dir().join("clients.pem");
    std::fs::write(&ca, read("ca.pem")).unwrap();
    let server = asking(&database, &ca.display().to_string()).serve().await;

    let token = ADMIN_TOKEN;
    assert_eq!(status(&server, None, token).await, None);
    assert_eq!(status(&server, Some("stranger"), token).await, None);
    let right = status(&server, Some("client"), token).await;
    assert_eq!(right, Some(StatusCode::OK));
    let alone = status(&server, Some("client"), "wrong").await;
    assert_eq!(alone, Some(StatusCode::UNAUTHORIZED));
    // What needs no token needs the certificate.
    let url = format!("{}/healthz", server.admin);
    trusting(|client| client)
        .get(&url)
        .send()
        .await
        .unwrap_err();

    // Another CA: from then on its clients are let in, and the others are not.
    std::fs::write(&ca, read("other-ca.pem")).unwrap();
    eventually("the other CA's clients are let in", || async {
        status(&server, Some("stranger"), token).await == Some(StatusCode::OK)
    })
    .await;
    assert_eq!(status(&server, Some("client"), token).await, None);
}

#[tokio::test]
async fn commands_show_their_certificate() {
    let database = Database::durable().await;
    let server = asking(&database, &path("ca.pem")).serve().await;
    let (ca, certificate, key) = (path("ca.pem"), path("client.pem"), path("client.key"));
    let list = ["keys", "list", "--format", "json"];
    let with = |options: &[&'static str]| {
        let files = [
            ("--admin-ca", &ca),
            ("--admin-cert", &certificate),
            ("--admin-key", &key),
        ];
        let mut arguments: Vec<String> = list.map(str::to_owned).into();
        for (option, file) in files {
            if options.contains(&option) {
                arguments.extend([option.to_owned(), file.clone()]);
            }
        }
        arguments
    };
    let run = async |arguments: &[String]| {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        server.cli(&arguments).await
    };

    let all = with(&["--admin-ca", "--admin-cert", "--admin-key"]);
    assert_eq!(run(&all).await.json()[0]["version"], 1);
    let ran = run(&with(&["--admin-ca"])).await;
    ran.refused(
        3,
        &["hint: if the admin listener asks for a client certificate"],
    );
    let ran = run(&with(&["--admin-cert", "--admin-key"])).await;
    ran.refused(3, &["hint: `--admin-ca` (RUNMINT_ADMIN_CA)"]);
    let ran = run(&with(&["--admin-ca", "--admin-cert"])).await;
    ran.refused(2, &["`--admin-cert` and `--admin-key` belong together"]);

    let junk = path("make");
    let ran = server.cli(&["keys", "list", "--admin-ca", &junk]).await;
    ran.refused(3, &["`--admin-ca`", &junk, "no certificate in PEM"]);
    let ran = server
        .cli(&["keys", "list", "--admin-ca", "/no/such/ca.pem"])
        .await;
    ran.refused(3, &["`--admin-ca`: /no/such/ca.pem: No such file"]);
}

#[tokio::test]
async fn commands_on_the_servers_machine_know_its_certificate() {
    let database = Database::durable().await;
    let listen = format!("127.0.0.1:{}", free_port());
    // Of a CA that nobody trusts, for a name that is not this machine's.
    let setup = with_tls(Setup::on(&database), "ADMIN", "elsewhere").with("ADMIN__LISTEN", &listen);
    let server = setup.serve().await;
    let ran = setup.run(&["keys", "list", "--format", "json"]).await;
    assert_eq!(ran.json()[0]["version"], 1);
    // Somebody else who listens there does not get the token.
    let other = with_tls(setup.clone(), "ADMIN", "server");
    let ran = other.run(&["keys", "list"]).await;
    ran.refused(3, &["cannot be reached: invalid peer certificate"]);
    server.kill();

    // With a client certificate beside it.
    let setup = setup.with("ADMIN__TLS__CLIENT_CA_FILE", &path("ca.pem"));
    let _server = setup.serve().await;
    let ran = setup.run(&["keys", "list"]).await;
    ran.refused(
        3,
        &["hint: if the admin listener asks for a client certificate"],
    );
    let ran = setup
        .with("ADMIN_CERT", &path("client.pem"))
        .with("ADMIN_KEY", &path("client.key"))
        .run(&["keys", "list", "--format", "json"])
        .await;
    assert_eq!(ran.json()[0]["version"], 1);
}

#[tokio::test]
async fn a_private_ca_is_enough_for_the_probe_and_for_a_client() {
    let database = Database::durable().await;
    let listen = format!("127.0.0.1:{}", free_port());
    let url = format!("https://{listen}");
    let setup = with_tls(Setup::on(&database), "SERVER", "server")
        .with("SERVER__LISTEN", &listen)
        .with("ISSUER__URL", &url)
        .with("ROTATION__PROBE_URL", "")
        .with("ROTATION__CHECK_EVERY", "1s");
    let blind = setup.serve().await;
    eventually("the probe does not trust the listener", || async {
        blind.log().contains("invalid peer certificate")
    })
    .await;
    blind.kill();

    let setup = setup.with("ROTATION__PROBE_CA_FILE", &path("ca.pem"));
    let server = setup.serve().await;
    eventually("the probe sees the key", || async {
        let metrics = server.admin(reqwest::Method::GET, "/metrics");
        let metrics = server.answer(metrics).await.text;
        metrics.contains("runmint_active_key_visible 1")
    })
    .await;

    let secret = server.client("atlantis").await;
    let setup = setup.with("CLIENT_SECRET", &secret);
    let open = [
        "runs",
        "open",
        "--organization",
        "acme",
        "--project",
        "p",
        "--workspace",
        "net-1",
        "--run-phase",
        "plan",
        "--audience",
        "aws.workload.identity",
    ];
    let ran = setup.run(&open).await;
    ran.refused(3, &["hint: `--ca` (RUNMINT_CA)"]);
    let mut with_ca = open.to_vec();
    let ca = path("ca.pem");
    with_ca.extend(["--ca", &ca]);
    let ran = setup.run(&with_ca).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("RUNMINT_REQUEST_URL=https://"),
        "{ran:?}"
    );
}
