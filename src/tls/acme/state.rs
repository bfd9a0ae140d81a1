//! What ACME keeps in `data_dir/acme/state.json`: the account and the certificate, so that a restart
//! orders nothing.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::tls::TlsError;

/// One file, so that what belongs together changes together.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct State {
    /// The CA that all of it is from; at another one it is worth nothing.
    pub(super) directory_url: String,
    pub(super) account: Option<Account>,
    pub(super) certificate: Option<Certificate>,
}

#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Account {
    pub(super) url: String,
    /// PKCS #8 in base64.
    pub(super) key: String,
}

#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Certificate {
    pub(super) domains: Vec<String>,
    /// PEM, the listener's own first.
    pub(super) chain: String,
    /// PKCS #8 in base64.
    pub(super) key: String,
}

/// Where the state is.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    /// Makes the folder (0700) if need be.
    pub(super) fn in_data_dir(data_dir: &Path) -> Result<Self, TlsError> {
        let folder = data_dir.join("acme");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|source| TlsError::File {
                setting: "data_dir",
                path: folder.clone(),
                source,
            })?;
        Ok(Self(folder.join("state.json")))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What was kept for this CA; of another one nothing is of use.
    pub(super) fn load(&self, directory_url: &str) -> Result<State, TlsError> {
        let nothing = State {
            directory_url: directory_url.to_owned(),
            account: None,
            certificate: None,
        };
        let text = match std::fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(nothing),
            Err(source) => {
                return Err(TlsError::File {
                    setting: "data_dir",
                    path: self.0.clone(),
                    source,
                });
            }
        };
        let state: State = serde_json::from_slice(&text).map_err(|_| self.damaged())?;
        Ok(if state.directory_url == directory_url {
            state
        } else {
            nothing
        })
    }

    pub(super) fn damaged(&self) -> TlsError {
        let what = "is damaged: remove it, and a certificate is ordered anew";
        TlsError::content("data_dir", &self.0, what)
    }

    /// Replaces the file in one step, readable by its owner only.
    pub(super) fn save(&self, state: &State) -> std::io::Result<()> {
        let beside = self.0.with_extension("new");
        // What a crash has left there has its own mode; it goes first.
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(state)?)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.0)?;
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_saved_is_found_again_for_the_same_ca_and_is_nobody_elses_to_read() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::in_data_dir(dir.path()).unwrap();
        assert!(place.load("https://a").unwrap().account.is_none());
        let state = State {
            directory_url: "https://a".to_owned(),
            account: Some(Account {
                url: "https://a/1".to_owned(),
                key: "a2V5".to_owned(),
            }),
            certificate: None,
        };
        place.save(&state).unwrap();
        place.save(&state).unwrap();
        assert_eq!(
            place.load("https://a").unwrap().account.unwrap().url,
            "https://a/1"
        );
        assert!(place.load("https://b").unwrap().account.is_none());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(place.path()), 0o600);
        assert_eq!(mode(place.path().parent().unwrap()), 0o700);

        std::fs::write(place.path(), "{").unwrap();
        let error = place.load("https://a").err().unwrap().to_string();
        assert!(
            error.contains("state.json: is damaged: remove it"),
            "{error}"
        );
    }
}
