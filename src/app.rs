//! The application: everything that the routes and the background jobs share, built once.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use crate::audit::{Recorder, RecorderTask};
use crate::auth::AdminToken;
use crate::auth::secret::{Kind, Secret, SecretError};
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::InvalidField;
use crate::domain::issuer::Issuer;
use crate::domain::key::Policy;
use crate::keys::keyring::{KeyringError, KeyringHandle};
use crate::keys::publish::Probe;
use crate::keys::rotation::{Rotation, RotationError};
use crate::keys::seal::{SealError, Sealer, SealingKey};
use crate::metrics::Metrics;
use crate::mint::Mint;
use crate::store::{Store, StoreError};

/// What all parts share; cloning it copies pointers.
#[derive(Clone, Debug)]
pub struct App {
    /// The settings, checked.
    pub settings: Arc<Settings>,
    /// The issuer, one value.
    pub issuer: Arc<Issuer>,
    /// When keys change.
    pub policy: Arc<Policy>,
    /// Where the time comes from.
    pub clock: Clock,
    /// The database.
    pub store: Store,
    /// What signs and what is published.
    pub keyring: Arc<KeyringHandle>,
    /// What changes that.
    pub rotation: Rotation,
    /// What looks at it from outside.
    pub probe: Probe,
    /// What remembers.
    pub recorder: Recorder,
    /// What mints.
    pub mint: Mint,
    /// Whom operators are told by.
    pub admin_token: AdminToken,
    /// What is counted.
    pub metrics: Metrics,
}

