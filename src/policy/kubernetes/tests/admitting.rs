//! The smallest change, which must do what it says and no more.

use serde_json::{Value, json};

use super::{SUBJECT, entry, read, token, with_entries};

const OTHER: &str = "organization:acme:project:p:workspace:other:run_phase:plan";

/// Files that refuse [`OTHER`], where the change is, and words of it.
fn rows() -> Vec<(String, Value, &'static str, &'static str)> {
    let rule = |rule: &str| entry(&format!("claimValidationRules: [{rule}]"));
    let closed = "{expression: 'claims.sub.startsWith(\"organization:acme:project:p:workspace:prod:run_phase:\")'}";
    let bound = format!(
        "{}---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: b}}\n\
         roleRef: {{kind: ClusterRole, name: edit}}\nsubjects: [{{kind: User, name: 'runmint:{SUBJECT}'}}]\n",
        rule(closed)
    );
    vec![
        (
            rule(closed),
            json!({}),
            "jwt[0].claimValidationRules[0].expression",
            "claims.sub == \"organization",
        ),
        (
            rule(&format!("{{claim: sub, requiredValue: '{SUBJECT}'}}")),
            json!({}),
            "jwt[0].claimValidationRules[0]",
            "|| claims[\"sub\"] == ",
        ),
        (
            rule("{claim: terraform_workspace_name, requiredValue: prod}"),
            json!({"terraform_workspace_name": "other"}),
            "jwt[0].claimValidationRules[0]",
            "claims[\"terraform_workspace_name\"]",
        ),
        (
            rule(closed).replace("https://ci.example.com", "https://ci.example.com/"),
            json!({}),
            "jwt[0].issuer.url, jwt[0].claim",
            "https://ci.example.com",
        ),
        (
            rule(closed).replace("https://ci.example.com", "https://app.terraform.io"),
            json!({}),
            "jwt[1]",
            "requiredValue: \"organization",
        ),
        (
            rule(closed),
            json!({"aud": "other"}),
            "jwt[0].issuer.audiences",
            "kubernetes.workload.identity, other",
        ),
        (
            entry("userValidationRules: [{expression: \"user.username == 'x'\"}]"),
            json!({}),
            "jwt[0].userValidationRules[0].expression",
            "user.username == \"runmint:",
        ),
        (
            entry("").replace("claim: sub,", "claim: login,"),
            json!({}),
            "jwt[0].claimMappings.username",
            "claim: \"sub\", prefix: \"runmint:\"",
        ),
        (
            entry("").replace("{username:", "{groups: {claim: iat, prefix: ''}, username:"),
            json!({}),
            "jwt[0].claimMappings.groups",
            "",
        ),
        (
            entry("").replace("{username:", "{uid: {claim: x}, username:"),
            json!({}),
            "jwt[0].claimMappings.uid",
            "",
        ),
        (
            bound.clone(),
            json!({}),
            "jwt[0].claimValidationRules[0].expression, ClusterRoleBinding/b.subjects",
            "runmint:organization:acme:project:p:workspace:other",
        ),
        (
            bound.replace("name: edit", "name: cluster-admin"),
            json!({}),
            "ClusterRoleBinding/runmint:organization",
            "\"name\":\"view\"",
        ),
    ]
}

#[test]
fn the_change_admits_the_run_and_is_at_its_place() {
    for (text, mut changes, place, word) in rows() {
        changes["sub"] = OTHER.into();
        let presented = token(&changes);
        let policy = read(&text).unwrap();
        assert!(!policy.evaluate(&presented).admits(), "{text}");
        let (change, changed) = policy.admitting(&presented).expect(&text);
        assert!(changed.evaluate(&presented).admits(), "{text}\n{change:#?}");
        assert!(
            change.place.contains(place) && change.after.contains(word),
            "{text}\n{change:#?}"
        );
    }
}

#[test]
fn the_change_of_a_rule_admits_nobody_else_and_still_whom_it_admitted() {
    for (text, mut changes, place, _) in rows() {
        if !place.contains("claimValidationRules") || text.contains("workspace_name") {
            continue;
        }
        changes["sub"] = OTHER.into();
        let (_, changed) = read(&text).unwrap().admitting(&token(&changes)).unwrap();
        let admits = |sub: String| {
            changes["sub"] = sub.into();
            changed.evaluate(&token(&changes)).admits()
        };
        let third = OTHER.replace("other", "third");
        let longer = OTHER.replace("other", "other-x");
        let mut admits = admits;
        assert!(admits(SUBJECT.to_owned()), "{text}");
        assert!(!admits(third), "{text}");
        assert!(!admits(longer), "{text}");
        assert!(!admits(OTHER.replace("plan", "apply")), "{text}");
    }
}

#[test]
fn a_limit_that_is_meant_stays_one() {
    for rule in [
        "{claim: team, requiredValue: x}",
        "{claim: terraform_run_phase, requiredValue: apply}",
        "{expression: 'claims.team == \"x\"'}",
        "{expression: 'claims.terraform_run_phase != \"plan\"'}",
        "{expression: '!claims.sub.contains(\"other\")'}",
        "{expression: 'claims.sub.startsWith(\"organization:\") && claims.sub.endsWith(\":apply\")'}",
    ] {
        let policy = read(&entry(&format!("claimValidationRules: [{rule}]"))).unwrap();
        let presented = token(&json!({"sub": OTHER}));
        assert!(!policy.evaluate(&presented).admits(), "{rule}");
        assert!(policy.admitting(&presented).is_none(), "{rule}");
    }
    let rule = "userValidationRules: [{expression: \"!user.username.contains('other')\"}]";
    let policy = read(&entry(rule)).unwrap();
    assert!(policy.admitting(&token(&json!({"sub": OTHER}))).is_none());
}

#[test]
fn a_new_audience_is_said_to_be_for_the_other_subjects_too() {
    let said = "the other subjects that the policy names may use this audience too";
    let rule = |rule: &str| entry(&format!("claimValidationRules: [{rule}]"));
    for (text, is_for_others) in [
        (entry(""), true),
        (
            rule(
                "{claim: terraform_workspace_name, requiredValue: x}, \
                 {claim: terraform_project_name, requiredValue: q}",
            ),
            true,
        ),
        (rule("{expression: 'claims.sub == \"x\"'}"), true),
        (
            rule(&format!("{{claim: sub, requiredValue: '{SUBJECT}'}}")),
            false,
        ),
    ] {
        let presented = token(&json!({"aud": "new"}));
        let (change, _) = read(&text).unwrap().admitting(&presented).unwrap();
        assert_eq!(change.what.contains(said), is_for_others, "{change:#?}");
    }
}

#[test]
fn there_is_no_change_where_none_is_needed_or_none_can_help() {
    let admits = entry("");
    assert!(
        read(&admits)
            .unwrap()
            .admitting(&token(&json!({})))
            .is_none()
    );
    let unknown = entry("claimValidationRules: [{expression: 'claims.sub.unheardOf()'}]");
    assert!(
        read(&unknown)
            .unwrap()
            .admitting(&token(&json!({})))
            .is_none()
    );
    let systems = with_entries(
        "- issuer: {url: https://ci.example.com, audiences: [kubernetes.workload.identity]}\n  \
         claimMappings: {username: {claim: sub, prefix: 'system:'}}\n  \
         userValidationRules: [{expression: \"!user.username.startsWith('system:')\"}]\n",
    );
    assert!(
        read(&systems)
            .unwrap()
            .admitting(&token(&json!({})))
            .is_none()
    );
}
