//! How a table's relations begin and grow: the columns that files bring, and the memory of which did.

use duckdb::{Connection, params};

use crate::columns::Column;
use crate::error::Error;
use crate::load::Batch;
use crate::manifest::Table;
use crate::rules::Deletes;
use crate::sql::{quote, render};

/// What can have happened to a row. `m` (a logical message) is read, but never kept; `s` only ends
/// versions. A name of four bytes would be read, compared and compressed as text, row by row.
pub(crate) const OPERATION: &str = "enum('c', 'r', 'u', 'd', 't', 's', 'm')";

/// A file without a key column has rows of something else.
pub(crate) fn check_keys(
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
pub(crate) fn grow(
    connection: &Connection,
    table: &mut Table,
    columns: Vec<Column>,
    keys: Vec<String>,
) -> Result<bool, Error> {
    let declared = |column: &Column| format!("{} {}", quote(&column.name), column.type_name);
    let relations = [quote(&table.name), quote(&table.changes())];
    let changed = !table.exists || table.columns != columns;
    if table.exists {
        // Logs of before there was this column.
        let changes = quote(&table.changes());
        let statement = format!("alter table {changes} add column if not exists _before uhugeint");
        connection.execute(&statement, [])?;
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
        let values =
            [("changes", changes.as_str()), ("columns", &columns), ("operation", OPERATION)];
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
    let values = [
        ("table", name.as_str()),
        ("columns", &columns),
        ("deleted", deleted),
        ("operation", OPERATION),
    ];
    connection.execute(&render(include_str!("sql/create_history.sql"), &values), [])?;
    Ok(())
}

/// An empty history table in the place of the present one: its rules may want other columns.
pub(crate) fn create_history_anew(connection: &Connection, table: &Table) -> Result<(), Error> {
    connection.execute(&format!("drop table {}", quote(&table.name)), [])?;
    create_history(connection, table)
}

/// Remembers which object brought or retyped which column.
pub(crate) fn timeline(
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
