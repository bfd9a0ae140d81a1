//! Clients and what they may ask for.

use sqlx::FromRow;

use super::append::AppendEvents;
use super::{GIVE_UP_SOON, Store, StoreError, exactly_one, in_tx, on_pool};
use crate::domain::client::Client;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::name::Name;
use crate::domain::secret::NewSecret;
use crate::domain::time::Timestamp;

/// A client that is to be added, with its first secret.
#[derive(Clone, Debug)]
pub struct AddClient {
    /// The client.
    pub client: Client,
    /// Its first secret.
    pub secret: NewSecret,
}

/// Under load, recorders that share the row would keep a change waiting; see [`super::keys`]. It comes
/// before the secrets and the runs.
const LOCK_CLIENTS: &str = "LOCK TABLE client IN EXCLUSIVE MODE";

impl Store {
    /// Adds a client.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of that name.
    pub async fn add_client(
        &self,
        add: &AddClient,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const CLIENT: &str = "INSERT INTO client (name, grants, aws_session_tags, created_at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        const SECRET: &str = "INSERT INTO client_secret (hash, id, client, created_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5)";
        let AddClient { client, secret } = add;
        let grants = grants_text(client)?;
        in_tx!(self, |tx| {
            let added = sqlx::query(CLIENT)
                .bind(client.name.as_str())
                .bind(&grants)
                .bind(client.aws_session_tags)
                .bind(client.created_at.0)
                .execute(&mut *tx)
                .await?
                .rows_affected();
            exactly_one(added).map_err(|_| StoreError::Conflict("a client of this name"))?;
            sqlx::query(SECRET)
                .bind(&secret.hash)
                .bind(secret.id())
                .bind(client.name.as_str())
                .bind(now.0)
                .bind(secret.expires_at.map(|at| at.0))
                .execute(&mut *tx)
                .await?;
            let reason = format!(
                "client {} with grants {grants}, secret {}",
                client.name,
                secret.id()
            );
            let event = Event {
                expires_at: secret.expires_at,
                reason: Some(reason),
                ..Event::new(now, EventKind::ClientAdded, actor.clone())
            };
            tx.append_events(&[event]).await?;
        })
    }

    /// Replaces the grants and settings of a client; whether it was there.
    pub async fn update_client(
        &self,
        client: &Client,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE client SET grants = $1, aws_session_tags = $2 WHERE name = $3";
        let grants = grants_text(client)?;
        in_tx!(self, |tx| {
            if self.is_shared() {
                for lock in [GIVE_UP_SOON, LOCK_CLIENTS] {
                    sqlx::query(lock).execute(&mut *tx).await?;
                }
            }
            let changed = sqlx::query(SQL)
                .bind(&grants)
                .bind(client.aws_session_tags)
                .bind(client.name.as_str())
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if changed == 1 {
                let reason = format!("client {} with grants {grants}", client.name);
                let event = Event {
                    reason: Some(reason),
                    ..Event::new(now, EventKind::ClientUpdated, actor.clone())
                };
                tx.append_events(&[event]).await?;
            }
            changed == 1
        })
    }

    /// All clients, by name.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        const SQL: &str =
            "SELECT name, grants, aws_session_tags, created_at FROM client ORDER BY name";
        let rows: Vec<ClientRow> =
            on_pool!(self, |pool| sqlx::query_as(SQL).fetch_all(pool).await)?;
        rows.into_iter().map(Client::try_from).collect()
    }

    /// The client with this name.
    pub async fn find_client(&self, name: &str) -> Result<Option<Client>, StoreError> {
        const SQL: &str =
            "SELECT name, grants, aws_session_tags, created_at FROM client WHERE name = $1";
        let row: Option<ClientRow> = on_pool!(self, |pool| sqlx::query_as(SQL)
            .bind(name)
            .fetch_optional(pool)
            .await)?;
        row.map(Client::try_from).transpose()
    }

    /// Removes a client with its secrets and closes its runs, all at once; whether it was there.
    pub async fn remove_client(
        &self,
        name: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const REMOVE: &str = "DELETE FROM client WHERE name = $1";
        const CLOSE: &str = "UPDATE run SET closed_at = $1 \
             WHERE client = $2 AND closed_at IS NULL AND expires_at > $1";
        // In the order in which a batch of tokens takes them, or the two would wait for each other.
        const LOCK_RUNS: &str = "SELECT id FROM run \
             WHERE client = $1 AND closed_at IS NULL AND expires_at > $2 ORDER BY id FOR UPDATE";
        // The secrets go with the client, in the order of all who delete several.
        const LOCK_ITS_SECRETS: &str =
            "SELECT hash FROM client_secret WHERE client = $1 ORDER BY hash FOR UPDATE";
        in_tx!(self, |tx| {
            if self.is_shared() {
                for lock in [GIVE_UP_SOON, LOCK_CLIENTS] {
                    sqlx::query(lock).execute(&mut *tx).await?;
                }
                let secrets = sqlx::query(LOCK_ITS_SECRETS).bind(name);
                secrets.execute(&mut *tx).await?;
            }
            let removed = sqlx::query(REMOVE).bind(name);
            let removed = removed.execute(&mut *tx).await?.rows_affected() == 1;
            if removed {
                if self.is_shared() {
                    let runs = sqlx::query(LOCK_RUNS).bind(name).bind(now.0);
                    runs.execute(&mut *tx).await?;
                }
                let closed = sqlx::query(CLOSE).bind(now.0).bind(name);
                let runs = closed.execute(&mut *tx).await?.rows_affected();
                let event = Event::new(now, EventKind::ClientRemoved, actor.clone());
                let reason = format!("client {name}; {runs} of its runs were closed");
                tx.append_events(&[Event {
                    reason: Some(reason),
                    ..event
                }])
                .await?;
            }
            removed
        })
    }
}

fn grants_text(client: &Client) -> Result<String, StoreError> {
    serde_json::to_string(&client.grants).map_err(|error| StoreError::Corrupt(error.to_string()))
}

#[derive(FromRow)]
pub(super) struct ClientRow {
    name: String,
    pub(super) grants: String,
    aws_session_tags: bool,
    created_at: i64,
}

impl TryFrom<ClientRow> for Client {
    type Error = StoreError;

    fn try_from(row: ClientRow) -> Result<Self, StoreError> {
        let corrupt =
            |what: &str| StoreError::Corrupt(format!("client {:?} with {what}", row.name));
        Ok(Self {
            grants: serde_json::from_str(&row.grants)
                .map_err(|_| corrupt("grants of another kind"))?,
            aws_session_tags: row.aws_session_tags,
            created_at: Timestamp(row.created_at),
            name: Name::parse("name", &row.name).map_err(|_| corrupt("such a name"))?,
        })
    }
}
