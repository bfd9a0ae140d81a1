//! `runmint token`

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use axum::routing::post;
use serde_json::Value;

use super::runner::{ROLE, Runner, mode};
use crate::harness::AWS;
use crate::program::{claims, free_port};
use crate::runner::files::{is_root, own_gid};

const ASK: [&str; 3] = ["token", "--audience", AWS];

/// A compact JWS for AWS and nothing else.
#[track_caller]
fn assert_token(text: &str, runner: &Runner) {
    assert!(text.starts_with("eyJ") && !text.contains(char::is_whitespace));
    let claims = claims(text);
    assert_eq!(claims["aud"], AWS);
    assert_eq!(claims["sub"], runner.run.subject);
}

#[tokio::test]
async fn a_token_on_a_pipe_has_no_newline_at_its_end() {
    let runner = Runner::new().await;
    let ran = runner.ran(&ASK).await;
    assert_token(ran.done(), &runner);
}

#[tokio::test]
async fn a_token_in_a_file_is_its_owners_alone_unless_a_group_is_named() {
    let runner = Runner::new().await;
    let path = runner.path("token");
    let to_file = [&ASK[..], &["--output", &path]].concat();
    let ran = runner.ran(&to_file).await;
    assert_eq!(ran.done(), "");
    assert_token(&runner.read("token"), &runner);
    assert_eq!(mode(Path::new(&path)), 0o600);

    // Over one that everybody could read.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let group = own_gid().to_string();
    let for_group = [&to_file[..], &["--group", &group]].concat();
    runner.ran(&for_group).await.done();
    assert_token(&runner.read("token"), &runner);
    assert_eq!(mode(Path::new(&path)), 0o640);

    for (option, value, status, words) in [
        ("--mode", "644", 2, "cannot have the mode 0644"),
        ("--mode", "rw", 2, "`--mode rw` is not octal"),
        ("--group", "nobodies", 2, "there is no group `nobodies`"),
        ("--output", "/no/such/folder/token", 3, "there is no folder"),
    ] {
        let ran = runner.ran(&[&ASK[..], &[option, value]].concat()).await;
        ran.refused(status, &[words]);
    }
}

#[tokio::test]
async fn each_program_is_answered_in_its_own_words() {
    let runner = Runner::new().await;
    let answer = async |format: &str| -> Value {
        let arguments = [&ASK[..], &["--format", format]].concat();
        runner.ran(&arguments).await.json()
    };
    let token = |value: &Value| {
        let token = value.as_str().unwrap().to_owned();
        assert_token(&token, &runner);
        token
    };
    assert_token(
        runner
            .ran(&[&ASK[..], &["--format", "text"]].concat())
            .await
            .done(),
        &runner,
    );

    let json = answer("json").await;
    let said = claims(&token(&json["token"]));
    assert_eq!(json["subject"], runner.run.subject);
    assert_eq!(
        [&json["jti"], &json["issued_at"], &json["expires_at"]],
        [&said["jti"], &said["iat"], &said["exp"]]
    );

    let github = answer("github").await;
    assert_eq!(github["count"], token(&github["value"]).len());

    let kubectl = answer("exec-credential").await;
    assert_eq!(kubectl["kind"], "ExecCredential");
    token(&kubectl["status"]["token"]);

    let google = answer("gcp-executable").await;
    assert_eq!(google["success"], true);
    let said = claims(&token(&google["id_token"]));
    assert_eq!(google["expiration_time"], said["exp"]);
}

/// Google's libraries name the audience and where they look for the answer by variables.
#[tokio::test]
async fn google_s_libraries_say_by_variables_what_they_want() {
    let runner = Runner::new().await;
    let file = runner.path("answer");
    let runner = runner.given(&[
        ("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", AWS),
        ("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", &file),
    ]);
    let ran = runner.ran(&["token", "--format", "gcp-executable"]).await;
    assert_token(ran.json()["id_token"].as_str().unwrap(), &runner);
    assert_eq!(runner.read("answer"), ran.stdout);
    assert_eq!(mode(Path::new(&file)), 0o600);
}

#[tokio::test]
async fn google_s_libraries_read_why_there_is_none_from_an_answer_that_is_no_failure() {
    let runner = Runner::new().await;
    let runner = runner.given(&[("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", "elsewhere")]);
    let ran = runner.ran(&["token", "--format", "gcp-executable"]).await;
    let answer = ran.json();
    assert_eq!(answer["success"], false);
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("answered 403"), "{message}");
}

#[tokio::test]
async fn aws_s_libraries_get_the_keys_of_a_role() {
    let runner = Runner::new().await;
    let sts = axum::Router::new().route("/", post(async || STS_ANSWER));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, sts).await.unwrap() });
    let ask = [&ASK[..], &["--format", "aws-process"]].concat();
    let without = runner.ran(&ask).await;
    without.refused(2, &["`--role-arn` is missing"]);

    let runner = runner.given(&[("AWS_ENDPOINT_URL_STS", &url), ("AWS_ROLE_ARN", ROLE)]);
    let keys = runner.ran(&ask).await.json();
    assert_eq!(keys["Version"], 1);
    assert_eq!(keys["AccessKeyId"], "ASIAEXAMPLE");
    assert_eq!(keys["SecretAccessKey"], "secret/example");
    assert_eq!(keys["SessionToken"], "session/example");
}

