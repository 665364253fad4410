//! The report in numbers. The names of its members are stable: scripts read them as JSON.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use duckdb::Connection;
use serde::Serialize;

use crate::database;
use crate::error::Error;
use crate::load;
use crate::manifest::{self, Table};
use crate::rules::Deletes;
use crate::sql::{list, literal, quote, render};

/// Bars of the chart: as many as one can tell apart.
const BUCKETS_MAX: i64 = 60;
/// Widths of a bar, in seconds.
const BUCKET_WIDTHS: &[i64] =
    &[1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 86_400, 604_800, 2_592_000, 31_536_000];

/// The report of a database.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct History {
    pub database: String,
    /// UTC, as DuckDB prints a TIMESTAMP; so are all times in it.
    pub reported_at: String,
    pub tables: Vec<TableHistory>,
}

/// The report of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TableHistory {
    pub table: String,
    pub topic: String,
    pub keys: Vec<String>,
    pub objects: u64,
    pub bytes: u64,
    pub rows_read: u64,
    /// Changes in the log, by what they are.
    pub inserts: u64,
    pub updates: u64,
    pub snapshot_reads: u64,
    pub deletes: u64,
    pub truncates: u64,
    pub duplicates: u64,
    pub unchanged: u64,
    pub clamped: u64,
    pub late_keys: u64,
    pub unresolved_toast: u64,
    pub deletes_without_row: u64,
    pub ignored: u64,
    pub rejects: Vec<RejectCount>,
    pub keys_ever: u64,
    pub keys_live: u64,
    pub keys_deleted: u64,
    pub keys_reinserted: u64,
    pub versions: u64,
    pub versions_per_key_mean: f64,
    pub versions_per_key_max: u64,
    pub most_changed: Vec<KeyCount>,
    pub zero_length_versions: u64,
    pub first_event: Option<String>,
    pub last_event: Option<String>,
    /// From the last event until the report.
    pub lag_seconds: Option<f64>,
    pub newest_lsn: Option<u64>,
    pub offsets: Vec<PartitionOffset>,
    /// Offsets that no object has: objects are missing, or the log has markers of transactions.
    pub offset_gaps: Vec<Gap>,
    pub schema_changes: Vec<SchemaChange>,
    /// None if no file says what rows were before their updates, as envelopes of tables with REPLICA
    /// IDENTITY FULL do.
    pub continuity: Option<Continuity>,
    pub order: Option<String>,
    pub time: Option<String>,
    /// The times are those of objects: `as_of` is exact only between objects.
    pub time_is_approximate: bool,
    pub bucket_seconds: i64,
    pub changes_over_time: Vec<Bucket>,
}

/// Rejects of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RejectCount {
    pub reason: String,
    pub rows: u64,
}

/// How many versions a key has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyCount {
    pub key: String,
    pub versions: u64,
}

/// The newest offset that was read of a partition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PartitionOffset {
    pub partition: i32,
    pub offset: u64,
}

/// A hole between two objects of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub partition: i32,
    pub expected: u64,
    pub got: u64,
    /// The object before it.
    pub after: String,
}

/// Whether updates follow from the changes before them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Continuity {
    /// Updates that say what the row was before, and have a change before them.
    pub checked: u64,
    /// Those of them whose row was another one: a change was lost, or is not of this source.
    pub breaks: u64,
}

/// A column that came, changed its type, or is not in the newest objects any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemaChange {
    pub column: String,
    pub change: String,
    pub object: Option<String>,
    pub at: Option<String>,
}

