//! Memory that the sink tasks of a worker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many bytes the sink tasks of a worker may hold together. Who holds more than its part of it
/// gives some back once all together hold too much: so a task with large files makes room for the
/// others, and one with small ones is never asked.
#[derive(Debug)]
pub struct MemoryBudget {
    bytes_max: usize,
    used: AtomicUsize,
    holders: AtomicUsize,
}

/// A budget that nobody set.
const BYTES_MAX_DEFAULT: usize = 96 * 1024 * 1024;

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(BYTES_MAX_DEFAULT)
    }
}

/// Two budgets are equal when they allow as much.
impl PartialEq for MemoryBudget {
    fn eq(&self, other: &Self) -> bool {
        self.bytes_max == other.bytes_max
    }
}

impl Eq for MemoryBudget {}

impl MemoryBudget {
    /// A budget of `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, used: AtomicUsize::new(0), holders: AtomicUsize::new(0) }
    }

    /// A holder that holds nothing yet.
    pub fn share(self: &Arc<Self>) -> MemoryShare {
        self.holders.fetch_add(1, Ordering::Relaxed);
        MemoryShare { budget: Arc::clone(self), held: 0 }
    }
}

/// What one task holds. Gives it back when dropped.
#[derive(Debug)]
pub struct MemoryShare {
    budget: Arc<MemoryBudget>,
    held: usize,
}

impl MemoryShare {
    /// Says how much the holder holds now.
    pub fn hold(&mut self, bytes: usize) {
        let used = &self.budget.used;
        // The sum is only looked at in `must_shrink`; a moment's error costs nothing.
        if self.held < bytes {
            used.fetch_add(bytes - self.held, Ordering::Relaxed);
        } else {
            used.fetch_sub(self.held - bytes, Ordering::Relaxed);
        }
        self.held = bytes;
    }

    /// How much the holder said last that it holds.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Whether the holder has to give some back.
    pub fn must_shrink(&self) -> bool {
        self.budget.bytes_max < self.budget.used.load(Ordering::Relaxed) && self.part() < self.held
    }

    /// What each holder may always keep.
    pub fn part(&self) -> usize {
        self.budget.bytes_max / self.budget.holders.load(Ordering::Relaxed).max(1)
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.hold(0);
        self.budget.holders.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_most_gives_back_when_all_hold_too_much() {
        let budget = Arc::new(MemoryBudget::new(100));
        let (mut large, mut small) = (budget.share(), budget.share());
        large.hold(70);
        small.hold(20);
        assert!(!large.must_shrink(), "90 of 100");
        small.hold(40);
        assert!(large.must_shrink());
        assert!(!small.must_shrink(), "below its half");
        large.hold(60);
        assert!(!large.must_shrink());
        drop(small);
        large.hold(100);
        assert!(!large.must_shrink(), "alone it has all");
        large.hold(101);
        assert!(large.must_shrink());
        drop(large);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }
}
