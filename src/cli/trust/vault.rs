//! `runmint trust vault`

use clap::ValueEnum;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use crate::trust::Form;
use crate::trust::vault::{Keys, Options, Tool, generate};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// What is written.
    #[arg(long, value_enum, value_name = "FORM", default_value = "terraform")]
    form: FormArg,
    /// The path at which the JWT auth method is mounted.
    #[arg(long, value_name = "PATH", default_value = "jwt")]
    mount: String,
    /// The role's name; with `--split-phases` the beginning of two names, `NAME-plan` and `NAME-apply`.
    #[arg(long, value_name = "NAME", default_value = "runmint")]
    role: String,
    /// A policy that is there already, for the runs; for applies with `--split-phases`. May be given
    /// several times.
    #[arg(long, value_name = "NAME")]
    policy: Vec<String>,
    /// The same for plans, with `--split-phases`.
    #[arg(long, value_name = "NAME")]
    plan_policy: Vec<String>,
    /// Fetch the key set by its URL, without discovery.
    #[arg(long)]
    jwks: bool,
    /// Write commands of `bao` instead of `vault`.
    #[arg(long)]
    openbao: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// Terraform, for the vault provider.
    Terraform,
    /// `vault` commands.
    Cli,
    /// What the API takes: configuration, role and policy.
    Json,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let Args {
        scope,
        form,
        mount,
        role,
        policy,
        plan_policy,
        jwks,
        openbao,
    } = args;
    let order = scope.order(common, "vault.workload.identity")?;
    let options = Options {
        mount,
        role,
        policies: policy,
        plan_policies: plan_policy,
        keys: if jwks { Keys::Jwks } else { Keys::Discovery },
        tool: if openbao { Tool::OpenBao } else { Tool::Vault },
    };
    let bundle = generate(&order, &options)?;
    let form = match form {
        FormArg::Terraform => Form::Terraform,
        FormArg::Cli => Form::Shell,
        FormArg::Json => Form::Json,
    };
    scope.deliver(&bundle, form, printer)
}
