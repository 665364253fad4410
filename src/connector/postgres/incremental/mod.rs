//! Incremental snapshots, and what else signals ask for: tables are read in chunks beside the stream,
//! and a chunk's rows join it where their window closes, without those that changed meanwhile. Source:
//! Debezium, `AbstractIncrementalSnapshotChangeEventSource`, after Netflix's DBLog.
//!
//! This is the state, which moves with the stream and never waits; `reader` asks the database on a
//! task of its own. `context` is what the offset remembers, `window` what changes between the
//! watermarks.

mod context;
mod java;
mod orders;
mod query;
mod reader;
mod table;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::config::{HostMap, Parsed};
use crate::connector::Topics;
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::incremental::context::Context;
use crate::connector::postgres::incremental::orders::expand;
use crate::connector::postgres::incremental::reader::{
    Command, Outcome, Reader, Watermarks, quoted_name,
};
use crate::connector::postgres::incremental::table::key_of_tuple;
use crate::connector::postgres::incremental::window::Window;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::notification::{INCREMENTAL, Notification, Notifier};
use crate::connector::postgres::pgoutput::{Datum, DecodeError, Tuple};
use crate::connector::postgres::relation::Relation;
use crate::connector::postgres::signal::{Channels, Execute, Signal};
use crate::data::{Cell, RecordBatch};
use crate::error::ConnectError;

/// Of so many streamed transactions it is made sure that a chunk has seen them.
const STREAMED_MAX: usize = 256;
/// How often the server is asked where its log ends while a window waits for that.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Signals and the incremental snapshot of one task.
#[derive(Debug)]
pub(super) struct Incremental {
    config: Arc<PostgresConfig>,
    notifier: Arc<Notifier>,
    channels: Channels,
    /// The tables that expressions are matched with.
    tables: Vec<String>,
    context: Option<Context>,
    paused: bool,
    window: Option<Window>,
    /// Whether the reader has a command that it has not answered.
    busy: bool,
    /// The stream has begun: chunks may be read.
    streaming: bool,
    commands: mpsc::Sender<Command>,
    outcomes: mpsc::Receiver<Outcome>,
    reader: JoinHandle<()>,
    watermarks: Watermarks,
    streamed: VecDeque<u32>,
    blocking: VecDeque<Execute>,
    /// One of them is being read.
    blocked: bool,
    /// Asks the server where its log ends.
    ask: Arc<Notify>,
    /// The newest offset, for signals that ask for it.
    offset: Arc<str>,
}

/// `incremental.snapshot.*`.
#[derive(Debug, Clone)]
pub(super) struct IncrementalConfig {
    chunk_rows: i64,
    /// A window closes when the row that opened it is deleted.
    deletes: bool,
}

impl IncrementalConfig {
    pub(super) fn new(parsed: &Parsed) -> Self {
        let strategy = parsed.string("incremental.snapshot.watermarking.strategy");
        Self {
            chunk_rows: parsed.integer("incremental.snapshot.chunk.size").max(1),
            deletes: strategy.eq_ignore_ascii_case("insert_delete"),
        }
    }
}

/// A row of the stream, before it becomes a record.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) relation: &'a Relation,
    pub(super) old: Option<Tuple<'a>>,
    pub(super) new: Option<Tuple<'a>>,
}

/// The cells that records made here have from the stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) clock: [Cell; 3],
    pub(super) sequence: Cell,
}

/// Something that happened beside the stream.
#[derive(Debug)]
pub(super) enum Step {
    Signal(Signal),
    Read(Outcome),
    /// It is time to ask again where the log ends.
    Ask,
}

impl Incremental {
    /// Whether `config` or `stored`, an offset, asks for any of it.
    pub(super) fn is_wanted(config: &PostgresConfig, stored: Option<&str>) -> bool {
        config.signals.is_on() || stored.and_then(Context::parse).is_some()
    }

    /// Goes on with what `stored`, an offset, says.
    pub(super) fn new(
        config: Arc<PostgresConfig>,
        hosts: Arc<HostMap>,
        topics: Option<Arc<dyn Topics>>,
        notifier: Arc<Notifier>,
        ask: Arc<Notify>,
        stored: Option<&str>,
    ) -> Self {
        let (commands, command) = mpsc::channel(1);
        let (outcome, outcomes) = mpsc::channel(1);
        let watermarks = match (&config.signals.table, config.read_only) {
            (Some(table), false) => {
                let table = quoted_name(table);
                Watermarks::Rows { table, deletes: config.incremental.deletes }
            }
            _ => Watermarks::Positions,
        };
        let reader = Reader {
            config: config.clone(),
            hosts,
            watermarks: watermarks.clone(),
            rows_max: config.incremental.chunk_rows,
        };
        let reader = tokio::spawn(reader.run(command, outcome).in_current_span());
        Self {
            channels: Channels::start(&config.signals, topics),
            notifier,
            tables: Vec::new(),
            context: stored.and_then(Context::parse),
            paused: false,
            window: None,
            busy: false,
            streaming: false,
            commands,
            outcomes,
            reader,
            watermarks,
            streamed: VecDeque::new(),
            blocking: VecDeque::new(),
            blocked: false,
            ask,
            offset: stored.unwrap_or("{}").into(),
            config,
        }
    }

