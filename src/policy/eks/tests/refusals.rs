//! What EKS would not take, and what goes with what.

use serde_json::json;

use super::{binding, read};

const ROLE: &str = "arn:aws:iam::123456789012:role/net";

#[test]
fn what_eks_refuses_is_refused_with_its_place() {
    let oidc = |extra: serde_json::Value| {
        let mut oidc = json!({"issuerUrl": "https://ci.example.com", "clientId": "a"});
        for (name, value) in extra.as_object().unwrap() {
            oidc[name] = value.clone();
        }
        json!({"oidc": oidc})
    };
    let map = |roles: &str| json!({"kind": "ConfigMap", "metadata": {"name": "aws-auth"}, "data": {"mapRoles": roles}});
    let rows = [
        (
            oidc(json!({"issuerUrl": "http://ci.example.com"})),
            "oidc.issuerUrl",
            "https://",
        ),
        (oidc(json!({"clientId": ""})), "oidc.clientId", "required"),
        (
            oidc(json!({"usernamePrefix": "system:"})),
            "oidc.usernamePrefix",
            "system:",
        ),
        (
            oidc(json!({"groupsPrefix": "system:x"})),
            "oidc.groupsPrefix",
            "system:",
        ),
        (
            oidc(json!({"requiredClaims": {"n": 5}})),
            "oidc.requiredClaims.n",
            "quotes",
        ),
        (oidc(json!({"audience": "x"})), "oidc.audience", "not known"),
        (
            json!({"accessEntry": {"principalArn": "arn:aws:sts::123456789012:assumed-role/net/s"}}),
            "accessEntry.principalArn",
            "session's ARN",
        ),
        (
            json!({"accessEntry": {"principalArn": ROLE, "kubernetesGroups": ["system:masters"]}}),
            "accessEntry.kubernetesGroups",
            "access policy",
        ),
        (
            json!({"accessEntries": [ROLE]}),
            "accessEntries",
            "describe-access-entry",
        ),
        (
            json!({"principalArn": ROLE, "associatedAccessPolicies": [{"policyArn": "x"}]}),
            "associatedAccessPolicies[0].accessScope",
            "required",
        ),
        (map("- rolarn: x\n"), "data.mapRoles[0].rolearn", "required"),
        (map("- rolearn: [x\n"), "data.mapRoles", "YAML"),
        (map("rolearn: x\n"), "data.mapRoles", "list"),
        (
            json!({"kind": "ConfigMap", "metadata": {"name": "aws-auth", "namespace": "default"}, "data": {"mapRoles": ""}}),
            "metadata",
            "kube-system",
        ),
        (
            json!({"kind": "ConfigMap", "metadata": {"name": "other"}, "data": {"mapRoles": ""}}),
            "metadata",
            "aws-auth",
        ),
    ];
    for (document, place, word) in rows {
        let error = read(std::slice::from_ref(&document))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("{place}: ")) && error.contains(word),
            "{document}\n{error}"
        );
    }
}

#[test]
fn a_cluster_has_one_of_each() {
    let provider = json!({"oidc": {"issuerUrl": "https://ci.example.com", "clientId": "a"}});
    let map = json!({"kind": "ConfigMap", "metadata": {"name": "aws-auth"}});
    for one in [provider, map] {
        let error = read(&[one.clone(), one]).unwrap_err().to_string();
        assert!(
            error.contains("1.json") && error.contains("has one"),
            "{error}"
        );
    }
}

#[test]
fn rbac_goes_with_kubernetes_and_eks_and_nothing_else_does() {
    let provider = json!({"oidc": {"issuerUrl": "https://ci.example.com", "clientId": "a"}});
    let configuration =
        json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration"});
    let bound = binding("User", "x");
    for (documents, party) in [
        (vec![bound.clone(), provider.clone()], "EKS"),
        (
            vec![bound.clone(), configuration.clone(), bound.clone()],
            "Kubernetes",
        ),
    ] {
        assert_eq!(read(&documents).unwrap().relying_party(), party);
    }
    for documents in [
        vec![provider.clone(), configuration.clone()],
        vec![bound.clone(), configuration, provider],
    ] {
        let error = read(&documents).unwrap_err().to_string();
        assert!(error.contains("one relying party at a time"), "{error}");
    }
    let error = read(&[bound]).unwrap_err().to_string();
    assert!(error.contains("binds names only"), "{error}");
}
