//! State in PostgreSQL: connectors, statuses, offsets, leases, the sink's file ledger.
//!
//! The only user of sqlx. SQL is constant text beside the type it loads, bound at run time: a build
//! needs no database. Constraints decide uniqueness, lease epochs decide who may still write.

mod audit;
mod bounded;
mod connectors;
mod error;
mod lease;
mod loggers;
mod offsets;
mod sink_file;
mod status;
mod task_configs;
mod topics;

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, SqlSafeStr};

pub use audit::{AuditEntry, AuditOutcome, AuditRow};
pub use connectors::{ListedConnector, StoredConnector, TargetState};
pub use error::StoreError;
pub use lease::{CONNECTOR_TASK, Heartbeat, Lease, WorkerRow};
pub use loggers::LoggerChange;
pub use offsets::Truth;
pub use sink_file::{SinkFileRow, SinkRecovery, SinkUpload};
pub use status::{State, StoredStatus};
pub use task_configs::StoredTask;

use bounded::Bounded;

use crate::config::Secret;
use crate::error::ConnectError;

/// How long a statement waits for a free connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The state database. A handle: clones share one pool.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Connects with at most `max_connections`, and brings the schema up to date under an advisory
    /// lock, so that workers that start together do not migrate twice.
    ///
    /// # Errors
    /// A configuration error when `url` cannot be read or the database is of a newer version;
    /// retriable when it cannot be reached.
    pub async fn connect(url: &Secret, max_connections: u32) -> Result<Self, ConnectError> {
        let options = PgConnectOptions::from_str(url.expose()).map_err(|_| {
            // The parser's own text can show parts of the URL, hence the password.
            ConnectError::config(
                "state.database.url cannot be read; write postgres://USER:PASSWORD@HOST:PORT/DATABASE",
            )
        })?;
        // The migrator asks for what exists already, and a notice says so each time.
        let options =
            options.application_name("ferroconnect").options([("client_min_messages", "warning")]);
        migrate(&options).await?;
        let pool = PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self { pool })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`StoreError::Away`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).bounded().await?;
        Ok(())
    }

    /// How many connections are in use, and how many idle.
    pub fn connections(&self) -> (u64, u64) {
        let idle = self.pool.num_idle() as u64;
        (u64::from(self.pool.size()).saturating_sub(idle), idle)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Number, name and text of each migration. Named here one by one, because a build does not notice a
/// new file in a folder.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "state", include_str!("../../migrations/0001_state.sql")),
    (
        2,
        "task status follows task",
        include_str!("../../migrations/0002_task_status_follows_task.sql"),
    ),
    (10, "logger change", include_str!("../../migrations/0010_logger_change.sql")),
    (11, "audit", include_str!("../../migrations/0011_audit.sql")),
    (40, "sink file records", include_str!("../../migrations/0040_sink_file_records.sql")),
    (
        41,
        "source offset mirrored",
        include_str!("../../migrations/0041_source_offset_mirrored.sql"),
    ),
];

fn migrations() -> Vec<Migration> {
    let simple = MigrationType::Simple;
    MIGRATIONS
        .iter()
        .map(|(number, name, text)| {
            Migration::new(*number, (*name).into(), simple, text.into_sql_str(), false)
        })
        .collect()
}

fn migration_failure(place: &str, error: MigrateError) -> ConnectError {
    let what = format!("the state database at {place} cannot be brought to this version's schema");
    let remedied = match &error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _)
            if cause.as_database_error().is_none() =>
        {
            ConnectError::retriable(what)
        }
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            ConnectError::config(format!("{what}: a newer worker was there; use its version"))
        }
        _ => ConnectError::config(format!(
            "{what}: its role must be allowed to create the schema \"ferroconnect\""
        )),
    };
    remedied.because(error)
}

/// Runs the migrations on a connection of its own: the advisory lock ends with it in any case.
async fn migrate(options: &PgConnectOptions) -> Result<(), ConnectError> {
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let mut connection = PgConnection::connect_with(options).await.map_err(|error| {
        ConnectError::retriable(format!(
            "the state database at {place} cannot be reached; check state.database.url"
        ))
        .because(error)
    })?;
    let mut migrator = Migrator::with_migrations(migrations());
    migrator.create_schema("ferroconnect");
    migrator.dangerous_set_table_name("ferroconnect.migration");
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|error| migration_failure(&place, error))?;
    // The migrations are in; a connection that does not close cleanly changes nothing.
    let _ = connection.close().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_file_is_listed() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> = MIGRATIONS
            .iter()
            .map(|(number, name, _)| format!("{number:04}_{}.sql", name.replace(' ', "_")))
            .collect();
        assert_eq!(files, listed);
    }
}
