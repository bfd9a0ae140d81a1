//! Rules, and what admits more than it seems to.

use serde_json::json;

use super::super::super::Decision::{Admitted, Refused, Undecided};
use super::{SUBJECT, entry, hold, token, verdict, with_entries};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn rules_hold_or_refuse() {
    let rule = |rule: &str| entry(&format!("claimValidationRules: [{rule}]"));
    let user = |rule: &str| entry(&format!("userValidationRules: [{rule}]"));
    hold(vec![
        (
            "oidc.go requiredClaims",
            rule("{claim: terraform_workspace_name, requiredValue: prod}"),
            json!({}),
            Admitted,
            "requiredValue",
            "prod",
        ),
        (
            "oidc.go requiredClaims: another",
            rule("{claim: terraform_workspace_name, requiredValue: prod}"),
            json!({"terraform_workspace_name": "prod-x"}),
            Refused,
            "claimValidationRules[0].requiredValue",
            "goes on",
        ),
        (
            "oidc.go requiredClaims: case",
            rule("{claim: terraform_workspace_name, requiredValue: Prod}"),
            json!({}),
            Refused,
            "claimValidationRules[0].requiredValue",
            "case",
        ),
        (
            "oidc.go requiredClaims: missing",
            rule("{claim: team, requiredValue: x}"),
            json!({}),
            Refused,
            "claimValidationRules[0].requiredValue",
            "no claim `team`",
        ),
        (
            "oidc.go requiredClaims: only texts",
            rule("{claim: iat, requiredValue: '1650486122'}"),
            json!({}),
            Refused,
            "claimValidationRules[0].requiredValue",
            "only a text",
        ),
        (
            "oidc.go requiredClaims: no wildcards",
            rule("{claim: sub, requiredValue: 'organization:acme:*'}"),
            json!({}),
            Refused,
            "requiredValue",
            "another",
        ),
        (
            "oidc.go checkValidationRulesEvaluation",
            rule("{expression: 'claims.sub.startsWith(\"organization:acme:\")', message: nobody}"),
            json!({}),
            Admitted,
            "expression",
            SUBJECT,
        ),
        (
            "oidc.go checkValidationRulesEvaluation: the message",
            rule(
                "{expression: 'claims.sub.startsWith(\"organization:other:\")', message: wrong organization}",
            ),
            json!({}),
            Refused,
            "claimValidationRules[0].expression",
            "wrong organization",
        ),
        (
            "oidc.go EvalClaimMappings: an error refuses",
            rule("{expression: 'claims.team == \"x\"'}"),
            json!({}),
            Refused,
            "expression",
            "cannot be evaluated",
        ),
        (
            "CEL: has()",
            rule("{expression: '!has(claims.team) || claims.team == \"x\"'}"),
            json!({}),
            Admitted,
            "expression",
            "",
        ),
        (
            "CEL: whole numbers are int",
            rule("{expression: 'claims.iat > 1600000000'}"),
            json!({}),
            Admitted,
            "expression",
            "",
        ),
        (
            "CEL: in a list",
            rule("{expression: 'claims.terraform_run_phase in [\"plan\", \"apply\"]'}"),
            json!({}),
            Admitted,
            "expression",
            "plan",
        ),
        (
            "CEL: matches is RE2",
            rule(
                "{expression: 'claims.sub.matches(\"^organization:acme:project:[^:]+:workspace:prod:run_phase:plan$\")'}",
            ),
            json!({}),
            Admitted,
            "expression",
            "",
        ),
        (
            "what is not understood is not guessed",
            rule("{expression: 'nothing.sub == \"x\"'}"),
            json!({}),
            Undecided,
            "expression",
            "not understood",
        ),
        (
            "required values come before expressions",
            rule("{expression: 'claims.sub == \"x\"'}, {claim: team, requiredValue: x}"),
            json!({}),
            Refused,
            "claimValidationRules[1].requiredValue",
            "team",
        ),
        (
            "names come before rules",
            with_entries(
                "- issuer: {url: https://ci.example.com, audiences: [kubernetes.workload.identity]}\n  claimValidationRules: [{claim: team, requiredValue: x}]\n  claimMappings: {username: {claim: login, prefix: ''}}\n",
            ),
            json!({}),
            Refused,
            "username",
            "login",
        ),
        (
            "oidc.go UserValidationRules",
            user("{expression: \"!user.username.startsWith('system:')\", message: reserved}"),
            json!({}),
            Admitted,
            "userValidationRules[0]",
            "runmint:organization",
        ),
        (
            "oidc.go UserValidationRules: refused",
            user("{expression: \"user.username == 'x'\", message: not x}"),
            json!({}),
            Refused,
            "userValidationRules[0].expression",
            "not x",
        ),
        (
            "convertUserInfoToUnstructured: groups are there when empty",
            user("{expression: \"user.groups.all(g, !g.startsWith('system:'))\"}"),
            json!({}),
            Admitted,
            "userValidationRules[0]",
            "",
        ),
        (
            "convertUserInfoToUnstructured: uid is there when empty",
            user("{expression: \"user.uid == ''\"}"),
            json!({}),
            Admitted,
            "userValidationRules[0]",
            "",
        ),
    ]);
}

