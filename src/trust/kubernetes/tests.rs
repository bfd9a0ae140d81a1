//! What is written for Kubernetes, letter by letter, and which options are refused.

use super::super::{Phases, Scope};
use super::*;
use crate::domain::claims::Audience;
use crate::domain::issuer::Issuer;
use crate::domain::name::{Name, ProjectName};

fn order(project: Option<&str>, phases: Phases) -> Order {
    let project = project.map(|name| ProjectName::parse("project", name).unwrap());
    Order {
        issuer: Issuer::parse("https://ci.example.com").unwrap(),
        scope: Scope {
            organization: Part::Exactly(Name::parse("organization", "acme").unwrap()),
            project: project.map_or(Part::Any, Part::Exactly),
            workspaces: vec![Part::Exactly(Name::parse("workspace", "prod").unwrap())],
            phases,
        },
        audience: Audience::parse("audience", "kubernetes.workload.identity").unwrap(),
    }
}

fn texts(order: &Order, options: &Options) -> Vec<String> {
    let bundle = generate(order, options).unwrap();
    bundle.documents.into_iter().map(|d| d.text).collect()
}

#[test]
fn runs_that_are_named_are_bound_one_by_one() {
    let options = Options {
        role: Some("deploy".to_owned()),
        role_kind: RoleKind::Role,
        namespace: Some("net".to_owned()),
        plan_role: None,
    };
    let order = order(Some("Default Project"), Phases::Apart);
    let texts = texts(&order, &options);
    assert_eq!(
        texts[0],
        r#"apiVersion: "apiserver.config.k8s.io/v1"
kind: "AuthenticationConfiguration"
jwt:
  - issuer:
      url: "https://ci.example.com"
      audiences:
        - "kubernetes.workload.identity"
    claimValidationRules:
      - expression: "claims.sub == \"organization:acme:project:Default Project:workspace:prod:run_phase:plan\" || claims.sub == \"organization:acme:project:Default Project:workspace:prod:run_phase:apply\""
        message: "the run is none of those that this cluster lets in"
    claimMappings:
      username:
        expression: "\"runmint:\" + claims.sub"
"#
    );
    assert_eq!(
        texts[1],
        r#"---
apiVersion: "rbac.authorization.k8s.io/v1"
kind: "RoleBinding"
metadata:
  name: "runmint:acme:Default+Project:prod:plan"
  namespace: "net"
roleRef:
  apiGroup: "rbac.authorization.k8s.io"
  kind: "ClusterRole"
  name: "view"
subjects:
  - apiGroup: "rbac.authorization.k8s.io"
    kind: "User"
    name: "runmint:organization:acme:project:Default Project:workspace:prod:run_phase:plan"
---
apiVersion: "rbac.authorization.k8s.io/v1"
kind: "RoleBinding"
metadata:
  name: "runmint:acme:Default+Project:prod:apply"
  namespace: "net"
roleRef:
  apiGroup: "rbac.authorization.k8s.io"
  kind: "Role"
  name: "deploy"
subjects:
  - apiGroup: "rbac.authorization.k8s.io"
    kind: "User"
    name: "runmint:organization:acme:project:Default Project:workspace:prod:run_phase:apply"
"#
    );
    assert!(texts[2].contains(
        r#"
resource "kubernetes_role_binding_v1" "runmint_apply" {
  metadata {
    name      = "runmint:acme:Default+Project:prod:apply"
    namespace = "net"
  }

  role_ref {
    api_group = "rbac.authorization.k8s.io"
    kind      = "Role"
    name      = "deploy"
  }

  subject {
    api_group = "rbac.authorization.k8s.io"
    kind      = "User"
    name      = "runmint:organization:acme:project:Default Project:workspace:prod:run_phase:apply"
  }
}
"#
    ));
}

#[test]
fn runs_of_any_project_are_in_a_group_of_the_other_parts() {
    let texts = texts(&order(None, Phases::Both), &Options::default());
    let rule = r#"claims.sub.matches(\"^organization:acme:project:[^:]+:workspace:prod:run_phase:(plan|apply)$\")"#;
    assert!(texts[0].contains(rule), "{}", texts[0]);
    let groups = r#"      groups:
        expression: "[\"runmint:organization:\" + claims.terraform_organization_name + \":workspace:\" + claims.terraform_workspace_name]"
"#;
    assert!(texts[0].ends_with(groups), "{}", texts[0]);
    let subject = r#"    kind: "Group"
    name: "runmint:organization:acme:workspace:prod"
"#;
    assert!(texts[1].ends_with(subject), "{}", texts[1]);
}

#[test]
fn an_option_that_cannot_be_is_refused_by_its_name() {
    let with = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        options
    };
    let both = order(Some("p"), Phases::Both);
    let rows = [
        (
            with(|o| o.role = Some("cluster-admin".to_owned())),
            "--role",
        ),
        (with(|o| o.role = Some("a/b".to_owned())), "--role"),
        (with(|o| o.role = Some(String::new())), "--role"),
        (with(|o| o.role_kind = RoleKind::Role), "--role-kind"),
        (
            with(|o| o.namespace = Some("Net".to_owned())),
            "--namespace",
        ),
        (
            with(|o| o.namespace = Some("-net".to_owned())),
            "--namespace",
        ),
        (
            with(|o| o.plan_role = Some("view".to_owned())),
            "--plan-role",
        ),
    ];
    for (options, name) in rows {
        let error = generate(&both, &options).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{name}` ")), "{error}");
    }
    let admin = with(|o| o.plan_role = Some("cluster-admin".to_owned()));
    let error = generate(&order(Some("p"), Phases::Apart), &admin).unwrap_err();
    assert!(error.to_string().contains("may do anything"), "{error}");
}

#[test]
fn a_missing_role_and_a_whole_cluster_are_warned_of() {
    let order = order(Some("p"), Phases::Both);
    let warnings = |options: &Options| generate(&order, options).unwrap().warnings.join("\n");
    assert!(warnings(&Options::default()).contains("without `--role`"));
    let mut options = Options {
        role: Some("edit".to_owned()),
        ..Options::default()
    };
    assert!(warnings(&options).contains("without `--namespace`"));
    options.namespace = Some("net".to_owned());
    assert_eq!(warnings(&options), "");
}
