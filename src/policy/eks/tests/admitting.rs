//! The smallest change, which must do what it says.

use serde_json::{Value, json};

use super::{SUBJECT, binding, presented, read};

const ROLE: &str = "arn:aws:iam::123456789012:role/net";
const WITH_PATH: &str = "arn:aws:iam::123456789012:role/ci/net";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_change_admits_and_is_at_its_place() {
    let oidc = |changes: Value| {
        let mut oidc = json!({"issuerUrl": "https://ci.example.com", "clientId": "kubernetes.workload.identity"});
        for (name, value) in changes.as_object().unwrap() {
            oidc[name] = value.clone();
        }
        json!({"oidc": oidc})
    };
    let map = |arn: &str, groups: &str| {
        json!({"kind": "ConfigMap", "metadata": {"name": "aws-auth"}, "data": {
            "mapRoles": format!("- rolearn: {arn}\n  username: a:{{{{SessionName}}}}\n  groups: {groups}\n")}})
    };
    let none = json!({"accessEntries": []});
    let other = "arn:aws:iam::123456789012:role/other";
    let rows = [
        (
            vec![oidc(json!({"issuerUrl": "https://app.terraform.io"}))],
            None,
            "oidc.issuerUrl",
            "https://ci.example.com",
        ),
        (
            vec![oidc(json!({"clientId": "x"}))],
            None,
            "oidc.clientId",
            "kubernetes.workload.identity",
        ),
        (
            vec![oidc(json!({"usernameClaim": "login"}))],
            None,
            "oidc.usernameClaim",
            "sub",
        ),
        (
            vec![oidc(json!({"groupsClaim": "iat"}))],
            None,
            "oidc.groupsClaim",
            "",
        ),
        (
            vec![oidc(
                json!({"requiredClaims": {"terraform_workspace_name": "x"}}),
            )],
            None,
            "oidc.requiredClaims.terraform_workspace_name",
            "prod",
        ),
        (
            vec![oidc(json!({"requiredClaims": {"team": "x"}}))],
            None,
            "oidc.requiredClaims.team",
            "",
        ),
        (
            vec![oidc(json!({})), binding("User", "anna")],
            None,
            "ClusterRoleBinding/https://ci.example.com#organization",
            "view",
        ),
        (
            vec![
                oidc(json!({})),
                binding(
                    "User",
                    &format!("https://ci.example.com#{}", SUBJECT.replace("prod", "x")),
                ),
            ],
            None,
            "ClusterRoleBinding/b.subjects",
            "workspace:prod:",
        ),
        (
            vec![map(other, "[ci]")],
            Some(ROLE),
            "data.mapRoles",
            "runmint:prod",
        ),
        (
            vec![map(WITH_PATH, "[ci]")],
            Some(ROLE),
            "data.mapRoles[0].rolearn",
            ROLE,
        ),
        (
            vec![none.clone()],
            Some(ROLE),
            "accessEntries",
            "runmint:prod",
        ),
        (
            vec![none.clone()],
            Some(WITH_PATH),
            "accessEntries",
            WITH_PATH,
        ),
        (
            vec![map(ROLE, "[ci]"), none],
            Some("arn:aws:iam::123456789012:role/x"),
            "accessEntries",
            "runmint:prod",
        ),
        (
            vec![json!({"principalArn": ROLE, "kubernetesGroups": []})],
            Some(ROLE),
            "kubernetesGroups",
            "runmint:prod",
        ),
        (
            vec![map(ROLE, "[ci]"), binding("Group", "x")],
            Some(ROLE),
            "ClusterRoleBinding/ci",
            "view",
        ),
        (
            vec![map(ROLE, "[]"), binding("Group", "x")],
            Some(ROLE),
            "data.mapRoles[0].groups, ClusterRoleBinding/runmint:prod",
            "view",
        ),
        (
            vec![map(other, "[ci]"), binding("Group", "x")],
            Some(ROLE),
            "data.mapRoles, ClusterRoleBinding/runmint:prod",
            "view",
        ),
    ];
    for (documents, role, place, word) in rows {
        let presented = presented(&json!({}), role);
        let policy = read(&documents).unwrap();
        assert!(!policy.evaluate(&presented).admits(), "{documents:#?}");
        let (change, changed) = policy.admitting(&presented).expect(place);
        assert!(changed.evaluate(&presented).admits(), "{change:#?}");
        assert!(
            change.place.contains(place) && change.after.contains(word),
            "{documents:#?}\n{change:#?}"
        );
        assert!(!change.after.contains("system:"), "{change:#?}");
    }
}

#[test]
fn there_is_no_change_where_none_is_needed_or_none_can_help() {
    let provider = |status: &str| {
        json!({"oidc": {
            "issuerUrl": "https://ci.example.com", "clientId": "kubernetes.workload.identity",
            "status": status}})
    };
    let node = json!({"principalArn": ROLE, "type": "EC2_LINUX"});
    for (documents, role) in [
        (provider("ACTIVE"), None),
        (provider("DELETING"), None),
        (node.clone(), Some(ROLE)),
        (node, None),
    ] {
        let policy = read(&[documents]).unwrap();
        assert!(policy.admitting(&presented(&json!({}), role)).is_none());
    }
}
