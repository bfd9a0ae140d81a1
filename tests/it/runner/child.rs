//! Running a command: real processes, whose output is read here instead of on a terminal.

use std::path::Path;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, Uid};
use runmint::runner::child::{Account, ChildError, ChildSpec, Ended, run};
use runmint::runner::redact::Redactor;
use runmint::runner::signals::Signals;
use runmint::runner::text::SecretText;
use tokio::io::{AsyncReadExt, AsyncWrite, DuplexStream, duplex, sink};

const TOKEN: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";

/// A program without anything that could be masked in its output.
fn spec(program: &str, arguments: &[&str]) -> ChildSpec {
    ChildSpec {
        program: program.into(),
        arguments: arguments.iter().map(Into::into).collect(),
        set: Vec::new(),
        unset: Vec::new(),
        user: None,
        redactor: Some(Redactor::default()),
    }
}

fn shell(script: &str) -> ChildSpec {
    spec("sh", &["-c", script])
}

/// A shell that keeps its `TOKEN` to itself.
fn with_token(script: &str) -> ChildSpec {
    let token = SecretText::new(TOKEN);
    let redactor = Redactor::default();
    redactor.add(&token).unwrap();
    ChildSpec {
        set: vec![("TOKEN".to_owned(), token)],
        redactor: Some(redactor),
        ..shell(script)
    }
}

/// Runs it with nobody who would interfere.
async fn run_alone(
    spec: ChildSpec,
    stdout: impl AsyncWrite + Unpin,
    stderr: impl AsyncWrite + Unpin,
) -> Result<Ended, ChildError> {
    let (_sender, mut signals) = Signals::by_hand();
    run(spec, &mut signals, stdout, stderr).await
}

async fn ended(spec: ChildSpec) -> Result<Ended, ChildError> {
    run_alone(spec, sink(), sink()).await
}

/// What it wrote to stdout and to stderr.
async fn output(spec: ChildSpec) -> (String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    run_alone(spec, &mut stdout, &mut stderr).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(stdout), text(stderr))
}

/// Reads until what was read ends with `text`; all of it.
async fn read_until(output: &mut DuplexStream, text: &str) -> String {
    let mut read = String::new();
    while !read.ends_with(text) {
        let byte = output.read_u8().await.expect("the output goes on");
        read.push(char::from(byte));
    }
    read
}

#[tokio::test]
async fn every_exit_status_comes_through() {
    for status in 0..=u8::MAX {
        let ended = ended(shell(&format!("exit {status}"))).await.unwrap();
        assert_eq!(ended, Ended::Exited(status));
        assert_eq!(ended.status(), status);
    }
    let inherited = ChildSpec {
        redactor: None,
        ..shell("exit 3")
    };
    assert_eq!(ended(inherited).await.unwrap(), Ended::Exited(3));
}

#[tokio::test]
async fn one_that_a_signal_ends_has_the_status_that_shells_give() {
    for (name, signal) in [("KILL", 9), ("TERM", 15), ("ABRT", 6)] {
        let ended = ended(shell(&format!("kill -{name} $$"))).await.unwrap();
        assert_eq!(ended, Ended::Killed(signal));
        assert_eq!(i32::from(ended.status()), 128 + signal);
    }
}

#[tokio::test]
async fn one_that_cannot_be_started_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    let named = |program: &Path| spec(program.to_str().unwrap(), &[]);

    for missing in [Path::new("no-such-command"), &script, &script.join("in-it")] {
        let error = ended(named(missing)).await.unwrap_err();
        assert_eq!(error.status(), 127, "{error}");
        assert!(error.to_string().contains(missing.to_str().unwrap()));
    }

    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    for no_program in [&script, folder.path()] {
        let error = ended(named(no_program)).await.unwrap_err();
        assert_eq!(error.status(), 126, "{error}");
        assert!(error.to_string().contains(no_program.to_str().unwrap()));
    }
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    let error = ended(named(&script)).await.unwrap_err();
    assert_eq!(error.status(), 127);
    assert!(error.to_string().contains("first line"), "{error}");

    let too_long = "x".repeat(4 * 1024 * 1024);
    let error = ended(shell(&too_long)).await.unwrap_err();
    assert_eq!(error.status(), 3);
    assert!(error.to_string().contains("too long"), "{error}");
}

