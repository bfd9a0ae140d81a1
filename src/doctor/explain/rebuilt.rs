//! The claims that a token must have had, from its record, held against a policy.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::{Event, Log};
use crate::doctor::kinds::explain as kinds;
use crate::doctor::{Finding, Report};
use crate::domain::claims::{Audience, Claims, Stamp};
use crate::domain::subject::Subject;
use crate::domain::workload::{SentIds, Workload};
use crate::policy::{Check, Outcome, Part, Policy, Presented, Verdict};

/// What no record holds: the orchestrator sent it, or it was derived, for the token only.
const NOT_ON_RECORD: [&str; 4] = [
    "terraform_organization_id",
    "terraform_project_id",
    "terraform_workspace_id",
    "terraform_stack_id",
];

/// What a policy makes of the tokens of a log. Of several the one that it admits counts, else those for
/// its audience: a run asks for a token for each of its relying parties.
pub fn policy(policy: &Policy, log: &Log, issuer: &str) -> Report {
    let mut looked: Vec<(Presented, Verdict)> = Vec::new();
    let mut audiences = Vec::new();
    for event in log.minted() {
        // Later tokens of an audience say the same.
        if audiences.contains(&&event.audience) {
            continue;
        }
        audiences.push(&event.audience);
        let presented = presented(event, issuer);
        let verdict = policy.evaluate(&presented);
        looked.push((presented, verdict));
    }
    let is_for_others = |verdict: &Verdict| {
        let fails = |check: &Check| check.outcome == Outcome::Fails && check.part == Part::Audience;
        verdict.checks.iter().any(fails)
    };
    let chosen = looked
        .iter()
        .find(|(_, verdict)| verdict.admits())
        .or_else(|| looked.iter().find(|(_, verdict)| !is_for_others(verdict)))
        .or_else(|| looked.first());
    let mut report = Report::default();
    if let Some((presented, verdict)) = chosen {
        report.append(said(policy, presented, verdict));
    }
    report
}

/// One token against the policy, and whether that hangs on what is in no record.
fn said(policy: &Policy, presented: &Presented, verdict: &Verdict) -> Report {
    let mut report = crate::doctor::policy::report(policy, presented);
    let asks_for = |claim: &&&str| {
        verdict
            .first_failure()
            .is_some_and(|check| match &check.part {
                Part::Claim(name) => name == **claim,
                _ => check.wanted.iter().any(|text| text.contains(**claim)),
            })
    };
    if let (false, Some(claim)) = (verdict.admits(), NOT_ON_RECORD.iter().find(asks_for)) {
        let what = format!("`{claim}` is in no record");
        report.add(Finding::new(&kinds::CLAIMS_UNKNOWN, what));
    }
    report
}

/// A token's claims, but for [`NOT_ON_RECORD`].
pub(super) fn presented(event: &Event, issuer: &str) -> Presented {
    let claims = claims(event, issuer).unwrap_or_else(|| least(event, issuer));
    Presented {
        claims,
        role_arn: None,
    }
}

fn claims(event: &Event, issuer: &str) -> Option<Map<String, Value>> {
    let text = event.subject.as_deref()?;
    let subject = Subject::from_str(text).ok()?;
    let sent = SentIds {
        run: event.run_id.clone(),
        ..SentIds::default()
    };
    let workload = Workload::new(subject, sent, &[0; 16]).ok()?;
    let audience = Audience::parse("audience", event.audience.as_deref()?).ok()?;
    let stamp = Stamp {
        jti: event.jti.as_deref()?,
        issuer,
        subject: text,
        audience: &audience,
        issued_at: event.at,
        expires_at: event.expires_at?,
        aws_session_tags: false,
    };
    let claims = serde_json::to_value(Claims::new(&workload, stamp)).ok()?;
    let Value::Object(mut claims) = claims else {
        return None;
    };
    claims.retain(|name, _| !NOT_ON_RECORD.contains(&name.as_str()));
    Some(claims)
}

/// Of a record that an earlier version has written.
fn least(event: &Event, issuer: &str) -> Map<String, Value> {
    let claims = json!({
        "iss": issuer,
        "sub": event.subject,
        "aud": event.audience,
        "iat": event.at,
        "exp": event.expires_at,
        "jti": event.jti,
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Map::new(),
    }
}
