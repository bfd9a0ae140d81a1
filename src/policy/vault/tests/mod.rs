//! A role against tokens, as Vault does it.

mod table;

use serde_json::{Value, json};

use super::{Policy, recognizes};
use crate::policy::Decision::{Admitted, Refused};
use crate::policy::{BadPolicy, Document, Presented};

const SUBJECT: &str = "organization:acme:project:p:workspace:prod:run_phase:plan";

fn run() -> Presented {
    let claims = json!({
        "iss": "https://ci.example.com", "sub": SUBJECT, "aud": "vault.workload.identity",
        "terraform_workspace_name": "prod", "terraform_run_phase": "plan",
        "terraform_full_workspace": "organization:acme:project:p:workspace:prod",
        "groups": ["dev", "ops"], "level": 3, "is_protected": true, "nested": {"a/b": {"c": "deep"}},
    });
    Presented {
        claims: claims.as_object().unwrap().clone(),
        role_arn: None,
    }
}

fn read(values: Vec<Value>) -> Result<Policy, BadPolicy> {
    let documents = values.into_iter().enumerate();
    let documents: Vec<_> = documents
        .map(|(index, value)| Document {
            name: format!("f{index}.json"),
            value,
        })
        .collect();
    Policy::read(&documents)
}

/// A role that admits the run, with other members.
fn role(members: Value) -> Value {
    let mut role = json!({"role_type": "jwt", "bound_audiences": ["vault.workload.identity"],
        "user_claim": "terraform_full_workspace"});
    let Value::Object(members) = members else {
        panic!("{members} is no object");
    };
    for (name, value) in members {
        role[name] = value;
    }
    role
}

fn glob(claims: Value) -> Value {
    let mut role = role(json!({"bound_claims_type": "glob"}));
    role["bound_claims"] = claims;
    role
}

fn string(claims: Value) -> Value {
    let mut role = role(json!({}));
    role["bound_claims"] = claims;
    role
}

#[test]
fn the_mounts_configuration_says_whose_tokens_count() {
    let cases = [
        (
            json!({"oidc_discovery_url": "https://ci.example.com", "bound_issuer":
            "https://ci.example.com"}),
            Admitted,
            "",
        ),
        (
            json!({"data": {"jwks_url": "https://ci.example.com/.well-known/jwks", "bound_issuer":
            "https://ci.example.com", "oidc_discovery_url": "", "jwks_pairs": []}}),
            Admitted,
            "",
        ),
        (
            json!({"oidc_discovery_url": "https://ci.example.com/", "bound_issuer":
            "https://ci.example.com"}),
            Refused,
            "trailing slash",
        ),
        (
            json!({"jwks_url": "x", "bound_issuer": "https://CI.example.com"}),
            Refused,
            "letter case",
        ),
        (
            json!({"jwks_url": "x", "bound_issuer": "https://app.terraform.io"}),
            Refused,
            "iss",
        ),
        (json!({"jwks_url": "x"}), Admitted, ""),
    ];
    for (config, decision, said) in cases {
        let policy = read(vec![
            config.clone(),
            role(json!({"bound_subject": SUBJECT})),
        ])
        .unwrap();
        let verdict = policy.evaluate(&run());
        assert_eq!(verdict.decision, decision, "{config}");
        let why = verdict.first_failure().map_or("", |check| &check.why);
        assert!(why.contains(said), "{config}: {why}");
        if !verdict.admits() {
            let (_, after) = policy.admitting(&run()).unwrap();
            assert!(after.evaluate(&run()).admits(), "{config}");
        }
    }
}

