//! Pods, and what is wrong with them.

use serde_json::{Value, json};

use super::*;
use crate::policy::Document;

/// As the webhook of EKS leaves a pod.
const IRSA: &str = include_str!("pods/irsa.json");
/// Its service account, annotated a day after the pod was created.
const ACCOUNT: &str = include_str!("pods/account.json");
/// Terraform Enterprise, whose chart was told to run it as user 1000.
const ENTERPRISE: &str = include_str!("pods/enterprise.json");
/// As the webhook of Azure leaves a pod.
const AZURE: &str = include_str!("pods/azure.json");

fn document(text: &str, changes: &[(&str, Value)]) -> Document {
    let mut value: Value = serde_json::from_str(text).unwrap();
    for (pointer, change) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = value.pointer_mut(parent).unwrap();
        let name = name.replace("~1", "/");
        match (parent, change) {
            (Value::Object(members), Value::Null) => {
                members.remove(&name).unwrap();
            }
            (Value::Object(members), change) => {
                members.insert(name, change.clone());
            }
            (Value::Array(items), Value::Null) => {
                items.remove(name.parse().unwrap());
            }
            (Value::Array(items), change) => items.push(change.clone()),
            other => panic!("{pointer}: {other:?}"),
        }
    }
    let name = "pod.json".to_owned();
    Document { name, value }
}

fn of_pod(text: &str, changes: &[(&str, Value)]) -> Surroundings {
    Surroundings {
        pods: Pod::read(&document(text, changes)).unwrap(),
        ..Surroundings::default()
    }
}

fn with_account(mut surroundings: Surroundings, changes: &[(&str, Value)]) -> Surroundings {
    surroundings.service_accounts = ServiceAccount::read(&document(ACCOUNT, changes)).unwrap();
    surroundings
}

/// The pod as it is when the webhook did nothing.
fn untouched() -> Vec<(&'static str, Value)> {
    vec![
        ("/spec/containers/0/env", json!([])),
        ("/spec/containers/0/volumeMounts/1", Value::Null),
        ("/spec/volumes/0", Value::Null),
    ]
}

#[test]
fn a_pod_that_the_webhook_has_changed_is_clear() {
    for text in [IRSA, AZURE] {
        let report = judge(&of_pod(text, &[]), NOW);
        assert_eq!(ids(&report), [""; 0], "{report:#?}");
    }
    let report = judge(&with_account(of_pod(IRSA, &[]), &[]), NOW);
    assert_eq!(ids(&report), [""; 0], "{report:#?}");
    assert!(!format!("{report:?}").contains("DATABASE_PASSWORD"));
}

#[test]
fn each_fault_of_a_pod_has_its_finding() {
    let env = "/spec/containers/0/env/-";
    let set = |name: &str, value: &str| (env, json!({"name": name, "value": value}));
    let token = "/spec/volumes/0/projected/sources/0/serviceAccountToken";
    let audience = format!("{token}/audience");
    let life = format!("{token}/expirationSeconds");
    let path = format!("{token}/path");
    let second = json!({"name": "sidecar", "image": "x"});
    let rows: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (
            vec![("/spec/serviceAccountName", json!("default"))],
            "pod-default-service-account",
        ),
        (
            vec![("/spec/serviceAccountName", Value::Null)],
            "pod-default-service-account",
        ),
        (untouched(), "pod-not-injected"),
        (
            vec![("/spec/containers/0/env/4", Value::Null)],
            "environment-aws-half",
        ),
        (
            vec![("/spec/containers/0/env/5", Value::Null)],
            "environment-aws-half",
        ),
        (
            vec![("/spec/containers/0/volumeMounts/1", Value::Null)],
            "pod-volume",
        ),
        (vec![(&path, json!("other"))], "pod-volume"),
        (
            vec![(&audience, json!("aws.workload.identity"))],
            "pod-audience",
        ),
        (vec![(&life, json!(300))], "pod-token-expiration"),
        (
            vec![("/spec/containers/-", second.clone())],
            "pod-container-without",
        ),
        (
            vec![("/spec/securityContext/runAsUser", json!(1000))],
            "pod-fs-group",
        ),
        (
            vec![("/spec/securityContext/runAsNonRoot", json!(true))],
            "pod-fs-group",
        ),
        (
            vec![(
                "/spec/containers/0/securityContext",
                json!({"runAsUser": 65532}),
            )],
            "pod-fs-group",
        ),
        (
            vec![
                ("/spec/securityContext/runAsUser", json!(1000)),
                ("/spec/securityContext/fsGroup", json!(1337)),
            ],
            "",
        ),
        (vec![("/spec/securityContext/runAsUser", json!(0))], ""),
        (
            vec![set("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")],
            "environment-aws-static-keys",
        ),
        (
            vec![(
                env,
                json!({"name": "AWS_SECRET_ACCESS_KEY", "valueFrom": {"secretKeyRef": {"name": "s"}}}),
            )],
            "environment-aws-static-keys",
        ),
        (
            vec![
                ("/spec/containers/0/env/3", Value::Null),
                ("/spec/containers/0/env/2", Value::Null),
            ],
            "environment-aws-region",
        ),
        (
            vec![
                ("/spec/containers/0/env/4", Value::Null),
                set("AWS_ROLE_ARN", "arn:aws-cn:iam::111122223333:role/api"),
            ],
            "environment-aws-china",
        ),
    ];
    for (changes, expected) in rows {
        let report = judge(&of_pod(IRSA, &changes), NOW);
        assert_eq!(ids(&report).join(" "), expected, "{changes:?}: {report:#?}");
    }
}

