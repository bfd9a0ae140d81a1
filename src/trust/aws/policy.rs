//! The trust policy.

use serde_json::{Value, json};

use crate::trust::SubjectPattern;

/// Who may assume the role: tokens of this provider, for this audience, with one of these subjects.
pub(super) fn trust_policy(
    provider_arn: &str,
    provider: &str,
    audience: &str,
    patterns: &[SubjectPattern],
    session_tags: bool,
) -> Value {
    let subject = format!("{provider}:sub");
    let mut condition = json!({"StringEquals": {format!("{provider}:aud"): audience}});
    if let Some(subjects) = exact(patterns) {
        condition["StringEquals"][subject] = one_or_list(subjects);
    } else {
        let globs = patterns.iter().map(SubjectPattern::glob).collect();
        condition["StringLike"] = json!({subject: one_or_list(globs)});
    }
    let action = if session_tags {
        json!(["sts:AssumeRoleWithWebIdentity", "sts:TagSession"])
    } else {
        json!("sts:AssumeRoleWithWebIdentity")
    };
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": action,
            "Condition": condition,
        }],
    })
}

/// The subjects, if each pattern stands for one.
fn exact(patterns: &[SubjectPattern]) -> Option<Vec<String>> {
    let subjects = patterns.iter().map(|pattern| {
        pattern.phase?;
        pattern.subjects()?.pop()
    });
    subjects.collect()
}

/// Each once; one needs no list.
fn one_or_list(mut texts: Vec<String>) -> Value {
    let mut seen = std::collections::BTreeSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    match texts.as_slice() {
        [only] => json!(only),
        several => json!(several),
    }
}
