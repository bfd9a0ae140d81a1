//! A private folder for the files of one session, which are gone when it ends.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::OFlag;

use super::super::account;
use super::{FileError, FileRules, UNFINISHED, hand_over, remove, write};

/// A folder that one session has for itself, and what it has written there.
///
/// The session holds a lock on `.runmint.lock` in it, where the name of each file is written down
/// before the file is. So the next session can remove what one that was killed has left, and nothing
/// else, whatever the folder is used for besides.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    rules: FileRules,
    /// Whether it was made for this session.
    is_new: bool,
    /// Locked for as long as it is open.
    lock: File,
    /// The files that were written; nothing any more once the session is over.
    names: Mutex<Option<BTreeSet<String>>>,
}

const LOCK: &str = ".runmint.lock";

/// Who may read the files may look into the folder, and nobody else.
const PRIVATE: u32 = 0o700;
const PRIVATE_WITH_GROUP: u32 = 0o750;

/// The folder around it holds nothing secret: everybody may pass, nobody else may look around.
const PASSAGE: u32 = 0o711;

impl Folder {
    /// Takes the folder at `path` for a session whose files follow `rules`.
    ///
    /// If it is not there it is made, and so is the one that it is in; its mode is 0700, or 0750
    /// with a group, and owner and group are those of the files. One that is there stays as it is,
    /// but must belong to this user (or the files' owner), be closed to the writing of others, and
    /// be no symbolic link: a name that others can guess, under `/tmp`, must not be their trap.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn create(path: &Path, rules: FileRules) -> Result<Self, FileError> {
        let path = std::path::absolute(path).map_err(|error| FileError::from_io(path, error))?;
        // It will stand in variables and in other files.
        if path.to_str().is_none() {
            return Err(FileError::NotText { path });
        }
        let is_new = make(&path, rules)?;
        if !is_new {
            refuse_a_trap(&path, rules)?;
        }
        let folder = Self {
            lock: lock(&path)?,
            path,
            rules,
            is_new,
            names: Mutex::new(Some(BTreeSet::new())),
        };
        folder.remove_leftovers()?;
        Ok(folder)
    }

    /// Takes a folder that others can guess, in one that they share, such as `/tmp`: for a session of
    /// this user's own, `runmint-UID/NAME`. Whoever owns the folder above could put another in its
    /// place, so that must be this user's too.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn in_shared(shared: &Path, name: &str, rules: FileRules) -> Result<Self, FileError> {
        let ours = shared.join(format!("runmint-{}", nix::unistd::geteuid()));
        if create(&ours)? {
            let passage = Permissions::from_mode(PASSAGE);
            let opened = open(&ours)?.set_permissions(passage);
            opened.map_err(|error| FileError::from_io(&ours, error))?;
        }
        refuse_a_trap(&ours, FileRules::default())?;
        Self::create(&ours.join(name), rules)
    }

    /// The folder's absolute path.
    pub fn dir(&self) -> &Path {
        &self.path
    }

    /// The paths of all files of the session.
    pub fn paths(&self) -> Vec<PathBuf> {
        let names = self.names();
        let names = names.iter().flatten();
        names.map(|name| self.path(name)).collect()
    }

    /// The absolute path of the file with this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file as [`write()`] does, for as long as the session lasts.
    ///
    /// # Errors
    /// [`FileError`]; [`FileError::Taken`] if somebody else's file has the name.
    pub fn write(&self, name: &str, content: &str) -> Result<(), FileError> {
        if !is_plain(name) {
            return Err(FileError::Name {
                name: name.to_owned(),
            });
        }
        let path = self.path(name);
        // Held until the file is there: whoever ends the session finds it.
        let mut names = self.names();
        let names = names.as_mut().ok_or_else(|| FileError::Over {
            path: self.path.clone(),
        })?;
        if !names.contains(name) {
            if fs::symlink_metadata(&path).is_ok() {
                return Err(FileError::Taken { path });
            }
            let written_down = writeln!(&self.lock, "{name}");
            written_down.map_err(|error| FileError::from_io(&self.path(LOCK), error))?;
            names.insert(name.to_owned());
        }
        write(&path, content, self.rules)
    }

    /// Removes one file of the session; it may be written again.
    ///
    /// # Errors
    /// [`FileError`], if it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), FileError> {
        let names = self.names();
        if names.as_ref().is_some_and(|names| names.contains(name)) {
            remove(&self.path(name))?;
        }
        Ok(())
    }

    /// Ends the session: its files are removed, and the folder with them if it was made for the
    /// session and holds nothing else. Nothing is written any more. Dropping it does the same.
    ///
    /// # Errors
    /// The first file that could not be removed; the others are, nevertheless.
    pub fn remove_all(&self) -> Result<(), FileError> {
        let Some(names) = self.names().take() else {
            return Ok(());
        };
        let removals = names.iter().map(|name| remove(&self.path(name)));
        // If one is left, its name must be left too.
        all(removals)?;
        remove(&self.path(LOCK))?;
        if self.is_new {
            // An empty folder tells nothing, and a full one is in use.
            let _ = fs::remove_dir(&self.path);
        }
        Ok(())
    }

    fn names(&self) -> MutexGuard<'_, Option<BTreeSet<String>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes what a session that was killed has written, and what it was about to.
    fn remove_leftovers(&self) -> Result<(), FileError> {
        let failed = |error| FileError::from_io(&self.path(LOCK), error);
        let mut names = Vec::new();
        (&self.lock).read_to_end(&mut names).map_err(failed)?;
        let names = String::from_utf8_lossy(&names).into_owned();
        let finished = names.lines().filter(|name| is_plain(name)).map(Into::into);
        let unfinished = fs::read_dir(&self.path)
            .map_err(failed)?
            .filter_map(|entry| entry.ok().map(|entry| entry.file_name()))
            .filter(|name| name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()));
        all(finished
            .chain(unfinished)
            .map(|name: std::ffi::OsString| remove(&self.path.join(name))))?;
        self.lock.set_len(0).map_err(failed)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = self.remove_all() {
            tracing::warn!(error = %error, "a file of the session is left");
        }
    }
}

