//! The snapshot: every captured table read by COPY in one exported snapshot, in chunks of many rows.
//! Source: Debezium, `PostgresSnapshotChangeEventSource`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::connector::postgres::client::{Client, ServerFacts, TableId, lsn, quoted};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::{Marker, ReadPlans};
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::offset::SnapshotPoint;
use crate::connector::postgres::pgoutput::micros_now;
use crate::connector::postgres::relation::{Relation, TableShape};
use crate::connector::postgres::replication::CreatedSlot;
use crate::connector::postgres::session::{Event, SessionInput, open_client};
use crate::connector::postgres::wire::{Connection, WireError, error_of_frame, frame_length};
use crate::data::{Cell, RecordBatch};
use crate::error::ConnectError;
use crate::metrics::TaskMetrics;

/// Rows are handed over in chunks of about this.
const CHUNK_BYTES: usize = 256 * 1024;
/// A frame's tag and length.
const FRAME_HEADER: usize = 5;
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// A table in a snapshot.
#[derive(Debug)]
pub(super) struct ReadTable {
    pub(super) relation: Relation,
    pub(super) plans: ReadPlans,
}

/// Rows of one table.
#[derive(Debug)]
pub(super) struct SnapshotChunk {
    pub(super) table: Arc<ReadTable>,
    /// CopyData frames, a row each.
    pub(super) bytes: Bytes,
    pub(super) rows: usize,
    pub(super) first_of_snapshot: bool,
    pub(super) first_of_table: bool,
    pub(super) last_of_table: bool,
    pub(super) last_of_snapshot: bool,
}

