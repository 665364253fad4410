//! The snapshot: every captured table read by COPY in one exported snapshot, in chunks that several
//! connections share and that a restart does not read again. Source: Debezium,
//! `PostgresSnapshotChangeEventSource`; going on where a snapshot broke off is ours.
//!
//! `plan` cuts tables into chunks, `reader` reads them, `handover` puts what comes into order,
//! `progress` is what the stored offset remembers.

mod blocking;
mod config;
mod handover;
mod meter;
mod plan;
mod progress;
mod reader;
mod resume;
mod rows;
mod sample;
mod sizes;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument as _;

pub(super) use blocking::blocking;
pub(super) use config::{SnapshotConfig, SnapshotMode};
pub(super) use plan::keep_read_columns;
pub(super) use progress::{Interrupted, MEMBER};
pub(super) use reader::{Whole, lost};
pub(super) use resume::resumable;
pub(super) use rows::{CopyLines, SnapshotChunk, read_rows};
pub(super) use sample::sample;
pub(super) use sizes::table_sizes;
pub(super) use transaction::Origin;

use crate::connector::postgres::client::{Client, ServerFacts, TableId};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::ReadPoint;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::notification::Notification;
use crate::connector::postgres::offset::{Offsets, SnapshotPoint};
use crate::connector::postgres::session::{Event, SessionInput, open_client};
use crate::connector::postgres::snapshot::handover::{Given, Handover, Read};
use crate::connector::postgres::snapshot::meter::Meter;
use crate::connector::postgres::snapshot::plan::{Circumstances, Plan};
use crate::connector::postgres::snapshot::reader::Shared;
use crate::connector::postgres::snapshot::transaction::{Begun, begin, lock};
use crate::error::ConnectError;

/// Reads all tables. Returns where streaming starts behind it.
pub(super) async fn run(
    input: &SessionInput,
    facts: &ServerFacts,
    tables: Vec<TableId>,
    origin: Origin,
    out: &mpsc::Sender<Event>,
) -> Result<SnapshotPoint, ConnectError> {
    let config = &input.config;
    let mut client = open_client(input, "Ferroconnect Snapshot").await?;
    let begun = begin(&mut client, config, facts, &origin).await?;
    // The snapshot is imported: its transaction may wait as long as it has to.
    tokio::time::sleep(config.snapshot.delay).await;
    let tables = selected(config, tables);
    lock(&mut client, config, &tables).await?;
    let (point, mut progress) = match origin {
        Origin::Interrupted(interrupted) => {
            tracing::info!(from = %interrupted.point.lsn, "going on with an interrupted snapshot");
            (interrupted.point, interrupted.progress)
        }
        _ => (begun.point, progress::Progress::default()),
    };
    let oids: Vec<_> = tables.iter().map(|table| table.oid).collect();
    let failed = |error| explain(error, "measuring the tables", config);
    let sizes = sizes::table_sizes(&mut client, &oids).await.map_err(failed)?;
    let circumstances = Circumstances {
        version: facts.version,
        sizes: &sizes,
        xmin: begun.xmin,
        stable: begun.stable,
        progress: &mut progress,
    };
    let plan = Arc::new(Plan::new(config, tables, circumstances));
    let threads = config.snapshot.threads.min(plan.chunks.len()).max(1);
    tracing::info!(
        tables = plan.tables.len(),
        chunks = plan.chunks.len(),
        threads,
        lsn = %begun.point.lsn,
        "snapshot starts"
    );
    let clients = join_all(input, &begun, client, threads).await?;
    let mut meter = Meter::start(&input.metrics, plan.tables.len(), plan.blocks, plan.blocks_done);
    let offsets = Offsets::new(&config.topic_prefix).of_generation(config.generation);
    let names: Vec<_> = plan.tables.iter().map(|table| table.id.name()).collect();
    let mut told = Told { out, names: names.join(","), rows: vec![0; names.len()] };
    told.tell("STARTED", Vec::new()).await?;
    let mut handover = Handover::new(plan.clone(), offsets.clone(), point, progress);
    send(out, Event::SnapshotAt(handover.offset().clone())).await?;
    let shared = Arc::new(Shared {
        config: config.clone(),
        tables: plan.tables.iter().map(|_| OnceCell::new()).collect(),
        plan,
        next: AtomicUsize::new(0),
        point: ReadPoint { at: begun.point, last_commit: begun.last_commit },
    });
    let clients = read_all(shared, clients, &mut handover, &mut meter, &mut told).await?;
    give(out, handover.finish(), &mut meter).await?;
    fail::fail_point!("snapshot.before-end");
    meter.ends();
    for client in clients {
        client.close().await;
    }
    let offset = offsets.snapshot(point, true);
    told.tell("COMPLETED", Vec::new()).await?;
    send(out, Event::SnapshotEnded { point, offset }).await?;
    Ok(point)
}