    /// The stream has begun; these tables are captured.
    pub(super) fn streaming(&mut self, tables: Vec<String>) {
        self.tables = tables;
        self.streaming = true;
        if let Some(context) = &self.context
            && self.window.is_none()
        {
            tracing::info!(tables = context.names(), "going on with an incremental snapshot");
        }
        self.read_on();
    }

    /// The members of the offset while a snapshot is under way.
    pub(super) fn members(&self) -> Option<String> {
        self.context.as_ref().map(Context::members)
    }

    /// An offset was declared.
    pub(super) fn sealed(&mut self, offset: &Arc<str>) {
        self.offset = offset.clone();
    }

    /// Tables that are to be read while the stream waits.
    pub(super) fn next_blocking(&mut self) -> Option<Execute> {
        let next = self.blocking.pop_front();
        self.blocked = next.is_some();
        next
    }

    /// The tables have been read.
    pub(super) fn blocking_ended(&mut self) {
        self.blocked = false;
    }

    /// A blocking snapshot is asked for: what asked for it must come again if the task ends before.
    pub(super) fn holds_offsets(&self) -> bool {
        self.blocked || !self.blocking.is_empty()
    }

    /// The blocking snapshot broke off and is to be tried again.
    pub(super) fn again(&mut self, request: Execute) {
        self.blocked = false;
        self.blocking.push_front(request);
    }

    /// The names of tables that `patterns` mean.
    pub(super) fn matching(&self, patterns: &[String]) -> Vec<String> {
        expand(patterns, &self.tables)
    }

    /// What happens next beside the stream. Cancel-safe.
    pub(super) async fn next(&mut self) -> Step {
        let waits = self.waits_for_position();
        tokio::select! {
            outcome = self.outcomes.recv() => match outcome {
                Some(outcome) => Step::Read(outcome),
                // The reader ends only with this.
                None => std::future::pending().await,
            },
            signal = self.channels.next(), if self.streaming => Step::Signal(signal),
            () = tokio::time::sleep(ASK_EVERY), if waits => Step::Ask,
        }
    }

    /// Whether a window closes where the stream reaches a position.
    pub(super) fn waits_for_position(&self) -> bool {
        self.window.as_ref().is_some_and(|window| window.position.is_some())
    }

    /// Does what `step` says; records go into `out`.
    pub(super) fn take(&mut self, step: Step, out: &mut RecordBatch) {
        match step {
            Step::Signal(signal) => self.signal(&signal, out),
            Step::Read(outcome) => self.read(outcome, out),
            Step::Ask => self.ask.notify_one(),
        }
    }

    /// Looks at a row of the stream before it becomes a record.
    pub(super) fn see(
        &mut self,
        seen: &Seen<'_>,
        moment: Moment,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        let signals = self.config.signals.table.as_deref() == Some(seen.relation.name.as_str());
        if signals {
            return self.see_signal(seen, moment, out);
        }
        let Some(window) = &mut self.window else { return Ok(()) };
        let reads = |context: &Context| {
            context.collections.iter().any(|each| each.name == seen.relation.name)
        };
        if !self.context.as_ref().is_some_and(reads) {
            return Ok(());
        }
        for tuple in [seen.old, seen.new].into_iter().flatten() {
            if let Some(key) = key_of_tuple(seen.relation, tuple).map_err(unreadable)? {
                window.change(key);
            }
        }
        Ok(())
    }

    /// A transaction is streamed.
    pub(super) fn transaction(&mut self, xid: u32) {
        if self.streamed.len() == STREAMED_MAX {
            self.streamed.pop_front();
        }
        self.streamed.push_back(xid);
    }

    /// Everything before `position` has been streamed, and no transaction is open.
    pub(super) fn reached(
        &mut self,
        position: Lsn,
        moment: Moment,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        match &self.window {
            Some(window) if window.closes_at(position) => self.close(moment, out),
            _ => Ok(()),
        }
    }

    fn see_signal(
        &mut self,
        seen: &Seen<'_>,
        moment: Moment,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        let Some(new) = seen.new else {
            // A row that went: with that strategy the opening one, which closes its window.
            let fields = texts(seen.old).map_err(unreadable)?;
            let id = fields.into_iter().next().flatten().unwrap_or_default();
            if matches!(self.watermarks, Watermarks::Rows { deletes: true, .. }) {
                return self.window_closes(id.trim_end_matches("-open"), moment, out);
            }
            return Ok(());
        };
        if seen.old.is_some() {
            return Ok(());
        }
        let fields = texts(Some(new)).map_err(unreadable)?;
        let Ok([id, kind, data]) = <[Option<String>; 3]>::try_from(fields.clone()) else {
            let count = fields.len();
            tracing::warn!("The signal event '{fields:?}' should have 3 fields but has {count}");
            return Ok(());
        };
        let [id, kind, data] = [id, kind, data].map(Option::unwrap_or_default);
        match kind.as_str() {
            // Changes count since the window was asked for.
            "snapshot-window-open" => Ok(()),
            "snapshot-window-close" => {
                self.window_closes(id.trim_end_matches("-close"), moment, out)
            }
            _ => {
                self.signal(&Signal { id, kind, data }, out);
                Ok(())
            }
        }
    }

