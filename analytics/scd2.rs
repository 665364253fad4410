//! The merge: folds the change log of some keys into versions of the history table.
//!
//! There is one way for every batch: the versions of the touched keys are made anew from all
//! their changes. So a change that arrives late, twice or in another cut needs no case of its own, and
//! a rebuild is the same without a scope. DuckDB sorts narrow rows (position and a hash of the image),
//! [`fold`](crate::fold) decides, and the wide columns are fetched by row number at the end.

use std::sync::Arc;

use duckdb::Connection;
use duckdb::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int16Array, Int32Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray, UInt8Array, UInt64Array,
};
use duckdb::arrow::datatypes::{
    Field, Int16Type, Int32Type, Int64Type, Schema, TimestampMicrosecondType, UInt8Type, UInt64Type,
};

use crate::columns::Column;
use crate::error::Error;
use crate::fold::{Change, Fold, Outcomes, Snapshot, Toast, Version};
use crate::manifest::Table;
use crate::report::Counts;
use crate::rules::{Deletes, SnapshotFrom};
use crate::sql::{list, literal, quote, render};

/// The order of a key's changes; `fold` relies on it. The time only tells copies of one record apart.
const ORDER: &str =
    "c._epoch, c._hi, (c._hi > 0 and c._op not in ('d', 't')), c._part, c._lo, c._row, c._ts";

/// Rows of the log that are sorted at a time. They are outside of DuckDB's `memory_limit` while they are
/// read, at about 80 bytes each.
const SORTED_ROWS_MAX: u64 = 2_500_000;
/// Versions that are gathered before they are handed to DuckDB.
const APPENDED_VERSIONS: usize = 100_000;
/// So many versions are put into the table in order of their keys; more would cost a sort of wide rows.
const ORDERED_VERSIONS_MAX: u64 = 500_000;

/// Which keys are made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those in the temporary table `_affected`.
    Affected,
    All,
}

/// Makes the versions of the keys in scope anew. Counts what became of the rows of objects from
/// `first_obj` on.
pub(crate) fn merge(
    connection: &Connection,
    table: &Table,
    placeholder: &str,
    scope: Scope,
    first_obj: i64,
) -> Result<Counts, Error> {
    let columns = Columns::of(table, placeholder);
    let made = make_versions(connection, table, &columns, scope, first_obj)?;
    replace(connection, table, &columns, &made)?;
    connection.execute("drop table _versions", [])?;
    Ok(counts(made.outcomes))
}

/// What the fold has put into the temporary table `_versions`.
struct Made {
    scope: Scope,
    versions: u64,
    outcomes: Outcomes,
}

/// Folds the whole log into `_versions`, in which `row_id` is the row of the log; the table stays as it is.
pub(crate) fn versions_of_log(
    connection: &Connection,
    table: &Table,
    placeholder: &str,
) -> Result<(), Error> {
    let columns = Columns::of(table, placeholder);
    make_versions(connection, table, &columns, Scope::All, i64::MAX)?;
    Ok(())
}

fn make_versions(
    connection: &Connection,
    table: &Table,
    columns: &Columns<'_>,
    scope: Scope,
    first_obj: i64,
) -> Result<Made, Error> {
    let (scope, rows) = sorted_out(connection, table, scope)?;
    create_versions(connection, columns)?;
    let truncates = truncates(connection, table)?;
    let snapshots = snapshots(connection, table)?;
    let mut fold = Fold::new(table.rules.fold(), &truncates, &snapshots, columns.toasted.len());
    let tracked: Vec<bool> = columns.toasted.iter().map(|(.., tracked)| *tracked).collect();
    let mut versions = 0;
    let parts = rows.div_ceil(SORTED_ROWS_MAX).max(1);
    for part in 0..parts {
        let keys = list("c.", table.key_names());
        let mut conditions = Vec::new();
        if scope == Scope::Affected {
            conditions.push("c.rowid in (select row_id from _touched)".to_owned());
        }
        if 1 < parts {
            conditions.push(format!("hash(row({keys})) % {parts} = {part}"));
        }
        let condition =
            if conditions.is_empty() { "true".into() } else { conditions.join(" and ") };
        let statement = fold_rows(table, columns, &condition, first_obj);
        versions += fold_part(connection, &statement, &mut fold, &tracked)?;
    }
    Ok(Made { scope, versions, outcomes: fold.outcomes })
}

