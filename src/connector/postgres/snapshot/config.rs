//! The `snapshot.*` keys, typed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{Parsed, Props};
use crate::connector::postgres::filter::{Patterns, split_list};
use crate::error::ConnectError;

/// The blocks of a chunk: 16 MiB. A crash costs at most this per thread, and a statement more or less
/// does not show against reading it.
const CHUNK_BLOCKS: i64 = 2048;
/// Hidden, for tests: tables of many chunks need not be large there.
const CHUNK_BLOCKS_KEY: &str = "internal.snapshot.chunk.blocks";
const MULTIPLIER: &str = "snapshot.max.threads.multiplier";

#[derive(Debug, Clone)]
pub(in crate::connector::postgres) struct SnapshotConfig {
    pub(in crate::connector::postgres) mode: SnapshotMode,
    pub(in crate::connector::postgres) tables: Option<Patterns>,
    /// By `schema.table`.
    pub(in crate::connector::postgres) statements: BTreeMap<String, String>,
    pub(in crate::connector::postgres) delay: Duration,
    pub(in crate::connector::postgres) streaming_delay: Duration,
    /// `Some`: take ACCESS SHARE locks and wait this long.
    pub(in crate::connector::postgres) lock_timeout: Option<Duration>,
    /// How many connections read.
    pub(in crate::connector::postgres) threads: usize,
    /// A table is cut into at least `threads` times this many chunks.
    pub(in crate::connector::postgres) multiplier: usize,
    /// The same for single tables.
    pub(in crate::connector::postgres) multipliers: BTreeMap<String, usize>,
    /// `legacy.snapshot.max.threads`: a table is one chunk.
    pub(in crate::connector::postgres) whole_tables: bool,
    pub(in crate::connector::postgres) chunk_blocks: u32,
    pub(in crate::connector::postgres) order: TableOrder,
    pub(in crate::connector::postgres) isolation: Isolation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connector::postgres) enum SnapshotMode {
    Always,
    Initial,
    InitialOnly,
    NoData,
    WhenNeeded,
    ConfigurationBased { data: bool, stream: bool, on_data_error: bool, on_schema_error: bool },
}

impl SnapshotMode {
    /// Whether changes are streamed at all.
    pub(in crate::connector::postgres) fn streams(self) -> bool {
        match self {
            Self::InitialOnly => false,
            Self::ConfigurationBased { stream, .. } => stream,
            _ => true,
        }
    }
}

/// `snapshot.tables.order.by.row.count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connector::postgres) enum TableOrder {
    AsListed,
    FewRowsFirst,
    ManyRowsFirst,
}

/// `snapshot.isolation.mode`: what holds where no slot's snapshot is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::connector::postgres) enum Isolation {
    Serializable,
    RepeatableRead,
    ReadCommitted,
    ReadUncommitted,
}

impl Isolation {
    /// Whether all statements of a transaction see the same rows.
    pub(in crate::connector::postgres) fn is_stable(self) -> bool {
        matches!(self, Self::Serializable | Self::RepeatableRead)
    }
}

