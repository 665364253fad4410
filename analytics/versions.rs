//! What the fold has made, on its way to DuckDB: the temporary table `_versions`, of which only the columns
//! exist that the table's rules need.
//!
//! The fold goes by key, the log by arrival. So versions are handed over by [`LogRange`]: then each range of a
//! long log is joined with its versions in the processor's caches, and DuckDB finds both without
//! looking at the others.

use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{
    ArrayRef, BooleanBuilder, Int64Builder, RecordBatch, TimestampMicrosecondBuilder, UInt8Builder,
};
use duckdb::arrow::datatypes::{Field, Schema};

use crate::error::Error;
use crate::fold::Version;
use crate::sql::render;

/// Rows of the log that are joined with their versions at a time.
const RANGE_ROWS: i64 = 500_000;

/// A run of rows of the log. DuckDB numbers the rows that a transaction has added from another beginning, so
/// the numbers of ranges have gaps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogRange {
    number: i64,
    objects: (i64, i64),
}

impl LogRange {
    /// The ranges of a log, in order.
    pub(crate) fn all(connection: &Connection, changes: &str) -> Result<Vec<LogRange>, Error> {
        let values = [("changes", changes), ("range_rows", &RANGE_ROWS.to_string())];
        let statement = render(include_str!("sql/log_ranges.sql"), &values);
        let mut statement = connection.prepare(&statement)?;
        let ranges = statement.query_map([], |row| {
            Ok(LogRange { number: row.get(0)?, objects: (row.get(1)?, row.get(2)?) })
        })?;
        Ok(ranges.collect::<Result<_, _>>()?)
    }

    /// That a version `v` and a change `c` are in the range. The objects say nothing more, but by them DuckDB
    /// skips the others.
    pub(crate) fn condition(&self) -> String {
        let first = self.number * RANGE_ROWS;
        let last = first + RANGE_ROWS - 1;
        let (first_obj, last_obj) = self.objects;
        format!(
            "v.row_id between {first} and {last} and c.rowid between {first} and {last} \
             and c._obj between {first_obj} and {last_obj}"
        )
    }
}

/// Versions until they are handed over, by range of the log.
#[derive(Debug)]
pub(crate) struct Versions {
    /// None if the log is short.
    pub(crate) ranges: Vec<LogRange>,
    of_range: Vec<Columns>,
    /// Handed over until now.
    pub(crate) count: u64,
}

impl Versions {
    /// Makes the table `_versions`, with what `deletes = "row"` and so many toasted columns need.
    pub(crate) fn create(
        connection: &Connection,
        with_deleted: bool,
        toasted: usize,
        ranges: Vec<LogRange>,
    ) -> Result<Self, Error> {
        let mut columns = "row_id bigint, since timestamp, until timestamp, number bigint, \
                           ending utinyint"
            .to_owned();
        if with_deleted {
            columns += ", event bigint, deleted boolean";
        }
        if 0 < toasted {
            columns += ", incomplete boolean";
            columns.extend((0..toasted).map(|index| format!(", source{index} bigint")));
        }
        connection.execute(&format!("create or replace temp table _versions ({columns})"), [])?;
        let rows = if ranges.is_empty() { 0 } else { usize::try_from(RANGE_ROWS).unwrap_or(0) };
        let columns = |_| Columns::new(with_deleted, toasted, rows);
        let of_range = (0..ranges.len().max(1)).map(columns).collect();
        Ok(Versions { ranges, of_range, count: 0 })
    }

    pub(crate) fn push(&mut self, version: &Version) {
        let number = version.row / RANGE_ROWS;
        let index = self.ranges.binary_search_by_key(&number, |range| range.number);
        // Without ranges there is one list; otherwise each row of the log is in one.
        if let Some(columns) = self.of_range.get_mut(index.unwrap_or(0)) {
            columns.push(version);
        }
    }

    /// Hands the versions to DuckDB and is empty again.
    pub(crate) fn flush(&mut self, connection: &Connection) -> Result<(), Error> {
        let mut appender = connection.appender("_versions")?;
        for columns in &mut self.of_range {
            let arrays = columns.finish();
            let field = |(index, array): (usize, &ArrayRef)| {
                Field::new(index.to_string(), array.data_type().clone(), true)
            };
            let fields: Vec<_> = arrays.iter().enumerate().map(field).collect();
            let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
            let batch = batch.map_err(|error| Error::DuckDb(error.to_string()))?;
            self.count += batch.num_rows() as u64;
            if 0 < batch.num_rows() {
                appender.append_record_batch(batch)?;
            }
        }
        appender.flush()?;
        Ok(())
    }
}

/// Versions, column by column.
#[derive(Debug)]
struct Columns {
    row: Int64Builder,
    since: TimestampMicrosecondBuilder,
    until: TimestampMicrosecondBuilder,
    number: Int64Builder,
    ending: UInt8Builder,
    /// Of versions that a delete opened: the change that did, and whether it is one.
    deleted: Option<(Int64Builder, BooleanBuilder)>,
    /// With toasted columns: whether a value is missing, and the row that has each column's value.
    toast: Option<(BooleanBuilder, Vec<Int64Builder>)>,
}

impl Columns {
    /// With room for so many rows: growing would take twice the memory for a while.
    fn new(with_deleted: bool, toasted: usize, rows: usize) -> Self {
        let sources = || (0..toasted).map(|_| Int64Builder::new()).collect();
        Columns {
            row: Int64Builder::with_capacity(rows),
            since: TimestampMicrosecondBuilder::with_capacity(rows),
            until: TimestampMicrosecondBuilder::with_capacity(rows),
            number: Int64Builder::with_capacity(rows),
            ending: UInt8Builder::with_capacity(rows),
            deleted: with_deleted.then(Default::default),
            toast: (0 < toasted).then(|| (BooleanBuilder::new(), sources())),
        }
    }

    fn push(&mut self, version: &Version) {
        self.row.append_value(version.row);
        self.since.append_value(version.from);
        self.until.append_option(version.to);
        self.number.append_value(version.number);
        self.ending.append_value(version.end);
        if let Some((event, deleted)) = &mut self.deleted {
            event.append_value(version.event);
            deleted.append_value(version.deleted);
        }
        if let Some((incomplete, sources)) = &mut self.toast {
            incomplete.append_value(version.incomplete);
            for (index, source) in sources.iter_mut().enumerate() {
                source.append_value(version.sources.get(index).copied().unwrap_or(-1));
            }
        }
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(self.row.finish()),
            Arc::new(self.since.finish()),
            Arc::new(self.until.finish()),
            Arc::new(self.number.finish()),
            Arc::new(self.ending.finish()),
        ];
        if let Some((event, deleted)) = &mut self.deleted {
            arrays.extend([Arc::new(event.finish()) as ArrayRef, Arc::new(deleted.finish())]);
        }
        if let Some((incomplete, sources)) = &mut self.toast {
            arrays.push(Arc::new(incomplete.finish()));
            arrays.extend(sources.iter_mut().map(|source| Arc::new(source.finish()) as ArrayRef));
        }
        arrays
    }
}
