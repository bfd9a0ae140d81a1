//! Goes out and looks: name, certificates, both documents.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, header};
use rustls::CertificateError;
use serde_json::Value;
use url::Url;

use super::chain::fetch_chain;
use super::place::{Place, fault, strays};
use super::seen::{
    Answer, DISCOVERY_PATH, Distrust, Exchange, FetchError, HostSeen, MAX_BODY, Seen, bare,
    is_this_machine,
};
use crate::domain::time::Timestamp;

/// How to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// For how long to wait for each answer.
    pub timeout: Duration,
    /// Trusted in place of the system's CAs.
    pub roots: Option<Vec<Certificate>>,
}

/// As long as kube-apiserver waits.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Why nothing could be looked at.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up: {0}")]
pub struct LookError(#[from] pub reqwest::Error);

/// Looks at an issuer. `clock` says what time it is when an answer has come.
///
/// # Errors
/// The HTTP client cannot be set up; all that goes wrong outside is in what was [`Seen`].
pub async fn look(
    issuer: &str,
    options: &Options,
    clock: &(impl Fn() -> Timestamp + Sync),
) -> Result<Seen, LookError> {
    let mut seen = Seen {
        issuer: issuer.to_owned(),
        private_ca: options.roots.is_some(),
        hosts: Vec::new(),
        discovery: None,
        jwks: None,
    };
    let url = format!("{}{DISCOVERY_PATH}", bare(issuer));
    let Some(url) = Url::parse(&url).ok().filter(is_web) else {
        return Ok(seen);
    };
    let found = addresses(&url, options.timeout).await;
    let place = Place::of_host(&url, &found);
    seen.hosts
        .push(look_at_host(&url, found, options.timeout).await);
    let discovery = fetch(&url, options, clock).await?;
    let jwks_uri = jwks_uri(&discovery).filter(is_web);
    seen.discovery = Some(discovery);
    // What is wrong with one that is not followed is told with discovery.
    if let Some(jwks_uri) = jwks_uri.filter(|jwks_uri| fault(jwks_uri, &url).is_none()) {
        if jwks_uri.origin() != url.origin() {
            let found = addresses(&jwks_uri, options.timeout).await;
            if strays(Place::of_host(&jwks_uri, &found), place).is_some() {
                // Its addresses are found to be nowhere, and nothing is asked there.
                seen.hosts.push(HostSeen {
                    url: jwks_uri,
                    addresses: found,
                    chain: None,
                });
                return Ok(seen);
            }
            seen.hosts
                .push(look_at_host(&jwks_uri, found, options.timeout).await);
        }
        seen.jwks = Some(fetch(&jwks_uri, options, clock).await?);
    }
    Ok(seen)
}

fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

fn jwks_uri(discovery: &Exchange) -> Option<Url> {
    let answer = discovery
        .outcome
        .as_ref()
        .ok()
        .filter(|answer| answer.status == 200)?;
    let document: Value = serde_json::from_slice(&answer.body).ok()?;
    Url::parse(document["jwks_uri"].as_str()?).ok()
}

/// The addresses of a URL's host, or why there are none.
pub(in crate::doctor) async fn addresses(
    url: &Url,
    timeout: Duration,
) -> Result<Vec<IpAddr>, String> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::time::timeout(timeout, tokio::net::lookup_host((host, port))).await;
    match found {
        Ok(Ok(found)) => {
            let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
            addresses.sort_unstable();
            addresses.dedup();
            Ok(addresses)
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the resolver did not answer in time".to_owned()),
    }
}

async fn look_at_host(
    url: &Url,
    addresses: Result<Vec<IpAddr>, String>,
    timeout: Duration,
) -> HostSeen {
    let chain = match url.scheme() {
        "https" if addresses.is_ok() => Some(fetch_chain(url, timeout).await),
        _ => None,
    };
    HostSeen {
        url: url.clone(),
        addresses,
        chain,
    }
}

/// Fetches a document as a relying party does: without following redirects, and without credentials.
/// If the certificate is not trusted it is fetched all the same, so that the rest can be looked at too.
///
/// # Errors
/// The HTTP client cannot be set up.
pub(in crate::doctor) async fn fetch(
    url: &Url,
    options: &Options,
    clock: &(impl Fn() -> Timestamp + Sync),
) -> Result<Exchange, LookError> {
    let mut distrust = None;
    let mut trusting = client(url, options, true)?;
    loop {
        let start = Instant::now();
        let outcome = ask(&trusting, url).await;
        let took = start.elapsed();
        match outcome {
            Err(FetchError::Distrusted(why)) if distrust.is_none() => {
                distrust = Some(why);
                trusting = client(url, options, false)?;
            }
            outcome => {
                return Ok(Exchange {
                    url: url.to_string(),
                    at: clock(),
                    took,
                    distrust,
                    outcome,
                });
            }
        }
    }
}

fn client(url: &Url, options: &Options, verify: bool) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .timeout(options.timeout)
        .redirect(Policy::none())
        .referer(false)
        .user_agent(concat!("runmint/", env!("CARGO_PKG_VERSION"), " (doctor)"));
    if is_this_machine(url) {
        // A proxy for the world outside is none for this machine.
        builder = builder.no_proxy();
    }
    if let Some(roots) = &options.roots {
        builder = builder.tls_certs_only(roots.clone());
    }
    if !verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build()
}