impl SnapshotConfig {
    /// Reads the keys.
    pub(in crate::connector::postgres) fn new(
        props: &Props,
        parsed: &Parsed,
    ) -> Result<Self, ConnectError> {
        let mode = mode(parsed)?;
        refuse_custom(parsed, "snapshot.locking.mode", "none or shared")?;
        refuse_custom(parsed, "snapshot.query.mode", "select_all")?;
        let list = "snapshot.include.collection.list";
        let tables = props.get(list).filter(|text| !text.trim().is_empty());
        let tables = tables
            .map(|text| Patterns::parse(text))
            .transpose()
            .map_err(|reason| ConnectError::config(format!("{list}: {reason}")))?;
        let overrides = "snapshot.select.statement.overrides";
        let statement = |table: String| {
            let text = props.get(&format!("{overrides}.{table}"))?.trim().to_owned();
            Some((table, text))
        };
        let lower = |key: &str| parsed.string(key).to_lowercase();
        Ok(Self {
            mode,
            tables,
            statements: split_list(&parsed.string(overrides))
                .into_iter()
                .filter_map(statement)
                .collect(),
            delay: millis(parsed, "snapshot.delay.ms"),
            streaming_delay: millis(parsed, "streaming.delay.ms"),
            lock_timeout: (lower("snapshot.locking.mode") == "shared")
                .then(|| millis(parsed, "snapshot.lock.timeout.ms")),
            threads: count(parsed.integer("snapshot.max.threads")),
            multiplier: count(parsed.integer(MULTIPLIER)),
            multipliers: multipliers(props)?,
            whole_tables: parsed.boolean("legacy.snapshot.max.threads")
                || parsed.boolean("internal.legacy.snapshot.max.threads"),
            chunk_blocks: chunk_blocks(props)?,
            order: match lower("snapshot.tables.order.by.row.count").as_str() {
                "ascending" => TableOrder::FewRowsFirst,
                "descending" => TableOrder::ManyRowsFirst,
                _ => TableOrder::AsListed,
            },
            isolation: match lower("snapshot.isolation.mode").as_str() {
                "repeatable_read" => Isolation::RepeatableRead,
                "read_committed" => Isolation::ReadCommitted,
                "read_uncommitted" => Isolation::ReadUncommitted,
                _ => Isolation::Serializable,
            },
        })
    }
}

fn mode(parsed: &Parsed) -> Result<SnapshotMode, ConnectError> {
    let flag = |name: &str| parsed.boolean(&format!("snapshot.mode.configuration.based.{name}"));
    Ok(match parsed.string("snapshot.mode").to_lowercase().as_str() {
        "always" => SnapshotMode::Always,
        "initial_only" => SnapshotMode::InitialOnly,
        "no_data" | "never" => SnapshotMode::NoData,
        "when_needed" => SnapshotMode::WhenNeeded,
        "configuration_based" => SnapshotMode::ConfigurationBased {
            data: flag("snapshot.data"),
            stream: flag("start.stream"),
            on_data_error: flag("snapshot.on.data.error"),
            on_schema_error: flag("snapshot.on.schema.error"),
        },
        "custom" => {
            return Err(ConnectError::config(
                "snapshot.mode=custom loads a Java class, which Ferroconnect cannot; use one of \
                 always, initial, initial_only, no_data, when_needed, configuration_based",
            ));
        }
        _ => SnapshotMode::Initial,
    })
}

fn refuse_custom(parsed: &Parsed, key: &str, instead: &str) -> Result<(), ConnectError> {
    if !parsed.string(key).eq_ignore_ascii_case("custom") {
        return Ok(());
    }
    Err(ConnectError::config(format!(
        "{key}=custom loads a Java class, which Ferroconnect cannot; use {instead}"
    )))
}

/// `snapshot.max.threads.multiplier.<schema>.<table>`.
fn multipliers(props: &Props) -> Result<BTreeMap<String, usize>, ConnectError> {
    let prefix = format!("{MULTIPLIER}.");
    let own = props.iter().filter_map(|(key, text)| Some((key.strip_prefix(&prefix)?, key, text)));
    own.map(|(table, key, text)| match text.trim().parse::<usize>() {
        Ok(multiplier) if multiplier > 0 => Ok((table.to_owned(), multiplier)),
        _ => Err(ConnectError::config(format!("{key}: \"{text}\" is no positive integer"))),
    })
    .collect()
}

fn chunk_blocks(props: &Props) -> Result<u32, ConnectError> {
    let text = props.get(CHUNK_BLOCKS_KEY).map(|text| text.trim());
    let blocks = text.map_or(Ok(CHUNK_BLOCKS), str::parse).ok();
    let blocks = blocks.and_then(|blocks| u32::try_from(blocks).ok());
    blocks.filter(|blocks| *blocks > 0).ok_or_else(|| {
        ConnectError::config(format!("{CHUNK_BLOCKS_KEY} is no positive number of blocks"))
    })
}

fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(1).max(1)
}

fn millis(parsed: &Parsed, key: &str) -> Duration {
    Duration::from_millis(u64::try_from(parsed.integer(key)).unwrap_or(0))
}
