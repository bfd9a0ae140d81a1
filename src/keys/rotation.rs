//! Carries plans out: lease → plan → generate outside the transaction → apply guarded → new keyring.
//!
//! A key state change is planned purely and applied guarded: the store writes the steps only if the
//! lease, the versions and their states still are what the plan saw. Whoever loses a race changes
//! nothing and looks again at the next turn.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;

use super::keyring::KeyringHandle;
use super::orders::{plan_emergency, plan_rotate, plan_trim};
pub use super::outcome::{Exposure, RevokedKey, Rotated, RotationError, Trimmed};
use super::plan::{plan, rotation_ready_at};
use super::seal::Label;
use super::signer::{GeneratedKey, SignerError};
use crate::clock::Clock;
use crate::domain::event::Actor;
use crate::domain::key::{KeyState, KeyVersion, Policy, Step, Version, active, staged};
use crate::domain::time::Timestamp;
use crate::metrics::Metrics;
use crate::store::{Lease, NewKey, Store, StoreError};

/// Changes keys, by schedule and by an operator's word.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Where the keys are.
    pub store: Store,
    /// What is swapped when they have changed.
    pub keyring: Arc<KeyringHandle>,
    /// When they change.
    pub policy: Arc<Policy>,
    /// This replica, as the lease calls it.
    pub holder: String,
    /// What is counted.
    pub metrics: Metrics,
    /// Wakes the schedule after an operator's word.
    pub wake: Arc<Notify>,
}

/// A turn takes a second at most; a replica that stalls for longer finds its lease gone.
const LEASE: Duration = Duration::from_secs(30);

/// An operator's word is tried again when another replica changes keys in the same moment.
const ATTEMPTS: u32 = 10;

/// Before each further attempt, operators wait for up to this long, each for another time: those who
/// took the lease from each other would do so again.
const APART: Duration = Duration::from_millis(256);

impl Rotation {
    /// One turn of the schedule. `seen` are the `kid`s that a probe saw a moment ago.
    ///
    /// # Errors
    /// Nothing was changed. A lost race is no error: somebody else is at it.
    pub async fn turn(&self, seen: &[String], now: Timestamp) -> Result<Vec<Step>, RotationError> {
        let decide = |keys: &[KeyVersion]| plan(keys, &self.policy, seen, now);
        if decide(&self.store.current_keys().await?).is_empty() {
            return Ok(Vec::new());
        }
        let Some(lease) = self.store.claim_lease(&self.holder, LEASE, now).await? else {
            return Ok(Vec::new());
        };
        match self.apply(&lease, &Actor::Schedule, now, decide).await {
            Err(RotationError::Store(StoreError::LostRace)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Rotates as soon as that is safe. A version that is not ready yet is marked to take over by
    /// itself.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn rotate(
        &self,
        seen: &[String],
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Rotated, RotationError> {
        // One word, one new version: if another replica has rotated meanwhile, this is done.
        let before = signing(&self.store.current_keys().await?);
        let steps = self
            .operate(actor, now, |keys| {
                if signing(keys) == before {
                    plan_rotate(keys, &self.policy, seen, now)
                } else {
                    Vec::new()
                }
            })
            .await?;
        self.wake.notify_one();
        let activated = steps.iter().find_map(|step| match step {
            Step::Activate(version) => Some(*version),
            _ => None,
        });
        if let Some(version) = activated {
            return Ok(Rotated::Done(version));
        }
        let keys = self.store.current_keys().await?;
        match (staged(&keys), active(&keys)) {
            (_, Some(active)) if Some(active.version) != before => {
                Ok(Rotated::Done(active.version))
            }
            (Some(staged), _) => Ok(Rotated::Scheduled {
                version: staged.version,
                ready_at: rotation_ready_at(&keys, &self.policy),
            }),
            (None, _) => Err(StoreError::LostRace.into()),
        }
    }

    /// A leak: withdraws `leaked` (the version that signs, unless said) and, with the one that signs,
    /// whatever was staged beside it, and lets a fresh key sign, all in one transaction. Said on two
    /// replicas at the same moment it is one leak; said again afterwards it is another, of the fresh key.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn emergency(
        &self,
        leaked: Option<Version>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Exposure, RotationError> {
        let before = self.store.current_keys().await?;
        let published = |version| {
            before
                .iter()
                .any(|key| key.version == version && key.state.is_published())
        };
        if let Some(version) = leaked.filter(|version| !published(*version)) {
            return Err(RotationError::NotPublished(version));
        }
        // As they are now: a version that takes over in this moment is as suspect as it was staged.
        let suspects: Vec<Version> = match leaked {
            Some(version) if signing(&before) != Some(version) => vec![version],
            _ => signing(&before)
                .into_iter()
                .chain(staged(&before).map(|key| key.version))
                .collect(),
        };
        let steps = self
            .operate(actor, now, |keys| {
                let signer = signing(keys).filter(|version| suspects.contains(version));
                let mut steps = plan_emergency(keys, signer.or(suspects.first().copied()));
                let others = keys.iter().filter(|key| {
                    key.state.is_published()
                        && suspects.contains(&key.version)
                        && !steps.contains(&Step::Revoke(key.version))
                });
                let others: Vec<Step> = others.map(|key| Step::Revoke(key.version)).collect();
                steps.splice(0..0, others);
                steps
            })
            .await?;
        let mut revoked: Vec<Version> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Revoke(version) => Some(*version),
                _ => None,
            })
            .collect();
        if revoked.is_empty() {
            revoked.extend(suspects);
        }
        self.exposure(&revoked, now).await
    }

    /// What withdrawn versions can still be used for.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn exposure(
        &self,
        versions: &[Version],
        now: Timestamp,
    ) -> Result<Exposure, RotationError> {
        let keys = self.store.keys().await?;
        Ok(Exposure {
            active: signing(&keys),
            revoked: self.exposed(versions.iter().copied(), &keys, now).await?,
        })
    }

