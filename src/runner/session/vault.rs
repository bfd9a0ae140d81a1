//! A session at Vault: logins that are kept up, what the secrets engines gave, and their end.

use std::time::Duration;

use super::kept::{Kept, What, describe};
use super::{Session, SessionError};
use crate::domain::time::Timestamp;
use crate::runner::cloud::{Credentials, credentials, handout};
use crate::runner::request::RequestError;
use crate::runner::schedule::Schedule;
use crate::runner::text::SecretText;
use crate::runner::token::IdentityToken;
use crate::runner::variables::{Configuration, Provider, Vault};
use crate::runner::vault::{GcpCredentials, Lease, VaultClient, VaultError};

#[derive(Debug)]
pub(super) struct VaultLogin {
    configuration: Configuration,
    client: VaultClient,
    token: SecretText,
    lease: Lease,
    /// Tokens of logins before: what was made with them ends with them.
    previous: Vec<SecretText>,
}

#[derive(Debug)]
pub(super) struct VaultCredentials {
    configuration: Configuration,
    lease: Lease,
}

impl VaultLogin {
    /// What a token must be asked for, for a new login; nothing while this one can be prolonged.
    pub(super) fn audience(&self) -> Option<&str> {
        let audience = self.configuration.provider.audience();
        audience.filter(|_| !self.lease.renewable)
    }

    /// Whether a configuration that is Vault-backed uses this login.
    fn is_that_of(&self, configuration: &Configuration) -> bool {
        let vault = match &configuration.provider {
            Provider::VaultBackedAws(config) => &config.vault,
            Provider::VaultBackedAzure(config) => &config.vault,
            Provider::VaultBackedGcp(config) => &config.vault,
            _ => return false,
        };
        self.configuration.tag == *vault
    }

    /// Credentials from a secrets engine; nothing for a configuration that is not Vault-backed.
    async fn credentials(
        &self,
        configuration: &Configuration,
    ) -> Result<Option<(Credentials, Lease)>, VaultError> {
        let (client, token) = (&self.client, &self.token);
        Ok(match &configuration.provider {
            Provider::VaultBackedAws(config) => {
                let given = client.aws(config, token).await?;
                let lease = given.lease.clone();
                Some((Credentials::Aws(given), lease))
            }
            Provider::VaultBackedAzure(config) => {
                let given = client.azure(config, token).await?;
                let lease = given.lease.clone();
                Some((Credentials::Azure(given), lease))
            }
            Provider::VaultBackedGcp(config) => {
                let given = client.gcp(config, token).await?;
                let (GcpCredentials::AccessToken { lease, .. }
                | GcpCredentials::ServiceAccountKey { lease, .. }) = &given;
                let lease = lease.clone();
                Some((Credentials::Gcp(given), lease))
            }
            _ => None,
        })
    }
}

/// A login that is to be ended, and the leases that were made with it.
#[derive(Debug)]
pub(super) struct Revocation {
    whom: String,
    client: VaultClient,
    /// The last one is the one that is in use.
    tokens: Vec<SecretText>,
    leases: Vec<String>,
}

impl Revocation {
    /// Of this login; nothing for what is none.
    pub(super) fn of(kept: &Kept, all: &[Kept]) -> Option<Self> {
        let What::VaultLogin(login) = &kept.what else {
            return None;
        };
        let leases = all.iter().filter_map(|kept| match &kept.what {
            What::VaultCredentials(credentials) if login.is_that_of(&credentials.configuration) => {
                credentials.lease.id.clone()
            }
            _ => None,
        });
        Some(Self {
            whom: kept.whom.clone(),
            client: login.client.clone(),
            tokens: login
                .previous
                .iter()
                .chain([&login.token])
                .cloned()
                .collect(),
            leases: leases.collect(),
        })
    }

