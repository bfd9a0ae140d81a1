//! What happens while a command runs: renewals, a run that is closed, another session.

use crate::cli::runner::{Runner, names};
use crate::program::{claims, eventually};

/// Shows the token as often as it is another one, until it is let go.
const WATCH: &str = r#"cat "$AWS_WEB_IDENTITY_TOKEN_FILE" >first; touch started
    while cmp -s first "$AWS_WEB_IDENTITY_TOKEN_FILE" && [ -d "$STAGE" ]; do sleep 0.02; done
    cat "$AWS_WEB_IDENTITY_TOKEN_FILE" >second"#;

#[tokio::test]
async fn a_token_is_renewed_while_the_command_runs() {
    let runner = Runner::with_tokens_of(3).await.with_aws();
    runner.exec(&[], WATCH).await.done();
    let [first, second] = ["first", "second"].map(|name| claims(&runner.read(name)));
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(first["sub"], second["sub"]);
    let [first, second] = [first, second].map(|claims| claims["exp"].as_i64().unwrap());
    assert!(second > first, "{first} {second}");
}

#[tokio::test]
async fn a_run_that_is_closed_meanwhile_leaves_the_command_what_it_has_and_says_so_once() {
    let runner = Runner::with_tokens_of(2).await.with_aws();
    let process = runner.start_exec(
        &[],
        r#"touch started; wait_for go; cat "$AWS_WEB_IDENTITY_TOKEN_FILE"; exit 4"#,
    );
    runner.appears("started").await;
    runner.close().await;
    process.says("error: AWS: ended at ").await;
    // It goes on asking, in case that it was an outage, and does not repeat itself.
    let before = runner.refusals().await;
    eventually("it asks once more, twice", || async {
        runner.refusals().await >= before + 2
    })
    .await;
    runner.let_go("go");
    let ran = runner.over(process).await;
    assert_eq!(ran.status, 4);
    assert_eq!(claims(&ran.stdout)["sub"], runner.run.subject);
    let (errors, warnings) = (
        ran.stderr.matches("error: "),
        ran.stderr.matches("warning: "),
    );
    assert_eq!(errors.count(), 1, "{ran:?}");
    assert!(warnings.count() <= 1, "{ran:?}");
    assert!(ran.stderr.contains("cannot be renewed"), "{ran:?}");
    assert!(ran.stderr.contains("the run is closed"), "{ran:?}");
    assert!(!runner.folder().exists());
}

#[tokio::test]
async fn what_a_session_that_was_killed_has_left_is_removed_by_the_next_one() {
    let runner = Runner::new().await.with_tagged_aws();
    let script = "echo started; wait_for go; touch over";
    let process = runner.start_exec(&[], script);
    process.says("started").await;
    process.kill();
    let left = names(&runner.folder());
    assert!(left.contains(&"tfc-aws-token_DNS".to_owned()), "{left:?}");

    // The next one has less to hand out.
    let setup = runner.setup.clone();
    let setup = setup.without_variable("TFC_AWS_PROVIDER_AUTH_DNS");
    let mut next = runner;
    next.setup = setup.without_variable("TFC_AWS_RUN_ROLE_ARN_DNS");
    let script = r#"ls "$(dirname "$AWS_WEB_IDENTITY_TOKEN_FILE")""#;
    let ran = next.exec(&[], script).await;
    assert_eq!(ran.done(), "tfc-aws-shared-config\ntfc-aws-token\n");
    assert_eq!(names(&next.folder()), [""; 0]);
    next.let_go("go");
    next.appears("over").await;
}

#[tokio::test]
async fn two_sessions_of_one_run_do_not_share_a_folder() {
    let runner = Runner::new().await.with_aws();
    let process = runner.start_exec(&[], "echo started; wait_for go; ls runmint-*/run-7");
    process.says("started").await;
    let ran = runner.exec(&[], "touch second").await;
    ran.refused(125, &["another session uses", "hint: ", "`--dir`"]);
    assert!(!runner.is_there("second"));
    let dir = runner.path("another");
    runner.exec(&["--dir", &dir], "touch second").await.done();
    runner.let_go("go");
    let ran = runner.over(process).await;
    assert!(ran.done().contains("tfc-aws-token\n"), "{ran:?}");
}
