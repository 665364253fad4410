//! One connected life of the task: start-up, then a snapshot, then the stream. It runs as a task of
//! its own, so that a poll can be dropped at any point and the server is answered whatever the poll
//! does; what it reads goes through a channel of one chunk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::config::HostMap;
use crate::connector::postgres::client::{Client, ServerFacts, Slot, TableId};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::in_progress::{self, InProgress, Refusal};
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::notification::Notification;
use crate::connector::postgres::offset::{Position, SnapshotPoint};
use crate::connector::postgres::replica_identity;
use crate::connector::postgres::replication::{self, Ended, Stream};
use crate::connector::postgres::setup::{self, Start};
use crate::connector::postgres::snapshot::{self, Interrupted, Origin, SnapshotChunk};
use crate::connector::postgres::wire::{Connection, Purpose};
use crate::data::SourceOffset;
use crate::error::ConnectError;
use crate::metrics::{TaskMetrics, set_gauge};

/// What a session hands to the poll.
#[derive(Debug)]
pub(super) enum Event {
    /// A snapshot runs, and has come so far.
    SnapshotAt(SourceOffset),
    Snapshot(SnapshotChunk),
    /// Its rows have all been given; streaming starts at `point`.
    SnapshotEnded {
        point: SnapshotPoint,
        offset: SourceOffset,
    },
    Notification(Notification),
    /// Streaming starts behind this; the client answers questions about tables.
    StreamStarted {
        from: Lsn,
        last_commit: Option<Lsn>,
        client: Client,
        /// The captured tables.
        tables: Vec<String>,
    },
    /// Transactions in progress cannot be kept here: the server is to keep them.
    Refused(Refusal),
    /// Whole frames; `relations`: some of them are Relation messages.
    Stream {
        bytes: Bytes,
        relations: bool,
    },
}

/// What a session is started with.
#[derive(Debug, Clone)]
pub(super) struct SessionInput {
    pub(super) config: Arc<PostgresConfig>,
    pub(super) hosts: Arc<HostMap>,
    pub(super) metrics: Arc<TaskMetrics>,
    pub(super) stored: watch::Receiver<Lsn>,
    /// Asks the server where its log ends.
    pub(super) ask: Arc<Notify>,
    pub(super) position: Option<Position>,
    /// The snapshot that broke off.
    pub(super) interrupted: Option<Interrupted>,
    /// The task has just started.
    pub(super) fresh: bool,
    /// Transactions in progress could not be kept: none are asked for.
    pub(super) whole_only: bool,
}

/// A running session. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Session {
    events: mpsc::Receiver<Event>,
    /// `None`: its end was reported.
    task: Option<JoinHandle<Result<(), ConnectError>>>,
}

impl Session {
    /// Starts a session; it works while nobody polls, up to one chunk ahead.
    pub(super) fn start(input: SessionInput) -> Self {
        Self::of(|out| run(input, out))
    }

    /// Starts what `work` does with the channel that it is given.
    pub(super) fn of<F>(work: impl FnOnce(mpsc::Sender<Event>) -> F) -> Self
    where
        F: Future<Output = Result<(), ConnectError>> + Send + 'static,
    {
        let (out, events) = mpsc::channel(1);
        let task = tokio::spawn(work(out).in_current_span());
        Self { events, task: Some(task) }
    }

