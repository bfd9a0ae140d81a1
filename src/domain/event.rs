//! Events: everything the audit log can say.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InvalidField;
use super::operator::CONFIGURED;
use super::time::Timestamp;

/// One record of the audit log. What does not apply is absent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: EventKind,
    /// Who did it.
    pub actor: Actor,
    /// The HTTP request in which it happened.
    pub request_id: Option<String>,
    /// The run, by our id.
    pub run: Option<String>,
    /// The run, by `terraform_run_id`.
    pub run_id: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The audience.
    pub audience: Option<String>,
    /// The token's id.
    pub jti: Option<String>,
    /// The key.
    pub kid: Option<String>,
    /// When the token, the run or the secret expires.
    pub expires_at: Option<Timestamp>,
    /// Why: the reason of a refusal, or what a change was made for. Never sent to a runner.
    pub reason: Option<String>,
}

impl Event {
    /// An event with nothing but time, kind and actor; the rest is filled in by the caller.
    pub fn new(at: Timestamp, kind: EventKind, actor: Actor) -> Self {
        Self {
            at,
            kind,
            actor,
            request_id: None,
            run: None,
            run_id: None,
            subject: None,
            audience: None,
            jti: None,
            kid: None,
            expires_at: None,
            reason: None,
        }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize, ToSchema)]
pub enum EventKind {
    /// A client was added.
    #[serde(rename = "client.added")]
    ClientAdded,
    /// A client was removed; its runs were closed.
    #[serde(rename = "client.removed")]
    ClientRemoved,
    /// A client was given one more secret.
    #[serde(rename = "client.secret_added")]
    ClientSecretAdded,
    /// A secret of a client was removed.
    #[serde(rename = "client.secret_removed")]
    ClientSecretRemoved,
    /// A client's grants or settings were changed.
    #[serde(rename = "client.updated")]
    ClientUpdated,
    /// A trusted issuer's token was exchanged for a client's short-lived secret.
    #[serde(rename = "client.session_opened")]
    ClientSessionOpened,
    /// A trusted issuer was added.
    #[serde(rename = "issuer.added")]
    IssuerAdded,
    /// A trusted issuer was removed.
    #[serde(rename = "issuer.removed")]
    IssuerRemoved,
    /// Somebody showed a foreign token that was refused.
    #[serde(rename = "issuer.token_refused")]
    IssuerTokenRefused,
    /// What a trusted issuer is trusted with was changed.
    #[serde(rename = "issuer.updated")]
    IssuerUpdated,
    /// A key version started to sign.
    #[serde(rename = "key.activated")]
    KeyActivated,
    /// A key version stopped signing; its private key was destroyed.
    #[serde(rename = "key.deactivated")]
    KeyDeactivated,
    /// An operator asked for a key's next step as soon as it is safe.
    #[serde(rename = "key.expedited")]
    KeyExpedited,
    /// A key version left the JWKS after its last token had died.
    #[serde(rename = "key.retired")]
    KeyRetired,
    /// A private key was sealed anew.
    #[serde(rename = "key.rewrapped")]
    KeyRewrapped,
    /// A key version was withdrawn at once.
    #[serde(rename = "key.revoked")]
    KeyRevoked,
    /// A probe saw the key at the public JWKS URL.
    #[serde(rename = "key.seen")]
    KeySeen,
    /// A key version was made and published.
    #[serde(rename = "key.staged")]
    KeyStaged,
    /// An operator was added.
    #[serde(rename = "operator.added")]
    OperatorAdded,
    /// An operator was removed.
    #[serde(rename = "operator.removed")]
    OperatorRemoved,
    /// An operator was given one more token.
    #[serde(rename = "operator.token_added")]
    OperatorTokenAdded,
    /// A token of an operator was removed.
    #[serde(rename = "operator.token_removed")]
    OperatorTokenRemoved,
    /// A run was closed.
    #[serde(rename = "run.closed")]
    RunClosed,
    /// A run was opened.
    #[serde(rename = "run.opened")]
    RunOpened,
    /// A run was asked for and refused.
    #[serde(rename = "run.refused")]
    RunRefused,
    /// A token was recorded, and withheld because its signature did not fit the published keys.
    #[serde(rename = "token.faulty")]
    TokenFaulty,
    /// A token was minted.
    #[serde(rename = "token.minted")]
    TokenMinted,
    /// A token was asked for and refused.
    #[serde(rename = "token.refused")]
    TokenRefused,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 28] = [
        Self::ClientAdded,
        Self::ClientRemoved,
        Self::ClientSecretAdded,
        Self::ClientSecretRemoved,
        Self::ClientSessionOpened,
        Self::ClientUpdated,
        Self::IssuerAdded,
        Self::IssuerRemoved,
        Self::IssuerTokenRefused,
        Self::IssuerUpdated,
        Self::KeyActivated,
        Self::KeyDeactivated,
        Self::KeyExpedited,
        Self::KeyRetired,
        Self::KeyRewrapped,
        Self::KeyRevoked,
        Self::KeySeen,
        Self::KeyStaged,
        Self::OperatorAdded,
        Self::OperatorRemoved,
        Self::OperatorTokenAdded,
        Self::OperatorTokenRemoved,
        Self::RunClosed,
        Self::RunOpened,
        Self::RunRefused,
        Self::TokenFaulty,
        Self::TokenMinted,
        Self::TokenRefused,
    ];

    /// Its name, as the database and the API write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientAdded => "client.added",
            Self::ClientRemoved => "client.removed",
            Self::ClientSecretAdded => "client.secret_added",
            Self::ClientSecretRemoved => "client.secret_removed",
            Self::ClientSessionOpened => "client.session_opened",
            Self::ClientUpdated => "client.updated",
            Self::IssuerAdded => "issuer.added",
            Self::IssuerRemoved => "issuer.removed",
            Self::IssuerTokenRefused => "issuer.token_refused",
            Self::IssuerUpdated => "issuer.updated",
            Self::KeyActivated => "key.activated",
            Self::KeyDeactivated => "key.deactivated",
            Self::KeyExpedited => "key.expedited",
            Self::KeyRetired => "key.retired",
            Self::KeyRewrapped => "key.rewrapped",
            Self::KeyRevoked => "key.revoked",
            Self::KeySeen => "key.seen",
            Self::KeyStaged => "key.staged",
            Self::OperatorAdded => "operator.added",
            Self::OperatorRemoved => "operator.removed",
            Self::OperatorTokenAdded => "operator.token_added",
            Self::OperatorTokenRemoved => "operator.token_removed",
            Self::RunClosed => "run.closed",
            Self::RunOpened => "run.opened",
            Self::RunRefused => "run.refused",
            Self::TokenFaulty => "token.faulty",
            Self::TokenMinted => "token.minted",
            Self::TokenRefused => "token.refused",
        }
    }

    /// The kind with this name.
    ///
    /// # Errors
    /// Names `kind` and lists what it may be.
    pub fn parse(value: &str) -> Result<Self, InvalidField> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == value)
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
                InvalidField::new("kind", format!("must be one of {}", known.join(", ")))
            })
    }
}