fn counts(outcomes: Outcomes) -> Counts {
    Counts {
        opened: outcomes.opened,
        closed_by_delete: outcomes.closed,
        unchanged: outcomes.unchanged,
        duplicates: outcomes.duplicates,
        deletes_without_row: outcomes.absent,
        clamped: outcomes.clamped,
        unresolved_toast: outcomes.unresolved,
        late_keys: outcomes.late_keys,
        ..Counts::default()
    }
}

/// The columns of a table that are not its key, as the fold sees them.
struct Columns<'a> {
    /// Whose hash is the image: tracked, and never with the placeholder.
    image: Vec<&'a Column>,
    /// With what stands for an unchanged value, and whether they are tracked.
    toasted: Vec<(&'a Column, String, bool)>,
}

impl<'a> Columns<'a> {
    fn of(table: &'a Table, placeholder: &str) -> Self {
        let mut columns = Columns { image: Vec::new(), toasted: Vec::new() };
        for column in &table.columns {
            if table.keys.contains(&column.name) {
                continue;
            }
            let tracked = table.rules.track.has(&column.source);
            match placeholder_of(&column.type_name, placeholder).filter(|_| column.toast) {
                Some(placeholder) => columns.toasted.push((column, placeholder, tracked)),
                None if tracked => columns.image.push(column),
                None => {}
            }
        }
        columns
    }

    fn toast_index(&self, column: &Column) -> Option<usize> {
        self.toasted.iter().position(|(toasted, ..)| toasted.name == column.name)
    }
}

/// Finds the rows of the keys in scope, and how many there are. Where all are touched, none is sought.
fn sorted_out(connection: &Connection, table: &Table, scope: Scope) -> Result<(Scope, u64), Error> {
    let changes = quote(&table.changes());
    let all = format!("select count(*)::ubigint from {changes} where _op <> 't'");
    let all: u64 = connection.query_row(&all, [], |row| row.get(0))?;
    if scope == Scope::All {
        return Ok((scope, all));
    }
    let values = [("changes", changes.as_str()), ("keys", &list("", table.key_names()))];
    connection.execute(&render(include_str!("sql/touched.sql"), &values), [])?;
    let touched: u64 =
        connection.query_row("select count(*)::ubigint from _touched", [], |row| row.get(0))?;
    // Keys that have no row any more are still to be deleted: only `Affected` knows them.
    let gone: u64 =
        connection.query_row("select count(*)::ubigint from _replaced", [], |row| row.get(0))?;
    if touched == all && gone == 0 {
        return Ok((Scope::All, all));
    }
    Ok((scope, touched))
}

fn fold_rows(table: &Table, columns: &Columns<'_>, scope: &str, first_obj: i64) -> String {
    let keys: Vec<String> = (0..table.keys.len()).map(|index| format!("_k{index}")).collect();
    let fresh: Vec<_> =
        keys.iter().map(|key| format!("{key} is distinct from lag({key}) over ()")).collect();
    let named = table.key_names().zip(&keys);
    let key_values: Vec<_> =
        named.map(|(name, key)| format!("c.{} as {key}", quote(name))).collect();
    let image = list("c.", columns.image.iter().map(|column| column.name.as_str()));
    let image = if image.is_empty() { "0::ubigint".into() } else { format!("hash(row({image}))") };
    let mut toast = String::new();
    for (index, (column, placeholder, _)) in columns.toasted.iter().enumerate() {
        let name = format!("c.{}", quote(&column.name));
        // NULL is a value; the placeholder is none.
        toast += &format!(
            ", case when {name} is null then 0::ubigint \
             when {name} is distinct from {placeholder} then hash({name}) end as toast{index}"
        );
    }
    let time = match &table.rules.snapshot_from {
        SnapshotFrom::Column(column) => {
            let name = quote(column);
            format!(
                "case when c._op = 'r' then coalesce(cast(c.{name} as timestamp), c._ts) else c._ts end"
            )
        }
        _ => "c._ts".into(),
    };
    let order = format!("{}, {ORDER}", keys.join(", "));
    render(
        include_str!("sql/fold_rows.sql"),
        &[
            ("fresh", &fresh.join(" or ")),
            ("keys", &keys.join(", ")),
            ("key_values", &key_values.join(", ")),
            ("time", &time),
            ("first_obj", &first_obj.to_string()),
            ("image", &image),
            ("toast", &toast),
            ("changes", &quote(&table.changes())),
            ("scope", scope),
            ("order", &order),
        ],
    )
}

