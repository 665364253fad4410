//! Where a source says itself that its transactions end (KIP-618, `TransactionContext`).

use std::sync::{Mutex, PoisonError};

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEnd {
    Commit,
    /// Its records are never read by anybody; their offsets are stored all the same, so that the
    /// source does not hand them out again.
    Abort,
}

/// What a task asked for in one poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionEnds {
    /// Behind the whole batch.
    pub batch: Option<TransactionEnd>,
    /// Behind so many rows of the batch, ascending.
    pub rows: Vec<(usize, TransactionEnd)>,
}

/// A task's hand on its transactions, with `transaction.boundary=connector`. What is asked for counts
/// for the batch of the present poll. A transaction can end only where an offset seals the batch.
#[derive(Debug, Default)]
pub struct TransactionContext {
    asked: Mutex<TransactionEnds>,
}

impl TransactionContext {
    /// Ends the transaction behind the batch.
    pub fn end_batch(&self, end: TransactionEnd) {
        self.with(|asked| asked.batch = Some(end));
    }

    /// Ends the transaction behind the first `rows` rows of the batch.
    pub fn end_after(&self, rows: usize, end: TransactionEnd) {
        self.with(|asked| asked.rows.push((rows, end)));
    }

    /// Takes what was asked for.
    pub fn take(&self) -> TransactionEnds {
        self.with(std::mem::take)
    }

    fn with<T>(&self, change: impl FnOnce(&mut TransactionEnds) -> T) -> T {
        // A list has no half-done state that a panic could leave.
        change(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
