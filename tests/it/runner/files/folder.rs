//! A session's folder: closed to others, for one session at a time, and nothing of it is left.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use nix::sys::signal::{Signal, raise};
use runmint::runner::token_file::{FileError, FileRules, Folder};

use super::{TOKEN, again, is_root, names, own_gid, own_uid, place, rights, rules};

fn create(path: impl Into<PathBuf>) -> Result<Folder, FileError> {
    Folder::create(&path.into(), FileRules::default())
}

#[test]
fn a_session_s_files_are_gone_with_it() {
    let place = place();
    let path = place.path().join("runmint/session");
    let folder = create(&path).unwrap();
    assert_eq!(rights(&path), (0o700, own_uid(), own_gid()));
    assert_eq!(rights(&place.path().join("runmint")).0, 0o711);

    folder.write("tfc-aws-token", "first").unwrap();
    folder.write("tfc-aws-token", TOKEN).unwrap();
    folder.write("kubeconfig", "a").unwrap();
    assert_eq!(folder.path("kubeconfig"), path.join("kubeconfig"));
    assert_eq!(rights(&path.join("kubeconfig")).0, 0o600);
    assert_eq!(
        fs::read_to_string(path.join("tfc-aws-token")).unwrap(),
        TOKEN
    );

    drop(folder);
    assert!(!path.exists());
}

#[test]
fn a_session_that_is_over_writes_nothing_more() {
    let place = place();
    let folder = create(place.path().join("session")).unwrap();
    folder.write("token", TOKEN).unwrap();
    folder.remove_all().unwrap();
    assert!(names(place.path()).is_empty());
    let error = folder.write("token", TOKEN).unwrap_err();
    assert!(matches!(error, FileError::Over { .. }), "{error}");
    // The next one may begin, and is left alone by the first.
    let next = create(place.path().join("session")).unwrap();
    next.write("token", TOKEN).unwrap();
    folder.remove_all().unwrap();
    drop(folder);
    assert!(next.path("token").exists());
}

#[test]
fn other_people_s_files_are_neither_replaced_nor_removed() {
    let place = place();
    fs::set_permissions(place.path(), Permissions::from_mode(0o700)).unwrap();
    fs::write(place.path().join("kubeconfig"), "mine").unwrap();
    let folder = create(place.path()).unwrap();
    folder.write("token", TOKEN).unwrap();
    let error = folder.write("kubeconfig", "other").unwrap_err();
    assert!(matches!(error, FileError::Taken { .. }), "{error}");
    assert!(error.hint().unwrap().contains("`--dir`"));
    drop(folder);
    assert_eq!(names(place.path()), ["kubeconfig"]);
    assert_eq!(
        fs::read_to_string(place.path().join("kubeconfig")).unwrap(),
        "mine"
    );

    // One that a session has made stays if somebody has put something there.
    let folder = create(place.path().join("session")).unwrap();
    fs::write(folder.path("cache"), "theirs").unwrap();
    drop(folder);
    assert_eq!(names(&place.path().join("session")), ["cache"]);
}

#[test]
fn a_file_of_a_session_has_a_plain_name() {
    let place = place();
    let folder = create(place.path().join("session")).unwrap();
    for name in ["../token", "a/b", "", ".runmint.lock", "a\nb"] {
        let error = folder.write(name, TOKEN).unwrap_err();
        assert!(matches!(error, FileError::Name { .. }), "{error}");
    }
}

#[test]
fn two_sessions_do_not_share_a_folder() {
    let place = place();
    let path = place.path().join("session");
    let first = create(&path).unwrap();
    first.write("token", TOKEN).unwrap();
    let error = create(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("another session uses {}", path.display())
    );
    assert!(error.hint().unwrap().contains("`--dir`"));
    assert_eq!(fs::read_to_string(path.join("token")).unwrap(), TOKEN);
    drop(first);
    drop(create(&path).unwrap());
    assert!(!path.exists());
}

/// The folder in which the test below, run again, is the session that is killed.
const KILLED_IN: &str = "RUNMINT_TEST_KILLED_IN";

#[test]
fn what_a_killed_session_has_left_is_removed_and_nothing_else() {
    if let Some(path) = std::env::var_os(KILLED_IN) {
        let folder = create(path).unwrap();
        folder.write("tfc-aws-token", TOKEN).unwrap();
        folder.write("kubeconfig", "theirs").unwrap();
        raise(Signal::SIGKILL).unwrap();
    }
    let place = place();
    let path = place.path().join("session");
    let test = "runner::files::folder::what_a_killed_session_has_left_is_removed_and_nothing_else";
    let output = again(test, |command| {
        command.env(KILLED_IN, &path);
    });
    assert_eq!(output.status.signal(), Some(9), "{output:?}");
    // It has left a file half written, and somebody else has left files too.
    fs::write(path.join(".runmint-a1b2c3"), "head").unwrap();
    fs::write(path.join("tfc-notes.md"), "mine").unwrap();
    fs::write(path.join("extra"), "mine").unwrap();
    assert_eq!(
        names(&path),
        [
            ".runmint-a1b2c3",
            ".runmint.lock",
            "extra",
            "kubeconfig",
            "tfc-aws-token",
            "tfc-notes.md"
        ]
    );

    let next = create(&path).unwrap();
    assert_eq!(names(&path), [".runmint.lock", "extra", "tfc-notes.md"]);
    next.write("kubeconfig", "new").unwrap();
    drop(next);
    assert_eq!(names(&path), ["extra", "tfc-notes.md"]);
}

