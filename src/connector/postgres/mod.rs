//! The PostgreSQL source: `io.debezium.connector.postgresql.PostgresConnector`.
//!
//! `task` polls; `session` is one connected life (`setup`, then `snapshot`, then `replication`);
//! `stream` turns chunks into batches with `pgoutput`, `relation` and `envelope`; `type_mapping` is
//! the one table of types, `codec` what it chooses from. Source of truth for what records look like:
//! Debezium 3.6.

mod array;
mod client;
mod codec;
mod column_mapper;
mod config;
mod config_keys;
mod config_rules;
mod context_headers;
mod datetime;
mod default_value;
mod envelope;
mod failure;
mod filter;
mod geometry;
mod key_change;
mod logical_message;
mod lookup;
mod lsn;
mod names;
mod numeric;
mod offset;
mod pgoutput;
mod relation;
mod replication;
mod session;
mod setup;
mod snapshot;
mod socket;
mod stream;
mod task;
mod tls;
mod type_mapping;
#[cfg(test)]
mod type_mapping_tests;
mod wire;

use std::time::Duration;

use async_trait::async_trait;

use crate::config::{ConfigDef, ConfigError, Props};
use crate::connector::postgres::client::Client;
use crate::connector::postgres::config::{PostgresConfig, PublicationMode, cross_errors};
use crate::connector::postgres::task::PostgresTask;
use crate::connector::postgres::wire::WireError;
use crate::connector::{Connector, ConnectorContext, OffsetChange, SourceTask, SourceTaskContext};
use crate::error::ConnectError;

/// The original's class.
pub const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";
/// The release whose behaviour this is.
pub const VERSION: &str = envelope::VERSION;

/// All checks that need the server, together.
const VALIDATION_TIMEOUT: Duration = Duration::from_secs(3);

/// The declared keys.
pub fn config_def() -> ConfigDef {
    config_keys::config_def()
}

/// Makes the connector.
///
/// # Errors
/// When a value is not valid.
pub fn connector(
    props: &Props,
    context: ConnectorContext,
) -> Result<Box<dyn Connector>, ConnectError> {
    Ok(Box::new(PostgresConnector { props: props.clone(), context }))
}

/// Makes the task.
///
/// # Errors
/// When the configuration is not valid, or the stored offset cannot be read.
pub fn task(
    props: &Props,
    context: SourceTaskContext,
) -> Result<Box<dyn SourceTask>, ConnectError> {
    let config = PostgresConfig::new(props)?;
    column_mapper::refuse_unsupported(props)?;
    column_mapper::warn_unsupported(props);
    Ok(Box::new(PostgresTask::new(config, context)?))
}

#[derive(Debug)]
struct PostgresConnector {
    props: Props,
    context: ConnectorContext,
}

#[async_trait]
impl Connector for PostgresConnector {
    async fn validate(&self) -> Vec<ConfigError> {
        let errors = cross_errors(&self.props);
        if !errors.is_empty() {
            return errors;
        }
        // Field errors are the table's; with any of them no connection is attempted.
        let Ok(config) = PostgresConfig::new(&self.props) else { return Vec::new() };
        match tokio::time::timeout(VALIDATION_TIMEOUT, self.ask_server(&config)).await {
            Ok(errors) => errors,
            Err(_) => {
                let millis = VALIDATION_TIMEOUT.as_millis();
                vec![on_host(format!("Connection validation timed out after {millis} ms"))]
            }
        }
    }

    fn task_configs(&self, _tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        // A slot has one reader, whatever tasks.max says.
        Ok(vec![self.props.clone()])
    }

    fn alter_offsets(&self, changes: &[OffsetChange]) -> Result<bool, ConnectError> {
        let config = PostgresConfig::new(&self.props)?;
        for change in changes {
            offset::check_change(&config.topic_prefix, change)?;
        }
        Ok(true)
    }
}

impl PostgresConnector {
    async fn ask_server(&self, config: &PostgresConfig) -> Vec<ConfigError> {
        match self.problems(config).await {
            Ok(problems) => problems,
            Err(error) => {
                vec![on_host(format!("Error while validating connector config: {error}"))]
            }
        }
    }

    /// What certainly fails at start.
    async fn problems(&self, config: &PostgresConfig) -> Result<Vec<ConfigError>, WireError> {
        let hosts = &self.context.hosts;
        let name = "Ferroconnect Validate Connection";
        let mut client = Client::open(&config.server, hosts, name).await?;
        let facts = client.facts().await?;
        let mut problems: Vec<_> = setup::server_problems(config, &facts)
            .into_iter()
            .map(|(key, text)| invalid(key, &text))
            .collect();
        let publication = &config.publication;
        if publication.mode == PublicationMode::Disabled
            && client.publication(&publication.name).await?.is_none()
        {
            problems.push(invalid(
                "publication.name",
                "Publication autocreation is disabled, please create one and restart the connector.",
            ));
        }
        let slot = client.slot(&config.slot.name, facts.version).await?;
        if slot.is_none() && facts.slots_free <= 0 {
            problems.push(invalid(
                "slot.name",
                "no replication slot is free; raise max_replication_slots or drop an unused slot",
            ));
        }
        let captured = setup::captured(config, client.tables().await?);
        let unreadable: Vec<_> =
            captured.iter().filter(|table| !table.readable).map(client::TableId::name).collect();
        if !unreadable.is_empty() {
            let (tables, user) = (unreadable.join(", "), &config.server.user);
            problems.push(invalid(
                "table.include.list",
                &format!(
                    "user {user} may not read {tables}; run grant select on {tables} to \"{user}\""
                ),
            ));
        }
        client.close().await;
        Ok(problems)
    }
}

fn on_host(text: String) -> ConfigError {
    ConfigError::new("database.hostname", text)
}

fn invalid(key: &str, text: &str) -> ConfigError {
    ConfigError::new(key, format!("The '{key}' value is invalid: {text}"))
}
