//! One of the connections that read: takes chunk after chunk and hands their rows on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt as _;
use tokio::sync::{OnceCell, mpsc};

use crate::connector::postgres::client::Client;
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::envelope::ReadPoint;
use crate::connector::postgres::failure::explain;
use crate::connector::postgres::relation::{Relation, TableShape};
use crate::connector::postgres::snapshot::handover::Read;
use crate::connector::postgres::snapshot::plan::{Plan, keep_read_columns, statement};
use crate::connector::postgres::snapshot::rows::ReadTable;
use crate::connector::postgres::wire::{Connection, WireError, error_of_frame, frame_length};
use crate::error::ConnectError;

/// Rows are handed over in batches of about this.
const BATCH_BYTES: usize = 256 * 1024;

/// What all readers of a snapshot share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<PostgresConfig>,
    pub(super) plan: Arc<Plan>,
    /// The next chunk to take.
    pub(super) next: AtomicUsize,
    /// What the catalog says of each table, asked by whoever comes first: the plans of all rows of a
    /// table must be the same.
    pub(super) tables: Vec<OnceCell<KnownTable>>,
    /// As of when the rows are.
    pub(super) point: ReadPoint,
}

/// A table's columns, and what its rows become.
#[derive(Debug, Clone)]
pub(super) struct KnownTable {
    shape: Arc<TableShape>,
    read: Arc<ReadTable>,
}

/// Reads until no chunk is left; gives its connection back, whose transaction holds locks.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut client: Client,
    out: mpsc::Sender<Read>,
) -> Result<Client, ConnectError> {
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(chunk) = shared.plan.chunks.get(number) else { return Ok(client) };
        let Some(planned) = shared.plan.tables.get(chunk.table) else { return Ok(client) };
        let name = planned.id.name();
        let doing = format!("Snapshotting of table {name}");
        let failed = |error| explain(error, &doing, &shared.config);
        let known = shared.known(chunk.table, &mut client, &out).await?;
        let overridden = shared.config.snapshot.statements.get(&name).map(String::as_str);
        let sql =
            statement(&planned.id, &known.shape, planned.cut.as_ref(), &chunk.part, overridden);
        let mut connection = client.into_connection();
        connection.start_copy(&sql).await.map_err(failed)?;
        let copied = copy(&mut connection, chunk.table, &known.read, &out).await;
        copied.map_err(|error| error.explained(failed))?;
        client = Client::from_connection(connection);
        out.send(Read::ChunkEnd(number)).await.map_err(|_| given_up())?;
    }
}

/// Nobody takes the rows any more.
pub(super) fn given_up() -> ConnectError {
    ConnectError::retriable("the snapshot was given up")
}

impl Shared {
    async fn known(
        &self,
        table: usize,
        client: &mut Client,
        out: &mpsc::Sender<Read>,
    ) -> Result<KnownTable, ConnectError> {
        let (Some(planned), Some(cell)) = (self.plan.tables.get(table), self.tables.get(table))
        else {
            return Err(ConnectError::fatal("a chunk of a table that is not planned"));
        };
        let id = &planned.id;
        let ask = async {
            let doing = format!("Snapshotting of table {}", id.name());
            let failed = |error| explain(error, &doing, &self.config);
            let catalog = client.table(id.oid).await.map_err(failed)?;
            let mut shape = TableShape::read(&id.schema, &id.table, catalog);
            keep_read_columns(&mut shape, &self.config);
            let types = client.types(&shape.type_oids()).await.map_err(failed)?;
            let (relation, plans) = Relation::read(&shape, &types, &self.config, self.point)?;
            tracing::info!(table = id.name(), chunks = planned.chunks, "reading a table");
            out.send(Read::TableBegins(table)).await.map_err(|_| given_up())?;
            let read = Arc::new(ReadTable { relation, plans });
            Ok(KnownTable { shape: Arc::new(shape), read })
        };
        cell.get_or_try_init(|| ask).await.cloned()
    }
}

pub(super) async fn copy(
    connection: &mut Connection,
    table: usize,
    shape: &Arc<ReadTable>,
    out: &mpsc::Sender<Read>,
) -> Result<(), CopyError> {
    let mut whole = Whole::default();
    loop {
        let ended = whole.scan(&connection.buffer)?;
        if ended || whole.end >= BATCH_BYTES {
            let Whole { end, rows, .. } = std::mem::take(&mut whole);
            if rows > 0 {
                let bytes = connection.buffer.split_to(end).freeze();
                let read = Read::Rows { table, shape: shape.clone(), bytes, rows };
                out.send(read).await.map_err(|_| CopyError::GivenUp)?;
            }
            if ended {
                // CopyDone and what follows it.
                return Ok(connection.finish_copy().await?);
            }
            continue;
        }
        connection.buffer.reserve(whole.missing.max(64 * 1024));
        let read = connection.socket.read_buf(&mut connection.buffer).await;
        if read.map_err(lost)? == 0 {
            return Err(lost(std::io::ErrorKind::UnexpectedEof.into()).into());
        }
    }
}

/// How much of a buffer is whole rows.
#[derive(Debug, Default)]
pub(in crate::connector::postgres) struct Whole {
    pub(in crate::connector::postgres) end: usize,
    pub(in crate::connector::postgres) rows: usize,
    /// What an incomplete row still needs.
    pub(in crate::connector::postgres) missing: usize,
}

impl Whole {
    /// Goes on behind the rows that are known; `true` at the end of the COPY.
    pub(in crate::connector::postgres) fn scan(
        &mut self,
        buffer: &[u8],
    ) -> Result<bool, WireError> {
        self.missing = 0;
        while let Some(rest) = buffer.get(self.end..) {
            let Some(length) = frame_length(rest)? else { break };
            let Some(frame) = rest.get(..length) else {
                self.missing = length - rest.len();
                break;
            };
            match frame.first() {
                Some(b'd') => {
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
pub(super) enum CopyError {
    Wire(WireError),
    GivenUp,
}

impl CopyError {
    /// What to tell, with the server's errors told by `failed`.
    pub(super) fn explained(self, failed: impl FnOnce(WireError) -> ConnectError) -> ConnectError {
        match self {
            Self::Wire(error) => failed(error),
            Self::GivenUp => given_up(),
        }
    }
}

impl From<WireError> for CopyError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

pub(in crate::connector::postgres) fn lost(error: std::io::Error) -> WireError {
    WireError::Io(format!("the connection was lost: {error}"), error)
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
            assert_eq!((whole.rows, whole.end), (2, 15));
        }
    }
}
