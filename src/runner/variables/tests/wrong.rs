//! Every wrong combination: which variable is named, and words of what to do about it.

use super::*;

fn all_refused(table: &[Row<'_>]) {
    for row in table {
        refused(row);
    }
}

/// The least that a tagged AWS configuration needs.
const AWS_X: &str = "TFC_AWS_PROVIDER_AUTH_X=true \
    TFC_AWS_RUN_ROLE_ARN_X=arn:aws:iam::123456789012:role/x";

#[test]
fn switches() {
    let exactly = "must be exactly `true`";
    all_refused(&[
        (
            "TFC_AWS_PROVIDER_AUTH=TRUE".to_owned(),
            &[("TFC_AWS_PROVIDER_AUTH", exactly)],
        ),
        (
            "TFC_AWS_PROVIDER_AUTH=1".to_owned(),
            &[("TFC_AWS_PROVIDER_AUTH", exactly)],
        ),
        (
            "TFC_AWS_PROVIDER_AUTH_X=yes".to_owned(),
            &[("TFC_AWS_PROVIDER_AUTH_X", exactly)],
        ),
        (
            "TFC_AWS_PROVIDER_AUTH=False".to_owned(),
            &[("TFC_AWS_PROVIDER_AUTH", "`false` to be off")],
        ),
        (
            "TFC_VAULT_BACKED_GCP_AUTH=True".to_owned(),
            &[("TFC_VAULT_BACKED_GCP_AUTH", exactly)],
        ),
        (
            "TFC_DEFAULT_AWS_PROVIDER_AUTH=true".to_owned(),
            &[(
                "TFC_DEFAULT_AWS_PROVIDER_AUTH",
                "has no `TFC_DEFAULT_` form: set `TFC_AWS_PROVIDER_AUTH`",
            )],
        ),
        (
            "TFC_DEFAULT_VAULT_BACKED_AWS_AUTH=true".to_owned(),
            &[(
                "TFC_DEFAULT_VAULT_BACKED_AWS_AUTH",
                "set `TFC_VAULT_BACKED_AWS_AUTH`",
            )],
        ),
        (
            "TFC_DEFAULT_WORKLOAD_IDENTITY_AUDIENCE=me".to_owned(),
            &[(
                "TFC_DEFAULT_WORKLOAD_IDENTITY_AUDIENCE",
                "set `TFC_WORKLOAD_IDENTITY_AUDIENCE`",
            )],
        ),
        (
            "TFC_TENCENTCLOUD_PROVIDER_AUTH=true".to_owned(),
            &[(
                "TFC_TENCENTCLOUD_PROVIDER_AUTH",
                "is not supported by runmint",
            )],
        ),
        (
            "TFC_HVS_BACKED_AWS_AUTH=true TFC_HVS_BACKED_GCP_AUTH_X=true".to_owned(),
            &[
                ("TFC_HVS_BACKED_AWS_AUTH", "is not supported by runmint"),
                ("TFC_HVS_BACKED_GCP_AUTH_X", "is not supported by runmint"),
            ],
        ),
    ]);
}

#[test]
fn tags() {
    all_refused(&[
        (
            "TFC_AWS_PROVIDER_AUTH_TYPE=true".to_owned(),
            &[("TFC_AWS_PROVIDER_AUTH_TYPE", "`TYPE` is reserved")],
        ),
        (
            "TFC_WORKLOAD_IDENTITY_AUDIENCE_TYPE=me".to_owned(),
            &[("TFC_WORKLOAD_IDENTITY_AUDIENCE_TYPE", "`TYPE` is reserved")],
        ),
        (
            "TFC_AWS_PROVIDER_AUTH_a-b=true".to_owned(),
            &[("TFC_AWS_PROVIDER_AUTH_a-b", "letters, digits and `_`")],
        ),
        (
            "TFC_AWS_PROVIDER_AUTH_=true".to_owned(),
            &[("TFC_AWS_PROVIDER_AUTH_", "letters, digits and `_`")],
        ),
        // A setting, never the tag `TYPE`: without its switch.
        (
            "TFC_VAULT_BACKED_AWS_AUTH_TYPE=iam_user".to_owned(),
            &[(
                "TFC_VAULT_BACKED_AWS_AUTH_TYPE",
                "`TFC_VAULT_BACKED_AWS_AUTH` is not set",
            )],
        ),
        (
            "TFC_VAULT_BACKED_AWS_AUTH_TYPE_X=iam_user".to_owned(),
            &[(
                "TFC_VAULT_BACKED_AWS_AUTH_TYPE_X",
                "`TFC_VAULT_BACKED_AWS_AUTH_X` is not set",
            )],
        ),
        // A misspelt tag.
        (
            format!("{AWS_X} TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE_Y=a"),
            &[(
                "TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE_Y",
                "`TFC_AWS_PROVIDER_AUTH_Y` is not set",
            )],
        ),
        // A tag does not fall back, and a default has none.
        (
            format!("{AWS_X} TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE=a"),
            &[(
                "TFC_AWS_WORKLOAD_IDENTITY_AUDIENCE",
                "tagged configurations take tagged variables and defaults only",
            )],
        ),
        (
            format!("{AWS} TFC_AWS_PROVIDER_AUTH_X=true"),
            &[(
                "TFC_AWS_RUN_ROLE_ARN_X",
                "`TFC_AWS_RUN_ROLE_ARN` is for the configuration without a tag only, \
                 `TFC_DEFAULT_AWS_RUN_ROLE_ARN` is for all",
            )],
        ),
        (
            format!("{AWS_X} TFC_DEFAULT_AWS_WORKLOAD_IDENTITY_AUDIENCE_X=a"),
            &[(
                "TFC_DEFAULT_AWS_WORKLOAD_IDENTITY_AUDIENCE_X",
                "set `TFC_DEFAULT_AWS_WORKLOAD_IDENTITY_AUDIENCE`",
            )],
        ),
    ]);
}

#[test]
fn settings_without_anything_that_is_on() {
    all_refused(&[
        (
            "TFC_AWS_RUN_ROLE_ARN=arn:aws:iam::123456789012:role/run".to_owned(),
            &[("TFC_AWS_RUN_ROLE_ARN", "`TFC_AWS_PROVIDER_AUTH` is not set and nothing is switched on")],
        ),
        (
            "TFC_VAULT_ADDR=https://vault.example.com TFC_GCP_PROJECT_NUMBER=1 TFC_AWS_PROVIDER_AUTH=false"
                .to_owned(),
            &[
                ("TFC_GCP_PROJECT_NUMBER", "`TFC_GCP_PROVIDER_AUTH` is not set"),
                ("TFC_VAULT_ADDR", "or to `false` if this is left over"),
            ],
        ),
    ]);
}

#[test]
fn misspelt_names() {
    all_refused(&[
        (
            format!("{AWS} TFC_AWS_PLAN_ROLE_ARM=a"),
            &[(
                "TFC_AWS_PLAN_ROLE_ARM",
                "did you mean `TFC_AWS_PLAN_ROLE_ARN`?",
            )],
        ),
        (
            format!("{AWS_X} TFC_AWS_PLAN_ROLE_ARM_X=a"),
            &[(
                "TFC_AWS_PLAN_ROLE_ARM_X",
                "did you mean `TFC_AWS_PLAN_ROLE_ARN_X`?",
            )],
        ),
        (
            format!("{AWS} TFC_DEFAULT_AWS_ROLE_ARN=a"),
            &[(
                "TFC_DEFAULT_AWS_ROLE_ARN",
                "did you mean `TFC_DEFAULT_AWS_RUN_ROLE_ARN`?",
            )],
        ),
        (
            format!("{VAULT} TFC_VAULT_ADDRESS=a"),
            &[("TFC_VAULT_ADDRESS", "did you mean `TFC_VAULT_ADDR`?")],
        ),
        (
            "TFC_WORKLOAD_IDENTITY_AUDIENCE=me TFC_WORKLOAD_IDENTITY_AUDIENCES=me".to_owned(),
            &[(
                "TFC_WORKLOAD_IDENTITY_AUDIENCES",
                "did you mean `TFC_WORKLOAD_IDENTITY_AUDIENCE`?",
            )],
        ),
        // Nearly a switch, so that its provider is not on.
        (
            "TFC_AWS_PROVIDERS_AUTH=true".to_owned(),
            &[(
                "TFC_AWS_PROVIDERS_AUTH",
                "did you mean `TFC_AWS_PROVIDER_AUTH`?",
            )],
        ),
        (
            format!("{AWS} TFC_GCP_PROVIDER_AUTH2=true"),
            &[(
                "TFC_GCP_PROVIDER_AUTH2",
                "did you mean `TFC_GCP_PROVIDER_AUTH`?",
            )],
        ),
    ]);
    // Of a provider that nobody asked for.
    assert!(read_plan(&format!("{AWS} TFC_GCP_SOMETHING_ELSE=1")).is_ok());
}

#[test]
fn missing_settings() {
    all_refused(&[
        (
            "TFC_AWS_PROVIDER_AUTH=true".to_owned(),
            &[(
                "TFC_AWS_RUN_ROLE_ARN",
                "since `TFC_AWS_PROVIDER_AUTH` is on (or `TFC_AWS_PLAN_ROLE_ARN` and \
                 `TFC_AWS_APPLY_ROLE_ARN`, each for its phase)",
            )],
        ),
        // Of the other phase only.
        (
            "TFC_AWS_PROVIDER_AUTH=true TFC_AWS_APPLY_ROLE_ARN=arn:aws:iam::123456789012:role/a".to_owned(),
            &[("TFC_AWS_RUN_ROLE_ARN", "`TFC_AWS_PLAN_ROLE_ARN`")],
        ),
        ("TFC_AZURE_PROVIDER_AUTH=true".to_owned(), &[("TFC_AZURE_RUN_CLIENT_ID", "must be set")]),
        (
            "TFC_GCP_PROVIDER_AUTH=true".to_owned(),
            &[
                ("TFC_GCP_RUN_SERVICE_ACCOUNT_EMAIL", "must be set"),
                ("TFC_GCP_WORKLOAD_PROVIDER_NAME", "must be set"),
            ],
        ),
        (
            "TFC_GCP_PROVIDER_AUTH=true TFC_GCP_PRINCIPAL_TYPE=workload_pool TFC_GCP_PROJECT_NUMBER=1"
                .to_owned(),
            &[
                ("TFC_GCP_WORKLOAD_POOL_ID", "must be set"),
                ("TFC_GCP_WORKLOAD_PROVIDER_ID", "must be set"),
            ],
        ),
        (
            "TFC_HCP_PROVIDER_AUTH=true".to_owned(),
            &[("TFC_HCP_RUN_PROVIDER_RESOURCE_NAME", "must be set")],
        ),
        (
            "TFC_KUBERNETES_PROVIDER_AUTH_X=true".to_owned(),
            &[("TFC_KUBERNETES_WORKLOAD_IDENTITY_AUDIENCE_X", "must be set")],
        ),
        (
            "TFC_VAULT_PROVIDER_AUTH=true".to_owned(),
            &[("TFC_VAULT_ADDR", "must be set"), ("TFC_VAULT_RUN_ROLE", "must be set")],
        ),
        // Nothing to log in by.
        (
            VAULT_BACKED_AZURE.to_owned(),
            &[("TFC_VAULT_PROVIDER_AUTH", "since `TFC_VAULT_BACKED_AZURE_AUTH` logs in by it")],
        ),
        (
            format!("{VAULT_BACKED_AWS} TFC_VAULT_BACKED_AWS_VAULT_CONFIG=X"),
            &[("TFC_VAULT_BACKED_AWS_VAULT_CONFIG", "set `TFC_VAULT_PROVIDER_AUTH_X` to `true`")],
        ),
        // All at once, for all providers.
        (
            "TFC_VAULT_BACKED_AWS_AUTH=true TFC_VAULT_BACKED_GCP_AUTH=true TFC_VAULT_BACKED_GCP_MOUNT_PATH=?"
                .to_owned(),
            &[
                ("TFC_VAULT_BACKED_AWS_AUTH_TYPE", "must be set"),
                ("TFC_VAULT_BACKED_AWS_RUN_VAULT_ROLE", "must be set"),
                ("TFC_VAULT_BACKED_GCP_AUTH_TYPE", "must be set"),
                ("TFC_VAULT_BACKED_GCP_MOUNT_PATH", "path of a mount"),
                ("TFC_VAULT_PROVIDER_AUTH", "`TFC_VAULT_BACKED_AWS_AUTH` logs in by it"),
                ("TFC_VAULT_PROVIDER_AUTH", "`TFC_VAULT_BACKED_GCP_AUTH` logs in by it"),
            ],
        ),
    ]);
}

#[test]
fn settings_that_exclude_each_other() {
    all_refused(&[
        (
            format!("{GCP} TFC_GCP_PRINCIPAL_TYPE=workload_pool"),
            &[(
                "TFC_GCP_RUN_SERVICE_ACCOUNT_EMAIL",
                "make the type `service_account`",
            )],
        ),
        (
            format!(
                "{GCP_BY_PARTS} TFC_DEFAULT_GCP_WORKLOAD_PROVIDER_NAME=projects/2/locations/global/workloadIdentityPools/pool/providers/prov"
            ),
            &[(
                "TFC_GCP_WORKLOAD_PROVIDER_NAME",
                "must be set to say which provider is meant",
            )],
        ),
        (
            format!(
                "{VAULT} {VAULT_BACKED_AWS} TFC_VAULT_BACKED_AWS_APPLY_ROLE_ARN=arn:aws:iam::123456789012:role/a"
            ),
            &[(
                "TFC_VAULT_BACKED_AWS_APPLY_ROLE_ARN",
                "unless the auth type is `assumed_role`",
            )],
        ),
        (
            format!("{VAULT} {VAULT_BACKED_GCP} TFC_VAULT_BACKED_GCP_RUN_VAULT_STATIC_ACCOUNT=a"),
            &[(
                "TFC_VAULT_BACKED_GCP_RUN_VAULT_STATIC_ACCOUNT",
                "has no use with this auth type",
            )],
        ),
        (
            format!(
                "{VAULT} TFC_VAULT_BACKED_GCP_AUTH=true TFC_VAULT_BACKED_GCP_RUN_VAULT_ROLESET=a \
                     TFC_VAULT_BACKED_GCP_AUTH_TYPE=static_account/access_token"
            ),
            &[
                (
                    "TFC_VAULT_BACKED_GCP_RUN_VAULT_ROLESET",
                    "has no use with this auth type",
                ),
                (
                    "TFC_VAULT_BACKED_GCP_RUN_VAULT_STATIC_ACCOUNT",
                    "must be set",
                ),
            ],
        ),
    ]);
}

#[test]
fn everything_is_told_at_once_by_name() {
    let variables = format!(
        "{AWS} TFC_AWS_PROVIDER_AUTH_B=true TFC_AWS_PROVIDER_AUTH_A=on TFC_AWS_RUN_ROLE_ARN2=a \
         AWS_PROFILE=a {VAULT} TFC_VAULT_CLIENT_TIMEOUT=soon"
    );
    let problems = read_plan(&variables).unwrap_err();
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "`AWS_PROFILE`: names a profile, whose credentials would be used instead: unset it, or \
             give `TFC_AWS_PROVIDER_AUTH` a tag",
            "`TFC_AWS_PROVIDER_AUTH_A`: must be exactly `true` to be on, or `false` to be off, in lower \
             case",
            "`TFC_AWS_RUN_ROLE_ARN2`: is no variable that means anything; did you mean \
             `TFC_AWS_RUN_ROLE_ARN`?",
            "`TFC_AWS_RUN_ROLE_ARN_B`: must be set, since `TFC_AWS_PROVIDER_AUTH_B` is on (or \
             `TFC_AWS_PLAN_ROLE_ARN_B` and `TFC_AWS_APPLY_ROLE_ARN_B`, each for its phase); \
             `TFC_AWS_RUN_ROLE_ARN` is for the configuration without a tag only, \
             `TFC_DEFAULT_AWS_RUN_ROLE_ARN` is for all",
            "`TFC_VAULT_CLIENT_TIMEOUT`: must be a whole number of seconds, 1 or more",
        ]
    );
}