    /// Ends it, and with it what was made with it. What could not be ended is told.
    pub(super) async fn carry_out(self) -> Vec<String> {
        let ended = tokio::time::timeout(PATIENCE, self.revoke()).await;
        let errors = ended.unwrap_or_else(|_| vec!["Vault does not answer".to_owned()]);
        let whom = &self.whom;
        let told = errors.iter();
        told.map(|error| format!("warning: {whom}: could not be revoked: {error}"))
            .collect()
    }

    async fn revoke(&self) -> Vec<String> {
        let mut errors = Vec::new();
        let mut lives_on = false;
        // A batch token ends by itself, in its own time: then its leases are ended one by one.
        for token in &self.tokens {
            match self.client.revoke(token).await {
                Ok(ended) => lives_on |= !ended,
                Err(error) => errors.push(error.to_string()),
            }
        }
        if let Some(token) = self.tokens.last().filter(|_| lives_on) {
            for id in &self.leases {
                if let Err(error) = self.client.revoke_lease(id, token).await {
                    errors.push(error.to_string());
                }
            }
        }
        errors
    }
}

impl Kept {
    fn came_anew(&mut self, renewed: Lease, now: Timestamp) {
        self.schedule = schedule(&renewed, now);
        if let What::VaultCredentials(credentials) = &mut self.what {
            credentials.lease = renewed;
        }
    }
}

impl Session {
    pub(super) async fn log_in(
        &mut self,
        configuration: &Configuration,
        vault: &Vault,
        token: &IdentityToken,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let whom = describe(configuration);
        let failed = |source: VaultError| SessionError::Vault {
            whom: whom.clone(),
            source: source.into(),
        };
        let client = VaultClient::new(vault).map_err(failed)?;
        let login = client.login(token).await.map_err(failed)?;
        self.settings.learn(&login.token);
        // Kept before anything else can fail: whatever happens, it is revoked.
        self.kept.push(Kept {
            whom: whom.clone(),
            schedule: schedule(&login.lease, now),
            what: What::VaultLogin(Box::new(VaultLogin {
                configuration: configuration.clone(),
                client: client.asking_once(),
                token: login.token.clone(),
                lease: login.lease,
                previous: Vec::new(),
            })),
        });
        let handout = handout(configuration, &self.place(configuration));
        self.hand_out(handout, Some(&login.token), configuration)
    }

    pub(super) async fn read_from_vault(
        &mut self,
        configuration: &Configuration,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let whom = describe(configuration);
        // That there is one was seen when the variables were read.
        let Some(login) = self.login_of(configuration) else {
            return Ok(());
        };
        let given = login.credentials(configuration).await;
        let given = given.map_err(|source| SessionError::Vault {
            whom: whom.clone(),
            source: source.into(),
        })?;
        let Some((given, lease)) = given else {
            return Ok(());
        };
        self.kept.push(Kept {
            whom,
            schedule: schedule(&lease, now),
            what: What::VaultCredentials(Box::new(VaultCredentials {
                configuration: configuration.clone(),
                lease,
            })),
        });
        self.hand_out_credentials(&given, configuration)?;
        let settles_in = match &configuration.provider {
            Provider::VaultBackedAws(config) => config.sleep,
            Provider::VaultBackedAzure(config) => config.sleep,
            _ => Duration::ZERO,
        };
        self.settles_in = self.settles_in.max(settles_in);
        Ok(())
    }

    fn login_of(&self, configuration: &Configuration) -> Option<&VaultLogin> {
        self.kept.iter().find_map(|kept| match &kept.what {
            What::VaultLogin(login) if login.is_that_of(configuration) => Some(&**login),
            _ => None,
        })
    }

