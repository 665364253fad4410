//! The PostgreSQL source: `io.debezium.connector.postgresql.PostgresConnector`.
//!
//! `task` polls; `session` is one connected life (`setup`, then `snapshot`, then `replication`);
//! `stream` turns chunks into batches with `pgoutput`, `relation` and `envelope`; `type_mapping` is
//! the one table of types, `codec` what it chooses from. Source of truth for what records look like:
//! Debezium 3.6.

#[cfg(test)]
mod any_text_tests;
mod array;
mod client;
mod codec;
mod column_mapper;
mod config;
mod config_keys;
mod config_rules;
mod config_types;
mod context_headers;
mod datetime;
mod default_value;
mod digest_mask;
mod envelope;
mod failure;
mod filter;
mod generation;
mod geometry;
mod heartbeat;
mod in_progress;
mod incremental;
mod inspection;
mod java_map;
mod key_change;
mod logical_message;
mod lookup;
mod lsn;
mod names;
mod notification;
mod numeric;
mod offset;
mod pgoutput;
mod relation;
mod replica_identity;
mod replication;
mod session;
mod setup;
mod signal;
mod slot_monitor;
mod snapshot;
mod socket;
mod source_info;
mod source_type;
mod stream;
mod tally;
mod task;
pub mod timescaledb;
mod tls;
mod transaction_metadata;
mod type_mapping;
#[cfg(test)]
mod type_mapping_tests;
mod validation;
mod wire;

use async_trait::async_trait;

use crate::config::{ConfigDef, ConfigError, Props};
use crate::connector::postgres::config::{PostgresConfig, cross_errors};
use crate::connector::postgres::task::PostgresTask;
use crate::connector::{
    Connector, ConnectorContext, ExactlyOnceSupport, Inspection, OffsetChange, SourceTask,
    SourceTaskContext,
};
use crate::error::ConnectError;

/// The original's class.
pub const CLASS: &str = "io.debezium.connector.postgresql.PostgresConnector";
/// The release whose behaviour this is.
pub const VERSION: &str = "3.6.3.Final";

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
        match PostgresConfig::new(&self.props) {
            Ok(config) => validation::check(&config, &self.context.hosts).await,
            Err(_) => Vec::new(),
        }
    }

    async fn inspect(&self) -> Result<Inspection, ConnectError> {
        let config = PostgresConfig::new(&self.props)?;
        inspection::inspect(&config, &self.context.hosts).await
    }

    fn task_configs(&self, _tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        // A slot has one reader, whatever tasks.max says.
        Ok(vec![self.props.clone()])
    }

    fn exactly_once_support(&self) -> Option<ExactlyOnceSupport> {
        // Offsets lie at commits of the server and at parts of a snapshot, never inside.
        Some(ExactlyOnceSupport::Supported)
    }

    fn alter_offsets(&self, changes: &[OffsetChange]) -> Result<bool, ConnectError> {
        let config = PostgresConfig::new(&self.props)?;
        for change in changes {
            offset::check_change(&config.topic_prefix, change)?;
        }
        Ok(true)
    }
}
