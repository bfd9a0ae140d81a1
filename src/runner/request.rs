//! Asking for tokens: the request protocol of GitHub Actions, which runmint's `/v1/token` serves.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::environment::Environment;
use super::http::{self, Failure};
use super::text::SecretText;
use super::token::{IdentityToken, NoToken};
use crate::domain::phase::Phase;
use crate::domain::run::RunState;
use crate::domain::time::Timestamp;

/// Where a run asks for its tokens, and what it asks with.
#[derive(Clone, Debug)]
pub struct RequestSource {
    url: Url,
    token: SecretText,
}

/// Why there is nowhere to ask.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// None of the variables is set.
    #[error(
        "`{URL}` and `{TOKEN}` are not set, and neither are `{ACTIONS_URL}` and `{ACTIONS_TOKEN}`"
    )]
    Nowhere,
    /// One of a pair is set.
    #[error("`{present}` is set and `{absent}` is not; they belong together")]
    Half {
        /// The one that is set.
        present: &'static str,
        /// The one that is not.
        absent: &'static str,
    },
    /// The token is none.
    #[error(
        "`{variable}` holds something else than a token: a space, or the end of a line (CR LF?)"
    )]
    Token {
        /// Where it came from.
        variable: &'static str,
    },
    /// The URL is none.
    #[error("`{variable}` is no http or https URL: {reason}")]
    Url {
        /// Where it came from.
        variable: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

const URL: &str = "RUNMINT_REQUEST_URL";
const TOKEN: &str = "RUNMINT_REQUEST_TOKEN";
const ACTIONS_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const ACTIONS_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

impl RequestSource {
    /// Takes runmint's own variables, else those of GitHub Actions.
    ///
    /// # Errors
    /// [`SourceError`], which names the variables.
    pub fn of(environment: &Environment) -> Result<Self, SourceError> {
        for (url_name, token_name) in [(URL, TOKEN), (ACTIONS_URL, ACTIONS_TOKEN)] {
            let half = |present, absent| Err(SourceError::Half { present, absent });
            match (environment.find(url_name), environment.find(token_name)) {
                (None, None) => {}
                (Some(_), None) => return half(url_name, token_name),
                (None, Some(_)) => return half(token_name, url_name),
                (Some(_), Some(token)) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                    return Err(SourceError::Token {
                        variable: token_name,
                    });
                }
                (Some(url), Some(token)) => {
                    return Self::new(url, token).map_err(|reason| SourceError::Url {
                        variable: url_name,
                        reason,
                    });
                }
            }
        }
        Err(SourceError::Nowhere)
    }

    /// Asks at `url` with `token`.
    ///
    /// # Errors
    /// Says what is wrong with the URL.
    pub fn new(url: &str, token: &str) -> Result<Self, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(format!("its scheme is `{}`", url.scheme()));
        }
        Ok(Self {
            url,
            token: SecretText::new(token),
        })
    }

    /// The URL that answers with a token for `audience` without a further query: what a client that
    /// cannot add one is given.
    pub fn url_for(&self, audience: &str) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("audience", audience);
        url
    }

    /// The URL as it was given.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What is asked with.
    pub fn token(&self) -> &SecretText {
        &self.token
    }

    /// The run's own page, `/v1/runs/{id}`, beside `/v1/token?run={id}`; none at another issuer's.
    fn run_url(&self, action: &str) -> Option<Url> {
        let base = self.url.path().strip_suffix("/v1/token")?;
        let (_, id) = self.url.query_pairs().find(|(name, _)| name == "run")?;
        let id = uuid::Uuid::parse_str(&id).ok()?;
        let mut url = self.url.clone();
        url.set_path(&format!("{base}/v1/runs/{id}{action}"));
        url.set_query(None);
        Some(url)
    }
}

