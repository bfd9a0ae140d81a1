//! How often somebody may do something: a table of token buckets that never grows past its bound.
//!
//! `governor`, which is the usual crate, does not fit: it cannot look without taking, its table has no
//! bound of its own, and its clock is not an argument. What is hard, a bounded table for many threads,
//! is `quick_cache`'s; the bucket itself is one number.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use crate::domain::time::Timestamp;

/// As many are remembered at most, some megabytes. Those who were seen once are forgotten before those
/// who come again and again, so a crowd of addresses does not wash an offender out.
pub(super) const REMEMBERED: usize = 65_536;

/// Buckets of one size, one for each key.
#[derive(Debug)]
pub(super) struct Rates<K: Eq + Hash> {
    rate: Rate,
    buckets: Cache<K, Arc<Bucket>>,
}

/// How fast a bucket is filled and how much it holds, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// From one piece to the next.
    interval: i64,
    /// Of a full bucket until it is empty: what may be taken at once.
    burst: i64,
}

/// When the bucket is full again, in nanoseconds since 1970 (GCRA's theoretical arrival time).
#[derive(Debug, Default)]
struct Bucket(AtomicI64);

const SECOND: i64 = 1_000_000_000;

impl<K: Eq + Hash> Rates<K> {
    /// Lets `count` pass in `seconds`, all of them at once if need be. `None` for 0: no limit.
    pub(super) fn new(count: u32, seconds: i64) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let interval = (seconds * SECOND / i64::from(count)).max(1);
        Some(Self {
            rate: Rate {
                interval,
                burst: interval * i64::from(count),
            },
            buckets: Cache::new(REMEMBERED),
        })
    }

    /// Takes one.
    ///
    /// # Errors
    /// Nothing is left; in how many seconds there will be something.
    pub(super) fn take<Q>(&self, key: &Q, now: Timestamp) -> Result<(), u32>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        let Ok(bucket) = self
            .buckets
            .get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default()));
        bucket.take(self.rate, now)
    }

    /// As [`Self::take`], but takes nothing.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) fn look<Q>(&self, key: &Q, now: Timestamp) -> Result<(), u32>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let bucket = self.buckets.get(key);
        bucket.map_or(Ok(()), |bucket| bucket.look(self.rate, now))
    }
}

impl Bucket {
    fn take(&self, rate: Rate, now: Timestamp) -> Result<(), u32> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
                rate.after_one(full_at, now).ok()
            })
            .map(drop)
            .map_err(|full_at| rate.after_one(full_at, now).err().unwrap_or(1))
    }

    fn look(&self, rate: Rate, now: Timestamp) -> Result<(), u32> {
        rate.after_one(self.0.load(Ordering::Relaxed), now)
            .map(drop)
    }
}

impl Rate {
    /// When the bucket is full again once one more is taken; or how many seconds to wait for it.
    fn after_one(self, full_at: i64, now: Timestamp) -> Result<i64, u32> {
        let now = now.0.saturating_mul(SECOND);
        // Never more than empty, also after the clock was set back.
        let taken = full_at.saturating_sub(now).clamp(0, self.burst);
        let missing = taken + self.interval - self.burst;
        if missing <= 0 {
            Ok(now.saturating_add(taken + self.interval))
        } else {
            let seconds = missing / SECOND + i64::from(missing % SECOND != 0);
            Err(u32::try_from(seconds).unwrap_or(u32::MAX))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_400_000);

    fn later(seconds: i64) -> Timestamp {
        Timestamp(NOW.0 + seconds)
    }

    fn taken(rates: &Rates<u64>, key: u64, now: Timestamp) -> usize {
        (0..10_000)
            .take_while(|_| rates.take(&key, now).is_ok())
            .count()
    }

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let rates = Rates::new(120, 60).unwrap();
        assert_eq!(taken(&rates, 1, NOW), 120);
        assert_eq!(rates.look(&1, NOW), Err(1));
        assert_eq!(rates.look(&2, NOW), Ok(()), "another has its own");
        assert_eq!(taken(&rates, 1, later(1)), 2);
        assert_eq!(taken(&rates, 1, later(31)), 60);
        assert_eq!(taken(&rates, 1, later(10_000)), 120, "no more than full");
    }

    #[test]
    fn looking_takes_nothing() {
        let rates = Rates::new(1, 60).unwrap();
        for _ in 0..10 {
            assert_eq!(rates.look(&1, NOW), Ok(()));
        }
        assert_eq!(rates.take(&1, NOW), Ok(()));
        assert_eq!(rates.take(&1, NOW), Err(60));
        assert_eq!(rates.look(&1, later(59)), Err(1));
        assert_eq!(rates.look(&1, later(60)), Ok(()));
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out_for_longer_than_a_bucket_takes() {
        let rates = Rates::new(1, 60).unwrap();
        rates.take(&1, later(86_400)).unwrap();
        assert_eq!(rates.look(&1, NOW), Err(60));
    }

    #[test]
    fn nothing_is_no_limit() {
        assert!(Rates::<u64>::new(0, 60).is_none());
        let fastest = Rates::new(u32::MAX, 1).unwrap();
        assert_eq!(taken(&fastest, 1, NOW), 10_000);
    }

    #[test]
    fn a_million_callers_do_not_grow_the_table_and_do_not_wash_an_offender_out() {
        let rates = Rates::new(2, 60).unwrap();
        for key in 1..=1_000_000 {
            rates.take(&key, NOW).unwrap();
            if key % 1_000 == 0 {
                let _ = rates.take(&0, NOW);
            }
        }
        assert!(rates.buckets.len() <= REMEMBERED, "{}", rates.buckets.len());
        assert!(rates.take(&0, NOW).is_err());
    }
}
