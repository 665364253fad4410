//! Whether the tables in a database are what they promise to be.

use duckdb::Connection;
use serde::Serialize;

use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::manifest::{self, Table};
use crate::scd2::{self, Scope};
use crate::sql::{list, quote, render};

/// A promise, and how many rows break it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    pub table: String,
    pub promise: String,
    pub broken_by: u64,
}

/// Each promise with the rows that break it.
const PROMISES: &[(&str, &str)] = &[
    ("no interval ends before it begins", include_str!("sql/verify_negative.sql")),
    ("intervals of a key do not overlap", include_str!("sql/verify_overlap.sql")),
    ("a key has at most one current row", include_str!("sql/verify_current.sql")),
    ("current is what has no end", include_str!("sql/verify_open.sql")),
    ("versions of a key are numbered without gaps", include_str!("sql/verify_numbers.sql")),
    (
        "every key of the log is in the history or was never there",
        include_str!("sql/verify_keys.sql"),
    ),
];

/// Checks every promise on the tables that are named, or on all, and that folding the change log anew gives
/// the same rows. Changes nothing.
///
/// # Errors
/// When there is no such database or table, or somebody has it open.
pub fn verify(config: &Config, tables: &[String]) -> Result<Vec<Check>, Error> {
    if !config.database.exists() {
        return Err(Error::NoDatabase(config.database.clone()));
    }
    let mut database = Database::open(config)?;
    let mut checks = Vec::new();
    for table in manifest::select(manifest::tables(&database.connection)?, tables)? {
        let (name, changes) = (quote(&table.name), quote(&table.changes()));
        let keys = list("", table.key_names());
        let open_end = table.rules.open_end.clone().unwrap_or_else(|| "infinity".into());
        let open_end = crate::sql::literal(&open_end);
        let values = [
            ("table", name.as_str()),
            ("changes", &changes),
            ("keys", &keys),
            ("open_end", &open_end),
        ];
        for (promise, statement) in PROMISES {
            let statement =
                format!("select count(*)::ubigint from ({})", render(statement, &values));
            let broken_by = database.connection.query_row(&statement, [], |row| row.get(0))?;
            checks.push(Check {
                table: table.name.clone(),
                promise: (*promise).to_owned(),
                broken_by,
            });
        }
        let transaction = database.connection.transaction()?;
        let broken_by = refold(&transaction, config, &table)?;
        transaction.rollback()?;
        checks.push(Check {
            table: table.name.clone(),
            promise: "folding the change log anew gives the same rows".into(),
            broken_by,
        });
    }
    Ok(checks)
}

/// How many rows differ after a rebuild; the caller takes it back.
fn refold(connection: &Connection, config: &Config, table: &Table) -> Result<u64, Error> {
    let name = quote(&table.name);
    connection
        .execute(&format!("create or replace temp table _before as select * from {name}"), [])?;
    scd2::merge(connection, table, &config.unavailable_value_placeholder, Scope::All, i64::MAX)?;
    let statement = format!(
        "select count(*)::ubigint from ((from _before except all from {name}) \
         union all (from {name} except all from _before))"
    );
    Ok(connection.query_row(&statement, [], |row| row.get(0))?)
}
