//! A foreign token's claims, mapped by the rules of its issuer: part of a token exchange.

use divan::{Bencher, black_box};
use runmint::auth::mapping::{Identity, Mapping};
use runmint::domain::trusted_issuer::Definition;
use serde_json::{Value, json};

/// By the first rule, by the second after a look at the first, or by none.
#[divan::bench(args = ["apply", "plan", "none"])]
fn map(bencher: Bencher<'_, '_>, rule: &str) {
    let mapping = Mapping::compile(&definition()).unwrap();
    let mut claims = claims();
    match rule {
        "plan" => claims["ref"] = json!("refs/heads/feature"),
        "none" => claims["repository_owner_id"] = json!("7654321"),
        _ => {}
    }
    match mapping.map(&claims, &[7; 16]) {
        Ok(mapped) => {
            assert_eq!(mapped.rule, rule);
            assert!(matches!(mapped.identity, Identity::Workload(..)));
        }
        Err(reason) => assert_eq!(rule, "none", "{reason}"),
    }
    bencher.bench(|| mapping.map(black_box(&claims), &[7; 16]));
}

/// Once, when the issuer is saved or read.
#[divan::bench]
fn compile(bencher: Bencher<'_, '_>) {
    let definition = definition();
    bencher.bench(|| Mapping::compile(black_box(&definition)).unwrap());
}

/// What the documentation says for GitHub.
fn definition() -> Definition {
    let page = include_str!("../../docs/trusted-issuers.md");
    let (_, rest) = page.split_once("```json github\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    serde_json::from_str(text).unwrap()
}

/// A token of GitHub's, for a push to `main`.
fn claims() -> Value {
    json!({
        "iss": "https://token.actions.githubusercontent.com", "aud": "https://ci.example.com",
        "iat": 1_795_290_000, "nbf": 1_795_289_400, "exp": 1_795_290_300,
        "jti": "f81d4fae-7dec-41d0-a765-00a0c91e6bf6",
        "sub": "repo:acme/net-1:ref:refs/heads/main",
        "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
        "sha": "8b1a9953c4611296a827abf8c47804d7f1e2d3c4",
        "repository": "acme/net-1", "repository_id": "87654321", "repository_visibility": "private",
        "repository_owner": "acme", "repository_owner_id": "1234567",
        "run_id": "16543210987", "run_number": "42", "run_attempt": "1",
        "runner_environment": "github-hosted", "actor": "octocat", "actor_id": "583231",
        "workflow": "terraform", "head_ref": "", "base_ref": "", "event_name": "push",
        "workflow_ref": "acme/net-1/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_ref": "acme/ci/.github/workflows/terraform.yml@refs/heads/main",
    })
}
