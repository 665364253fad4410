//! Chunks of the replication stream to batches: one synchronous pass, in which a row costs its cells
//! and nothing else. Rows are sealed at commits only; where nothing captured is in flight, the
//! position moves with the server's keepalives, so that a slot on a busy database retains no log.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::{Plans, meta};
use crate::connector::postgres::key_change;
use crate::connector::postgres::logical_message::LogicalMessages;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::offset::Offsets;
use crate::connector::postgres::pgoutput::{
    Frame, FrameReader, Message, OldKind, Tuple, micros_now,
};
use crate::connector::postgres::relation::Relation;
use crate::data::{Cell, RecordBatch, RowPlan, Seal};
use crate::error::ConnectError;

/// Commits are sealed together until this many rows: a seal costs an offset's text, and finer ones
/// only shorten what is repeated after a crash.
const ROWS_PER_SEAL: usize = 1000;
/// An idle position is stored at most this often,
const IDLE_EARLIEST: Duration = Duration::from_secs(10);
/// after this much log,
const IDLE_BYTES: u64 = 1024 * 1024;
/// or at the latest after this.
const IDLE_LATEST: Duration = Duration::from_secs(60);
/// A server that asks for an answer twice within this is shutting down, and waits for us.
const URGENT: Duration = Duration::from_secs(1);

/// A streamed table with the plans of its records.
#[derive(Debug)]
pub(super) struct Streamed {
    pub(super) relation: Relation,
    pub(super) plans: Plans,
}

/// What is known between chunks.
#[derive(Debug)]
pub(super) struct StreamDecoder {
    config: Arc<PostgresConfig>,
    offsets: Offsets,
    /// `None`: a table that is not captured.
    relations: HashMap<u32, Option<Arc<Streamed>>>,
    last_relation: Option<(u32, Option<Arc<Streamed>>)>,
    /// For the Relation messages of the next chunk, in their order.
    staged: VecDeque<Option<Arc<Streamed>>>,
    transaction: Option<Transaction>,
    /// A transaction that was cut off, and how many of its changes were handed out.
    partial: Option<(u32, Lsn, u64)>,
    /// A transaction whose rows before a position another has handed out.
    foreign: Option<(u32, Lsn)>,
    /// What has been handed out, up to a commit.
    sealed: Lsn,
    /// Rows handed out that no seal covers yet.
    unsealed_rows: usize,
    last_commit: Option<Lsn>,
    last_commit_micros: i64,
    sealed_at: Instant,
    asked_at: Option<Instant>,
    messages: LogicalMessages,
    pub(super) server_end: Lsn,
}

#[derive(Debug)]
struct Transaction {
    xid: u32,
    final_lsn: Lsn,
    commit_micros: i64,
    /// Row messages so far.
    changes: u64,
    /// As many of them were handed out before the stream was cut.
    skip: u64,
    origin: Option<(String, Lsn)>,
}

/// What a batch needs while it is filled.
struct Filling<'a> {
    out: &'a mut RecordBatch,
    /// The cells before the columns; those of the transaction and the clock are set.
    meta: [Cell; meta::COUNT],
    /// Of which position the LSN and sequence cells are.
    meta_lsn: Option<Lsn>,
    /// A commit that may be sealed: rows before it, its end, its transaction, its time.
    sealable: Option<(usize, Lsn, u32, i64)>,
    /// The rows before the last seal of this batch.
    sealed_rows: usize,
}

impl StreamDecoder {
    /// A decoder that goes on behind `sealed`.
    pub(super) fn new(
        config: Arc<PostgresConfig>,
        offsets: Offsets,
        sealed: Lsn,
        last_commit: Option<Lsn>,
    ) -> Self {
        Self {
            messages: LogicalMessages::new(&config),
            config,
            offsets,
            relations: HashMap::new(),
            last_relation: None,
            staged: VecDeque::new(),
            transaction: None,
            partial: None,
            foreign: None,
            sealed,
            unsealed_rows: 0,
            last_commit,
            last_commit_micros: micros_now(),
            sealed_at: Instant::now(),
            asked_at: None,
            server_end: sealed,
        }
    }

    /// Rows of this transaction before this position were handed out by another.
    pub(super) fn skip(&mut self, inside: Option<(u32, Lsn)>) {
        self.foreign = inside;
    }

