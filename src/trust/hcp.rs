//! HCP: a service principal and its workload identity provider.

use serde_json::{Value as Json, json};

use super::hcl::{self, Block, Value};
use super::{Bundle, Document, Form, Order, SubjectPattern, TrustError};
use crate::domain::phase::Phase;

/// What HCP is told besides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service principal's name; `-plan` and `-apply` are added where the phases are kept apart.
    pub service_principal: String,
    /// The provider's name.
    pub provider: String,
    /// What runs may do in the project; where plan and apply are kept apart, what applies may do.
    pub role: Option<String>,
    /// What plans may do, where plan and apply are kept apart.
    pub plan_role: Option<String>,
}

/// What is let in together, as a service principal of its own.
struct Group {
    /// For Terraform's names: `runmint`, `runmint_plan`.
    label: &'static str,
    principal: String,
    role: Option<String>,
    condition: String,
}

/// Terraform, and the provider as the API takes it.
///
/// # Errors
/// Names the option that HCP cannot be told.
pub fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    options.check()?;
    let groups = groups(order, options)?;
    let mut documents = vec![Document {
        name: "hcp.tf".to_owned(),
        form: Form::Terraform,
        about: "the service principals and their providers, for `terraform apply`".to_owned(),
        text: terraform(order, options, &groups),
    }];
    for group in &groups {
        documents.push(Document {
            name: format!("{}.json", group.principal),
            form: Form::Json,
            about: format!(
                "the workload identity provider of the service principal {}, for HCP's API",
                group.principal
            ),
            text: format!("{:#}\n", provider(order, options, group)),
        });
    }
    let mut warnings = order.warnings();
    for group in groups.iter().filter(|group| group.role.is_none()) {
        warnings.push(format!(
            "the service principal {} is given no role, so it may do nothing yet: add `--role`, such \
             as `roles/viewer`, or bind one yourself",
            group.principal
        ));
    }
    Ok(Bundle {
        documents,
        warnings,
    })
}

