//! `io.debezium.connector.postgresql.transforms.timescaledb.TimescaleDb`: changes of a chunk as changes
//! of its hypertable, or of the continuous aggregate whose rows the hypertable holds.
//!
//! Which chunk is whose stands in TimescaleDB's catalog. It is read when a chunk is met that is not
//! known; its row there is committed no later than its first change. A transform cannot wait, so the
//! catalog is read on a thread of its own that the caller waits for: once per chunk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::config::{ConfigDef, ConfigKey, ConfigType, HostMap, Props};
use crate::connector::postgres::client::{Client, Row};
use crate::connector::postgres::config::{ServerConfig, server};
use crate::connector::postgres::wire::{Result as WireResult, WireError};
use crate::data::{Header, Record, SchemaBuilder, Struct, Type, Value};
use crate::error::ConnectError;
use crate::transform::{Keep, Transformation};

const SCHEMAS: &str = "schema.list";
const PREFIX: &str = "target.topic.prefix";
const HEADER: &str = "__debezium_timescaledb_";
/// A chunk that the catalog did not have is asked for again after this.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);
/// More such chunks than this are forgotten.
const UNKNOWN_MAX: usize = 10_000;

const CHUNKS: &str = "select c.schema_name, c.table_name, h.schema_name, h.table_name \
     from _timescaledb_catalog.chunk c \
     join _timescaledb_catalog.hypertable h on c.hypertable_id = h.id";
const AGGREGATES: &str = "select h.schema_name, h.table_name, a.user_view_schema, a.user_view_name \
     from _timescaledb_catalog.continuous_agg a \
     join _timescaledb_catalog.hypertable h on a.mat_hypertable_id = h.id";

/// The configuration keys: the original's, then those of the database, which are the connector's.
pub fn config_def() -> ConfigDef {
    let key = ConfigKey::new;
    let text = |name, documentation| ConfigKey::new(name, ConfigType::String, documentation);
    ConfigDef::new(vec![
        key(SCHEMAS, ConfigType::List, "The schemas whose tables are chunks.")
            .default("_timescaledb_internal")
            .high(),
        text(PREFIX, "What the topics of hypertables and aggregates begin with.")
            .default("timescaledb")
            .medium(),
        text("database.hostname", "The host of the database.").required().high(),
        key("database.port", ConfigType::Int, "Its port.").default("5432").high(),
        text("database.user", "The role that reads TimescaleDB's catalog.").required().high(),
        key("database.password", ConfigType::Password, "Its password.").high(),
        text("database.dbname", "The name of the database.").required().high(),
        text("database.sslmode", "disable, allow, prefer, require, verify-ca or verify-full.")
            .default("prefer"),
        text("database.sslrootcert", "The file with the certificates of trusted authorities."),
        text("database.sslcert", "The file with the client's certificate."),
        text("database.sslkey", "The file with the client's key."),
        key(
            "database.query.timeout.ms",
            ConfigType::Int,
            "As long as a query may take, in milliseconds.",
        )
        .default("600000"),
        text("database.initial.statements", "Statements after each login, with ; between them."),
    ])
}

/// Makes the transform.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    Ok(Box::new(TimescaleDb {
        schemas: parsed.list(SCHEMAS),
        prefix: parsed.string(PREFIX),
        server: server(&parsed)?,
        catalog: Catalog::default(),
        unknown: HashMap::new(),
    }))
}

/// Schema and name.
type Table = (String, String);

/// Which table is part of which.
#[derive(Debug, Default)]
struct Catalog {
    hypertables: HashMap<Table, Table>,
    aggregates: HashMap<Table, Table>,
}

#[derive(Debug)]
struct TimescaleDb {
    schemas: Vec<String>,
    prefix: String,
    server: ServerConfig,
    catalog: Catalog,
    /// Chunks that the catalog did not have, and when.
    unknown: HashMap<Table, Instant>,
}

impl Transformation for TimescaleDb {
    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let Some((event, source, chunk)) = parts(record) else { return Ok(Keep::Record) };
        if !self.schemas.contains(&chunk.0) {
            return Ok(Keep::Record);
        }
        let Some(hypertable) = self.hypertable(&chunk)? else { return Ok(Keep::Record) };
        let aggregate = self.catalog.aggregates.get(&hypertable);
        let owner = aggregate.unwrap_or(&hypertable);
        let value = Value::Struct(Box::new(with_owner(event, source, owner)));
        record.topic = format!("{}.{}.{}", self.prefix, owner.0, owner.1).into();
        record.value.value = value;
        push_headers(record, "chunk", &chunk);
        if aggregate.is_some() {
            push_headers(record, "hypertable", &hypertable);
        }
        Ok(Keep::Record)
    }
}

