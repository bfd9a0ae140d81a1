//! Everything as Terraform.

use super::{Account, IMPERSONATION, Plan};
use crate::domain::phase::Phase;
use crate::trust::hcl::{Block, Value, file, jsonencode};

/// The file.
pub(super) fn write(plan: &Plan) -> String {
    let mut blocks = vec![pool(plan), provider(plan)];
    for account in &plan.accounts {
        blocks.extend(of_account(plan, account));
    }
    file(&blocks)
}

fn pool(plan: &Plan) -> Block {
    Block::new(r#"resource "google_iam_workload_identity_pool" "runmint""#)
        .noting("For this provider alone: principals of all providers of a pool are alike.")
        .with("project", plan.options.project_id.as_str())
        .with("workload_identity_pool_id", plan.options.pool.as_str())
        .with("display_name", "runmint")
}

fn provider(plan: &Plan) -> Block {
    let mapping = plan.mapping.attributes.iter();
    let mapping = mapping.map(|(name, source)| ((*name).to_owned(), Value::from(source.as_str())));
    let mut oidc = Block::new("oidc").with("issuer_uri", plan.order.issuer.as_str());
    if !plan.audiences.is_empty() {
        oidc = oidc.with("allowed_audiences", plan.audiences.clone());
    }
    if let Some(jwks) = &plan.jwks {
        oidc = oidc.with("jwks_json", jsonencode(jwks));
    }
    Block::new(r#"resource "google_iam_workload_identity_pool_provider" "runmint""#)
        .with("project", plan.options.project_id.as_str())
        .with(
            "workload_identity_pool_id",
            expression("google_iam_workload_identity_pool.runmint.workload_identity_pool_id"),
        )
        .with(
            "workload_identity_pool_provider_id",
            plan.options.provider.as_str(),
        )
        .with("display_name", "runmint")
        .with("attribute_condition", plan.condition.as_str())
        .with("attribute_mapping", Value::Object(mapping.collect()))
        .inside(oidc)
}

fn of_account(plan: &Plan, account: &Account) -> Vec<Block> {
    let label = account.label();
    let (name, project) = account.name_and_project();
    let members: Vec<&str> = account.members.iter().map(String::as_str).collect();
    let about = match account.phase {
        Some(Phase::Plan) => "What plans act as.",
        Some(Phase::Apply) => "What applies act as.",
        None => "What runs act as.",
    };
    let mut blocks = vec![
        Block::new(format!(r#"resource "google_service_account" "{label}""#))
            .noting(about)
            .with("project", project)
            .with("account_id", name),
        Block::new(format!(
            r#"resource "google_service_account_iam_member" "{label}""#
        ))
        .with("for_each", set(&members))
        .with(
            "service_account_id",
            expression(&format!("google_service_account.{label}.name")),
        )
        .with("role", IMPERSONATION)
        .with(
            "member",
            expression(
                "\"principalSet://iam.googleapis.com/\
                 ${google_iam_workload_identity_pool.runmint.name}/${each.value}\"",
            ),
        ),
    ];
    let roles: Vec<&str> = account.roles.iter().map(String::as_str).collect();
    if !roles.is_empty() {
        let block = Block::new(format!(r#"resource "google_project_iam_member" "{label}""#))
            .with("for_each", set(&roles))
            .with("project", plan.options.project_id.as_str())
            .with("role", expression("each.value"))
            .with(
                "member",
                expression(&format!("google_service_account.{label}.member")),
            );
        blocks.push(block);
    }
    blocks
}

fn set(items: &[&str]) -> Value {
    Value::Call("toset", Box::new(items.to_vec().into()))
}

fn expression(text: &str) -> Value {
    Value::Expression(text.to_owned())
}
