//! What Prometheus is told. One registry per [`crate::app::App`], so tests run side by side.

use std::ops::Deref;
use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::domain::key::{KeyVersion, Policy};
use crate::domain::time::Timestamp;

/// All series; cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Series>);

/// See [`Metrics`], which derefs to this.
#[derive(Debug)]
pub struct Series {
    registry: Registry,
    /// Tokens asked for, by algorithm and result.
    pub tokens: Family<TokenLabels, Counter>,
    /// Seconds from the request for a token to its answer.
    pub mint_seconds: Histogram,
    /// Tokens withheld because they did not verify against the published keys: an alarm.
    pub faulty_tokens: Counter,
    /// Records per committed audit transaction.
    pub batch_size: Histogram,
    /// Events that were not recorded: too many at once, or the database did not take them.
    pub events_dropped: Counter,
    /// Requests and connections that were turned away, by the limit that they met.
    pub limited: Family<LimitLabels, Counter>,
    /// Failures of the database, by what was asked of it.
    pub store_errors: Family<OperationLabels, Counter>,
    /// Answers by listener and status.
    pub responses: Family<ResponseLabels, Counter>,
    /// When the probe last succeeded, in seconds since 1970.
    pub last_probe: Gauge,
    /// Whether the last probe saw the key that signs.
    pub active_key_visible: Gauge,
    /// Rotations that failed.
    pub rotation_failures: Counter,
    /// When the database last confirmed the keys, in seconds since 1970.
    pub keyring_checked: Gauge,
    /// Whether this replica can sign.
    pub can_sign: Gauge,
    /// When each listener's certificate ends, in seconds since 1970.
    pub certificate_not_after: Family<ListenerLabels, Gauge>,
    /// Orders for a certificate that failed (ACME).
    pub acme_failures: Counter,
    rotation_overdue_in: Gauge,
    key_state: Family<KeyLabels, Gauge>,
    key_age: Family<VersionLabels, Gauge>,
    key_revision: Gauge,
}

/// Labels of [`Series::tokens`].
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct TokenLabels {
    /// `RS256`, `ES256`, `EdDSA`, or `none` when it did not get so far.
    pub algorithm: &'static str,
    /// `minted`, `refused`, `unavailable` or `faulty`.
    pub result: &'static str,
}

/// Labels of [`Series::limited`].
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct LimitLabels {
    /// The setting, without its section.
    pub limit: &'static str,
}

/// Labels of [`Series::store_errors`].
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct OperationLabels {
    /// What was asked of the database.
    pub operation: &'static str,
}

/// Labels of [`Series::responses`].
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ResponseLabels {
    /// `public` or `admin`.
    pub listener: &'static str,
    /// The HTTP status.
    pub status: u16,
}

