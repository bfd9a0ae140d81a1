//! One call of Vault's API: how it is sent, when it is sent again, and what an answer that is none
//! becomes.

use reqwest::header::HeaderValue;
use reqwest::redirect::{Action, Attempt};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde_json::Value;

use super::VaultClient;
use super::answer::Answer;
use super::error::{VaultError, hint, is_passing};
use super::path::ApiPath;
use crate::runner::http::{self, Failure};
use crate::runner::text::SecretText;

/// What is asked.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: ApiPath,
    pub(super) query: Option<(&'static str, &'a str)>,
    pub(super) body: Option<Value>,
    /// The token that asks, or at a login the token that it is about.
    pub(super) secret: &'a SecretText,
    pub(super) purpose: Purpose<'a>,
}

/// What a call is for: what it may be sent again after, and what helps when it is refused.
pub(super) enum Purpose<'a> {
    /// Of no token yet. If an answer is lost, so is a token that nobody holds, and it ends by itself:
    /// it may be sent again after whatever passes.
    Login {
        /// Of the token.
        audience: &'a str,
        /// Of the token.
        subject: &'a str,
    },
    /// It makes a user, a password or a key. If an answer is lost, those exist until the token is
    /// revoked, and clouds have few of them: it is sent again only if nothing was made, which is when
    /// Vault was not reached, had too much to do, or is not ready to do anything.
    Secret,
    /// Renewing and revoking. Once more does no harm.
    Upkeep,
}

/// A standby redirects to the active node with 307 ("High availability", "Client redirection"):
/// another host of the same cluster, which needs the token and the body as well. Never from TLS to
/// none, and not for long.
pub(super) fn follow(attempt: Attempt<'_>) -> Action {
    let previous = attempt.previous();
    let is_same_scheme = previous
        .iter()
        .all(|url| url.scheme() == attempt.url().scheme());
    let is_standby_s = attempt.status() == StatusCode::TEMPORARY_REDIRECT;
    if is_standby_s && is_same_scheme && previous.len() <= MOST_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

const MOST_REDIRECTS: usize = 3;

impl VaultClient {
    /// Sends it, several times if need be and if that does no harm.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Answer, VaultError> {
        if self.asks_once {
            return self.attempt(call).await.map_err(|failure| failure.error);
        }
        http::repeated(|| self.attempt(call)).await
    }

    async fn attempt(&self, call: &Call<'_>) -> Result<Answer, Failure<VaultError>> {
        let lost = |error: reqwest::Error| {
            let was_not_reached = error.is_connect();
            let error = self.lost(&error);
            let is_safe = was_not_reached || !matches!(call.purpose, Purpose::Secret);
            Failure {
                again: is_safe && error.is_passing(),
                error,
                retry_after: None,
            }
        };
        let request = self.request(call).map_err(|error| Failure {
            error,
            again: false,
            retry_after: None,
        })?;
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let retry_after = http::retry_after(&response);
        let host = response.url().origin().ascii_serialization();
        let elsewhere = elsewhere(&response);
        let body = http::bounded(response).await.map_err(lost)?;
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let path = call.path.to_string();
        if status.is_success() {
            return Ok(Answer { host, path, json });
        }
        let status = status.as_u16();
        let detail = elsewhere.unwrap_or_else(|| detail(&json, call.secret));
        let hint = hint(&call.purpose, &path, status, &detail);
        let nothing_was_made = [412, 429, 503].contains(&status);
        let is_safe = nothing_was_made || !matches!(call.purpose, Purpose::Secret);
        Err(Failure {
            error: VaultError::Refused {
                host,
                path,
                status,
                detail,
                hint,
            },
            again: is_safe && is_passing(status),
            retry_after,
        })
    }

    fn request(&self, call: &Call<'_>) -> Result<RequestBuilder, VaultError> {
        let mut url = call.path.at(&self.address);
        if let Some((name, value)) = call.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .header(header::ACCEPT, "application/json")
            // Agents and proxies of Vault may be told to demand it, against requests that a browser
            // or another server was tricked into.
            .header("x-vault-request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if !matches!(call.purpose, Purpose::Login { .. }) {
            let token = HeaderValue::from_str(call.secret.expose());
            let mut token = token.map_err(|_| VaultError::Answer {
                host: self.host(),
                path: call.path.to_string(),
                reason: "the token that it gave cannot be sent".to_owned(),
            })?;
            token.set_sensitive(true);
            request = request.header("x-vault-token", token);
        }
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        Ok(request)
    }

    /// No answer: the host is the one that did not give it, which may be an active node's.
    fn lost(&self, error: &reqwest::Error) -> VaultError {
        let asked = error.url().map(|url| url.origin().ascii_serialization());
        let host = asked.unwrap_or_else(|| self.host());
        let reason = http::root_cause(error);
        if reason.contains("certificate") {
            VaultError::Untrusted { host, reason }
        } else {
            VaultError::Unreachable { host, reason }
        }
    }

    fn host(&self) -> String {
        self.address.origin().ascii_serialization()
    }
}

/// Where a redirect that is not followed leads: the host, since the rest may be anything.
fn elsewhere(response: &Response) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    let url = location.and_then(|location| response.url().join(location).ok());
    Some(url.map_or_else(
        || "it sends elsewhere".to_owned(),
        |url| format!("it sends to {}", url.origin().ascii_serialization()),
    ))
}

/// Vault's own words. What answers in its place may repeat what it was sent, so the secret is taken
/// out of them.
fn detail(answer: &Value, secret: &SecretText) -> String {
    let errors = answer["errors"].as_array().into_iter().flatten();
    let errors: Vec<_> = errors.filter_map(Value::as_str).collect();
    if errors.is_empty() {
        return "it does not say why".to_owned();
    }
    let errors = errors.join("; ");
    match secret.expose() {
        "" => http::words(&errors),
        secret => http::words(&errors.replace(secret, "…")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn vault_s_words_are_told_and_the_secret_is_not() {
        let secret = SecretText::new("hvs.hidden");
        for (answer, expected) in [
            (json!({"errors": ["a\n\t* b", "c"]}), "a * b; c"),
            (json!({"errors": ["you sent hvs.hidden!"]}), "you sent …!"),
            (json!({"errors": []}), "it does not say why"),
            (json!({"errors": "a"}), "it does not say why"),
            (json!(null), "it does not say why"),
        ] {
            assert_eq!(detail(&answer, &secret), expected);
        }
        let empty = detail(&json!({"errors": ["a"]}), &SecretText::new(""));
        assert_eq!(empty, "a");
    }
}
