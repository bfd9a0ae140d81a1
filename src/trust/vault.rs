//! Vault and OpenBao: the configuration of a JWT auth method, a role of it and a policy.

use serde_json::{Value as Json, json};

use super::hcl::{self, Block, Value};
use super::{Bundle, Document, Form, Order, SubjectPattern, TrustError};
use crate::domain::phase::Phase;

/// What Vault is told besides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The path at which the auth method is mounted: `jwt`.
    pub mount: String,
    /// The role's name; `-plan` and `-apply` are added where the phases are kept apart.
    pub role: String,
    /// Policies that are there already, for runs; for applies where the phases are kept apart.
    pub policies: Vec<String>,
    /// The same for plans, where the phases are kept apart.
    pub plan_policies: Vec<String>,
    /// Where Vault gets the keys.
    pub keys: Keys,
    /// Whose command is written.
    pub tool: Tool,
}

/// Where Vault gets the keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keys {
    /// By the issuer's discovery document.
    Discovery,
    /// From the issuer's key set, without discovery.
    Jwks,
}

/// Whose command is written; what it writes is the same.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tool {
    /// `bao`
    OpenBao,
    /// `vault`
    Vault,
}

/// How long a Vault token lives before it must be renewed, in seconds: what HCP Terraform's examples
/// take. Terraform's provider and `runmint exec` renew it.
const TOKEN_TTL: i64 = 1_200;

/// What is let in together, by a role of its own.
struct Group {
    /// For Terraform's names: `runmint`, `runmint_plan`.
    label: &'static str,
    /// The role's and the policy's name.
    name: String,
    policies: Vec<String>,
    globs: Vec<String>,
}

/// Terraform, commands, and what the API takes.
///
/// # Errors
/// Names the option that Vault cannot be told.
pub fn generate(order: &Order, options: &Options) -> Result<Bundle, TrustError> {
    options.check()?;
    let groups = groups(order, options)?;
    let mut documents = vec![
        Document {
            name: "vault.tf".to_owned(),
            form: Form::Terraform,
            about: "the auth method, roles and policies, for `terraform apply`".to_owned(),
            text: terraform(order, options, &groups),
        },
        Document {
            name: "vault.sh".to_owned(),
            form: Form::Shell,
            about: format!("the same as `{}` commands", options.tool.command()),
            text: shell(order, options, &groups),
        },
        json_document(
            "config.json",
            &format!("for `auth/{}/config`", options.mount),
            &config(order, options),
        ),
    ];
    for group in &groups {
        let name = &group.name;
        documents.push(json_document(
            &format!("role-{name}.json"),
            &format!("for `auth/{}/role/{name}`", options.mount),
            &role(order, group),
        ));
        documents.push(json_document(
            &format!("policy-{name}.json"),
            &format!("for `sys/policies/acl/{name}`"),
            &json!({"policy": policy()}),
        ));
    }
    let mut warnings = order.warnings();
    for group in groups.iter().filter(|group| group.policies.is_empty()) {
        warnings.push(format!(
            "the role {} gets a policy that only lets a run look after its own token: add what it may \
             read with `--policy`, or to the policy",
            group.name
        ));
    }
    let names: Vec<String> = groups
        .iter()
        .map(|group| format!("`{}`", group.name))
        .collect();
    let tool = options.tool.command();
    warnings.push(format!(
        "a policy is written under each role's name, over one that is called so already; see that \
         `{tool} policy list` has no {}, or choose another `--role`",
        names.join(" and no ")
    ));
    Ok(Bundle {
        documents,
        warnings,
    })
}

