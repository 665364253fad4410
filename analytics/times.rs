//! When a change happened: what of a row, of its object's footer or of the object itself tells it.

use duckdb::{Connection, params};

use crate::error::Error;
use crate::inspect::{Facts, Group};
use crate::load::Batch;
use crate::manifest::Table;
use crate::report::TimeSource;
use crate::rules::Time;
use crate::source::Staged;

/// Puts the times that footers give of single rows where the load finds them.
pub(crate) fn of_footers(
    connection: &Connection,
    batch: &Batch<'_>,
    objs: &[i64],
) -> Result<(), Error> {
    connection
        .execute("create or replace temp table _ms (obj bigint, row bigint, ms bigint)", [])?;
    let mut appender = connection.appender("_ms")?;
    for (facts, obj) in batch.inspection.facts.iter().zip(objs) {
        for (row, ms) in (0_i64..).zip(&facts.timestamps_ms) {
            appender.append_row(params![obj, row, ms])?;
        }
    }
    appender.flush()?;
    drop(appender);
    connection.execute(
        "create or replace temp view _times as select obj, row, make_timestamp(ms * 1000) as ts from _ms",
        [],
    )?;
    Ok(())
}

/// The one time that all rows of an object have if they have none of their own.
pub(crate) fn of_object(file: &Staged, facts: &Facts) -> (TimeSource, i64) {
    match facts.last_timestamp_ms.and_then(|ms| ms.checked_mul(1_000)) {
        Some(us) => (TimeSource::ObjectLastTimestamp, us),
        None => (TimeSource::ObjectLastModified, file.object.last_modified_us),
    }
}

/// The times that are taken from the rows of a group, the most exact first.
pub(crate) fn of_rows<'a>(table: &'a Table, group: &'a Group) -> Vec<(TimeSource, String)> {
    let shape = &group.shape;
    let of = |wanted: TimeSource| {
        shape.times.iter().filter(move |(source, _)| *source == wanted).cloned()
    };
    let auto = || shape.times.first().cloned();
    match &table.rules.time {
        Time::Auto => auto().into_iter().collect(),
        Time::Source => of(TimeSource::Source).collect(),
        Time::Processing => of(TimeSource::Processing).collect(),
        Time::Kafka => of(TimeSource::RecordTimestamp).collect(),
        Time::Column(column) => {
            let field = shape.payload.iter().find(|f| f.name.eq_ignore_ascii_case(column));
            // The image of a delete is blank.
            let own = field.map(|field| {
                let op = &shape.op;
                let time = format!("try_cast({} as timestamp)", field.expr);
                (TimeSource::Column, format!("case when {op} <> 'd' then {time} end"))
            });
            own.into_iter().chain(auto()).collect()
        }
    }
}

pub(crate) fn weakest(table: &Table, batch: &Batch<'_>) -> Option<TimeSource> {
    let groups = batch.inspection.groups.iter();
    let of_group = |group: &Group| match of_rows(table, group).first() {
        Some((source, _)) => Some(*source),
        None => {
            let files = group.files.iter().filter_map(|index| {
                Some((batch.files.get(*index)?, batch.inspection.facts.get(*index)?))
            });
            let of_file = |(file, facts): (&Staged, &Facts)| match facts.timestamps_ms.as_slice() {
                [] => of_object(file, facts).0,
                _ => TimeSource::RecordTimestamp,
            };
            files.map(of_file).min()
        }
    };
    groups.filter_map(of_group).min()
}
