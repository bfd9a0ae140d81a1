//! `runmint token`: one token, in the words of whoever asked for it.

use std::path::{Path, PathBuf};

use super::CliError;
use super::operator::ca;
use super::output::{Format, Printer};
use super::run_side::{AskArgs, FileArgs};
use crate::runner::answer::Answer;
use crate::runner::cloud::session_name;
use crate::runner::reader::{Reader, check};
use crate::runner::sts::{AssumeRole, credential_process};
use crate::runner::token_file::{FileRules, write};
use crate::runner::{Environment, IdentityToken, RunnerError, SecretText};

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Whom the token is for, e.g. `aws.workload.identity`.
    #[arg(long)]
    audience: Option<String>,
    /// Write it to a file, whole or not at all, instead of to stdout.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    file: FileArgs,
    /// Check that this user can read the file: `UID`, `UID:GID,GID` or names. In a pod, `fsGroup` is
    /// one of the groups.
    #[arg(long, value_name = "USER[:GROUPS]", requires = "output")]
    reader: Option<String>,
    /// With `--format aws-process`: the role to assume.
    #[arg(long, value_name = "ARN", env = "AWS_ROLE_ARN")]
    role_arn: Option<String>,
    /// With `--format aws-process`: the name of the session; `terraform-run-…` when left out.
    #[arg(long, value_name = "NAME", env = "AWS_ROLE_SESSION_NAME")]
    session_name: Option<String>,
    /// With `--format aws-process`: how many seconds the credentials live.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(900..=43_200))]
    duration: Option<u32>,
    #[command(flatten)]
    ask: AskArgs,
}

const AWS_CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Google's libraries say whom the token is for by this variable, and where they would keep it.
const GCP_AUDIENCE: &str = "GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE";
const GCP_OUTPUT: &str = "GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE";

pub(super) async fn run(
    args: Args,
    format: Format,
    environment: &Environment,
) -> Result<(), CliError> {
    let rules = args.file.rules(None)?;
    let reader = args.reader.as_deref().map(Reader::parse).transpose();
    let reader = reader.map_err(RunnerError::from)?;
    let text = match answer(&args, format, environment).await {
        Ok(text) => text,
        Err(error) => {
            // The calling library reads the reason from there, if the exit status is 0.
            let told = format
                .answer()
                .and_then(|answer| answer.failure(&error.to_string()));
            let Some(told) = told else { return Err(error) };
            return Ok(Printer::plain(&told.to_string())?);
        }
    };
    if format == Format::GcpExecutable
        && let Some(file) = environment.find(GCP_OUTPUT)
    {
        write(file.as_ref(), text.expose(), FileRules::default()).map_err(RunnerError::from)?;
    }
    let Some(file) = &args.output else {
        return Ok(Printer::plain(text.expose())?);
    };
    write(file, text.expose(), rules).map_err(RunnerError::from)?;
    match reader.map(|reader| check(file, &reader)) {
        None | Some(Ok(())) => Ok(()),
        Some(Err(unreadable)) => Err(RunnerError::from(unreadable).into()),
    }
}

async fn answer(
    args: &Args,
    format: Format,
    environment: &Environment,
) -> Result<SecretText, CliError> {
    let of_google = (format == Format::GcpExecutable).then(|| environment.find(GCP_AUDIENCE));
    let audience = args
        .audience
        .as_deref()
        .or(of_google.flatten())
        .ok_or_else(|| {
            CliError::Usage(
                "`--audience` is missing: whom is the token for? e.g. `aws.workload.identity`"
                    .to_owned(),
            )
        })?;
    let client = args.ask.client(environment)?;
    let token = client.token(audience).await.map_err(RunnerError::from)?;
    let text = match format.answer() {
        Some(answer) => {
            let answer = answer.render(&token, environment);
            answer.map_err(RunnerError::from)?.to_string()
        }
        None if format == Format::AwsProcess => {
            aws_process(args, &token, environment).await?.to_string()
        }
        None => return Ok(token.text().clone()),
    };
    Ok(SecretText::new(text))
}

async fn aws_process(
    args: &Args,
    token: &IdentityToken,
    environment: &Environment,
) -> Result<serde_json::Value, CliError> {
    let role_arn = args.role_arn.clone().ok_or_else(|| {
        CliError::Usage("`--role-arn` is missing: which role does `aws-process` assume?".to_owned())
    })?;
    let claims = &token.claims;
    let run = claims.terraform_run_id.as_deref().or(claims.jti.as_deref());
    let role = AssumeRole {
        role_arn,
        session_name: args
            .session_name
            .clone()
            .unwrap_or_else(|| session_name(run.unwrap_or(&claims.sub))),
        duration: args.duration,
    };
    // STS has a certificate of its own: the system's CAs, or those that the AWS CLI and SDKs are told of.
    let roots = ca(
        environment.find(AWS_CA_BUNDLE).map(Path::new),
        AWS_CA_BUNDLE,
    );
    let roots = roots.map_err(CliError::Public)?;
    let credentials = credential_process(&role, token, environment, roots).await;
    Ok(credentials.map_err(RunnerError::from)?)
}

impl Format {
    fn answer(self) -> Option<Answer> {
        Some(match self {
            Self::ExecCredential => Answer::ExecCredential,
            Self::GcpExecutable => Answer::GcpExecutable,
            Self::Github => Answer::Github,
            Self::Json => Answer::Json,
            Self::AwsProcess | Self::Text => return None,
        })
    }
}