impl Tool {
    fn command(self) -> &'static str {
        match self {
            Self::OpenBao => "bao",
            Self::Vault => "vault",
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), TrustError> {
        let is_word = |text: &str| {
            // A server takes these two away from a path.
            !matches!(text, "" | "." | "..")
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if !self.mount.split('/').all(is_word) {
            return Err(TrustError::new(
                "--mount",
                "must be a path of letters, digits, `-`, `_` and `.`, such as `jwt`, without `auth/`, \
                 without a slash at its ends, and with no part that is `.` or `..`",
            ));
        }
        if !is_word(&self.role) {
            return Err(TrustError::new(
                "--role",
                "must have letters, digits, `-`, `_` and `.` only, and not be `.` or `..`",
            ));
        }
        // Vault keeps the names of roles and policies in lower case.
        if self.role.chars().any(|c| c.is_ascii_uppercase()) {
            return Err(TrustError::new(
                "--role",
                "must be in lower case, as Vault keeps it",
            ));
        }
        for (option, policies) in [
            ("--policy", &self.policies),
            ("--plan-policy", &self.plan_policies),
        ] {
            if policies.iter().any(|name| name == "root") {
                return Err(TrustError::new(
                    option,
                    "cannot be `root`: roles cannot give it",
                ));
            }
            let is_name = |name: &String| name.split('/').all(is_word);
            if !policies.iter().all(is_name) {
                return Err(TrustError::new(
                    option,
                    "must be the name of a policy: letters, digits, `-`, `_`, `.` and `/`, with no part \
                     that is `.` or `..`",
                ));
            }
        }
        Ok(())
    }
}

fn groups(order: &Order, options: &Options) -> Result<Vec<Group>, TrustError> {
    let groups = order.scope.groups();
    let are_apart = groups.len() > 1;
    if !are_apart && !options.plan_policies.is_empty() {
        return Err(TrustError::new(
            "--plan-policy",
            "needs `--split-phases`: otherwise plans and applies get the same role",
        ));
    }
    let group = |(phase, patterns): (Option<Phase>, Vec<SubjectPattern>)| {
        let (label, suffix, policies) = match phase.filter(|_| are_apart) {
            None => ("runmint", "", &options.policies),
            Some(Phase::Plan) => ("runmint_plan", "-plan", &options.plan_policies),
            Some(Phase::Apply) => ("runmint_apply", "-apply", &options.policies),
        };
        Group {
            label,
            name: format!("{}{suffix}", options.role),
            policies: policies.clone(),
            globs: patterns.iter().map(SubjectPattern::glob).collect(),
        }
    };
    Ok(groups.into_iter().map(group).collect())
}

/// What is written to the mount's configuration.
fn config(order: &Order, options: &Options) -> Json {
    let issuer = order.issuer.as_str();
    match options.keys {
        Keys::Discovery => json!({"oidc_discovery_url": issuer, "bound_issuer": issuer}),
        Keys::Jwks => json!({"jwks_url": jwks(order), "bound_issuer": issuer}),
    }
}

fn jwks(order: &Order) -> String {
    order.issuer.url_of("/.well-known/jwks")
}

fn role(order: &Order, group: &Group) -> Json {
    let mut policies = vec![group.name.clone()];
    policies.extend(group.policies.iter().cloned());
    json!({
        "role_type": "jwt",
        "bound_audiences": [order.audience.as_str()],
        "bound_claims_type": "glob",
        "bound_claims": {"sub": group.globs},
        "user_claim": "terraform_full_workspace",
        "token_policies": policies,
        "token_ttl": TOKEN_TTL,
    })
}

/// What Terraform's provider and `runmint exec` call for the token's own sake, and nothing else.
fn policy() -> String {
    let path = |path: &str, capability: &str| {
        Block::new(format!(r#"path "{path}""#)).with("capabilities", vec![capability])
    };
    hcl::file(&[
        path("auth/token/lookup-self", "read"),
        path("auth/token/renew-self", "update"),
        path("auth/token/revoke-self", "update"),
    ])
}

fn terraform(order: &Order, options: &Options, groups: &[Group]) -> String {
    let issuer = order.issuer.as_str();
    let method = Block::new(r#"resource "vault_jwt_auth_backend" "runmint""#)
        .with("path", options.mount.as_str());
    let method = match options.keys {
        Keys::Discovery => method.with("oidc_discovery_url", issuer),
        Keys::Jwks => method.with("jwks_url", jwks(order)),
    };
    let mut blocks = vec![method.with("bound_issuer", issuer)];
    for group in groups {
        let label = group.label;
        let heredoc: String = policy()
            .lines()
            .map(|line| match line {
                "" => "\n".to_owned(),
                line => format!("    {line}\n"),
            })
            .collect();
        blocks.push(
            Block::new(format!(r#"resource "vault_policy" "{label}""#))
                .noting("Add what the runs may read.")
                .with("name", group.name.as_str())
                .with(
                    "policy",
                    Value::Expression(format!("<<-EOT\n{heredoc}  EOT")),
                ),
        );
        let own = Value::Expression(format!("vault_policy.{label}.name"));
        let others = group.policies.iter().map(|name| Value::from(name.as_str()));
        let policies = std::iter::once(own).chain(others).collect();
        // The provider splits the values of a claim at commas, which no name can hold.
        let sub = Value::from(group.globs.join(","));
        blocks.push(
            Block::new(format!(
                r#"resource "vault_jwt_auth_backend_role" "{label}""#
            ))
            .with(
                "backend",
                Value::Expression("vault_jwt_auth_backend.runmint.path".to_owned()),
            )
            .with("role_name", group.name.as_str())
            .with("role_type", "jwt")
            .with("bound_audiences", vec![order.audience.as_str()])
            .with("bound_claims_type", "glob")
            .with("bound_claims", Value::Object(vec![("sub".to_owned(), sub)]))
            .with("user_claim", "terraform_full_workspace")
            .with("token_policies", Value::List(policies))
            .with("token_ttl", TOKEN_TTL),
        );
    }
    hcl::file(&blocks)
}

fn shell(order: &Order, options: &Options, groups: &[Group]) -> String {
    let (tool, mount) = (options.tool.command(), &options.mount);
    let mut lines = vec![
        "#!/bin/sh".to_owned(),
        "set -eu".to_owned(),
        String::new(),
        "# Once; leave it out where the method is mounted.".to_owned(),
        format!("{tool} auth enable -path={mount} jwt"),
        String::new(),
    ];
    lines.extend(write(
        &format!("{tool} write auth/{mount}/config -"),
        &format!("{:#}", config(order, options)),
    ));
    for group in groups {
        let name = &group.name;
        lines.push(String::new());
        lines.extend(write(
            &format!("{tool} policy write {name} -"),
            policy().trim_end(),
        ));
        lines.push(String::new());
        lines.extend(write(
            &format!("{tool} write auth/{mount}/role/{name} -"),
            &format!("{:#}", role(order, group)),
        ));
    }
    lines.join("\n") + "\n"
}

/// A command that reads a text, in which the shell expands nothing.
fn write(command: &str, text: &str) -> [String; 3] {
    [
        format!("{command} <<'EOT'"),
        text.to_owned(),
        "EOT".to_owned(),
    ]
}

fn json_document(name: &str, about: &str, value: &Json) -> Document {
    Document {
        name: name.to_owned(),
        form: Form::Json,
        about: about.to_owned(),
        text: format!("{value:#}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claims::Audience;
    use crate::domain::issuer::Issuer;
    use crate::domain::name::{Name, ProjectName};
    use crate::trust::{Part, Phases, Scope};

    fn order(phases: Phases) -> Order {
        let workspace = |name: &str| Part::Exactly(Name::parse("workspace", name).unwrap());
        Order {
            issuer: Issuer::parse("https://ci.example.com").unwrap(),
            scope: Scope {
                organization: Part::Exactly(Name::parse("organization", "acme").unwrap()),
                project: Part::Exactly(ProjectName::parse("project", "Default Project").unwrap()),
                workspaces: vec![workspace("net-1"), workspace("net-2")],
                phases,
            },
            audience: Audience::parse("audience", "vault.workload.identity").unwrap(),
        }
    }

    fn options() -> Options {
        Options {
            mount: "jwt".to_owned(),
            role: "runmint".to_owned(),
            policies: vec!["net-read".to_owned()],
            plan_policies: Vec::new(),
            keys: Keys::Discovery,
            tool: Tool::Vault,
        }
    }

    fn text<'a>(bundle: &'a Bundle, name: &str) -> &'a str {
        let mut documents = bundle.documents.iter();
        &documents
            .find(|document| document.name == name)
            .unwrap()
            .text
    }

    #[test]
    fn terraform_mounts_the_method_and_binds_the_subjects() {
        let bundle = generate(&order(Phases::Both), &options()).unwrap();
        assert_eq!(
            text(&bundle, "vault.tf"),
            r#"resource "vault_jwt_auth_backend" "runmint" {
  path               = "jwt"
  oidc_discovery_url = "https://ci.example.com"
  bound_issuer       = "https://ci.example.com"
}

resource "vault_policy" "runmint" {
  # Add what the runs may read.
  name   = "runmint"
  policy = <<-EOT
    path "auth/token/lookup-self" {
      capabilities = ["read"]
    }

    path "auth/token/renew-self" {
      capabilities = ["update"]
    }

    path "auth/token/revoke-self" {
      capabilities = ["update"]
    }
  EOT
}

resource "vault_jwt_auth_backend_role" "runmint" {
  backend           = vault_jwt_auth_backend.runmint.path
  role_name         = "runmint"
  role_type         = "jwt"
  bound_audiences   = ["vault.workload.identity"]
  bound_claims_type = "glob"
  bound_claims = {
    sub = "organization:acme:project:Default Project:workspace:net-1:run_phase:*,organization:acme:project:Default Project:workspace:net-2:run_phase:*"
  }
  user_claim = "terraform_full_workspace"
  token_policies = [
    vault_policy.runmint.name,
    "net-read",
  ]
  token_ttl = 1200
}
"#
        );
        let [warning] = bundle.warnings.as_slice() else {
            panic!("{:?}", bundle.warnings);
        };
        assert!(
            warning.contains("`vault policy list` has no `runmint`,"),
            "{warning}"
        );
    }

    #[test]
    fn plan_and_apply_apart_are_two_roles_with_policies_of_their_own() {
        let mut options = options();
        options.tool = Tool::OpenBao;
        options.keys = Keys::Jwks;
        let bundle = generate(&order(Phases::Apart), &options).unwrap();
        let config: Json = serde_json::from_str(text(&bundle, "config.json")).unwrap();
        assert_eq!(
            config,
            json!({"bound_issuer": "https://ci.example.com",
                "jwks_url": "https://ci.example.com/.well-known/jwks"})
        );
        let plan: Json = serde_json::from_str(text(&bundle, "role-runmint-plan.json")).unwrap();
        assert_eq!(plan["token_policies"], json!(["runmint-plan"]));
        assert_eq!(plan["token_ttl"], 1200);
        let globs = plan["bound_claims"]["sub"].as_array().unwrap();
        assert!(
            globs
                .iter()
                .all(|glob| glob.as_str().unwrap().ends_with(":run_phase:plan"))
        );
        let apply: Json = serde_json::from_str(text(&bundle, "role-runmint-apply.json")).unwrap();
        assert_eq!(
            apply["token_policies"],
            json!(["runmint-apply", "net-read"])
        );
        let shell = text(&bundle, "vault.sh");
        assert!(
            shell.contains("bao write auth/jwt/role/runmint-plan - <<'EOT'\n{"),
            "{shell}"
        );
        assert!(
            bundle.warnings[0].contains("runmint-plan"),
            "{:?}",
            bundle.warnings
        );
        let acl: Json = serde_json::from_str(text(&bundle, "policy-runmint-plan.json")).unwrap();
        assert!(acl["policy"].as_str().unwrap().contains("revoke-self"));
    }

    #[test]
    fn what_vault_cannot_be_told_is_refused_by_its_option() {
        for (change, said) in [
            (
                (|options| options.mount = "auth/jwt/".to_owned()) as fn(&mut Options),
                "`--mount` must be a path",
            ),
            (|options| options.mount = "a b".to_owned(), "`--mount`"),
            (|options| options.mount = "..".to_owned(), "`--mount`"),
            (|options| options.mount = "ci/./jwt".to_owned(), "`--mount`"),
            (|options| options.role = "..".to_owned(), "`--role`"),
            (|options| options.role = ".".to_owned(), "`--role`"),
            (
                |options| options.policies = vec!["ci/../x".to_owned()],
                "`--policy`",
            ),
            (|options| options.role = "a/b".to_owned(), "`--role`"),
            (|options| options.role = "Net".to_owned(), "lower case"),
            (
                |options| options.policies = vec!["root".to_owned()],
                "cannot be `root`",
            ),
            (
                |options| options.policies = vec!["a'b".to_owned()],
                "`--policy`",
            ),
            (
                |options| options.plan_policies = vec!["x".to_owned()],
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
