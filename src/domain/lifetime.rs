//! How long tokens live.

use std::time::Duration;

use super::InvalidField;
use super::phase::Phase;
use super::subject::{Subject, SubjectForm};
use super::time::{Timestamp, whole_seconds};

/// No token lives longer: AWS and GCP refuse older ones.
pub const MAX_LIFETIME: Duration = Duration::from_hours(24);

/// HCP Terraform's bounds for a module test.
const MODULE_TEST_LIFETIME: (Duration, Duration) =
    (Duration::from_mins(5), Duration::from_mins(30));

/// How long tokens live unless a run, a grant or a caller says less.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// When the caller asks for nothing.
    pub default: Duration,
    /// At most, while planning.
    pub plan: Duration,
    /// At most, while applying.
    pub apply: Duration,
    /// Of a module test, when the caller asks for nothing.
    pub module_test: Duration,
}

impl Lifetimes {
    /// The longest life of a token with this subject.
    pub fn longest(&self, form: SubjectForm, phase: Phase) -> Duration {
        let longest = match (form, phase) {
            (SubjectForm::ModuleTest, _) => MODULE_TEST_LIFETIME.1,
            (_, Phase::Plan) => self.plan,
            (_, Phase::Apply) => self.apply,
        };
        longest.min(MAX_LIFETIME)
    }

    /// When a token minted at `now` expires: what was asked for, within what the phase and the
    /// `limits` (a grant's, a run's deadline) allow.
    ///
    /// # Errors
    /// Names `ttl` when it is not positive.
    pub fn expiry(
        &self,
        subject: &Subject,
        asked: Option<i64>,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Timestamp, InvalidField> {
        let form = subject.form();
        let default = match form {
            SubjectForm::ModuleTest => self.module_test,
            _ => self.default,
        };
        check_asked(asked)?;
        let asked = match asked {
            Some(seconds) if form == SubjectForm::ModuleTest => {
                seconds.max(whole_seconds(MODULE_TEST_LIFETIME.0))
            }
            Some(seconds) => seconds,
            None => whole_seconds(default),
        };
        let seconds = asked
            .min(whole_seconds(self.longest(form, subject.phase())))
            .min(limits.max_ttl.unwrap_or(i64::MAX));
        let expiry = Timestamp(now.0.saturating_add(seconds));
        Ok(limits
            .deadline
            .map_or(expiry, |deadline| expiry.min(deadline)))
    }
}

/// Checks a life that is asked for, in seconds.
///
/// # Errors
/// Names `ttl` when it is not positive.
pub fn check_asked(ttl: Option<i64>) -> Result<(), InvalidField> {
    match ttl {
        Some(seconds) if seconds < 1 => {
            Err(InvalidField::new("ttl", "must be at least one second"))
        }
        _ => Ok(()),
    }
}

/// What shortens a token's life besides its phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// A grant's `max_ttl`, in seconds.
    pub max_ttl: Option<i64>,
    /// The run's deadline.
    pub deadline: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_what_was_asked_within_phase_grant_and_deadline() {
        let lifetimes = Lifetimes {
            default: Duration::from_hours(1),
            plan: Duration::from_hours(2),
            apply: Duration::from_hours(24),
            module_test: Duration::from_mins(10),
        };
        let life = |subject: &str, asked, max_ttl, deadline: Option<i64>| {
            let limits = Limits {
                max_ttl,
                deadline: deadline.map(Timestamp),
            };
            lifetimes
                .expiry(&subject.parse().unwrap(), asked, limits, Timestamp(0))
                .map(|expiry| expiry.0)
        };
        let plan = "organization:o:project:p:workspace:w:run_phase:plan";
        let apply = "organization:o:project:p:workspace:w:run_phase:apply";
        let test = "organization:o:module:m:operation:test_run";
        assert_eq!(life(plan, None, None, None), Ok(3_600));
        assert_eq!(life(plan, Some(99_999), None, None), Ok(7_200));
        assert_eq!(life(apply, Some(999_999), None, None), Ok(86_400));
        assert_eq!(life(apply, Some(600), Some(300), None), Ok(300));
        assert_eq!(life(apply, Some(600), Some(300), Some(60)), Ok(60));
        assert_eq!(life(test, None, None, None), Ok(600));
        assert_eq!(life(test, Some(60), None, None), Ok(300));
        assert_eq!(life(test, Some(9_999), None, None), Ok(1_800));
        assert_eq!(life(plan, Some(0), None, None).unwrap_err().field, "ttl");
    }
}