/// Labels of [`Series::certificate_not_after`].
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub struct ListenerLabels {
    /// `public` or `admin`.
    pub listener: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct KeyLabels {
    version: i64,
    kid: String,
    algorithm: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct VersionLabels {
    version: i64,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = [
            0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
        ];
        let sizes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
        let mut series = Series {
            registry: Registry::default(),
            tokens: Family::default(),
            mint_seconds: Histogram::new(seconds),
            faulty_tokens: Counter::default(),
            batch_size: Histogram::new(sizes),
            events_dropped: Counter::default(),
            limited: Family::default(),
            store_errors: Family::default(),
            responses: Family::default(),
            last_probe: Gauge::default(),
            active_key_visible: Gauge::default(),
            rotation_failures: Counter::default(),
            keyring_checked: Gauge::default(),
            can_sign: Gauge::default(),
            certificate_not_after: Family::default(),
            acme_failures: Counter::default(),
            rotation_overdue_in: Gauge::default(),
            key_state: Family::default(),
            key_age: Family::default(),
            key_revision: Gauge::default(),
        };
        series.registry = series.register();
        // There from the start, or the first failure would not be seen as an increase.
        for operation in ["authenticate", "maintain", "note", "record", "refresh_keys"] {
            let labels = OperationLabels { operation };
            drop(series.store_errors.get_or_create(&labels));
        }
        Self(Arc::new(series))
    }
}

impl Deref for Metrics {
    type Target = Series;

    fn deref(&self) -> &Series {
        &self.0
    }
}

impl Series {
    fn register(&self) -> Registry {
        let mut r = Registry::with_prefix("runmint");
        r.register(
            "tokens",
            "Tokens asked for, by algorithm and result",
            self.tokens.clone(),
        );
        r.register(
            "mint_duration_seconds",
            "Time from the request for a token to its answer",
            self.mint_seconds.clone(),
        );
        r.register(
            "tokens_faulty",
            "Tokens withheld because they did not verify against the published keys: an alarm",
            self.faulty_tokens.clone(),
        );
        r.register(
            "audit_batch_size",
            "Audit records per committed transaction",
            self.batch_size.clone(),
        );
        r.register(
            "events_dropped",
            "Events that were not recorded: too many at once, or the database did not take them",
            self.events_dropped.clone(),
        );
        r.register(
            "limited",
            "Requests and connections turned away, by limit",
            self.limited.clone(),
        );
        r.register(
            "store_errors",
            "Failures of the database",
            self.store_errors.clone(),
        );
        r.register(
            "http_responses",
            "Answers by listener and status",
            self.responses.clone(),
        );
        r.register(
            "probe_last_success_timestamp_seconds",
            "When the public JWKS URL was last fetched from outside",
            self.last_probe.clone(),
        );
        r.register(
            "active_key_visible",
            "1 if the last probe saw the key that signs, else 0",
            self.active_key_visible.clone(),
        );
        r.register(
            "rotation_failures",
            "Rotations that failed",
            self.rotation_failures.clone(),
        );
        r.register(
            "keyring_checked_timestamp_seconds",
            "When the database last confirmed that the published keys are the newest",
            self.keyring_checked.clone(),
        );
        r.register(
            "can_sign",
            "1 if this replica has a usable signing key",
            self.can_sign.clone(),
        );
        r.register(
            "certificate_not_after_timestamp_seconds",
            "When the certificate of a listener ends",
            self.certificate_not_after.clone(),
        );
        r.register(
            "acme_failures",
            "Orders for a certificate that failed",
            self.acme_failures.clone(),
        );
        r.register(
            "rotation_overdue_in_seconds",
            "Seconds until the rotation of the signing key is overdue; negative when it is",
            self.rotation_overdue_in.clone(),
        );
        r.register(
            "key_state",
            "1 for the state of each published key",
            self.key_state.clone(),
        );
        r.register(
            "key_age_seconds",
            "Age of each published key",
            self.key_age.clone(),
        );
        r.register(
            "key_revision",
            "Grows with every change of a key",
            self.key_revision.clone(),
        );
        r
    }

    /// Counts a failure of the database.
    pub fn store_failed(&self, operation: &'static str) {
        self.store_errors
            .get_or_create(&OperationLabels { operation })
            .inc();
    }

    /// The OpenMetrics text, with the series about keys as they are at `now`.
    pub fn render(
        &self,
        keys: &[KeyVersion],
        revision: i64,
        policy: &Policy,
        now: Timestamp,
    ) -> String {
        self.key_state.clear();
        self.key_age.clear();
        for key in keys.iter().filter(|key| key.state.is_published()) {
            let labels = KeyLabels {
                version: key.version.0,
                kid: key.kid.clone(),
                algorithm: key.algorithm.as_str(),
                state: key.state.as_str(),
            };
            self.key_state.get_or_create(&labels).set(1);
            self.key_age
                .get_or_create(&VersionLabels {
                    version: key.version.0,
                })
                .set(now.seconds_since(key.created_at));
        }
        let activated_at =
            crate::domain::key::active(keys).and_then(|key| key.state.activated_at());
        self.rotation_overdue_in
            .set(activated_at.map_or(0, |activated_at| {
                policy.overdue_at(activated_at).seconds_since(now)
            }));
        self.key_revision.set(revision);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
