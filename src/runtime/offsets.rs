//! The offsets of connectors, read and changed (KIP-875). Texts are the original's.

use serde_json::{Map, Value};

use crate::connector::OffsetChange;
use crate::data::TopicPartition;
use crate::error::ConnectError;
use crate::kafka::GroupError;
use crate::runtime::connector_config::TASKS_MAX;
use crate::runtime::entity::{ConnectorKind, ConnectorOffset, HerderError, TargetState};
use crate::runtime::exactly_once::{AlterError, alter_recorded};
use crate::runtime::herder::{Answer, Herder, internal};
use crate::runtime::panics;
use crate::store::StoredConnector;

const TOPIC: &str = "kafka_topic";
const PARTITION: &str = "kafka_partition";
const OFFSET: &str = "kafka_offset";

/// What is done with offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Alter,
    Reset,
}

impl Change {
    fn verb(self) -> &'static str {
        match self {
            Self::Alter => "alter",
            Self::Reset => "reset",
        }
    }

    /// What the client is told when it is done; `judged`: the connector itself agreed.
    fn done(self, judged: bool) -> String {
        let done = match self {
            Self::Alter => "altered",
            Self::Reset => "reset",
        };
        if judged {
            return format!("The offsets for this connector have been {done} successfully");
        }
        format!(
            "The Connect framework-managed offsets for this connector have been {done} \
             successfully. However, if this connector manages offsets externally, they will need \
             to be manually {done} in the system that the connector uses."
        )
    }
}

impl Herder {
    /// The offsets of a connector: of a source as stored, of a sink as its consumer group has them.
    ///
    /// # Errors
    /// `Connector {c} not found`; when the consumer group cannot be read.
    pub async fn offsets(&self, name: &str) -> Answer<Vec<ConnectorOffset>> {
        let connector = self.known(name).await?;
        match self.kind(&connector) {
            ConnectorKind::Sink => self.sink_offsets(&self.resolved(connector).await?).await,
            ConnectorKind::Source | ConnectorKind::Unknown => self.source_offsets(name).await,
        }
    }

    /// Changes the offsets of a stopped connector; returns what to tell the client.
    ///
    /// # Errors
    /// `Connector {c} not found`; when it is not stopped; what is wrong with the offsets; when they
    /// cannot be stored.
    pub async fn alter_offsets(&self, name: &str, changes: &[OffsetChange]) -> Answer<String> {
        let connector = self.stopped(name).await?;
        match self.kind(&connector) {
            ConnectorKind::Sink => {
                let changes =
                    changes.iter().map(sink_change).collect::<Result<Vec<_>, HerderError>>()?;
                let altering = self.cluster.alter_group_offsets(name, &connector.config, &changes);
                altering.await.map_err(|error| group_failure(error, Change::Alter, name))?;
                let followed = self.change()?.alter_sink_offsets(name, &changes).await;
                still_stopped(followed.map_err(internal)?, name)?;
                Ok(Change::Alter.done(false))
            }
            ConnectorKind::Source | ConnectorKind::Unknown => {
                let judged = self.judge(name, &connector, changes)?;
                self.change_source_offsets(&connector, changes).await?;
                Ok(Change::Alter.done(judged))
            }
        }
    }

    /// Forgets the offsets of a stopped connector; returns what to tell the client.
    ///
    /// # Errors
    /// As [`Herder::alter_offsets`].
    pub async fn reset_offsets(&self, name: &str) -> Answer<String> {
        let connector = self.stopped(name).await?;
        match self.kind(&connector) {
            ConnectorKind::Sink => {
                let deleting = self.cluster.delete_group(name, &connector.config);
                deleting.await.map_err(|error| group_failure(error, Change::Reset, name))?;
                let followed = self.change()?.reset_sink_offsets(name).await.map_err(internal)?;
                still_stopped(followed, name)?;
                Ok(Change::Reset.done(false))
            }
            ConnectorKind::Source | ConnectorKind::Unknown => {
                let stored = self.source_offsets(name).await?;
                let changes: Vec<OffsetChange> = stored
                    .into_iter()
                    .map(|stored| OffsetChange {
                        partition: stored.partition.as_object().cloned(),
                        offset: None,
                    })
                    .collect();
                let judged = self.judge(name, &connector, &changes)?;
                self.change_source_offsets(&connector, &changes).await?;
                Ok(Change::Reset.done(judged))
            }
        }
    }

    /// The connector, once its tasks have ended. The last offsets of its tasks are stored before
    /// others are.
    async fn stopped(&self, name: &str) -> Answer<StoredConnector> {
        let connector = self.known(name).await?;
        let stopped = connector.target_state == TargetState::Stopped && connector.tasks.is_empty();
        still_stopped(stopped, name)?;
        self.poke_and_wait(name).await?;
        self.resolved(connector).await
    }