/// Makes the folder, and the one that it is in. `false` if it is there already.
fn make(path: &Path, rules: FileRules) -> Result<bool, FileError> {
    if let Some(parent) = path.parent()
        && create(parent)?
    {
        let nobodys = FileRules::default();
        open(parent).and_then(|handle| hand_over(&handle, parent, PASSAGE, nobodys))?;
    }
    if !create(path)? {
        return Ok(false);
    }
    let mode = match rules.group {
        Some(_) => PRIVATE_WITH_GROUP,
        None => PRIVATE,
    };
    open(path)
        .and_then(|handle| hand_over(&handle, path, mode, rules))
        .inspect_err(|_| {
            let _ = fs::remove_dir(path);
        })?;
    Ok(true)
}

/// Makes one folder that nobody else can look into. `false` if there is something already.
fn create(path: &Path) -> Result<bool, FileError> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(FileError::from_io(path, error)),
    }
}

/// The folder itself, so that what is found out about it is true of it, whatever its name leads to
/// by then.
fn open(path: &Path) -> Result<File, FileError> {
    let is_folder = fs::symlink_metadata(path).map(|metadata| metadata.is_dir());
    if matches!(is_folder, Ok(false)) {
        return Err(FileError::NotAFolder {
            path: path.to_owned(),
        });
    }
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits())
        .open(path)
        .map_err(|error| FileError::from_io(path, error))
}

fn refuse_a_trap(path: &Path, rules: FileRules) -> Result<(), FileError> {
    let metadata = open(path)?.metadata();
    let metadata = metadata.map_err(|error| FileError::from_io(path, error))?;
    let owner = metadata.uid();
    if owner != nix::unistd::geteuid().as_raw() && Some(owner) != rules.owner {
        return Err(FileError::Foreign {
            path: path.to_owned(),
            owner: account::user_name(owner),
        });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(FileError::Writable {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// Sessions that end while another one begins: so many may get in its way.
const ATTEMPTS: usize = 10;

fn lock(folder: &Path) -> Result<File, FileError> {
    let path = folder.join(LOCK);
    for _ in 0..ATTEMPTS {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path)
            .map_err(|error| FileError::from_io(&path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(error)) => return Err(FileError::from_io(&path, error)),
        }
        // The session that had it may have removed it since it was opened.
        if is_at(&file, &path) {
            return Ok(file);
        }
    }
    Err(FileError::InUse {
        path: folder.to_owned(),
    })
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(opened), Ok(found)) => identity(opened) == identity(found),
        _ => false,
    }
}

/// Whether it names a file in the folder itself, and is a line.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\n', '\r', '\0'])
}

/// Does all of it, and then says what failed first.
fn all(results: impl Iterator<Item = Result<(), FileError>>) -> Result<(), FileError> {
    results.fold(Ok(()), Result::and)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_the_folder() {
        for plain in ["tfc-aws-token", "kubeconfig", "a b", "ä"] {
            assert!(is_plain(plain), "{plain}");
        }
        for other in ["", ".", "..", ".runmint.lock", "a/b", "/a", "a\nb", "a\r"] {
            assert!(!is_plain(other), "{other:?}");
        }
    }
}