const STS_ANSWER: &str = r#"<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult><Credentials>
    <AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>secret/example</SecretAccessKey>
    <SessionToken>session/example</SessionToken><Expiration>2030-11-21T20:40:00Z</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>"#;

#[tokio::test]
async fn a_reader_that_cannot_read_is_named_with_the_remedy() {
    if !is_root("a reader of a token file that is not root") {
        return;
    }
    let runner = Runner::new().await;
    runner.open_to_others();
    let path = runner.path("token");
    let ask = [
        &ASK[..],
        &["--output", &path, "--reader", "54321:54321,54322"],
    ]
    .concat();
    let ran = runner.ran(&ask).await;
    let words = [
        "uid 54321 (groups 54321, 54322) cannot read",
        "it is 0600, owned by root",
        "hint: write it with `--owner 54321` (mode 0600), or with `--group 54322` (mode 0640)",
    ];
    ran.refused(1, &words);
    for remedy in [["--owner", "54321"], ["--group", "54322"]] {
        runner.ran(&[&ask[..], &remedy].concat()).await.done();
    }
}

#[tokio::test]
async fn what_is_missing_is_named_and_nothing_is_asked_for() {
    let runner = Runner::new().await;
    let ran = runner.ran(&["token"]).await;
    ran.refused(2, &["`--audience` is missing"]);
    let ran = runner
        .ran(&[&ASK[..], &["--reader", "nobody"]].concat())
        .await;
    ran.refused(2, &["--output <FILE>"]);
    for (absent, present) in [
        ("REQUEST_TOKEN", "REQUEST_URL"),
        ("REQUEST_URL", "REQUEST_TOKEN"),
    ] {
        let setup = runner.setup.clone().without(absent);
        let ran = setup.run(&ASK).await;
        let words = format!("`RUNMINT_{present}` is set and `RUNMINT_{absent}` is not");
        ran.refused(2, &[&words]);
        runner.assert_discreet(&ran.stderr);
    }
    let nowhere = runner.setup.clone();
    let nowhere = nowhere.without("REQUEST_URL").without("REQUEST_TOKEN");
    let words = [
        "`ACTIONS_ID_TOKEN_REQUEST_URL`",
        "are not set",
        "hint: `runmint runs open` prints",
    ];
    nowhere.run(&ASK).await.refused(2, &words);
    assert_eq!(runner.refusals().await, 0);
    assert_eq!(runner.server.recorded().await, [""; 0]);
}

#[tokio::test]
async fn what_the_server_refuses_is_said_in_its_words() {
    let runner = Runner::new().await;
    let ran = runner.ran(&["token", "--audience", "elsewhere"]).await;
    ran.refused(1, &["answered 403", "was not opened for"]);

    let token = runner.run.token.clone();
    let other = format!("{}x", &token[..token.len() - 1]);
    for wrong in ["rmr_unknown", &other] {
        let setup = runner.setup.clone().with("REQUEST_TOKEN", wrong);
        let ran = setup.run(&ASK).await;
        ran.refused(3, &["answered 401", "hint: ", "RUNMINT_REQUEST_TOKEN"]);
        assert!(!ran.stderr.contains(wrong), "{ran:?}");
    }
    runner.close().await;
    runner.ran(&ASK).await.refused(1, &["closed"]);
}

#[tokio::test]
async fn a_server_that_is_away_is_said_after_a_few_attempts() {
    let runner = Runner::new().await;
    let away = format!("http://127.0.0.1:{}/v1/token?run=1", free_port());
    let runner = runner.given(&[("RUNMINT_REQUEST_URL", &away)]);
    let ran = runner.ran(&ASK).await;
    ran.refused(3, &["http://127.0.0.1:", "cannot be reached"]);
}

/// Half a token, or none, must not look like one.
#[tokio::test]
async fn a_token_that_cannot_be_written_is_a_failure() {
    let runner = Runner::new().await;
    let script = format!(r#""$RUNMINT" token --audience {AWS} >/dev/full"#);
    let ran = runner
        .given(&[("RUNMINT", env!("CARGO_BIN_EXE_runmint"))])
        .exec(&[], &script)
        .await;
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(ran.stderr.contains("No space left"), "{ran:?}");
}

#[tokio::test]
async fn a_format_of_tokens_is_refused_elsewhere() {
    let runner = Runner::new().await;
    for format in ["github", "aws-process", "exec-credential", "gcp-executable"] {
        let ran = runner.ran(&["runs", "list", "--format", format]).await;
        ran.refused(2, &["`--format` is for `runmint token`"]);
    }
    let ran = runner.exec(&["--format", "github"], "touch started").await;
    ran.refused(125, &["`--format` is for `runmint token`"]);
    assert!(!runner.is_there("started"));
}

#[tokio::test]
async fn a_request_token_is_never_an_argument() {
    let runner = Runner::new().await;
    for command in ["token", "exec", "agent"] {
        let help = runner.ran(&[command, "--help"]).await;
        let help = help.done();
        assert!(help.contains("--ca"), "{help}");
        for option in ["--request", "REQUEST_TOKEN", "--url"] {
            assert!(!help.contains(option), "{help}");
        }
        for option in ["--request-token", "--request-url"] {
            let ran = runner.ran(&[command, option, &runner.run.token]).await;
            let status = if command == "exec" { 125 } else { 2 };
            ran.refused(status, &["unexpected argument"]);
        }
    }
    let asked = [&ASK[..], &["--token", "x"]].concat();
    runner
        .ran(&asked)
        .await
        .refused(2, &["unexpected argument"]);
}