    /// The connector with the references of its configuration resolved.
    async fn resolved(&self, mut connector: StoredConnector) -> Answer<StoredConnector> {
        let resolved = self.shared.assembly.resolve(&connector.config).await.map_err(internal)?;
        connector.config = resolved.props;
        Ok(connector)
    }

    /// What the connector itself says to the changes.
    fn judge(
        &self,
        name: &str,
        connector: &StoredConnector,
        changes: &[OffsetChange],
    ) -> Answer<bool> {
        let assembly = &self.shared.assembly;
        let connector = assembly.connector(&connector.config).map_err(|error| {
            let text = format!("Failed to modify offsets for connector {name}");
            internal(ConnectError::config(text).because(error))
        })?;
        panics::caught(|| connector.alter_offsets(changes)).map_err(internal)
    }

    async fn change_source_offsets(
        &self,
        connector: &StoredConnector,
        changes: &[OffsetChange],
    ) -> Answer<()> {
        let name = &connector.name;
        let stored = self.source_offsets_as_stored(name).await?;
        let mut texts = Vec::with_capacity(changes.len());
        for change in changes {
            let partition = change.partition.as_ref();
            let partition = partition
                .ok_or_else(|| internal(ConnectError::data("Partition objects cannot be null")))?;
            only_scalars(partition)?;
            change.offset.as_ref().map_or(Ok(()), only_scalars)?;
            // The order of members tells two texts apart, but not two partitions.
            let same = stored.iter().find(|(_, known)| known.as_object() == Some(partition));
            let partition = same.map_or_else(|| text(partition), |(text, _)| text.clone());
            texts.push((partition, change.offset.as_ref().map(text)));
        }
        self.alter_recorded(connector, &texts).await?;
        let changed = self.change()?.alter_source_offsets(name, &texts).await;
        still_stopped(changed.map_err(internal)?, name)
    }

    /// With exactly-once delivery the offsets topic comes first: it says where the tasks go on.
    async fn alter_recorded(
        &self,
        connector: &StoredConnector,
        changes: &[(String, Option<String>)],
    ) -> Answer<()> {
        let worker = &self.shared.assembly.worker;
        let Some(topic) = &worker.exactly_once else { return Ok(()) };
        let tasks = connector.config.get(TASKS_MAX).and_then(|tasks| tasks.trim().parse().ok());
        let of = (&connector.config, tasks.unwrap_or(1));
        let altered = alter_recorded((worker, topic), &connector.name, of, changes).await;
        altered.map_err(|error| {
            let (text, cause) = match error {
                AlterError::Fencing(cause) => (
                    "Failed to perform zombie fencing for source connector prior to modifying offsets"
                        .to_owned(),
                    cause,
                ),
                AlterError::Writing(cause) => (
                    format!("Failed to modify offsets for connector {}", connector.name),
                    cause,
                ),
            };
            internal(ConnectError::retriable(text).because(cause))
        })
    }

    fn kind(&self, connector: &StoredConnector) -> ConnectorKind {
        self.shared.assembly.kind(&connector.config)
    }

    async fn source_offsets_as_stored(&self, name: &str) -> Answer<Vec<(String, Value)>> {
        let offsets = self.store().source_offsets(name).await.map_err(internal)?;
        offsets
            .into_iter()
            .map(|stored| Ok((stored.partition.to_string(), parsed(name, &stored.partition)?)))
            .collect()
    }

    async fn source_offsets(&self, name: &str) -> Answer<Vec<ConnectorOffset>> {
        let offsets = self.store().source_offsets(name).await.map_err(internal)?;
        offsets
            .iter()
            .map(|stored| {
                Ok(ConnectorOffset {
                    partition: parsed(name, &stored.partition)?,
                    offset: parsed(name, &stored.offset)?,
                })
            })
            .collect()
    }

    async fn sink_offsets(&self, connector: &StoredConnector) -> Answer<Vec<ConnectorOffset>> {
        let name = &connector.name;
        let offsets = self.cluster.group_offsets(name, &connector.config).await;
        let offsets = offsets.map_err(|error| {
            let text = "Failed to retrieve consumer group offsets for sink connector";
            internal(ConnectError::retriable(format!("{text} {name}")).because(error))
        })?;
        Ok(offsets
            .into_iter()
            .map(|(at, offset)| ConnectorOffset {
                partition: serde_json::json!({ PARTITION: at.partition, TOPIC: &*at.topic }),
                offset: serde_json::json!({ OFFSET: offset }),
            })
            .collect())
    }
}

fn still_stopped(stopped: bool, name: &str) -> Answer<()> {
    if stopped {
        return Ok(());
    }
    Err(HerderError::BadRequest(format!(
        "Connectors must be in the STOPPED state before their offsets can be modified. This can be \
         done for the specified connector by issuing a 'PUT' request to the \
         '/connectors/{name}/stop' endpoint"
    )))
}

fn parsed(name: &str, text: &str) -> Answer<Value> {
    serde_json::from_str(text).map_err(|error| {
        let text = format!("Failed to retrieve offsets for source connector {name}");
        internal(ConnectError::fatal(text).because(error))
    })
}

