//! A server that cannot start says in one line which setting is wrong and what to do about it.

use crate::harness::{Database, on_postgres};
use crate::program::Setup;

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_named_with_its_remedy() {
    let database = Database::durable().await;
    let folder = database.dir().display().to_string();
    let file = database.dir().join("a-file");
    std::fs::write(&file, "no key").unwrap();
    let file = file.display().to_string();
    let below_a_file = format!("{file}/data");
    let nowhere = format!("{folder}/nowhere/runmint.db");
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "ISSUER__URL",
            "https://ci.example.com/",
            &["`issuer.url` may not end with a slash"],
        ),
        (
            "ISSUER__URL",
            "http://ci.example.com",
            &["`issuer.url`", "https"],
        ),
        (
            "SERVER__LISTN",
            "127.0.0.1:0",
            &["`server.listn` is not a setting", "`runmint config show`"],
        ),
        (
            "SERVER__LISTEN",
            "here",
            &["`server.listen` cannot be used"],
        ),
        (
            "ROTATION__PREPUBLISH",
            "100d",
            &["`rotation.prepublish`", "longer than period"],
        ),
        (
            "KEYS__SEALING_KEY",
            "short",
            &["`keys.sealing_key`", "`openssl rand -base64 32`"],
        ),
        ("DATA_DIR", &below_a_file, &["`data_dir`", &below_a_file]),
        ("STORE__URL", "mysql://x", &["`store.url` must start with"]),
        (
            "STORE__URL",
            &format!("sqlite:{nowhere}"),
            &["`store.url` cannot be opened", &nowhere],
        ),
        ("CONFIG", "/no/such/file.toml", &["/no/such/file.toml"]),
    ];
    for (name, value, words) in cases {
        let ran = Setup::on(&database).with(name, value).run(&["serve"]).await;
        ran.refused(3, words);
    }
    let cases: &[(&str, &[&str])] = &[
        (
            "/no/such/key",
            &["`keys.sealing_key_file`: /no/such/key: No such file"],
        ),
        (&folder, &["`keys.sealing_key_file`", "Is a directory"]),
        (&file, &["`keys.sealing_key_file`", "`openssl rand"]),
    ];
    for (path, words) in cases {
        let ran = Setup::on(&database)
            .without("KEYS__SEALING_KEY")
            .with("KEYS__SEALING_KEY_FILE", path)
            .run(&["serve"])
            .await;
        ran.refused(3, words);
    }
}

#[tokio::test]
async fn an_address_in_use_is_named_with_its_setting() {
    let database = Database::durable().await;
    let setup = Setup::on(&database);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (name, setting) in [
        ("SERVER__LISTEN", "`server.listen`"),
        ("ADMIN__LISTEN", "`admin.listen`"),
    ] {
        let ran = setup.clone().with(name, &address).run(&["serve"]).await;
        ran.refused(3, &[setting, &address, "in use", "hint: "]);
    }
}

#[tokio::test]
async fn a_wrong_key_encryption_key_is_named_and_changes_nothing() {
    let database = Database::durable().await;
    let setup = Setup::on(&database);
    let server = setup.serve().await;
    let kids = server.kids().await;
    server.kill();
    let other = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";
    let ran = setup
        .clone()
        .with("KEYS__SEALING_KEY", other)
        .run(&["serve"])
        .await;
    ran.refused(
        3,
        &[
            "`keys.sealing_key`: key version 1 is sealed with the key-encryption key",
            "`keys.previous_sealing_key_file`",
        ],
    );
    assert_eq!(setup.serve().await.kids().await, kids);
}

#[tokio::test]
async fn without_a_key_encryption_key_replicas_do_not_start() {
    let database = Database::durable().await;
    let setup = Setup::on(&database).without("KEYS__SEALING_KEY");
    if on_postgres() {
        let ran = setup.run(&["serve"]).await;
        ran.refused(
            3,
            &["`keys.sealing_key_file` is needed with Postgres", "openssl"],
        );
        return;
    }
    // One machine makes its own, tells where, and finds it again.
    let server = setup.serve().await;
    assert!(server.log().contains("keep a copy of this file"));
    let kids = server.kids().await;
    server.kill();
    let server = setup.serve().await;
    assert!(!server.log().contains("keep a copy of this file"));
    assert_eq!(server.kids().await, kids);
}
