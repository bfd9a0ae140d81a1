//! What is a policy, and what is none.

use serde_json::{Value, json};

use super::*;

#[rustfmt::skip]
#[test]
fn documents_are_known_by_their_form() {
    for known in [
        provider(),
        json!([provider()]),
        json!({"etag": "ACAB"}),
        json!({"bindings": []}),
        json!({"oidc": {"issuerUri": "https://x"}}),
    ] {
        assert!(recognizes(&known), "{known}");
    }
    for other in [
        json!({}),
        json!([]),
        json!({"Statement": []}),
        json!({"issuer": "x", "subject": "y", "audiences": []}),
        json!({"kind": "RoleBinding", "subjects": []}),
        json!({"bound_audiences": []}),
        json!({"name": "x"}),
        json!({"oidc": {"issuerUrl": "https://x"}}),
        json!({"name": "iam/project/p/service-principal/s/workload-identity-provider/w", "oidc_config": {}}),
    ] {
        assert!(!recognizes(&other), "{other}");
    }
}

#[rustfmt::skip]
#[test]
fn what_is_no_policy_is_said_with_its_place() {
    for (documents, place) in [
        (vec![changed(provider(), &[("/oidc", Value::Null)])], "oidc"),
        (vec![changed(provider(), &[("/aws", json!({"accountId": "1"}))])], "aws"),
        (vec![changed(provider(), &[("/oidc/issuerUri", json!(5))])], "oidc.issuerUri"),
        (vec![changed(provider(), &[("/oidc/allowedAudiences", json!("a"))])], "oidc.allowedAudiences"),
        (vec![changed(provider(), &[("/attributeMapping/google.subject", json!(5))])], "attributeMapping[\"google.subject\"]"),
        (vec![changed(provider(), &[("/attributeCondition", json!(true))])], "attributeCondition"),
        (vec![changed(provider(), &[("/disabled", json!("no"))])], "disabled"),
        (vec![json!({"etag": "ACAB"})], "bindings"),
        (vec![provider(), json!({"bindings": [{"members": []}]})], "bindings[0].role"),
        (vec![provider(), json!({"bindings": [{"role": "r", "members": [5]}]})], "bindings[0].members"),
        (vec![provider(), json!({"bindings": []}), json!({"bindings": []})], "p.json"),
    ] {
        let documents: Vec<_> = documents
            .into_iter()
            .map(|value| Document {
                name: "p.json".to_owned(),
                value,
            })
            .collect();
        let error = Policy::read(&documents).unwrap_err();
        let BadPolicy::Malformed { place: found, what } = &error else {
            panic!("{error}");
        };
        assert_eq!(found, place);
        assert!(!what.is_empty());
    }
}
