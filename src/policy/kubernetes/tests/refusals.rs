//! Files that the API server would not take, and what is no policy at all.

use super::{read, with_entries};

const OWN: &str = "claimMappings: {username: {claim: sub, prefix: ''}}";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_the_api_server_refuses_is_refused_with_its_place() {
    let issuer = |issuer: &str| with_entries(&format!("- issuer: {issuer}\n  {OWN}\n"));
    let more = |more: &str| {
        with_entries(&format!(
            "- issuer: {{url: https://a.example.com, audiences: [a]}}\n  {more}\n"
        ))
    };
    let rows = [
        (
            issuer("{url: http://a.example.com, audiences: [a]}"),
            "jwt[0].issuer.url",
            "https://",
        ),
        (
            issuer("{url: https://u:p@a.example.com, audiences: [a]}"),
            "jwt[0].issuer.url",
            "user name",
        ),
        (
            issuer("{url: 'https://a.example.com?x=1', audiences: [a]}"),
            "jwt[0].issuer.url",
            "query",
        ),
        (
            issuer("{url: 'https://a.example.com#x', audiences: [a]}"),
            "jwt[0].issuer.url",
            "fragment",
        ),
        (issuer("{audiences: [a]}"), "jwt[0].issuer.url", "required"),
        (
            issuer(
                "{url: https://a.example.com, discoveryURL: https://a.example.com/, audiences: [a]}",
            ),
            "jwt[0].issuer.discoveryURL",
            "differ",
        ),
        (
            issuer("{url: https://a.example.com}"),
            "jwt[0].issuer.audiences",
            "one audience",
        ),
        (
            issuer("{url: https://a.example.com, audiences: ['']}"),
            "jwt[0].issuer.audiences[0]",
            "empty",
        ),
        (
            issuer(
                "{url: https://a.example.com, audiences: [a, a], audienceMatchPolicy: MatchAny}",
            ),
            "jwt[0].issuer.audiences[1]",
            "already",
        ),
        (
            issuer("{url: https://a.example.com, audiences: [a, b]}"),
            "jwt[0].issuer.audienceMatchPolicy",
            "MatchAny",
        ),
        (
            issuer("{url: https://a.example.com, audiences: [a], audienceMatchPolicy: MatchAll}"),
            "jwt[0].issuer.audienceMatchPolicy",
            "MatchAny",
        ),
        (
            issuer("{url: https://a.example.com, audience: [a]}"),
            "jwt[0].issuer.audience",
            "not known",
        ),
        (
            more("claimMappings: {}"),
            "jwt[0].claimMappings.username",
            "required",
        ),
        (
            more("claimMappings: {username: {claim: sub}}"),
            "jwt[0].claimMappings.username.prefix",
            "required",
        ),
        (
            more("claimMappings: {username: {claim: sub, prefix: '', expression: claims.sub}}"),
            "jwt[0].claimMappings.username",
            "not both",
        ),
        (
            more("claimMappings: {username: {expression: claims.sub, prefix: ''}}"),
            "jwt[0].claimMappings.username.prefix",
            "`claim` only",
        ),
        (
            more("claimMappings: {username: {expression: claims.email}}"),
            "jwt[0].claimMappings.username.expression",
            "email_verified",
        ),
        (
            more(
                "claimMappings: {username: {claim: sub, prefix: ''}, uid: {claim: a, expression: b}}",
            ),
            "jwt[0].claimMappings.uid",
            "not both",
        ),
        (
            more(
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: run, valueExpression: claims.sub}]}",
            ),
            "jwt[0].claimMappings.extra[0].key",
            "domain",
        ),
        (
            more(
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: a.example.com/Run, valueExpression: claims.sub}]}",
            ),
            "jwt[0].claimMappings.extra[0].key",
            "lower case",
        ),
        (
            more(
                "claimMappings: {username: {claim: sub, prefix: ''}, extra: [{key: x.k8s.io/run, valueExpression: claims.sub}]}",
            ),
            "jwt[0].claimMappings.extra[0].key",
            "Kubernetes' own",
        ),
        (
            more(&format!(
                "{OWN}\n  claimValidationRules: [{{claim: a, requiredValue: 5}}]"
            )),
            "jwt[0].claimValidationRules[0].requiredValue",
            "quotes",
        ),
        (
            more(&format!(
                "{OWN}\n  claimValidationRules: [{{claim: a, requiredValue: b, message: c}}]"
            )),
            "jwt[0].claimValidationRules[0].message",
            "`expression` only",
        ),
        (
            more(&format!(
                "{OWN}\n  claimValidationRules: [{{claim: a, requiredValue: b}}, {{claim: a, requiredValue: c}}]"
            )),
            "jwt[0].claimValidationRules[1].claim",
            "already",
        ),
        (
            more(&format!(
                "{OWN}\n  claimValidationRules: [{{expression: 'true', requiredValue: c}}]"
            )),
            "jwt[0].claimValidationRules[0].requiredValue",
            "`claim` only",
        ),
        (
            more(&format!("{OWN}\n  claimValidationRules: [{{message: c}}]")),
            "jwt[0].claimValidationRules[0].claim",
            "required",
        ),
        (
            more(&format!("{OWN}\n  userValidationRules: [{{message: c}}]")),
            "jwt[0].userValidationRules[0].expression",
            "required",
        ),
        (
            more(&format!("{OWN}\n  userRules: []")),
            "jwt[0].userRules",
            "not known",
        ),
        (
            with_entries(
                &format!("- issuer: {{url: https://a.example.com, audiences: [a]}}\n  {OWN}\n")
                    .repeat(2),
            ),
            "jwt[1].issuer.url",
            "already",
        ),
        (
            with_entries(
                &format!("- issuer: {{url: https://a.example.com, audiences: [a]}}\n  {OWN}\n")
                    .repeat(65),
            ),
            "jwt",
            "64",
        ),
        (
            "apiVersion: apiserver.config.k8s.io/v2\nkind: AuthenticationConfiguration\n"
                .to_owned(),
            "apiVersion",
            "v1",
        ),
    ];
    for (text, place, word) in rows {
        let error = read(&text).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{place}: ")) && error.contains(word),
            "{text}\n{error}"
        );
    }
}

