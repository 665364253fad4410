//! Wire shapes. Field order is wire order (Kafka Connect, `rest/entities`).

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::config::Props;
use crate::plugin::Plugin;
use crate::runtime::herder::{self, StateInfo, TaskId};
use crate::runtime::loggers;

/// What answers here.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerInfo {
    /// The version of Kafka Connect that the API equals; clients open their feature gates by it.
    #[schema(example = "3.9.1")]
    pub(super) version: &'static str,
    #[schema(example = "unknown")]
    pub(super) commit: &'static str,
    /// Null until the cluster has answered once.
    #[schema(example = "MkU3OEVBNTcwNTJENDM2Qk")]
    pub(super) kafka_cluster_id: Option<String>,
}

/// How the worker is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkerStatus {
    /// healthy, starting or unhealthy.
    #[schema(example = "healthy")]
    pub(super) status: &'static str,
    #[schema(example = "Worker has completed startup and is ready to handle requests.")]
    pub(super) message: String,
}

/// A connector with its configuration as submitted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorInfo {
    #[schema(example = "s3-sink")]
    pub(super) name: String,
    #[schema(
        value_type = BTreeMap<String, String>,
        example = json!({"connector.class": "S3SinkConnector", "name": "s3-sink", "topics": "t"}),
    )]
    pub(super) config: Props,
    pub(super) tasks: Vec<ConnectorTaskId>,
    /// source, sink or unknown.
    #[serde(rename = "type")]
    #[schema(example = "sink")]
    pub(super) kind: &'static str,
}

impl From<herder::ConnectorInfo> for ConnectorInfo {
    fn from(info: herder::ConnectorInfo) -> Self {
        Self {
            name: info.name,
            config: info.config,
            tasks: info.tasks.into_iter().map(Into::into).collect(),
            kind: info.kind.name(),
        }
    }
}

/// A task of a connector.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorTaskId {
    #[schema(example = "s3-sink")]
    pub(super) connector: String,
    #[schema(example = 0)]
    pub(super) task: usize,
}

impl From<TaskId> for ConnectorTaskId {
    fn from(id: TaskId) -> Self {
        Self { connector: id.connector, task: id.task }
    }
}

/// A task with its configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskInfo {
    pub(super) id: ConnectorTaskId,
    #[schema(
        value_type = BTreeMap<String, String>,
        example = json!({"task.class": "io.confluent.connect.s3.S3SinkTask", "topics": "t"}),
    )]
    pub(super) config: Props,
}

/// The states of a connector and its tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorStateInfo {
    #[schema(example = "s3-sink")]
    pub(super) name: String,
    pub(super) connector: ConnectorState,
    /// By task number.
    pub(super) tasks: Vec<TaskState>,
    /// source, sink or unknown.
    #[serde(rename = "type")]
    #[schema(example = "sink")]
    pub(super) kind: &'static str,
}

impl From<herder::ConnectorStatus> for ConnectorStateInfo {
    fn from(status: herder::ConnectorStatus) -> Self {
        Self {
            name: status.name,
            connector: status.connector.into(),
            tasks: status.tasks.into_iter().map(|(id, state)| TaskState::of(id, state)).collect(),
            kind: status.kind.name(),
        }
    }
}

/// The state of a connector.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorState {
    /// RUNNING, PAUSED, STOPPED, FAILED, UNASSIGNED or RESTARTING.
    #[schema(example = "RUNNING")]
    pub(super) state: &'static str,
    #[schema(example = "10.0.0.1:8083")]
    pub(super) worker_id: String,
    #[schema(example = "3.6.0")]
    pub(super) version: Option<String>,
    /// Why it failed; its first line is the short form.
    #[serde(skip_serializing_if = "is_blank")]
    #[schema(example = "cannot connect to \"postgres:5432\"")]
    pub(super) trace: Option<String>,
}

