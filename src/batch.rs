//! Batches: what waits at one moment is dealt with together, and meanwhile the next ones gather.

use std::future::poll_fn;
use std::task::Poll;

use tokio::sync::mpsc;

/// Waits for something to do and takes all that waits, `most` at most; how many there are, 0 when nothing
/// more will come. Nobody waits for a timer: whatever can run before, runs, and may add to the batch.
pub async fn gather<T>(waiting: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, most: usize) -> usize {
    let Some(first) = waiting.recv().await else {
        return 0;
    };
    batch.push(first);
    last_in_line().await;
    while batch.len() < most
        && let Ok(next) = waiting.try_recv()
    {
        batch.push(next);
    }
    batch.len()
}

/// Waits until, as a rule, all has had its turn that can run on this thread now. A task that is woken runs
/// next, before those that are about to add to its work; one that yields runs after a look at the sockets,
/// which may be long before they have all run. One that wakes itself goes to the end of the line.
async fn last_in_line() {
    let mut is_in_line = false;
    poll_fn(|context| {
        if is_in_line {
            return Poll::Ready(());
        }
        is_in_line = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_waits_is_taken_in_order_and_no_more_than_allowed() {
        let (sender, mut receiver) = mpsc::channel(100);
        for number in 0..100 {
            sender.try_send(number).unwrap();
        }
        drop(sender);
        let (mut batch, mut sizes, mut all) = (Vec::new(), Vec::new(), Vec::new());
        while gather(&mut receiver, &mut batch, 40).await > 0 {
            sizes.push(batch.len());
            all.append(&mut batch);
        }
        assert_eq!(sizes, [40, 40, 20]);
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    /// A task that is woken has a place of its own, and is run before all that wait for a turn.
    #[test]
    fn who_can_run_adds_to_the_batch_first() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            // A look at the sockets before each turn, after which whoever yields would run.
            .event_interval(1)
            .build()
            .unwrap();
        let on_the_worker = runtime.spawn(async {
            let (sender, mut receiver) = mpsc::channel(8);
            for number in 0..8 {
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(number).await });
            }
            let mut batch = Vec::new();
            gather(&mut receiver, &mut batch, 8).await
        });
        assert_eq!(runtime.block_on(on_the_worker).unwrap(), 8);
    }
}
