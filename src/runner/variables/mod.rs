//! HCP Terraform's variables for dynamic provider credentials, read as they stand in the environment.
//!
//! Pure: an [`Environment`] and a phase in, configurations or what is wrong with the variables out.
//! The rules are HCP Terraform's ("Specifying multiple configurations" and each provider's page).
//! Where its pages leave something open, one answer holds here:
//!
//! - **Which value.** `PLAN_` or `APPLY_` beats `RUN_`, and what is said of one configuration beats
//!   `TFC_DEFAULT_`; the second rule is the stronger one, so an explicit `RUN_` beats a default
//!   `PLAN_`: a default is for those who say nothing.
//! - **Tags do not fall back.** A tagged configuration takes tagged variables and defaults, never the
//!   untagged ones, which belong to the configuration without a tag.
//! - **A setting without its switch** is an error with a tag: the tag is misspelt, or the switch was
//!   forgotten. Without a tag it may be left over from variables that several jobs share, and HCP
//!   Terraform passes over it. It is an error where it cannot be that: when nothing is switched
//!   on, and when only tagged configurations of its provider are. A switch that says
//!   `false` ends the matter, and defaults never need one.
//! - **An unknown name** is an error under the prefix of a provider that is switched on, and anywhere
//!   if it is nearly a switch's. Other `TFC_` variables are nobody's business here.
//! - **The other phase** is looked at too: a plan should not pass when its apply cannot.
//!
//! A value is never repeated in an error.

use std::collections::BTreeSet;

use super::environment::Environment;
use crate::domain::phase::Phase;

use self::names::Family;
use self::settings::Settings;

mod configuration;
mod conflicts;
mod forms;
mod names;
mod providers;
mod settings;
mod strays;
mod switches;
#[cfg(test)]
mod tests;

pub use self::configuration::{
    Aws, AwsCredentialKind, Azure, Configuration, Gcp, GcpAccount, GcpCredentialKind, Hcp,
    Kubernetes, Manual, Provider, Tag, Vault, VaultBackedAws, VaultBackedAzure, VaultBackedGcp,
};

/// A variable that is wrong, missing or in the way.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[error("`{variable}`: {rule}")]
pub struct InvalidVariable {
    /// Its name.
    pub variable: String,
    /// The rule that it breaks, and what to do about it.
    pub rule: String,
}

/// Each once, by the variables' names.
type Problems = BTreeSet<InvalidVariable>;

/// The configurations that are switched on.
type Enabled = BTreeSet<(Family, Option<Tag>)>;

/// What `environment` asks for in `phase`; without a phase, because nobody knows it, what is the same
/// in both. In the order of HCP Terraform's table, the configuration without a tag before the tagged
/// ones.
///
/// # Errors
/// All that is wrong, so that it can be mended in one go.
pub fn read(
    environment: &Environment,
    phase: Option<Phase>,
) -> Result<Vec<Configuration>, Vec<InvalidVariable>> {
    let mut problems = Problems::new();
    let enabled = switches::read(environment, &mut problems);
    strays::check(environment, &enabled, &mut problems);

    let mut configurations = Vec::new();
    for (family, tag) in &enabled {
        let mut settings = Settings {
            environment,
            phase,
            family: *family,
            tag: tag.as_ref(),
            enabled: &enabled,
            problems: &mut problems,
        };
        if let Ok(provider) = providers::read(&mut settings) {
            let tag = tag.clone();
            configurations.push(Configuration { tag, provider });
        }
    }
    conflicts::check(environment, &enabled, &configurations, &mut problems);

    if problems.is_empty() {
        Ok(configurations)
    } else {
        Err(problems.into_iter().collect())
    }
}

impl InvalidVariable {
    fn new(variable: impl Into<String>, rule: impl Into<String>) -> Self {
        Self {
            variable: variable.into(),
            rule: rule.into(),
        }
    }
}
