//! Trusted issuers, and the foreign tokens that were taken.

use sqlx::FromRow;

use super::append::AppendEvents;
use super::secrets::LOCK_SECRETS;
use super::{GIVE_UP_SOON, Store, StoreError, exactly_one, in_tx, on_pool};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::name::Name;
use crate::domain::time::Timestamp;
use crate::domain::trusted_issuer::{Definition, TrustedIssuer};

/// A foreign token that is about to be taken: at most one request takes it, and only while its
/// issuer is what it was when the token was verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Take {
    /// A hash that tells this token from all others.
    pub id: String,
    /// The request that takes it.
    pub by: String,
    /// Until when it must be remembered.
    pub until: Timestamp,
    /// The trusted issuer, by name.
    pub issuer: String,
    /// The revision of it that the token was verified by.
    pub revision: i64,
}

/// What became of an attempt to take a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    /// It is this request's.
    Now,
    /// Another request has it.
    Before,
    /// Its issuer was removed or changed in between.
    IssuerChanged,
}

/// What was exchanged for a secret on an issuer's word ends with that word.
const END_SESSIONS: &str = "DELETE FROM client_secret WHERE issuer = $1";

/// Under load, recorders that share the row would keep a change waiting; see [`super::keys`]. It comes
/// before clients, secrets and runs, as in [`lock_issuers`], and after the row of [`BUMP`].
const LOCK_ISSUERS: &str = "LOCK TABLE trusted_issuer IN EXCLUSIVE MODE";

const BUMP: &str = "UPDATE federation SET revision = revision + 1 WHERE id = 1 RETURNING revision";

