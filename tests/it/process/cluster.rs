//! A PostgreSQL cluster of the test's own, which it may stop.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program::free_port;

/// It ends when it is dropped.
pub(super) struct Cluster {
    dir: TempDir,
    programs: PathBuf,
    port: u16,
}

/// PostgreSQL refuses to run as root; then it runs as this user, who comes with it.
const USER: &str = "postgres";

impl Cluster {
    pub(super) fn start() -> Self {
        let cluster = Self {
            dir: tempfile::tempdir().unwrap(),
            programs: programs(),
            port: free_port(),
        };
        if is_root() {
            run(Command::new("chown").arg(USER).arg(cluster.dir.path()));
        }
        run(cluster
            .program("initdb")
            .args(["-A", "trust", "-U", USER, "--no-sync"]));
        cluster.up();
        cluster
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    pub(super) fn up(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            self.port,
            self.dir.path().display()
        );
        let log = self.dir.path().join("log");
        run(self
            .program("pg_ctl")
            .args(["start", "-w", "-o", &options, "-l"])
            .arg(log));
    }

    /// As in a crash: connections break, nobody says goodbye.
    pub(super) fn down(&self) {
        run(self
            .program("pg_ctl")
            .args(["stop", "-w", "-m", "immediate"]));
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .current_dir(self.dir.path())
            .arg("-D")
            .arg(self.dir.path().join("data"));
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // It may be down already.
        let _ = self
            .program("pg_ctl")
            .args(["stop", "-w", "-m", "immediate"])
            .output();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

/// Where the newest PostgreSQL of this machine is.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where programs are"
)]
fn programs() -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions
            .filter_map(|version| Some(version.ok()?.path().join("bin")))
            .collect();
        versions.sort();
        folders.extend(versions.into_iter().rev());
    }
    folders
        .into_iter()
        .find(|folder| Path::new(folder).join("initdb").exists())
        .expect(
            "this test stops a PostgreSQL server of its own, and `initdb` is neither in PATH nor in \
             /usr/lib/postgresql: install the server (Debian: `apt-get install postgresql`)",
        )
}
