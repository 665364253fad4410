//! The history tables as a connector: `ferroconnect.DuckDbScd2SinkConnector`.
//!
//! Ours, without an original. It consumes no topic: it polls the prefix that an S3 sink writes to and
//! keeps the tables of a DuckDB file current. So the runtime runs it as a source connector, whose
//! partitions and offsets are free in form: `GET /connectors/NAME/offsets` shows how far each table
//! has read each partition of its topic. The truth of it is the manifest inside the DuckDB file, which
//! changes in one transaction with the tables; the stored offsets only show it.
//!
//! | module | does |
//! |---|---|
//! | `config` | the table of keys; the typed configuration |
//! | `task` | polls on a thread of its own, because DuckDB blocks |

mod config;
mod task;

use async_trait::async_trait;

pub use config::config_def;

use self::config::Scd2Config;
use self::task::Scd2Task;
use crate::config::{ConfigError, Props};
use crate::connector::{Connector, ConnectorContext, OffsetChange, SourceTask, SourceTaskContext};
use crate::error::ConnectError;

/// The class name.
pub const CLASS: &str = "ferroconnect.DuckDbScd2SinkConnector";
/// There is no original: it has our version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes the connector.
///
/// # Errors
/// None now: what is wrong is told by [`Connector::validate`], key by key.
pub fn construct(
    props: &Props,
    context: ConnectorContext,
) -> Result<Box<dyn Connector>, ConnectError> {
    Ok(Box::new(Scd2Connector { props: props.clone(), context }))
}

/// Makes the task.
///
/// # Errors
/// When the configuration cannot work.
pub fn construct_task(
    props: &Props,
    context: SourceTaskContext,
) -> Result<Box<dyn SourceTask>, ConnectError> {
    Ok(Box::new(Scd2Task::new(props, &context)?))
}

#[derive(Debug)]
struct Scd2Connector {
    props: Props,
    context: ConnectorContext,
}

#[async_trait]
impl Connector for Scd2Connector {
    /// The bucket is not asked for: it may be made later, like the sink's.
    async fn validate(&self) -> Vec<ConfigError> {
        Scd2Config::new(&self.props, &self.context.defaults, &self.context.hosts)
            .err()
            .unwrap_or_default()
    }

    /// One, whatever is allowed: a DuckDB file has one writer.
    fn task_configs(&self, _tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        Ok(vec![self.props.clone()])
    }

    fn alter_offsets(&self, _changes: &[OffsetChange]) -> Result<bool, ConnectError> {
        Err(ConnectError::config(
            "what was read is remembered inside the DuckDB file, not here: to read everything again, run \
             `ferroconnect scd2 rebuild --from-objects` or start with another scd2.database",
        ))
    }
}
