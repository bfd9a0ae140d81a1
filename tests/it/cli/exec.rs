//! `runmint exec`

mod life;
mod signals;

use std::fs;
use std::path::Path;

use serde_json::json;

use super::runner::{OTHER_ROLE, ROLE, Runner, body, names};
use crate::harness::VAULT;
use crate::program::claims;
use crate::runner::files::is_root;

#[tokio::test]
async fn the_commands_status_is_that_of_exec() {
    let runner = Runner::new().await.with_aws();
    for status in [0, 7, 255] {
        let ran = runner
            .exec(&[], &format!("echo $AWS_ROLE_ARN; exit {status}"))
            .await;
        assert_eq!((ran.status, ran.stderr.as_str()), (status, ""), "{ran:?}");
        assert_eq!(ran.stdout, format!("{ROLE}\n"));
    }
    for (signal, status) in [("TERM", 143), ("KILL", 137), ("INT", 130)] {
        let ran = runner.exec(&[], &format!("kill -{signal} $$")).await;
        assert_eq!((ran.status, ran.stderr.as_str()), (status, ""), "{ran:?}");
    }
}

#[tokio::test]
async fn a_command_that_cannot_be_started_has_the_status_that_shells_give_it() {
    let runner = Runner::new().await.with_aws();
    let no_program = runner.path("no-program");
    fs::write(&no_program, "text").unwrap();
    for (program, status, words) in [
        ("no-such-program", 127, "`no-such-program` is not found"),
        ("/no/such/program", 127, "`/no/such/program` is not found"),
        (no_program.as_str(), 126, "Permission denied"),
    ] {
        let ran = runner.ran(&["exec", "--", program]).await;
        ran.refused(status, &[words]);
        assert!(!runner.folder().exists(), "{:?}", names(&runner.folder()));
    }
    assert_eq!(runner.server.recorded().await.len(), 3, "tokens, each time");
    runner.ran(&["exec"]).await.refused(125, &["<COMMAND>"]);
}

#[tokio::test]
async fn files_are_there_for_as_long_as_the_command_runs() {
    let runner = Runner::new().await.with_aws();
    let script = r#"touch "$(dirname "$AWS_WEB_IDENTITY_TOKEN_FILE")/mine"; ls -l "$AWS_WEB_IDENTITY_TOKEN_FILE"
        rm "$(dirname "$AWS_WEB_IDENTITY_TOKEN_FILE")/mine"; cat "$AWS_WEB_IDENTITY_TOKEN_FILE""#;
    let ran = runner.exec(&[], script).await;
    let (listed, token) = ran.done().split_once('\n').unwrap();
    let path = runner.folder().join("tfc-aws-token");
    assert!(listed.starts_with("-rw------- "), "{listed}");
    assert!(listed.ends_with(&path.display().to_string()), "{listed}");
    assert_eq!(claims(token)["sub"], runner.run.subject);
    assert!(!runner.folder().exists());

    let dir = runner.path("a folder");
    let ran = runner
        .exec(
            &["--dir", &dir, "--mode", "0400"],
            r#"ls -l "a folder"/tfc-aws-token"#,
        )
        .await;
    assert!(ran.done().starts_with("-r-------- "), "{ran:?}");
    assert!(!Path::new(&dir).exists());
}

#[tokio::test]
async fn all_that_is_wrong_is_named_at_once_and_the_command_is_not_started() {
    let runner = Runner::new().await.given(&[
        ("TFC_AWS_PROVIDER_AUTH", "true"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_PROFILE", "somebody"),
        ("TFC_VAULT_PROVIDER_AUTH", "true"),
    ]);
    let ran = runner.exec(&[], "touch started").await;
    let words = [
        "error: the variables do not fit together\n",
        "\n  `TFC_AWS_RUN_ROLE_ARN`: must be set",
        "\n  `AWS_ACCESS_KEY_ID`: belongs to a static key",
        "\n  `AWS_PROFILE`: names a profile",
        "\n  `TFC_VAULT_ADDR`: must be set",
        "\n  `TFC_VAULT_RUN_ROLE`: must be set",
    ];
    ran.refused(125, &words);
    assert!(!ran.stderr.contains("AKIAEXAMPLE"), "{ran:?}");
    assert!(!runner.is_there("started") && !runner.folder().exists());
    assert_eq!(runner.server.recorded().await, [""; 0]);
}

#[tokio::test]
async fn options_that_do_not_fit_the_run_are_named_and_the_command_is_not_started() {
    let runner = Runner::new().await.with_tagged_aws();
    for (options, words) in [
        (
            ["--run-phase", "apply"],
            "the run is opened for plan; leave the option out",
        ),
        (
            ["--tag", "WEB"],
            "no configuration has the tag `WEB`; those that there are: `DNS`",
        ),
        (["--run-phase", "destroy"], "--run-phase"),
        (
            ["--user", "nobody-knows"],
            "there is no user `nobody-knows`",
        ),
        (["--mode", "0666"], "cannot have the mode 0666"),
        (["--ca", "/no/such/ca"], "`--ca`: /no/such/ca: No such file"),
        (
            ["--dir", "/no/such/folder/at/all"],
            "there is no folder /no/such/folder",
        ),
        (
            ["--auto-tfvars", "/no/such/folder"],
            "hint: mkdir -p /no/such/folder",
        ),
    ] {
        let ran = runner.exec(&options, "touch started").await;
        ran.refused(125, &[words]);
        assert!(!runner.is_there("started"), "{options:?}");
        assert!(!runner.folder().exists(), "{options:?}");
    }
    let elsewhere = runner.given(&[("TFC_WORKLOAD_IDENTITY_AUDIENCE", "elsewhere")]);
    let ran = elsewhere.exec(&[], "touch started").await;
    let words = "the run was not opened for `elsewhere`; it may ask for `aws.workload.identity`, `vault.workload.identity`";
    ran.refused(125, &[words]);
    assert!(!elsewhere.is_there("started"));
}

#[tokio::test]
async fn nothing_to_hand_out_is_said_and_the_command_runs() {
    let runner = Runner::new().await;
    let ran = runner.exec(&[], "echo it runs").await;
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "it runs\n"));
    assert!(ran.stderr.starts_with("note: no `TFC_"), "{ran:?}");
}

