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
    let Some(iat) = time("iat") else { return };
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
        _ if life < 2 * DAY => add(&kinds::LIVES_LONG, format!("it lives for {}", span(life))),
        _ => add(
            &kinds::LIVES_TOO_LONG,
            format!("it lives for {}", span(life)),
        ),
    }
    let life = format!(
        "{}, of which {} are left",
        span(life),
        span(left.unwrap_or(0).max(0))
    );
    report.fact("life", life);
}

/// Seconds, as people say them.
fn span(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}
