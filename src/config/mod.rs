//! Settings: the compiled-in defaults, a file, the environment, in this order; then checked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Environment, File, FileFormat};
use serde::{Deserialize, Serialize};

use crate::domain::InvalidField;
use crate::domain::issuer::Issuer;
use crate::domain::key::Policy;
use crate::domain::lifetime::Lifetimes;

mod check;
mod listeners;
mod sections;
mod values;

pub use listeners::{AcmeSettings, AdminTlsSettings, TlsSettings};
pub use sections::{
    AdminSettings, EventSettings, IssuerSettings, KeySettings, LimitSettings, LogFormat, LogLevel,
    LogSettings, RotationSettings, RunSettings, ServerSettings, StoreSettings, TokenSettings,
};
pub use values::{Hidden, Names, Networks, Span};

/// Every key, its default, and one comment each.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");

/// Environment variables with our prefix that are read elsewhere: by the runner's side and by
/// operator commands.
const NOT_SETTINGS: &[&str] = &[
    "RUNMINT_ADMIN_CA",
    "RUNMINT_ADMIN_CERT",
    "RUNMINT_ADMIN_KEY",
    "RUNMINT_ADMIN_URL",
    "RUNMINT_CA",
    "RUNMINT_CLIENT_SECRET",
    "RUNMINT_CONFIG",
    "RUNMINT_REQUEST_TOKEN",
    "RUNMINT_REQUEST_URL",
    "RUNMINT_URL",
];

/// Terraform Enterprise's name for the rotation period, in days.
const PERIOD_ALIAS: &str = "WORKLOAD_IDENTITY_AUTO_ROTATE_PERIOD";

/// All settings, checked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where keys and tokens of this machine are kept.
    pub data_dir: PathBuf,
    /// The issuer.
    pub issuer: IssuerSettings,
    /// The public listener.
    pub server: ServerSettings,
    /// The admin listener.
    pub admin: AdminSettings,
    /// What a caller may cost.
    pub limits: LimitSettings,
    /// The database.
    pub store: StoreSettings,
    /// Signing keys.
    pub keys: KeySettings,
    /// When they change.
    pub rotation: RotationSettings,
    /// How long tokens live.
    pub tokens: TokenSettings,
    /// Runs.
    pub runs: RunSettings,
    /// The audit log.
    pub events: EventSettings,
    /// What is logged.
    pub log: LogSettings,
}

/// Why the settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read or is not TOML.
    #[error("{0}")]
    Source(String),
    /// One setting.
    #[error(transparent)]
    Setting(#[from] InvalidField),
}

