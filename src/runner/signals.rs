//! The signals that this process gets on behalf of its child.
//!
//! Only what a process has sent is meant to be passed on. What a terminal sends (Ctrl-C, its end)
//! goes to all of the foreground's process group, so the child has it already, and a second
//! interrupt makes terraform stop at once instead of in good order. Whoever signals the whole group
//! by hand (`kill -INT -PGID`) cannot be told from one who means this process alone: the child gets
//! that twice.
//!
//! Stopping and going on (TSTP, CONT) and the window's size (WINCH) are left as they are: a terminal
//! and a shell tell the whole group.

use std::io;

use nix::sys::signal::Signal;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::exfiltrator::origin::Origin;
use signal_hook::iterator::{Handle, SignalsInfo};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Signals as they come in. Those that have been caught and not taken are kept.
pub struct Signals {
    received: UnboundedReceiver<Signal>,
    /// Those of the terminal.
    from_terminal: UnboundedReceiver<Signal>,
    /// Nothing is caught where they come from a channel.
    catching: Option<Handle>,
}

/// What ends a process, or tells it something.
const PASSED_ON: [Signal; 6] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

impl Signals {
    /// Catches them from here on: before the child starts, so that none is lost. A signal that this
    /// process was started to ignore (by `nohup`, or with a shell's `&`) stays ignored, here and in
    /// the child.
    ///
    /// Once this is dropped they do nothing: a process that has caught them does not go back to being
    /// ended by them.
    ///
    /// # Errors
    /// The system's, if they cannot be caught.
    pub fn catch() -> io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored(&status);
        let heeded = PASSED_ON.into_iter();
        Self::catch_all(heeded.filter(|signal| ignored & bit(*signal) == 0))
    }

    fn catch_all(signals: impl Iterator<Item = Signal>) -> io::Result<Self> {
        let mut caught = SignalsInfo::<WithOrigin>::new(signals.map(|signal| signal as i32))?;
        let catching = Some(caught.handle());
        let (sender, received) = unbounded_channel();
        let (terminal, from_terminal) = unbounded_channel();
        let pass_on = move || {
            for origin in caught.forever() {
                let Ok(signal) = Signal::try_from(origin.signal) else {
                    continue;
                };
                let heard = if is_sent(&origin) { &sender } else { &terminal };
                if heard.send(signal).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(pass_on)?;
        Ok(Self {
            received,
            from_terminal,
            catching,
        })
    }

    /// Signals that are sent by hand; this process's own are left alone.
    pub fn by_hand() -> (UnboundedSender<Signal>, Self) {
        let (sender, received) = unbounded_channel();
        let (_, from_terminal) = unbounded_channel();
        let signals = Self {
            received,
            from_terminal,
            catching: None,
        };
        (sender, signals)
    }

    /// The next one that a process has sent; waits for ever if there is none. Nothing is lost if it
    /// is dropped while it waits.
    pub async fn next(&mut self) -> Signal {
        next_of(&mut self.received).await
    }

    /// The next one, whoever it is from: while there is no child, a Ctrl-C is for this process.
    pub async fn next_of_any(&mut self) -> Signal {
        tokio::select! {
            signal = next_of(&mut self.received) => signal,
            signal = next_of(&mut self.from_terminal) => signal,
        }
    }

    /// Forgets those that have come.
    pub fn forget(&mut self) {
        while self.received.try_recv().is_ok() || self.from_terminal.try_recv().is_ok() {}
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        if let Some(catching) = &self.catching {
            catching.close();
        }
    }
}

/// A signal that a process has sent tells which; the kernel's own, the terminal's among them, does
/// not. (Linux also says so in `si_code`, as `SI_KERNEL`; macOS does not.)
fn is_sent(origin: &Origin) -> bool {
    origin.process.is_some()
}

async fn next_of(received: &mut UnboundedReceiver<Signal>) -> Signal {
    match received.recv().await {
        Some(signal) => signal,
        None => std::future::pending().await,
    }
}

/// The set of ignored signals in Linux's `/proc/[pid]/status` (proc(5)): bit n - 1 for signal n.
fn ignored(status: &str) -> u64 {
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as i32 - 1)
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;
    use nix::unistd::alarm;
    use tokio::signal::unix::SignalKind;

    use super::*;

    #[tokio::test]
    async fn what_a_process_sends_is_passed_on_and_what_the_kernel_sends_is_not() {
        let both = [Signal::SIGUSR2, Signal::SIGALRM].into_iter();
        let mut signals = Signals::catch_all(both).unwrap();
        raise(Signal::SIGUSR2).unwrap();
        assert_eq!(signals.next().await, Signal::SIGUSR2);
        raise(Signal::SIGALRM).unwrap();
        assert_eq!(signals.next().await, Signal::SIGALRM);

        // The kernel sends this one, as it does for a terminal.
        let mut alarm = tokio::signal::unix::signal(SignalKind::alarm()).unwrap();
        alarm::set(1);
        alarm.recv().await;
        // What comes after it shows that it was passed over, in whichever order both are taken.
        for _ in 0..2 {
            raise(Signal::SIGUSR2).unwrap();
            assert_eq!(signals.next().await, Signal::SIGUSR2);
        }
    }

    #[tokio::test]
    async fn one_that_came_before_anyone_asked_is_kept() {
        let (sender, mut signals) = Signals::by_hand();
        sender.send(Signal::SIGTERM).unwrap();
        drop(sender);
        assert_eq!(signals.next().await, Signal::SIGTERM);
        let another = tokio::time::timeout(std::time::Duration::ZERO, signals.next());
        assert!(another.await.is_err(), "no sender is no signal");
    }

    #[test]
    fn signals_that_nohup_and_shells_ignore_are_known() {
        let status = "Name:\tsh\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000007\n";
        let [hangup, interrupt, quit] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT].map(bit);
        assert_eq!(ignored(status), hangup | interrupt | quit);
        assert_eq!(ignored(""), 0);
    }
}
