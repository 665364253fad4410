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
//! | `partition`, `rotation`, `partitioner`, `naming` | decisions, pure |
//! | `file`, `upload`, `recovery` | a file's bytes; the protocol that makes it visible, and its end after a crash |
//! | `row_times` | the rows' timestamps, for the history tables |
//! | `store` | the requests, with errors that say what to do |
//! | `format` | JSON and Parquet |

mod config;
mod config_def;
mod file;
mod format;
mod naming;
mod partition;
mod partitioner;
mod recovery;
mod rotation;
mod row_times;
mod store;
mod task;
mod upload;

use std::time::Duration;

use async_trait::async_trait;

pub use config_def::config_def;

use self::config::{Credentials, S3Config};
use self::store::Bucket;
use self::task::S3SinkTask;
use crate::config::{ConfigError, Props};
use crate::connector::{Connector, ConnectorContext, SinkTask, SinkTaskContext};
use crate::error::ConnectError;

/// The class name of the original.
pub const CLASS: &str = "io.confluent.connect.s3.S3SinkConnector";
/// The version of the original that this one equals.
pub const VERSION: &str = "12.1.0";

const CHECK_DEADLINE: Duration = Duration::from_secs(3);

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

/// What to say when the deadline came first.
fn silence(config: &S3Config) -> String {
    let (bucket, seconds) = (&config.store.bucket, CHECK_DEADLINE.as_secs());
    match config.store.credentials {
        // The request waits for credentials that only a machine at Amazon's has.
        Credentials::Machine => format!(
            "bucket \"{bucket}\" cannot be reached without credentials, and this machine has none \
             of its own; set aws.access.key.id and aws.secret.access.key, or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY of the worker"
        ),
        _ => format!(
            "bucket \"{bucket}\" did not answer within {seconds} s; check store.url (or the \
             worker's AWS_ENDPOINT_URL_S3) and s3.region"
        ),
    }
}

#[derive(Debug)]
struct S3SinkConnector {
    props: Props,
    context: ConnectorContext,
}

#[async_trait]
impl Connector for S3SinkConnector {
    async fn validate(&self) -> Vec<ConfigError> {
        let config = match S3Config::new(&self.props, &self.context.defaults) {
            Ok(config) => config,
            Err(errors) => return errors,
        };
        let checked = match Bucket::new(&config.store, &self.context.hosts) {
            Ok(bucket) => tokio::time::timeout(CHECK_DEADLINE, bucket.check()).await,
            Err(error) => return vec![ConfigError::new(config_def::BUCKET, error.to_string())],
        };
        match checked {
            Ok(Ok(())) => Vec::new(),
            Ok(Err(error)) => vec![ConfigError::new(config_def::BUCKET, error.to_string())],
            Err(_) => vec![ConfigError::new(config_def::BUCKET, silence(&config))],
        }
    }

    fn task_configs(&self, tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        // The original starts as many as allowed; the consumer group spreads the partitions.
        Ok(vec![self.props.clone(); tasks_max])
    }
}
