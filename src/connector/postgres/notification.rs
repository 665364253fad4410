//! Notifications: what a snapshot is doing, told to whoever listens. Source: Debezium,
//! `NotificationService` and its channels.

use std::sync::Arc;

use crate::config::Parsed;
use crate::connector::postgres::codec::structure;
use crate::connector::postgres::pgoutput::micros_now;
use crate::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Type, Value};

/// The initial and the blocking snapshot.
pub(super) const INITIAL: &str = "Initial Snapshot";
pub(super) const INCREMENTAL: &str = "Incremental Snapshot";

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notification {
    pub(super) id: String,
    pub(super) aggregate: &'static str,
    pub(super) kind: &'static str,
    pub(super) data: Vec<(&'static str, String)>,
}

impl Notification {
    /// Of an initial or blocking snapshot.
    pub(super) fn of_snapshot(kind: &'static str, data: Vec<(&'static str, String)>) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), aggregate: INITIAL, kind, data }
    }
}

/// `notification.*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NotificationConfig {
    /// The topic of the channel `sink`.
    pub(super) topic: Option<String>,
    /// The channel `log`; `jmx` shows here too, as there is no other place for it.
    pub(super) log: bool,
}

impl NotificationConfig {
    pub(super) fn new(parsed: &Parsed) -> Self {
        let channels = parsed.list("notification.enabled.channels");
        let has = |name: &str| channels.iter().any(|channel| channel == name);
        for channel in channels.iter().filter(|name| !["sink", "log", "jmx"].contains(&&***name)) {
            tracing::warn!(channel, "notification.enabled.channels: no such channel");
        }
        Self {
            topic: has("sink")
                .then(|| parsed.optional_string("notification.sink.topic.name"))
                .flatten(),
            log: has("log") || has("jmx"),
        }
    }
}

/// Makes the records of notifications.
#[derive(Debug)]
pub(super) struct Notifier {
    config: NotificationConfig,
    connector: String,
    key: Arc<Schema>,
    value: Arc<Schema>,
}

impl Notifier {
    pub(super) fn new(config: &NotificationConfig, topic_prefix: &str) -> Self {
        const PACKAGE: &str = "io.debezium.connector.common";
        let named =
            |name: &str| SchemaBuilder::structure().name(format!("{PACKAGE}.{name}")).version(1);
        let string = || SchemaBuilder::new(Type::String).build();
        let data = SchemaBuilder::map(string(), string()).optional().build();
        let value = named("Notification")
            .field("id", string())
            .field("type", string())
            .field("aggregate_type", string())
            .field("additional_data", data)
            .field("timestamp", SchemaBuilder::new(Type::Int64).build());
        Self {
            config: config.clone(),
            connector: topic_prefix.to_owned(),
            key: named("NotificationKey").field("id", string()).build(),
            value: value.build(),
        }
    }

    /// Tells it; the record, where the channel `sink` is on.
    pub(super) fn tell(&self, notification: &Notification) -> Option<Record> {
        let millis = micros_now().div_euclid(1000);
        let Notification { id, aggregate, kind, data } = notification;
        let name = [("connector_name", self.connector.clone())];
        let data: Vec<_> = name.into_iter().chain(data.iter().cloned()).collect();
        if self.config.log {
            let pairs: Vec<_> = data.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let pairs = pairs.join(", ");
            tracing::info!(
                "[Notification Service]  {{id='{id}', aggregateType='{aggregate}', type='{kind}', \
                 additionalData={{{pairs}}}, timestamp={millis}}}"
            );
        }
        let topic = self.config.topic.as_deref()?;
        let with = |schema: &Arc<Schema>, values: Vec<Value>| SchemaAndValue {
            schema: Some(schema.clone()),
            value: structure(schema, values),
        };
        let entries =
            data.into_iter().map(|(key, value)| (Value::string(key), Value::string(value)));
        let values = vec![
            Value::string(id),
            Value::string(*kind),
            Value::string(*aggregate),
            Value::Map(entries.collect()),
            Value::Int64(millis),
        ];
        Some(Record {
            topic: topic.into(),
            partition: None,
            offset: None,
            key: with(&self.key, vec![Value::string(id)]),
            value: with(&self.value, values),
            timestamp_ms: None,
            headers: Vec::new(),
        })
    }
}