/// Asks for tokens in the name of one run.
#[derive(Clone, Debug)]
pub struct RequestClient {
    http: Client,
    source: RequestSource,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The TLS library, or a CA that it cannot read.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[source] reqwest::Error),
    /// It cannot be reached, after several attempts.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// Scheme, host and port.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// It said no; the words are its own.
    #[error("{host} answered {status}: {detail}")]
    Refused {
        /// Scheme, host and port.
        host: String,
        /// The status code.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// It answered with something else than a token.
    #[error("{host} did not answer with a token: {reason}")]
    Answer {
        /// Scheme, host and port.
        host: String,
        /// What is wrong with the answer.
        reason: String,
    },
}

impl RequestError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unreachable { reason, .. } if reason.contains("invalid peer certificate") => {
                "`--ca` (RUNMINT_CA) names the CA of the server's certificate, where it is a private one"
            }
            Self::Refused { status: 401, .. } => {
                "the request token is that of another run or server; look at RUNMINT_REQUEST_TOKEN"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// Whether another attempt may go better.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => http::is_passing(*status),
            Self::Answer { .. } | Self::Client(_) => false,
        }
    }
}

/// A run, as it sees itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OwnRun {
    /// The id in `/v1/runs/{id}`.
    pub id: String,
    /// `terraform_run_id`
    pub run_id: String,
    /// The exact `sub` of its tokens.
    pub subject: String,
    /// What it does.
    pub run_phase: Phase,
    /// What it may ask tokens for.
    pub audiences: Vec<String>,
    /// Whether it may still.
    pub state: RunState,
    /// Its deadline.
    pub expires_at: Timestamp,
}

/// For one attempt.
const TIMEOUT: Duration = Duration::from_secs(20);

impl RequestClient {
    /// Sets up how to ask. `roots` are trusted instead of the system's CAs, where there are any.
    ///
    /// # Errors
    /// [`RequestError::Client`].
    pub fn new(
        source: RequestSource,
        roots: Option<Vec<Certificate>>,
    ) -> Result<Self, RequestError> {
        // The request token goes to the URL that was given, and nowhere else.
        let http = http::client(&source.url, TIMEOUT, Policy::none(), roots)
            .map_err(RequestError::Client)?;
        Ok(Self { http, source })
    }

    /// Where it asks.
    pub fn source(&self) -> &RequestSource {
        &self.source
    }

    /// Asks for a token for `audience`, several times if need be: in all for a few seconds, unless
    /// the server does not answer at all.
    ///
    /// # Errors
    /// [`RequestError`]; there never is an empty token.
    pub async fn token(&self, audience: &str) -> Result<IdentityToken, RequestError> {
        let url = self.source.url_for(audience);
        let answer = self.send(|| self.http.get(url.clone())).await?;
        self.take(&answer)
    }

    /// Asks once, for those who have a time of their own to ask again.
    ///
    /// # Errors
    /// As [`Self::token`].
    pub async fn token_at_once(&self, audience: &str) -> Result<IdentityToken, RequestError> {
        let request = self.http.get(self.source.url_for(audience));
        let answer = self.attempt(request).await;
        self.take(&answer.map_err(|failure| failure.error)?)
    }

    fn take(&self, answer: &Value) -> Result<IdentityToken, RequestError> {
        let value = answer["value"]
            .as_str()
            .ok_or_else(|| self.no_token("it has no `value`"))?;
        IdentityToken::parse(value).map_err(|error: NoToken| self.no_token(&error.to_string()))
    }

    /// The run itself. Nothing at an issuer that is not runmint, or one that does not tell.
    ///
    /// # Errors
    /// [`RequestError`], if it is runmint and says no, or cannot be reached.
    pub async fn run(&self) -> Result<Option<OwnRun>, RequestError> {
        let Some(url) = self.source.run_url("") else {
            return Ok(None);
        };
        let answer = self.send(|| self.http.get(url.clone())).await?;
        let run = serde_json::from_value(answer);
        run.map(Some)
            .map_err(|error| self.no_token(&error.to_string()))
    }

