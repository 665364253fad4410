//! One batch of one table, inside a transaction: the schema grows, rows enter the change log, their
//! keys are folded, the manifest is written. Nothing here reaches for the network.

use std::collections::BTreeMap;

use duckdb::{Connection, params};

use crate::columns::{self, Column};
use crate::config::Config;
use crate::database::Database;
use crate::epochs;
use crate::error::Error;
use crate::grow::{self, OPERATION};
use crate::inspect::{Group, Inspection, path_literal};
use crate::keys;
use crate::layout::Format;
use crate::manifest::{self, Done, Table};
use crate::new_rows;
use crate::report::{Counts, OrderSource, TimeSource};
use crate::rules::{Time, TypeConflict};
use crate::scd2::{self, Scope};
use crate::shape::{Field, Kind};
use crate::source::Staged;
use crate::sql::{list, literal, quote, render};
use crate::times;
use crate::views;

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
    grow::check_keys(&grown, &keys, batch, &targets)?;
    let before = table.exists.then(|| table.columns.clone());
    applied.schema_changed = grow::grow(connection, table, grown, keys)?;
    grow::timeline(connection, table, before.as_deref().unwrap_or_default(), batch, &targets)?;

    let replaced = take_out_replaced(connection, table, batch)?;
    let objs = objects(connection, batch)?;
    let first_obj = objs.first().copied().unwrap_or(i64::MAX);
    for (group, targets) in batch.inspection.groups.iter().zip(&targets) {
        load(connection, table, group, targets)?;
        applied.order = applied.order.max(Some(group.shape.order()));
    }
    applied.time = times::weakest(table, batch);
    let found = new_rows::look(connection, config, table, batch, first_obj)?;
    applied.counts = found.counts;
    let restarted =
        epochs::mark(connection, table, first_obj, found.have_reads, &mut applied.notices)?;
    applied.first_obj = Some(first_obj);
    applied.touches_all = replaced
        || restarted
        || 0 < applied.counts.truncates
        || (table.rules.snapshot_closes_missing && found.end_snapshot);
    remember(connection, table, batch, &targets, &objs)?;
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
        let scope = touch(connection, table, first_obj, applied.touches_all)?;
        let placeholder = &config.unavailable_value_placeholder;
        let folded = scd2::merge(connection, table, placeholder, scope, first_obj)?;
        applied.counts.add(&folded);
    }
    if applied.schema_changed {
        views::create(connection, table)?;
    }
    remember_run(connection, table, applied, run)?;
    connection.execute("drop table if exists _replaced", [])?;
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
        let us = times::of_object(file, facts).1;
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
    times::of_footers(connection, batch, &objs)?;
    Ok(objs)
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
    let before = shape.before.as_ref().map(|(is_there, fields)| {
        let fields = fields.iter().zip(targets).filter_map(|(field, target)| {
            Some((*target, cast(field, table.columns.get(*target)?)))
        });
        format!("case when {is_there} then {} end", image_md5(fields))
    });
    let null = "null".to_owned();
    let mut times: Vec<_> =
        times::of_rows(table, group).into_iter().map(|(_, expr)| expr).collect();
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
            ("operation", OPERATION),
            ("time", &time),
            ("lsn", shape.lsn.as_ref().unwrap_or(&null)),
            ("offset", shape.offset.as_ref().unwrap_or(&null)),
            ("snapshot", shape.snapshot.as_ref().unwrap_or(&null)),
            ("before", before.as_ref().unwrap_or(&null)),
            ("relation", &group.relation),
        ],
    );
    connection.execute(&statement, [])?;
    Ok(())
}

/// The md5 of an image: of the columns that are not NULL, each with its index, so that a column that came
/// later changes nothing.
pub(crate) fn image_md5(columns: impl IntoIterator<Item = (usize, String)>) -> String {
    let text = |(index, expr)| format!(", '{index}=' || cast({expr} as varchar)");
    let texts: String = columns.into_iter().map(text).collect();
    format!("md5_number(concat_ws(chr(31){texts}))")
}

fn cast(field: &Field, column: &Column) -> String {
    if field.type_name == column.type_name {
        return field.expr.clone();
    }
    format!("cast(cast({} as {}) as {})", field.expr, field.type_name, column.type_name)
}

/// Finds the keys whose versions must be made anew; none is sought if it is all of them, as in a first run.
fn touch(
    connection: &Connection,
    table: &Table,
    first_obj: i64,
    all: bool,
) -> Result<Scope, Error> {
    let changes = quote(&table.changes());
    let older = format!("select 1 from {changes} where _obj < {first_obj} limit 1");
    if all || !connection.prepare(&older)?.exists([])? {
        return Ok(Scope::All);
    }
    let values = [
        ("changes", changes),
        ("keys", list("", table.key_names())),
        ("first_obj", first_obj.to_string()),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    connection.execute(&render(include_str!("sql/affected.sql"), &values), [])?;
    Ok(Scope::Affected)
}

fn remember(
    connection: &Connection,
    table: &Table,
    batch: &Batch<'_>,
    targets: &[Vec<usize>],
    objs: &[i64],
) -> Result<(), Error> {
    let mut of_group = BTreeMap::new();
    for (group, targets) in batch.inspection.groups.iter().zip(targets) {
        let names = targets.iter().filter_map(|target| Some(&table.columns.get(*target)?.name));
        let names: Vec<_> = names.collect();
        let columns = serde_json::to_string(&names).ok().filter(|_| !names.is_empty());
        of_group
            .extend(group.files.iter().map(|index| (*index, (group.shape.kind, columns.clone()))));
    }
    let mut insert = connection.prepare(
        "insert or replace into cdc_objects values \
         (?, ?, ?, ?, make_timestamp(?), ?, ?, ?, ?, ?, ?, ?, ?, make_timestamp(?), ?)",
    )?;
    let files = batch.files.iter().zip(&batch.inspection.facts).zip(objs);
    for (index, ((file, facts), obj)) in files.enumerate() {
        let Staged { object, .. } = file;
        let (kind, columns) = of_group.remove(&index).unzip();
        // A JSON document does not show the columns that are NULL in all rows.
        let columns = columns.flatten().filter(|_| object.name.format != Format::Json);
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
            kind.map_or("empty", Kind::name),
            obj,
            batch.run.id,
            batch.run.now_us,
            columns,
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
