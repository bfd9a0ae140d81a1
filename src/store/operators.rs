//! Operators and the hashes of their tokens. The configured admin token is not among them: of its
//! operator only the last use is kept.

use sqlx::FromRow;

use super::append::AppendEvents;
use super::secrets::SecretRow;
use super::{Store, StoreError, exactly_one, in_tx, on_pool};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::name::Name;
use crate::domain::operator::{Access, Operator};
use crate::domain::secret::{AT_A_TIME, NewSecret, SecretInfo, USE_STEP};
use crate::domain::time::Timestamp;

const ADD_TOKEN: &str = "INSERT INTO operator_secret (hash, id, operator, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5)";

impl Store {
    /// Adds an operator with its first token.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of that name.
    pub async fn add_operator(
        &self,
        name: &Name,
        access: Access,
        token: &NewSecret,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const ADD: &str = "INSERT INTO operator (name, access, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT DO NOTHING";
        in_tx!(self, |tx| {
            let added = sqlx::query(ADD)
                .bind(name.as_str())
                .bind(access.as_str())
                .bind(now.0)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            exactly_one(added).map_err(|_| StoreError::Conflict("an operator of this name"))?;
            sqlx::query(ADD_TOKEN)
                .bind(&token.hash)
                .bind(token.id())
                .bind(name.as_str())
                .bind(now.0)
                .bind(token.expires_at.map(|at| at.0))
                .execute(&mut *tx)
                .await?;
            let access = access.as_str();
            let event = Event {
                expires_at: token.expires_at,
                reason: Some(format!(
                    "operator {name} with {access} access, token {}",
                    token.id()
                )),
                ..Event::new(now, EventKind::OperatorAdded, actor.clone())
            };
            tx.append_events(&[event]).await?;
        })
    }

    /// All operators, by name.
    pub async fn operators(&self) -> Result<Vec<Operator>, StoreError> {
        const SQL: &str = "SELECT name, access, created_at AS added_at, last_used_at AS seen_at \
             FROM operator ORDER BY name";
        let rows: Vec<OperatorRow> =
            on_pool!(self, |pool| sqlx::query_as(SQL).fetch_all(pool).await)?;
        rows.into_iter().map(Operator::try_from).collect()
    }

    /// The operator that has a token with this hash, and what is known of the token. It may have
    /// expired: that is for the caller to judge.
    pub async fn find_operator_by_token(
        &self,
        hash: &str,
    ) -> Result<Option<(Operator, SecretInfo)>, StoreError> {
        const SQL: &str = "SELECT name, access, operator.created_at AS added_at, \
             operator.last_used_at AS seen_at, id, operator_secret.created_at AS made_at, \
             expires_at, operator_secret.last_used_at, CAST(NULL AS TEXT) AS issuer \
             FROM operator JOIN operator_secret ON operator_secret.operator = operator.name \
             WHERE hash = $1";
        let row: Option<KnownRow> = on_pool!(self, |pool| sqlx::query_as(SQL)
            .bind(hash)
            .fetch_optional(pool)
            .await)?;
        row.map(|KnownRow { operator, token }| Ok((operator.try_into()?, token.into())))
            .transpose()
    }

    /// Removes an operator with its tokens; whether it was there. The configured one stays.
    pub async fn remove_operator(
        &self,
        name: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM operator WHERE name = $1 AND created_at IS NOT NULL";
        in_tx!(self, |tx| {
            let removed = sqlx::query(REMOVE).bind(name).execute(&mut *tx).await?;
            let removed = removed.rows_affected() == 1;
            if removed {
                let event = Event {
                    reason: Some(format!("operator {name}")),
                    ..Event::new(now, EventKind::OperatorRemoved, actor.clone())
                };
                tx.append_events(&[event]).await?;
            }
            removed
        })
    }

