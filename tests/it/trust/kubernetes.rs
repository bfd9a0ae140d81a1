//! Kubernetes: the API server's configuration and the bindings.

use proptest::prelude::*;
use runmint::domain::phase::Phase;
use runmint::policy::{Document, Policy};
use runmint::trust::kubernetes::{Options, RoleKind, generate};
use runmint::trust::{Bundle, Form, Phases};
use serde_json::Value;

use super::cases;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_lets_in_this_run_and_no_neighbour(
        case in cases("kubernetes.workload.identity"),
    ) {
        let bundle = generate(&case.order, &Options::default()).unwrap();
        let documents = documents(&bundle, Form::Yaml);
        for (phase, _) in case.order.scope.groups() {
            // Who else is bound to another role is another question.
            let of_phase = bound_for(&documents, case.order.scope.phases, phase);
            let policy = Policy::read(&of_phase).unwrap();
            case.check(phase, |presented| policy.evaluate(presented).admits());
            let weaknesses = policy.evaluate(&case.run.presented()).weaknesses;
            let is_all = case.order.scope.warnings().len() > 1;
            prop_assert!(is_all || weaknesses.is_empty(), "{weaknesses:#?}");
        }
    }

    #[test]
    fn the_rules_alone_let_in_no_neighbour_either(
        case in cases("kubernetes.workload.identity"),
    ) {
        let bundle = generate(&case.order, &Options::default()).unwrap();
        let configuration = &documents(&bundle, Form::Yaml)[..1];
        let policy = Policy::read(configuration).unwrap();
        let phase = match case.order.scope.phases {
            Phases::Only(phase) => Some(phase),
            Phases::Apart | Phases::Both => None,
        };
        case.check(phase, |presented| policy.evaluate(presented).admits());
    }

    #[test]
    fn what_is_written_is_well_formed(case in cases("kubernetes.workload.identity")) {
        let options = Options {
            role: Some("deploy".to_owned()),
            role_kind: RoleKind::Role,
            namespace: Some("net".to_owned()),
            plan_role: None,
        };
        for options in [Options::default(), options] {
            let bundle = generate(&case.order, &options).unwrap();
            for document in documents(&bundle, Form::Yaml) {
                assert_known(&document.value, "");
            }
            for document in bundle.documents.iter().filter(|d| d.form == Form::Terraform) {
                hcl::parse(&document.text).unwrap();
            }
        }
    }
}

/// All documents of a form, as one file would hold them.
pub(super) fn documents(bundle: &Bundle, form: Form) -> Vec<Document> {
    let of_form = bundle.documents.iter().filter(|d| d.form == form);
    of_form
        .flat_map(|document| Document::all(&document.name, &document.text).unwrap())
        .collect()
}

/// Without the bindings of the other phase, where each has one.
pub(super) fn bound_for(
    documents: &[Document],
    phases: Phases,
    phase: Option<Phase>,
) -> Vec<Document> {
    let end = phase.map_or_else(String::new, |phase| format!(":{phase}"));
    let documents = documents.iter();
    documents
        .filter(|document| {
            let name = document.value["metadata"]["name"].as_str();
            phases != Phases::Apart || name.is_none_or(|name| name.ends_with(&end))
        })
        .cloned()
        .collect()
}

/// The fields of `AuthenticationConfiguration` (apiserver.config.k8s.io/v1), `RoleBinding` and
/// `ClusterRoleBinding` (rbac.authorization.k8s.io/v1), as Kubernetes' API reference has them; `[]` is an
/// item of a list.
const KNOWN: &[&str] = &[
    ".apiVersion",
    ".jwt",
    ".jwt[].claimMappings",
    ".jwt[].claimMappings.extra",
    ".jwt[].claimMappings.extra[].key",
    ".jwt[].claimMappings.extra[].valueExpression",
    ".jwt[].claimMappings.groups",
    ".jwt[].claimMappings.groups.claim",
    ".jwt[].claimMappings.groups.expression",
    ".jwt[].claimMappings.groups.prefix",
    ".jwt[].claimMappings.uid",
    ".jwt[].claimMappings.uid.claim",
    ".jwt[].claimMappings.uid.expression",
    ".jwt[].claimMappings.username",
    ".jwt[].claimMappings.username.claim",
    ".jwt[].claimMappings.username.expression",
    ".jwt[].claimMappings.username.prefix",
    ".jwt[].claimValidationRules",
    ".jwt[].claimValidationRules[].claim",
    ".jwt[].claimValidationRules[].expression",
    ".jwt[].claimValidationRules[].message",
    ".jwt[].claimValidationRules[].requiredValue",
    ".jwt[].issuer",
    ".jwt[].issuer.audienceMatchPolicy",
    ".jwt[].issuer.audiences",
    ".jwt[].issuer.certificateAuthority",
    ".jwt[].issuer.discoveryURL",
    ".jwt[].issuer.egressSelectorType",
    ".jwt[].issuer.url",
    ".jwt[].userValidationRules",
    ".jwt[].userValidationRules[].expression",
    ".jwt[].userValidationRules[].message",
    ".kind",
    ".metadata",
    ".metadata.name",
    ".metadata.namespace",
    ".roleRef",
    ".roleRef.apiGroup",
    ".roleRef.kind",
    ".roleRef.name",
    ".subjects",
    ".subjects[].apiGroup",
    ".subjects[].kind",
    ".subjects[].name",
];

/// That there are no other fields.
pub(super) fn assert_known(value: &Value, place: &str) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let place = format!("{place}.{name}");
                assert!(KNOWN.contains(&place.as_str()), "{place} is no field");
                assert_known(value, &place);
            }
        }
        Value::Array(items) => {
            for item in items {
                assert_known(item, &format!("{place}[]"));
            }
        }
        // What is in quotes is a text, whatever it looks like.
        other => assert!(other.is_string(), "{place}: {other}"),
    }
}
