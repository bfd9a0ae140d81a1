//! `runmint doctor policy`

use std::path::PathBuf;

use super::super::CliError;
use super::input::{claims, name_of, read};
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
    Ok(policy::report(&policy_in(&args.policy)?, &presented))
}

/// The policy in the files of `--policy`.
///
/// # Errors
/// Names the file, and the place in it.
pub(in crate::cli) fn policy_in(paths: &[PathBuf]) -> Result<Policy, CliError> {
    let usage = |error: &dyn std::fmt::Display| CliError::Usage(format!("`--policy`: {error}"));
    let mut documents = Vec::new();
    for path in paths {
        let read = Document::all(&name_of(path), &read("--policy", path)?);
        documents.extend(read.map_err(|error| usage(&error))?);
    }
    Policy::read(&documents).map_err(|error| usage(&error))
}
