//! `runmint trust aws`

use clap::ValueEnum;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use crate::trust::Form;
use crate::trust::aws::{Options, Partition, generate};

/// Whom tokens for AWS are for, as HCP Terraform has it.
const AUDIENCE: &str = "aws.workload.identity";

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// What is printed.
    #[arg(long, value_enum, default_value = "terraform")]
    form: FormArg,
    /// The account: 12 digits.
    #[arg(long, value_name = "ID")]
    account_id: String,
    /// The partition of the account.
    #[arg(long, value_enum, default_value = "aws")]
    partition: PartitionArg,
    /// The role's name; made of the workspace's when left out. With --split-phases `-plan` and `-apply`
    /// are added.
    #[arg(long, value_name = "NAME")]
    role_name: Option<String>,
    /// A managed policy with what the role may do; may be given several times.
    #[arg(long, value_name = "ARN")]
    policy_arn: Vec<String>,
    /// The same for the plan's role, with --split-phases.
    #[arg(long, value_name = "ARN")]
    plan_policy_arn: Vec<String>,
    /// The same for the apply's role, with --split-phases.
    #[arg(long, value_name = "ARN")]
    apply_policy_arn: Vec<String>,
    /// The role's longest session, 900 to 43200.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    max_session_duration: u32,
    /// The tokens carry AWS session tags.
    #[arg(long)]
    session_tags: bool,
    /// The SHA-1 fingerprint of the CA of the issuer's server; needed for a private CA only.
    #[arg(long, value_name = "HEX")]
    thumbprint: Option<String>,
    /// The account has a provider for this issuer already: write the role only.
    #[arg(long)]
    existing_provider: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormArg {
    /// Terraform.
    Terraform,
    /// A `CloudFormation` template.
    Cloudformation,
    /// Commands of the AWS CLI.
    Cli,
    /// The trust policy and the provider, as the API takes them.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PartitionArg {
    /// All regions but these.
    Aws,
    /// China.
    AwsCn,
    /// AWS `GovCloud` (US).
    AwsUsGov,
}

pub(super) fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
    let order = args.scope.order(common, AUDIENCE)?;
    let Args {
        scope,
        form,
        account_id,
        partition,
        role_name,
        policy_arn,
        plan_policy_arn,
        apply_policy_arn,
        max_session_duration,
        session_tags,
        thumbprint,
        existing_provider,
    } = args;
    let options = Options {
        account_id,
        partition: partition.into(),
        role_name,
        policy_arns: policy_arn,
        plan_policy_arns: plan_policy_arn,
        apply_policy_arns: apply_policy_arn,
        max_session_duration,
        session_tags,
        thumbprint,
        existing_provider,
    };
    let bundle = generate(&order, &options)?;
    scope.deliver(&bundle, form.into(), printer)
}

impl From<FormArg> for Form {
    fn from(form: FormArg) -> Self {
        match form {
            FormArg::Terraform => Self::Terraform,
            FormArg::Cloudformation => Self::CloudFormation,
            FormArg::Cli => Self::Shell,
            FormArg::Json => Self::Json,
        }
    }
}

impl From<PartitionArg> for Partition {
    fn from(partition: PartitionArg) -> Self {
        match partition {
            PartitionArg::Aws => Self::Aws,
            PartitionArg::AwsCn => Self::AwsCn,
            PartitionArg::AwsUsGov => Self::AwsUsGov,
        }
    }
}
