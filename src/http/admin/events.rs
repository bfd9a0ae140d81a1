//! The audit log, a page at a time.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::error::{Problem, ProblemBody};
use super::super::extract::Query;
use super::page_size;
use crate::app::App;
use crate::auth::Operator;
use crate::domain::event::{Event, EventKind};
use crate::domain::time::Timestamp;
use crate::store::{EventFilter, StoredEvent};

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct EventQuery {
    /// Of this run: its id, or its `terraform_run_id`.
    #[param(nullable = false, pattern = "^[^\\u0000]*$")]
    run: Option<String>,
    /// Of this subject.
    #[param(nullable = false, pattern = "^[^\\u0000]*$")]
    subject: Option<String>,
    /// Of this token.
    #[param(nullable = false, pattern = "^[^\\u0000]*$")]
    jti: Option<String>,
    /// Of this key.
    #[param(nullable = false, pattern = "^[^\\u0000]*$")]
    kid: Option<String>,
    /// Of this kind.
    #[param(nullable = false)]
    kind: Option<EventKind>,
    /// From this time on, in seconds since 1970.
    #[param(nullable = false)]
    since: Option<i64>,
    /// Before this time, in seconds since 1970.
    #[param(nullable = false)]
    until: Option<i64>,
    /// How many at most; 100 when left out, 1000 at most.
    #[param(nullable = false)]
    limit: Option<i64>,
    /// Where the next page starts, as the page before said.
    #[param(nullable = false)]
    cursor: Option<i64>,
}

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct EventPage {
    events: Vec<EventView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<i64>,
}

/// One record. Times are seconds since 1970; what does not apply is absent.
#[derive(Serialize, ToSchema)]
struct EventView {
    id: i64,
    at: Timestamp,
    kind: EventKind,
    actor: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl EventView {
    fn of(stored: StoredEvent) -> Self {
        let StoredEvent { id, event } = stored;
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
            id,
            at,
            kind,
            actor: actor.to_string(),
            request_id,
            run,
            run_id,
            subject,
            audience,
            jti,
            kid,
            expires_at,
            reason,
        }
    }
}

/// The audit log, newest first.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "list_events",
    tag = "Events",
    summary = "Read the audit log",
    security(("operator" = [])),
    params(EventQuery),
    responses(
        (status = 200, body = EventPage),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    _operator: Operator,
    Query(query): Query<EventQuery>,
) -> Result<JsonBody<EventPage>, Problem> {
    let EventQuery {
        run,
        subject,
        jti,
        kid,
        kind,
        since,
        until,
        limit,
        cursor,
    } = query;
    let limit = page_size(limit);
    let filter = EventFilter {
        run,
        subject,
        jti,
        kid,
        kind,
        since: since.map(Timestamp),
        until: until.map(Timestamp),
        before: cursor,
    };
    let events = app.store.events(&filter, limit).await?;
    let full = events.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next_cursor = events.last().filter(|_| full).map(|stored| stored.id);
    let events = events.into_iter().map(EventView::of).collect();
    Ok(JsonBody(EventPage {
        events,
        next_cursor,
    }))
}
