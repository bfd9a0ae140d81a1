//! Explains tokens and runs from the audit log: what was minted, when, for whom, by which key, and what a
//! relying party's policy makes of it. Pure: what the admin API answers comes in, a report goes out.

mod calls;
mod log;
mod rebuilt;
#[cfg(test)]
mod tests;

pub use self::calls::{BadTrail, Call, call, calls};
pub use self::log::{Event, Key, Log, Run};
pub use self::rebuilt::policy;

use super::kinds::explain as kinds;
use super::{Finding, Report};
use crate::domain::event::EventKind;
use crate::domain::time::Timestamp;

/// What there is to say about the token with this `jti`.
pub fn token(jti: &str, log: &Log, now: Timestamp) -> Report {
    let mut report = Report::default();
    let Some(event) = log.find_token(jti) else {
        report.fact("token", jti);
        let what = format!("no token with the id `{jti}` is on record");
        report.add(Finding::new(&kinds::UNKNOWN_TOKEN, what));
        return report;
    };
    report.append(of_token(event, log, now));
    report
}

/// What there is to say about a run, by its id or by its `terraform_run_id`.
pub fn run(id: &str, log: &Log, now: Timestamp) -> Report {
    let mut report = Report::default();
    if log.runs.is_empty() && log.events.is_empty() {
        report.fact("run", id);
        let what = format!("nothing is on record about a run `{id}`");
        report.add(Finding::new(&kinds::UNKNOWN_RUN, what));
        return report;
    }
    for run in &log.runs {
        report.append(of_run(run, log));
    }
    let minted: Vec<&Event> = log.minted().collect();
    for (number, event) in minted.iter().rev().enumerate() {
        report.fact(format!("token {}", number + 1), in_short(event, log, now));
    }
    refusals(log, &mut report);
    for event in &minted {
        faults(event, log, now, &mut report);
    }
    let was_refused = log.events.iter().any(|event| is_refusal(event.kind));
    if minted.is_empty() && !was_refused {
        let what = format!("the run `{id}` is on record, and no token for it");
        report.add(Finding::new(&kinds::NOTHING_MINTED, what));
    }
    report
}

/// One token, in full.
fn of_token(event: &Event, log: &Log, now: Timestamp) -> Report {
    let mut report = Report::default();
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    report.fact("token", text(&event.jti));
    report.fact("minted", event.at.to_string());
    report.fact("subject", text(&event.subject));
    report.fact("audience", text(&event.audience));
    report.fact("run id", text(&event.run_id));
    report.fact("asked for by", event.actor.as_str());
    if let Some(about) = &event.reason {
        report.fact("on the strength of", about);
    }
    report.fact("key", log.key_of(event));
    report.fact("valid until", until(event, now));
    report.fact("request", text(&event.request_id));
    let run = log.run_of(event);
    if let Some(run) = run {
        report.append(of_run(run, log));
    }
    faults(event, log, now, &mut report);
    if event.expires_at.is_some_and(|end| end <= now) {
        let what = format!("it was valid until {}", until(event, now));
        report.add(Finding::new(&kinds::EXPIRED, what));
    }
    report
}

/// One token in a line.
fn in_short(event: &Event, log: &Log, now: Timestamp) -> String {
    format!(
        "{}, minted {} for `{}`, valid until {}, key {}",
        event.jti.as_deref().unwrap_or("unknown"),
        event.at,
        event.audience.as_deref().unwrap_or("unknown"),
        until(event, now),
        log.key_of(event)
    )
}

fn until(event: &Event, now: Timestamp) -> String {
    match event.expires_at {
        Some(end) if end > now => {
            let left = humantime::format_duration(end.after(now));
            format!("{end} ({left} left)")
        }
        Some(end) => format!("{end} (over)"),
        None => "unknown".to_owned(),
    }
}

fn of_run(run: &Run, log: &Log) -> Report {
    let mut report = Report::default();
    report.fact("run", run.id.as_str());
    let state = match run.state.as_str() {
        "open" => format!("open until {}", run.expires_at),
        other => other.to_owned(),
    };
    report.fact("run's state", state);
    report.fact("run's subject", run.subject.as_str());
    report.fact("run's audiences", run.audiences.join(", "));
    report.fact("client", run.client.as_str());
    report.fact("opened", run.opened_at.to_string());
    if let Some(closed) = run.closed_at {
        let by = log.find(EventKind::RunClosed, &run.id);
        let by = by.map_or_else(String::new, |event| format!(" by {}", event.actor));
        let what = format!("run {} was closed at {closed}{by}", run.id);
        report.add(Finding::new(&kinds::RUN_ENDED, what));
    } else if run.state == "expired" {
        let what = format!("run {} was over at {}", run.id, run.expires_at);
        report.add(Finding::new(&kinds::RUN_ENDED, what));
    }
    report
}

/// What is wrong with a token by itself.
fn faults(event: &Event, log: &Log, now: Timestamp, report: &mut Report) {
    let jti = event.jti.as_deref().unwrap_or_default();
    if log.is_withheld(jti) {
        let what = format!("token {jti} of {} never left the server", event.at);
        report.add(Finding::new(&kinds::WITHHELD, what));
    }
    let lives = event.expires_at.is_some_and(|end| end > now);
    if lives && log.find_key(event).is_some_and(|key| !key.is_published()) {
        let what = format!("token {jti} lives, its key is {}", log.key_of(event));
        report.add(Finding::new(&kinds::KEY_GONE, what));
    }
}

fn is_refusal(kind: EventKind) -> bool {
    matches!(kind, EventKind::RunRefused | EventKind::TokenRefused)
}

/// Each reason once for each audience, the last time first.
fn refusals(log: &Log, report: &mut Report) {
    let mut seen = Vec::new();
    for event in log.events.iter().filter(|event| is_refusal(event.kind)) {
        let key = (event.audience.as_deref(), event.reason.as_deref());
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let (audience, reason) = key;
        let same = |other: &&Event| {
            is_refusal(other.kind) && (other.audience.as_deref(), other.reason.as_deref()) == key
        };
        let times = log.events.iter().filter(same).count();
        let times = if times == 1 {
            String::new()
        } else {
            format!(", the last of {times} times")
        };
        let what = format!(
            "{} at {}{times}, for {}: {}",
            if event.kind == EventKind::RunRefused {
                "a run was refused"
            } else {
                "a token was refused"
            },
            event.at,
            audience.map_or_else(|| "no audience".to_owned(), |name| format!("`{name}`")),
            reason.unwrap_or("no reason is on record")
        );
        let minted_after = log
            .minted()
            .any(|minted| minted.at >= event.at && minted.audience.as_deref() == audience);
        let kind = if minted_after {
            &kinds::REFUSED_BEFORE
        } else {
            &kinds::REFUSED
        };
        let request = event.request_id.as_deref();
        let shown = request.map(|id| format!("request {id}, asked for by {}", event.actor));
        report.add(Finding::new(kind, what).showing(shown));
    }
}
