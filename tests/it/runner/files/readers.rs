//! Readers that are not root: what is said about them is what the kernel does, and what they are told
//! to change helps.

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestRunner;
use runmint::runner::reader::{Reader, Unreadable, check};
use runmint::runner::token_file::{FileRules, Folder, write};

use super::{NOBODY, TOKEN, is_root, place, rules};

/// Reads a file in a process of the reader's own.
fn read_as(reader: &Reader, path: &Path) -> Result<String, String> {
    let groups = match reader.gids.get(1..) {
        None | Some([]) => "--clear-groups".to_owned(),
        Some(others) => {
            let others: Vec<String> = others.iter().map(u32::to_string).collect();
            format!("--groups={}", others.join(","))
        }
    };
    let output = Command::new("setpriv")
        .arg(format!("--reuid={}", reader.uid))
        .arg(format!("--regid={}", reader.gids[0]))
        .arg(groups)
        .args(["cat", "--"])
        .arg(path)
        .current_dir("/")
        .output()
        .expect("setpriv, of util-linux");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        return Ok(text(output.stdout));
    }
    Err(text(output.stderr))
}

/// The number that a hint gives for a flag.
fn said(hint: &str, flag: &str) -> u32 {
    let (_, rest) = hint.split_once(flag).expect(flag);
    let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit());
    digits.into_iter().next().unwrap().parse().unwrap()
}

/// Processes that run as `nobody`, or as `runAsUser: 1000` with `fsGroup: 1012` in a pod, and a token
/// file of root's.
#[test]
fn a_reader_that_is_not_root_is_denied_and_then_let_in_by_what_it_is_told() {
    if !is_root("a reader that is not root") {
        return;
    }
    let place = place();
    let path = place.path().join("token");
    for reader in [
        Reader::parse("65534:65534").unwrap(),
        Reader::parse("1000:1000,1012").unwrap(),
    ] {
        write(&path, TOKEN, FileRules::default()).unwrap();
        let error = read_as(&reader, &path).unwrap_err();
        assert!(error.contains("Permission denied"), "{error}");
        let denied = check(&path, &reader).unwrap_err();
        assert_eq!(
            denied.to_string(),
            format!(
                "{reader} cannot read {}: it is 0600, owned by root",
                path.display()
            )
        );
        let hint = denied.hint().unwrap();

        // The first way: a file of its own.
        let owner = said(&hint, "`--owner");
        write(&path, TOKEN, rules(None, Some(owner), None)).unwrap();
        assert_eq!(read_as(&reader, &path).as_deref(), Ok(TOKEN));
        check(&path, &reader).unwrap();

        // The second: a file of its group.
        let group = said(&hint, "`--group");
        write(&path, TOKEN, rules(None, None, Some(group))).unwrap();
        assert_eq!(read_as(&reader, &path).as_deref(), Ok(TOKEN));
        check(&path, &reader).unwrap();

        // Others are none of them.
        let stranger = Reader::parse("1001:1001").unwrap();
        read_as(&stranger, &path).unwrap_err();
        check(&path, &stranger).unwrap_err();
    }
}

/// A pod without the group is told to take it (`fsGroup`), and can read when it has.
#[test]
fn a_reader_can_be_given_the_group_of_the_file() {
    if !is_root("a reader with another group") {
        return;
    }
    let place = place();
    let path = place.path().join("token");
    write(&path, TOKEN, rules(None, None, Some(1_337))).unwrap();
    let mut reader = Reader::parse("1000:1000").unwrap();
    read_as(&reader, &path).unwrap_err();
    let denied = check(&path, &reader).unwrap_err();
    assert!(
        denied
            .to_string()
            .ends_with("it is 0640, owned by root, group 1337")
    );
    reader.gids.push(said(&denied.hint().unwrap(), "`fsGroup:"));
    assert_eq!(read_as(&reader, &path).as_deref(), Ok(TOKEN));
    check(&path, &reader).unwrap();
}

