//! Bounds how often a line is logged, so that a flood of refusals is not a flood of the log.

use std::sync::{Mutex, PoisonError};

use crate::domain::time::Timestamp;

/// Lets some lines a second pass and counts the others.
#[derive(Debug)]
pub struct Throttle {
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    second: Timestamp,
    lines: u32,
    left_out: u64,
}

impl Throttle {
    /// Lets `per_second` lines pass in each second.
    pub fn new(per_second: u32) -> Self {
        Self {
            per_second,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be logged at `now`; if so, how many were left out since the last one.
    pub fn turn(&self, now: Timestamp) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.second != now {
            state.second = now;
            state.lines = 0;
        }
        if state.lines < self.per_second {
            state.lines += 1;
            Some(std::mem::take(&mut state.left_out))
        } else {
            state.left_out += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_told_by_the_next_line() {
        let throttle = Throttle::new(2);
        let at = |second| {
            (0..5)
                .map(|_| throttle.turn(Timestamp(second)))
                .collect::<Vec<_>>()
        };
        assert_eq!(at(10), [Some(0), Some(0), None, None, None]);
        assert_eq!(at(11), [Some(3), Some(0), None, None, None]);
        // A clock that is set back stops nobody's log.
        assert_eq!(at(4)[0], Some(3));
    }
}
