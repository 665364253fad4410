//! The herder: what `rest` and `cli` ask for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::config::Props;
use crate::error::ConnectError;
use crate::metrics::Metrics;
use crate::plugin::Plugins;
use crate::runtime::worker_config::WorkerConfig;
use crate::store::Store;

pub use crate::store::{State, TargetState};

/// A task of a connector.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    pub connector: String,
    pub task: usize,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

/// Which way a connector moves data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectorKind {
    Source,
    Sink,
    /// The class is none that this worker has.
    Unknown,
}

impl ConnectorKind {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Unknown => "unknown",
        }
    }
}

/// A connector with its configuration as submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorInfo {
    pub name: String,
    pub config: Props,
    pub tasks: Vec<TaskId>,
    pub kind: ConnectorKind,
}

/// The state of a connector or task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateInfo {
    pub state: State,
    /// host:port
    pub worker_id: String,
    pub trace: Option<String>,
    pub version: Option<String>,
}

/// The states of a connector and its tasks, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorStatus {
    pub name: String,
    pub connector: StateInfo,
    pub tasks: Vec<(usize, StateInfo)>,
    pub kind: ConnectorKind,
}

/// An entry of `GET /connectors?expand=...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    pub name: String,
    /// `None` when it was not asked for.
    pub info: Option<ConnectorInfo>,
    /// `None` when it was not asked for, or when there is none yet.
    pub status: Option<ConnectorStatus>,
}

/// A partition and the position in it, as the offsets endpoints show them.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorOffset {
    pub partition: serde_json::Value,
    pub offset: serde_json::Value,
}

/// What `/health` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The worker finished its start.
    pub started: bool,
    /// The command loop answered.
    pub herder_alive: bool,
    /// The state database answered.
    pub database_reachable: bool,
    /// The Kafka cluster answered.
    pub broker_reachable: bool,
}

/// Why a command was refused; the text is the original's.
#[derive(Debug, thiserror::Error)]
pub enum HerderError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    AlreadyExists(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Forbidden(String),
    /// `count` can differ from the number of messages, as in the original.
    #[error(
        "Connector configuration is invalid and contains the following {count} error(s):\n{}\nYou \
         can also find the above list of errors at the endpoint \
         `/connector-plugins/{{connectorType}}/config/validate`",
        messages.join("\n")
    )]
    InvalidConfig { count: usize, messages: Vec<String> },
    #[error("{0}")]
    Internal(ConnectError),
}

/// The handle through which everything is asked for. Clones share one worker.
#[derive(Debug, Clone)]
pub struct Herder {
    store: Store,
    plugins: Arc<Plugins>,
    config: Arc<WorkerConfig>,
}

/// Owns the worker behind a [`Herder`].
#[derive(Debug)]
pub struct Running {}

impl Running {
    /// Stops every connector and task, stores what they reached and gives their leases back.
    pub async fn shutdown(self) {}
}

impl Herder {
    /// Starts the worker: it brings every stored connector into its target state.
    ///
    /// # Errors
    /// When the state database cannot be used.
    pub async fn start(
        config: WorkerConfig,
        plugins: Plugins,
        _metrics: Arc<Metrics>,
        store: Store,
    ) -> Result<(Self, Running), ConnectError> {
        let herder = Self { store, plugins: Arc::new(plugins), config: Arc::new(config) };
        Ok((herder, Running {}))
    }

    /// The plugins of this worker.
    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// The worker's settings.
    pub fn config(&self) -> &WorkerConfig {
        &self.config
    }

    /// The id of the Kafka cluster, once it is known.
    pub async fn cluster_id(&self) -> Option<String> {
        None
    }

    /// The names of all connectors.
    ///
    /// # Errors
    /// [`HerderError::Internal`] when the state database is away; so for every command below.
    pub async fn connectors(&self) -> Result<Vec<String>, HerderError> {
        self.store.connector_names().await.map_err(internal)
    }

    /// All connectors, with what is asked for.
    pub async fn overviews(
        &self,
        _with_info: bool,
        _with_status: bool,
    ) -> Result<Vec<Overview>, HerderError> {
        Err(incomplete())
    }

