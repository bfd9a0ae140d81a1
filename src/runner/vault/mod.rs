//! A client of Vault and OpenBao, for what a run needs of them: a login by the JWT auth method, upkeep
//! of what came of it, and credentials from the secrets engines.
//!
//! A run's Vault token is revoked when the run is over, and with it end the leases that were made with
//! it. When to renew is for others to say.

mod answer;
mod call;
mod engines;
mod error;
mod path;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use url::Url;

use self::answer::Answer;
pub use self::answer::Lease;
use self::call::{Call, Purpose};
pub use self::engines::{AwsCredentials, AzureCredentials, GcpCredentials};
pub use self::error::VaultError;
use self::path::ApiPath;
use super::http;
use super::text::SecretText;
use super::token::IdentityToken;
use super::variables::Vault;

/// One Vault, as one configuration sees it.
#[derive(Clone, Debug)]
pub struct VaultClient {
    http: Client,
    address: Url,
    namespace: Option<HeaderValue>,
    login: ApiPath,
    role: String,
    audience: String,
    /// Whether it asks again by itself.
    asks_once: bool,
}

/// What a login gave.
#[derive(Clone, Debug)]
pub struct Login {
    /// The Vault token.
    pub token: SecretText,
    /// Its life. A batch token is not renewable and cannot be revoked: it ends by itself, and then so
    /// do its leases.
    pub lease: Lease,
    /// What Vault wants to be said.
    pub warnings: Vec<String>,
}

impl VaultClient {
    /// Sets up how to ask.
    ///
    /// # Errors
    /// [`VaultError::Setting`] for what cannot be used, and [`VaultError::Client`].
    pub fn new(vault: &Vault) -> Result<Self, VaultError> {
        let address = address(&vault.address)?;
        let namespace = vault.namespace.as_deref().map(|namespace| {
            HeaderValue::from_str(namespace).map_err(|_| VaultError::Setting {
                variable: "TFC_VAULT_NAMESPACE",
                reason: "a header cannot hold it".to_owned(),
            })
        });
        let login = ApiPath::of("auth")
            .below("TFC_VAULT_AUTH_PATH", &vault.auth_path)?
            .then("login");
        let roots = vault.ca_pem.as_deref().map(certificates).transpose()?;
        let redirect = Policy::custom(call::follow);
        let http = http::client(&address, vault.client_timeout, redirect, roots)
            .map_err(VaultError::Client)?;
        Ok(Self {
            http,
            address,
            namespace: namespace.transpose()?,
            login,
            role: vault.role.clone(),
            audience: vault.audience.clone(),
            asks_once: false,
        })
    }

    /// The same, for those who have a time of their own to ask again: each call is one attempt.
    #[must_use]
    pub fn asking_once(&self) -> Self {
        Self {
            asks_once: true,
            ..self.clone()
        }
    }

    /// Logs in with a token of the run (`auth/MOUNT/login`).
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn login(&self, identity: &IdentityToken) -> Result<Login, VaultError> {
        let call = Call {
            method: Method::POST,
            path: self.login.clone(),
            query: None,
            body: Some(json!({"role": self.role, "jwt": identity.text().expose()})),
            secret: identity.text(),
            purpose: Purpose::Login {
                audience: &self.audience,
                subject: &identity.claims.sub,
            },
        };
        let answer = self.send(&call).await?;
        if answer.json["auth"]["mfa_requirement"].is_object() {
            return Err(answer.unlike("it wants a second factor, which a run does not have"));
        }
        Ok(Login {
            token: answer.secret("/auth/client_token")?,
            lease: answer.token_lease()?,
            warnings: answer.warnings(),
        })
    }

    /// Prolongs the token's life (`auth/token/renew-self`): what Vault says of it now counts, since it
    /// may be less than last time.
    ///
    /// # Errors
    /// [`VaultError`]; a token that is not renewable is refused.
    pub async fn renew(&self, token: &SecretText) -> Result<Lease, VaultError> {
        let answer = self.upkeep("auth/token/renew-self", json!({}), token);
        answer.await?.token_lease()
    }