impl From<StateInfo> for ConnectorState {
    fn from(info: StateInfo) -> Self {
        let StateInfo { state, worker_id, trace, version, condition: _ } = info;
        Self { state: state.name(), worker_id, version, trace }
    }
}

/// The state of a task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskState {
    #[schema(example = 0)]
    pub(super) id: usize,
    /// RUNNING, PAUSED, FAILED, UNASSIGNED or RESTARTING.
    #[schema(example = "RUNNING")]
    pub(super) state: &'static str,
    #[schema(example = "10.0.0.1:8083")]
    pub(super) worker_id: String,
    #[schema(example = "3.6.0")]
    pub(super) version: Option<String>,
    /// Why it failed; its first line is the short form.
    #[serde(skip_serializing_if = "is_blank")]
    #[schema(example = "publication \"dbz_publication\" does not exist")]
    pub(super) trace: Option<String>,
}

impl TaskState {
    /// The state of task `id`.
    pub(super) fn of(id: usize, info: StateInfo) -> Self {
        let StateInfo { state, worker_id, trace, version, condition: _ } = info;
        Self { id, state: state.name(), worker_id, version, trace }
    }
}

/// A [`ConnectorInfo`] in a listing.
#[derive(Debug, Serialize)]
pub(super) struct ListedInfo {
    name: String,
    config: Box<RawValue>,
    tasks: Vec<ConnectorTaskId>,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl From<herder::ListedInfo> for ListedInfo {
    fn from(info: herder::ListedInfo) -> Self {
        Self {
            name: info.name,
            config: info.config,
            tasks: info.tasks.into_iter().map(Into::into).collect(),
            kind: info.kind.name(),
        }
    }
}

/// What a listing shows of a connector.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Expanded {
    Info(ListedInfo),
    Status(ConnectorStateInfo),
}

/// An object whose members have this order. It is written without a tree of values in between: a
/// listing of some hundred connectors has tens of thousands of them.
#[derive(Debug)]
pub(super) struct InOrder<K, V>(pub(super) Vec<(K, V)>);

impl<K: Serialize, V: Serialize> Serialize for InOrder<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// How a connector and its tasks fare.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorHealth {
    #[schema(example = "s3-sink")]
    pub(super) name: String,
    pub(super) connector: HealthOf,
    /// By task number.
    pub(super) tasks: Vec<TaskHealth>,
}

impl From<herder::ConnectorStatus> for ConnectorHealth {
    fn from(status: herder::ConnectorStatus) -> Self {
        let tasks = status.tasks.into_iter();
        Self {
            name: status.name,
            connector: status.connector.into(),
            tasks: tasks.map(|(id, info)| TaskHealth { id, health: info.into() }).collect(),
        }
    }
}

/// How a connector fares, or a task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthOf {
    /// The state that `status` shows.
    #[schema(example = "RUNNING")]
    state: &'static str,
    #[schema(example = "10.0.0.1:8083")]
    worker_id: String,
    /// What keeps it from moving: the failure, or what is tried again and when. Null: nothing.
    #[schema(example = "a subscribed topic does not exist yet")]
    condition: Option<String>,
}

impl From<StateInfo> for HealthOf {
    fn from(info: StateInfo) -> Self {
        let condition = info.trace.or(info.condition);
        Self { state: info.state.name(), worker_id: info.worker_id, condition }
    }
}

/// How a task fares.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskHealth {
    #[schema(example = 0)]
    id: usize,
    #[serde(flatten)]
    health: HealthOf,
}

fn is_blank(trace: &Option<String>) -> bool {
    trace.as_deref().unwrap_or_default().is_empty()
}

/// Topics.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TopicList {
    #[schema(example = json!(["cdc.commerce.products"]))]
    pub(super) topics: Vec<String>,
}

/// The offsets of a connector.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorOffsets {
    pub(super) offsets: Vec<ConnectorOffset>,
}

