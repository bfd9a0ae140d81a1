//! What a trust policy admits more than it seems to, and conditions that can never hold.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{Outcome, Weakness};
use super::Policy;
use super::condition::{Condition, Over, Test, Text};
use super::context::{ClaimKey, Found};
use super::statement::{Actions, Effect, ProviderArn, Statement};

/// How many characters a role's trust policy may have, white space not counted (IAM user guide, "IAM and
/// AWS STS quotas").
const LARGEST: usize = 2_048;

/// How many it may have at most: AWS raises the quota to this when asked to, and no further.
pub(super) const LARGEST_RAISED: usize = 4_096;

pub(super) fn all(policy: &Policy) -> Vec<Weakness> {
    let mut weaknesses = Vec::new();
    for statement in &policy.statements {
        let arns = statement.principals.federated().iter();
        let providers = arns.filter_map(|arn| ProviderArn::parse(arn));
        let providers: BTreeSet<&str> = providers.map(|arn| arn.provider).collect();
        if providers.is_empty() {
            continue;
        }
        let is_deny = statement.effect == Effect::Deny;
        if !is_deny && statement.actions.contain("sts:AssumeRoleWithWebIdentity") {
            for provider in &providers {
                weaknesses.extend(of_allowing(statement, provider));
            }
            if matches!(statement.actions, Actions::AllBut(_)) {
                weaknesses.push(weakness(
                    format!("{}.NotAction", statement.place),
                    "it allows every action but these; write `Action` with what is needed"
                        .to_owned(),
                ));
            }
        }
        for condition in &statement.conditions {
            weaknesses.extend(of_condition(statement, condition, &providers));
        }
    }
    let size = size(&policy.document);
    if size > LARGEST {
        weaknesses.push(weakness(
            "Statement".to_owned(),
            format!(
                "the policy has {size} characters, and AWS takes {LARGEST} unless its quota was raised; \
                 use `*` for a part, or a role for each workspace"
            ),
        ));
    }
    weaknesses
}

