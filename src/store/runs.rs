//! Runs and their request tokens.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::{FromRow, QueryBuilder};

use super::append::AppendEvents;
use super::issuers::{lock_issuers, take_tokens};
use super::{
    GIVE_UP_SOON, LARGEST, Store, StoreError, Take, Taken, in_tx, on_lookup, on_pool, push_list,
};
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::name::Name;
use crate::domain::run::Run;
use crate::domain::time::Timestamp;
use crate::domain::workload::{Ids, Workload};

/// Which runs to read; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this client.
    pub client: Option<String>,
    /// With this `terraform_run_id`.
    pub run_id: Option<String>,
    /// Only those that may mint at this time.
    pub open_at: Option<Timestamp>,
    /// Only those whose id comes before this one: the cursor of a page.
    pub before: Option<String>,
}

/// What a client showed, where that is worth no more than a trusted issuer's word. A run that is opened
/// with it ends with the trust in that issuer.
#[derive(Clone, Copy, Debug)]
pub enum Word<'a> {
    /// A secret that a token of the issuer was exchanged for; it must still be there.
    Secret {
        /// Its hash.
        hash: &'a str,
        /// The trusted issuer, by name.
        issuer: &'a str,
    },
    /// A token of the issuer, which is taken.
    Token(&'a Take),
}

impl Word<'_> {
    fn issuer(&self) -> &str {
        match self {
            Self::Secret { issuer, .. } => issuer,
            Self::Token(take) => &take.issuer,
        }
    }
}

/// What became of a run that was to be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddRun {
    /// It is open.
    Added,
    /// Its client, or the secret that it showed, was removed meanwhile. Nothing was written.
    ClientGone,
    /// The foreign token that its client showed cannot be taken. Nothing was written.
    NotTaken(Taken),
}

/// What the audit log knows about a token, and what has become of that.
#[derive(Clone, Debug)]
pub struct MintedToken {
    /// When it was minted.
    pub at: Timestamp,
    /// Who it was minted for.
    pub actor: Actor,
    /// Whether the key that signed it is still published.
    pub is_key_published: bool,
    /// The run that it was minted for, if it was one and is still known.
    pub run: Option<Run>,
}

const BY_ID: &str = "SELECT id, client, subject, organization_id, project_id, target_id, run_id, \
     audiences, aws_session_tags, opened_at, expires_at, closed_at FROM run WHERE id = $1";

const SELECT: &str = "SELECT id, client, subject, organization_id, project_id, target_id, run_id, \
     audiences, aws_session_tags, opened_at, expires_at, closed_at FROM run";

/// One that is closed stays so, and needs no lock.
const LOCK_RUN: &str =
    "SELECT 1 FROM run WHERE id = $1 AND closed_at IS NULL FOR NO KEY UPDATE NOWAIT";

/// Whoever waits for a row is overtaken by all who share it, so a run that asks for tokens without a pause would not
/// be closed; the queue before a table's lock is fair (see [`super::keys`]). All who record tokens, and who open and
/// close runs, stand in it as well, so it is for whoever finds the row taken again and again. It comes after the
/// secrets.
const LOCK_RUN_TABLE: &str = "LOCK TABLE run IN EXCLUSIVE MODE";

/// How long to wait before a row that is taken is tried again: a batch of tokens takes milliseconds.
const ROW_PAUSES: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(100)];