/// A partition and the position in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorOffset {
    /// Free for sources; `kafka_topic` and `kafka_partition` for sinks.
    #[schema(value_type = Object, example = json!({"kafka_partition": 3, "kafka_topic": "t"}))]
    pub(super) partition: serde_json::Value,
    /// Free for sources; `kafka_offset` for sinks. In a change, null forgets the partition.
    #[schema(value_type = Option<Object>, example = json!({"kafka_offset": 1000}))]
    pub(super) offset: serde_json::Value,
}

/// What was done.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Message {
    #[schema(example = "The offsets for this connector have been altered successfully")]
    pub(super) message: String,
}

impl From<herder::ConnectorOffset> for ConnectorOffset {
    fn from(offset: herder::ConnectorOffset) -> Self {
        Self { partition: offset.partition, offset: offset.offset }
    }
}

/// The level of a logger.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LoggerLevel {
    #[schema(example = "DEBUG")]
    level: &'static str,
    /// Milliseconds since 1970; null until it is changed.
    #[schema(example = 1_790_000_000_000_i64)]
    last_modified: Option<i64>,
}

impl From<loggers::LoggerLevel> for LoggerLevel {
    fn from(set: loggers::LoggerLevel) -> Self {
        Self { level: set.level.name(), last_modified: set.last_modified }
    }
}

/// The body of `PUT /admin/loggers/{logger}`, for the document; what reads it is `json`.
#[derive(Debug, ToSchema)]
#[schema(as = LoggerChange)]
#[expect(dead_code, reason = "describes the body; the reader keeps source texts")]
pub(super) struct LoggerChangeSchema {
    /// In any case.
    #[schema(example = "DEBUG")]
    level: String,
}

/// A plugin of this worker.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PluginInfo {
    #[schema(example = "io.confluent.connect.s3.S3SinkConnector")]
    pub(super) class: String,
    /// sink, source, transformation, predicate, converter or header_converter.
    #[serde(rename = "type")]
    #[schema(example = "sink")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    #[schema(example = "12.1.0")]
    pub(super) version: &'static str,
}

impl From<&Plugin> for PluginInfo {
    fn from(plugin: &Plugin) -> Self {
        Self { class: plugin.class.to_owned(), kind: plugin.kind().name(), version: plugin.version }
    }
}

/// The body of `POST /connectors`, for the document; what reads it is `json`.
#[derive(Debug, ToSchema)]
#[schema(as = CreateConnectorRequest)]
#[expect(dead_code, reason = "describes the body; the reader keeps source texts")]
pub(super) struct CreateConnectorRequestSchema {
    #[schema(example = "s3-sink")]
    name: String,
    /// Numbers and booleans are taken as their text.
    #[schema(example = json!({"connector.class": "S3SinkConnector", "topics": "t", "s3.bucket.name": "b", "flush.size": "1000", "storage.class": "io.confluent.connect.s3.storage.S3Storage", "format.class": "io.confluent.connect.s3.format.parquet.ParquetFormat"}))]
    config: BTreeMap<String, Option<String>>,
    /// RUNNING, PAUSED or STOPPED in any case; RUNNING when absent.
    #[schema(example = "RUNNING")]
    initial_state: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_left_out() {
        let plugin = |version| {
            let info = PluginInfo { class: "org.x.Sink".to_owned(), kind: "sink", version };
            serde_json::to_string(&info).unwrap()
        };
        assert_eq!(plugin(""), "{\"class\":\"org.x.Sink\",\"type\":\"sink\"}");
        assert_eq!(plugin("1"), "{\"class\":\"org.x.Sink\",\"type\":\"sink\",\"version\":\"1\"}");
        let state = |trace: Option<&str>| {
            let trace = trace.map(str::to_owned);
            let state =
                ConnectorState { state: "FAILED", worker_id: String::new(), version: None, trace };
            serde_json::to_value(&state).unwrap().get("trace").is_some()
        };
        assert!(state(Some("why")) && !state(Some("")) && !state(None));
    }
}
