//! The sections of the settings, as the file has them.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::listeners::{AcmeSettings, AdminTlsSettings, TlsSettings};
use super::values::{Hidden, Networks, Span};
use crate::domain::key::Algorithm;

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
    /// How many connections each listener holds.
    pub max_connections: usize,
    /// How long a shutdown waits for requests under way.
    pub shutdown_grace: Span,
    /// What the public listener proves itself with.
    pub tls: TlsSettings,
    /// Or how it gets a certificate by itself.
    pub acme: AcmeSettings,
}

/// `[admin]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Where the admin listener listens.
    pub listen: SocketAddr,
    /// The admin token; empty: a file in `data_dir`.
    pub token: Hidden,
    /// The admin token before it, taken as well; empty: none.
    pub previous_token: Hidden,
    /// What the admin listener proves itself with, and whom it lets in.
    pub tls: AdminTlsSettings,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// How many failed authentications one address may have in a minute; 0: no limit.
    pub failures_per_minute: u32,
    /// How many requests one client, or one run, may send in a second; 0: no limit.
    pub requests_per_second: u32,
    /// How many requests one address may send in a second; 0: no limit.
    pub address_requests_per_second: u32,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Networks,
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
    /// The CA that its certificate is from (PEM); empty: those of the system.
    pub probe_ca_file: PathBuf,
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