async fn ask(client: &Client, url: &Url) -> Result<Answer, FetchError> {
    let request = client
        .get(url.clone())
        .header(header::ACCEPT, "application/json");
    let mut response = request.send().await.map_err(|error| failure(&error))?;
    let mut answer = head(&response);
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        answer.body.extend_from_slice(&chunk);
        if answer.body.len() > MAX_BODY {
            answer.body.truncate(MAX_BODY);
            answer.is_cut = true;
            break;
        }
    }
    Ok(answer)
}

fn head(response: &Response) -> Answer {
    let text = |name: header::HeaderName| {
        let values = response.headers().get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    Answer {
        status: response.status().as_u16(),
        location: text(header::LOCATION),
        content_type: text(header::CONTENT_TYPE),
        cache_control: text(header::CACHE_CONTROL),
        etag: text(header::ETAG),
        date: text(header::DATE).as_deref().and_then(http_date),
        age: text(header::AGE)
            .and_then(|age| age.parse().ok())
            .unwrap_or(0),
        body: Vec::new(),
        is_cut: false,
    }
}

/// The preferred format of RFC 9110, section 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let parts: Vec<_> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts.as_slice() else {
        return None;
    };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    let rfc_3339 = format!("{year}-{month:02}-{day:0>2}T{time}Z");
    let at = humantime::parse_rfc3339(&rfc_3339).ok()?;
    let since = at.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(Timestamp)
}

fn failure(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(why)) => FetchError::Distrusted(distrust(why)),
        Some(error) => FetchError::Tls(error.to_string()),
        None => FetchError::Connection(root_cause(error)),
    }
}

/// rustls' own error, which travels within errors of I/O.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        let mut inner = Some(error);
        while let Some(io) = inner.and_then(|inner| inner.downcast_ref::<std::io::Error>()) {
            inner = io
                .get_ref()
                .map(|inner| inner as &(dyn std::error::Error + 'static));
        }
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref()) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

fn distrust(why: &CertificateError) -> Distrust {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Distrust::Ended,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Distrust::NotYet
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Distrust::Host
        }
        CertificateError::UnknownIssuer => Distrust::Unknown,
        // webpki's words for a root that is used as a server's own certificate and the like.
        other => Distrust::Other(other.to_string()),
    }
}

/// The innermost cause: `Connection refused` rather than `error sending request`.
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
    fn dates_are_read_as_http_writes_them() {
        assert_eq!(
            http_date("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Timestamp(784_111_777))
        );
        for text in [
            "",
            "Sun, 06 Nov 1994",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun, 06 Xyz 1994 08:49:37 GMT",
        ] {
            assert_eq!(http_date(text), None, "{text}");
        }
    }
}
