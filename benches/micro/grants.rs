//! Whether a client may ask for what it asks for.

use std::fmt;

use divan::{Bencher, black_box};
use runmint::domain::grant::{Grant, decide};
use serde_json::json;

use crate::run::{AWS, audience, subject};

/// How many grants there are, and which of them matches.
#[derive(Clone, Copy)]
struct Case {
    grants: usize,
    matching: Matching,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Matching {
    First,
    Last,
    None,
}

const CASES: [Case; 8] = [
    case(Matching::First, 1),
    case(Matching::None, 1),
    case(Matching::First, 10),
    case(Matching::Last, 10),
    case(Matching::None, 10),
    case(Matching::First, 100),
    case(Matching::Last, 100),
    case(Matching::None, 100),
];

const fn case(matching: Matching, grants: usize) -> Case {
    Case { grants, matching }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let matching = match self.matching {
            Matching::First => "first",
            Matching::Last => "last",
            Matching::None => "none",
        };
        write!(f, "{matching} of {}", self.grants)
    }
}

#[divan::bench(args = CASES)]
fn matching(bencher: Bencher<'_, '_>, case: Case) {
    let grants: Vec<Grant> = (0..case.grants).map(grant).collect();
    let team = match case.matching {
        Matching::First => 0,
        Matching::Last => case.grants - 1,
        Matching::None => case.grants,
    };
    let subject = subject(&format!("team-{team:03}-net-prod"));
    let audiences = [audience(AWS)];
    let is_allowed = decide(&grants, &subject, &audiences).is_ok();
    assert_eq!(is_allowed, case.matching != Matching::None);
    bencher.bench(|| decide(black_box(&grants), black_box(&subject), &audiences));
}

/// What one team of the same project may do.
fn grant(team: usize) -> Grant {
    serde_json::from_value(json!({
        "organization": "acme", "project": "Default Project",
        "workspace": format!("team-{team:03}-*"),
        "audiences": ["vault.workload.identity", AWS], "max_ttl": 3_600,
    }))
    .unwrap()
}
