//! Trust policies: from an issuer, who is to be let in, and an audience to what a person pastes at the
//! relying party. Pure text; `policy` reads it back and is held against it in tests.
//!
//! What is written here is closed: a pattern names every part of a subject and ends where the part ends,
//! so that `prod` does not let `prod-x` in.

pub mod aws;
pub mod azure;
pub mod eks;
pub mod gcp;
mod hcl;
pub mod hcp;
pub mod kubernetes;
mod scope;
pub mod vault;

pub use self::scope::{Part, Phases, Scope, SubjectPattern};

use crate::domain::claims::Audience;
use crate::domain::issuer::Issuer;

/// What every relying party is told.
#[derive(Clone, Debug)]
pub struct Order {
    /// The issuer.
    pub issuer: Issuer,
    /// Who is to be let in.
    pub scope: Scope,
    /// For whom its tokens are.
    pub audience: Audience,
}

impl Order {
    /// What to know before anything is used: who else is admitted, and what the issuer's URL lacks.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = self.scope.warnings();
        warnings.extend(self.issuer.warnings());
        warnings
    }
}

/// What a person pastes.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// In the order in which they are used.
    pub documents: Vec<Document>,
    /// What to know before it is used: who else it admits, what a limit leaves.
    pub warnings: Vec<String>,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name, e.g. `trust-policy.json`.
    pub name: String,
    /// What it is written in.
    pub form: Form,
    /// What it is and what to do with it, in a line.
    pub about: String,
    /// Its text, with a newline at the end.
    pub text: String,
}

/// What a document is written in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// AWS CloudFormation, YAML.
    CloudFormation,
    /// JSON, as the relying party's API takes it.
    Json,
    /// Commands of the relying party's own tool, for a shell.
    Shell,
    /// Terraform.
    Terraform,
    /// YAML, as Kubernetes takes it.
    Yaml,
}

/// Why nothing was written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TrustError {
    /// An option that the relying party cannot be told.
    #[error("`{option}` {rule}")]
    Option {
        /// As on the command line, e.g. `--workspace`.
        option: &'static str,
        /// The rule in words a person can act on; reads on from the option.
        rule: String,
    },
}

impl TrustError {
    /// A refusal of an option because of a rule.
    pub fn new(option: &'static str, rule: impl Into<String>) -> Self {
        Self::Option {
            option,
            rule: rule.into(),
        }
    }
}
