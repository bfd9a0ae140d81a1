//! The audit log: read a page, find what still lives, drop what is old.

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder};

use super::append::AppendEvents;
use super::issuers::FORGET;
use super::{GIVE_UP_SOON, Store, StoreError, in_tx, on_pool, on_writer};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::time::Timestamp;

/// An event and its place in the log.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Grows with time on one replica; the cursor of a page.
    pub id: i64,
    /// What happened.
    pub event: Event,
}

/// Which events to read; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// By the run's id, ours or Terraform's.
    pub run: Option<String>,
    /// By the whole subject.
    pub subject: Option<String>,
    /// By the token's id.
    pub jti: Option<String>,
    /// By the key.
    pub kid: Option<String>,
    /// By what happened.
    pub kind: Option<EventKind>,
    /// From this time on.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// Only older than this place in the log.
    pub before: Option<i64>,
}

/// Tokens of one run and audience that were alive when a key was withdrawn.
#[derive(Clone, Debug, FromRow)]
pub struct LiveToken {
    /// By `terraform_run_id`.
    pub run_id: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The audience.
    pub audience: Option<String>,
    /// How many there are.
    pub tokens: i64,
    /// When the last of them dies.
    pub expires_at: i64,
}

/// How long after its expiry a foreign token that was taken is still remembered, in seconds.
const FORGET_AFTER: i64 = 600;

/// Postgres keeps a week of events in a partition.
const PARTITION_SECONDS: i64 = 7 * 24 * 3_600;

impl Store {
    /// Appends one event.
    pub async fn add_event(&self, event: &Event) -> Result<(), StoreError> {
        self.add_events(std::slice::from_ref(event)).await
    }

    /// Appends events in their order: all of them or none.
    pub async fn add_events(&self, events: &[Event]) -> Result<(), StoreError> {
        in_tx!(self, |tx| {
            tx.append_events(events).await?;
        })
    }

    /// At most `limit` events that fit the filter, newest first.
    pub async fn events(
        &self,
        filter: &EventFilter,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        const SELECT: &str = "SELECT id, at, kind, actor, request_id, run, run_id, subject, \
             audience, jti, kid, expires_at, reason FROM event WHERE TRUE";
        let rows: Vec<StoredRow> = on_pool!(self, |pool| {
            let mut query = QueryBuilder::new(SELECT);
            if let Some(run) = &filter.run {
                // Ours is a UUID; through Terraform's id, which has an index.
                if uuid::Uuid::parse_str(run).is_ok() {
                    query.push(" AND run = ").push_bind(run);
                    query.push(" AND run_id IN (SELECT run_id FROM run WHERE id = ");
                    query.push_bind(run).push(")");
                } else {
                    query.push(" AND run_id = ").push_bind(run);
                }
            }
            if let Some(subject) = &filter.subject {
                query.push(" AND subject = ").push_bind(subject);
            }
            if let Some(jti) = &filter.jti {
                query.push(" AND jti = ").push_bind(jti);
            }
            if let Some(kid) = &filter.kid {
                query.push(" AND kid = ").push_bind(kid);
            }
            if let Some(kind) = filter.kind {
                query.push(" AND kind = ").push_bind(kind.as_str());
            }
            if let Some(since) = filter.since {
                query.push(" AND at >= ").push_bind(since.0);
            }
            if let Some(until) = filter.until {
                query.push(" AND at < ").push_bind(until.0);
            }
            if let Some(before) = filter.before {
                query.push(" AND id < ").push_bind(before);
            }
            query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
            query.build_query_as().fetch_all(pool).await
        })?;
        rows.into_iter().map(StoredEvent::try_from).collect()
    }

    /// The tokens signed by `kid` that are alive at `now`, by run and audience, longest-lived first.
    pub async fn live_tokens(
        &self,
        kid: &str,
        now: Timestamp,
    ) -> Result<Vec<LiveToken>, StoreError> {
        const SQL: &str = "SELECT run_id, subject, audience, COUNT(*) AS tokens, \
             MAX(expires_at) AS expires_at FROM event \
             WHERE kid = $1 AND expires_at > $2 AND kind = 'token.minted' \
             GROUP BY run_id, subject, audience \
             ORDER BY MAX(expires_at) DESC, run_id, subject, audience";
        Ok(on_pool!(self, |pool| sqlx::query_as(SQL)
            .bind(kid)
            .bind(now.0)
            .fetch_all(pool)
            .await)?)
    }

