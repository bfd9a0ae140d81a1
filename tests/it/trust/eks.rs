//! EKS: the identity provider and RBAC for tokens, access entries and `aws-auth` for roles.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use runmint::policy::{Document, Policy};
use runmint::trust::eks::{Options, Via, generate};
use runmint::trust::{Form, Part, Phases, kubernetes};

use super::kubernetes::{assert_known, bound_for, documents};
use super::{Case, cases};

const ROLE: &str = "arn:aws:iam::123456789012:role/net";
const PLAN_ROLE: &str = "arn:aws:iam::123456789012:role/ci/net-plan";

fn options(via: Option<Via>) -> Options {
    Options {
        cluster: "net".to_owned(),
        rbac: kubernetes::Options::default(),
        via,
    }
}

/// The role of each phase.
fn via(case: &Case) -> Via {
    let apart = case.order.scope.phases == Phases::Apart;
    Via {
        role: ROLE.to_owned(),
        plan_role: apart.then(|| PLAN_ROLE.to_owned()),
    }
}

/// EKS requires one value of a claim, so that several workspaces of any project cannot be said.
fn can_be_said(case: &Case) -> bool {
    let scope = &case.order.scope;
    let has_any = scope.organization == Part::Any || scope.project == Part::Any;
    !has_any || scope.workspaces.len() == 1 || scope.workspaces.contains(&Part::Any)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_provider_and_rbac_let_in_this_run_and_no_neighbour(
        case in cases("kubernetes.workload.identity"),
    ) {
        let generated = generate(&case.order, &options(None));
        prop_assert_eq!(generated.is_ok(), can_be_said(&case));
        let Ok(bundle) = generated else { return Ok(()) };
        let unpacked: Vec<Document> = documents(&bundle, Form::Json)
            .into_iter()
            .filter(|document| document.value.get("oidc").is_some())
            .chain(documents(&bundle, Form::Yaml))
            .collect();
        for (phase, _) in case.order.scope.groups() {
            let of_phase = bound_for(&unpacked, case.order.scope.phases, phase);
            let policy = Policy::read(&of_phase).unwrap();
            prop_assert_eq!(policy.relying_party(), "EKS");
            case.check(phase, |presented| policy.evaluate(presented).admits());
        }
        // The list that is written as JSON says the same as the YAML.
        let policy = Policy::read(&documents(&bundle, Form::Json)).unwrap();
        let whole = Policy::read(&unpacked).unwrap();
        let presented = case.run.presented();
        prop_assert_eq!(policy.evaluate(&presented), whole.evaluate(&presented));
    }

    #[test]
    fn entries_and_mappings_let_in_the_role_and_no_other(
        case in cases("kubernetes.workload.identity"),
    ) {
        let bundle = generate(&case.order, &options(Some(via(&case)))).unwrap();
        for form in [Form::Json, Form::Yaml] {
            let policy = Policy::read(&documents(&bundle, form)).unwrap();
            prop_assert_eq!(policy.relying_party(), "EKS");
            let admits = |arn: &str| {
                let mut presented = case.run.presented();
                presented.role_arn = Some(arn.to_owned());
                policy.evaluate(&presented).admits()
            };
            let is_apart = case.order.scope.phases == Phases::Apart;
            prop_assert!(admits(ROLE));
            prop_assert!(admits("arn:aws:sts::123456789012:assumed-role/net/terraform-run-1"));
            prop_assert_eq!(
                admits("arn:aws:sts::123456789012:assumed-role/net-plan/terraform-run-1"),
                is_apart
            );
            for other in [
                "arn:aws:iam::123456789012:role/net-x",
                "arn:aws:iam::123456789012:role/ne",
                "arn:aws:iam::210987654321:role/net",
                "arn:aws-cn:iam::123456789012:role/net",
                "arn:aws:iam::123456789012:user/net",
                "arn:aws:sts::123456789012:assumed-role/nett/net",
            ] {
                prop_assert!(!admits(other), "{}", other);
            }
        }
    }

    #[test]
    fn what_is_written_is_well_formed(case in cases("kubernetes.workload.identity")) {
        for via in [None, Some(via(&case))] {
            let Ok(bundle) = generate(&case.order, &options(via)) else { continue };
            for document in &bundle.documents {
                match document.form {
                    Form::Terraform => {
                        hcl::parse(&document.text).unwrap();
                    }
                    Form::Json => {
                        serde_json::from_str::<serde_json::Value>(&document.text).unwrap();
                    }
                    Form::Yaml if document.name == "rbac.yaml" => {
                        for part in Document::all("rbac.yaml", &document.text).unwrap() {
                            assert_known(&part.value, "");
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn the_commands_are_a_shells() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..8 {
        let tree = cases("it's.\"$HOME\"`x`").new_tree(&mut runner).unwrap();
        let case = tree.current();
        for via in [None, Some(via(&case))] {
            let Ok(bundle) = generate(&case.order, &options(via)) else {
                continue;
            };
            let shell = bundle.documents.iter().find(|d| d.form == Form::Shell);
            let mut checked = Command::new("sh")
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = checked.stdin.take().unwrap();
            stdin.write_all(shell.unwrap().text.as_bytes()).unwrap();
            drop(stdin);
            assert!(checked.wait().unwrap().success());
        }
    }
}
