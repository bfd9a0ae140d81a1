//! RBAC.

use serde_json::json;

use super::super::super::Decision::{Admitted, Refused};
use super::{Row, SUBJECT, entry, hold, token, verdict};

/// The entry, and a binding of these subjects to a role.
fn bound(role: &str, subjects: &str) -> String {
    format!(
        "{}---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: b}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n\
         subjects: {subjects}\n",
        entry(
            "claimValidationRules: [{expression: 'claims.sub.startsWith(\"organization:acme:\")'}]"
        )
    )
}

fn listed(items: &str) -> String {
    format!("{}---\n{items}", entry("userValidationRules: []"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_binding_binds_whom_it_names() {
    let user = |name: &str| {
        bound(
            "view",
            &format!("[{{kind: User, apiGroup: rbac.authorization.k8s.io, name: '{name}'}}]"),
        )
    };
    let own = format!("runmint:{SUBJECT}");
    let rows: Vec<Row> = vec![
        (
            "rbac.go appliesToUser: User",
            user(&own),
            json!({}),
            Admitted,
            "ClusterRoleBinding/b.subjects[0]",
            "view",
        ),
        (
            "rbac.go appliesToUser: another phase",
            user(&own),
            json!({"sub": SUBJECT.replace("plan", "apply")}),
            Refused,
            "ClusterRoleBinding/b.subjects[0]",
            "403",
        ),
        (
            "rbac.go appliesToUser: case",
            user(&own.to_uppercase()),
            json!({}),
            Refused,
            "subjects[0]",
            "case",
        ),
        (
            "rbac.go appliesToUser: prefix forgotten",
            user(SUBJECT),
            json!({}),
            Refused,
            "subjects[0]",
            "prefix of the name is missing",
        ),
        (
            "rbac.go appliesToUser: prefix too much",
            user(&format!("oidc:{own}")),
            json!({}),
            Refused,
            "subjects[0]",
            "has a prefix",
        ),
        (
            "rbac.go appliesToUser: no wildcards",
            user("runmint:organization:acme:*"),
            json!({}),
            Refused,
            "subjects[0]",
            "wildcards",
        ),
        (
            "rbac.go appliesToUser: nobody like it",
            user("anna"),
            json!({}),
            Refused,
            "ClusterRoleBinding, RoleBinding",
            "no binding",
        ),
        (
            "rbac.go appliesToUser: a group is no user",
            bound("view", &format!("[{{kind: Group, name: '{own}'}}]")),
            json!({}),
            Refused,
            "",
            "403",
        ),
        (
            "rbac.go appliesToUser: everybody who is let in",
            bound("view", "[{kind: Group, name: 'system:authenticated'}]"),
            json!({}),
            Admitted,
            "subjects[0]",
            "view",
        ),
        (
            "rbac.go appliesToUser: nobody who is let in",
            bound("view", "[{kind: Group, name: 'system:unauthenticated'}]"),
            json!({}),
            Refused,
            "",
            "403",
        ),
        (
            "bootstrap policy: what everybody may is no binding",
            bound(
                "system:discovery",
                "[{kind: Group, name: 'system:authenticated'}]",
            ),
            json!({}),
            Refused,
            "",
            "403",
        ),
        (
            "rbac.go appliesToUser: ServiceAccount",
            bound(
                "view",
                "[{kind: ServiceAccount, namespace: ci, name: runner}]",
            ),
            json!({}),
            Refused,
            "",
            "403",
        ),
        (
            "kubectl get: a List",
            listed(&format!(
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: rbac.authorization.k8s.io/v1\n  kind: RoleBinding\n  metadata: {{name: b, namespace: ci}}\n  roleRef: {{kind: Role, name: deploy}}\n  subjects: [{{kind: User, name: '{own}'}}]\n"
            )),
            json!({}),
            Admitted,
            "RoleBinding/ci/b.subjects[0]",
            "Role deploy",
        ),
        (
            "kubectl get --raw: items without a kind",
            listed(&format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBindingList\nitems:\n- metadata: {{name: b, namespace: ci}}\n  roleRef: {{kind: Role, name: deploy}}\n  subjects: [{{kind: User, name: '{own}'}}]\n"
            )),
            json!({}),
            Admitted,
            "RoleBinding/ci/b.subjects[0]",
            "Role deploy",
        ),
        (
            "kubectl get: nothing there",
            listed("apiVersion: v1\nkind: List\nitems: []\n"),
            json!({}),
            Refused,
            "ClusterRoleBinding, RoleBinding",
            "403",
        ),
        (
            "a binding without subjects",
            listed(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b}\nroleRef: {kind: Role, name: deploy}\n",
            ),
            json!({}),
            Refused,
            "",
            "403",
        ),
        (
            "without RBAC nothing is said of it",
            entry("userValidationRules: []"),
            json!({}),
            Admitted,
            "username",
            SUBJECT,
        ),
    ];
    hold(rows);
}

#[test]
fn a_name_that_is_not_known_is_bound_by_nothing_known() {
    let text = bound("view", "[{kind: User, name: anna}]").replace(
        "{claim: sub, prefix: 'runmint:'}",
        "{expression: 'claims.sub.unheardOf()'}",
    );
    let verdict = verdict(&text, &token(&json!({})));
    let last = verdict.checks.last().unwrap();
    assert!(last.why.contains("not known"), "{last:#?}");
}

#[test]
fn bindings_that_give_too_much_are_named() {
    let own = format!("[{{kind: User, name: 'runmint:{SUBJECT}'}}]");
    let role = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\n\
                rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]\n";
    for (text, word) in [
        (
            bound("edit", "[{kind: Group, name: 'system:authenticated'}]"),
            "everybody",
        ),
        (
            bound("edit", "[{kind: Group, name: 'system:unauthenticated'}]"),
            "everybody",
        ),
        (bound("cluster-admin", &own), "anything in the cluster"),
        (
            format!("{}{role}", bound("all", &own)),
            "anything in the cluster",
        ),
    ] {
        let weaknesses = verdict(&text, &token(&json!({}))).weaknesses;
        assert!(
            weaknesses
                .iter()
                .any(|weakness| weakness.what.contains(word)),
            "{text}\n{weaknesses:#?}"
        );
    }
    for text in [
        bound("cluster-admin", "[{kind: Group, name: 'system:masters'}]"),
        bound(
            "system:discovery",
            "[{kind: Group, name: 'system:unauthenticated'}]",
        ),
        bound("edit", &own),
    ] {
        assert_eq!(verdict(&text, &token(&json!({}))).weaknesses, [], "{text}");
    }
}

#[test]
fn masters_need_no_binding() {
    let text = bound("view", "[{kind: User, name: anna}]").replace(
        "{claim: sub, prefix: 'runmint:'}}",
        "{claim: sub, prefix: 'runmint:'}, groups: {expression: '[\"system:masters\"]'}}",
    );
    let verdict = verdict(&text, &token(&json!({})));
    assert!(verdict.admits(), "{verdict:#?}");
    assert!(
        verdict
            .weaknesses
            .iter()
            .any(|w| w.what.contains("system:masters"))
    );
}
