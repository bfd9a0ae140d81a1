//! What the admin API answers: events, keys, runs. Members that are not looked at are passed over.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::event::EventKind;
use crate::domain::time::Timestamp;

/// What is known about a token or a run.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Records of the audit log, newest first.
    pub events: Vec<Event>,
    /// All key versions.
    pub keys: Vec<Key>,
    /// The runs that the events are about.
    pub runs: Vec<Run>,
}

/// A record of the audit log.
#[derive(Clone, Debug, Deserialize)]
pub struct Event {
    pub(super) at: Timestamp,
    pub(super) kind: EventKind,
    pub(super) actor: String,
    pub(super) request_id: Option<String>,
    /// Our id of the run; nothing for a token that a client asked for directly.
    pub run: Option<String>,
    pub(super) run_id: Option<String>,
    pub(super) subject: Option<String>,
    /// The audience.
    pub audience: Option<String>,
    pub(super) jti: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) reason: Option<String>,
}

/// A key version.
#[derive(Clone, Debug, Deserialize)]
pub struct Key {
    version: i64,
    kid: String,
    algorithm: String,
    state: String,
    revoked_at: Option<Timestamp>,
    retired_at: Option<Timestamp>,
}

/// A run.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    pub(super) id: String,
    pub(super) subject: String,
    pub(super) client: String,
    pub(super) audiences: Vec<String>,
    pub(super) state: String,
    pub(super) opened_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) closed_at: Option<Timestamp>,
}

impl Log {
    /// Takes answers of the admin API: pages of events, `GET /v1/keys`, single runs.
    ///
    /// # Errors
    /// A member is missing, or is not what it is in this version.
    pub fn read(events: Vec<Value>, keys: Value, runs: Vec<Value>) -> serde_json::Result<Self> {
        Ok(Self {
            events: serde_json::from_value(Value::Array(events))?,
            keys: serde_json::from_value(keys)?,
            runs: serde_json::from_value(Value::Array(runs))?,
        })
    }

    /// The record of the token with this `jti`.
    pub fn find_token(&self, jti: &str) -> Option<&Event> {
        self.minted()
            .find(|event| event.jti.as_deref() == Some(jti))
    }

    /// The records of tokens, newest first.
    pub fn minted(&self) -> impl Iterator<Item = &Event> {
        self.events
            .iter()
            .filter(|event| event.kind == EventKind::TokenMinted)
    }

    pub(super) fn is_withheld(&self, jti: &str) -> bool {
        let mut events = self.events.iter();
        events
            .any(|event| event.kind == EventKind::TokenFaulty && event.jti.as_deref() == Some(jti))
    }

    /// The newest event of a kind about a run.
    pub(super) fn find(&self, kind: EventKind, run: &str) -> Option<&Event> {
        let mut events = self.events.iter();
        events.find(|event| event.kind == kind && event.run.as_deref() == Some(run))
    }

    pub(super) fn find_key(&self, event: &Event) -> Option<&Key> {
        let kid = event.kid.as_deref()?;
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The key of a token and whether relying parties can still get it, for people.
    pub(super) fn key_of(&self, event: &Event) -> String {
        let Some(key) = self.find_key(event) else {
            let kid = event.kid.as_deref().unwrap_or("unknown");
            return format!("`{kid}`, which is no version of this issuer's key");
        };
        let since = key.revoked_at.or(key.retired_at);
        let published = match since {
            _ if key.is_published() => "published".to_owned(),
            Some(since) => format!("not published since {since}"),
            None => "not published".to_owned(),
        };
        format!(
            "version {} (`{}`, {}), {}, {published}",
            key.version, key.kid, key.algorithm, key.state
        )
    }

    pub(super) fn run_of(&self, event: &Event) -> Option<&Run> {
        let id = event.run.as_deref()?;
        self.runs.iter().find(|run| run.id == id)
    }
}

impl Key {
    /// Whether it is in the JWKS.
    pub(super) fn is_published(&self) -> bool {
        !matches!(self.state.as_str(), "retired" | "revoked")
    }
}
