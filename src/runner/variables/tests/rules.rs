//! The rules that hold for all providers, and the defaults of each.

use super::*;

#[test]
fn what_is_left_out_has_hcp_terraform_s_default() {
    let table = [
        (
            AWS.to_owned(),
            r#"Aws: audience: "aws.workload.identity", role_arn: "arn:aws:iam::123456789012:role/run""#,
        ),
        (
            AZURE.to_owned(),
            r#"Azure: audience: "api://AzureADTokenExchange", client_id: "11111111-1111-1111-1111-111111111111""#,
        ),
        (
            GCP.to_owned(),
            r#"Gcp: audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/prov", provider_name: "projects/1/locations/global/workloadIdentityPools/pool/providers/prov", service_account: Some("run@acme.iam.gserviceaccount.com")"#,
        ),
        (
            HCP.to_owned(),
            r#"Hcp: audience: "iam/run", provider_resource_name: "iam/run""#,
        ),
        (
            KUBERNETES.to_owned(),
            r#"Kubernetes: audience: "kubernetes""#,
        ),
        (
            "TFC_WORKLOAD_IDENTITY_AUDIENCE=me".to_owned(),
            r#"Manual: audience: "me""#,
        ),
        (
            VAULT.to_owned(),
            r#"Vault: audience: "vault.workload.identity", address: "https://vault.example.com:8200", namespace: None, auth_path: "jwt", role: "login", ca_pem: None, client_timeout: 60s"#,
        ),
        (
            format!("{VAULT} {VAULT_BACKED_AWS}"),
            r#"VaultBackedAws: vault: None, mount_path: "aws", kind: IamUser, role: "run", sleep: 0ns"#,
        ),
        (
            format!("{VAULT} {VAULT_BACKED_AZURE}"),
            r#"VaultBackedAzure: vault: None, mount_path: "azure", role: "run", sleep: 0ns"#,
        ),
        (
            format!("{VAULT} {VAULT_BACKED_GCP}"),
            r#"VaultBackedGcp: vault: None, mount_path: "gcp", account: Roleset("run"), kind: AccessToken"#,
        ),
    ];
    for (variables, expected) in table {
        let configurations = read_plan(&variables).unwrap();
        assert_eq!(line(configurations.last().unwrap()), expected);
    }
}

/// A role by its name: `AWS=run` is `TFC_AWS_RUN_ROLE_ARN=arn:aws:iam::123456789012:role/run`.
fn roles(phase: Option<Phase>, text: &str) -> String {
    let expanded = text.replace("role:", "arn:aws:iam::123456789012:role/");
    let configurations = read_in(phase, &expanded).unwrap_or_else(|problems| {
        panic!("{text}: {problems:#?}");
    });
    let short = configurations.iter().map(|configuration| {
        let line = line(configuration);
        let (name, _) = line.split_once(':').unwrap();
        let last = line.rsplit(['/', ' ']).next().unwrap();
        format!("{name}={}", last.trim_matches('"'))
    });
    short.collect::<Vec<_>>().join(", ")
}

