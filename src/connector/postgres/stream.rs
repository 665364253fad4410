//! Chunks of the replication stream to batches: one synchronous pass, in which a row costs its cells
//! and nothing else. Rows are sealed at commits only; where nothing captured is in flight, the
//! position moves with the server's keepalives, so that a slot on a busy database retains no log.

mod cells;
mod left_out;
mod seal;
mod watch;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::cells::{sequence, set};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::{Plans, meta, meta_cells};
use crate::connector::postgres::heartbeat::Heartbeats;
use crate::connector::postgres::incremental::Incremental;
use crate::connector::postgres::key_change;
use crate::connector::postgres::logical_message::{LogicalMessage, LogicalMessages};
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::offset::Offsets;
use crate::connector::postgres::pgoutput::{
    Frame, FrameReader, Message, OldKind, Tuple, micros_now,
};
use crate::connector::postgres::relation::Relation;
use crate::connector::postgres::tally::Tallies;
use crate::connector::postgres::transaction_metadata::{self, EventCounts, TransactionRecords};
use crate::data::{Cell, RecordBatch, RowPlan};
use crate::error::ConnectError;

/// Commits are sealed together until this many rows: a seal costs an offset's text, and finer ones
/// only shorten what is repeated after a crash.
const ROWS_PER_SEAL: usize = 1000;
/// What logical messages are called among a transaction's tables; the original shows the address of a
/// Java object.
const MESSAGES: &str = "io.debezium.connector.postgresql.LogicalDecodingMessageId";

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
    /// A transaction that was cut off.
    partial: Option<Partial>,
    /// A transaction whose rows before a position another has handed out.
    foreign: Option<(u32, Lsn)>,
    /// What has been handed out, up to a commit.
    sealed: Lsn,
    /// As far as commits, and a server with nothing captured to say, have come.
    reached: Lsn,
    /// Rows handed out that no seal covers yet.
    unsealed_rows: usize,
    last_commit: Option<Lsn>,
    last_xid: Option<u32>,
    last_commit_micros: i64,
    sealed_at: Instant,
    asked_at: Option<Instant>,
    messages: LogicalMessages,
    /// `None`: transactions are not told.
    transactions: Option<TransactionRecords>,
    heartbeats: Option<Heartbeats>,
    /// A heartbeat was handed out since this was last asked.
    beaten: bool,
    /// How many cells stand before a row's columns.
    meta_cells: usize,
    /// The slot's `catalog_xmin`, as last read.
    xmin: Option<i64>,
    tallies: Tallies,
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
    /// What was handed out of it, where transactions are told.
    counts: EventCounts,
}

/// What is known of a transaction that was cut off.
#[derive(Debug)]
struct Partial {
    xid: u32,
    final_lsn: Lsn,
    /// How many of its changes were handed out.
    changes: u64,
    counts: EventCounts,
}

