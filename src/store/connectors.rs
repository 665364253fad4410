//! Connectors: their configuration, its history, and what state they shall be in.

use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use super::bounded::Bounded;
use super::{Store, StoreError};
use crate::config::Props;

/// The state that a connector shall be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    Started,
    Paused,
    Stopped,
}

impl TargetState {
    /// As the original stores it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "STARTED",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        match text {
            "STARTED" => Ok(Self::Started),
            "PAUSED" => Ok(Self::Paused),
            "STOPPED" => Ok(Self::Stopped),
            other => Err(StoreError::Unreadable { what: format!("the target state \"{other}\"") }),
        }
    }
}

/// A connector as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredConnector {
    pub name: String,
    pub target_state: TargetState,
    pub config: Props,
    /// Grows with every change of the configuration, never repeats.
    pub config_version: i64,
    /// Counts requests to restart the connector instance.
    pub restarts: i64,
    /// The numbers of its tasks, ascending.
    pub tasks: Vec<i32>,
}

/// A connector as a listing of all of them shows it: most of its cost would be taking every
/// configuration apart and putting it together again.
#[derive(Debug)]
pub struct ListedConnector {
    pub name: String,
    /// `connector.class`, if it is set.
    pub class: Option<String>,
    /// The JSON object of the configuration, as stored.
    pub config: Box<RawValue>,
    /// The numbers of its tasks, ascending.
    pub tasks: Vec<i32>,
}

/// What [`ListedConnector`] reads of a configuration.
#[derive(Deserialize)]
struct Class {
    #[serde(rename = "connector.class", default)]
    class: Option<String>,
}

fn read_listed(row: &PgRow) -> Result<ListedConnector, StoreError> {
    let Json::<Box<RawValue>>(config) = row.try_get("config")?;
    let Class { class } = serde_json::from_str(config.get()).map_err(|_| {
        StoreError::Unreadable { what: "a configuration that is no object".to_owned() }
    })?;
    Ok(ListedConnector { name: row.try_get("name")?, class, config, tasks: row.try_get("tasks")? })
}

/// The columns that [`read`] takes; `$where` narrows them down.
macro_rules! select_connectors {
    ($where:literal) => {
        concat!(
            "select name, target_state, connector.config_version, restarts, current.config,
                 coalesce(planned.tasks, '{}') as tasks
             from ferroconnect.connector
             join ferroconnect.connector_config as current
                 on current.connector = name and current.version = connector.config_version
             left join (
                 select connector, array_agg(task order by task) as tasks
                 from ferroconnect.task_config group by connector
             ) as planned on planned.connector = name ",
            $where
        )
    };
}

fn read(row: &PgRow) -> Result<StoredConnector, StoreError> {
    let Json(config) = row.try_get("config")?;
    Ok(StoredConnector {
        name: row.try_get("name")?,
        target_state: TargetState::parse(row.try_get("target_state")?)?,
        config,
        config_version: row.try_get("config_version")?,
        restarts: row.try_get("restarts")?,
        tasks: row.try_get("tasks")?,
    })
}

/// Bound as text: sqlx binds `Json` as jsonb, which refuses U+0000.
pub(super) fn to_json(config: &Props) -> String {
    serde_json::to_string(config).expect("a map of strings is JSON")
}