#[test]
fn switches_tags_and_precedence() {
    #[rustfmt::skip]
    let table = [
        // Nothing is asked for.
        ("", ""),
        ("TFC_RUN_ID=run-1 TFC_WORKSPACE_NAME=net TFC_CONFIGURATION_VERSION_GIT_TAG=v1 PATH=/bin", ""),
        ("TFC_AWS_PROVIDER_AUTH=false", ""),
        ("TFC_AWS_PROVIDER_AUTH=", ""),
        ("TFC_AWS_PROVIDER_AUTH=false TFC_AWS_RUN_ROLE_ARN=role:run", ""),
        ("TFC_AWS_PROVIDER_AUTH_X=false TFC_AWS_RUN_ROLE_ARN_X=role:x", ""),
        ("TFC_TENCENTCLOUD_PROVIDER_AUTH=false TFC_HVS_BACKED_AWS_AUTH=false", ""),
        ("TFC_TENCENTCLOUD_RUN_ROLE_ARN=role:run", ""),
        // A default needs no switch, and a default alone is none.
        ("TFC_DEFAULT_AWS_RUN_ROLE_ARN=role:run", ""),
        ("TFC_AWS_PROVIDER_AUTH=true TFC_DEFAULT_AWS_RUN_ROLE_ARN=role:run", "Aws=run"),
        // Left over beside something that is on.
        ("TFC_WORKLOAD_IDENTITY_AUDIENCE=me TFC_AWS_RUN_ROLE_ARN=role:run", "Manual=me"),
        ("TFC_AWS_PROVIDER_AUTH_X=true TFC_AWS_RUN_ROLE_ARN_X=role:x \
          TFC_AWS_PROVIDER_AUTH=false TFC_AWS_RUN_ROLE_ARN=role:run", "Aws X=x"),
        // Several, without a tag first, then by their tags.
        ("TFC_AWS_PROVIDER_AUTH_B=true TFC_AWS_RUN_ROLE_ARN_B=role:b \
          TFC_AWS_PROVIDER_AUTH=true TFC_AWS_RUN_ROLE_ARN=role:run \
          TFC_AWS_PROVIDER_AUTH_A=true TFC_AWS_RUN_ROLE_ARN_A=role:a", "Aws=run, Aws A=a, Aws B=b"),
        ("TFC_AWS_PROVIDER_AUTH_A=true TFC_AWS_PROVIDER_AUTH_B=true TFC_AWS_PROVIDER_AUTH=true \
          TFC_AWS_RUN_ROLE_ARN_A=role:a TFC_DEFAULT_AWS_RUN_ROLE_ARN=role:all",
         "Aws=all, Aws A=a, Aws B=all"),
        // A tag is kept as it is written, and may look like a part of a name.
        ("TFC_AWS_PROVIDER_AUTH_prod_eu=true TFC_AWS_RUN_ROLE_ARN_prod_eu=role:p", "Aws prod_eu=p"),
        ("TFC_AWS_PROVIDER_AUTH_prod=true TFC_AWS_PROVIDER_AUTH_PROD=true \
          TFC_AWS_RUN_ROLE_ARN_prod=role:small TFC_AWS_RUN_ROLE_ARN_PROD=role:big",
         "Aws PROD=big, Aws prod=small"),
        ("TFC_AWS_PROVIDER_AUTH_TYPE_A=true TFC_AWS_RUN_ROLE_ARN_TYPE_A=role:t", "Aws TYPE_A=t"),
        ("TFC_AWS_PROVIDER_AUTH_DEFAULT=true TFC_AWS_RUN_ROLE_ARN_DEFAULT=role:d", "Aws DEFAULT=d"),
        ("TFC_AWS_PROVIDER_AUTH__A=true TFC_AWS_RUN_ROLE_ARN__A=role:d", "Aws _A=d"),
        // Manual tokens: the audience is the switch.
        ("TFC_WORKLOAD_IDENTITY_AUDIENCE_X=x", "Manual X=x"),
        ("TFC_WORKLOAD_IDENTITY_AUDIENCE_b=b TFC_WORKLOAD_IDENTITY_AUDIENCE=me \
          TFC_WORKLOAD_IDENTITY_AUDIENCE_A=a", "Manual=me, Manual A=a, Manual b=b"),
        ("TFC_WORKLOAD_IDENTITY_AUDIENCE=me TFC_WORKLOAD_IDENTITY_TOKEN_OTHER=x", "Manual=me"),
        // Providers in the order of the table.
        ("TFC_WORKLOAD_IDENTITY_AUDIENCE=me TFC_HCP_PROVIDER_AUTH=true \
          TFC_HCP_RUN_PROVIDER_RESOURCE_NAME=iam/h TFC_AWS_PROVIDER_AUTH=true \
          TFC_AWS_RUN_ROLE_ARN=role:run", "Aws=run, Hcp=h, Manual=me"),
        // All four ways to say a role, weakest first; each next one wins.
        ("TFC_AWS_PROVIDER_AUTH=true TFC_DEFAULT_AWS_RUN_ROLE_ARN=role:1", "Aws=1"),
        ("TFC_AWS_PROVIDER_AUTH=true TFC_DEFAULT_AWS_RUN_ROLE_ARN=role:1 \
          TFC_DEFAULT_AWS_PLAN_ROLE_ARN=role:2", "Aws=2"),
        ("TFC_AWS_PROVIDER_AUTH=true TFC_DEFAULT_AWS_RUN_ROLE_ARN=role:1 \
          TFC_DEFAULT_AWS_PLAN_ROLE_ARN=role:2 TFC_AWS_RUN_ROLE_ARN=role:3", "Aws=3"),
        ("TFC_AWS_PROVIDER_AUTH=true TFC_DEFAULT_AWS_RUN_ROLE_ARN=role:1 \
          TFC_DEFAULT_AWS_PLAN_ROLE_ARN=role:2 TFC_AWS_RUN_ROLE_ARN=role:3 \
          TFC_AWS_PLAN_ROLE_ARN=role:4", "Aws=4"),
    ];
    for (variables, expected) in table {
        assert_eq!(roles(Some(Phase::Plan), variables), expected, "{variables}");
    }
}

