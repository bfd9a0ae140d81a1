//! `runmint doctor environment`

mod look;
mod versions;

use std::path::PathBuf;

use super::super::CliError;
use super::input;
use crate::clock::Clock;
use crate::doctor::Report;
use crate::doctor::environment::{
    Machine, Pod, ServiceAccount, Surroundings, Variables, Version, find_product, judge, products,
};
use crate::policy::Document;
use crate::runner::RunnerError;
use crate::runner::reader::Reader;

#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Args {
    /// Look at pods instead of this machine: what `kubectl get pod NAME -o json` prints; `-` reads it
    /// from stdin.
    #[arg(long = "pod", value_name = "FILE")]
    pods: Vec<PathBuf>,
    /// The pods' service account: what `kubectl get sa NAME -o json --show-managed-fields` prints.
    #[arg(long = "service-account", value_name = "FILE", requires = "pods")]
    service_accounts: Vec<PathBuf>,
    /// Who is to read the token files: `UID`, `UID:GID,GID` or names; this user when left out.
    #[arg(long, value_name = "USER[:GROUPS]", conflicts_with = "pods")]
    reader: Option<String>,
    /// Where the code is: `.terraform.lock.hcl`, `node_modules` and lock files tell versions.
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "pods")]
    code: PathBuf,
    /// A version that is known, e.g. of a container's image: `boto3=1.9.0`.
    #[arg(long = "version-of", value_name = "NAME=VERSION")]
    versions: Vec<String>,
}

pub(super) fn run(args: &Args) -> Result<Report, CliError> {
    let mut versions = args
        .versions
        .iter()
        .map(|text| given(text))
        .collect::<Result<Vec<_>, _>>()?;
    let machine = if args.pods.is_empty() {
        let environment = super::super::environment();
        let reader = match &args.reader {
            Some(reader) => Reader::parse(reader),
            None => Reader::current(),
        };
        let reader = reader.map_err(RunnerError::from)?;
        versions.extend(versions::found(&environment, &args.code));
        let variables = Variables::of_process(environment);
        Some(Machine {
            files: look::files(&variables, &reader),
            variables,
            reader: reader.to_string(),
        })
    } else {
        None
    };
    let surroundings = Surroundings {
        machine,
        pods: all(&args.pods, "--pod", |document| {
            Pod::read(document).map_err(|error| error.to_string())
        })?,
        service_accounts: all(&args.service_accounts, "--service-account", |document| {
            ServiceAccount::read(document).map_err(|error| error.to_string())
        })?,
        versions,
    };
    Ok(judge(&surroundings, Clock::System.now()))
}

/// `NAME=VERSION`
fn given(text: &str) -> Result<Version, CliError> {
    let usage = |what: String| CliError::Usage(format!("`--version-of {text}`: {what}"));
    let (name, version) = text
        .split_once('=')
        .ok_or_else(|| usage("write it as `NAME=VERSION`".to_owned()))?;
    if !version
        .trim_start_matches('v')
        .starts_with(|c: char| c.is_ascii_digit())
    {
        return Err(usage("a version begins with a number".to_owned()));
    }
    let product = find_product(name, version).ok_or_else(|| {
        let known: Vec<_> = products().map(|product| product.name).collect();
        usage(format!(
            "no least version of it is known; there are {}",
            known.join(", ")
        ))
    })?;
    Ok(Version {
        product,
        text: version.to_owned(),
        place: String::new(),
    })
}

/// All that is in these files.
fn all<T>(
    paths: &[PathBuf],
    option: &str,
    read: impl Fn(&Document) -> Result<Vec<T>, String>,
) -> Result<Vec<T>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        let usage = |what: String| CliError::Usage(format!("`{option}`: {what}"));
        let (name, text) = (input::name_of(path), input::read(option, path)?);
        for document in Document::all(&name, &text).map_err(|error| usage(error.to_string()))? {
            found.extend(read(&document).map_err(usage)?);
        }
    }
    Ok(found)
}
