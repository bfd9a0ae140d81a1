//! What a session keeps: identity tokens in files, logins at Vault, and what Vault gave.

use super::{Session, SessionError};
use crate::domain::time::Timestamp;
use crate::runner::cloud::{Credentials, credentials, handout};
use crate::runner::request::RequestError;
use crate::runner::schedule::{Failure, Schedule};
use crate::runner::text::SecretText;
use crate::runner::token::IdentityToken;
use crate::runner::variables::{Configuration, Provider, Vault};
use crate::runner::vault::{GcpCredentials, Lease, VaultClient, VaultError};

/// One thing that is kept fresh.
#[derive(Debug)]
pub(super) struct Kept {
    /// Whose it is, for people.
    pub(super) whom: String,
    pub(super) schedule: Schedule,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// An identity token in a file.
    Token {
        audience: String,
        file: TokenFile,
        /// By the issuer's clock.
        expires_at: Timestamp,
    },
    /// A login at Vault.
    VaultLogin(Box<VaultLogin>),
    /// What a secrets engine gave.
    VaultCredentials(Box<VaultCredentials>),
}

/// Who writes a token's file.
#[derive(Debug)]
pub(super) enum TokenFile {
    /// A configuration, as its cloud wants it.
    Of(Box<Configuration>),
    /// Nobody in particular: this name.
    Named(String),
}

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

impl Kept {
    /// A token that somebody wants in a file of this name.
    pub(super) fn file(audience: &str, file: &str, token: &IdentityToken, now: Timestamp) -> Self {
        Self {
            whom: format!("the file `{file}`"),
            schedule: Schedule::new(now, token.lifetime(), fastrand::f64()),
            what: What::Token {
                audience: audience.to_owned(),
                file: TokenFile::Named(file.to_owned()),
                expires_at: token.claims.exp,
            },
        }
    }

    /// What a token must be asked for, for this to be renewed.
    pub(super) fn audience(&self) -> Option<&str> {
        match &self.what {
            What::Token { audience, .. } => Some(audience),
            What::VaultLogin(login) if !login.lease.renewable => {
                login.configuration.provider.audience()
            }
            What::VaultLogin(_) | What::VaultCredentials(_) => None,
        }
    }

