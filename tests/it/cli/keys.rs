//! `runmint keys …`

use super::{GRANT, columns, server};
use crate::harness::{AWS, Database, run_body};
use crate::program::{Setup, eventually};

#[tokio::test]
async fn keys_are_listed_with_what_happens_next() {
    let (_database, server) = server().await;
    let list = server.cli(&["keys", "list"]).await;
    let head = ["VERSION", "STATE", "ALGORITHM", "KID", "CREATED", "NEXT"];
    assert_eq!(columns(list.done()), head);
    let row: Vec<_> = list
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(row[..3], ["1", "active", "ES256"]);
    assert_eq!(row[5], "rotates");
    let json = server
        .cli(&["keys", "list", "--format", "json"])
        .await
        .json();
    assert_eq!(json[0]["version"], 1);
    assert_eq!(json[0]["kid"], row[3]);

    let jwks = server.cli(&["keys", "export"]).await;
    let published = server.answer(server.get("/.well-known/jwks")).await.json;
    assert_eq!(jwks.json(), published);
    assert_eq!(
        server
            .cli(&["keys", "export", "--format", "json"])
            .await
            .json(),
        published
    );
}

#[tokio::test]
async fn rotate_says_when_the_new_version_takes_over() {
    let database = Database::durable().await;
    let unseen = Setup::on(&database).serve().await;
    let rotated = unseen.cli(&["keys", "rotate"]).await;
    assert_eq!(
        rotated.done(),
        "version 2 is published; it takes over by itself 1d after it has been seen at the public \
         JWKS URL\n"
    );
    let list = unseen.cli(&["keys", "list"]).await;
    assert!(
        list.done().contains("waits to be seen at the public URL"),
        "{list:?}"
    );
    drop(unseen);

    let seen = Setup::on(&database).at_its_issuer_url().serve().await;
    let rotated = seen.cli(&["keys", "rotate"]).await;
    let words = "version 2 is published and was seen; it takes over by itself at 20";
    assert!(rotated.done().starts_with(words), "{rotated:?}");
    let json = seen
        .cli(&["keys", "rotate", "--format", "json"])
        .await
        .json();
    assert_eq!(
        (&json["result"], &json["version"]),
        (&"scheduled".into(), &2.into())
    );
    assert!(
        seen.cli(&["keys", "list"])
            .await
            .done()
            .contains("may sign 20")
    );
}

#[tokio::test]
async fn a_rotation_that_is_due_happens_and_the_old_version_says_when_it_leaves() {
    let database = Database::durable().await;
    let server = Setup::on(&database)
        .at_its_issuer_url()
        .with("ROTATION__JWKS_MAX_AGE", "1s")
        .with("ROTATION__CACHE_LEEWAY", "0s")
        .with("ROTATION__PREPUBLISH", "1s")
        .with("ROTATION__CHECK_EVERY", "1s")
        .serve()
        .await;
    eventually("version 2 signs", || async {
        let rotated = server.cli(&["keys", "rotate"]).await;
        // The next one is asked for only while none is on its way.
        assert_eq!(rotated.status, 0, "{rotated:?}");
        let list = server.cli(&["keys", "list"]).await;
        list.done().lines().nth(1).unwrap().contains("retiring")
    })
    .await;
    let list = server.cli(&["keys", "list", "--published"]).await;
    assert!(list.done().contains("leaves 20"), "{list:?}");
    let trimmed = server.cli(&["keys", "trim"]).await;
    assert!(trimmed.done().starts_with("version 1 "), "{trimmed:?}");
    let forced = server
        .cli(&["keys", "trim", "--force", "--format", "json"])
        .await
        .json();
    assert!(
        forced["retired"].is_array() && forced["broken"].is_array(),
        "{forced}"
    );
}

#[tokio::test]
async fn an_emergency_reports_what_the_leaked_key_can_still_be_used_for() {
    let (_database, server) = server().await;
    let add = ["clients", "add", "atlantis", "--grant", GRANT];
    let secret = server.cli(&add).await.stdout;
    let mut body = run_body("plan");
    body["audiences"] = serde_json::json!([AWS]);
    for _ in 0..2 {
        let mint = server.post("/v1/tokens").bearer_auth(secret.trim_end());
        let answer = server.answer(mint.json(&body)).await;
        assert_eq!(answer.status.as_u16(), 201, "{answer:?}");
    }
    server.cli(&["keys", "rotate"]).await.done();

    let report = server.cli(&["keys", "rotate", "--emergency"]).await;
    let lines: Vec<_> = report.done().lines().collect();
    assert_eq!(lines[0], "version 3 signs now");
    assert!(lines[1].starts_with("version 1 ("), "{report:?}");
    assert!(
        lines[1].ends_with("is withdrawn; these tokens of it are alive:"),
        "{report:?}"
    );
    assert_eq!(
        columns(lines[2]),
        ["RUN ID", "SUBJECT", "AUDIENCE", "TOKENS", "UNTIL"]
    );
    assert!(
        lines[3].contains("organization:acme:project:Default Project:"),
        "{report:?}"
    );
    let staged = lines.iter().find(|line| line.starts_with("version 2 ("));
    assert!(
        staged.unwrap().ends_with("no token of it is alive"),
        "{report:?}"
    );
    for party in ["AWS", "Azure", "GCP", "Vault", "Kubernetes"] {
        let advice = format!("  {party}: ");
        assert!(
            lines.iter().any(|line| line.starts_with(&advice)),
            "{party}: {report:?}"
        );
    }
    let kids = server.kids().await;
    assert_eq!(kids.len(), 1);
    let list = server.cli(&["keys", "list", "--published"]).await;
    assert!(
        list.done().contains(&kids[0]) && list.stdout.lines().count() == 2,
        "{list:?}"
    );
    let list = server.cli(&["keys", "list"]).await;
    assert_eq!(list.done().matches("withdrawn 20").count(), 2, "{list:?}");
}

#[tokio::test]
async fn a_version_is_revoked_by_its_number() {
    let (_database, server) = server().await;
    let revoked = server.cli(&["keys", "revoke", "1"]).await;
    assert!(
        revoked
            .done()
            .starts_with("version 2 signs now\nversion 1 ("),
        "{revoked:?}"
    );
    for gone in ["1", "99"] {
        let ran = server.cli(&["keys", "revoke", gone]).await;
        ran.refused(
            3,
            &[
                &format!("key version {gone} is not published"),
                "`keys list`",
            ],
        );
    }
    server
        .cli(&["keys", "revoke", "one"])
        .await
        .refused(2, &["'one'"]);
    let nothing = server.cli(&["keys", "trim"]).await;
    assert_eq!(nothing.done(), "there is no old version in the JWKS\n");
    let rewrapped = server.cli(&["keys", "rewrap"]).await;
    assert!(
        rewrapped.done().contains("under the key-encryption key"),
        "{rewrapped:?}"
    );
    let rewrapped = server
        .cli(&["keys", "rewrap", "--format", "json"])
        .await
        .json();
    assert!(rewrapped["sealing_key"].is_string(), "{rewrapped}");
}
