//! Talks to a CA as RFC 8555 has it: signed requests, nonces, an account, problems.
//!
//! Own code, because the libraries that are kept for it bring the crate `time` with them (deny.toml).

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::state::Account;
use crate::config::AcmeSettings;
use crate::tls::TlsError;
use crate::tls::error::read;

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum AcmeError {
    #[error("{url} cannot be reached: {}", root_cause(.source))]
    Unreachable { url: String, source: reqwest::Error },
    #[error("the CA refused: {detail} ({kind})")]
    Refused {
        /// What the problem is called (RFC 8555, section 6.7).
        kind: String,
        detail: String,
        /// How long the CA wants not to be asked again.
        retry_after: Option<Duration>,
    },
    #[error(
        "the CA could not check {domain}: {detail}; it must reach this listener at port 443 of that \
         name"
    )]
    Challenge { domain: String, detail: String },
    #[error("the CA offers no way to check {domain} over TLS (tls-alpn-01)")]
    NoChallenge { domain: String },
    #[error("the CA answered something else than RFC 8555 has ({0})")]
    Malformed(&'static str),
    #[error("the CA was not done in time")]
    Timeout,
    #[error("`server.acme.external_account_key` is no base64url")]
    ExternalAccountKey,
    #[error("no key could be made or used")]
    Crypto,
    #[error("{path}: {source}")]
    Save {
        path: String,
        source: std::io::Error,
    },
}

/// An account at a CA, and the way to it.
pub(super) struct Client {
    http: reqwest::Client,
    directory: Directory,
    key: AccountKey,
    /// Empty until the account is there.
    account_url: String,
    nonce: Option<String>,
}

/// Where things are at the CA (RFC 8555, section 7.1.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "they are the names of RFC 8555")]
struct Directory {
    new_nonce: String,
    new_account: String,
    new_order: String,
}

pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
}

/// A problem document (RFC 7807), as far as we say it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    subproblems: Vec<Subproblem>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subproblem {
    detail: String,
}

/// A CA that does not answer is asked again later.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A nonce may be refused at any time, and is worth another try (RFC 8555, section 6.5).
const NONCE_TRIES: usize = 10;

/// Nobody needs a larger answer; a chain of certificates has some kilobytes.
const MAX_BYTES: usize = 1 << 20;

/// The HTTP client for the CA, with the CA of its own certificate if that is a private one.
pub(super) fn http_client(settings: &AcmeSettings) -> Result<reqwest::Client, TlsError> {
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
    Ok(builder.build()?)
}

impl Client {
    /// Finds the directory, and the account that was kept or a new one; `true` if it is new.
    pub(super) async fn connect(
        http: reqwest::Client,
        settings: &AcmeSettings,
        kept: Option<&Account>,
    ) -> Result<(Self, bool), AcmeError> {
        let url = &settings.directory_url;
        let answer = http.get(url).send().await.map_err(unreachable(url))?;
        let answer = Answer::read(url, answer).await?;
        let key = match kept {
            Some(account) => AccountKey::parse(&account.key)?,
            None => AccountKey::generate()?,
        };
        let mut client = Self {
            http,
            directory: answer.json("its directory")?,
            key,
            account_url: kept.map_or_else(String::new, |account| account.url.clone()),
            nonce: None,
        };
        let is_new = kept.is_none();
        if is_new {
            client.register(settings).await?;
        }
        Ok((client, is_new))
    }

    /// Makes the account (RFC 8555, section 7.3).
    async fn register(&mut self, settings: &AcmeSettings) -> Result<(), AcmeError> {
        let url = self.directory.new_account.clone();
        let mut payload = json!({"termsOfServiceAgreed": settings.accept_terms});
        if !settings.contact.is_empty() {
            payload["contact"] = json!([settings.contact]);
        }
        if !settings.external_account_id.is_empty() {
            payload["externalAccountBinding"] = self.bind_to(settings, &url)?;
        }
        let answer = self.post(&url, Some(&payload)).await?;
        self.account_url = answer
            .location
            .ok_or(AcmeError::Malformed("no URL of the account"))?;
        Ok(())
    }

    /// Says that an account which the CA knows already is behind the new one (section 7.3.4).
    fn bind_to(&self, settings: &AcmeSettings, url: &str) -> Result<Value, AcmeError> {
        let key = settings.external_account_key.0.trim_end_matches('=');
        let key = URL_SAFE_NO_PAD
            .decode(key)
            .map_err(|_| AcmeError::ExternalAccountKey)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let header = json!({"alg": "HS256", "kid": settings.external_account_id, "url": url});
        let payload = self.key.public_jwk().to_string();
        jws(&header, &payload, |text| {
            Ok(hmac::sign(&key, text).as_ref().to_vec())
        })
    }

    /// The account, to be kept.
    pub(super) fn account(&self) -> Result<Account, AcmeError> {
        Ok(Account {
            url: self.account_url.clone(),
            key: self.key.to_text()?,
        })
    }

    pub(super) fn new_order_url(&self) -> String {
        self.directory.new_order.clone()
    }

    /// What proves to the CA that a challenge is answered by this account (section 8.1).
    pub(super) fn key_authorization(&self, token: &str) -> Vec<u8> {
        let thumbprint = digest(&SHA256, self.key.public_jwk().to_string().as_bytes());
        let text = format!("{token}.{}", URL_SAFE_NO_PAD.encode(thumbprint));
        digest(&SHA256, text.as_bytes()).as_ref().to_vec()
    }