#[test]
fn a_session_s_folder_is_closed_to_its_reader_until_it_is_made_for_it() {
    if !is_root("the folder of another user") {
        return;
    }
    let place = place();
    let path = place.path().join("runmint/session");
    let reader = Reader::parse("1000:1000,1012").unwrap();
    let folder = Folder::create(&path, FileRules::default()).unwrap();
    folder.write("token", TOKEN).unwrap();
    read_as(&reader, &folder.path("token")).unwrap_err();
    let denied = check(&folder.path("token"), &reader).unwrap_err();
    let step = format!("the folder {} is 0700, owned by root", path.display());
    assert!(denied.to_string().ends_with(&step), "{denied}");
    let hint = denied.hint().unwrap();
    drop(folder);
    for rules in [
        rules(None, Some(said(&hint, "`--owner")), None),
        rules(None, None, Some(said(&hint, "`--group"))),
    ] {
        let folder = Folder::create(&path, rules).unwrap();
        folder.write("token", TOKEN).unwrap();
        assert_eq!(
            read_as(&reader, &folder.path("token")).as_deref(),
            Ok(TOKEN)
        );
        check(&folder.path("token"), &reader).unwrap();
    }
}

#[test]
fn what_is_not_there_and_what_is_no_file_is_said() {
    let place = place();
    let at = |name: &str| place.path().join(name);
    let reader = Reader::current().unwrap();
    symlink("not there", at("dangling")).unwrap();
    symlink("circle", at("circle")).unwrap();
    fs::write(at("file"), TOKEN).unwrap();

    for (path, missing) in [("dangling", "not there"), ("gone/token", "gone")] {
        match check(&at(path), &reader) {
            Err(Unreadable::Absent {
                path: asked,
                at: found,
            }) => {
                assert_eq!((asked, found), (at(path), at(missing)));
            }
            other => panic!("{other:?}"),
        }
    }
    let folder = check(place.path(), &reader);
    assert!(
        matches!(folder, Err(Unreadable::Folder { .. })),
        "{folder:?}"
    );
    for path in ["circle", "file/token", "file/../file"] {
        let unknown = check(&at(path), &reader);
        assert!(
            matches!(unknown, Err(Unreadable::Unknown { .. })),
            "{unknown:?}"
        );
        fs::read(at(path)).unwrap_err();
    }
    check(&at("file"), &reader).unwrap();
}

#[test]
fn this_process_knows_itself_and_users_by_name() {
    let current = Reader::current().unwrap();
    let own = super::place();
    let path = own.path().join("token");
    write(&path, TOKEN, FileRules::default()).unwrap();
    check(&path, &current).unwrap();
    let nobody = Reader::parse("nobody").unwrap();
    assert_eq!(nobody, Reader::parse(&NOBODY.to_string()).unwrap());
    assert_eq!(nobody.uid, NOBODY);
    assert!(!nobody.gids.is_empty());
}

/// Owner, group and mode of something.
type Rights = (u32, u32, u32);

fn any_rights() -> impl Strategy<Value = Rights> {
    let uid = select(vec![0, 1_000, 1_001]);
    let gid = select(vec![0, 1_000, 1_001, 1_012]);
    (uid, gid, 0..=0o777_u32)
}

fn any_reader() -> impl Strategy<Value = Reader> {
    let uid = select(vec![0, 1_000, 1_000, 1_001, 1_002]);
    let gids = subsequence(vec![1_000, 1_001, 1_002, 1_012], 1..=3);
    (uid, gids.prop_shuffle()).prop_map(|(uid, gids)| Reader { uid, gids })
}

fn set(path: &Path, (uid, gid, mode): Rights) {
    chown(path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A file in a folder, and a link to it in another one, each with any rights.
#[test]
fn what_is_said_about_a_reader_is_what_the_kernel_does() {
    const CASES: u32 = 64;
    if !is_root("many readers and many owners") {
        return;
    }
    let place = place();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("folder")).unwrap();
    fs::create_dir(at("links")).unwrap();
    fs::write(at("folder/token"), TOKEN).unwrap();
    symlink("../folder/./token", at("links/token")).unwrap();
    let (can, cannot) = (Cell::new(0), Cell::new(0));

    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(CASES)
    };
    let strategy = (any_rights(), any_rights(), any_rights(), any_reader());
    let result = TestRunner::new(config).run(&strategy, |(links, folder, file, reader)| {
        set(&at("links"), links);
        set(&at("folder"), folder);
        set(&at("folder/token"), file);
        for path in [at("links/token"), at("folder/token")] {
            let does = read_as(&reader, &path).is_ok();
            let says = check(&path, &reader);
            prop_assert_eq!(does, says.is_ok(), "{:?}", says);
            let count = if does { &can } else { &cannot };
            count.set(count.get() + 1);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(can.get() > 0 && cannot.get() > 0, "both are seen");
}
