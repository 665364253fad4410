//! Reads the chunks of an incremental snapshot, between two watermarks each, on a connection of its
//! own. It answers for what went wrong with a table; a connection that breaks is opened again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use crate::config::HostMap;
use crate::connector::postgres::client::{Client, Row, TableId, literal, lsn, quoted};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::incremental::context::{Collection, Context, StoredKey};
use crate::connector::postgres::incremental::query::ChunkQuery;
use crate::connector::postgres::incremental::table::{Chunk, IncrementalTable};
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::relation::TableShape;
use crate::connector::postgres::snapshot::{Whole, keep_read_columns, lost};
use crate::connector::postgres::wire::{Result, WireError};
use crate::error::ConnectError;

/// Between two attempts to reach the server.
const PAUSE: Duration = Duration::from_secs(1);
/// A transaction that was streamed and is not visible yet is waited for this often.
const VISIBLE_POLL: Duration = Duration::from_millis(20);
const VISIBLE_ATTEMPTS: u32 = 500;

/// Read the next chunk.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) window: String,
    pub(super) context: Context,
    /// Transactions that were streamed last, of which each must be visible in what is read.
    pub(super) streamed: Vec<u32>,
}

/// What came of a command.
#[derive(Debug)]
pub(in crate::connector::postgres) struct Outcome {
    pub(super) window: String,
    /// Tables that are done with, and how they ended.
    pub(super) finished: Vec<(String, &'static str)>,
    pub(super) chunk: Option<Chunk>,
    /// Without watermarks in the signalling table: the rows are newer than nothing before this.
    pub(super) position: Option<Lsn>,
}

/// How a window is marked in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Watermarks {
    /// By rows of this table, as statements name it.
    Rows { table: String, deletes: bool },
    /// By positions: nothing is written.
    Positions,
}

/// The reading task.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) config: Arc<PostgresConfig>,
    pub(super) hosts: Arc<HostMap>,
    pub(super) watermarks: Watermarks,
    pub(super) rows_max: i64,
}

/// What is known between chunks.
#[derive(Debug, Default)]
struct Known {
    client: Option<Client>,
    tables: HashMap<u32, Arc<IncrementalTable>>,
    /// When the window was opened.
    opened: String,
}

/// Why a table ends early.
enum Ended {
    Status(&'static str),
    Broken(WireError),
}

impl From<WireError> for Ended {
    fn from(error: WireError) -> Self {
        match &error {
            WireError::Server(answer) if answer.severity != "FATAL" => {
                Self::Status("SQL_EXCEPTION")
            }
            _ => Self::Broken(error),
        }
    }
}

impl Reader {
    /// Runs until nobody asks any more.
    pub(super) async fn run(
        self,
        mut commands: mpsc::Receiver<Command>,
        outcomes: mpsc::Sender<Outcome>,
    ) {
        let mut known = Known::default();
        while let Some(command) = commands.recv().await {
            let outcome = self.until_it_works(&mut known, &command).await;
            // The rows are there before the stream can show that their window closes.
            if outcomes.send(outcome).await.is_err() {
                return;
            }
            self.close_window(&mut known, &command.window).await;
        }
    }

    async fn until_it_works(&self, known: &mut Known, command: &Command) -> Outcome {
        loop {
            match self.read(known, command).await {
                Ok(outcome) => return outcome,
                Err(error) => self.rest_after(known, &error, "reading a chunk").await,
            }
        }
    }

    async fn rest_after(&self, known: &mut Known, error: &WireError, doing: &str) {
        known.client = None;
        let error = error.to_string();
        tracing::warn!(error, doing, "the incremental snapshot waits for the server");
        tokio::time::sleep(PAUSE).await;
    }

