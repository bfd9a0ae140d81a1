//! Operator commands talk to the admin listener: there is one path, and everything is audited.

use reqwest::Method;
use serde_json::Value;

use crate::app::ADMIN_TOKEN_FILE;
use crate::config::Settings;

/// The admin listener and the token for it.
#[derive(Debug)]
pub(super) struct Operator {
    client: reqwest::Client,
    url: String,
    token: String,
}

/// Why the admin listener did not do as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum OperatorError {
    /// There is no token to show.
    #[error("there is no admin token: {0}")]
    NoToken(String),
    /// `--admin-url` is none.
    #[error("`--admin-url` is {0:?}; it must start with `http://` or `https://`")]
    Url(String),
    /// The TLS library.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(reqwest::Error),
    /// It cannot be reached.
    #[error("{url} cannot be reached: {}", root_cause(.source))]
    Unreachable { url: String, source: reqwest::Error },
    /// It said no.
    #[error("{detail}")]
    Refused { status: u16, detail: String },
}

impl OperatorError {
    /// Whether it is the command line that is wrong.
    pub(super) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Url(_)
                | Self::Refused {
                    status: 400 | 422,
                    ..
                }
        )
    }

    pub(super) fn hint(&self) -> Option<&'static str> {
        let hint = match self {
            Self::NoToken(_) => {
                "the server writes it to `admin-token` in its `data_dir` at its first start; \
                 run this where `data_dir` is the same (RUNMINT_DATA_DIR), \
                 or give it as RUNMINT_ADMIN__TOKEN"
            }
            Self::Unreachable { .. } => {
                "is `runmint serve` running? `--admin-url` names its admin listener"
            }
            Self::Refused { status: 401, .. } => {
                "the token has expired, was removed, or is that of another server; look at RUNMINT_ADMIN__TOKEN and \
                 RUNMINT_DATA_DIR"
            }
            Self::Refused { status: 404, .. } => {
                "`keys list`, `clients list`, `issuers list`, `operators list` and `runs list` show \
                 what there is; they ask the admin listener, which `--admin-url` names"
            }
            Self::Client(_) | Self::Refused { .. } | Self::Url(_) => return None,
        };
        Some(hint)
    }
}

impl Operator {
    /// Finds the listener and the token as the server does.
    pub(super) fn new(settings: &Settings, url: Option<&str>) -> Result<Self, OperatorError> {
        let token = if settings.admin.token.0.is_empty() {
            let path = settings.data_dir.join(ADMIN_TOKEN_FILE);
            std::fs::read_to_string(&path)
                .map_err(|error| OperatorError::NoToken(format!("{}: {error}", path.display())))?
                .trim()
                .to_owned()
        } else {
            settings.admin.token.0.trim().to_owned()
        };
        let url = url.map_or_else(
            || format!("http://{}", reachable(settings.admin.listen)),
            |url| url.trim_end_matches('/').to_owned(),
        );
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(OperatorError::Url(url));
        }
        Ok(Self {
            // Never through a proxy: the admin token is for this listener alone.
            client: direct()?,
            url,
            token,
        })
    }

    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Value, OperatorError> {
        let mut url = format!("{}{path}", self.url);
        if !query.is_empty() {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(query)
                .finish();
            url = format!("{url}?{query}");
        }
        send(self.client.get(&url).bearer_auth(&self.token), &url).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, OperatorError> {
        let url = format!("{}{path}", self.url);
        let mut request = self.client.request(method, &url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        send(request, &url).await
    }
}

/// A client that takes no proxy from the environment.
pub(super) fn direct() -> Result<reqwest::Client, OperatorError> {
    let client = reqwest::Client::builder().no_proxy().build();
    client.map_err(OperatorError::Client)
}

/// Sends a request and takes its JSON answer apart.
pub(super) async fn send(
    request: reqwest::RequestBuilder,
    url: &str,
) -> Result<Value, OperatorError> {
    let failed = |source: reqwest::Error| OperatorError::Unreachable {
        url: url.to_owned(),
        source: source.without_url(),
    };
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let bytes = response.bytes().await.map_err(failed)?;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let detail = body["detail"].as_str().map_or_else(
        || format!("{url} answered {status}; is that runmint's listener?"),
        str::to_owned,
    );
    Err(OperatorError::Refused {
        status: status.as_u16(),
        detail,
    })
}

/// An address that listens everywhere is reached at home.
pub(super) fn reachable(mut address: std::net::SocketAddr) -> std::net::SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
