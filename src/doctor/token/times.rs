//! The times, held against the clock.

use std::time::Duration;

use super::text::Token;
use crate::doctor::kinds::token::time as kinds;
use crate::doctor::{Finding, Kind, Report};
use crate::domain::time::Timestamp;

/// So much may a clock be behind, in seconds: GCP and Vault take as much.
const SKEW: i64 = 60;

/// Less than this is too little for a login, in seconds.
const SOON: i64 = 60;

const DAY: i64 = 86_400;

pub(super) fn judge(token: &Token, now: Timestamp, report: &mut Report) {
    let time = |claim| token.time(claim);
    let mut add = |kind: &Kind, what: String| report.add(Finding::new(kind, what));
    let left = time("exp").map(|exp| exp.saturating_sub(now.0));
    match left {
        Some(..=0) => {
            let ago = left.map_or(0, i64::saturating_neg);
            add(&kinds::EXPIRED, format!("it expired {} ago", span(ago)));
        }
        Some(left @ ..SOON) => add(&kinds::ENDS_SOON, format!("it expires in {}", span(left))),
        Some(_) | None => {}
    }
    for (claim, skew) in [("nbf", 0), ("iat", SKEW)] {
        let ahead = time(claim).map_or(0, |at| at.saturating_sub(now.0));
        if ahead > skew {
            let what = format!("`{claim}` is {} ahead of this machine's clock", span(ahead));
            add(&kinds::NOT_YET, what);
        }
    }
    let Some(iat) = time("iat") else {
        // Without its begin it lives at least from now on.
        if let Some(left) = left.filter(|left| *left > DAY) {
            add(lives(left), format!("it lives for {} from now", span(left)));
        }
        return;
    };
    let age = now.0.saturating_sub(iat);
    if age >= DAY && left.is_some_and(|left| left > 0) {
        add(&kinds::OLD, format!("it was issued {} ago", span(age)));
    }
    let Some(life) = time("exp").map(|exp| exp.saturating_sub(iat)) else {
        return;
    };
    match life {
        ..=0 => add(&kinds::ORDER, "`exp` is not after `iat`".to_owned()),
        1..=DAY => {}
        _ => add(lives(life), format!("it lives for {}", span(life))),
    }
    let life = format!(
        "{}, of which {} are left",
        span(life),
        span(left.unwrap_or(0).max(0))
    );
    report.fact("life", life);
}

/// What a life of more than a day is.
fn lives(life: i64) -> &'static Kind {
    if life < 2 * DAY {
        &kinds::LIVES_LONG
    } else {
        &kinds::LIVES_TOO_LONG
    }
}

/// Seconds, as people say them: the two largest units.
fn span(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    let parts: Vec<_> = text.split(' ').take(2).map(apart).collect();
    parts.join(" ")
}

/// `5h` stays as it is, `3days` become `3 days`.
fn apart(part: &str) -> String {
    let at = part.find(|c: char| !c.is_ascii_digit());
    match part.split_at(at.unwrap_or(part.len())) {
        (number, unit) if unit.len() > 1 => format!("{number} {unit}"),
        _ => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_two_units() {
        for (seconds, expected) in [
            (-1, "0s"),
            (59, "59s"),
            (3_661, "1h 1m"),
            (DAY, "1 day"),
            (1_795_400_000, "56 years 10 months"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }
}
