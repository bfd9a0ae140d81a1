//! What the variables ask for.

use std::time::Duration;

/// A `_TAG`: letters, digits and `_`, as it stands in the variable's name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Tag(String);

impl Tag {
    /// Takes `text` as a tag.
    ///
    /// # Errors
    /// Says what a tag may be ("Specifying multiple configurations").
    pub fn parse(text: &str) -> Result<Self, String> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err("a tag has letters, digits and `_`, and nothing else".to_owned());
        }
        // `TFC_VAULT_BACKED_AWS_AUTH_TYPE` is a setting.
        if text == "TYPE" {
            return Err("`TYPE` is reserved by HCP Terraform; choose another tag".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// The tag as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One configuration of one provider; it gets a token of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Configuration {
    /// Nothing for the default one.
    pub tag: Option<Tag>,
    /// Whose credentials, and what they need.
    pub provider: Provider,
}

/// Whose credentials, and what they need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Provider {
    /// `TFC_AWS_…`
    Aws(Aws),
    /// `TFC_AZURE_…`
    Azure(Azure),
    /// `TFC_GCP_…`
    Gcp(Gcp),
    /// `TFC_HCP_…`
    Hcp(Hcp),
    /// `TFC_KUBERNETES_…`
    Kubernetes(Kubernetes),
    /// `TFC_WORKLOAD_IDENTITY_AUDIENCE`: the token itself.
    Manual(Manual),
    /// `TFC_VAULT_…`
    Vault(Vault),
    /// `TFC_VAULT_BACKED_AWS_…`
    VaultBackedAws(VaultBackedAws),
    /// `TFC_VAULT_BACKED_AZURE_…`
    VaultBackedAzure(VaultBackedAzure),
    /// `TFC_VAULT_BACKED_GCP_…`
    VaultBackedGcp(VaultBackedGcp),
}

/// A role that a web identity assumes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Aws {
    /// The audience of its token.
    pub audience: String,
    /// The role of this phase.
    pub role_arn: String,
}

/// An application or identity with a federated credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Azure {
    /// The audience of its token.
    pub audience: String,
    /// The client id of this phase.
    pub client_id: String,
}

/// A provider of a workload identity pool.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gcp {
    /// The audience of its token.
    pub audience: String,
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`
    pub provider_name: String,
    /// The service account of this phase that the pool's principal impersonates; without it the
    /// principal acts in its own name (`TFC_GCP_PRINCIPAL_TYPE=workload_pool`).
    pub service_account: Option<String>,
}

/// A workload identity provider of HCP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hcp {
    /// The audience of its token.
    pub audience: String,
    /// The provider's resource name of this phase.
    pub provider_resource_name: String,
}

/// A cluster that trusts the issuer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kubernetes {
    /// The audience of its token.
    pub audience: String,
}

/// A token for whoever wants one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Manual {
    /// The audience of its token.
    pub audience: String,
}

/// A login at Vault or OpenBao by its JWT auth method.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vault {
    /// The audience of its token.
    pub audience: String,
    /// An http or https URL without a `/` at its end.
    pub address: String,
    /// The namespace, if there are any.
    pub namespace: Option<String>,
    /// Where the auth method is mounted, below `auth/`.
    pub auth_path: String,
    /// The role of this phase.
    pub role: String,
    /// The CA of its certificate (PEM), trusted instead of the system's.
    pub ca_pem: Option<String>,
    /// For one request.
    pub client_timeout: Duration,
}

/// AWS credentials from Vault's AWS secrets engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultBackedAws {
    /// Which Vault configuration logs in; nothing for the default one.
    pub vault: Option<Tag>,
    /// Where the engine is mounted.
    pub mount_path: String,
    /// What kind of credentials.
    pub kind: AwsCredentialKind,
    /// Vault's role of this phase.
    pub role: String,
    /// To wait once the credentials are there: IAM is eventually consistent.
    pub sleep: Duration,
}

/// `TFC_VAULT_BACKED_AWS_AUTH_TYPE`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AwsCredentialKind {
    /// `assumed_role`
    AssumedRole {
        /// Which of the role's ARNs in this phase, where there are several.
        role_arn: Option<String>,
    },
    /// `federation_token`
    FederationToken,
    /// `iam_user`
    IamUser,
}

/// Azure credentials from Vault's Azure secrets engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultBackedAzure {
    /// Which Vault configuration logs in; nothing for the default one.
    pub vault: Option<Tag>,
    /// Where the engine is mounted.
    pub mount_path: String,
    /// Vault's role of this phase.
    pub role: String,
    /// To wait once the credentials are there: Entra is eventually consistent.
    pub sleep: Duration,
}

/// GCP credentials from Vault's GCP secrets engine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VaultBackedGcp {
    /// Which Vault configuration logs in; nothing for the default one.
    pub vault: Option<Tag>,
    /// Where the engine is mounted.
    pub mount_path: String,
    /// Whose credentials.
    pub account: GcpAccount,
    /// What kind of credentials.
    pub kind: GcpCredentialKind,
}

/// Whose credentials Vault's GCP secrets engine hands out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GcpAccount {
    /// The roleset of this phase.
    Roleset(String),
    /// The static account of this phase.
    StaticAccount(String),
}

/// The second half of `TFC_VAULT_BACKED_GCP_AUTH_TYPE`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GcpCredentialKind {
    /// `…/access_token`
    AccessToken,
    /// `…/service_account_key`
    ServiceAccountKey,
}

impl Provider {
    /// Whose credentials, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aws(_) => "AWS",
            Self::Azure(_) => "Azure",
            Self::Gcp(_) => "GCP",
            Self::Hcp(_) => "HCP",
            Self::Kubernetes(_) => "Kubernetes",
            Self::Manual(_) => "the token by hand",
            Self::Vault(_) => "Vault",
            Self::VaultBackedAws(_) => "AWS by Vault",
            Self::VaultBackedAzure(_) => "Azure by Vault",
            Self::VaultBackedGcp(_) => "GCP by Vault",
        }
    }

    /// The audience of the token that the configuration needs; those that are Vault-backed use the
    /// login of another one.
    pub fn audience(&self) -> Option<&str> {
        match self {
            Self::Aws(Aws { audience, .. })
            | Self::Azure(Azure { audience, .. })
            | Self::Gcp(Gcp { audience, .. })
            | Self::Hcp(Hcp { audience, .. })
            | Self::Kubernetes(Kubernetes { audience })
            | Self::Manual(Manual { audience })
            | Self::Vault(Vault { audience, .. }) => Some(audience),
            Self::VaultBackedAws(_) | Self::VaultBackedAzure(_) | Self::VaultBackedGcp(_) => None,
        }
    }
}