    /// Gives an operator one more token; whether there is such an operator. The configured one gets
    /// none: its tokens are settings.
    ///
    /// # Errors
    /// [`StoreError::TwoAlready`], not counting expired ones.
    pub async fn add_operator_token(
        &self,
        name: &str,
        token: &NewSecret,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const LIVING: &str = "SELECT COUNT(*) FROM operator_secret WHERE operator = $1 \
             AND (expires_at IS NULL OR expires_at > $2)";
        let known = match self {
            // BEGIN IMMEDIATE has shut out all other writers already.
            Self::Sqlite { .. } => {
                "SELECT 1 FROM operator WHERE name = $1 AND created_at IS NOT NULL"
            }
            // Two who add at once must not both find room.
            Self::Postgres { .. } => {
                "SELECT 1 FROM operator WHERE name = $1 AND created_at IS NOT NULL FOR UPDATE"
            }
        };
        in_tx!(self, |tx| {
            let known = sqlx::query(known).bind(name);
            if known.fetch_optional(&mut *tx).await?.is_none() {
                return Ok(false);
            }
            let living = sqlx::query_scalar(LIVING).bind(name).bind(now.0);
            let living: i64 = living.fetch_one(&mut *tx).await?;
            if living >= AT_A_TIME {
                return Err(StoreError::TwoAlready("tokens"));
            }
            sqlx::query(ADD_TOKEN)
                .bind(&token.hash)
                .bind(token.id())
                .bind(name)
                .bind(now.0)
                .bind(token.expires_at.map(|at| at.0))
                .execute(&mut *tx)
                .await?;
            let event = Event {
                expires_at: token.expires_at,
                reason: Some(format!("operator {name}, token {}", token.id())),
                ..Event::new(now, EventKind::OperatorTokenAdded, actor.clone())
            };
            tx.append_events(&[event]).await?;
            true
        })
    }

    /// The tokens of an operator, oldest first; `None` if there is no such operator.
    pub async fn operator_tokens(&self, name: &str) -> Result<Option<Vec<SecretInfo>>, StoreError> {
        const KNOWN: &str = "SELECT name FROM operator WHERE name = $1";
        const SQL: &str = "SELECT id, created_at AS made_at, expires_at, last_used_at, \
             CAST(NULL AS TEXT) AS issuer FROM operator_secret WHERE operator = $1 \
             ORDER BY created_at, id";
        let known: Option<String> = on_pool!(self, |pool| sqlx::query_scalar(KNOWN)
            .bind(name)
            .fetch_optional(pool)
            .await)?;
        if known.is_none() {
            return Ok(None);
        }
        let rows: Vec<SecretRow> = on_pool!(self, |pool| sqlx::query_as(SQL)
            .bind(name)
            .fetch_all(pool)
            .await)?;
        Ok(Some(rows.into_iter().map(SecretInfo::from).collect()))
    }

    /// Removes a token of an operator; whether it was there.
    pub async fn remove_operator_token(
        &self,
        name: &str,
        id: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM operator_secret WHERE operator = $1 AND id = $2";
        in_tx!(self, |tx| {
            let removed = sqlx::query(REMOVE).bind(name).bind(id);
            let removed = removed.execute(&mut *tx).await?.rows_affected() > 0;
            if removed {
                let event = Event {
                    reason: Some(format!("operator {name}, token {id}")),
                    ..Event::new(now, EventKind::OperatorTokenRemoved, actor.clone())
                };
                tx.append_events(&[event]).await?;
            }
            removed
        })
    }

    /// Writes down that an operator was here, and with which of its tokens (`None`: a configured
    /// one), if that is news.
    pub async fn mark_operator_used(
        &self,
        name: &str,
        token_hash: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const OPERATOR: &str = "UPDATE operator SET last_used_at = $1 WHERE name = $2 \
             AND (last_used_at IS NULL OR last_used_at < $3)";
        const TOKEN: &str = "UPDATE operator_secret SET last_used_at = $1 WHERE hash = $2 \
             AND (last_used_at IS NULL OR last_used_at < $3)";
        let before = now.0 - USE_STEP;
        in_tx!(self, |tx| {
            let operator = sqlx::query(OPERATOR).bind(now.0).bind(name).bind(before);
            operator.execute(&mut *tx).await?;
            if let Some(hash) = token_hash {
                let token = sqlx::query(TOKEN).bind(now.0).bind(hash).bind(before);
                token.execute(&mut *tx).await?;
            }
        })
    }
}

#[derive(FromRow)]
struct OperatorRow {
    name: String,
    access: String,
    added_at: Option<i64>,
    seen_at: Option<i64>,
}

#[derive(FromRow)]
struct KnownRow {
    #[sqlx(flatten)]
    operator: OperatorRow,
    #[sqlx(flatten)]
    token: SecretRow,
}

impl TryFrom<OperatorRow> for Operator {
    type Error = StoreError;

    fn try_from(row: OperatorRow) -> Result<Self, StoreError> {
        let corrupt =
            |what: &str| StoreError::Corrupt(format!("operator {:?} with {what}", row.name));
        Ok(Self {
            access: Access::parse(&row.access).ok_or_else(|| corrupt("such an access"))?,
            created_at: row.added_at.map(Timestamp),
            last_used_at: row.seen_at.map(Timestamp),
            name: Name::parse("name", &row.name).map_err(|_| corrupt("such a name"))?,
        })
    }
}
