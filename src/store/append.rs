//! Appending to the audit log: each database as it takes many rows best, and for tokens only if all holds
//! that must be true for them.

use std::borrow::{Borrow, Cow};

use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::query::Query;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Postgres, QueryBuilder, Sqlite};

use super::{KnownSecret, LARGEST, places, push_list};
use crate::domain::event::{Actor, Event};

/// Columns of an event, not counting its place in the log.
const COLUMNS: usize = 12;

/// Bytes of a text in an event.
const MAX_TEXT: usize = 2_048;

macro_rules! names {
    () => {
        "at, kind, actor, request_id, run, run_id, subject, audience, jti, kid, expires_at, reason"
    };
}

macro_rules! insert_columns {
    () => {
        concat!("INSERT INTO event (", names!(), ")")
    };
}

/// A row for each place of the lists. Not in `FROM`, where Postgres would write each list down first.
macro_rules! select_lists {
    () => {
        " SELECT UNNEST($1::BIGINT[]), UNNEST($2::TEXT[]), UNNEST($3::TEXT[]), UNNEST($4::TEXT[]), \
         UNNEST($5::TEXT[]), UNNEST($6::TEXT[]), UNNEST($7::TEXT[]), UNNEST($8::TEXT[]), \
         UNNEST($9::TEXT[]), UNNEST($10::TEXT[]), UNNEST($11::BIGINT[]), UNNEST($12::TEXT[])"
    };
}

/// What must be true for all events of one statement, or it writes none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions<'a> {
    /// This version of the key signs.
    pub(super) version: i64,
    /// And its tokens are known to live at least until then.
    pub(super) until: i64,
    /// These runs, all different, are open at `now`.
    pub(super) runs: &'a [&'a str],
    pub(super) now: i64,
    /// These secrets, all different, are still there, by their hashes.
    pub(super) secrets: &'a [&'a str],
    /// And these clients, all different, are as they were when their secrets were looked up.
    pub(super) clients: &'a [&'a KnownSecret],
}

/// Appends events, or what lends them.
pub(super) trait AppendEvents {
    /// All of them, in their order.
    async fn append_events<E: Borrow<Event>>(&mut self, events: &[E]) -> Result<(), sqlx::Error>;

    /// All of them if the conditions hold, and otherwise none; whether they did. One statement, and so a
    /// transaction of its own if none is open: the rows that it looks at stay as they are until the
    /// events are durable. No more than [`LARGEST`] events.
    async fn append_events_if<E: Borrow<Event>>(
        &mut self,
        events: &[E],
        conditions: Conditions<'_>,
    ) -> Result<bool, sqlx::Error>;
}

