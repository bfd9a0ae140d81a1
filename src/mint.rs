//! The use case: (caller, workload, audience, now) → a signed token and its audit record.
//!
//! The order of things is the promise: a record is queued, the token is signed and verified against
//! the published JWKS while the record is being committed, and it leaves only when both are done.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use crate::audit::{RecordError, Recorder};
use crate::auth::{CallingClient, CallingRun, CallingWorkload};
use crate::domain::InvalidField;
use crate::domain::claims::{Claims, Stamp};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::grant::AllowedAudience;
use crate::domain::issuer::Issuer;
use crate::domain::lifetime::{Lifetimes, Limits};
use crate::domain::run::{Run, RunState};
use crate::domain::time::Timestamp;
use crate::domain::workload::Workload;
use crate::keys::keyring::{Keyring, KeyringHandle};
use crate::keys::signer::Signer;
use crate::metrics::{Metrics, TokenLabels};
use crate::store::{Authority, Entry, Outcome, Take, Taken};

/// A new `jti`: a UUID that begins with the time (RFC 9562 section 5.7), so that the audit log's index of
/// them grows at its end, however large it is.
fn token_id(now: Timestamp) -> String {
    let seconds = u64::try_from(now.0).unwrap_or_default();
    let at = uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0);
    Uuid::new_v7(at).to_string()
}

/// Bytes that the claims of most tokens fit into.
const PAYLOAD: usize = 1_024;

/// Mints tokens.
#[derive(Clone, Debug)]
pub struct Mint {
    /// Whose tokens they are.
    pub issuer: Arc<Issuer>,
    /// How long they live.
    pub lifetimes: Arc<Lifetimes>,
    /// What signs them.
    pub keyring: Arc<KeyringHandle>,
    /// What remembers them.
    pub recorder: Recorder,
    /// What counts them.
    pub metrics: Metrics,
}

/// What is asked for, by somebody who was authenticated and may ask for it.
#[derive(Debug)]
pub struct Order<'a> {
    workload: &'a Workload,
    audiences: Vec<&'a AllowedAudience>,
    ttl: Option<i64>,
    deadline: Option<Timestamp>,
    aws_session_tags: bool,
    run: Option<&'a str>,
    authority: Authority,
    actor: Actor,
    take: Option<Take>,
    about: Option<String>,
    request_id: Option<String>,
}

/// A signed token.
#[derive(Debug)]
pub struct Token {
    /// Its audience.
    pub audience: String,
    /// The compact JWS.
    pub token: String,
    /// Its id.
    pub jti: String,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// A field of the request.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The run may not mint any more.
    #[error("the run is closed or has passed its deadline")]
    RunEnded(RunState),
    /// The client was removed a moment ago.
    #[error("the client was removed")]
    ClientGone,
    /// The client, or its secret, is not what it was known as. Nothing was recorded.
    #[error("the client or its secret was changed or removed")]
    ClientChanged,
    /// The foreign token that was shown cannot be taken.
    #[error("the foreign token was taken before, or its issuer was changed")]
    NotTaken(Taken),
    /// No key can sign here and now.
    #[error("there is no usable signing key: {0}")]
    NoSigningKey(String),
    /// The audit record was not written, so there is no token.
    #[error(transparent)]
    NotRecorded(#[from] RecordError),
    /// The signature did not verify against the published keys. Nothing left the house.
    #[error("the token did not verify against the published keys and was withheld")]
    Faulty,
}

impl<'a> Order<'a> {
    /// What a run asks for with its request token.
    pub fn of_run(
        caller: &'a CallingRun,
        audience: &'a AllowedAudience,
        request_id: Option<String>,
    ) -> Self {
        let run: &Run = caller.run();
        Self {
            workload: &run.workload,
            audiences: vec![audience],
            ttl: None,
            deadline: Some(run.expires_at),
            aws_session_tags: run.aws_session_tags,
            run: Some(&run.id),
            authority: Authority::Run(run.id.clone()),
            actor: Actor::Run(run.id.clone()),
            take: None,
            about: None,
            request_id,
        }
    }