impl Store {
    /// Every connector, by name.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn connectors(&self) -> Result<Vec<ListedConnector>, StoreError> {
        let rows = sqlx::query(select_connectors!("order by name"))
            .fetch_all(&self.pool)
            .bounded()
            .await?;
        rows.iter().map(read_listed).collect()
    }

    /// The names of all connectors, sorted.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn connector_names(&self) -> Result<Vec<String>, StoreError> {
        let names = sqlx::query_scalar("select name from ferroconnect.connector order by name")
            .fetch_all(&self.pool)
            .bounded()
            .await?;
        Ok(names)
    }

    /// The connector `name`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn connector(&self, name: &str) -> Result<Option<StoredConnector>, StoreError> {
        let row = sqlx::query(select_connectors!("where name = $1"))
            .bind(name)
            .fetch_optional(&self.pool)
            .bounded()
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Makes a connector. `false`: the name is taken, and nothing changed.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn create_connector(
        &self,
        name: &str,
        config: &Props,
        target_state: TargetState,
    ) -> Result<bool, StoreError> {
        let made = sqlx::query(
            "with made as (
                 insert into ferroconnect.connector (name, target_state, config_version)
                 values ($1, $2, nextval('ferroconnect.config_version'))
                 on conflict (name) do nothing
                 returning name, config_version)
             insert into ferroconnect.connector_config (connector, version, config)
             select name, config_version, $3::json from made",
        )
        .bind(name)
        .bind(target_state.name())
        .bind(to_json(config))
        .execute(&self.pool)
        .bounded()
        .await?;
        Ok(made.rows_affected() == 1)
    }

    /// Makes a connector that shall be started, or gives an existing one a new configuration; the
    /// same configuration again only restarts the connector instance. Returns whether it is new.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn put_connector(&self, name: &str, config: &Props) -> Result<bool, StoreError> {
        // xmax is 0 in a row that was inserted, and this transaction in one that was updated.
        let created = sqlx::query_scalar(
            "with same as (
                 update ferroconnect.connector set restarts = restarts + 1
                 from ferroconnect.connector_config as current
                 where name = $1 and current.connector = $1
                     and current.version = config_version and current.config::text = $2
                 returning name),
             put as (
                 insert into ferroconnect.connector (name, target_state, config_version)
                 select $1, 'STARTED', nextval('ferroconnect.config_version')
                 where not exists (select from same)
                 on conflict (name) do update set config_version = excluded.config_version
                 returning name, config_version, xmax = 0 as created),
             versioned as (
                 insert into ferroconnect.connector_config (connector, version, config)
                 select name, config_version, $2::json from put)
             select coalesce((select created from put), false)",
        )
        .bind(name)
        .bind(to_json(config))
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        Ok(created)
    }

    /// Gives `name` a new configuration if its current one is still `config_version`. `false`: it
    /// has changed or is gone, and nothing was done.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn replace_config(
        &self,
        name: &str,
        config_version: i64,
        config: &Props,
    ) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "with put as (
                 update ferroconnect.connector
                 set config_version = nextval('ferroconnect.config_version')
                 where name = $1 and config_version = $2
                 returning name, config_version)
             insert into ferroconnect.connector_config (connector, version, config)
             select name, config_version, $3::json from put",
        )
        .bind(name)
        .bind(config_version)
        .bind(to_json(config))
        .execute(&self.pool)
        .bounded()
        .await?;
        Ok(changed.rows_affected() == 1)
    }

    /// Sets what state `name` shall be in; a stopped connector has no tasks. `false`: there is no
    /// such connector.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn set_target_state(
        &self,
        name: &str,
        target_state: TargetState,
    ) -> Result<bool, StoreError> {
        let known: bool = sqlx::query_scalar(
            "with known as (
                 update ferroconnect.connector set target_state = $2 where name = $1
                 returning name),
             tasks as (
                 delete from ferroconnect.task_config
                 where $2 = 'STOPPED' and connector in (select name from known))
             select exists (select from known)",
        )
        .bind(name)
        .bind(target_state.name())
        .fetch_one(&self.pool)
        .bounded()
        .await?;
        Ok(known)
    }

    /// Asks for a restart of the connector instance. `false`: there is no such connector.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn request_connector_restart(&self, name: &str) -> Result<bool, StoreError> {
        let known = sqlx::query(
            "update ferroconnect.connector set restarts = restarts + 1 where name = $1",
        )
        .bind(name)
        .execute(&self.pool)
        .bounded()
        .await?;
        Ok(known.rows_affected() == 1)
    }

    /// Removes a connector with its configuration, statuses and topics; offsets stay. `false`: there
    /// is no such connector.
    ///
    /// # Errors
    /// [`StoreError::Away`].
    pub async fn delete_connector(&self, name: &str) -> Result<bool, StoreError> {
        let known = sqlx::query("delete from ferroconnect.connector where name = $1")
            .bind(name)
            .execute(&self.pool)
            .bounded()
            .await?;
        Ok(known.rows_affected() == 1)
    }
}
