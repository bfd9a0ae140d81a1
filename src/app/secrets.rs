//! The secrets of this machine, from the settings or from files in `data_dir` that are made on the
//! first start: the key-encryption key and the admin token.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use uuid::Uuid;

use super::{ADMIN_TOKEN_FILE, AppError};
use crate::auth::AdminTokens;
use crate::auth::secret::{Kind, Secret};
use crate::config::Settings;
use crate::domain::InvalidField;
use crate::keys::seal::{Sealer, SealingKey};

const SEALING_KEY_FILE: &str = "sealing-key";

pub(super) fn sealer(settings: &Settings) -> Result<Sealer, AppError> {
    let parse = |from: &str, text: &str| {
        SealingKey::parse(text).map_err(|source| AppError::SealingKey {
            from: from.to_owned(),
            source,
        })
    };
    let keys = &settings.keys;
    let current = if !keys.sealing_key.0.is_empty() {
        parse("keys.sealing_key", &keys.sealing_key.0)?
    } else if keys.sealing_key_file != Path::new("") {
        parse(
            "keys.sealing_key_file",
            &read("keys.sealing_key_file", &keys.sealing_key_file)?,
        )?
    } else if settings.store.url.0.starts_with("sqlite:") {
        let path = settings.data_dir.join(SEALING_KEY_FILE);
        let (text, made) = read_or_make(&path, || {
            SealingKey::generate()
                .map(|text| text.to_string())
                .map_err(|source| AppError::SealingKey {
                    from: SEALING_KEY_FILE.to_owned(),
                    source,
                })
        })?;
        if made {
            tracing::warn!(
                file = %path.display(),
                "a key-encryption key was made: keep a copy of this file; \
                 without it the signing keys in the database cannot be read"
            );
        }
        parse(SEALING_KEY_FILE, &text)?
    } else {
        return Err(InvalidField::new(
            "keys.sealing_key_file",
            "is needed with Postgres, because all replicas share it: \
             `openssl rand -base64 32 > sealing-key`, or RUNMINT_KEYS__SEALING_KEY",
        )
        .into());
    };
    let previous = if keys.previous_sealing_key_file == Path::new("") {
        Vec::new()
    } else {
        let text = read(
            "keys.previous_sealing_key_file",
            &keys.previous_sealing_key_file,
        )?;
        vec![parse("keys.previous_sealing_key_file", &text)?]
    };
    Ok(Sealer::new(current, previous))
}

pub(super) fn sealing_key_source(settings: &Settings) -> String {
    let keys = &settings.keys;
    if !keys.sealing_key.0.is_empty() {
        "keys.sealing_key".to_owned()
    } else if keys.sealing_key_file != Path::new("") {
        format!(
            "keys.sealing_key_file` = `{}",
            keys.sealing_key_file.display()
        )
    } else {
        settings
            .data_dir
            .join(SEALING_KEY_FILE)
            .display()
            .to_string()
    }
}

/// The admin token and, while it is being changed, the one before it.
pub(super) fn admin_tokens(settings: &Settings) -> Result<AdminTokens, AppError> {
    let previous = match settings.admin.previous_token.0.as_str() {
        "" => None,
        text => Some(admin_token_of("admin.previous_token", text)?),
    };
    if !settings.admin.token.0.is_empty() {
        let current = admin_token_of("admin.token", &settings.admin.token.0)?;
        return Ok(AdminTokens::new(current, previous));
    }
    let path = settings.data_dir.join(ADMIN_TOKEN_FILE);
    let (text, made) = read_or_make(&path, || {
        Ok(Secret::generate(Kind::Admin)?.expose().to_owned())
    })?;
    if made {
        tracing::info!(file = %path.display(), "an admin token was made");
    }
    let current = admin_token_of(&path.display().to_string(), &text)?;
    Ok(AdminTokens::new(current, previous))
}

/// Takes a token that can be shown again: what is mistyped here would be refused for ever.
fn admin_token_of<'a>(from: &str, text: &'a str) -> Result<&'a str, AppError> {
    let token = text.trim();
    if token.len() < 16 {
        let rule = "must have at least 16 characters, all of them random";
        return Err(InvalidField::new(from, rule).into());
    }
    if token.starts_with(Kind::Admin.prefix()) {
        Secret::parse(Kind::Admin, token)
            .map_err(|error| InvalidField::new(from, format!("cannot be used: {error}")))?;
    }
    Ok(token)
}

pub(super) fn make_data_dir(path: &Path) -> Result<(), AppError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| AppError::File {
            setting: "data_dir",
            path: path.display().to_string(),
            source,
        })
}

pub(super) fn read(setting: &'static str, path: &Path) -> Result<String, AppError> {
    std::fs::read_to_string(path).map_err(|source| AppError::File {
        setting,
        path: path.display().to_string(),
        source,
    })
}

/// What the file says, and whether it was made just now (mode 0600, never half written). Of several
/// processes that make it at once one is the first, and all take what that one wrote.
fn read_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<String, AppError>,
) -> Result<(String, bool), AppError> {
    let failed = |source| AppError::File {
        setting: "data_dir",
        path: path.display().to_string(),
        source,
    };
    match std::fs::read_to_string(path) {
        Ok(text) => return Ok((text, false)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let text = make()?;
    let beside = path.with_extension(Uuid::new_v4().to_string());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    // A link, unlike a rename, leaves alone what is there already.
    let (text, made) = match std::fs::hard_link(&beside, path) {
        Ok(()) => (text, true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            (std::fs::read_to_string(path).map_err(failed)?, false)
        }
        // Some file systems have no links; there, one process makes the file.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unsupported | ErrorKind::PermissionDenied
            ) =>
        {
            std::fs::rename(&beside, path).map_err(failed)?;
            return sync_folder(path).map(|()| (text, true)).map_err(failed);
        }
        Err(error) => return Err(failed(error)),
    };
    std::fs::remove_file(&beside)
        .and_then(|()| sync_folder(path))
        .map_err(failed)?;
    Ok((text, made))
}

/// A power cut that kept the database but lost a name made just now would lose the keys in it.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::File::open(folder).and_then(|folder| folder.sync_all())
}
