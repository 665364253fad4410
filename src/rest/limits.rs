//! How often somebody may do something: a bucket of tokens for each, bounded in number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Buckets at once. Whoever comes when there are so many pushes out the fullest ones, which say
/// least.
const BUCKETS_MAX: usize = 10_000;

/// How a bucket fills.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refill {
    /// How much it holds, at first too.
    capacity: f64,
    per_second: f64,
}

impl Refill {
    /// `most` a second, and so many at once.
    pub(super) fn per_second(most: u32) -> Self {
        Self { capacity: f64::from(most), per_second: f64::from(most) }
    }

    /// `most` a minute, and so many at once.
    pub(super) fn per_minute(most: u32) -> Self {
        Self { capacity: f64::from(most), per_second: f64::from(most) / 60.0 }
    }
}

/// The buckets of all.
#[derive(Debug)]
pub(super) struct Limits {
    refill: Refill,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Limits {
    pub(super) fn new(refill: Refill) -> Self {
        Self { refill, buckets: Mutex::default() }
    }

    /// Takes a token of `who`; else the seconds until there is one.
    pub(super) fn take(&self, who: &str) -> Result<(), u64> {
        self.take_at(who, 1.0, Instant::now())
    }

    /// Whether `who` has a token left, which stays.
    pub(super) fn room(&self, who: &str) -> Result<(), u64> {
        self.take_at(who, 0.0, Instant::now())
    }

    fn take_at(&self, who: &str, tokens: f64, now: Instant) -> Result<(), u64> {
        // A map of numbers has no half-done state that a panic could leave.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let Refill { capacity, per_second } = self.refill;
        let filled = |bucket: &Bucket| {
            let since = now.saturating_duration_since(bucket.at);
            (bucket.tokens + since.as_secs_f64() * per_second).min(capacity)
        };
        let held = buckets.get(who).map_or(capacity, filled);
        if held < 1.0 {
            let wait = Duration::from_secs_f64((1.0 - held) / per_second);
            return Err(wait.as_secs() + 1);
        }
        if tokens == 0.0 {
            return Ok(());
        }
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(who) {
            buckets.retain(|_, bucket| filled(bucket) < capacity);
            if buckets.len() >= BUCKETS_MAX {
                buckets.retain(|_, bucket| filled(bucket) < capacity / 2.0);
            }
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        buckets.insert(who.to_owned(), Bucket { tokens: held - tokens, at: now });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let limits = Limits::new(Refill::per_second(2));
        let start = Instant::now();
        let take = |who: &str, after_ms: u64| {
            limits.take_at(who, 1.0, start + Duration::from_millis(after_ms))
        };
        assert_eq!((take("a", 0), take("a", 0), take("a", 0)), (Ok(()), Ok(()), Err(1)));
        assert_eq!(take("b", 0), Ok(()), "another one's is full");
        assert_eq!(take("a", 400), Err(1));
        assert_eq!(take("a", 500), Ok(()));
        assert_eq!((take("a", 9000), take("a", 9000), take("a", 9000)), (Ok(()), Ok(()), Err(1)));
        let slow = Limits::new(Refill::per_minute(1));
        assert_eq!(slow.take_at("a", 1.0, start), Ok(()));
        assert_eq!(slow.take_at("a", 0.0, start), Err(61));
    }

    #[test]
    fn the_number_of_buckets_is_bounded() {
        let limits = Limits::new(Refill::per_minute(1));
        for number in 0..3 * BUCKETS_MAX {
            assert_eq!(limits.take(&number.to_string()), Ok(()));
        }
        assert!(limits.buckets.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
