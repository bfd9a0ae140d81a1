//! The secrets of clients: two at a time, so that they change without a pause. Whether it still is one is
//! asked at each request, at the latest when its tokens are recorded, so what is removed is worth nothing
//! at once on every replica.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use sqlx::{FromRow, QueryBuilder};

use super::append::AppendEvents;
use super::clients::ClientRow;
use super::issuers::{lock_issuers, take_tokens};
use super::{
    GIVE_UP_SOON, LARGEST, Store, StoreError, Take, Taken, in_tx, on_lookup, on_pool, on_writer,
    push_list,
};
use crate::domain::client::Client;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::secret::{AT_A_TIME, NewSecret, SecretInfo, USE_STEP};
use crate::domain::time::Timestamp;

/// Under load, recorders that share the rows would keep a removal waiting; see [`super::keys`]. It comes
/// after trusted issuers and clients, and before the runs.
pub(super) const LOCK_SECRETS: &str = "LOCK TABLE client_secret IN EXCLUSIVE MODE";

/// An expired secret is still shown for as long, so that whoever looks for it learns why it failed.
const SHOWN_EXPIRED: Duration = Duration::from_hours(24);

/// As many secrets of one client are shown: two, and its living short-lived ones.
const SHOWN: i64 = 1_000;

/// What became of a secret that a foreign token was to be exchanged for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OpenSession {
    /// It is there.
    Opened,
    /// The client was removed meanwhile. Nothing was written.
    ClientGone,
    /// The foreign token cannot be taken. Nothing was written.
    NotTaken(Taken),
}

/// A client, by one of its secrets.
#[derive(Clone, Debug)]
pub struct KnownSecret {
    /// SHA-256 of the secret, in hexadecimal.
    pub hash: String,
    /// The client.
    pub client: Arc<Client>,
    /// Its grants, letter by letter as the database has them.
    pub grants: String,
    /// What is known of the secret.
    pub secret: SecretInfo,
}

impl Store {
    /// Gives a client one more secret; whether there is such a client.
    ///
    /// # Errors
    /// [`StoreError::TwoAlready`], not counting expired ones and those of trusted issuers.
    pub async fn add_client_secret(
        &self,
        client: &str,
        secret: &NewSecret,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const LIVING: &str = "SELECT COUNT(*) FROM client_secret WHERE client = $1 \
             AND issuer IS NULL AND (expires_at IS NULL OR expires_at > $2)";
        const ADD: &str = "INSERT INTO client_secret (hash, id, client, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5)";
        // Two who add at once must not both find room. Not the client's row: recorders share it all
        // the time, and would keep this waiting. Lookups go on under this lock. The row comes first
        // all the same, in the order in which the removal of a client takes the two.
        const LOCK: &str = "LOCK TABLE client_secret IN SHARE ROW EXCLUSIVE MODE";
        let known = match self {
            // BEGIN IMMEDIATE has shut out all other writers already.
            Self::Sqlite { .. } => "SELECT 1 FROM client WHERE name = $1",
            Self::Postgres { .. } => "SELECT 1 FROM client WHERE name = $1 FOR KEY SHARE",
        };
        in_tx!(self, |tx| {
            let known = sqlx::query(known).bind(client);
            if known.fetch_optional(&mut *tx).await?.is_none() {
                return Ok(false);
            }
            if self.is_shared() {
                sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
                sqlx::query(LOCK).execute(&mut *tx).await?;
            }
            let living = sqlx::query_scalar(LIVING).bind(client).bind(now.0);
            let living: i64 = living.fetch_one(&mut *tx).await?;
            if living >= AT_A_TIME {
                return Err(StoreError::TwoAlready("secrets"));
            }
            sqlx::query(ADD)
                .bind(&secret.hash)
                .bind(secret.id())
                .bind(client)
                .bind(now.0)
                .bind(secret.expires_at.map(|at| at.0))
                .execute(&mut *tx)
                .await?;
            let reason = format!("client {client}, secret {}", secret.id());
            let event = Event {
                expires_at: secret.expires_at,
                reason: Some(reason),
                ..Event::new(now, EventKind::ClientSecretAdded, actor.clone())
            };
            tx.append_events(&[event]).await?;
            true
        })
    }