/// The changes of a stretch of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Bucket {
    pub from: String,
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// The report of the tables in the database at `path`; of all if `tables` is empty.
///
/// # Errors
/// When there is no such database or table, or somebody has it open.
pub fn history(path: &Path, tables: &[String], now: SystemTime) -> Result<History, Error> {
    let connection = database::open_read_only(path)?;
    let now_us = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let now_us = i64::try_from(now_us).unwrap_or(i64::MAX);
    let known = manifest::select(manifest::tables(&connection)?, tables)?;
    let reported_at = "select cast(make_timestamp(?) as varchar)";
    Ok(History {
        database: path.display().to_string(),
        reported_at: connection.query_row(reported_at, [now_us], |row| row.get(0))?,
        tables: known
            .iter()
            .map(|table| of_table(&connection, table, now_us))
            .collect::<Result<_, _>>()?,
    })
}

fn of_table(connection: &Connection, table: &Table, now_us: i64) -> Result<TableHistory, Error> {
    let mut history = TableHistory {
        table: table.name.clone(),
        topic: table.topic.clone(),
        keys: table.keys.clone(),
        ..TableHistory::default()
    };
    let (name, changes) = (quote(&table.name), quote(&table.changes()));
    let (tbl, keys, now) = (literal(&table.name), list("", table.key_names()), now_us.to_string());
    let text = |key: &str| format!("cast({} as varchar)", quote(key));
    let key_texts = table.key_names().map(text).collect::<Vec<_>>().join(", ");
    let with_rows = table.rules.deletes == Deletes::Row;
    let live = if with_rows { "is_current and not is_deleted" } else { "is_current" };
    let values = [
        ("tbl", tbl.as_str()),
        ("table", &name),
        ("changes", &changes),
        ("keys", &keys),
        ("now_us", &now),
        ("key_texts", &key_texts),
        ("live", live),
    ];
    manifest_part(connection, &values, &mut history)?;
    log_part(connection, &values, &mut history)?;
    versions_part(connection, &values, &mut history)?;
    lists(connection, &values, &mut history)?;
    history.continuity = continuity(connection, table)?;
    over_time(connection, &values, &mut history)?;
    Ok(history)
}

/// Where the source did not repeat large values, an image says nothing about them.
fn continuity(connection: &Connection, table: &Table) -> Result<Option<Continuity>, Error> {
    let changes = quote(&table.changes());
    let any = format!("select 1 from {changes} where _before is not null limit 1");
    if table.columns.iter().any(|column| column.toast) || !connection.prepare(&any)?.exists([])? {
        return Ok(None);
    }
    let columns = table.column_names().map(quote).enumerate();
    let (keys, image) = (list("", table.key_names()), load::image_md5(columns));
    let values = [("changes", changes.as_str()), ("keys", &keys), ("image", &image)];
    let statement = render(include_str!("../sql/report_continuity.sql"), &values);
    let found = connection.query_row(&statement, [], |row| {
        Ok(Continuity { checked: row.get(0)?, breaks: row.get(1)? })
    })?;
    Ok(Some(found))
}

type Values<'a> = [(&'a str, &'a str); 7];

fn manifest_part(
    connection: &Connection,
    values: &Values<'_>,
    history: &mut TableHistory,
) -> Result<(), Error> {
    let statement = render(include_str!("../sql/report_manifest.sql"), values);
    connection.query_row(&statement, [], |row| {
        history.objects = row.get(0)?;
        history.bytes = row.get(1)?;
        history.rows_read = row.get(2)?;
        history.duplicates = row.get(3)?;
        history.unchanged = row.get(4)?;
        history.clamped = row.get(5)?;
        history.late_keys = row.get(6)?;
        history.unresolved_toast = row.get(7)?;
        history.deletes_without_row = row.get(8)?;
        history.ignored = row.get(9)?;
        history.order = row.get(10)?;
        history.time = row.get(11)?;
        Ok(())
    })?;
    history.time_is_approximate =
        history.time.as_ref().is_some_and(|time| time.contains("approximate"));
    Ok(())
}

