//! Which columns are the key of a table.

use duckdb::Connection;

use crate::columns::Column;
use crate::config::Config;
use crate::error::Error;
use crate::inspect::{Facts, Group};
use crate::load::Batch;
use crate::manifest::Table;
use crate::shape::Field;
use crate::source::Staged;
use crate::sql::render;

/// With fewer deletes than this, their images show nothing.
const DELETES_MIN: u64 = 20;

/// The key of a table.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) columns: Vec<String>,
    /// What a person should know of how it was found.
    pub(crate) notice: Option<String>,
}

/// Whether only the companions of the files, if there are any, can tell the key.
pub(crate) fn needs_companion(config: &Config, table: &Table, facts: &[Facts]) -> bool {
    let configured = config.tables.get(&table.topic).is_some_and(|of| !of.keys.is_empty());
    !table.exists && !configured && facts.iter().all(|facts| facts.key_fields.is_none())
}

/// The key columns: as before, as configured, as the files or their companions say, `id`, or a guess.
pub(crate) fn resolve(
    connection: &Connection,
    config: &Config,
    table: &Table,
    columns: &[Column],
    batch: &Batch<'_>,
) -> Result<Keys, Error> {
    let error = |reason: String| Error::Table { table: table.name.clone(), reason };
    let configured = config.tables.get(&table.topic).map(|of| of.keys.clone()).unwrap_or_default();
    let (mut keys, by) = if configured.is_empty() {
        of_files(batch.files, &batch.inspection.facts).map_err(error)?
    } else {
        (configured, "configuration".to_owned())
    };
    let mut notice = None;
    if table.exists && keys.is_empty() {
        return Ok(Keys { columns: table.keys.clone(), notice });
    }
    if keys.is_empty() {
        keys = batch.companion_keys.clone().unwrap_or_default();
    }
    if keys.is_empty() && columns.iter().any(|column| column.source == "id") {
        keys = vec!["id".into()];
    }
    if keys.is_empty() {
        keys = guess(connection, &batch.inspection.groups)?;
        if !keys.is_empty() && !batch.accept_guessed_keys {
            return Err(error(format!(
                "no key: the files name none and there is no column \"id\"; its deletes suggest \
                 {keys:?}: set its keys, or --accept-guessed-keys"
            )));
        }
        notice = Some(format!("keys: {keys:?}, guessed from the images of deletes"));
    }
    if keys.is_empty() {
        return Err(error(
            "no key: the files name none and there is no column \"id\"; set its keys".into(),
        ));
    }
    let keys = named(&table.name, &keys, &by, columns)?;
    if table.exists && keys != table.keys {
        let old = &table.keys;
        return Err(error(format!(
            "its key was {old:?} and is {keys:?} by {by}; `scd2 rebuild --key` makes it anew"
        )));
    }
    Ok(Keys { columns: keys, notice })
}

/// The names that these key columns have in the table.
pub(crate) fn named(
    table: &str,
    keys: &[String],
    by: &str,
    columns: &[Column],
) -> Result<Vec<String>, Error> {
    let named = |key: &String| {
        let column = columns.iter().find(|column| column.source.eq_ignore_ascii_case(key));
        column.map(|column| column.name.clone()).ok_or_else(|| Error::Table {
            table: table.to_owned(),
            reason: format!("key column \"{key}\", from {by}, is not among its columns"),
        })
    };
    keys.iter().map(named).collect()
}

/// What the footers say, in which all must agree, and the file that says it.
fn of_files(files: &[Staged], facts: &[Facts]) -> Result<(Vec<String>, String), String> {
    let (mut keys, mut by) = (Vec::new(), String::new());
    for (file, facts) in files.iter().zip(facts) {
        let Some(fields) = &facts.key_fields else { continue };
        if keys.is_empty() {
            (keys, by) = (fields.clone(), file.object.uri.clone());
        } else if keys != *fields {
            let uri = &file.object.uri;
            return Err(format!(
                "keys differ: {keys:?} in {by}, {fields:?} in {uri}; set its keys"
            ));
        }
    }
    Ok((keys, by))
}

/// Columns that every delete fills: under the default replica identity the others are null or the
/// default of their type. Nothing if there are too few deletes to tell.
fn guess(connection: &Connection, groups: &[Group]) -> Result<Vec<String>, Error> {
    let Some(group) = groups.iter().find(|group| !group.shape.payload.is_empty()) else {
        return Ok(Vec::new());
    };
    let filled = |field: &Field| {
        let expr = &field.expr;
        format!(
            "coalesce(bool_and({expr} is not null and cast({expr} as varchar) not in \
             ('', '0', '0.0', '0.00', 'false', '1970-01-01', '1970-01-01 00:00:00')), false)"
        )
    };
    let columns: Vec<_> = group.shape.payload.iter().map(filled).collect();
    let statement = render(
        include_str!("sql/guess_keys.sql"),
        &[("columns", &columns.join(", ")), ("relation", &group.relation), ("op", &group.shape.op)],
    );
    let fields = &group.shape.payload;
    let found = connection.query_row(&statement, [], |row| {
        let deletes: u64 = row.get(0)?;
        let mut keys = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            if DELETES_MIN <= deletes && row.get(index + 1)? {
                keys.push(field.name.clone());
            }
        }
        Ok(keys)
    })?;
    // Full images fill everything: that shows nothing.
    Ok(if found.len() == fields.len() { Vec::new() } else { found })
}
