//! Variables that stand in the way.

use super::super::names::Family;
use super::*;

/// What is in the way of each provider, and why.
#[rustfmt::skip]
const IN_THE_WAY: &[(&str, &[&str], &str)] = &[
    (AWS, &["AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=a", "AWS_SESSION_TOKEN=a"], "static key, which SDKs would use instead: unset it, or give `TFC_AWS_PROVIDER_AUTH` a tag"),
    (AWS, &["AWS_PROFILE=a", "AWS_DEFAULT_PROFILE=a"], "names a profile"),
    (AZURE, &["ARM_CLIENT_ID=22222222-2222-2222-2222-222222222222"], "something else than `TFC_AZURE_RUN_CLIENT_ID`"),
    (AZURE, &["ARM_CLIENT_SECRET=a", "ARM_CLIENT_SECRET_FILE_PATH=/a"], "holds a secret"),
    (AZURE, &["ARM_CLIENT_CERTIFICATE=a", "ARM_CLIENT_CERTIFICATE_PATH=/a"], "holds a certificate"),
    (AZURE, &["AZURE_CLIENT_SECRET=a", "AZURE_CLIENT_CERTIFICATE_PATH=/a", "AZURE_USERNAME=a"], "Azure's SDKs would use instead"),
    (AZURE, &["AZURE_TENANT_ID=b ARM_TENANT_ID=a"], "something else than `ARM_TENANT_ID`"),
    (AZURE, &["ARM_CLIENT_ID_FILE_PATH=/a"], "names another application"),
    (AZURE, &["ARM_OIDC_TOKEN=a", "ARM_OIDC_TOKEN_FILE_PATH=/a"], "brings another token"),
    (AZURE, &["ARM_USE_OIDC=false", "ARM_USE_OIDC=no"], "turns off the way in"),
    (AZURE, &["ARM_USE_MSI=true", "ARM_USE_MSI=1", "ARM_USE_AKS_WORKLOAD_IDENTITY=true"], "identity of a pod or a machine"),
    (GCP, &["GOOGLE_CREDENTIALS=a", "GOOGLE_APPLICATION_CREDENTIALS=/a", "GOOGLE_OAUTH_ACCESS_TOKEN=a", "GOOGLE_CLOUD_KEYFILE_JSON=a", "GCLOUD_KEYFILE_JSON=a"], "other credentials, which would be used instead"),
    (VAULT, &["VAULT_TOKEN=a"], "token of another login"),
    (VAULT, &["VAULT_ADDR=https://other"], "something else than `TFC_VAULT_ADDR`"),
    (VAULT, &["VAULT_NAMESPACE=admin"], "something else than `TFC_VAULT_NAMESPACE`"),
    (KUBERNETES, &["KUBE_TOKEN=a"], "holds another token"),
    (HCP, &["HCP_CRED_FILE=/a"], "names other credentials"),
    (HCP, &["HCP_CLIENT_ID=a", "HCP_CLIENT_SECRET=a"], "service principal's key"),
    (VAULT_BACKED_AWS, &["AWS_ACCESS_KEY_ID=a", "AWS_PROFILE=a"], "give `TFC_VAULT_BACKED_AWS_AUTH` a tag"),
    (VAULT_BACKED_AZURE, &["ARM_CLIENT_ID=22222222-2222-2222-2222-222222222222", "ARM_CLIENT_SECRET=a", "ARM_USE_OIDC=true", "ARM_USE_MSI=true"], "give `TFC_VAULT_BACKED_AZURE_AUTH` a tag"),
    (VAULT_BACKED_GCP, &["GOOGLE_CREDENTIALS=a"], "give `TFC_VAULT_BACKED_GCP_AUTH` a tag"),
    ("TFC_WORKLOAD_IDENTITY_AUDIENCE=me", &["TFC_WORKLOAD_IDENTITY_TOKEN=a"], "has a token in it already"),
    ("TFC_WORKLOAD_IDENTITY_AUDIENCE_X=me", &["TFC_WORKLOAD_IDENTITY_TOKEN_X=a"], "has a token in it already"),
];

