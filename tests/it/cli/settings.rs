//! `runmint config …` and `runmint healthcheck`

use crate::harness::{ADMIN_TOKEN, Database};
use crate::program::{SEALING_KEY, Setup, free_port};

#[tokio::test]
async fn config_show_prints_every_setting_and_no_secret() {
    let database = Database::durable().await;
    let setup = Setup::on(&database).with("STORE__URL", "postgres://me:pa55word@db/runmint");
    let text = setup.run(&["config", "show"]).await;
    let json = setup.run(&["config", "show", "--format", "json"]).await;
    for shown in [&text, &json] {
        for secret in [ADMIN_TOKEN, SEALING_KEY, "pa55word"] {
            assert!(!shown.done().contains(secret), "{secret}: {shown:?}");
        }
        assert!(
            shown.stdout.contains("postgres://me:********@db/runmint"),
            "{shown:?}"
        );
    }
    // What is printed in text is a configuration file with the same keys.
    let defaults: toml::Table = toml::from_str(runmint::config::DEFAULTS).unwrap();
    let shown: toml::Table = toml::from_str(text.done()).unwrap();
    assert_eq!(keys(&shown), keys(&defaults));
    assert_eq!(json.json()["keys"]["algorithm"], "ES256");
    assert_eq!(json.json()["rotation"]["period"], "90d");
}

fn keys(table: &toml::Table) -> Vec<String> {
    let mut keys: Vec<_> = table
        .iter()
        .flat_map(|(name, value)| match value {
            toml::Value::Table(inner) => {
                let below = self::keys(inner).into_iter();
                below.map(|key| format!("{name}.{key}")).collect()
            }
            _ => vec![name.clone()],
        })
        .collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn config_check_answers_yes_or_no() {
    let database = Database::durable().await;
    let setup = Setup::on(&database).with("KEYS__ALGORITHM", "RS256");
    let good = setup.run(&["config", "check"]).await;
    assert_eq!(good.done(), "ok\n");
    assert_eq!(
        setup
            .run(&["config", "check", "--format", "json"])
            .await
            .json()["ok"],
        true
    );

    let doubtful = setup.clone().with("ISSUER__URL", "http://127.0.0.1:8080");
    let ran = doubtful.run(&["config", "check"]).await;
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "ok\n"), "{ran:?}");
    assert!(ran.stderr.starts_with("warning: issuer.url"), "{ran:?}");

    for (name, value, word) in [
        ("ISSUER__URL", "https://ci.example.com/", "`issuer.url`"),
        ("SERVER__LISTN", "x", "`server.listn` is not a setting"),
        ("ADMIN__TOKEN", "short", "`admin.token`"),
        ("ROTATION__PERIOD", "soon", "`rotation.period`"),
    ] {
        let ran = setup
            .clone()
            .with(name, value)
            .run(&["config", "check"])
            .await;
        ran.refused(1, &[word]);
    }
    let file = database.dir().join("settings.toml");
    std::fs::write(&file, "[issuer]\nurl = \"https://ci.example.org\"\n").unwrap();
    let file = file.display().to_string();
    let setup = setup.without("ISSUER__URL");
    let ran = setup.run(&["--config", &file, "config", "show"]).await;
    assert!(ran.done().contains("https://ci.example.org"), "{ran:?}");
    let ran = setup
        .run(&["--config", "/no/such/file", "config", "check"])
        .await;
    ran.refused(1, &["/no/such/file"]);
}

#[tokio::test]
async fn a_healthcheck_answers_yes_or_no() {
    let database = Database::durable().await;
    // As in a container: listening everywhere, asked at home.
    let port = free_port();
    let setup = Setup::on(&database).with("SERVER__LISTEN", &format!("0.0.0.0:{port}"));
    let ran = setup.run(&["healthcheck"]).await;
    ran.refused(1, &["/healthz cannot be reached: Connection refused"]);
    let server = setup.serve_at_once().await;
    assert_eq!(server.cli(&["healthcheck"]).await.done(), "ok\n");
    let json = server
        .cli(&["healthcheck", "--format", "json"])
        .await
        .json();
    assert_eq!(json["status"], "ok");
}