fn text(members: &Map<String, Value>) -> String {
    serde_json::to_string(members).expect("JSON is JSON")
}

/// Kafka Connect, `OffsetUtils.validateFormat`.
fn only_scalars(members: &Map<String, Value>) -> Answer<()> {
    for (field, value) in members {
        let kind = match value {
            Value::Object(_) => "MAP",
            Value::Array(_) => "ARRAY",
            _ => continue,
        };
        return Err(internal(ConnectError::data(format!(
            "Offsets may only contain primitive types as values, but field {field} contains {kind}"
        ))));
    }
    Ok(())
}

/// Kafka Connect, `SinkUtils.parseSinkConnectorOffsets`.
fn sink_change(change: &OffsetChange) -> Answer<(TopicPartition, Option<i64>)> {
    let refused = |text: &str| HerderError::BadRequest(text.to_owned());
    let members = change.partition.as_ref().ok_or_else(|| {
        refused("The partition for a sink connector offset cannot be null or missing")
    })?;
    let (Some(topic), Some(partition)) = (members.get(TOPIC), members.get(PARTITION)) else {
        return Err(refused(
            "The partition for a sink connector offset must contain the keys 'kafka_topic' and \
             'kafka_partition'",
        ));
    };
    if topic.is_null() {
        return Err(refused("Kafka topic names must be valid strings and may not be null"));
    }
    if partition.is_null() {
        return Err(refused("Kafka partitions must be valid numbers and may not be null"));
    }
    let partition = plain(partition);
    let partition: i32 = partition.parse().map_err(|_| {
        refused(&format!(
            "Failed to parse the following Kafka partition value in the provided offsets: \
             '{partition}'. Partition values for sink connectors need to be integers."
        ))
    })?;
    let offset = change.offset.as_ref().map(sink_position).transpose()?;
    Ok((TopicPartition { topic: plain(topic).into(), partition }, offset))
}

fn sink_position(members: &Map<String, Value>) -> Answer<i64> {
    let Some(offset) = members.get(OFFSET) else {
        return Err(HerderError::BadRequest(
            "The offset for a sink connector should either be null or contain the key \
             'kafka_offset'"
                .to_owned(),
        ));
    };
    let offset = plain(offset);
    offset.parse().map_err(|_| {
        HerderError::BadRequest(format!(
            "Failed to parse the following Kafka offset value in the provided offsets: '{offset}'. \
             Offset values for sink connectors need to be integers."
        ))
    })
}

/// A value as Java's `String.valueOf` shows it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn group_failure(error: GroupError, change: Change, name: &str) -> HerderError {
    let verb = change.verb();
    match error {
        GroupError::InUse(cause) => internal(
            ConnectError::retriable(format!(
                "Failed to {verb} consumer group offsets for connector {name} either because its \
                 tasks haven't stopped completely yet or the connector was resumed before the \
                 request to {verb} its offsets could be successfully completed. If the connector is \
                 in a stopped state, this operation can be safely retried. If it doesn't eventually \
                 succeed, the Connect cluster may need to be restarted to get rid of the zombie sink \
                 tasks."
            ))
            .because(cause),
        ),
        GroupError::Failed(cause) => {
            let text = match change {
                Change::Alter => "Failed to alter consumer group offsets for connector",
                Change::Reset => "Failed to reset consumer group offsets for sink connector",
            };
            internal(ConnectError::retriable(format!("{text} {name}")).because(cause))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(partition: Value, offset: Value) -> OffsetChange {
        OffsetChange {
            partition: partition.as_object().cloned(),
            offset: offset.as_object().cloned(),
        }
    }

    #[test]
    fn a_sinks_partition_and_offset_are_read_from_numbers_and_texts() {
        let at = |partition| TopicPartition { topic: "t".into(), partition };
        for (partition, offset, expected) in [
            (json!({TOPIC: "t", PARTITION: 1}), json!({OFFSET: 5}), (at(1), Some(5))),
            (json!({TOPIC: "t", PARTITION: "10"}), json!({OFFSET: "7"}), (at(10), Some(7))),
            (json!({TOPIC: "t", PARTITION: 1}), Value::Null, (at(1), None)),
        ] {
            assert_eq!(sink_change(&change(partition, offset)).unwrap(), expected);
        }
    }

    #[test]
    fn nested_offsets_are_refused() {
        for (members, kind) in [(json!({"a": 1, "f": {}}), "MAP"), (json!({"f": []}), "ARRAY")] {
            let error = only_scalars(members.as_object().unwrap()).unwrap_err().to_string();
            let expected =
                "Offsets may only contain primitive types as values, but field f contains";
            assert_eq!(error, format!("{expected} {kind}"));
        }
        assert!(only_scalars(json!({"a": null, "b": 1.5}).as_object().unwrap()).is_ok());
    }
}