impl Store {
    /// Opens a run under the hash of its request token. If its client showed a trusted issuer's word,
    /// a token is taken, and a secret must still be there.
    pub async fn add_run(
        &self,
        run: &Run,
        token_hash: &str,
        word: Option<Word<'_>>,
        event: &Event,
    ) -> Result<AddRun, StoreError> {
        const SQL: &str = "INSERT INTO run (id, token_hash, client, subject, organization_id, \
             project_id, target_id, run_id, audiences, aws_session_tags, opened_at, expires_at, issuer) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        let audiences = serde_json::to_string(&run.audiences)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let ids = &run.workload.ids;
        let (client, secret) = match self {
            // BEGIN IMMEDIATE has shut out the writer that would remove them.
            Self::Sqlite { .. } => (
                "SELECT 1 FROM client WHERE name = $1",
                "SELECT 1 FROM client_secret WHERE hash = $1",
            ),
            Self::Postgres { .. } => (
                "SELECT 1 FROM client WHERE name = $1 FOR SHARE",
                "SELECT 1 FROM client_secret WHERE hash = $1 FOR KEY SHARE",
            ),
        };
        let takes: &[&Take] = match &word {
            Some(Word::Token(take)) => &[*take],
            Some(Word::Secret { .. }) | None => &[],
        };
        in_tx!(self, |tx| {
            let revisions = lock_issuers!(self, tx, takes);
            let known = sqlx::query(client).bind(run.client.as_str());
            if known.fetch_optional(&mut *tx).await?.is_none() {
                return Ok(AddRun::ClientGone);
            }
            if let Some(Word::Secret { hash, .. }) = word {
                let known = sqlx::query(secret).bind(hash);
                if known.fetch_optional(&mut *tx).await?.is_none() {
                    return Ok(AddRun::ClientGone);
                }
            }
            sqlx::query(SQL)
                .bind(&run.id)
                .bind(token_hash)
                .bind(run.client.as_str())
                .bind(run.workload.subject.to_string())
                .bind(&ids.organization)
                .bind(ids.project.as_deref())
                .bind(ids.target.as_deref())
                .bind(&ids.run)
                .bind(&audiences)
                .bind(run.aws_session_tags)
                .bind(run.opened_at.0)
                .bind(run.expires_at.0)
                .bind(word.as_ref().map(Word::issuer))
                .execute(&mut *tx)
                .await?;
            let taken = take_tokens!(tx, takes, &revisions);
            if let Some(refused) = taken.into_values().find(|taken| *taken != Taken::Now) {
                return Ok(AddRun::NotTaken(refused));
            }
            tx.append_events(std::slice::from_ref(event)).await?;
            AddRun::Added
        })
    }

    /// The run with this id.
    pub async fn find_run(&self, id: &str) -> Result<Option<Run>, StoreError> {
        let row: Option<RunRow> = on_pool!(self, |pool| sqlx::query_as(BY_ID)
            .bind(id)
            .fetch_optional(pool)
            .await)?;
        row.map(Run::try_from).transpose()
    }

    /// The runs whose request tokens have these hashes, by hash; those that are nobody's are left out.
    pub async fn find_runs_by_tokens(
        &self,
        hashes: &[String],
    ) -> Result<HashMap<String, Result<Run, StoreError>>, StoreError> {
        const SQL: &str = "SELECT token_hash, id, client, subject, organization_id, project_id, \
             target_id, run_id, audiences, aws_session_tags, opened_at, expires_at, closed_at \
             FROM run WHERE token_hash IN ";
        let hashes: Vec<&str> = hashes.iter().map(String::as_str).collect();
        let mut found = HashMap::new();
        for hashes in hashes.chunks(LARGEST) {
            let rows: Vec<TokenRow> = on_lookup!(self, |connection| {
                let mut query = QueryBuilder::new(SQL);
                push_list!(query, hashes);
                query.build_query_as().fetch_all(connection).await
            })?;
            found.extend(
                rows.into_iter()
                    .map(|row| (row.token_hash, row.run.try_into())),
            );
        }
        Ok(found)
    }

    /// The token with this id, if it was minted here.
    pub async fn find_minted(&self, jti: &str) -> Result<Option<MintedToken>, StoreError> {
        const SQL: &str = "SELECT event.at, event.actor, event.run, key_version.state FROM event \
             LEFT JOIN key_version ON key_version.kid = event.kid \
             WHERE event.jti = $1 AND event.kind = 'token.minted'";
        let row: Option<(i64, String, Option<String>, Option<String>)> =
            on_pool!(self, |pool| sqlx::query_as(SQL)
                .bind(jti)
                .fetch_optional(pool)
                .await)?;
        let Some((at, actor, run, key_state)) = row else {
            return Ok(None);
        };
        let actor = Actor::parse(&actor)
            .ok_or_else(|| StoreError::Corrupt(format!("an event by {actor:?}")))?;
        Ok(Some(MintedToken {
            at: Timestamp(at),
            actor,
            is_key_published: matches!(key_state.as_deref(), Some("active" | "retiring")),
            run: match run {
                Some(id) => self.find_run(&id).await?,
                None => None,
            },
        }))
    }

