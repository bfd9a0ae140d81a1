//! Trusted issuers: add, list, show, update, remove, and what would become of a token.

use axum::Json as JsonBody;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Problem, ProblemBody};
use super::super::extract::Json;
use crate::app::App;
use crate::auth::federation::{self, Check, Explanation};
use crate::auth::mapping::{Identity, Mapped, Verdict};
use crate::auth::{FullOperator, Operator};
use crate::domain::InvalidField;
use crate::domain::grant::Grant;
use crate::domain::name::Name;
use crate::domain::time::Timestamp;
use crate::domain::trusted_issuer::{Definition, TrustedIssuer};

/// An issuer to be trusted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "github", "definition": {
    "issuer": "https://token.actions.githubusercontent.com",
    "audiences": ["https://ci.example.com"],
    "rules": [{
        "name": "runners",
        "conditions": [{"expression": "claims.repository_owner == 'acme'"}],
        "workload": {
            "organization": "'acme'",
            "project": "'Default Project'",
            "workspace": "claims.repository.split('/')[1]",
            "run_phase": "claims.ref == 'refs/heads/main' ? 'apply' : 'plan'"
        },
        "grants": [{"organization": "acme", "audiences": ["aws.workload.identity"]}]
    }]
}}))]
pub(in crate::http) struct AddIssuer {
    /// What operators and the audit log call it: letters, digits, `-`, `_`.
    #[schema(
        example = "github",
        min_length = 1,
        max_length = 90,
        pattern = "^[A-Za-z0-9_-]+$"
    )]
    name: String,
    /// What is trusted, and what it is mapped to.
    definition: Definition,
}

/// A trusted issuer.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct IssuerView {
    name: String,
    definition: Definition,
    /// In seconds since 1970.
    created_at: Timestamp,
}

impl IssuerView {
    fn of(issuer: TrustedIssuer) -> Self {
        let TrustedIssuer {
            name,
            definition,
            revision: _,
            created_at,
        } = issuer;
        Self {
            name: name.to_string(),
            definition,
            created_at,
        }
    }
}