    pub(super) async fn renew_login(
        &mut self,
        index: usize,
        token: Option<Result<IdentityToken, RequestError>>,
        now: Timestamp,
    ) -> Result<Option<String>, String> {
        let kept = &mut self.kept[index];
        let What::VaultLogin(login) = &mut kept.what else {
            return Ok(None);
        };
        let Some(token) = token else {
            let lease = match login.client.renew(&login.token).await {
                Ok(lease) => lease,
                Err(error) => {
                    // Vault says no for good: a login is what is left.
                    login.lease.renewable &= error.is_passing();
                    return Err(error.to_string());
                }
            };
            // Vault lets it live for less each time once its longest life is near: then a login.
            let shortened = lease.seconds < login.lease.seconds;
            login.lease = Lease {
                renewable: lease.renewable && !shortened,
                ..lease
            };
            kept.schedule = schedule(&login.lease, now);
            return Ok(None);
        };
        let token = token.map_err(|error| error.to_string())?;
        let again = login.client.login(&token).await;
        let again = again.map_err(|error| error.to_string())?;
        self.settings.learn(&again.token);
        let before = std::mem::replace(&mut login.token, again.token.clone());
        login.previous.push(before);
        login.lease = again.lease;
        kept.schedule = schedule(&login.lease, now);
        let configuration = login.configuration.clone();
        self.read_anew(index, now);
        let handout = handout(&configuration, &self.place(&configuration));
        let written = self.hand_out(handout, Some(&again.token), &configuration);
        written.map_err(|error| error.to_string())?;
        let notice = "logged in anew: the file has the new token, and VAULT_TOKEN the one before";
        Ok(Some(notice.to_owned()))
    }

    /// What was made with the login before ends with it, however long its own lease is.
    fn read_anew(&mut self, login: usize, now: Timestamp) {
        let (before, rest) = self.kept.split_at_mut(login);
        let Some((
            Kept {
                what: What::VaultLogin(login),
                ..
            },
            after,
        )) = rest.split_first_mut()
        else {
            return;
        };
        for kept in before.iter_mut().chain(after) {
            if let What::VaultCredentials(credentials) = &mut kept.what
                && login.is_that_of(&credentials.configuration)
            {
                credentials.lease.renewable = false;
                kept.schedule.due_at = now;
            }
        }
    }

    pub(super) async fn renew_credentials(
        &mut self,
        index: usize,
        now: Timestamp,
    ) -> Result<Option<String>, String> {
        let What::VaultCredentials(credentials) = &self.kept[index].what else {
            return Ok(None);
        };
        let configuration = credentials.configuration.clone();
        let Some(login) = self.login_of(&configuration) else {
            return Ok(None);
        };
        // The same for longer, unless Vault does not let them live for as long again.
        let before = &credentials.lease;
        if let Some(id) = before.id.as_ref().filter(|_| before.renewable)
            && let Ok(lease) = login.client.renew_lease(id, &login.token).await
            && lease.seconds >= before.seconds
        {
            self.kept[index].came_anew(lease, now);
            return Ok(None);
        }
        let given = login.credentials(&configuration).await;
        let Some((given, lease)) = given.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        self.kept[index].came_anew(lease, now);
        let written = self.hand_out_credentials(&given, &configuration);
        written.map_err(|error| error.to_string())?;
        let notice = "new credentials: the files have them, and variables those before";
        Ok(Some(notice.to_owned()))
    }

    fn hand_out_credentials(
        &mut self,
        given: &Credentials,
        configuration: &Configuration,
    ) -> Result<(), SessionError> {
        for secret in given.secrets() {
            self.settings.learn(secret);
        }
        let handout = credentials(given, &self.place(configuration));
        self.hand_out(handout, None, configuration)
    }
}

/// A Vault that does not answer must not keep a job from its end.
const PATIENCE: Duration = Duration::from_secs(20);

fn schedule(lease: &Lease, now: Timestamp) -> Schedule {
    // Vault's own rule: no lease at all, or one of no seconds, does not end.
    if lease.seconds <= 0 {
        Schedule::endless()
    } else {
        Schedule::new(now, lease.seconds, fastrand::f64())
    }
}
