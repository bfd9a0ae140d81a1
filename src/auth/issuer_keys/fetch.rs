//! A trusted issuer's documents over HTTP: bounded in time and size, no redirects to other hosts, no
//! private addresses unless they are allowed.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, header};
use serde_json::Value;
use url::{Host, Url};

use crate::auth::address::{PublicOnly, is_public};
use crate::auth::unverified::shown;
use crate::domain::InvalidField;
use crate::domain::strict_json::{self, TOKEN_DEPTH};
use crate::domain::trusted_issuer::Definition;

const TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const MAX_REDIRECTS: usize = 3;

/// A key set of a hundred keys has some fifty kilobytes; a discovery document has two.
const MAX_BYTES: usize = 256 * 1024;

/// How an issuer is asked.
///
/// # Errors
/// Names `ca_certificates`.
pub(super) fn client(definition: &Definition) -> Result<Client, InvalidField> {
    let mut builder = Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        // A proxy would resolve names itself, out of sight of the guard below.
        .no_proxy()
        .user_agent(concat!(
            "runmint/",
            env!("CARGO_PKG_VERSION"),
            " (trusted issuer)"
        ))
        // Within one host only: who is trusted must not be able to hand that on.
        .redirect(Policy::custom(|attempt| {
            let origin = |url: &Url| url.origin();
            let first = attempt.previous().first().map(origin);
            if attempt.previous().len() > MAX_REDIRECTS {
                attempt.error("it redirects again and again")
            } else if first == Some(origin(attempt.url())) {
                attempt.follow()
            } else {
                attempt.error("it redirects to another host")
            }
        }));
    if !definition.private_network {
        builder = builder.dns_resolver(PublicOnly::new());
    }
    if let Some(pem) = &definition.ca_certificates {
        let refuse = |_| InvalidField::new("ca_certificates", "holds no certificate in PEM");
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(refuse)?;
        if certificates.is_empty() {
            return Err(InvalidField::new(
                "ca_certificates",
                "holds no certificate in PEM",
            ));
        }
        builder = builder.tls_certs_only(certificates);
    }
    builder
        .build()
        .map_err(|error| InvalidField::new("ca_certificates", format!("cannot be used: {error}")))
}

/// Fetches a JSON document, and for how many seconds it may be kept.
pub(super) async fn get(
    client: &Client,
    url: &str,
    private_network: bool,
) -> Result<(Value, Option<i64>), String> {
    // The issuer may have supplied it.
    let shown = shown(url);
    let parsed = Url::parse(url).map_err(|_| format!("{shown} is no URL"))?;
    match parsed.scheme() {
        "https" => {}
        "http" if private_network => {}
        _ => return Err(format!("{shown} is not https")),
    }
    // A name is looked at when it is resolved; an address in a URL is not resolved.
    let address = match parsed.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    if !private_network && address.is_some_and(|address| !is_public(address)) {
        return Err(format!(
            "{shown} is at a private address, which `private_network` does not allow"
        ));
    }
    let failed = |error: reqwest::Error| format!("{shown} did not answer: {}", root_cause(&error));
    let mut response = client.get(parsed).send().await.map_err(failed)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("{shown} answered {}", response.status().as_u16()));
    }
    let max_age = response
        .headers()
        .get(header::CACHE_CONTROL)
        .and_then(|value| value.to_str().ok())
        .and_then(max_age);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_BYTES {
            return Err(format!("{shown} answered more than {MAX_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    let document = strict_json::parse::<TOKEN_DEPTH>(&body)
        .map_err(|_| format!("{shown} answered no JSON"))?;
    Ok((document, max_age))
}

/// RFC 9111 section 5.2.2; `no-store` and `no-cache` mean the floor.
fn max_age(cache_control: &str) -> Option<i64> {
    let mut directives = cache_control.split(',').map(str::trim);
    if directives
        .clone()
        .any(|d| d.eq_ignore_ascii_case("no-store") || d.eq_ignore_ascii_case("no-cache"))
    {
        return Some(0);
    }
    directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok()?;
        name.trim()
            .eq_ignore_ascii_case("max-age")
            .then_some(seconds)
    })
}

/// The innermost error says what happened; the outer ones only that it did.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_control_is_read_as_rfc_9111_says() {
        for (header, expected) in [
            ("public, max-age=300", Some(300)),
            ("Max-Age=\"60\"", Some(60)),
            ("no-store, max-age=300", Some(0)),
            ("private", None),
            ("s-maxage=5", None),
            ("max-age=x", None),
        ] {
            assert_eq!(max_age(header), expected, "{header}");
        }
    }
}
