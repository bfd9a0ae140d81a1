//! The application: everything that the routes and the background jobs share, built once.

mod secrets;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use self::secrets::{admin_tokens, make_data_dir, read, sealer, sealing_key_source};
use crate::audit::{Recorder, RecorderTask};
use crate::auth::federation::Federation;
use crate::auth::secret::SecretError;
use crate::auth::{AdminTokens, LastUsed, Lookup};
use crate::clock::Clock;
use crate::config::Settings;
use crate::domain::InvalidField;
use crate::domain::issuer::Issuer;
use crate::domain::key::Policy;
use crate::keys::keyring::{KeyringError, KeyringHandle};
use crate::keys::publish::Probe;
use crate::keys::rotation::{Rotation, RotationError};
use crate::keys::seal::SealError;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::mint::Mint;
use crate::store::{Store, StoreError};

/// What all parts share; cloning it copies one pointer, as each request does a few times.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>);

/// See [`App`], which derefs to this.
#[derive(Debug)]
pub struct Parts {
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
    /// Whose tokens are accepted.
    pub federation: Arc<Federation>,
    /// What remembers.
    pub recorder: Recorder,
    /// What mints.
    pub mint: Mint,
    /// Whom the first operator is told by.
    pub admin_tokens: AdminTokens,
    /// What finds out whose secrets they are.
    pub lookup: Lookup,
    /// What remembers when secrets were last used.
    pub last_used: LastUsed,
    /// What callers may cost.
    pub limits: Limits,
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

/// How often a new replica looks whether another one has made the first key.
const FIRST_KEY_POLL: Duration = Duration::from_millis(100);

/// How often it looks before it gives up.
const FIRST_KEY_POLLS: u32 = 600;

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

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
        let admin_tokens = admin_tokens(&settings)?;

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

        let federation = Arc::new(Federation::load(store.clone()).await?);
        let (recorder, task) = Recorder::start(store.clone(), metrics.clone());
        let mint = Mint {
            issuer: Arc::clone(&issuer),
            lifetimes: Arc::new(settings.lifetimes()),
            keyring: Arc::clone(&keyring),
            recorder: recorder.clone(),
            metrics: metrics.clone(),
        };
        let app = Parts {
            limits: Limits::new(&settings.limits, metrics.clone()),
            probe: Probe::new(settings.probe_url(&issuer), probe_cas(&settings)?)?,
            settings: Arc::new(settings),
            issuer,
            policy,
            clock,
            lookup: Lookup::start(&store, &metrics),
            last_used: LastUsed::start(&store),
            store,
            keyring,
            rotation,
            federation,
            recorder,
            mint,
            admin_tokens,
            metrics,
        };
        Ok((Self(Arc::new(app)), task))
    }
}

/// The CAs that the probe trusts instead of the system's.
fn probe_cas(settings: &Settings) -> Result<Vec<reqwest::Certificate>, AppError> {
    let (setting, path) = ("rotation.probe_ca_file", &settings.rotation.probe_ca_file);
    if path.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let cas = reqwest::Certificate::from_pem_bundle(read(setting, path)?.as_bytes());
    cas.ok().filter(|cas| !cas.is_empty()).ok_or_else(|| {
        let rule = format!(
            "names {}, which holds no certificate in PEM",
            path.display()
        );
        InvalidField::new(setting, rule).into()
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::CallingClient;
    use crate::auth::secret::{Kind, Secret};
    use crate::domain::claims::Audience;
    use crate::domain::client::Client;
    use crate::domain::event::{Actor, EventKind};
    use crate::domain::grant::AllowedAudience;
    use crate::domain::key::Algorithm;
    use crate::domain::name::Name;
    use crate::domain::secret::NewSecret;
    use crate::domain::time::Timestamp;
    use crate::domain::workload::{SentIds, Workload};
    use crate::keys::keyring::Keyring;
    use crate::keys::seal::{Sealer, SealingKey};
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
            secret: NewSecret {
                hash: secret.hash(),
                expires_at: None,
            },
        };
        app.store
            .add_client(&add, &Actor::Schedule, NOW)
            .await
            .unwrap();
        let caller = CallingClient::authenticate(secret.expose(), &app.lookup, NOW)
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
