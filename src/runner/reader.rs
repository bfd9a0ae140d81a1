//! Whether somebody else can read a file, and what to change if not.
//!
//! The rule is POSIX's (IEEE Std 1003.1, section 4.7 "File Access Permissions"): the owner's rights
//! count for the owner, else the group's for its members, else those of the others. It does not see
//! what goes beyond that: access control lists, SELinux and AppArmor, a root whose capabilities were
//! taken away, and a container that has other files under the same path.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::{fmt, iter};

use super::account::{self, AccountError};

/// Who is to read a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reader {
    /// Its user; in a pod `runAsUser`.
    pub uid: u32,
    /// Its groups, the primary one first; in a pod `runAsGroup`, `supplementalGroups`, `fsGroup`.
    pub gids: Vec<u32>,
}

impl Reader {
    /// This process.
    ///
    /// # Errors
    /// [`AccountError::Lookup`], if the system does not say.
    pub fn current() -> Result<Self, AccountError> {
        let primary = nix::unistd::getegid();
        let others = nix::unistd::getgroups()?;
        let others = others.into_iter().filter(|gid| *gid != primary);
        Ok(Self {
            uid: nix::unistd::geteuid().as_raw(),
            gids: iter::once(primary).chain(others).map(u32::from).collect(),
        })
    }

    /// Reads `USER[:GROUP[,GROUP…]]`, names or numbers: `1000`, `1000:1000,1012`, `nobody:nogroup`.
    ///
    /// Without groups it has those that the system knows for the user, as a login gets them, also
    /// when the user is a number. A number that the system does not know has none. Groups that are
    /// given are all that it has, as with `docker run --user`.
    ///
    /// # Errors
    /// [`AccountError`], for a name that the machine does not know.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        let (user, groups) = match text.split_once(':') {
            Some((user, groups)) => (user, Some(groups)),
            None => (text, None),
        };
        let uid = account::uid(user)?;
        let gids = match groups {
            Some(groups) => groups
                .split(',')
                .map(account::gid)
                .collect::<Result<_, _>>()?,
            None => account::groups_of(uid)?,
        };
        Ok(Self { uid, gids })
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gids: Vec<String> = self.gids.iter().map(u32::to_string).collect();
        match gids.as_slice() {
            [] => write!(f, "uid {} (no groups)", self.uid),
            [gid] => write!(f, "uid {} (group {gid})", self.uid),
            gids => write!(f, "uid {} (groups {})", self.uid, gids.join(", ")),
        }
    }
}

/// Tells whether `reader` can read the file at `path`. Links are followed as the kernel follows
/// them, so that the folders before and behind a link both count.
///
/// # Errors
/// [`Unreadable`] says what is in the way.
pub fn check(path: &Path, reader: &Reader) -> Result<(), Unreadable> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let walk = Walk::to(&path);
    // What stops the reader comes first: behind it there may be nothing, or nothing to be seen.
    if let Some(step) = first_stop(&walk.steps, reader) {
        return Err(Unreadable::Denied(Box::new(Denied {
            path,
            reader: reader.clone(),
            owner: account::user_name(step.uid),
            group: account::group_name(step.gid),
            step: step.clone(),
        })));
    }
    match walk.end {
        Some((at, error)) if error.kind() == ErrorKind::NotFound => {
            Err(Unreadable::Absent { path, at })
        }
        Some((at, source)) => Err(Unreadable::Unknown { path, at, source }),
        None if walk.steps.last().is_some_and(|step| step.is_folder) => {
            Err(Unreadable::Folder { path })
        }
        None => Ok(()),
    }
}

/// A folder that is passed, or the file at the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// Where it is, without links.
    pub path: PathBuf,
    /// Whether it is a folder, to be searched; a file is to be read.
    pub is_folder: bool,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The first of these steps that `reader` cannot take. Pure: all facts are in the steps.
pub fn first_stop<'a>(steps: &'a [Step], reader: &Reader) -> Option<&'a Step> {
    steps.iter().find(|step| !step.admits(reader))
}

/// Whose rights count for a reader. The first class that applies decides, even if a later one would
/// allow more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Owner,
    Group,
    Other,
}

impl Step {
    fn of(path: PathBuf, metadata: &Metadata) -> Self {
        Self {
            path,
            is_folder: metadata.is_dir(),
            mode: metadata.mode() & 0o777,
            uid: metadata.uid(),
            gid: metadata.gid(),
        }
    }

    /// Root reads every file and searches every folder, whatever their modes.
    fn admits(&self, reader: &Reader) -> bool {
        let shift = match self.class_of(reader) {
            Class::Owner => 6,
            Class::Group => 3,
            Class::Other => 0,
        };
        let wanted = if self.is_folder { 0o1 } else { 0o4 };
        reader.uid == 0 || (self.mode >> shift) & wanted != 0
    }