    async fn client<'a>(&self, known: &'a mut Option<Client>) -> Result<&'a mut Client> {
        if known.is_none() {
            let name = "Ferroconnect Incremental Snapshot";
            let mut client = Client::open(&self.config.server, &self.hosts, name).await?;
            client.execute("set standard_conforming_strings = on").await?;
            *known = Some(client);
        }
        known.as_mut().ok_or_else(|| WireError::Protocol("no connection".to_owned()))
    }

    async fn read(&self, known: &mut Known, command: &Command) -> Result<Outcome> {
        let mut outcome = Outcome {
            window: command.window.clone(),
            finished: Vec::new(),
            chunk: None,
            position: None,
        };
        let mut context = command.context.clone();
        if let Err(error) = self.open_window(known, command).await {
            let WireError::Server(_) = &error else { return Err(error) };
            // Without watermarks no table can be read.
            let error = error.to_string();
            tracing::error!(
                error,
                "cannot write to the signalling table; grant insert on it to the connector's user"
            );
            let all = context.collections.into_iter();
            outcome.finished = all.map(|each| (each.name, "SQL_EXCEPTION")).collect();
            return Ok(outcome);
        }
        while let Some(collection) = context.collections.front() {
            let name = collection.name.clone();
            let status = match self.chunk(known, collection, &context).await {
                Ok(Some(chunk)) => {
                    outcome.chunk = Some(chunk);
                    break;
                }
                Ok(None) => "SUCCEEDED",
                Err(Ended::Status(status)) => status,
                Err(Ended::Broken(error)) => return Err(error),
            };
            outcome.finished.push((name, status));
            context.next_table();
        }
        if self.watermarks == Watermarks::Positions {
            let position = "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() \
                            else pg_current_wal_insert_lsn() end";
            let text = self.client(&mut known.client).await?.value(position).await?;
            outcome.position = Some(lsn(&text.unwrap_or_default())?);
        }
        Ok(outcome)
    }

    async fn open_window(&self, known: &mut Known, command: &Command) -> Result<()> {
        known.opened = now();
        let client = self.client(&mut known.client).await?;
        match &self.watermarks {
            Watermarks::Rows { table, .. } => {
                let id = format!("{}-open", command.window);
                let meta = format!("{{\"openWindowTimestamp\": \"{}\"}}", known.opened);
                insert(client, table, &id, "snapshot-window-open", &meta).await?;
            }
            Watermarks::Positions => {}
        }
        wait_until_visible(client, &command.streamed).await
    }

    async fn close_window(&self, known: &mut Known, window: &str) {
        let Watermarks::Rows { table, deletes } = &self.watermarks else { return };
        loop {
            let closed = async {
                let client = self.client(&mut known.client).await?;
                if *deletes {
                    let id = literal(&format!("{window}-open"));
                    return client.execute(&format!("delete from {table} where id = {id}")).await;
                }
                let id = format!("{window}-close");
                let (opened, closed) = (&known.opened, now());
                let meta = format!(
                    "{{\"openWindowTimestamp\": \"{opened}\", \
                     \"closeWindowTimestamp\": \"{closed}\"}}"
                );
                insert(client, table, &id, "snapshot-window-close", &meta).await
            };
            match closed.await {
                Ok(()) => return,
                Err(error) => self.rest_after(known, &error, "closing a window").await,
            }
        }
    }

    /// `None`: nothing is left of the table.
    async fn chunk(
        &self,
        known: &mut Known,
        collection: &Collection,
        context: &Context,
    ) -> std::result::Result<Option<Chunk>, Ended> {
        let table = self.table(known, collection).await?;
        let query = ChunkQuery {
            table: &table.id,
            columns: &table.columns,
            order: &table.order,
            filter: collection.condition.as_deref(),
        };
        let told = |error: WireError| {
            let (table, error_text) = (&collection.name, error.to_string());
            tracing::warn!(table, error = error_text, "cannot read a chunk of a table");
            Ended::from(error)
        };
        let client = self.client(&mut known.client).await?;
        let maximum = match &context.maximum {
            Some(maximum) => maximum.clone(),
            None => {
                let rows = client.rows(&query.maximum(), &[]).await.map_err(told)?;
                let Some(row) = rows.into_iter().next() else {
                    return Err(Ended::Status("EMPTY"));
                };
                StoredKey::new(&row, &table.kinds)
            }
        };
        let last = context.last.as_ref().map(StoredKey::key);
        let sql = query.chunk(last.as_ref(), &maximum.key(), self.rows_max);
        let Some(client) = known.client.take() else {
            return Err(WireError::Protocol("no connection".to_owned()).into());
        };
        let (client, bytes, rows) = copy(client, &sql).await.map_err(told)?;
        known.client = Some(client);
        if rows == 0 {
            return Ok(None);
        }
        let last = table.last_key(&bytes, rows).map_err(unusable)?;
        Ok(Some(Chunk { table, bytes, rows, last, maximum }))
    }

    async fn table(
        &self,
        known: &mut Known,
        collection: &Collection,
    ) -> std::result::Result<Arc<IncrementalTable>, Ended> {
        let name = &collection.name;
        let client = self.client(&mut known.client).await?;
        let id = table_id(client, name).await?;
        let id = id.filter(|id| self.config.filters.captures(&id.schema, &id.table));
        let Some(id) = id else {
            tracing::warn!(table = name, "the table is not known, or not captured");
            return Err(Ended::Status("UNKNOWN_SCHEMA"));
        };
        let catalog = client.table(id.oid).await?;
        let mut shape = TableShape::read(&id.schema, &id.table, catalog);
        let generated = generated_columns(client, id.oid).await?;
        shape.columns.retain(|column| !generated.contains(&column.name));
        let order = match &collection.surrogate_key {
            Some(column) if shape.columns.iter().any(|known| known.name == *column) => {
                vec![column.clone()]
            }
            Some(column) => {
                tracing::warn!("Surrogate key \"{column}\" doesn't exist in table \"{name}\"");
                return Err(Ended::Status("SQL_EXCEPTION"));
            }
            None => shape.key_names(&self.config),
        };
        if order.is_empty() {
            tracing::warn!(
                "Incremental snapshot for table '{name}' skipped because the table has no primary keys"
            );
            return Err(Ended::Status("NO_PRIMARY_KEY"));
        }
        let surrogate = order.clone();
        let whole = shape.clone();
        keep_read_columns(&mut shape, &self.config);
        for column in surrogate {
            // What orders is read even where the filter leaves it out of records.
            if let Some(column) = whole.columns.iter().find(|known| known.name == column)
                && !shape.columns.iter().any(|known| known.name == column.name)
            {
                shape.columns.push(column.clone());
            }
        }
        let fingerprint = format!("{shape:?} {order:?}");
        if let Some(table) = known.tables.get(&id.oid).filter(|it| it.shape == fingerprint) {
            return Ok(table.clone());
        }
        let types = client.types(&shape.type_oids()).await?;
        let oid = id.oid;
        let table = IncrementalTable::new(id, &shape, &types, &order, &self.config);
        let table = Arc::new(table.map_err(unusable)?);
        known.tables.insert(oid, table.clone());
        Ok(table)
    }
}