/// How many characters AWS counts.
pub(super) fn size(document: &Value) -> usize {
    let text = document.to_string();
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// What an allowing statement leaves open to one of its providers; conditions on the keys of another
/// restrict this one only if they keep all of its tokens out.
fn of_allowing(statement: &Statement, provider: &str) -> Vec<Weakness> {
    let mut weaknesses = Vec::new();
    let nothing = Found::Missing(String::new());
    let keeps_all_out = |condition: &Condition| {
        never_there(&condition.key, &BTreeSet::from([provider]))
            && condition.hold(&nothing, true).0 == Outcome::Fails
    };
    if statement.conditions.iter().any(keeps_all_out) {
        return weaknesses;
    }
    let restricts = |claim: &str| {
        statement.conditions.iter().any(|condition| {
            ClaimKey::parse(&condition.key).is(provider, claim)
                && condition.operator.asks_for_text()
                && condition.operator.over != Over::All
        })
    };
    let mentions_all = |claim: &str| {
        statement.conditions.iter().any(|condition| {
            ClaimKey::parse(&condition.key).is(provider, claim)
                && condition.operator.over == Over::All
        })
    };
    // What ForAllValues leaves open is said at the condition.
    if !restricts("sub") && !mentions_all("sub") {
        weaknesses.push(weakness(
            statement.place.clone(),
            format!(
                "it asks for no subject, so that every run of every organization of this issuer is let \
                 in; add a condition on `{provider}:sub`"
            ),
        ));
    }
    if !restricts("aud") && !restricts("oaud") && !mentions_all("aud") {
        weaknesses.push(weakness(
            statement.place.clone(),
            format!(
                "it asks for no audience, so that tokens for every audience of the provider are let \
                 in; add a `StringEquals` condition on `{provider}:aud`"
            ),
        ));
    }
    weaknesses
}

fn of_condition(
    statement: &Statement,
    condition: &Condition,
    providers: &BTreeSet<&str>,
) -> Vec<Weakness> {
    let operator = &condition.operator;
    let place = || statement.place_of(condition);
    let key = ClaimKey::parse(&condition.key);
    let is_about = |claim: &str| providers.iter().any(|provider| key.is(provider, claim));
    let mut weaknesses = Vec::new();
    if operator.over == Over::All && (is_about("aud") || is_about("sub")) {
        weaknesses.push(weakness(
            place(),
            "`ForAllValues` holds also where the claim is missing; leave it out".to_owned(),
        ));
    }
    if operator.is_negated && never_there(&condition.key, providers) {
        weaknesses.push(weakness(
            place(),
            format!(
                "`{}` is never there, and a negated operator holds of what is missing: this condition \
                 keeps nobody out",
                condition.key
            ),
        ));
    }
    let is_claim = ["aud", "sub", "azp", "amr"].into_iter().any(is_about);
    if let (Test::Text(text), true) = (operator.test, is_claim) {
        for wanted in &condition.wanted {
            let what = match text {
                Text::Equals | Text::EqualsIgnoreCase => never_equals(wanted, operator.is_negated),
                Text::Like if operator.is_negated => None,
                Text::Like => open_pattern(wanted, is_about("sub")),
            };
            weaknesses.extend(what.map(|what| weakness(place(), what)));
        }
        if text == Text::EqualsIgnoreCase && is_about("sub") && !operator.is_negated {
            weaknesses.push(weakness(
                place(),
                "case is no matter here, but names that differ by case only are different workspaces; \
                 use `StringEquals`"
                    .to_owned(),
            ));
        }
    }
    weaknesses
}

/// A key that no token of these providers brings along.
fn never_there(key: &str, providers: &BTreeSet<&str>) -> bool {
    let lower = key.to_ascii_lowercase();
    if lower.starts_with("aws:") || lower.starts_with("sts:") {
        return false;
    }
    let key = ClaimKey::parse(key);
    let claims = ["aud", "oaud", "sub", "amr", "azp", "email"];
    !claims
        .into_iter()
        .any(|claim| providers.iter().any(|provider| key.is(provider, claim)))
}

/// A wildcard where it is none.
fn never_equals(wanted: &str, is_negated: bool) -> Option<String> {
    // `${*}` is meant.
    let plain = wanted.replace("${*}", "").replace("${?}", "");
    if !plain.contains('*') {
        return None;
    }
    let (effect, operator) = if is_negated {
        ("keeps nobody out", "StringNotLike")
    } else {
        ("never fits", "StringLike")
    };
    Some(format!(
        "`{wanted}` {effect}: `*` is a plain character in this operator; use `{operator}`"
    ))
}

/// A pattern that reaches further than a name.
fn open_pattern(wanted: &str, is_subject: bool) -> Option<String> {
    if !wanted.is_empty() && wanted.chars().all(|c| c == '*') {
        return Some(format!(
            "`{wanted}` alone fits everything; write what is meant"
        ));
    }
    if !is_subject {
        return None;
    }
    let has_wildcard = |part: &str| part.contains(['*', '?']);
    let parts: Vec<&str> = wanted.split(':').collect();
    let open = parts
        .iter()
        .find(|part| has_wildcard(part) && **part != "*" && !part.contains("${"));
    if let Some(open) = open {
        let name = open.trim_end_matches('*');
        let example = if name.len() < open.len() && !has_wildcard(name) {
            format!(", such as `{name}-x`; end the name with `:`")
        } else {
            "; write the name out".to_owned()
        };
        return Some(format!(
            "`{open}` fits other names as well, and `*` reaches over `:`{example}"
        ));
    }
    let is_any_organization = match parts.as_slice() {
        ["organization", organization, ..] => *organization == "*",
        [first, ..] => *first == "*",
        [] => false,
    };
    is_any_organization.then(|| {
        format!("`{wanted}` lets every organization of this issuer in; name the organization")
    })
}

fn weakness(place: String, what: String) -> Weakness {
    Weakness { place, what }
}
