//! The clockwork: gives a session its turns when they are due.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::clock::Clock;
use crate::domain::time::Timestamp;

/// Whoever tells a person.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A machine that slept, or whose clock was set, is noticed after as long.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Keeps a session fresh until `stop`; `after` sees it after each turn, and what time that was.
pub async fn keep(
    session: &mut Session,
    clock: &Clock,
    stop: &CancellationToken,
    say: Say<'_>,
    mut after: impl FnMut(&mut Session, Timestamp) + Send,
) {
    let watch = Watch::start(clock);
    loop {
        let now = watch.now();
        // An end is nothing to be done, and something to be seen.
        let next = session.next_at().min(session.next_end(now));
        let wait = next.after(now).min(LONGEST_WAIT);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        let now = watch.now();
        for notice in session.turn(now, stop).await {
            say(&notice);
        }
        after(session, now);
    }
}

/// Keeps a session fresh for as long.
pub async fn keep_for(time: Duration, session: &mut Session, clock: &Clock, say: Say<'_>) {
    let over = CancellationToken::new();
    let timer = over.clone();
    let timer = async move {
        tokio::time::sleep(time).await;
        timer.cancel();
    };
    tokio::join!(timer, keep(session, clock, &over, say, |_, _| {}));
}

/// Time that never runs slower than it passes: a clock that is set back must not keep a token from
/// being renewed. One that is set forward counts, as does a machine that slept.
struct Watch<'a> {
    clock: &'a Clock,
    started: Instant,
    started_at: Timestamp,
}

impl<'a> Watch<'a> {
    fn start(clock: &'a Clock) -> Self {
        Self {
            clock,
            started: Instant::now(),
            started_at: clock.now(),
        }
    }

    fn now(&self) -> Timestamp {
        let passed = self.started_at + self.started.elapsed();
        self.clock.now().max(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_does_not_turn_time_back() {
        let clock = Clock::manual(Timestamp(1_000));
        let watch = Watch::start(&clock);
        clock.set(Timestamp(2_000));
        assert_eq!(watch.now(), Timestamp(2_000));
        clock.set(Timestamp(400));
        assert!(watch.now() >= Timestamp(1_000));
    }
}
