//! Levels of loggers that were set for every worker of the cluster.

use sqlx::Row;

use super::bounded::Bounded;
use super::{Store, StoreError};

/// A level that was set for every worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggerChange {
    /// Grows; transactions may still commit in another order.
    pub number: i64,
    pub logger: String,
    pub level: String,
}

impl Store {
    /// Tells the other workers of a level that `worker` has set; forgets what is older than an hour.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn announce_logger(
        &self,
        logger: &str,
        level: &str,
        worker: &str,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "with old as (
                 delete from ferroconnect.logger_change
                 where changed_at < now() - interval '1 hour')
             insert into ferroconnect.logger_change (logger, level, worker) values ($1, $2, $3)",
        )
        .bind(logger)
        .bind(level)
        .bind(worker)
        .execute(&self.pool)
        .bounded()
        .await?;
        Ok(())
    }

    /// What workers other than `worker` have set within the last ten minutes, in order.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn logger_changes(&self, worker: &str) -> Result<Vec<LoggerChange>, StoreError> {
        let rows = sqlx::query(
            "select number, logger, level from ferroconnect.logger_change
             where worker <> $1 and changed_at > now() - interval '10 minutes'
             order by number",
        )
        .bind(worker)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter()
            .map(|row| {
                Ok(LoggerChange {
                    number: row.try_get("number")?,
                    logger: row.try_get("logger")?,
                    level: row.try_get("level")?,
                })
            })
            .collect()
    }
}
