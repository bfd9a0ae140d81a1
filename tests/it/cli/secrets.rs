//! `runmint clients secrets …`

use super::{columns, server};

const GRANT: &str = r#"{"organization": "acme", "audiences": ["*"]}"#;

#[tokio::test]
async fn a_clients_secret_is_changed_without_a_pause() {
    let (_database, server) = server().await;
    let add = [
        "clients",
        "add",
        "atlantis",
        "--grant",
        GRANT,
        "--secret-expires-in",
        "90d",
    ];
    let old = server.cli(&add).await.stdout.trim_end().to_owned();
    let added = server.cli(&["clients", "secrets", "add", "atlantis"]).await;
    let new = added.stdout.trim_end();
    assert!(new.starts_with("rmc_") && !new.contains('\n'), "{added:?}");
    assert!(added.stderr.contains("shown this once"), "{added:?}");
    assert!(!added.stderr.contains("rmc_"), "{added:?}");
    server.open(&old, "plan").await;
    server.open(new, "plan").await;
    let third = server.cli(&["clients", "secrets", "add", "atlantis"]).await;
    third.refused(3, &["there are two secrets already; remove one"]);

    let listed = server
        .cli(&["clients", "secrets", "list", "atlantis"])
        .await;
    let head = ["ID", "CREATED", "EXPIRES", "LAST USED", "ISSUER"];
    assert_eq!(columns(listed.done()), head);
    assert_eq!(listed.stdout.lines().count(), 3, "{listed:?}");
    let shown = server.cli(&["clients", "show", "atlantis"]).await;
    let show = ["clients", "show", "atlantis", "--format", "json"];
    let secrets = server.cli(&show).await.json()["secrets"].clone();
    for secret in secrets.as_array().unwrap() {
        let id = secret["id"].as_str().unwrap();
        assert!(shown.done().contains(id) && listed.stdout.contains(id));
    }
    let old_one = |secret: &&serde_json::Value| secret["expires_at"].is_i64();
    let secret = secrets.as_array().unwrap().iter().find(old_one).unwrap();
    let lives = secret["expires_at"].as_i64().unwrap() - secret["created_at"].as_i64().unwrap();
    assert_eq!(lives, 90 * 86_400);

    let id = secret["id"].as_str().unwrap();
    let remove = ["clients", "secrets", "remove", "atlantis", id];
    let removed = server.cli(&remove).await;
    assert_eq!(
        removed.stderr,
        format!("secret {id} of atlantis is removed\n")
    );
    assert_eq!((removed.status, removed.stdout.as_str()), (0, ""));
    server.cli(&remove).await.refused(3, &["no such secret"]);
    server.open(new, "plan").await;
    let request = server.post("/v1/tokens").bearer_auth(&old);
    assert_eq!(server.answer(request).await.status, 401);
}

#[tokio::test]
async fn a_client_may_have_no_grants() {
    let (_database, server) = server().await;
    let added = server.cli(&["clients", "add", "asks-only"]).await;
    assert!(added.stdout.starts_with("rmc_"), "{added:?}");
    let wrong: [(&[&str], &str); 3] = [
        (
            &["clients", "secrets", "remove", "asks-only", "../x"],
            "12 hexadecimal digits",
        ),
        (&["clients", "secrets", "list", "a/b"], "`name`"),
        (
            &[
                "clients",
                "secrets",
                "add",
                "asks-only",
                "--expires-in",
                "0s",
            ],
            "`expires_in`",
        ),
    ];
    for (arguments, word) in wrong {
        server.cli(arguments).await.refused(2, &[word]);
    }
}