    /// The position to resume at: behind the last commit that was handed out whole.
    pub(super) fn position(&self) -> (Lsn, Option<Lsn>) {
        (self.sealed, self.last_commit)
    }

    /// The stream was cut and starts again behind [`StreamDecoder::position`]: the server will send
    /// the open transaction from its beginning, and its relations again.
    pub(super) fn restarted(&mut self) {
        self.relations.clear();
        self.last_relation = None;
        self.staged.clear();
        if let Some(open) = self.transaction.take() {
            self.partial = Some((open.xid, open.final_lsn, open.changes.max(open.skip)));
        }
    }

    /// Declares what the next chunk's Relation messages mean.
    pub(super) fn stage(&mut self, relations: Vec<Option<Arc<Streamed>>>) {
        self.staged = relations.into();
    }

    /// Microseconds between the last commit and now.
    pub(super) fn behind_micros(&self) -> i64 {
        micros_now() - self.last_commit_micros
    }

    /// Reads a chunk into an empty batch.
    pub(super) fn decode(
        &mut self,
        chunk: &Bytes,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        out.wire = chunk.clone();
        let now = micros_now();
        let mut meta = [Cell::Null; meta::COUNT];
        set(&mut meta, meta::TS_MS, Cell::I64(now / 1000));
        set(&mut meta, meta::TS_US, Cell::I64(now));
        set(&mut meta, meta::TS_NS, Cell::I64(now.saturating_mul(1000)));
        let mut filling = Filling { out, meta, meta_lsn: None, sealable: None, sealed_rows: 0 };
        self.set_transaction_cells(&mut filling);
        let mut frames = FrameReader::new(chunk);
        while let Some(frame) = frames.next().map_err(broken)? {
            match frame {
                Frame::Data { lsn, start, end } => {
                    let message = Message::parse(chunk, start, end).map_err(broken)?;
                    self.message(lsn, message, &mut filling)?;
                }
                Frame::Keepalive { wal_end, answer } => {
                    self.server_end = self.server_end.max(wal_end);
                    if self.transaction.is_none() {
                        self.idle(wal_end, answer, &mut filling);
                    }
                }
                Frame::Other => {}
            }
        }
        self.end_of_chunk(&mut filling);
        Ok(())
    }

    fn message(
        &mut self,
        lsn: Lsn,
        message: Message<'_>,
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        match message {
            Message::Insert { relation, new } => {
                if let Some(streamed) = self.change(lsn, relation, "c") {
                    let plan = &streamed.plans.create;
                    self.row(lsn, &streamed.relation, plan, &[new], filling)?;
                }
            }
            Message::Update { relation, old, new } => {
                if let Some(streamed) = self.change(lsn, relation, "") {
                    self.update(lsn, &streamed, old, new, filling)?;
                }
            }
            Message::Delete { relation, kind, old } => {
                if let Some(streamed) = self.change(lsn, relation, "d") {
                    self.delete(lsn, &streamed, kind, old, filling)?;
                }
            }
            Message::Truncate { relations } => self.truncate(lsn, &relations, filling)?,
            Message::Begin { final_lsn, commit_micros, xid } => {
                let skip = self.handed_out(xid, final_lsn);
                self.transaction = Some(Transaction {
                    xid,
                    final_lsn,
                    commit_micros,
                    changes: 0,
                    skip,
                    origin: None,
                });
                self.set_transaction_cells(filling);
            }
            Message::Commit { end } => self.commit(end, filling),
            Message::Origin { lsn, name } => {
                if let Some(open) = &mut self.transaction {
                    open.origin = Some((name.to_owned(), lsn));
                }
                self.set_transaction_cells(filling);
            }
            Message::Relation(relation) => {
                let staged = self.staged.pop_front().ok_or_else(|| {
                    ConnectError::fatal("a Relation message that was not looked up")
                })?;
                self.last_relation = None;
                self.relations.insert(relation.id, staged);
            }
            Message::Logical { transactional, prefix, content } => {
                self.logical(lsn, transactional, prefix, content, filling);
            }
            Message::Type => {}
        }
        Ok(())
    }

