//! Signals, as processes and terminals send them.

use nix::sys::signal::Signal;
use tokio::net::TcpListener;

use crate::cli::runner::{Runner, names};

/// Writes down each signal as it comes in; a shell that waits for a child of its own is woken at
/// once.
const TRAP: &str = r#"for signal in INT TERM HUP USR1; do trap "echo $signal >>signals" $signal; done
    (trap '' INT; wait_for go) & echo "ready: $$"; until wait && { [ -e go ] || [ ! -d "$STAGE" ]; }; do :; done; exit 6"#;

#[tokio::test]
async fn a_signal_reaches_the_command_each_time_once() {
    let runner = Runner::new().await.with_aws();
    let process = runner.start_exec(&[], TRAP);
    process.says("ready: ").await;
    let mut expected = String::new();
    for (signal, name) in [
        (Signal::SIGTERM, "TERM\n"),
        (Signal::SIGTERM, "TERM\n"),
        (Signal::SIGHUP, "HUP\n"),
        (Signal::SIGINT, "INT\n"),
        // What comes last has been after all that was passed on before.
        (Signal::SIGUSR1, "USR1\n"),
    ] {
        process.signal(signal);
        expected.push_str(name);
        runner.holds("signals", &expected).await;
    }
    assert!(names(&runner.folder()).contains(&"tfc-aws-token".to_owned()));
    runner.let_go("go");
    let ran = runner.over(process).await;
    assert_eq!((ran.status, ran.stderr.as_str()), (6, ""), "{ran:?}");
    assert_eq!(runner.read("signals"), expected);
    assert!(!runner.folder().exists());
}

#[tokio::test]
async fn a_command_that_term_ends_leaves_nothing_behind() {
    let runner = Runner::new().await.with_aws();
    let process = runner.start_exec(&["--close"], "echo ready; exec sleep 1000");
    process.says("ready").await;
    process.signal(Signal::SIGTERM);
    let ran = runner.over(process).await;
    assert_eq!((ran.status, ran.stderr.as_str()), (143, ""), "{ran:?}");
    assert!(!runner.folder().exists());
    assert_eq!(runner.state().await, "closed");
}

#[tokio::test]
async fn a_ctrl_c_reaches_the_command_once_and_its_status_is_that_of_exec() {
    let runner = Runner::new().await.with_aws();
    let mut process = runner.start_exec_in_terminal(&[], TRAP);
    process.says("ready: ").await;
    process.type_keys("\x03");
    runner.holds("signals", "INT\n").await;
    // Passed on after whatever was passed on before.
    signal_exec(&process.stdout(), Signal::SIGUSR1);
    runner.holds("signals", "INT\nUSR1\n").await;
    process.type_keys("\x03");
    runner.holds("signals", "INT\nUSR1\nINT\n").await;
    runner.let_go("go");
    let ran = runner.over(process).await;
    assert_eq!(ran.status, 6, "{ran:?}");
    assert_eq!(runner.read("signals"), "INT\nUSR1\nINT\n");
    runner.assert_discreet(&ran.stdout);
    assert!(!runner.folder().exists());
}

/// Sends a signal to the parent of the command that has printed its number.
fn signal_exec(printed: &str, signal: Signal) {
    let (_, number) = printed.split_once("ready: ").unwrap();
    let number = number.lines().next().unwrap().trim();
    let status = std::fs::read_to_string(format!("/proc/{number}/status")).unwrap();
    let mut lines = status.lines();
    let parent = lines.find_map(|line| line.strip_prefix("PPid:")).unwrap();
    let parent = nix::unistd::Pid::from_raw(parent.trim().parse().unwrap());
    nix::sys::signal::kill(parent, signal).unwrap();
}

#[tokio::test]
async fn a_ctrl_c_before_the_command_has_started_ends_exec() {
    let runner = Runner::new().await.with_aws();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{}", silent.local_addr().unwrap(), runner.run.url);
    let runner = runner.given(&[("RUNMINT_REQUEST_URL", &url)]);
    let mut process = runner.start_exec_in_terminal(&[], "touch started");
    // It has asked, and nobody answers.
    let _asked = silent.accept().await.unwrap();
    process.type_keys("\x03");
    let ran = runner.over(process).await;
    assert_eq!(ran.status, 130, "{ran:?}");
    assert!(!runner.is_there("started") && !runner.folder().exists());
}