    /// Lets retiring versions leave the JWKS if that is safe, and the others as soon as it is.
    /// With `force`, all of them at once.
    ///
    /// # Errors
    /// Nothing was changed.
    pub async fn trim(
        &self,
        force: bool,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Trimmed, RotationError> {
        let steps = self
            .operate(actor, now, |keys| plan_trim(keys, &self.policy, force, now))
            .await?;
        let keys = self.store.keys().await?;
        let retired: Vec<Version> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Retire(version) => Some(*version),
                _ => None,
            })
            .collect();
        let waiting = keys
            .iter()
            .filter_map(|key| Some((key.version, super::plan::retires_at(key, &self.policy)?)))
            .collect();
        let broken = if force {
            let mut exposed = self.exposed(retired.iter().copied(), &keys, now).await?;
            exposed.retain(|key| !key.live_tokens.is_empty());
            exposed
        } else {
            Vec::new()
        };
        Ok(Trimmed {
            retired,
            waiting,
            broken,
        })
    }

    /// Seals every private key that is not under the current key-encryption key; how many there
    /// were.
    ///
    /// # Errors
    /// Those before the failure stay resealed; the rest is untouched.
    pub async fn rewrap(&self, actor: &Actor, now: Timestamp) -> Result<usize, RotationError> {
        let sealer = self.keyring.sealer();
        let lease = self.store.take_over_lease(&self.holder, LEASE, now).await?;
        let mut resealed = 0;
        for key in self.store.current_keys().await? {
            let Some(sealed) = key.sealed_private.as_deref() else {
                continue;
            };
            if sealer.is_current(sealed) {
                continue;
            }
            let label = Label {
                version: key.version,
                kid: &key.kid,
                algorithm: key.algorithm,
            };
            let new = sealer.seal(label, &sealer.open(label, sealed)?)?;
            self.store
                .reseal_key(&lease, &key, &new, actor, now)
                .await?;
            resealed += 1;
        }
        self.store.release_lease(&lease).await?;
        self.keyring.refresh(now).await?;
        Ok(resealed)
    }

    /// The time by which keys are changed: the database's, where replicas share one, so that a
    /// replica with a fast clock promotes nothing early.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn now(&self, clock: &Clock) -> Result<Timestamp, StoreError> {
        match clock {
            Clock::System => Ok(self
                .store
                .shared_now()
                .await?
                .unwrap_or_else(|| clock.now())),
            Clock::Manual(_) => Ok(clock.now()),
        }
    }

    /// An operator's word: the lease is taken over, and a race is run again.
    async fn operate(
        &self,
        actor: &Actor,
        now: Timestamp,
        decide: impl Fn(&[KeyVersion]) -> Vec<Step> + Send + Sync,
    ) -> Result<Vec<Step>, RotationError> {
        let mut attempt = 1;
        loop {
            let lease = self.store.take_over_lease(&self.holder, LEASE, now).await?;
            match self.apply(&lease, actor, now, &decide).await {
                Err(RotationError::Store(StoreError::LostRace)) if attempt < ATTEMPTS => {
                    let chance = u32::from(Uuid::new_v4().as_bytes()[0]);
                    tokio::time::sleep(APART * chance / 256).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn apply(
        &self,
        lease: &Lease,
        actor: &Actor,
        now: Timestamp,
        decide: impl Fn(&[KeyVersion]) -> Vec<Step> + Send + Sync,
    ) -> Result<Vec<Step>, RotationError> {
        let keys = self.store.current_keys().await?;
        let staging = decide(&keys).into_iter().find_map(|step| match step {
            Step::Stage(version) => Some(version),
            _ => None,
        });
        let new_key = match staging {
            Some(version) => Some(self.new_key(version).await?),
            None => None,
        };
        let steps = self
            .store
            .change_keys(lease, new_key.as_ref(), actor, now, |keys| decide(keys))
            .await?;
        // It is done, whatever happens now: the lease runs out, and the keyring is polled for.
        if let Err(error) = self.store.release_lease(lease).await {
            tracing::warn!(%error, "the lease on changing keys could not be given back");
        }
        if let Err(error) = self.keyring.refresh(now).await {
            tracing::warn!(%error, "the changed keys could not be loaded yet");
        }
        Ok(steps)
    }

    /// Generates and seals a key, on a thread where that may take its time.
    async fn new_key(&self, version: Version) -> Result<NewKey, RotationError> {
        let algorithm = self.policy.algorithm;
        let generated = tokio::task::spawn_blocking(move || GeneratedKey::generate(algorithm))
            .await
            .map_err(|_| SignerError::Generate(algorithm))??;
        let GeneratedKey {
            algorithm,
            kid,
            public_jwk,
            private,
        } = generated;
        let label = Label {
            version,
            kid: &kid,
            algorithm,
        };
        let sealed_private = self.keyring.sealer().seal(label, &private)?;
        Ok(NewKey {
            version,
            algorithm,
            kid,
            public_jwk,
            sealed_private,
        })
    }

    async fn exposed(
        &self,
        versions: impl Iterator<Item = Version>,
        keys: &[KeyVersion],
        now: Timestamp,
    ) -> Result<Vec<RevokedKey>, StoreError> {
        let mut exposed = Vec::new();
        for version in versions {
            let Some(key) = keys.iter().find(|key| key.version == version) else {
                continue;
            };
            // A version that never signed has no tokens.
            let live_tokens = match key.state {
                KeyState::Revoked {
                    activated_at: None, ..
                } => Vec::new(),
                _ => self.store.live_tokens(&key.kid, now).await?,
            };
            exposed.push(RevokedKey {
                version,
                kid: key.kid.clone(),
                state: key.state.as_str(),
                live_tokens,
            });
        }
        Ok(exposed)
    }
}

fn signing(keys: &[KeyVersion]) -> Option<Version> {
    active(keys).map(|key| key.version)
}
