//! `runmint doctor policy`

use std::path::PathBuf;

use super::super::CliError;
use super::input::{claims, read};
use crate::doctor::{Report, policy};
use crate::policy::{Document, Policy, Presented};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// The token, or its claims as JSON; `-` for stdin.
    #[arg(long, value_name = "FILE")]
    token: PathBuf,
    /// The policy, as JSON or YAML: what the relying party's own tool prints will do. Several times where
    /// it takes several documents, such as a role's trust policy and the provider.
    #[arg(long, value_name = "FILE", required = true)]
    policy: Vec<PathBuf>,
    /// For EKS: the AWS role that the token became.
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Report, CliError> {
    let presented = Presented {
        claims: claims("--token", &args.token)?,
        role_arn: args.role_arn.clone(),
    };
    let mut documents = Vec::new();
    for path in &args.policy {
        let name = path.display().to_string();
        let read = Document::all(&name, &read("--policy", path)?);
        documents.extend(read.map_err(|error| CliError::Usage(format!("`--policy`: {error}")))?);
    }
    let policy = Policy::read(&documents);
    let policy = policy.map_err(|error| CliError::Usage(format!("`--policy`: {error}")))?;
    Ok(policy::report(&policy, &presented))
}
