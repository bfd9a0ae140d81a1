//! The credentials of one run: asked for, handed out, kept fresh, and ended.
//!
//! Nothing runs by itself here: whoever holds a session gives it a [turn](Session::turn) when it is
//! due, and says what time it is.

mod kept;
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::kept::{Kept, describe};
use self::vault::Revocation;
use super::cloud::{Handout, Place};
use super::environment::Environment;
use super::redact::Redactor;
use super::request::{RequestClient, RequestError, RequestSource};
use super::schedule::NEVER;
use super::text::SecretText;
use super::token::IdentityToken;
use super::token_file::{FileError, Folder};
use super::variables::{Configuration, Provider, Tag};
use super::vault::VaultError;
use crate::domain::time::Timestamp;

/// What a session is made of.
#[derive(Debug)]
pub struct SessionSettings {
    /// Whom to ask.
    pub client: RequestClient,
    /// Where clients that ask themselves are sent.
    pub source: RequestSource,
    /// When the run ends, by the issuer's clock, if it tells.
    pub deadline: Option<Timestamp>,
    /// The tag whose configurations the command's variables are for.
    pub tag: Option<String>,
    /// What the run was started with.
    pub environment: Environment,
    /// Where the files go.
    pub folder: Folder,
    /// `terraform_run_id`, or what names the run where there is none.
    pub run_id: String,
    /// Learns every secret before anybody can print it, where the output is masked.
    pub redactor: Option<Redactor>,
}

impl SessionSettings {
    fn learn(&self, secret: &SecretText) {
        if let Some(redactor) = &self.redactor {
            // One that is too short to be masked is too short to be one.
            let _ = redactor.add(secret);
        }
    }

    fn learn_renewed(&self, whom: &str, secret: &SecretText) {
        if let Some(redactor) = &self.redactor {
            let _ = redactor.add_renewed(whom, secret);
        }
    }
}

/// The credentials of one run.
#[derive(Debug)]
pub struct Session {
    settings: SessionSettings,
    kept: Vec<Kept>,
    variables: Vec<(String, SecretText)>,
    objects: BTreeMap<&'static str, Object>,
    /// Of the providers that have a configuration with the chosen tag: it takes the default one's
    /// place.
    tagged: Vec<&'static str>,
    unset: BTreeSet<&'static str>,
    settles_in: Duration,
}

/// The entries of one object variable.
#[derive(Debug, Default)]
struct Object {
    default: Option<Map<String, Value>>,
    aliases: Map<String, Value>,
}