#[tokio::test]
async fn variables_are_set_and_unset_and_are_no_arguments() {
    let script = r#"echo "$TOKEN"; echo "${HOME-none}"; echo "${PATH:+path}"; tr '\0' ' ' </proc/$$/cmdline"#;
    let spec = ChildSpec {
        set: vec![
            ("TOKEN".to_owned(), SecretText::new("a token\nof two lines")),
            ("PATH".to_owned(), SecretText::new("/usr/bin:/bin")),
        ],
        unset: vec!["HOME".to_owned(), "PATH".to_owned()],
        ..shell(script)
    };
    assert!(!format!("{spec:?}").contains("a token"));
    let (stdout, _) = output(spec).await;
    let command = format!("sh -c {script} ");
    assert_eq!(
        stdout,
        format!("a token\nof two lines\nnone\npath\n{command}")
    );
}

#[tokio::test]
async fn a_token_that_is_printed_is_masked_on_both_streams_and_apart() {
    let script = r#"
        printf 'out: %s;' "$TOKEN"
        printf 'err: %s;' "$TOKEN" >&2
        printf %s "$TOKEN" | base64 -w 0
        printf %s "$TOKEN" | head -c 30; printf %s "$TOKEN" | head -c 10 >&2"#;
    let (stdout, stderr) = output(with_token(script)).await;
    assert_eq!(stdout, format!("out: ***;***{}", &TOKEN[..30]));
    assert_eq!(stderr, format!("err: ***;{}", &TOKEN[..10]));
}

#[tokio::test]
async fn a_token_that_comes_in_two_writes_is_masked() {
    // The child goes on when the file is there: once the first part has been read.
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let (start, end) = TOKEN.split_at(20);
    let script = format!(
        "printf 'before {start}' ; while ! [ -e {} ]; do sleep 0.02; done; echo {end} after",
        go.display()
    );
    let (stdout, mut seen) = duplex(1024);
    let child = tokio::spawn(run_alone(with_token(&script), stdout, sink()));
    assert_eq!(read_until(&mut seen, "before ").await, "before ");
    std::fs::write(&go, "").unwrap();
    assert_eq!(read_until(&mut seen, "\n").await, "*** after\n");
    assert_eq!(child.await.unwrap().unwrap(), Ended::Exited(0));
}

#[tokio::test]
async fn a_token_that_is_renewed_meanwhile_is_masked() {
    let renewed = SecretText::new("a-renewed-token");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let path = file.display();
    let spec = with_token(&format!(
        "echo $TOKEN; while ! [ -s {path} ]; do sleep 0.02; done; cat {path}"
    ));
    let redactor = spec.redactor.clone().unwrap();
    let (stdout, mut seen) = duplex(1024);
    let child = tokio::spawn(run_alone(spec, stdout, sink()));
    assert_eq!(read_until(&mut seen, "\n").await, "***\n");
    redactor.add(&renewed).unwrap();
    std::fs::write(&file, renewed.expose()).unwrap();
    assert_eq!(child.await.unwrap().unwrap(), Ended::Exited(0));
    let mut rest = String::new();
    seen.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "***");
}

#[tokio::test]
async fn output_without_a_token_passes_unchanged_however_long() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("output");
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(10 * 1024 * 1024)
        .collect();
    std::fs::write(&file, &bytes).unwrap();
    let path = file.display();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let both = with_token(&format!("cat {path} & cat {path} >&2; wait"));
    run_alone(both, &mut stdout, &mut stderr).await.unwrap();
    assert!(stdout == bytes, "{} bytes", stdout.len());
    assert!(stderr == bytes, "{} bytes", stderr.len());
}

