//! What the caller decides: where the change files are, where the database is, and the limits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::rules::Rules;
use crate::stop::Stop;

/// Settings of the history tables; the same for every verb.
#[derive(Debug, Clone)]
pub struct Config {
    /// `s3://bucket/prefix`, `file:///directory` or a directory: what lies under it are topics.
    pub source: String,
    /// The DuckDB file; made if absent.
    pub database: PathBuf,
    /// Where a copy is put after each run that changed something, for readers: while a process writes a
    /// DuckDB file, no other can open it.
    pub publish: Option<PathBuf>,
    /// How to reach `s3://` sources.
    pub s3: S3Access,
    /// By topic; topics that are not listed get [`TableConfig::default`].
    pub tables: BTreeMap<String, TableConfig>,
    /// The sink's `file.delim`.
    pub file_delim: String,
    /// The `add.fields.prefix` of `ExtractNewRecordState`.
    pub add_fields_prefix: String,
    /// The source's `unavailable.value.placeholder`.
    pub unavailable_value_placeholder: String,
    /// Objects of one transaction.
    pub batch_objects_max: usize,
    /// Bytes of objects staged on disk for one transaction; a single larger object is still read.
    pub batch_bytes_max: u64,
    /// DuckDB's `memory_limit`; what does not fit is spilled beside the database.
    pub memory_limit: String,
    /// DuckDB's `threads`; all cores if `None`.
    pub threads: Option<u16>,
}

impl Config {
    /// A configuration with the defaults of every setting but the two that have none.
    pub fn new(source: impl Into<String>, database: impl Into<PathBuf>) -> Self {
        Config {
            source: source.into(),
            database: database.into(),
            publish: None,
            s3: S3Access::default(),
            tables: BTreeMap::new(),
            file_delim: "+".into(),
            add_fields_prefix: "__".into(),
            unavailable_value_placeholder: "__debezium_unavailable_value".into(),
            batch_objects_max: 1_000,
            batch_bytes_max: 512 << 20,
            memory_limit: "1500MB".into(),
            threads: None,
        }
    }
}

/// What is particular to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableConfig {
    /// Name of the history table; by default the last part of the topic.
    pub name: Option<String>,
    /// Primary key columns; by default those that the files name, else `id`.
    pub keys: Vec<String>,
    /// Types of columns that files leave open, as JSON does: a type of DuckDB, or a unit of a number
    /// (`timestamp_ms`, `timestamp_us`, `date_days`, `time_us`), or `decimal(p,s)` of Connect's base64.
    pub types: BTreeMap<String, String>,
    /// `None`: as the table was made, by default if it is new.
    pub rules: Option<Rules>,
    /// From where on a partition's log positions are those of another source: partition and offset.
    pub epochs: Vec<(i32, u64)>,
}

/// Endpoint and credentials of the object store.
#[derive(Clone, Default)]
pub struct S3Access {
    /// Base URL of an S3 compatible store; AWS by region if `None`.
    pub endpoint: Option<String>,
    /// `us-east-1` if `None`.
    pub region: Option<String>,
    /// Without it (and its secret) instance credentials are tried.
    pub access_key_id: Option<String>,
    /// Belongs to `access_key_id`.
    pub secret_access_key: Option<String>,
    /// For temporary credentials.
    pub session_token: Option<String>,
    /// `bucket.endpoint/key` rather than `endpoint/bucket/key`.
    pub virtual_hosted_style: bool,
    /// Unsigned requests, for public buckets.
    pub anonymous: bool,
}

impl fmt::Debug for S3Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Access")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("virtual_hosted_style", &self.virtual_hosted_style)
            .field("anonymous", &self.anonymous)
            .finish_non_exhaustive()
    }
}

/// What is particular to one run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The wall clock, for the manifest. Never part of a history table.
    pub now: SystemTime,
    /// Do everything, report it, and roll back.
    pub dry_run: bool,
    /// Only these tables, by table name or topic; all if empty.
    pub tables: Vec<String>,
    /// At most so many objects of each table; the next run goes on. All if `None`.
    pub objects_max: Option<usize>,
    /// Guesses at keys are taken: see `doctor`.
    pub accept_guessed_keys: bool,
    /// Objects that cannot be read are set aside instead of failing their table.
    pub skip_bad: bool,
    /// Of a rebuild: forget the change logs and read all objects again.
    pub from_objects: bool,
    /// Ends the run from another thread, with what was applied until then.
    pub stop: Stop,
}

impl RunOptions {
    /// All tables, for good.
    pub fn at(now: SystemTime) -> Self {
        RunOptions {
            now,
            dry_run: false,
            tables: Vec::new(),
            objects_max: None,
            accept_guessed_keys: false,
            skip_bad: false,
            from_objects: false,
            stop: Stop::default(),
        }
    }
}
