//! How a document is answered: what is the same for discovery and the key set.

use std::time::Duration;

use serde_json::Value;

use super::network::failure;
use super::seen::{Answer, Exchange, FetchError, MAX_BODY, Seen, shown};
use crate::doctor::kinds::issuer::document as kinds;
use crate::doctor::kinds::issuer::tls::TLS_FAILED;
use crate::doctor::kinds::issuer::url::NO_SUCH_HOST;
use crate::doctor::{Finding, Report};
use crate::domain::strict_json::{self, FILE_DEPTH};
use crate::domain::time::Timestamp;

/// Slower than a document from memory should ever be.
const SLOW: Duration = Duration::from_secs(1);

/// AWS STS gives up.
const TOO_SLOW: Duration = Duration::from_secs(5);

/// Judges an answer; the JSON object in it, if there is one.
pub(super) fn judge(exchange: &Exchange, what: &str, report: &mut Report) -> Option<Value> {
    let url = shown(&exchange.url);
    report.fact(what, url.clone());
    let answer = match &exchange.outcome {
        Ok(answer) => answer,
        Err(error) => {
            // What has been told with the name and the certificates is not told again.
            let is_told = match error {
                FetchError::Tls(_) => report.has(&TLS_FAILED),
                FetchError::Connection(_) => report.has(&NO_SUCH_HOST),
                FetchError::Distrusted(_) | FetchError::Timeout => false,
            };
            if !is_told {
                report.add(unreachable(exchange, error));
            }
            return None;
        }
    };
    let took = exchange.took;
    report.fact(format!("{what}: answer"), summary(answer, took));
    let slow = |kind| Finding::new(kind, format!("`{url}` took {:.1} s", took.as_secs_f64()));
    if took > TOO_SLOW {
        report.add(slow(&kinds::TOO_SLOW));
    } else if took > SLOW {
        report.add(slow(&kinds::SLOW));
    }
    match answer.status {
        200 => {}
        300..=399 => {
            let to = answer
                .location
                .as_deref()
                .map_or("nowhere".to_owned(), |to| format!("`{}`", shown(to)));
            let what = format!("`{url}` answers {} and leads to {to}", answer.status);
            report.add(Finding::new(&kinds::REDIRECT, what));
            return None;
        }
        status => {
            report.add(Finding::new(
                &kinds::STATUS,
                format!("`{url}` answers {status}"),
            ));
            return None;
        }
    }
    body(&url, answer, report)
}

fn unreachable(exchange: &Exchange, error: &FetchError) -> Finding {
    let url = shown(&exchange.url);
    let kind = match error {
        FetchError::Timeout => &kinds::NO_ANSWER,
        error => failure(error).unwrap_or(&kinds::UNREACHABLE),
    };
    let seconds = exchange.took.as_secs();
    let what = match error {
        FetchError::Timeout => format!("`{url}` did not answer within {seconds} s"),
        error => format!("`{url}`: {}", shown(&error.to_string())),
    };
    Finding::new(kind, what)
}

fn summary(answer: &Answer, took: Duration) -> String {
    let mut parts = vec![
        answer.status.to_string(),
        format!("{} bytes", answer.body.len()),
        format!("{} ms", took.as_millis()),
    ];
    let headers = [
        ("Content-Type", &answer.content_type),
        ("Cache-Control", &answer.cache_control),
        ("ETag", &answer.etag),
    ];
    for (name, value) in headers {
        parts.extend(
            value
                .as_ref()
                .map(|value| format!("{name}: {}", shown(value))),
        );
    }
    parts.join("; ")
}

