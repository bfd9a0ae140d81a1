//! `runmint trust aws`

use std::time::Duration;

use clap::ValueEnum;
use url::Url;

use super::super::output::Printer;
use super::super::{CliError, Common};
use super::ScopeArgs;
use crate::doctor::issuer::fetch_chain;
use crate::domain::issuer::Issuer;
use crate::trust::Form;
use crate::trust::aws::{Options, Partition, generate};

/// Whom tokens for AWS are for, as HCP Terraform has it.
const AUDIENCE: &str = "aws.workload.identity";

/// Where this issuer's keys are.
const JWKS: &str = "/.well-known/jwks";

/// For the connection and the handshake.
const TIMEOUT: Duration = Duration::from_secs(30);

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
    /// Connect to the issuer, and take the fingerprint of the last certificate that it sends.
    #[arg(long, conflicts_with = "thumbprint")]
    fetch_thumbprint: bool,
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

pub(super) async fn run(args: Args, common: &Common, printer: &Printer) -> Result<(), CliError> {
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
        fetch_thumbprint,
        existing_provider,
    } = args;
    let thumbprint = if fetch_thumbprint {
        Some(fetched(&order.issuer, printer).await?)
    } else {
        thumbprint
    };
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

/// The fingerprint as AWS takes it: of the server that publishes the keys.
async fn fetched(issuer: &Issuer, printer: &Printer) -> Result<String, CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::Io(std::io::Error::other(format!(
            "`--fetch-thumbprint`: {error}"
        )))
    };
    let url = Url::parse(&issuer.url_of(JWKS)).map_err(|error| failed(&error))?;
    let chain = fetch_chain(&url, TIMEOUT)
        .await
        .map_err(|error| failed(&error))?;
    let thumbprint = chain.thumbprint();
    printer.say(&format!(
        "the last certificate of {issuer} has the thumbprint {thumbprint}"
    ));
    Ok(thumbprint)
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
