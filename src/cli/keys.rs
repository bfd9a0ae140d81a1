//! `runmint keys …`

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::CliError;
use super::operator::Operator;
use super::output::{Printer, cell, duration, items, table, time};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List key versions, oldest first.
    List {
        /// Only those in the JWKS.
        #[arg(long)]
        published: bool,
    },
    /// Rotate the signing key as soon as that is safe, and say when that is.
    Rotate {
        /// The key has leaked: withdraw it at once, and report what it can still be used for.
        #[arg(long)]
        emergency: bool,
    },
    /// Let old versions leave the JWKS as soon as no living token needs them.
    Trim {
        /// At once, also those that living tokens need; says which tokens fail.
        #[arg(long)]
        force: bool,
    },
    /// Withdraw one version at once.
    Revoke {
        /// The version.
        version: i64,
    },
    /// Report what a version can still be used for, withdrawn or not.
    Exposure {
        /// The version.
        version: i64,
    },
    /// Seal all private keys under the current key-encryption key.
    Rewrap,
    /// Print the JWKS, to be uploaded where a relying party cannot fetch it.
    Export,
}

pub(super) async fn run(
    command: Command,
    operator: Operator,
    printer: &Printer,
) -> Result<(), CliError> {
    match command {
        Command::List { published } => {
            let mut keys = operator.get("/v1/keys", &[]).await?;
            if published && let Value::Array(keys) = &mut keys {
                keys.retain(|key| !matches!(key["state"].as_str(), Some("retired" | "revoked")));
            }
            printer.data(&keys, list);
        }
        Command::Rotate { emergency } => {
            let body = json!({ "emergency": emergency });
            let result = operator
                .send(Method::POST, "/v1/keys/rotate", Some(&body))
                .await?;
            printer.data(&result, rotated);
        }
        Command::Trim { force } => {
            let body = json!({ "force": force });
            let result = operator
                .send(Method::POST, "/v1/keys/trim", Some(&body))
                .await?;
            printer.data(&result, trimmed);
        }
        Command::Revoke { version } => {
            let path = format!("/v1/keys/{version}/revoke");
            let result = operator.send(Method::POST, &path, None).await?;
            printer.data(&result, exposure);
        }
        Command::Exposure { version } => {
            let path = format!("/v1/keys/{version}/exposure");
            let result = operator.get(&path, &[]).await?;
            printer.data(&result, exposure);
        }
        Command::Rewrap => {
            let result = operator.send(Method::POST, "/v1/keys/rewrap", None).await?;
            printer.data(&result, |result| {
                vec![format!(
                    "{} private keys were sealed anew; all are under the key-encryption key {} now",
                    cell(result, "rewrapped"),
                    cell(result, "sealing_key"),
                )]
            });
        }
        Command::Export => {
            let jwks = operator.get("/v1/keys/jwks", &[]).await?;
            printer.data(&jwks, |jwks| {
                vec![serde_json::to_string_pretty(jwks).unwrap_or_default()]
            });
        }
    }
    Ok(())
}

fn list(keys: &Value) -> Vec<String> {
    let rows: Vec<_> = items(keys)
        .iter()
        .map(|key| {
            let next = [
                ("ready_at", "may sign"),
                ("rotates_at", "rotates"),
                ("retires_at", "leaves"),
                ("retired_at", "left"),
                ("revoked_at", "withdrawn"),
            ];
            let next = next
                .iter()
                .find(|(member, _)| !key[*member].is_null())
                .map_or_else(
                    || "waits to be seen at the public URL".to_owned(),
                    |(member, word)| format!("{word} {}", time(key, member)),
                );
            vec![
                cell(key, "version"),
                cell(key, "state"),
                cell(key, "algorithm"),
                cell(key, "kid"),
                time(key, "created_at"),
                next,
            ]
        })
        .collect();
    table(
        &["version", "state", "algorithm", "kid", "created", "next"],
        &rows,
    )
}

fn rotated(result: &Value) -> Vec<String> {
    let version = cell(result, "version");
    match result["result"].as_str() {
        Some("rotated") => vec![format!("version {version} signs now")],
        Some("scheduled") if result["ready_at"].is_null() => vec![format!(
            "version {version} is published; it takes over by itself {} after it has been seen at \
             the public JWKS URL",
            duration(result, "after_seen"),
        )],
        Some("scheduled") => vec![format!(
            "version {version} is published and was seen; it takes over by itself at {}",
            time(result, "ready_at"),
        )],
        _ => exposure(result),
    }
}

fn exposure(result: &Value) -> Vec<String> {
    let mut lines = vec![format!("version {} signs now", cell(result, "active"))];
    lines.extend(items(&result["revoked"]).iter().flat_map(revoked));
    lines.push(String::new());
    lines.push("relying parties may trust what was withdrawn until they look again:".to_owned());
    for party in items(&result["relying_parties"]) {
        let until = match &party["trusts_until"] {
            Value::Null => String::new(),
            _ => format!("until {}; ", time(party, "trusts_until")),
        };
        lines.push(format!(
            "  {}: {until}{}",
            cell(party, "name"),
            cell(party, "action")
        ));
    }
    lines
}

fn revoked(key: &Value) -> Vec<String> {
    let tokens = items(&key["live_tokens"]);
    let mut lines = vec![format!(
        "version {} ({}) is {}; {}",
        cell(key, "version"),
        cell(key, "kid"),
        match key["state"].as_str() {
            Some("revoked") => "withdrawn",
            Some(state) => state,
            None => "gone",
        },
        if tokens.is_empty() {
            "no token of it is alive".to_owned()
        } else {
            "these tokens of it are alive:".to_owned()
        },
    )];
    if !tokens.is_empty() {
        let rows: Vec<_> = tokens
            .iter()
            .map(|token| {
                vec![
                    format!("  {}", cell(token, "run_id")),
                    cell(token, "subject"),
                    cell(token, "audience"),
                    cell(token, "tokens"),
                    time(token, "expires_at"),
                ]
            })
            .collect();
        lines.extend(table(
            &["  run id", "subject", "audience", "tokens", "until"],
            &rows,
        ));
    }
    lines
}

fn trimmed(result: &Value) -> Vec<String> {
    let mut lines: Vec<String> = items(&result["retired"])
        .iter()
        .map(|version| format!("version {version} has left the JWKS"))
        .collect();
    lines.extend(items(&result["waiting"]).iter().map(|key| {
        format!(
            "version {} leaves by itself at {}, when its last token is dead",
            cell(key, "version"),
            time(key, "retires_at"),
        )
    }));
    lines.extend(items(&result["broken"]).iter().flat_map(revoked));
    if lines.is_empty() {
        lines.push("there is no old version in the JWKS".to_owned());
    }
    lines
}