#[test]
fn what_may_come_from_elsewhere_is_not_missed() {
    let changes = [
        ("/spec/containers/0/env/3", Value::Null),
        ("/spec/containers/0/env/2", Value::Null),
        (
            "/spec/containers/0/envFrom",
            json!([{"configMapRef": {"name": "settings"}}]),
        ),
    ];
    assert_eq!(ids(&judge(&of_pod(IRSA, &changes), NOW)), [""; 0]);
}

#[test]
fn a_pod_that_is_older_than_the_annotation_is_recreated() {
    let account = |changes: &[(&str, Value)]| {
        let report = judge(&with_account(of_pod(IRSA, &untouched()), changes), NOW);
        assert_eq!(report.findings.len(), 1, "{report:#?}");
        report.findings[0].clone()
    };
    let finding = account(&[]);
    assert_eq!(finding.id, "pod-older-than-annotation");
    assert!(finding.what.contains("2026-11-24T09:30:00Z"), "{finding:?}");
    let command = "`kubectl rollout restart deployment/api -n shop`";
    assert!(finding.fix.contains(command), "{finding:?}");

    let time = "/metadata/managedFields/1/time";
    let before = account(&[(time, json!("2026-11-22T00:00:00Z"))]);
    assert_eq!(before.id, "pod-not-injected");
    assert!(before.fix.contains(command), "{before:?}");
    // Without managed fields, an account that is younger than the pod was annotated later.
    let fields = ("/metadata/managedFields", Value::Null);
    let unknown = account(std::slice::from_ref(&fields));
    assert_eq!(unknown.id, "pod-not-injected");
    let younger = ("/metadata/creationTimestamp", json!("2026-11-23T08:00:01Z"));
    assert_eq!(account(&[fields, younger]).id, "pod-older-than-annotation");

    let plain = account(&[("/metadata/annotations", Value::Null)]);
    assert_eq!(plain.id, "pod-service-account-plain");
}

#[test]
fn the_account_is_that_of_the_pod() {
    let other = [("/metadata/name", json!("web"))];
    let report = judge(&with_account(of_pod(IRSA, &[]), &other), NOW);
    assert_eq!(ids(&report), ["pod-other-service-account"]);
    let role = "/metadata/annotations/eks.amazonaws.com~1role-arn";
    let changed = [(role, json!("arn:aws:iam::111122223333:role/new"))];
    let report = judge(&with_account(of_pod(IRSA, &[]), &changed), NOW);
    assert_eq!(ids(&report), ["pod-role-differs"]);
    let audience = "/metadata/annotations/eks.amazonaws.com~1audience";
    let changed = [(audience, json!("sts.example.com"))];
    let report = judge(&with_account(of_pod(IRSA, &[]), &changed), NOW);
    assert_eq!(ids(&report), ["pod-audience"]);
}

#[test]
fn each_owner_is_restarted_in_its_own_way() {
    for (owner, command) in [
        (
            json!([{"kind": "StatefulSet", "name": "db"}]),
            "rollout restart statefulset/db -n shop",
        ),
        (
            json!([{"kind": "DaemonSet", "name": "log"}]),
            "rollout restart daemonset/log -n shop",
        ),
        (
            json!([{"kind": "Job", "name": "j"}]),
            "delete pod api-6f5d8c7b9-x2x4q -n shop",
        ),
        (json!([]), "then apply its manifest again"),
    ] {
        let mut changes = untouched();
        changes.push(("/metadata/ownerReferences", owner));
        let report = judge(&of_pod(IRSA, &changes), NOW);
        assert!(report.findings[0].fix.contains(command), "{report:#?}");
    }
}