impl SnapshotChunk {
    /// Where the row `index` of the chunk stands in the snapshot.
    pub(super) fn marker(&self, index: usize) -> Marker {
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
pub(super) fn read_rows(chunk: &SnapshotChunk, out: &mut RecordBatch) -> Result<(), ConnectError> {
    out.wire = chunk.bytes.clone();
    let now = micros_now();
    let clock =
        [Cell::I64(now.div_euclid(1000)), Cell::I64(now), Cell::I64(now.saturating_mul(1000))];
    let relation = &chunk.table.relation;
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
        ConnectError::fatal(format!("Snapshotting of table {} failed", relation.name))
            .because(error)
    };
    let mut at = 0;
    for index in 0..chunk.rows {
        let rest = chunk.bytes.get(at..).unwrap_or_default();
        let length = frame_length(rest).map_err(|error| failed(error.into()))?;
        let frame = length.and_then(|length| rest.get(..length));
        let Some(frame) = frame else { return Err(failed("a row is cut short".into())) };
        let body = frame.get(FRAME_HEADER..).unwrap_or_default();
        let line = body.strip_suffix(b"\n").unwrap_or(body);
        let plan = out.plan_index(chunk.table.plans.of(chunk.marker(index)));
        out.start_row(plan);
        out.cells.extend_from_slice(&clock);
        relation.push_line(line, at + FRAME_HEADER, out).map_err(|error| failed(error.into()))?;
        at += frame.len();
    }
    Ok(())
}

/// Reads all tables; `created` is the slot whose snapshot is imported.
pub(super) async fn run(
    input: &SessionInput,
    facts: &ServerFacts,
    tables: Vec<TableId>,
    created: Option<CreatedSlot>,
    out: &mpsc::Sender<Event>,
) -> Result<SnapshotPoint, ConnectError> {
    let config = &input.config;
    let mut client = open_client(input, "Ferroconnect Snapshot").await?;
    let point = begin(&mut client, config, facts, created.as_ref()).await?;
    // The snapshot is imported: its transaction may wait as long as it has to.
    tokio::time::sleep(config.snapshot.delay).await;
    let tables = selected(config, tables);
    lock(&mut client, config, &tables).await?;
    let _running = RunningGauge::start(&input.metrics);
    tracing::info!(tables = tables.len(), lsn = %point.lsn, "snapshot starts");
    send(out, Event::SnapshotStarted(point)).await?;
    let mut reader = Reader {
        config,
        metrics: &input.metrics,
        out,
        point,
        pending: None,
        any_rows: false,
        progress: Progress::new(&tables),
    };
    for table in &tables {
        client = reader.table(client, table).await?;
    }
    reader.finish().await?;
    client.close().await;
    send(out, Event::SnapshotEnded(point)).await?;
    Ok(point)
}

async fn send(out: &mpsc::Sender<Event>, event: Event) -> Result<(), ConnectError> {
    out.send(event).await.map_err(|_| ConnectError::retriable("the snapshot was given up"))
}

/// Opens the transaction that all tables are read in.
async fn begin(
    client: &mut Client,
    config: &PostgresConfig,
    facts: &ServerFacts,
    created: Option<&CreatedSlot>,
) -> Result<SnapshotPoint, ConnectError> {
    let failed = |error| explain(error, "starting the snapshot", config);
    // Reading may take as long as it takes.
    client.execute("set statement_timeout = 0").await.map_err(failed)?;
    client.execute("begin isolation level repeatable read read only").await.map_err(failed)?;
    let lsn = match created {
        Some(created) => {
            let import = format!("set transaction snapshot '{}'", created.snapshot);
            client.execute(&import).await.map_err(failed)?;
            created.consistent
        }
        None => {
            let position = match facts.in_recovery {
                true => "select pg_last_wal_receive_lsn()",
                false => "select pg_current_wal_lsn()",
            };
            let text = client.value(position).await.map_err(failed)?.unwrap_or_default();
            lsn(&text).map_err(failed)?
        }
    };
    let micros = "select (extract(epoch from current_timestamp) * 1000000)::bigint";
    let micros = client.value(micros).await.map_err(failed)?.unwrap_or_default();
    let xid = match facts.in_recovery {
        true => None,
        false => client.value("select txid_current()").await.map_err(failed)?,
    };
    Ok(SnapshotPoint {
        lsn,
        xid: xid.and_then(|xid| xid.parse().ok()),
        ts_usec: micros.parse().unwrap_or_default(),
    })
}

fn selected(config: &PostgresConfig, tables: Vec<TableId>) -> Vec<TableId> {
    match &config.snapshot.tables {
        None => tables,
        Some(patterns) => {
            tables.into_iter().filter(|table| patterns.matches(&table.name())).collect()
        }
    }
}

async fn lock(
    client: &mut Client,
    config: &PostgresConfig,
    tables: &[TableId],
) -> Result<(), ConnectError> {
    let Some(timeout) = config.snapshot.lock_timeout else { return Ok(()) };
    let failed = |error| explain(error, "locking the tables", config);
    let limited = format!("set lock_timeout = {}", timeout.as_millis());
    client.execute(&limited).await.map_err(failed)?;
    for table in tables {
        let lock = format!("lock table {} in access share mode", table.quoted());
        client.execute(&lock).await.map_err(failed)?;
    }
    Ok(())
}

/// Reads table after table.
struct Reader<'a> {
    config: &'a PostgresConfig,
    metrics: &'a TaskMetrics,
    out: &'a mpsc::Sender<Event>,
    point: SnapshotPoint,
    /// The last chunk of a table, until it is known whether another row follows.
    pending: Option<SnapshotChunk>,
    any_rows: bool,
    progress: Progress,
}