    /// What a client asks for directly; `audiences` are what its grants allow of it.
    pub fn of_client(
        caller: &CallingClient,
        workload: &'a Workload,
        audiences: &'a [AllowedAudience],
        request_id: Option<String>,
    ) -> Self {
        let client = caller.client();
        Self {
            workload,
            audiences: audiences.iter().collect(),
            ttl: None,
            deadline: None,
            aws_session_tags: client.aws_session_tags,
            run: None,
            authority: caller.authority(),
            actor: Actor::Client(client.name.to_string()),
            take: caller.foreign().map(|foreign| foreign.take.clone()),
            about: caller.about(),
            request_id,
        }
    }

    /// What a workload asks for in exchange for its token; `audiences` are what the rule's grants
    /// allow of it.
    pub fn of_workload(
        caller: &'a CallingWorkload,
        audiences: &'a [AllowedAudience],
        request_id: Option<String>,
    ) -> Self {
        let foreign = caller.foreign();
        Self {
            workload: caller.workload(),
            audiences: audiences.iter().collect(),
            ttl: None,
            deadline: None,
            aws_session_tags: false,
            run: None,
            authority: Authority::Workload,
            actor: Actor::Issuer(foreign.issuer.to_string()),
            take: Some(foreign.take.clone()),
            about: Some(foreign.to_string()),
            request_id,
        }
    }

    /// Asks for a shorter life, in seconds.
    #[must_use]
    pub fn with_ttl(self, ttl: Option<i64>) -> Self {
        Self { ttl, ..self }
    }
}

impl Mint {
    /// Mints one token for each audience of the order.
    ///
    /// # Errors
    /// As [`MintError`] says; then no token was minted at all.
    pub async fn mint(&self, order: &Order<'_>, now: Timestamp) -> Result<Vec<Token>, MintError> {
        let started = Instant::now();
        let (algorithm, result) = self.attempt(order, now).await;
        self.metrics
            .mint_seconds
            .observe(started.elapsed().as_secs_f64());
        let label = match &result {
            Ok(_) => "minted",
            Err(
                MintError::Invalid(_)
                | MintError::RunEnded(_)
                | MintError::ClientGone
                | MintError::NotTaken(_),
            ) => "refused",
            // Whoever asked asks again, and counts it if that is in vain.
            Err(MintError::ClientChanged) => return result,
            Err(MintError::NoSigningKey(_) | MintError::NotRecorded(_)) => "unavailable",
            Err(MintError::Faulty) => "faulty",
        };
        let labels = TokenLabels {
            algorithm,
            result: label,
        };
        let count = u64::try_from(order.audiences.len()).unwrap_or(1);
        self.metrics.tokens.get_or_create(&labels).inc_by(count);
        result
    }

    /// Counts tokens that were refused before it came to minting.
    pub fn refused(&self, tokens: usize) {
        self.not_minted("refused", tokens);
    }

    /// Counts tokens whose client changed once too often meanwhile ([`MintError::ClientChanged`]).
    pub fn unavailable(&self, tokens: usize) {
        self.not_minted("unavailable", tokens);
    }

    fn not_minted(&self, result: &'static str, tokens: usize) {
        let labels = TokenLabels {
            algorithm: "none",
            result,
        };
        let tokens = u64::try_from(tokens).unwrap_or(1);
        self.metrics.tokens.get_or_create(&labels).inc_by(tokens);
    }

    async fn attempt(
        &self,
        order: &Order<'_>,
        now: Timestamp,
    ) -> (&'static str, Result<Vec<Token>, MintError>) {
        // A second time, if the keys were rotated between the look at the keyring and the commit.
        for last in [false, true] {
            let keyring = self.keyring.current();
            let signer = match keyring.signer() {
                Ok(signer) => Arc::clone(signer),
                Err(error) => return ("none", Err(MintError::NoSigningKey(error.to_string()))),
            };
            let algorithm = signer.algorithm().as_str();
            match self.sign(order, &keyring, &signer, now).await {
                Ok(Some(tokens)) => return (algorithm, Ok(tokens)),
                Ok(None) if last => {
                    let error = "this replica's view of the keys is stale".to_owned();
                    return (algorithm, Err(MintError::NoSigningKey(error)));
                }
                Ok(None) => {
                    if let Err(error) = self.keyring.refresh(now).await {
                        self.metrics.store_failed("refresh_keys");
                        return (algorithm, Err(MintError::NoSigningKey(error.to_string())));
                    }
                }
                Err(error) => return (algorithm, Err(error)),
            }
        }
        (
            "none",
            Err(MintError::NoSigningKey("no attempt was made".to_owned())),
        )
    }

