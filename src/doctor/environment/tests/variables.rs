//! Variables, and what is wrong with them.

use super::*;

type Row = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[track_caller]
fn hold(rows: &[Row]) {
    for (variables, expected) in rows {
        let report = judge(&machine(variables, &[]), NOW);
        assert_eq!(ids(&report), *expected, "{variables:?}: {report:#?}");
    }
}

const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE");
const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "hunter2");
const CHINESE: (&str, &str) = ("AWS_ROLE_ARN", "arn:aws-cn:iam::111122223333:role/ci");
const FULL: (&str, &str) = (
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "http://169.254.170.23/v1/credentials",
);

#[test]
fn what_is_set_up_well_is_clear() {
    hold(&[
        (&[], &["environment-nothing"]),
        (&[("PATH", "/bin")], &["environment-nothing"]),
        (&[ROLE, TOKEN, REGION], &[]),
        (&[ROLE, TOKEN, ("AWS_DEFAULT_REGION", "eu-west-1")], &[]),
        (
            &[
                ROLE,
                TOKEN,
                REGION,
                ("AWS_STS_REGIONAL_ENDPOINTS", "regional"),
                ("AWS_ROLE_SESSION_NAME", "terraform-run-1"),
                ("AWS_ACCESS_KEY_ID", ""),
            ],
            &[],
        ),
        (
            &[
                (
                    "RUNMINT_REQUEST_URL",
                    "https://ci.example.com/v1/token?run=1",
                ),
                ("RUNMINT_REQUEST_TOKEN", "rmr_1"),
            ],
            &[],
        ),
    ]);
}

#[test]
fn aws_needs_both_of_a_pair() {
    hold(&[
        (&[ROLE, REGION], &["environment-aws-half"]),
        (&[TOKEN, REGION], &["environment-aws-half"]),
        (
            &[ROLE, ("AWS_WEB_IDENTITY_TOKEN_FILE", ""), REGION],
            &["environment-aws-half"],
        ),
        (
            &[TOKEN, REGION, ("AWS_IAM_ROLE_ARN", ROLE.1)],
            &["environment-aws-misnamed"],
        ),
        (&[ROLE, TOKEN, REGION, ("AWS_IAM_ROLE_ARN", "x")], &[]),
    ]);
}

#[test]
fn other_credentials_of_aws_are_in_the_way() {
    hold(&[
        (&[KEY, SECRET], &["environment-static"]),
        (
            &[ROLE, TOKEN, REGION, KEY],
            &["environment-aws-static-keys"],
        ),
        (
            &[ROLE, TOKEN, REGION, SECRET],
            &["environment-aws-static-keys"],
        ),
        (
            &[ROLE, TOKEN, REGION, ("AWS_PROFILE", "ci")],
            &["environment-aws-profile"],
        ),
        (
            &[ROLE, TOKEN, REGION, ("AWS_DEFAULT_PROFILE", "ci")],
            &["environment-aws-profile"],
        ),
        (&[("AWS_PROFILE", "ci")], &["environment-nothing"]),
        (&[FULL, REGION], &[]),
        (&[ROLE, TOKEN, REGION, FULL], &["environment-aws-container"]),
        (
            &[
                FULL,
                REGION,
                ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2"),
            ],
            &["environment-aws-container-half"],
        ),
        (
            &[("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t")],
            &["environment-aws-container-half"],
        ),
        (
            &[
                ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "t"),
                ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2"),
            ],
            &["environment-nothing"],
        ),
    ]);
}

#[test]
fn a_role_is_a_roles_arn() {
    for (arn, is_right) in [
        ("arn:aws:iam::111122223333:role/path/to/ci", true),
        ("arn:aws:iam::111122223333:instance-profile/ci", false),
        ("arn:aws:sts::111122223333:assumed-role/ci/s", false),
        ("arn:aws:iam::1111:role/ci", false),
        ("arn:aws:iam::111122223333:role/", false),
        ("arn:aws:iam:eu-west-1:111122223333:role/ci", false),
        ("\"arn:aws:iam::111122223333:role/ci\"", false),
        ("arn:aws:iam::111122223333:role/ci ", false),
        ("ci", false),
    ] {
        let report = judge(&machine(&[("AWS_ROLE_ARN", arn), TOKEN, REGION], &[]), NOW);
        let expected: &[&str] = if is_right {
            &[]
        } else {
            &["environment-aws-role"]
        };
        assert_eq!(ids(&report), expected, "{arn}");
    }
}

