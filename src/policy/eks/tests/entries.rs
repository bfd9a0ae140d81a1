//! Access entries, and what a role may do once it is in.

use serde_json::{Value, json};

use super::super::super::Decision::{Admitted, Refused, Undecided};
use super::roles::{ROLE, SESSION, WITH_PATH, aws_auth, mapped, run};
use super::{binding, presented, verdict};

fn entry(arn: &str, changes: &Value) -> Value {
    let mut entry = json!({
        "clusterName": "c", "principalArn": arn, "kubernetesGroups": ["ci"], "type": "STANDARD",
        "accessEntryArn": "arn:aws:eks:eu-central-1:123456789012:access-entry/c/role/1/net/2",
        "createdAt": "2026-01-01T00:00:00Z", "modifiedAt": "2026-01-01T00:00:00Z", "tags": {},
    });
    for (name, value) in changes.as_object().unwrap() {
        entry[name] = value.clone();
    }
    json!({"accessEntry": entry})
}

fn policies(arn: &str, name: &str, scope: &Value) -> Value {
    json!({
        "clusterName": "c", "principalArn": arn,
        "associatedAccessPolicies": [{
            "policyArn": format!("arn:aws:eks::aws:cluster-access-policy/{name}"),
            "accessScope": scope, "associatedAt": "2026-01-01T00:00:00Z",
        }],
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn access_entries_let_roles_in() {
    let standard = |arn: &str| entry(arn, &json!({}));
    run(vec![
        (
            "EKSUG",
            vec![standard(ROLE)],
            Some(ROLE),
            Admitted,
            "accessEntry",
            "Group ci",
        ),
        (
            "EKSUG: sessions are their role's",
            vec![standard(ROLE)],
            Some(SESSION),
            Admitted,
            "accessEntry",
            "User arn:aws:sts::123456789012:assumed-role/net/terraform-run-run-1",
        ),
        (
            "EKSUG: an entry may have a path, a session has lost it",
            vec![standard(WITH_PATH)],
            Some(SESSION),
            Admitted,
            "accessEntry",
            "",
        ),
        (
            "IAM: names are unique in an account, so another path is a role that is gone",
            vec![standard(WITH_PATH)],
            Some(ROLE),
            Refused,
            "accessEntry",
            "another path",
        ),
        (
            "EKSUG: user name of its own",
            vec![entry(ROLE, &json!({"username": "ci:{{SessionName}}"}))],
            Some(SESSION),
            Admitted,
            "accessEntry",
            "User ci:terraform-run-run-1",
        ),
        (
            "EKSUG: types for nodes",
            vec![entry(
                ROLE,
                &json!({"type": "EC2_LINUX", "kubernetesGroups": ["system:nodes"]}),
            )],
            Some(ROLE),
            Refused,
            "accessEntry",
            "nodes",
        ),
        (
            "another role",
            vec![standard("arn:aws:iam::123456789012:role/other")],
            Some(ROLE),
            Refused,
            "accessEntries",
            "Unauthorized",
        ),
        (
            "none at all",
            vec![json!({"accessEntries": []})],
            Some(ROLE),
            Refused,
            "accessEntries",
            "Unauthorized",
        ),
        (
            "several",
            vec![json!([
                standard("arn:aws:iam::123456789012:role/other"),
                standard(ROLE)
            ])],
            Some(ROLE),
            Admitted,
            "accessEntry arn:aws:iam::123456789012:role/net",
            "",
        ),
        (
            "EKSUG: an entry comes before aws-auth",
            vec![mapped(ROLE), standard(ROLE)],
            Some(ROLE),
            Admitted,
            "accessEntry",
            "",
        ),
        (
            "EKSUG: API_AND_CONFIG_MAP",
            vec![mapped(ROLE), json!({"accessEntries": []})],
            Some(ROLE),
            Admitted,
            "data.mapRoles",
            "",
        ),
        (
            "without a role nothing can be said",
            vec![standard(ROLE)],
            None,
            Undecided,
            "accessEntries",
            "--role-arn",
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn groups_and_access_policies_decide_what_a_role_may_do() {
    let view = policies(
        ROLE,
        "AmazonEKSViewPolicy",
        &json!({"type": "namespace", "namespaces": ["ci"]}),
    );
    let bare = entry(ROLE, &json!({"kubernetesGroups": []}));
    run(vec![
        (
            "rbac.go: group",
            vec![mapped(ROLE), binding("Group", "ci")],
            Some(ROLE),
            Admitted,
            "ClusterRoleBinding/b",
            "view",
        ),
        (
            "rbac.go: another group",
            vec![mapped(ROLE), binding("Group", "other")],
            Some(SESSION),
            Refused,
            "",
            "403",
        ),
        (
            "rbac.go: user, of a session",
            vec![mapped(ROLE), binding("User", "ci:terraform-run-run-1")],
            Some(SESSION),
            Admitted,
            "ClusterRoleBinding/b",
            "view",
        ),
        (
            "rbac.go: user, of a role",
            vec![mapped(ROLE), binding("User", "ci:terraform-run-run-1")],
            Some(ROLE),
            Undecided,
            "",
            "SessionName",
        ),
        (
            "authenticator: @ becomes -",
            vec![mapped(ROLE), binding("User", "ci:a-b")],
            Some("arn:aws:sts::123456789012:assumed-role/net/a@b"),
            Admitted,
            "ClusterRoleBinding/b",
            "",
        ),
        (
            "EKSUG: system:masters",
            vec![
                aws_auth(&format!(
                    "- rolearn: {ROLE}\n  username: a\n  groups: ['system:masters']\n"
                )),
                binding("Group", "x"),
            ],
            Some(ROLE),
            Admitted,
            "system:masters",
            "",
        ),
        (
            "EKSUG: access policies",
            vec![bare.clone(), view.clone()],
            Some(ROLE),
            Admitted,
            "associatedAccessPolicies",
            "access policy",
        ),
        (
            "EKSUG: access policies need no binding",
            vec![bare.clone(), view, binding("Group", "x")],
            Some(ROLE),
            Admitted,
            "associatedAccessPolicies",
            "access policy",
        ),
        (
            "EKSUG: neither group nor access policy, as far as it is given",
            vec![bare.clone()],
            Some(ROLE),
            Undecided,
            "kubernetesGroups",
            "list-associated-access-policies",
        ),
        (
            "EKSUG: neither group nor access policy",
            vec![
                bare.clone(),
                json!({"principalArn": ROLE, "associatedAccessPolicies": []}),
            ],
            Some(ROLE),
            Refused,
            "kubernetesGroups",
            "may do nothing",
        ),
        (
            "EKSUG: those of another principal",
            vec![
                bare,
                policies(
                    "arn:aws:iam::123456789012:role/other",
                    "AmazonEKSViewPolicy",
                    &json!({"type": "cluster"}),
                ),
                binding("Group", "x"),
            ],
            Some(SESSION),
            Refused,
            "",
            "403",
        ),
    ]);
}

#[test]
fn what_admits_more_than_it_seems_to_is_named() {
    let masters = aws_auth(&format!(
        "- rolearn: {ROLE}\n  username: a\n  groups: ['system:masters']\n"
    ));
    let accounts = json!({"kind": "ConfigMap", "metadata": {"name": "aws-auth"}, "data": {"mapAccounts": "- \"123456789012\"\n"}});
    let admin = policies(
        ROLE,
        "AmazonEKSClusterAdminPolicy",
        &json!({"type": "cluster"}),
    );
    for (documents, word) in [
        (vec![masters], "system:masters"),
        (vec![accounts], "every role of the account"),
        (vec![entry(ROLE, &json!({})), admin], "the whole cluster"),
    ] {
        let verdict = verdict(&documents, &presented(&json!({}), Some(ROLE)));
        assert!(
            verdict.weaknesses.iter().any(|w| w.what.contains(word)),
            "{verdict:#?}"
        );
    }
    let verdict = verdict(&[mapped(ROLE)], &presented(&json!({}), Some(ROLE)));
    let unseen: Vec<_> = verdict.weaknesses.iter().map(|w| &w.what).collect();
    assert!(
        unseen.len() == 1 && unseen[0].starts_with("not looked at"),
        "{unseen:?}"
    );
    let bound = [mapped(ROLE), binding("Group", "ci")];
    let verdict = super::verdict(&bound, &presented(&json!({}), Some(ROLE)));
    assert_eq!(verdict.weaknesses, []);
}

#[test]
fn whichever_door_lets_in_is_the_one_that_is_shown() {
    let provider = json!({"oidc": {"issuerUrl": "https://ci.example.com", "clientId": "kubernetes.workload.identity"}});
    let other = json!({"oidc": {"issuerUrl": "https://other.example.com", "clientId": "kubernetes.workload.identity"}});
    run(vec![
        (
            "by the token",
            vec![provider.clone(), mapped(ROLE)],
            None,
            Admitted,
            "usernameClaim",
            "",
        ),
        (
            "by the token, though the role is not",
            vec![provider, mapped("arn:aws:iam::123456789012:role/x")],
            Some(ROLE),
            Admitted,
            "usernameClaim",
            "",
        ),
        (
            "by the role, though the token is not",
            vec![other.clone(), mapped(ROLE)],
            Some(ROLE),
            Admitted,
            "data.mapRoles[0]",
            "",
        ),
        (
            "by neither, and a role is there",
            vec![other.clone(), mapped("arn:aws:iam::123456789012:role/x")],
            Some(ROLE),
            Refused,
            "data.mapRoles",
            "",
        ),
        (
            "by neither, and no role is there",
            vec![other, mapped(ROLE)],
            None,
            Refused,
            "oidc.issuerUrl",
            "",
        ),
    ]);
}