/// Whoever owns the folder above could put another in the place of the session's.
#[test]
fn a_folder_that_others_can_guess_is_in_one_that_is_this_users_own() {
    let place = place();
    let shared = place.path();
    let ours = shared.join(format!("runmint-{}", nix::unistd::geteuid()));
    let in_shared = || Folder::in_shared(shared, "run-1", FileRules::default());
    let folder = in_shared().unwrap();
    assert_eq!(folder.dir(), ours.join("run-1"));
    assert_eq!((rights(&ours).0, rights(folder.dir()).0), (0o711, 0o700));
    drop(folder);
    drop(in_shared().unwrap());

    fs::set_permissions(&ours, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(
        in_shared().unwrap_err(),
        FileError::Writable { .. }
    ));
    fs::remove_dir(&ours).unwrap();
    fs::create_dir(shared.join("elsewhere")).unwrap();
    symlink(shared.join("elsewhere"), &ours).unwrap();
    assert!(matches!(
        in_shared().unwrap_err(),
        FileError::NotAFolder { .. }
    ));
    fs::remove_file(&ours).unwrap();
    if is_root("a folder that is somebody else's") {
        fs::create_dir(&ours).unwrap();
        chown(&ours, Some(65_534), None).unwrap();
        assert!(matches!(
            in_shared().unwrap_err(),
            FileError::Foreign { .. }
        ));
        assert_eq!(fs::read_dir(&ours).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_that_no_variable_can_name_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let place = place();
    let name = std::ffi::OsStr::from_bytes(b"\xff");
    let error = create(place.path().join(name)).unwrap_err();
    assert!(matches!(error, FileError::NotText { .. }), "{error}");
}

#[test]
fn a_folder_that_could_be_a_trap_is_refused() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    let refused = |name: &str| {
        let error = create(at(name)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.hint().unwrap().contains("`--dir"), "{error}");
        error
    };

    fs::create_dir(at("real")).unwrap();
    symlink(at("real"), at("link")).unwrap();
    assert!(matches!(refused("link"), FileError::NotAFolder { .. }));
    symlink(at("nowhere"), at("dangling")).unwrap();
    assert!(matches!(refused("dangling"), FileError::NotAFolder { .. }));
    fs::write(at("file"), "").unwrap();
    assert!(matches!(refused("file"), FileError::NotAFolder { .. }));

    fs::create_dir(at("open")).unwrap();
    for mode in [0o777, 0o1777, 0o720, 0o2770, 0o702] {
        fs::set_permissions(at("open"), Permissions::from_mode(mode)).unwrap();
        assert!(matches!(refused("open"), FileError::Writable { .. }));
    }
    // What it says to do helps: a folder in it is private.
    let inside = create(at("open/session")).unwrap();
    assert_eq!(rights(&at("open/session")).0, 0o700);
    drop(inside);

    // A lock that leads elsewhere is not opened.
    fs::create_dir(at("locked")).unwrap();
    symlink(at("precious"), at("locked/.runmint.lock")).unwrap();
    create(at("locked")).unwrap_err();
    assert!(!at("precious").exists());

    if is_root("folders that belong to others") {
        chown(at("real"), Some(1_000), None).unwrap();
        let error = refused("real");
        assert!(matches!(error, FileError::Foreign { .. }), "{error}");
        assert!(names(&at("real")).is_empty());
        // That of the files' own reader is none of a stranger.
        let theirs = rules(None, Some(1_000), None);
        drop(Folder::create(&at("real"), theirs).unwrap());
    }
}

#[test]
fn no_more_than_two_folders_are_made() {
    let place = place();
    let error = create(place.path().join("a/b/c")).unwrap_err();
    let missing = place.path().join("a");
    assert_eq!(
        error.hint().unwrap(),
        format!("mkdir -p {}", missing.display())
    );
    assert!(names(place.path()).is_empty());
}

#[test]
fn a_folder_belongs_to_the_readers_of_its_files() {
    let place = place();
    let path = place.path().join("session");
    let group = rules(None, None, Some(own_gid()));
    let folder = Folder::create(&path, group).unwrap();
    folder.write("token", TOKEN).unwrap();
    assert_eq!(rights(&path), (0o750, own_uid(), own_gid()));
    assert_eq!(rights(&path.join("token")), (0o640, own_uid(), own_gid()));
    drop(folder);
    if is_root("folders of others' files") {
        let theirs = rules(None, Some(1_000), Some(1_012));
        let folder = Folder::create(&path, theirs).unwrap();
        folder.write("token", TOKEN).unwrap();
        assert_eq!(rights(&path), (0o750, 1_000, 1_012));
        assert_eq!(rights(&path.join("token")), (0o640, 1_000, 1_012));
        drop(folder);
    }
    assert!(names(place.path()).is_empty());
}
