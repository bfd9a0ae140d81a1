//! Credentials as Terraform, for the providers azuread and azurerm.

use super::{Group, Options, Owner};
use crate::trust::Order;
use crate::trust::hcl::{self, Block, Value};

/// A file of all that is made, and of what is only looked up.
pub(super) fn write(order: &Order, options: &Options, groups: &[Group]) -> String {
    let mut blocks = Vec::new();
    for group in groups {
        let label = group.label;
        let (owner, principal) = match &options.owner {
            Owner::Application(id) => {
                blocks.push(
                    Block::new(format!(r#"data "azuread_application" "{label}""#))
                        .with("client_id", id.as_str()),
                );
                (
                    format!("data.azuread_application.{label}"),
                    format!("data.azuread_service_principal.{label}.object_id"),
                )
            }
            Owner::NewApplication(name) => {
                let application = format!("azuread_application.{label}");
                blocks.push(
                    Block::new(format!(r#"resource "azuread_application" "{label}""#))
                        .with("display_name", format!("{name}{}", group.suffix)),
                );
                blocks.push(
                    Block::new(format!(r#"resource "azuread_service_principal" "{label}""#)).with(
                        "client_id",
                        Value::Expression(format!("{application}.client_id")),
                    ),
                );
                (
                    application,
                    format!("azuread_service_principal.{label}.object_id"),
                )
            }
            Owner::Identity {
                name,
                resource_group,
            } => {
                blocks.push(
                    Block::new(format!(
                        r#"data "azurerm_user_assigned_identity" "{label}""#
                    ))
                    .with("name", format!("{name}{}", group.suffix))
                    .with("resource_group_name", resource_group.as_str()),
                );
                let identity = format!("data.azurerm_user_assigned_identity.{label}");
                let principal = format!("{identity}.principal_id");
                (identity, principal)
            }
        };
        blocks.push(credentials_block(order, options, group, &owner));
        let role = group.role.as_ref().zip(options.role_scope.as_ref());
        let Some((role, scope)) = role else {
            continue;
        };
        if let Owner::Application(id) = &options.owner {
            blocks.push(
                Block::new(format!(r#"data "azuread_service_principal" "{label}""#))
                    .with("client_id", id.as_str()),
            );
        }
        blocks.push(
            Block::new(format!(r#"resource "azurerm_role_assignment" "{label}""#))
                .with("scope", scope.as_str())
                .with("role_definition_name", role.as_str())
                .with("principal_id", Value::Expression(principal)),
        );
    }
    hcl::file(&blocks)
}

/// The credentials of a group, by their names.
fn credentials_block(order: &Order, options: &Options, group: &Group, owner: &str) -> Block {
    let is_identity = matches!(options.owner, Owner::Identity { .. });
    let kind = if is_identity {
        "azurerm_federated_identity_credential"
    } else {
        "azuread_application_federated_identity_credential"
    };
    let subjects = group.credentials.iter();
    let subjects = subjects.map(|one| (one.name.clone(), Value::from(one.subject.as_str())));
    let block = Block::new(format!(r#"resource "{kind}" "{}""#, group.label));
    let block = match &group.role {
        Some(_) => block,
        None => block.noting(
            "No role is assigned: what these runs may do is for an azurerm_role_assignment to say.",
        ),
    };
    let block = if is_identity {
        block.noting(
            "In azurerm 4: parent_id for user_assigned_identity_id, and resource_group_name.",
        )
    } else {
        block
    };
    let block = block.with("for_each", Value::Object(subjects.collect()));
    let (id, name, audience) = if is_identity {
        ("user_assigned_identity_id", "name", "audience")
    } else {
        ("application_id", "display_name", "audiences")
    };
    block
        .with(id, Value::Expression(format!("{owner}.id")))
        .with(name, Value::Expression("each.key".to_owned()))
        .with("issuer", order.issuer.as_str())
        .with("subject", Value::Expression("each.value".to_owned()))
        .with(audience, vec![order.audience.as_str()])
}
