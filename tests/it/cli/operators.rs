//! `runmint operators …`

use super::{columns, server};
use crate::program::Setup;

#[tokio::test]
async fn an_operator_works_with_its_own_token_until_it_is_removed() {
    let (database, server) = server().await;
    let add = [
        "operators",
        "add",
        "auditor",
        "--read-only",
        "--expires-in",
        "90d",
    ];
    let added = server.cli(&add).await;
    let token = added.stdout.trim_end();
    assert!(
        token.starts_with("rma_") && !token.contains('\n'),
        "{added:?}"
    );
    assert!(added.stderr.contains("RUNMINT_ADMIN__TOKEN"), "{added:?}");
    assert!(!added.stderr.contains("rma_"), "{added:?}");

    let auditor = Setup::on(&database)
        .with("ADMIN_URL", &server.admin)
        .with("ADMIN__TOKEN", token);
    auditor.run(&["keys", "list"]).await.done();
    auditor.run(&["events"]).await.done();
    let refused = auditor.run(&["keys", "rotate"]).await;
    refused.refused(3, &["auditor has read access"]);

    let listed = server.cli(&["operators", "list"]).await;
    assert_eq!(
        columns(listed.done()),
        ["NAME", "ACCESS", "CREATED", "LAST USED"]
    );
    let row = |number: usize| -> Vec<&str> {
        let line = listed.stdout.lines().nth(number).unwrap();
        line.split_whitespace().take(2).collect()
    };
    assert_eq!(
        (row(1), row(2)),
        (vec!["admin", "full"], vec!["auditor", "read"])
    );

    let list = ["operators", "tokens", "list", "auditor"];
    let tokens = server
        .cli(&[&list[..], &["--format", "json"]].concat())
        .await
        .json();
    let id = tokens[0]["id"].as_str().unwrap();
    let second = server.cli(&["operators", "tokens", "add", "auditor"]).await;
    assert!(second.stdout.starts_with("rma_"), "{second:?}");
    assert_eq!(server.cli(&list).await.done().lines().count(), 3);
    let third = server.cli(&["operators", "tokens", "add", "auditor"]).await;
    third.refused(3, &["there are two tokens already; remove one"]);
    let removed = server
        .cli(&["operators", "tokens", "remove", "auditor", id])
        .await;
    assert_eq!(
        removed.stderr,
        format!("token {id} of auditor is removed\n")
    );
    auditor
        .run(&["keys", "list"])
        .await
        .refused(3, &["not known", "hint: "]);

    let removed = server.cli(&["operators", "remove", "auditor"]).await;
    assert_eq!(
        removed.stderr,
        "auditor is removed, and its tokens with it\n"
    );
    let gone = server.cli(&["operators", "remove", "auditor"]).await;
    gone.refused(3, &["no such operator", "`operators list`"]);
    let configured = server.cli(&["operators", "remove", "admin"]).await;
    configured.refused(3, &["`admin` is the operator", "admin.previous_token"]);
    let path = server
        .cli(&["operators", "tokens", "list", "../keys"])
        .await;
    path.refused(2, &["`name`"]);
}