#[test]
fn a_session_has_a_name_that_sts_takes() {
    let long = "x".repeat(65);
    for (name, is_right) in [
        ("ab", true),
        ("terraform-run-CKuwsxMGgMd3W7Ui", true),
        ("a+b=c,d.e@f-g_h", true),
        (&long[..64], true),
        (&*long, false),
        ("a", false),
        ("build 7", false),
        ("acme/net", false),
        ("bücher", false),
    ] {
        let name = ("AWS_ROLE_SESSION_NAME", name);
        let report = judge(&machine(&[ROLE, TOKEN, REGION, name], &[]), NOW);
        let found = report.has(&kinds::AWS_SESSION_NAME);
        assert_eq!(found, !is_right, "{name:?}");
    }
}

#[test]
fn regions_fit_each_other_and_the_role() {
    hold(&[
        (&[ROLE, TOKEN], &["environment-aws-region"]),
        (
            &[ROLE, TOKEN, REGION, ("AWS_DEFAULT_REGION", "us-east-1")],
            &["environment-aws-regions"],
        ),
        (&[CHINESE, TOKEN], &["environment-aws-china"]),
        (&[CHINESE, TOKEN, REGION], &["environment-aws-china"]),
        (&[CHINESE, TOKEN, ("AWS_REGION", "cn-north-1")], &[]),
        (
            &[CHINESE, TOKEN, ("AWS_DEFAULT_REGION", "cn-northwest-1")],
            &[],
        ),
        (
            &[ROLE, TOKEN, ("AWS_REGION", "cn-north-1")],
            &["environment-aws-partition"],
        ),
        (
            &[ROLE, TOKEN, ("AWS_REGION", "us-gov-west-1")],
            &["environment-aws-partition"],
        ),
        (
            &[
                ("AWS_ROLE_ARN", "arn:aws-us-gov:iam::111122223333:role/ci"),
                TOKEN,
                ("AWS_REGION", "us-gov-west-1"),
            ],
            &[],
        ),
        (
            &[
                ROLE,
                TOKEN,
                REGION,
                ("AWS_STS_REGIONAL_ENDPOINTS", "legacy"),
            ],
            &["environment-aws-sts-legacy"],
        ),
        (
            &[ROLE, TOKEN, REGION, ("AWS_STS_REGIONAL_ENDPOINTS", "true")],
            &["environment-aws-sts-endpoints"],
        ),
    ]);
}

const OIDC: (&str, &str) = ("ARM_USE_OIDC", "true");
const CLIENT: (&str, &str) = ("ARM_CLIENT_ID", "c");
const TENANT: (&str, &str) = ("ARM_TENANT_ID", "t");
const SUBSCRIPTION: (&str, &str) = ("ARM_SUBSCRIPTION_ID", "s");
const URL: (&str, &str) = (
    "ARM_OIDC_REQUEST_URL",
    "https://ci.example.com/v1/token?run=1",
);
const REQUEST: (&str, &str) = ("ARM_OIDC_REQUEST_TOKEN", "rmr_1");
const FILE: (&str, &str) = ("ARM_OIDC_TOKEN_FILE_PATH", "/run/token");

#[test]
fn azures_provider_is_told_who_it_is_and_where_the_token_is() {
    hold(&[
        (&[OIDC, CLIENT, TENANT, SUBSCRIPTION, URL, REQUEST], &[]),
        (
            &[OIDC, TENANT, SUBSCRIPTION, URL, REQUEST],
            &["environment-azure-ids"],
        ),
        (
            &[OIDC, SUBSCRIPTION, URL, REQUEST],
            &["environment-azure-ids"],
        ),
        (
            &[
                OIDC,
                ("ARM_CLIENT_ID_FILE_PATH", "/run/id"),
                TENANT,
                SUBSCRIPTION,
                URL,
                REQUEST,
            ],
            &[],
        ),
        (
            &[OIDC, CLIENT, TENANT, URL, REQUEST],
            &["environment-azure-subscription"],
        ),
        (
            &[OIDC, CLIENT, TENANT, SUBSCRIPTION],
            &["environment-azure-no-source"],
        ),
        (
            &[
                OIDC,
                CLIENT,
                TENANT,
                SUBSCRIPTION,
                ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x"),
            ],
            &[],
        ),
        (
            &[OIDC, CLIENT, TENANT, SUBSCRIPTION, URL],
            &["environment-azure-request-half"],
        ),
        (
            &[OIDC, CLIENT, TENANT, SUBSCRIPTION, FILE],
            &["environment-azure-read-once"],
        ),
        (
            &[OIDC, CLIENT, TENANT, SUBSCRIPTION, FILE, URL, REQUEST],
            &["environment-azure-sources"],
        ),
        (
            &[
                OIDC,
                CLIENT,
                TENANT,
                SUBSCRIPTION,
                FILE,
                ("ARM_OIDC_TOKEN", "another"),
            ],
            &["environment-azure-mismatch", "environment-azure-read-once"],
        ),
        (
            &[
                OIDC,
                CLIENT,
                TENANT,
                SUBSCRIPTION,
                URL,
                REQUEST,
                ("ARM_CLIENT_SECRET", "hunter2"),
            ],
            &["environment-azure-secret"],
        ),
        (&[("ARM_CLIENT_SECRET", "hunter2")], &["environment-static"]),
        (&[URL, REQUEST], &["environment-azure-switched-off"]),
    ]);
}

