//! A client opens a run; it, or the run itself by its request token, looks at it and closes it.

use axum::Json as JsonBody;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::attempt::bearer;
use super::error::{Problem, ProblemBody, not_taken};
use super::extract::{Json, OpeningClient};
use super::layers::RequestId;
use super::workload::workload_body;
use crate::app::App;
use crate::auth::secret::{Kind, Secret, SecretError};
use crate::auth::{AuthError, CallingClient, CallingRun};
use crate::domain::InvalidField;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::grant::decide;
use crate::domain::phase::Phase;
use crate::domain::run::{Run, RunState};
use crate::domain::time::{Timestamp, whole_seconds};
use crate::store::AddRun;

workload_body! {
    /// A run to be opened.
    OpenRun {
        /// Seconds until its deadline; the phase's longest token life when left out.
        #[schema(minimum = 1)]
        expires_in: Option<i64>,
    }
}

/// A run that was opened. The request token is shown this once.
#[derive(Serialize, ToSchema)]
struct OpenedRun {
    id: String,
    /// `terraform_run_id`, as sent or as made.
    run_id: String,
    /// The exact `sub` of its tokens.
    subject: String,
    /// Where its runner asks for tokens, e.g. as `ACTIONS_ID_TOKEN_REQUEST_URL`.
    request_url: String,
    /// What its runner asks with, e.g. as `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
    request_token: String,
    /// Its deadline, in seconds since 1970.
    expires_at: Timestamp,
    /// What a cloud will object to.
    warnings: Vec<String>,
}

/// A run as it, its client and operators see it.
#[derive(Serialize, ToSchema)]
pub(super) struct RunView {
    id: String,
    /// `terraform_run_id`
    run_id: String,
    subject: String,
    client: String,
    run_phase: Phase,
    audiences: Vec<String>,
    state: RunState,
    opened_at: Timestamp,
    expires_at: Timestamp,
    closed_at: Option<Timestamp>,
}

impl RunView {
    pub(super) fn of(run: Run, now: Timestamp) -> Self {
        let state = run.state(now);
        let Run {
            id,
            workload,
            audiences,
            client,
            aws_session_tags: _,
            opened_at,
            expires_at,
            closed_at,
        } = run;
        Self {
            id,
            run_id: workload.ids.run,
            subject: workload.subject.to_string(),
            client: client.to_string(),
            run_phase: workload.subject.phase(),
            audiences: audiences
                .iter()
                .map(|allowed| allowed.audience.as_str().to_owned())
                .collect(),
            state,
            opened_at,
            expires_at,
            closed_at,
        }
    }
}

/// Who a run may be seen and closed by, operators aside.
#[derive(Debug)]
pub(super) enum RunParty {
    /// A client: the runs that it opened.
    Client(Box<CallingClient>),
    /// A run: itself, also when it has ended.
    Run(CallingRun),
}

impl RunParty {
    fn actor(&self) -> Actor {
        match self {
            Self::Client(caller) => Actor::Client(caller.client().name.to_string()),
            Self::Run(caller) => Actor::Run(caller.run().id.clone()),
        }
    }

    /// The run with this id; anybody else's is as unknown as one that never was.
    async fn own_run(self, id: &str, app: &App) -> Result<Run, Problem> {
        let own = match self {
            Self::Client(caller) => {
                let run = find_run(app, id).await?;
                run.filter(|run| run.client == caller.client().name)
            }
            // As it is by now.
            Self::Run(caller) if canonical(id).is_some_and(|id| id == caller.run().id) => {
                find_run(app, id).await?
            }
            Self::Run(_) => None,
        };
        own.ok_or_else(|| Problem::not_found("run"))
    }
}

impl FromRequestParts<App> for RunParty {
    type Rejection = Problem;

    /// The prefix tells whose secret it is; what is nobody's is refused as a client's.
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let is_run = bearer(parts).is_ok_and(|bearer| bearer.starts_with(Kind::Run.prefix()));
        Ok(if is_run {
            Self::Run(CallingRun::from_request_parts(parts, app).await?)
        } else {
            Self::Client(Box::new(
                CallingClient::from_request_parts(parts, app).await?,
            ))
        })
    }
}

