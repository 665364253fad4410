//! What the verbs return: plain data that a command line prints and a script reads as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

/// News from a run that goes on, in order. Meant for a progress line; everything in it is also in
/// the report.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// The listing is complete: so many data objects are there.
    Listed { objects: usize },
    /// This much of a table's objects is to be read.
    Planned { table: &'a str, objects: usize, bytes: u64 },
    /// An object of the table is on local disk; `done` of the table's planned objects are.
    Staged { table: &'a str, uri: &'a str, done: usize, objects: usize },
    /// A batch is loaded and folded and, unless it is a dry run, committed.
    Applied { table: &'a str, done: usize, objects: usize, counts: &'a Counts },
    /// Something a person should know once; the run goes on.
    Notice { table: &'a str, text: &'a str },
}

/// The outcome of a run, by table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunReport {
    pub run_id: i64,
    pub dry_run: bool,
    pub tables: Vec<TableReport>,
    pub skipped: Vec<Skipped>,
}

impl RunReport {
    /// Exit status 1: a table could not be brought up to date.
    pub fn has_failures(&self) -> bool {
        self.tables.iter().any(|table| table.error.is_some())
    }

    /// Exit status 3: finished, but rows or objects were set aside.
    pub fn has_rejects(&self) -> bool {
        !self.skipped.is_empty()
            || self.tables.iter().any(|table| 0 < table.counts.rejects || 0 < table.objects_bad)
    }
}

/// An object that is no change file this crate can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub uri: String,
    pub reason: String,
}

/// What a run did for one table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TableReport {
    pub table: String,
    pub topic: String,
    pub keys: Vec<String>,
    /// Objects and bytes read by this run.
    pub objects: usize,
    pub bytes: u64,
    /// Objects in the manifest that the source no longer has; their rows are kept.
    pub objects_gone: usize,
    /// Objects that could not be read and were set aside.
    pub objects_bad: usize,
    pub counts: Counts,
    /// Rows of the history table afterwards.
    pub versions: u64,
    pub current: u64,
    /// How changes were ordered and timed, as far as this run read any.
    pub order: Option<OrderSource>,
    pub time: Option<TimeSource>,
    pub notices: Vec<String>,
    pub error: Option<String>,
}

/// Where every row read went. `rows` is the sum of `opened`, `closed_by_delete`, `unchanged`,
/// `duplicates`, `deletes_without_row`, `truncates`, `ignored` and `rejects`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub rows: u64,
    pub opened: u64,
    pub closed_by_delete: u64,
    pub unchanged: u64,
    pub duplicates: u64,
    pub deletes_without_row: u64,
    pub truncates: u64,
    /// Tombstones and logical messages.
    pub ignored: u64,
    /// Rows in `cdc_rejects`.
    pub rejects: u64,
    /// Among the rows: time moved forward to that of the change before.
    pub clamped: u64,
    /// Versions that show NULL for a value the source did not repeat and that was never seen.
    pub unresolved_toast: u64,
    /// Keys for which a change arrived after a later one.
    pub late_keys: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        self.rows += other.rows;
        self.opened += other.opened;
        self.closed_by_delete += other.closed_by_delete;
        self.unchanged += other.unchanged;
        self.duplicates += other.duplicates;
        self.deletes_without_row += other.deletes_without_row;
        self.truncates += other.truncates;
        self.ignored += other.ignored;
        self.rejects += other.rejects;
        self.clamped += other.clamped;
        self.unresolved_toast += other.unresolved_toast;
        self.late_keys += other.late_keys;
    }
}

/// What the changes of a key were ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderSource {
    /// Partition and offset: repeats after a connector restart look like changes.
    KafkaOffset,
    /// Position in the source's write-ahead log.
    Lsn,
}

impl OrderSource {
    /// As stored in `cdc_tables` and shown to people.
    pub fn name(self) -> &'static str {
        match self {
            OrderSource::KafkaOffset => "kafka offset",
            OrderSource::Lsn => "lsn",
        }
    }
}

/// Where the time of a change came from, from the least to the most exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeSource {
    /// When the object was stored: one time for all its rows, after the change.
    ObjectLastModified,
    /// The newest Kafka timestamp in the object, from its footer: one time for all its rows.
    ObjectLastTimestamp,
    /// The Kafka timestamp of each record, from a column that the sink adds or the object's footer.
    RecordTimestamp,
    /// What a column of the table says.
    Column,
    /// When the connector handled the change.
    Processing,
    /// When the source committed the change.
    Source,
}

impl TimeSource {
    /// As stored in `cdc_tables` and shown to people.
    pub fn name(self) -> &'static str {
        match self {
            TimeSource::ObjectLastModified => "object last-modified (approximate)",
            TimeSource::ObjectLastTimestamp => "last kafka timestamp of the object (approximate)",
            TimeSource::RecordTimestamp => "kafka timestamp",
            TimeSource::Column => "column of the table",
            TimeSource::Processing => "connector processing time",
            TimeSource::Source => "source commit time",
        }
    }
}

/// What the next run would read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub tables: Vec<PlannedTable>,
    pub skipped: Vec<Skipped>,
}

/// What the next run would read for one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlannedTable {
    pub table: String,
    pub topic: String,
    pub objects_new: usize,
    pub objects_changed: usize,
    pub objects_done: usize,
    pub objects_gone: usize,
    /// Of the new and the changed ones.
    pub bytes: u64,
}

/// What a database holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    pub tables: Vec<TableStatus>,
}

/// What a database holds of one table. Times are UTC, as DuckDB prints a TIMESTAMP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TableStatus {
    pub table: String,
    pub topic: String,
    pub keys: Vec<String>,
    pub objects: u64,
    pub changes: u64,
    pub versions: u64,
    pub current: u64,
    pub rejects: u64,
    pub order: Option<String>,
    pub time: Option<String>,
    pub newest_change: Option<String>,
    pub last_run: Option<String>,
    /// The highest offset read, by partition.
    pub offsets: BTreeMap<i32, u64>,
}

/// Rows of a query, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QueryResult {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}
