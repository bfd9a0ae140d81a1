//! `aws-auth`.

use serde_json::{Value, json};

use super::super::super::Decision::{self, Admitted, Refused, Undecided};
use super::{hold, presented, verdict};

pub(super) const ROLE: &str = "arn:aws:iam::123456789012:role/net";
pub(super) const WITH_PATH: &str = "arn:aws:iam::123456789012:role/ci/prod/net";
pub(super) const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/net/terraform-run-run-1";

pub(super) fn aws_auth(roles: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "aws-auth", "namespace": "kube-system", "uid": "1"},
        "data": {"mapRoles": roles},
    })
}

pub(super) fn mapped(arn: &str) -> Value {
    aws_auth(&format!(
        "- rolearn: {arn}\n  username: ci:{{{{SessionName}}}}\n  groups: [ci]\n"
    ))
}

pub(super) type Row = (
    &'static str,
    Vec<Value>,
    Option<&'static str>,
    Decision,
    &'static str,
    &'static str,
);

pub(super) fn run(rows: Vec<Row>) {
    for (source, documents, role, decision, place, word) in rows {
        let verdict = verdict(&documents, &presented(&json!({}), role));
        hold(source, &verdict, decision, place, word);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn aws_auth_maps_roles() {
    run(vec![
        (
            "EKSUG",
            vec![mapped(ROLE)],
            Some(ROLE),
            Admitted,
            "data.mapRoles[0].rolearn",
            "Group ci",
        ),
        (
            "a session is its role's",
            vec![mapped(ROLE)],
            Some(SESSION),
            Admitted,
            "data.mapRoles[0].rolearn",
            "User ci:terraform-run-run-1",
        ),
        (
            "without a role nothing can be said",
            vec![mapped(ROLE)],
            None,
            Undecided,
            "data.mapRoles",
            "--role-arn",
        ),
        (
            "what is no role",
            vec![mapped(ROLE)],
            Some("arn:aws:iam::123456789012:user/anna"),
            Undecided,
            "data.mapRoles",
            "no ARN of a role",
        ),
        (
            "S1: another role than the one that made the cluster",
            vec![mapped("arn:aws:iam::123456789012:role/laptop")],
            Some(ROLE),
            Refused,
            "data.mapRoles",
            "Unauthorized",
        ),
        (
            "EKSUG: a path in aws-auth never matches",
            vec![mapped(WITH_PATH)],
            Some(SESSION),
            Refused,
            "data.mapRoles[0].rolearn",
            "path",
        ),
        (
            "EKSUG: not even for the role itself",
            vec![mapped(WITH_PATH)],
            Some(WITH_PATH),
            Refused,
            "data.mapRoles[0].rolearn",
            "path",
        ),
        (
            "EKSUG: the role has one, aws-auth not",
            vec![mapped(ROLE)],
            Some(WITH_PATH),
            Admitted,
            "data.mapRoles[0].rolearn",
            "",
        ),
        (
            "authenticator saveMap: in lower case",
            vec![mapped("arn:aws:iam::123456789012:role/NET")],
            Some(ROLE),
            Admitted,
            "data.mapRoles[0].rolearn",
            "",
        ),
        (
            "authenticator saveMap: the last one counts",
            vec![aws_auth(&format!(
                "- rolearn: {ROLE}\n  username: a\n- rolearn: {ROLE}\n  username: b\n"
            ))],
            Some(ROLE),
            Admitted,
            "data.mapRoles[1].rolearn",
            "User b",
        ),
        (
            "authenticator yaml: names in any case",
            vec![aws_auth(&format!(
                "- roleARN: {ROLE}\n  Username: a\n  GROUPS: [g]\n"
            ))],
            Some(ROLE),
            Admitted,
            "data.mapRoles[0].rolearn",
            "Group g",
        ),
        (
            "authenticator: the text may be JSON",
            vec![aws_auth(&format!(
                "[{{\"rolearn\": \"{ROLE}\", \"username\": \"a\"}}]"
            ))],
            Some(ROLE),
            Admitted,
            "data.mapRoles[0].rolearn",
            "User a",
        ),
        (
            "a session's ARN there never matches",
            vec![mapped(SESSION)],
            Some(ROLE),
            Refused,
            "data.mapRoles[0].rolearn",
            "session's ARN",
        ),
        (
            "another account",
            vec![mapped("arn:aws:iam::210987654321:role/net")],
            Some(ROLE),
            Refused,
            "data.mapRoles[0].rolearn",
            "another account's",
        ),
        (
            "another partition",
            vec![mapped("arn:aws-cn:iam::123456789012:role/net")],
            Some(ROLE),
            Refused,
            "data.mapRoles[0].rolearn",
            "partition",
        ),
        (
            "a name that goes on",
            vec![mapped("arn:aws:iam::123456789012:role/net-x")],
            Some(ROLE),
            Refused,
            "data.mapRoles",
            "no access entry and no mapping",
        ),
        (
            "authenticator isSkippable",
            vec![aws_auth("\"\"")],
            Some(ROLE),
            Refused,
            "data.mapRoles",
            "Unauthorized",
        ),
        (
            "no data at all",
            vec![
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "aws-auth"}}),
            ],
            Some(ROLE),
            Refused,
            "data.mapRoles",
            "Unauthorized",
        ),
        (
            "authenticator mapAccounts",
            vec![
                json!({"kind": "ConfigMap", "metadata": {"name": "aws-auth"}, "data": {"mapAccounts": "- \"123456789012\"\n"}}),
            ],
            Some(SESSION),
            Admitted,
            "data.mapAccounts",
            ROLE,
        ),
        (
            "eksctl get iamidentitymapping -o json",
            vec![json!([{"rolearn": ROLE, "username": "a", "groups": ["g"]}])],
            Some(ROLE),
            Admitted,
            "data.mapRoles[0].rolearn",
            "Group g",
        ),
        (
            "kubectl get: a List",
            vec![json!({"apiVersion": "v1", "kind": "List", "items": [mapped(ROLE)]})],
            Some(ROLE),
            Admitted,
            "data.mapRoles[0].rolearn",
            "",
        ),
    ]);
}
