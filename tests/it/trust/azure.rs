//! Azure: credentials have no wildcards, so what has one is refused, and the rest are counted.

use proptest::prelude::*;
use runmint::domain::phase::Phase;
use runmint::policy::Policy;
use runmint::trust::azure::{Cloud, Options, Owner, generate};
use runmint::trust::{Form, Part, Phases};

use super::documents::{policies, sh_reads, terraform_reads};
use super::{Case, cases, neighbours};

fn options(owner: Owner) -> Options {
    Options {
        owner,
        cloud: Cloud::Global,
        prefix: "runmint".to_owned(),
        role: Some("Reader".to_owned()),
        plan_role: None,
        role_scope: Some("/subscriptions/1/resourceGroups/it's here".to_owned()),
    }
}

fn identity() -> Owner {
    Owner::Identity {
        name: "ci".to_owned(),
        resource_group: "r g".to_owned(),
    }
}

/// The credentials of one group: of both phases, or of one.
fn policy(case: &Case, owner: Owner, phase: Option<Phase>) -> Policy {
    let bundle = generate(&case.order, &options(owner)).unwrap();
    let mut documents = policies(&bundle, "");
    if let Some(phase) = phase {
        documents.retain(|document| {
            let text = document.value.to_string();
            text.contains(&format!(":run_phase:{phase}\""))
        });
    }
    Policy::read(&documents).unwrap()
}

proptest! {
    #[test]
    fn credentials_admit_the_run_and_nobody_else(case in cases("api://AzureADTokenExchange")) {
        let scope = &case.order.scope;
        let is_any = scope.organization == Part::Any
            || scope.project == Part::Any
            || scope.workspaces.contains(&Part::Any);
        if is_any {
            let error = generate(&case.order, &options(identity())).unwrap_err().to_string();
            prop_assert!(error.contains("cannot be `*` for Azure"), "{error}");
            return Ok(());
        }
        let new = Owner::NewApplication("ci".to_owned());
        for owner in [identity(), new] {
            for (phase, _) in scope.groups() {
                let policy = policy(&case, owner.clone(), phase);
                case.check(phase, |presented| policy.evaluate(presented).admits());
            }
        }
    }

    #[test]
    fn the_smallest_change_admits_the_run_beside_the_others(
        case in cases("api://AzureADTokenExchange")
    ) {
        let mut case = case;
        case.order.scope.organization =
            Part::Exactly(super::name(&case.run.organization));
        case.order.scope.project = Part::Exactly(super::project_name(&case.run.project));
        case.order.scope.workspaces = vec![Part::Exactly(super::name(&case.run.workspace))];
        case.order.scope.phases = Phases::Both;
        let policy = policy(&case, identity(), None);
        for workspace in neighbours(&case.run.workspace) {
            let run = super::Run { workspace, ..case.run.clone() };
            let (_, after) = policy.admitting(&run.presented()).unwrap();
            prop_assert!(after.evaluate(&run.presented()).admits());
            prop_assert!(after.evaluate(&case.run.presented()).admits());
        }
    }

    #[test]
    fn terraform_and_shell_can_be_read(case in cases("api://AzureADTokenExchange")) {
        let mut apart = options(identity());
        apart.plan_role = (case.order.scope.phases == Phases::Apart).then(|| "Reader".to_owned());
        for options in [
            apart,
            options(Owner::NewApplication("it's $HOME".to_owned())),
            options(Owner::Application("0-1".to_owned())),
        ] {
            // What has a `*`, and one application for two phases, is refused; see above.
            let Ok(bundle) = generate(&case.order, &options) else { continue };
            for document in &bundle.documents {
                match document.form {
                    Form::Terraform => terraform_reads(&document.text),
                    Form::Shell => sh_reads(&document.text),
                    _ => {}
                }
            }
        }
    }
}