#[test]
fn variables_in_the_way() {
    for (needs, others, words) in IN_THE_WAY {
        for other in *others {
            let login = if needs.contains("VAULT_BACKED") {
                VAULT
            } else {
                ""
            };
            let (variable, _) = other.split_once('=').unwrap();
            let expected = [(variable, *words)];
            refused(&(format!("{login} {needs} {other}"), &expected));
        }
    }
}

/// The command's own variables are those of the tag, so what is in their way is what counts.
#[test]
fn a_chosen_tag_has_rivals_of_its_own() {
    let tagged = "TFC_AWS_PROVIDER_AUTH_X=true \
                  TFC_AWS_RUN_ROLE_ARN_X=arn:aws:iam::123456789012:role/x AWS_PROFILE=a";
    let named = |text: &str, chosen| {
        let problems = read(&pairs(text).collect(), Some(Phase::Plan), chosen).err();
        let problems = problems.unwrap_or_default().into_iter();
        problems
            .map(|problem| problem.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(named(tagged, None), Vec::<String>::new());
    let [problem] = &named(tagged, Some("X"))[..] else {
        panic!("{:?}", named(tagged, Some("X")));
    };
    assert!(problem.contains("AWS_PROFILE") && problem.contains("`TFC_AWS_PROVIDER_AUTH_X`"));
    // Another tag leaves the one without a tag in its place.
    let both = format!("{AWS} {tagged}");
    assert!(named(&both, Some("Y"))[0].contains("give `TFC_AWS_PROVIDER_AUTH` a tag"));
}

/// A pod's web identity, a CI system's request URL: the run's own take their place.
#[test]
fn what_is_replaced_is_in_nobody_s_way() {
    let replaced = [
        "AWS_ROLE_ARN=a",
        "AWS_WEB_IDENTITY_TOKEN_FILE=/a",
        "ARM_OIDC_REQUEST_URL=https://ci.example.com",
        "ARM_OIDC_REQUEST_TOKEN=a",
    ];
    let text = format!("{AWS} {AZURE} {}", replaced.join(" "));
    assert!(read(&pairs(&text).collect(), Some(Phase::Plan), None).is_ok());
}

#[test]
fn no_value_is_repeated() {
    let mut variables = Vec::new();
    for family in Family::ALL {
        for part in family.parts().iter().skip(1) {
            variables.push((family.explicit(part, None), "s3cr3t ?"));
        }
        variables.push((family.switch(None), "true"));
    }
    let others = IN_THE_WAY.iter().flat_map(|(_, others, _)| others.iter());
    for other in others {
        let (variable, _) = other.split_once('=').unwrap();
        variables.push((variable.to_owned(), "s3cr3t ?"));
    }
    let problems = read(&variables.into_iter().collect(), None, None).unwrap_err();
    assert!(problems.len() > 50, "{problems:#?}");
    for problem in problems {
        assert!(!problem.to_string().contains("s3cr3t"), "{problem}");
    }
}

#[test]
fn two_ways_to_one_cloud() {
    let rule = |direct: &str| format!("sets the same credentials as `{direct}`");
    for (direct, by_vault, switches) in [
        (
            AWS,
            VAULT_BACKED_AWS,
            ["TFC_AWS_PROVIDER_AUTH", "TFC_VAULT_BACKED_AWS_AUTH"],
        ),
        (
            GCP,
            VAULT_BACKED_GCP,
            ["TFC_GCP_PROVIDER_AUTH", "TFC_VAULT_BACKED_GCP_AUTH"],
        ),
        (
            AZURE,
            VAULT_BACKED_AZURE,
            ["TFC_AZURE_PROVIDER_AUTH", "TFC_VAULT_BACKED_AZURE_AUTH"],
        ),
    ] {
        let expected = [(switches[1], &*rule(switches[0]))];
        refused(&(format!("{direct} {VAULT} {by_vault}"), &expected));
    }
}
