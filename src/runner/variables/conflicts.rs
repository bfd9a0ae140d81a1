//! Variables that stand in the way of what the run will be given.
//!
//! Only configurations without a tag set variables that an SDK reads by itself; tagged ones are
//! handed over by name. A manual token has a variable of its own for each tag.

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
        &["AWS_PROFILE"],
        When::Set,
        "names a profile, whose credentials would be used instead",
    ),
    (
        &["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"],
        When::Set,
        "belongs to another web identity (a pod's?), and only one can be used",
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
        &[
            "ARM_OIDC_REQUEST_TOKEN",
            "ARM_OIDC_REQUEST_URL",
            "ARM_OIDC_TOKEN",
            "ARM_OIDC_TOKEN_FILE_PATH",
        ],
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
    problems: &mut Problems,
) {
    for (family, tag) in enabled {
        match (family, tag) {
            (Family::Manual, tag) => problems.extend(manual_token(environment, tag.as_ref())),
            (family, None) => problems.extend(present_rivals(environment, *family)),
            (_, Some(_)) => {}
        }
    }
    for (direct, by_vault) in SAME_CLOUD {
        if enabled.contains(&(direct, None)) && enabled.contains(&(by_vault, None)) {
            let direct = direct.switch(None);
            let rule = format!(
                "sets the same credentials as `{direct}`: switch one of them off, or give it a tag"
            );
            problems.insert(InvalidVariable::new(by_vault.switch(None), rule));
        }
    }
    for Configuration { tag, provider } in configurations {
        if tag.is_none() {
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

fn present_rivals(environment: &Environment, family: Family) -> Vec<InvalidVariable> {
    let switch = family.switch(None);
    let mut present = Vec::new();
    for (variables, when, what) in rivals(family).into_iter().flatten() {
        for variable in *variables {
            if environment
                .find(variable)
                .is_some_and(|value| when.holds(value))
            {
                let rule = format!("{what}: unset it, or give `{switch}` a tag");
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
        Provider::Azure(azure) => vec![(
            "ARM_CLIENT_ID",
            "TFC_AZURE_RUN_CLIENT_ID",
            Some(azure.client_id.as_str()),
        )],
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
