//! What a person may write, and what is read. An environment is written as it is in a shell:
//! `NAME=value NAME=value`.

use super::super::environment::Environment;
use super::{Configuration, InvalidVariable, read};
use crate::domain::phase::Phase;

mod conflicts;
mod forms;
mod random;
mod rules;
mod spellings;
mod wrong;

/// The least that each provider needs.
const AWS: &str = "TFC_AWS_PROVIDER_AUTH=true \
    TFC_AWS_RUN_ROLE_ARN=arn:aws:iam::123456789012:role/run";
const AZURE: &str = "TFC_AZURE_PROVIDER_AUTH=true \
    TFC_AZURE_RUN_CLIENT_ID=11111111-1111-1111-1111-111111111111";
const GCP: &str = "TFC_GCP_PROVIDER_AUTH=true \
    TFC_GCP_WORKLOAD_PROVIDER_NAME=projects/1/locations/global/workloadIdentityPools/pool/providers/prov \
    TFC_GCP_RUN_SERVICE_ACCOUNT_EMAIL=run@acme.iam.gserviceaccount.com";
const GCP_BY_PARTS: &str = "TFC_GCP_PROVIDER_AUTH=true \
    TFC_GCP_PROJECT_NUMBER=1 TFC_GCP_WORKLOAD_POOL_ID=pool TFC_GCP_WORKLOAD_PROVIDER_ID=prov \
    TFC_GCP_RUN_SERVICE_ACCOUNT_EMAIL=run@acme.iam.gserviceaccount.com";
const HCP: &str = "TFC_HCP_PROVIDER_AUTH=true TFC_HCP_RUN_PROVIDER_RESOURCE_NAME=iam/run";
const KUBERNETES: &str =
    "TFC_KUBERNETES_PROVIDER_AUTH=true TFC_KUBERNETES_WORKLOAD_IDENTITY_AUDIENCE=kubernetes";
const VAULT: &str = "TFC_VAULT_PROVIDER_AUTH=true TFC_VAULT_ADDR=https://vault.example.com:8200 \
    TFC_VAULT_RUN_ROLE=login";
const VAULT_BACKED_AWS: &str = "TFC_VAULT_BACKED_AWS_AUTH=true \
    TFC_VAULT_BACKED_AWS_AUTH_TYPE=iam_user TFC_VAULT_BACKED_AWS_RUN_VAULT_ROLE=run";
const VAULT_BACKED_AZURE: &str =
    "TFC_VAULT_BACKED_AZURE_AUTH=true TFC_VAULT_BACKED_AZURE_RUN_VAULT_ROLE=run";
const VAULT_BACKED_GCP: &str = "TFC_VAULT_BACKED_GCP_AUTH=true \
    TFC_VAULT_BACKED_GCP_AUTH_TYPE=roleset/access_token TFC_VAULT_BACKED_GCP_RUN_VAULT_ROLESET=run";

type Answer = Result<Vec<Configuration>, Vec<InvalidVariable>>;

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = text.split_whitespace();
    words.map(|word| word.split_once('=').unwrap())
}

fn read_in(phase: Option<Phase>, text: &str) -> Answer {
    read(&pairs(text).collect(), phase)
}

fn read_plan(text: &str) -> Answer {
    read_in(Some(Phase::Plan), text)
}

/// A configuration in one line, e.g. `Aws X: …`, for a table.
fn line(configuration: &Configuration) -> String {
    let provider = format!("{:?}", configuration.provider);
    let (_, inner) = provider.split_once('(').unwrap();
    let (kind, fields) = inner.split_once(" { ").unwrap();
    let fields = fields.strip_suffix(" })").unwrap();
    let tag = configuration.tag.as_ref();
    let tag = tag.map_or_else(String::new, |tag| format!(" {}", tag.as_str()));
    format!("{kind}{tag}: {fields}")
}

/// Variables, and each problem that they have: the variable that it names, and words of its rule.
type Row<'a> = (String, &'a [(&'a str, &'a str)]);

/// Exactly these problems, in this order.
#[track_caller]
fn refused((variables, expected): &Row<'_>) {
    let Err(problems) = read_plan(variables) else {
        panic!("{variables} is read");
    };
    let named: Vec<_> = problems
        .iter()
        .map(|problem| problem.variable.as_str())
        .collect();
    let expected_names: Vec<_> = expected.iter().map(|(variable, _)| *variable).collect();
    assert_eq!(named, expected_names, "{variables}: {problems:#?}");
    for (problem, (_, words)) in problems.iter().zip(*expected) {
        assert!(
            problem.rule.contains(words),
            "{variables}: {problem} without {words}"
        );
    }
}
