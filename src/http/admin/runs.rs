//! Runs of all clients: list, look, close.

use axum::Json as JsonBody;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::error::{Problem, ProblemBody};
use super::super::extract::Query;
use super::super::runs::{RunView, find_run};
use super::page_size;
use crate::app::App;
use crate::auth::{FullOperator, Operator};
use crate::store::RunFilter;

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RunQuery {
    /// Of this client.
    #[param(nullable = false, pattern = "^[^\\u0000]*$")]
    client: Option<String>,
    /// With this `terraform_run_id`.
    #[param(nullable = false, pattern = "^[^\\u0000]*$")]
    run_id: Option<String>,
    /// Only those that may mint now.
    #[serde(default)]
    open: bool,
    /// How many at most; 100 when left out, 1000 at most.
    #[param(nullable = false)]
    limit: Option<i64>,
    /// Where the next page starts, as the page before said.
    #[param(nullable = false, pattern = "^[^\\u0000]*$")]
    cursor: Option<String>,
}

/// A page of runs, newest first.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct RunPage {
    runs: Vec<RunView>,
    /// For the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Runs of all clients, newest first.
#[utoipa::path(
    get,
    path = "/v1/runs",
    operation_id = "list_runs",
    tag = "Runs",
    summary = "List runs",
    security(("operator" = [])),
    params(RunQuery),
    responses(
        (status = 200, body = RunPage),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    _operator: Operator,
    Query(query): Query<RunQuery>,
) -> Result<JsonBody<RunPage>, Problem> {
    let now = app.clock.now();
    let RunQuery {
        client,
        run_id,
        open,
        limit,
        cursor,
    } = query;
    let limit = page_size(limit);
    let filter = RunFilter {
        client,
        run_id,
        open_at: open.then_some(now),
        before: cursor,
    };
    let runs = app.store.runs(&filter, limit).await?;
    let full = runs.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let next_cursor = runs.last().filter(|_| full).map(|run| run.id.clone());
    let runs = runs.into_iter().map(|run| RunView::of(run, now)).collect();
    Ok(JsonBody(RunPage { runs, next_cursor }))
}

/// Any client's run.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}",
    operation_id = "show_run",
    tag = "Runs",
    summary = "Look at a run",
    security(("operator" = [])),
    params(("id" = String, Path, description = "The run's id")),
    responses(
        (status = 200, body = RunView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn show(
    State(app): State<App>,
    _operator: Operator,
    Path(id): Path<String>,
) -> Result<JsonBody<RunView>, Problem> {
    let run = find_run(&app, &id)
        .await?
        .ok_or_else(|| Problem::not_found("run"))?;
    Ok(JsonBody(RunView::of(run, app.clock.now())))
}

/// Ends any client's run.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/close",
    operation_id = "close_run",
    tag = "Runs",
    summary = "Close a run",
    security(("operator" = [])),
    params(("id" = String, Path, description = "The run's id")),
    responses(
        (status = 200, body = RunView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn close(
    State(app): State<App>,
    operator: FullOperator,
    Path(id): Path<String>,
) -> Result<JsonBody<RunView>, Problem> {
    let now = app.clock.now();
    let run = find_run(&app, &id)
        .await?
        .ok_or_else(|| Problem::not_found("run"))?;
    let run = app.store.close_run(&run.id, &operator.actor(), now).await?;
    let run = run.ok_or_else(|| Problem::not_found("run"))?;
    tracing::info!(run.id = run.id, "an operator closed a run");
    Ok(JsonBody(RunView::of(run, now)))
}
