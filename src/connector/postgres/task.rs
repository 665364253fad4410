//! The task: polls take what a session reads and turn it into batches. Sessions come and go with the
//! connection; the position and a transaction that was cut live here.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Notify, watch};

use crate::connector::postgres::client::Client;
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::failure::{at_reconnect, explain};
use crate::connector::postgres::heartbeat::{HeartbeatAction, Heartbeats};
use crate::connector::postgres::in_progress::Refusal;
use crate::connector::postgres::incremental::{Incremental, Step};
use crate::connector::postgres::lookup::Lookup;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::notification::{Notification, Notifier};
use crate::connector::postgres::offset::{Offsets, Position, SnapshotPoint, inside_transaction};
use crate::connector::postgres::session::{Event, Session, SessionInput};
use crate::connector::postgres::signal::Execute;
use crate::connector::postgres::slot_monitor::SlotMonitor;
use crate::connector::postgres::snapshot::{self, Interrupted, SnapshotChunk, read_rows};
use crate::connector::postgres::stream::StreamDecoder;
use crate::connector::{OffsetCommitter, SourceTask, SourceTaskContext};
use crate::data::{RecordBatch, SourceOffset};
use crate::error::{ConnectError, ErrorKind};
use crate::metrics::set_gauge;

/// Reads one database.
pub(super) struct PostgresTask {
    config: Arc<PostgresConfig>,
    context: SourceTaskContext,
    offsets: Offsets,
    position: Option<Position>,
    /// Where the stored offset lies inside a transaction.
    inside: Option<(u32, Lsn)>,
    /// No snapshot has begun and no stream has started in this task.
    fresh: bool,
    /// Transactions in progress could not be kept.
    whole_only: bool,
    session: Option<Session>,
    /// There is nothing more to do, and that is right.
    idle: bool,
    /// How far a snapshot has come that is not complete.
    snapshot: Option<SourceOffset>,
    /// It is being read.
    reading: bool,
    decoder: Option<StreamDecoder>,
    /// A chunk that a poll took and has not decoded, and whether it has Relation messages.
    chunk: Option<(Bytes, bool)>,
    lookup: Lookup,
    heartbeat_action: HeartbeatAction,
    slot_monitor: Option<SlotMonitor>,
    notifier: Arc<Notifier>,
    /// Signals and the incremental snapshot, where they are wanted.
    signals: Option<Incremental>,
    /// A snapshot that the stream waits for, and what asked for it.
    blocking: Option<(Session, Execute)>,
    ask: Arc<Notify>,
    stored: Arc<watch::Sender<Lsn>>,
}

