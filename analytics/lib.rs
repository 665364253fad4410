//! SCD2 history tables in DuckDB, made from the change files that the S3 sink writes.
//!
//! One history table per source table, with `effective_from`, `effective_to` and `is_current`. The
//! tables are a function of the *set* of change rows read so far: the order in which objects arrive,
//! how they are cut, repeats and the number of runs do not matter, and a rebuild gives the same rows.
//!
//! The way of a change row: [`source`] lists and stages objects, [`layout`] reads their names, [`inspect`]
//! their schemas, [`shape`] finds out what their columns mean, [`load`] appends them to the change log
//! (`<table>__changes`), [`scd2`] folds the log of the touched keys into versions, and [`manifest`]
//! remembers the objects. Loading, folding and remembering are one transaction per table and batch.
//!
//! This crate knows nothing of the rest of Ferroconnect: object names, Parquet footers and columns are
//! the whole contract. It never reads the environment, and everything here blocks: call it from
//! a thread of its own (`spawn_blocking`), never from a runtime's worker.

mod against;
mod avro;
mod avro_file;
mod columns;
mod compact;
mod config;
mod config_file;
mod database;
mod doctor;
mod epochs;
mod error;
mod export;
mod fold;
mod grow;
mod history;
mod inspect;
mod keys;
mod layout;
mod load;
mod logical;
mod manifest;
mod new_rows;
mod report;
mod rules;
mod run;
mod scd2;
mod shape;
mod sorted;
mod source;
mod sql;
mod stop;
mod times;
mod verify;
mod versions;
mod views;
mod wide_decimals;

pub use against::{Difference, against};
pub use compact::{Compacted, compact};
pub use config::{Config, RunOptions, S3Access, TableConfig};
pub use config_file::parse_tables;
pub use doctor::{Finding, doctor};
pub use error::Error;
pub use export::{ExportFormat, ExportOf, export};
pub use history::{
    Bucket, Continuity, Gap, History, KeyCount, KeyHistory, KeyVersion, PartitionOffset,
    RejectCount, SchemaChange, TableHistory, history, key_history, page as report_page,
};
pub use report::{
    Counts, OrderSource, Plan, PlannedTable, Progress, QueryResult, RunReport, Skipped, Status,
    TableReport, TableStatus, TimeSource,
};
pub use rules::{Deletes, Rules, SnapshotFrom, Time, Track, TypeConflict, ZeroLength};
pub use stop::Stop;
pub use verify::{Check, verify};

use std::path::Path;

/// Reads the objects that are new or have changed since the last run and brings the tables up to date.
///
/// Tables are independent: one that fails is reported in its [`TableReport::error`] with nothing of
/// its batch applied, the others go on. An `Err` means that nothing could be done at all.
pub fn run(
    config: &Config,
    options: &RunOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<RunReport, Error> {
    run::run(config, options, progress)
}

/// Says what [`run`] would read, from names alone: nothing is downloaded and nothing is written.
pub fn plan(config: &Config, options: &RunOptions) -> Result<Plan, Error> {
    run::plan(config, options)
}

/// Makes the history tables anew from the change logs in the database; objects are not read.
///
/// An empty [`RunOptions::tables`] means all tables.
pub fn rebuild(
    config: &Config,
    options: &RunOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<RunReport, Error> {
    run::rebuild(config, options, progress)
}

/// What the database at `path` holds. Fails with [`Error::Locked`] while a run has it open.
pub fn status(path: &Path) -> Result<Status, Error> {
    database::status(path)
}

/// Runs one query that returns rows, read-only; every value comes back as DuckDB's text for it.
pub fn query(path: &Path, sql: &str) -> Result<QueryResult, Error> {
    database::query(path, sql)
}
