//! `runmint runs open`: an orchestrator asks the public listener for a run, and hands it to a runner.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use url::Url;

use super::operator::{OperatorError, ca, send, unusable};
use super::output::{Printer, cell, items};
use super::{CliError, Common, variable};
use crate::runner::{SecretText, http};

/// No option takes the client secret itself, since the list of processes would show it.
#[derive(Args, Debug)]
#[command(
    after_help = "The client secret, or a trusted issuer's token in its place, is the value of \
                        RUNMINT_CLIENT_SECRET or in the file that --client-secret-file names."
)]
pub(super) struct Open {
    /// The public URL of the server; the issuer of the settings when left out.
    #[arg(long, env = "RUNMINT_URL")]
    url: Option<String>,
    /// The CA of its certificate (PEM), where it is a private one.
    #[arg(long, value_name = "FILE", env = "RUNMINT_CA")]
    ca: Option<PathBuf>,
    /// Holds the client secret, or a trusted issuer's token (a projected service account token, say).
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// The organization.
    #[arg(long)]
    organization: String,
    /// The project.
    #[arg(long)]
    project: Option<String>,
    /// The workspace.
    #[arg(long)]
    workspace: Option<String>,
    /// `plan` or `apply`.
    #[arg(long)]
    run_phase: Option<String>,
    /// For `terraform_run_id`; made when left out.
    #[arg(long)]
    run_id: Option<String>,
    /// What tokens may be asked for; may be given several times.
    #[arg(long = "audience", value_name = "AUDIENCE", required = true)]
    audiences: Vec<String>,
    /// Seconds until its deadline.
    #[arg(long)]
    expires_in: Option<i64>,
    /// Write what would be printed, the request token with it, to this file (mode 0600) instead.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Holds the client secret, where no file does.
const CLIENT_SECRET: &str = "RUNMINT_CLIENT_SECRET";

const CLIENT_SECRET_FILE: &str = "--client-secret-file";

const OUTPUT: &str = "--output";

const TIMEOUT: Duration = Duration::from_secs(20);

impl Open {
    pub(super) async fn run(mut self, common: &Common, printer: &Printer) -> Result<(), CliError> {
        let secret = client_secret(variable(CLIENT_SECRET), self.client_secret_file.as_deref())?;
        // Before there is a request token that could get lost.
        let output = self.output.take().map(Output::create).transpose()?;
        let opened = self.open(secret, common).await?;
        for warning in items(&opened["warnings"]) {
            let warning = warning.as_str().unwrap_or_default();
            printer.say(&format!("warning: {warning}"));
        }
        let lines = |opened: &Value| {
            vec![
                format!("RUNMINT_REQUEST_URL={}", cell(opened, "request_url")),
                format!("RUNMINT_REQUEST_TOKEN={}", cell(opened, "request_token")),
            ]
        };
        if let Some(output) = output {
            return output.keep(&printer.rendered(&opened, lines));
        }
        printer.data(&opened, lines);
        Ok(())
    }

    async fn open(self, secret: SecretText, common: &Common) -> Result<Value, CliError> {
        let Self {
            url,
            ca: ca_file,
            client_secret_file: _,
            organization,
            project,
            workspace,
            run_phase,
            run_id,
            audiences,
            expires_in,
            output: _,
        } = self;
        let base = match url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => common.settings()?.issuer.url,
        };
        let mut body = json!({ "organization": organization, "audiences": audiences });
        let optional = [
            ("project", project.map(Value::from)),
            ("workspace", workspace.map(Value::from)),
            ("run_phase", run_phase.map(Value::from)),
            ("run_id", run_id.map(Value::from)),
            ("expires_in", expires_in.map(Value::from)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        let url = format!("{base}/v1/runs");
        let parsed = Url::parse(&url)
            .map_err(|error| CliError::Usage(format!("`--url` is no URL: {error}")))?;
        let roots = ca(ca_file.as_deref(), "--ca").map_err(CliError::Public)?;
        // As the environment says: the server may be behind a proxy. Not so on this machine.
        let client = http::client(&parsed, TIMEOUT, Policy::none(), roots);
        let client = client.map_err(OperatorError::Client)?;
        let request = client.post(&url).bearer_auth(secret.expose()).json(&body);
        send(request, &url).await.map_err(CliError::Public)
    }
}

/// What the client shows: of the environment, or what stands in a file.
///
/// # Errors
/// There is neither, or both, or it cannot be one.
fn client_secret(set: Option<SecretText>, file: Option<&Path>) -> Result<SecretText, CliError> {
    let (secret, source) = match (set, file) {
        (Some(secret), None) => (secret, format!("`{CLIENT_SECRET}`")),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| CliError::Public(unusable(CLIENT_SECRET_FILE, path, &error)))?;
            let source = format!("`{CLIENT_SECRET_FILE}`: {}", path.display());
            (SecretText::new(text), source)
        }
        (None, None) => {
            return Err(CliError::Usage(format!(
                "there is no client secret: set `{CLIENT_SECRET}`, or name the file that holds it by \
                 `{CLIENT_SECRET_FILE}`"
            )));
        }
        (Some(_), Some(_)) => {
            return Err(CliError::Usage(format!(
                "there are two client secrets: `{CLIENT_SECRET}` is set, and `{CLIENT_SECRET_FILE}` \
                 is given; keep one of them"
            )));
        }
    };
    let text = secret.expose().trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::Usage(format!(
            "{source} holds no client secret or token, which is one line without spaces"
        )));
    }
    Ok(SecretText::new(text))
}

/// A file that takes the answer, so that no log does. It is there once it is whole.
struct Output {
    path: PathBuf,
    file: NamedTempFile,
}

impl Output {
    /// # Errors
    /// The file cannot be written, or what has its name is none (`/dev/stdout`, a link) and would be
    /// replaced by one.
    fn create(path: PathBuf) -> Result<Self, CliError> {
        if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            let what = &"it is there, and is no regular file";
            return Err(CliError::Public(unusable(OUTPUT, &path, what)));
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| CliError::Public(unusable(OUTPUT, &path, &error)))?;
        Ok(Self { path, file })
    }

    fn keep(self, text: &str) -> Result<(), CliError> {
        let Self { path, mut file } = self;
        let written = file.write_all(text.as_bytes());
        written
            .and_then(|()| Ok(file.persist(&path)?))
            .map(drop)
            .map_err(|error| CliError::Public(unusable(OUTPUT, &path, &error)))
    }
}