impl fmt::Debug for PostgresTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTask")
            .field("slot", &self.config.slot.name)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl PostgresTask {
    /// A task that goes on where the stored offset says.
    pub(super) fn new(
        mut config: PostgresConfig,
        context: SourceTaskContext,
    ) -> Result<Self, ConnectError> {
        if context.exactly_once {
            // Several readers mix their parts: no offset would describe all that was read.
            config.snapshot.threads = 1;
        }
        let config = Arc::new(config);
        let offsets = Offsets::new(&config.topic_prefix).of_generation(config.generation);
        let found = offsets.find(&context.offsets);
        let inside = found.and_then(|stored| inside_transaction(&stored.offset));
        let position = match found {
            None => None,
            Some(stored) => Some(Position::parse(&stored.offset).map_err(|reason| {
                ConnectError::fatal(format!(
                    "the stored offset of partition {} cannot be read: {reason}; delete or alter it",
                    stored.partition
                ))
            })?),
        };
        let stored = match position {
            Some(Position::Streaming { resume, .. }) => resume,
            _ => Lsn(0),
        };
        let snapshot = (position == Some(Position::SnapshotInterrupted)).then(|| found.cloned());
        let snapshot = snapshot.flatten();
        let lookup = Lookup::new(config.clone(), context.hosts.clone());
        let heartbeat_action = HeartbeatAction::new(config.clone(), context.hosts.clone());
        let notifier = Arc::new(Notifier::new(&config.notifications, &config.topic_prefix));
        Ok(Self {
            config,
            context,
            offsets,
            position,
            inside,
            fresh: true,
            whole_only: false,
            session: None,
            idle: false,
            snapshot,
            reading: false,
            decoder: None,
            chunk: None,
            lookup,
            heartbeat_action,
            slot_monitor: None,
            notifier,
            signals: None,
            blocking: None,
            ask: Arc::default(),
            stored: Arc::new(watch::Sender::new(stored)),
        })
    }

    fn start_session(&self) -> Session {
        Session::start(self.session_input())
    }

    fn session_input(&self) -> SessionInput {
        let position = match &self.decoder {
            Some(decoder) => {
                let (resume, last_commit) = decoder.position();
                Some(Position::Streaming { resume, last_commit })
            }
            None => self.position,
        };
        SessionInput {
            config: self.config.clone(),
            hosts: self.context.hosts.clone(),
            metrics: self.context.metrics.clone(),
            stored: self.stored.subscribe(),
            ask: self.ask.clone(),
            position,
            interrupted: self.snapshot.as_ref().and_then(|at| Interrupted::parse(&at.offset)),
            fresh: self.fresh,
            whole_only: self.whole_only,
        }
    }

    /// Takes the session's next event; `true` when it filled the batch.
    async fn advance(&mut self, out: &mut RecordBatch) -> Result<bool, ConnectError> {
        if self.start_blocking() {
            return self.advance_blocking(out).await;
        }
        if self.session.is_none() {
            self.session = Some(self.start_session());
        }
        let Some(session) = &mut self.session else { return Ok(false) };
        let due = self.decoder.as_ref().and_then(StreamDecoder::heartbeat_due_at);
        let next = tokio::select! {
            next = session.next() => next,
            step = beside(&mut self.signals), if self.decoder.is_some() => {
                self.take(step, out);
                return Ok(!out.is_empty());
            }
            // The server says nothing, and so the connector does by itself.
            () = at(due), if due.is_some() => {
                if let Some(decoder) = &mut self.decoder {
                    decoder.beat(self.signals.as_mut(), out);
                }
                self.after_beat().await?;
                return Ok(!out.is_empty());
            }
        };
        let event = match next {
            Ok(Some(event)) => event,
            Ok(None) => {
                self.session = None;
                self.idle = true;
                return Ok(false);
            }
            Err(error) => {
                if std::mem::take(&mut self.reading) {
                    self.tell(&Notification::of_snapshot("ABORTED", Vec::new()), out);
                }
                self.disconnected();
                // A task that was connected stays: what its server refuses now may pass.
                return Err(if self.fresh { error } else { at_reconnect(error) });
            }
        };
        match event {
            Event::Notification(notification) => {
                self.tell(&notification, out);
                return Ok(!out.is_empty());
            }
            Event::SnapshotAt(offset) => self.snapshot_at(offset, out),
            Event::Snapshot(chunk) => self.snapshot_rows(chunk, out)?,
            Event::SnapshotEnded { point, offset } => self.snapshot_ended(point, offset, out),
            Event::StreamStarted { from, last_commit, client, tables } => {
                self.stream_started(from, last_commit, client);
                self.start_signals(tables);
                return Ok(false);
            }
            Event::Refused(refusal) => {
                self.refused(&refusal);
                return Ok(false);
            }
            Event::Stream { bytes, relations } => {
                self.chunk = Some((bytes, relations));
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn snapshot_rows(
        &mut self,
        chunk: SnapshotChunk,
        out: &mut RecordBatch,
    ) -> Result<(), ConnectError> {
        read_rows(&chunk, out)?;
        // Inside of a part the offset does not say all that was read.
        if chunk.ends_part || !self.context.exactly_once {
            self.snapshot_at(chunk.offset, out);
        }
        Ok(())
    }

    fn snapshot_ended(
        &mut self,
        point: SnapshotPoint,
        offset: SourceOffset,
        out: &mut RecordBatch,
    ) {
        self.snapshot = None;
        self.reading = false;
        self.position = Some(Position::Streaming { resume: point.lsn, last_commit: None });
        out.seal(offset);
        if let Some(mut heartbeats) = Heartbeats::new(&self.config) {
            out.push_record(heartbeats.beat());
            out.seal(self.offsets.after_snapshot(point));
        }
    }

    /// The next session has the server keep transactions until they commit.
    fn refused(&mut self, refusal: &Refusal) {
        let error = refusal.to_string();
        let cause = std::error::Error::source(refusal).map(ToString::to_string);
        tracing::warn!(error, cause, "the server keeps transactions until they commit");
        self.whole_only = true;
        self.disconnected();
    }

    /// The rows so far are those that `offset` says; it is gone on from there after a break.
    fn snapshot_at(&mut self, offset: SourceOffset, out: &mut RecordBatch) {
        self.fresh = false;
        self.position = Some(Position::SnapshotInterrupted);
        self.snapshot = Some(offset.clone());
        self.reading = true;
        out.seal(offset);
    }

    fn stream_started(&mut self, from: Lsn, last_commit: Option<Lsn>, client: Client) {
        self.fresh = false;
        self.lookup.connected(client);
        self.context.metrics.streaming_connected.set(1);
        self.slot_monitor.get_or_insert_with(|| {
            let (config, hosts) = (self.config.clone(), self.context.hosts.clone());
            SlotMonitor::start(config, hosts, self.context.metrics.clone())
        });
        match &mut self.decoder {
            Some(decoder) if decoder.position().0 == from => decoder.restarted(),
            decoder => {
                let (config, offsets) = (self.config.clone(), self.offsets.clone());
                let mut new = StreamDecoder::new(config, offsets, from, last_commit);
                new.skip(self.inside);
                *decoder = Some(new);
            }
        }
    }

    fn start_signals(&mut self, tables: Vec<String>) {
        let stored = self.offsets.find(&self.context.offsets).map(|stored| stored.offset.clone());
        let stored = stored.as_deref();
        if self.signals.is_none() && Incremental::is_wanted(&self.config, stored) {
            self.signals = Some(Incremental::new(
                self.config.clone(),
                self.context.hosts.clone(),
                self.context.topics.clone(),
                self.notifier.clone(),
                self.ask.clone(),
                stored,
            ));
        }
        if let Some(signals) = &mut self.signals {
            signals.streaming(tables);
        }
    }

    fn take(&mut self, step: Step, out: &mut RecordBatch) {
        let (Some(signals), Some(decoder)) = (&mut self.signals, &mut self.decoder) else { return };
        let before = out.rows.len();
        signals.take(step, out);
        decoder.add_unsealed(out.rows.len() - before);
    }

    fn tell(&mut self, notification: &Notification, out: &mut RecordBatch) {
        let Some(record) = self.notifier.tell(notification) else { return };
        out.push_record(record);
        if let Some(decoder) = &mut self.decoder {
            decoder.add_unsealed(1);
        }
    }

    /// Whether the stream waits for a snapshot; one that is asked for starts.
    fn start_blocking(&mut self) -> bool {
        if self.blocking.is_some() {
            return true;
        }
        let (Some(signals), Some(decoder)) = (&mut self.signals, &self.decoder) else {
            return false;
        };
        let Some(request) = signals.next_blocking() else { return false };
        let names = signals.matching(&request.collections);
        let point = decoder.read_point();
        tracing::info!(tables = names.join(","), "the stream waits for a blocking snapshot");
        let (input, asked) = (self.session_input(), request.clone());
        let session = Session::of(|out| snapshot::blocking(input, asked, names, point, out));
        self.blocking = Some((session, request));
        true
    }

    /// Takes the next event of the snapshot that the stream waits for.
    async fn advance_blocking(&mut self, out: &mut RecordBatch) -> Result<bool, ConnectError> {
        let Some((session, _)) = &mut self.blocking else { return Ok(false) };
        match session.next().await {
            Ok(Some(Event::Snapshot(chunk))) => {
                read_rows(&chunk, out)?;
                if let Some(decoder) = &mut self.decoder {
                    decoder.add_unsealed(out.rows.len());
                }
                Ok(true)
            }
            Ok(Some(Event::Notification(notification))) => {
                self.tell(&notification, out);
                Ok(!out.is_empty())
            }
            // Where it stands is not remembered: what asked for it comes again.
            Ok(Some(_)) => Ok(false),
            Ok(None) => {
                tracing::info!("the blocking snapshot is complete, the stream goes on");
                self.blocking_ended();
                Ok(false)
            }
            Err(error) => {
                self.tell(&Notification::of_snapshot("ABORTED", Vec::new()), out);
                if error.kind() == ErrorKind::Retriable {
                    let request = self.blocking.take().map(|(_, request)| request);
                    if let (Some(signals), Some(request)) = (&mut self.signals, request) {
                        signals.again(request);
                    }
                    return Err(error);
                }
                let error = error.trace();
                tracing::error!(error, "the blocking snapshot failed, the stream goes on");
                self.blocking_ended();
                Ok(!out.is_empty())
            }
        }
    }

    fn blocking_ended(&mut self) {
        self.blocking = None;
        if let Some(signals) = &mut self.signals {
            signals.blocking_ended();
        }
    }

    /// Decodes the chunk that was taken. Until its tables are looked up it stays, so that a poll that
    /// is dropped loses nothing.
    async fn decode(&mut self, out: &mut RecordBatch) -> Result<(), ConnectError> {
        let Some((chunk, relations)) = &self.chunk else { return Ok(()) };
        let Some(decoder) = &mut self.decoder else {
            return Err(ConnectError::fatal("a chunk of a stream that has not started"));
        };
        if *relations {
            match self.lookup.tables(chunk).await {
                Ok(tables) => decoder.stage(tables),
                Err(error) => {
                    self.disconnected();
                    return Err(at_reconnect(error));
                }
            }
        }
        if let Some(monitor) = &self.slot_monitor {
            decoder.set_xmin(monitor.xmin());
        }
        decoder.decode(chunk, self.signals.as_mut(), out)?;
        let metrics = &self.context.metrics;
        decoder.tallies().report(metrics);
        if !out.rows.is_empty() {
            metrics.milliseconds_behind_source.set((decoder.behind_micros() / 1000).max(0));
        }
        let stored = self.stored.borrow().0;
        set_gauge(&metrics.lag_bytes, decoder.server_end.0.saturating_sub(stored));
        self.chunk = None;
        self.after_beat().await
    }

    /// Runs what goes with a heartbeat that was handed out.
    async fn after_beat(&mut self) -> Result<(), ConnectError> {
        match self.decoder.as_mut().is_some_and(StreamDecoder::take_beaten) {
            true => self.heartbeat_action.start().await,
            false => Ok(()),
        }
    }

    /// The connection is gone: the next poll starts a session behind what was handed out.
    fn disconnected(&mut self) {
        self.session = None;
        self.chunk = None;
        self.lookup.disconnected();
        self.context.metrics.streaming_connected.set(0);
        if let Some(decoder) = &mut self.decoder {
            decoder.restarted();
        }
    }
}

#[async_trait]
impl SourceTask for PostgresTask {
    async fn poll(&mut self, out: &mut RecordBatch) -> Result<(), ConnectError> {
        loop {
            if self.idle {
                // The task stays RUNNING, as the original's does.
                std::future::pending::<()>().await;
            }
            if self.chunk.is_some() {
                self.decode(out).await?;
                if out.is_empty() {
                    out.clear();
                    continue;
                }
                return Ok(());
            }
            if self.advance(out).await? {
                return Ok(());
            }
        }
    }

    fn committer(&self) -> Arc<dyn OffsetCommitter> {
        Arc::new(Committer { stored: self.stored.clone(), acknowledge: self.config.acknowledge })
    }

    async fn stop(mut self: Box<Self>) -> Result<(), ConnectError> {
        self.lookup.disconnected();
        self.heartbeat_action.disconnected();
        self.slot_monitor = None;
        self.context.metrics.streaming_connected.set(0);
        if let Some((session, _)) = self.blocking.take() {
            session.stop().await;
        }
        if let Some(session) = self.session.take() {
            session.stop().await;
        }
        if self.config.slot.drop_on_stop {
            drop_slot(&self.config, &self.context).await?;
        }
        Ok(())
    }
}

/// What happens beside the stream.
async fn beside(signals: &mut Option<Incremental>) -> Step {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// Sleeps until then; without a time, for ever.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn drop_slot(
    config: &PostgresConfig,
    context: &SourceTaskContext,
) -> Result<(), ConnectError> {
    const ATTEMPTS: u32 = 3;
    let failed = |error| explain(error, "dropping the replication slot", config);
    let open = Client::open(&config.server, &context.hosts, "Ferroconnect Drop Slot");
    let mut client = open.await.map_err(failed)?;
    let mut attempt = 1;
    loop {
        match client.drop_slot(&config.slot.name).await {
            Ok(()) => return Ok(()),
            Err(error) if error.code() == Some("55006") && attempt < ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Tells the session what is stored, which tells the server.
#[derive(Debug)]
struct Committer {
    stored: Arc<watch::Sender<Lsn>>,
    acknowledge: bool,
}

#[async_trait]
impl OffsetCommitter for Committer {
    async fn commit(&self, stored: &SourceOffset) -> Result<(), ConnectError> {
        if !self.acknowledge {
            return Ok(());
        }
        fail::fail_point!("postgres.before-acknowledge");
        match Position::parse(&stored.offset) {
            Ok(Position::Streaming { resume, .. }) => {
                self.stored.send_if_modified(|known| {
                    let grows = resume > *known;
                    *known = resume.max(*known);
                    grows
                });
                Ok(())
            }
            Ok(Position::SnapshotInterrupted) => Ok(()),
            Err(reason) => Err(ConnectError::fatal(format!("a stored offset: {reason}"))),
        }
    }
}
