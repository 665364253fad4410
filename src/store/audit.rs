//! The audit log, and the versions of configurations that it refers to.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::bounded::Bounded;
use super::{Store, StoreError};
use crate::config::Props;

/// Rows that one statement forgets: it stays short however much there is.
const FORGET_MAX: i64 = 10_000;

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditOutcome {
    Done,
    /// The request made no sense, or nothing of that name was there.
    Refused,
    Failed,
}

impl AuditOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// A change that is about to be made.
#[derive(Debug, Clone)]
pub struct AuditEntry<'a> {
    pub principal: &'a str,
    pub address: Option<String>,
    pub action: &'a str,
    pub connector: Option<&'a str>,
    pub detail: serde_json::Value,
}

/// A change as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRow {
    pub id: i64,
    /// As RFC 3339 writes it, in UTC.
    pub at: String,
    pub principal: String,
    pub address: Option<String>,
    pub action: String,
    pub connector: Option<String>,
    pub config_version: Option<i64>,
    pub detail: serde_json::Value,
    pub outcome: String,
}

fn read(row: &PgRow) -> Result<AuditRow, StoreError> {
    let detail: Option<Json<serde_json::Value>> = row.try_get("detail")?;
    Ok(AuditRow {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        principal: row.try_get("principal")?,
        address: row.try_get("address")?,
        action: row.try_get("action")?,
        connector: row.try_get("connector")?,
        config_version: row.try_get("config_version")?,
        detail: detail.map_or(serde_json::Value::Null, |Json(detail)| detail),
        outcome: row.try_get("outcome")?,
    })
}

impl Store {
    /// Records a change before it is made; the number is for [`Store::complete_audit`].
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn begin_audit(&self, entry: &AuditEntry<'_>) -> Result<i64, StoreError> {
        let id = sqlx::query_scalar(
            "insert into ferroconnect.audit (principal, address, action, connector, detail)
             values ($1, $2, $3, $4, $5::json) returning id",
        )
        .bind(entry.principal)
        .bind(entry.address.as_deref())
        .bind(entry.action)
        .bind(entry.connector)
        .bind(entry.detail.to_string())
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        Ok(id)
    }

    /// Records what became of a change, and which version of the connector's configuration is the
    /// current one if the change was one of the configuration.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn complete_audit(
        &self,
        id: i64,
        outcome: AuditOutcome,
        of_config: bool,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update ferroconnect.audit as audit
             set outcome = $2,
                 config_version = (select connector.config_version from ferroconnect.connector
                                   where $3 and name = audit.connector)
             where id = $1",
        )
        .bind(id)
        .bind(outcome.name())
        .bind(of_config)
        .execute(&self.pool)
        .bounded()
        .await?;
        Ok(())
    }

    /// The newest `limit` changes before the one numbered `before`, newest first; of one connector
    /// or of everything.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn audit(
        &self,
        connector: Option<&str>,
        before: i64,
        limit: i64,
    ) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(
            "select id, to_char(at at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') as at,
                 principal, address, action, connector, config_version, detail, outcome
             from ferroconnect.audit
             where ($1::text is null or connector = $1) and id < $2
             order by id desc limit $3",
        )
        .bind(connector)
        .bind(before)
        .bind(limit)
        .fetch_all(&self.pool)
        .bounded()
        .await?;
        rows.iter().map(read).collect()
    }

    /// The configuration that `name` had as `version`.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn config_of_version(
        &self,
        name: &str,
        version: i64,
    ) -> Result<Option<Props>, StoreError> {
        let config: Option<Json<Props>> = sqlx::query_scalar(
            "select config from ferroconnect.connector_config where connector = $1 and version = $2",
        )
        .bind(name)
        .bind(version)
        .fetch_optional(&self.pool)
        .bounded()
        .await?;
        Ok(config.map(|Json(config)| config))
    }

    /// Forgets changes and configurations that are older than `age`; the current configurations stay.
    /// A part at a time: true when there may be more.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn forget_history(&self, age: Duration) -> Result<bool, StoreError> {
        let seconds = age.as_secs_f64();
        let changes = sqlx::query(
            "delete from ferroconnect.audit where id in (
                 select id from ferroconnect.audit
                 where at < now() - make_interval(secs => $1) order by id limit $2)",
        )
        .bind(seconds)
        .bind(FORGET_MAX)
        .execute(&self.pool)
        .bounded()
        .await?;
        let configs = sqlx::query(
            "delete from ferroconnect.connector_config where (connector, version) in (
                 select old.connector, old.version
                 from ferroconnect.connector_config as old
                 join ferroconnect.connector on name = old.connector
                 where old.version <> connector.config_version
                     and old.created_at < now() - make_interval(secs => $1)
                 limit $2)",
        )
        .bind(seconds)
        .bind(FORGET_MAX)
        .execute(&self.pool)
        .bounded()
        .await?;
        let max = FORGET_MAX.unsigned_abs();
        Ok(changes.rows_affected() == max || configs.rows_affected() == max)
    }
}
