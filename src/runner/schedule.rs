//! When what is kept is renewed. Pure: lifetimes in, times out.

use crate::domain::time::Timestamp;

/// Where something kept stands in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// When it ends, by this machine's clock.
    pub expires_at: Timestamp,
    /// When it is renewed, or that is tried again.
    pub due_at: Timestamp,
    /// How often in a row that has failed.
    failures: u32,
    /// Whether one of these was after its end.
    has_failed_ended: bool,
}

/// Which of several failures in a row it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The first, while it still lives.
    First,
    /// The first after its end.
    Ended,
    /// One more.
    Further,
}

/// Never, for whatever does not end or cannot be renewed.
pub const NEVER: Timestamp = Timestamp(i64::MAX);

/// Renewed at 80 % of its life (as kubelet renews projected tokens), up to a tenth of its life
/// sooner by chance: a thousand runs that began together do not ask together.
const RENEW_AT: f64 = 0.8;
const JITTER: f64 = 0.1;

/// The longest pause between two attempts, in seconds.
const LONGEST_PAUSE: i64 = 30;

impl Schedule {
    /// Something that came at `now` and lives for `lifetime` seconds. `chance` is from 0 to 1.
    pub fn new(now: Timestamp, lifetime: i64, chance: f64) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "a share of a lifetime, to the second"
        )]
        let after = ((RENEW_AT - JITTER * chance.clamp(0.0, 1.0)) * lifetime as f64) as i64;
        Self {
            expires_at: Timestamp(now.0.saturating_add(lifetime)),
            // Whole seconds: what lives for one or two is renewed after one.
            due_at: Timestamp(now.0.saturating_add(after.max(1))),
            failures: 0,
            has_failed_ended: false,
        }
    }

    /// Something that does not end.
    pub fn endless() -> Self {
        Self {
            expires_at: NEVER,
            due_at: NEVER,
            failures: 0,
            has_failed_ended: false,
        }
    }

    /// The same, never renewed.
    #[must_use]
    pub fn as_it_is(self) -> Self {
        Self {
            due_at: NEVER,
            ..self
        }
    }

    /// Whether it is to be renewed now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.due_at <= now
    }

    /// Whether it is worth nothing any more.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// Renewing it has failed: tried again after 1, 2, 4 … seconds, and more often rather than less
    /// when its end is near. Answers which failure it is.
    pub fn failed(&mut self, now: Timestamp) -> Failure {
        let failure = match (self.has_ended(now), self.has_failed_ended, self.failures) {
            (true, false, _) => Failure::Ended,
            (false, _, 0) => Failure::First,
            _ => Failure::Further,
        };
        self.has_failed_ended |= failure == Failure::Ended;
        let pause = 1_i64 << self.failures.min(5);
        self.failures = self.failures.saturating_add(1);
        let left = self.expires_at.seconds_since(now);
        let pause = pause.min(LONGEST_PAUSE);
        let pause = if left > 0 { pause.min(left / 4) } else { pause };
        self.due_at = Timestamp(now.0.saturating_add(pause.max(1)));
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    #[test]
    fn it_is_renewed_at_four_fifths_of_its_life_or_a_little_sooner() {
        for (lifetime, chance, due) in [
            (3_600, 0.0, 2_880),
            (3_600, 1.0, 2_520),
            (3_600, 0.5, 2_700),
            (10, 0.0, 8),
            (2, 0.0, 1),
            (1, 1.0, 1),
            (0, 0.0, 1),
        ] {
            let schedule = Schedule::new(NOW, lifetime, chance);
            assert_eq!(schedule.due_at.0 - NOW.0, due, "{lifetime} {chance}");
            assert!(!schedule.is_due(Timestamp(NOW.0 + due - 1)));
            assert!(schedule.is_due(Timestamp(NOW.0 + due)));
        }
    }

    #[test]
    fn a_failure_is_tried_again_soon_and_sooner_towards_the_end() {
        let mut schedule = Schedule::new(NOW, 3_600, 0.0);
        let mut now = schedule.due_at;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            schedule.failed(now);
            pauses.push(schedule.due_at.seconds_since(now));
            now = schedule.due_at;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
        let mut near = Schedule::new(NOW, 100, 0.0);
        for _ in 0..6 {
            near.failed(Timestamp(NOW.0 + 92));
        }
        assert_eq!(near.due_at.0, NOW.0 + 94);
        // What has ended is still asked for: the issuer may come back.
        near.failed(Timestamp(NOW.0 + 200));
        assert_eq!(near.due_at.0, NOW.0 + 230);
    }

    #[test]
    fn the_first_failure_and_the_end_are_told_from_those_after_them() {
        let mut schedule = Schedule::new(NOW, 100, 0.0);
        let failures = [80, 90, 100, 110].map(|at| schedule.failed(Timestamp(NOW.0 + at)));
        let expected = [
            Failure::First,
            Failure::Further,
            Failure::Ended,
            Failure::Further,
        ];
        assert_eq!(failures, expected);
        let late = Schedule::new(NOW, 100, 0.0).failed(Timestamp(NOW.0 + 100));
        assert_eq!(late, Failure::Ended, "also where there was none before");
    }

    #[test]
    fn what_does_not_end_is_never_due() {
        let endless = Schedule::endless();
        assert!(!endless.is_due(Timestamp(i64::MAX - 1)) && !endless.has_ended(NOW));
        assert!(
            !Schedule::new(NOW, 60, 0.0)
                .as_it_is()
                .is_due(Timestamp(i64::MAX - 1))
        );
    }
}