impl Store {
    /// Grows with every change of a trusted issuer.
    pub async fn federation_revision(&self) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT revision FROM federation WHERE id = 1";
        Ok(on_pool!(self, |pool| sqlx::query_scalar(SQL)
            .fetch_one(pool)
            .await)?)
    }

    /// All trusted issuers by name, and the revision that they belong to. One that cannot be read is
    /// left out and logged: the others are not its victims. Replicas ask once for each revision.
    pub async fn trusted_issuers(&self) -> Result<(i64, Vec<TrustedIssuer>), StoreError> {
        const SQL: &str = "SELECT name, definition, revision, created_at FROM trusted_issuer \
             ORDER BY name";
        // The revision first: what changes in between is seen at the next look.
        let revision = self.federation_revision().await?;
        let rows: Vec<IssuerRow> =
            on_pool!(self, |pool| sqlx::query_as(SQL).fetch_all(pool).await)?;
        let mut issuers = Vec::with_capacity(rows.len());
        for row in rows {
            match TrustedIssuer::try_from(row) {
                Ok(issuer) => issuers.push(issuer),
                Err(error) => {
                    tracing::error!(%error, "a trusted issuer is left out; its tokens are refused");
                }
            }
        }
        Ok((revision, issuers))
    }

    /// The trusted issuer with this name.
    pub async fn find_trusted_issuer(
        &self,
        name: &str,
    ) -> Result<Option<TrustedIssuer>, StoreError> {
        const SQL: &str =
            "SELECT name, definition, revision, created_at FROM trusted_issuer WHERE name = $1";
        let row: Option<IssuerRow> = on_pool!(self, |pool| sqlx::query_as(SQL)
            .bind(name)
            .fetch_optional(pool)
            .await)?;
        row.map(TrustedIssuer::try_from).transpose()
    }

    /// Trusts an issuer.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of that name or of that `iss`.
    pub async fn add_trusted_issuer(
        &self,
        name: &Name,
        definition: &Definition,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<TrustedIssuer, StoreError> {
        const SQL: &str = "INSERT INTO trusted_issuer (name, issuer, definition, revision, \
             created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let text = text_of(definition)?;
        in_tx!(self, |tx| {
            let revision: i64 = sqlx::query_scalar(BUMP).fetch_one(&mut *tx).await?;
            let added = sqlx::query(SQL)
                .bind(name.as_str())
                .bind(&definition.issuer)
                .bind(&text)
                .bind(revision)
                .bind(now.0)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            exactly_one(added)
                .map_err(|_| StoreError::Conflict("a trusted issuer of this name or `iss`"))?;
            let event = changed(name.as_str(), &text, EventKind::IssuerAdded, actor, now);
            tx.append_events(&[event]).await?;
            TrustedIssuer {
                name: name.clone(),
                definition: definition.clone(),
                revision,
                created_at: now,
            }
        })
    }

    /// Replaces what an issuer is trusted with; nothing if there is none of that name. Secrets that
    /// were had on its word end; runs that were opened on it stay open.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another one has that `iss`.
    pub async fn update_trusted_issuer(
        &self,
        name: &Name,
        definition: &Definition,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Option<TrustedIssuer>, StoreError> {
        const OTHER: &str = "SELECT name FROM trusted_issuer WHERE issuer = $1 AND name <> $2";
        const SQL: &str = "UPDATE trusted_issuer SET issuer = $1, definition = $2, revision = $3 \
             WHERE name = $4 RETURNING created_at";
        let text = text_of(definition)?;
        in_tx!(self, |tx| {
            if self.is_shared() {
                sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
            }
            // Whoever adds or changes one waits for this row, so the look before is good.
            let revision: i64 = sqlx::query_scalar(BUMP).fetch_one(&mut *tx).await?;
            if self.is_shared() {
                sqlx::query(LOCK_ISSUERS).execute(&mut *tx).await?;
            }
            let other = sqlx::query(OTHER)
                .bind(&definition.issuer)
                .bind(name.as_str());
            if other.fetch_optional(&mut *tx).await?.is_some() {
                return Err(StoreError::Conflict("a trusted issuer of this `iss`"));
            }
            let created_at: Option<i64> = sqlx::query_scalar(SQL)
                .bind(&definition.issuer)
                .bind(&text)
                .bind(revision)
                .bind(name.as_str())
                .fetch_optional(&mut *tx)
                .await?;
            let Some(created_at) = created_at else {
                return Ok(None);
            };
            if self.is_shared() {
                sqlx::query(LOCK_SECRETS).execute(&mut *tx).await?;
            }
            let sessions = sqlx::query(END_SESSIONS).bind(name.as_str());
            sessions.execute(&mut *tx).await?;
            let event = changed(name.as_str(), &text, EventKind::IssuerUpdated, actor, now);
            tx.append_events(&[event]).await?;
            Some(TrustedIssuer {
                name: name.clone(),
                definition: definition.clone(),
                revision,
                created_at: Timestamp(created_at),
            })
        })
    }

    /// Trusts an issuer no more; whether it was there. Nothing is taken on its word from here on, and
    /// what was had on it, secrets and open runs, ends.
    pub async fn remove_trusted_issuer(
        &self,
        name: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM trusted_issuer WHERE name = $1";
        const CLOSE: &str = "UPDATE run SET closed_at = $1 \
             WHERE issuer = $2 AND closed_at IS NULL AND expires_at > $1";
        // In the order in which a batch of tokens takes them.
        const LOCK_RUNS: &str = "SELECT id FROM run \
             WHERE issuer = $1 AND closed_at IS NULL AND expires_at > $2 ORDER BY id FOR UPDATE";
        in_tx!(self, |tx| {
            if self.is_shared() {
                sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
            }
            let _: i64 = sqlx::query_scalar(BUMP).fetch_one(&mut *tx).await?;
            if self.is_shared() {
                sqlx::query(LOCK_ISSUERS).execute(&mut *tx).await?;
            }
            let removed = sqlx::query(REMOVE).bind(name).execute(&mut *tx).await?;
            if removed.rows_affected() == 0 {
                return Ok(false);
            }
            if self.is_shared() {
                sqlx::query(LOCK_SECRETS).execute(&mut *tx).await?;
            }
            let sessions = sqlx::query(END_SESSIONS).bind(name);
            sessions.execute(&mut *tx).await?;
            // After the secrets: a run that one of them is just opening is there by now.
            if self.is_shared() {
                let runs = sqlx::query(LOCK_RUNS).bind(name).bind(now.0);
                runs.execute(&mut *tx).await?;
            }
            let closed = sqlx::query(CLOSE).bind(now.0).bind(name);
            let runs = closed.execute(&mut *tx).await?.rows_affected();
            let event = Event::new(now, EventKind::IssuerRemoved, actor.clone());
            let reason = format!("issuer {name}; {runs} runs opened on its word were closed");
            tx.append_events(&[Event {
                reason: Some(reason),
                ..event
            }])
            .await?;
            true
        })
    }

    /// Whether a foreign token was taken, by its hash.
    pub async fn is_taken(&self, id: &str) -> Result<bool, StoreError> {
        const SQL: &str = "SELECT 1 FROM taken_token WHERE id = $1";
        let row = on_pool!(self, |pool| sqlx::query(SQL)
            .bind(id)
            .fetch_optional(pool)
            .await
            .map(|row| row.is_some()))?;
        Ok(row)
    }
}

fn changed(name: &str, text: &str, kind: EventKind, actor: &Actor, now: Timestamp) -> Event {
    Event {
        reason: Some(format!("issuer {name}: {text}")),
        ..Event::new(now, kind, actor.clone())
    }
}

fn text_of(definition: &Definition) -> Result<String, StoreError> {
    serde_json::to_string(definition).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The revisions of the issuers of some `$takes`, by name, which stay so until this transaction ends.
/// Before clients and runs are locked: whoever withdraws trust locks them after the issuers.
macro_rules! lock_issuers {
    ($store:expr, $tx:ident, $takes:expr) => {{
        let takes: &[&crate::store::Take] = $takes;
        let issuers: std::collections::BTreeSet<&str> =
            takes.iter().map(|take| take.issuer.as_str()).collect();
        let lock = if $store.is_shared() { " FOR SHARE" } else { "" };
        let mut revisions = std::collections::BTreeMap::new();
        for issuer in issuers {
            let mut query =
                sqlx::QueryBuilder::new("SELECT revision FROM trusted_issuer WHERE name = ");
            query.push_bind(issuer).push(lock);
            let revision: Option<i64> =
                query.build_query_scalar().fetch_optional(&mut *$tx).await?;
            revisions.insert(issuer, revision);
        }
        revisions
    }};
}

/// Takes foreign tokens within a transaction of either database: `$takes` by id, `$revisions` as
/// [`lock_issuers`] found them; the outcome of each by id and request. Two transactions take them in
/// the same order, and after all rows and tables that a removal waits for: one that took a token and then waited
/// for such a table would keep another waiting that has the table and wants the token.
macro_rules! take_tokens {
    ($tx:ident, $takes:expr, $revisions:expr) => {{
        let takes: &[&crate::store::Take] = $takes;
        let revisions: &std::collections::BTreeMap<&str, Option<i64>> = $revisions;
        let mut taken = std::collections::BTreeMap::new();
        for take in takes {
            if revisions.get(take.issuer.as_str()) != Some(&Some(take.revision)) {
                taken.insert(
                    (take.id.as_str(), take.by.as_str()),
                    crate::store::Taken::IssuerChanged,
                );
                continue;
            }
            sqlx::query(crate::store::issuers::TAKE)
                .bind(&take.id)
                .bind(&take.by)
                .bind(take.until.0)
                .execute(&mut *$tx)
                .await?;
            let by: String = sqlx::query_scalar(crate::store::issuers::TAKEN_BY)
                .bind(&take.id)
                .fetch_one(&mut *$tx)
                .await?;
            let outcome = if by == take.by {
                crate::store::Taken::Now
            } else {
                crate::store::Taken::Before
            };
            taken.insert((take.id.as_str(), take.by.as_str()), outcome);
        }
        taken
    }};
}

pub(super) use {lock_issuers, take_tokens};

pub(super) const TAKE: &str =
    "INSERT INTO taken_token (id, taken_by, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
pub(super) const TAKEN_BY: &str = "SELECT taken_by FROM taken_token WHERE id = $1";
pub(super) const FORGET: &str = "DELETE FROM taken_token WHERE expires_at <= $1";

#[derive(FromRow)]
struct IssuerRow {
    name: String,
    definition: String,
    revision: i64,
    created_at: i64,
}

impl TryFrom<IssuerRow> for TrustedIssuer {
    type Error = StoreError;

    fn try_from(row: IssuerRow) -> Result<Self, StoreError> {
        let corrupt =
            |what: &str| StoreError::Corrupt(format!("trusted issuer {:?} with {what}", row.name));
        Ok(Self {
            definition: serde_json::from_str(&row.definition)
                .map_err(|_| corrupt("a definition of another kind"))?,
            name: Name::parse("name", &row.name).map_err(|_| corrupt("such a name"))?,
            revision: row.revision,
            created_at: Timestamp(row.created_at),
        })
    }
}
