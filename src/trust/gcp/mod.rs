//! GCP: a workload identity pool, its provider, a service account and who may act as it.
//!
//! The provider's condition names every part of a subject; the bindings name an attribute that says the
//! same again, and the phase where plan and apply are kept apart. A whole pool (`/*`) is never bound.

mod jwks;
mod mapping;
mod options;
mod shell;
mod terraform;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::mapping::Mapping;
pub use self::options::Options;
use super::{Bundle, Document, Form, Order, Phases, Scope, TrustError};
use crate::domain::phase::Phase;

/// The role that lets a principal act as a service account.
const IMPERSONATION: &str = "roles/iam.workloadIdentityUser";

/// IAM's limit of a condition, in characters (REST reference, `attributeCondition`).
const LONGEST_CONDITION: usize = 4_096;

/// What is written, in every form.
struct Plan<'a> {
    order: &'a Order,
    options: &'a Options,
    mapping: Mapping,
    condition: String,
    /// Empty where the tokens are for the provider's full name.
    audiences: Vec<&'a str>,
    /// The issuer's public keys, where they are uploaded.
    jwks: Option<Value>,
    accounts: Vec<Account<'a>>,
}

/// A service account, and what it is for.
struct Account<'a> {
    /// `NAME@PROJECT.iam.gserviceaccount.com`.
    email: &'a str,
    /// The phase that it is for; nothing if for all that are let in.
    phase: Option<Phase>,
    /// What it may do in the project.
    roles: &'a [String],
    /// Who may act as it: what follows the pool in a member.
    members: Vec<String>,
}

/// Writes all documents.
///
/// # Errors
/// [`TrustError`] names the option that IAM would refuse.
pub fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    options.check()?;
    if !order.issuer.as_str().starts_with("https://") {
        return Err(TrustError::new(
            "--issuer",
            "must begin with `https://`: IAM takes no other",
        ));
    }
    let plan = Plan {
        order,
        options,
        mapping: Mapping::of(&order.scope),
        condition: condition(&order.scope)?,
        audiences: audiences(order, options)?,
        jwks: options.jwks.as_deref().map(jwks::read).transpose()?,
        accounts: accounts(order, options)?,
    };
    let mut documents = vec![
        document(
            "gcp.tf",
            Form::Terraform,
            "pool, provider, accounts and bindings",
            terraform::write(&plan),
        ),
        document(
            "gcloud.sh",
            Form::Shell,
            "the same, by gcloud: run it with `sh`",
            shell::write(&plan),
        ),
        document(
            "provider.json",
            Form::Json,
            "the provider, as IAM's API takes it",
            text(&plan.provider()),
        ),
    ];
    for account in &plan.accounts {
        documents.push(document(
            &format!("{}-policy.json", account.label().replace('_', "-")),
            Form::Json,
            &format!(
                "who may act as {}: add these bindings to those that are there",
                account.email
            ),
            text(&plan.policy(account)),
        ));
    }
    Ok(Bundle {
        documents,
        warnings: warnings(&plan),
    })
}

fn document(name: &str, form: Form, about: &str, text: String) -> Document {
    Document {
        name: name.to_owned(),
        form,
        about: about.to_owned(),
        text,
    }
}

fn text(value: &Value) -> String {
    format!("{value:#}\n")
}

/// Which subjects are taken, whatever the bindings say.
fn condition(scope: &Scope) -> Result<String, TrustError> {
    let phases = match scope.phases {
        Phases::Apart => Phases::Both,
        others => others,
    };
    let together = Scope {
        phases,
        ..scope.clone()
    };
    let groups = together.groups();
    let patterns = groups.iter().flat_map(|(_, patterns)| patterns);
    let each: Vec<String> = patterns.map(|p| p.cel("assertion.sub")).collect();
    let condition = each.join(" || ");
    if condition.len() > LONGEST_CONDITION {
        return Err(TrustError::new(
            "--workspace",
            format!(
                "makes the condition {} characters long, over the {LONGEST_CONDITION} that IAM takes; \
                 give fewer workspaces, each lot with a pool of its own",
                condition.len()
            ),
        ));
    }
    Ok(condition)
}

