//! Settings: the compiled-in defaults, a file, the environment, in this order; then checked.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Config, Environment, File, FileFormat};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::InvalidField;
use crate::domain::claims::{Lifetimes, MAX_LIFETIME};
use crate::domain::issuer::Issuer;
use crate::domain::key::{Algorithm, Policy};

/// Every key, its default, and one comment each.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// Environment variables with our prefix that are read elsewhere: by the runner's side and by
/// operator commands.
const NOT_SETTINGS: &[&str] = &[
    "RUNMINT_ADMIN_URL",
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

/// `[issuer]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// The issuer URL, byte for byte.
    pub url: String,
}

/// `[server]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSettings {
    /// Where the public listener listens.
    pub listen: SocketAddr,
    /// How long a request may take.
    pub request_timeout: Span,
    /// How large its body may be, in bytes.
    pub max_body: usize,
    /// How many requests are worked on at once.
    pub max_concurrency: usize,
    /// How long a shutdown waits for requests under way.
    pub shutdown_grace: Span,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Where the admin listener listens.
    pub listen: SocketAddr,
    /// The admin token; empty: a file in `data_dir`.
    pub token: Hidden,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: Hidden,
    /// How many connections.
    pub connections: u32,
}

/// `[keys]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// The algorithm of new keys.
    pub algorithm: Algorithm,
    /// The key-encryption key itself, in base64.
    pub sealing_key: Hidden,
    /// A file with it.
    pub sealing_key_file: PathBuf,
    /// A file with the one before it.
    pub previous_sealing_key_file: PathBuf,
}

/// `[rotation]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RotationSettings {
    /// How long a version signs.
    pub period: Span,
    /// How long it must have been seen outside before.
    pub prepublish: Span,
    /// How long others may cache the JWKS.
    pub jwks_max_age: Span,
    /// Added to every wait for others' caches.
    pub cache_leeway: Span,
    /// How long a version stays published after it stopped signing.
    pub trim_after: Span,
    /// How often the schedule is looked at.
    pub check_every: Span,
    /// Where the probe looks; empty: the issuer's own JWKS URL.
    pub probe_url: String,
}

/// `[tokens]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// When nothing is asked for.
    pub default_ttl: Span,
    /// At most while planning.
    pub plan_ttl: Span,
    /// At most while applying.
    pub apply_ttl: Span,
    /// Of a module test, when nothing is asked for.
    pub module_test_ttl: Span,
}

/// `[runs]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// The furthest deadline.
    pub max_open: Span,
}

/// `[events]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EventSettings {
    /// How long they are kept.
    pub keep: Span,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// For people or for programs.
    pub format: LogFormat,
    /// How much.
    pub level: LogLevel,
}

/// Of a log line.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text.
    Text,
}

/// Of runmint's own messages; libraries say warnings and errors only.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What an operator must look at.
    Error,
    /// What may become an error.
    Warn,
    /// What happens.
    Info,
    /// Why.
    Debug,
    /// Everything.
    Trace,
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
            .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()))
            .collect();
        let mut sources = Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
        if let Some(file) = file {
            sources = sources.add_source(File::from(file).format(FileFormat::Toml));
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
        if !self.admin.listen.ip().is_loopback() {
            warnings.push(
                "admin.listen is not a loopback address: whoever reaches it needs only the admin \
                 token to change keys"
                    .to_owned(),
            );
        }
        warnings
    }

    fn check(&self) -> Result<(), InvalidField> {
        self.issuer()?;
        self.rotation.check()?;
        self.tokens.check()?;
        let refuse = |field: &str, rule: &str| Err(InvalidField::new(field, rule));
        if self.server.listen == self.admin.listen && self.server.listen.port() != 0 {
            return refuse(
                "admin.listen",
                "is the address of `server.listen`; they must differ",
            );
        }
        if self.server.request_timeout.0.is_zero() {
            return refuse("server.request_timeout", "must be at least one second");
        }
        if self.server.max_concurrency == 0 {
            return refuse("server.max_concurrency", "must be at least 1");
        }
        if self.server.max_body < 1_024 {
            return refuse("server.max_body", "must be at least 1024 bytes");
        }
        if self.store.connections == 0 {
            return refuse("store.connections", "must be at least 1");
        }
        let token = &self.admin.token.0;
        if !token.is_empty() && token.len() < 16 {
            return refuse(
                "admin.token",
                "must have at least 16 characters, all of them random",
            );
        }
        if !self.keys.sealing_key.0.is_empty() && self.keys.sealing_key_file != Path::new("") {
            return refuse(
                "keys.sealing_key",
                "and `keys.sealing_key_file` are both given; keep one",
            );
        }
        if self.runs.max_open.0.is_zero() {
            return refuse("runs.max_open", "must be at least one second");
        }
        if self.events.keep.0 < Duration::from_hours(48) {
            return refuse(
                "events.keep",
                "must be at least 2d: the report after a leak needs the tokens that may be alive",
            );
        }
        Ok(())
    }
}

