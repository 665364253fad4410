//! What readers read, put in the order that records need: which row is the first and which the last of
//! its table and of the snapshot, and how far the snapshot has come behind each batch. Pure.
//!
//! Whether a batch is a table's last is known only when the next one comes or the table ends, so one
//! batch per table that is being read is kept back.

use std::sync::Arc;

use bytes::Bytes;

use crate::connector::postgres::offset::{Offsets, SnapshotPoint};
use crate::connector::postgres::snapshot::plan::{Part, Plan};
use crate::connector::postgres::snapshot::progress::Progress;
use crate::connector::postgres::snapshot::rows::{ReadTable, SnapshotChunk};
use crate::data::SourceOffset;

/// What a reader has to say.
#[derive(Debug)]
pub(super) enum Read {
    /// The first rows of the table of this number come.
    TableBegins(usize),
    /// Rows of the table of this number.
    Rows { table: usize, shape: Arc<ReadTable>, bytes: Bytes, rows: usize },
    /// All rows of the chunk of this number have been given.
    ChunkEnd(usize),
}

/// What goes to the poll.
#[derive(Debug)]
pub(super) enum Given {
    Rows(SnapshotChunk),
    /// Something was read in which there were no rows.
    At(SourceOffset),
}

/// Decides what goes to the poll, and when.
#[derive(Debug)]
pub(super) struct Handover {
    plan: Arc<Plan>,
    offsets: Offsets,
    /// Where streaming starts behind the snapshot.
    point: SnapshotPoint,
    progress: Progress,
    /// Behind what was given.
    offset: SourceOffset,
    tables: Vec<TableState>,
    any_rows: bool,
    held: Vec<Held>,
}

#[derive(Debug)]
struct TableState {
    chunks_left: usize,
    any_rows: bool,
}

/// A batch that may be the last of its table.
#[derive(Debug)]
struct Held {
    table: usize,
    shape: Arc<ReadTable>,
    bytes: Bytes,
    rows: usize,
    /// Chunks that end with it.
    ends: Vec<usize>,
    last_of_table: bool,
}

impl Handover {
    pub(super) fn new(
        plan: Arc<Plan>,
        offsets: Offsets,
        point: SnapshotPoint,
        progress: Progress,
    ) -> Self {
        let state = |table: &super::plan::PlannedTable| TableState {
            chunks_left: table.chunks,
            any_rows: table.begun,
        };
        Self {
            tables: plan.tables.iter().map(state).collect(),
            plan,
            offset: offsets.interrupted(point, &progress.text()),
            offsets,
            point,
            any_rows: !progress.is_empty(),
            progress,
            held: Vec::new(),
        }
    }

    /// The offset behind everything that was given.
    pub(super) fn offset(&self) -> &SourceOffset {
        &self.offset
    }

    /// Whether everything of the table of this number has been given.
    pub(super) fn is_read(&self, table: usize) -> bool {
        self.tables.get(table).is_some_and(|table| table.chunks_left == 0)
    }

    /// How many tables are not finished.
    pub(super) fn tables_left(&self) -> usize {
        self.tables.iter().filter(|table| table.chunks_left > 0).count()
    }

    /// Takes what a reader has read, and gives what may go on to the poll now.
    pub(super) fn take(&mut self, read: Read) -> Vec<Given> {
        match read {
            Read::Rows { table, shape, bytes, rows } => {
                let released = self.release(|held| held.table == table || held.last_of_table);
                let held =
                    Held { table, shape, bytes, rows, ends: Vec::new(), last_of_table: false };
                self.held.push(held);
                released
            }
            Read::ChunkEnd(chunk) => self.chunk_ends(chunk),
            Read::TableBegins(_) => Vec::new(),
        }
    }

    /// Everything was read: gives the rest.
    pub(super) fn finish(&mut self) -> Vec<Given> {
        let mut given = self.release(|_| true);
        if let Some(Given::Rows(last)) = given.last_mut() {
            last.last_of_snapshot = true;
        }
        given
    }

    fn chunk_ends(&mut self, chunk: usize) -> Vec<Given> {
        let Some(planned) = self.plan.chunks.get(chunk) else { return Vec::new() };
        let number = planned.table;
        let Some(state) = self.tables.get_mut(number) else { return Vec::new() };
        state.chunks_left = state.chunks_left.saturating_sub(1);
        let ended = state.chunks_left == 0;
        if let Some(held) = self.held.iter_mut().find(|held| held.table == number) {
            held.ends.push(chunk);
            held.last_of_table = ended;
            let others = self.held.len() > 1;
            return if others { self.release(|held| held.last_of_table) } else { Vec::new() };
        }
        self.mark(&[chunk], ended.then_some(number));
        vec![Given::At(self.offset.clone())]
    }

    fn release(&mut self, due: impl Fn(&Held) -> bool) -> Vec<Given> {
        let (due, kept) = std::mem::take(&mut self.held).into_iter().partition(due);
        self.held = kept;
        let due: Vec<Held> = due;
        due.into_iter().map(|held| Given::Rows(self.give(held))).collect()
    }

    fn give(&mut self, held: Held) -> SnapshotChunk {
        let table = held.table;
        self.mark(&held.ends, held.last_of_table.then_some(table));
        let ends_part = !held.ends.is_empty();
        let first_of_snapshot = !std::mem::replace(&mut self.any_rows, true);
        let first_of_table = match self.tables.get_mut(table) {
            Some(state) => !std::mem::replace(&mut state.any_rows, true),
            None => false,
        };
        SnapshotChunk {
            table: held.shape,
            bytes: held.bytes,
            rows: held.rows,
            first_of_snapshot,
            first_of_table,
            last_of_table: held.last_of_table,
            last_of_snapshot: false,
            ends_part,
            offset: self.offset.clone(),
        }
    }

    /// Remembers what is done once the batch at hand has arrived.
    fn mark(&mut self, chunks: &[usize], table: Option<usize>) {
        for chunk in chunks.iter().filter_map(|chunk| self.plan.chunks.get(*chunk)) {
            let Some(planned) = self.plan.tables.get(chunk.table) else { continue };
            if let (Part::Range(range), Some(cut)) = (&chunk.part, &planned.cut) {
                self.progress.range_done(planned.id.oid, cut, *range);
            }
        }
        if let Some(planned) = table.and_then(|table| self.plan.tables.get(table)) {
            self.progress.table_done(planned.id.oid);
        }
        if !chunks.is_empty() || table.is_some() {
            self.offset = self.offsets.interrupted(self.point, &self.progress.text());
        }
    }
}

#[cfg(test)]
#[path = "handover_tests.rs"]
mod tests;
