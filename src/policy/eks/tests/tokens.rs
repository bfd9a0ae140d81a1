//! The OIDC identity provider.

use serde_json::{Value, json};

use super::super::super::Decision::{self, Admitted, Refused};
use super::{SUBJECT, binding, hold, presented, verdict};

/// What `aws eks describe-identity-provider-config` prints, with some members changed.
fn provider(changes: &Value) -> Value {
    let mut oidc = json!({
        "identityProviderConfigName": "runmint",
        "identityProviderConfigArn":
            "arn:aws:eks:eu-central-1:123456789012:identityproviderconfig/c/oidc/runmint/1",
        "clusterName": "c",
        "issuerUrl": "https://ci.example.com",
        "clientId": "kubernetes.workload.identity",
        "usernameClaim": "sub",
        "usernamePrefix": "runmint:",
        "requiredClaims": {},
        "tags": {},
        "status": "ACTIVE",
    });
    for (name, value) in changes.as_object().unwrap() {
        oidc[name] = value.clone();
    }
    json!({"identityProviderConfig": {"oidc": oidc}})
}

type Row = (
    &'static str,
    Value,
    Value,
    Decision,
    &'static str,
    &'static str,
);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_token_is_let_in_as_the_flags_of_the_api_server_do_it() {
    let rows: Vec<Row> = vec![
        (
            "EKSUG",
            json!({}),
            json!({}),
            Admitted,
            "usernameClaim",
            "runmint:organization:acme",
        ),
        (
            "oidc.go: issuer, slash",
            json!({"issuerUrl": "https://ci.example.com/"}),
            json!({}),
            Refused,
            "oidc.issuerUrl",
            "slash",
        ),
        (
            "oidc.go: issuer, case",
            json!({"issuerUrl": "https://ci.example.com/A"}),
            json!({"iss": "https://ci.example.com/a"}),
            Refused,
            "oidc.issuerUrl",
            "case",
        ),
        (
            "EKSUG: one provider",
            json!({"issuerUrl": "https://app.terraform.io"}),
            json!({}),
            Refused,
            "oidc.issuerUrl",
            "one identity provider",
        ),
        (
            "oidc.go: no issuer",
            json!({}),
            json!({"iss": null}),
            Refused,
            "oidc.issuerUrl",
            "no `iss`",
        ),
        (
            "oidc.go: audience",
            json!({"clientId": "sts.amazonaws.com"}),
            json!({}),
            Refused,
            "oidc.clientId",
            "another",
        ),
        (
            "oidc.go: audience, case",
            json!({"clientId": "Kubernetes.workload.identity"}),
            json!({}),
            Refused,
            "oidc.clientId",
            "case",
        ),
        (
            "oidc.go: audience, a list",
            json!({}),
            json!({"aud": ["a", "kubernetes.workload.identity"]}),
            Admitted,
            "usernameClaim",
            "",
        ),
        (
            "oidc.go: audience, none of a list",
            json!({}),
            json!({"aud": ["a", "b"]}),
            Refused,
            "oidc.clientId",
            "none",
        ),
        (
            "oidc.go: no audience",
            json!({}),
            json!({"aud": null}),
            Refused,
            "oidc.clientId",
            "no `aud`",
        ),
        (
            "EKSUG: prefix, by default the issuer",
            json!({"usernamePrefix": null}),
            json!({}),
            Admitted,
            "usernameClaim",
            "https://ci.example.com#organization",
        ),
        (
            "EKSUG: prefix, none",
            json!({"usernamePrefix": "-"}),
            json!({}),
            Admitted,
            "usernameClaim",
            "[\"organization:",
        ),
        (
            "EKSUG: claim, sub by default",
            json!({"usernameClaim": null}),
            json!({}),
            Admitted,
            "usernameClaim",
            "runmint:organization",
        ),
        (
            "EKSUG: prefix, none for email",
            json!({"usernameClaim": "email", "usernamePrefix": null}),
            json!({"email": "a@example.com"}),
            Admitted,
            "usernameClaim",
            "[\"a@example.com\"]",
        ),
        (
            "oidc.go: email not verified",
            json!({"usernameClaim": "email"}),
            json!({"email": "a@example.com", "email_verified": false}),
            Refused,
            "usernameClaim",
            "not verified",
        ),
        (
            "oidc.go: claim missing",
            json!({"usernameClaim": "login"}),
            json!({}),
            Refused,
            "usernameClaim",
            "no claim `login`",
        ),
        (
            "oidc.go: claim, a number",
            json!({"usernameClaim": "iat"}),
            json!({}),
            Refused,
            "usernameClaim",
            "a number",
        ),
        (
            "oidc.go: groups, a text alone",
            json!({"groupsClaim": "terraform_workspace_name", "groupsPrefix": "runmint:"}),
            json!({}),
            Admitted,
            "groupsClaim",
            "runmint:prod",
        ),
        (
            "oidc.go: groups, a list",
            json!({"groupsClaim": "g"}),
            json!({"g": ["a", "b"]}),
            Admitted,
            "groupsClaim",
            "\"a\", \"b\"",
        ),
        (
            "oidc.go: groups, missing",
            json!({"groupsClaim": "g"}),
            json!({}),
            Admitted,
            "groupsClaim",
            "[]",
        ),
        (
            "oidc.go: groups, a number",
            json!({"groupsClaim": "iat"}),
            json!({}),
            Refused,
            "groupsClaim",
            "a number",
        ),
        (
            "EKSUG: required claims",
            json!({"requiredClaims": {"terraform_organization_name": "acme"}}),
            json!({}),
            Admitted,
            "requiredClaims",
            "acme",
        ),
        (
            "EKSUG: required claims, another",
            json!({"requiredClaims": {"terraform_organization_name": "acme"}}),
            json!({"terraform_organization_name": "acme-x"}),
            Refused,
            "oidc.requiredClaims.terraform_organization_name",
            "goes on",
        ),
        (
            "EKSUG: required claims, no wildcard",
            json!({"requiredClaims": {"sub": "organization:acme:*"}}),
            json!({}),
            Refused,
            "oidc.requiredClaims.sub",
            "another",
        ),
        (
            "EKSUG: required claims, missing",
            json!({"requiredClaims": {"team": "x"}}),
            json!({}),
            Refused,
            "oidc.requiredClaims.team",
            "no claim",
        ),
        (
            "EKSUG: status",
            json!({"status": "CREATING"}),
            json!({}),
            Refused,
            "oidc.status",
            "ACTIVE",
        ),
    ];
    for (source, changes, claims, decision, place, word) in rows {
        let changed = provider(&changes);
        for document in [
            &changed,
            &changed["identityProviderConfig"],
            &changed["identityProviderConfig"]["oidc"],
        ] {
            let verdict = verdict(std::slice::from_ref(document), &presented(&claims, None));
            hold(source, &verdict, decision, place, word);
        }
    }
}

