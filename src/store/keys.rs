//! Key versions, the lease on changing them, and the revision that tells replicas to load again.

use std::time::Duration;

use sqlx::FromRow;

use super::append::AppendEvents;
use super::{GIVE_UP_SOON, Store, StoreError, exactly_one, in_tx, on_pool, on_writer};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::key::{Algorithm, KeyState, KeyVersion, Step, Version};
use crate::domain::time::Timestamp;

/// The right to change keys, until it expires or somebody takes it over. Only the store makes one,
/// and every change is guarded by its epoch: whoever holds an old one changes nothing.
#[derive(Clone, Debug)]
pub struct Lease {
    holder: String,
    epoch: i64,
}

/// A key that was generated and sealed outside the transaction that stages it.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The version it was sealed for.
    pub version: Version,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// Its thumbprint.
    pub kid: String,
    /// The public JWK, in JSON.
    pub public_jwk: String,
    /// The sealed private key.
    pub sealed_private: String,
}

const KEYS: &str = "SELECT version, algorithm, kid, public_jwk, sealed_private, state, expedited, \
     created_at, seen_at, activated_at, deactivated_at, retired_at, revoked_at, tokens_until \
     FROM key_version ORDER BY version";

/// With an index on the published ones, so that it costs the same after a thousand rotations.
const CURRENT_KEYS: &str = "SELECT version, algorithm, kid, public_jwk, sealed_private, state, \
     expedited, created_at, seen_at, activated_at, deactivated_at, retired_at, revoked_at, \
     tokens_until FROM key_version WHERE version IN ( \
     SELECT version FROM key_version WHERE state IN ('staged', 'active', 'retiring') \
     UNION SELECT MAX(version) FROM key_version) ORDER BY version";

const HOLD_LEASE: &str = "UPDATE rotation SET revision = revision \
     WHERE id = 1 AND lease_holder = $1 AND lease_epoch = $2 AND lease_expires_at > $3";

/// Postgres lets new readers of a row lock in before a waiting writer, so under load the recorders of
/// several replicas would keep a revocation waiting. The queue before a table's lock is fair; plain
/// reads go on.
pub(super) const LOCK_KEYS: &str = "LOCK TABLE key_version IN EXCLUSIVE MODE";

const BUMP_REVISION: &str = "UPDATE rotation SET revision = revision + 1 WHERE id = 1";

