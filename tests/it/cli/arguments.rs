//! What all commands share: usage, and how the admin listener is found.

use super::server;
use crate::harness::Database;
use crate::program::Setup;

#[tokio::test]
async fn wrong_usage_is_status_2_and_nothing_on_stdout() {
    let database = Database::durable().await;
    let setup = Setup::on(&database);
    let cases: &[(&[&str], &str)] = &[
        (&["frobnicate"], "unrecognized subcommand 'frobnicate'"),
        (&["keys", "rotate", "--now"], "unexpected argument '--now'"),
        (&["keys", "revoke"], "<VERSION>"),
        (&["clients", "update", "x"], "--grant <JSON>"),
        (
            &["clients", "secrets", "add", "x", "--expires-in", "soon"],
            "no duration such as 90d",
        ),
        (
            &["runs", "open", "--organization", "acme"],
            "--audience <AUDIENCE>",
        ),
        (&["--format", "yaml", "keys", "list"], "'yaml'"),
        (&["--admin-url", "here", "keys", "list"], "`--admin-url`"),
    ];
    for (arguments, word) in cases {
        setup.run(arguments).await.refused(2, &[word]);
    }
    for arguments in [&[][..], &["keys"], &["runs"]] {
        let ran = setup.run(arguments).await;
        assert_eq!((ran.status, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains("Usage: runmint"), "{ran:?}");
    }
}

#[tokio::test]
async fn help_and_version_are_data() {
    let database = Database::durable().await;
    let setup = Setup::on(&database).with("CLIENT_SECRET", "rmc_of-the-environment");
    let version = setup.run(&["--version"]).await;
    assert_eq!(
        version.done(),
        format!("runmint {}\n", env!("CARGO_PKG_VERSION"))
    );
    for command in [
        "serve",
        "config",
        "keys",
        "clients",
        "operators",
        "runs",
        "events",
        "healthcheck",
    ] {
        let all = setup.run(&["--help"]).await;
        assert!(all.done().contains(&format!("\n  {command} ")), "{all:?}");
        let one = setup.run(&[command, "--help"]).await;
        assert!(
            one.done().contains(&format!("Usage: runmint {command}")),
            "{one:?}"
        );
    }
    let open = setup.run(&["runs", "open", "--help"]).await;
    assert!(!open.done().contains("rmc_of-the-environment"), "{open:?}");
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_is_status_3_and_a_hint() {
    let (database, server) = server().await;
    let nowhere = Setup::on(&database).with("ADMIN_URL", "http://127.0.0.1:1");
    let wrong = Setup::on(&database)
        .with("ADMIN_URL", &server.admin)
        .with("ADMIN__TOKEN", "a-token-of-another-server");
    let public = Setup::on(&database).with("ADMIN_URL", &server.public);
    let without = Setup::on(&database)
        .with("ADMIN_URL", &server.admin)
        .without("ADMIN__TOKEN");
    let commands: &[&[&str]] = &[
        &["keys", "list"],
        &["keys", "rotate"],
        &["clients", "show", "x"],
        &["runs", "list"],
        &["events"],
    ];
    for command in commands {
        let ran = nowhere.run(command).await;
        ran.refused(
            3,
            &[
                "http://127.0.0.1:1/v1/",
                "Connection refused",
                "hint: is `runmint serve`",
            ],
        );
        let ran = wrong.run(command).await;
        ran.refused(
            3,
            &["admin token is not known", "hint: ", "RUNMINT_ADMIN__TOKEN"],
        );
        let ran = public.run(command).await;
        assert_eq!((ran.status, ran.stdout.as_str()), (3, ""), "{ran:?}");
        let ran = without.run(command).await;
        ran.refused(
            3,
            &[
                "there is no admin token",
                "admin-token",
                "hint: ",
                "RUNMINT_DATA_DIR",
            ],
        );
    }
    public
        .run(&["keys", "list"])
        .await
        .refused(3, &["`--admin-url`"]);
}

#[tokio::test]
async fn an_admin_token_that_the_server_made_is_found_in_its_folder() {
    let database = Database::durable().await;
    let server = Setup::on(&database).without("ADMIN__TOKEN").serve().await;
    let listed = server.cli(&["keys", "list"]).await;
    assert_eq!(listed.done().lines().count(), 2, "{listed:?}");
    assert!(!server.log().contains("rma_"), "{}", server.log());
    let file = database.dir().join("admin-token");
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
