//! How `instant-acme` speaks HTTP: with reqwest, as all of runmint does, and with bounds.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use reqwest::header::{HeaderMap, RETRY_AFTER, USER_AGENT};

use super::error::AcmeError;
use crate::config::AcmeSettings;
use crate::tls::TlsError;
use crate::tls::error::read;

/// A CA that does not answer is asked again later.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Nobody needs a larger answer; a chain of certificates has some kilobytes.
const MAX_BYTES: usize = 1 << 20;

/// A nonce may be refused at any time (RFC 8555, section 6.5). The library tries again by itself.
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

#[derive(Clone, Debug)]
pub(super) struct Http(reqwest::Client);

impl Http {
    /// With the CA of the directory's own certificate, if that is a private one.
    pub(super) fn new(settings: &AcmeSettings) -> Result<Self, TlsError> {
        let mut builder = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .https_only(true)
            .user_agent(concat!("runmint/", env!("CARGO_PKG_VERSION"), " (acme)"));
        let path = &settings.directory_ca_file;
        if !path.as_os_str().is_empty() {
            let setting = "server.acme.directory_ca_file";
            let roots = reqwest::Certificate::from_pem_bundle(&read(setting, path)?)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| TlsError::content(setting, path, "holds no certificate in PEM"))?;
            builder = builder.tls_certs_only(roots);
        }
        Ok(Self(builder.build()?))
    }
}

type Request = http::Request<BodyWrapper<Bytes>>;

impl HttpClient for Http {
    fn request(
        &self,
        request: Request,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let http = self.0.clone();
        Box::pin(async move {
            let answer = send(&http, request).await;
            answer.map_err(|error| Error::Other(Box::new(error)))
        })
    }
}

/// Refusals end here, since the library keeps neither their status nor `Retry-After`.
async fn send(http: &reqwest::Client, request: Request) -> Result<BytesResponse, AcmeError> {
    let url = request.uri().to_string();
    let unreachable = |source: reqwest::Error| AcmeError::Unreachable {
        url: url.clone(),
        source: source.without_url(),
    };
    let request = request.map(reqwest::Body::wrap);
    let mut request = reqwest::Request::try_from(request).map_err(unreachable)?;
    // The library's; then ours is said.
    request.headers_mut().remove(USER_AGENT);
    let mut response = http.execute(request).await.map_err(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(AcmeError::Malformed("more than a megabyte"));
        }
    }
    let status = response.status();
    let (parts, _) = http::Response::from(response).into_parts();
    if !status.is_success() {
        let problem = serde_json::from_slice(&body).unwrap_or(Problem {
            r#type: None,
            detail: Some(format!("{url} answered {status}")),
            status: None,
            subproblems: Vec::new(),
        });
        if problem.r#type.as_deref() != Some(BAD_NONCE) {
            let retry_after = retry_after(&parts.headers);
            return Err(AcmeError::refused(&problem, retry_after));
        }
    }
    let body = Box::new(Bytes::from(body));
    Ok(BytesResponse { parts, body })
}

/// Seconds; the other form, a date, is as good as none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_secs)
}
