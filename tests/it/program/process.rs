//! A process that was started, and what it did.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{LOOK_EVERY, LOOKS};

/// What a command did.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Asserts that it was done, in silence on stderr; its data.
    #[track_caller]
    pub(crate) fn done(&self) -> &str {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        &self.stdout
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.done()).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Asserts that it was not done, with this status and all of these words, and without data.
    #[track_caller]
    pub(crate) fn refused(&self, status: i32, words: &[&str]) {
        assert_eq!(
            (self.status, self.stdout.as_str()),
            (status, ""),
            "{self:?}"
        );
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?}: {self:?}");
        }
        let errors: Vec<_> = self.stderr.matches("error: ").collect();
        assert_eq!(errors.len(), 1, "one line says what is wrong: {self:?}");
    }
}

/// A process whose words are kept; when it is dropped, it ends.
pub(crate) struct Process {
    child: Child,
    stdout: Words,
    stderr: Words,
}

impl Process {
    /// Starts it with nothing to read.
    pub(super) fn spawn(mut command: Command) -> Self {
        Self::of(command.stdin(Stdio::null()))
    }

    /// Starts it with an input that stays open.
    pub(super) fn spawn_with_input(mut command: Command) -> Self {
        Self::of(command.stdin(Stdio::piped()))
    }

    fn of(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            stdout: Words::of(child.stdout.take().unwrap()),
            stderr: Words::of(child.stderr.take().unwrap()),
            child,
        }
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    /// What it has said so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// Waits until these words stand in what it has printed or said.
    pub(crate) async fn says(&self, words: &str) {
        for _ in 0..LOOKS {
            let (stdout, stderr) = (&self.stdout, &self.stderr);
            // Whether it has ended is found out first: what it said last is there by then.
            let is_over = stdout.is_over() && stderr.is_over();
            if self.stdout().contains(words) || self.stderr().contains(words) {
                return;
            }
            if is_over {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let (stdout, stderr) = (self.stdout(), self.stderr());
        panic!("it does not say {words:?}:\n{stdout}\n{stderr}");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Ends it in the middle of whatever it does (SIGKILL).
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Types these keys.
    pub(crate) fn type_keys(&mut self, keys: &str) {
        let mut input = self.child.stdin.as_ref().unwrap();
        input.write_all(keys.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// Waits until it has ended; what it did.
    pub(crate) async fn over(mut self) -> Ran {
        let status = self.ended().await;
        Ran {
            status: status.code().unwrap_or(-1),
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }

    async fn ended(&mut self) -> ExitStatus {
        for _ in 0..LOOKS {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("the process does not end:\n{}", self.stderr());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child writes, read by a thread so that the pipe never fills.
struct Words {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Words {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut chunk = vec![0; 64 * 1024];
            // The end of a terminal is an error.
            while let Ok(count @ 1..) = pipe.read(&mut chunk) {
                written.lock().unwrap().extend_from_slice(&chunk[..count]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    fn is_over(&self) -> bool {
        self.reader.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// All of it; the child has ended.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}