    fn class_of(&self, reader: &Reader) -> Class {
        if self.uid == reader.uid {
            Class::Owner
        } else if reader.gids.contains(&self.gid) {
            Class::Group
        } else {
            Class::Other
        }
    }
}

/// Why a reader cannot read a file.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is no such file.
    #[error("{path} cannot be read: there is no {at}")]
    Absent {
        /// What was asked for.
        path: PathBuf,
        /// The file itself, a folder on the way, or what a link leads to.
        at: PathBuf,
    },
    /// The permissions are against it.
    #[error(transparent)]
    Denied(Box<Denied>),
    /// It is a folder.
    #[error("{path} is a folder")]
    Folder {
        /// What was asked for.
        path: PathBuf,
    },
    /// This process cannot look as far.
    #[error("it is not known who can read {path}: {at}: {source}")]
    Unknown {
        /// What was asked for.
        path: PathBuf,
        /// Where the process was stopped itself.
        at: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl Unreadable {
    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(denied) => Some(denied.hint()),
            Self::Unknown { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                Some("ask as root, or as the reader itself".to_owned())
            }
            Self::Absent { .. } | Self::Folder { .. } | Self::Unknown { .. } => None,
        }
    }
}

/// The step that stops a reader.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct Denied {
    /// The file that was asked for.
    pub path: PathBuf,
    /// Who was to read it.
    pub reader: Reader,
    /// The folder or file that is in the way.
    pub step: Step,
    /// The name of its owner.
    pub owner: String,
    /// The name of its group.
    pub group: String,
}

impl Denied {
    /// The least that lets the reader in. Never a right for everybody.
    fn hint(&self) -> String {
        let class = self.step.class_of(&self.reader);
        if self.step.is_folder {
            self.folder_hint(class)
        } else {
            self.file_hint(class)
        }
    }

    fn folder_hint(&self, class: Class) -> String {
        let folder = self.step.path.display();
        let uid = self.reader.uid;
        let gid = self.reader.gids.last();
        match class {
            Class::Owner => return format!("`chmod u+x {folder}`"),
            Class::Group => return format!("`chmod g+x {folder}`"),
            Class::Other => {}
        }
        let mut hint = format!("name a folder that uid {uid} can pass (`--dir`, `--output`)");
        if let Some(gid) = gid {
            hint += &format!(", or `chgrp {gid} {folder} && chmod g+x {folder}`");
        }
        if self.path.parent() == Some(&self.step.path) {
            let group = gid.map_or_else(String::new, |gid| format!(" or `--group {gid}`"));
            hint += &format!("; a session's own folder follows `--owner {uid}`{group}");
        }
        hint
    }

    fn file_hint(&self, class: Class) -> String {
        let path = self.step.path.display();
        let uid = self.reader.uid;
        let own = format!("write it with `--owner {uid}` (mode 0600)");
        let with_group = |gid| format!("with `--group {gid}` (mode 0640)");
        let group_can_read = self.step.mode & 0o040 != 0;
        match (class, self.step.gid, self.reader.gids.last()) {
            (Class::Owner, ..) => format!("write it with `--mode 0600`, or `chmod u+r {path}`"),
            (Class::Group, gid, _) => format!("{own}, or {}", with_group(gid)),
            // Its group is let in already. That of root is nobody's to join.
            (Class::Other, gid @ 1.., _) if group_can_read => {
                format!("make {gid} one of its groups (in a pod, `fsGroup: {gid}`), or {own}")
            }
            (Class::Other, _, Some(gid)) => format!(
                "{own}, or {}; in a pod, `fsGroup: {gid}` makes {gid} one of its groups",
                with_group(*gid)
            ),
            (Class::Other, _, None) => format!(
                "{own}, or with `--group` (mode 0640) and a group that it is given; in a pod, \
                 `fsGroup` is one"
            ),
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, step, .. } = self;
        write!(f, "{} cannot read {}: ", self.reader, path.display())?;
        if step.is_folder {
            write!(f, "the folder {} is", step.path.display())?;
        } else if step.path == *path {
            write!(f, "it is")?;
        } else {
            write!(f, "it leads to {}, which is", step.path.display())?;
        }
        write!(f, " {:04o}, owned by {}", step.mode, self.owner)?;
        if step.class_of(&self.reader) == Class::Group || step.mode & 0o070 != 0 {
            write!(f, ", group {}", self.group)?;
        }
        Ok(())
    }
}