/// The parameters of `fold_rows.sql` that the fold reads, column by column.
struct Sorted<'a> {
    fresh: &'a BooleanArray,
    row: &'a Int64Array,
    op: &'a UInt8Array,
    time: &'a TimestampMicrosecondArray,
    epoch: &'a Int16Array,
    hi: &'a UInt64Array,
    part: &'a Int32Array,
    lo: &'a UInt64Array,
    ordinal: &'a UInt64Array,
    new: &'a BooleanArray,
    image: &'a UInt64Array,
    toast: Vec<&'a UInt64Array>,
}

impl<'a> Sorted<'a> {
    fn of(batch: &'a RecordBatch, toasted: usize) -> Self {
        let column = |index: usize| batch.column(index);
        Sorted {
            fresh: column(0).as_boolean(),
            row: column(1).as_primitive::<Int64Type>(),
            op: column(2).as_primitive::<UInt8Type>(),
            time: column(3).as_primitive::<TimestampMicrosecondType>(),
            epoch: column(4).as_primitive::<Int16Type>(),
            hi: column(5).as_primitive::<UInt64Type>(),
            part: column(6).as_primitive::<Int32Type>(),
            lo: column(7).as_primitive::<UInt64Type>(),
            ordinal: column(8).as_primitive::<UInt64Type>(),
            new: column(9).as_boolean(),
            image: column(10).as_primitive::<UInt64Type>(),
            toast: (0..toasted).map(|i| column(11 + i).as_primitive::<UInt64Type>()).collect(),
        }
    }

    fn change(&self, index: usize) -> Change {
        Change {
            row: self.row.value(index),
            op: self.op.value(index),
            time: self.time.value(index),
            lsn: (self.epoch.value(index), self.hi.value(index)),
            offset: (self.part.value(index), self.lo.value(index), self.ordinal.value(index)),
            image: self.image.value(index),
            new: self.new.value(index),
        }
    }
}

/// Folds the rows of a statement and puts the versions into `_versions`; returns their number.
fn fold_part(
    connection: &Connection,
    statement: &str,
    fold: &mut Fold<'_>,
    tracked: &[bool],
) -> Result<u64, Error> {
    let toasted = tracked.len();
    let mut statement = connection.prepare(statement)?;
    let mut versions: Vec<Version> = Vec::new();
    let mut appended = 0;
    let mut toast: Vec<Toast> = Vec::with_capacity(toasted);
    for batch in statement.query_arrow([])? {
        let rows = Sorted::of(&batch, toasted);
        for index in 0..batch.num_rows() {
            if rows.fresh.value(index) {
                fold.finish(&mut versions);
            }
            toast.clear();
            toast.extend(rows.toast.iter().zip(tracked).map(|(column, tracked)| Toast {
                value: column.is_valid(index).then(|| column.value(index)),
                tracked: *tracked,
            }));
            fold.push(&rows.change(index), &toast);
        }
        if APPENDED_VERSIONS <= versions.len() {
            appended += append(connection, &mut versions, toasted)?;
        }
    }
    fold.finish(&mut versions);
    Ok(appended + append(connection, &mut versions, toasted)?)
}

fn create_versions(connection: &Connection, columns: &Columns<'_>) -> Result<(), Error> {
    let sources = (0..columns.toasted.len()).map(|index| format!(", source{index} bigint"));
    let sources: String = sources.collect();
    connection.execute(
        &format!(
            "create or replace temp table _versions (row_id bigint, event bigint, since timestamp, \
             until timestamp, number bigint, ending utinyint, deleted boolean, incomplete boolean{sources})"
        ),
        [],
    )?;
    Ok(())
}

