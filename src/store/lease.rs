//! Leases: who may run a connector or a task, and who may still write its progress.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row};

use super::bounded::Bounded;
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
pub struct WorkerRow {
    /// Unique to the process.
    pub id: String,
    /// host:port
    pub address: String,
    pub version: String,
    /// How long the worker counts as alive after each beat.
    pub time_to_live: Duration,
}

/// A worker's heartbeat: a connection of its own that holds an advisory lock. PostgreSQL lets the
/// lock go as soon as the process is gone, so that a killed worker is known to be dead long before
/// its time to live ends.
#[derive(Debug)]
pub struct Heartbeat {
    worker: WorkerRow,
    store: Store,
    session: Option<PgConnection>,
}

impl Heartbeat {
    /// A heartbeat that has not beaten yet.
    pub fn new(store: Store, worker: WorkerRow) -> Self {
        Self { worker, store, session: None }
    }

    /// Registers the worker, or says that it is still alive, and returns the leases it holds.
    ///
    /// # Errors
    /// [`StoreError::Away`]; the next beat connects anew.
    pub async fn beat(&mut self) -> Result<Vec<Lease>, StoreError> {
        let (mut session, locked) = match self.session.take() {
            Some(session) => (session, true),
            None => self.open_session().await?,
        };
        let leases = beat(&mut session, &self.worker).await?;
        self.session = locked.then_some(session);
        Ok(leases)
    }

    /// Removes the worker and its leases, and the rows of workers that ended long ago.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn leave(self) -> Result<(), StoreError> {
        sqlx::query(
            "with gone as (
                 delete from ferroconnect.worker
                 where id = $1 or expires_at < now() - interval '1 day'
                 returning id)
             delete from ferroconnect.lease where worker in (select id from gone)",
        )
        .bind(&self.worker.id)
        .execute(&self.store.pool)
        .bounded()
        .await?;
        Ok(())
    }

    /// Connects and takes the lock; a session that was cut off may still hold it for a while.
    async fn open_session(&self) -> Result<(PgConnection, bool), StoreError> {
        let mut session = PgConnection::connect_with(&self.store.pool.connect_options()).await?;
        let locked = sqlx::query_scalar(
            "select pg_try_advisory_lock(hashtext('ferroconnect.worker'), hashtext($1))",
        )
        .bind(&self.worker.id)
        .fetch_one(&mut session)
        .await?;
        Ok((session, locked))
    }
}

async fn beat(session: &mut PgConnection, worker: &WorkerRow) -> Result<Vec<Lease>, StoreError> {
    sqlx::query(
        "insert into ferroconnect.worker (id, address, version, expires_at, beat_at)
         values ($1, $2, $3, now() + make_interval(secs => $4), now())
         on conflict (id) do update
             set expires_at = excluded.expires_at, beat_at = excluded.beat_at",
    )
    .bind(&worker.id)
    .bind(&worker.address)
    .bind(&worker.version)
    .bind(worker.time_to_live.as_secs_f64())
    .execute(&mut *session)
    .await?;
    let rows =
        sqlx::query("select connector, task, epoch from ferroconnect.lease where worker = $1")
            .bind(&worker.id)
            .fetch_all(&mut *session)
            .await?;
    rows.iter()
        .map(|row| {
            Ok(Lease {
                connector: row.try_get("connector")?,
                task: row.try_get("task")?,
                epoch: row.try_get("epoch")?,
                worker_id: worker.id.clone(),
            })
        })
        .collect()
}

impl Store {
    /// Takes the lease of `task` for `worker` under a new epoch, unless another worker that is
    /// alive holds it. Not alive is an older one with this worker's address (its predecessor), one whose
    /// time to live has ended, and one without its advisory lock that missed two beats of a second:
    /// after a restart of the database all workers are without for a moment.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn acquire(
        &self,
        connector: &str,
        task: i32,
        worker: &WorkerRow,
    ) -> Result<Option<Lease>, StoreError> {
        let epoch: Option<i64> = sqlx::query_scalar(
            "insert into ferroconnect.lease as held (connector, task, epoch, worker)
             values ($1, $2, nextval('ferroconnect.lease_epoch'), $3)
             on conflict (connector, task) do update
                 set epoch = excluded.epoch, worker = excluded.worker
                 where not exists (
                     select from ferroconnect.worker
                     where id = held.worker and id <> $3 and expires_at > now()
                         and (address <> $4 or started_at >= coalesce(
                             (select started_at from ferroconnect.worker where id = $3), now()))
                         and (beat_at > now() - interval '2 seconds' or exists (
                             select from pg_locks
                             where locktype = 'advisory' and granted and objsubid = 2
                                 and database = (select oid from pg_database
                                                 where datname = current_database())
                                 and classid::bigint =
                                     hashtext('ferroconnect.worker')::bigint & 4294967295
                                 and objid::bigint = hashtext(id)::bigint & 4294967295)))
             returning epoch",
        )
        .bind(connector)
        .bind(task)
        .bind(&worker.id)
        .bind(&worker.address)
        .fetch_optional(&self.pool)
        .bounded()
        .await?;
        Ok(epoch.map(|epoch| Lease {
            connector: connector.to_owned(),
            task,
            epoch,
            worker_id: worker.id.clone(),
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
        .bounded()
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
        .bounded()
        .await?;
        fenced_unless(held.is_some(), lease)
    }
}

/// The answer of a statement that writes only while its lease is held.
pub(super) fn fenced_unless(held: bool, lease: &Lease) -> Result<(), StoreError> {
    if held { Ok(()) } else { Err(StoreError::Fenced { connector: lease.connector.clone() }) }
}