/// Why it could not be built.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A setting.
    #[error(transparent)]
    Setting(#[from] InvalidField),
    /// A file.
    #[error("`{setting}`: {path}: {source}")]
    File {
        /// The setting that names it or its folder.
        setting: &'static str,
        /// Its path.
        path: String,
        /// What happened.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys in it.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The key-encryption key.
    #[error("`{from}`: {source}")]
    SealingKey {
        /// Where it was read from.
        from: String,
        /// What is wrong with it.
        source: SealError,
    },
    /// The first key.
    #[error("no signing key could be made: {0}")]
    FirstKey(#[from] RotationError),
    /// Randomness.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The TLS library.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// Where the admin token is, in `data_dir`.
pub const ADMIN_TOKEN_FILE: &str = "admin-token";

const SEALING_KEY_FILE: &str = "sealing-key";

/// How often a new replica looks whether another one has made the first key.
const FIRST_KEY_POLL: Duration = Duration::from_millis(100);

/// How often it looks before it gives up.
const FIRST_KEY_POLLS: u32 = 600;

impl App {
    /// Opens the database and builds the application on it.
    ///
    /// # Errors
    /// What is missing or wrong, with the setting or the file named.
    pub async fn build(settings: Settings, clock: Clock) -> Result<(Self, RecorderTask), AppError> {
        // Before the database makes its file there.
        make_data_dir(&settings.data_dir)?;
        let store = Store::connect(&settings.store_url(), settings.store.connections).await?;
        Self::on_store(settings, store, clock).await
    }

    /// Loads the keys (makes the first one if there is none) and starts the audit worker.
    ///
    /// # Errors
    /// What is missing or wrong, with the setting or the file named.
    pub async fn on_store(
        settings: Settings,
        store: Store,
        clock: Clock,
    ) -> Result<(Self, RecorderTask), AppError> {
        let metrics = Metrics::default();
        let issuer = Arc::new(settings.issuer()?);
        let policy = Arc::new(settings.policy());
        for warning in settings.warnings() {
            tracing::warn!("{warning}");
        }
        make_data_dir(&settings.data_dir)?;
        let sealer = sealer(&settings)?;
        let admin_token = admin_token(&settings)?;

        let now = clock.now();
        if let Err(error) = store.maintain(now - settings.events.keep.0, now).await {
            // Housekeeping; the job tries it again, and nothing is lost without it.
            tracing::warn!(%error, "old events could not be dropped");
        }
        let keyring = KeyringHandle::load(store.clone(), Arc::clone(&issuer), sealer, now).await?;
        let keyring = Arc::new(keyring);
        let rotation = Rotation {
            store: store.clone(),
            keyring: Arc::clone(&keyring),
            policy: Arc::clone(&policy),
            holder: Uuid::new_v4().to_string(),
            metrics: metrics.clone(),
            wake: Arc::new(Notify::new()),
        };
        first_key(&rotation, &clock).await?;
        if let Err(error) = keyring.current().signer() {
            return Err(match &**error {
                KeyringError::Seal(source) => AppError::SealingKey {
                    from: sealing_key_source(&settings),
                    source: source.clone(),
                },
                other => AppError::Setting(InvalidField::new(
                    "keys",
                    format!("cannot be used: {other}"),
                )),
            });
        }

        let (recorder, task) = Recorder::start(store.clone(), metrics.clone());
        let mint = Mint {
            issuer: Arc::clone(&issuer),
            lifetimes: Arc::new(settings.lifetimes()),
            keyring: Arc::clone(&keyring),
            recorder: recorder.clone(),
            metrics: metrics.clone(),
        };
        let app = Self {
            probe: Probe::new(settings.probe_url(&issuer))?,
            settings: Arc::new(settings),
            issuer,
            policy,
            clock,
            store,
            keyring,
            rotation,
            recorder,
            mint,
            admin_token,
            metrics,
        };
        Ok((app, task))
    }
}

/// Makes the first key, or waits until the replica that was faster has made it.
async fn first_key(rotation: &Rotation, clock: &Clock) -> Result<(), AppError> {
    for _ in 0..FIRST_KEY_POLLS {
        if rotation.keyring.current().active().is_some() {
            return Ok(());
        }
        let now = rotation.now(clock).await?;
        if rotation.turn(&[], now).await?.is_empty() {
            tokio::time::sleep(FIRST_KEY_POLL).await;
            rotation.keyring.refresh(now).await?;
        }
    }
    Err(AppError::Keyring(KeyringError::NoActiveKey))
}

fn sealer(settings: &Settings) -> Result<Sealer, AppError> {
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

fn sealing_key_source(settings: &Settings) -> String {
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

fn admin_token(settings: &Settings) -> Result<AdminToken, AppError> {
    if !settings.admin.token.0.is_empty() {
        return admin_token_of("admin.token", &settings.admin.token.0);
    }
    let path = settings.data_dir.join(ADMIN_TOKEN_FILE);
    let (text, made) = read_or_make(&path, || {
        Ok(Secret::generate(Kind::Admin)?.expose().to_owned())
    })?;
    if made {
        tracing::info!(file = %path.display(), "an admin token was made");
    }
    admin_token_of(&path.display().to_string(), &text)
}

/// Takes a token that can be shown again: what is mistyped here would be refused for ever.
fn admin_token_of(from: &str, text: &str) -> Result<AdminToken, AppError> {
    let token = text.trim();
    if token.len() < 16 {
        let rule = "must have at least 16 characters, all of them random";
        return Err(InvalidField::new(from, rule).into());
    }
    if token.starts_with(Kind::Admin.prefix()) {
        Secret::parse(Kind::Admin, token)
            .map_err(|error| InvalidField::new(from, format!("cannot be used: {error}")))?;
    }
    Ok(AdminToken::new(token))
}

fn make_data_dir(path: &Path) -> Result<(), AppError> {
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

fn read(setting: &'static str, path: &Path) -> Result<String, AppError> {
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
    let folder = path.parent().unwrap_or(Path::new("."));
    // A link, unlike a rename, leaves alone what is there already.
    match std::fs::hard_link(&beside, path) {
        Ok(()) => {
            std::fs::remove_file(&beside).map_err(failed)?;
            // A power cut that kept the database but lost this name would lose the keys in it.
            std::fs::File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(failed)?;
            Ok((text, true))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            std::fs::remove_file(&beside).map_err(failed)?;
            let text = std::fs::read_to_string(path).map_err(failed)?;
            Ok((text, false))
        }
        // Not every file system has links.
        Err(_) => {
            std::fs::rename(&beside, path).map_err(failed)?;
            Ok((text, true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::CallingClient;
    use crate::domain::claims::Audience;
    use crate::domain::client::Client;
    use crate::domain::event::{Actor, EventKind};
    use crate::domain::grant::AllowedAudience;
    use crate::domain::key::Algorithm;
    use crate::domain::name::Name;
    use crate::domain::time::Timestamp;
    use crate::domain::workload::{SentIds, Workload};
    use crate::keys::keyring::Keyring;
    use crate::keys::signer::{GeneratedKey, Signer};
    use crate::mint::{MintError, Order};
    use crate::store::{AddClient, EventFilter};

    const NOW: Timestamp = Timestamp(1_795_400_000);
    const SEALING_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    /// The fault that no other check stands in front of: the keyring in memory holds a signer whose
    /// key is another one than its `kid` says.
    #[tokio::test]
    async fn a_wrong_key_in_the_signer_is_an_alarm_and_never_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let environment = [
            ("RUNMINT_DATA_DIR", dir.path().to_str().unwrap()),
            ("RUNMINT_STORE__URL", "sqlite::memory:"),
            ("RUNMINT_KEYS__ALGORITHM", "ES256"),
            ("RUNMINT_KEYS__SEALING_KEY", SEALING_KEY),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::load(None, environment.into()).unwrap();
        let (app, _recorder) = App::build(settings, Clock::manual(NOW)).await.unwrap();
        let secret = Secret::generate(Kind::Client).unwrap();
        let client = Client {
            name: Name::parse("name", "atlantis").unwrap(),
            grants: Vec::new(),
            aws_session_tags: false,
            created_at: NOW,
        };
        let add = AddClient {
            client,
            secret_hash: secret.hash(),
        };
        app.store
            .add_client(&add, &Actor::Operator, NOW)
            .await
            .unwrap();
        let caller = CallingClient::authenticate(secret.expose(), &app.store)
            .await
            .unwrap();
        let subject = "organization:acme:project:p:workspace:w:run_phase:plan"
            .parse()
            .unwrap();
        let workload = Workload::new(subject, SentIds::default(), &[0; 16]).unwrap();
        let audience = Audience::parse("audience", "aws.workload.identity").unwrap();
        let audiences = [AllowedAudience {
            audience,
            max_ttl: None,
        }];
        let order = || Order::of_client(&caller, &workload, &audiences, None);
        assert_eq!(app.mint.mint(&order(), NOW).await.unwrap().len(), 1);

        let right = app.keyring.current();
        let (version, kid) = (
            right.active().unwrap().version,
            &right.active().unwrap().kid,
        );
        let other = GeneratedKey::generate(Algorithm::ES256).unwrap();
        let wrong = Signer::new(version, kid, Algorithm::ES256, &other.private).unwrap();
        let sealer = Sealer::new(SealingKey::parse(SEALING_KEY).unwrap(), Vec::new());
        let keys = app.store.keys().await.unwrap();
        let keyring = Keyring::build(right.revision, keys, &app.issuer, &sealer, None).unwrap();
        app.keyring.replace(keyring.with_signer(wrong));

        let error = app.mint.mint(&order(), NOW).await.unwrap_err();
        assert!(matches!(error, MintError::Faulty), "{error}");
        assert_eq!(app.metrics.faulty_tokens.get(), 1);
        let filter = EventFilter {
            kind: Some(EventKind::TokenFaulty),
            ..EventFilter::default()
        };
        assert_eq!(app.store.events(&filter, 10).await.unwrap().len(), 1);
    }
}
