//! The S3 sink: `io.confluent.connect.s3.S3SinkConnector`.
//!
//! Source: the S3 sink's behaviour as of 12.1, with both generations of class names. Ours beyond it:
//! every kind of rotation is exactly once, because a file's boundaries are recorded before its object
//! becomes visible, and files of quiet partitions are closed (`rotate.idle.interval.ms`).
//!
//! | module | does |
//! |---|---|
//! | `config_def`, `config` | the table of keys; the typed configuration |
//! | `task` | open, put, pre_commit, close: effects |
//! | `partition`, `rotation`, `naming` | decisions, pure |
//! | `partitioner`, `extractor`, `joda`, `zone` | record to path: fields, times and their patterns |
//! | `arrival`, `companion` | a row and what can be read of it; keys and headers as records |
//! | `compatibility` | whether a value fits an open file's schema, and its projection |
//! | `group`, `file` | the open files of a partition, closed together; a file's bytes |
//! | `upload`, `recovery`, `recorded` | the protocol that makes files visible, and its end after a crash |
//! | `row_times` | the rows' timestamps, for the history tables |
//! | `store` | the requests, with errors that say what to do |
//! | `inspection` | a look at the bucket before anything runs |
//! | `format` | Avro, bytes, JSON and Parquet |

mod arrival;
mod companion;
mod compatibility;
mod config;
mod config_def;
mod extractor;
mod file;
mod format;
mod group;
mod inspection;
mod joda;
mod naming;
mod partition;
mod partitioner;
mod recorded;
mod recovery;
mod rotation;
mod row_times;
mod store;
mod task;
mod upload;
mod zone;

use std::sync::Arc;

use async_trait::async_trait;

pub use config_def::config_def;

use self::config::S3Config;
use self::format::{Codec, ParquetFormat};
use self::task::S3SinkTask;
use crate::config::{ConfigError, Props};
use crate::connector::{Connector, ConnectorContext, Inspection, SinkTask, SinkTaskContext};
use crate::data::Schema;
use crate::error::{ConnectError, DataError};

/// The class name of the original.
pub const CLASS: &str = "io.confluent.connect.s3.S3SinkConnector";
/// The version of the original that this one equals.
pub const VERSION: &str = "12.1.0";

/// Makes the connector.
///
/// # Errors
/// None now: what is wrong is told by [`Connector::validate`], key by key.
pub fn construct(
    props: &Props,
    context: ConnectorContext,
) -> Result<Box<dyn Connector>, ConnectError> {
    Ok(Box::new(S3SinkConnector { props: props.clone(), context }))
}

/// Makes a task.
///
/// # Errors
/// When the configuration cannot work.
pub fn construct_task(
    props: &Props,
    context: SinkTaskContext,
) -> Result<Box<dyn SinkTask>, ConnectError> {
    Ok(Box::new(S3SinkTask::new(props, context)?))
}

#[derive(Debug)]
struct S3SinkConnector {
    props: Props,
    context: ConnectorContext,
}

#[async_trait]
impl Connector for S3SinkConnector {
    /// What the original tells only when a task starts is not told here, and the bucket is not asked
    /// for: a file that it accepts is accepted, and connectors can be posted before their bucket is
    /// made.
    async fn validate(&self) -> Vec<ConfigError> {
        S3Config::refusals(&self.props, &self.context.defaults)
    }

    async fn inspect(&self) -> Result<Inspection, ConnectError> {
        let config = S3Config::new(&self.props, &self.context.defaults).map_err(refused)?;
        inspection::inspect(&config, &self.context).await
    }

    fn task_configs(&self, tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        // The original starts as many as allowed; the consumer group spreads the partitions.
        Ok(vec![self.props.clone(); tasks_max])
    }
}

/// One error of the keys that cannot work together.
fn refused(errors: Vec<ConfigError>) -> ConnectError {
    let messages: Vec<_> = errors.into_iter().map(|error| error.message).collect();
    ConnectError::config(messages.join("\n"))
}

/// The message type of the Parquet files that values of `schema` go to, as Parquet writes it.
///
/// # Errors
/// When such values cannot be written as Parquet, with the remedy.
pub fn parquet_schema(schema: Option<&Arc<Schema>>) -> Result<String, DataError> {
    ParquetFormat::new(Codec::None).schema_text(schema)
}
