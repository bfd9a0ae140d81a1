//! Azure: federated identity credentials of an application or of a managed identity.
//!
//! A credential holds one subject, letter by letter, and flexible ones are not for an issuer of one's
//! own (Microsoft's documentation, "Workload identity federation"): so there is one for each workspace
//! and phase, and no `*`.

mod shell;
mod terraform;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value as Json, json};

use super::{Bundle, Document, Form, Order, SubjectPattern, TrustError};
use crate::domain::phase::Phase;

/// What Azure is told besides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose the credentials are.
    pub owner: Owner,
    /// Which cloud it is in.
    pub cloud: Cloud,
    /// What the credentials' names begin with.
    pub prefix: String,
    /// What runs may do; where plan and apply are kept apart, what applies may do.
    pub role: Option<String>,
    /// What plans may do, where plan and apply are kept apart.
    pub plan_role: Option<String>,
    /// Where they may do it: the id of a resource, a resource group or a subscription.
    pub role_scope: Option<String>,
}

/// Whose the credentials are.
#[derive(Clone, Debug)]
pub enum Owner {
    /// An application that is there already, by its application (client) id.
    Application(String),
    /// A managed identity that is there already. Where plan and apply are kept apart there are two,
    /// with `-plan` and `-apply` at the end of their names.
    Identity {
        /// Its name.
        name: String,
        /// Its resource group.
        resource_group: String,
    },
    /// An application that is made, with this name; two where plan and apply are kept apart.
    NewApplication(String),
}

/// One of Azure's clouds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cloud {
    /// The public one.
    Global,
    /// US Government.
    UsGov,
    /// China.
    China,
}

/// How many credentials an application or a managed identity can have ("Important considerations and
/// restrictions for federated identity credentials").
const MOST: usize = 20;

/// What is let in together, and by whose credentials.
struct Group {
    /// For Terraform's names: `runmint`, `runmint_plan`.
    label: &'static str,
    /// After the owner's name: nothing, `-plan` or `-apply`.
    suffix: &'static str,
    role: Option<String>,
    credentials: Vec<Credential>,
}

struct Credential {
    name: String,
    subject: String,
}

impl Cloud {
    /// What tokens for it are for ("Workload identity federation", national clouds).
    pub fn audience(self) -> &'static str {
        match self {
            Self::Global => "api://AzureADTokenExchange",
            Self::UsGov => "api://AzureADTokenExchangeUSGov",
            Self::China => "api://AzureADTokenExchangeChina",
        }
    }

    /// As `az cloud set` names it.
    fn az_name(self) -> &'static str {
        match self {
            Self::Global => "AzureCloud",
            Self::UsGov => "AzureUSGovernment",
            Self::China => "AzureChinaCloud",
        }
    }
}

/// Terraform, `az` commands and parameter files.
///
/// # Errors
/// Names the option that Azure cannot be told.
pub fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    options.check()?;
    let groups = groups(order, options)?;
    let mut documents = vec![
        Document {
            name: "azure.tf".to_owned(),
            form: Form::Terraform,
            about: "the credentials and what they belong to, for `terraform apply`".to_owned(),
            text: terraform::write(order, options, &groups),
        },
        Document {
            name: "azure.sh".to_owned(),
            form: Form::Shell,
            about: "the same as `az` commands".to_owned(),
            text: shell::write(order, options, &groups),
        },
    ];
    for credential in groups.iter().flat_map(|group| &group.credentials) {
        documents.push(parameters(order, options, credential));
    }
    Ok(Bundle {
        documents,
        warnings: warnings(order, options, &groups),
    })
}

