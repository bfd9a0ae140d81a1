//! Token files: whole at any moment, for their readers only, and gone afterwards.

mod folder;
mod readers;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use runmint::runner::token_file::{FileError, FileRules, remove, write};
use tempfile::TempDir;

const TOKEN: &str = "header.claims.signature";

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// A folder of the test's own that every user can pass.
fn place() -> TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

fn rules(mode: Option<u32>, owner: Option<u32>, group: Option<u32>) -> FileRules {
    FileRules::new(mode, owner, group).unwrap()
}

/// Mode, uid and gid.
fn rights(path: &Path) -> (u32, u32, u32) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
}

/// What is in a folder, hidden or not.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn own_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

pub(crate) fn own_gid() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// Only root can be several users. Elsewhere what needs them is passed over, and said so.
#[expect(clippy::print_stderr, reason = "a test has nowhere else to say it")]
pub(crate) fn is_root(what: &str) -> bool {
    let is_root = own_uid() == 0;
    if !is_root {
        eprintln!("not shown, since the tests do not run as root: {what}");
    }
    is_root
}

/// Runs one test of this binary again, in a process of its own.
fn again(test: &str, prepare: impl FnOnce(&mut Command)) -> Output {
    // Not by its path, which other users may not be able to pass.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", test, "--nocapture"]);
    prepare(&mut command);
    command.output().unwrap()
}

/// Runs one test as a user who is not root; true if that is who is running it now.
fn is_nobody(test: &str) -> bool {
    if own_uid() != 0 {
        return true;
    }
    let output = again(test, |command| {
        command.uid(NOBODY).gid(NOBODY).current_dir("/");
    });
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{output:?}");
    false
}

/// The n-th token: its length changes, and it says whether it is whole.
fn numbered(n: usize) -> String {
    format!("{n}.{}.{n}", "x".repeat(n * 37 % 5_000))
}

#[test]
fn a_reader_sees_whole_tokens_while_they_are_replaced_ten_thousand_times() {
    const TIMES: usize = 10_000;
    let place = place();
    let path = place.path().join("token");
    write(&path, &numbered(0), FileRules::default()).unwrap();
    let reads = AtomicU32::new(0);
    let is_over = AtomicBool::new(false);

    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while !is_over.load(Ordering::SeqCst) {
                let text = fs::read_to_string(&path).unwrap();
                let number = text.split('.').next().unwrap_or_default();
                let number: usize = number.parse().expect("the start of a token");
                assert_eq!(text, numbered(number), "a token is whole");
                assert!(number >= last, "an old token is not seen again");
                last = number;
                reads.fetch_add(1, Ordering::SeqCst);
            }
        });
        for n in 1..=TIMES {
            write(&path, &numbered(n), FileRules::default()).unwrap();
            if n % 1_000 == 0 {
                // It has read in between, however the machine shares its time.
                let before = reads.load(Ordering::SeqCst);
                while reads.load(Ordering::SeqCst) == before && !reader.is_finished() {
                    thread::yield_now();
                }
            }
        }
        is_over.store(true, Ordering::SeqCst);
    });

    assert!(reads.into_inner() >= 10);
    assert_eq!(fs::read_to_string(&path).unwrap(), numbered(TIMES));
    assert_eq!(names(place.path()), ["token"]);
}

#[test]
fn a_file_is_as_private_as_was_asked_for_and_not_a_byte_is_added() {
    let place = place();
    let path = place.path().join("token");
    let (uid, gid) = (own_uid(), own_gid());
    for (rules, mode) in [
        (FileRules::default(), 0o600),
        (rules(None, None, Some(gid)), 0o640),
        (rules(Some(0o400), None, None), 0o400),
        (rules(Some(0o440), None, Some(gid)), 0o440),
        (rules(Some(0o600), Some(uid), Some(gid)), 0o600),
    ] {
        write(&path, TOKEN, rules).unwrap();
        assert_eq!(rights(&path), (mode, uid, gid));
        assert_eq!(fs::read_to_string(&path).unwrap(), TOKEN);
    }
    if is_root("files that belong to others") {
        write(&path, TOKEN, rules(None, Some(1_000), Some(1_012))).unwrap();
        assert_eq!(rights(&path), (0o640, 1_000, 1_012));
        write(&path, TOKEN, rules(None, Some(1_000), None)).unwrap();
        assert_eq!(rights(&path), (0o600, 1_000, gid));
    }
    assert_eq!(names(place.path()), ["token"]);
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert!(names(place.path()).is_empty());
}

