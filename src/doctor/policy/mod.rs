//! A token held against a policy: the first condition that fails, the smallest change that admits the
//! run, and whom else that change would admit.

mod difference;
mod neighbours;

use self::difference::difference;
use self::neighbours::neighbours;
use super::kinds::policy::{
    ACTION, AUDIENCE, CLAIM, DENY, EXPRESSION, IDENTITY, ISSUER, OPEN, SUBJECT, UNDECIDED,
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
        _ if check.operator == "Deny" => &DENY,
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
    let issuer = presented.text("iss").unwrap_or_default();
    if check.part == Part::Issuer && issuer.starts_with("http://") {
        return finding.to_fix(
            "No relying party takes an issuer on plain http: set `issuer.url` to the public `https://` URL \
             of the server, and ask for a token anew.",
        );
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
    let named = named(policy, changed, presented);
    let others: Vec<String> = neighbours(presented, &named)
        .into_iter()
        .filter(|other| changed.evaluate(&other.presented).admits())
        .filter(|other| !policy.evaluate(&other.presented).admits())
        .map(|other| other.who)
        .collect();
    lines.push(if others.is_empty() {
        "Nobody else was let in by it, of those that were tried: other phases, workspaces, projects, \
         organizations, audiences and issuers, and what the policy names itself."
            .to_owned()
    } else {
        format!("It admits others too: {}.", others.join(", "))
    });
    lines.join("\n")
}

/// The values that a policy compares with, before and after a change.
fn named(policy: &Policy, changed: &Policy, presented: &Presented) -> Vec<String> {
    let verdicts = [policy.evaluate(presented), changed.evaluate(presented)];
    let checks = verdicts.iter().flat_map(|verdict| &verdict.checks);
    let values = checks
        .filter(|check| matches!(check.part, Part::Audience | Part::Subject))
        .flat_map(|check| check.wanted.iter().cloned());
    let unique: std::collections::BTreeSet<String> = values.collect();
    unique.into_iter().collect()
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
    let others: Vec<String> = neighbours(presented, &[])
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::Document;

    const ISSUER: &str = "id.example.com";
    const SUBJECT: &str = "organization:acme:project:p:workspace:prod:run_phase:plan";

    fn presented(subject: &str) -> Presented {
        let claims = json!({
            "iss": format!("https://{ISSUER}"), "aud": "aws.workload.identity", "sub": subject,
        });
        Presented {
            claims: claims.as_object().unwrap().clone(),
            role_arn: None,
        }
    }

    fn policy(statement: &Value) -> Policy {
        let value = json!({"Version": "2012-10-17", "Statement": statement});
        Policy::read(&[Document {
            name: "role.json".to_owned(),
            value,
        }])
        .unwrap()
    }

    fn allowing(subject: &Value) -> Value {
        json!({
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::123456789012:oidc-provider/{ISSUER}")},
            "Condition": {
                "StringEquals": {format!("{ISSUER}:aud"): "aws.workload.identity"},
                "StringLike": {format!("{ISSUER}:sub"): subject},
            },
        })
    }

    fn fact<'a>(report: &'a Report, name: &str) -> &'a str {
        let found = report.facts.iter().find(|(fact, _)| fact == name);
        &found.unwrap().1
    }

    #[test]
    fn a_run_that_is_let_in_is_told_who_else_is() {
        let open = policy(&allowing(&json!(
            "organization:acme:project:p:workspace:prod*"
        )));
        let report = report(&open, &presented(SUBJECT));
        assert!(report.is_clear() && report.has(&OPEN), "{report:#?}");
        let others = fact(&report, "admits also");
        for other in [
            "apply runs of this workspace",
            "workspaces whose names begin with `prod`",
        ] {
            assert!(others.contains(other), "{others}");
        }
        assert!(!others.contains("every other workspace"), "{others}");

        let only = policy(&allowing(&json!(SUBJECT)));
        let report = super::report(&only, &presented(SUBJECT));
        assert_eq!(report.findings, []);
        assert_eq!(fact(&report, "admits also"), "nobody else that was tried");
    }

    #[test]
    fn the_change_is_shown_and_was_tried() {
        let other = policy(&allowing(&json!(
            "organization:acme:project:p:workspace:x:run_phase:plan"
        )));
        let report = report(&other, &presented(SUBJECT));
        let [finding] = report.findings.as_slice() else {
            panic!("{report:#?}")
        };
        assert_eq!(finding.id, super::super::kinds::policy::SUBJECT.id);
        assert!(finding.shown[2].trim().starts_with('^'), "{finding:#?}");
        assert!(finding.fix.contains(SUBJECT), "{}", finding.fix);
        assert!(
            finding.fix.contains("Nobody else was let in"),
            "{}",
            finding.fix
        );
    }

    #[test]
    fn a_denial_is_somebodys_will_and_no_change_is_offered() {
        let mut deny = allowing(&json!(SUBJECT));
        deny["Effect"] = json!("Deny");
        let denied = policy(&json!([allowing(&json!("*")), deny]));
        let report = report(&denied, &presented(SUBJECT));
        assert_eq!(report.findings[0].id, DENY.id, "{report:#?}");
        assert!(!report.findings[0].fix.contains("+ "), "{report:#?}");
    }

    #[test]
    fn an_issuer_on_plain_http_is_no_fault_of_the_policy() {
        let mut http = presented(SUBJECT);
        http.claims
            .insert("iss".to_owned(), json!("http://127.0.0.1:8080"));
        let report = report(&policy(&allowing(&json!(SUBJECT))), &http);
        assert_eq!(
            report.findings[0].id,
            super::super::kinds::policy::ISSUER.id,
            "{report:#?}"
        );
        assert!(
            report.findings[0].fix.contains("`issuer.url`"),
            "{report:#?}"
        );
    }

    #[test]
    fn whom_the_policy_names_is_tried_with_what_a_change_adds() {
        let other = "organization:acme:project:p:workspace:x:run_phase:plan";
        let role = json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["theirs"],
            "bound_claims_type": "glob", "bound_claims": {"sub": [SUBJECT, other]},
        });
        let vault = Policy::read(&[Document {
            name: "role.json".to_owned(),
            value: role,
        }]);
        let report = report(&vault.unwrap(), &presented(SUBJECT));
        let fix = &report.findings[0].fix;
        assert!(
            fix.contains("It admits others too") && fix.contains(other),
            "{fix}"
        );
    }
}