/// Opens one phase of a run: its request token mints for it and for nothing else.
#[utoipa::path(
    post,
    path = "/v1/runs",
    operation_id = "open_run",
    tag = "Runs",
    summary = "Open a run",
    security(("client" = [])),
    request_body = OpenRun,
    responses(
        (status = 201, body = OpenedRun),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn open(
    State(app): State<App>,
    RequestId(request_id): RequestId,
    OpeningClient(caller): OpeningClient,
    Json(body): Json<OpenRun>,
) -> Result<Response, Problem> {
    let now = app.clock.now();
    let client = caller.client();
    let id = Uuid::now_v7();
    let (workload, audiences, (expires_in,)) = body.parts(Uuid::new_v4().as_bytes())?;
    let actor = Actor::Client(client.name.to_string());
    let event = |kind| Event {
        request_id: Some(request_id),
        run_id: Some(workload.ids.run.clone()),
        subject: Some(workload.subject.to_string()),
        ..Event::new(now, kind, actor)
    };

    let audiences = match decide(&client.grants, &workload.subject, &audiences) {
        Ok(audiences) => audiences,
        Err(denial) => {
            let reason = denial.to_string();
            tracing::warn!(
                client.id = client.name.as_str(),
                reason,
                "a run was refused"
            );
            let event = event(EventKind::RunRefused);
            app.recorder
                .note(Event {
                    reason: Some(reason),
                    ..event
                })
                .await;
            return Err(denial.into());
        }
    };
    let expires_at = deadline(
        &app,
        workload.subject.form(),
        workload.subject.phase(),
        expires_in,
        now,
    )?;
    let secret = Secret::generate(Kind::Run).map_err(no_randomness)?;
    let run = Run {
        id: id.to_string(),
        workload: workload.clone(),
        audiences,
        client: client.name.clone(),
        aws_session_tags: client.aws_session_tags,
        opened_at: now,
        expires_at,
        closed_at: None,
    };
    let opened = Event {
        run: Some(run.id.clone()),
        expires_at: Some(expires_at),
        reason: caller.about(),
        ..event(EventKind::RunOpened)
    };
    match app
        .store
        .add_run(&run, &secret.hash(), caller.word(), &opened)
        .await?
    {
        AddRun::Added => {}
        AddRun::ClientGone => return Err(AuthError::Unknown("client secret").into()),
        AddRun::NotTaken(taken) => {
            let about = opened.reason.as_deref().unwrap_or_default();
            let reason = format!("the foreign token cannot be taken ({taken:?}); {about}");
            app.recorder
                .note(Event {
                    kind: EventKind::RunRefused,
                    run: None,
                    expires_at: None,
                    reason: Some(reason),
                    ..opened
                })
                .await;
            return Err(not_taken(taken));
        }
    }
    app.limits.accepted(&secret.hash());
    tracing::info!(
        run.id = run.id,
        client.id = client.name.as_str(),
        subject = %workload.subject,
        "a run was opened"
    );
    let body = OpenedRun {
        request_url: app.issuer.url_of(&format!("/v1/token?run={}", run.id)),
        id: run.id,
        run_id: workload.ids.run,
        subject: workload.subject.to_string(),
        request_token: secret.expose().to_owned(),
        expires_at,
        warnings: workload.subject.warnings(),
    };
    Ok((StatusCode::CREATED, NO_STORE, JsonBody(body)).into_response())
}

/// A run that this client opened, or whose request token this is; that one is seen also when it has
/// ended.
#[utoipa::path(
    get,
    path = "/v1/runs/{id}",
    operation_id = "show_run",
    tag = "Runs",
    summary = "Look at a run",
    security(("client" = []), ("run" = [])),
    params(("id" = String, Path, description = "The run's id, as it was answered when it was opened")),
    responses(
        (status = 200, body = RunView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    party: RunParty,
    Path(id): Path<String>,
) -> Result<JsonBody<RunView>, Problem> {
    let run = party.own_run(&id, &app).await?;
    Ok(JsonBody(RunView::of(run, app.clock.now())))
}

/// Ends a run: it mints nothing from here on, on every replica. Its client may, and so may whoever has its
/// request token. A run that is closed already stays as it was.
#[utoipa::path(
    post,
    path = "/v1/runs/{id}/close",
    operation_id = "close_run",
    tag = "Runs",
    summary = "Close a run",
    security(("client" = []), ("run" = [])),
    params(("id" = String, Path, description = "The run's id, as it was answered when it was opened")),
    responses(
        (status = 200, body = RunView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn close(
    State(app): State<App>,
    party: RunParty,
    Path(id): Path<String>,
) -> Result<JsonBody<RunView>, Problem> {
    let actor = party.actor();
    let run = party.own_run(&id, &app).await?;
    let now = app.clock.now();
    let run = app.store.close_run(&run.id, &actor, now).await?;
    let run = run.ok_or_else(|| Problem::not_found("run"))?;
    tracing::info!(run.id = run.id, "a run was closed");
    Ok(JsonBody(RunView::of(run, now)))
}

/// Answers that hold a secret are not kept by any cache.
pub(super) const NO_STORE: [(axum::http::HeaderName, &str); 1] =
    [(axum::http::header::CACHE_CONTROL, "no-store")];

pub(super) fn no_randomness(error: SecretError) -> Problem {
    tracing::error!(%error, "no secret could be made");
    Problem::unavailable("no secret could be made")
}

/// Any client's run. What is no id of ours need not reach the database.
pub(super) async fn find_run(app: &App, id: &str) -> Result<Option<Run>, Problem> {
    let Some(id) = canonical(id) else {
        return Ok(None);
    };
    Ok(app.store.find_run(&id).await?)
}

/// An id as it is stored, however the caller wrote it.
fn canonical(id: &str) -> Option<String> {
    Uuid::parse_str(id).ok().map(|id| id.to_string())
}

fn deadline(
    app: &App,
    form: crate::domain::subject::SubjectForm,
    phase: Phase,
    expires_in: Option<i64>,
    now: Timestamp,
) -> Result<Timestamp, InvalidField> {
    let longest = whole_seconds(app.settings.runs.max_open.0);
    let seconds = match expires_in {
        Some(seconds) if !(1..=longest).contains(&seconds) => {
            return Err(InvalidField::new(
                "expires_in",
                format!("must be from 1 to {longest} seconds (`runs.max_open`)"),
            ));
        }
        Some(seconds) => seconds,
        None => whole_seconds(app.mint.lifetimes.longest(form, phase)).min(longest),
    };
    Ok(Timestamp(now.0 + seconds))
}