/// Hands the versions to DuckDB and empties the list.
fn append(
    connection: &Connection,
    versions: &mut Vec<Version>,
    toasted: usize,
) -> Result<u64, Error> {
    if versions.is_empty() {
        return Ok(0);
    }
    fn int(versions: &[Version], value: impl Fn(&Version) -> i64) -> ArrayRef {
        Arc::new(versions.iter().map(value).collect::<Int64Array>())
    }
    let flag = |value: fn(&Version) -> bool| -> ArrayRef {
        Arc::new(versions.iter().map(|v| Some(value(v))).collect::<BooleanArray>())
    };
    let since = versions.iter().map(|version| Some(version.from));
    let until = versions.iter().map(|version| version.to);
    let ends = versions.iter().map(|version| Some(version.end));
    let mut arrays: Vec<ArrayRef> = vec![
        int(versions, |version| version.row),
        int(versions, |version| version.event),
        Arc::new(since.collect::<TimestampMicrosecondArray>()),
        Arc::new(until.collect::<TimestampMicrosecondArray>()),
        int(versions, |version| version.number),
        Arc::new(ends.collect::<UInt8Array>()),
        flag(|version| version.deleted),
        flag(|version| version.incomplete),
    ];
    for index in 0..toasted {
        let source = |version: &Version| version.sources.get(index).copied().unwrap_or(-1);
        arrays.push(int(versions, source));
    }
    let fields: Vec<_> = arrays
        .iter()
        .enumerate()
        .map(|(index, array)| Field::new(index.to_string(), array.data_type().clone(), true))
        .collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays);
    let batch = batch.map_err(|error| Error::DuckDb(error.to_string()))?;
    let mut appender = connection.appender("_versions")?;
    appender.append_record_batch(batch)?;
    appender.flush()?;
    let count = versions.len() as u64;
    versions.clear();
    Ok(count)
}

/// Puts the new versions in the place of the old ones.
fn replace(
    connection: &Connection,
    table: &Table,
    columns: &Columns<'_>,
    made: &Made,
) -> Result<(), Error> {
    let name = quote(&table.name);
    // Versions whose changes are forgotten stay as they are, and the others are numbered behind them.
    let frozen = quote(&table.frozen());
    let is_compacted = table.horizon_us.is_some();
    let not_frozen = if is_compacted {
        let same_key = same_key(table, "h", "z");
        format!("h._version > coalesce((select versions from {frozen} z where {same_key}), 0)")
    } else {
        "true".into()
    };
    match made.scope {
        Scope::All => {
            connection.execute(&format!("delete from {name} h where {not_frozen}"), [])?
        }
        Scope::Affected => {
            let same_key = same_key(table, "h", "a");
            let values =
                [("table", name.as_str()), ("same_key", &same_key), ("not_frozen", &not_frozen)];
            connection.execute(&render(include_str!("sql/delete_versions.sql"), &values), [])?
        }
    };
    let changes = quote(&table.changes());
    let mut joins = String::new();
    let with_rows = table.rules.deletes == Deletes::Row;
    if with_rows {
        joins += &format!("join {changes} e on e.rowid = v.event\n");
    }
    if is_compacted {
        joins += &format!("left join {frozen} z on {}\n", same_key(table, "z", "c"));
    }
    for index in 0..columns.toasted.len() {
        joins += &format!(
            "left join {changes} s{index} on s{index}.rowid = v.source{index} \
             and v.source{index} <> v.row_id\n"
        );
    }
    let value = |column: &Column| {
        let name = quote(&column.name);
        match columns.toast_index(column) {
            Some(index) => format!(
                "case when v.source{index} = v.row_id then c.{name} else s{index}.{name} end"
            ),
            None => format!("c.{name}"),
        }
    };
    let values: Vec<_> = table.columns.iter().map(value).collect();
    let order = format!("order by {}, v.number", list("c.", table.key_names()));
    let open_end = table.rules.open_end.as_ref();
    let statement = render(
        include_str!("sql/insert_versions.sql"),
        &[
            ("table", &name),
            ("columns", &list("", table.column_names())),
            ("values", &values.join(", ")),
            ("changes", &changes),
            ("event", if with_rows { "e" } else { "c" }),
            ("joins", &joins),
            (
                "open_end",
                &open_end.map_or("null".into(), |end| format!("timestamp {}", literal(end))),
            ),
            ("deleted_column", if with_rows { ", is_deleted" } else { "" }),
            ("deleted_value", if with_rows { ", v.deleted" } else { "" }),
            ("frozen", if is_compacted { " + coalesce(z.versions, 0)" } else { "" }),
            ("order", if made.versions <= ORDERED_VERSIONS_MAX { &order } else { "" }),
        ],
    );
    connection.execute(&statement, [])?;
    Ok(())
}

