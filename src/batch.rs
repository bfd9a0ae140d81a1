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