    /// Ends a login at Vault, and with it what was made with it. What could not be ended is told.
    pub(super) async fn revoke(&self, all: &[Self]) -> Vec<String> {
        let What::VaultLogin(login) = &self.what else {
            return Vec::new();
        };
        let mut errors = Vec::new();
        let mut lives_on = false;
        for token in login.previous.iter().chain([&login.token]) {
            match login.client.revoke(token).await {
                Ok(ended) => lives_on |= !ended,
                Err(error) => errors.push(error),
            }
        }
        // A batch token ends by itself, in its own time.
        for kept in all.iter().filter(|_| lives_on) {
            if let What::VaultCredentials(credentials) = &kept.what
                && let Some(id) = &credentials.lease.id
                && login.is_that_of(&credentials.configuration)
                && let Err(error) = login.client.revoke_lease(id, &login.token).await
            {
                errors.push(error);
            }
        }
        let whom = &self.whom;
        let told = errors.iter();
        told.map(|error| format!("warning: {whom}: could not be revoked: {error}"))
            .collect()
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

impl VaultLogin {
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

impl Session {
    pub(super) fn keep_token(
        &mut self,
        configuration: &Configuration,
        token: &IdentityToken,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let handout = handout(configuration, &self.place(configuration));
        self.hand_out(handout, Some(token.text()), configuration)?;
        self.kept.push(Kept {
            whom: describe(configuration),
            schedule: Schedule::new(now, token.lifetime(), fastrand::f64()),
            what: What::Token {
                audience: configuration
                    .provider
                    .audience()
                    .unwrap_or_default()
                    .to_owned(),
                file: TokenFile::Of(Box::new(configuration.clone())),
                expires_at: token.claims.exp,
            },
        });
        Ok(())
    }

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
                client,
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
        // The clouds need a moment until new credentials are good everywhere.
        let sleep = match &configuration.provider {
            Provider::VaultBackedAws(config) => config.sleep,
            Provider::VaultBackedAzure(config) => config.sleep,
            _ => std::time::Duration::ZERO,
        };
        tokio::time::sleep(sleep).await;
        Ok(())
    }

    fn login_of(&self, configuration: &Configuration) -> Option<&VaultLogin> {
        self.kept.iter().find_map(|kept| match &kept.what {
            What::VaultLogin(login) if login.is_that_of(configuration) => Some(&**login),
            _ => None,
        })
    }

    /// Renews one thing, with the token that was asked for if it needs one. What a person should
    /// know is told: the first failure in a row, and the end.
    pub(super) async fn renew(
        &mut self,
        index: usize,
        token: Option<Result<IdentityToken, RequestError>>,
        now: Timestamp,
    ) -> Option<String> {
        let renewed = match &self.kept[index].what {
            What::Token { .. } => match token? {
                Ok(token) => self.renew_token(index, &token, now),
                Err(error) => Err(error.to_string()),
            },
            What::VaultLogin(_) => self.renew_login(index, token, now).await,
            What::VaultCredentials(_) => self.renew_credentials(index, now).await,
        };
        let kept = &mut self.kept[index];
        let whom = &kept.whom;
        match renewed {
            Ok(notice) => notice.map(|notice| format!("{whom}: {notice}")),
            Err(error) => {
                let failure = kept.schedule.failed(now);
                let end = kept.schedule.expires_at;
                match failure {
                    Failure::First => Some(format!(
                        "warning: {whom}: not renewed yet, good until {end}, tried again: {error}"
                    )),
                    Failure::Ended => Some(format!(
                        "error: {whom}: ended at {end} and cannot be renewed: {error}"
                    )),
                    Failure::Further => None,
                }
            }
        }
    }

    fn renew_token(
        &mut self,
        index: usize,
        token: &IdentityToken,
        now: Timestamp,
    ) -> Result<Option<String>, String> {
        self.settings.learn(token.text());
        let What::Token { file, .. } = &self.kept[index].what else {
            return Ok(None);
        };
        match file {
            TokenFile::Named(name) => {
                let written = self.settings.folder.write(name, token.text().expose());
                written.map_err(|error| error.to_string())?;
            }
            TokenFile::Of(configuration) => {
                let configuration = configuration.clone();
                let handout = handout(&configuration, &self.place(&configuration));
                let written = self.hand_out(handout, Some(token.text()), &configuration);
                written.map_err(|error| error.to_string())?;
            }
        }
        let kept = &mut self.kept[index];
        kept.schedule = Schedule::new(now, token.lifetime(), fastrand::f64());
        let What::Token { expires_at, .. } = &mut kept.what else {
            return Ok(None);
        };
        let gained = token.claims.exp.seconds_since(*expires_at);
        *expires_at = token.claims.exp;
        // Tokens end with the run, so the last one cannot be made to live longer.
        if gained > 0 {
            return Ok(None);
        }
        kept.schedule = kept.schedule.as_it_is();
        let end = kept.schedule.expires_at;
        Ok(Some(format!(
            "the run's deadline is near: its last token ends at {end}"
        )))
    }

    async fn renew_login(
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
            let lease = login.client.renew(&login.token).await;
            let lease = lease.map_err(|error| error.to_string())?;
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
        let handout = handout(&configuration, &self.place(&configuration));
        let written = self.hand_out(handout, Some(&again.token), &configuration);
        written.map_err(|error| error.to_string())?;
        let notice = "logged in anew: the file has the new token, and VAULT_TOKEN the one before";
        Ok(Some(notice.to_owned()))
    }

    async fn renew_credentials(
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

fn schedule(lease: &Lease, now: Timestamp) -> Schedule {
    // Vault's own rule: no lease at all, or one of no seconds, does not end.
    if lease.seconds <= 0 {
        Schedule::endless()
    } else {
        Schedule::new(now, lease.seconds, fastrand::f64())
    }
}

/// A configuration, as people call it.
pub(super) fn describe(configuration: &Configuration) -> String {
    let name = configuration.provider.name();
    match &configuration.tag {
        None => name.to_owned(),
        Some(tag) => format!("{name}, tag `{}`", tag.as_str()),
    }
}
