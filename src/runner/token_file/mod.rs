//! Files that others read while they are replaced: tokens, and what refers to them.
//!
//! A new file is made beside the old one under a name of its own, complete and with its final group,
//! mode and owner, and then renamed over it. So whoever opens it, at any moment, has the whole of
//! the old one or the whole of the new one.

mod error;
mod folder;

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::Path;

pub use self::error::FileError;
pub use self::folder::Folder;

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileRules {
    mode: u32,
    owner: Option<u32>,
    group: Option<u32>,
}

impl FileRules {
    /// A file that belongs to `owner` (a uid) and `group` (a gid), where they are given, else to
    /// whoever writes it. Its mode is 0600, and 0640 with a group, unless `mode` says otherwise.
    ///
    /// # Errors
    /// [`FileError::Mode`] for any other mode than 0400, 0440, 0600 and 0640: everybody on the
    /// machine is nobody's reader, and nobody but the writer has to write.
    pub fn new(
        mode: Option<u32>,
        owner: Option<u32>,
        group: Option<u32>,
    ) -> Result<Self, FileError> {
        let usual = if group.is_some() { 0o640 } else { 0o600 };
        let mode = mode.unwrap_or(usual);
        if ![0o400, 0o440, 0o600, 0o640].contains(&mode) {
            return Err(FileError::Mode { mode });
        }
        Ok(Self { mode, owner, group })
    }
}

/// Mode 0600, and whoever writes it is its owner.
impl Default for FileRules {
    fn default() -> Self {
        Self {
            mode: 0o600,
            owner: None,
            group: None,
        }
    }
}

/// How the names of files begin that are not complete yet. They are in nobody's way: no shell shows
/// them, and no SDK looks for them.
const UNFINISHED: &str = ".runmint-";

/// Writes `content` to `path`, byte for byte: no newline is added (several SDKs send a token as it
/// stands in the file). The folder must be there.
///
/// A symbolic link at `path` is replaced by the file, not followed, so that nobody who may leave a
/// link there chooses where a token goes.
///
/// Nothing waits for the disk (`fsync`): after a crash of the machine nobody is left who would read
/// the token, and a new one is asked for.
///
/// # Errors
/// [`FileError`]. What was at `path` before is then still there, and nothing new beside it.
pub fn write(path: &Path, content: &str, rules: FileRules) -> Result<(), FileError> {
    if !can_be_replaced(path) {
        return Err(FileError::NoFile {
            path: path.to_owned(),
        });
    }
    let failed = |error| FileError::from_io(path, error);
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder_of(path))
        .map_err(failed)?;
    let handle = file.as_file_mut();
    handle.write_all(content.as_bytes()).map_err(failed)?;
    hand_over(handle, path, rules.mode, rules)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Removes the file at `path`; it is fine if it is gone already.
///
/// # Errors
/// [`FileError`], if it is there and cannot be removed.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::from_io(path, error)),
        _ => Ok(()),
    }
}

/// Whether there is nothing at `path`, or a file, or a link to one. A folder, a device (`/dev/null`)
/// and what leads to an open file (`/dev/stdout`) have to stay.
fn can_be_replaced(path: &Path) -> bool {
    let leads_to_an_open_file = fs::read_link(path).is_ok_and(|target| target.starts_with("/proc"));
    !leads_to_an_open_file && fs::metadata(path).map_or(true, |metadata| metadata.is_file())
}

/// The folder that `path` is in.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Gives a socket to those who may read the files: whoever may write to it may connect (unix(7)).
///
/// # Errors
/// [`FileError`].
pub fn hand_over_socket(path: &Path, rules: FileRules) -> Result<(), FileError> {
    let mode = if rules.mode & 0o040 == 0 {
        0o600
    } else {
        0o660
    };
    let mode = Permissions::from_mode(mode);
    let changed = std::os::unix::fs::chown(path, None, rules.group)
        .and_then(|()| fs::set_permissions(path, mode))
        .and_then(|()| std::os::unix::fs::chown(path, rules.owner, None));
    changed.map_err(|error| FileError::from_io(path, error))
}

/// Gives a file or a folder that only its writer could open so far to those who may read it.
///
/// First the group, then the mode, so that no other group can open it in between. The owner comes
/// last: a process that may give files away (`CAP_CHOWN`) need not be one that may change the mode
/// of other users' files (`CAP_FOWNER`).
fn hand_over(handle: &File, path: &Path, mode: u32, rules: FileRules) -> Result<(), FileError> {
    if let Some(group) = rules.group {
        let not_given = |source| FileError::Group {
            path: path.to_owned(),
            group,
            source,
        };
        fchown(handle, None, Some(group)).map_err(not_given)?;
    }
    // The mode at creation is what the umask has left of it.
    let mode = Permissions::from_mode(mode);
    let changed: io::Result<()> = handle.set_permissions(mode);
    changed.map_err(|error| FileError::from_io(path, error))?;
    if let Some(owner) = rules.owner {
        let not_given = |source| FileError::Owner {
            path: path.to_owned(),
            owner,
            source,
        };
        fchown(handle, Some(owner), None).map_err(not_given)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_unless_a_group_is_to_read_it() {
        let mode = |mode, group| {
            FileRules::new(mode, None, group)
                .map(|rules| rules.mode)
                .ok()
        };
        assert_eq!(mode(None, None), Some(0o600));
        assert_eq!(mode(None, Some(7)), Some(0o640));
        assert_eq!(mode(Some(0o400), Some(7)), Some(0o400));
        assert_eq!(mode(Some(0o440), None), Some(0o440));
        for unfit in [
            0, 0o040, 0o200, 0o604, 0o602, 0o601, 0o620, 0o660, 0o650, 0o644, 0o666, 0o700, 0o4600,
            0o1600, 0o2640, 0o10_600,
        ] {
            assert_eq!(mode(Some(unfit), Some(7)), None, "{unfit:o}");
        }
        assert_eq!(
            FileRules::default(),
            FileRules::new(None, None, None).unwrap()
        );
    }

    #[test]
    fn an_unfit_mode_is_named_with_those_that_fit() {
        let error = FileRules::new(Some(0o644), None, None).unwrap_err();
        assert_eq!(error.to_string(), "a token file cannot have the mode 0644");
        assert!(error.hint().unwrap().contains("`--group`"));
    }

    #[test]
    fn a_name_alone_is_in_the_folder_where_the_process_is() {
        assert_eq!(folder_of(Path::new("token")), Path::new("."));
        assert_eq!(folder_of(Path::new("a/token")), Path::new("a"));
        assert_eq!(folder_of(Path::new("/token")), Path::new("/"));
    }
}
