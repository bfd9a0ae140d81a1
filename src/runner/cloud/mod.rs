//! What each consumer of a run's credentials looks for: files and variables of the clouds' SDKs, and
//! the fields of HCP Terraform's object variables.
//!
//! Pure: a configuration and a place in, a [`Handout`] out. Nothing is written here.

mod aws;
mod azure;
mod gcp;
mod hcp;
mod kubernetes;
mod manual;
mod vault;
mod vault_backed;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::environment::Environment;
use super::request::RequestSource;
use super::text::SecretText;
use super::variables::{Configuration, Provider, Tag};

pub use self::aws::session_name;
pub use self::vault_backed::{Credentials, credentials};

/// Where a configuration's files are, and what is known of the run.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of the session's files, absolute.
    pub folder: &'a Path,
    /// The configuration's tag; the default one has none.
    pub tag: Option<&'a Tag>,
    /// Whether the command's variables are for this configuration.
    pub is_chosen: bool,
    /// `terraform_run_id`, or what names the run where there is none.
    pub run_id: &'a str,
    /// Where tokens are asked for, for clients that ask themselves.
    pub source: &'a RequestSource,
    /// What the run was started with.
    pub environment: &'a Environment,
}

impl Place<'_> {
    /// The name of a file of this configuration: `NAME`, or `NAME_TAG`.
    pub fn file(&self, name: &str) -> String {
        match self.tag {
            None => name.to_owned(),
            Some(tag) => format!("{name}_{}", tag.as_str()),
        }
    }

    /// Its path.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(self.file(name))
    }

    /// Its path as text, for a variable or another file. A folder whose path is not UTF-8 is refused
    /// before.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

/// What one configuration puts where its consumers look.
#[derive(Debug, Default)]
pub struct Handout {
    /// The file that holds the token (Vault's, or else the identity token) and nothing else; it is
    /// replaced at each renewal.
    pub token_file: Option<String>,
    /// Variables that hold that token itself, as it was when the command was started.
    pub token_variables: Vec<String>,
    /// Files that stay as they are: name and content.
    pub files: Vec<(String, SecretText)>,
    /// Variables: name and value.
    pub variables: Vec<(String, SecretText)>,
    /// Variables that would be used instead, and are taken away.
    pub unset: Vec<&'static str>,
    /// The object variable and the fields of its entry.
    pub object: Option<(&'static str, Map<String, Value>)>,
}

impl Handout {
    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.variables
            .push((name.to_owned(), SecretText::new(value)));
    }

    fn write(&mut self, name: String, content: impl Into<String>) {
        self.files.push((name, SecretText::new(content)));
    }

    fn fields<const N: usize>(&mut self, object: &'static str, fields: [(&str, String); N]) {
        let fields = fields.map(|(name, value)| (name.to_owned(), Value::String(value)));
        self.object = Some((object, fields.into_iter().collect()));
    }
}

/// What a configuration puts where; nothing yet for one whose credentials Vault will give, see
/// [`credentials`].
pub fn handout(configuration: &Configuration, place: &Place<'_>) -> Handout {
    match &configuration.provider {
        Provider::Aws(config) => aws::handout(config, place),
        Provider::Azure(config) => azure::handout(config, place),
        Provider::Gcp(config) => gcp::handout(config, place),
        Provider::Hcp(config) => hcp::handout(config, place),
        Provider::Kubernetes(_) => kubernetes::handout(place),
        Provider::Manual(_) => manual::handout(place),
        Provider::Vault(config) => vault::handout(config, place),
        Provider::VaultBackedAws(_)
        | Provider::VaultBackedAzure(_)
        | Provider::VaultBackedGcp(_) => Handout::default(),
    }
}