#[test]
fn what_admits_more_than_it_seems_to_is_named() {
    let rule = |rule: &str| entry(&format!("claimValidationRules: [{rule}]"));
    let open =
        "{expression: 'claims.sub.startsWith(\"organization:acme:project:p:workspace:prod\")'}";
    let rows = [
        (rule(open), "prod-x"),
        (entry("claimValidationRules: []"), "no rule looks at `sub`"),
        (
            rule("{claim: email, requiredValue: x}"),
            "no rule looks at `sub`",
        ),
        (
            rule("{expression: 'claims.sub.contains(\"workspace:prod\")'}"),
            "before it",
        ),
        (
            rule("{expression: 'claims.sub.endsWith(\":run_phase:plan\")'}"),
            "before it",
        ),
        (
            rule("{expression: 'claims.sub.matches(\"organization:acme:\")'}"),
            "anywhere inside",
        ),
        (
            rule("{expression: 'claims.sub.matches(\"^organization:acme:.*$\")'}"),
            "reach over",
        ),
        (
            with_entries(
                "- issuer: {url: https://ci.example.com, audiences: [kubernetes.workload.identity]}\n  claimMappings: {username: {claim: sub, prefix: ''}}\n",
            ),
            "username without a prefix",
        ),
        (
            with_entries(
                "- issuer: {url: https://ci.example.com, audiences: [kubernetes.workload.identity]}\n  claimMappings: {username: {expression: claims.sub}, groups: {claim: g, prefix: ''}}\n",
            ),
            "groups without a prefix",
        ),
        (
            with_entries(
                "- issuer: {url: https://ci.example.com, audiences: [kubernetes.workload.identity]}\n  claimMappings: {username: {claim: sub, prefix: 'system:'}}\n",
            ),
            "Kubernetes' own",
        ),
    ];
    for (text, word) in rows {
        let weaknesses = verdict(&text, &token(&json!({}))).weaknesses;
        assert!(
            weaknesses
                .iter()
                .any(|weakness| weakness.what.contains(word)),
            "{text}\n{word}\n{weaknesses:#?}"
        );
    }
    let closed = rule(
        "{expression: 'claims.sub.startsWith(\"organization:acme:project:p:workspace:prod:run_phase:\")'}",
    );
    let weaknesses = verdict(&closed, &token(&json!({}))).weaknesses;
    let [unseen] = weaknesses.as_slice() else {
        panic!("the bindings were not given");
    };
    assert!(unseen.what.starts_with("not looked at"), "{unseen:?}");
    let refused = verdict(&closed, &token(&json!({"aud": "x"})));
    assert_eq!(refused.weaknesses, []);
}