    /// Takes a foreign token in exchange for a short-lived secret of a client; what became of that.
    /// Such secrets do not count among the two, and end with the trust in their issuer.
    pub async fn open_session(
        &self,
        client: &str,
        secret: &NewSecret,
        take: &Take,
        event: &Event,
    ) -> Result<OpenSession, StoreError> {
        const ADD: &str = "INSERT INTO client_secret (hash, id, client, created_at, expires_at, \
             issuer) VALUES ($1, $2, $3, $4, $5, $6)";
        let known = match self {
            Self::Sqlite { .. } => "SELECT 1 FROM client WHERE name = $1",
            Self::Postgres { .. } => "SELECT 1 FROM client WHERE name = $1 FOR KEY SHARE",
        };
        in_tx!(self, |tx| {
            let revisions = lock_issuers!(self, tx, &[take]);
            let known = sqlx::query(known).bind(client);
            if known.fetch_optional(&mut *tx).await?.is_none() {
                return Ok(OpenSession::ClientGone);
            }
            sqlx::query(ADD)
                .bind(&secret.hash)
                .bind(secret.id())
                .bind(client)
                .bind(event.at.0)
                .bind(secret.expires_at.map(|at| at.0))
                .bind(&take.issuer)
                .execute(&mut *tx)
                .await?;
            let taken = take_tokens!(tx, &[take], &revisions);
            if let Some(refused) = taken.into_values().find(|taken| *taken != Taken::Now) {
                return Ok(OpenSession::NotTaken(refused));
            }
            tx.append_events(std::slice::from_ref(event)).await?;
            OpenSession::Opened
        })
    }

    /// The secrets of a client, those that operators made first, oldest first. Short-lived ones are
    /// left out once they have expired.
    pub async fn client_secrets(
        &self,
        client: &str,
        now: Timestamp,
    ) -> Result<Vec<SecretInfo>, StoreError> {
        const SQL: &str = "SELECT id, created_at AS made_at, expires_at, last_used_at, issuer \
             FROM client_secret WHERE client = $1 AND (issuer IS NULL OR expires_at > $2) \
             ORDER BY issuer IS NOT NULL, created_at, id LIMIT $3";
        let rows: Vec<SecretRow> = on_pool!(self, |pool| sqlx::query_as(SQL)
            .bind(client)
            .bind(now.0)
            .bind(SHOWN)
            .fetch_all(pool)
            .await)?;
        Ok(rows.into_iter().map(SecretInfo::from).collect())
    }

    /// The clients that have secrets with these hashes, by hash; those that are nobody's are left out.
    /// They may have expired: that is for the caller to judge.
    pub async fn find_clients_by_secrets(
        &self,
        hashes: &[String],
    ) -> Result<HashMap<String, Result<KnownSecret, StoreError>>, StoreError> {
        const SQL: &str = "SELECT hash, name, grants, aws_session_tags, client.created_at, \
             client_secret.id, client_secret.created_at AS made_at, expires_at, last_used_at, issuer \
             FROM client JOIN client_secret ON client_secret.client = client.name WHERE hash IN ";
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let mut found = HashMap::new();
        for hashes in hashes.chunks(LARGEST) {
            let rows: Vec<KnownRow> = on_lookup!(self, |connection| {
                let mut query = QueryBuilder::new(SQL);
                push_list!(query, hashes);
                query.build_query_as().fetch_all(connection).await
            })?;
            found.extend(rows.into_iter().map(KnownRow::known));
        }
        Ok(found)
    }