    fn window_closes(
        &mut self,
        id: &str,
        moment: Moment,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        // The rows were given before the closing row was written.
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.read(outcome, out);
        }
        match &self.window {
            Some(window) if window.id == id => self.close(moment, out),
            _ => Ok(()),
        }
    }

    /// Hands out what did not change, and reads on.
    fn close(&mut self, moment: Moment, out: &mut RecordBatch) -> Result<(), ConnectError> {
        let Some(window) = self.window.take() else { return Ok(()) };
        if let (Some(chunk), Some(context)) = (&window.chunk, &mut self.context) {
            if window.overflowed {
                tracing::warn!("too much changed while a chunk was read; reading it again");
            } else {
                let Moment { clock, sequence } = moment;
                let rows = chunk.hand_out(&window.changed, clock, sequence, out)?;
                context.rows += rows;
                context.last = Some(chunk.last.clone());
                context.maximum = Some(chunk.maximum.clone());
            }
        }
        self.read_on();
        Ok(())
    }

    /// Has the next chunk read, if one is wanted.
    fn read_on(&mut self) {
        let Some(context) = &self.context else { return };
        if self.paused || self.busy || self.window.is_some() || !self.streaming {
            return;
        }
        let id = uuid::Uuid::new_v4().to_string();
        let command = Command {
            window: id.clone(),
            context: context.clone(),
            streamed: self.streamed.iter().copied().collect(),
        };
        if self.commands.try_send(command).is_ok() {
            self.busy = true;
            self.window = Some(Window::new(id));
        }
    }

    /// The reader has answered.
    fn read(&mut self, outcome: Outcome, out: &mut RecordBatch) {
        self.busy = false;
        if self.window.as_ref().is_none_or(|window| window.id != outcome.window) {
            // Of tables that have been taken away meanwhile.
            self.read_on();
            return;
        }
        for (name, status) in &outcome.finished {
            self.table_ends(name, status, out);
        }
        match outcome.chunk {
            Some(chunk) => {
                if let Some(context) = &self.context {
                    let data = vec![
                        ("data_collections", context.names()),
                        ("current_collection_in_progress", chunk.table.id.name()),
                        ("maximum_key", chunk.maximum.text()),
                        ("last_processed_key", chunk.last.text()),
                    ];
                    self.tell("IN_PROGRESS", data, out);
                }
                if let Some(window) = &mut self.window {
                    window.chunk = Some(chunk);
                    window.position = outcome.position;
                }
                if self.waits_for_position() {
                    self.ask.notify_one();
                }
            }
            // Its rows close a window in which there is nothing.
            None => {
                self.window = None;
                self.read_on();
            }
        }
    }

    fn table_ends(&mut self, name: &str, status: &str, out: &mut RecordBatch) {
        let Some(context) = &self.context else { return };
        if context.collections.front().is_none_or(|first| first.name != name) {
            return;
        }
        let data = vec![
            ("data_collections", context.names()),
            ("scanned_collection", name.to_owned()),
            ("total_rows_scanned", context.rows.to_string()),
            ("status", status.to_owned()),
        ];
        tracing::info!(
            table = name,
            status,
            rows = context.rows,
            "incremental snapshot of a table"
        );
        self.tell("TABLE_SCAN_COMPLETED", data, out);
        let more = self.context.as_mut().is_some_and(Context::next_table);
        if !more {
            self.tell("COMPLETED", Vec::new(), out);
            self.context = None;
        }
    }

    fn tell(&self, kind: &'static str, data: Vec<(&'static str, String)>, out: &mut RecordBatch) {
        let correlation = self.context.as_ref().and_then(|context| context.correlation.clone());
        let notification = Notification {
            id: correlation.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            aggregate: INCREMENTAL,
            kind,
            data,
        };
        if let Some(record) = self.notifier.tell(&notification) {
            out.push_record(record);
        }
    }
}

impl Drop for Incremental {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

fn unreadable(error: DecodeError) -> ConnectError {
    ConnectError::fatal("the replication stream cannot be read").because(error)
}

fn texts(tuple: Option<Tuple<'_>>) -> Result<Vec<Option<String>>, DecodeError> {
    let Some(tuple) = tuple else { return Ok(Vec::new()) };
    let text = |datum: Result<Datum<'_>, DecodeError>| match datum? {
        Datum::Text { text, .. } => Ok(Some(String::from_utf8_lossy(text).into_owned())),
        Datum::Null | Datum::Unchanged => Ok(None),
    };
    tuple.columns().map(text).collect()
}