#[test]
fn azures_sdks_are_told_who_they_are() {
    const SDK_FILE: (&str, &str) = ("AZURE_FEDERATED_TOKEN_FILE", "/run/token");
    const IDS: [(&str, &str); 2] = [("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t")];
    hold(&[
        (&[SDK_FILE, IDS[0], IDS[1]], &[]),
        (&[SDK_FILE], &["environment-azure-ids"]),
        (&[SDK_FILE, IDS[0]], &["environment-azure-ids"]),
        (
            &[SDK_FILE, IDS[0], IDS[1], ("AZURE_CLIENT_SECRET", "hunter2")],
            &["environment-azure-secret"],
        ),
        (
            &[("AZURE_CLIENT_SECRET", "hunter2")],
            &["environment-static"],
        ),
    ]);
}

#[test]
fn vault_kubernetes_hcp_and_runmint_are_looked_at_too() {
    hold(&[
        (
            &[("VAULT_ADDR", "vault.example.com:8200")],
            &["environment-vault-address"],
        ),
        (
            &[("BAO_ADDR", "bao.example.com")],
            &["environment-vault-address"],
        ),
        (
            &[("VAULT_ADDR", "https://vault.example.com:8200")],
            &["environment-nothing"],
        ),
        (
            &[
                ("VAULT_TOKEN", "hvs.hunter2"),
                ("TERRAFORM_VAULT_AUTH_JWT", "x"),
            ],
            &["environment-vault-token"],
        ),
        (&[("VAULT_TOKEN", "hvs.hunter2")], &["environment-nothing"]),
        (&[("KUBE_TOKEN", "hunter2")], &["environment-static"]),
        (&[("HCP_CLIENT_SECRET", "hunter2")], &["environment-static"]),
        (
            &[("RUNMINT_REQUEST_URL", "https://ci.example.com")],
            &["environment-request-half"],
        ),
        (
            &[("RUNMINT_REQUEST_TOKEN", "rmr_hunter2")],
            &["environment-request-half"],
        ),
        (
            &[("TFC_AWS_PROVIDER_AUTH", "yes please")],
            &["environment-variables"],
        ),
        (
            &[
                ("GOOGLE_CREDENTIALS", "/a"),
                ("GOOGLE_OAUTH_ACCESS_TOKEN", "hunter2"),
            ],
            &["environment-gcp-two"],
        ),
        (
            &[("GOOGLE_CREDENTIALS", r#"{"private_key": "hunter2"}"#)],
            &["environment-static"],
        ),
    ]);
}

#[test]
fn no_secret_is_repeated() {
    let report = judge(
        &machine(
            &[
                KEY,
                SECRET,
                ("ARM_CLIENT_SECRET", "hunter2"),
                ("ARM_OIDC_TOKEN", "hunter2"),
                ("ARM_OIDC_REQUEST_TOKEN", "hunter2"),
                ("ARM_USE_OIDC", "true"),
                ("AZURE_CLIENT_SECRET", "hunter2"),
                ("VAULT_TOKEN", "hunter2"),
                ("TERRAFORM_VAULT_AUTH_JWT", "hunter2"),
                ("KUBE_TOKEN", "hunter2"),
                ("RUNMINT_REQUEST_TOKEN", "hunter2"),
                ("GOOGLE_OAUTH_ACCESS_TOKEN", "hunter2"),
                ("GOOGLE_CREDENTIALS", r#"{"private_key": "hunter2"}"#),
                ("GOOGLE_APPLICATION_CREDENTIALS", "/run/gcp.json"),
                ("KUBECONFIG", "/run/kubeconfig"),
                ("HCP_CLIENT_SECRET", "hunter2"),
                TOKEN,
            ],
            &[
                ("/run/gcp.json", "hunter2"),
                ("/run/kubeconfig", "kind: Config\nusers: [hunter2: [}"),
                ("/run/token", "hunter2"),
            ],
        ),
        NOW,
    );
    assert!(report.findings.len() > 10, "{report:#?}");
    assert!(!format!("{report:?}").contains("hunter2"), "{report:#?}");
}
