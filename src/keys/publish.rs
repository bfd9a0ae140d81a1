//! What the outside world sees: a probe of the public JWKS URL.

use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;

/// Fetches the JWKS as a relying party does.
#[derive(Clone, Debug)]
pub struct Probe {
    client: reqwest::Client,
    url: String,
}

/// Why the probe saw nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No answer, or a broken one.
    #[error("{url} did not answer: {}", root_cause(.source))]
    Fetch {
        /// What was asked for.
        url: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// Another status than 200; a redirect is one, because relying parties do not follow it.
    #[error("{url} answered {status}; relying parties need 200 without a redirect")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The body is no JWKS, or too large for one.
    #[error("{url} answered something that is no key set")]
    NoKeySet {
        /// What was asked for.
        url: String,
    },
}

/// AWS gives up on a JWKS after five seconds.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A key set of a hundred RSA keys has some fifty kilobytes.
const MAX_BYTES: usize = 1 << 20;

impl Probe {
    /// A probe of `url`, whose certificate is from one of these CAs; with none, of the system's.
    ///
    /// # Errors
    /// The TLS library cannot be set up.
    pub fn new(url: String, cas: Vec<reqwest::Certificate>) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder();
        if !cas.is_empty() {
            builder = builder.tls_certs_only(cas);
        }
        if is_loopback(&url) {
            // A trial on this machine is not to be seen through a proxy.
            builder = builder.no_proxy();
        }
        let client = builder
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("runmint/", env!("CARGO_PKG_VERSION"), " (probe)"))
            .build()?;
        Ok(Self { client, url })
    }

    /// The URL that is probed.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The `kid`s that are published there now.
    ///
    /// # Errors
    /// Why a relying party would see none.
    pub async fn look(&self) -> Result<Vec<String>, ProbeError> {
        let failed = |source| ProbeError::Fetch {
            url: self.url.clone(),
            source,
        };
        let no_key_set = || ProbeError::NoKeySet {
            url: self.url.clone(),
        };
        let mut response = self.client.get(&self.url).send().await.map_err(failed)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(ProbeError::Status {
                url: self.url.clone(),
                status: response.status().as_u16(),
            });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(no_key_set());
            }
        }
        kids(&body).ok_or_else(no_key_set)
    }
}

/// The `kid`s of a JWKS document; nothing if it is none.
pub fn kids(jwks: &[u8]) -> Option<Vec<String>> {
    let set: JwkSet = serde_json::from_slice(jwks).ok()?;
    Some(
        set.keys
            .into_iter()
            .filter_map(|key| key.common.key_id)
            .collect(),
    )
}

fn is_loopback(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    })
}

/// The innermost error says what happened ("connection refused"); the outer ones only that it did.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
