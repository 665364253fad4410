//! One batch of one table, inside a transaction: the schema grows, rows enter the change log, their
//! keys are folded, the manifest is written. Nothing here reaches for the network.

use std::collections::BTreeMap;

use duckdb::{Connection, params};

use crate::columns::{self, Column};
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::inspect::{Facts, Group, Inspection, path_literal};
use crate::manifest::{self, Done, Table};
use crate::report::{Counts, OrderSource, TimeSource};
use crate::scd2::{self, Scope};
use crate::shape::Field;
use crate::source::Staged;
use crate::sql::{list, literal, quote, render};

/// What a row must be to be folded.
const IS_CHANGE: &str = "coalesce(_op in ('c', 'r', 'u', 'd', 't'), false)";

/// A batch of files that are on local disk and have been looked into.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) files: &'a [Staged],
    pub(crate) inspection: Inspection,
    /// The manifest before this batch.
    pub(crate) done: &'a std::collections::HashMap<String, Done>,
    pub(crate) run_id: i64,
    pub(crate) now_us: i64,
}

/// What a batch did.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) counts: Counts,
    pub(crate) order: Option<OrderSource>,
    pub(crate) time: Option<TimeSource>,
    pub(crate) notices: Vec<String>,
}

/// Applies a batch and brings `table` to what it is afterwards.
pub(crate) fn apply(
    connection: &Connection,
    config: &Config,
    table: &mut Table,
    batch: &Batch<'_>,
) -> Result<Applied, Error> {
    let mut applied = Applied::default();
    let mut grown = table.columns.clone();
    let mut targets = Vec::new();
    for group in &batch.inspection.groups {
        let fields = group.shape.payload.iter();
        let fields = fields.map(|field| (field.name.as_str(), field.type_name.as_str()));
        let evolution = columns::evolve(&mut grown, fields);
        applied.notices.extend(evolution.conflicts);
        targets.push(evolution.targets);
    }
    if !table.exists && grown.is_empty() {
        // Tombstones only: there is no telling what the table looks like.
        applied.counts.rows = batch.inspection.facts.iter().map(|facts| facts.rows).sum();
        applied.counts.ignored = applied.counts.rows;
        return Ok(applied);
    }
    let keys = resolve_keys(config, table, &grown, batch)?;
    check_keys(&grown, &keys, batch, &targets)?;
    let schema_changed = grow(connection, table, grown, keys)?;

    let replaced = take_out_replaced(connection, table, batch)?;
    let objs = objects(connection, batch)?;
    let first_obj = objs.first().copied().unwrap_or(i64::MAX);
    for (group, targets) in batch.inspection.groups.iter().zip(&targets) {
        load(connection, table, group, targets)?;
        applied.order = applied.order.max(Some(group.shape.order()));
    }
    applied.time = weakest_time(batch);
    applied.counts = set_aside(connection, table, batch, first_obj)?;
    find_toast(connection, config, table, first_obj)?;
    let truncated = replaced || 0 < applied.counts.truncates;
    touch(connection, table, first_obj, truncated)?;
    let placeholder = &config.unavailable_value_placeholder;
    let folded = scd2::merge(connection, table, placeholder, Scope::Affected, first_obj)?;
    applied.counts.add(&folded);
    if schema_changed {
        scd2::create_views(connection, table)?;
    }
    remember(connection, table, batch, &objs, &applied)?;
    Ok(applied)
}

