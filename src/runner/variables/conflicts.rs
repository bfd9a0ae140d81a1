//! Variables that stand in the way of what the run will be given.
//!
//! Only the chosen configuration of each provider sets variables that an SDK reads by itself: the one
//! without a tag, unless another tag is asked for. The others are handed over by name. A manual token
//! has a variable of its own for each tag.
//!
//! What the run's own variables replace is not in their way: the web identity of a pod, the request
//! URL of a CI system.

use super::configuration::{Configuration, Provider, Tag};
use super::names::{Family, MANUAL_TOKEN};
use super::{Enabled, Environment, InvalidVariable, Problems};

/// When a variable is in the way.
#[derive(Clone, Copy)]
enum When {
    /// Whatever its value is.
    Set,
    /// When it says yes.
    Yes,
    /// When it says anything but yes.
    NotYes,
}

/// Variables, when they are in the way, and what each does there; reads on from its name.
type Rivals = (&'static [&'static str], When, &'static str);

const AWS: &[Rivals] = &[
    (
        &[
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ],
        When::Set,
        "belongs to a static key, which SDKs would use instead",
    ),
    (
        &["AWS_DEFAULT_PROFILE", "AWS_PROFILE"],
        When::Set,
        "names a profile, whose credentials would be used instead",
    ),
];

/// However Azure's credentials are got. azurerm takes a certificate, then a secret, then the token.
const AZURE: &[Rivals] = &[
    (
        &["ARM_CLIENT_CERTIFICATE", "ARM_CLIENT_CERTIFICATE_PATH"],
        When::Set,
        "holds a certificate, which would be used instead",
    ),
    (
        &["ARM_CLIENT_SECRET", "ARM_CLIENT_SECRET_FILE_PATH"],
        When::Set,
        "holds a secret, which would be used instead",
    ),
    (
        &[
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_CLIENT_SECRET",
            "AZURE_USERNAME",
        ],
        When::Set,
        "belongs to other credentials, which Azure's SDKs would use instead",
    ),
    (
        &["ARM_CLIENT_ID_FILE_PATH"],
        When::Set,
        "names another application, and only one can be used",
    ),
    (
        &["ARM_USE_AKS_WORKLOAD_IDENTITY", "ARM_USE_MSI"],
        When::Yes,
        "asks for the identity of a pod or a machine",
    ),
];

const AZURE_DIRECT: &[Rivals] = &[
    (
        &["ARM_OIDC_TOKEN", "ARM_OIDC_TOKEN_FILE_PATH"],
        When::Set,
        "brings another token, and only one can be used",
    ),
    (
        &["ARM_USE_OIDC"],
        When::NotYes,
        "turns off the way in that the run has",
    ),
];

const AZURE_BY_VAULT: &[Rivals] = &[
    (
        &["ARM_CLIENT_ID"],
        When::Set,
        "names another application than the one that Vault will make",
    ),
    (
        &["ARM_USE_OIDC"],
        When::Yes,
        "asks for a token, and what Vault gives is a secret",
    ),
];

const GCP: &[Rivals] = &[(
    &[
        "GCLOUD_KEYFILE_JSON",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_CLOUD_KEYFILE_JSON",
        "GOOGLE_CREDENTIALS",
        "GOOGLE_OAUTH_ACCESS_TOKEN",
    ],
    When::Set,
    "brings other credentials, which would be used instead",
)];

const HCP: &[Rivals] = &[
    (
        &["HCP_CLIENT_ID", "HCP_CLIENT_SECRET"],
        When::Set,
        "belongs to a service principal's key, which would be used instead",
    ),
    (
        &["HCP_CRED_FILE"],
        When::Set,
        "names other credentials, and only one file can be used",
    ),
];

const KUBERNETES: &[Rivals] = &[(
    &["KUBE_TOKEN"],
    When::Set,
    "holds another token, and only one can be used",
)];

const VAULT: &[Rivals] = &[(
    &["VAULT_TOKEN"],
    When::Set,
    "holds the token of another login, and only one can be used",
)];

/// The two ways to the credentials of one cloud.
const SAME_CLOUD: [(Family, Family); 3] = [
    (Family::Aws, Family::VaultBackedAws),
    (Family::Gcp, Family::VaultBackedGcp),
    (Family::Azure, Family::VaultBackedAzure),
];