impl Reader<'_> {
    async fn table(&mut self, mut client: Client, id: &TableId) -> Result<Client, ConnectError> {
        let name = id.name();
        let doing = format!("Snapshotting of table {name}");
        let failed = |error| explain(error, &doing, self.config);
        let catalog = client.table(id.oid).await.map_err(failed)?;
        let (statement, shape) = self.statement(id, catalog);
        let types = client.types(&shape.type_oids()).await.map_err(failed)?;
        let (relation, plans) = Relation::read(&shape, &types, self.config, self.point)?;
        let table = Arc::new(ReadTable { relation, plans });
        self.progress.starts(&name);
        let mut connection = client.into_connection();
        connection.start_copy(&statement).await.map_err(failed)?;
        let connection = self.copy(connection, &table).await.map_err(|error| match error {
            CopyError::Wire(error) => failed(error),
            CopyError::GivenUp => ConnectError::retriable("the snapshot was given up"),
        })?;
        Ok(Client::from_connection(connection))
    }

    fn statement(
        &self,
        id: &TableId,
        catalog: crate::connector::postgres::client::CatalogTable,
    ) -> (String, TableShape) {
        let mut shape = TableShape::read(&id.schema, &id.table, catalog);
        // What the filter leaves out is not even read, unless the key needs it.
        let filters = &self.config.filters;
        let read = |column: &str| filters.has_column(&id.schema, &id.table, column);
        if shape.columns.iter().any(|column| read(&column.name)) {
            let key = shape.key.clone();
            let mapped = !self.config.key_columns.is_empty();
            shape
                .columns
                .retain(|column| mapped || read(&column.name) || key.contains(&column.name));
        }
        let columns: Vec<_> = shape.columns.iter().map(|column| quoted(&column.name)).collect();
        let columns = columns.join(", ");
        let select = match self.config.snapshot.statements.get(&id.name()) {
            // The statement may give the columns in any order, so they are picked by name.
            Some(statement) => {
                let statement = statement.trim_end().trim_end_matches(';');
                format!("select {columns} from ({statement}) as overridden")
            }
            None => format!("select {columns} from {}", id.quoted()),
        };
        (format!("copy ({select}) to stdout"), shape)
    }

    async fn copy(
        &mut self,
        mut connection: Connection,
        table: &Arc<ReadTable>,
    ) -> Result<Connection, CopyError> {
        let mut first_of_table = true;
        let mut whole = Whole::default();
        loop {
            let ended = whole.scan(&connection.buffer)?;
            // The last row of a chunk stays behind until it is known whether it is the table's.
            if ended || whole.end >= CHUNK_BYTES && whole.rows > 1 {
                let (end, rows) = match ended {
                    true => (whole.end, whole.rows),
                    false => (whole.last_row, whole.rows - 1),
                };
                if rows > 0 {
                    let chunk = SnapshotChunk {
                        table: table.clone(),
                        bytes: connection.buffer.split_to(end).freeze(),
                        rows,
                        first_of_snapshot: !self.any_rows,
                        first_of_table,
                        last_of_table: ended,
                        last_of_snapshot: false,
                    };
                    self.hand_over(chunk).await?;
                    first_of_table = false;
                }
                if ended {
                    return self.after_copy(connection).await;
                }
                whole = Whole::default();
                continue;
            }
            connection.buffer.reserve(whole.missing.max(64 * 1024));
            let read = connection.socket.read_buf(&mut connection.buffer).await;
            if read.map_err(lost)? == 0 {
                return Err(lost(std::io::ErrorKind::UnexpectedEof.into()).into());
            }
        }
    }

    /// Reads CopyDone and what follows it.
    async fn after_copy(&self, mut connection: Connection) -> Result<Connection, CopyError> {
        connection.finish_copy().await?;
        Ok(connection)
    }

    async fn hand_over(&mut self, chunk: SnapshotChunk) -> Result<(), CopyError> {
        self.any_rows = true;
        let rows = chunk.rows;
        if let Some(pending) = self.pending.take() {
            self.out.send(Event::Snapshot(pending)).await.map_err(|_| CopyError::GivenUp)?;
        }
        if chunk.last_of_table {
            self.pending = Some(chunk);
        } else {
            self.out.send(Event::Snapshot(chunk)).await.map_err(|_| CopyError::GivenUp)?;
        }
        let counted = u64::try_from(rows).unwrap_or(u64::MAX);
        self.metrics.snapshot_rows_scanned.inc_by(counted);
        self.progress.add(counted);
        Ok(())
    }

    async fn finish(mut self) -> Result<(), ConnectError> {
        if let Some(mut last) = self.pending.take() {
            last.last_of_snapshot = true;
            send(self.out, Event::Snapshot(last)).await?;
        }
        self.progress.ends();
        Ok(())
    }
}

