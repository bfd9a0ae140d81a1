//! GCP: a pool's provider, and the IAM policies of the service accounts.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::select;
use runmint::domain::claims::Audience;
use runmint::domain::issuer::Issuer;
use runmint::domain::phase::Phase;
use runmint::policy::{Document, Policy, Presented};
use runmint::trust::gcp::{Options, generate};
use runmint::trust::{Bundle, Form, Order, Part, Phases, Scope};
use serde_json::Value;

use super::{Case, Run, cases, name, neighbours, project_name};

const USUAL: &str = "//iam.googleapis.com/projects/123456789012/locations/global/\
                     workloadIdentityPools/runmint/providers/runmint";

fn options(phases: Phases) -> Options {
    let address = |name: &str| format!("{name}@acme-prod.iam.gserviceaccount.com");
    Options {
        project_number: "123456789012".to_owned(),
        project_id: "acme-prod".to_owned(),
        pool: "runmint".to_owned(),
        provider: "runmint".to_owned(),
        service_accounts: match phases {
            Phases::Apart => vec![address("planner"), address("applier")],
            Phases::Both | Phases::Only(_) => vec![address("terraform")],
        },
        roles: vec!["roles/storage.objectViewer".to_owned()],
        ..Options::default()
    }
}

fn bundle(order: &Order) -> Bundle {
    generate(order, &options(order.scope.phases)).unwrap()
}

fn text<'a>(bundle: &'a Bundle, name: &str) -> &'a str {
    let document = bundle
        .documents
        .iter()
        .find(|document| document.name == name);
    &document.unwrap().text
}

/// The provider, and the policy of the service account with this label, as an evaluator reads them.
fn policy(bundle: &Bundle, label: &str) -> Policy {
    let names = ["provider.json".to_owned(), format!("{label}-policy.json")];
    let documents = names
        .iter()
        .flat_map(|name| Document::all(name, text(bundle, name)).unwrap());
    Policy::read(&documents.collect::<Vec<_>>()).unwrap()
}

/// The policies of an order, and the phase that each is made for (nothing: both).
fn policies(order: &Order, bundle: &Bundle) -> Vec<(Option<Phase>, Policy)> {
    match order.scope.phases {
        Phases::Both => vec![(None, policy(bundle, "runmint"))],
        Phases::Only(phase) => vec![(Some(phase), policy(bundle, "runmint"))],
        Phases::Apart => Phase::ALL
            .into_iter()
            .map(|phase| (Some(phase), policy(bundle, &format!("runmint-{phase}"))))
            .collect(),
    }
}

/// The principal's subject, as the evaluator maps it.
fn subject(policy: &Policy, presented: &Presented) -> String {
    let verdict = policy.evaluate(presented);
    let place = "attributeMapping[\"google.subject\"]";
    let check = verdict.checks.iter().find(|check| check.place == place);
    check.unwrap().found[0].clone()
}

/// Any, or exactly this one.
fn either<T>(is_any: bool, exact: T) -> Part<T> {
    if is_any {
        Part::Any
    } else {
        Part::Exactly(exact)
    }
}

/// Names of up to 85 bytes, so that subjects are too long for IAM; a neighbour adds two.
fn long_cases() -> impl Strategy<Value = Case> {
    let parts = (
        "[a-z]{1,85}",
        "[a-z]( ?[a-z]){0,42}",
        "[a-z]{30,85}",
        select(Phase::ALL.to_vec()),
    );
    let any = (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        select(vec![Some(Phases::Both), Some(Phases::Apart), None]),
    );
    (parts, any).prop_map(|((organization, project, workspace, phase), any)| {
        let (any_organization, any_project, any_workspace, phases) = any;
        let scope = Scope {
            organization: either(any_organization, name(&organization)),
            project: either(any_project, project_name(&project)),
            workspaces: vec![either(any_workspace, name(&workspace))],
            phases: phases.unwrap_or(Phases::Only(phase)),
        };
        let issuer = "https://ci.example.com";
        Case {
            run: Run {
                issuer: issuer.to_owned(),
                organization,
                project,
                workspace,
                phase,
                audience: USUAL.to_owned(),
                tags: false,
            },
            order: Order {
                issuer: Issuer::parse(issuer).unwrap(),
                scope,
                audience: Audience::parse("audience", USUAL).unwrap(),
            },
        }
    })
}

