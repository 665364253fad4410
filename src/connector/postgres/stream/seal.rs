//! Where a batch may be cut: seals at commits, positions of a server that has nothing captured to say,
//! and heartbeats.

use std::time::{Duration, Instant};

use super::watch::completed;
use super::{Filling, StreamDecoder};
use crate::connector::postgres::heartbeat::Heartbeats;
use crate::connector::postgres::incremental::Incremental;
use crate::connector::postgres::lsn::Lsn;
use crate::data::{RecordBatch, Seal};

/// An idle position is stored at most this often,
pub(super) const IDLE_EARLIEST: Duration = Duration::from_secs(10);
/// after this much log,
pub(super) const IDLE_BYTES: u64 = 1024 * 1024;
/// or at the latest after this.
pub(super) const IDLE_LATEST: Duration = Duration::from_secs(60);
/// A server that asks for an answer twice within this is shutting down, and waits for us.
const URGENT: Duration = Duration::from_secs(1);

impl StreamDecoder {
    pub(super) fn seal_commit(&mut self, filling: &mut Filling<'_>) {
        let Some((rows, end, xid, micros)) = filling.sealable.take() else { return };
        let offset = filling.completed(self.offsets.committed(end, Some(xid), micros));
        filling.out.seals.push(Seal { rows, offset });
        self.unsealed_rows = filling.out.rows.len() - rows;
        filling.sealed_rows = rows;
        self.sealed = end;
        self.sealed_at = Instant::now();
    }

    pub(super) fn end_of_chunk(&mut self, filling: &mut Filling<'_>) {
        if !filling.may_seal() {
            return;
        }
        if self.transaction.is_none() && self.heartbeat(filling.out) {
            match filling.sealable {
                Some(_) => {
                    filling.sealable = filling
                        .sealable
                        .map(|(_, end, xid, at)| (filling.out.rows.len(), end, xid, at));
                    self.seal_commit(filling);
                }
                None => self.seal_idle(self.reached, filling),
            }
            return;
        }
        let Some((rows, end, _, _)) = filling.sealable else { return };
        let behind_it = filling.out.rows.len() - rows;
        if self.unsealed_rows > behind_it {
            self.seal_commit(filling);
        } else if self.transaction.is_none() && self.idle_position_due(end) {
            // Transactions without a captured row: an idle position like any other.
            self.seal_commit(filling);
        }
    }

    /// All that was committed before `wal_end` has been handed out.
    pub(super) fn idle(&mut self, wal_end: Lsn, answer: bool, filling: &mut Filling<'_>) {
        self.reached = self.reached.max(wal_end);
        if !filling.may_seal() {
            return;
        }
        if self.heartbeat(filling.out) {
            return self.seal_idle(self.reached, filling);
        }
        let now = Instant::now();
        let asked = if answer { self.asked_at.replace(now) } else { None };
        let urgent = asked.is_some_and(|asked| now - asked < URGENT);
        if self.unsealed_rows > 0 {
            match filling.sealable {
                Some(_) => self.seal_commit(filling),
                // Logical messages outside transactions.
                None => return self.seal_idle(wal_end, filling),
            }
        }
        if wal_end > self.sealed && (urgent || self.idle_position_due(wal_end)) {
            self.seal_idle(wal_end, filling);
        }
    }

    /// Hands out a heartbeat, if one is due.
    fn heartbeat(&mut self, out: &mut RecordBatch) -> bool {
        let Some(heartbeats) = self.heartbeats.as_mut().filter(|beats| beats.due()) else {
            return false;
        };
        out.push_record(heartbeats.beat());
        self.unsealed_rows += 1;
        self.beaten = true;
        true
    }

    /// When the next heartbeat is due that needs no frame of the server; inside a transaction, none
    /// is.
    pub(in crate::connector::postgres) fn heartbeat_due_at(&self) -> Option<Instant> {
        self.transaction.is_none().then(|| self.heartbeats.as_ref().map(Heartbeats::due_at))?
    }

    /// A heartbeat with the position that was reached, into an empty batch.
    pub(in crate::connector::postgres) fn beat(
        &mut self,
        signals: Option<&mut Incremental>,
        out: &mut RecordBatch,
    ) {
        // What a signal holds back is declared behind what it asked for.
        let held = signals.as_ref().is_some_and(|signals| signals.holds_offsets());
        if self.transaction.is_none() && !held && self.heartbeat(out) {
            let offset = self.offsets.committed(self.reached, None, self.last_commit_micros);
            out.seal(completed(signals, offset));
            self.unsealed_rows = 0;
            self.sealed = self.reached;
            self.sealed_at = Instant::now();
        }
    }

    fn idle_position_due(&self, position: Lsn) -> bool {
        let elapsed = self.sealed_at.elapsed();
        let bytes = position.0.saturating_sub(self.sealed.0);
        bytes > 0 && (elapsed >= IDLE_LATEST || elapsed >= IDLE_EARLIEST && bytes >= IDLE_BYTES)
    }

    pub(super) fn seal_idle(&mut self, position: Lsn, filling: &mut Filling<'_>) {
        let offset = self.offsets.committed(position, None, self.last_commit_micros);
        let offset = filling.completed(offset);
        filling.out.seal(offset);
        filling.sealable = None;
        filling.sealed_rows = filling.out.rows.len();
        self.unsealed_rows = 0;
        self.sealed = self.sealed.max(position);
        self.sealed_at = Instant::now();
    }
}