impl AppendEvents for SqliteConnection {
    async fn append_events<E: Borrow<Event>>(&mut self, events: &[E]) -> Result<(), sqlx::Error> {
        for chunk in events.chunks(LARGEST) {
            rows(chunk).build().execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn append_events_if<E: Borrow<Event>>(
        &mut self,
        events: &[E],
        conditions: Conditions<'_>,
    ) -> Result<bool, sqlx::Error> {
        let mut query = rows(events);
        query
            .push(" AND EXISTS (SELECT 1 FROM key_version WHERE state = 'active' AND version = ")
            .push_bind(conditions.version)
            .push(" AND tokens_until >= ")
            .push_bind(conditions.until)
            .push(") AND ")
            .push_bind(count(conditions.runs))
            .push(" = (SELECT COUNT(*) FROM run WHERE closed_at IS NULL AND expires_at > ")
            .push_bind(conditions.now)
            .push(" AND id IN ");
        push_list!(query, conditions.runs);
        query
            .push(") AND ")
            .push_bind(count(conditions.secrets))
            .push(" = (SELECT COUNT(*) FROM client_secret WHERE hash IN ");
        push_list!(query, conditions.secrets);
        query
            .push(") AND ")
            .push_bind(count(conditions.clients))
            .push(" = (WITH known (name, grants, aws_session_tags) AS (");
        let clients = conditions.clients.iter().copied().map(Some);
        // Places that are left over hold no client.
        let clients = clients.chain(std::iter::repeat(None));
        let clients = clients.take(places(conditions.clients));
        query.push_values(clients, |mut row, known| {
            row.push_bind(known.map(|known| known.client.name.as_str()))
                .push_bind(known.map(|known| known.grants.as_str()))
                .push_bind(known.map(|known| known.client.aws_session_tags));
        });
        // In this order: by their names, and not all that there are.
        query.push(
            ") SELECT COUNT(*) FROM known CROSS JOIN client USING (name, grants, aws_session_tags))",
        );
        let written = query.build().execute(self).await?.rows_affected();
        Ok(written > 0)
    }
}

impl AppendEvents for PgConnection {
    async fn append_events<E: Borrow<Event>>(&mut self, events: &[E]) -> Result<(), sqlx::Error> {
        const INSERT: &str = concat!(insert_columns!(), select_lists!());
        for chunk in events.chunks(LARGEST) {
            columns(INSERT, chunk).execute(&mut *self).await?;
        }
        Ok(())
    }

    async fn append_events_if<E: Borrow<Event>>(
        &mut self,
        events: &[E],
        conditions: Conditions<'_>,
    ) -> Result<bool, sqlx::Error> {
        // Who changes one of these rows waits for the locks, or is waited for and then seen as it is
        // afterwards. The key, the clients, their secrets, the runs, each asked for by the next, and sorted:
        // whoever locks several does it in this order. What a run must be is asked afterwards, so that
        // nothing tempts the planner to look at all that are open.
        const INSERT: &str = concat!(
            "WITH signing AS (SELECT version FROM key_version WHERE state = 'active' \
             AND version = $13 AND tokens_until >= $14 FOR SHARE), \
             known_client AS (SELECT name FROM UNNEST($15::TEXT[], $16::TEXT[], $17::BOOLEAN[]) \
             AS known (name, grants, aws_session_tags) \
             JOIN client USING (name, grants, aws_session_tags) \
             WHERE EXISTS (SELECT 1 FROM signing) ORDER BY name FOR SHARE OF client), \
             known_secret AS (SELECT 1 FROM client_secret WHERE hash = ANY($19) \
             AND (SELECT COUNT(*) FROM known_client) = $18 ORDER BY hash FOR KEY SHARE), \
             known_run AS (SELECT closed_at, expires_at FROM run WHERE id = ANY($21) \
             AND (SELECT COUNT(*) FROM known_secret) = $20 ORDER BY id FOR SHARE) ",
            insert_columns!(),
            select_lists!(),
            " FROM signing WHERE (SELECT COUNT(*) FROM known_client) = $18 \
             AND (SELECT COUNT(*) FROM known_secret) = $20 \
             AND (SELECT COUNT(*) FROM known_run WHERE closed_at IS NULL AND expires_at > $22) = $23"
        );
        let known = conditions.clients.iter();
        let names: Vec<&str> = known.clone().map(|it| it.client.name.as_str()).collect();
        let grants: Vec<&str> = known.clone().map(|it| it.grants.as_str()).collect();
        let tags: Vec<bool> = known.map(|it| it.client.aws_session_tags).collect();
        let written = columns(INSERT, events)
            .bind(conditions.version)
            .bind(conditions.until)
            .bind(names)
            .bind(grants)
            .bind(tags)
            .bind(count(conditions.clients))
            .bind(conditions.secrets)
            .bind(count(conditions.secrets))
            .bind(conditions.runs)
            .bind(conditions.now)
            .bind(count(conditions.runs))
            .execute(self)
            .await?
            .rows_affected();
        Ok(written > 0)
    }
}

/// A statement that inserts events, one row of parameters for each; more conditions can be pushed.
fn rows<E: Borrow<Event>>(events: &[E]) -> QueryBuilder<Sqlite> {
    let rows = events
        .iter()
        .map(|event| Some(EventRow::of(event.borrow())));
    // Places that are left over hold no event.
    let rows = rows.chain(std::iter::repeat_with(|| None));
    let mut query = QueryBuilder::new(concat!("WITH new (", names!(), ") AS ("));
    query.push_values(rows.take(places(events)), |mut row, event| {
        let Some(event) = event else {
            for _ in 0..COLUMNS {
                row.push_bind(None::<i64>);
            }
            return;
        };
        row.push_bind(event.at)
            .push_bind(event.kind)
            .push_bind(event.actor)
            .push_bind(event.request_id)
            .push_bind(event.run)
            .push_bind(event.run_id)
            .push_bind(event.subject)
            .push_bind(event.audience)
            .push_bind(event.jti)
            .push_bind(event.kid)
            .push_bind(event.expires_at)
            .push_bind(event.reason);
    });
    query.push(concat!(
        ") ",
        insert_columns!(),
        " SELECT ",
        names!(),
        " FROM new WHERE at IS NOT NULL"
    ));
    query
}

/// A statement whose first parameters are the columns of events, a list for each: Postgres would compile
/// rows of parameters anew each time.
fn columns<'q, E: Borrow<Event>>(
    sql: &'static str,
    events: &[E],
) -> Query<'q, Postgres, PgArguments> {
    let rows: Vec<EventRow<'_>> = events
        .iter()
        .map(|event| EventRow::of(event.borrow()))
        .collect();
    sqlx::query(sql)
        .bind(column(&rows, |row| row.at))
        .bind(column(&rows, |row| row.kind))
        .bind(column(&rows, |row| row.actor.as_str()))
        .bind(column(&rows, |row| row.request_id.as_deref()))
        .bind(column(&rows, |row| row.run))
        .bind(column(&rows, |row| row.run_id.as_deref()))
        .bind(column(&rows, |row| row.subject.as_deref()))
        .bind(column(&rows, |row| row.audience.as_deref()))
        .bind(column(&rows, |row| row.jti))
        .bind(column(&rows, |row| row.kid))
        .bind(column(&rows, |row| row.expires_at))
        .bind(column(&rows, |row| row.reason.as_deref()))
}