impl Store {
    /// All key versions there ever were, oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyVersion>, StoreError> {
        let rows: Vec<KeyRow> = on_pool!(self, |pool| sqlx::query_as(KEYS).fetch_all(pool).await)?;
        rows.into_iter().map(KeyVersion::try_from).collect()
    }

    /// The published versions and, so that no number is given out twice, the newest one: all that
    /// a plan and a keyring need. Oldest first.
    pub async fn current_keys(&self) -> Result<Vec<KeyVersion>, StoreError> {
        let rows: Vec<KeyRow> = on_pool!(self, |pool| sqlx::query_as(CURRENT_KEYS)
            .fetch_all(pool)
            .await)?;
        rows.into_iter().map(KeyVersion::try_from).collect()
    }

    /// A number that grows with every change of a key.
    pub async fn key_revision(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT revision FROM rotation WHERE id = 1";
        Ok(on_pool!(self, |pool| sqlx::query_scalar(SQL)
            .fetch_one(pool)
            .await)?)
    }

    /// The database's own clock, which all replicas share; nothing where the clock of this machine
    /// is as good (SQLite).
    pub async fn shared_now(&self) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "SELECT EXTRACT(EPOCH FROM clock_timestamp())::BIGINT";
        match self {
            Self::Sqlite { .. } => Ok(None),
            Self::Postgres { pool, .. } => {
                let seconds: i64 = sqlx::query_scalar(SQL).fetch_one(pool).await?;
                Ok(Some(Timestamp(seconds)))
            }
        }
    }

    /// Takes the lease for `ttl` if it is free, has expired, or is `holder`'s own.
    pub async fn claim_lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Option<Lease>, StoreError> {
        const SQL: &str = "UPDATE rotation \
             SET lease_holder = $1, lease_epoch = lease_epoch + 1, lease_expires_at = $2 \
             WHERE id = 1 AND (lease_expires_at <= $3 OR lease_holder = $1 OR lease_holder = '') \
             RETURNING lease_epoch";
        let until = (now + ttl).0;
        let epoch: Option<i64> = on_writer!(self, |pool| sqlx::query_scalar(SQL)
            .bind(holder)
            .bind(until)
            .bind(now.0)
            .fetch_optional(pool)
            .await)?;
        Ok(epoch.map(|epoch| Lease {
            holder: holder.to_owned(),
            epoch,
        }))
    }

    /// Takes the lease from whoever holds it: an operator does not wait for the schedule. What the
    /// former holder had planned will not be written.
    pub async fn take_over_lease(
        &self,
        holder: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Lease, StoreError> {
        const SQL: &str = "UPDATE rotation \
             SET lease_holder = $1, lease_epoch = lease_epoch + 1, lease_expires_at = $2 \
             WHERE id = 1 RETURNING lease_epoch";
        let epoch: i64 = on_writer!(self, |pool| sqlx::query_scalar(SQL)
            .bind(holder)
            .bind((now + ttl).0)
            .fetch_one(pool)
            .await)?;
        Ok(Lease {
            holder: holder.to_owned(),
            epoch,
        })
    }

    /// Gives the lease back, unless somebody has taken it over.
    pub async fn release_lease(&self, lease: &Lease) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE rotation SET lease_holder = '', lease_expires_at = 0 \
             WHERE id = 1 AND lease_holder = $1 AND lease_epoch = $2";
        on_writer!(self, |pool| sqlx::query(SQL)
            .bind(&lease.holder)
            .bind(lease.epoch)
            .execute(pool)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Applies what `decide` says about the current keys as they are inside the transaction, and
    /// records each step as an event. Returns the steps.
    ///
    /// # Errors
    /// [`StoreError::LostRace`] when the lease is no longer held, when a key is not in the state
    /// that a step needs, or when `new_key` is not the version that is to be staged.
    pub async fn change_keys(
        &self,
        lease: &Lease,
        new_key: Option<&NewKey>,
        actor: &Actor,
        now: Timestamp,
        decide: impl FnOnce(&[KeyVersion]) -> Vec<Step> + Send,
    ) -> Result<Vec<Step>, StoreError> {
        in_tx!(self, |tx| {
            let held = sqlx::query(HOLD_LEASE)
                .bind(&lease.holder)
                .bind(lease.epoch)
                .bind(now.0);
            exactly_one(held.execute(&mut *tx).await?.rows_affected())?;
            if self.is_shared() {
                // Behind a replica that stalls in the middle of a batch, all others would queue up.
                sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
                sqlx::query(LOCK_KEYS).execute(&mut *tx).await?;
            }
            let rows: Vec<KeyRow> = sqlx::query_as(CURRENT_KEYS).fetch_all(&mut *tx).await?;
            let keys = rows
                .into_iter()
                .map(KeyVersion::try_from)
                .collect::<Result<Vec<_>, _>>()?;
            let steps = decide(&keys);
            for step in &steps {
                let changed = if let Step::Stage(version) = step {
                    let Some(key) = new_key.filter(|key| key.version == *version) else {
                        return Err(StoreError::LostRace);
                    };
                    sqlx::query(STAGE)
                        .bind(key.version.0)
                        .bind(key.algorithm.as_str())
                        .bind(&key.kid)
                        .bind(&key.public_jwk)
                        .bind(&key.sealed_private)
                        .bind(now.0)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected()
                } else {
                    sqlx::query(guarded(*step))
                        .bind(now.0)
                        .bind(step.version().0)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected()
                };
                exactly_one(changed)?;
            }
            if !steps.is_empty() {
                sqlx::query(BUMP_REVISION).execute(&mut *tx).await?;
                let events = steps
                    .iter()
                    .map(|step| event_of(*step, &keys, new_key, actor, now))
                    .collect::<Vec<_>>();
                tx.append_events(&events).await?;
            }
            steps
        })
    }

    /// Replaces the sealed form of a private key by another of the same key.
    ///
    /// # Errors
    /// [`StoreError::LostRace`] when the lease is no longer held, or the row no longer holds `old`.
    pub async fn reseal_key(
        &self,
        lease: &Lease,
        key: &KeyVersion,
        new: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const SQL: &str =
            "UPDATE key_version SET sealed_private = $1 WHERE version = $2 AND sealed_private = $3";
        in_tx!(self, |tx| {
            let held = sqlx::query(HOLD_LEASE)
                .bind(&lease.holder)
                .bind(lease.epoch)
                .bind(now.0);
            exactly_one(held.execute(&mut *tx).await?.rows_affected())?;
            if self.is_shared() {
                // Behind a replica that stalls in the middle of a batch, all others would queue up.
                sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
                sqlx::query(LOCK_KEYS).execute(&mut *tx).await?;
            }
            let changed = sqlx::query(SQL)
                .bind(new)
                .bind(key.version.0)
                .bind(key.sealed_private.as_deref())
                .execute(&mut *tx)
                .await?;
            exactly_one(changed.rows_affected())?;
            sqlx::query(BUMP_REVISION).execute(&mut *tx).await?;
            let event = Event {
                kid: Some(key.kid.clone()),
                ..Event::new(now, EventKind::KeyRewrapped, actor.clone())
            };
            tx.append_events(&[event]).await?;
        })
    }
}

const STAGE: &str = "INSERT INTO key_version \
     (version, algorithm, kid, public_jwk, sealed_private, state, created_at) \
     VALUES ($1, $2, $3, $4, $5, 'staged', $6) ON CONFLICT DO NOTHING";

/// The statement of a step: it names the state that the version must be in. `$1` is the time.
fn guarded(step: Step) -> &'static str {
    match step {
        Step::Stage(_) => STAGE,
        Step::MarkSeen(_) => {
            "UPDATE key_version SET seen_at = $1 \
             WHERE version = $2 AND state = 'staged' AND seen_at IS NULL"
        }
        Step::Activate(_) => {
            "UPDATE key_version SET state = 'active', activated_at = $1, expedited = FALSE \
             WHERE version = $2 AND state = 'staged'"
        }
        Step::Deactivate(_) => {
            "UPDATE key_version SET state = 'retiring', deactivated_at = $1, sealed_private = NULL, \
             expedited = FALSE WHERE version = $2 AND state = 'active'"
        }
        Step::Expedite(_) => {
            "UPDATE key_version SET expedited = TRUE \
             WHERE version = $2 AND state IN ('staged', 'retiring') AND $1 = $1"
        }
        Step::Retire(_) => {
            "UPDATE key_version SET state = 'retired', retired_at = $1, expedited = FALSE \
             WHERE version = $2 AND state = 'retiring'"
        }
        Step::Revoke(_) => {
            "UPDATE key_version SET state = 'revoked', revoked_at = $1, sealed_private = NULL, \
             expedited = FALSE WHERE version = $2 AND state IN ('staged', 'active', 'retiring')"
        }
    }
}

