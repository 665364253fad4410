//! What the stream brought, counted.

use crate::metrics::TaskMetrics;

/// Counts between two reports: adding to a metric is an atomic operation, and rows are many.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) creates: u64,
    pub(super) updates: u64,
    pub(super) deletes: u64,
    pub(super) truncates: u64,
    pub(super) messages: u64,
    pub(super) filtered: u64,
    pub(super) unchanged: u64,
    pub(super) transactions: u64,
}

impl Tallies {
    /// Adds what was counted to the metrics.
    pub(super) fn report(self, metrics: &TaskMetrics) {
        metrics.create_events.inc_by(self.creates);
        metrics.update_events.inc_by(self.updates);
        metrics.delete_events.inc_by(self.deletes);
        metrics.truncate_events.inc_by(self.truncates);
        metrics.events_filtered.inc_by(self.filtered);
        metrics.events_unchanged.inc_by(self.unchanged);
        metrics.committed_transactions.inc_by(self.transactions);
        let seen = self.creates + self.updates + self.deletes + self.truncates + self.messages;
        metrics.events_seen.inc_by(seen);
    }
}
