//! What a caller may cost before it is turned away: failures and requests by address, requests by client
//! and run, places under way. All in memory, of this replica alone, and bounded itself.
//!
//! The attack thought of: somebody who fails on purpose, from an address that others share (a NAT, a
//! proxy). So a secret that was made or accepted here not long ago is known, and is let through to the
//! database whatever its address did.

pub mod address;
mod rate;
pub mod shares;
pub mod throttle;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use quick_cache::sync::Cache;

use self::address::Address;
use self::rate::{REMEMBERED, Rates};
use self::throttle::Throttle;
use crate::config::{LimitSettings, Networks};
use crate::domain::time::Timestamp;
use crate::metrics::{LimitLabels, Metrics};

/// The limits of one replica; cloning shares them.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    failures: Option<Rates<Address>>,
    addresses: Option<Rates<Address>>,
    clients: Option<Rates<String>>,
    runs: Option<Rates<String>>,
    /// Hashes of secrets that were made or accepted here.
    known: Cache<String, ()>,
    trusted_proxies: Networks,
    log: Throttle,
    unproven: Throttle,
    metrics: Metrics,
}

/// A limit, called by its setting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// `limits.failures_per_minute`
    Failures,
    /// `limits.requests_per_second`
    Requests,
    /// `limits.address_requests_per_second`
    AddressRequests,
    /// `server.max_concurrency`
    Concurrency,
    /// `server.max_connections`
    Connections,
}

/// A caller asked for more than a limit allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there were more than `{}` allows", .limit.setting())]
pub struct Exceeded {
    /// Which.
    pub limit: Limit,
    /// When to try again, in seconds; at least 1.
    pub retry_after: u32,
}

/// As many refusals of foreign tokens that nobody can be held to are recorded in a second.
const UNPROVEN_PER_SECOND: u32 = 10;

/// As many failed authentications are logged in a second.
const LINES_PER_SECOND: u32 = 10;

impl Limits {
    /// As the settings say.
    pub fn new(settings: &LimitSettings, metrics: Metrics) -> Self {
        let LimitSettings {
            failures_per_minute,
            requests_per_second,
            address_requests_per_second,
            trusted_proxies,
        } = settings;
        for limit in Limit::ALL {
            // There from the start, or the first would not be seen as an increase.
            let labels = LimitLabels {
                limit: limit.label(),
            };
            drop(metrics.limited.get_or_create(&labels));
        }
        Self(Arc::new(Inner {
            failures: Rates::new(*failures_per_minute, 60),
            addresses: Rates::new(*address_requests_per_second, 1),
            clients: Rates::new(*requests_per_second, 1),
            runs: Rates::new(*requests_per_second, 1),
            known: Cache::new(REMEMBERED),
            trusted_proxies: trusted_proxies.clone(),
            log: Throttle::new(LINES_PER_SECOND),
            unproven: Throttle::new(UNPROVEN_PER_SECOND),
            metrics,
        }))
    }

    /// Whose request it is that came from `peer` with these values of `X-Forwarded-For`.
    pub fn caller<'a>(
        &self,
        peer: IpAddr,
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Address {
        Address::behind(&self.0.trusted_proxies, peer, forwarded_for)
    }

    /// Whether there may be many callers behind this peer.
    pub fn is_proxy(&self, peer: IpAddr) -> bool {
        self.0.trusted_proxies.contain(peer.to_canonical())
    }

    /// Whether this address may try to authenticate: to be asked before the database is, and before a
    /// signature is looked at.
    ///
    /// # Errors
    /// [`Limit::Failures`]
    pub fn check_address(&self, address: Address, now: Timestamp) -> Result<(), Exceeded> {
        let failures = self.0.failures.as_ref();
        let checked = failures.map_or(Ok(()), |rates| rates.look(&address, now));
        self.exceeded(Limit::Failures, checked)
    }