/// How much of a buffer is whole rows.
#[derive(Debug, Default)]
struct Whole {
    end: usize,
    rows: usize,
    /// Where the last whole row starts.
    last_row: usize,
    /// What an incomplete row still needs.
    missing: usize,
}

impl Whole {
    /// Goes on behind the rows that are known; `true` at the end of the COPY.
    fn scan(&mut self, buffer: &[u8]) -> Result<bool, WireError> {
        self.missing = 0;
        while let Some(rest) = buffer.get(self.end..) {
            let Some(length) = frame_length(rest)? else { break };
            let Some(frame) = rest.get(..length) else {
                self.missing = length - rest.len();
                break;
            };
            match frame.first() {
                Some(b'd') => {
                    self.last_row = self.end;
                    self.rows += 1;
                    self.end += length;
                }
                Some(b'c') => return Ok(true),
                Some(b'E') => return Err(error_of_frame(frame)),
                // Notices in the middle would be read as rows.
                other => {
                    return Err(WireError::Protocol(format!("a frame {other:?} inside COPY")));
                }
            }
        }
        Ok(false)
    }
}

#[derive(Debug)]
enum CopyError {
    Wire(WireError),
    /// Nobody takes the rows any more.
    GivenUp,
}

impl From<WireError> for CopyError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

fn lost(error: std::io::Error) -> WireError {
    WireError::Io(format!("the connection was lost: {error}"), error)
}

/// 1 while it lives.
struct RunningGauge<'a>(&'a TaskMetrics);

impl<'a> RunningGauge<'a> {
    fn start(metrics: &'a TaskMetrics) -> Self {
        metrics.snapshot_running.set(1);
        Self(metrics)
    }
}

impl Drop for RunningGauge<'_> {
    fn drop(&mut self) {
        self.0.snapshot_running.set(0);
    }
}

/// What is logged while a snapshot runs.
struct Progress {
    table: String,
    tables_left: usize,
    rows: u64,
    rows_estimate: u64,
    started: Instant,
    logged: Instant,
}

impl Progress {
    fn new(tables: &[TableId]) -> Self {
        let estimate = tables.iter().filter_map(|table| u64::try_from(table.rows_estimate).ok());
        let now = Instant::now();
        Self {
            table: String::new(),
            tables_left: tables.len(),
            rows: 0,
            rows_estimate: estimate.sum(),
            started: now,
            logged: now,
        }
    }

    fn starts(&mut self, table: &str) {
        tracing::info!(table, tables_left = self.tables_left, "reading a table");
        table.clone_into(&mut self.table);
        self.tables_left -= 1;
    }

    fn add(&mut self, rows: u64) {
        self.rows += rows;
        if self.logged.elapsed() < PROGRESS_EVERY {
            return;
        }
        self.logged = Instant::now();
        let percent =
            (self.rows * 100).checked_div(self.rows_estimate).map(|percent| percent.min(99));
        tracing::info!(
            table = self.table,
            tables_left = self.tables_left,
            rows = self.rows,
            percent,
            rows_per_second = self.rows / self.started.elapsed().as_secs().max(1),
            "snapshot progress"
        );
    }

    fn ends(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        tracing::info!(rows = self.rows, seconds, "snapshot complete");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Vec<u8> {
        let mut frame = vec![b'd'];
        frame.extend(u32::try_from(text.len() + 4).unwrap().to_be_bytes());
        frame.extend(text.as_bytes());
        frame
    }

    #[test]
    fn whole_rows_are_found_at_any_cut() {
        let stream = [row("a\n"), row("bb\n"), vec![b'c', 0, 0, 0, 4]].concat();
        for cut in 0..stream.len() {
            let mut whole = Whole::default();
            assert!(!whole.scan(&stream[..cut]).unwrap(), "{cut}");
            let expected = if cut < 7 {
                0
            } else if cut < 15 {
                1
            } else {
                2
            };
            assert_eq!(whole.rows, expected, "{cut}");
            assert!(whole.scan(&stream).unwrap());
            assert_eq!((whole.rows, whole.end, whole.last_row), (2, 15, 7));
        }
    }
}