impl RotationSettings {
    fn apply_alias(&mut self, days: &str, period_given: bool) -> Result<(), InvalidField> {
        let parsed = days
            .trim()
            .parse::<u64>()
            .ok()
            .filter(|days| (1..=3_650).contains(days));
        let Some(parsed) = parsed else {
            return Err(InvalidField::new(
                PERIOD_ALIAS,
                format!("is {days:?}; it must be a number of days from 1 to 3650"),
            ));
        };
        let period = Duration::from_hours(24 * parsed);
        if period_given && self.period.0 != period {
            return Err(InvalidField::new(
                PERIOD_ALIAS,
                "contradicts RUNMINT_ROTATION__PERIOD; set one of them",
            ));
        }
        self.period = Span(period);
        Ok(())
    }

    fn check(&self) -> Result<(), InvalidField> {
        let refuse =
            |field: &str, rule: String| Err(InvalidField::new(format!("rotation.{field}"), rule));
        let Self {
            period,
            prepublish,
            jwks_max_age,
            cache_leeway,
            trim_after,
            check_every,
            ..
        } = self;
        let caches = jwks_max_age.0 + cache_leeway.0;
        if jwks_max_age.0 > Duration::from_hours(1) {
            return refuse(
                "jwks_max_age",
                "is over an hour: after a leak, relying parties would trust the key for as long"
                    .to_owned(),
            );
        }
        if prepublish.0 < caches {
            return refuse(
                "prepublish",
                format!(
                    "is {prepublish}, less than jwks_max_age + cache_leeway ({}): relying parties \
                     would meet a key that they have not fetched yet",
                    Span(caches)
                ),
            );
        }
        if prepublish.0 > period.0 {
            return refuse(
                "prepublish",
                format!("is {prepublish}, longer than period ({period})"),
            );
        }
        if period.0 < Duration::from_secs(1) {
            return refuse("period", "must be at least one second".to_owned());
        }
        if trim_after.0 > Duration::from_hours(30 * 24) {
            return refuse("trim_after", "must be at most 30d".to_owned());
        }
        if check_every.0 < Duration::from_secs(1) || check_every.0 > Duration::from_mins(10) {
            return refuse("check_every", "must be from 1s to 10m".to_owned());
        }
        let url = &self.probe_url;
        let is_http = url.starts_with("https://") || url.starts_with("http://");
        if !url.is_empty() && !is_http {
            return refuse(
                "probe_url",
                "must be the http(s) URL of the published JWKS".to_owned(),
            );
        }
        Ok(())
    }
}

impl TokenSettings {
    fn check(&self) -> Result<(), InvalidField> {
        let ttls = [
            ("default_ttl", self.default_ttl),
            ("plan_ttl", self.plan_ttl),
            ("apply_ttl", self.apply_ttl),
        ];
        for (name, ttl) in ttls {
            let field = format!("tokens.{name}");
            if ttl.0 > MAX_LIFETIME {
                return Err(InvalidField::new(
                    field,
                    format!("is {ttl}; AWS and GCP refuse tokens older than 24h"),
                ));
            }
            if ttl.0 < Duration::from_secs(1) {
                return Err(InvalidField::new(field, "must be at least one second"));
            }
        }
        let module_test = self.module_test_ttl.0;
        if module_test < Duration::from_mins(5) || module_test > Duration::from_mins(30) {
            return Err(InvalidField::new(
                "tokens.module_test_ttl",
                "must be from 5m to 30m",
            ));
        }
        Ok(())
    }
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

/// A duration in whole seconds, written `90d`, `24h`, `5m`, `30s`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
        match units
            .iter()
            .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", seconds / unit),
            None => write!(f, "{seconds}s"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text).map_err(|_| {
            D::Error::custom(format!(
                "{text:?} is no duration such as 90d, 24h, 5m or 30s"
            ))
        })?;
        if duration.subsec_nanos() != 0 {
            return Err(D::Error::custom(format!(
                "{text:?} is not a whole number of seconds"
            )));
        }
        Ok(Self(duration))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A setting that may hold a secret: it is never printed.
#[derive(Clone, Default, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL is shown without its password, since the rest of it is what one looks for.
        match url::Url::parse(&self.0) {
            Ok(url) if url.scheme() == "sqlite" => f.write_str(&self.0),
            Ok(mut url) if url.has_host() => {
                if url.password().is_some() {
                    let _ = url.set_password(Some("********"));
                }
                url.set_query(None);
                f.write_str(url.as_str())
            }
            _ if self.0.is_empty() => Ok(()),
            _ => f.write_str("********"),
        }
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
