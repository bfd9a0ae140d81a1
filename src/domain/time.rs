//! Points in time, as a JWT writes them.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whole seconds since 1970-01-01T00:00:00Z (RFC 7519 section 2, `NumericDate` without fraction).
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Deserialize,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    Serialize,
    ToSchema,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Seconds from `earlier` until this time; negative when `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads what [`fmt::Display`] writes, and what clouds and Kubernetes write in their records
    /// (RFC 3339 in UTC). Fractions of a second are dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let time = humantime::parse_rfc3339(text).ok()?;
        let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self(whole_seconds(since)))
    }

    /// The time from now until this time, zero when it has passed.
    pub fn after(self, now: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.seconds_since(now)).unwrap_or(0))
    }
}

/// 9999-12-31T23:59:59Z
const LAST_OF_9999: i64 = 253_402_300_799;

/// For people: RFC 3339 in UTC. Programs read the integer.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Years have four digits there; what is further away fails, and a failing `Display` panics.
        let seconds = self.0.clamp(0, LAST_OF_9999);
        let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + seconds).fmt(f)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_seconds(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_seconds(duration)))
    }
}

/// A duration in whole seconds, as tokens and the database hold it.
pub fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_rfc_3339() {
        assert_eq!(Timestamp(1_795_290_000).to_string(), "2026-11-21T19:40:00Z");
        for text in ["2026-11-21T19:40:00Z", "2026-11-21T19:40:00.75Z"] {
            assert_eq!(Timestamp::parse(text), Some(Timestamp(1_795_290_000)));
        }
        for text in ["", "2026-11-21", "2026-11-21T19:40:00+01:00", "soon"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_has_passed_is_no_time_away() {
        assert_eq!(Timestamp(5).after(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).after(Timestamp(5)), Duration::from_secs(4));
    }
}
