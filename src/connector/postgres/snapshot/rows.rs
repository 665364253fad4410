//! Rows of a snapshot on their way to a batch.

use std::sync::Arc;

use bytes::Bytes;

use crate::connector::postgres::envelope::{Marker, ReadPlans};
use crate::connector::postgres::pgoutput::micros_now;
use crate::connector::postgres::relation::Relation;
use crate::connector::postgres::wire::frame_length;
use crate::data::{Cell, RecordBatch, SourceOffset};
use crate::error::ConnectError;

/// A frame's tag and length.
const FRAME_HEADER: usize = 5;

/// A table in a snapshot.
#[derive(Debug)]
pub(in crate::connector::postgres) struct ReadTable {
    pub(in crate::connector::postgres) relation: Relation,
    pub(in crate::connector::postgres) plans: ReadPlans,
}

/// Rows of one table.
#[derive(Debug)]
pub(in crate::connector::postgres) struct SnapshotChunk {
    pub(super) table: Arc<ReadTable>,
    /// CopyData frames, a row each.
    pub(super) bytes: Bytes,
    pub(super) rows: usize,
    pub(super) first_of_snapshot: bool,
    pub(super) first_of_table: bool,
    pub(super) last_of_table: bool,
    pub(super) last_of_snapshot: bool,
    /// With these rows a part of the table is read to its end.
    pub(in crate::connector::postgres) ends_part: bool,
    /// How far the snapshot is behind these rows.
    pub(in crate::connector::postgres) offset: SourceOffset,
}

impl SnapshotChunk {
    /// Where the row `index` of the chunk stands in the snapshot.
    fn marker(&self, index: usize) -> Marker {
        let first = index == 0;
        let last = index + 1 == self.rows;
        if last && self.last_of_snapshot {
            Marker::Last
        } else if first && self.first_of_snapshot {
            Marker::First
        } else if last && self.last_of_table {
            Marker::LastInTable
        } else if first && self.first_of_table {
            Marker::FirstInTable
        } else {
            Marker::Middle
        }
    }
}

/// Reads the rows of a chunk into an empty batch.
pub(in crate::connector::postgres) fn read_rows(
    chunk: &SnapshotChunk,
    out: &mut RecordBatch,
) -> Result<(), ConnectError> {
    chunk.table.read(&chunk.bytes, chunk.rows, |index| chunk.marker(index), out)
}

impl ReadTable {
    /// Reads `bytes`, CopyData frames of so many rows, into an empty batch.
    pub(super) fn read(
        &self,
        bytes: &Bytes,
        rows: usize,
        marker: impl Fn(usize) -> Marker,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        out.wire = bytes.clone();
        let now = micros_now();
        let clock =
            [Cell::I64(now.div_euclid(1000)), Cell::I64(now), Cell::I64(now.saturating_mul(1000))];
        let relation = &self.relation;
        let mut lines = CopyLines::new(bytes);
        for index in 0..rows {
            let (off, line) = lines.next(relation)?;
            let plan = out.plan_index(self.plans.of(marker(index)));
            out.start_row(plan);
            out.cells.extend_from_slice(&clock);
            relation.push_line(line, off, out).map_err(|error| unreadable(relation, error))?;
        }
        Ok(())
    }
}

/// The lines of CopyData frames.
#[derive(Debug)]
pub(in crate::connector::postgres) struct CopyLines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> CopyLines<'a> {
    pub(in crate::connector::postgres) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next line, without its end, and where it stands.
    pub(in crate::connector::postgres) fn next(
        &mut self,
        relation: &Relation,
    ) -> Result<(usize, &'a [u8]), ConnectError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = frame_length(rest).map_err(|error| unreadable(relation, error))?;
        let frame = length.and_then(|length| rest.get(..length));
        let frame = frame.ok_or_else(|| unreadable(relation, "a row is cut short"))?;
        let body = frame.get(FRAME_HEADER..).unwrap_or_default();
        let off = self.at + FRAME_HEADER;
        self.at += frame.len();
        Ok((off, body.strip_suffix(b"\n").unwrap_or(body)))
    }
}

fn unreadable(
    relation: &Relation,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> ConnectError {
    ConnectError::fatal(format!("Snapshotting of table {} failed", relation.name)).because(error)
}
