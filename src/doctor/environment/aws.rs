//! The variables of AWS' SDKs (AWS SDKs and Tools reference guide, "Environment variables").

use super::Variables;
use super::here::{Here, listed};
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};

pub(super) const ROLE: &str = "AWS_ROLE_ARN";
pub(super) const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
const MISNAMED: &str = "AWS_IAM_ROLE_ARN";
const SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";
const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
const PROFILES: [&str; 2] = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"];
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
const STS: &str = "AWS_STS_REGIONAL_ENDPOINTS";

const FULL_URI: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const RELATIVE_URI: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
pub(super) const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";

pub(super) fn is_set_up(here: &Here<'_>) -> bool {
    here.variables
        .first(&[ROLE, TOKEN_FILE, FULL_URI])
        .is_some()
}

/// Whether EKS Pod Identity is what the SDKs use: a web identity comes before it.
pub(super) fn is_pod_identity(variables: &Variables) -> bool {
    variables.has(FULL_URI) && !(variables.has(ROLE) && variables.has(TOKEN_FILE))
}

pub(super) fn judge(here: &Here<'_>) -> Report {
    let mut report = Report::default();
    for name in [
        ROLE,
        TOKEN_FILE,
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        FULL_URI,
    ] {
        if let Some(value) = here.find(name) {
            report.fact(name, value);
        }
    }
    pair(here, &mut report);
    role(here, &mut report);
    session_name(here, &mut report);
    other_ways(here, &mut report);
    container(here, &mut report);
    if is_set_up(here) {
        region(here, &mut report);
        endpoints(here, &mut report);
    }
    report
}

fn pair(here: &Here<'_>, report: &mut Report) {
    let variables = here.variables;
    let (role, file) = (variables.has(ROLE), variables.has(TOKEN_FILE));
    if !role && let Some(value) = here.find(MISNAMED) {
        let what = format!("`{MISNAMED}` is set to `{value}`, and `{ROLE}` is not set");
        report.add(Finding::new(&kinds::AWS_MISNAMED, what));
        return;
    }
    let (there, missing) = match (role, file) {
        (true, false) => (ROLE, TOKEN_FILE),
        (false, true) => (TOKEN_FILE, ROLE),
        (true, true) | (false, false) => return,
    };
    if !variables.may_have(missing) {
        let what = format!("`{there}` is set and `{missing}` is not");
        report.add(Finding::new(&kinds::AWS_HALF, what));
    }
}

fn role(here: &Here<'_>, report: &mut Report) {
    let Some(arn) = here.find(ROLE) else { return };
    if let Err(what) = role_of(arn) {
        let what = format!("`{ROLE}` is `{arn}`: {what}");
        report.add(Finding::new(&kinds::AWS_ROLE, what));
    }
}

/// Whether a text is a role's ARN; if not, what is wrong.
fn role_of(arn: &str) -> Result<(), &'static str> {
    if arn != arn.trim() || arn.contains(['"', '\'']) {
        return Err("it has quotes or white space in it");
    }
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [scheme, partition, service, region, account, resource] = parts[..] else {
        return Err("it is no ARN, which has six parts with `:` between them");
    };
    if scheme != "arn" || !partition.starts_with("aws") {
        return Err("it does not begin with `arn:aws`");
    }
    if service == "sts" {
        return Err("that is a session (`sts`), not the role itself (`iam`)");
    }
    if service != "iam" || !region.is_empty() {
        return Err("a role's ARN goes on with `:iam::`");
    }
    if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the account is no number of 12 digits");
    }
    match resource.strip_prefix("role/") {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err("after the account comes `role/` and a name"),
    }
}

fn session_name(here: &Here<'_>, report: &mut Report) {
    let Some(name) = here.find(SESSION_NAME) else {
        return;
    };
    let is_right = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let length = name.chars().count();
    if !(2..=64).contains(&length) || !name.chars().all(is_right) {
        let what = format!("`{SESSION_NAME}` is `{name}` ({length} characters)");
        report.add(Finding::new(&kinds::AWS_SESSION_NAME, what));
    }
}