impl Options {
    fn check(&self) -> Result<(), TrustError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let prefix = &self.prefix;
        let is_good = prefix.len() <= 100
            && prefix.chars().all(is_plain)
            && prefix.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !is_good {
            return Err(TrustError::new(
                "--prefix",
                "must have 1 to 100 letters, digits, `-` and `_`, and begin with a letter or a digit",
            ));
        }
        let owner: &[(&'static str, &String)] = match &self.owner {
            Owner::Application(id) => &[("--application-id", id)],
            Owner::Identity {
                name,
                resource_group,
            } => &[
                ("--identity-name", name),
                ("--resource-group", resource_group),
            ],
            Owner::NewApplication(name) => &[("--application-name", name)],
        };
        for (option, value) in owner {
            if value.is_empty() || value.chars().any(char::is_control) {
                return Err(TrustError::new(option, "must be a name on one line"));
            }
        }
        let has_role = self.role.is_some() || self.plan_role.is_some();
        match (&self.role_scope, has_role) {
            (None, true) => Err(TrustError::new(
                "--role",
                "needs `--scope-id`: the id of the subscription, resource group or resource in which \
                 it is given",
            )),
            (Some(_), false) => Err(TrustError::new(
                "--scope-id",
                "says where a role is given; add `--role`",
            )),
            (Some(scope), true) if !scope.starts_with('/') || scope.contains(char::is_control) => {
                Err(TrustError::new(
                    "--scope-id",
                    "must be an id such as `/subscriptions/…/resourceGroups/NAME`",
                ))
            }
            _ => Ok(()),
        }
    }
}

fn groups(order: &Order, options: &Options) -> Result<Vec<Group>, TrustError> {
    let scope = &order.scope;
    let any = [
        ("--organization", scope.organization.exact().is_none()),
        ("--project", scope.project.exact().is_none()),
        (
            "--workspace",
            scope.workspaces.iter().any(|name| name.exact().is_none()),
        ),
    ];
    if let Some((option, _)) = any.into_iter().find(|(_, is_any)| *is_any) {
        return Err(TrustError::new(
            option,
            "cannot be `*` for Azure: a credential holds one subject, letter by letter; give each \
             name (`--workspace` may be given several times)",
        ));
    }
    let groups = scope.groups();
    let are_apart = groups.len() > 1;
    if let (true, Owner::Application(_)) = (are_apart, &options.owner) {
        return Err(TrustError::new(
            "--application-id",
            "names one application, and `--split-phases` needs one for plans and one for applies: \
             call it once with `--phase plan` and once with `--phase apply`, or leave the id out so \
             that two are made",
        ));
    }
    if !are_apart && options.plan_role.is_some() {
        return Err(TrustError::new(
            "--plan-role",
            "needs `--split-phases`: otherwise plans and applies are one and the same to Azure",
        ));
    }
    let group = |(phase, patterns): (Option<Phase>, Vec<SubjectPattern>)| {
        let (label, suffix, role) = match phase.filter(|_| are_apart) {
            None => ("runmint", "", &options.role),
            Some(Phase::Plan) => ("runmint_plan", "-plan", &options.plan_role),
            Some(Phase::Apply) => ("runmint_apply", "-apply", &options.role),
        };
        let mut credentials: Vec<Credential> = Vec::new();
        for subject in patterns
            .iter()
            .filter_map(SubjectPattern::subjects)
            .flatten()
        {
            let name = format!("{}-{}", options.prefix, start_of_hash(&subject));
            // A workspace that was given twice is one; issuer and subject must be unique.
            if credentials.iter().all(|other| other.name != name) {
                credentials.push(Credential { name, subject });
            }
        }
        Group {
            label,
            suffix,
            role: role.clone(),
            credentials,
        }
    };
    Ok(groups.into_iter().map(group).collect())
}

/// Names cannot hold the `:` of a subject, so they hold its hash: 16 hexadecimal digits.
fn start_of_hash(subject: &str) -> String {
    let digest = digest(&SHA256, subject.as_bytes());
    let bytes = digest.as_ref().iter().take(8);
    let number = bytes.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{number:016x}")
}

