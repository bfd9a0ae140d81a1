//! A token held against a policy: the first condition that fails, the smallest change that admits the
//! run, and whom else that change would admit.

mod difference;
mod neighbours;

use self::difference::difference;
use self::neighbours::neighbours;
use super::kinds::policy::{
    ACTION, AUDIENCE, CLAIM, EXPRESSION, IDENTITY, ISSUER, OPEN, SUBJECT, UNDECIDED,
};
use super::{Finding, Kind, Report};
use crate::policy::{Change, Check, Decision, Outcome, Part, Policy, Presented, Verdict};

/// What a policy makes of a token, why, and what to change.
pub fn report(policy: &Policy, presented: &Presented) -> Report {
    let mut report = Report::default();
    report.fact("policy of", policy.relying_party());
    for (name, claim) in [("issuer", "iss"), ("audience", "aud"), ("subject", "sub")] {
        let found = presented.texts(claim);
        let found = if found.is_empty() {
            "none".to_owned()
        } else {
            found.join(", ")
        };
        report.fact(name, found);
    }
    if let Some(role) = &presented.role_arn {
        report.fact("AWS role", role);
    }
    let verdict = policy.evaluate(presented);
    for check in &verdict.checks {
        report.fact(check.place.clone(), said(check));
    }
    report.fact("decision", decision(&verdict));
    match verdict.first_failure() {
        Some(check) if !verdict.admits() => report.add(refusal(policy, presented, check)),
        _ => report.fact("admits also", admitted(policy, presented)),
    }
    for weakness in &verdict.weaknesses {
        let what = format!("`{}`: {}", weakness.place, weakness.what);
        report.add(Finding::new(&OPEN, what));
    }
    report
}

fn decision(verdict: &Verdict) -> &'static str {
    match verdict.decision {
        Decision::Admitted => "admitted",
        Decision::Refused => "refused",
        Decision::Undecided => "it cannot be said here",
    }
}

fn said(check: &Check) -> String {
    let word = match check.outcome {
        Outcome::Holds => return "holds".to_owned(),
        Outcome::Fails => "fails",
        Outcome::Unknown => "cannot be said",
    };
    format!("{word}: {}", check.why)
}

fn kind(check: &Check) -> &'static Kind {
    match (check.outcome, &check.part) {
        (Outcome::Unknown, _) => &UNDECIDED,
        (_, Part::Action) => &ACTION,
        (_, Part::Audience) => &AUDIENCE,
        (_, Part::Claim(_)) => &CLAIM,
        (_, Part::Expression) => &EXPRESSION,
        (_, Part::Identity) => &IDENTITY,
        (_, Part::Issuer) => &ISSUER,
        (_, Part::Subject) => &SUBJECT,
    }
}

fn refusal(policy: &Policy, presented: &Presented, check: &Check) -> Finding {
    let what = format!("`{}` ({}): {}", check.place, check.operator, check.why);
    let finding = Finding::new(kind(check), what).showing(difference(&check.wanted, &check.found));
    if check.outcome == Outcome::Unknown {
        return finding;
    }
    let Some((change, changed)) = policy.admitting(presented) else {
        return finding;
    };
    let advice = advice(policy, &change, &changed, presented);
    // A token is for one relying party: that it is another's is not the policy's fault.
    match (&check.part, check.wanted.as_slice()) {
        (Part::Audience, [audience, ..]) => finding.to_fix(format!(
            "Ask for the token with the audience `{audience}`. Or let the policy take this one:\n{advice}"
        )),
        _ => finding.to_fix(advice),
    }
}

/// The change in words, and whom it lets in besides. That it lets the run in was tried, not assumed.
fn advice(policy: &Policy, change: &Change, changed: &Policy, presented: &Presented) -> String {
    let Change {
        place,
        what,
        before,
        after,
    } = change;
    let mut lines = vec![sentence(what)];
    // Of several changes each names its place itself.
    if !what.contains('`') || !place.contains(", ") {
        lines.push(format!("At `{place}`:"));
    }
    let before = before.iter().flat_map(|before| before.lines());
    lines.extend(before.map(|line| format!("- {line}")));
    lines.extend(after.lines().map(|line| format!("+ {line}")));
    let after = changed.evaluate(presented);
    if let (false, Some(next)) = (after.admits(), after.first_failure()) {
        lines.push(format!(
            "This alone is not enough: then `{}` {}",
            next.place,
            said(next)
        ));
    }
    let others: Vec<String> = neighbours(presented)
        .into_iter()
        .filter(|other| changed.evaluate(&other.presented).admits())
        .filter(|other| !policy.evaluate(&other.presented).admits())
        .map(|other| other.who)
        .collect();
    lines.push(if others.is_empty() {
        "It admits nobody else: no other phase, workspace, project, organization, audience or issuer \
         was let in when they were tried."
            .to_owned()
    } else {
        format!("It admits others too: {}.", others.join(", "))
    });
    lines.join("\n")
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().map(|c| c.to_uppercase().to_string());
    let text = first.unwrap_or_default() + rest.as_str();
    let is_ended = text.ends_with(['.', ':']);
    if is_ended { text } else { text + "." }
}

/// Whom of the run's neighbours the policy admits as it is.
fn admitted(policy: &Policy, presented: &Presented) -> String {
    let others: Vec<String> = neighbours(presented)
        .into_iter()
        .filter(|other| policy.evaluate(&other.presented).admits())
        .map(|other| other.who)
        .collect();
    if others.is_empty() {
        "nobody else that was tried".to_owned()
    } else {
        others.join(", ")
    }
}
