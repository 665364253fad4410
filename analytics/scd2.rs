//! The merge: folds the change log of some keys into versions of the history table.
//!
//! There is one way for every batch: the versions of the touched keys are made anew from all
//! their changes. So a change that arrives late, twice or in another cut needs no case of its own, and
//! a rebuild is the same without a scope. DuckDB sorts narrow rows ([`sorted`](crate::sorted)),
//! [`fold`](crate::fold) decides, and the wide columns are fetched by row number at the end.

use duckdb::Connection;
use duckdb::arrow::array::RecordBatch;

use crate::columns::Column;
use crate::error::Error;
use crate::fold::{Change, Fold, Outcomes, Snapshot, Toast, Version};
use crate::grow::OPERATION;
use crate::manifest::Table;
use crate::report::Counts;
use crate::rules::Deletes;
use crate::sorted::{Log, Sorted};
use crate::sql::{list, literal, quote, render};
use crate::versions::{LogRange, Versions};

/// So many versions are put into the table in order of their keys; more would cost a sort of wide rows.
const ORDERED_VERSIONS_MAX: u64 = 500_000;

/// Which keys are made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Those in the temporary table `_affected`.
    Affected,
    All,
}

impl Scope {
    /// The join that leaves only changes `c` of keys in scope. DuckDB skips by it what a join by row number
    /// would read.
    pub(crate) fn among(self, table: &Table) -> String {
        match self {
            Scope::All => String::new(),
            Scope::Affected => {
                format!("\n  semi join _affected a on {}", same_key(table, "a", "c"))
            }
        }
    }
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
    versions: Versions,
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
    let log = Log::of(connection, table, scope, first_obj)?;
    let truncates = truncates(connection, table)?;
    let snapshots = snapshots(connection, table)?;
    let toasted = columns.toasted.len();
    let mut fold = Fold::new(table.rules.fold(), &truncates, &snapshots, toasted);
    let tracked: Vec<bool> = columns.toasted.iter().map(|(.., tracked)| *tracked).collect();
    let with_deleted = table.rules.deletes == Deletes::Row;
    // What is joined beside the changes would be sought in all of the log for each range.
    let joins_changes_only = !with_deleted && toasted == 0 && table.horizon_us.is_none();
    let ranges = if ORDERED_VERSIONS_MAX < log.rows && joins_changes_only {
        LogRange::all(connection, &quote(&table.changes()))?
    } else {
        Vec::new()
    };
    let mut made = Versions::create(connection, with_deleted, toasted, ranges)?;
    for statement in log.statements(table, columns) {
        fold_part(connection, &statement, &mut fold, &tracked, &mut made)?;
        made.flush(connection)?;
    }
    Ok(Made { scope: log.scope, versions: made, outcomes: fold.outcomes })
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
pub(crate) struct Columns<'a> {
    /// Whose hash is the image: tracked, and never with the placeholder.
    pub(crate) image: Vec<&'a Column>,
    /// With what stands for an unchanged value, and whether they are tracked.
    pub(crate) toasted: Vec<(&'a Column, String, bool)>,
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

/// Folds the rows of a statement into `versions`. They come while DuckDB still merges what it has sorted, so
/// nothing else is asked of the connection until they have all come.
fn fold_part(
    connection: &Connection,
    statement: &str,
    fold: &mut Fold<'_>,
    tracked: &[bool],
    versions: &mut Versions,
) -> Result<(), Error> {
    let mut statement = connection.prepare(statement)?;
    let mut of_key: Vec<Version> = Vec::new();
    let mut toast: Vec<Toast> = Vec::with_capacity(tracked.len());
    // Its iterator would panic where a step returns an error, as when the run is stopped.
    drop(statement.stream_arrow([])?);
    while let Some(batch) = statement.step()? {
        let batch = RecordBatch::from(&batch);
        let rows = Sorted::of(&batch, tracked.len());
        for index in 0..batch.num_rows() {
            if rows.is_fresh(index) {
                fold.finish(&mut of_key);
                of_key.drain(..).for_each(|version| versions.push(&version));
            }
            rows.toast(index, tracked, &mut toast);
            fold.push(&rows.change(index), &toast);
        }
    }
    fold.finish(&mut of_key);
    of_key.drain(..).for_each(|version| versions.push(&version));
    Ok(())
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
    insert_versions(connection, table, columns, made)
}

fn insert_versions(
    connection: &Connection,
    table: &Table,
    columns: &Columns<'_>,
    made: &Made,
) -> Result<(), Error> {
    let versions = &made.versions;
    let (name, changes) = (quote(&table.name), quote(&table.changes()));
    let with_rows = table.rules.deletes == Deletes::Row;
    let is_compacted = table.horizon_us.is_some();
    let value = |column: &Column| {
        let name = quote(&column.name);
        match columns.toast_index(column) {
            Some(index) => format!(
                "case when v.source{index} = v.row_id then c.{name} else s{index}.{name} end"
            ),
            None => format!("c.{name}"),
        }
    };
    let row = table.columns.iter().map(value).collect::<Vec<_>>().join(", ");
    let among = made.scope.among(table);
    let (names, joins) = (list("", table.column_names()), joins(table, columns));
    let order = format!("order by {}, v.number", list("c.", table.key_names()));
    let open_end = table.rules.open_end.as_ref();
    let open_end = open_end.map_or("null".into(), |end| format!("timestamp {}", literal(end)));
    let mut conditions: Vec<_> = versions.ranges.iter().map(LogRange::condition).collect();
    if versions.count <= ORDERED_VERSIONS_MAX || conditions.is_empty() {
        conditions = vec!["true".to_owned()];
    }
    let mut values = vec![
        ("table", name.as_str()),
        ("columns", &names),
        ("values", &row),
        ("changes", &changes),
        ("event", if with_rows { "e" } else { "c" }),
        ("among", &among),
        ("joins", &joins),
        ("open_end", &open_end),
        ("deleted_column", if with_rows { ", is_deleted" } else { "" }),
        ("deleted_value", if with_rows { ", v.deleted" } else { "" }),
        ("incomplete", if columns.toasted.is_empty() { "false" } else { "v.incomplete" }),
        ("operation", OPERATION),
        ("frozen", if is_compacted { " + coalesce(z.versions, 0)" } else { "" }),
        ("order", if versions.count <= ORDERED_VERSIONS_MAX { &order } else { "" }),
    ];
    for condition in &conditions {
        values.push(("range", condition.as_str()));
        connection.execute(&render(include_str!("sql/insert_versions.sql"), &values), [])?;
        values.pop();
    }
    Ok(())
}

/// What is joined beside the changes that have the images.
fn joins(table: &Table, columns: &Columns<'_>) -> String {
    let changes = quote(&table.changes());
    let mut joins = String::new();
    if table.rules.deletes == Deletes::Row {
        joins += &format!("join {changes} e on e.rowid = v.event\n");
    }
    if table.horizon_us.is_some() {
        let frozen = quote(&table.frozen());
        joins += &format!("left join {frozen} z on {}\n", same_key(table, "z", "c"));
    }
    for index in 0..columns.toasted.len() {
        joins += &format!(
            "left join {changes} s{index} on s{index}.rowid = v.source{index} \
             and v.source{index} <> v.row_id\n"
        );
    }
    joins
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