#[test]
fn without_a_phase_a_run_reads_what_does_not_depend_on_it() {
    let both =
        "TFC_AWS_PROVIDER_AUTH=true TFC_AWS_PLAN_ROLE_ARN=role:1 TFC_AWS_APPLY_ROLE_ARN=role:1";
    assert_eq!(roles(None, both), "Aws=1");
    assert_eq!(
        roles(None, "TFC_WORKLOAD_IDENTITY_AUDIENCE=me"),
        "Manual=me"
    );
}

#[test]
fn what_belongs_to_the_same_run_may_stand_beside_it() {
    for variables in [
        // The same, said twice.
        format!("{AZURE} ARM_CLIENT_ID=11111111-1111-1111-1111-111111111111 ARM_USE_OIDC=true"),
        format!("{VAULT} VAULT_ADDR=https://vault.example.com:8200/"),
        format!("{VAULT} TFC_VAULT_NAMESPACE=admin VAULT_NAMESPACE=admin"),
        // Not variables that choose an identity.
        format!("{AWS} AWS_REGION=eu-central-1 AWS_DEFAULT_REGION=eu-central-1"),
        format!("{AZURE} ARM_TENANT_ID=t ARM_SUBSCRIPTION_ID=s ARM_USE_MSI=false ARM_USE_OIDC=1"),
        format!("{GCP} GOOGLE_PROJECT=p"),
        // A name beside the parts: it wins.
        format!("{GCP} TFC_GCP_PROJECT_NUMBER=2"),
        format!("{GCP} TFC_DEFAULT_GCP_PROJECT_NUMBER=2"),
        // Defaults for other types of credentials.
        format!("{VAULT} {VAULT_BACKED_AWS} TFC_DEFAULT_VAULT_BACKED_AWS_RUN_ROLE_ARN=any"),
        format!("{VAULT} {VAULT_BACKED_GCP} TFC_DEFAULT_VAULT_BACKED_GCP_RUN_VAULT_STATIC_ACCOUNT=s"),
        // Tagged configurations are handed over by name.
        "TFC_AWS_PROVIDER_AUTH_X=true TFC_DEFAULT_AWS_RUN_ROLE_ARN=arn:aws:iam::123456789012:role/x \
         AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b"
            .to_owned(),
        // One of the two ways has a tag.
        format!(
            "{AWS} {VAULT} TFC_VAULT_BACKED_AWS_AUTH_X=true TFC_VAULT_BACKED_AWS_AUTH_TYPE_X=iam_user \
             TFC_VAULT_BACKED_AWS_RUN_VAULT_ROLE_X=r"
        ),
        // Two manual tokens, and one that is not asked for.
        "TFC_WORKLOAD_IDENTITY_AUDIENCE_A=a TFC_WORKLOAD_IDENTITY_TOKEN=t".to_owned(),
    ] {
        if let Err(problems) = read_plan(&variables) {
            panic!("{variables}: {problems:#?}");
        }
    }
}

#[test]
fn a_name_wins_over_the_parts_of_a_gcp_provider() {
    let read = read_plan(&format!("{GCP} TFC_GCP_PROJECT_NUMBER=2")).unwrap();
    assert!(line(&read[0]).contains("provider_name: \"projects/1/"));
}

#[test]
fn the_lines_of_an_encoded_certificate_may_be_broken() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encoded =
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBQUEK\nLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=\n";
    let broken = pairs(VAULT).chain([("TFC_VAULT_ENCODED_CACERT", encoded)]);
    let read = read(&broken.collect(), None).unwrap();
    assert!(line(&read[0]).contains(&format!("ca_pem: Some({pem:?})")));
}