fn column<'a, T>(rows: &'a [EventRow<'a>], value: impl Fn(&'a EventRow<'a>) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn count<T>(things: &[T]) -> i64 {
    i64::try_from(things.len()).unwrap_or(i64::MAX)
}

/// An event as its columns are bound. What strangers may have had a word in is cleaned here, whoever
/// wrote the event: a NUL alone makes Postgres refuse the row and all that are written with it.
struct EventRow<'a> {
    at: i64,
    kind: &'static str,
    actor: String,
    request_id: Option<Cow<'a, str>>,
    run: Option<&'a str>,
    run_id: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
    audience: Option<Cow<'a, str>>,
    jti: Option<&'a str>,
    kid: Option<&'a str>,
    expires_at: Option<i64>,
    reason: Option<Cow<'a, str>>,
}

impl<'a> EventRow<'a> {
    fn of(event: &'a Event) -> Self {
        let Event {
            at,
            kind,
            actor,
            request_id,
            run,
            run_id,
            subject,
            audience,
            jti,
            kid,
            expires_at,
            reason,
        } = event;
        Self {
            at: at.0,
            kind: kind.as_str(),
            actor: actor.to_string(),
            request_id: bounded(request_id.as_deref()),
            run: run.as_deref(),
            run_id: bounded(run_id.as_deref()),
            subject: bounded(subject.as_deref()),
            audience: bounded(audience.as_deref()),
            jti: jti.as_deref(),
            kid: kid.as_deref(),
            expires_at: expires_at.map(|at| at.0),
            reason: match actor {
                Actor::Anonymous | Actor::Client(_) | Actor::Issuer(_) | Actor::Run(_) => {
                    bounded(reason.as_deref())
                }
                // What was changed is on record whole; the size of a request bounds it.
                _ => reason.as_deref().map(printable),
            },
        }
    }
}

/// Nothing that could look like another line, and no more than [`MAX_TEXT`].
fn bounded(text: Option<&str>) -> Option<Cow<'_, str>> {
    let text = printable(text?);
    if text.len() <= MAX_TEXT {
        return Some(text);
    }
    let end = text.floor_char_boundary(MAX_TEXT - '…'.len_utf8());
    Some(format!("{}…", &text[..end]).into())
}

fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventKind;
    use crate::domain::time::Timestamp;

    #[test]
    fn what_a_stranger_wrote_is_short_and_one_line() {
        let row = |actor: Actor, reason: String| {
            let event = Event {
                reason: Some(reason),
                ..Event::new(Timestamp(0), EventKind::IssuerTokenRefused, actor)
            };
            EventRow::of(&event).reason.unwrap().into_owned()
        };
        let stranger = |reason: &str| row(Actor::Anonymous, reason.to_owned());
        assert_eq!(stranger("a\0b\r\nc"), "a\u{fffd}b\u{fffd}\u{fffd}c");
        assert_eq!(stranger(&"x".repeat(2_048)).len(), 2_048);
        for text in ["x", "é", "…", "😀", "\0"] {
            let cut = stranger(&text.repeat(2_049));
            assert!(
                (2_042..=2_048).contains(&cut.len()),
                "{text}: {}",
                cut.len()
            );
            assert!(cut.ends_with('…'), "{text}");
        }
        assert_eq!(row(Actor::Schedule, "x".repeat(5_000)).len(), 5_000);
    }
}