    /// Removes a secret of a client; whether it was there. The client's runs stay open.
    pub async fn remove_client_secret(
        &self,
        client: &str,
        id: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM client_secret WHERE client = $1 AND id = $2";
        in_tx!(self, |tx| {
            if self.is_shared() {
                for lock in [GIVE_UP_SOON, LOCK_SECRETS] {
                    sqlx::query(lock).execute(&mut *tx).await?;
                }
            }
            let removed = sqlx::query(REMOVE).bind(client).bind(id);
            let removed = removed.execute(&mut *tx).await?.rows_affected() > 0;
            if removed {
                let reason = format!("client {client}, secret {id}");
                let event = Event {
                    reason: Some(reason),
                    ..Event::new(now, EventKind::ClientSecretRemoved, actor.clone())
                };
                tx.append_events(&[event]).await?;
            }
            removed
        })
    }

    /// Writes down that the secrets with these hashes were used, where that is news.
    pub async fn mark_client_secrets_used(
        &self,
        hashes: &[String],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lock = match self {
            Self::Sqlite { .. } => "",
            // In the order of all who lock several, or two would wait for each other.
            Self::Postgres { .. } => " ORDER BY hash FOR NO KEY UPDATE",
        };
        let hashes: BTreeSet<&str> = hashes.iter().map(String::as_str).collect();
        let hashes: Vec<&str> = hashes.into_iter().collect();
        for hashes in hashes.chunks(LARGEST) {
            on_writer!(self, |pool| {
                let mut query = QueryBuilder::new("UPDATE client_secret SET last_used_at = ");
                query
                    .push_bind(now.0)
                    .push(" WHERE hash IN (SELECT hash FROM client_secret WHERE ")
                    .push("(last_used_at IS NULL OR last_used_at < ")
                    .push_bind(now.0 - USE_STEP)
                    .push(") AND hash IN ");
                push_list!(query, hashes);
                query.push(lock).push(")");
                query.build().execute(pool).await.map(drop)
            })?;
        }
        Ok(())
    }

    /// Forgets secrets and tokens that have been expired for a day.
    pub(super) async fn drop_expired_secrets(&self, now: Timestamp) -> Result<(), StoreError> {
        const SECRETS: &str = "DELETE FROM client_secret WHERE expires_at < $1";
        const TOKENS: &str = "DELETE FROM operator_secret WHERE expires_at < $1";
        // In the order of all who delete several, or two would wait for each other.
        const LOCK_SECRETS: &str =
            "SELECT hash FROM client_secret WHERE expires_at < $1 ORDER BY hash FOR UPDATE";
        const LOCK_TOKENS: &str =
            "SELECT hash FROM operator_secret WHERE expires_at < $1 ORDER BY hash FOR UPDATE";
        let oldest = now - SHOWN_EXPIRED;
        for (lock, sql) in [(LOCK_SECRETS, SECRETS), (LOCK_TOKENS, TOKENS)] {
            let dropped: Result<(), StoreError> = in_tx!(self, |tx| {
                if self.is_shared() {
                    let locked = sqlx::query(lock).bind(oldest.0);
                    locked.execute(&mut *tx).await?;
                }
                sqlx::query(sql).bind(oldest.0).execute(&mut *tx).await?;
            });
            dropped?;
        }
        Ok(())
    }
}

/// What is shown of a secret, as it is selected.
#[derive(FromRow)]
pub(super) struct SecretRow {
    id: String,
    made_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    issuer: Option<String>,
}

impl From<SecretRow> for SecretInfo {
    fn from(row: SecretRow) -> Self {
        let SecretRow {
            id,
            made_at,
            expires_at,
            last_used_at,
            issuer,
        } = row;
        Self {
            id,
            created_at: Timestamp(made_at),
            expires_at: expires_at.map(Timestamp),
            last_used_at: last_used_at.map(Timestamp),
            issuer,
        }
    }
}

#[derive(FromRow)]
struct KnownRow {
    hash: String,
    #[sqlx(flatten)]
    client: ClientRow,
    #[sqlx(flatten)]
    secret: SecretRow,
}

impl KnownRow {
    fn known(self) -> (String, Result<KnownSecret, StoreError>) {
        let hash = self.hash.clone();
        let grants = self.client.grants.clone();
        let known = Client::try_from(self.client).map(|client| KnownSecret {
            hash: self.hash,
            client: Arc::new(client),
            grants,
            secret: self.secret.into(),
        });
        (hash, known)
    }
}
