//! `runmint trust`: what it refuses, and where its documents go. What they say is in `tests/it/trust`.

use serde_json::Value;

use crate::program::Setup;

const SCOPE: [&str; 8] = [
    "--issuer",
    "https://ci.example.com",
    "--organization",
    "acme",
    "--project",
    "Default Project",
    "--workspace",
    "net-1",
];

const AWS: [&str; 4] = ["trust", "aws", "--account-id", "123456789012"];

#[tokio::test]
async fn documents_are_printed_written_to_a_folder_or_told_as_json() {
    let setup = Setup::bare();
    let policy = [&AWS[..], &SCOPE, &["--existing-provider", "--form", "json"]].concat();
    let printed = setup.run(&policy).await;
    assert_eq!(printed.status, 0, "{printed:?}");
    let printed: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(printed["Version"], "2012-10-17");

    let told = setup
        .run(&[&policy[..], &["--format", "json"]].concat())
        .await
        .json();
    let text = told["documents"][0]["text"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), printed);
    assert!(
        told["warnings"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aws").display().to_string();
    let written = setup.run(&[&policy[..], &["--dir", &path]].concat()).await;
    let file = written.stdout.trim_end();
    assert_eq!(std::fs::read_to_string(file).unwrap(), text);
}

#[tokio::test]
async fn two_json_documents_are_still_json_for_whoever_reads_one_after_the_other() {
    let both = [&AWS[..], &SCOPE, &["--form", "json"]].concat();
    let ran = Setup::bare().run(&both).await;
    let documents = serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>();
    let documents: Vec<Value> = documents.collect::<Result<_, _>>().unwrap();
    assert_eq!(documents.len(), 2);
    assert!(ran.stderr.contains("trust-policy.json"), "{}", ran.stderr);
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_by_the_option_s_name() {
    let setup = Setup::bare();
    let with = |party: &'static [&'static str], rest: &'static [&'static str]| {
        [&["trust"], party, &SCOPE[..6], rest].concat()
    };
    for (arguments, words) in [
        (with(&["azure"], &["--workspace", "*"]), "`--workspace`"),
        (
            with(&AWS[1..], &["--workspace", "net-*"]),
            "`*` alone for all of them",
        ),
        (
            with(&AWS[1..], &["--workspace", "*", "--workspace", "a"]),
            "`*` alone admits all",
        ),
        (
            with(&AWS[1..], &["--workspace", "a:b"]),
            "`--workspace` holds ':'",
        ),
        (
            with(&["aws", "--account-id", "12"], &["--workspace", "a"]),
            "`--account-id`",
        ),
    ] {
        setup.run(&arguments).await.refused(2, &[words]);
    }
    let slash = [
        &AWS[..],
        &["--issuer", "https://ci.example.com/"],
        &SCOPE[2..],
    ]
    .concat();
    setup
        .run(&slash)
        .await
        .refused(2, &["`--issuer` may not end with a slash"]);
    let nobody = [
        &AWS[..],
        &["--fetch-thumbprint", "--issuer", "https://127.0.0.1:1"],
        &SCOPE[2..],
    ];
    setup
        .run(&nobody.concat())
        .await
        .refused(3, &["`--fetch-thumbprint`"]);
}