impl TimescaleDb {
    /// The hypertable of a chunk; `None` when the catalog has no such chunk.
    fn hypertable(&mut self, chunk: &Table) -> Result<Option<Table>, ConnectError> {
        if let Some(known) = self.catalog.hypertables.get(chunk) {
            return Ok(Some(known.clone()));
        }
        if self.unknown.get(chunk).is_some_and(|since| since.elapsed() < UNKNOWN_FOR) {
            return Ok(None);
        }
        self.catalog = read_catalog(&self.server)?;
        let found = self.catalog.hypertables.get(chunk).cloned();
        if found.is_none() {
            let (schema, table) = chunk;
            tracing::warn!(schema, table, "the catalog of TimescaleDB has no such chunk");
            if self.unknown.len() >= UNKNOWN_MAX {
                self.unknown.clear();
            }
            self.unknown.insert(chunk.clone(), Instant::now());
        }
        Ok(found)
    }
}

/// The event, where it is from, and the table.
fn parts(record: &Record) -> Option<(&Struct, &Struct, Table)> {
    let schema = record.value.schema.as_ref()?;
    schema.name().filter(|name| name.ends_with(".Envelope"))?;
    let event = record.value.value.as_struct()?;
    let source = event.get("source")?.as_struct()?;
    let text = |name: &str| Some(source.get(name)?.as_str()?.to_owned());
    Some((event, source, (text("schema")?, text("table")?)))
}

fn with_owner(event: &Struct, source: &Struct, (schema, table): &Table) -> Struct {
    let source = replaced(source, |name| match name {
        "schema" => Some(Value::string(schema)),
        "table" => Some(Value::string(table)),
        _ => None,
    });
    let mut source = Some(Value::Struct(Box::new(source)));
    replaced(event, |name| if name == "source" { source.take() } else { None })
}

fn replaced(row: &Struct, mut replace: impl FnMut(&str) -> Option<Value>) -> Struct {
    let fields = row.schema().fields().iter().zip(row.values());
    let values = fields.map(|(field, value)| replace(&field.name).unwrap_or_else(|| value.clone()));
    let values = values.collect();
    Struct::new(row.schema().clone(), values)
}

fn push_headers(record: &mut Record, of: &str, (schema, table): &Table) {
    for (part, text) in [("table", table), ("schema", schema)] {
        record.headers.push(Header {
            key: format!("{HEADER}{of}_{part}"),
            schema: Some(SchemaBuilder::new(Type::String).build()),
            value: Value::string(text),
        });
    }
}

fn read_catalog(server: &ServerConfig) -> Result<Catalog, ConnectError> {
    let read = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            WireError::Io("a thread for the catalog of TimescaleDB".to_owned(), error)
        })?;
        runtime.block_on(catalog(server))
    };
    let joined = std::thread::scope(|scope| scope.spawn(read).join());
    let read = joined.map_err(|_| ConnectError::fatal("reading TimescaleDB's catalog panicked"))?;
    read.map_err(|error| {
        let (database, host, port) = (&server.database, &server.host, server.port);
        let text = format!(
            "cannot read the catalog of TimescaleDB in database \"{database}\" at {host}:{port}; it \
             has to have the extension, and the transform's database.* settings have to be right"
        );
        ConnectError::retriable(text).because(error)
    })
}

async fn catalog(server: &ServerConfig) -> WireResult<Catalog> {
    let mut client =
        Client::open(server, &HostMap::default(), "Debezium TimescaleDB metadata").await?;
    let hypertables = pairs(&mut client, CHUNKS).await?;
    let aggregates = pairs(&mut client, AGGREGATES).await?;
    client.close().await;
    Ok(Catalog { hypertables, aggregates })
}

async fn pairs(client: &mut Client, sql: &str) -> WireResult<HashMap<Table, Table>> {
    let mut pairs = HashMap::new();
    for row in client.rows(sql, &[]).await? {
        let mut row = Row::new(row);
        pairs.insert((row.text()?, row.text()?), (row.text()?, row.text()?));
    }
    Ok(pairs)
}
