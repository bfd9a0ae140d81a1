//! What a session keeps: identity tokens in files, logins at Vault, and what Vault gave.

use super::vault::{VaultCredentials, VaultLogin};
use super::{Session, SessionError};
use crate::domain::time::Timestamp;
use crate::runner::cloud::handout;
use crate::runner::request::RequestError;
use crate::runner::schedule::{Failure, Schedule};
use crate::runner::token::IdentityToken;
use crate::runner::variables::Configuration;

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
            What::VaultLogin(login) => login.audience(),
            What::VaultCredentials(_) => None,
        }
    }

    /// Whether renewing it asks Vault.
    pub(super) fn takes_vault(&self) -> bool {
        !matches!(self.what, What::Token { .. })
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
        let whom = self.kept[index].whom.clone();
        self.settings.learn_renewed(&whom, token.text());
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
        let deadline = self.settings.deadline;
        let kept = &mut self.kept[index];
        let What::Token { expires_at, .. } = &mut kept.what else {
            return Ok(None);
        };
        let gained = token.claims.exp.seconds_since(*expires_at);
        *expires_at = token.claims.exp;
        if gained > 0 {
            kept.schedule = Schedule::new(now, token.lifetime(), fastrand::f64());
            return Ok(None);
        }
        // An issuer that gives the same again may have another later.
        if deadline.is_none_or(|deadline| token.claims.exp < deadline) {
            return Err("the issuer gave a token that does not live longer".to_owned());
        }
        // Tokens end with the run, so the last one cannot be made to live longer.
        kept.schedule = kept.schedule.as_it_is();
        let end = kept.schedule.expires_at;
        Ok(Some(format!(
            "the run's deadline is near: its last token ends at {end}"
        )))
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
