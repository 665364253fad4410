//! Records as trees, and the coordinates of records.

use std::fmt;
use std::sync::Arc;

use super::{Headers, Schema, Value};

/// A value with its schema; no schema means schemaless data.
#[derive(Debug, Clone, PartialEq)]
pub struct SchemaAndValue {
    pub schema: Option<Arc<Schema>>,
    pub value: Value,
}

impl SchemaAndValue {
    /// Null without a schema: a null key, or the value of a tombstone.
    pub const NULL: Self = Self { schema: None, value: Value::Null };
}

/// What transforms see, at the source and at the sink alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub topic: Arc<str>,
    /// The Kafka partition, where one is set.
    pub partition: Option<i32>,
    pub key: SchemaAndValue,
    pub value: SchemaAndValue,
    /// Milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    /// The Kafka offset; `None` at a source.
    pub offset: Option<i64>,
    pub headers: Headers,
}

/// A source partition and a position in it, each as the JSON text that the offsets endpoints show.
///
/// Text and not maps: one is made per source commit, and only the newest of many is ever read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOffset {
    pub partition: Arc<str>,
    pub offset: Arc<str>,
}

/// A partition of a Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