/// What a batch needs while it is filled.
struct Filling<'a> {
    out: &'a mut RecordBatch,
    /// Looks at each row, where signals are on.
    signals: Option<&'a mut Incremental>,
    /// The cells before the columns; those of the transaction and the clock are set.
    meta: [Cell; meta::ALL],
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
            transactions: TransactionRecords::new(&config),
            heartbeats: Heartbeats::new(&config),
            beaten: false,
            meta_cells: meta_cells(&config),
            xmin: None,
            tallies: Tallies::default(),
            config,
            offsets,
            relations: HashMap::new(),
            last_relation: None,
            staged: VecDeque::new(),
            transaction: None,
            partial: None,
            foreign: None,
            sealed,
            reached: sealed,
            unsealed_rows: 0,
            last_commit,
            last_xid: None,
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
            self.partial = Some(Partial {
                xid: open.xid,
                final_lsn: open.final_lsn,
                changes: open.changes.max(open.skip),
                counts: open.counts,
            });
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
        signals: Option<&mut Incremental>,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        out.wire = chunk.clone();
        let now = micros_now();
        let mut meta = [Cell::Null; meta::ALL];
        set(&mut meta, meta::TS_MS, Cell::I64(now / 1000));
        set(&mut meta, meta::TS_US, Cell::I64(now));
        set(&mut meta, meta::TS_NS, Cell::I64(now.saturating_mul(1000)));
        let mut filling =
            Filling { out, signals, meta, meta_lsn: None, sealable: None, sealed_rows: 0 };
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
                        self.reached(wal_end, &mut filling)?;
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
                    self.tallies.creates += 1;
                    self.watch(lsn, &streamed.relation, None, Some(new), filling)?;
                    let plan = &streamed.plans.create;
                    self.new_row(lsn, &streamed.relation, plan, &[new], filling)?;
                }
            }
            Message::Update { relation, old, new } => {
                if let Some(streamed) = self.change(lsn, relation, "") {
                    self.tallies.updates += 1;
                    let before = old.map(|(_, old)| old);
                    self.watch(lsn, &streamed.relation, before, Some(new), filling)?;
                    self.update(lsn, &streamed, old, new, filling)?;
                }
            }
            Message::Delete { relation, kind, old } => {
                if let Some(streamed) = self.change(lsn, relation, "d") {
                    self.tallies.deletes += 1;
                    self.watch(lsn, &streamed.relation, Some(old), None, filling)?;
                    self.delete(lsn, &streamed, kind, old, filling)?;
                }
            }
            Message::Truncate { relations } => self.truncate(lsn, &relations, filling)?,
            Message::Begin { final_lsn, commit_micros, xid } => {
                if let Some(signals) = filling.signals.as_deref_mut() {
                    signals.transaction(xid);
                }
                self.begin(lsn, xid, final_lsn, commit_micros, filling);
            }
            Message::Commit { end } => {
                self.reached(end, filling)?;
                self.commit(lsn, end, filling);
            }
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

    fn begin(
        &mut self,
        lsn: Lsn,
        xid: u32,
        final_lsn: Lsn,
        commit_micros: i64,
        filling: &mut Filling<'_>,
    ) {
        let known = self.handed_out(xid, final_lsn);
        if known.is_none()
            && let Some(transactions) = &self.transactions
        {
            filling.out.push_record(transactions.begin(xid, lsn, commit_micros));
            self.unsealed_rows += 1;
        }
        let (skip, counts) = known.map_or_else(Default::default, |p| (p.changes, p.counts));
        self.transaction = Some(Transaction {
            xid,
            final_lsn,
            commit_micros,
            changes: 0,
            skip,
            origin: None,
            counts,
        });
        self.set_transaction_cells(filling);
    }

    /// What of a transaction was handed out before the stream was cut. Transactions come in the
    /// order of their commits.
    fn handed_out(&mut self, xid: u32, final_lsn: Lsn) -> Option<Partial> {
        let reached = self.partial.as_ref().is_some_and(|partial| final_lsn >= partial.final_lsn);
        let partial = self.partial.take_if(|_| reached)?;
        (partial.xid == xid && partial.final_lsn == final_lsn).then_some(partial)
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
        let streamed = match self.config.skipped.contains(operation) {
            true => None,
            false => self.streamed(relation),
        };
        self.tallies.filtered += u64::from(streamed.is_none());
        streamed
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
        self.count(relation, filling);
        let out = &mut *filling.out;
        let plan = out.plan_index(plan);
        out.start_row(plan);
        out.cells.extend_from_slice(&filling.meta[..self.meta_cells]);
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
            return self.new_row(lsn, relation, &streamed.plans.update, &[new], filling);
        };
        if relation.key_changed(old, new).map_err(broken)? {
            self.set_position_cells(lsn, filling);
            let before = filling.out.rows.len();
            let change = key_change::KeyChange { streamed, kind, old, new };
            // Each half is an event.
            let halves = ["d", "c"].map(|half| {
                if !self.config.skipped.contains(half) {
                    self.count(relation, filling);
                }
                filling.meta
            });
            let cells = halves.each_ref().map(|meta| &meta[..self.meta_cells]);
            change.push(&self.config, cells, filling.out)?;
            self.unsealed_rows += filling.out.rows.len() - before;
            return Ok(());
        }
        let whole = kind == OldKind::Full;
        if self.config.skipped.contains("u") {
            return Ok(());
        }
        if self.config.skip_unchanged && whole && relation.unchanged(old, new).map_err(broken)? {
            self.tallies.unchanged += 1;
            return Ok(());
        }
        let plan = match kind {
            OldKind::Full => &streamed.plans.update_full,
            OldKind::Key => &streamed.plans.update_keyed,
        };
        self.new_row(lsn, relation, plan, &[old, new], filling)
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
                self.tallies.truncates += 1;
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
        if !self.messages.wants(prefix) {
            self.tallies.filtered += 1;
            return;
        }
        self.tallies.messages += 1;
        if !transactional {
            // It is a commit of its own, and what follows says so.
            self.last_commit = Some(lsn);
            filling.meta_lsn = None;
        }
        let sequence = sequence(self.last_commit, lsn);
        let open = self.transaction.as_mut().filter(|_| transactional);
        let xid = open.as_ref().map(|open| open.xid);
        let commit_micros =
            open.as_ref().map_or(self.last_commit_micros, |open| open.commit_micros);
        let place = open.filter(|_| self.transactions.is_some()).map(|open| {
            let (total, of_messages) = open.counts.event(MESSAGES);
            (transaction_metadata::id(open.xid, lsn), total, of_messages)
        });
        let place = place.as_ref().map(|(id, total, order)| (id.as_str(), *total, *order));
        let message =
            LogicalMessage { lsn, sequence: &sequence, xid, commit_micros, prefix, content, place };
        if let Some(record) = self.messages.record(&message) {
            filling.out.push_record(record);
            self.unsealed_rows += 1;
        }
    }

    fn commit(&mut self, lsn: Lsn, end: Lsn, filling: &mut Filling<'_>) {
        let Some(open) = self.transaction.take() else { return };
        if let Some(transactions) = &mut self.transactions {
            let record = transactions.end(open.xid, lsn, open.commit_micros, open.counts);
            filling.out.push_record(record);
            self.unsealed_rows += 1;
        }
        self.tallies.transactions += 1;
        self.last_commit = Some(end);
        self.reached = self.reached.max(end);
        self.last_xid = Some(open.xid);
        self.last_commit_micros = open.commit_micros;
        self.server_end = self.server_end.max(end);
        filling.meta_lsn = None;
        let rows = filling.out.rows.len();
        filling.sealable = Some((rows, end, open.xid, open.commit_micros));
        if rows - filling.sealed_rows >= ROWS_PER_SEAL && filling.may_seal() {
            self.seal_commit(filling);
        }
    }

    /// Whether a heartbeat was handed out since this was last asked.
    pub(super) fn take_beaten(&mut self) -> bool {
        std::mem::take(&mut self.beaten)
    }

    /// What was counted since this was last asked.
    pub(super) fn tallies(&mut self) -> Tallies {
        std::mem::take(&mut self.tallies)
    }

    /// The slot's `catalog_xmin`, for the rows that follow.
    pub(super) fn set_xmin(&mut self, xmin: Option<i64>) {
        self.xmin = xmin;
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

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ConnectError {
    ConnectError::fatal("the replication stream cannot be read").because(error)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