/// The key columns: as before, as configured, as the files say, or `id`.
fn resolve_keys(
    config: &Config,
    table: &Table,
    columns: &[Column],
    batch: &Batch<'_>,
) -> Result<Vec<String>, Error> {
    let mut keys = config.tables.get(&table.topic).map(|of| of.keys.clone()).unwrap_or_default();
    let mut by = "configuration".to_owned();
    if keys.is_empty() {
        for (file, facts) in batch.files.iter().zip(&batch.inspection.facts) {
            let Some(fields) = &facts.key_fields else { continue };
            if keys.is_empty() {
                (keys, by) = (fields.clone(), file.object.uri.clone());
            } else if keys != *fields {
                let uri = &file.object.uri;
                let reason =
                    format!("keys differ: {keys:?} in {by}, {fields:?} in {uri}; set its keys");
                return Err(Error::Table { table: table.name.clone(), reason });
            }
        }
    }
    if table.exists && keys.is_empty() {
        return Ok(table.keys.clone());
    }
    if keys.is_empty() && columns.iter().any(|column| column.source == "id") {
        keys = vec!["id".into()];
    }
    if keys.is_empty() {
        let reason = "no key: the files name none and there is no column \"id\"; set its keys";
        return Err(Error::Table { table: table.name.clone(), reason: reason.into() });
    }
    let named = |key: &String| {
        let column = columns.iter().find(|column| column.source.eq_ignore_ascii_case(key));
        column.map(|column| column.name.clone()).ok_or_else(|| Error::Table {
            table: table.name.clone(),
            reason: format!("key column \"{key}\", from {by}, is not among its columns"),
        })
    };
    let keys = keys.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    if table.exists && keys != table.keys {
        let old = &table.keys;
        let reason =
            format!("its key was {old:?} and is {keys:?} by {by}; start a new database for it");
        return Err(Error::Table { table: table.name.clone(), reason });
    }
    Ok(keys)
}

/// A file without a key column has rows of something else.
fn check_keys(
    columns: &[Column],
    keys: &[String],
    batch: &Batch<'_>,
    targets: &[Vec<usize>],
) -> Result<(), Error> {
    let with_rows = batch.inspection.groups.iter().zip(targets);
    for (group, targets) in with_rows.filter(|(group, _)| !group.has_truncates_only()) {
        for key in keys {
            let index = columns.iter().position(|column| column.name == *key);
            if index.is_none_or(|index| !targets.contains(&index)) {
                let file = group.files.first().and_then(|index| batch.files.get(*index));
                let uri = file.map(|file| file.object.uri.clone()).unwrap_or_default();
                return Err(Error::Object {
                    uri,
                    reason: format!("it has no key column \"{key}\""),
                });
            }
        }
    }
    Ok(())
}

/// Makes the table's two relations, or gives them the columns they lack. True if there was anything
/// to do.
fn grow(
    connection: &Connection,
    table: &mut Table,
    columns: Vec<Column>,
    keys: Vec<String>,
) -> Result<bool, Error> {
    let declared = |column: &Column| format!("{} {}", quote(&column.name), column.type_name);
    let relations = [quote(&table.name), quote(&table.changes())];
    let changed = !table.exists || table.columns != columns;
    if table.exists {
        for (index, column) in columns.iter().enumerate() {
            let old = table.columns.get(index);
            let change = match old {
                None => format!("add column {}", declared(column)),
                Some(old) if old.type_name != column.type_name => {
                    format!("alter column {} type {}", quote(&column.name), column.type_name)
                }
                Some(_) => continue,
            };
            for relation in &relations {
                connection.execute(&format!("alter table {relation} {change}"), [])?;
            }
        }
    } else {
        let declared = columns.iter().map(declared).collect::<Vec<_>>().join(", ");
        let [history, changes] = &relations;
        for (template, name, relation) in [
            (include_str!("sql/create_history.sql"), "table", history),
            (include_str!("sql/create_changes.sql"), "changes", changes),
        ] {
            let statement = render(template, &[(name, relation), ("columns", &declared)]);
            connection.execute(&statement, [])?;
        }
    }
    (table.columns, table.keys, table.exists) = (columns, keys, true);
    Ok(changed)
}

/// Takes the rows of objects whose content has changed out of the log; their keys must be folded anew.
/// True if they ended versions of other keys (a truncate).
fn take_out_replaced(
    connection: &Connection,
    table: &Table,
    batch: &Batch<'_>,
) -> Result<bool, Error> {
    let old = batch.files.iter().filter_map(|file| batch.done.get(&file.object.uri));
    let mut objects: Vec<String> = old.map(|done| done.obj.to_string()).collect();
    let any = !objects.is_empty();
    // No object has this number; an empty list would be no list.
    objects.push("-1".into());
    let objects = objects.join(", ");
    let changes = quote(&table.changes());
    let keys = list("", table.key_names());
    let values = [("changes", changes.as_str()), ("keys", &keys), ("objects", &objects)];
    connection.execute(&render(include_str!("sql/replaced.sql"), &values), [])?;
    if !any {
        return Ok(false);
    }
    let truncates =
        format!("select count(*) from {changes} where _op = 't' and _obj in ({objects})");
    let truncates: u64 = connection.query_row(&truncates, [], |row| row.get(0))?;
    connection.execute(&format!("delete from {changes} where _obj in ({objects})"), [])?;
    let name = literal(&table.name);
    connection.execute(
        &format!("delete from cdc_rejects where tbl = {name} and obj in ({objects})"),
        [],
    )?;
    Ok(0 < truncates)
}

