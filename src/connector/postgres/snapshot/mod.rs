//! The snapshot: every captured table read by COPY in one exported snapshot, in chunks that several
//! connections share and that a restart does not read again. Source: Debezium,
//! `PostgresSnapshotChangeEventSource`; going on where a snapshot broke off is ours.
//!
//! `plan` cuts tables into chunks, `reader` reads them, `handover` puts what comes into order,
//! `progress` is what the stored offset remembers.

mod config;
mod handover;
mod meter;
mod plan;
mod progress;
mod reader;
mod resume;
mod rows;
mod sizes;
mod transaction;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::{OnceCell, mpsc};
use tokio::task::JoinSet;
use tracing::Instrument as _;

pub(super) use config::{SnapshotConfig, SnapshotMode};
pub(super) use progress::{Interrupted, MEMBER};
pub(super) use resume::resumable;
pub(super) use rows::{SnapshotChunk, read_rows};
pub(super) use transaction::Origin;

use crate::connector::postgres::client::{Client, ServerFacts, TableId};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::failure::explain;
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
        Origin::Slot(_) | Origin::Alone => (begun.point, progress::Progress::default()),
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
    let mut handover = Handover::new(plan.clone(), offsets.clone(), point, progress);
    send(out, Event::SnapshotAt(handover.offset().clone())).await?;
    let shared = Arc::new(Shared {
        config: config.clone(),
        tables: plan.tables.iter().map(|_| OnceCell::new()).collect(),
        plan,
        next: AtomicUsize::new(0),
        point: begun.point,
    });
    let clients = read_all(shared, clients, &mut handover, &mut meter, out).await?;
    give(out, handover.finish(), &mut meter).await?;
    fail::fail_point!("snapshot.before-end");
    meter.ends();
    for client in clients {
        client.close().await;
    }
    let offset = offsets.snapshot(point, true);
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
    out: &mpsc::Sender<Event>,
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
        let ended = match &read {
            Read::Rows { .. } => None,
            Read::ChunkEnd(chunk) => shared.plan.chunks.get(*chunk).map(|chunk| chunk.blocks),
        };
        give(out, handover.take(read), meter).await?;
        if let Some(blocks) = ended {
            meter.chunk(blocks, handover.tables_left());
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