#[test]
fn rbac_stands_beside_it() {
    let own = format!("runmint:{SUBJECT}");
    let by_default = format!("https://ci.example.com#{SUBJECT}");
    let group = json!({"groupsClaim": "terraform_workspace_name", "groupsPrefix": "ws:"});
    let rows = [
        (json!({}), binding("User", &own), Admitted, "view"),
        (json!({}), binding("User", &by_default), Refused, "403"),
        (
            json!({"usernamePrefix": null}),
            binding("User", &by_default),
            Admitted,
            "view",
        ),
        (
            json!({"usernamePrefix": "-"}),
            binding("User", SUBJECT),
            Admitted,
            "view",
        ),
        (
            json!({}),
            binding("User", SUBJECT),
            Refused,
            "prefix of the name is missing",
        ),
        (group.clone(), binding("Group", "ws:prod"), Admitted, "view"),
        (
            group,
            binding("Group", "prod"),
            Refused,
            "prefix of the name is missing",
        ),
    ];
    for (changes, binding, decision, word) in rows {
        // In either order.
        for documents in [
            [provider(&changes), binding.clone()],
            [binding.clone(), provider(&changes)],
        ] {
            let verdict = verdict(&documents, &presented(&json!({}), None));
            hold("rbac.go appliesToUser", &verdict, decision, "", word);
        }
    }
}

#[test]
fn what_admits_more_than_it_seems_to_is_named() {
    let rows = [
        (json!({}), "no claim is required"),
        (
            json!({"usernamePrefix": "-"}),
            "user names without a prefix",
        ),
        (json!({"groupsClaim": "g"}), "groups without a prefix"),
    ];
    for (changes, word) in rows {
        let verdict = verdict(&[provider(&changes)], &presented(&json!({}), None));
        assert!(
            verdict.weaknesses.iter().any(|w| w.what.contains(word)),
            "{verdict:#?}"
        );
    }
    let closed = json!({"requiredClaims": {"terraform_organization_name": "acme"}});
    let verdict = verdict(&[provider(&closed)], &presented(&json!({}), None));
    let [unseen] = verdict.weaknesses.as_slice() else {
        panic!("the bindings were not given");
    };
    assert!(unseen.what.starts_with("not looked at"), "{unseen:?}");
}