fn body(url: &str, answer: &Answer, report: &mut Report) -> Option<Value> {
    let content_type = answer.content_type.as_deref().unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if answer.is_cut {
        let what = format!("`{url}` answers more than {MAX_BODY} bytes");
        report.add(Finding::new(&kinds::TOO_LARGE, what));
        return None;
    }
    let document = serde_json::from_slice(&answer.body)
        .ok()
        .filter(Value::is_object);
    if document.is_none() {
        let start: Vec<u8> = answer
            .body
            .trim_ascii_start()
            .iter()
            .take(15)
            .copied()
            .collect();
        let start = start.to_ascii_lowercase();
        let is_page = [&b"<!doctype html"[..], b"<html", b"<head", b"<?xml"]
            .iter()
            .any(|tag| start.starts_with(tag));
        let (kind, body) = if is_page || media_type.eq_ignore_ascii_case("text/html") {
            (&kinds::HTML, "a web page")
        } else {
            (&kinds::NOT_JSON, "no JSON object")
        };
        let what = format!(
            "`{url}` answers {body}, `Content-Type: {}`",
            shown(content_type)
        );
        report.add(Finding::new(kind, what));
        return None;
    }
    // RFC 7517, section 8.5.2, has a type for key sets; relying parties name the general one.
    let is_json = ["application/json", "application/jwk-set+json"]
        .iter()
        .any(|name| media_type.eq_ignore_ascii_case(name));
    if !is_json {
        let what = match media_type {
            "" => format!("`{url}` answers without a `Content-Type`"),
            other => format!("`{url}` answers `Content-Type: {}`", shown(other)),
        };
        report.add(Finding::new(&kinds::CONTENT_TYPE, what));
    }
    // What is no JSON at all has a finding of its own.
    if let Err(error) = strict_json::parse::<FILE_DEPTH>(&answer.body)
        && error.is_data()
    {
        let what = format!("`{url}`: {}", shown(&error.to_string()));
        report.add(Finding::new(&kinds::MEMBER_TWICE, what));
    }
    document
}

/// An hour, in seconds: kube-apiserver does not ask again before the time is over.
const LONG: i64 = 3_600;

/// A minute, in seconds.
const SHORT: i64 = 60;

/// For how long the key set may be kept.
pub(super) fn judge_caching(exchange: &Exchange, report: &mut Report) {
    let Ok(answer) = &exchange.outcome else {
        return;
    };
    let mut add = |kind, what: String| report.add(Finding::new(kind, what));
    let cache_control = answer.cache_control.as_deref().unwrap_or_default();
    let directives = || cache_control.split(',').map(str::trim);
    let says = |name: &str| directives().any(|directive| directive.eq_ignore_ascii_case(name));
    if says("no-store") || says("no-cache") {
        add(
            &kinds::CACHE_NO_STORE,
            format!("`Cache-Control: {}`", shown(cache_control)),
        );
    } else {
        match directives().find_map(max_age) {
            None if cache_control.is_empty() => {
                add(&kinds::CACHE_NONE, "there is no `Cache-Control`".to_owned());
            }
            None => add(
                &kinds::CACHE_NONE,
                format!("`Cache-Control: {}`", shown(cache_control)),
            ),
            Some(age) if age > LONG => {
                add(&kinds::CACHE_LONG, format!("`max-age` is {age} seconds"));
            }
            Some(age) if age < SHORT => {
                add(&kinds::CACHE_SHORT, format!("`max-age` is {age} seconds"));
            }
            Some(_) => {}
        }
    }
    if answer.etag.is_none() {
        add(&kinds::ETAG_NONE, "there is no `ETag`".to_owned());
    }
}

fn max_age(directive: &str) -> Option<i64> {
    let (name, value) = directive.split_once('=')?;
    let is_it = name.trim().eq_ignore_ascii_case("max-age");
    is_it
        .then(|| value.trim().trim_matches('"').parse().ok())
        .flatten()
}

/// GCP and Vault take as much, in seconds.
const OFF: u64 = 60;

/// AWS takes as much, in seconds.
const WRONG: u64 = 300;

/// Holds the server's clock against this machine's; of several answers the one that came last.
pub(super) fn judge_clocks(seen: &Seen, report: &mut Report) {
    let exchanges = seen.discovery.iter().chain(&seen.jwks);
    let mut ahead = exchanges.filter_map(|exchange| {
        let answer = exchange.outcome.as_ref().ok()?;
        // A cache passes on the date at which it asked.
        let date = Timestamp(answer.date?.0.saturating_add(answer.age));
        Some(date.seconds_since(exchange.at))
    });
    let Some(ahead) = ahead.next_back() else {
        return;
    };
    let seconds = ahead.unsigned_abs();
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let words = format!("{seconds} s {direction} this machine's");
    report.fact(
        "clock",
        if ahead == 0 {
            "equal".to_owned()
        } else {
            words.clone()
        },
    );
    let kind = match seconds {
        0..=OFF => return,
        seconds if seconds <= WRONG => &kinds::CLOCK_OFF,
        _ => &kinds::CLOCK_WRONG,
    };
    report.add(Finding::new(kind, format!("the server's clock is {words}")));
}
