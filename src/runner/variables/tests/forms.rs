//! Values that a variable cannot have.

use super::*;

/// What each provider needs, a variable, values that it cannot have, and words of the rule.
#[rustfmt::skip]
const FORMS: &[(&str, &str, &[&str], &str)] = &[
    ("", "TFC_WORKLOAD_IDENTITY_AUDIENCE", &["a b", "a*", "ä"], "printable ASCII"),
    ("TFC_AWS_PROVIDER_AUTH=true", "TFC_AWS_RUN_ROLE_ARN", &[
        "deploy", "arn:aws:iam::12345:role/a", "arn:aws:iam::123456789012:user/a", "arn:aws:iam::12345678901x:role/a",
        "arn:aws:sts::123456789012:role/a", "arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:role/a b",
        "arn::iam::123456789012:role/a", "arn:aws:iam:us-east-1:123456789012:role/a",
    ], "ARN of a role"),
    // Of the other phase: a plan should not pass when its apply cannot.
    (AWS, "TFC_AWS_APPLY_ROLE_ARN", &["deploy"], "ARN of a role"),
    (AWS, "TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE", &["a b"], "printable ASCII"),
    (AWS, "TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE", &["a\n", " a"], "take it away"),
    ("TFC_AZURE_PROVIDER_AUTH=true", "TFC_AZURE_RUN_CLIENT_ID", &[
        "my-app", "11111111111111111111111111111111", "{11111111-1111-1111-1111-111111111111}",
        "g1111111-1111-1111-1111-111111111111",
    ], "a UUID"),
    (GCP, "TFC_GCP_PRINCIPAL_TYPE", &["Service_Account", "pool"], "must be one of `service_account`, `workload_pool`"),
    (GCP, "TFC_GCP_PLAN_SERVICE_ACCOUNT_EMAIL", &["run", "run@", "@acme", "a@b@c", "a@b/c"], "e-mail address"),
    ("TFC_GCP_PROVIDER_AUTH=true TFC_GCP_PRINCIPAL_TYPE=workload_pool", "TFC_GCP_WORKLOAD_PROVIDER_NAME", &[
        "prov", "projects/1/locations/eu/workloadIdentityPools/pool/providers/prov",
        "projects/1/locations/global/workloadIdentityPools/pool", "projects/1/locations/global/workloadIdentityPools/pool/providers/prov/",
    ], "`projects/NUMBER/locations/global/"),
    ("TFC_GCP_PROVIDER_AUTH=true TFC_GCP_PRINCIPAL_TYPE=workload_pool", "TFC_GCP_WORKLOAD_PROVIDER_NAME", &[
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/prov",
        "https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/prov",
    ], "leave out `//iam.googleapis.com/`"),
    ("TFC_GCP_PROVIDER_AUTH=true TFC_GCP_PRINCIPAL_TYPE=workload_pool", "TFC_GCP_WORKLOAD_PROVIDER_NAME", &[
        "projects/acme/locations/global/workloadIdentityPools/pool/providers/prov",
    ], "the project's number, not its id after `projects/`"),
    (GCP_BY_PARTS, "TFC_GCP_PROJECT_NUMBER", &["acme-prod", "-1", "1 2"], "the project's number, not its id"),
    (GCP_BY_PARTS, "TFC_GCP_WORKLOAD_POOL_ID", &["Pool", "a/b", "abc"], "4 to 32 lower-case letters"),
    (GCP_BY_PARTS, "TFC_GCP_WORKLOAD_PROVIDER_ID", &["prov_x"], "4 to 32 lower-case letters"),
    (VAULT, "TFC_VAULT_ADDR", &[
        "vault.example.com:8200", "ftp://vault.example.com", "https://", "https://u:p@vault", "https://vault/?a", "https://vault/#a",
    ], "http or https URL"),
    (VAULT, "TFC_VAULT_ADDR", &["https://vault "], "take it away"),
    (VAULT, "TFC_VAULT_RUN_ROLE", &["auth/jwt/role/a", "a b"], "name of a role"),
    (VAULT, "TFC_VAULT_NAMESPACE", &["a b", "a\r\nb: c"], "path of a namespace"),
    (VAULT, "TFC_VAULT_AUTH_PATH", &["/", "a//b", "../sys", "a?b", "a b"], "path of a mount"),
    (VAULT, "TFC_VAULT_ENCODED_CACERT", &["-----BEGIN", "YWJj", "LS0tLS1CRUdJTg=="], "base64 of a certificate in PEM"),
    (VAULT, "TFC_VAULT_CLIENT_TIMEOUT", &["0", "-1", "+1", "1.5", "60s", "4294967296"], "whole number of seconds, 1 or more"),
    (HCP, "TFC_HCP_RUN_PROVIDER_RESOURCE_NAME", &["a b"], "printable ASCII"),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_AUTH_TYPE", &["IAM_USER", "role"], "`assumed_role`, `federation_token`, `iam_user`"),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_SLEEP_SECONDS", &["1501", "-1", "a"], "0 to 1500"),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_VAULT_CONFIG", &["a-b"], "letters, digits and `_`"),
    (VAULT_BACKED_AWS, "TFC_VAULT_BACKED_AWS_MOUNT_PATH", &["a b"], "path of a mount"),
    (VAULT_BACKED_AZURE, "TFC_VAULT_BACKED_AZURE_SLEEP_SECONDS", &["1501"], "0 to 1500"),
    (VAULT_BACKED_GCP, "TFC_VAULT_BACKED_GCP_AUTH_TYPE", &["access_token", "roleset"], "`roleset/access_token`"),
    (VAULT_BACKED_GCP, "TFC_VAULT_BACKED_GCP_RUN_VAULT_ROLESET", &["gcp/roleset/a"], "name of a role"),
];

#[test]
fn each_value_must_have_its_form() {
    for (needs, variable, values, words) in FORMS {
        for value in *values {
            let login = if needs.contains("VAULT_BACKED") {
                VAULT
            } else {
                ""
            };
            let needs = pairs(login).chain(pairs(needs));
            let environment: Environment = needs.chain([(*variable, *value)]).collect();
            let problems = read(&environment, Some(Phase::Plan)).unwrap_err();
            let [problem] = &problems[..] else {
                panic!("{variable}={value}: {problems:#?}");
            };
            assert_eq!(problem.variable, *variable, "{value}");
            assert!(
                problem.rule.contains(words),
                "{value}: {problem} without {words}"
            );
        }
    }
}
