//! Any environment at all.

use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::names::Family;
use super::*;
use crate::domain::claims::Audience;

/// All names that mean something, some that nearly do, and some that are in the way.
fn names() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for family in Family::ALL {
        for part in family.parts() {
            let name = family.explicit(&part, None);
            names.extend(
                ["", "_X", "_a_b", "_TYPE", "_", "_ä", "S"].map(|end| format!("{name}{end}")),
            );
            names.push(family.default(&part));
        }
    }
    let others = "TFC_ TFC_DEFAULT_ TFC_AWS_ TFC_AWS_RUN_ROLE_ARM TFC_RUN_ID TFC_VAULT_BACKED_AWS \
        TFC_DEFAULT_AWS_RUN_ROLE_ARN_X TFC_WORKLOAD_IDENTITY_TOKEN AWS_PROFILE ARM_CLIENT_ID \
        ARM_USE_OIDC GOOGLE_CREDENTIALS VAULT_ADDR VAULT_TOKEN KUBE_TOKEN HCP_CRED_FILE";
    names.extend(others.split_whitespace().map(str::to_owned));
    names
}

/// Values that are right somewhere.
#[rustfmt::skip]
const RIGHT: &[&str] = &[
    "true", "true", "true", "false", "", "X", "a_b", "7", "jwt", "service_account",
    "workload_pool", "iam_user", "assumed_role", "roleset/access_token",
    "static_account/service_account_key", "1", "https://vault.example.com",
    "arn:aws:iam::123456789012:role/run", "11111111-1111-1111-1111-111111111111",
    "run@acme.iam.gserviceaccount.com",
    "projects/1/locations/global/workloadIdentityPools/pool/providers/prov",
];

/// Those, and some that are right nowhere.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => select(RIGHT).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn reading_never_panics_and_does_not_depend_on_the_order(
        variables in btree_map(select(names()), value(), 0..30),
        seed in any::<u64>(),
    ) {
        let in_order: Vec<(String, String)> = variables.into_iter().collect();
        let mut shuffled = in_order.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        for phase in [None, Some(Phase::Plan), Some(Phase::Apply)] {
            let read_once = read(&in_order.iter().cloned().collect(), phase);
            prop_assert_eq!(&read_once, &read(&shuffled.iter().cloned().collect(), phase));
            match read_once {
                Ok(configurations) => for configuration in configurations {
                    if let Some(audience) = configuration.provider.audience() {
                        prop_assert!(Audience::parse("audience", audience).is_ok());
                    }
                },
                Err(problems) => {
                    prop_assert!(!problems.is_empty());
                    for problem in problems {
                        prop_assert!(!problem.variable.is_empty() && !problem.rule.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_read_without_a_phase_holds_in_both(
        roles in btree_map(
            select(vec![
                "TFC_AWS_RUN_ROLE_ARN", "TFC_AWS_PLAN_ROLE_ARN", "TFC_AWS_APPLY_ROLE_ARN",
                "TFC_DEFAULT_AWS_RUN_ROLE_ARN", "TFC_DEFAULT_AWS_PLAN_ROLE_ARN",
                "TFC_DEFAULT_AWS_APPLY_ROLE_ARN",
            ]),
            select(vec!["arn:aws:iam::123456789012:role/a", "arn:aws:iam::123456789012:role/b"]),
            1..6,
        ),
    ) {
        let variables = roles.into_iter().chain([("TFC_AWS_PROVIDER_AUTH", "true")]);
        let environment: Environment = variables.collect();
        let [plan, apply] = Phase::ALL.map(|phase| read(&environment, Some(phase)));
        match read(&environment, None) {
            Ok(both) => prop_assert_eq!((Ok(both.clone()), Ok(both)), (plan, apply)),
            Err(_) => prop_assert!(plan.is_err() || plan != apply),
        }
    }
}
