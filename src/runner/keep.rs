//! The clockwork: gives a session its turns when they are due.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::clock::Clock;

/// Whoever tells a person.
pub type Say<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// A machine that slept, or whose clock was set, is noticed after as long.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Keeps a session fresh until `stop`; `after` sees it after each turn.
pub async fn keep(
    session: &mut Session,
    clock: &Clock,
    stop: &CancellationToken,
    say: Say<'_>,
    mut after: impl FnMut(&mut Session) + Send,
) {
    loop {
        let now = clock.now();
        // An end is nothing to be done, and something to be seen.
        let next = session.next_at().min(session.next_end(now));
        let wait = next.after(now).min(LONGEST_WAIT);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
        for notice in session.turn(clock.now(), stop).await {
            say(&notice);
        }
        after(session);
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
    tokio::join!(timer, keep(session, clock, &over, say, |_| {}));
}
