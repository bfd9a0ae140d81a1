//! Credentials as `az` commands.

use super::{Cloud, Credential, Group, Options, Owner, flat};
use crate::trust::Order;

/// A script that ends at the first command that fails.
pub(super) fn write(order: &Order, options: &Options, groups: &[Group]) -> String {
    let mut lines = vec!["#!/bin/sh".to_owned(), "set -eu".to_owned()];
    if options.cloud != Cloud::Global {
        lines.push(format!("az cloud set --name {}", options.cloud.az_name()));
    }
    for group in groups {
        lines.push(String::new());
        match &options.owner {
            Owner::Application(id) => lines.push(format!("application={}", quoted(id))),
            Owner::NewApplication(name) => {
                let name = quoted(&format!("{name}{}", group.suffix));
                lines.push(format!(
                    "application=$(az ad app create --display-name {name} --query appId --output tsv)"
                ));
                lines.push("az ad sp create --id \"$application\"".to_owned());
            }
            Owner::Identity { .. } => {}
        }
        for credential in &group.credentials {
            lines.push(create(order, options, group, credential));
        }
        let role = group.role.as_ref().zip(options.role_scope.as_ref());
        let Some((role, scope)) = role else {
            lines.push(
                "# No role is assigned: az role assignment create says what runs may do."
                    .to_owned(),
            );
            continue;
        };
        lines.push(match &options.owner {
            Owner::Application(_) | Owner::NewApplication(_) => {
                "principal=$(az ad sp show --id \"$application\" --query id --output tsv)"
                    .to_owned()
            }
            Owner::Identity {
                name,
                resource_group,
            } => format!(
                "principal=$(az identity show --name {} --resource-group {} --query principalId \
                 --output tsv)",
                quoted(&format!("{name}{}", group.suffix)),
                quoted(resource_group)
            ),
        });
        lines.push(format!(
            "az role assignment create --assignee-object-id \"$principal\" \
             --assignee-principal-type ServicePrincipal --role {} --scope {}",
            quoted(role),
            quoted(scope)
        ));
    }
    lines.join("\n") + "\n"
}

/// The command that makes a credential; those of an identity must be made one after the other.
fn create(order: &Order, options: &Options, group: &Group, credential: &Credential) -> String {
    match &options.owner {
        Owner::Application(_) | Owner::NewApplication(_) => format!(
            "az ad app federated-credential create --id \"$application\" --parameters {}",
            quoted(&flat(order, credential).to_string())
        ),
        Owner::Identity {
            name,
            resource_group,
        } => format!(
            "az identity federated-credential create --name {} --identity-name {} --resource-group {} \
             --issuer {} --subject {} --audiences {}",
            quoted(&credential.name),
            quoted(&format!("{name}{}", group.suffix)),
            quoted(resource_group),
            quoted(order.issuer.as_str()),
            quoted(&credential.subject),
            quoted(order.audience.as_str())
        ),
    }
}

/// For a shell: nothing in it is expanded.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