    /// At most `limit` runs that fit the filter, newest first.
    pub async fn runs(&self, filter: &RunFilter, limit: i64) -> Result<Vec<Run>, StoreError> {
        let rows: Vec<RunRow> = on_pool!(self, |pool| {
            let mut query = QueryBuilder::new(SELECT);
            query.push(" WHERE TRUE");
            if let Some(client) = &filter.client {
                query.push(" AND client = ").push_bind(client);
            }
            if let Some(run_id) = &filter.run_id {
                query.push(" AND run_id = ").push_bind(run_id);
            }
            if let Some(now) = filter.open_at {
                query
                    .push(" AND closed_at IS NULL AND expires_at > ")
                    .push_bind(now.0);
            }
            if let Some(before) = &filter.before {
                query.push(" AND id < ").push_bind(before);
            }
            query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
            query.build_query_as().fetch_all(pool).await
        })?;
        rows.into_iter().map(Run::try_from).collect()
    }

    /// Closes a run, and returns it as it is then. One that is closed already stays as it was.
    pub async fn close_run(
        &self,
        id: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Option<Run>, StoreError> {
        for pause in ROW_PAUSES {
            match self.try_close(id, actor, now, false).await {
                Err(error) if error.gave_up() => tokio::time::sleep(pause).await,
                closed => return closed,
            }
        }
        self.try_close(id, actor, now, true).await
    }

    /// The same. Unless it queues, it gives up at once when somebody else has locked the row; for a table that another
    /// has locked it waits as long as any change.
    async fn try_close(
        &self,
        id: &str,
        actor: &Actor,
        now: Timestamp,
        queues: bool,
    ) -> Result<Option<Run>, StoreError> {
        const CLOSE: &str = "UPDATE run SET closed_at = $1 WHERE id = $2 AND closed_at IS NULL";
        in_tx!(self, |tx| {
            if self.is_shared() {
                sqlx::query(GIVE_UP_SOON).execute(&mut *tx).await?;
                let lock = if queues {
                    sqlx::query(LOCK_RUN_TABLE)
                } else {
                    sqlx::query(LOCK_RUN).bind(id)
                };
                lock.execute(&mut *tx).await?;
            }
            let closed = sqlx::query(CLOSE).bind(now.0).bind(id);
            let changed = closed.execute(&mut *tx).await?.rows_affected();
            let row: Option<RunRow> = sqlx::query_as(BY_ID)
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
            let run = row.map(Run::try_from).transpose()?;
            if let (1, Some(run)) = (changed, &run) {
                let event = Event {
                    run: Some(run.id.clone()),
                    run_id: Some(run.workload.ids.run.clone()),
                    subject: Some(run.workload.subject.to_string()),
                    ..Event::new(now, EventKind::RunClosed, actor.clone())
                };
                tx.append_events(&[event]).await?;
            }
            run
        })
    }
}

#[derive(FromRow)]
struct TokenRow {
    token_hash: String,
    #[sqlx(flatten)]
    run: RunRow,
}

#[derive(FromRow)]
pub(super) struct RunRow {
    id: String,
    client: String,
    subject: String,
    organization_id: String,
    project_id: Option<String>,
    target_id: Option<String>,
    run_id: String,
    audiences: String,
    aws_session_tags: bool,
    opened_at: i64,
    expires_at: i64,
    closed_at: Option<i64>,
}

impl TryFrom<RunRow> for Run {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("run {} with {what}", row.id));
        Ok(Self {
            workload: Workload {
                subject: row
                    .subject
                    .parse()
                    .map_err(|_| corrupt(&format!("subject {:?}", row.subject)))?,
                ids: Ids {
                    organization: row.organization_id,
                    project: row.project_id,
                    target: row.target_id,
                    run: row.run_id,
                },
            },
            audiences: serde_json::from_str(&row.audiences)
                .map_err(|_| corrupt(&format!("audiences {:?}", row.audiences)))?,
            client: Name::parse("client", &row.client)
                .map_err(|_| corrupt(&format!("client {:?}", row.client)))?,
            aws_session_tags: row.aws_session_tags,
            opened_at: Timestamp(row.opened_at),
            expires_at: Timestamp(row.expires_at),
            closed_at: row.closed_at.map(Timestamp),
            id: row.id,
        })
    }
}