    /// Counts a failed authentication.
    ///
    /// # Errors
    /// [`Limit::Failures`]: there were too many already; the caller is told this instead of why it failed.
    pub fn failed(&self, address: Address, now: Timestamp) -> Result<(), Exceeded> {
        let failures = self.0.failures.as_ref();
        let counted = failures.map_or(Ok(()), |rates| rates.take(&address, now));
        self.exceeded(Limit::Failures, counted)
    }

    /// Whether a failed authentication may be logged; if so, how many were left out since the last one.
    pub fn failure_line(&self, now: Timestamp) -> Option<u64> {
        self.0.log.turn(now)
    }

    /// Whether a refused foreign token whose signature proves nothing may be recorded; if so, how many
    /// were left out since the last one. The audit log is not a stranger's to fill.
    pub fn unproven_record(&self, now: Timestamp) -> Option<u64> {
        self.0.unproven.turn(now)
    }

    /// Remembers the hash of a secret that was accepted, or that was handed out just now.
    pub fn accepted(&self, secret_hash: &str) {
        // Looking keeps it from being forgotten.
        if self.0.known.get(secret_hash).is_none() {
            self.0.known.insert(secret_hash.to_owned(), ());
        }
    }

    /// Whether this secret was made or accepted here not long ago: no proof of anything, but whoever shows it is
    /// not guessing.
    pub fn is_known(&self, secret_hash: &str) -> bool {
        self.0.known.get(secret_hash).is_some()
    }

    /// Forgets a secret that the database does not know any more.
    pub fn forget(&self, secret_hash: &str) {
        self.0.known.remove(secret_hash);
    }

    /// Counts a request of this address, before it is known whose it is.
    ///
    /// # Errors
    /// [`Limit::AddressRequests`]
    pub fn request_from(&self, address: Address, now: Timestamp) -> Result<(), Exceeded> {
        let addresses = self.0.addresses.as_ref();
        let counted = addresses.map_or(Ok(()), |rates| rates.take(&address, now));
        self.exceeded(Limit::AddressRequests, counted)
    }

    /// Counts a request of a client, by its name; of a workload, by a hash of whose token it shows.
    ///
    /// # Errors
    /// [`Limit::Requests`]
    pub fn request_of_client(&self, name: &str, now: Timestamp) -> Result<(), Exceeded> {
        let clients = self.0.clients.as_ref();
        self.exceeded(
            Limit::Requests,
            clients.map_or(Ok(()), |rates| rates.take(name, now)),
        )
    }

    /// Counts a request of a run, by its id. It is not its client's: a run that asks without end keeps
    /// none of the client's other runs waiting.
    ///
    /// # Errors
    /// [`Limit::Requests`]
    pub fn request_of_run(&self, id: &str, now: Timestamp) -> Result<(), Exceeded> {
        let runs = self.0.runs.as_ref();
        self.exceeded(
            Limit::Requests,
            runs.map_or(Ok(()), |rates| rates.take(id, now)),
        )
    }

    /// Counts who was turned away.
    pub fn turned_away(&self, limit: Limit) {
        let labels = LimitLabels {
            limit: limit.label(),
        };
        self.0.metrics.limited.get_or_create(&labels).inc();
    }

    fn exceeded(&self, limit: Limit, result: Result<(), u32>) -> Result<(), Exceeded> {
        result.map_err(|retry_after| {
            self.turned_away(limit);
            Exceeded { limit, retry_after }
        })
    }
}

/// Nobody's addresses or hashes.
impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl Limit {
    const ALL: [Self; 5] = [
        Self::Failures,
        Self::Requests,
        Self::AddressRequests,
        Self::Concurrency,
        Self::Connections,
    ];

    /// The setting that says how much.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Failures => "limits.failures_per_minute",
            Self::Requests => "limits.requests_per_second",
            Self::AddressRequests => "limits.address_requests_per_second",
            Self::Concurrency => "server.max_concurrency",
            Self::Connections => "server.max_connections",
        }
    }

    fn label(self) -> &'static str {
        self.setting().split_once('.').map_or("", |(_, key)| key)
    }
}
