//! The variables of Google's libraries and of Terraform's google provider, and the credential file that
//! they name (Google AIP-4117).

use std::collections::BTreeSet;

use serde_json::Value;

use super::here::{Here, listed};
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};

const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
const OVERRIDE: &str = "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE";
const EXECUTABLES: &str = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES";
/// Terraform's, in the order in which its provider looks.
const TERRAFORM: [&str; 4] = [
    "GOOGLE_OAUTH_ACCESS_TOKEN",
    "GOOGLE_CREDENTIALS",
    "GOOGLE_CLOUD_KEYFILE_JSON",
    "GCLOUD_KEYFILE_JSON",
];

/// How long a program may take, in milliseconds (AIP-4117).
const TIMEOUT: std::ops::RangeInclusive<i64> = 5_000..=120_000;

pub(super) fn is_set_up(here: &Here<'_>) -> bool {
    here.variables.first(&[FILE, OVERRIDE]).is_some()
        && !credentials(here).is_some_and(|(_, _, value)| value["type"] == "service_account")
}

/// The credential files.
pub(super) fn files(here: &Here<'_>) -> BTreeSet<String> {
    [FILE, OVERRIDE]
        .into_iter()
        .filter_map(|name| here.find(name))
        .map(str::to_owned)
        .collect()
}

/// The file in which an external account's token is, and the member of its JSON.
pub(super) fn token_file(here: &Here<'_>) -> Option<(String, Option<String>)> {
    let (_, _, value) = credentials(here)?;
    let source = &value["credential_source"];
    let path = source["file"].as_str()?.to_owned();
    let format = &source["format"];
    let member = (format["type"] == "json").then(|| &format["subject_token_field_name"]);
    Some((path, member.and_then(Value::as_str).map(str::to_owned)))
}

pub(super) fn judge(here: &Here<'_>) -> Report {
    let mut report = Report::default();
    let mut set: Vec<&str> = TERRAFORM
        .into_iter()
        .filter(|name| here.has(name))
        .collect();
    if let Some(value) = here.find(FILE) {
        report.fact(FILE, value);
        set.push(FILE);
    }
    if set.len() > 1 {
        let what = format!("{} are set", listed(&set));
        report.add(Finding::new(&kinds::GCP_TWO, what));
    }
    // Terraform's variable holds the file's name or what is in it.
    for name in TERRAFORM {
        if here
            .find(name)
            .is_some_and(|text| text.contains("private_key"))
        {
            Here::static_credential(&mut report, format!("`{name}` holds a private key for GCP"));
        }
    }
    let Some((name, path)) = [FILE, OVERRIDE]
        .into_iter()
        .find_map(|name| Some((name, here.find(name)?)))
    else {
        return report;
    };
    if let Some(barrier) = here.file(path).and_then(|file| file.barrier.as_ref()) {
        report.add(barrier.finding(&kinds::CREDENTIAL_FILE, &format!("`{name}`")));
        return report;
    }
    let Some(text) = here.text(path) else {
        return report;
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        let what = format!("{path}, which `{name}` names, is no JSON");
        report.add(Finding::new(&kinds::CREDENTIAL_FILE, what));
        return report;
    };
    match value["type"].as_str() {
        Some("external_account") => external_account(here, path, &value, &mut report),
        Some("service_account") => {
            let email = value["client_email"]
                .as_str()
                .unwrap_or("a service account");
            Here::static_credential(&mut report, format!("{path} holds a key of {email}"));
        }
        Some("authorized_user") => {
            let what = format!("{path} holds a person's refresh token");
            Here::static_credential(&mut report, what);
        }
        Some(other) => {
            let what = format!("{path} has the type `{other}`, and not `external_account`");
            report.add(Finding::new(&kinds::CREDENTIAL_FILE, what));
        }
        None => {
            let what = format!("{path} has no `type`");
            report.add(Finding::new(&kinds::CREDENTIAL_FILE, what));
        }
    }
    report
}

fn credentials<'a>(here: &Here<'a>) -> Option<(&'static str, &'a str, Value)> {
    [FILE, OVERRIDE].into_iter().find_map(|name| {
        let path = here.find(name)?;
        Some((name, path, serde_json::from_str(here.text(path)?).ok()?))
    })
}

fn external_account(here: &Here<'_>, path: &str, value: &Value, report: &mut Report) {
    let mut wrong = |what: String| {
        report.add(Finding::new(
            &kinds::CREDENTIAL_FILE,
            format!("{path}: {what}"),
        ));
    };
    let audience = value["audience"].as_str().unwrap_or_default();
    if !audience.starts_with("//iam.googleapis.com/projects/") {
        wrong(format!(
            "`audience` is `{audience}`; it must be the provider's full name, \
             `//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`"
        ));
    }
    let token_type = value["subject_token_type"].as_str().unwrap_or_default();
    let types = ["jwt", "id_token"].map(|name| format!("urn:ietf:params:oauth:token-type:{name}"));
    if !types.iter().any(|known| known == token_type) {
        wrong(format!(
            "`subject_token_type` is `{token_type}`; for these tokens it is `{}`",
            types[0]
        ));
    }
    let source = &value["credential_source"];
    let kinds_of_source = ["file", "url", "executable"];
    if !kinds_of_source.iter().any(|name| !source[name].is_null()) {
        wrong("`credential_source` has none of `file`, `url`, `executable`".to_owned());
    }
    let format = &source["format"];
    if format["type"] == "json" && format["subject_token_field_name"].as_str().is_none() {
        wrong("`credential_source.format` is `json` without `subject_token_field_name`".to_owned());
    }
    let executable = &source["executable"];
    if let Some(timeout) = executable["timeout_millis"].as_i64()
        && !TIMEOUT.contains(&timeout)
    {
        wrong(format!(
            "`timeout_millis` is {timeout}; it may be 5000 to 120000"
        ));
    }
    if !executable.is_null() && here.find(EXECUTABLES) != Some("1") {
        let what = format!("{path} names a program, and `{EXECUTABLES}` is not `1`");
        report.add(Finding::new(&kinds::GCP_EXECUTABLES, what));
    }
    report.fact("GCP audience", audience);
    if let Some(url) = value["service_account_impersonation_url"].as_str() {
        let account = url.rsplit('/').next().unwrap_or(url);
        let account = account.trim_end_matches(":generateAccessToken");
        report.fact("GCP service account", account);
    }
}
