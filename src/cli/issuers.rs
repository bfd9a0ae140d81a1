//! `runmint issuers …`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::CliError;
use super::operator::Operator;
use super::output::{Printer, card, cell, items, table, time};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Trust an issuer, as a file says.
    Add {
        /// What operators and the audit log call it.
        name: String,
        #[command(flatten)]
        definition: Definition,
    },
    /// List all trusted issuers.
    List,
    /// Show one trusted issuer and its rules.
    Show {
        /// Its name.
        name: String,
    },
    /// Replace what an issuer is trusted with.
    Update {
        /// Its name.
        name: String,
        #[command(flatten)]
        definition: Definition,
    },
    /// Trust an issuer no more, at once.
    Remove {
        /// Its name.
        name: String,
    },
    /// Show what a token would be mapped to, and why a rule denies it; exit status 0 or 1.
    Test {
        /// A file with the token, `-` for standard input. It is verified and not taken.
        #[arg(long, value_name = "FILE")]
        token: PathBuf,
        /// A definition to hold it against, instead of the issuers that are trusted.
        #[arg(long, value_name = "FILE")]
        definition: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(super) struct Definition {
    /// What is trusted and what it is mapped to, in JSON; `-` for standard input.
    #[arg(long = "definition", value_name = "FILE")]
    file: PathBuf,
    /// The issuer's key set, where it cannot be reached.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Certificates in PEM that the issuer's TLS certificate is checked against.
    #[arg(long, value_name = "FILE")]
    ca_certificates: Option<PathBuf>,
}

pub(super) async fn run(
    command: Command,
    operator: Operator,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::Add { name, definition } => {
            let body = json!({"name": name, "definition": definition.read()?});
            let added = operator
                .send(Method::POST, "/v1/issuers", Some(&body))
                .await?;
            show(&added, printer);
        }
        Command::List => {
            let issuers = operator.get("/v1/issuers", &[]).await?;
            printer.data(&issuers, |issuers| {
                let rows: Vec<_> = items(issuers)
                    .iter()
                    .map(|issuer| {
                        let definition = &issuer["definition"];
                        vec![
                            cell(issuer, "name"),
                            cell(definition, "issuer"),
                            items(&definition["rules"]).len().to_string(),
                            time(issuer, "created_at"),
                        ]
                    })
                    .collect();
                table(&["name", "issuer", "rules", "created"], &rows)
            });
        }
        Command::Show { name } => show(&operator.get(&path(&name)?, &[]).await?, printer),
        Command::Update { name, definition } => {
            let body = definition.read()?;
            let updated = operator
                .send(Method::PUT, &path(&name)?, Some(&body))
                .await?;
            show(&updated, printer);
        }
        Command::Remove { name } => {
            operator.send(Method::DELETE, &path(&name)?, None).await?;
            printer.say(&format!("{name} is trusted no more"));
        }
        Command::Test { token, definition } => {
            let token = read("--token", &token)?;
            let definition = definition
                .as_deref()
                .map(|file| json_of("--definition", file));
            let body = json!({"token": token.trim(), "definition": definition.transpose()?});
            let tested = operator
                .send(Method::POST, "/v1/issuers/test", Some(&body))
                .await?;
            printer.data(&tested, test_lines);
            if tested["accepted"] != true {
                return Err(CliError::No("the token is not accepted".to_owned()));
            }
        }
    }
    Ok(())
}

fn show(issuer: &Value, printer: &Printer) {
    printer.data(issuer, |issuer| {
        let definition = &issuer["definition"];
        let keys = match (&definition["jwks"], &definition["discovery_url"]) {
            (Value::Null, Value::Null) => "by discovery".to_owned(),
            (Value::Null, url) => format!("by discovery at {}", url.as_str().unwrap_or_default()),
            (jwks, _) => format!("{} uploaded", items(&jwks["keys"]).len()),
        };
        let mut lines = card(&[
            ("name", cell(issuer, "name")),
            ("issuer", cell(definition, "issuer")),
            ("audiences", cell(definition, "audiences")),
            ("algorithms", cell(definition, "algorithms")),
            ("keys", keys),
            ("private network", cell(definition, "private_network")),
            ("created", time(issuer, "created_at")),
        ]);
        for rule in items(&definition["rules"]) {
            lines.push(String::new());
            lines.push(format!("rule {}", cell(rule, "name")));
            for condition in items(&rule["conditions"]) {
                lines.push(format!("  if {}", cell(condition, "expression")));
            }
            if let Some(client) = rule["client"].as_str() {
                lines.push(format!("  client = {client}"));
            }
            for (name, expression) in rule["workload"].as_object().into_iter().flatten() {
                lines.push(format!(
                    "  {name} = {}",
                    expression.as_str().unwrap_or_default()
                ));
            }
            for grant in items(&rule["grants"]) {
                lines.push(format!("  may ask for {grant}"));
            }
        }
        lines
    });
}

fn test_lines(tested: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for check in items(&tested["checks"]) {
        lines.push(match check["failure"].as_str() {
            None => format!("ok      {}", cell(check, "name")),
            Some(failure) => format!("failed  {}: {failure}", cell(check, "name")),
        });
    }
    for rule in items(&tested["rules"]) {
        lines.push(String::new());
        lines.push(format!("rule {}", cell(rule, "name")));
        for condition in items(&rule["conditions"]) {
            let holds = match &condition["holds"] {
                Value::Bool(true) => "true  ".to_owned(),
                Value::Bool(false) => "false ".to_owned(),
                _ => format!("error ({}) ", cell(condition, "error")),
            };
            lines.push(format!("  {holds}  {}", cell(condition, "expression")));
        }
        lines.push(match rule["denial"].as_str() {
            Some(denial) => format!("  denied: {denial}"),
            None => "  fits".to_owned(),
        });
    }
    if tested["accepted"] == true {
        lines.push(String::new());
        lines.extend(card(&[
            ("issuer", cell(tested, "issuer")),
            ("rule", cell(tested, "rule")),
            ("client", cell(tested, "client")),
            ("subject", cell(tested, "subject")),
            ("run id", cell(tested, "run_id")),
        ]));
        for grant in items(&tested["grants"]) {
            lines.push(format!("may ask for {grant}"));
        }
    }
    lines
}

impl Definition {
    fn read(&self) -> Result<Value, CliError> {
        let mut definition = json_of("--definition", &self.file)?;
        if let Some(file) = &self.jwks {
            definition["jwks"] = json_of("--jwks", file)?;
        }
        if let Some(file) = &self.ca_certificates {
            definition["ca_certificates"] = json!(read("--ca-certificates", file)?);
        }
        Ok(definition)
    }
}

fn json_of(argument: &str, file: &Path) -> Result<Value, CliError> {
    let value: Value = serde_json::from_str(&read(argument, file)?)
        .map_err(|error| CliError::Usage(format!("`{argument}` is not JSON: {error}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(CliError::Usage(format!("`{argument}` is no JSON object")))
    }
}

fn read(argument: &str, file: &Path) -> Result<String, CliError> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| CliError::Usage(format!("`{argument}`: {}: {error}", file.display())))
}

/// The issuer's URL; what is no name cannot change which one it is.
fn path(name: &str) -> Result<String, CliError> {
    crate::domain::name::Name::parse("name", name)
        .map(|name| format!("/v1/issuers/{name}"))
        .map_err(|error| CliError::Usage(error.to_string()))
}