/// All runs that differ from this one in one name or in the phase, and itself.
fn family(run: &Run) -> Vec<Run> {
    let mut all = vec![run.clone()];
    for organization in neighbours(&run.organization) {
        all.push(Run {
            organization,
            ..run.clone()
        });
    }
    for project in neighbours(&run.project) {
        all.push(Run {
            project,
            ..run.clone()
        });
    }
    for workspace in neighbours(&run.workspace) {
        all.push(Run {
            workspace,
            ..run.clone()
        });
    }
    // What stands between names must not be made up of them.
    let (organization, project) = (run.project.replace(' ', "_"), run.organization.clone());
    all.push(Run {
        organization,
        project,
        ..run.clone()
    });
    let other = |run: &Run| match run.phase {
        Phase::Apply => Phase::Plan,
        Phase::Plan => Phase::Apply,
    };
    let others: Vec<Run> = all
        .iter()
        .map(|run| Run {
            phase: other(run),
            ..run.clone()
        })
        .collect();
    all.extend(others);
    all
}

/// An evaluation is some milliseconds of debug code, and a case is dozens of them.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    config.cases = (config.cases / 4).max(1);
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_written_for_a_run_admits_it_and_no_neighbour(case in cases(USUAL)) {
        let bundle = bundle(&case.order);
        for (phase, policy) in policies(&case.order, &bundle) {
            case.check(phase, |presented| policy.evaluate(presented).admits());
        }
    }

    #[test]
    fn long_names_are_told_apart_by_a_subject_that_fits(case in long_cases()) {
        let bundle = bundle(&case.order);
        let is_refused = bundle.warnings.iter().any(|warning| warning.contains("are refused by IAM"));
        for (phase, policy) in policies(&case.order, &bundle) {
            if !is_refused {
                case.check(phase, |presented| policy.evaluate(presented).admits());
            }
            let mut seen: BTreeMap<String, String> = BTreeMap::new();
            for run in family(&case.run) {
                let presented = run.presented();
                if !policy.evaluate(&presented).admits() {
                    continue;
                }
                let subject = subject(&policy, &presented);
                prop_assert!(subject.len() <= 127, "{subject}");
                let sub = presented.text("sub").unwrap().to_owned();
                let earlier = seen.insert(subject.clone(), sub.clone());
                prop_assert!(
                    earlier.as_ref().is_none_or(|earlier| *earlier == sub),
                    "{subject} is {earlier:?} and {sub}"
                );
            }
        }
    }

    #[test]
    fn the_smallest_change_admits_a_stranger_and_keeps_the_run(case in cases(USUAL), at in 0..8_usize) {
        let bundle = bundle(&case.order);
        for (phase, policy) in policies(&case.order, &bundle) {
            let run = Run { phase: phase.unwrap_or(case.run.phase), ..case.run.clone() };
            let strangers = family(&run);
            let stranger = strangers[at % strangers.len()].presented();
            match policy.admitting(&stranger) {
                None => prop_assert!(policy.evaluate(&stranger).admits()),
                Some((change, after)) => {
                    prop_assert!(!policy.evaluate(&stranger).admits());
                    prop_assert!(after.evaluate(&stranger).admits(), "{change:?}");
                    prop_assert!(after.evaluate(&run.presented()).admits(), "{change:?}");
                }
            }
        }
    }

    #[test]
    fn every_form_says_the_same(case in cases(USUAL)) {
        let bundle = bundle(&case.order);
        let provider: Value = serde_json::from_str(text(&bundle, "provider.json")).unwrap();
        let terraform: Value = hcl::from_str(text(&bundle, "gcp.tf")).unwrap();
        let written = &terraform["resource"]["google_iam_workload_identity_pool_provider"]["runmint"];
        prop_assert_eq!(&written["attribute_condition"], &provider["attributeCondition"]);
        prop_assert_eq!(&written["attribute_mapping"], &provider["attributeMapping"]);
        prop_assert_eq!(&written["oidc"]["issuer_uri"], &provider["oidc"]["issuerUri"]);
        prop_assert_eq!(
            written["oidc"].get("allowed_audiences"),
            provider["oidc"].get("allowedAudiences")
        );
    }
}

