//! The job that looks from outside and takes turns, for as long as the server runs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::plan::next_turn;
use super::publish::Probe;
use super::rotation::{Rotation, RotationError};
use crate::clock::Clock;
use crate::domain::key::staged;
use crate::domain::time::Timestamp;
use crate::store::StoreError;

/// After something has changed, the next look comes soon.
const SOON: Duration = Duration::from_secs(1);

/// A round that takes longer is given up: a database that does not answer must not stop rotation for
/// longer than it is away.
const ROUND: Duration = Duration::from_mins(1);

impl Rotation {
    /// Looks from outside and takes turns until `shutdown`.
    pub async fn run(self, probe: Probe, clock: Clock, shutdown: CancellationToken) {
        loop {
            let round = tokio::time::timeout(ROUND, self.look_and_turn(&probe, &clock));
            let pause = tokio::select! {
                pause = round => pause.unwrap_or_else(|_| self.failed(&StoreError::Timeout)),
                // What is under way is one transaction: it is written, or it is not.
                () = shutdown.cancelled() => return,
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// What a probe sees (nothing if it fails, which is logged and counted), and the time by which
    /// it has seen it.
    ///
    /// # Errors
    /// The database does not say what time it is.
    pub async fn look(
        &self,
        probe: &Probe,
        clock: &Clock,
    ) -> Result<(Vec<String>, Timestamp), StoreError> {
        let looked = probe.look().await;
        // After the look: a wait that begins before it would be too short.
        let now = self.now(clock).await?;
        let keyring = self.keyring.current();
        let active = keyring.active().map(|key| &key.kid);
        let seen = match looked {
            Ok(seen) => {
                self.metrics.last_probe.set(now.0);
                let visible = active.is_none_or(|kid| seen.contains(kid));
                self.metrics.active_key_visible.set(i64::from(visible));
                if !visible {
                    tracing::error!(
                        probe.url = probe.url(),
                        key.kid = active,
                        "the key that signs is not published at the public JWKS URL: \
                         relying parties will refuse its tokens"
                    );
                }
                seen
            }
            Err(error) => {
                self.metrics.active_key_visible.set(0);
                if staged(&keyring.keys).is_some() {
                    tracing::warn!(
                        %error,
                        "the staged key waits: the public JWKS URL cannot be seen from here; \
                         `rotation.probe_url` names another way to it"
                    );
                } else {
                    tracing::debug!(%error, "the public JWKS URL cannot be seen from here");
                }
                Vec::new()
            }
        };
        Ok((seen, now))
    }

    /// One round of the job; how long to wait for the next.
    async fn look_and_turn(&self, probe: &Probe, clock: &Clock) -> Duration {
        let outcome = async {
            let (seen, now) = self.look(probe, clock).await?;
            Ok::<_, RotationError>((self.turn(&seen, now).await?, now))
        };
        match outcome.await {
            Ok((steps, now)) if steps.is_empty() => self.pause(now),
            Ok((steps, _)) => {
                tracing::info!(?steps, "keys changed");
                SOON
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &impl std::fmt::Display) -> Duration {
        self.metrics.rotation_failures.inc();
        tracing::error!(
            %error,
            "the rotation of keys failed; it is tried again within minutes"
        );
        self.policy.check_every
    }

    fn pause(&self, now: Timestamp) -> Duration {
        let keyring = self.keyring.current();
        let until_next = next_turn(&keyring.keys, &self.policy, now)
            .map_or(self.policy.check_every, |next| next.after(now));
        until_next.clamp(SOON, self.policy.check_every.max(SOON))
    }
}