#[tokio::test]
async fn close_closes_the_run_however_it_goes() {
    let mut runner = Runner::new().await.with_aws();
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)] {
        runner.again(&body("plan")).await;
        assert_eq!(runner.exec(&[], script).await.status, status);
        assert_eq!(runner.state().await, "open", "{script}");
        assert_eq!(runner.exec(&["--close"], script).await.status, status);
        assert_eq!(runner.state().await, "closed", "{script}");
    }
    runner.again(&body("plan")).await;
    let ran = runner
        .ran(&["exec", "--close", "--", "no-such-program"])
        .await;
    ran.refused(127, &["`no-such-program` is not found"]);
    assert_eq!(runner.state().await, "closed");

    runner.again(&body("plan")).await;
    let ran = runner.exec(&["--close", "--tag", "WEB"], "true").await;
    ran.refused(125, &["no configuration has the tag `WEB`"]);
    assert_eq!(runner.state().await, "closed");

    runner.again(&body("plan")).await;
    let runner = runner.given(&[("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")]);
    let ran = runner.exec(&["--close"], "true").await;
    ran.refused(125, &["`AWS_ACCESS_KEY_ID`"]);
    assert_eq!(runner.state().await, "closed");
    let ran = runner.exec(&[], "true").await;
    ran.refused(125, &["the run is closed"]);
}

#[tokio::test]
async fn redact_masks_secrets_also_when_they_come_in_pieces() {
    let runner = Runner::new().await.with_aws();
    let script = r#"token=$(cat "$AWS_WEB_IDENTITY_TOKEN_FILE"); rest=${token#????????????????????}
        printf %s "token: ${token%"$rest"}"; touch half; wait_for go
        echo "$rest"; echo "request: $RUNMINT_REQUEST_TOKEN"; echo "stderr: $token" >&2; exit 3"#;
    let process = runner.start_exec(&["--redact"], script);
    runner.appears("half").await;
    process.says("token: ").await;
    runner.let_go("go");
    let ran = runner.over(process).await;
    assert_eq!(ran.stdout, "token: ***\nrequest: ***\n");
    assert_eq!((ran.status, ran.stderr.as_str()), (3, "stderr: ***\n"));
}

