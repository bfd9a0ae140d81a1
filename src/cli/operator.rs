//! Operator commands talk to the admin listener: there is one path, and everything is audited.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::{Certificate, ClientBuilder, Identity, Method};
use serde_json::Value;

use crate::app::ADMIN_TOKEN_FILE;
use crate::config::Settings;
use crate::tls::pinned_client;

/// Apart from a command's own options in its help.
const OPERATORS: &str = "For operators' commands";

/// Where the admin listener is, and what TLS with it takes.
#[derive(Args, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "they are the names of the options"
)]
pub(super) struct AdminArgs {
    /// The admin listener; that of the settings when left out.
    #[arg(long, global = true, value_name = "URL", env = "RUNMINT_ADMIN_URL", help_heading = OPERATORS)]
    admin_url: Option<String>,
    /// The CA of its certificate (PEM), where it is a private one.
    #[arg(long, global = true, value_name = "FILE", env = "RUNMINT_ADMIN_CA", help_heading = OPERATORS)]
    admin_ca: Option<PathBuf>,
    /// The client certificate that it asks for (PEM).
    #[arg(long, global = true, value_name = "FILE", env = "RUNMINT_ADMIN_CERT", help_heading = OPERATORS)]
    admin_cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, global = true, value_name = "FILE", env = "RUNMINT_ADMIN_KEY", help_heading = OPERATORS)]
    admin_key: Option<PathBuf>,
}

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
    /// A file that an option names.
    #[error("`{option}`: {}: {what}", .path.display())]
    File {
        option: &'static str,
        path: PathBuf,
        what: String,
    },
    /// A client certificate without its key, or the other way round.
    #[error("`--admin-cert` and `--admin-key` belong together; give both or none")]
    HalfIdentity,
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
            Self::HalfIdentity
                | Self::Url(_)
                | Self::Refused {
                    status: 400 | 422,
                    ..
                }
        )
    }

    /// Whether the server's certificate is of nobody who is trusted here.
    pub(super) fn is_untrusted(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. }
            if root_cause(source).contains("invalid peer certificate"))
    }

    pub(super) fn hint(&self) -> Option<&'static str> {
        let hint = match self {
            Self::NoToken(_) => {
                "the server writes it to `admin-token` in its `data_dir` at its first start; \
                 run this where `data_dir` is the same (RUNMINT_DATA_DIR), \
                 or give it as RUNMINT_ADMIN__TOKEN"
            }
            _ if self.is_untrusted() => {
                "`--admin-ca` (RUNMINT_ADMIN_CA) names the CA of the admin listener's certificate, \
                 where it is a private one"
            }
            // Over TLS 1.3 a server refuses a client after the connection stands.
            Self::Unreachable { url, source }
                if url.starts_with("https://") && !source.is_connect() =>
            {
                "if the admin listener asks for a client certificate, give one of its CA: \
                 `--admin-cert` and `--admin-key` (RUNMINT_ADMIN_CERT, RUNMINT_ADMIN_KEY)"
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
            Self::Client(_)
            | Self::File { .. }
            | Self::HalfIdentity
            | Self::Refused { .. }
            | Self::Url(_) => return None,
        };
        Some(hint)
    }
}

impl Operator {
    /// Finds the listener, its certificate and the token as the server does.
    pub(super) fn new(settings: &Settings, args: &AdminArgs) -> Result<Self, OperatorError> {
        let token = if settings.admin.token.0.is_empty() {
            let path = settings.data_dir.join(ADMIN_TOKEN_FILE);
            std::fs::read_to_string(&path)
                .map_err(|error| OperatorError::NoToken(format!("{}: {error}", path.display())))?
                .trim()
                .to_owned()
        } else {
            settings.admin.token.0.trim().to_owned()
        };
        let tls = settings.admin.tls.is_on();
        let scheme = if tls { "https" } else { "http" };
        let url = args.admin_url.as_deref().map_or_else(
            || format!("{scheme}://{}", reachable(settings.admin.listen)),
            |url| url.trim_end_matches('/').to_owned(),
        );
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(OperatorError::Url(url));
        }
        // On the server's own machine its certificate is known from the very file.
        let certificate = &settings.admin.tls.certificate_file;
        let is_here = tls && args.admin_url.is_none() && args.admin_ca.is_none();
        let client = args.client(is_here.then_some(certificate))?;
        Ok(Self { client, url, token })
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

impl AdminArgs {
    fn client(&self, certificate: Option<&PathBuf>) -> Result<reqwest::Client, OperatorError> {
        let identity = match (&self.admin_cert, &self.admin_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let mut pem = read("--admin-cert", certificate)?;
                pem.push(b'\n');
                pem.extend(read("--admin-key", key)?);
                Some((certificate, pem))
            }
            _ => return Err(OperatorError::HalfIdentity),
        };
        if let Some(path) = certificate {
            let option = "admin.tls.certificate_file";
            let identity = identity.as_ref().map(|(_, pem)| pem.as_slice());
            let tls = pinned_client(&read(option, path)?, identity)
                .map_err(|error| unusable(option, path, &error))?;
            return direct(|builder| builder.tls_backend_preconfigured(tls));
        }
        let roots = ca(self.admin_ca.as_deref(), "--admin-ca")?;
        let identity = identity
            .map(|(path, pem)| {
                Identity::from_pem(&pem).map_err(|error| unusable("--admin-cert", path, &error))
            })
            .transpose()?;
        direct(|mut builder| {
            if let Some(roots) = roots {
                builder = builder.tls_certs_only(roots);
            }
            if let Some(identity) = identity {
                builder = builder.identity(identity);
            }
            builder
        })
    }
}

/// The CAs in the file that an option names; they are trusted instead of the system's.
pub(super) fn ca(
    path: Option<&Path>,
    option: &'static str,
) -> Result<Option<Vec<Certificate>>, OperatorError> {
    let Some(path) = path else { return Ok(None) };
    let roots = Certificate::from_pem_bundle(&read(option, path)?)
        .map_err(|error| unusable(option, path, &error))?;
    if roots.is_empty() {
        return Err(unusable(option, path, &"no certificate in PEM"));
    }
    Ok(Some(roots))
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, OperatorError> {
    std::fs::read(path).map_err(|error| unusable(option, path, &error))
}

/// A file that an option names and that does not serve.
pub(super) fn unusable(
    option: &'static str,
    path: &Path,
    error: &dyn std::fmt::Display,
) -> OperatorError {
    OperatorError::File {
        option,
        path: path.to_owned(),
        what: error.to_string(),
    }
}

/// A client that takes no proxy from the environment: a secret is for the server alone.
pub(super) fn direct(
    with: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<reqwest::Client, OperatorError> {
    // One request needs no HTTP/2, which would hide why a server refuses a client's certificate.
    with(reqwest::Client::builder().no_proxy().http1_only())
        .build()
        .map_err(OperatorError::Client)
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
