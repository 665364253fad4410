//! The history tables on the real binary.

mod connector;
mod oracle;
mod verbs;

use std::path::{Path, PathBuf};

use ferroconnect_analytics::query;

use crate::support::unique;

/// A folder for change files and a database.
pub(super) fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join(unique("scd2"));
    std::fs::create_dir_all(folder.join("lake")).unwrap();
    folder
}

/// Rows of a query as text, columns separated by a bar; an error while a run has the database open.
pub(super) fn rows(database: &Path, sql: &str) -> Result<Vec<String>, String> {
    let result = query(database, sql).map_err(|error| error.to_string())?;
    let text = |row: Vec<Option<String>>| {
        row.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("|")
    };
    Ok(result.rows.into_iter().map(text).collect())
}