fn truncates(connection: &Connection, table: &Table) -> Result<Vec<Change>, Error> {
    let changes = quote(&table.changes());
    let values = [("changes", changes.as_str())];
    let mut statement = connection.prepare(&render(include_str!("sql/truncates.sql"), &values))?;
    let rows = statement.query_map([], |row| {
        Ok(Change {
            row: row.get(0)?,
            op: b't',
            time: micros(row, 1)?,
            lsn: (row.get(2)?, row.get(3)?),
            offset: (row.get(4)?, row.get(5)?, row.get(6)?),
            image: 0,
            new: false,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The complete snapshots, if they may end rows.
fn snapshots(connection: &Connection, table: &Table) -> Result<Vec<Snapshot>, Error> {
    if !table.rules.snapshot_closes_missing {
        return Ok(Vec::new());
    }
    let changes = quote(&table.changes());
    let values = [("changes", changes.as_str())];
    let statement = render(include_str!("sql/complete_snapshots.sql"), &values);
    let mut statement = connection.prepare(&statement)?;
    let rows = statement.query_map([], |row| {
        Ok(Snapshot { lsn: (row.get(0)?, row.get(1)?), time: micros(row, 2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn micros(row: &duckdb::Row<'_>, index: usize) -> duckdb::Result<i64> {
    match row.get_ref(index)? {
        duckdb::types::ValueRef::Timestamp(duckdb::types::TimeUnit::Microsecond, us) => Ok(us),
        _ => Ok(0),
    }
}

/// `a."id" = b."id" and …`
pub(crate) fn same_key(table: &Table, a: &str, b: &str) -> String {
    let equal = |key: &str| format!("{a}.{name} = {b}.{name}", name = quote(key));
    table.key_names().map(equal).collect::<Vec<_>>().join(" and ")
}

/// What stands in a column of this type for a value that the source did not repeat.
pub(crate) fn placeholder_of(type_name: &str, placeholder: &str) -> Option<String> {
    let text = literal(placeholder);
    match type_name {
        "VARCHAR" => Some(text),
        "BLOB" => Some(format!("encode({text})")),
        "VARCHAR[]" => Some(format!("[{text}]")),
        "JSON" => Some(format!("to_json({text})")),
        _ => None,
    }
}

/// Makes the views and macros of a table, or makes them anew after its columns have changed.
pub(crate) fn create_views(connection: &Connection, table: &Table) -> Result<(), Error> {
    let name = quote(&table.name);
    let with_rows = table.rules.deletes == Deletes::Row;
    let called = |suffix: &str| quote(&format!("{}_{suffix}", table.name));
    let make = |template: &str, values: &[(&str, &str)]| {
        connection.execute(&render(template, values), []).map_err(Error::from)
    };
    for (template, suffix) in [
        (include_str!("sql/view_current.sql"), "current"),
        (include_str!("sql/macro_as_of.sql"), "as_of"),
        (include_str!("sql/macro_between.sql"), "between"),
    ] {
        make(
            template,
            &[
                ("name", &called(suffix)),
                ("table", &name),
                ("deleted", if with_rows { ", is_deleted" } else { "" }),
                ("alive", if with_rows { " and not is_deleted" } else { "" }),
            ],
        )?;
    }
    let arguments: Vec<String> = match table.keys.len() {
        1 => vec!["k".into()],
        count => (1..=count).map(|index| format!("k{index}")).collect(),
    };
    let condition = table.key_names().zip(&arguments);
    let condition: Vec<_> =
        condition.map(|(key, argument)| format!("{name}.{} = {argument}", quote(key))).collect();
    make(
        include_str!("sql/macro_history.sql"),
        &[
            ("name", &called("history")),
            ("table", &name),
            ("arguments", &arguments.join(", ")),
            ("condition", &condition.join(" and ")),
        ],
    )?;
    let both = |key: &str| format!("coalesce(x.{name}, y.{name}) as {name}", name = quote(key));
    let keys: Vec<_> = table.key_names().map(both).collect();
    make(
        include_str!("sql/macro_diff.sql"),
        &[
            ("name", &called("diff")),
            ("as_of", &called("as_of")),
            ("keys", &keys.join(", ")),
            ("same_key", &same_key(table, "x", "y")),
        ],
    )?;
    Ok(())
}
