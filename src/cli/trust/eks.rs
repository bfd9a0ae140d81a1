//! `runmint trust eks`

use clap::ValueEnum;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use super::kubernetes::{AUDIENCE, RbacArgs};
use crate::trust::Form;
use crate::trust::eks::{Options, Via, generate};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// The cluster.
    #[arg(long, value_name = "NAME")]
    cluster: String,
    #[command(flatten)]
    rbac: RbacArgs,
    /// Let in the AWS role that runs become, by its ARN, instead of the tokens themselves.
    #[arg(long, value_name = "ARN")]
    via_role: Option<String>,
    /// With `--via-role` and `--split-phases`, the role that plans become.
    #[arg(long, value_name = "ARN", requires = "via_role")]
    via_plan_role: Option<String>,
    /// What it is written in.
    #[arg(long, value_enum, value_name = "FORM", default_value = "terraform")]
    form: FormArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// For the providers `aws` and `kubernetes`.
    Terraform,
    /// Commands of the AWS CLI and kubectl.
    Cli,
    /// What these commands take as files.
    Json,
    /// The bindings; with `--via-role` the mappings of aws-auth as well.
    Yaml,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let Args {
        scope,
        cluster,
        rbac,
        via_role,
        via_plan_role,
        form,
    } = args;
    let order = scope.order(common, AUDIENCE)?;
    let options = Options {
        cluster,
        rbac: rbac.options(),
        via: via_role.map(|role| Via {
            role,
            plan_role: via_plan_role,
        }),
    };
    let bundle = generate(&order, &options)?;
    let form = match form {
        FormArg::Terraform => Form::Terraform,
        FormArg::Cli => Form::Shell,
        FormArg::Json => Form::Json,
        FormArg::Yaml => Form::Yaml,
    };
    scope.deliver(&bundle, form, printer)
}