#[tokio::test]
async fn what_the_child_left_in_its_pipes_is_read_however_slowly_that_goes() {
    // The pipe still is full when the child is gone.
    let text = "y".repeat(60_000);
    let (stdout, mut seen) = duplex(16);
    let script = "printf '%060000d' 0 | tr 0 y";
    let child = tokio::spawn(run_alone(shell(script), stdout, sink()));
    let mut read = String::new();
    seen.read_to_string(&mut read).await.unwrap();
    assert!(read == text, "{} bytes", read.len());
    assert_eq!(child.await.unwrap().unwrap(), Ended::Exited(0));
}

#[tokio::test]
async fn what_a_child_has_left_behind_does_not_hold_its_end_up() {
    let script = "sleep 1000 & echo $!; while :; do echo busy; sleep 0.01; done & kill -TERM $$";
    let (stdout, mut seen) = duplex(1024 * 1024);
    let child = tokio::spawn(run_alone(shell(script), stdout, sink()));
    let left = read_until(&mut seen, "\n").await;
    assert_eq!(child.await.unwrap().unwrap(), Ended::Killed(15));
    let left = Pid::from_raw(left.trim().parse().unwrap());
    nix::sys::signal::kill(left, Signal::SIGKILL).expect("it still holds the pipes");
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_child_as_usual() {
    let (stdout, seen) = duplex(16);
    drop(seen);
    let ended = run_alone(spec("yes", &[]), stdout, sink()).await.unwrap();
    assert_eq!(ended, Ended::Killed(Signal::SIGPIPE as i32));

    // The other stream and the status are as they were.
    let (stdout, seen) = duplex(16);
    drop(seen);
    let mut stderr = Vec::new();
    let script = r#"trap "" PIPE; while echo out 2>/dev/null; do :; done; echo closed >&2; exit 5"#;
    let ended = run_alone(shell(script), stdout, &mut stderr).await.unwrap();
    assert_eq!(ended, Ended::Exited(5));
    assert_eq!(stderr, b"closed\n");
}

#[tokio::test]
async fn signals_are_passed_on_and_the_child_says_how_it_ends() {
    let script = r#"
        for name in HUP INT QUIT USR1 USR2; do trap "echo got $name" $name; done
        trap "echo got TERM; exit 7" TERM
        echo ready
        while :; do sleep 0.05 & wait $!; done"#;
    let (sender, mut signals) = Signals::by_hand();
    let (stdout, mut seen) = duplex(1024);
    let child = tokio::spawn(async move { run(shell(script), &mut signals, stdout, sink()).await });
    read_until(&mut seen, "ready\n").await;
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGTERM,
    ] {
        sender.send(signal).unwrap();
        let name = signal.as_str().trim_start_matches("SIG");
        assert_eq!(read_until(&mut seen, "\n").await, format!("got {name}\n"));
    }
    assert_eq!(child.await.unwrap().unwrap(), Ended::Exited(7));
}

#[tokio::test]
async fn a_signal_that_comes_before_the_child_is_not_lost() {
    let (sender, mut signals) = Signals::by_hand();
    sender.send(Signal::SIGTERM).unwrap();
    let forever = spec("sleep", &["1000"]);
    let ended = run(forever, &mut signals, sink(), sink()).await;
    assert_eq!(ended.unwrap(), Ended::Killed(15));
}

#[tokio::test]
async fn it_runs_as_the_account_that_it_is_given() {
    let account = |id| Some(Account { uid: id, gid: id });
    let ids = "id -u; id -g; id -G";
    if Uid::effective().is_root() {
        let spec = ChildSpec {
            user: account(65_534),
            ..shell(ids)
        };
        assert_eq!(output(spec).await.0, "65534\n65534\n65534\n");
    } else {
        let spec = ChildSpec {
            user: account(0),
            ..shell(ids)
        };
        let error = ended(spec).await.unwrap_err();
        assert_eq!(error.status(), 3);
        assert!(error.to_string().contains("only root"), "{error}");
    }
}
