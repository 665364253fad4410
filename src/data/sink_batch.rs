//! What a sink task is given: decoded rows, each with where it came from.

use std::sync::Arc;

use super::{RecordBatch, Schema, TopicPartition};

/// Decoded records of a consumer poll; `origins` has one entry per row of `records`.
///
/// The arena of `records.wire` holds the messages as consumed, so that a rejected one can be sent to
/// the dead letter queue byte for byte.
#[derive(Debug, Default)]
pub struct SinkBatch {
    pub records: RecordBatch,
    pub origins: Vec<Origin>,
    /// The partitions that `origins` refer to.
    pub partitions: Vec<TopicPartition>,
    /// The schema of the first key of each partition in this batch, where it has one: what the rows
    /// are keyed by, for sinks that say so. The keys of planned rows themselves are not read.
    pub key_schemas: Vec<Option<Arc<Schema>>>,
}

/// The Kafka coordinates of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// An index of [`SinkBatch::partitions`]. The *original* topic: a transform may have renamed
    /// the record's.
    pub partition: u32,
    pub offset: i64,
    /// Milliseconds since the epoch; `None` when the broker keeps none.
    pub timestamp_ms: Option<i64>,
}

impl SinkBatch {
    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.origins.clear();
        self.partitions.clear();
        self.key_schemas.clear();
    }
}