fn warnings(order: &Order, options: &Options, groups: &[Group]) -> Vec<String> {
    let mut warnings = order.warnings();
    for group in groups {
        let count = group.credentials.len();
        let owner = match &options.owner {
            Owner::Application(id) => format!("the application {id}"),
            Owner::Identity { name, .. } => format!("the identity {name}{}", group.suffix),
            Owner::NewApplication(name) => format!("the application {name}{}", group.suffix),
        };
        warnings.push(match MOST.checked_sub(count) {
            Some(left) => format!(
                "{owner} gets {count} of at most {MOST} federated identity credentials; {left} are \
                 left, less those that it has already"
            ),
            None => format!(
                "{owner} would get {count} federated identity credentials, {} more than the {MOST} \
                 that Azure allows: spread the workspaces over several",
                count - MOST
            ),
        });
        match &group.role {
            None => warnings.push(format!(
                "{owner} is given no role, so it may do nothing yet: add `--role` and `--scope-id`, \
                 or assign one yourself"
            )),
            Some(role) => {
                let is_wide = ["owner", "contributor", "user access administrator"]
                    .contains(&role.to_ascii_lowercase().as_str());
                if is_wide {
                    warnings.push(format!(
                        "{owner} is given `{role}`, which may change everything in its scope; a \
                         narrower role is safer"
                    ));
                }
            }
        }
    }
    if order.audience.as_str() != options.cloud.audience() {
        warnings.push(format!(
            "the audience is {}, not this cloud's {}: SDKs and `runmint exec` must be told \
             (`TFC_AZURE_WORKLOAD_IDENTITY_AUDIENCE`)",
            order.audience.as_str(),
            options.cloud.audience()
        ));
    }
    warnings
}

fn parameters(order: &Order, options: &Options, credential: &Credential) -> Document {
    let (value, about) = match &options.owner {
        Owner::Application(_) | Owner::NewApplication(_) => (
            flat(order, credential),
            "for `az ad app federated-credential create --id APP --parameters FILE`",
        ),
        Owner::Identity { .. } => (
            json!({"properties": {
                "issuer": order.issuer.as_str(),
                "subject": credential.subject,
                "audiences": [order.audience.as_str()],
            }}),
            "the body that the resource manager takes at \
             `…/userAssignedIdentities/NAME/federatedIdentityCredentials/NAME`",
        ),
    };
    Document {
        name: format!("{}.json", credential.name),
        form: Form::Json,
        about: format!("{}: {about}", credential.subject),
        text: format!("{value:#}\n"),
    }
}

