//! Tables as files for other tools.

use std::path::{Path, PathBuf};

use crate::database;
use crate::error::Error;
use crate::manifest;
use crate::sql::{literal, quote};

/// What of a table is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ExportOf {
    /// All versions.
    #[default]
    History,
    /// The rows as they are now.
    Current,
    /// The rows as they were at this time, in UTC.
    AsOf(String),
}

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    Csv,
    Parquet,
}

/// Writes tables (all if `tables` is empty) to `<directory>/<table>.csv` or `.parquet`; returns the files
/// and their rows.
///
/// # Errors
/// When there is no such table, or the directory cannot be written.
pub fn export(
    path: &Path,
    tables: &[String],
    of: &ExportOf,
    format: ExportFormat,
    directory: &Path,
) -> Result<Vec<(PathBuf, u64)>, Error> {
    let connection = database::open_read_only(path)?;
    std::fs::create_dir_all(directory).map_err(|source| Error::Io {
        what: format!("cannot make {}", directory.display()),
        source,
    })?;
    let (extension, options) = match format {
        ExportFormat::Csv => ("csv", "format csv, header"),
        ExportFormat::Parquet => ("parquet", "format parquet, compression zstd"),
    };
    let mut written = Vec::new();
    for table in manifest::select(manifest::tables(&connection)?, tables)? {
        let called = |suffix: &str| quote(&format!("{}_{suffix}", table.name));
        let rows = match of {
            ExportOf::History => quote(&table.name),
            ExportOf::Current => called("current"),
            ExportOf::AsOf(time) => format!("{}({})", called("as_of"), literal(time)),
        };
        let file = directory.join(format!("{}.{extension}", table.name.replace('/', "_")));
        // Readers see the whole file or none.
        let unfinished =
            directory.join(format!(".{}.{extension}.part", table.name.replace('/', "_")));
        let target = literal(&unfinished.to_string_lossy());
        let statement = format!("copy (select * from {rows}) to {target} ({options})");
        let count = connection.execute(&statement, [])?;
        std::fs::rename(&unfinished, &file).map_err(|source| Error::Io {
            what: format!("cannot write {}", file.display()),
            source,
        })?;
        written.push((file, count as u64));
    }
    Ok(written)
}

/// Makes a copy of a closed database that readers can keep open while runs go on; replaces the one before.
pub(crate) fn publish(database: &Path, copy: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io { what: format!("cannot publish {}", copy.display()), source };
    let mut unfinished = copy.as_os_str().to_owned();
    unfinished.push(".part");
    let unfinished = PathBuf::from(unfinished);
    std::fs::copy(database, &unfinished).map_err(failed)?;
    std::fs::rename(&unfinished, copy).map_err(failed)
}
