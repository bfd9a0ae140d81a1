//! Batches: what waits at one moment is dealt with together, and meanwhile the next ones gather.

use tokio::sync::mpsc;

/// Waits for something to do and takes all that waits, `most` at most; how many there are, 0 when nothing
/// more will come. Nobody waits for a timer: whatever can run before, runs, and may add to the batch.
pub async fn gather<T>(waiting: &mut mpsc::Receiver<T>, batch: &mut Vec<T>, most: usize) -> usize {
    let Some(first) = waiting.recv().await else {
        return 0;
    };
    batch.push(first);
    // A task that is woken runs next, before those that are about to add to its work.
    tokio::task::yield_now().await;
    while batch.len() < most
        && let Ok(next) = waiting.try_recv()
    {
        batch.push(next);
    }
    batch.len()
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
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn who_can_run_adds_to_the_batch_first() {
        let on_the_worker = tokio::spawn(async {
            let (sender, mut receiver) = mpsc::channel(8);
            for number in 0..8 {
                let sender = sender.clone();
                tokio::spawn(async move { sender.send(number).await });
            }
            let mut batch = Vec::new();
            gather(&mut receiver, &mut batch, 8).await
        });
        assert_eq!(on_the_worker.await.unwrap(), 8);
    }
}