fn flat(order: &Order, credential: &Credential) -> Json {
    json!({
        "name": credential.name,
        "issuer": order.issuer.as_str(),
        "subject": credential.subject,
        "audiences": [order.audience.as_str()],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claims::Audience;
    use crate::domain::issuer::Issuer;
    use crate::domain::name::{Name, ProjectName};
    use crate::trust::{Part, Phases, Scope};

    fn order(workspaces: usize, phases: Phases) -> Order {
        let workspace =
            |index| Part::Exactly(Name::parse("workspace", &format!("net-{index}")).unwrap());
        Order {
            issuer: Issuer::parse("https://ci.example.com").unwrap(),
            scope: Scope {
                organization: Part::Exactly(Name::parse("organization", "acme").unwrap()),
                project: Part::Exactly(ProjectName::parse("project", "Default Project").unwrap()),
                workspaces: (0..workspaces).map(workspace).collect(),
                phases,
            },
            audience: Audience::parse("audience", "api://AzureADTokenExchange").unwrap(),
        }
    }

    fn options(owner: Owner) -> Options {
        Options {
            owner,
            cloud: Cloud::Global,
            prefix: "runmint".to_owned(),
            role: None,
            plan_role: None,
            role_scope: None,
        }
    }

    fn new() -> Owner {
        Owner::NewApplication("ci".to_owned())
    }

    fn text(bundle: &Bundle, form: Form) -> &str {
        let mut documents = bundle.documents.iter();
        &documents
            .find(|document| document.form == form)
            .unwrap()
            .text
    }

    #[test]
    fn an_application_gets_a_credential_for_each_workspace_and_phase() {
        let bundle = generate(&order(1, Phases::Both), &options(new())).unwrap();
        assert_eq!(
            text(&bundle, Form::Terraform),
            r#"resource "azuread_application" "runmint" {
  display_name = "ci"
}

resource "azuread_service_principal" "runmint" {
  client_id = azuread_application.runmint.client_id
}

resource "azuread_application_federated_identity_credential" "runmint" {
  # No role is assigned: what these runs may do is for an azurerm_role_assignment to say.
  for_each = {
    "runmint-d9ceaa8a897d5934" = "organization:acme:project:Default Project:workspace:net-0:run_phase:plan"
    "runmint-70f91338ef5de4c7" = "organization:acme:project:Default Project:workspace:net-0:run_phase:apply"
  }
  application_id = azuread_application.runmint.id
  display_name   = each.key
  issuer         = "https://ci.example.com"
  subject        = each.value
  audiences      = ["api://AzureADTokenExchange"]
}
"#
        );
        let json: Json = serde_json::from_str(text(&bundle, Form::Json)).unwrap();
        assert_eq!(json["audiences"], json!(["api://AzureADTokenExchange"]));
        assert!(
            json["subject"]
                .as_str()
                .unwrap()
                .ends_with(":run_phase:plan")
        );
        assert!(
            bundle.warnings[0].contains("2 of at most 20"),
            "{:?}",
            bundle.warnings
        );
        assert!(
            bundle.warnings[0].contains("18 are left"),
            "{:?}",
            bundle.warnings
        );
    }

    #[test]
    fn plan_and_apply_apart_are_two_owners_with_a_role_of_their_own() {
        let mut options = options(Owner::Identity {
            name: "ci".to_owned(),
            resource_group: "it's".to_owned(),
        });
        options.role = Some("Reader".to_owned());
        options.role_scope = Some("/subscriptions/1".to_owned());
        options.cloud = Cloud::UsGov;
        let bundle = generate(&order(1, Phases::Apart), &options).unwrap();
        let shell = text(&bundle, Form::Shell);
        for line in [
            "az cloud set --name AzureUSGovernment\n",
            "--identity-name 'ci-plan' --resource-group 'it'\\''s' --issuer 'https://ci.example.com'",
            "--subject 'organization:acme:project:Default Project:workspace:net-0:run_phase:apply'",
            "--role 'Reader' --scope '/subscriptions/1'",
        ] {
            assert!(shell.contains(line), "{line}\n{shell}");
        }
        assert_eq!(
            shell
                .matches("az role assignment create --assignee")
                .count(),
            1
        );
        let terraform = text(&bundle, Form::Terraform);
        assert!(terraform.contains(r#"data "azurerm_user_assigned_identity" "runmint_plan""#));
        assert!(
            terraform.contains("data.azurerm_user_assigned_identity.runmint_apply.principal_id")
        );
        assert_eq!(terraform.matches("azurerm_role_assignment\" ").count(), 1);
        let of_the_cloud = bundle.warnings.iter().any(|w| w.contains("USGov"));
        assert!(of_the_cloud, "{:?}", bundle.warnings);
    }

    #[test]
    fn more_than_twenty_are_counted() {
        let bundle = generate(&order(11, Phases::Both), &options(new())).unwrap();
        let warning = &bundle.warnings[0];
        assert!(
            warning.contains("22") && warning.contains("2 more"),
            "{warning}"
        );
        let mut twice = order(1, Phases::Both);
        twice
            .scope
            .workspaces
            .extend(order(1, Phases::Both).scope.workspaces);
        let bundle = generate(&twice, &options(new())).unwrap();
        assert!(
            bundle.warnings[0].contains("gets 2 of"),
            "{:?}",
            bundle.warnings
        );
    }

    #[test]
    fn what_azure_cannot_be_told_is_refused_by_its_option() {
        let refusal = |change: fn(&mut Options, &mut Order)| {
            let (mut order, mut options) = (order(1, Phases::Both), options(new()));
            change(&mut options, &mut order);
            generate(&order, &options).unwrap_err().to_string()
        };
        for (error, said) in [
            (
                refusal(|_, order| order.scope.workspaces = vec![Part::Any]),
                "`--workspace` cannot be",
            ),
            (
                refusal(|_, order| order.scope.project = Part::Any),
                "`--project` cannot be",
            ),
            (
                refusal(|_, order| order.scope.organization = Part::Any),
                "`--organization` cannot be",
            ),
            (
                refusal(|options, _| options.prefix = "a:b".to_owned()),
                "`--prefix`",
            ),
            (
                refusal(|options, _| options.role = Some("Reader".to_owned())),
                "needs `--scope-id`",
            ),
            (
                refusal(|options, _| options.role_scope = Some("/x".to_owned())),
                "add `--role`",
            ),
            (
                refusal(|options, _| options.owner = Owner::Application(String::new())),
                "`--application-id` must",
            ),
            (
                refusal(|options, order| {
                    options.owner = Owner::Application("1".to_owned());
                    order.scope.phases = Phases::Apart;
                }),
                "needs one for plans and one for applies",
            ),
        ] {
            assert!(error.contains(said), "{error}");
        }
    }
}