    /// Drops events and ended runs from before `oldest`, and makes room for those to come. Forgets
    /// secrets that expired a day ago.
    pub async fn maintain(&self, oldest: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        const OLD_RUNS: &str = "DELETE FROM run WHERE expires_at < $1";
        on_writer!(self, |pool| sqlx::query(OLD_RUNS)
            .bind(oldest.0)
            .execute(pool)
            .await
            .map(drop))?;
        // Replicas whose clocks are behind still take the word of these rows.
        on_writer!(self, |pool| sqlx::query(FORGET)
            .bind(now.0 - FORGET_AFTER)
            .execute(pool)
            .await
            .map(drop))?;
        self.drop_expired_secrets(now).await?;
        match self {
            // Rows are all that SQLite has; in pieces, since minting waits meanwhile.
            Self::Sqlite { write, .. } => loop {
                const PIECE: &str = "DELETE FROM event WHERE id IN \
                     (SELECT id FROM event WHERE at < $1 ORDER BY at LIMIT 1000)";
                let mut connection = write.acquire().await?;
                let deleted = sqlx::query(PIECE).bind(oldest.0);
                let deleted = deleted.execute(&mut *connection).await?;
                if deleted.rows_affected() == 0 {
                    break;
                }
            },
            // A partition is dropped at once, whatever its size.
            Self::Postgres { .. } => {
                let this_week = now.0.div_euclid(PARTITION_SECONDS) * PARTITION_SECONDS;
                for start in [this_week, this_week + PARTITION_SECONDS] {
                    self.add_event_partition(start).await?;
                }
                self.drop_event_partitions(oldest).await?;
            }
        }
        Ok(())
    }

    /// Makes the partition of the week that starts at `start`, and moves there what was caught by
    /// the default partition.
    async fn add_event_partition(&self, start: i64) -> Result<(), StoreError> {
        let Self::Postgres { pool, .. } = self else {
            return Ok(());
        };
        let name = format!("event_w{start}");
        let end = start + PARTITION_SECONDS;
        let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
            .bind(&name)
            .fetch_one(pool)
            .await?;
        if exists {
            return Ok(());
        }
        let mut tx = pool.begin().await?;
        sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
        let created = sqlx::query(AssertSqlSafe(format!(
            "CREATE TABLE {name} (LIKE event INCLUDING DEFAULTS)"
        )))
        .execute(&mut *tx)
        .await;
        match created {
            // Another replica was faster.
            Err(sqlx::Error::Database(error))
                if matches!(error.code().as_deref(), Some("42P07" | "42710" | "23505")) =>
            {
                return Ok(());
            }
            other => other?,
        };
        for statement in [
            format!(
                "WITH moved AS (DELETE FROM event_default WHERE at >= {start} AND at < {end} \
                 RETURNING id, at, kind, actor, request_id, run, run_id, subject, audience, jti, \
                 kid, expires_at, reason) \
                 INSERT INTO {name} (id, at, kind, actor, request_id, run, run_id, subject, \
                 audience, jti, kid, expires_at, reason) \
                 SELECT id, at, kind, actor, request_id, run, run_id, subject, audience, jti, kid, \
                 expires_at, reason FROM moved"
            ),
            format!(
                "ALTER TABLE event ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"
            ),
        ] {
            sqlx::query(AssertSqlSafe(statement))
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn drop_event_partitions(&self, oldest: Timestamp) -> Result<(), StoreError> {
        const PARTITIONS: &str = "SELECT child.relname::TEXT FROM pg_inherits \
             JOIN pg_class parent ON parent.oid = inhparent \
             JOIN pg_class child ON child.oid = inhrelid \
             WHERE parent.relname = 'event' AND pg_table_is_visible(parent.oid)";
        let Self::Postgres { pool, .. } = self else {
            return Ok(());
        };
        let names: Vec<String> = sqlx::query_scalar(PARTITIONS).fetch_all(pool).await?;
        let starts = names
            .iter()
            .filter_map(|name| name.strip_prefix("event_w")?.parse::<i64>().ok())
            .filter(|start| start + PARTITION_SECONDS <= oldest.0);
        for start in starts {
            let mut tx = pool.begin().await?;
            sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
            let drop = AssertSqlSafe(format!("DROP TABLE IF EXISTS event_w{start}"));
            sqlx::query(drop).execute(&mut *tx).await?;
            tx.commit().await?;
        }
        sqlx::query("DELETE FROM event_default WHERE at < $1")
            .bind(oldest.0)
            .execute(pool)
            .await?;
        Ok(())
    }
}

#[derive(FromRow)]
struct StoredRow {
    id: i64,
    at: i64,
    kind: String,
    actor: String,
    request_id: Option<String>,
    run: Option<String>,
    run_id: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    jti: Option<String>,
    kid: Option<String>,
    expires_at: Option<i64>,
    reason: Option<String>,
}

impl TryFrom<StoredRow> for StoredEvent {
    type Error = StoreError;

    fn try_from(row: StoredRow) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("event {} with {what}", row.id));
        let kind =
            EventKind::parse(&row.kind).map_err(|_| corrupt(&format!("kind {:?}", row.kind)))?;
        let actor =
            Actor::parse(&row.actor).ok_or_else(|| corrupt(&format!("actor {:?}", row.actor)))?;
        Ok(Self {
            id: row.id,
            event: Event {
                at: Timestamp(row.at),
                kind,
                actor,
                request_id: row.request_id,
                run: row.run,
                run_id: row.run_id,
                subject: row.subject,
                audience: row.audience,
                jti: row.jti,
                kid: row.kid,
                expires_at: row.expires_at.map(Timestamp),
                reason: row.reason,
            },
        })
    }
}
