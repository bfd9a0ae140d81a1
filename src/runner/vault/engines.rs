//! The secrets engines behind HCP Terraform's Vault-backed credentials (Vault's API documentation,
//! "AWS", "Azure" and "Google Cloud secrets engine").
//!
//! All of them are read: the policy needs `read` and nothing else, as HCP Terraform's does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::Deserialize;

use super::VaultClient;
use super::answer::{Answer, Lease};
use super::call::{Call, Purpose};
use super::error::VaultError;
use super::path::ApiPath;
use crate::runner::text::SecretText;
use crate::runner::variables::{
    AwsCredentialKind, GcpAccount, GcpCredentialKind, VaultBackedAws, VaultBackedAzure,
    VaultBackedGcp,
};

/// Keys of a user that Vault made, or of a session.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: SecretText,
    /// `AWS_SESSION_TOKEN`; a user's keys have none.
    pub session_token: Option<SecretText>,
    /// A session cannot be renewed, and revoking its lease does not end it.
    pub lease: Lease,
}

/// A service principal that Vault made, or a password of one.
#[derive(Clone, Debug)]
pub struct AzureCredentials {
    /// `ARM_CLIENT_ID`
    pub client_id: String,
    /// `ARM_CLIENT_SECRET`
    pub client_secret: SecretText,
    /// Its life.
    pub lease: Lease,
}

/// What a roleset or static account gives.
#[derive(Clone, Debug)]
pub enum GcpCredentials {
    /// An OAuth token.
    AccessToken {
        /// `GOOGLE_OAUTH_ACCESS_TOKEN`
        token: SecretText,
        /// Google's tokens cannot be renewed or revoked: it has no id.
        lease: Lease,
    },
    /// A key of a service account.
    ServiceAccountKey {
        /// The file that `GOOGLE_APPLICATION_CREDENTIALS` names.
        json: SecretText,
        /// Its life.
        lease: Lease,
    },
}

impl VaultClient {
    /// AWS credentials: `MOUNT/creds/ROLE` for a user, `MOUNT/sts/ROLE` for a session.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn aws(
        &self,
        aws: &VaultBackedAws,
        token: &SecretText,
    ) -> Result<AwsCredentials, VaultError> {
        let (kind, role_arn) = match &aws.kind {
            AwsCredentialKind::AssumedRole { role_arn } => ("sts", role_arn.as_deref()),
            AwsCredentialKind::FederationToken => ("sts", None),
            AwsCredentialKind::IamUser => ("creds", None),
        };
        let path = ApiPath::mount("TFC_VAULT_BACKED_AWS_MOUNT_PATH", &aws.mount_path)?
            .then(kind)
            .name("TFC_VAULT_BACKED_AWS_…_VAULT_ROLE", &aws.role)?;
        let query = role_arn.map(|role_arn| ("role_arn", role_arn));
        let answer = self.read(path, query, token).await?;
        // Older versions have the older name only.
        let session_token = match answer.find_text("/data/session_token")? {
            None => answer.find_text("/data/security_token")?,
            found => found,
        };
        Ok(AwsCredentials {
            access_key_id: answer.text("/data/access_key")?.to_owned(),
            secret_access_key: answer.secret("/data/secret_key")?,
            session_token: session_token.map(SecretText::new),
            lease: answer.lease("ttl"),
        })
    }

    /// Azure credentials: `MOUNT/creds/ROLE`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn azure(
        &self,
        azure: &VaultBackedAzure,
        token: &SecretText,
    ) -> Result<AzureCredentials, VaultError> {
        let path = ApiPath::mount("TFC_VAULT_BACKED_AZURE_MOUNT_PATH", &azure.mount_path)?
            .then("creds")
            .name("TFC_VAULT_BACKED_AZURE_…_VAULT_ROLE", &azure.role)?;
        let answer = self.read(path, None, token).await?;
        Ok(AzureCredentials {
            client_id: answer.text("/data/client_id")?.to_owned(),
            client_secret: answer.secret("/data/client_secret")?,
            lease: answer.lease("ttl"),
        })
    }

    /// GCP credentials: `token` or `key` below `MOUNT/roleset/NAME` or `MOUNT/static-account/NAME`.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn gcp(
        &self,
        gcp: &VaultBackedGcp,
        token: &SecretText,
    ) -> Result<GcpCredentials, VaultError> {
        let mount = ApiPath::mount("TFC_VAULT_BACKED_GCP_MOUNT_PATH", &gcp.mount_path)?;
        let account = match &gcp.account {
            GcpAccount::Roleset(name) => mount
                .then("roleset")
                .name("TFC_VAULT_BACKED_GCP_…_VAULT_ROLESET", name)?,
            GcpAccount::StaticAccount(name) => mount
                .then("static-account")
                .name("TFC_VAULT_BACKED_GCP_…_VAULT_STATIC_ACCOUNT", name)?,
        };
        match gcp.kind {
            GcpCredentialKind::AccessToken => {
                let answer = self.read(account.then("token"), None, token).await?;
                Ok(GcpCredentials::AccessToken {
                    token: answer.secret("/data/token")?,
                    lease: answer.lease("token_ttl"),
                })
            }
            GcpCredentialKind::ServiceAccountKey => {
                let answer = self.read(account.then("key"), None, token).await?;
                Ok(GcpCredentials::ServiceAccountKey {
                    json: service_account_key(&answer)?,
                    lease: answer.lease("ttl"),
                })
            }
        }
    }

    async fn read(
        &self,
        path: ApiPath,
        query: Option<(&'static str, &str)>,
        token: &SecretText,
    ) -> Result<Answer, VaultError> {
        let call = Call {
            method: Method::GET,
            path,
            query,
            body: None,
            secret: token,
            purpose: Purpose::Secret,
        };
        self.send(&call).await
    }
}

/// The key's file, which Vault passes on in base64 as it comes from Google.
fn service_account_key(answer: &Answer) -> Result<SecretText, VaultError> {
    #[derive(Deserialize)]
    struct KeyFile {
        r#type: String,
    }
    let no_key = || answer.unlike("`data.private_key_data` is no service account's key in base64");
    let data = answer.text("/data/private_key_data")?;
    let file = STANDARD.decode(data).map_err(|_| no_key())?;
    let file = String::from_utf8(file).map_err(|_| no_key())?;
    let file = SecretText::new(file);
    match serde_json::from_str(file.expose()) {
        Ok(KeyFile { r#type }) if r#type == "service_account" => Ok(file),
        _ => Err(no_key()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_service_account_s_key_is_a_file_in_base64() {
        let key = |data: String| {
            service_account_key(&Answer {
                host: "https://vault".to_owned(),
                path: "gcp/roleset/x/key".to_owned(),
                json: json!({"data": {"private_key_data": data}}),
            })
        };
        let file = json!({"type": "service_account", "private_key": "hidden"}).to_string();
        let good = STANDARD.encode(&file);
        assert_eq!(key(good.clone()).unwrap().expose(), file);
        for bad in [
            String::new(),
            file,
            good[1..].to_owned(),
            STANDARD.encode("hidden"),
            STANDARD.encode(r#"{"type": "authorized_user"}"#),
            STANDARD.encode([0xff]),
        ] {
            let error = key(bad).unwrap_err().to_string();
            assert!(error.contains("private_key_data"), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
