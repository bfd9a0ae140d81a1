//! `runmint trust hcp`

use clap::ValueEnum;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use crate::trust::Form;
use crate::trust::hcp::{Options, generate};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// What is written.
    #[arg(long, value_enum, value_name = "FORM", default_value = "terraform")]
    form: FormArg,
    /// The service principal's name; with `--split-phases` the beginning of two names, `NAME-plan` and
    /// `NAME-apply`.
    #[arg(long, value_name = "NAME", default_value = "runmint")]
    service_principal: String,
    /// The workload identity provider's name.
    #[arg(long, value_name = "NAME", default_value = "runmint")]
    provider: String,
    /// A role in the project, such as `roles/viewer`; for applies with `--split-phases`. None when left
    /// out.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A role for plans, with `--split-phases`.
    #[arg(long, value_name = "ROLE")]
    plan_role: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// Terraform, for the hcp provider.
    Terraform,
    /// The workload identity provider as the API takes it.
    Json,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let Args {
        scope,
        form,
        service_principal,
        provider,
        role,
        plan_role,
    } = args;
    let order = scope.order(common, "hcp.workload.identity")?;
    let options = Options {
        service_principal,
        provider,
        role,
        plan_role,
    };
    let bundle = generate(&order, &options)?;
    let form = match form {
        FormArg::Terraform => Form::Terraform,
        FormArg::Json => Form::Json,
    };
    scope.deliver(&bundle, form, printer)
}