impl Options {
    fn check(&self) -> Result<(), TrustError> {
        // 36 for HCP, less `-apply`.
        for (option, name) in [
            ("--service-principal", &self.service_principal),
            ("--provider", &self.provider),
        ] {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
            if !(3..=30).contains(&name.len()) || !name.chars().all(is_plain) {
                return Err(TrustError::new(
                    option,
                    "must have 3 to 30 letters, digits and `-`",
                ));
            }
        }
        for (option, role) in [("--role", &self.role), ("--plan-role", &self.plan_role)] {
            match role.as_deref() {
                Some("roles/owner" | "roles/admin") => {
                    return Err(TrustError::new(
                        option,
                        "cannot be an administrator's: whoever makes a run could do everything in the \
                         project",
                    ));
                }
                Some(role) if !role.starts_with("roles/") => {
                    return Err(TrustError::new(
                        option,
                        "must be a role such as `roles/viewer`",
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn groups(order: &Order, options: &Options) -> Result<Vec<Group>, TrustError> {
    let groups = order.scope.groups();
    let are_apart = groups.len() > 1;
    if !are_apart && options.plan_role.is_some() {
        return Err(TrustError::new(
            "--plan-role",
            "needs `--split-phases`: otherwise plans and applies are the same service principal",
        ));
    }
    let group = |(phase, patterns): (Option<Phase>, Vec<SubjectPattern>)| {
        let (label, suffix, role) = match phase.filter(|_| are_apart) {
            None => ("runmint", "", &options.role),
            Some(Phase::Plan) => ("runmint_plan", "-plan", &options.plan_role),
            Some(Phase::Apply) => ("runmint_apply", "-apply", &options.role),
        };
        let conditions = patterns.iter().map(condition).collect::<Vec<_>>();
        Group {
            label,
            principal: format!("{}{suffix}", options.service_principal),
            role: role.clone(),
            condition: conditions.join(" or "),
        }
    };
    Ok(groups.into_iter().map(group).collect())
}

/// In backticks nothing is escaped; no name holds one.
fn condition(pattern: &SubjectPattern) -> String {
    format!("jwt_claims.sub matches `{}`", pattern.regex())
}

fn provider(order: &Order, options: &Options, group: &Group) -> Json {
    json!({
        "name": options.provider,
        "description": description(group),
        "oidc_config": {
            "issuer_uri": order.issuer.as_str(),
            "allowed_audiences": [order.audience.as_str()],
        },
        "conditional_access": group.condition,
    })
}

fn description(group: &Group) -> String {
    format!("Lets runs act as {}", group.principal)
}

fn terraform(order: &Order, options: &Options, groups: &[Group]) -> String {
    let project = "data.hcp_project.runmint";
    let mut blocks = vec![Block::new(r#"data "hcp_project" "runmint""#)];
    for group in groups {
        let label = group.label;
        let principal = format!("hcp_service_principal.{label}");
        let own = |member: &str| Value::Expression(format!("{principal}.{member}"));
        blocks.push(
            Block::new(format!(r#"resource "hcp_service_principal" "{label}""#))
                .with("name", group.principal.as_str())
                .with(
                    "parent",
                    Value::Expression(format!("{project}.resource_name")),
                ),
        );
        if let Some(role) = &group.role {
            blocks.push(
                Block::new(format!(r#"resource "hcp_project_iam_binding" "{label}""#))
                    .with(
                        "project_id",
                        Value::Expression(format!("{project}.resource_id")),
                    )
                    .with("principal_id", own("resource_id"))
                    .with("role", role.as_str()),
            );
        }
        let provider = Block::new(format!(
            r#"resource "hcp_iam_workload_identity_provider" "{label}""#
        ));
        let provider = match &group.role {
            Some(_) => provider,
            None => provider.noting(
                "No role is bound: what these runs may do is for an hcp_project_iam_binding to say.",
            ),
        };
        let oidc = vec![
            ("issuer_uri".to_owned(), Value::from(order.issuer.as_str())),
            (
                "allowed_audiences".to_owned(),
                Value::from(vec![order.audience.as_str()]),
            ),
        ];
        blocks.push(
            provider
                .with("name", options.provider.as_str())
                .with("service_principal", own("resource_name"))
                .with("description", description(group))
                .with("oidc", Value::Object(oidc))
                .with("conditional_access", group.condition.as_str()),
        );
    }
    hcl::file(&blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claims::Audience;
    use crate::domain::issuer::Issuer;
    use crate::domain::name::{Name, ProjectName};
    use crate::trust::{Part, Phases, Scope};

    fn order(phases: Phases) -> Order {
        Order {
            issuer: Issuer::parse("https://ci.example.com").unwrap(),
            scope: Scope {
                organization: Part::Exactly(Name::parse("organization", "acme").unwrap()),
                project: Part::Exactly(ProjectName::parse("project", "Default Project").unwrap()),
                workspaces: vec![Part::Exactly(Name::parse("workspace", "net").unwrap())],
                phases,
            },
            audience: Audience::parse("audience", "hcp.workload.identity").unwrap(),
        }
    }

    fn options() -> Options {
        Options {
            service_principal: "runmint".to_owned(),
            provider: "runmint".to_owned(),
            role: None,
            plan_role: None,
        }
    }

    #[test]
    fn terraform_makes_a_service_principal_and_its_provider() {
        let bundle = generate(&order(Phases::Both), &options()).unwrap();
        assert_eq!(
            bundle.documents[0].text,
            r#"data "hcp_project" "runmint" {
}

resource "hcp_service_principal" "runmint" {
  name   = "runmint"
  parent = data.hcp_project.runmint.resource_name
}

resource "hcp_iam_workload_identity_provider" "runmint" {
  # No role is bound: what these runs may do is for an hcp_project_iam_binding to say.
  name              = "runmint"
  service_principal = hcp_service_principal.runmint.resource_name
  description       = "Lets runs act as runmint"
  oidc = {
    issuer_uri        = "https://ci.example.com"
    allowed_audiences = ["hcp.workload.identity"]
  }
  conditional_access = "jwt_claims.sub matches `^organization:acme:project:Default Project:workspace:net:run_phase:(plan|apply)$`"
}
"#
        );
        assert!(bundle.warnings[0].contains("may do nothing yet"));
    }

    #[test]
    fn plan_and_apply_apart_are_two_service_principals() {
        let mut options = options();
        options.role = Some("roles/contributor".to_owned());
        options.plan_role = Some("roles/viewer".to_owned());
        let bundle = generate(&order(Phases::Apart), &options).unwrap();
        let plan: Json = serde_json::from_str(&bundle.documents[1].text).unwrap();
        let condition = plan["conditional_access"].as_str().unwrap();
        assert!(condition.ends_with(":run_phase:plan$`"), "{condition}");
        assert_eq!(bundle.documents[1].name, "runmint-plan.json");
        assert_eq!(
            bundle.documents[0]
                .text
                .matches("hcp_project_iam_binding")
                .count(),
            2
        );
        assert!(bundle.warnings.is_empty(), "{:?}", bundle.warnings);
    }

    #[test]
    fn what_hcp_cannot_be_told_is_refused_by_its_option() {
        for (change, said) in [
            (
                (|options| options.service_principal = "a b c".to_owned()) as fn(&mut Options),
                "`--service-principal` must have 3 to 30",
            ),
            (|options| options.provider = "x".repeat(31), "`--provider`"),
            (
                |options| options.role = Some("roles/admin".to_owned()),
                "an administrator's",
            ),
            (
                |options| options.role = Some("viewer".to_owned()),
                "such as `roles/viewer`",
            ),
            (
                |options| options.plan_role = Some("roles/viewer".to_owned()),
                "`--split-phases`",
            ),
        ] {
            let mut options = options();
            change(&mut options);
            let error = generate(&order(Phases::Both), &options)
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