#[test]
fn a_link_is_replaced_and_what_it_leads_to_stays() {
    let place = place();
    let (path, precious) = (place.path().join("token"), place.path().join("precious"));
    fs::write(&precious, "precious").unwrap();
    for target in [&precious, &place.path().join("not there")] {
        let _ = fs::remove_file(&path);
        symlink(target, &path).unwrap();
        write(&path, TOKEN, FileRules::default()).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read_to_string(&path).unwrap(), TOKEN);
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert_eq!(names(place.path()), ["precious", "token"]);
    }
}

#[test]
fn what_is_no_file_stays_what_it_is() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    symlink(at("folder"), at("link-to-folder")).unwrap();
    symlink("/dev/null", at("link-to-device")).unwrap();
    // As `/dev/stdout` is one.
    symlink("/proc/self/fd/1", at("stdout")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let before = names(place.path());
    for name in &before {
        let kind = fs::symlink_metadata(at(name)).unwrap().file_type();
        let error = write(&at(name), TOKEN, FileRules::default()).unwrap_err();
        assert!(matches!(error, FileError::NoFile { .. }), "{error}");
        assert!(error.to_string().contains(name) && error.hint().is_some());
        assert_eq!(fs::symlink_metadata(at(name)).unwrap().file_type(), kind);
    }
    assert_eq!(names(place.path()), before);
}

#[test]
fn nothing_is_left_beside_a_file_that_could_not_be_put_in_its_place() {
    let place = place();
    // The file is written, and then cannot be given a name of this length.
    let path = place.path().join("x".repeat(256));
    let error = write(&path, TOKEN, FileRules::default()).unwrap_err();
    assert!(matches!(error, FileError::Io { .. }), "{error}");
    assert!(!error.to_string().contains(TOKEN));
    assert!(names(place.path()).is_empty());
}

#[test]
fn a_missing_folder_is_named_with_the_command_that_makes_it() {
    let place = place();
    let folder = place.path().join("missing");
    let error = write(&folder.join("token"), TOKEN, FileRules::default()).unwrap_err();
    let expected = format!("there is no folder {}", folder.display());
    assert!(error.to_string().ends_with(&expected), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        format!("mkdir -p {}", folder.display())
    );
}

#[test]
fn a_user_without_the_right_to_is_told_what_would_help() {
    if !is_nobody("runner::files::a_user_without_the_right_to_is_told_what_would_help") {
        return;
    }
    let place = place();
    let path = place.path().join("token");

    let error = write(&path, TOKEN, rules(None, Some(0), None)).unwrap_err();
    assert!(
        error.to_string().contains("cannot be given to uid 0"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("`--group`"));

    let error = write(&path, TOKEN, rules(None, None, Some(0))).unwrap_err();
    assert!(
        error.to_string().contains("cannot be given to group 0"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("`fsGroup: 0`"));
    assert!(names(place.path()).is_empty(), "nothing half done is left");

    let error = write(Path::new("/token"), TOKEN, FileRules::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/token cannot be written: permission denied"
    );
    assert!(error.hint().unwrap().ends_with("it may not in /"));

    fs::set_permissions(place.path(), Permissions::from_mode(0o500)).unwrap();
    let error = write(&path, TOKEN, FileRules::default()).unwrap_err();
    assert!(matches!(error, FileError::Denied { .. }), "{error}");
    fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
}
