//! What state connectors and tasks are in, as their workers report it.

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::bounded::Bounded;
use super::{CONNECTOR_TASK, Lease, Store, StoreError};

/// The state of a connector or task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Paused,
    Stopped,
    Failed,
    Unassigned,
    Restarting,
}

impl State {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Unassigned => "UNASSIGNED",
            Self::Restarting => "RESTARTING",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "RUNNING" => Ok(Self::Running),
            "PAUSED" => Ok(Self::Paused),
            "STOPPED" => Ok(Self::Stopped),
            "FAILED" => Ok(Self::Failed),
            "UNASSIGNED" => Ok(Self::Unassigned),
            "RESTARTING" => Ok(Self::Restarting),
            other => Err(StoreError::Unreadable { what: format!("the state \"{other}\"") }),
        }
    }
}

/// A status as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredStatus {
    pub connector: String,
    /// [`CONNECTOR_TASK`] for the connector itself.
    pub task: i32,
    pub state: State,
    /// host:port of the worker.
    pub worker_id: String,
    /// Why it failed; while it runs, what keeps it from moving.
    pub trace: Option<String>,
    /// The plugin's version.
    pub version: Option<String>,
}

fn read(row: &PgRow) -> Result<StoredStatus, StoreError> {
    Ok(StoredStatus {
        connector: row.try_get("connector")?,
        task: row.try_get("task")?,
        state: State::parse(row.try_get("state")?)?,
        worker_id: row.try_get("worker_id")?,
        trace: row.try_get("trace")?,
        version: row.try_get("version")?,
    })
}

impl Store {
    /// The statuses of all connectors, or of one, and of their tasks: each connector before its
    /// tasks, tasks by number.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn statuses(&self, connector: Option<&str>) -> Result<Vec<StoredStatus>, StoreError> {
        let rows = sqlx::query(
            "select connector, -1 as task, state, worker_id, trace, version
             from ferroconnect.connector_status where $1 is null or connector = $1
             union all
             select connector, task, state, worker_id, trace, version
             from ferroconnect.task_status where $1 is null or connector = $1
             order by connector, task",
        )
        .bind(connector)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter().map(read).collect()
    }

    /// Stores the status of what `lease` is for, unless a later lease's stands there or the
    /// connector or task is gone.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn put_status(&self, lease: &Lease, status: &StoredStatus) -> Result<(), StoreError> {
        // PostgreSQL's text cannot hold U+0000.
        let trace = status.trace.as_ref().map(|trace| trace.replace('\0', "\u{fffd}"));
        let query = if lease.task == CONNECTOR_TASK {
            sqlx::query(
                "insert into ferroconnect.connector_status as old
                     (connector, state, worker_id, trace, version, epoch)
                 select name, $3, $4, $5, $6, $7 from ferroconnect.connector
                 where name = $1 and $2 = -1
                 on conflict (connector) do update
                     set state = excluded.state, worker_id = excluded.worker_id,
                         trace = excluded.trace, version = excluded.version,
                         epoch = excluded.epoch, updated_at = now()
                     where old.epoch <= excluded.epoch",
            )
        } else {
            sqlx::query(
                "insert into ferroconnect.task_status as old
                     (connector, task, state, worker_id, trace, version, epoch)
                 select connector, task, $3, $4, $5, $6, $7 from ferroconnect.task_config
                 where connector = $1 and task = $2
                 on conflict (connector, task) do update
                     set state = excluded.state, worker_id = excluded.worker_id,
                         trace = excluded.trace, version = excluded.version,
                         epoch = excluded.epoch, updated_at = now()
                     where old.epoch <= excluded.epoch",
            )
        };
        let put = query
            .bind(&lease.connector)
            .bind(lease.task)
            .bind(status.state.name())
            .bind(&status.worker_id)
            .bind(trace)
            .bind(&status.version)
            .bind(lease.epoch)
            .execute(&self.pool)
            .bounded()
            .await;
        match put {
            // The connector or task was removed while the statement ran.
            Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