    /// A signed request; without a payload it reads ("POST-as-GET", section 6.3).
    pub(super) async fn post(
        &mut self,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<Answer, AcmeError> {
        let payload = payload.map_or_else(String::new, Value::to_string);
        let mut tries = NONCE_TRIES;
        loop {
            let nonce = match self.nonce.take() {
                Some(nonce) => nonce,
                None => self.new_nonce().await?,
            };
            let mut header = json!({"alg": "ES256", "nonce": nonce, "url": url});
            if self.account_url.is_empty() {
                header["jwk"] = self.key.public_jwk();
            } else {
                header["kid"] = json!(self.account_url);
            }
            let body = jws(&header, &payload, |text| self.key.sign(text))?;
            let request = self.http.post(url).body(body.to_string());
            let request = request.header(CONTENT_TYPE, "application/jose+json");
            let response = request.send().await.map_err(unreachable(url))?;
            self.nonce = header_text(response.headers(), "replay-nonce");
            tries -= 1;
            match Answer::read(url, response).await {
                Err(AcmeError::Refused { kind, .. })
                    if kind == "urn:ietf:params:acme:error:badNonce" && tries > 0 => {}
                answer => return answer,
            }
        }
    }

    async fn new_nonce(&self) -> Result<String, AcmeError> {
        let url = &self.directory.new_nonce;
        let response = self.http.head(url).send().await.map_err(unreachable(url))?;
        header_text(response.headers(), "replay-nonce").ok_or(AcmeError::Malformed("no nonce"))
    }
}

impl AcmeError {
    /// Whether the CA does not know the account any more.
    pub(super) fn is_account_gone(&self) -> bool {
        matches!(self, Self::Refused { kind, .. }
            if kind == "urn:ietf:params:acme:error:accountDoesNotExist")
    }

    /// How long the CA wants not to be asked again, if it said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Answer {
    async fn read(url: &str, mut response: reqwest::Response) -> Result<Self, AcmeError> {
        let status = response.status();
        let location = header_text(response.headers(), LOCATION.as_str());
        // Seconds; the other form, a date, is as good as none.
        let retry_after = header_text(response.headers(), RETRY_AFTER.as_str())
            .and_then(|text| text.parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable(url))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BYTES {
                return Err(AcmeError::Malformed("more than a megabyte"));
            }
        }
        if status.is_success() {
            return Ok(Self {
                body,
                location,
                retry_after,
            });
        }
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        let detail = problem.to_string();
        Err(AcmeError::Refused {
            kind: problem.kind,
            detail: if detail.is_empty() {
                format!("{url} answered {status}")
            } else {
                detail
            },
            retry_after,
        })
    }

    pub(super) fn json<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, AcmeError> {
        serde_json::from_slice(&self.body).map_err(|_| AcmeError::Malformed(what))
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)?;
        self.subproblems
            .iter()
            .try_for_each(|problem| write!(f, "; {}", problem.detail))
    }
}

/// The account's key, P-256.
struct AccountKey(EcdsaKeyPair);

impl AccountKey {
    fn generate() -> Result<Self, AcmeError> {
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map(Self)
            .map_err(|_| AcmeError::Crypto)
    }

    fn parse(text: &str) -> Result<Self, AcmeError> {
        let pkcs8 = STANDARD.decode(text).map_err(|_| AcmeError::Crypto)?;
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
            .map(Self)
            .map_err(|_| AcmeError::Crypto)
    }

    fn to_text(&self) -> Result<String, AcmeError> {
        let pkcs8 = self.0.to_pkcs8v1().map_err(|_| AcmeError::Crypto)?;
        Ok(STANDARD.encode(pkcs8))
    }

    /// With its members in alphabetical order and no others, as the thumbprint wants it (RFC 7638).
    fn public_jwk(&self) -> Value {
        // An uncompressed point: a byte 4, then both coordinates.
        let point = self.0.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"crv": "P-256", "kty": "EC", "x": x, "y": y})
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, AcmeError> {
        self.0
            .sign(&SystemRandom::new(), text)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| AcmeError::Crypto)
    }
}

/// A JWS in its flattened form (RFC 7515, section 7.2.2).
fn jws(
    header: &Value,
    payload: &str,
    sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, AcmeError>,
) -> Result<Value, AcmeError> {
    let header = URL_SAFE_NO_PAD.encode(header.to_string());
    let payload = URL_SAFE_NO_PAD.encode(payload);
    let signature = sign(format!("{header}.{payload}").as_bytes())?;
    let signature = URL_SAFE_NO_PAD.encode(signature);
    Ok(json!({"protected": header, "payload": payload, "signature": signature}))
}

fn unreachable(url: &str) -> impl Fn(reqwest::Error) -> AcmeError {
    move |source| AcmeError::Unreachable {
        url: url.to_owned(),
        source: source.without_url(),
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

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
    fn an_account_key_is_the_same_when_it_is_read_again() {
        let key = AccountKey::generate().unwrap();
        let again = AccountKey::parse(&key.to_text().unwrap()).unwrap();
        assert_eq!(key.public_jwk(), again.public_jwk());
        let text = key.public_jwk().to_string();
        // The order matters: the CA hashes its own copy in exactly this form.
        assert!(
            text.starts_with(r#"{"crv":"P-256","kty":"EC","x":""#),
            "{text}"
        );
        for name in ["x", "y"] {
            let value = key.public_jwk()[name].as_str().unwrap().to_owned();
            assert_eq!(URL_SAFE_NO_PAD.decode(value).unwrap().len(), 32);
        }
    }

    #[test]
    fn a_problem_says_what_is_wrong_with_each_name() {
        let problem: Problem = serde_json::from_value(json!({
            "type": "urn:ietf:params:acme:error:rejectedIdentifier",
            "detail": "some names were refused",
            "subproblems": [{"detail": "a is on a list"}, {"detail": "b is reserved"}],
        }))
        .unwrap();
        let text = problem.to_string();
        assert_eq!(
            text,
            "some names were refused; a is on a list; b is reserved"
        );
    }
}
