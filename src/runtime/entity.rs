//! What the herder answers with: connectors, tasks, their states, and why a command was refused.

use std::fmt;

use serde_json::value::RawValue;

use crate::config::Props;
use crate::error::ConnectError;

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
    /// Why it failed.
    pub trace: Option<String>,
    /// What keeps it from moving although it runs: the outside that is tried again, and when.
    pub condition: Option<String>,
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

/// A [`ConnectorInfo`] in a listing, its configuration as the JSON object that is stored.
#[derive(Debug)]
pub struct ListedInfo {
    pub name: String,
    pub config: Box<RawValue>,
    pub tasks: Vec<TaskId>,
    pub kind: ConnectorKind,
}

/// An entry of `GET /connectors?expand=...`.
#[derive(Debug)]
pub struct Overview {
    pub name: String,
    /// `None` when it was not asked for.
    pub info: Option<ListedInfo>,
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
