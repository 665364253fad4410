//! The history of one key: its versions, with the columns that each has changed.

use std::path::Path;

use duckdb::params_from_iter;
use serde::Serialize;

use crate::database;
use crate::error::Error;
use crate::manifest::{self, Table};
use crate::rules::Deletes;
use crate::sql::quote;

/// The versions of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyHistory {
    pub table: String,
    /// The columns whose values the versions have, in order; key columns first.
    pub columns: Vec<String>,
    pub versions: Vec<KeyVersion>,
}

/// A version of a key. Values are DuckDB's text for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KeyVersion {
    pub version: i64,
    pub effective_from: String,
    pub effective_to: Option<String>,
    pub is_current: bool,
    pub op: String,
    pub end_op: Option<String>,
    /// The object that brought it; `None` if it is no longer in the manifest.
    pub object: Option<String>,
    pub values: Vec<Option<String>>,
    /// Which values differ from those of the version before it.
    pub changed: Vec<bool>,
}

/// The history of the row of `table` whose key columns have the values `key`.
///
/// # Errors
/// When there is no such database or table, or a value is no key of it.
pub fn key_history(path: &Path, table: &str, key: &[String]) -> Result<KeyHistory, Error> {
    let connection = database::open_read_only(path)?;
    let tables = manifest::select(manifest::tables(&connection)?, &[table.to_owned()])?;
    let Some(table) = tables.first() else { return Err(Error::UnknownTable(table.to_owned())) };
    if key.len() != table.keys.len() {
        let reason = format!("its key is {:?}: give a value for each", table.keys);
        return Err(Error::Table { table: table.name.clone(), reason });
    }
    let columns = columns(table);
    let mut statement = connection.prepare(&statement(table, &columns))?;
    let mut rows = statement.query(params_from_iter(key))?;
    let mut versions: Vec<KeyVersion> = Vec::new();
    while let Some(row) = rows.next()? {
        let values = (0..columns.len()).map(|index| row.get(7 + index));
        let values = values.collect::<Result<Vec<Option<String>>, _>>()?;
        let changed = match versions.last() {
            Some(before) => {
                values.iter().zip(&before.values).map(|(new, old)| new != old).collect()
            }
            None => vec![false; values.len()],
        };
        versions.push(KeyVersion {
            version: row.get(0)?,
            effective_from: row.get(1)?,
            effective_to: row.get(2)?,
            is_current: row.get(3)?,
            op: row.get(4)?,
            end_op: row.get(5)?,
            object: row.get(6)?,
            values,
            changed,
        });
    }
    Ok(KeyHistory { table: table.name.clone(), columns, versions })
}

fn columns(table: &Table) -> Vec<String> {
    let is_key = |name: &&str| table.keys.iter().any(|key| key == name);
    let mut columns: Vec<String> = table.keys.clone();
    columns.extend(table.column_names().filter(|name| !is_key(name)).map(str::to_owned));
    if table.rules.deletes == Deletes::Row {
        columns.push("is_deleted".into());
    }
    columns
}

fn statement(table: &Table, columns: &[String]) -> String {
    let name = quote(&table.name);
    let values: Vec<_> =
        columns.iter().map(|column| format!("cast(h.{} as varchar)", quote(column))).collect();
    // The value comes as text; it is compared as what the column is.
    let is_key = |key: &str| {
        let key = quote(key);
        format!("h.{key} = cast(? as {})", type_of(table, &key))
    };
    let condition: Vec<_> = table.key_names().map(is_key).collect();
    format!(
        "select h._version, cast(h.effective_from as varchar), cast(h.effective_to as varchar), \
         h.is_current, h._op, h._end_op, o.uri, {} from {name} h \
         left join cdc_objects o on o.tbl = {} and o.obj = h._obj where {} order by h._version",
        values.join(", "),
        crate::sql::literal(&table.name),
        condition.join(" and ")
    )
}

fn type_of(table: &Table, quoted: &str) -> String {
    let column = table.columns.iter().find(|column| quote(&column.name) == quoted);
    column.map_or("varchar".into(), |column| column.type_name.clone())
}
