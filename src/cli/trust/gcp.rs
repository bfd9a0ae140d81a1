//! `runmint trust gcp`

use std::path::PathBuf;

use clap::ValueEnum;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use crate::trust::{Form, gcp};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// The project's number, by which IAM names principals.
    #[arg(long, value_name = "NUMBER")]
    project_number: String,
    /// The project's id.
    #[arg(long, value_name = "ID")]
    project_id: String,
    /// The pool's id; a pool is for one provider.
    #[arg(long, value_name = "ID", default_value = "runmint")]
    pool: String,
    /// The provider's id.
    #[arg(long, value_name = "ID", default_value = "runmint")]
    provider: String,
    /// The service account that runs act as; with --split-phases the plan's, then the apply's.
    #[arg(long, value_name = "EMAIL", required = true)]
    service_account: Vec<String>,
    /// What the service account may do in the project; with --split-phases the apply's. Several times.
    #[arg(long, value_name = "ROLE")]
    role: Vec<String>,
    /// With --split-phases: what the plan's service account may do. Several times.
    #[arg(long, value_name = "ROLE", requires = "split_phases")]
    plan_role: Vec<String>,
    /// The issuer's JWKS, to be uploaded where IAM cannot fetch it.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// What to write.
    #[arg(long, value_enum, default_value = "terraform")]
    form: FormArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// Commands of gcloud.
    Cli,
    /// The provider and the bindings, as IAM's API takes them.
    Json,
    /// Terraform.
    Terraform,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let form = match args.form {
        FormArg::Cli => Form::Shell,
        FormArg::Json => Form::Json,
        FormArg::Terraform => Form::Terraform,
    };
    let jwks = match &args.jwks {
        None => None,
        Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
            CliError::Usage(format!(
                "`--jwks` {} cannot be read: {error}",
                path.display()
            ))
        })?),
    };
    let options = gcp::Options {
        project_number: args.project_number,
        project_id: args.project_id,
        pool: args.pool,
        provider: args.provider,
        service_accounts: args.service_account,
        roles: args.role,
        plan_roles: args.plan_role,
        jwks,
    };
    let order = args.scope.order(common, &options.audience()?)?;
    let bundle = gcp::generate(&order, &options)?;
    args.scope.deliver(&bundle, form, printer)
}