#[test]
fn what_vault_would_not_take_is_refused_with_its_place() {
    for (values, said) in [
        (
            vec![role(json!({"role_type": "saml"}))],
            "role_type: is `saml`",
        ),
        (
            vec![role(json!({"user_claim": ""}))],
            "user_claim: is missing",
        ),
        (
            vec![role(json!({"bound_claims_type": "regex"}))],
            "bound_claims_type: is `regex`",
        ),
        (
            vec![glob(json!({"level": 3}))],
            "bound_claims[\"level\"]: is 3",
        ),
        (
            vec![string(json!({"level": {}}))],
            "bound_claims[\"level\"]",
        ),
        (vec![string(json!("x"))], "bound_claims: is \"x\""),
        (
            vec![role(json!({"bound_audiences": []}))],
            "needs at least one",
        ),
        (
            vec![role(json!({"bound_audiences": [1]}))],
            "bound_audiences: is 1",
        ),
        (
            vec![role(json!({"claim_mappings": {"sub": "role"}}))],
            "reserved",
        ),
        (
            vec![role(json!({"claim_mappings": {"a": "x", "b": "x"}}))],
            "twice",
        ),
        (vec![json!({"jwks_url": "x"})], "give a role as well"),
        (vec![role(json!({})), role(json!({}))], "is a second role"),
        (
            vec![role(json!({})), json!({"bound_issuer": "x"})],
            "exactly one of",
        ),
        (
            vec![
                role(json!({})),
                json!({"jwks_url": "x", "oidc_discovery_url": "y"}),
            ],
            "exactly one of",
        ),
        (
            vec![
                role(json!({})),
                json!({"jwks_pairs": [{}], "bound_issuer": "y"}),
            ],
            "jwks_pairs",
        ),
        (
            vec![
                role(json!({})),
                json!({"oidc_discovery_url":
            "https://ci.example.com/.well-known/openid-configuration"}),
            ],
            "which Vault adds",
        ),
    ] {
        let error = read(values).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn the_smallest_change_admits_the_run() {
    for (value, said) in [
        (
            role(json!({"role_type": "oidc"})),
            "set `role_type` to `jwt`",
        ),
        (
            role(json!({"bound_audiences": ["x"]})),
            "add `vault.workload.identity`",
        ),
        (
            role(json!({"bound_subject": "x"})),
            "bind the claim `sub` to both",
        ),
        (role(json!({"bound_subject": "x*"})), "set `bound_subject`"),
        (
            role(json!({"user_claim": "email"})),
            "set `user_claim` to `terraform_full_workspace`",
        ),
        (glob(json!({"sub": "x:*"})), "add \"organization:acme"),
        (
            string(json!({"terraform_workspace_name": "dev"})),
            "add \"prod\"",
        ),
        (
            string(json!({"groups": "qa", "terraform_run_phase": "apply"})),
            "add \"dev\"",
        ),
    ] {
        let policy = read(vec![value]).unwrap();
        let (change, after) = policy.admitting(&run()).unwrap();
        assert!(change.what.contains(said), "{}", change.what);
        assert!(after.evaluate(&run()).admits(), "{}", change.what);
    }
    for value in [
        role(json!({})),
        string(json!({"ref": "main"})),
        role(json!({"groups_claim": "teams"})),
        role(json!({"token_bound_cidrs": "10.0.0.0/8"})),
    ] {
        assert!(read(vec![value]).unwrap().admitting(&run()).is_none());
    }
}

#[test]
fn a_new_audience_is_said_to_be_for_the_other_subjects_too() {
    let said = "the other subjects that the policy names may use this audience too";
    let others = SUBJECT.replace("plan", "*");
    for (mut value, is_for_others) in [
        (glob(json!({"sub": [others, "organization:Q:*"]})), true),
        (string(json!({"sub": [SUBJECT, "x"]})), true),
        (role(json!({"bound_subject": "x"})), true),
        (role(json!({})), true),
        (role(json!({"bound_subject": SUBJECT})), false),
        (string(json!({"sub": SUBJECT})), false),
        (glob(json!({"sub": [SUBJECT]})), false),
    ] {
        value["bound_audiences"] = json!(["a"]);
        let policy = read(vec![value]).unwrap();
        let (change, _) = policy.admitting(&run()).unwrap();
        assert_eq!(change.what.contains(said), is_for_others, "{change:?}");
    }
}

#[test]
fn open_patterns_are_named() {
    let what = |value: Value| {
        let verdict = read(vec![value]).unwrap().evaluate(&run());
        let all = verdict
            .weaknesses
            .iter()
            .map(|weakness| weakness.what.clone());
        all.collect::<Vec<_>>().join("\n")
    };
    assert!(
        what(glob(
            json!({"sub": "organization:acme:project:p:workspace:prod*"})
        ))
        .contains("`prod*`")
    );
    assert!(what(glob(json!({"sub": "organization:acme:*"}))).contains("all parts that follow"));
    assert!(what(role(json!({}))).contains("every run"));
    let closed = what(glob(json!({"sub": SUBJECT.replace("plan", "*")})));
    assert!(!closed.contains("run_phase"), "{closed}");
    assert!(closed.contains("auth/jwt/config"), "{closed}");
}

#[test]
fn other_documents_are_not_taken_for_roles() {
    for value in [
        json!({"issuer": "x", "subject": "y", "audiences": ["z"]}),
        json!({"conditional_access": "x"}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"mapRoles": "x"}}),
        json!({"oidc": {"issuerUri": "x"}, "attributeMapping": {}}),
        json!([1]),
    ] {
        assert!(!recognizes(&value), "{value}");
    }
}
