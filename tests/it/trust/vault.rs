//! Vault: a role and its mount's configuration.

use proptest::prelude::*;
use runmint::policy::Policy;
use runmint::trust::vault::{Keys, Options, Tool, generate};
use runmint::trust::{Form, Order};

use super::documents::{policies, sh_reads, terraform_reads};
use super::{Case, Run, cases, neighbours};

fn options(keys: Keys) -> Options {
    Options {
        mount: "ci/jwt".to_owned(),
        role: "runmint".to_owned(),
        policies: vec!["net-read".to_owned()],
        plan_policies: Vec::new(),
        keys,
        tool: Tool::Vault,
    }
}

fn policy(order: &Order, keys: Keys, role: &str) -> Policy {
    let bundle = generate(order, &options(keys)).unwrap();
    let mut documents = policies(&bundle, &format!("role-{role}.json"));
    documents.extend(policies(&bundle, "config.json"));
    Policy::read(&documents).unwrap()
}

/// The roles of a case, each with the phase that it is for.
fn roles(case: &Case) -> Vec<(Option<runmint::domain::phase::Phase>, String)> {
    let groups = case.order.scope.groups();
    let are_apart = groups.len() > 1;
    groups
        .into_iter()
        .map(|(phase, _)| match phase.filter(|_| are_apart) {
            Some(of_its_own) => (phase, format!("runmint-{of_its_own}")),
            None => (phase, "runmint".to_owned()),
        })
        .collect()
}

proptest! {
    #[test]
    fn a_role_admits_the_run_and_nobody_else(case in cases("vault.workload.identity")) {
        for keys in [Keys::Discovery, Keys::Jwks] {
            for (phase, role) in roles(&case) {
                let policy = policy(&case.order, keys, &role);
                case.check(phase, |presented| policy.evaluate(presented).admits());
            }
        }
    }

    #[test]
    fn the_smallest_change_admits_the_run_beside_the_others(
        case in cases("vault.workload.identity")
    ) {
        for (phase, role) in roles(&case) {
            let policy = policy(&case.order, Keys::Discovery, &role);
            let own = Run { phase: phase.unwrap_or(case.run.phase), ..case.run.clone() };
            for workspace in neighbours(&case.run.workspace) {
                let run = Run { workspace, ..own.clone() };
                let Some((_, after)) = policy.admitting(&run.presented()) else {
                    prop_assert!(policy.evaluate(&run.presented()).admits());
                    continue;
                };
                prop_assert!(after.evaluate(&run.presented()).admits());
                prop_assert!(after.evaluate(&own.presented()).admits());
            }
        }
    }

    #[test]
    fn terraform_and_shell_can_be_read(case in cases("vault.workload.identity")) {
        for keys in [Keys::Discovery, Keys::Jwks] {
            for document in generate(&case.order, &options(keys)).unwrap().documents {
                match document.form {
                    Form::Terraform => terraform_reads(&document.text),
                    Form::Shell => sh_reads(&document.text),
                    _ => {}
                }
            }
        }
    }
}