fn log_part(
    connection: &Connection,
    values: &Values<'_>,
    history: &mut TableHistory,
) -> Result<(), Error> {
    let statement = render(include_str!("../sql/report_log.sql"), values);
    connection.query_row(&statement, [], |row| {
        history.inserts = row.get(0)?;
        history.updates = row.get(1)?;
        history.snapshot_reads = row.get(2)?;
        history.deletes = row.get(3)?;
        history.truncates = row.get(4)?;
        history.first_event = row.get(5)?;
        history.last_event = row.get(6)?;
        history.lag_seconds = row.get(7)?;
        history.newest_lsn = row.get(8)?;
        Ok(())
    })?;
    Ok(())
}

fn versions_part(
    connection: &Connection,
    values: &Values<'_>,
    history: &mut TableHistory,
) -> Result<(), Error> {
    let statement = render(include_str!("../sql/report_versions.sql"), values);
    connection.query_row(&statement, [], |row| {
        history.keys_ever = row.get(0)?;
        history.keys_live = row.get(1)?;
        history.keys_reinserted = row.get(2)?;
        history.versions = row.get(3)?;
        history.versions_per_key_mean = row.get(4)?;
        history.versions_per_key_max = row.get(5)?;
        history.zero_length_versions = row.get(6)?;
        Ok(())
    })?;
    history.keys_deleted = history.keys_ever.saturating_sub(history.keys_live);
    Ok(())
}

fn lists(
    connection: &Connection,
    values: &Values<'_>,
    history: &mut TableHistory,
) -> Result<(), Error> {
    let rows = |template: &str| connection.prepare(&render(template, values));
    history.most_changed = rows(include_str!("../sql/report_most_changed.sql"))?
        .query_map([], |row| Ok(KeyCount { key: row.get(0)?, versions: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    history.rejects = rows(include_str!("../sql/report_rejects.sql"))?
        .query_map([], |row| Ok(RejectCount { reason: row.get(0)?, rows: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    history.offsets = rows(include_str!("../sql/table_offsets.sql"))?
        .query_map([], |row| Ok(PartitionOffset { partition: row.get(0)?, offset: row.get(1)? }))?
        .collect::<Result<_, _>>()?;
    history.offset_gaps = rows(include_str!("../sql/report_gaps.sql"))?
        .query_map([], |row| {
            Ok(Gap {
                partition: row.get(0)?,
                expected: row.get(1)?,
                got: row.get(2)?,
                after: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    history.schema_changes = rows(include_str!("../sql/report_schema.sql"))?
        .query_map([], |row| {
            Ok(SchemaChange {
                column: row.get(0)?,
                change: row.get(1)?,
                object: row.get(2)?,
                at: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let mut dropped = rows(include_str!("../sql/report_dropped.sql"))?;
    let dropped = dropped.query_map([], |row| {
        let (column, change) = (row.get(0)?, "dropped".to_owned());
        Ok(SchemaChange { column, change, object: row.get(1)?, at: row.get(2)? })
    })?;
    for change in dropped {
        history.schema_changes.push(change?);
    }
    Ok(())
}

fn over_time(
    connection: &Connection,
    values: &Values<'_>,
    history: &mut TableHistory,
) -> Result<(), Error> {
    let span = render(include_str!("../sql/report_span.sql"), values);
    let seconds: Option<i64> = connection.query_row(&span, [], |row| row.get(0))?;
    let Some(seconds) = seconds else { return Ok(()) };
    let fits = |width: &&i64| seconds / **width < BUCKETS_MAX;
    let width = BUCKET_WIDTHS.iter().find(fits).copied().unwrap_or(i64::MAX / 2_000_000);
    history.bucket_seconds = width;
    let width = width.to_string();
    let mut values = values.to_vec();
    values.push(("width", width.as_str()));
    history.changes_over_time = connection
        .prepare(&render(include_str!("../sql/report_buckets.sql"), &values))?
        .query_map([], |row| {
            Ok(Bucket {
                from: row.get(0)?,
                inserted: row.get(1)?,
                updated: row.get(2)?,
                deleted: row.get(3)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(())
}
