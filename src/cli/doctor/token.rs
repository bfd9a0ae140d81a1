//! `runmint doctor token`

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::operator::unusable;
use super::super::{CliError, Common};
use super::issuer::NetworkArgs;
use crate::clock::Clock;
use crate::doctor::Report;
use crate::doctor::token::{FileSeen, Keys, Seen, Token, Versions, extract, judge};
use crate::runner::RunnerError;
use crate::runner::reader::Reader;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// The file that the token is in; `-` for stdin.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check that this user can read the file: `UID`, `UID:GID,GID` or names. In a pod, `fsGroup` is
    /// one of the groups.
    #[arg(long, value_name = "USER[:GROUPS]")]
    reader: Option<String>,
    /// The issuer that the token should name; its keys are asked for there. That of the token when left
    /// out.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// Take the published keys from this file instead of asking the issuer.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
}

pub(super) async fn run(args: Args, common: &Common) -> Result<Report, CliError> {
    let file = args.read()?;
    let token = file.content.as_ref().and_then(|content| extract(content).1);
    let keys = args.keys(token.as_ref()).await?;
    let versions = match &token {
        Some(_) => {
            let asked = tokio::time::timeout(args.network.timeout(), versions(common)).await;
            asked.unwrap_or_else(|_| {
                Versions::Unasked("the admin listener does not answer".to_owned())
            })
        }
        None => Versions::Unasked("there is no token to ask about".to_owned()),
    };
    let seen = Seen {
        file,
        issuer: args.issuer,
        keys,
        versions,
    };
    Ok(judge(&seen, Clock::System.now()))
}

impl Args {
    fn read(&self) -> Result<FileSeen, CliError> {
        let reader = self.reader.as_deref().map(Reader::parse).transpose();
        let reader = reader.map_err(RunnerError::from)?;
        if self.file != Path::new("-") {
            let seen = FileSeen::read(&self.file, reader.as_ref());
            return Ok(seen.map_err(RunnerError::from)?);
        }
        if reader.is_some() {
            let usage = "`--reader` is about a file, and `-` is none";
            return Err(CliError::Usage(usage.to_owned()));
        }
        let mut content = Vec::new();
        std::io::stdin().take(MAX_INPUT).read_to_end(&mut content)?;
        Ok(FileSeen::of_text(content))
    }

    async fn keys(&self, token: Option<&Token>) -> Result<Keys, CliError> {
        if let Some(path) = &self.jwks {
            let unusable =
                |error: &dyn std::fmt::Display| CliError::Public(unusable("--jwks", path, error));
            let text = std::fs::read(path).map_err(|error| unusable(&error))?;
            let document: Value =
                serde_json::from_slice(&text).map_err(|_| unusable(&"is no JSON"))?;
            if !document["keys"].is_array() {
                return Err(unusable(&"is no key set: it has no list `keys`"));
            }
            let from = path.display().to_string();
            return Ok(Keys::Set {
                from,
                issuer: None,
                document,
            });
        }
        let issuer = self
            .issuer
            .as_deref()
            .or(token.and_then(|token| token.text("iss")));
        let Some(issuer) = issuer.filter(|_| token.is_some()) else {
            return Ok(Keys::Unseen(
                "the token names no issuer that could be asked".to_owned(),
            ));
        };
        let options = self.network.options()?;
        Ok(Keys::of_issuer(issuer, &options, &|| Clock::System.now()).await?)
    }
}

/// More than any token has, in bytes.
const MAX_INPUT: u64 = 1 << 20;

/// Asks the admin listener, where that is possible without more than is there: it is a help, and no
/// part of what a relying party sees.
async fn versions(common: &Common) -> Versions {
    let operator = match common.operator() {
        Ok(operator) => operator,
        Err(error) => return Versions::Unasked(error.to_string()),
    };
    match operator.get("/v1/keys", &[]).await {
        Ok(keys) => Versions::Listed(keys),
        Err(error) => Versions::Unasked(error.to_string()),
    }
}