    /// Ends the token and its leases (`auth/token/revoke-self`). One that has ended already is no
    /// error, as far as Vault tells. `false` for a batch token: it cannot be revoked, and ends by
    /// itself.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn revoke(&self, token: &SecretText) -> Result<bool, VaultError> {
        let path = "auth/token/revoke-self";
        match self.upkeep(path, json!({}), token).await {
            Ok(_) => Ok(true),
            Err(VaultError::Refused { detail, .. }) if error::is_about_no_token(&detail) => {
                Ok(true)
            }
            Err(VaultError::Refused { detail, .. }) if detail.contains("batch tokens") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Prolongs a lease (`sys/leases/renew`).
    ///
    /// # Errors
    /// [`VaultError`]; a lease that is not renewable is refused.
    pub async fn renew_lease(&self, id: &str, token: &SecretText) -> Result<Lease, VaultError> {
        let body = json!({"lease_id": id});
        let answer = self.upkeep("sys/leases/renew", body, token).await?;
        Ok(answer.lease("ttl"))
    }

    /// Ends a lease (`sys/leases/revoke`), which Vault's default policy does not allow; all leases end
    /// with their token.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn revoke_lease(&self, id: &str, token: &SecretText) -> Result<(), VaultError> {
        let body = json!({"lease_id": id});
        self.upkeep("sys/leases/revoke", body, token).await?;
        Ok(())
    }

    async fn upkeep(
        &self,
        path: &'static str,
        body: Value,
        token: &SecretText,
    ) -> Result<Answer, VaultError> {
        let call = Call {
            method: Method::POST,
            path: ApiPath::of(path),
            query: None,
            body: Some(body),
            secret: token,
            purpose: Purpose::Upkeep,
        };
        self.send(&call).await
    }
}

fn address(text: &str) -> Result<Url, VaultError> {
    let wrong = |reason: &str| VaultError::Setting {
        variable: "TFC_VAULT_ADDR",
        reason: reason.to_owned(),
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong("it is no http or https URL"));
    }
    let is_bare = url.query().is_none() && url.fragment().is_none();
    if !url.username().is_empty() || url.password().is_some() || !is_bare {
        return Err(wrong("it has more than scheme, host, port and path"));
    }
    Ok(url)
}

fn certificates(pem: &str) -> Result<Vec<Certificate>, VaultError> {
    match Certificate::from_pem_bundle(pem.as_bytes()) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(VaultError::Setting {
            variable: "TFC_VAULT_ENCODED_CACERT",
            reason: "there is no certificate (PEM) in it".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn vault() -> Vault {
        Vault {
            audience: "vault.workload.identity".to_owned(),
            address: "https://vault.example.com:8200".to_owned(),
            namespace: None,
            auth_path: "jwt".to_owned(),
            role: "deploy".to_owned(),
            ca_pem: None,
            client_timeout: Duration::from_mins(1),
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_the_name_of_its_variable() {
        VaultClient::new(&vault()).unwrap();
        let with = |change: fn(&mut Vault)| {
            let mut vault = vault();
            change(&mut vault);
            VaultClient::new(&vault).unwrap_err().to_string()
        };
        for (error, variable) in [
            (
                with(|v| v.address = "vault:8200".to_owned()),
                "TFC_VAULT_ADDR",
            ),
            (
                with(|v| v.address = "vault.example.com".to_owned()),
                "TFC_VAULT_ADDR",
            ),
            (
                with(|v| v.address = "https://u:hidden@v".to_owned()),
                "TFC_VAULT_ADDR",
            ),
            (
                with(|v| v.address = "https://v/?a=b".to_owned()),
                "TFC_VAULT_ADDR",
            ),
            (
                with(|v| v.auth_path = "../sys".to_owned()),
                "TFC_VAULT_AUTH_PATH",
            ),
            (
                with(|v| v.namespace = Some("a\nb".to_owned())),
                "TFC_VAULT_NAMESPACE",
            ),
            (
                with(|v| v.ca_pem = Some("MIIB".to_owned())),
                "TFC_VAULT_ENCODED_CACERT",
            ),
        ] {
            assert!(error.starts_with(&format!("`{variable}`")), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