    /// Signs under one keyring; nothing when the database says that its signer does not sign.
    async fn sign(
        &self,
        order: &Order<'_>,
        keyring: &Keyring,
        signer: &Signer,
        now: Timestamp,
    ) -> Result<Option<Vec<Token>>, MintError> {
        let subject = order.workload.subject.to_string();
        let mut tokens = Vec::with_capacity(order.audiences.len());
        let mut entries = Vec::with_capacity(order.audiences.len());
        for allowed in &order.audiences {
            let limits = Limits {
                max_ttl: allowed.max_ttl,
                deadline: order.deadline,
            };
            let expires_at =
                self.lifetimes
                    .expiry(&order.workload.subject, order.ttl, limits, now)?;
            if expires_at <= now {
                return Err(MintError::RunEnded(RunState::Expired));
            }
            let jti = token_id(now);
            entries.push(Entry {
                event: Event {
                    request_id: order.request_id.clone(),
                    run: order.run.map(str::to_owned),
                    run_id: Some(order.workload.ids.run.clone()),
                    subject: Some(subject.clone()),
                    audience: Some(allowed.audience.as_str().to_owned()),
                    jti: Some(jti.clone()),
                    kid: Some(signer.kid().to_owned()),
                    expires_at: Some(expires_at),
                    reason: order.about.clone(),
                    ..Event::new(now, EventKind::TokenMinted, order.actor.clone())
                },
                authority: order.authority.clone(),
                version: signer.version(),
                take: order.take.clone(),
            });
            tokens.push(Token {
                audience: allowed.audience.as_str().to_owned(),
                token: String::new(),
                jti,
                expires_at,
            });
        }
        let recording = self.recorder.submit(entries)?;

        // While the record is being committed.
        let mut sound = true;
        for (token, allowed) in tokens.iter_mut().zip(&order.audiences) {
            let claims = Claims::new(
                order.workload,
                Stamp {
                    jti: &token.jti,
                    issuer: self.issuer.as_str(),
                    subject: &subject,
                    audience: &allowed.audience,
                    issued_at: now,
                    expires_at: token.expires_at,
                    aws_session_tags: order.aws_session_tags,
                },
            );
            let mut payload = Vec::with_capacity(PAYLOAD);
            let signed = serde_json::to_writer(&mut payload, &claims)
                .ok()
                .and_then(|()| signer.sign(&payload).ok())
                .filter(|signed| keyring.verifies(signed));
            match signed {
                Some(signed) => token.token = signed,
                None => sound = false,
            }
        }

        if !sound {
            self.alarm(signer, tokens.len());
        }
        let outcomes = recording.outcome().await?;
        if !sound {
            self.withhold(order, signer, &tokens, now).await;
            return Err(MintError::Faulty);
        }
        for outcome in outcomes {
            match outcome {
                Outcome::Recorded => {}
                Outcome::NotSigning => return Ok(None),
                Outcome::ClientGone => return Err(MintError::ClientGone),
                Outcome::ClientChanged => return Err(MintError::ClientChanged),
                Outcome::TakenBefore => return Err(MintError::NotTaken(Taken::Before)),
                Outcome::IssuerChanged => return Err(MintError::NotTaken(Taken::IssuerChanged)),
                Outcome::RunEnded(state) => return Err(MintError::RunEnded(state)),
            }
        }
        Ok(Some(tokens))
    }

    /// Whatever becomes of the records: a signature that does not verify is an operator's business.
    fn alarm(&self, signer: &Signer, tokens: usize) {
        self.metrics
            .faulty_tokens
            .inc_by(u64::try_from(tokens).unwrap_or(1));
        tracing::error!(
            key.version = signer.version().0,
            key.kid = signer.kid(),
            "ALARM: a signature does not verify against the published keys; the token was withheld"
        );
    }

    /// Says in the log of record that these tokens never left.
    async fn withhold(&self, order: &Order<'_>, signer: &Signer, tokens: &[Token], now: Timestamp) {
        for token in tokens {
            self.recorder
                .note(Event {
                    run: order.run.map(str::to_owned),
                    run_id: Some(order.workload.ids.run.clone()),
                    jti: Some(token.jti.clone()),
                    kid: Some(signer.kid().to_owned()),
                    reason: Some("the signature did not verify".to_owned()),
                    ..Event::new(now, EventKind::TokenFaulty, order.actor.clone())
                })
                .await;
        }
    }
}