fn event_of(
    step: Step,
    keys: &[KeyVersion],
    new_key: Option<&NewKey>,
    actor: &Actor,
    now: Timestamp,
) -> Event {
    let kind = match step {
        Step::Stage(_) => EventKind::KeyStaged,
        Step::MarkSeen(_) => EventKind::KeySeen,
        Step::Activate(_) => EventKind::KeyActivated,
        Step::Deactivate(_) => EventKind::KeyDeactivated,
        Step::Expedite(_) => EventKind::KeyExpedited,
        Step::Retire(_) => EventKind::KeyRetired,
        Step::Revoke(_) => EventKind::KeyRevoked,
    };
    let version = step.version();
    let kid = keys
        .iter()
        .find(|key| key.version == version)
        .map(|key| &key.kid)
        .or(new_key.map(|key| &key.kid));
    Event {
        kid: kid.cloned(),
        reason: Some(format!("version {version}")),
        ..Event::new(now, kind, actor.clone())
    }
}

#[derive(FromRow)]
struct KeyRow {
    version: i64,
    algorithm: String,
    kid: String,
    public_jwk: String,
    sealed_private: Option<String>,
    state: String,
    expedited: bool,
    created_at: i64,
    seen_at: Option<i64>,
    activated_at: Option<i64>,
    deactivated_at: Option<i64>,
    retired_at: Option<i64>,
    revoked_at: Option<i64>,
    tokens_until: i64,
}

impl TryFrom<KeyRow> for KeyVersion {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let corrupt =
            |what: &str| StoreError::Corrupt(format!("key version {} with {what}", row.version));
        let time = |at: Option<i64>, name: &str| at.map(Timestamp).ok_or_else(|| corrupt(name));
        let state = match row.state.as_str() {
            "staged" => KeyState::Staged {
                seen_at: row.seen_at.map(Timestamp),
            },
            "active" => KeyState::Active {
                seen_at: row.seen_at.map(Timestamp),
                activated_at: time(row.activated_at, "no activated_at")?,
            },
            "retiring" => KeyState::Retiring {
                activated_at: time(row.activated_at, "no activated_at")?,
                deactivated_at: time(row.deactivated_at, "no deactivated_at")?,
            },
            "retired" => KeyState::Retired {
                activated_at: time(row.activated_at, "no activated_at")?,
                retired_at: time(row.retired_at, "no retired_at")?,
            },
            "revoked" => KeyState::Revoked {
                activated_at: row.activated_at.map(Timestamp),
                revoked_at: time(row.revoked_at, "no revoked_at")?,
            },
            other => return Err(corrupt(&format!("state {other:?}"))),
        };
        Ok(Self {
            version: Version(row.version),
            algorithm: Algorithm::parse("algorithm", &row.algorithm)
                .map_err(|_| corrupt(&format!("algorithm {:?}", row.algorithm)))?,
            kid: row.kid,
            public_jwk: row.public_jwk,
            sealed_private: row.sealed_private,
            state,
            expedited: row.expedited,
            created_at: Timestamp(row.created_at),
            tokens_until: Timestamp(row.tokens_until),
        })
    }
}
