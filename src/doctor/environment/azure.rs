//! The variables of Azure's SDKs and of Terraform's azurerm, azuread and azapi (go-azure-sdk).

use super::here::{Here, listed};
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};

const USE_OIDC: &str = "ARM_USE_OIDC";
const USE_AKS: &str = "ARM_USE_AKS_WORKLOAD_IDENTITY";
const TOKEN: &str = "ARM_OIDC_TOKEN";
pub(super) const ARM_TOKEN_FILE: &str = "ARM_OIDC_TOKEN_FILE_PATH";
const REQUEST_URL: &str = "ARM_OIDC_REQUEST_URL";
const REQUEST_TOKEN: &str = "ARM_OIDC_REQUEST_TOKEN";
/// Where the provider asks otherwise: GitHub Actions, Azure DevOps.
const OTHER_REQUESTS: [&str; 2] = ["ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_OIDCREQUESTURI"];
/// Tried before a token, in this order (go-azure-sdk, `NewAuthorizerFromCredentials`).
const ARM_SECRETS: [&str; 4] = [
    "ARM_CLIENT_CERTIFICATE",
    "ARM_CLIENT_CERTIFICATE_PATH",
    "ARM_CLIENT_SECRET",
    "ARM_CLIENT_SECRET_FILE_PATH",
];

pub(super) const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const SDK_SECRETS: [&str; 2] = ["AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH"];

pub(super) fn is_set_up(here: &Here<'_>) -> bool {
    let by_provider = uses_oidc(here) || !sources(here).is_empty();
    by_provider || here.has(TOKEN_FILE)
}

pub(super) fn judge(here: &Here<'_>) -> Report {
    let mut report = Report::default();
    for name in [
        USE_OIDC,
        "ARM_CLIENT_ID",
        "ARM_TENANT_ID",
        "ARM_SUBSCRIPTION_ID",
        ARM_TOKEN_FILE,
        REQUEST_URL,
        "AZURE_CLIENT_ID",
        "AZURE_TENANT_ID",
        TOKEN_FILE,
    ] {
        if let Some(value) = here.find(name) {
            report.fact(name, value);
        }
    }
    provider(here, &mut report);
    sdk(here, &mut report);
    report
}

fn uses_oidc(here: &Here<'_>) -> bool {
    here.variables.is_on(USE_OIDC)
}

/// Where the provider could take a token from, in its own variables.
fn sources(here: &Here<'_>) -> Vec<&'static str> {
    [TOKEN, ARM_TOKEN_FILE, REQUEST_URL]
        .into_iter()
        .filter(|name| here.has(name))
        .collect()
}

fn provider(here: &Here<'_>, report: &mut Report) {
    let variables = here.variables;
    let sources = sources(here);
    for (one, other) in [(REQUEST_URL, REQUEST_TOKEN), (REQUEST_TOKEN, REQUEST_URL)] {
        if variables.has(one) && !variables.may_have(other) {
            let what = format!("`{one}` is set and `{other}` is not");
            report.add(Finding::new(&kinds::AZURE_REQUEST_HALF, what));
        }
    }
    let secret = variables.first(&ARM_SECRETS);
    if !uses_oidc(here) {
        if let Some(secret) = secret {
            Here::static_credential(report, format!("`{secret}` is set for Azure"));
        }
        if !sources.is_empty() && !variables.may_have(USE_OIDC) && !variables.is_on(USE_AKS) {
            let what = format!("{} set, and `{USE_OIDC}` is not `true`", are(&sources));
            report.add(Finding::new(&kinds::AZURE_SWITCHED_OFF, what));
        }
        return;
    }
    if let Some(secret) = secret {
        let what = format!("`{secret}` is set beside `{USE_OIDC}`");
        report.add(Finding::new(&kinds::AZURE_SECRET, what));
    }
    missing_ids(
        here,
        report,
        USE_OIDC,
        [
            ["ARM_CLIENT_ID", "ARM_CLIENT_ID_FILE_PATH"],
            ["ARM_TENANT_ID", "ARM_TENANT_ID"],
        ],
    );
    if !variables.may_have("ARM_SUBSCRIPTION_ID") {
        let what = "`ARM_SUBSCRIPTION_ID` is not set";
        report.add(Finding::new(&kinds::AZURE_SUBSCRIPTION, what));
    }
    let elsewhere = OTHER_REQUESTS
        .into_iter()
        .any(|name| variables.may_have(name));
    if sources.is_empty() && !elsewhere && !variables.may_have(TOKEN) && !variables.is_on(USE_AKS) {
        let what = format!(
            "none of {} is set",
            listed(&[TOKEN, ARM_TOKEN_FILE, REQUEST_URL])
        );
        report.add(Finding::new(&kinds::AZURE_NO_SOURCE, what));
    }
    several(here, &sources, report);
}

fn several(here: &Here<'_>, sources: &[&'static str], report: &mut Report) {
    let token = here.find(TOKEN);
    let file = here.find(ARM_TOKEN_FILE).and_then(|path| here.text(path));
    if let (Some(token), Some(text)) = (token, file)
        && token.trim() != text.trim()
    {
        let what = format!("`{TOKEN}` and the file in `{ARM_TOKEN_FILE}` hold different tokens");
        report.add(Finding::new(&kinds::AZURE_MISMATCH, what));
    } else if sources.len() > 1 {
        let what = format!("{} set", are(sources));
        report.add(Finding::new(&kinds::AZURE_SOURCES, what));
    }
    if !sources.is_empty() && !sources.contains(&REQUEST_URL) {
        let what = format!("the token comes from {}", listed(sources));
        report.add(Finding::new(&kinds::AZURE_READ_ONCE, what));
    }
}

fn sdk(here: &Here<'_>, report: &mut Report) {
    let secret = here.variables.first(&SDK_SECRETS);
    if !here.has(TOKEN_FILE) {
        if let Some(secret) = secret {
            Here::static_credential(report, format!("`{secret}` is set for Azure"));
        }
        return;
    }
    if let Some(secret) = secret {
        let what = format!("`{secret}` is set beside `{TOKEN_FILE}`");
        report.add(Finding::new(&kinds::AZURE_SECRET, what));
    }
    let ids = [
        ["AZURE_CLIENT_ID", "AZURE_CLIENT_ID"],
        ["AZURE_TENANT_ID", "AZURE_TENANT_ID"],
    ];
    missing_ids(here, report, TOKEN_FILE, ids);
}

/// Of each pair one is enough.
fn missing_ids(here: &Here<'_>, report: &mut Report, with: &str, ids: [[&'static str; 2]; 2]) {
    let is_missing = |names: &&[&str; 2]| !names.iter().any(|name| here.variables.may_have(name));
    let missing: Vec<&str> = ids
        .iter()
        .filter(is_missing)
        .map(|names| names[0])
        .collect();
    if !missing.is_empty() {
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let what = format!("`{with}` is set, and {} {verb} not", listed(&missing));
        report.add(Finding::new(&kinds::AZURE_IDS, what));
    }
}

fn are(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", listed(names))
}