#[tokio::test]
async fn terraforms_object_variables_are_in_the_environment_and_in_a_file_that_goes() {
    let runner = Runner::new().await.with_tagged_aws();
    let folder = runner.path("terraform");
    fs::create_dir(&folder).unwrap();
    let script = r#"cat terraform/*; echo "$TF_VAR_tfc_aws_dynamic_credentials""#;
    let ran = runner.exec(&["--auto-tfvars", &folder], script).await;
    let mut values = serde_json::Deserializer::from_str(ran.done()).into_iter();
    let mut next = || -> serde_json::Value { values.next().unwrap().unwrap() };
    let (in_file, in_variable) = (next(), next());
    let config = |name: &str| {
        let path = runner.folder().join(name).display().to_string();
        json!({"shared_config_file": path})
    };
    let expected = json!({
        "default": config("tfc-aws-shared-config"),
        "aliases": {"DNS": config("tfc-aws-shared-config_DNS")},
    });
    assert_eq!(in_variable, expected);
    assert_eq!(in_file, json!({"tfc_aws_dynamic_credentials": expected}));
    assert_eq!(names(Path::new(&folder)), [""; 0]);
    let script = "stat -c %a terraform/runmint.auto.tfvars.json";
    let ran = runner.exec(&["--auto-tfvars", &folder], script).await;
    assert_eq!(ran.done(), "600\n");

    // What a session that was killed has left is replaced, and what somebody has written is not.
    let file = Path::new(&folder).join("runmint.auto.tfvars.json");
    fs::write(&file, r#"{"tfc_aws_dynamic_credentials": {}}"#).unwrap();
    let ran = runner.exec(&["--auto-tfvars", &folder], "true").await;
    ran.done();
    fs::write(&file, r#"{"region": "eu-central-1"}"#).unwrap();
    let ran = runner
        .exec(&["--auto-tfvars", &folder], "touch started")
        .await;
    ran.refused(125, &["runmint.auto.tfvars.json is there already"]);
    assert!(!runner.is_there("started") && file.exists());
}

#[tokio::test]
async fn what_belongs_to_others_is_not_for_the_command() {
    let secret = "rmc_0123456789abcdef";
    let runner = Runner::new().await.with_aws().given(&[
        ("RUNMINT_CLIENT_SECRET", secret),
        ("RUNMINT_ADMIN__TOKEN", "an-admin-token"),
        ("WORDS", "it is rmc_0123456789abcdef"),
    ]);
    let script =
        r#"env | grep -c -e "^RUNMINT_CLIENT_SECRET=" -e "^RUNMINT_ADMIN__TOKEN="; echo "$WORDS""#;
    let ran = runner.exec(&["--redact"], script).await;
    assert_eq!(ran.done(), "0\nit is ***\n");
}

#[tokio::test]
async fn a_tag_chooses_whom_the_variables_are_for_and_each_has_a_token_of_its_own() {
    let runner = Runner::new().await.with_tagged_aws();
    let script = r#"echo "$AWS_ROLE_ARN $(basename "$AWS_WEB_IDENTITY_TOKEN_FILE")"
        cd "$(dirname "$AWS_WEB_IDENTITY_TOKEN_FILE")"; cat tfc-aws-token; echo; cat tfc-aws-token_DNS"#;
    for (options, expected) in [
        (&[][..], format!("{ROLE} tfc-aws-token")),
        (&["--tag", "DNS"], format!("{OTHER_ROLE} tfc-aws-token_DNS")),
    ] {
        let ran = runner.exec(options, script).await;
        let lines: Vec<_> = ran.done().lines().collect();
        let [chosen, token, tagged] = lines[..] else {
            panic!("{ran:?}");
        };
        assert_eq!(chosen, expected);
        assert_ne!(claims(token)["jti"], claims(tagged)["jti"]);
    }
    let ids = runner.server.recorded().await;
    assert_eq!(ids.len(), 4, "one for each configuration, each time");
}

#[tokio::test]
async fn plan_and_apply_of_one_run_find_their_files_at_the_same_path() {
    let mut runner = Runner::new().await.with_aws();
    let script = r#"echo "$AWS_WEB_IDENTITY_TOKEN_FILE"; cat "$AWS_WEB_IDENTITY_TOKEN_FILE""#;
    let mut paths = Vec::new();
    for phase in ["plan", "apply"] {
        runner.again(&body(phase)).await;
        let ran = runner.exec(&[], script).await;
        let (path, token) = ran.done().split_once('\n').unwrap();
        assert_eq!(claims(token)["terraform_run_phase"], phase);
        paths.push(path.to_owned());
    }
    assert_eq!(paths[0], paths[1]);
    assert!(paths[0].ends_with("/run-7/tfc-aws-token"), "{paths:?}");
}

#[tokio::test]
async fn as_another_user_the_command_reads_files_that_are_its_own() {
    if !is_root("a command as another user") {
        return;
    }
    let runner = Runner::new().await.with_aws();
    runner.open_to_others();
    let script = r#"id -un; stat -c '%U %a' "$AWS_WEB_IDENTITY_TOKEN_FILE"; cat "$AWS_WEB_IDENTITY_TOKEN_FILE""#;
    let ran = runner.exec(&["--user", "nobody"], script).await;
    let lines: Vec<_> = ran.done().lines().collect();
    assert_eq!(lines[..2], ["nobody", "nobody 600"]);
    assert_eq!(claims(lines[2])["sub"], runner.run.subject);
    assert!(!runner.folder().exists());
}

#[tokio::test]
async fn no_list_of_processes_shows_a_token() {
    let runner = Runner::new().await.with_aws();
    let runner = runner.given(&[("TFC_WORKLOAD_IDENTITY_AUDIENCE", VAULT)]);
    let script = r#"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ' >processes
        cp "$AWS_WEB_IDENTITY_TOKEN_FILE" aws; printf %s "$TFC_WORKLOAD_IDENTITY_TOKEN" >manual"#;
    runner.exec(&["--redact"], script).await.done();
    let processes = runner.read("processes");
    assert!(processes.contains("exec --redact -- sh -c"), "{processes}");
    for secret in [
        &runner.run.token,
        &runner.read("aws"),
        &runner.read("manual"),
    ] {
        assert!(secret.len() > 20);
        assert!(!processes.contains(secret.as_str()), "{processes}");
    }
}