fn other_ways(here: &Here<'_>, report: &mut Report) {
    let variables = here.variables;
    let keys: Vec<&str> = KEYS
        .into_iter()
        .filter(|name| variables.has(name))
        .collect();
    if !keys.is_empty() {
        if is_set_up(here) {
            let what = format!("{} set beside a workload identity", are(&keys));
            report.add(Finding::new(&kinds::AWS_STATIC_KEYS, what));
        } else {
            Here::static_credential(report, format!("{} set for AWS", are(&keys)));
        }
    }
    if is_set_up(here)
        && let Some(name) = variables.first(&PROFILES)
    {
        let value = here.find(name).unwrap_or("…");
        let what = format!("`{name}` is `{value}`, beside a workload identity");
        report.add(Finding::new(&kinds::AWS_PROFILE, what));
    }
}

fn are(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", listed(names))
}

fn container(here: &Here<'_>, report: &mut Report) {
    let variables = here.variables;
    let full = variables.may_have(FULL_URI);
    let token = variables.first(&[CONTAINER_TOKEN_FILE, CONTAINER_TOKEN]);
    if let Some(token) = token
        && !full
        && !variables.may_have(RELATIVE_URI)
    {
        let what = format!("`{token}` is set and `{FULL_URI}` is not");
        report.add(Finding::new(&kinds::AWS_CONTAINER_HALF, what));
    }
    if variables.has(FULL_URI) && variables.has(RELATIVE_URI) {
        let what = format!("{} are both set", listed(&[FULL_URI, RELATIVE_URI]));
        report.add(Finding::new(&kinds::AWS_CONTAINER_HALF, what));
    }
    if variables.has(ROLE)
        && variables.has(TOKEN_FILE)
        && let Some(name) = variables.first(&[FULL_URI, RELATIVE_URI])
    {
        let what = format!("`{name}` is set beside `{ROLE}` and `{TOKEN_FILE}`");
        report.add(Finding::new(&kinds::AWS_CONTAINER, what));
    }
}

fn region(here: &Here<'_>, report: &mut Report) {
    let variables = here.variables;
    let arn = here.find(ROLE).unwrap_or_default();
    let is_chinese = arn.starts_with("arn:aws-cn:");
    let set: Vec<(&str, &str)> = REGIONS
        .into_iter()
        .filter_map(|name| Some((name, here.find(name)?)))
        .collect();
    if let [(_, one), (_, other)] = set[..]
        && one != other
    {
        let what = format!("`AWS_REGION` is `{one}`, `AWS_DEFAULT_REGION` is `{other}`");
        report.add(Finding::new(&kinds::AWS_REGIONS, what));
    }
    if set.is_empty() && REGIONS.into_iter().any(|name| variables.may_have(name)) {
        return;
    }
    if is_chinese {
        if !set.iter().any(|(_, region)| region.starts_with("cn-")) {
            let found = match set.first() {
                Some((name, region)) => format!("`{name}` is `{region}`"),
                None => format!("neither of {} is set", listed(&REGIONS)),
            };
            let what = format!("the role is `{arn}`, and {found}");
            report.add(Finding::new(&kinds::AWS_CHINA, what));
        }
        return;
    }
    let Some((name, region)) = set.first() else {
        let what = format!("neither of {} is set", listed(&REGIONS));
        report.add(Finding::new(&kinds::AWS_REGION, what));
        return;
    };
    let partition = arn.split(':').nth(1).unwrap_or_default();
    if role_of(arn).is_ok() && partition != partition_of(region) {
        let what = format!(
            "`{name}` is `{region}`, of partition `{}`; the role is `{arn}`, of partition \
             `{partition}`",
            partition_of(region)
        );
        report.add(Finding::new(&kinds::AWS_PARTITION, what));
    }
}

/// The partition of a region, by how its name begins (botocore's `partitions.json`).
fn partition_of(region: &str) -> &'static str {
    let begins = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("eu-isoe-", "aws-iso-e"),
        ("us-isof-", "aws-iso-f"),
        ("eusc-", "aws-eusc"),
    ];
    let found = begins.iter().find(|(start, _)| region.starts_with(start));
    found.map_or("aws", |(_, partition)| partition)
}

fn endpoints(here: &Here<'_>, report: &mut Report) {
    match here.find(STS) {
        None | Some("regional") => {}
        Some("legacy") => {
            let what = format!("`{STS}` is `legacy`");
            report.add(Finding::new(&kinds::AWS_STS_LEGACY, what));
        }
        Some(other) => {
            let what = format!("`{STS}` is `{other}`");
            report.add(Finding::new(&kinds::AWS_STS, what));
        }
    }
}
