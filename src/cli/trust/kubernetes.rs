//! `runmint trust kubernetes`

use clap::ValueEnum;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use crate::trust::Form;
use crate::trust::kubernetes::{Options, RoleKind, generate};

/// What its tokens are for, unless another audience is given.
pub(super) const AUDIENCE: &str = "kubernetes.workload.identity";

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    #[command(flatten)]
    rbac: RbacArgs,
    /// What it is written in; Terraform has the bindings only.
    #[arg(long, value_enum, value_name = "FORM", default_value = "yaml")]
    form: FormArg,
}

/// What runs may do in a cluster.
#[derive(clap::Args, Debug)]
pub(super) struct RbacArgs {
    /// The role that runs get; `view`, which looks only, when left out.
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// Whether that is a role of the cluster or of a namespace.
    #[arg(
        long,
        value_enum,
        value_name = "KIND",
        default_value = "cluster-role",
        requires = "role"
    )]
    role_kind: RoleKindArg,
    /// The namespace in which the role holds; all when left out.
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// With `--split-phases`, the role that plans get; `view` when left out.
    #[arg(long, value_name = "NAME")]
    plan_role: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleKindArg {
    ClusterRole,
    Role,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// The API server's configuration and the bindings.
    Yaml,
    /// The bindings.
    Terraform,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let Args { scope, rbac, form } = args;
    let order = scope.order(common, AUDIENCE)?;
    let bundle = generate(&order, &rbac.options())?;
    let form = match form {
        FormArg::Yaml => Form::Yaml,
        FormArg::Terraform => Form::Terraform,
    };
    scope.deliver(&bundle, form, printer)
}

impl RbacArgs {
    pub(super) fn options(self) -> Options {
        let Self {
            role,
            role_kind,
            namespace,
            plan_role,
        } = self;
        Options {
            role,
            role_kind: match role_kind {
                RoleKindArg::ClusterRole => RoleKind::ClusterRole,
                RoleKindArg::Role => RoleKind::Role,
            },
            namespace,
            plan_role,
        }
    }
}
