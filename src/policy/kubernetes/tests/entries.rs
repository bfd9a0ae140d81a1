//! Issuers, audiences, mappings.

use serde_json::json;

use super::super::super::Decision::{Admitted, Refused, Undecided};
use super::{Row, SUBJECT, hold, with_entries};

fn issuer(issuer: &str) -> String {
    with_entries(&format!(
        "- issuer: {issuer}\n  claimMappings: {{username: {{claim: sub, prefix: 'runmint:'}}}}\n"
    ))
}

fn mapping(mapping: &str) -> String {
    with_entries(&format!(
        "- issuer: {{url: https://ci.example.com, audiences: [kubernetes.workload.identity]}}\n  \
         claimMappings: {mapping}\n"
    ))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn issuers_and_audiences_are_equal_byte_for_byte() {
    let aud = "audiences: [kubernetes.workload.identity]";
    let rows: Vec<Row> = vec![
        (
            "oidc.go hasCorrectIssuer",
            issuer(&format!("{{url: https://ci.example.com, {aud}}}")),
            json!({}),
            Admitted,
            "claimMappings",
            SUBJECT,
        ),
        (
            "oidc.go hasCorrectIssuer: slash",
            issuer(&format!("{{url: https://ci.example.com/, {aud}}}")),
            json!({}),
            Refused,
            "jwt[0].issuer.url",
            "slash",
        ),
        (
            "oidc.go hasCorrectIssuer: slash in the token",
            issuer(&format!("{{url: https://ci.example.com, {aud}}}")),
            json!({"iss": "https://ci.example.com/"}),
            Refused,
            "jwt[0].issuer.url",
            "slash",
        ),
        (
            "oidc.go hasCorrectIssuer: case",
            issuer(&format!("{{url: https://CI.example.com, {aud}}}")),
            json!({}),
            Refused,
            "jwt[0].issuer.url",
            "case",
        ),
        (
            "oidc.go hasCorrectIssuer: another",
            issuer(&format!("{{url: https://other.example.com, {aud}}}")),
            json!({}),
            Refused,
            "jwt",
            "invalid bearer token",
        ),
        (
            "oidc.go hasCorrectIssuer: none in the token",
            issuer(&format!("{{url: https://ci.example.com, {aud}}}")),
            json!({"iss": null}),
            Refused,
            "jwt",
            "invalid bearer token",
        ),
        (
            "the discovery URL is where keys are, not who issues",
            issuer(&format!(
                "{{url: https://ci.example.com, discoveryURL: https://ci.internal/.well-known/openid-configuration, {aud}}}"
            )),
            json!({}),
            Admitted,
            "claimMappings",
            SUBJECT,
        ),
        (
            "oidc.go verifyAudience",
            issuer("{url: https://ci.example.com, audiences: [other]}"),
            json!({}),
            Refused,
            "jwt[0].issuer.audiences",
            "expected audience",
        ),
        (
            "oidc.go verifyAudience: any of several",
            issuer(
                "{url: https://ci.example.com, audiences: [a, kubernetes.workload.identity], audienceMatchPolicy: MatchAny}",
            ),
            json!({}),
            Admitted,
            "claimMappings",
            SUBJECT,
        ),
        (
            "oidc.go verifyAudience: none of several",
            issuer(
                "{url: https://ci.example.com, audiences: [a, b], audienceMatchPolicy: MatchAny}",
            ),
            json!({}),
            Refused,
            "jwt[0].issuer.audiences",
            "none of",
        ),
        (
            "RFC 7519 4.1.3: aud may be a list",
            issuer(&format!("{{url: https://ci.example.com, {aud}}}")),
            json!({"aud": ["x", "kubernetes.workload.identity"]}),
            Admitted,
            "claimMappings",
            SUBJECT,
        ),
        (
            "oidc.go verifyAudience: case",
            issuer(&format!("{{url: https://ci.example.com, {aud}}}")),
            json!({"aud": "Kubernetes.workload.identity"}),
            Refused,
            "jwt[0].issuer.audiences",
            "case",
        ),
        (
            "oidc.go verifyAudience: none in the token",
            issuer(&format!("{{url: https://ci.example.com, {aud}}}")),
            json!({"aud": null}),
            Refused,
            "jwt[0].issuer.audiences",
            "no `aud`",
        ),
    ];
    hold(rows);
}

#[test]
fn the_entry_of_the_tokens_issuer_is_the_one_that_counts() {
    let one = |url: &str, rule: &str| {
        format!(
            "- issuer: {{url: {url}, audiences: [kubernetes.workload.identity]}}\n  \
             claimValidationRules: [{{claim: sub, requiredValue: '{rule}'}}]\n  \
             claimMappings: {{username: {{claim: sub, prefix: ''}}}}\n"
        )
    };
    let both = with_entries(&format!(
        "{}{}",
        one("https://app.terraform.io", "x"),
        one("https://ci.example.com", SUBJECT)
    ));
    hold(vec![
        (
            "validation.go: several issuers",
            both.clone(),
            json!({}),
            Admitted,
            "jwt[1]",
            "",
        ),
        (
            "validation.go: several issuers",
            both,
            json!({"iss": "https://app.terraform.io"}),
            Refused,
            "jwt[0].claimValidationRules[0].requiredValue",
            "another",
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn names_come_from_claims_or_expressions() {
    hold(vec![
        (
            "oidc.go getUsername: prefix",
            mapping("{username: {claim: sub, prefix: 'ci:'}}"),
            json!({}),
            Admitted,
            "username.claim",
            "ci:organization:acme",
        ),
        (
            "oidc.go getUsername: no claim",
            mapping("{username: {claim: login, prefix: ''}}"),
            json!({}),
            Refused,
            "claimMappings.username.claim",
            "no claim `login`",
        ),
        (
            "oidc.go getUsername: only texts",
            mapping("{username: {claim: iat, prefix: ''}}"),
            json!({}),
            Refused,
            "claimMappings.username.claim",
            "a number",
        ),
        (
            "oidc.go getUsername: email not verified",
            mapping("{username: {claim: email, prefix: ''}}"),
            json!({"email": "a@example.com", "email_verified": false}),
            Refused,
            "username",
            "email not verified",
        ),
        (
            "oidc.go getUsername: email, nothing said",
            mapping("{username: {claim: email, prefix: ''}}"),
            json!({"email": "a@example.com"}),
            Admitted,
            "username",
            "a@example.com",
        ),
        (
            "oidc.go getUsername: email verified",
            mapping("{username: {claim: email, prefix: ''}}"),
            json!({"email": "a@example.com", "email_verified": true}),
            Admitted,
            "username",
            "a@example.com",
        ),
        (
            "oidc.go getUsername: CEL",
            mapping("{username: {expression: '\"runmint:\" + claims.sub'}}"),
            json!({}),
            Admitted,
            "username.expression",
            "runmint:organization:acme",
        ),
        (
            "oidc.go getUsername: CEL without the claim",
            mapping("{username: {expression: '\"x:\" + claims.login'}}"),
            json!({}),
            Refused,
            "username.expression",
            "cannot be evaluated",
        ),
        (
            "oidc.go getUsername: CEL that gives nothing",
            mapping("{username: {expression: 'claims.sub.substring(0, 0)'}}"),
            json!({}),
            Refused,
            "username.expression",
            "empty",
        ),
        (
            "what is not understood is not guessed",
            mapping("{username: {expression: 'claims.sub.unheardOf()'}}"),
            json!({}),
            Undecided,
            "username.expression",
            "not understood",
        ),
        (
            "oidc.go getGroups: a text alone",
            mapping(
                "{username: {claim: sub, prefix: ''}, groups: {claim: terraform_workspace_name, prefix: 'ws:'}}",
            ),
            json!({}),
            Admitted,
            "groups.claim",
            "ws:prod",
        ),
        (
            "oidc.go getGroups: a list",
            mapping("{username: {claim: sub, prefix: ''}, groups: {claim: roles, prefix: 'r:'}}"),
            json!({"roles": ["a", "b"]}),
            Admitted,
            "groups.claim",
            "\"r:a\", \"r:b\"",
        ),
        (
            "oidc.go getGroups: no claim, no groups",
            mapping("{username: {claim: sub, prefix: ''}, groups: {claim: roles, prefix: 'r:'}}"),
            json!({}),
            Admitted,
            "groups.claim",
            "[]",
        ),
        (
            "oidc.go stringOrArray: numbers",
            mapping("{username: {claim: sub, prefix: ''}, groups: {claim: iat, prefix: ''}}"),
            json!({}),
            Refused,
            "groups.claim",
            "a number",
        ),
        (
            "oidc.go convertCELValueToStringList: empty ones are left out",
            mapping(
                "{username: {claim: sub, prefix: ''}, groups: {expression: '[\"\", \"g:\" + claims.terraform_workspace_name]'}}",
            ),
            json!({}),
            Admitted,
            "groups.expression",
            "[\"g:prod\"]",
        ),
        (
            "oidc.go getUID: no claim",
            mapping("{username: {claim: sub, prefix: ''}, uid: {claim: uid}}"),
            json!({}),
            Refused,
            "claimMappings.uid.claim",
            "no claim `uid`",
        ),
        (
            "oidc.go getUID: CEL",
            mapping("{username: {claim: sub, prefix: ''}, uid: {expression: claims.sub}}"),
            json!({}),
            Admitted,
            "uid.expression",
            SUBJECT,
        ),
        (
            "oidc.go getExtra",
            mapping(
                "{username: {claim: sub, prefix: ''}, extra: [{key: ci.example.com/ws, valueExpression: claims.terraform_workspace_name}]}",
            ),
            json!({}),
            Admitted,
            "extra[0]",
            "prod",
        ),
        (
            "oidc.go getExtra: no claim",
            mapping(
                "{username: {claim: sub, prefix: ''}, extra: [{key: ci.example.com/ws, valueExpression: claims.nothing}]}",
            ),
            json!({}),
            Refused,
            "extra[0].valueExpression",
            "cannot be evaluated",
        ),
    ]);
}