/// The way to a file, as far as this process can see it.
struct Walk {
    steps: Vec<Step>,
    /// Where and why it ended early.
    end: Option<(PathBuf, io::Error)>,
}

/// As many links the kernel follows on one way (path_resolution(7)).
const MOST_LINKS: usize = 40;

impl Walk {
    /// Follows an absolute path.
    fn to(path: &Path) -> Self {
        let mut walk = Self {
            steps: Vec::new(),
            end: None,
        };
        if let Err(stop) = walk.go(path) {
            walk.end = Some(stop);
        }
        walk
    }

    fn go(&mut self, path: &Path) -> Result<(), (PathBuf, io::Error)> {
        let stopped = |at: &Path, error| (at.to_owned(), error);
        let mut here = PathBuf::from("/");
        let mut ahead = parts(path);
        let mut links = 0;
        while let Some(part) = ahead.pop_front() {
            if self.steps.last().is_some_and(|step| !step.is_folder) {
                return Err(stopped(&here, ErrorKind::NotADirectory.into()));
            }
            let next = match Path::new(&part).components().next() {
                Some(Component::RootDir) => PathBuf::from("/"),
                Some(Component::ParentDir) => here.parent().unwrap_or(&here).to_owned(),
                _ => here.join(&part),
            };
            let metadata = fs::symlink_metadata(&next).map_err(|error| stopped(&next, error))?;
            if metadata.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    let error = io::Error::other("there are too many links on the way");
                    return Err(stopped(&next, error));
                }
                let target = fs::read_link(&next).map_err(|error| stopped(&next, error))?;
                ahead = parts(&target).into_iter().chain(ahead).collect();
                continue;
            }
            self.steps.push(Step::of(next.clone(), &metadata));
            here = next;
        }
        Ok(())
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter(|part| *part != Component::CurDir)
        .map(|part| part.as_os_str().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(uid: u32, gids: &[u32]) -> Reader {
        let gids = gids.to_vec();
        Reader { uid, gids }
    }

    fn step(path: &str, mode: u32, uid: u32, gid: u32) -> Step {
        Step {
            path: path.into(),
            is_folder: path.ends_with('/'),
            mode,
            uid,
            gid,
        }
    }

    /// User 1000 in the groups 1000 and 1012 takes one step.
    #[test]
    fn the_first_class_that_applies_decides() {
        let theirs = 7;
        let table = [
            // The owner.
            ("token", 0o400, 1000, theirs, true),
            ("token", 0o077, 1000, theirs, false),
            ("token", 0o044, 1000, 1012, false),
            ("folder/", 0o100, 1000, theirs, true),
            ("folder/", 0o677, 1000, 1012, false),
            // A member of the group, by the first group or a later one.
            ("token", 0o040, theirs, 1000, true),
            ("token", 0o640, theirs, 1012, true),
            ("token", 0o604, theirs, 1012, false),
            ("token", 0o634, theirs, 1012, false),
            ("folder/", 0o750, theirs, 1012, true),
            ("folder/", 0o745, theirs, 1012, false),
            // Anybody else.
            ("token", 0o004, theirs, theirs, true),
            ("token", 0o640, theirs, theirs, false),
            ("token", 0o773, theirs, theirs, false),
            ("folder/", 0o711, theirs, theirs, true),
            ("folder/", 0o776, theirs, theirs, false),
        ];
        for (path, mode, uid, gid, admits) in table {
            let step = step(path, mode, uid, gid);
            assert_eq!(
                step.admits(&reader(1000, &[1000, 1012])),
                admits,
                "{step:?}"
            );
            assert!(step.admits(&reader(0, &[])), "root: {step:?}");
        }
    }

    #[test]
    fn a_closed_folder_on_the_way_stops_whoever_could_read_the_file() {
        let way = |middle| {
            vec![
                step("/", 0o755, 0, 0),
                step("/run/", middle, 0, 0),
                step("/run/x/", 0o711, 0, 0),
                step("/run/x/token", 0o600, 1000, 1000),
            ]
        };
        let runner = reader(1000, &[1000]);
        assert_eq!(first_stop(&way(0o755), &runner), None);
        assert_eq!(first_stop(&way(0o711), &runner), None);
        let closed = way(0o744);
        assert_eq!(first_stop(&closed, &runner), Some(&closed[1]));
        assert_eq!(first_stop(&closed, &reader(0, &[0])), None);
        let open = way(0o755);
        assert_eq!(first_stop(&open, &reader(1001, &[1000])), Some(&open[3]));
    }

    fn said(reader: Reader, step: Step) -> (String, String) {
        let denied = Denied {
            path: "/run/runmint/tfc-aws-token".into(),
            reader,
            owner: step.uid.to_string(),
            group: step.gid.to_string(),
            step,
        };
        (denied.to_string(), denied.hint())
    }

    #[test]
    fn a_closed_file_is_explained() {
        let file = |mode, uid, gid| step("/run/runmint/tfc-aws-token", mode, uid, gid);
        let runner = || reader(1000, &[1000, 1012]);

        let (error, hint) = said(runner(), file(0o600, 0, 0));
        assert_eq!(
            error,
            "uid 1000 (groups 1000, 1012) cannot read /run/runmint/tfc-aws-token: it is 0600, \
             owned by 0"
        );
        assert_eq!(
            hint,
            "write it with `--owner 1000` (mode 0600), or with `--group 1012` (mode 0640); in a \
             pod, `fsGroup: 1012` makes 1012 one of its groups"
        );

        let (error, hint) = said(runner(), file(0o640, 0, 1500));
        assert!(
            error.ends_with("it is 0640, owned by 0, group 1500"),
            "{error}"
        );
        assert_eq!(
            hint,
            "make 1500 one of its groups (in a pod, `fsGroup: 1500`), or write it with \
             `--owner 1000` (mode 0600)"
        );

        // Nobody is told to join root's group.
        let (_, hint) = said(runner(), file(0o640, 0, 0));
        assert!(hint.contains("`--group 1012`"), "{hint}");

        // The group is right, its right is not.
        let (error, hint) = said(runner(), file(0o600, 0, 1000));
        assert!(error.ends_with("owned by 0, group 1000"), "{error}");
        assert!(hint.contains("`--group 1000` (mode 0640)"), "{hint}");

        let (_, hint) = said(runner(), file(0o040, 1000, 1000));
        assert!(hint.contains("`--mode 0600`"), "{hint}");

        let (error, hint) = said(reader(1000, &[]), file(0o600, 0, 0));
        assert!(error.starts_with("uid 1000 (no groups) cannot"), "{error}");
        assert!(hint.contains("`--owner 1000`"), "{hint}");
    }

    #[test]
    fn a_closed_folder_is_explained() {
        let folder = |mode, uid, gid| Step {
            is_folder: true,
            ..step("/run/runmint", mode, uid, gid)
        };
        let runner = || reader(1000, &[1000]);

        let (error, hint) = said(runner(), folder(0o700, 0, 0));
        assert_eq!(
            error,
            "uid 1000 (group 1000) cannot read /run/runmint/tfc-aws-token: the folder /run/runmint \
             is 0700, owned by 0"
        );
        assert_eq!(
            hint,
            "name a folder that uid 1000 can pass (`--dir`, `--output`), or `chgrp 1000 \
             /run/runmint && chmod g+x /run/runmint`; a session's own folder follows \
             `--owner 1000` or `--group 1000`"
        );
        let (_, hint) = said(runner(), folder(0o600, 1000, 0));
        assert_eq!(hint, "`chmod u+x /run/runmint`");
        let (_, hint) = said(runner(), folder(0o700, 0, 1000));
        assert_eq!(hint, "`chmod g+x /run/runmint`");
    }

    #[test]
    fn nobody_is_told_to_let_everybody_in() {
        for mode in 0..=0o777 {
            for (uid, gid) in [(1000, 0), (0, 1000), (0, 1500), (0, 0)] {
                for path in ["/run/", "/run/runmint/tfc-aws-token"] {
                    let (_, hint) = said(reader(1000, &[1000]), step(path, mode, uid, gid));
                    let opens = ["o+", "a+", "chmod 0", "0644", "0666"];
                    assert!(!opens.iter().any(|word| hint.contains(word)), "{hint}");
                }
            }
        }
    }

    #[test]
    fn readers_are_named_as_docker_and_people_name_them() {
        assert_eq!(Reader::parse("1000:1000"), Ok(reader(1000, &[1000])));
        assert_eq!(
            Reader::parse("1000:1000,1012"),
            Ok(reader(1000, &[1000, 1012]))
        );
        assert_eq!(Reader::parse("root:root"), Ok(reader(0, &[0])));
        assert_eq!(Reader::parse("4000000000"), Ok(reader(4_000_000_000, &[])));
        assert_eq!(Reader::parse("0"), Reader::parse("root"));
        assert_eq!(
            Reader::parse("no such"),
            Err(AccountError::NoUser("no such".to_owned()))
        );
        assert_eq!(
            Reader::parse("0:no such"),
            Err(AccountError::NoGroup("no such".to_owned()))
        );
        for text in ["", ":", "0:", "0:0,", "0:0:0"] {
            assert!(Reader::parse(text).is_err(), "{text:?}");
        }
    }
}
