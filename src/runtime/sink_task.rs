//! A sink task: consume, convert, transform, put, commit.

use std::sync::Arc;

use crate::config::Props;
use crate::connector::SinkTask;
use crate::converter::{Converter, HeaderConverter};
use crate::error::ConnectError;
use crate::metrics::TaskMetrics;
use crate::runtime::chain::Chain;
use crate::runtime::herder::TaskId;
use crate::runtime::task::TaskControl;
use crate::runtime::worker_config::WorkerConfig;
use crate::store::{Lease, Store};

/// Everything that a sink task runs with.
pub struct SinkTaskParts {
    pub id: TaskId,
    pub lease: Lease,
    pub store: Store,
    /// The connector's configuration.
    pub config: Props,
    pub worker: Arc<WorkerConfig>,
    pub metrics: Arc<TaskMetrics>,
    pub task: Box<dyn SinkTask>,
    pub chain: Chain,
    pub key_converter: Box<dyn Converter>,
    pub value_converter: Box<dyn Converter>,
    pub header_converter: Box<dyn HeaderConverter>,
}

/// Runs the task until it is cancelled.
///
/// # Errors
/// Why the task failed.
pub async fn run_sink_task(parts: SinkTaskParts, control: TaskControl) -> Result<(), ConnectError> {
    drop((parts, control));
    Err(ConnectError::fatal("sink tasks cannot run yet"))
}