/// Trusts an issuer.
#[utoipa::path(
    post,
    path = "/v1/issuers",
    operation_id = "add_issuer",
    tag = "Trusted issuers",
    summary = "Trust an issuer",
    security(("operator" = [])),
    request_body = AddIssuer,
    responses(
        (status = 201, body = IssuerView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn add(
    State(app): State<App>,
    operator: FullOperator,
    Json(body): Json<AddIssuer>,
) -> Result<Response, Problem> {
    let AddIssuer { name, definition } = body;
    let name = Name::parse("name", &name)?;
    if name.as_str() == "test" {
        // `/v1/issuers/test` is another route.
        return Err(InvalidField::new("name", "may not be `test`; choose another one").into());
    }
    check(&definition)?;
    not_ourselves(&app, "definition.issuer", &definition)?;
    let now = app.clock.now();
    let added = app
        .store
        .add_trusted_issuer(&name, &definition, &operator.actor(), now)
        .await?;
    tracing::info!(issuer.name = name.as_str(), "an issuer is trusted");
    refresh(&app).await;
    Ok((StatusCode::CREATED, JsonBody(IssuerView::of(added))).into_response())
}

/// All trusted issuers, by name.
#[utoipa::path(
    get,
    path = "/v1/issuers",
    operation_id = "list_issuers",
    tag = "Trusted issuers",
    summary = "List trusted issuers",
    security(("operator" = [])),
    responses(
        (status = 200, body = [IssuerView]),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn list(
    State(app): State<App>,
    _operator: Operator,
) -> Result<JsonBody<Vec<IssuerView>>, Problem> {
    let (_, issuers) = app.store.trusted_issuers().await?;
    Ok(JsonBody(issuers.into_iter().map(IssuerView::of).collect()))
}

/// One trusted issuer.
#[utoipa::path(
    get,
    path = "/v1/issuers/{name}",
    operation_id = "show_issuer",
    tag = "Trusted issuers",
    summary = "Look at a trusted issuer",
    security(("operator" = [])),
    params(("name" = String, Path, description = "The trusted issuer's name")),
    responses(
        (status = 200, body = IssuerView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn show(
    State(app): State<App>,
    _operator: Operator,
    Path(name): Path<String>,
) -> Result<JsonBody<IssuerView>, Problem> {
    let name = named(&name)?;
    let issuer = app.store.find_trusted_issuer(name.as_str()).await?;
    let issuer = issuer.ok_or_else(|| Problem::not_found("trusted issuer"))?;
    Ok(JsonBody(IssuerView::of(issuer)))
}

/// Replaces what an issuer is trusted with.
#[utoipa::path(
    put,
    path = "/v1/issuers/{name}",
    operation_id = "update_issuer",
    tag = "Trusted issuers",
    summary = "Change a trusted issuer",
    security(("operator" = [])),
    params(("name" = String, Path, description = "The trusted issuer's name")),
    request_body = Definition,
    responses(
        (status = 200, body = IssuerView),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn update(
    State(app): State<App>,
    operator: FullOperator,
    Path(name): Path<String>,
    Json(definition): Json<Definition>,
) -> Result<JsonBody<IssuerView>, Problem> {
    let name = named(&name)?;
    federation::check(&definition)?;
    not_ourselves(&app, "issuer", &definition)?;
    let now = app.clock.now();
    let updated = app
        .store
        .update_trusted_issuer(&name, &definition, &operator.actor(), now)
        .await?
        .ok_or_else(|| Problem::not_found("trusted issuer"))?;
    tracing::info!(issuer.name = name.as_str(), "a trusted issuer was changed");
    refresh(&app).await;
    Ok(JsonBody(IssuerView::of(updated)))
}

/// Trusts an issuer no more: nothing is minted on the strength of its tokens from here on.
#[utoipa::path(
    delete,
    path = "/v1/issuers/{name}",
    operation_id = "remove_issuer",
    tag = "Trusted issuers",
    summary = "Remove a trusted issuer",
    security(("operator" = [])),
    params(("name" = String, Path, description = "The trusted issuer's name")),
    responses(
        (status = 204, description = "It is trusted no more"),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn remove(
    State(app): State<App>,
    operator: FullOperator,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    let name = named(&name)?;
    let now = app.clock.now();
    if !app
        .store
        .remove_trusted_issuer(name.as_str(), &operator.actor(), now)
        .await?
    {
        return Err(Problem::not_found("trusted issuer"));
    }
    tracing::info!(issuer.name = name.as_str(), "an issuer is trusted no more");
    refresh(&app).await;
    Ok(StatusCode::NO_CONTENT)
}

/// A token that somebody wonders about.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct TestToken {
    /// The token. It is verified and not taken.
    token: String,
    /// Hold it against this, instead of the issuers that are trusted.
    definition: Option<Definition>,
}

/// What would become of a token.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct TestedToken {
    /// Whether it is accepted, as far as can be said without an audience.
    accepted: bool,
    /// The trusted issuer that it was held against.
    issuer: Option<String>,
    /// What was looked at, up to the first failure.
    checks: Vec<CheckView>,
    /// What each rule makes of it.
    rules: Vec<RuleView>,
    /// The rule that decides.
    rule: Option<String>,
    /// The client that it stands for.
    client: Option<String>,
    /// The `sub` of the tokens that it is exchanged for.
    subject: Option<String>,
    /// `terraform_run_id`; another one each time if no expression gives it.
    run_id: Option<String>,
    /// What the workload may ask for.
    grants: Vec<Grant>,
    /// What the token says about itself.
    #[schema(value_type = Option<Object>)]
    claims: Option<serde_json::Value>,
}

#[derive(Serialize, ToSchema)]
struct CheckView {
    name: &'static str,
    passed: bool,
    /// What is wrong.
    failure: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct RuleView {
    name: String,
    conditions: Vec<ConditionView>,
    /// Why it was not taken.
    denial: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct ConditionView {
    expression: String,
    /// Absent if it cannot be said.
    holds: Option<bool>,
    /// Why it cannot be said.
    error: Option<String>,
}

/// Says what a token would be mapped to, and why a rule denies it.
#[utoipa::path(
    post,
    path = "/v1/issuers/test",
    operation_id = "test_issuer",
    tag = "Trusted issuers",
    summary = "Say what would become of a token",
    security(("operator" = [])),
    request_body = TestToken,
    responses(
        (status = 200, body = TestedToken),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn test(
    State(app): State<App>,
    _operator: FullOperator,
    Json(body): Json<TestToken>,
) -> Result<Response, Problem> {
    let TestToken { token, definition } = body;
    let now = app.clock.now();
    let explained = app.federation.explain(&token, definition, now).await;
    let Explanation {
        issuer,
        checks,
        rules,
        mapped,
        claims,
    } = explained.map_err(in_definition)?;
    let mut tested = TestedToken {
        accepted: mapped.is_some(),
        issuer: issuer.map(|name| name.to_string()),
        checks: checks.into_iter().map(CheckView::of).collect(),
        rules: rules.into_iter().map(RuleView::of).collect(),
        rule: None,
        client: None,
        subject: None,
        run_id: None,
        grants: Vec::new(),
        claims,
    };
    if let Some(Mapped { rule, identity }) = mapped {
        tested.rule = Some(rule);
        match identity {
            Identity::Client(name) => tested.client = Some(name.to_string()),
            Identity::Workload(workload, grants) => {
                tested.subject = Some(workload.subject.to_string());
                tested.run_id = Some(workload.ids.run);
                tested.grants = grants;
            }
        }
    }
    Ok((super::super::runs::NO_STORE, JsonBody(tested)).into_response())
}

impl CheckView {
    fn of(check: Check) -> Self {
        let Check { name, failure } = check;
        Self {
            name,
            passed: failure.is_none(),
            failure,
        }
    }
}

impl RuleView {
    fn of(verdict: Verdict) -> Self {
        let Verdict {
            rule,
            conditions,
            identity: _,
            denial,
        } = verdict;
        let conditions = conditions.into_iter().map(|(expression, holds)| {
            let (holds, error) = match holds {
                Ok(holds) => (Some(holds), None),
                Err(error) => (None, Some(error)),
            };
            ConditionView {
                expression,
                holds,
                error,
            }
        });
        Self {
            name: rule,
            conditions: conditions.collect(),
            denial,
        }
    }
}

/// What is no name is nobody's, and need not reach the database.
fn named(name: &str) -> Result<Name, Problem> {
    Name::parse("name", name).map_err(|_| Problem::not_found("trusted issuer"))
}

fn check(definition: &Definition) -> Result<(), InvalidField> {
    federation::check(definition).map_err(in_definition)
}

/// A run's token must not become another run's.
fn not_ourselves(app: &App, field: &str, definition: &Definition) -> Result<(), InvalidField> {
    if definition.issuer == app.issuer.as_str() {
        return Err(InvalidField::new(
            field,
            "is this runmint's own issuer URL; its tokens are for relying parties",
        ));
    }
    Ok(())
}

fn in_definition(InvalidField { field, rule }: InvalidField) -> InvalidField {
    InvalidField::new(format!("definition.{field}"), rule)
}

/// This replica follows at once, the others at their next look.
async fn refresh(app: &App) {
    if let Err(error) = app.federation.refresh().await {
        tracing::warn!(%error, "the trusted issuers could not be loaded; it is tried again");
    }
}
