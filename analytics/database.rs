//! The DuckDB file: who may open it, the tables of our own in it, and reading it.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use duckdb::{AccessMode, Connection};

use crate::config::Config;
use crate::error::Error;
use crate::report::{QueryResult, Status, TableStatus};
use crate::sql::{literal, quote, render};

/// A database that this process alone writes.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) connection: Connection,
    /// Downloads live here; emptied at every start, so that a killed run leaves nothing for good.
    pub(crate) staging: PathBuf,
    // Held until the database is closed. DuckDB's own lock does not tell two threads of one process
    // apart.
    _lock: File,
}

impl Database {
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        if let Some(directory) =
            config.database.parent().filter(|path| !path.as_os_str().is_empty())
        {
            std::fs::create_dir_all(directory).map_err(io("cannot make", directory))?;
        }
        let lock = lock(&config.database)?;
        let connection = connect(&config.database, AccessMode::ReadWrite, Some(config))?;
        for statement in [
            "create sequence if not exists cdc_obj_seq",
            "create sequence if not exists cdc_run_seq",
            include_str!("sql/cdc_objects.sql"),
            // Manifests of before there was this column.
            "alter table cdc_objects add column if not exists columns varchar",
            include_str!("sql/cdc_runs.sql"),
            include_str!("sql/cdc_tables.sql"),
            include_str!("sql/cdc_rejects.sql"),
            include_str!("sql/cdc_schema.sql"),
            include_str!("sql/macro_unscaled.sql"),
            include_str!("sql/macro_decimal_text.sql"),
        ] {
            connection.execute(statement, [])?;
        }
        let staging = staging(config);
        if staging.exists() {
            std::fs::remove_dir_all(&staging).map_err(io("cannot empty", &staging))?;
        }
        Ok(Database { connection, staging, _lock: lock })
    }

    /// An empty directory for the files of one batch.
    pub(crate) fn empty_staging(&self) -> Result<&Path, Error> {
        self.clear_staging()?;
        std::fs::create_dir_all(&self.staging).map_err(io("cannot make", &self.staging))?;
        Ok(&self.staging)
    }

    pub(crate) fn clear_staging(&self) -> Result<(), Error> {
        match std::fs::remove_dir_all(&self.staging) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("cannot empty", &self.staging)(error))
            }
            _ => Ok(()),
        }
    }

    /// A number that no other run or object ever had, even if this transaction is rolled back.
    pub(crate) fn next(connection: &Connection, sequence: &str) -> Result<i64, Error> {
        let statement = format!("select nextval({})", literal(sequence));
        Ok(connection.query_row(&statement, [], |row| row.get(0))?)
    }
}

fn io(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let what = format!("{what} {}", path.display());
    move |source| Error::Io { what: what.clone(), source }
}

/// Where downloads of this database live.
pub(crate) fn staging(config: &Config) -> PathBuf {
    beside(&config.database, ".staging")
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Takes the advisory lock and leaves our process id in it for whoever finds it taken.
fn lock(database: &Path) -> Result<File, Error> {
    let path = beside(database, ".lock");
    let failed = io("cannot lock", &path);
    let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = options.map_err(&failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Best effort: the text only helps a person to find the other run.
            let _ = file.read_to_string(&mut holder);
            let holder = if holder.is_empty() { "another run".into() } else { holder };
            return Err(Error::Locked { database: database.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(&failed)?;
    write!(file, "process {}", std::process::id()).map_err(&failed)?;
    Ok(file)
}

fn connect(path: &Path, mode: AccessMode, limits: Option<&Config>) -> Result<Connection, Error> {
    // Without these two, a missing extension is an attempt to download it.
    let mut settings = duckdb::Config::default()
        .access_mode(mode)?
        .enable_autoload_extension(false)?
        .with("autoinstall_known_extensions", "false")?;
    if let Some(config) = limits {
        settings = settings
            .max_memory(&config.memory_limit)?
            .with("temp_directory", beside(path, ".tmp").to_string_lossy())?
            .with("preserve_insertion_order", "true")?;
        if let Some(threads) = config.threads {
            settings = settings.threads(threads.max(1).into())?;
        }
    }
    Connection::open_with_flags(path, settings).map_err(|error| {
        let text = error.to_string();
        if text.contains("lock on file") {
            return Error::Locked { database: path.to_owned(), holder: holder(&text) };
        }
        Error::from(error)
    })
}

/// DuckDB says `Conflicting lock is held in PROGRAM (PID 42)`.
fn holder(text: &str) -> String {
    let named = text.split_once("held in ").and_then(|(_, rest)| rest.split_once(')'));
    named.map_or("another process".into(), |(name, _)| format!("{name})"))
}

pub(crate) fn open_read_only(path: &Path) -> Result<Connection, Error> {
    if !path.exists() {
        return Err(Error::NoDatabase(path.to_owned()));
    }
    connect(path, AccessMode::ReadOnly, None)
}

/// The manifest for a plan: empty if there is no database yet.
pub(crate) fn open_for_plan(path: &Path) -> Result<Option<Connection>, Error> {
    match open_read_only(path) {
        Ok(connection) => Ok(Some(connection)),
        Err(Error::NoDatabase(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn status(path: &Path) -> Result<Status, Error> {
    let connection = open_read_only(path)?;
    let mut statement = connection.prepare(
        "select tbl, topic, keys, order_source, time_source, cast(last_run as varchar) \
         from cdc_tables order by tbl",
    )?;
    let tables = statement.query_map([], |row| {
        Ok(TableStatus {
            table: row.get(0)?,
            topic: row.get(1)?,
            keys: serde_json::from_str(&row.get::<_, String>(2)?).unwrap_or_default(),
            order: row.get(3)?,
            time: row.get(4)?,
            last_run: row.get(5)?,
            ..TableStatus::default()
        })
    })?;
    let mut tables = tables.collect::<Result<Vec<_>, _>>()?;
    for table in &mut tables {
        count(&connection, table)?;
    }
    Ok(Status { tables })
}

fn count(connection: &Connection, table: &mut TableStatus) -> Result<(), Error> {
    let changes = quote(&format!("{}__changes", table.table));
    let values =
        [("tbl", literal(&table.table)), ("table", quote(&table.table)), ("changes", changes)];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let statement = render(include_str!("sql/table_status.sql"), &values);
    connection.query_row(&statement, [], |row| {
        table.objects = row.get(0)?;
        table.changes = row.get(1)?;
        table.versions = row.get(2)?;
        table.current = row.get(3)?;
        table.rejects = row.get(4)?;
        table.newest_change = row.get(5)?;
        Ok(())
    })?;
    let mut statement =
        connection.prepare(&render(include_str!("sql/table_offsets.sql"), &values))?;
    let offsets = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    table.offsets = offsets.collect::<Result<_, _>>()?;
    Ok(())
}

pub(crate) fn query(path: &Path, sql: &str) -> Result<QueryResult, Error> {
    let connection = open_read_only(path)?;
    let sql = sql.trim().trim_end_matches(';');
    let columns = {
        let mut statement = connection.prepare(&format!("describe {sql}"))?;
        let names = statement.query_map([], |row| row.get(0))?;
        names.collect::<Result<Vec<String>, _>>()?
    };
    let mut statement =
        connection.prepare(&format!("select cast(columns(*) as varchar) from (\n{sql}\n)"))?;
    let mut found = statement.query([])?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let values = (0..columns.len()).map(|index| row.get(index));
        rows.push(values.collect::<Result<Vec<Option<String>>, _>>()?);
    }
    Ok(QueryResult { columns, rows })
}