fn unusable(error: ConnectError) -> Ended {
    let error = error.trace();
    tracing::warn!(error, "cannot make records of a table");
    Ended::Status("SQL_EXCEPTION")
}

async fn insert(client: &mut Client, table: &str, id: &str, kind: &str, meta: &str) -> Result<()> {
    let (id, kind, meta) = (literal(id), literal(kind), literal(meta));
    // An attempt whose answer was lost may have written it.
    let insert =
        format!("insert into {table} values ({id}, {kind}, {meta}) on conflict do nothing");
    client.execute(&insert).await
}

fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Nanos, true)
}

/// The table of this name.
async fn table_id(client: &mut Client, name: &str) -> Result<Option<TableId>> {
    const SQL: &str = "\
        select c.oid, n.nspname, c.relname from pg_class c \
        join pg_namespace n on n.oid = c.relnamespace \
        where n.nspname || '.' || c.relname = $1 and c.relkind in ('r', 'p')";
    let rows = client.rows(SQL, &[name]).await?;
    let Some(row) = rows.into_iter().next() else { return Ok(None) };
    let mut row = Row::new(row);
    Ok(Some(TableId {
        oid: row.parse()?,
        schema: row.text()?,
        table: row.text()?,
        rows_estimate: 0,
        readable: true,
    }))
}

/// They are not in the stream, and so not in what stands beside it.
async fn generated_columns(client: &mut Client, oid: u32) -> Result<Vec<String>> {
    const SQL: &str = "\
        select attname from pg_attribute \
        where attrelid = $1::oid and attgenerated <> '' and not attisdropped";
    let rows = client.rows(SQL, &[&oid.to_string()]).await?;
    rows.into_iter().map(|row| Row::new(row).text()).collect()
}

/// A transaction may be streamed a moment before others see it. What is read now must have seen what
/// was streamed, else its rows would overtake their successors.
async fn wait_until_visible(client: &mut Client, streamed: &[u32]) -> Result<()> {
    for _ in 0..VISIBLE_ATTEMPTS {
        let running = client.value("select txid_current_snapshot()").await?.unwrap_or_default();
        let running = running.rsplit(':').next().unwrap_or_default().split(',');
        let running = running.filter_map(|xid| xid.parse::<u64>().ok());
        let low = |xid: u64| u32::try_from(xid & u64::from(u32::MAX)).unwrap_or_default();
        if !running.map(low).any(|xid| streamed.contains(&xid)) {
            return Ok(());
        }
        tokio::time::sleep(VISIBLE_POLL).await;
    }
    Err(WireError::Protocol("a transaction that was streamed does not become visible".to_owned()))
}

async fn copy(client: Client, sql: &str) -> Result<(Client, bytes::Bytes, usize)> {
    let mut connection = client.into_connection();
    connection.start_copy(sql).await?;
    let mut whole = Whole::default();
    while !whole.scan(&connection.buffer)? {
        connection.buffer.reserve(whole.missing.max(64 * 1024));
        let read = connection.socket.read_buf(&mut connection.buffer).await;
        if read.map_err(lost)? == 0 {
            return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    let bytes = connection.buffer.split_to(whole.end).freeze();
    connection.finish_copy().await?;
    Ok((Client::from_connection(connection), bytes, whole.rows))
}

/// The signalling table as statements name it.
pub(super) fn quoted_name(name: &str) -> String {
    match name.split_once('.') {
        Some((schema, table)) => format!("{}.{}", quoted(schema), quoted(table)),
        None => quoted(name),
    }
}
