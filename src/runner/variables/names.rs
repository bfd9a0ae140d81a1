//! The variables' names: HCP Terraform's table, and what a name that stands in the environment means
//! by it.
//!
//! A name is `TFC_` *family* *part* `_`*tag* or `TFC_DEFAULT_` *family* *part*, e.g. `TFC_` `AWS_`
//! `RUN_ROLE_ARN` `_`*tag*.

use crate::domain::phase::Phase;

use super::configuration::Tag;

/// The variables of one provider, in the order of HCP Terraform's table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Family {
    Aws,
    Gcp,
    Azure,
    Vault,
    Kubernetes,
    Hcp,
    VaultBackedAws,
    VaultBackedGcp,
    VaultBackedAzure,
    Manual,
    /// Known, so that it can be refused.
    TencentCloud,
    /// Known, so that it can be refused.
    HvsBackedAws,
    /// Known, so that it can be refused.
    HvsBackedGcp,
}

/// A variable of a family, besides its switch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Setting {
    name: &'static str,
    /// Whether it is spelled `RUN_…`, `PLAN_…` and `APPLY_…`.
    of_phase: bool,
}

pub(super) const AUDIENCE: Setting = Setting::plain("WORKLOAD_IDENTITY_AUDIENCE");
pub(super) const AUTH_PATH: Setting = Setting::plain("AUTH_PATH");
pub(super) const AUTH_TYPE: Setting = Setting::plain("AUTH_TYPE");
pub(super) const CLIENT_ID: Setting = Setting::of_phase("CLIENT_ID");
pub(super) const CLIENT_TIMEOUT: Setting = Setting::plain("CLIENT_TIMEOUT");
pub(super) const ENCODED_CACERT: Setting = Setting::plain("ENCODED_CACERT");
pub(super) const MOUNT_PATH: Setting = Setting::plain("MOUNT_PATH");
pub(super) const PRINCIPAL_TYPE: Setting = Setting::plain("PRINCIPAL_TYPE");
pub(super) const PROJECT_NUMBER: Setting = Setting::plain("PROJECT_NUMBER");
pub(super) const PROVIDER_RESOURCE_NAME: Setting = Setting::of_phase("PROVIDER_RESOURCE_NAME");
pub(super) const ROLE_ARN: Setting = Setting::of_phase("ROLE_ARN");
pub(super) const SERVICE_ACCOUNT_EMAIL: Setting = Setting::of_phase("SERVICE_ACCOUNT_EMAIL");
pub(super) const SLEEP_SECONDS: Setting = Setting::plain("SLEEP_SECONDS");
pub(super) const VAULT_ADDR: Setting = Setting::plain("ADDR");
pub(super) const VAULT_CONFIG: Setting = Setting::plain("VAULT_CONFIG");
pub(super) const VAULT_LOGIN_ROLE: Setting = Setting::of_phase("ROLE");
pub(super) const VAULT_NAMESPACE: Setting = Setting::plain("NAMESPACE");
pub(super) const VAULT_ROLE: Setting = Setting::of_phase("VAULT_ROLE");
pub(super) const VAULT_ROLESET: Setting = Setting::of_phase("VAULT_ROLESET");
pub(super) const VAULT_STATIC_ACCOUNT: Setting = Setting::of_phase("VAULT_STATIC_ACCOUNT");
pub(super) const WORKLOAD_POOL_ID: Setting = Setting::plain("WORKLOAD_POOL_ID");
pub(super) const WORKLOAD_PROVIDER_ID: Setting = Setting::plain("WORKLOAD_PROVIDER_ID");
pub(super) const WORKLOAD_PROVIDER_NAME: Setting = Setting::plain("WORKLOAD_PROVIDER_NAME");
/// A manual token's audience is its switch, too.
pub(super) const MANUAL_AUDIENCE: Setting = Setting::plain("AUDIENCE");

/// What a manual token is handed over in; nothing that is read.
pub(super) const MANUAL_TOKEN: &str = "TOKEN";