    /// Ends the run: its request token is worth nothing from here on. `false` at an issuer that is
    /// not runmint.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn close(&self) -> Result<bool, RequestError> {
        let Some(url) = self.source.run_url("/close") else {
            return Ok(false);
        };
        self.send(|| self.http.post(url.clone())).await?;
        Ok(true)
    }

    async fn send(&self, request: impl Fn() -> RequestBuilder) -> Result<Value, RequestError> {
        http::repeated(|| self.attempt(request())).await
    }

    async fn attempt(&self, request: RequestBuilder) -> Result<Value, Failure<RequestError>> {
        let failure = |error: RequestError, retry_after| Failure {
            again: error.is_passing(),
            error,
            retry_after,
        };
        let unreachable = |error: reqwest::Error| {
            let host = self.host();
            let reason = http::root_cause(&error.without_url());
            failure(RequestError::Unreachable { host, reason }, None)
        };
        let request = request
            .bearer_auth(self.source.token.expose())
            .header(header::ACCEPT, "application/json");
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let retry_after = http::retry_after(&response);
        let body = http::bounded(response).await.map_err(unreachable)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let detail = ["detail", "message", "error"]
            .iter()
            .find_map(|name| answer[name].as_str());
        let detail = detail.map_or_else(
            || "is that the request URL of a run?".to_owned(),
            http::words,
        );
        let error = RequestError::Refused {
            host: self.host(),
            status: status.as_u16(),
            detail,
        };
        Err(failure(error, retry_after))
    }

    fn no_token(&self, reason: &str) -> RequestError {
        RequestError::Answer {
            host: self.host(),
            reason: reason.to_owned(),
        }
    }

    fn host(&self) -> String {
        self.source.url.origin().ascii_serialization()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runmint_s_own_variables_come_first_and_halves_are_named() {
        let both = [
            (URL, "https://ci.example.com/v1/token?run=1"),
            (TOKEN, "own"),
            (ACTIONS_URL, "https://actions.example.com/?a=b"),
            (ACTIONS_TOKEN, "actions"),
        ];
        let source = |pairs: &[(&str, &str)]| RequestSource::of(&pairs.iter().copied().collect());
        assert_eq!(source(&both).unwrap().token.expose(), "own");
        assert_eq!(source(&both[2..]).unwrap().token.expose(), "actions");
        assert_eq!(source(&[]).unwrap_err(), SourceError::Nowhere);
        let half = source(&both[1..]).unwrap_err();
        assert_eq!(
            half,
            SourceError::Half {
                present: TOKEN,
                absent: URL
            }
        );
        let broken = source(&[(URL, "https://ci.example.com"), (TOKEN, "t\r")]).unwrap_err();
        assert_eq!(broken, SourceError::Token { variable: TOKEN });
        let wrong = source(&[(URL, "ci.example.com"), (TOKEN, "t")]).unwrap_err();
        assert!(wrong.to_string().contains(URL), "{wrong}");
    }

    #[test]
    fn an_audience_is_added_to_the_query_that_is_there() {
        let source = RequestSource::new("https://ci.example.com/v1/token?run=1", "t").unwrap();
        assert_eq!(
            source.url_for("api://x y").as_str(),
            "https://ci.example.com/v1/token?run=1&audience=api%3A%2F%2Fx+y"
        );
    }

    #[test]
    fn a_run_s_own_page_is_beside_its_request_url() {
        let id = "0198e2c4-7c1e-7a52-8d43-0f6f3f3a1b2c";
        let of = |url: &str| RequestSource::new(url, "t").unwrap().run_url("/close");
        assert_eq!(
            of(&format!("https://ci.example.com/oidc/v1/token?run={id}"))
                .unwrap()
                .as_str(),
            format!("https://ci.example.com/oidc/v1/runs/{id}/close")
        );
        assert_eq!(of("https://ci.example.com/v1/token?run=../x"), None);
        assert_eq!(
            of(&format!("https://actions.example.com/token?run={id}")),
            None
        );
    }
}