#[test]
fn older_versions_and_an_address_that_is_looked_at_are_taken() {
    for version in ["v1", "v1beta1", "v1alpha1"] {
        let text = with_entries("").replace("io/v1", &format!("io/{version}"));
        read(&text).unwrap();
    }
    for verified in [
        "claimMappings: {username: {expression: 'claims.email_verified ? claims.email : \"\"'}}",
        "claimMappings: {username: {expression: claims.email}}\n  claimValidationRules: [{expression: claims.email_verified}]",
        "claimMappings: {username: {expression: claims.email}, extra: [{key: a.example.com/v, valueExpression: string(claims.email_verified)}]}",
    ] {
        read(&with_entries(&format!(
            "- issuer: {{url: https://a.example.com, audiences: [a]}}\n  {verified}\n"
        )))
        .unwrap();
    }
}

#[test]
fn bindings_alone_and_two_files_are_no_policy() {
    let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: b}\n\
                   roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\n";
    let error = read(binding).unwrap_err().to_string();
    assert!(error.contains("AuthenticationConfiguration"), "{error}");
    let two = format!("{}---\n{}", with_entries(""), with_entries(""));
    let error = read(&two).unwrap_err().to_string();
    assert!(
        error.contains("document 2") && error.contains("second"),
        "{error}"
    );
    let wrong = [
        (
            "kind: ClusterRole, name: view",
            "kind: Role, name: view",
            "ClusterRoleBinding/b.roleRef.kind",
        ),
        ("metadata: {name: b}", "metadata: {}", "metadata.name"),
        (
            "kind: ClusterRole, name: view}",
            "kind: ClusterRole, name: view}\nsubjects: [{kind: user, name: x}]",
            "ClusterRoleBinding/b.subjects[0].kind",
        ),
        (
            "kind: ClusterRole, name: view}",
            "kind: ClusterRole, name: view}\nsubjects: [{kind: User, name: x, apiGroup: v1}]",
            "ClusterRoleBinding/b.subjects[0].apiGroup",
        ),
    ];
    for (old, new, place) in wrong {
        let text = format!("{}---\n{}", with_entries(""), binding.replace(old, new));
        let error = read(&text).unwrap_err().to_string();
        assert!(error.starts_with(place), "{error}");
    }
}
