//! Leases: who may run a connector or a task, and who may still write its progress.

use std::time::Duration;

use sqlx::Row;

use super::{Store, StoreError};

/// The task number that stands for the connector itself.
pub const CONNECTOR_TASK: i32 = -1;

/// The right to run a task, until its worker's heartbeat ends or another worker takes it over.
///
/// Every acquisition gives a higher epoch than all before; writes carry it and are refused once it
/// is no longer the current one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub connector: String,
    pub task: i32,
    pub epoch: i64,
    /// The worker process that holds it.
    pub worker_id: String,
}

/// A worker process as it registers itself.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Unique to the process.
    pub worker_id: String,
    /// host:port
    pub address: String,
    pub version: String,
    /// How long the worker counts as alive after each beat.
    pub time_to_live: Duration,
}

impl Store {
    /// Registers the worker, or says that it is still alive, and returns the leases it holds.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn beat(&self, beat: &Heartbeat) -> Result<Vec<Lease>, StoreError> {
        sqlx::query(
            "insert into ferroconnect.worker (id, address, version, expires_at)
             values ($1, $2, $3, now() + make_interval(secs => $4))
             on conflict (id) do update set expires_at = excluded.expires_at",
        )
        .bind(&beat.worker_id)
        .bind(&beat.address)
        .bind(&beat.version)
        .bind(beat.time_to_live.as_secs_f64())
        .execute(&self.pool)
        .await?;
        let rows =
            sqlx::query("select connector, task, epoch from ferroconnect.lease where worker = $1")
                .bind(&beat.worker_id)
                .fetch_all(&self.pool)
                .await?;
        rows.iter()
            .map(|row| {
                Ok(Lease {
                    connector: row.try_get("connector")?,
                    task: row.try_get("task")?,
                    epoch: row.try_get("epoch")?,
                    worker_id: beat.worker_id.clone(),
                })
            })
            .collect()
    }

    /// Takes the lease of `task` for `worker_id` under a new epoch, unless another worker that is
    /// alive holds it. A worker with the same address is this one's predecessor and counts as gone.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn acquire(
        &self,
        connector: &str,
        task: i32,
        beat: &Heartbeat,
    ) -> Result<Option<Lease>, StoreError> {
        let epoch: Option<i64> = sqlx::query_scalar(
            "insert into ferroconnect.lease as held (connector, task, epoch, worker)
             values ($1, $2, nextval('ferroconnect.lease_epoch'), $3)
             on conflict (connector, task) do update
                 set epoch = excluded.epoch, worker = excluded.worker
                 where not exists (
                     select from ferroconnect.worker
                     where id = held.worker and id <> $3 and address <> $4 and expires_at > now())
             returning epoch",
        )
        .bind(connector)
        .bind(task)
        .bind(&beat.worker_id)
        .bind(&beat.address)
        .fetch_optional(&self.pool)
        .await?;
        Ok(epoch.map(|epoch| Lease {
            connector: connector.to_owned(),
            task,
            epoch,
            worker_id: beat.worker_id.clone(),
        }))
    }

    /// Gives a lease back; one that was taken over meanwhile is left alone.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        sqlx::query(
            "delete from ferroconnect.lease where connector = $1 and task = $2 and epoch = $3",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whether `lease` is still the current one.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it is not.
    pub async fn check(&self, lease: &Lease) -> Result<(), StoreError> {
        let held: Option<i32> = sqlx::query_scalar(
            "select 1 from ferroconnect.lease where connector = $1 and task = $2 and epoch = $3",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .fetch_optional(&self.pool)
        .await?;
        fenced_unless(held.is_some(), lease)
    }

    /// Removes the worker and its leases, and the rows of workers that ended long ago.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn leave(&self, worker_id: &str) -> Result<(), StoreError> {
        sqlx::query(
            "with gone as (
                 delete from ferroconnect.worker
                 where id = $1 or expires_at < now() - interval '1 day'
                 returning id)
             delete from ferroconnect.lease where worker in (select id from gone)",
        )
        .bind(worker_id)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// The answer of a statement that writes only while its lease is held.
pub(super) fn fenced_unless(held: bool, lease: &Lease) -> Result<(), StoreError> {
    if held { Ok(()) } else { Err(StoreError::Fenced { connector: lease.connector.clone() }) }
}