/// Why a run has no credentials.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No token.
    #[error("no token for {whom} (audience `{audience}`): {source}")]
    Request {
        /// The configuration.
        whom: String,
        /// What was asked for.
        audience: String,
        /// Why not.
        source: RequestError,
    },
    /// Vault said no.
    #[error("no credentials for {whom}: {source}")]
    Vault {
        /// The configuration.
        whom: String,
        /// Why not.
        source: Box<VaultError>,
    },
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Session {
    /// A session that has nothing yet.
    pub fn new(settings: SessionSettings) -> Self {
        settings.learn(settings.client.source().token());
        Self {
            settings,
            kept: Vec::new(),
            variables: Vec::new(),
            objects: BTreeMap::new(),
            tagged: Vec::new(),
            unset: BTreeSet::new(),
            settles_in: Duration::ZERO,
        }
    }

    /// Gets the credentials of all configurations, one token for each, and writes their files.
    ///
    /// # Errors
    /// The first thing that could not be had. What was had until then is ended by [`Self::end`], as
    /// it is when this is given up half-way.
    pub async fn open(
        &mut self,
        configurations: &[Configuration],
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let chosen = self.settings.tag.as_deref();
        let has_it = |configuration: &&Configuration| {
            chosen.is_some() && configuration.tag.as_ref().map(Tag::as_str) == chosen
        };
        let tagged = configurations.iter().filter(has_it);
        self.tagged = tagged.map(|tagged| tagged.provider.name()).collect();

        let tokens = self.tokens(configurations).await?;
        for (configuration, token) in configurations.iter().zip(tokens) {
            let Some(token) = token else { continue };
            self.settings.learn(token.text());
            match &configuration.provider {
                Provider::Vault(vault) => {
                    self.log_in(configuration, vault, &token, now).await?;
                }
                _ => self.keep_token(configuration, &token, now)?,
            }
        }
        // After all logins: which of them a configuration uses is its own choice.
        for configuration in configurations {
            if configuration.provider.audience().is_none() {
                self.read_from_vault(configuration, now).await?;
            }
        }
        Ok(())
    }

    /// Keeps one more token, in a file of this name.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn add_token(
        &mut self,
        audience: &str,
        file: &str,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let token = self.settings.client.token(audience).await;
        let token = token.map_err(|source| SessionError::Request {
            whom: format!("the file `{file}`"),
            audience: audience.to_owned(),
            source,
        })?;
        self.settings.learn(token.text());
        self.settings.folder.write(file, token.text().expose())?;
        self.kept.push(Kept::file(audience, file, &token, now));
        Ok(())
    }

    /// Renews what is due, and answers what a person should know. Until then nothing needs to be done.
    ///
    /// `stop` lets go of what can be let go of when the run is over meanwhile.
    pub async fn turn(&mut self, now: Timestamp, stop: &CancellationToken) -> Vec<String> {
        let mut notices = Vec::new();
        let mut due: Vec<_> = (0..self.kept.len())
            .filter(|index| self.kept[*index].schedule.is_due(now))
            .collect();
        // What takes one file before what takes a Vault that may be slow.
        due.sort_by_key(|index| self.kept[*index].takes_vault());
        let mut asked = JoinSet::new();
        for index in &due {
            if let Some(audience) = self.kept[*index].audience() {
                let (client, index) = (self.settings.client.clone(), *index);
                let audience = audience.to_owned();
                asked.spawn(async move { (index, client.token_at_once(&audience).await) });
            }
        }
        let answers = tokio::select! {
            biased;
            () = stop.cancelled() => Vec::new(),
            answers = asked.join_all() => answers,
        };
        let mut answers: BTreeMap<_, _> = answers.into_iter().collect();
        for index in due {
            if stop.is_cancelled() {
                break;
            }
            notices.extend(self.renew(index, answers.remove(&index), now).await);
        }
        notices
    }

    /// When the next turn is due.
    pub fn next_at(&self) -> Timestamp {
        let due = self.kept.iter().map(|kept| kept.schedule.due_at);
        due.min().unwrap_or(NEVER)
    }

    /// When something that is kept ends next, whether or not it will be renewed before.
    pub fn next_end(&self, now: Timestamp) -> Timestamp {
        let ends = self.kept.iter().map(|kept| kept.schedule.expires_at);
        ends.filter(|end| *end > now).min().unwrap_or(NEVER)
    }

    /// Whether all that is kept is still worth something.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        !self.kept.iter().any(|kept| kept.schedule.has_ended(now))
    }

    /// The variables for the command, the object variables among them as `TF_VAR_…`.
    pub fn variables(&self) -> Vec<(String, SecretText)> {
        let mut variables = self.variables.clone();
        for (name, object) in self.objects() {
            variables.push((format!("TF_VAR_{name}"), SecretText::new(as_hcl(&object))));
        }
        variables
    }

    /// Variables that the command must not have.
    pub fn unset(&self) -> impl Iterator<Item = &'static str> {
        self.unset.iter().copied()
    }

    /// HCP Terraform's object variables by their names, for an `….auto.tfvars.json`.
    pub fn objects(&self) -> Map<String, Value> {
        let objects = self.objects.iter().map(|(name, object)| {
            // Terraform's type for it has both; one that is not there is null.
            let value = json!({"default": object.default, "aliases": object.aliases});
            ((*name).to_owned(), value)
        });
        objects.collect()
    }

    /// How long the clouds take until what Vault gave is good everywhere, as the variables say.
    pub fn settles_in(&self) -> Duration {
        self.settles_in
    }

    /// Where the files are.
    pub fn folder(&self) -> &Folder {
        &self.settings.folder
    }

    /// Revokes what can be revoked and removes the files. What could not be revoked is told.
    pub async fn end(self) -> Vec<String> {
        let mut notices = Vec::new();
        // The files first: whoever still reads them has nothing to read.
        if let Err(error) = self.settings.folder.remove_all() {
            notices.push(format!("warning: {error}"));
        }
        let logins = self.kept.iter();
        let revocations = logins.filter_map(|kept| Revocation::of(kept, &self.kept));
        let mut revoked = JoinSet::new();
        for revocation in revocations {
            revoked.spawn(revocation.carry_out());
        }
        notices.extend(revoked.join_all().await.into_iter().flatten());
        notices
    }

    /// A token for each configuration that needs one, in their order.
    async fn tokens(
        &self,
        configurations: &[Configuration],
    ) -> Result<Vec<Option<IdentityToken>>, SessionError> {
        let mut asked = JoinSet::new();
        for (index, configuration) in configurations.iter().enumerate() {
            if let Some(audience) = configuration.provider.audience() {
                let client = self.settings.client.clone();
                let (audience, whom) = (audience.to_owned(), describe(configuration));
                asked.spawn(async move {
                    let token = client.token(&audience).await;
                    let token = token.map_err(|source| SessionError::Request {
                        whom,
                        audience,
                        source,
                    });
                    (index, token)
                });
            }
        }
        let mut tokens: BTreeMap<_, _> = asked.join_all().await.into_iter().collect();
        (0..configurations.len())
            .map(|index| tokens.remove(&index).transpose())
            .collect()
    }

    fn place<'a>(&'a self, configuration: &'a Configuration) -> Place<'a> {
        let tag = configuration.tag.as_ref();
        let chosen = self.settings.tag.as_deref();
        let is_chosen = match tag {
            None => !self.tagged.contains(&configuration.provider.name()),
            Some(tag) => chosen == Some(tag.as_str()),
        };
        Place {
            folder: self.settings.folder.dir(),
            tag,
            is_chosen,
            run_id: &self.settings.run_id,
            source: &self.settings.source,
            environment: &self.settings.environment,
        }
    }

    /// Writes the files of a handout, with the token in its place, and remembers its variables.
    fn hand_out(
        &mut self,
        handout: Handout,
        token: Option<&SecretText>,
        configuration: &Configuration,
    ) -> Result<(), SessionError> {
        let Handout {
            token_file,
            token_variables,
            files,
            variables,
            unset,
            object,
        } = handout;
        self.unset.extend(unset);
        if let Some(token) = token {
            if let Some(file) = &token_file {
                self.settings.folder.write(file, token.expose())?;
            }
            for name in token_variables {
                self.set(name, token.clone());
            }
        }
        for (name, content) in &files {
            self.settings.folder.write(name, content.expose())?;
        }
        for (name, value) in variables {
            self.set(name, value);
        }
        if let Some((name, fields)) = object {
            let object = self.objects.entry(name).or_default();
            match &configuration.tag {
                None => object.default = Some(fields),
                Some(tag) => {
                    let alias = tag.as_str().to_owned();
                    object.aliases.insert(alias, Value::Object(fields));
                }
            }
        }
        Ok(())
    }

    fn set(&mut self, name: String, value: SecretText) {
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value));
    }
}

/// JSON is HCL but for templates in strings, which a path may look like.
fn as_hcl(value: &Value) -> String {
    let text = value.to_string();
    text.replace("${", "$${").replace("%{", "%%{")
}
