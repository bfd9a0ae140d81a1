//! `runmint issuers …`

use serde_json::{Value, json};

use super::{columns, server};
use crate::foreign::{Key, kubernetes, kubernetes_claims};

/// A file with this text, in the database's folder.
pub(super) fn file(folder: &std::path::Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The claims of a service account's token that is alive on this machine's clock.
pub(super) fn living_claims() -> Value {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut claims = kubernetes_claims("living");
    for (name, time) in [("iat", now), ("nbf", now), ("exp", now + 600)] {
        claims[name] = json!(time);
    }
    claims
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "it is one life")]
async fn an_issuer_is_added_from_files_tested_changed_and_removed() {
    let (database, server) = server().await;
    let key = Key::ec("k1");
    let mut definition = kubernetes(&[]);
    definition.as_object_mut().unwrap().remove("jwks");
    let definition_file = file(database.dir(), "k8s.json", &definition.to_string());
    let jwks = json!({"keys": [key.jwk()]}).to_string();
    let jwks = file(database.dir(), "jwks.json", &jwks);

    let add = [
        "issuers",
        "add",
        "k8s",
        "--definition",
        &definition_file,
        "--jwks",
        &jwks,
    ];
    let added = server.cli(&add).await;
    for words in [
        "1 uploaded",
        "rule runners",
        "  if claims[",
        "  workspace = ",
        "  may ask for {",
    ] {
        assert!(added.done().contains(words), "{words}: {added:?}");
    }
    server
        .cli(&add)
        .await
        .refused(3, &["there is a trusted issuer of this name"]);
    let listed = server.cli(&["issuers", "list"]).await;
    assert_eq!(
        columns(listed.done()),
        ["NAME", "ISSUER", "RULES", "CREATED"]
    );
    assert!(listed.stdout.contains("k8s"));
    let shown = server
        .cli(&["issuers", "show", "k8s", "--format", "json"])
        .await;
    assert_eq!(shown.json()["definition"]["jwks"]["keys"][0]["kid"], "k1");

    let token = file(database.dir(), "token", &key.token(&living_claims()));
    let tested = server.cli(&["issuers", "test", "--token", &token]).await;
    for words in [
        "ok      signature",
        "ok      rules",
        "  fits",
        "workspace:net-1:run_phase:plan",
    ] {
        assert!(tested.done().contains(words), "{words}: {tested:?}");
    }
    let mut claims = living_claims();
    claims["kubernetes.io"]["namespace"] = json!("prod");
    let other = file(database.dir(), "other", &key.token(&claims));
    let denied = server.cli(&["issuers", "test", "--token", &other]).await;
    assert_eq!(denied.status, 1, "{denied:?}");
    assert!(denied.stderr.contains("the token is not accepted"));
    for words in [
        "failed  rules",
        "false   claims['kubernetes.io'].namespace == 'ci'",
        "denied: another namespace",
    ] {
        assert!(denied.stdout.contains(words), "{words}: {denied:?}");
    }

    // A draft with a mistake is refused at its place, saved or not.
    definition["rules"][0]["conditions"][0]["expression"] = json!("claim.x == 1");
    let draft = file(database.dir(), "draft.json", &definition.to_string());
    let place = [
        "definition.rules[0].conditions[0].expression",
        "line 1, column 1",
        "`claim` is not known",
    ];
    let test = ["issuers", "test", "--token", &token, "--definition", &draft];
    server.cli(&test).await.refused(2, &place);
    let update = [
        "issuers",
        "update",
        "k8s",
        "--definition",
        &draft,
        "--jwks",
        &jwks,
    ];
    server.cli(&update).await.refused(2, &place[1..]);
    let broken = file(database.dir(), "broken.json", "{");
    let update = ["issuers", "update", "k8s", "--definition", &broken];
    server
        .cli(&update)
        .await
        .refused(2, &["`--definition` is not JSON"]);
    server
        .cli(&["issuers", "test", "--token", "/no/such/file"])
        .await
        .refused(2, &["`--token`", "/no/such/file"]);

    let removed = server.cli(&["issuers", "remove", "k8s"]).await;
    assert!(removed.status == 0 && removed.stderr.contains("trusted no more"));
    server
        .cli(&["issuers", "show", "k8s"])
        .await
        .refused(3, &["no such trusted issuer"]);
    server
        .cli(&["issuers", "show", "a/b"])
        .await
        .refused(2, &["`name`"]);
}