    /// The next event; `None` when there will be no more. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, ConnectError> {
        if let Some(event) = self.events.recv().await {
            return Ok(Some(event));
        }
        let Some(task) = &mut self.task else { return Ok(None) };
        let ended = task.await;
        self.task = None;
        match ended {
            Ok(outcome) => outcome.map(|()| None),
            Err(error) => Err(ConnectError::fatal("the session's task panicked").because(error)),
        }
    }

    /// Ends the session and waits until its connections are closed.
    pub(super) async fn stop(mut self) {
        // The stream ends when its channel closes, and says good-bye to the server.
        self.events.close();
        while self.events.try_recv().is_ok() {}
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(Duration::from_secs(2), &mut task).await.is_err()
        {
            task.abort();
            drop(task.await);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn run(input: SessionInput, out: mpsc::Sender<Event>) -> Result<(), ConnectError> {
    let config = input.config.clone();
    let mut client = open_client(&input, "Ferroconnect General").await?;
    let failed = |error| explain(error, "reading the server's settings", &config);
    let facts = client.facts().await.map_err(failed)?;
    setup::check_server(&config, &facts)?;
    let slot = client.slot(&config.slot.name, facts.version).await.map_err(failed)?;
    if let Some(slot) = &slot {
        setup::check_slot(&config, slot)?;
    }
    let start = setup::decide(&config, &facts, slot.as_ref(), input.position, input.fresh)?;
    let tables = client.tables().await.map_err(failed)?;
    let captured = setup::captured(&config, tables);
    setup::warn_unmatched(&config, &captured);
    setup::check_guardrail(&config, captured.len())?;
    set_gauge(&input.metrics.captured_tables, captured.len() as u64);
    if captured.is_empty() && matches!(start, Start::Snapshot { .. }) {
        return Err(setup::nothing_captured(&config));
    }
    if start == Start::Nothing {
        tracing::info!("the snapshot is complete, and the mode does not stream");
        return Ok(());
    }
    if start != (Start::Snapshot { stream: false }) {
        setup::ensure_publication(&mut client, &config, &facts, &captured).await?;
        if !facts.in_recovery {
            // Before the slot, so that all that is streamed has it.
            let failed = |error| explain(error, "setting replica identities", &config);
            replica_identity::set(&mut client, &config, &captured).await.map_err(failed)?;
        }
    }
    let names = captured.iter().map(TableId::name).collect();
    let session = Running { input: &input, config: &config, facts: &facts, out: &out, names };
    match start {
        Start::Snapshot { stream: true } => {
            session.snapshot_and_stream(client, slot.as_ref(), captured).await
        }
        Start::Snapshot { stream: false } => {
            snapshot::run(&input, &facts, captured, Origin::Alone, &out).await?;
            tracing::info!("Streaming is disabled for snapshot mode initial_only");
            Ok(())
        }
        Start::Nothing => Ok(()),
        Start::Stream { from, last_commit } => {
            session.stream_on(client, slot, from, last_commit).await
        }
    }
}

/// Opens an SQL connection and runs the initial statements on it.
pub(super) async fn open_client(
    input: &SessionInput,
    name: &'static str,
) -> Result<Client, ConnectError> {
    let config = &input.config;
    let failed = |error| explain(error, "connecting", config);
    let mut client = Client::open(&config.server, &input.hosts, name).await.map_err(failed)?;
    for statement in &config.server.initial_statements {
        let doing = format!("\"{statement}\" of database.initial.statements");
        client.execute(statement).await.map_err(|error| explain(error, &doing, config))?;
    }
    Ok(client)
}

struct Running<'a> {
    input: &'a SessionInput,
    config: &'a PostgresConfig,
    facts: &'a ServerFacts,
    out: &'a mpsc::Sender<Event>,
    /// Of the captured tables.
    names: Vec<String>,
}

impl Running<'_> {
    /// Reads the tables, or the rest of them, and streams on from there.
    async fn snapshot_and_stream(
        &self,
        mut client: Client,
        slot: Option<&Slot>,
        captured: Vec<TableId>,
    ) -> Result<(), ConnectError> {
        let interrupted = self.input.interrupted.clone();
        let resumed = snapshot::resumable(self.config, self.facts, slot, interrupted);
        let (connection, origin) = match resumed {
            Some(resumed) => (self.open_replication().await?, Origin::Interrupted(resumed)),
            None => {
                let mut active = slot.map(|slot| slot.active);
                if slot.is_some_and(|slot| slot.lost) {
                    self.drop_slot(&mut client, "it was invalidated").await?;
                    active = None;
                }
                let (connection, created) = self.snapshot_slot(&mut client, active).await?;
                (connection, Origin::Slot(created))
            }
        };
        let snapshot = snapshot::run(self.input, self.facts, captured, origin, self.out).await?;
        tokio::time::sleep(self.config.snapshot.streaming_delay).await;
        self.stream(client, connection, Some(snapshot.lsn), None).await
    }

    /// Streams from `from`, else from where the slot stands.
    async fn stream_on(
        &self,
        mut client: Client,
        slot: Option<Slot>,
        mut from: Option<Lsn>,
        last_commit: Option<Lsn>,
    ) -> Result<(), ConnectError> {
        if self.input.fresh {
            let skipped = Notification::of_snapshot("SKIPPED", Vec::new());
            if self.out.send(Event::Notification(skipped)).await.is_err() {
                return Ok(());
            }
        }
        let mut connection = self.open_replication().await?;
        if slot.is_none() {
            let created = self.create_slot(&mut connection, &mut client).await?;
            from = Some(created.consistent);
        }
        let confirmed = slot.and_then(|slot| slot.confirmed.or(slot.restart));
        self.stream(client, connection, from.or(confirmed), last_commit).await
    }

    async fn open_replication(&self) -> Result<Connection, ConnectError> {
        let server = &self.config.server;
        Connection::open(server, &self.input.hosts, Purpose::Replication)
            .await
            .map_err(|error| explain(error, "opening the replication connection", self.config))
    }

    async fn create_slot(
        &self,
        connection: &mut Connection,
        client: &mut Client,
    ) -> Result<replication::CreatedSlot, ConnectError> {
        let name = &self.config.slot.name;
        let failover =
            self.config.slot.failover && self.facts.version >= 170_000 && !self.facts.in_recovery;
        tracing::info!(slot = name, "creating the replication slot");
        let creating = replication::create_slot(connection, name, false, failover);
        self.telling_who_blocks(creating, client)
            .await
            .map_err(|error| explain(error, "Creation of replication slot", self.config))
    }

    /// A slot's creation waits for every transaction that was open before it: says which.
    async fn telling_who_blocks<T>(
        &self,
        creating: impl Future<Output = T>,
        client: &mut Client,
    ) -> T {
        const PATIENCE: Duration = Duration::from_secs(10);
        const OPEN: &str = "\
            select string_agg(pid::text, ', ' order by xact_start) from pg_stat_activity \
            where backend_xid is not null and datname = current_database()";
        let mut creating = std::pin::pin!(creating);
        loop {
            match tokio::time::timeout(PATIENCE, &mut creating).await {
                Ok(outcome) => return outcome,
                Err(_) => {
                    let pids = client.value(OPEN).await.ok().flatten().unwrap_or_default();
                    tracing::warn!(
                        slot = self.config.slot.name,
                        pids,
                        "the slot's creation waits for open transactions to end; \
                         pg_terminate_backend(pid) ends one"
                    );
                }
            }
        }
    }

    /// A slot's consistent point with its exported snapshot. An existing slot stays: a temporary one
    /// beside it gives the point from which the existing one is then streamed.
    async fn snapshot_slot(
        &self,
        client: &mut Client,
        existing_active: Option<bool>,
    ) -> Result<(Connection, replication::CreatedSlot), ConnectError> {
        let mut connection = self.open_replication().await?;
        let Some(active) = existing_active else {
            let created = self.create_slot(&mut connection, client).await?;
            return Ok((connection, created));
        };
        if active {
            let name = &self.config.slot.name;
            return Err(ConnectError::retriable(format!(
                "another client reads replication slot \"{name}\", so that a snapshot would be in vain: \
                 stop it, or give each connector a distinct slot.name"
            )));
        }
        let temporary = format!("ferroconnect_{}", uuid::Uuid::new_v4().simple());
        let creating = replication::create_slot(&mut connection, &temporary, true, false);
        match self.telling_who_blocks(creating, client).await {
            Ok(created) => Ok((connection, created)),
            Err(error) if error.code() == Some("53400") => {
                // No slot is free beside ours, and what ours holds is read by the snapshot anyway.
                self.drop_slot(client, "no second slot is free").await?;
                let created = self.create_slot(&mut connection, client).await?;
                Ok((connection, created))
            }
            Err(error) => Err(explain(error, "creating a temporary slot", self.config)),
        }
    }

    /// Drops the slot, of which nothing is lost: all that it has is read by the snapshot.
    async fn drop_slot(&self, client: &mut Client, why: &str) -> Result<(), ConnectError> {
        let slot = &self.config.slot.name;
        tracing::warn!(slot, why, "recreating the replication slot");
        let dropping = |error| explain(error, "dropping the replication slot", self.config);
        client.drop_slot(slot).await.map_err(dropping)
    }

    async fn stream(
        &self,
        client: Client,
        mut connection: Connection,
        from: Option<Lsn>,
        last_commit: Option<Lsn>,
    ) -> Result<(), ConnectError> {
        let from = from.unwrap_or_default();
        let version = self.facts.version;
        let wanted = self.config.in_progress.clone().filter(|_| !self.input.whole_only);
        let in_progress = wanted
            .filter(|_| in_progress::is_possible(self.config, version))
            .map(|config| InProgress::new(config, version));
        self.start_stream(&mut connection, from, in_progress.is_some()).await?;
        tracing::info!(slot = self.config.slot.name, %from, "streaming");
        let tables = self.names.clone();
        let event = Event::StreamStarted { from, last_commit, client, tables };
        if self.out.send(event).await.is_err() {
            return Ok(());
        }
        let stored = self.input.stored.clone();
        let failed = |error| explain(error, "reading the replication stream", self.config);
        let ask = self.input.ask.clone();
        let stream = Stream::new(connection, self.out.clone(), stored, ask, in_progress);
        if let Ended::Refused(refusal) = stream.run(self.status_interval()).await.map_err(failed)? {
            // With nobody to take it there is nothing to start again.
            drop(self.out.send(Event::Refused(refusal)).await);
        }
        Ok(())
    }

    /// Starts the stream; a predecessor whose connection just broke may hold the slot for a moment.
    async fn start_stream(
        &self,
        connection: &mut Connection,
        from: Lsn,
        in_progress: bool,
    ) -> Result<(), ConnectError> {
        const ATTEMPTS: u32 = 10;
        const PAUSE: Duration = Duration::from_millis(200);
        let mut attempt = 1;
        loop {
            let (config, version) = (self.config, self.facts.version);
            match replication::start(connection, config, from, version, in_progress).await {
                Ok(()) => return Ok(()),
                Err(error) if error.code() == Some("55006") && attempt < ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                    // The server's answer to the failed command is still unread.
                    *connection = self.open_replication().await?;
                }
                Err(error) => {
                    let doing = format!("starting the replication stream at {from}");
                    return Err(explain(error, &doing, self.config));
                }
            }
        }
    }

    /// Often enough for the server's patience.
    fn status_interval(&self) -> Duration {
        let configured = self.config.status_interval;
        match self.facts.sender_timeout {
            0 => configured,
            timeout => configured.min(Duration::from_millis((timeout / 3).max(100))),
        }
    }
}