impl Settings {
    /// Reads the defaults, then `file`, then `environment`, and checks what comes out.
    ///
    /// # Errors
    /// Names the key that is unknown, malformed, or contradicts another one.
    pub fn load(
        file: Option<&Path>,
        environment: HashMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let alias = environment.get(PERIOD_ALIAS).cloned();
        let period_given = environment.contains_key("RUNMINT_ROTATION__PERIOD");
        let ours = environment
            .into_iter()
            .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()) && !is_service_link(name))
            .collect();
        let mut sources = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = file {
            sources = sources.add_source(File::from_str(&read(file)?, FileFormat::Toml));
        }
        let sources = sources.add_source(
            Environment::with_prefix("RUNMINT")
                .prefix_separator("_")
                .separator("__")
                .source(Some(ours)),
        );
        let merged = sources
            .build()
            .map_err(|error| ConfigError::Source(error.to_string()))?;
        let mut settings: Self = serde_path_to_error::deserialize(merged).map_err(refusal)?;
        if let Some(days) = alias {
            settings.rotation.apply_alias(&days, period_given)?;
        }
        settings.check()?;
        Ok(settings)
    }

    /// The issuer.
    ///
    /// # Errors
    /// Names `issuer.url`.
    pub fn issuer(&self) -> Result<Issuer, InvalidField> {
        Issuer::parse(&self.issuer.url)
    }

    /// When keys change.
    pub fn policy(&self) -> Policy {
        let RotationSettings {
            period,
            prepublish,
            jwks_max_age,
            cache_leeway,
            trim_after,
            check_every,
            probe_url: _,
            probe_ca_file: _,
        } = &self.rotation;
        Policy {
            algorithm: self.keys.algorithm,
            period: period.0,
            prepublish: prepublish.0,
            jwks_max_age: jwks_max_age.0,
            cache_leeway: cache_leeway.0,
            trim_after: trim_after.0,
            check_every: check_every.0,
        }
    }

    /// How long tokens live.
    pub fn lifetimes(&self) -> Lifetimes {
        let TokenSettings {
            default_ttl,
            plan_ttl,
            apply_ttl,
            module_test_ttl,
        } = &self.tokens;
        Lifetimes {
            default: default_ttl.0,
            plan: plan_ttl.0,
            apply: apply_ttl.0,
            module_test: module_test_ttl.0,
        }
    }

    /// The store's URL; a relative SQLite path is under `data_dir`.
    pub fn store_url(&self) -> String {
        let url = &self.store.url.0;
        match url.strip_prefix("sqlite:") {
            Some("" | ":memory:") | None => url.clone(),
            Some(path) if Path::new(path).is_absolute() => url.clone(),
            Some(path) => format!("sqlite:{}", self.data_dir.join(path).display()),
        }
    }

    /// Where the probe looks.
    pub fn probe_url(&self, issuer: &Issuer) -> String {
        match self.rotation.probe_url.as_str() {
            "" => issuer.url_of("/.well-known/jwks"),
            url => url.to_owned(),
        }
    }

    /// Settings that are allowed and that somebody should know about.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self
            .issuer()
            .map(|issuer| issuer.warnings())
            .unwrap_or_default();
        warnings.extend(self.keys.algorithm.warning().map(str::to_owned));
        if self.rotation.jwks_max_age.0 < Duration::from_mins(1) {
            warnings.push(
                "rotation.jwks_max_age is under a minute: good for a trial, \
                 but relying parties will fetch the keys very often"
                    .to_owned(),
            );
        }
        if !self.admin.listen.ip().is_loopback() && !self.admin.tls.asks_for_client() {
            warnings.push(
                "admin.listen is not a loopback address: whoever reaches it needs only the admin \
                 token to change keys; `admin.tls.client_ca_file` asks for a certificate as well"
                    .to_owned(),
            );
        }
        if !self.admin.previous_token.0.is_empty() {
            warnings.push(
                "admin.previous_token is set: two admin tokens are good; remove it once the new one \
                 is everywhere"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Kubernetes tells every pod about every Service (`docker` links did the same): one that is called
/// `runmint` gives `RUNMINT_SERVICE_HOST`, `RUNMINT_PORT_8080_TCP_ADDR` and more. None of them is a
/// setting of ours; ours have `__` between levels.
fn is_service_link(name: &str) -> bool {
    let Some(rest) = name
        .strip_prefix("RUNMINT_")
        .filter(|rest| !rest.contains("__"))
    else {
        return false;
    };
    let rest = format!("_{rest}");
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.ends_with("_PORT")
        || rest.contains("_PORT_")
}

/// Reads a file of settings and says where it is no TOML, without the line itself: it may hold a
/// secret.
fn read(file: &Path) -> Result<String, ConfigError> {
    let path = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError::Source(format!("`--config`: {path}: {error}")))?;
    if let Err(error) = text.parse::<toml::Table>() {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let message = error.message();
        return Err(ConfigError::Source(format!(
            "`--config`: {path}, line {line}: {message}"
        )));
    }
    Ok(text)
}

/// Puts the path of the key in front of what serde says about it.
fn refusal(error: serde_path_to_error::Error<config::ConfigError>) -> ConfigError {
    let path = error.path().to_string();
    let message = match error.into_inner() {
        config::ConfigError::At { error, .. } => error.to_string(),
        other => other.to_string(),
    };
    let message = message.strip_prefix("invalid value: ").unwrap_or(&message);
    let unknown = message
        .strip_prefix("unknown field `")
        .and_then(|rest| rest.split_once('`'));
    let (field, rule) = match unknown {
        Some((name, _)) if path == "." => (name.to_owned(), "is not a setting".to_owned()),
        Some((name, _)) if path.ends_with(name) => (path, "is not a setting".to_owned()),
        Some((name, _)) => (format!("{path}.{name}"), "is not a setting".to_owned()),
        None => (path, format!("cannot be used: {message}")),
    };
    InvalidField::new(
        field,
        format!("{rule}; config/default.toml (`runmint config show`) lists them all"),
    )
    .into()
}
