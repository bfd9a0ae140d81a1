//! The variables of Vault's and OpenBao's clients.

use super::here::Here;
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};

/// Each with OpenBao's own name beside it, which its client reads first.
const ADDRESSES: [&str; 2] = ["VAULT_ADDR", "BAO_ADDR"];
const TOKENS: [&str; 2] = ["VAULT_TOKEN", "BAO_TOKEN"];
/// What says that there is to be a login by JWT: Terraform's provider, and runmint's own switch.
const LOGINS: [&str; 2] = ["TERRAFORM_VAULT_AUTH_JWT", "TFC_VAULT_PROVIDER_AUTH"];

pub(super) fn is_set_up(here: &Here<'_>) -> bool {
    here.has(LOGINS[0]) || here.variables.is_on(LOGINS[1])
}

pub(super) fn judge(here: &Here<'_>) -> Report {
    let mut report = Report::default();
    for name in ADDRESSES.into_iter().chain(["VAULT_NAMESPACE"]) {
        if let Some(value) = here.find(name) {
            report.fact(name, value);
        }
    }
    for name in ADDRESSES {
        let Some(value) = here.find(name) else {
            continue;
        };
        if !["https://", "http://", "unix://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
        {
            let what = format!("`{name}` is `{value}`");
            report.add(Finding::new(&kinds::VAULT_ADDRESS, what));
        }
    }
    if is_set_up(here)
        && let Some(name) = here.variables.first(&TOKENS)
    {
        let login = if here.has(LOGINS[0]) {
            LOGINS[0]
        } else {
            LOGINS[1]
        };
        let what = format!("`{name}` is set beside `{login}`");
        report.add(Finding::new(&kinds::VAULT_TOKEN, what));
    }
    report
}