/// Finds them.
pub(super) fn check(
    environment: &Environment,
    enabled: &Enabled,
    configurations: &[Configuration],
    chosen: Option<&str>,
    problems: &mut Problems,
) {
    let chosen_of = |family: Family| {
        let of_family = enabled.iter().filter(|(known, _)| *known == family);
        let tags: Vec<_> = of_family.map(|(_, tag)| tag.as_ref()).collect();
        let asked = tags
            .iter()
            .find(|tag| tag.is_some() && tag.map(Tag::as_str) == chosen);
        asked.or(tags.iter().find(|tag| tag.is_none())).copied()
    };
    for (family, tag) in enabled {
        if *family == Family::Manual {
            problems.extend(manual_token(environment, tag.as_ref()));
        } else if chosen_of(*family) == Some(tag.as_ref()) {
            problems.extend(present_rivals(environment, *family, tag.as_ref()));
        }
    }
    for (direct, by_vault) in SAME_CLOUD {
        if let (Some(direct_tag), Some(tag)) = (chosen_of(direct), chosen_of(by_vault)) {
            let direct = direct.switch(direct_tag);
            let rule = format!(
                "sets the same credentials as `{direct}`: switch one of them off, or give it a tag"
            );
            problems.insert(InvalidVariable::new(by_vault.switch(tag), rule));
        }
    }
    for Configuration { tag, provider } in configurations {
        if chosen_of(Family::of(provider)) == Some(tag.as_ref()) {
            problems.extend(differing(environment, provider));
        }
    }
}

fn manual_token(environment: &Environment, tag: Option<&Tag>) -> Option<InvalidVariable> {
    let variable = Family::Manual.explicit(MANUAL_TOKEN, tag);
    environment.find(&variable)?;
    let rule = "has a token in it already, and the run's own goes there: unset it";
    Some(InvalidVariable::new(variable, rule))
}

fn present_rivals(
    environment: &Environment,
    family: Family,
    tag: Option<&Tag>,
) -> Vec<InvalidVariable> {
    let switch = family.switch(tag);
    let mut present = Vec::new();
    for (variables, when, what) in rivals(family).into_iter().flatten() {
        for variable in *variables {
            if environment
                .find(variable)
                .is_some_and(|value| when.holds(value))
            {
                let rule = match tag {
                    None => format!("{what}: unset it, or give `{switch}` a tag"),
                    Some(_) => {
                        format!("{what}: unset it, or leave `{switch}` to Terraform's aliases")
                    }
                };
                present.push(InvalidVariable::new(*variable, rule));
            }
        }
    }
    present
}

/// What an SDK reads instead of, or besides, what the family sets.
fn rivals(family: Family) -> [&'static [Rivals]; 2] {
    match family {
        Family::Aws | Family::VaultBackedAws => [AWS, &[]],
        Family::Azure => [AZURE, AZURE_DIRECT],
        Family::Gcp | Family::VaultBackedGcp => [GCP, &[]],
        Family::Hcp => [HCP, &[]],
        Family::Kubernetes => [KUBERNETES, &[]],
        Family::Vault => [VAULT, &[]],
        Family::VaultBackedAzure => [AZURE, AZURE_BY_VAULT],
        Family::HvsBackedAws | Family::HvsBackedGcp | Family::Manual | Family::TencentCloud => {
            [&[], &[]]
        }
    }
}

/// What may be set if it is set to the same.
fn differing(environment: &Environment, provider: &Provider) -> Vec<InvalidVariable> {
    let pairs = match provider {
        Provider::Azure(azure) => {
            let tenant = "AZURE_TENANT_ID";
            let ours = environment.find("ARM_TENANT_ID");
            vec![
                (
                    "ARM_CLIENT_ID",
                    "TFC_AZURE_RUN_CLIENT_ID",
                    Some(azure.client_id.as_str()),
                ),
                // Without the one the other is all that there is.
                (tenant, "ARM_TENANT_ID", ours.or(environment.find(tenant))),
            ]
        }
        Provider::Vault(vault) => vec![
            ("VAULT_ADDR", "TFC_VAULT_ADDR", Some(vault.address.as_str())),
            (
                "VAULT_NAMESPACE",
                "TFC_VAULT_NAMESPACE",
                vault.namespace.as_deref(),
            ),
        ],
        _ => Vec::new(),
    };
    let differing = pairs.into_iter().filter(|(variable, _, ours)| {
        let theirs = environment.find(variable);
        theirs.is_some_and(|theirs| Some(theirs.trim_end_matches('/')) != *ours)
    });
    let told = differing.map(|(variable, setting, _)| {
        let rule =
            format!("says something else than `{setting}` does: unset it, or set both to the same");
        InvalidVariable::new(variable, rule)
    });
    told.collect()
}

impl When {
    fn holds(self, value: &str) -> bool {
        // As Terraform's providers read a yes (Go's `strconv.ParseBool`).
        let is_yes = ["1", "t", "T", "true", "TRUE", "True"].contains(&value);
        match self {
            Self::Set => true,
            Self::Yes => is_yes,
            Self::NotYes => !is_yes,
        }
    }
}
