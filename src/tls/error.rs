//! Why a listener cannot speak TLS.

use std::path::{Path, PathBuf};

/// Each names the setting, the file, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("`{setting}`: {}: {source}", .path.display())]
    File {
        /// The setting that names it or its folder.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{setting}`: {}: {what}", .path.display())]
    Content {
        /// The setting that names it or its folder.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The HTTP client for the CA.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
    /// The TLS library.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
    /// The library of cryptography.
    #[error("no key could be made")]
    Crypto,
}

impl TlsError {
    pub(super) fn content(setting: &'static str, path: &Path, what: impl Into<String>) -> Self {
        Self::Content {
            setting,
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

pub(super) fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::File {
        setting,
        path: path.to_owned(),
        source,
    })
}
