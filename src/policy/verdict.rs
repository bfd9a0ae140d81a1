//! What a policy says about a token, condition by condition.

use serde::Serialize;

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// In the end.
    pub decision: Decision,
    /// The conditions that led there, in the order in which the relying party looks at them. Of several
    /// statements, credentials or bindings those of the one that decided; when none did, of the one that
    /// came nearest.
    pub checks: Vec<Check>,
    /// What admits more than it seems to, whatever was decided.
    pub weaknesses: Vec<Weakness>,
}

/// In the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The token is let in.
    Admitted,
    /// It is not.
    Refused,
    /// The policy asks for something that is not known here; a check says what.
    Undecided,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Where it stands, e.g. `Statement[0].Condition.StringLike["ci.example.com:sub"]`.
    pub place: String,
    /// What it is about.
    pub part: Part,
    /// How it compares, in the relying party's words, e.g. `StringLike`.
    pub operator: String,
    /// What it asks for: one of these; or the text of an expression.
    pub wanted: Vec<String>,
    /// What the token has; nothing if it has no such claim.
    pub found: Vec<String>,
    /// Whether it holds.
    pub outcome: Outcome,
    /// Why it does not hold or cannot be said, in a sentence without a full stop. Empty if it holds.
    pub why: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It does.
    Holds,
    /// It does not.
    Fails,
    /// It cannot be said here.
    Unknown,
}

/// What a condition is about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Which call a statement allows (`Action`).
    Action,
    /// `aud`.
    Audience,
    /// Another claim, by its name.
    Claim(String),
    /// An expression over several claims.
    Expression,
    /// `iss`, or which provider a statement is for.
    Issuer,
    /// What a caller is called after the login, and what that name may do (mapping, RBAC, bindings).
    Identity,
    /// `sub`.
    Subject,
}

/// A change of a policy.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Change {
    /// Where, e.g. `Statement[0].Condition.StringLike["ci.example.com:sub"]`.
    pub place: String,
    /// What to do, in words with the values in them: reads as an instruction.
    pub what: String,
    /// What stands there now; nothing if something is added.
    pub before: Option<String>,
    /// What is to stand there.
    pub after: String,
}

/// What admits more than it seems to.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Weakness {
    /// Where.
    pub place: String,
    /// What it admits and what to write instead, in a sentence without a full stop.
    pub what: String,
}

impl Verdict {
    /// The verdict of conditions that must all hold: refused if one fails, else undecided if one is
    /// unknown.
    pub fn of(checks: Vec<Check>) -> Self {
        let has = |outcome| checks.iter().any(|check| check.outcome == outcome);
        let decision = if has(Outcome::Fails) {
            Decision::Refused
        } else if has(Outcome::Unknown) {
            Decision::Undecided
        } else {
            Decision::Admitted
        };
        Self {
            decision,
            checks,
            weaknesses: Vec::new(),
        }
    }

    /// Whether the token is let in.
    pub fn admits(&self) -> bool {
        self.decision == Decision::Admitted
    }

    /// The first condition that fails; where none does, the first that cannot be said.
    pub fn first_failure(&self) -> Option<&Check> {
        let first = |outcome| self.checks.iter().find(|check| check.outcome == outcome);
        first(Outcome::Fails).or_else(|| first(Outcome::Unknown))
    }
}

impl Change {
    /// Several changes as one; nothing if there are none.
    pub(super) fn together(changes: &[Self]) -> Option<Self> {
        let join = |of: fn(&Self) -> Option<&String>, between: &str| {
            let texts: Vec<&str> = changes.iter().filter_map(of).map(String::as_str).collect();
            (!texts.is_empty()).then(|| texts.join(between))
        };
        Some(Self {
            place: join(|change| Some(&change.place), ", ")?,
            what: join(|change| Some(&change.what), "; ")?,
            before: join(|change| change.before.as_ref(), "\n"),
            after: join(|change| Some(&change.after), "\n")?,
        })
    }
}

impl Check {
    /// A condition that holds.
    pub fn holds(place: impl Into<String>, part: Part, operator: &str) -> Self {
        Self {
            place: place.into(),
            part,
            operator: operator.to_owned(),
            wanted: Vec::new(),
            found: Vec::new(),
            outcome: Outcome::Holds,
            why: String::new(),
        }
    }

    /// A condition that holds or does not; `why` is kept if it does not.
    pub fn new(
        place: impl Into<String>,
        part: Part,
        operator: &str,
        holds: bool,
        why: impl Into<String>,
    ) -> Self {
        let check = Self::holds(place, part, operator);
        if holds {
            return check;
        }
        Self {
            outcome: Outcome::Fails,
            why: why.into(),
            ..check
        }
    }

    /// A condition that cannot be said.
    pub fn unknown(
        place: impl Into<String>,
        part: Part,
        operator: &str,
        why: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::Unknown,
            why: why.into(),
            ..Self::holds(place, part, operator)
        }
    }

    /// With what it asks for.
    #[must_use]
    pub fn wanting(mut self, wanted: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.wanted = wanted.into_iter().map(Into::into).collect();
        self
    }

    /// With what the token has.
    #[must_use]
    pub fn finding(mut self, found: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.found = found.into_iter().map(Into::into).collect();
        self
    }
}
