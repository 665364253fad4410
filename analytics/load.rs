//! One batch of one table, inside a transaction: the schema grows, rows enter the change log, their
//! keys are folded, the manifest is written. Nothing here reaches for the network.

use std::collections::BTreeMap;

use duckdb::{Connection, params};

use crate::columns::{self, Column};
use crate::config::Config;
use crate::database::Database;
use crate::epochs;
use crate::error::Error;
use crate::inspect::{Facts, Group, Inspection, path_literal};
use crate::keys;
use crate::manifest::{self, Done, Table};
use crate::report::{Counts, OrderSource, TimeSource};
use crate::rules::{Deletes, Time, TypeConflict};
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
    pub(crate) run: Run,
    /// The key columns that the companions of the files show, if they were asked.
    pub(crate) companion_keys: Option<Vec<String>>,
    pub(crate) accept_guessed_keys: bool,
}

/// What a batch did.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) counts: Counts,
    pub(crate) order: Option<OrderSource>,
    pub(crate) time: Option<TimeSource>,
    pub(crate) notices: Vec<String>,
    pub(crate) objects: u64,
    schema_changed: bool,
    /// The first object of these batches; none if no row was loaded.
    first_obj: Option<i64>,
    /// Every key may have changed.
    touches_all: bool,
}

impl Applied {
    /// Takes the next batch of the same transaction in.
    pub(crate) fn join(&mut self, next: Applied) {
        self.counts.add(&next.counts);
        self.order = self.order.max(next.order);
        self.time = match (self.time, next.time) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.notices.extend(next.notices);
        self.objects += next.objects;
        self.schema_changed |= next.schema_changed;
        self.first_obj = self.first_obj.or(next.first_obj);
        self.touches_all |= next.touches_all;
    }
}

/// Which run it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) id: i64,
    pub(crate) now_us: i64,
}

/// Brings a batch into the change log, and `table` to what it is afterwards. The versions are still as
/// before: [`fold`] makes them anew, for one batch or several.
pub(crate) fn load_batch(
    connection: &Connection,
    config: &Config,
    table: &mut Table,
    batch: &Batch<'_>,
) -> Result<Applied, Error> {
    let mut applied = Applied { objects: batch.files.len() as u64, ..Applied::default() };
    let mut grown = table.columns.clone();
    let mut targets = Vec::new();
    for group in &batch.inspection.groups {
        let fields = group.shape.payload.iter();
        let fields = fields.map(|field| (field.name.as_str(), field.type_name.as_str()));
        let on_conflict = table.rules.on_type_conflict;
        let evolution = columns::evolve(&mut grown, fields, on_conflict == TypeConflict::Split);
        if let Some(conflict) =
            evolution.conflicts.first().filter(|_| on_conflict == TypeConflict::Error)
        {
            let reason = format!("{conflict}, which on_type_conflict = \"error\" forbids");
            return Err(Error::Table { table: table.name.clone(), reason });
        }
        applied.notices.extend(evolution.conflicts);
        targets.push(evolution.targets);
    }
    if !table.exists && grown.is_empty() {
        // Tombstones only: there is no telling what the table looks like.
        applied.counts.rows = batch.inspection.facts.iter().map(|facts| facts.rows).sum();
        applied.counts.ignored = applied.counts.rows;
        return Ok(applied);
    }
    let keys = keys::resolve(connection, config, table, &grown, batch)?;
    applied.notices.extend(keys.notice);
    let keys = keys.columns;
    check_keys(&grown, &keys, batch, &targets)?;
    let before = table.exists.then(|| table.columns.clone());
    applied.schema_changed = grow(connection, table, grown, keys)?;
    timeline(connection, table, before.as_deref().unwrap_or_default(), batch, &targets)?;

    let replaced = take_out_replaced(connection, table, batch)?;
    let objs = objects(connection, batch)?;
    let first_obj = objs.first().copied().unwrap_or(i64::MAX);
    for (group, targets) in batch.inspection.groups.iter().zip(&targets) {
        load(connection, table, group, targets)?;
        applied.order = applied.order.max(Some(group.shape.order()));
    }
    applied.time = weakest_time(table, batch);
    applied.counts = set_aside(connection, table, batch, first_obj)?;
    find_toast(connection, config, table, first_obj)?;
    let restarted = epochs::mark(connection, table, first_obj, &mut applied.notices)?;
    applied.first_obj = Some(first_obj);
    applied.touches_all = replaced || restarted || 0 < applied.counts.truncates;
    if !applied.touches_all && table.rules.snapshot_closes_missing {
        applied.touches_all = ends_snapshot(connection, table, first_obj)?;
    }
    remember(connection, table, batch, &objs)?;
    Ok(applied)
}