/// Who did something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Actor {
    /// Nobody who is known.
    Anonymous,
    /// A client, by its name.
    Client(String),
    /// A workload, by the name of the trusted issuer whose token it showed.
    Issuer(String),
    /// An operator, by its name.
    Operator(String),
    /// A run, by our id, with its request token.
    Run(String),
    /// runmint itself, on its schedule.
    Schedule,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Client(name) => write!(f, "client:{name}"),
            Self::Issuer(name) => write!(f, "issuer:{name}"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Run(id) => write!(f, "run:{id}"),
            Self::Schedule => f.write_str("schedule"),
        }
    }
}

impl Actor {
    /// Reads what [`fmt::Display`] wrote, and `operator`, from when there was only one.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("client", name)) => Some(Self::Client(name.to_owned())),
            Some(("issuer", name)) => Some(Self::Issuer(name.to_owned())),
            Some(("operator", name)) => Some(Self::Operator(name.to_owned())),
            Some(("run", id)) => Some(Self::Run(id.to_owned())),
            None if text == "anonymous" => Some(Self::Anonymous),
            None if text == "operator" => Some(Self::Operator(CONFIGURED.to_owned())),
            None if text == "schedule" => Some(Self::Schedule),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_actors_read_back_as_they_were_written() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(EventKind::parse("x").unwrap_err().field, "kind");
        for actor in [
            Actor::Anonymous,
            Actor::Client("atlantis".to_owned()),
            Actor::Issuer("github".to_owned()),
            Actor::Operator("alice".to_owned()),
            Actor::Run("1".to_owned()),
            Actor::Schedule,
        ] {
            assert_eq!(Actor::parse(&actor.to_string()), Some(actor));
        }
        let before_names = Actor::parse("operator").unwrap();
        assert_eq!(before_names.to_string(), "operator:admin");
    }
}