#[test]
fn up_to_kubernetes_1_18_the_token_needs_a_group() {
    let changes = [("/spec/securityContext/runAsUser", json!(1000))];
    for (version, expected) in [
        ("1.18.20", "pod-token-unreadable"),
        ("v1.19.0-eks-1", ""),
        ("1.30", ""),
    ] {
        let mut surroundings = of_pod(IRSA, &changes);
        surroundings.versions.push(Version {
            product: find_product("kubernetes-cluster", version).unwrap(),
            text: version.to_owned(),
            place: String::new(),
        });
        let report = judge(&surroundings, NOW);
        assert_eq!(ids(&report).join(" "), expected, "{version}");
    }
}

#[test]
fn terraform_enterprise_as_another_user_is_told_of_its_setting() {
    let report = judge(&of_pod(ENTERPRISE, &[]), NOW);
    assert_eq!(ids(&report), ["pod-terraform-enterprise"], "{report:#?}");
    let finding = &report.findings[0];
    assert!(
        finding.fix.contains("`openshift.enabled: true`"),
        "{finding:?}"
    );
    assert!(
        finding
            .what
            .contains("`runAsUser: 1000` and `fsGroup: 1012`"),
        "{finding:?}"
    );
    // As the chart renders the setting.
    let confined = json!({
        "seccompProfile": {"type": "RuntimeDefault"},
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": true,
    });
    let changes = [("/items/0/spec/containers/0/securityContext", confined)];
    assert_eq!(ids(&judge(&of_pod(ENTERPRISE, &changes), NOW)), [""; 0]);
    let as_root = [("/items/0/spec/securityContext", json!({}))];
    assert_eq!(ids(&judge(&of_pod(ENTERPRISE, &as_root), NOW)), [""; 0]);
}

#[test]
fn azures_webhook_goes_by_a_label() {
    let label = "/metadata/labels/azure.workload.identity~1use";
    let without_file = ("/spec/containers/0/env/2", Value::Null);
    let rows: Vec<(Vec<(&str, Value)>, &str)> = vec![
        (vec![without_file.clone()], "pod-not-injected"),
        (
            vec![without_file.clone(), (label, Value::Null)],
            "pod-azure-label",
        ),
        (
            vec![without_file.clone(), (label, json!("yes"))],
            "pod-azure-label",
        ),
        (
            vec![
                without_file,
                (label, Value::Null),
                (
                    "/metadata/annotations",
                    json!({"azure.workload.identity/use": "true"}),
                ),
            ],
            "pod-azure-label",
        ),
        (vec![(label, Value::Null)], ""),
        (
            vec![("/spec/containers/0/env/0", Value::Null)],
            "environment-azure-ids",
        ),
        (
            vec![(
                "/spec/volumes/0/projected/sources/0/serviceAccountToken/audience",
                json!("sts.amazonaws.com"),
            )],
            "pod-audience",
        ),
    ];
    for (changes, expected) in rows {
        let report = judge(&of_pod(AZURE, &changes), NOW);
        assert_eq!(ids(&report).join(" "), expected, "{changes:?}: {report:#?}");
    }
}

#[test]
fn a_container_may_be_left_out_on_purpose() {
    let second = json!({"name": "sidecar", "image": "x"});
    let changes = [
        ("/spec/containers/-", second),
        (
            "/metadata/annotations",
            json!({"eks.amazonaws.com/skip-containers": "init, sidecar"}),
        ),
    ];
    let report = judge(&of_pod(IRSA, &changes), NOW);
    assert_eq!(ids(&report), ["pod-container-without"]);
    assert!(
        report.findings[0].what.contains("is named in"),
        "{report:#?}"
    );
}

#[test]
fn what_describes_no_pod_says_what_it_is() {
    for (value, words) in [
        (
            json!({"kind": "Deployment"}),
            "pod.json describes a Deployment, and not a Pod",
        ),
        (json!({"spec": {}}), "describes a document without a `kind`"),
        (
            json!({"kind": "List", "items": [{"kind": "Service"}]}),
            "describes a Service",
        ),
        (
            json!({"kind": "Pod", "spec": {"containers": 7}}),
            "pod.json is not as Kubernetes describes it",
        ),
    ] {
        let name = "pod.json".to_owned();
        let error = Pod::read(&Document { name, value })
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{error}");
    }
    let name = "sa.json".to_owned();
    let value = json!({"kind": "PodList", "items": [{"metadata": {"name": "a"}}]});
    let list = Document { name, value };
    assert_eq!(Pod::read(&list).unwrap().len(), 1);
    let error = ServiceAccount::read(&list).unwrap_err().to_string();
    assert!(error.contains("kubectl get sa NAME -o json"), "{error}");
}