/// The connections that read; the first one leads.
async fn join_all(
    input: &SessionInput,
    begun: &Begun,
    leader: Client,
    threads: usize,
) -> Result<Vec<Client>, ConnectError> {
    let mut clients = vec![leader];
    while clients.len() < threads {
        clients.push(begun.join(input).await?);
    }
    Ok(clients)
}

/// Reads all chunks; gives the connections back.
async fn read_all(
    shared: Arc<Shared>,
    clients: Vec<Client>,
    handover: &mut Handover,
    meter: &mut Meter<'_>,
    told: &mut Told<'_>,
) -> Result<Vec<Client>, ConnectError> {
    let (read, mut reads) = mpsc::channel(1);
    let mut readers = JoinSet::new();
    for client in clients {
        let reader = reader::run(shared.clone(), client, read.clone());
        readers.spawn(reader.in_current_span());
    }
    drop(read);
    // The channel closes when all readers have ended.
    while let Some(read) = reads.recv().await {
        let name = |table: usize| shared.plan.tables.get(table).map(|table| table.id.name());
        let ended = match &read {
            Read::TableBegins(table) => {
                told.table_begins(name(*table).unwrap_or_default()).await?;
                None
            }
            Read::Rows { table, rows, .. } => {
                told.add(*table, *rows);
                None
            }
            Read::ChunkEnd(chunk) => shared.plan.chunks.get(*chunk),
        };
        give(told.out, handover.take(read), meter).await?;
        if let Some(chunk) = ended {
            if handover.is_read(chunk.table) {
                let name = name(chunk.table).unwrap_or_default();
                told.table_ends(chunk.table, name).await?;
            }
            meter.chunk(chunk.blocks, handover.tables_left());
            fail::fail_point!("snapshot.after-chunk");
        }
    }
    let mut clients = Vec::new();
    while let Some(ended) = readers.join_next().await {
        let ended = ended.map_err(|error| {
            ConnectError::fatal("a reader of the snapshot panicked").because(error)
        })?;
        clients.push(ended?);
    }
    Ok(clients)
}

/// What is told of a snapshot.
struct Told<'a> {
    out: &'a mpsc::Sender<Event>,
    /// Of all tables.
    names: String,
    /// Read of each table.
    rows: Vec<u64>,
}

impl Told<'_> {
    fn add(&mut self, table: usize, rows: usize) {
        if let Some(total) = self.rows.get_mut(table) {
            *total += rows as u64;
        }
    }

    async fn table_begins(&self, name: String) -> Result<(), ConnectError> {
        let data = vec![
            ("data_collections", self.names.clone()),
            ("current_collection_in_progress", name),
        ];
        self.tell("IN_PROGRESS", data).await
    }

    async fn table_ends(&self, table: usize, name: String) -> Result<(), ConnectError> {
        let rows = self.rows.get(table).copied().unwrap_or_default();
        let data = vec![
            ("data_collections", self.names.clone()),
            ("scanned_collection", name),
            ("total_rows_scanned", rows.to_string()),
            ("status", "SUCCEEDED".to_owned()),
        ];
        self.tell("TABLE_SCAN_COMPLETED", data).await
    }

    async fn tell(
        &self,
        kind: &'static str,
        data: Vec<(&'static str, String)>,
    ) -> Result<(), ConnectError> {
        send(self.out, Event::Notification(Notification::of_snapshot(kind, data))).await
    }
}

async fn give(
    out: &mpsc::Sender<Event>,
    given: Vec<Given>,
    meter: &mut Meter<'_>,
) -> Result<(), ConnectError> {
    for given in given {
        let event = match given {
            Given::Rows(chunk) => {
                meter.rows(chunk.rows, chunk.bytes.len());
                Event::Snapshot(chunk)
            }
            Given::At(offset) => Event::SnapshotAt(offset),
        };
        send(out, event).await?;
    }
    Ok(())
}

async fn send(out: &mpsc::Sender<Event>, event: Event) -> Result<(), ConnectError> {
    out.send(event).await.map_err(|_| reader::given_up())
}

fn selected(config: &PostgresConfig, tables: Vec<TableId>) -> Vec<TableId> {
    match &config.snapshot.tables {
        None => tables,
        Some(patterns) => {
            tables.into_iter().filter(|table| patterns.matches(&table.name())).collect()
        }
    }
}
