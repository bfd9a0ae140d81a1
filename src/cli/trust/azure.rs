//! `runmint trust azure`

use clap::ValueEnum;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use crate::trust::Form;
use crate::trust::azure::{Cloud, Options, Owner, generate};

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// What is written.
    #[arg(long, value_enum, value_name = "FORM", default_value = "terraform")]
    form: FormArg,
    /// The application (client) id of an application that is there already.
    #[arg(long, value_name = "ID", conflicts_with_all = ["application_name", "identity_name"])]
    application_id: Option<String>,
    /// What an application that is made is called.
    #[arg(long, value_name = "NAME", default_value = "runmint")]
    application_name: String,
    /// A managed identity that is there already; with `--split-phases` the beginning of two names,
    /// `NAME-plan` and `NAME-apply`.
    #[arg(long, value_name = "NAME", requires = "resource_group")]
    identity_name: Option<String>,
    /// The resource group of the managed identity.
    #[arg(long, value_name = "NAME", requires = "identity_name")]
    resource_group: Option<String>,
    /// Which of Azure's clouds.
    #[arg(long, value_enum, value_name = "CLOUD", default_value = "global")]
    cloud: CloudArg,
    /// What the names of the credentials begin with.
    #[arg(long, value_name = "TEXT", default_value = "runmint")]
    prefix: String,
    /// A role for the runs, such as `Reader`; for applies with `--split-phases`. None when left out.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A role for plans, with `--split-phases`.
    #[arg(long, value_name = "ROLE")]
    plan_role: Option<String>,
    /// Where the role is given: the id of a subscription, a resource group or a resource.
    #[arg(long, value_name = "ID")]
    scope_id: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// Terraform, for the azuread and azurerm providers.
    Terraform,
    /// `az` commands.
    Az,
    /// A parameter file for each credential.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CloudArg {
    /// The public one.
    Global,
    /// US Government.
    Usgov,
    /// China.
    China,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let Args {
        scope,
        form,
        application_id,
        application_name,
        identity_name,
        resource_group,
        cloud,
        prefix,
        role,
        plan_role,
        scope_id,
    } = args;
    let cloud = match cloud {
        CloudArg::Global => Cloud::Global,
        CloudArg::Usgov => Cloud::UsGov,
        CloudArg::China => Cloud::China,
    };
    let owner = match (application_id, identity_name.zip(resource_group)) {
        (_, Some((name, resource_group))) => Owner::Identity {
            name,
            resource_group,
        },
        (Some(id), None) => Owner::Application(id),
        (None, None) => Owner::NewApplication(application_name),
    };
    let order = scope.order(common, cloud.audience())?;
    let options = Options {
        owner,
        cloud,
        prefix,
        role,
        plan_role,
        role_scope: scope_id,
    };
    let bundle = generate(&order, &options)?;
    let form = match form {
        FormArg::Terraform => Form::Terraform,
        FormArg::Az => Form::Shell,
        FormArg::Json => Form::Json,
    };
    scope.deliver(&bundle, form, printer)
}
