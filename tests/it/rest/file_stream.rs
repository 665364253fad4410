//! The original's FileStream connectors, as far as the REST API sees them: names, keys, states. They
//! let the contract tests run against any Connect worker that has the real ones.
//!
//! Keys that only these have: `test.records` (a source produces so many records), `test.tasks` (asks
//! for so many tasks), `test.fail` (`task`, the task of a number as in `task-1`, or `connector` fails
//! when it starts).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ferroconnect::config::{ConfigDef, ConfigError, ConfigKey, ConfigType, Props, Validator};
use ferroconnect::connector::{
    Connector, ConnectorContext, OffsetChange, OffsetCommitter, SinkTask, SinkTaskContext,
    SourceTask, SourceTaskContext,
};
use ferroconnect::data::{
    Record, RecordBatch, SchemaAndValue, SinkBatch, SourceOffset, TopicPartition, Value,
};
use ferroconnect::error::ConnectError;
use ferroconnect::plugin::{Constructor, Plugin, Plugins};

/// Everything built in, and the FileStream connectors.
pub(crate) fn plugins() -> Plugins {
    let mut plugins = Plugins::builtin();
    plugins.register(Plugin {
        class: "org.apache.kafka.connect.file.FileStreamSourceConnector",
        aliases: &[],
        version: "3.9.1",
        config_def: source_config,
        constructor: Constructor::Source { connector: planner, task: source_task },
    });
    plugins.register(Plugin {
        class: "org.apache.kafka.connect.file.FileStreamSinkConnector",
        aliases: &[],
        version: "3.9.1",
        config_def: sink_config,
        constructor: Constructor::Sink { connector: planner, task: sink_task },
    });
    plugins
}

fn source_config() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new("file", ConfigType::String, "The file to read.").high(),
        ConfigKey::new("topic", ConfigType::String, "The topic to write to.")
            .required()
            .high()
            .check(Validator::NonEmpty),
        ConfigKey::new("batch.size", ConfigType::Int, "Records per poll.").default("2000"),
    ])
}

fn sink_config() -> ConfigDef {
    ConfigDef::new(vec![ConfigKey::new("file", ConfigType::String, "The file to write.").high()])
}

/// The task's number, in its configuration.
const TASK: &str = "test.task";

struct Planner(Props);

fn planner(props: &Props, _: ConnectorContext) -> Result<Box<dyn Connector>, ConnectError> {
    Ok(Box::new(Planner(props.clone())))
}

fn number(props: &Props, key: &str) -> Option<usize> {
    props.get(key).and_then(|text| text.parse().ok())
}

#[async_trait]
impl Connector for Planner {
    async fn validate(&self) -> Vec<ConfigError> {
        Vec::new()
    }

    fn task_configs(&self, tasks_max: usize) -> Result<Vec<Props>, ConnectError> {
        if self.0.get("test.fail").is_some_and(|what| what == "connector") {
            return Err(ConnectError::config("the connector fails as it was told"));
        }
        let is_sink = !self.0.contains_key("topic");
        let tasks = number(&self.0, "test.tasks").unwrap_or(if is_sink { tasks_max } else { 1 });
        let numbered = |number: usize| {
            let mut config = self.0.clone();
            config.insert(TASK.to_owned(), number.to_string());
            config
        };
        Ok((0..tasks).map(numbered).collect())
    }

    fn alter_offsets(&self, changes: &[OffsetChange]) -> Result<bool, ConnectError> {
        // As `FileStreamSourceConnector.alterOffsets`: what is forgotten may be anything.
        for change in changes {
            let Some(offset) = &change.offset else { continue };
            let fine = offset.get("position").is_none_or(serde_json::Value::is_u64);
            if !fine {
                let key = "The value for the 'position' key in the offset";
                return Err(ConnectError::data(format!("{key} is expected to be a Long value")));
            }
            let partition = change.partition.as_ref();
            let partition =
                partition.ok_or_else(|| ConnectError::data("Partition objects cannot be null"))?;
            if !partition.contains_key("filename") {
                let text = "Partition objects should contain the key 'filename'";
                return Err(ConnectError::data(text));
            }
        }
        Ok(true)
    }
}

struct Source {
    file: Arc<str>,
    topic: Arc<str>,
    left: usize,
    position: usize,
    fails: bool,
}

fn source_task(
    props: &Props,
    context: SourceTaskContext,
) -> Result<Box<dyn SourceTask>, ConnectError> {
    let text = |key: &str| Arc::from(props.get(key).map_or("", String::as_str));
    let stored = context.offsets.first().map(|stored| {
        let offset: serde_json::Value = serde_json::from_str(&stored.offset).expect("JSON");
        offset["position"].as_u64().and_then(|position| usize::try_from(position).ok())
    });
    Ok(Box::new(Source {
        file: text("file"),
        topic: text("topic"),
        left: number(props, "test.records").unwrap_or(0),
        position: stored.flatten().unwrap_or(0),
        fails: fails(props),
    }))
}

fn fails(props: &Props) -> bool {
    let told = props.get("test.fail").map_or("", String::as_str);
    told == "task" || props.get(TASK).is_some_and(|number| told == format!("task-{number}"))
}

fn told() -> ConnectError {
    ConnectError::fatal("the task fails as it was told")
}

#[async_trait]
impl SourceTask for Source {
    async fn poll(&mut self, out: &mut RecordBatch) -> Result<(), ConnectError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if self.fails {
            return Err(told());
        }
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        self.position += 1;
        out.push_record(Record {
            topic: self.topic.clone(),
            partition: None,
            key: SchemaAndValue::NULL,
            value: SchemaAndValue { schema: None, value: Value::String("line".into()) },
            timestamp_ms: None,
            offset: None,
            headers: Vec::new(),
        });
        out.seal(SourceOffset {
            partition: format!("{{\"filename\":\"{}\"}}", self.file).into(),
            offset: format!("{{\"position\":{}}}", self.position).into(),
        });
        Ok(())
    }

    fn committer(&self) -> Arc<dyn OffsetCommitter> {
        Arc::new(Forgetful)
    }

    async fn stop(self: Box<Self>) -> Result<(), ConnectError> {
        Ok(())
    }
}

struct Forgetful;

#[async_trait]
impl OffsetCommitter for Forgetful {
    async fn commit(&self, _stored: &SourceOffset) -> Result<(), ConnectError> {
        Ok(())
    }
}

#[derive(Default)]
struct Sink {
    next: Vec<(TopicPartition, i64)>,
    fails: bool,
}

fn sink_task(props: &Props, _: SinkTaskContext) -> Result<Box<dyn SinkTask>, ConnectError> {
    Ok(Box::new(Sink { fails: fails(props), ..Sink::default() }))
}

#[async_trait]
impl SinkTask for Sink {
    async fn open(
        &mut self,
        _partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        Ok(Vec::new())
    }

    async fn put(&mut self, batch: &SinkBatch) -> Result<(), ConnectError> {
        if self.fails {
            return Err(told());
        }
        for origin in &batch.origins {
            let index = usize::try_from(origin.partition).expect("an index");
            let partition = batch.partitions[index].clone();
            self.next.retain(|(other, _)| *other != partition);
            self.next.push((partition, origin.offset + 1));
        }
        Ok(())
    }

    async fn pre_commit(&mut self) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        Ok(std::mem::take(&mut self.next))
    }

    async fn close(&mut self, _partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        Ok(())
    }

    async fn stop(self: Box<Self>) -> Result<(), ConnectError> {
        Ok(())
    }
}