/// Numbers the objects and puts what rows need of them beside the rows. Numbers rise.
fn objects(connection: &Connection, batch: &Batch<'_>) -> Result<Vec<i64>, Error> {
    connection.execute(
        "create or replace temp table _objects \
         (path varchar, obj bigint, part integer, first_offset ubigint, exact boolean, ts timestamp)",
        [],
    )?;
    let mut objs = Vec::new();
    let mut rows = Vec::new();
    for (file, facts) in batch.files.iter().zip(&batch.inspection.facts) {
        let obj = Database::next(connection, "cdc_obj_seq")?;
        let name = &file.object.name;
        let path = path_literal(file);
        let first_offset = facts.first_offset.unwrap_or(name.start_offset);
        let exact = facts.offsets_are_exact();
        let us = object_time(file, facts).1;
        let partition = name.partition;
        rows.push(format!(
            "({path}, {obj}, {partition}, {first_offset}, {exact}, make_timestamp({us}))"
        ));
        objs.push(obj);
    }
    if !rows.is_empty() {
        let rows = rows.join(", ");
        connection.execute(&format!("insert into _objects values {rows}"), [])?;
    }
    times(connection, batch, &objs)?;
    Ok(objs)
}

/// Puts the times that footers give of single rows where the load finds them.
fn times(connection: &Connection, batch: &Batch<'_>, objs: &[i64]) -> Result<(), Error> {
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
fn object_time(file: &Staged, facts: &Facts) -> (TimeSource, i64) {
    match facts.last_timestamp_ms.and_then(|ms| ms.checked_mul(1_000)) {
        Some(us) => (TimeSource::ObjectLastTimestamp, us),
        None => (TimeSource::ObjectLastModified, file.object.last_modified_us),
    }
}

fn weakest_time(batch: &Batch<'_>) -> Option<TimeSource> {
    let groups = batch.inspection.groups.iter();
    let of_group = |group: &Group| match &group.shape.time {
        Some((source, _)) => Some(*source),
        None => {
            let files = group.files.iter().filter_map(|index| {
                Some((batch.files.get(*index)?, batch.inspection.facts.get(*index)?))
            });
            let of_file = |(file, facts): (&Staged, &Facts)| match facts.timestamps_ms.as_slice() {
                [] => object_time(file, facts).0,
                _ => TimeSource::RecordTimestamp,
            };
            files.map(of_file).min()
        }
    };
    groups.filter_map(of_group).min()
}

fn load(
    connection: &Connection,
    table: &Table,
    group: &Group,
    targets: &[usize],
) -> Result<(), Error> {
    let shape = &group.shape;
    let mut names = Vec::new();
    let mut payload = Vec::new();
    for (field, target) in shape.payload.iter().zip(targets) {
        let Some(column) = table.columns.get(*target) else { continue };
        names.push(format!("{}, ", quote(&column.name)));
        payload.push(format!("{}, ", cast(field, column)));
    }
    let null = "null".to_owned();
    let time = shape.time.as_ref().map_or("null", |(_, expr)| expr);
    let statement = render(
        include_str!("sql/load.sql"),
        &[
            ("changes", &quote(&table.changes())),
            ("columns", &names.concat()),
            ("payload", &payload.concat()),
            ("op", &shape.op),
            ("time", time),
            ("lsn", shape.lsn.as_ref().unwrap_or(&null)),
            ("offset", shape.offset.as_ref().unwrap_or(&null)),
            ("relation", &group.relation),
        ],
    );
    connection.execute(&statement, [])?;
    Ok(())
}

fn cast(field: &Field, column: &Column) -> String {
    if field.type_name == column.type_name {
        return field.expr.clone();
    }
    format!("cast(cast({} as {}) as {})", field.expr, field.type_name, column.type_name)
}

/// Moves rows that cannot be folded out of the log, and counts everything that is not folded.
fn set_aside(
    connection: &Connection,
    table: &Table,
    batch: &Batch<'_>,
    first_obj: i64,
) -> Result<Counts, Error> {
    let null = |key: &str| format!("{} is null", quote(key));
    let null = table.key_names().map(null).collect::<Vec<_>>().join(" or ");
    let is_usable = format!("{IS_CHANGE} and (_op = 't' or not ({null}))");
    let changes = quote(&table.changes());
    let (first_obj, run_id) = (first_obj.to_string(), batch.run_id.to_string());
    let values = [
        ("changes", changes.as_str()),
        ("tbl", &literal(&table.name)),
        ("is_change", IS_CHANGE),
        ("is_usable", &is_usable),
        ("first_obj", &first_obj),
        ("run_id", &run_id),
    ];
    let rejects = connection.execute(&render(include_str!("sql/reject.sql"), &values), [])?;
    let dropped =
        connection.execute(&render(include_str!("sql/drop_unusable.sql"), &values), [])?;
    let truncates =
        format!("select count(*) from {changes} where _obj >= {first_obj} and _op = 't'");
    let facts = batch.inspection.facts.iter();
    let tombstones: u64 = facts.clone().map(|facts| facts.tombstones).sum();
    let (rejects, dropped) = (rejects as u64, dropped as u64);
    Ok(Counts {
        rows: facts.map(|facts| facts.rows).sum(),
        ignored: tombstones + dropped.saturating_sub(rejects),
        rejects,
        truncates: connection.query_row(&truncates, [], |row| row.get(0))?,
        ..Counts::default()
    })
}

/// Marks the columns in which the new rows have the placeholder for an unchanged value.
fn find_toast(
    connection: &Connection,
    config: &Config,
    table: &mut Table,
    first_obj: i64,
) -> Result<(), Error> {
    let changes = quote(&table.changes());
    for column in &mut table.columns {
        let placeholder =
            scd2::placeholder_of(&column.type_name, &config.unavailable_value_placeholder);
        let Some(placeholder) = placeholder.filter(|_| !column.toast) else { continue };
        let name = quote(&column.name);
        let statement = format!(
            "select coalesce(bool_or({name} = {placeholder}), false) from {changes} \
             where _obj >= {first_obj}"
        );
        column.toast = connection.query_row(&statement, [], |row| row.get(0))?;
    }
    Ok(())
}

fn touch(connection: &Connection, table: &Table, first_obj: i64, all: bool) -> Result<(), Error> {
    let values = [
        ("changes", quote(&table.changes())),
        ("keys", list("", table.key_names())),
        ("first_obj", first_obj.to_string()),
        ("all", all.to_string()),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    connection.execute(&render(include_str!("sql/affected.sql"), &values), [])?;
    Ok(())
}

fn remember(
    connection: &Connection,
    table: &Table,
    batch: &Batch<'_>,
    objs: &[i64],
    applied: &Applied,
) -> Result<(), Error> {
    let mut shapes = BTreeMap::new();
    for group in &batch.inspection.groups {
        shapes.extend(group.files.iter().map(|index| (*index, group.shape.kind.name())));
    }
    let mut insert = connection.prepare(
        "insert or replace into cdc_objects values \
         (?, ?, ?, ?, make_timestamp(?), ?, ?, ?, ?, ?, ?, ?, ?, make_timestamp(?))",
    )?;
    let files = batch.files.iter().zip(&batch.inspection.facts).zip(objs);
    for (index, ((file, facts), obj)) in files.enumerate() {
        let Staged { object, .. } = file;
        insert.execute(params![
            table.name,
            object.uri,
            object.etag,
            object.size,
            object.last_modified_us,
            object.name.topic,
            object.name.partition,
            facts.first_offset.unwrap_or(object.name.start_offset),
            facts.last_offset,
            facts.rows,
            shapes.get(&index).copied().unwrap_or("empty"),
            obj,
            batch.run_id,
            batch.now_us,
        ])?;
    }
    let counts = &applied.counts;
    connection.execute(
        "insert into cdc_runs values (?, ?, 'run', make_timestamp(?), ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            batch.run_id,
            table.name,
            batch.now_us,
            batch.files.len() as u64,
            counts.rows,
            counts.opened,
            counts.closed_by_delete,
            counts.duplicates,
            counts.unchanged,
            counts.late_keys,
            counts.clamped,
            counts.rejects,
        ],
    )?;
    manifest::save_table(connection, table, applied.order, applied.time, batch.now_us)
}