/// Makes the versions of all keys anew that the batches since `applied.first_obj` have touched.
pub(crate) fn fold(
    connection: &Connection,
    config: &Config,
    table: &Table,
    applied: &mut Applied,
    run: Run,
) -> Result<(), Error> {
    if let Some(first_obj) = applied.first_obj {
        touch(connection, table, first_obj, applied.touches_all)?;
        let placeholder = &config.unavailable_value_placeholder;
        let folded = scd2::merge(connection, table, placeholder, Scope::Affected, first_obj)?;
        applied.counts.add(&folded);
    }
    if applied.schema_changed {
        scd2::create_views(connection, table)?;
    }
    remember_run(connection, table, applied, run)?;
    connection.execute("drop table if exists _replaced", [])?;
    Ok(())
}

/// Whether a snapshot came to its end in the new rows: then it can end any key.
fn ends_snapshot(connection: &Connection, table: &Table, first_obj: i64) -> Result<bool, Error> {
    let changes = quote(&table.changes());
    let statement = format!(
        "select count(*) > 0 from {changes} where _obj >= {first_obj} \
         and _snapshot in ('last', 'last_in_data_collection')"
    );
    Ok(connection.query_row(&statement, [], |row| row.get(0))?)
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
        (table.columns, table.keys) = (columns, keys);
        create_history(connection, table)?;
        let changes = quote(&table.changes());
        let columns = declarations(table);
        let values = [("changes", changes.as_str()), ("columns", &columns)];
        connection.execute(&render(include_str!("sql/create_changes.sql"), &values), [])?;
        table.exists = true;
        return Ok(true);
    }
    (table.columns, table.keys, table.exists) = (columns, keys, true);
    Ok(changed)
}

fn declarations(table: &Table) -> String {
    let declared = |column: &Column| format!("{} {}", quote(&column.name), column.type_name);
    table.columns.iter().map(declared).collect::<Vec<_>>().join(", ")
}

fn create_history(connection: &Connection, table: &Table) -> Result<(), Error> {
    let with_rows = table.rules.deletes == Deletes::Row;
    let taken = |column: &Column| column.name.eq_ignore_ascii_case("is_deleted");
    if with_rows && table.columns.iter().any(taken) {
        let reason = "deletes = \"row\" adds a column is_deleted, which it has already; choose \
                      another way";
        return Err(Error::Table { table: table.name.clone(), reason: reason.into() });
    }
    let deleted = if with_rows { ",\n  is_deleted boolean not null" } else { "" };
    let (name, columns) = (quote(&table.name), declarations(table));
    let values = [("table", name.as_str()), ("columns", &columns), ("deleted", deleted)];
    connection.execute(&render(include_str!("sql/create_history.sql"), &values), [])?;
    Ok(())
}

/// An empty history table in the place of the present one: its rules may want other columns.
pub(crate) fn create_history_anew(connection: &Connection, table: &Table) -> Result<(), Error> {
    connection.execute(&format!("drop table {}", quote(&table.name)), [])?;
    create_history(connection, table)
}

