//! A condition, parsed.

use std::ops::Range;

use crate::policy::Part;

/// A parsed condition.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    And(Box<Self>, Box<Self>, Range<usize>),
    Match(Match),
    Not(Box<Self>, Range<usize>),
    Or(Box<Self>, Box<Self>, Range<usize>),
}

/// A comparison of a claim.
#[derive(Clone, Debug)]
pub(super) struct Match {
    /// `jwt_claims`, and what is in it.
    pub(super) path: Vec<String>,
    pub(super) operator: Operator,
    /// Nothing for `is empty`.
    pub(super) value: Option<String>,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    /// Also `contains`, with the sides changed.
    In,
    NotIn,
    IsEmpty,
    IsNotEmpty,
    Matches,
    NotMatches,
}

impl Expression {
    /// Where it stands in the text.
    pub(super) fn span(&self) -> Range<usize> {
        match self {
            Self::And(_, _, span) | Self::Not(_, span) | Self::Or(_, _, span) => span.clone(),
            Self::Match(one) => one.span.clone(),
        }
    }

    /// The parts that `and` joins, all of which must hold.
    pub(super) fn conjuncts(&self) -> Vec<&Self> {
        match self {
            Self::And(left, right, _) => {
                let mut parts = left.conjuncts();
                parts.extend(right.conjuncts());
                parts
            }
            other => vec![other],
        }
    }

    /// All comparisons that count as they stand, so not those under a `not`.
    pub(super) fn matches(&self) -> Vec<&Match> {
        match self {
            Self::And(left, right, _) | Self::Or(left, right, _) => {
                let mut matches = left.matches();
                matches.extend(right.matches());
                matches
            }
            Self::Match(one) => vec![one],
            Self::Not(..) => Vec::new(),
        }
    }
}

impl Match {
    /// What it is about.
    pub(super) fn part(&self) -> Part {
        match self.path.get(1).map(String::as_str) {
            Some("sub") => Part::Subject,
            Some("aud") => Part::Audience,
            Some("iss") => Part::Issuer,
            Some(claim) => Part::Claim(claim.to_owned()),
            None => Part::Expression,
        }
    }
}

impl Operator {
    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::In => "contains",
            Self::NotIn => "not contains",
            Self::IsEmpty => "is empty",
            Self::IsNotEmpty => "is not empty",
            Self::Matches => "matches",
            Self::NotMatches => "not matches",
        }
    }

    /// Whether it says what a claim is, not what it is not.
    pub(super) fn is_positive(self) -> bool {
        matches!(self, Self::Equal | Self::In | Self::Matches)
    }
}
