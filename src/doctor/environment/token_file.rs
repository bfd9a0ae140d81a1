//! Token files that variables name: there, readable, a token, and fresh.

use super::here::Here;
use super::{aws, azure, google, kubernetes, runmint};
use crate::doctor::kinds::environment as kinds;
use crate::doctor::{Finding, Report};
use crate::domain::time::Timestamp;
use crate::runner::IdentityToken;

/// A token's file, and who names it.
pub(super) struct Named {
    by: String,
    pub(super) path: String,
    /// The member of the file's JSON that holds the token.
    member: Option<String>,
    is_trimmed: bool,
}

/// By when somebody should have renewed it, in hundredths of its life. runmint and the kubelet do it
/// when 80 have passed at the latest; the kubelet looks every minute or so.
const STALE: i64 = 85;

/// As far as the clocks of issuer and reader may be apart, in seconds: GCP and Vault forgive as much.
const SKEW: i64 = 60;

/// The token files that variables name, and files that they name.
pub(super) fn named(here: &Here<'_>) -> Vec<Named> {
    // Sent as they stand: botocore, google-auth. Trimmed: azurerm, client-go.
    let mut found = Vec::new();
    for (name, is_trimmed) in [
        (aws::TOKEN_FILE, false),
        (aws::CONTAINER_TOKEN_FILE, false),
        (azure::TOKEN_FILE, true),
        (azure::ARM_TOKEN_FILE, true),
    ] {
        if let Some(path) = here.find(name) {
            found.push(Named {
                by: format!("`{name}`"),
                path: path.to_owned(),
                member: None,
                is_trimmed,
            });
        }
    }
    found.extend(google::token_file(here).map(|(path, member)| Named {
        by: "Google's credential file".to_owned(),
        path,
        member,
        is_trimmed: false,
    }));
    found.extend(runmint::token_file(here).map(|path| Named {
        by: "HCP's credential file".to_owned(),
        path,
        member: None,
        is_trimmed: true,
    }));
    let of_users = kubernetes::token_files(here).into_iter();
    found.extend(of_users.map(|(by, path)| Named {
        by,
        path,
        member: None,
        is_trimmed: true,
    }));
    found
}

pub(super) fn judge(here: &Here<'_>, now: Timestamp) -> Report {
    let mut report = Report::default();
    for named in named(here) {
        let Some(file) = here.file(&named.path) else {
            continue;
        };
        if let Some(barrier) = &file.barrier {
            let kind = if barrier.is_absent {
                &kinds::TOKEN_ABSENT
            } else {
                &kinds::TOKEN_UNREADABLE
            };
            report.add(barrier.finding(kind, &named.by));
            continue;
        }
        if let Some(text) = here.text(&named.path) {
            of_text(&named, text, now, &mut report);
        }
    }
    report
}

fn of_text(named: &Named, text: &str, now: Timestamp, report: &mut Report) {
    let Named { by, path, .. } = named;
    if text.trim().is_empty() {
        report.add(Finding::new(
            &kinds::TOKEN_EMPTY,
            format!("{by}: {path} is empty"),
        ));
        return;
    }
    let Some(token) = token_in(named, text) else {
        let what = format!("{by}: {path} is no JSON with the member that is to hold the token");
        report.add(Finding::new(&kinds::TOKEN_FORM, what));
        return;
    };
    if token != token.trim() {
        let kind = if named.is_trimmed {
            &kinds::TOKEN_NEWLINE_TRIMMED
        } else {
            &kinds::TOKEN_NEWLINE
        };
        let end = if token.ends_with('\n') {
            "ends with a newline"
        } else {
            "has white space around its token"
        };
        report.add(Finding::new(kind, format!("{by}: {path} {end}")));
    }
    match IdentityToken::parse(token.trim()) {
        Ok(token) => of_times(named, &token, now, report),
        Err(error) => {
            let what = format!("{by}: {path}: {error}");
            report.add(Finding::new(&kinds::TOKEN_FORM, what));
        }
    }
}

fn token_in(named: &Named, text: &str) -> Option<String> {
    let Some(member) = &named.member else {
        return Some(text.to_owned());
    };
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value[member].as_str().map(str::to_owned)
}

fn of_times(named: &Named, token: &IdentityToken, now: Timestamp, report: &mut Report) {
    let Named { by, path, .. } = named;
    let claims = &token.claims;
    report.fact(
        format!("token in {path}"),
        format!("`{}`, {} to {}", claims.sub, claims.iat, claims.exp),
    );
    let age = now.seconds_since(claims.iat);
    let left = claims.exp.seconds_since(now);
    if left <= 0 {
        let what = format!(
            "{by}: {path} expired at {}, {} ago",
            claims.exp,
            span(-left)
        );
        report.add(Finding::new(&kinds::TOKEN_EXPIRED, what));
    } else if age < -SKEW {
        let what = format!(
            "{by}: {path} was made at {}, which is {} ahead of this clock",
            claims.iat,
            span(-age)
        );
        report.add(Finding::new(&kinds::TOKEN_FUTURE, what));
    } else if age.saturating_mul(100) > token.lifetime().saturating_mul(STALE) {
        let what = format!(
            "{by}: {path} has {} left of the {} that it lives",
            span(left),
            span(token.lifetime())
        );
        report.add(Finding::new(&kinds::TOKEN_STALE, what));
    }
}

/// Seconds, as people read them.
fn span(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}
