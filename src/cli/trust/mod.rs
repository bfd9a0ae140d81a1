//! `runmint trust`: what to paste at a relying party so that it lets runs in.

mod aws;
mod azure;
mod eks;
mod gcp;
mod hcp;
mod kubernetes;
mod vault;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::output::Printer;
use super::{CliError, Common};
use crate::domain::InvalidField;
use crate::domain::claims::Audience;
use crate::domain::issuer::Issuer;
use crate::domain::name::{Name, ProjectName};
use crate::domain::phase::Phase;
use crate::trust::{Bundle, Form, Order, Part, Phases, Scope, TrustError};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// An IAM OIDC provider and a role.
    Aws(aws::Args),
    /// Federated identity credentials of an application or a managed identity.
    Azure(azure::Args),
    /// An EKS cluster: its OIDC identity provider and RBAC, or access for an AWS role.
    Eks(eks::Args),
    /// A workload identity pool, its provider and bindings.
    Gcp(gcp::Args),
    /// An HCP service principal's workload identity provider.
    Hcp(hcp::Args),
    /// An API server's authentication configuration and RBAC.
    Kubernetes(kubernetes::Args),
    /// A JWT auth method, its role and policy.
    Vault(vault::Args),
}

/// Who is to be let in, and how it is written.
#[derive(Args, Debug)]
pub(in crate::cli) struct ScopeArgs {
    /// The issuer; `issuer.url` of the settings when left out.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The organization, or `*`.
    #[arg(long, value_name = "NAME")]
    organization: String,
    /// The project, or `*`.
    #[arg(long, value_name = "NAME")]
    project: String,
    /// The workspace, or `*`; may be given several times.
    #[arg(long, value_name = "NAME", required = true)]
    workspace: Vec<String>,
    /// Only this phase; both when left out.
    #[arg(long, value_enum, value_name = "PHASE")]
    phase: Option<PhaseArg>,
    /// Plan and apply each get something of their own, so that a plan cannot change anything.
    #[arg(long, conflicts_with = "phase")]
    split_phases: bool,
    /// Whom the tokens are for; the relying party's usual one when left out.
    #[arg(long, value_name = "AUDIENCE")]
    audience: Option<String>,
    /// Write each document to a file in this folder instead of to stdout.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PhaseArg {
    Plan,
    Apply,
}

impl From<TrustError> for CliError {
    fn from(error: TrustError) -> Self {
        Self::Usage(error.to_string())
    }
}

pub(super) async fn run(
    command: Command,
    common: &Common,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::Aws(args) => aws::run(args, common, printer).await,
        Command::Azure(args) => azure::run(args, common, printer),
        Command::Eks(args) => eks::run(args, common, printer),
        Command::Gcp(args) => gcp::run(args, common, printer),
        Command::Hcp(args) => hcp::run(args, common, printer),
        Command::Kubernetes(args) => kubernetes::run(args, common, printer),
        Command::Vault(args) => vault::run(args, common, printer),
    }
}

impl ScopeArgs {
    /// What is asked for; `audience` is the relying party's usual one.
    fn order(&self, common: &Common, audience: &str) -> Result<Order, CliError> {
        let issuer = match &self.issuer {
            Some(url) => url.clone(),
            None => common.settings()?.issuer.url,
        };
        let issuer = Issuer::parse(&issuer).map_err(|e| option("--issuer", &e))?;
        let phases = match self.phase {
            Some(PhaseArg::Plan) => Phases::Only(Phase::Plan),
            Some(PhaseArg::Apply) => Phases::Only(Phase::Apply),
            None if self.split_phases => Phases::Apart,
            None => Phases::Both,
        };
        if self.workspace.len() > 1 && self.workspace.iter().any(|name| name == "*") {
            let rule = "`--workspace` is `*` and a name; `*` alone admits all of them".to_owned();
            return Err(CliError::Usage(rule));
        }
        let workspaces = self.workspace.iter();
        let scope = Scope {
            organization: part("--organization", &self.organization, Name::parse)?,
            project: part("--project", &self.project, ProjectName::parse)?,
            workspaces: workspaces
                .map(|name| part("--workspace", name, Name::parse))
                .collect::<Result<_, _>>()?,
            phases,
        };
        let audience = self.audience.as_deref().unwrap_or(audience);
        let audience =
            Audience::parse("--audience", audience).map_err(|e| option("--audience", &e))?;
        Ok(Order {
            issuer,
            scope,
            audience,
        })
    }

    /// Prints the documents of one form, or writes them to files.
    fn deliver(&self, bundle: &Bundle, form: Form, printer: &Printer) -> Result<(), CliError> {
        let documents = bundle
            .documents
            .iter()
            .filter(|document| document.form == form);
        let documents: Vec<_> = documents.collect();
        if let Some(dir) = &self.dir {
            std::fs::create_dir_all(dir)?;
            for document in &documents {
                std::fs::write(dir.join(&document.name), &document.text)?;
            }
        }
        let value = json!({
            "documents": documents
                .iter()
                .map(|document| json!({
                    "name": document.name, "about": document.about, "text": document.text,
                }))
                .collect::<Vec<_>>(),
            "warnings": bundle.warnings,
        });
        printer.data(&value, |_| {
            if let Some(dir) = &self.dir {
                let path = |name: &String| dir.join(name).display().to_string();
                return documents
                    .iter()
                    .map(|document| path(&document.name))
                    .collect();
            }
            let mut lines = Vec::new();
            for document in &documents {
                // JSON has no comments; whoever reads several documents sees where one ends.
                if documents.len() > 1 && form != Form::Json {
                    lines.push(format!("# {}: {}", document.name, document.about));
                }
                lines.extend(document.text.lines().map(str::to_owned));
            }
            lines
        });
        if form == Form::Json && self.dir.is_none() {
            for document in &documents {
                printer.say(&format!("{}: {}", document.name, document.about));
            }
        }
        for warning in &bundle.warnings {
            printer.say(&format!("warning: {warning}"));
        }
        Ok(())
    }
}

fn part<T>(
    name: &str,
    value: &str,
    parse: fn(&str, &str) -> Result<T, InvalidField>,
) -> Result<Part<T>, CliError> {
    if value == "*" {
        return Ok(Part::Any);
    }
    let part = parse(name, value).map_err(|error| {
        if value.contains('*') {
            let rule = format!("is {value:?}; give one name, or `*` alone for all of them");
            InvalidField::new(name, rule)
        } else {
            error
        }
    });
    part.map(Part::Exactly)
        .map_err(|error| option(name, &error))
}

fn option(name: &str, error: &InvalidField) -> CliError {
    CliError::Usage(format!("`{name}` {}", error.rule))
}
