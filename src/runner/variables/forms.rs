//! The forms that values have. Each function takes a value, or says the rule that it breaks; it never
//! repeats the value.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use reqwest::Certificate;
use url::Url;

use crate::domain::claims::Audience;

type Form<T> = Result<T, String>;

pub(super) fn audience(text: &str) -> Form<String> {
    let audience = Audience::parse("audience", text).map_err(|error| error.rule)?;
    Ok(audience.as_str().to_owned())
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH` (IAM user guide, "IAM identifiers").
pub(super) fn role_arn(text: &str) -> Form<String> {
    let is_role_arn = || {
        let (partition, rest) = text.strip_prefix("arn:")?.split_once(":iam::")?;
        let (account, role) = rest.split_once(":role/")?;
        let good = is_made_of(partition, |byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
        }) && account.len() == 12
            && is_made_of(account, |byte| byte.is_ascii_digit())
            && is_made_of(role, |byte| byte.is_ascii_graphic())
            && !role.ends_with('/');
        Some(good)
    };
    if is_role_arn() != Some(true) {
        return Err(
            "must be the ARN of a role, as `arn:aws:iam::123456789012:role/deploy`".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Hyphenated, as Entra shows it.
pub(super) fn client_id(text: &str) -> Form<String> {
    if text.len() != 36 || uuid::Uuid::parse_str(text).is_err() {
        return Err("must be the application's (client) id, a UUID as \
             `00000000-0000-0000-0000-000000000000`"
            .to_owned());
    }
    Ok(text.to_owned())
}

/// The resource name of a provider, without the host that an audience puts before it.
pub(super) fn gcp_provider_name(text: &str) -> Form<String> {
    let path = text.strip_prefix("https:").unwrap_or(text);
    if path.starts_with("//iam.googleapis.com/") {
        return Err(
            "must begin with `projects/`: leave out `//iam.googleapis.com/`, which belongs to the \
             audience"
                .to_owned(),
        );
    }
    let parts: Vec<&str> = text.split('/').collect();
    let [
        "projects",
        number,
        "locations",
        "global",
        "workloadIdentityPools",
        pool,
        "providers",
        provider,
    ] = parts[..]
    else {
        return Err(
            "must be `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`"
                .to_owned(),
        );
    };
    gcp_project_number(number).map_err(|rule| format!("{rule} after `projects/`"))?;
    gcp_id(pool).map_err(|rule| format!("{rule} after `workloadIdentityPools/`"))?;
    gcp_id(provider).map_err(|rule| format!("{rule} after `providers/`"))?;
    Ok(text.to_owned())
}

pub(super) fn gcp_project_number(text: &str) -> Form<String> {
    if text.len() > 20 || !is_made_of(text, |byte| byte.is_ascii_digit()) {
        return Err("must have the project's number, not its id".to_owned());
    }
    Ok(text.to_owned())
}

/// The id of a pool or of a provider (IAM API, `workloadIdentityPoolId`).
pub(super) fn gcp_id(text: &str) -> Form<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(4..=32).contains(&text.len()) || !is_made_of(text, allowed) {
        return Err(
            "must have an id of 4 to 32 lower-case letters, digits and `-`, and no path".to_owned(),
        );
    }
    Ok(text.to_owned())
}

pub(super) fn service_account_email(text: &str) -> Form<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    match text.split_once('@') {
        Some((name, domain)) if is_made_of(name, allowed) && is_made_of(domain, allowed) => {
            Ok(text.to_owned())
        }
        _ => Err("must be the e-mail address of a service account, as \
             `name@project.iam.gserviceaccount.com`"
            .to_owned()),
    }
}

/// An address of Vault; the `/` at its end goes, since paths are put after it.
pub(super) fn vault_address(text: &str) -> Form<String> {
    let rule = "must be an http or https URL, as `https://vault.example.com:8200`, without a user, \
                a query or a fragment";
    let is_plain = |url: &Url| {
        ["http", "https"].contains(&url.scheme())
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let is_url = is_made_of(text, |byte| byte.is_ascii_graphic())
        && Url::parse(text).as_ref().is_ok_and(is_plain);
    if !is_url {
        return Err(rule.to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Where something is mounted in Vault, without `/` at its ends.
pub(super) fn mount_path(text: &str) -> Form<String> {
    let path = text.trim_matches('/');
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"?#%\\".contains(&byte);
    let is_segment = |segment: &str| !["", ".", ".."].contains(&segment);
    if !is_made_of(path, allowed) || !path.split('/').all(is_segment) {
        return Err("must be the path of a mount, as `jwt` or `teams/jwt`".to_owned());
    }
    Ok(path.to_owned())
}

pub(super) fn namespace(text: &str) -> Form<String> {
    // It goes into a header.
    if !is_made_of(text, |byte| byte.is_ascii_graphic()) {
        return Err("must be the path of a namespace, as `admin/ci`, without blanks".to_owned());
    }
    Ok(text.to_owned())
}

/// A role, roleset or static account of Vault (`framework.GenericNameWithAtRegex`).
pub(super) fn vault_name(text: &str) -> Form<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
    if !is_made_of(text, allowed) {
        return Err(
            "must be the name of a role in Vault (letters, digits, `_`, `-`, `.`, `@`), not its path"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Certificates in PEM, encoded once more.
pub(super) fn encoded_pem(text: &str) -> Form<String> {
    // `base64` breaks its lines.
    let text: String = text.split_ascii_whitespace().collect();
    let pem = BASE64_STANDARD.decode(text).ok();
    let pem = pem.and_then(|bytes| String::from_utf8(bytes).ok());
    let has_certificates = |pem: &String| {
        Certificate::from_pem_bundle(pem.as_bytes()).is_ok_and(|found| !found.is_empty())
    };
    pem.filter(has_certificates).ok_or_else(|| {
        "must be the base64 of a certificate in PEM, as `base64 -w0 ca.pem` prints it".to_owned()
    })
}

pub(super) fn client_timeout(text: &str) -> Form<Duration> {
    seconds(text)
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| "must be a whole number of seconds, 1 or more".to_owned())
}

/// At most 25 minutes, says HCP Terraform.
pub(super) fn sleep(text: &str) -> Form<Duration> {
    seconds(text)
        .filter(|sleep| *sleep <= Duration::from_mins(25))
        .ok_or_else(|| "must be a whole number of seconds, 0 to 1500".to_owned())
}

/// One of a few words.
pub(super) fn one_of<T: Clone>(words: &[(&str, T)]) -> impl Fn(&str) -> Form<T> {
    move |text| {
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| meaning.clone()).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            format!("must be one of {}", words.join(", "))
        })
    }
}

fn seconds(text: &str) -> Option<Duration> {
    // `parse` would take a sign.
    let digits = is_made_of(text, |byte| byte.is_ascii_digit()).then_some(text)?;
    let seconds: u32 = digits.parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn is_made_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(allowed)
}
