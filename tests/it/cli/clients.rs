//! `runmint clients …`

use super::{GRANT, columns, server};

#[tokio::test]
async fn a_secret_is_printed_once_alone_and_on_stdout() {
    let (_database, server) = server().await;
    let added = server
        .cli(&["clients", "add", "atlantis", "--grant", GRANT])
        .await;
    assert_eq!(added.status, 0, "{added:?}");
    let secret = added.stdout.trim_end();
    assert!(
        secret.starts_with("rmc_") && !secret.contains('\n'),
        "{added:?}"
    );
    assert!(added.stderr.contains("shown this once"), "{added:?}");
    assert!(!added.stderr.contains("rmc_"), "{added:?}");

    let add = [
        "clients", "add", "jenkins", "--grant", GRANT, "--format", "json",
    ];
    let added = server.cli(&add).await.json();
    assert_eq!(added["name"], "jenkins");
    assert!(added["secret"].as_str().unwrap().starts_with("rmc_"));

    for show in [
        &["clients", "list"][..],
        &["clients", "show", "atlantis"],
        &["events"],
    ] {
        for format in ["text", "json"] {
            let command = [show, &["--format", format]].concat();
            let shown = server.cli(&command).await;
            assert!(!shown.done().contains("rmc_"), "{shown:?}");
            assert!(shown.stdout.contains("atlantis"), "{shown:?}");
        }
    }
}

#[tokio::test]
async fn a_client_is_listed_shown_updated_and_removed() {
    let (_database, server) = server().await;
    let empty = server.cli(&["clients", "list"]).await;
    assert_eq!(columns(empty.done()), ["NAME", "GRANTS", "CREATED"]);
    assert_eq!(empty.stdout.lines().count(), 1, "{empty:?}");
    server
        .cli(&["clients", "add", "atlantis", "--grant", GRANT])
        .await;

    let listed = server.cli(&["clients", "list"]).await;
    let row: Vec<_> = listed
        .done()
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(row[..2], ["atlantis", "1"]);
    let json = server
        .cli(&["clients", "list", "--format", "json"])
        .await
        .json();
    assert_eq!(json[0]["name"], "atlantis");

    let wider =
        r#"{"organization": "acme", "workspace": "net-*", "audiences": ["v"], "max_ttl": 600}"#;
    let update = [
        "clients",
        "update",
        "atlantis",
        "--grant",
        wider,
        "--aws-session-tags",
        "true",
    ];
    let updated = server.cli(&update).await;
    let shown = server.cli(&["clients", "show", "atlantis"]).await;
    assert_eq!(updated.done(), shown.done());
    let words = shown.stdout.replace("  ", "");
    assert!(words.contains("name: atlantis"), "{shown:?}");
    assert!(words.contains("AWS session tags: true"), "{shown:?}");
    let grant: Vec<_> = shown
        .stdout
        .lines()
        .last()
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(
        grant,
        [
            "acme",
            "*",
            "net-*",
            "plan,apply",
            "v",
            "10m",
            "workspace",
            "*"
        ]
    );

    let removed = server.cli(&["clients", "remove", "atlantis"]).await;
    assert_eq!(
        (removed.status, removed.stdout.as_str()),
        (0, ""),
        "{removed:?}"
    );
    assert_eq!(
        removed.stderr,
        "atlantis is removed, and its runs are closed\n"
    );
    for gone in ["show", "remove"] {
        let ran = server.cli(&["clients", gone, "atlantis"]).await;
        ran.refused(3, &["no such client", "hint: ", "`clients list`"]);
    }
}

#[tokio::test]
async fn a_name_or_grant_that_cannot_be_is_wrong_usage() {
    let (_database, server) = server().await;
    let cases: &[(&str, &str, &[&str])] = &[
        ("a/b", GRANT, &["`name`", "'/'"]),
        ("..", GRANT, &["`name`"]),
        ("x", "{organization", &["`--grant` is not JSON"]),
        ("x", "{}", &["`grants[0].organization` is missing"]),
        (
            "x",
            r#"{"organization": "a:b", "audiences": ["v"]}"#,
            &["`grants[0].organization`", "':'"],
        ),
        (
            "x",
            r#"{"organization": "a", "audiences": ["v"], "max": 1}"#,
            &["unknown field `max`"],
        ),
    ];
    for (name, grant, words) in cases {
        let ran = server
            .cli(&["clients", "add", name, "--grant", grant])
            .await;
        ran.refused(2, words);
    }
    server
        .cli(&["clients", "add", "atlantis", "--grant", GRANT])
        .await;
    let twice = server
        .cli(&["clients", "add", "atlantis", "--grant", GRANT])
        .await;
    twice.refused(3, &["there is a client of this name already"]);
}
