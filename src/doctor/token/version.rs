//! Which version of the server's keys signed, and where that one stands in its life.

use serde_json::Value;

use super::text::Token;
use crate::doctor::issuer::seen::shown;
use crate::doctor::kinds::token::signature as kinds;
use crate::doctor::{Finding, Report};
use crate::domain::time::Timestamp;

/// The server's list of key versions (`GET /v1/keys`), or why there is none.
#[derive(Clone, Debug)]
pub enum Versions {
    /// The list.
    Listed(Value),
    /// Nobody was asked, or nobody answered; a sentence without a full stop.
    Unasked(String),
}

/// A second more than replicas take to follow a rotation, in seconds.
const FOLLOWED: i64 = 2;

pub(super) fn judge(token: &Token, versions: &Versions, report: &mut Report) {
    let keys = match versions {
        Versions::Listed(keys) => keys.as_array().map_or(&[][..], Vec::as_slice),
        Versions::Unasked(why) => {
            report.add(Finding::new(&kinds::VERSION_UNASKED, shown(why)));
            return;
        }
    };
    let Some(kid) = token.header("kid") else {
        return;
    };
    let Some(key) = keys.iter().find(|key| key["kid"] == kid) else {
        let what = format!(
            "none of its {} versions has the `kid` `{}`",
            keys.len(),
            shown(kid)
        );
        report.add(Finding::new(&kinds::VERSION_UNKNOWN, what));
        return;
    };
    let state = shown(key["state"].as_str().unwrap_or_default());
    let version = number(key, "version").unwrap_or_default();
    // A version that has never signed is staged, or was withdrawn before its turn.
    let has_signed = |key: &&Value| number(key, "activated_at").is_some();
    let newest = keys
        .iter()
        .filter(has_signed)
        .filter_map(|key| number(key, "version"))
        .max();
    let retires =
        number(key, "retires_at").map(|at| format!(", leaves the key set at {}", Timestamp(at)));
    let place = match newest {
        Some(newest) if newest > version => format!(", {newest} is the newest that has signed"),
        Some(newest) if newest == version => ", the newest that has signed".to_owned(),
        _ => String::new(),
    };
    report.fact(
        "key version",
        format!("{version}, {state}{}{place}", retires.unwrap_or_default()),
    );
    report.findings.extend(finding(token, key, version, newest));
}

fn finding(token: &Token, key: &Value, version: i64, newest: Option<i64>) -> Option<Finding> {
    let at = |member| {
        number(key, member).map_or_else(String::new, |at| format!(" at {}", Timestamp(at)))
    };
    let issued = token.time("iat");
    Some(match key["state"].as_str()? {
        "staged" => Finding::new(
            &kinds::VERSION_STAGED,
            format!("version {version} does not sign yet"),
        ),
        "retired" => {
            let what = format!("version {version} left the key set{}", at("retired_at"));
            Finding::new(&kinds::VERSION_WITHDRAWN, what)
        }
        "revoked" => {
            let what = format!("version {version} was withdrawn{}", at("revoked_at"));
            Finding::new(&kinds::VERSION_WITHDRAWN, what)
        }
        "retiring" => {
            let late = number(key, "deactivated_at").zip(issued);
            if late.is_some_and(|(ended, issued)| issued > ended + FOLLOWED) {
                let what = format!(
                    "version {version} stopped signing{}, and the token was issued later",
                    at("deactivated_at")
                );
                Finding::new(&kinds::VERSION_OLD, what)
            } else {
                let what = format!(
                    "version {version} signed until its successor took over{}",
                    at("deactivated_at")
                );
                Finding::new(&kinds::VERSION_RETIRING, what)
            }
        }
        "active" => {
            let newest = newest.filter(|newest| *newest > version)?;
            let what =
                format!("version {version} signs, though version {newest} has signed already");
            Finding::new(&kinds::VERSION_OLD, what)
        }
        _ => return None,
    })
}

fn number(key: &Value, member: &str) -> Option<i64> {
    key[member].as_i64()
}