    /// How many changes of a transaction were handed out before the stream was cut. Transactions
    /// come in the order of their commits.
    fn handed_out(&mut self, xid: u32, final_lsn: Lsn) -> u64 {
        let Some((open, end, changes)) = self.partial else { return 0 };
        if final_lsn >= end {
            self.partial = None;
        }
        if open == xid && end == final_lsn { changes } else { 0 }
    }

    /// Counts a row message, and gives its table when it is to be handed out.
    fn change(&mut self, lsn: Lsn, relation: u32, operation: &str) -> Option<Arc<Streamed>> {
        if let Some(open) = &mut self.transaction {
            open.changes += 1;
            let foreign = self.foreign.is_some_and(|(xid, end)| open.xid == xid && lsn < end);
            if open.changes <= open.skip || foreign {
                return None;
            }
        }
        if self.config.skipped.contains(operation) {
            return None;
        }
        self.streamed(relation)
    }

    fn streamed(&mut self, relation: u32) -> Option<Arc<Streamed>> {
        match &self.last_relation {
            Some((known, streamed)) if *known == relation => streamed.clone(),
            _ => {
                let streamed = self.relations.get(&relation).cloned().flatten();
                self.last_relation = Some((relation, streamed.clone()));
                streamed
            }
        }
    }

    /// Appends a row of these tuples under `plan`.
    fn row(
        &mut self,
        lsn: Lsn,
        relation: &Relation,
        plan: &Arc<RowPlan>,
        tuples: &[Tuple<'_>],
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        self.set_position_cells(lsn, filling);
        let out = &mut *filling.out;
        let plan = out.plan_index(plan);
        out.start_row(plan);
        out.cells.extend_from_slice(&filling.meta);
        self.unsealed_rows += 1;
        push_tuples(relation, tuples, out)
    }

    fn update(
        &mut self,
        lsn: Lsn,
        streamed: &Streamed,
        old: Option<(OldKind, Tuple<'_>)>,
        new: Tuple<'_>,
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        let relation = &streamed.relation;
        let Some((kind, old)) = old else {
            if self.config.skipped.contains("u") {
                return Ok(());
            }
            return self.row(lsn, relation, &streamed.plans.update, &[new], filling);
        };
        if relation.key_changed(old, new).map_err(broken)? {
            self.set_position_cells(lsn, filling);
            let before = filling.out.rows.len();
            let change = key_change::KeyChange { streamed, kind, old, new };
            change.push(&self.config, &filling.meta, filling.out)?;
            self.unsealed_rows += filling.out.rows.len() - before;
            return Ok(());
        }
        let whole = kind == OldKind::Full;
        let same = self.config.skip_unchanged && whole;
        if self.config.skipped.contains("u")
            || same && relation.unchanged(old, new).map_err(broken)?
        {
            return Ok(());
        }
        let plan = match kind {
            OldKind::Full => &streamed.plans.update_full,
            OldKind::Key => &streamed.plans.update_keyed,
        };
        self.row(lsn, relation, plan, &[old, new], filling)
    }

    fn delete(
        &mut self,
        lsn: Lsn,
        streamed: &Streamed,
        kind: OldKind,
        old: Tuple<'_>,
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        let plans = &streamed.plans;
        let (delete, tombstone) = match kind {
            OldKind::Full => (&plans.delete_full, &plans.tombstone_full),
            OldKind::Key => (&plans.delete_keyed, &plans.tombstone_keyed),
        };
        let first_cell = u32::try_from(filling.out.cells.len())
            .map_err(|_| ConnectError::fatal("a batch has 2^32 cells"))?;
        self.row(lsn, &streamed.relation, delete, &[old], filling)?;
        if self.config.tombstones {
            let plan = filling.out.plan_index(tombstone);
            filling.out.rows.push(crate::data::Row::Planned { plan, first_cell });
            self.unsealed_rows += 1;
        }
        Ok(())
    }

    fn truncate(
        &mut self,
        lsn: Lsn,
        relations: &[u32],
        filling: &mut Filling<'_>,
    ) -> Result<(), ConnectError> {
        if let Some(open) = &mut self.transaction {
            open.changes += 1;
            if open.changes <= open.skip {
                return Ok(());
            }
        }
        if self.config.skipped.contains("t") {
            return Ok(());
        }
        for relation in relations {
            if let Some(streamed) = self.streamed(*relation) {
                let plan = &streamed.plans.truncate;
                self.row(lsn, &streamed.relation, plan, &[], filling)?;
            }
        }
        Ok(())
    }

    fn logical(
        &mut self,
        lsn: Lsn,
        transactional: bool,
        prefix: &str,
        content: &[u8],
        filling: &mut Filling<'_>,
    ) {
        if transactional && let Some(open) = &mut self.transaction {
            open.changes += 1;
            if open.changes <= open.skip {
                return;
            }
        }
        let open = self.transaction.as_ref().filter(|_| transactional);
        if !transactional {
            // It is a commit of its own, and what follows says so.
            self.last_commit = Some(lsn);
            filling.meta_lsn = None;
        }
        let sequence = sequence(self.last_commit, lsn);
        let xid = open.map(|open| open.xid);
        let micros = open.map_or(self.last_commit_micros, |open| open.commit_micros);
        if let Some(record) = self.messages.record(lsn, &sequence, xid, micros, prefix, content) {
            filling.out.push_record(record);
            self.unsealed_rows += 1;
        }
    }

    fn commit(&mut self, end: Lsn, filling: &mut Filling<'_>) {
        let Some(open) = self.transaction.take() else { return };
        self.last_commit = Some(end);
        self.last_commit_micros = open.commit_micros;
        self.server_end = self.server_end.max(end);
        filling.meta_lsn = None;
        let rows = filling.out.rows.len();
        filling.sealable = Some((rows, end, open.xid, open.commit_micros));
        if rows - filling.sealed_rows >= ROWS_PER_SEAL {
            self.seal_commit(filling);
        }
    }

    fn seal_commit(&mut self, filling: &mut Filling<'_>) {
        let Some((rows, end, xid, micros)) = filling.sealable.take() else { return };
        let offset = self.offsets.committed(end, Some(xid), micros);
        filling.out.seals.push(Seal { rows, offset });
        self.unsealed_rows = filling.out.rows.len() - rows;
        filling.sealed_rows = rows;
        self.sealed = end;
        self.sealed_at = Instant::now();
    }

    fn end_of_chunk(&mut self, filling: &mut Filling<'_>) {
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
    fn idle(&mut self, wal_end: Lsn, answer: bool, filling: &mut Filling<'_>) {
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

    fn idle_position_due(&self, position: Lsn) -> bool {
        let elapsed = self.sealed_at.elapsed();
        let bytes = position.0.saturating_sub(self.sealed.0);
        bytes > 0 && (elapsed >= IDLE_LATEST || elapsed >= IDLE_EARLIEST && bytes >= IDLE_BYTES)
    }

    fn seal_idle(&mut self, position: Lsn, filling: &mut Filling<'_>) {
        let offset = self.offsets.committed(position, None, self.last_commit_micros);
        filling.out.seal(offset);
        filling.sealable = None;
        filling.sealed_rows = filling.out.rows.len();
        self.unsealed_rows = 0;
        self.sealed = self.sealed.max(position);
        self.sealed_at = Instant::now();
    }

    fn set_transaction_cells(&self, filling: &mut Filling<'_>) {
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

    fn set_position_cells(&self, lsn: Lsn, filling: &mut Filling<'_>) {
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
    }
}

/// Appends the cells of a row made of an old and a new tuple, or of one.
pub(super) fn push_tuples(
    relation: &Relation,
    tuples: &[Tuple<'_>],
    out: &mut RecordBatch,
) -> Result<(), ConnectError> {
    let mut old = None;
    for tuple in tuples {
        let first = out.cells.len();
        relation.push_tuple(*tuple, old, out).map_err(|error| {
            ConnectError::fatal(format!("cannot read a change of {}", relation.name)).because(error)
        })?;
        old = Some(first);
    }
    Ok(())
}

fn set(meta: &mut [Cell; meta::COUNT], index: usize, cell: Cell) {
    meta[index] = cell;
}

/// `["<last commit>","<lsn>"]`.
fn sequence(last_commit: Option<Lsn>, lsn: Lsn) -> String {
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

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectError {
    ConnectError::fatal("the replication stream cannot be read").because(error)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