    /// A connector with its configuration and task ids.
    pub async fn connector_info(&self, _name: &str) -> Result<ConnectorInfo, HerderError> {
        Err(incomplete())
    }

    /// A connector's configuration as submitted.
    pub async fn connector_config(&self, _name: &str) -> Result<Props, HerderError> {
        Err(incomplete())
    }

    /// Makes a connector. `config` holds its name; validation errors come first, then the conflict
    /// of names.
    pub async fn create_connector(
        &self,
        _name: &str,
        _config: Props,
        _target_state: TargetState,
    ) -> Result<ConnectorInfo, HerderError> {
        Err(incomplete())
    }

    /// Makes a connector or replaces its configuration; says whether it is new.
    pub async fn put_connector_config(
        &self,
        _name: &str,
        _config: Props,
    ) -> Result<(bool, ConnectorInfo), HerderError> {
        Err(incomplete())
    }

    /// Sets and, with `None`, removes keys of a configuration.
    pub async fn patch_connector_config(
        &self,
        _name: &str,
        _patch: BTreeMap<String, Option<String>>,
    ) -> Result<ConnectorInfo, HerderError> {
        Err(incomplete())
    }

    /// Removes a connector; its offsets stay.
    pub async fn delete_connector(&self, _name: &str) -> Result<(), HerderError> {
        Err(incomplete())
    }

    /// Sets the target state PAUSED.
    pub async fn pause(&self, _name: &str) -> Result<(), HerderError> {
        Err(incomplete())
    }

    /// Sets the target state STARTED.
    pub async fn resume(&self, _name: &str) -> Result<(), HerderError> {
        Err(incomplete())
    }

    /// Sets the target state STOPPED and removes all tasks.
    pub async fn stop(&self, _name: &str) -> Result<(), HerderError> {
        Err(incomplete())
    }

    /// Restarts the connector and, if asked to, its tasks (KIP-745). The status shows what will
    /// restart as RESTARTING. Without `include_tasks` and `only_failed` it returns once the
    /// connector has started.
    pub async fn restart_connector(
        &self,
        _name: &str,
        _include_tasks: bool,
        _only_failed: bool,
    ) -> Result<ConnectorStatus, HerderError> {
        Err(incomplete())
    }

    /// Restarts one task.
    pub async fn restart_task(&self, _id: &TaskId) -> Result<(), HerderError> {
        Err(incomplete())
    }

    /// The tasks of a connector with their configurations, ascending.
    pub async fn task_infos(&self, _name: &str) -> Result<Vec<(TaskId, Props)>, HerderError> {
        Err(incomplete())
    }

    /// The states of a connector and its tasks.
    pub async fn connector_status(&self, _name: &str) -> Result<ConnectorStatus, HerderError> {
        Err(incomplete())
    }

    /// The state of one task.
    pub async fn task_status(&self, _id: &TaskId) -> Result<StateInfo, HerderError> {
        Err(incomplete())
    }

    /// The topics that a connector used; empty for an unknown one.
    pub async fn topics(&self, _name: &str) -> Result<Vec<String>, HerderError> {
        Err(incomplete())
    }

    /// Forgets the topics that a connector used.
    pub async fn reset_topics(&self, _name: &str) -> Result<(), HerderError> {
        Err(incomplete())
    }

    /// The offsets of a connector: of a source as stored, of a sink as its consumer group has them.
    pub async fn offsets(&self, _name: &str) -> Result<Vec<ConnectorOffset>, HerderError> {
        Err(incomplete())
    }

    /// Whether the worker can do its work. Bounded by 10 s.
    pub async fn health(&self) -> Health {
        Health {
            started: false,
            herder_alive: false,
            database_reachable: self.store.ping().await.is_ok(),
            broker_reachable: false,
        }
    }
}

fn internal(error: impl Into<ConnectError>) -> HerderError {
    HerderError::Internal(error.into())
}

fn incomplete() -> HerderError {
    HerderError::Internal(ConnectError::fatal("the herder is incomplete"))
}
