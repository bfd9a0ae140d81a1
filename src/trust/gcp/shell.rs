//! Everything as commands of gcloud.

use super::{Account, IMPERSONATION, Plan};

/// The script.
pub(super) fn write(plan: &Plan) -> String {
    let project = option("project", &plan.options.project_id);
    let mut commands = vec![
        "set -eu".to_owned(),
        command(&[
            "gcloud services enable iam.googleapis.com iamcredentials.googleapis.com sts.googleapis.com"
                .to_owned(),
            project.clone(),
        ]),
        format!(
            "# For this provider alone: principals of all providers of a pool are alike.\n{}",
            command(&[
                format!(
                    "gcloud iam workload-identity-pools create {}",
                    quoted(&plan.options.pool)
                ),
                project.clone(),
                "--location=global".to_owned(),
                "--display-name=runmint".to_owned(),
            ])
        ),
    ];
    if let Some(jwks) = &plan.jwks {
        // No line of it can be the end: it is one line of JSON.
        commands.push(format!("cat > jwks.json <<'JWKS'\n{jwks}\nJWKS"));
    }
    commands.push(provider(plan, &project));
    for account in &plan.accounts {
        commands.extend(of_account(plan, account));
    }
    format!("#!/bin/sh\n{}\n", commands.join("\n\n"))
}

fn provider(plan: &Plan, project: &str) -> String {
    let mapping = plan.mapping.attributes.iter();
    let mapping: Vec<String> = mapping
        .map(|(name, source)| format!("{name}={source}"))
        .collect();
    let mut parts = vec![
        format!(
            "gcloud iam workload-identity-pools providers create-oidc {}",
            quoted(&plan.options.provider)
        ),
        project.to_owned(),
        "--location=global".to_owned(),
        option("workload-identity-pool", &plan.options.pool),
        "--display-name=runmint".to_owned(),
        option("issuer-uri", plan.order.issuer.as_str()),
    ];
    if !plan.audiences.is_empty() {
        parts.push(option("allowed-audiences", &plan.audiences.join(",")));
    }
    if plan.jwks.is_some() {
        parts.push("--jwk-json-path=jwks.json".to_owned());
    }
    parts.push(option("attribute-mapping", &mapping.join(",")));
    parts.push(option("attribute-condition", &plan.condition));
    command(&parts)
}

fn of_account(plan: &Plan, account: &Account) -> Vec<String> {
    let (name, project) = account.name_and_project();
    let mut commands = vec![format!(
        "# Made unless it is there.\n{} > /dev/null 2>&1 ||\n  {}",
        format_args!(
            "gcloud iam service-accounts describe {} {}",
            quoted(account.email),
            option("project", project)
        ),
        format_args!(
            "gcloud iam service-accounts create {} {}",
            quoted(name),
            option("project", project)
        ),
    )];
    let pool = plan.options.pool_name();
    for member in &account.members {
        let member = format!("principalSet://iam.googleapis.com/{pool}/{member}");
        commands.push(command(&[
            format!(
                "gcloud iam service-accounts add-iam-policy-binding {}",
                quoted(account.email)
            ),
            option("project", project),
            option("role", IMPERSONATION),
            option("member", &member),
        ]));
    }
    for role in account.roles {
        commands.push(command(&[
            format!(
                "gcloud projects add-iam-policy-binding {}",
                quoted(&plan.options.project_id)
            ),
            option("role", role),
            option("member", &format!("serviceAccount:{}", account.email)),
            "--condition=None".to_owned(),
        ]));
    }
    if account.roles.is_empty() {
        commands.push(format!(
            "# {} may do nothing yet: give it the roles that it needs, by\n\
             # gcloud projects add-iam-policy-binding",
            account.email
        ));
    }
    commands
}

/// A command with each part on a line of its own.
fn command(parts: &[String]) -> String {
    parts.join(" \\\n  ")
}

fn option(name: &str, value: &str) -> String {
    format!("--{name}={}", quoted(value))
}

/// A word of the shell, whatever is in it (POSIX, "Single-Quotes").
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