const HCP_CONFIG: Setting = Setting::plain("HCP_CONFIG");
const SECRET_RESOURCE_NAME: Setting = Setting::of_phase("SECRET_RESOURCE_NAME");

/// A row of the table: what begins each name, the switch, the settings.
struct Row(&'static str, &'static str, &'static [Setting]);

impl Family {
    pub(super) const ALL: [Self; 13] = [
        Self::Aws,
        Self::Gcp,
        Self::Azure,
        Self::Vault,
        Self::Kubernetes,
        Self::Hcp,
        Self::VaultBackedAws,
        Self::VaultBackedGcp,
        Self::VaultBackedAzure,
        Self::Manual,
        Self::TencentCloud,
        Self::HvsBackedAws,
        Self::HvsBackedGcp,
    ];

    #[rustfmt::skip]
    fn row(self) -> Row {
        match self {
            Self::Aws => Row("AWS_", "PROVIDER_AUTH", &[AUDIENCE, ROLE_ARN]),
            Self::Gcp => Row("GCP_", "PROVIDER_AUTH", &[
                AUDIENCE, PRINCIPAL_TYPE, PROJECT_NUMBER, SERVICE_ACCOUNT_EMAIL,
                WORKLOAD_POOL_ID, WORKLOAD_PROVIDER_ID, WORKLOAD_PROVIDER_NAME,
            ]),
            Self::Azure => Row("AZURE_", "PROVIDER_AUTH", &[AUDIENCE, CLIENT_ID]),
            Self::Vault => Row("VAULT_", "PROVIDER_AUTH", &[
                AUDIENCE, AUTH_PATH, CLIENT_TIMEOUT, ENCODED_CACERT, VAULT_ADDR, VAULT_LOGIN_ROLE,
                VAULT_NAMESPACE,
            ]),
            Self::Kubernetes => Row("KUBERNETES_", "PROVIDER_AUTH", &[AUDIENCE]),
            Self::Hcp => Row("HCP_", "PROVIDER_AUTH", &[AUDIENCE, PROVIDER_RESOURCE_NAME]),
            Self::VaultBackedAws => Row("VAULT_BACKED_AWS_", "AUTH", &[
                AUTH_TYPE, MOUNT_PATH, ROLE_ARN, SLEEP_SECONDS, VAULT_CONFIG, VAULT_ROLE,
            ]),
            Self::VaultBackedGcp => Row("VAULT_BACKED_GCP_", "AUTH", &[
                AUTH_TYPE, MOUNT_PATH, VAULT_CONFIG, VAULT_ROLESET, VAULT_STATIC_ACCOUNT,
            ]),
            Self::VaultBackedAzure => Row("VAULT_BACKED_AZURE_", "AUTH", &[
                MOUNT_PATH, SLEEP_SECONDS, VAULT_CONFIG, VAULT_ROLE,
            ]),
            Self::Manual => Row("WORKLOAD_IDENTITY_", "AUDIENCE", &[]),
            Self::TencentCloud => Row("TENCENTCLOUD_", "PROVIDER_AUTH", &[AUDIENCE, ROLE_ARN]),
            Self::HvsBackedAws => Row("HVS_BACKED_AWS_", "AUTH", &[HCP_CONFIG, SECRET_RESOURCE_NAME]),
            Self::HvsBackedGcp => Row("HVS_BACKED_GCP_", "AUTH", &[HCP_CONFIG, SECRET_RESOURCE_NAME]),
        }
    }

    /// Whether runmint does more with it than refuse it.
    pub(super) fn is_supported(self) -> bool {
        !matches!(
            self,
            Self::TencentCloud | Self::HvsBackedAws | Self::HvsBackedGcp
        )
    }

    /// The variable that switches the configuration on.
    pub(super) fn switch(self, tag: Option<&Tag>) -> String {
        self.explicit(self.row().1, tag)
    }

    /// The variable that is said of one configuration.
    pub(super) fn explicit(self, part: &str, tag: Option<&Tag>) -> String {
        let name = format!("TFC_{}{part}", self.row().0);
        tag.map_or(name.clone(), |tag| format!("{name}_{}", tag.as_str()))
    }

    /// The variable that holds for all configurations that do not say it themselves.
    pub(super) fn default(self, part: &str) -> String {
        format!("TFC_DEFAULT_{}{part}", self.row().0)
    }

    /// The parts that are known, the switch first.
    pub(super) fn parts(self) -> Vec<String> {
        let Row(_, switch, settings) = self.row();
        let settings = settings.iter().flat_map(|setting| setting.parts());
        [switch.to_owned()].into_iter().chain(settings).collect()
    }
}

impl Setting {
    /// One value, whatever the phase.
    const fn plain(name: &'static str) -> Self {
        let of_phase = false;
        Self { name, of_phase }
    }

    /// A value for each phase, or one for both.
    const fn of_phase(name: &'static str) -> Self {
        let of_phase = true;
        Self { name, of_phase }
    }

    /// How it is spelled when it holds in both phases.
    pub(super) fn part(self) -> String {
        let beginning = if self.of_phase { "RUN_" } else { "" };
        format!("{beginning}{}", self.name)
    }

    /// All its spellings.
    pub(super) fn parts(self) -> Vec<String> {
        if self.of_phase {
            self.spell(&["RUN_", "PLAN_", "APPLY_"])
        } else {
            self.spell(&[""])
        }
    }

    /// The spellings that hold in `phase`; the first that is there counts.
    pub(super) fn parts_in(self, phase: Phase) -> Vec<String> {
        match phase {
            _ if !self.of_phase => self.spell(&[""]),
            Phase::Plan => self.spell(&["PLAN_", "RUN_"]),
            Phase::Apply => self.spell(&["APPLY_", "RUN_"]),
        }
    }

    fn spell(self, beginnings: &[&str]) -> Vec<String> {
        let beginnings = beginnings.iter();
        beginnings
            .map(|beginning| format!("{beginning}{}", self.name))
            .collect()
    }
}

/// What a name says.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Meaning<'a> {
    /// Switches a configuration on.
    Switch { tag: Option<&'a str> },
    /// Says something of one configuration.
    Setting { tag: Option<&'a str> },
    /// Says something of all configurations.
    Default,
    /// A switch for all configurations, which there is not.
    DefaultSwitch,
    /// A default with a tag, which there is not.
    DefaultWithTag { part: String },
    /// Nothing that is known; begins as the family's names do.
    Unknown,
}

/// What `name` says and of whom; nothing if it belongs to no family.
pub(super) fn meaning(name: &str) -> Option<(Family, Meaning<'_>)> {
    let name = name.strip_prefix("TFC_")?;
    let (is_default, name) = match name.strip_prefix("DEFAULT_") {
        Some(name) => (true, name),
        None => (false, name),
    };
    // The longest that fits: `VAULT_BACKED_AWS_` begins with `VAULT_`.
    let families = Family::ALL.into_iter();
    let (family, rest) = families
        .filter_map(|family| Some((family, name.strip_prefix(family.row().0)?)))
        .min_by_key(|(_, rest)| rest.len())?;
    // And again: `AUTH_TYPE` begins with `AUTH`, so it is no switch with the tag `TYPE`.
    let parts = family.parts().into_iter();
    let part = parts
        .filter(|part| is_part(part, rest))
        .max_by_key(String::len);
    let Some(part) = part else {
        return Some((family, Meaning::Unknown));
    };
    let tag = rest[part.len()..].strip_prefix('_');
    let is_switch = part == family.row().1;
    let meaning = match (is_default, tag) {
        (true, _) if is_switch => Meaning::DefaultSwitch,
        (true, Some(_)) => Meaning::DefaultWithTag { part },
        (true, None) => Meaning::Default,
        (false, tag) if is_switch => Meaning::Switch { tag },
        (false, tag) => Meaning::Setting { tag },
    };
    Some((family, meaning))
}

/// Whether `rest` is `part`, with a tag or without.
fn is_part(part: &str, rest: &str) -> bool {
    let tag = rest.strip_prefix(part);
    tag.is_some_and(|tag| tag.is_empty() || tag.starts_with('_'))
}
