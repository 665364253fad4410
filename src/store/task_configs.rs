//! The configurations of tasks, as their connector planned them.

use sqlx::Row;
use sqlx::types::Json;

use super::bounded::Bounded;
use super::connectors::to_json;
use super::lease::fenced_unless;
use super::{Lease, Store, StoreError};
use crate::config::Props;

/// A task as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTask {
    pub task: i32,
    pub config: Props,
    /// The version of the connector's configuration that it was planned from.
    pub config_version: i64,
    /// Counts requests to restart the task.
    pub restarts: i64,
}

impl Store {
    /// The tasks of `connector`, by number.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn tasks(&self, connector: &str) -> Result<Vec<StoredTask>, StoreError> {
        let rows = sqlx::query(
            "select task, config, config_version, restarts from ferroconnect.task_config
             where connector = $1 order by task",
        )
        .bind(connector)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter()
            .map(|row| {
                let Json(config) = row.try_get("config")?;
                Ok(StoredTask {
                    task: row.try_get("task")?,
                    config,
                    config_version: row.try_get("config_version")?,
                    restarts: row.try_get("restarts")?,
                })
            })
            .collect()
    }

    /// Makes `configs` the tasks of `lease`'s connector, planned from `config_version`; the
    /// connector must still have that version and must not be stopped, else nothing changes.
    /// Returns whether it did.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the connector's lease is no longer the current one.
    pub async fn put_tasks(
        &self,
        lease: &Lease,
        config_version: i64,
        configs: &[Props],
    ) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().bounded().await?;
        let held: Option<i32> = sqlx::query_scalar(
            "select 1 from ferroconnect.lease
             where connector = $1 and task = $2 and epoch = $3 for share",
        )
        .bind(&lease.connector)
        .bind(lease.task)
        .bind(lease.epoch)
        .fetch_optional(&mut *transaction)
        .bounded()
        .await?;
        fenced_unless(held.is_some(), lease)?;
        // Locks the connector against a change of its configuration or target state.
        let current: Option<i32> = sqlx::query_scalar(
            "select 1 from ferroconnect.connector
             where name = $1 and config_version = $2 and target_state <> 'STOPPED' for update",
        )
        .bind(&lease.connector)
        .bind(config_version)
        .fetch_optional(&mut *transaction)
        .bounded()
        .await?;
        if current.is_none() {
            return Ok(false);
        }
        let configs: Vec<String> = configs.iter().map(to_json).collect();
        sqlx::query(
            "with new as (
                 select (ordinal - 1)::integer as task, config::json
                 from unnest($2::text[]) with ordinality as listed (config, ordinal)),
             gone as (
                 delete from ferroconnect.task_config
                 where connector = $1 and task not in (select task from new))
             insert into ferroconnect.task_config (connector, task, config, config_version)
             select $1, task, config, $3 from new
             on conflict (connector, task) do update
                 set config = excluded.config, config_version = excluded.config_version",
        )
        .bind(&lease.connector)
        .bind(configs)
        .bind(config_version)
        .execute(&mut *transaction)
        .bounded()
        .await?;
        transaction.commit().bounded().await?;
        Ok(true)
    }

    /// Asks for a restart of tasks of `connector`; returns those that exist.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn request_task_restarts(
        &self,
        connector: &str,
        tasks: &[i32],
    ) -> Result<Vec<i32>, StoreError> {
        let known = sqlx::query_scalar(
            "update ferroconnect.task_config set restarts = restarts + 1
             where connector = $1 and task = any ($2) returning task",
        )
        .bind(connector)
        .bind(tasks)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        Ok(known)
    }
}
