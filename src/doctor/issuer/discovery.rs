//! The members of the discovery document.

use serde_json::{Map, Value};
use url::Url;

use super::compare::{how, side_by_side};
use super::place::fault;
use super::seen::{DISCOVERY_PATH, Seen, shown};
use crate::doctor::kinds::issuer::document as kinds;
use crate::doctor::{Finding, Report};

/// Required by `OpenID` Connect Discovery 1.0, section 3, or needed by AWS.
const REQUIRED: [&str; 5] = [
    "issuer",
    "jwks_uri",
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
];

pub(super) fn judge(document: &Value, seen: &Seen, report: &mut Report) {
    let Some(members) = document.as_object() else {
        return;
    };
    judge_members(members, report);
    // What people paste is not what they trust.
    let asked = seen
        .issuer
        .strip_suffix(DISCOVERY_PATH)
        .unwrap_or(&seen.issuer);
    if let Some(issuer) = members.get("issuer").and_then(Value::as_str)
        && issuer != asked
    {
        let what = format!("`issuer` in the document differs {}", how(asked, issuer));
        let lines = side_by_side("asked for", asked, "issuer", issuer);
        report.add(Finding::new(&kinds::MISMATCH, what).showing(lines));
    }
    if let Some(jwks_uri) = members.get("jwks_uri").and_then(Value::as_str) {
        judge_jwks_uri(jwks_uri, asked, report);
    }
    let algorithms = members.get("id_token_signing_alg_values_supported");
    if let Some(algorithms) = algorithms.and_then(Value::as_array) {
        let names: Vec<_> = algorithms
            .iter()
            .filter_map(Value::as_str)
            .map(shown)
            .collect();
        report.fact("algorithms", names.join(", "));
        if !names.is_empty() && !names.iter().any(|name| name == "RS256") {
            let what = format!("the issuer lists {}", names.join(", "));
            report.add(Finding::new(&kinds::NO_RS256, what));
        }
    }
}

fn judge_members(members: &Map<String, Value>, report: &mut Report) {
    let is_null = |name: &&str| members.get(*name).is_none_or(Value::is_null);
    for name in REQUIRED.iter().filter(|name| is_null(name)) {
        report.add(Finding::new(
            &kinds::MEMBER_MISSING,
            format!("`{name}` is missing"),
        ));
    }
    for (name, value) in members {
        let name = shown(name);
        let empty = match value {
            Value::String(text) if text.is_empty() => "an empty string",
            Value::Array(items) if items.is_empty() => "an empty list",
            Value::Object(inner) if inner.is_empty() => "an empty object",
            Value::Null => "null",
            _ => "",
        };
        if !empty.is_empty() {
            report.add(Finding::new(
                &kinds::MEMBER_EMPTY,
                format!("`{name}` is {empty}"),
            ));
            continue;
        }
        let wanted = if name.ends_with("_supported") && !value.is_boolean() {
            let is_list = value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_string));
            (!is_list).then_some("a list of strings")
        } else if name == "issuer" || name == "jwks_uri" || name.ends_with("_endpoint") {
            (!value.is_string()).then_some("a string")
        } else {
            None
        };
        if let Some(wanted) = wanted {
            let what = format!("`{name}` is not {wanted}");
            report.add(Finding::new(&kinds::MEMBER_TYPE, what));
        }
    }
}

fn judge_jwks_uri(jwks_uri: &str, issuer: &str, report: &mut Report) {
    // Empty ones have a finding of their own; of an issuer that is no URL there is no document.
    let Some(issuer) = Url::parse(issuer).ok().filter(|_| !jwks_uri.is_empty()) else {
        return;
    };
    let parsed = Url::parse(jwks_uri).ok().filter(Url::has_host);
    let fault = match &parsed {
        Some(url) => fault(url, &issuer),
        None => Some("is no absolute URL"),
    };
    let jwks_uri = shown(jwks_uri);
    if let Some(fault) = fault {
        let what = format!("`jwks_uri`, `{jwks_uri}`, {fault}; nothing was fetched there");
        report.add(Finding::new(&kinds::JWKS_URI, what));
    } else if parsed.is_some_and(|url| url.host_str() != issuer.host_str()) {
        let what = format!("`jwks_uri` is `{jwks_uri}`");
        report.add(Finding::new(&kinds::JWKS_ELSEWHERE, what));
    }
}
