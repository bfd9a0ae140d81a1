//! Why a file is not where its readers look for it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::folder_of;

/// Why a file could not be written, or a folder not be made private. No content is ever part of it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The process may not write there.
    #[error("{path} cannot be written: {reason}")]
    Denied {
        /// What was to be written.
        path: PathBuf,
        /// No permission, or a disk that nobody writes to.
        reason: ErrorKind,
    },
    /// The file cannot be given to the group.
    #[error("{path} cannot be given to group {group}: {source}")]
    Group {
        /// What was to be given.
        path: PathBuf,
        /// The gid.
        group: u32,
        /// The system's words.
        source: io::Error,
    },
    /// Another session is at work in the folder.
    #[error("another session uses {path}")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// Anything else that the system says.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The folder is somebody's who is not to read the files.
    #[error("{path} belongs to {owner}")]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is, by name.
        owner: String,
    },
    /// A mode that keeps the owner out, or lets everybody in.
    #[error("a token file cannot have the mode {mode:04o}")]
    Mode {
        /// What was asked for.
        mode: u32,
    },
    /// A folder, a device, or the way to an open file.
    #[error("{path} is there and is no file that could be replaced")]
    NoFile {
        /// What was to be written.
        path: PathBuf,
    },
    /// The folder is not there.
    #[error("{path} cannot be written: there is no folder {}", folder_of(.path).display())]
    NoFolder {
        /// What was to be written.
        path: PathBuf,
    },
    /// Not the name of a file that a session could have.
    #[error("`{name}` is no name for a file of a session")]
    Name {
        /// What was asked for.
        name: String,
    },
    /// A symbolic link, or a file, where a folder should be.
    #[error("{path} is no folder, or a symbolic link to one")]
    NotAFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A path that no variable can name.
    #[error("{} is not UTF-8, and variables could not name what is in it", path.display())]
    NotText {
        /// The folder.
        path: PathBuf,
    },
    /// The session has ended.
    #[error("the session in {path} is over")]
    Over {
        /// The folder.
        path: PathBuf,
    },
    /// The file cannot be given to the user.
    #[error("{path} cannot be given to uid {owner}: {source}")]
    Owner {
        /// What was to be given.
        path: PathBuf,
        /// The uid.
        owner: u32,
        /// The system's words.
        source: io::Error,
    },
    /// A file of that name is there, and no session has written it.
    #[error("{path} is there already, and no session of runmint wrote it")]
    Taken {
        /// The file.
        path: PathBuf,
    },
    /// Others could put their own files into the folder.
    #[error("others may write to {path}: its mode is {mode:04o}")]
    Writable {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

impl FileError {
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            ErrorKind::NotFound => Self::NoFolder { path },
            reason @ (ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                Self::Denied { path, reason }
            }
            _ => Self::Io { path, source },
        }
    }

    /// Whether an option is wrong.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Mode { .. } | Self::Name { .. })
    }

    /// What to do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Denied { path, .. } => format!(
                "name a folder in which this user may write; it may not in {}",
                folder_of(path).display()
            ),
            Self::Foreign { .. }
            | Self::InUse { .. }
            | Self::NotAFolder { .. }
            | Self::NotText { .. } => {
                "choose another folder with `--dir`; one that is not there yet is made".to_owned()
            }
            Self::Group { group, .. } => format!(
                "only root may name any group: name one of this user's own (`id -G`), or make \
                 {group} one of them (in a pod, `fsGroup: {group}`)"
            ),
            Self::Mode { .. } => "use 0600 for one reader and 0640 for a group, or 0400 and 0440; \
                 `--owner` and `--group` say who they are"
                .to_owned(),
            Self::NoFile { .. } => "name a file; without `--output` it goes to stdout".to_owned(),
            Self::NoFolder { path } => format!("mkdir -p {}", folder_of(path).display()),
            Self::Owner { .. } => {
                "only root may give files away: run this as root, or as the user \
                 who reads the file, or let a group read it (`--group`)"
                    .to_owned()
            }
            Self::Taken { path } => format!(
                "remove it, or choose another folder than {} with `--dir`",
                folder_of(path).display()
            ),
            Self::Writable { path, .. } => format!(
                "name a new folder in it, which is made private (`--dir {}`), or `chmod go-w {}`",
                path.join("session").display(),
                path.display()
            ),
            Self::Io { .. } | Self::Name { .. } | Self::Over { .. } => return None,
        };
        Some(hint)
    }
}
