//! Epochs: log positions begin anew when another server stands behind the same topic (restored from a
//! dump, failed over to another timeline). Without epochs everything it sends would count as older.

use duckdb::Connection;

use crate::error::Error;
use crate::manifest::Table;
use crate::sql::{quote, render};

/// A step back that no reordering explains: more than a server keeps in flight.
const STEP_BACK_MIN: u64 = 1 << 30;

/// Marks the new rows with their epochs, and old ones if an epoch begins before them. True if so. A server
/// that is new to a topic begins with the reads of a snapshot.
pub(crate) fn mark(
    connection: &Connection,
    table: &mut Table,
    first_obj: i64,
    have_reads: bool,
    notices: &mut Vec<String>,
) -> Result<bool, Error> {
    let changes = quote(&table.changes());
    let (first, step) = (first_obj.to_string(), STEP_BACK_MIN.to_string());
    let values = [("changes", changes.as_str()), ("first_obj", &first), ("step", &step)];
    let fell = render(include_str!("sql/lsn_fell.sql"), &values);
    let suspicious = have_reads && connection.query_row(&fell, [], |row| row.get(0))?;
    let mut began = false;
    if suspicious {
        let mut statement =
            connection.prepare(&render(include_str!("sql/lsn_restarts.sql"), &values))?;
        let restarts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for restart in restarts.collect::<Result<Vec<(i32, u64)>, _>>()? {
            if !table.epochs.contains(&restart) {
                let (part, offset) = restart;
                notices.push(format!(
                    "log positions begin anew at partition {part}, offset {offset}: another server"
                ));
                table.epochs.push(restart);
                began = true;
            }
        }
        table.epochs.sort_unstable();
    }
    assign(connection, table, if began { None } else { Some(first_obj) })?;
    Ok(began)
}

/// Takes epochs that were set by hand. True if there are new ones.
pub(crate) fn set(
    connection: &Connection,
    table: &mut Table,
    by_hand: &[(i32, u64)],
) -> Result<bool, Error> {
    let before = table.epochs.len();
    for epoch in by_hand {
        if !table.epochs.contains(epoch) {
            table.epochs.push(*epoch);
        }
    }
    table.epochs.sort_unstable();
    let changed = before != table.epochs.len();
    if changed && table.exists {
        assign(connection, table, None)?;
    }
    Ok(changed)
}

/// Gives rows (those from `first_obj` on, or all) the number of epochs that began before them.
fn assign(connection: &Connection, table: &Table, first_obj: Option<i64>) -> Result<(), Error> {
    if table.epochs.is_empty() {
        return Ok(());
    }
    let begun: Vec<_> = table
        .epochs
        .iter()
        .map(|(part, offset)| format!("(_part = {part} and {offset} <= _lo)::smallint"))
        .collect();
    let scope = first_obj.map_or("true".into(), |first| format!("_obj >= {first}"));
    let changes = quote(&table.changes());
    let begun = begun.join(" + ");
    connection
        .execute(&format!("update {changes} set _epoch = ({begun})::smallint where {scope}"), [])?;
    Ok(())
}
