//! HCP: a workload identity provider.

use proptest::prelude::*;
use runmint::domain::phase::Phase;
use runmint::policy::Policy;
use runmint::trust::Form;
use runmint::trust::hcp::{Options, generate};

use super::documents::{policies, terraform_reads};
use super::{Case, Run, cases, neighbours};

fn options() -> Options {
    Options {
        service_principal: "runmint".to_owned(),
        provider: "ci-runs".to_owned(),
        role: Some("roles/viewer".to_owned()),
        plan_role: None,
    }
}

/// The providers of a case, each with the phase that it is for.
fn providers(case: &Case) -> Vec<(Option<Phase>, Policy)> {
    let bundle = generate(&case.order, &options()).unwrap();
    let groups = case.order.scope.groups();
    let are_apart = groups.len() > 1;
    groups
        .into_iter()
        .map(|(phase, _)| {
            let name = match phase.filter(|_| are_apart) {
                Some(of_its_own) => format!("runmint-{of_its_own}.json"),
                None => "runmint.json".to_owned(),
            };
            (phase, Policy::read(&policies(&bundle, &name)).unwrap())
        })
        .collect()
}

proptest! {
    #[test]
    fn a_provider_admits_the_run_and_nobody_else(case in cases("hcp.workload.identity")) {
        for (phase, policy) in providers(&case) {
            case.check(phase, |presented| policy.evaluate(presented).admits());
        }
    }

    #[test]
    fn the_smallest_change_admits_the_run_beside_the_others(case in cases("hcp.workload.identity")) {
        for (phase, policy) in providers(&case) {
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
    fn terraform_can_be_read(case in cases("hcp.workload.identity")) {
        for document in generate(&case.order, &options()).unwrap().documents {
            if document.form == Form::Terraform {
                terraform_reads(&document.text);
            }
        }
    }
}