/// None are listed if the tokens are for the provider's full name: a list switches it off.
fn audiences<'a>(order: &'a Order, options: &Options) -> Result<Vec<&'a str>, TrustError> {
    let audience = order.audience.as_str();
    let usual = options.full_name();
    if audience == usual || audience == format!("https:{usual}") {
        return Ok(Vec::new());
    }
    if audience.contains(',') || audience.starts_with('^') {
        return Err(TrustError::new(
            "--audience",
            "holds a `,` or begins with `^`, which gcloud takes for a list; choose another",
        ));
    }
    Ok(vec![audience])
}

fn accounts<'a>(order: &Order, options: &'a Options) -> Result<Vec<Account<'a>>, TrustError> {
    let groups = order.scope.groups();
    let emails = &options.service_accounts;
    if emails.len() != groups.len() {
        let rule = if groups.len() == 1 {
            "must be given once: the account that runs act as"
        } else {
            "must be given twice with `--split-phases`: the plan's account, then the apply's"
        };
        return Err(TrustError::new("--service-account", rule));
    }
    if emails.len() > 1 && emails.first() == emails.last() {
        return Err(TrustError::new(
            "--service-account",
            "is the same for plan and apply; with `--split-phases` each needs its own",
        ));
    }
    let is_apart = order.scope.phases == Phases::Apart;
    let pairs = groups.iter().zip(emails);
    Ok(pairs
        .map(|((phase, patterns), email)| Account {
            email,
            phase: if is_apart { *phase } else { None },
            roles: match phase {
                Some(Phase::Plan) if is_apart => &options.plan_roles,
                _ => &options.roles,
            },
            members: mapping::members(&order.scope, patterns),
        })
        .collect())
}

fn warnings(plan: &Plan) -> Vec<String> {
    let mut warnings = plan.order.warnings();
    warnings.extend(plan.mapping.warnings.iter().cloned());
    for account in &plan.accounts {
        if account.roles.is_empty() {
            let option = match account.phase {
                Some(Phase::Plan) => "--plan-role",
                _ => "--role",
            };
            warnings.push(format!(
                "`{}` may do nothing yet: give what it needs by `{option}`, e.g. \
                 `{option} roles/storage.objectViewer`",
                account.email
            ));
        }
    }
    if plan.jwks.is_some() {
        warnings.push(
            "the keys are uploaded: after each rotation upload them again, before the new key signs, or \
             IAM answers `Error connecting to the given credential's issuer`"
                .to_owned(),
        );
    }
    warnings
}

impl Plan<'_> {
    /// As the API takes it; `name` is what it is called there.
    fn provider(&self) -> Value {
        let mut oidc = json!({"issuerUri": self.order.issuer.as_str()});
        if !self.audiences.is_empty() {
            oidc["allowedAudiences"] = json!(self.audiences);
        }
        if let Some(jwks) = &self.jwks {
            oidc["jwksJson"] = json!(jwks.to_string());
        }
        let mapping = self.mapping.attributes.iter();
        let mapping: serde_json::Map<String, Value> = mapping
            .map(|(name, source)| ((*name).to_owned(), json!(source)))
            .collect();
        json!({
            "name": self.options.provider_name(),
            "displayName": "runmint",
            "oidc": oidc,
            "attributeMapping": mapping,
            "attributeCondition": self.condition,
        })
    }

    fn policy(&self, account: &Account) -> Value {
        let members = account.members.iter();
        let members: Vec<String> = members
            .map(|member| {
                format!(
                    "principalSet://iam.googleapis.com/{}/{member}",
                    self.options.pool_name()
                )
            })
            .collect();
        json!({"bindings": [{"role": IMPERSONATION, "members": members}]})
    }
}

impl Account<'_> {
    /// `runmint`, or `runmint_plan`.
    fn label(&self) -> String {
        match self.phase {
            Some(phase) => format!("runmint_{phase}"),
            None => "runmint".to_owned(),
        }
    }

    /// Its name and its project: what stands before and after the `@` of its address.
    fn name_and_project(&self) -> (&str, &str) {
        let (name, rest) = self.email.split_once('@').unwrap_or((self.email, ""));
        (name, rest.split('.').next().unwrap_or(""))
    }
}
