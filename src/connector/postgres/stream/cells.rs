//! The cells that stand before a row's columns: what its transaction, its position and the clock say.

use std::io::Write as _;

use super::{Filling, StreamDecoder};
use crate::connector::postgres::envelope::meta;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::relation::Relation;
use crate::connector::postgres::transaction_metadata;
use crate::data::Cell;

impl StreamDecoder {
    /// Counts an event of the open transaction, where transactions are told.
    pub(super) fn count(&mut self, relation: &Relation, filling: &mut Filling<'_>) {
        if self.transactions.is_none() {
            return;
        }
        let Some(open) = &mut self.transaction else { return };
        let (total, of_table) = open.counts.event(&relation.name);
        set(&mut filling.meta, meta::TOTAL_ORDER, Cell::I64(total));
        set(&mut filling.meta, meta::TABLE_ORDER, Cell::I64(of_table));
    }

    pub(super) fn set_transaction_cells(&self, filling: &mut Filling<'_>) {
        filling.meta_lsn = None;
        let Some(open) = &self.transaction else { return };
        let micros = open.commit_micros;
        let meta = &mut filling.meta;
        set(meta, meta::SOURCE_MS, Cell::I64(micros.div_euclid(1000)));
        set(meta, meta::SOURCE_US, Cell::I64(micros));
        set(meta, meta::SOURCE_NS, Cell::I64(micros.saturating_mul(1000)));
        set(meta, meta::XID, Cell::I64(open.xid.into()));
        let (origin, origin_lsn) = match &open.origin {
            Some((name, lsn)) => {
                (filling.out.push_scratch(name.as_bytes()), Cell::I64(lsn.0.cast_signed()))
            }
            None => (Cell::Null, Cell::Null),
        };
        set(meta, meta::ORIGIN, origin);
        set(meta, meta::ORIGIN_LSN, origin_lsn);
    }

    pub(super) fn set_position_cells(&self, lsn: Lsn, filling: &mut Filling<'_>) {
        if filling.meta_lsn == Some(lsn) {
            return;
        }
        filling.meta_lsn = Some(lsn);
        let scratch = &mut filling.out.scratch;
        let off = scratch.len();
        write_sequence(scratch, self.last_commit, lsn);
        let length = scratch.len() - off;
        let position = |number| u32::try_from(number).expect("a batch stays below 4 GiB");
        let sequence = Cell::Scratch { off: position(off), len: position(length) };
        set(&mut filling.meta, meta::SEQUENCE, sequence);
        set(&mut filling.meta, meta::LSN, Cell::I64(lsn.0.cast_signed()));
        set(&mut filling.meta, meta::XMIN, self.xmin.map_or(Cell::Null, Cell::I64));
        if self.transactions.is_some()
            && let Some(open) = &self.transaction
        {
            let id = transaction_metadata::id(open.xid, lsn);
            let id = filling.out.push_scratch(id.as_bytes());
            set(&mut filling.meta, meta::TRANSACTION, id);
        }
    }
}

pub(super) fn set(meta: &mut [Cell; meta::ALL], index: usize, cell: Cell) {
    meta[index] = cell;
}

/// `["<last commit>","<lsn>"]`.
pub(super) fn sequence(last_commit: Option<Lsn>, lsn: Lsn) -> String {
    let mut text = Vec::new();
    write_sequence(&mut text, last_commit, lsn);
    String::from_utf8(text).expect("digits and brackets")
}

fn write_sequence(out: &mut Vec<u8>, last_commit: Option<Lsn>, lsn: Lsn) {
    let mut digits = itoa::Buffer::new();
    match last_commit {
        Some(commit) => {
            out.extend_from_slice(b"[\"");
            out.extend_from_slice(digits.format(commit.0.cast_signed()).as_bytes());
            out.extend_from_slice(b"\",\"");
        }
        None => out.extend_from_slice(b"[null,\""),
    }
    out.extend_from_slice(digits.format(lsn.0.cast_signed()).as_bytes());
    out.write_all(b"\"]").expect("writing to a Vec cannot fail");
}
