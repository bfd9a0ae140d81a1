//! Header and claims.

use serde_json::Value;

use super::text::Token;
use crate::doctor::issuer::party::{Takes, is_taken_by_all, summary, takers};
use crate::doctor::issuer::seen::shown;
use crate::doctor::kinds::token::content as kinds;
use crate::doctor::{Finding, Kind, Report};
use crate::domain::subject::{MAX_GCP_LENGTH, MAX_LENGTH, Subject};
use crate::domain::time::Timestamp;

/// AWS, GCP and the standard want them (OpenID Connect Core 1.0, section 2).
const REQUIRED: [&str; 5] = ["iss", "sub", "aud", "iat", "exp"];

/// RFC 7519, section 4.1.
const REGISTERED: [&str; 7] = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti"];

const TIMES: [&str; 3] = ["iat", "nbf", "exp"];

/// 10000-01-01T00:00:00Z, in seconds: years have four digits in what people and programs write.
const YEAR_10000: i64 = 253_402_300_800;

pub(super) fn judge(token: &Token, report: &mut Report) {
    report.fact("size", format!("{} bytes", token.length));
    for (name, value) in &token.header {
        report.fact(format!("header {}", shown(name)), plain(value));
    }
    for (name, value) in &token.claims {
        let time = TIMES
            .contains(&name.as_str())
            .then(|| value.as_i64())
            .flatten();
        let text = match time {
            Some(seconds) => format!("{seconds} ({})", Timestamp(seconds)),
            None => plain(value),
        };
        report.fact(shown(name), text);
    }
    judge_header(token, report);
    judge_claims(token, report);
    judge_subject(token, report);
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

fn judge_header(token: &Token, report: &mut Report) {
    let mut add = |kind: &Kind, what: String| report.add(Finding::new(kind, what));
    let algorithm = token.header("alg").unwrap_or_default();
    let shown_algorithm = shown(algorithm);
    if takers(algorithm)
        .iter()
        .all(|(_, takes)| *takes == Takes::No)
    {
        add(&kinds::ALGORITHM, format!("`alg` is `{shown_algorithm}`"));
    } else if !is_taken_by_all(algorithm) {
        let what = format!("`alg` is `{shown_algorithm}`: {}", summary(algorithm));
        add(&kinds::ALGORITHM_RARE, what);
    }
    if token.header("kid").is_none_or(str::is_empty) {
        add(&kinds::NO_KID, "there is no `kid`".to_owned());
    }
    if let Some(typ) = token.header.get("typ")
        && !typ
            .as_str()
            .is_some_and(|typ| typ.eq_ignore_ascii_case("JWT"))
    {
        add(&kinds::TYPE, format!("`typ` is `{}`", plain(typ)));
    }
    if let Some(crit) = token.header.get("crit") {
        add(&kinds::CRITICAL, format!("`crit` is {}", plain(crit)));
    }
    let own = ["jku", "jwk", "x5u", "x5c"];
    let own: Vec<_> = own
        .into_iter()
        .filter(|name| token.header.contains_key(*name))
        .collect();
    if !own.is_empty() {
        add(
            &kinds::KEY_IN_HEADER,
            format!("the header has `{}`", own.join("`, `")),
        );
    }
}

fn judge_claims(token: &Token, report: &mut Report) {
    let mut add = |kind: &Kind, what: String| report.add(Finding::new(kind, what));
    let missing = |name: &&&str| token.claims.get(**name).is_none_or(Value::is_null);
    for name in REQUIRED.iter().filter(missing) {
        add(&kinds::CLAIM_MISSING, format!("`{name}` is missing"));
    }
    let is_there = |name: &str| token.claims.get(name).filter(|value| !value.is_null());
    for name in ["iss", "sub"] {
        if is_there(name).is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
            add(
                &kinds::CLAIM_TYPE,
                format!("`{name}` is no text with something in it"),
            );
        }
    }
    for name in TIMES {
        let fault = match is_there(name).map(Value::as_i64) {
            Some(None) => "is no whole number of seconds",
            Some(Some(YEAR_10000..)) => "is beyond the year 9999",
            Some(Some(_)) | None => continue,
        };
        add(&kinds::CLAIM_TYPE, format!("`{name}` {fault}"));
    }
    match is_there("aud") {
        None => {}
        Some(Value::String(text)) if !text.is_empty() => {}
        Some(Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_string) => {
            add(
                &kinds::AUDIENCES,
                format!("`aud` is a list of {}", items.len()),
            );
        }
        Some(_) => add(
            &kinds::CLAIM_TYPE,
            "`aud` is no text with something in it".to_owned(),
        ),
    }
    if let Some(azp) = is_there("azp") {
        let what = format!(
            "`azp` is `{}`, `aud` is `{}`",
            plain(azp),
            is_there("aud").map(plain).unwrap_or_default()
        );
        add(&kinds::AZP, what);
    }
    for name in token.claims.keys() {
        let lower = name.to_lowercase();
        if *name != lower && REGISTERED.contains(&lower.as_str()) {
            add(
                &kinds::CLAIM_CASE,
                format!("there is a claim `{}`", shown(name)),
            );
        }
    }
}

fn judge_subject(token: &Token, report: &mut Report) {
    let Some(text) = token.text("sub").filter(|text| !text.is_empty()) else {
        return;
    };
    let mut add = |kind: &Kind, what: String| report.add(Finding::new(kind, what));
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
    {
        add(&kinds::SUBJECT_ASCII, format!("`sub` is `{}`", shown(text)));
    }
    match text.len() {
        0..=MAX_GCP_LENGTH => {}
        length @ ..=MAX_LENGTH => add(&kinds::SUBJECT_LONG, format!("`sub` has {length} bytes")),
        length => add(
            &kinds::SUBJECT_TOO_LONG,
            format!("`sub` has {length} bytes"),
        ),
    }
    let subject = match text.parse::<Subject>() {
        Ok(subject) => subject,
        Err(error) => {
            return add(
                &kinds::SUBJECT_FORM,
                format!("`{}` {}", error.field, shown(&error.rule)),
            );
        }
    };
    let mut parts = vec![("organization", subject.organization().to_string())];
    parts.extend(
        subject
            .project()
            .map(|project| ("project", project.to_string())),
    );
    parts.push((subject.target_field(), subject.target().to_string()));
    parts.extend(
        subject
            .deployment()
            .map(|name| ("deployment", name.to_string())),
    );
    parts.push(("phase", subject.phase().to_string()));
    for (name, value) in parts {
        report.fact(format!("subject's {name}"), value);
    }
}
