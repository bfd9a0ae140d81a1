//! What is written for EKS, letter by letter, and which options are refused.

use super::super::{Part, Scope};
use super::*;
use crate::domain::claims::Audience;
use crate::domain::issuer::Issuer;
use crate::domain::name::{Name, ProjectName};

fn order(project: Option<&str>, workspaces: &[&str], phases: Phases) -> Order {
    let project = project.map(|name| ProjectName::parse("project", name).unwrap());
    let workspaces = workspaces.iter();
    Order {
        issuer: Issuer::parse("https://ci.example.com").unwrap(),
        scope: Scope {
            organization: Part::Exactly(Name::parse("organization", "acme").unwrap()),
            project: project.map_or(Part::Any, Part::Exactly),
            workspaces: workspaces
                .map(|name| Part::Exactly(Name::parse("workspace", name).unwrap()))
                .collect(),
            phases,
        },
        audience: Audience::parse("audience", "it's.mine").unwrap(),
    }
}

fn options(via: Option<(&str, Option<&str>)>) -> Options {
    Options {
        cluster: "net".to_owned(),
        rbac: kubernetes::Options::default(),
        via: via.map(|(role, plan_role)| Via {
            role: role.to_owned(),
            plan_role: plan_role.map(str::to_owned),
        }),
    }
}

fn text<'a>(bundle: &'a Bundle, name: &str) -> &'a str {
    let found = bundle.documents.iter().find(|d| d.name == name);
    &found.unwrap().text
}

#[test]
fn the_provider_requires_what_all_runs_have() {
    let bundle = generate(&order(Some("p"), &["prod"], Phases::Both), &options(None)).unwrap();
    assert!(text(&bundle, "eks.tf").starts_with(
        r#"resource "aws_eks_identity_provider_config" "runmint" {
  cluster_name = "net"

  oidc {
    identity_provider_config_name = "runmint"
    issuer_url                    = "https://ci.example.com"
    client_id                     = "it's.mine"
    username_claim                = "sub"
    username_prefix               = "runmint:"
    required_claims = {
      terraform_organization_name = "acme"
      terraform_project_name      = "p"
      terraform_workspace_name    = "prod"
    }
  }
}

resource "kubernetes_cluster_role_binding_v1" "runmint" {
"#
    ));
    let shell = text(&bundle, "eks.sh");
    assert!(shell.contains(r"it'\''s.mine"), "{shell}");
    assert!(
        bundle
            .warnings
            .iter()
            .any(|w| w.contains("one OIDC identity provider"))
    );
    let several = order(Some("p"), &["prod", "test"], Phases::Both);
    let bundle = generate(&several, &options(None)).unwrap();
    assert!(!text(&bundle, "eks.tf").contains("terraform_workspace_name"));
}

#[test]
fn several_workspaces_of_any_project_cannot_be_required() {
    let error = generate(&order(None, &["a", "b"], Phases::Both), &options(None)).unwrap_err();
    assert!(error.to_string().starts_with("`--workspace` "), "{error}");
}

#[test]
fn a_role_gets_an_entry_and_a_mapping_without_its_path() {
    let role = "arn:aws:iam::123456789012:role/ci/net";
    let bundle = generate(
        &order(Some("p q"), &["prod"], Phases::Both),
        &options(Some((role, None))),
    )
    .unwrap();
    assert!(text(&bundle, "eks.tf").starts_with(
        r#"resource "aws_eks_access_entry" "runmint" {
  cluster_name      = "net"
  principal_arn     = "arn:aws:iam::123456789012:role/ci/net"
  kubernetes_groups = ["runmint:acme:p+q:prod"]
  type              = "STANDARD"
}
"#
    ));
    assert_eq!(
        text(&bundle, "aws-auth-map-roles.yaml"),
        r#"- rolearn: "arn:aws:iam::123456789012:role/net"
  username: "runmint:{{SessionName}}"
  groups:
    - "runmint:acme:p+q:prod"
"#
    );
    assert!(bundle.warnings.iter().any(|w| w.contains("has a path")));
    assert!(
        !bundle
            .documents
            .iter()
            .any(|d| d.text.contains("system:masters"))
    );
}

#[test]
fn an_option_that_cannot_be_is_refused_by_its_name() {
    let role = "arn:aws:iam::123456789012:role/net";
    let plan = "arn:aws:iam::123456789012:role/net-plan";
    let both = order(Some("p"), &["prod"], Phases::Both);
    let apart = order(Some("p"), &["prod"], Phases::Apart);
    let rows = [
        (&both, Some(("net", None)), "--via-role"),
        (
            &both,
            Some(("arn:aws:iam::123456789012:user/net", None)),
            "--via-role",
        ),
        (
            &both,
            Some(("arn:aws:iam::12345:role/net", None)),
            "--via-role",
        ),
        (
            &both,
            Some(("arn:aws:iam::123456789012:role/n\"t", None)),
            "--via-role",
        ),
        (
            &both,
            Some(("arn:aws:sts::123456789012:assumed-role/net/s", None)),
            "--via-role",
        ),
        (&both, Some((role, Some(plan))), "--via-plan-role"),
        (&apart, Some((role, None)), "--via-plan-role"),
        (&apart, Some((role, Some(role))), "--via-plan-role"),
        (&apart, Some((role, Some("x"))), "--via-plan-role"),
    ];
    for (order, via, name) in rows {
        let error = generate(order, &options(via)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{name}` ")), "{error}");
    }
    for cluster in ["", "-a", "a b", "a'b"] {
        let mut options = options(None);
        options.cluster = cluster.to_owned();
        let error = generate(&both, &options).unwrap_err().to_string();
        assert!(error.starts_with("`--cluster` "), "{error}");
    }
}