/// Remembers which object brought or retyped which column.
fn timeline(
    connection: &Connection,
    table: &Table,
    before: &[Column],
    batch: &Batch<'_>,
    targets: &[Vec<usize>],
) -> Result<(), Error> {
    for (index, column) in table.columns.iter().enumerate() {
        let change = match before.get(index) {
            None => format!("added, {}", column.type_name),
            Some(old) if old.type_name != column.type_name => {
                format!("{} became {}", old.type_name, column.type_name)
            }
            Some(_) => continue,
        };
        let mut groups = batch.inspection.groups.iter().zip(targets);
        let group = groups.find(|(_, targets)| targets.contains(&index));
        let file = group.and_then(|(group, _)| batch.files.get(*group.files.first()?));
        connection.execute(
            "insert into cdc_schema values (?, ?, ?, ?, ?, make_timestamp(?))",
            params![
                table.name,
                column.name,
                change,
                file.map(|file| file.object.uri.as_str()),
                batch.run.id,
                batch.run.now_us,
            ],
        )?;
    }
    Ok(())
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
    // Of several batches of one transaction, all count.
    connection.execute(&render(include_str!("sql/replaced.sql"), &values), [])?;
    connection.execute(&render(include_str!("sql/add_replaced.sql"), &values), [])?;
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

/// The times that are taken from the rows of a group, the most exact first.
fn row_times<'a>(table: &'a Table, group: &'a Group) -> Vec<(TimeSource, String)> {
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

fn weakest_time(table: &Table, batch: &Batch<'_>) -> Option<TimeSource> {
    let groups = batch.inspection.groups.iter();
    let of_group = |group: &Group| match row_times(table, group).first() {
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
    let mut times: Vec<_> = row_times(table, group).into_iter().map(|(_, expr)| expr).collect();
    if times.is_empty() && matches!(table.rules.time, Time::Source | Time::Processing) {
        let reason = "its files have no such time as its setting `time` wants; use \"auto\"";
        return Err(Error::Table { table: table.name.clone(), reason: reason.into() });
    }
    times.extend(["t.ts".to_owned(), "o.ts".to_owned()]);
    let time = times.join(", ");
    let statement = render(
        include_str!("sql/load.sql"),
        &[
            ("changes", &quote(&table.changes())),
            ("columns", &names.concat()),
            ("payload", &payload.concat()),
            ("op", &shape.op),
            ("time", &time),
            ("lsn", shape.lsn.as_ref().unwrap_or(&null)),
            ("offset", shape.offset.as_ref().unwrap_or(&null)),
            ("snapshot", shape.snapshot.as_ref().unwrap_or(&null)),
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
    let horizon = table.horizon_us.map(|us| format!("_ts >= make_timestamp({us})"));
    let in_time = horizon.unwrap_or_else(|| "true".into());
    let is_usable = format!("{IS_CHANGE} and {in_time} and (_op = 't' or not ({null}))");
    let changes = quote(&table.changes());
    let (first_obj, run_id) = (first_obj.to_string(), batch.run.id.to_string());
    let values = [
        ("changes", changes.as_str()),
        ("tbl", &literal(&table.name)),
        ("is_change", IS_CHANGE),
        ("in_time", &in_time),
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
            batch.run.id,
            batch.run.now_us,
        ])?;
    }
    Ok(())
}

fn remember_run(
    connection: &Connection,
    table: &Table,
    applied: &Applied,
    run: Run,
) -> Result<(), Error> {
    if !table.exists {
        return Ok(());
    }
    let counts = &applied.counts;
    connection.execute(
        "insert into cdc_runs values \
         (?, ?, 'run', make_timestamp(?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            run.id,
            table.name,
            run.now_us,
            applied.objects,
            counts.rows,
            counts.opened,
            counts.closed_by_delete,
            counts.duplicates,
            counts.unchanged,
            counts.late_keys,
            counts.clamped,
            counts.rejects,
            counts.ignored,
            counts.truncates,
            counts.deletes_without_row,
            counts.unresolved_toast,
        ],
    )?;
    manifest::save_table(connection, table, applied.order, applied.time, run.now_us)
}