/// A shell runs the script; in place of gcloud stands a program that writes down what it is given.
#[test]
fn a_shell_hands_gcloud_what_the_provider_says() {
    let folder = tempfile::tempdir().unwrap();
    let gcloud = folder.path().join("gcloud");
    std::fs::write(&gcloud, "#!/bin/sh\nprintf '%s\\n' \"$@\" >> \"$OUT\"\n").unwrap();
    std::fs::set_permissions(&gcloud, std::fs::Permissions::from_mode(0o755)).unwrap();
    let scope = Scope {
        organization: Part::Exactly(name("acme")),
        project: Part::Exactly(project_name("Default Project")),
        workspaces: vec![Part::Exactly(name("prod")), Part::Exactly(name("dev"))],
        phases: Phases::Apart,
    };
    let order = Order {
        issuer: Issuer::parse("https://ci.example.com").unwrap(),
        scope,
        audience: Audience::parse("audience", "it's-$HOME-`id`").unwrap(),
    };
    let mut options = options(Phases::Apart);
    options.jwks = Some(
        r#"{"keys":[{"kty":"RSA","alg":"RS256","use":"sig","kid":"k","n":"AQAB","e":"AQAB"}]}"#
            .to_owned(),
    );
    let bundle = generate(&order, &options).unwrap();
    let script = bundle
        .documents
        .iter()
        .find(|document| document.form == Form::Shell)
        .unwrap();
    let out = folder.path().join("out");
    let status = Command::new("sh")
        .args(["-c", &script.text])
        .current_dir(folder.path())
        .env("OUT", &out)
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .status()
        .unwrap();
    assert!(status.success());
    let given = std::fs::read_to_string(&out).unwrap();
    let given: Vec<&str> = given.lines().collect();
    let provider: Value = serde_json::from_str(text(&bundle, "provider.json")).unwrap();
    let mut wanted = vec![
        format!(
            "--attribute-condition={}",
            provider["attributeCondition"].as_str().unwrap()
        ),
        "--allowed-audiences=it's-$HOME-`id`".to_owned(),
        "--issuer-uri=https://ci.example.com".to_owned(),
        "--jwk-json-path=jwks.json".to_owned(),
        "--member=serviceAccount:applier@acme-prod.iam.gserviceaccount.com".to_owned(),
    ];
    for label in ["runmint-plan", "runmint-apply"] {
        let policy: Value =
            serde_json::from_str(text(&bundle, &format!("{label}-policy.json"))).unwrap();
        let members = policy["bindings"][0]["members"].as_array().unwrap();
        assert_eq!(members.len(), 2);
        wanted.extend(
            members
                .iter()
                .map(|m| format!("--member={}", m.as_str().unwrap())),
        );
    }
    for option in wanted {
        assert!(given.contains(&option.as_str()), "{option}\n{given:#?}");
    }
    let uploaded = std::fs::read_to_string(folder.path().join("jwks.json")).unwrap();
    let uploaded: Value = serde_json::from_str(&uploaded).unwrap();
    let jwks = provider["oidc"]["jwksJson"].as_str().unwrap();
    assert_eq!(uploaded, serde_json::from_str::<Value>(jwks).unwrap());
}
