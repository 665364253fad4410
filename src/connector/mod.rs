//! The traits of connectors and their tasks, in Connect's words.
//!
//! A connector plans work and moves no data; a task moves data. Neither sees the store, the
//! producer, the consumer or another connector: progress and durability go through the context that
//! a task is built with, whose other end the runtime owns.

mod context;
#[cfg(feature = "analytics")]
pub mod duckdb;
mod inspection;
pub mod postgres;
pub mod s3;
mod transaction;

use std::sync::Arc;

use async_trait::async_trait;

pub use context::{
    ConnectorContext, ErrantRecordReporter, Fenced, FileLedger, SinkFile, SinkTaskContext,
    SourceTaskContext, TopicMessage, TopicReader, Topics,
};
pub use inspection::{Finding, Inspection, Verdict};

pub use transaction::{TransactionContext, TransactionEnd, TransactionEnds};

use crate::config::{ConfigError, Props};
use crate::data::{RecordBatch, SinkBatch, SourceOffset, TopicPartition};
use crate::error::ConnectError;

/// Plans the work of a connector of either kind. Built from a configuration that its `ConfigDef`
/// accepted; construction fails with what only the whole configuration can tell.
#[async_trait]
pub trait Connector: Send + Sync {
    /// What the `ConfigDef` cannot know: reachability, privileges. Every check under its own
    /// deadline, all of them below 4 s together, even when the other side hangs.
    async fn validate(&self) -> Vec<ConfigError>;

    /// What else there is to see out there before the connector runs, for `ferroconnect check`: asked
    /// when [`Connector::validate`] found nothing. Must change nothing.
    ///
    /// # Errors
    /// When the outside cannot be asked.
    async fn inspect(&self) -> Result<Inspection, ConnectError> {
        Ok(Inspection::default())
    }

    /// The configurations of at most `tasks_max` tasks.
    ///
    /// # Errors
    /// When the work cannot be planned.
    fn task_configs(&self, tasks_max: usize) -> Result<Vec<Props>, ConnectError>;

    /// Whether a source hands out each record once when it is given back what was stored with the last
    /// one. `None`: it does not say (KIP-618).
    fn exactly_once_support(&self) -> Option<ExactlyOnceSupport> {
        None
    }

    /// Whether a source's task ends transactions itself, with its [`TransactionContext`] (KIP-618).
    fn defines_transaction_boundaries(&self) -> bool {
        false
    }

    /// Looks at changes of a source's stored offsets before they are made (KIP-875), while the
    /// connector is stopped. `false`: the connector has no opinion, and perhaps positions of its own.
    ///
    /// # Errors
    /// Why they cannot be made; the text goes to the client.
    fn alter_offsets(&self, _changes: &[OffsetChange]) -> Result<bool, ConnectError> {
        Ok(false)
    }
}

/// What a source says of exactly-once delivery with its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    Supported,
    Unsupported,
}

/// A change of a stored offset: JSON as the client sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetChange {
    /// `None`: the client sent none.
    pub partition: Option<serde_json::Map<String, serde_json::Value>>,
    /// `None` forgets the partition.
    pub offset: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Reads from a source system. One task is one value, built ready to poll; it connects in its first
/// poll, so that an outside that is away is retried like any other failure.
#[async_trait]
pub trait SourceTask: Send {
    /// Fills `out`, which is empty, with the next records. Waits for data rather than spinning; an
    /// empty batch means "nothing yet" and must not come back at once.
    ///
    /// Cancel-safe: the runtime may drop the future at any await point and poll again later.
    ///
    /// # Errors
    /// After a retriable error the runtime polls again with a growing delay, and the task goes on
    /// behind the last record it handed out. Any other error fails the task.
    async fn poll(&mut self, out: &mut RecordBatch) -> Result<(), ConnectError>;

    /// The other end of progress: usable while a poll is pending.
    fn committer(&self) -> Arc<dyn OffsetCommitter>;

    /// Releases what the task holds outside: connections, locks. Bounded in time.
    ///
    /// # Errors
    /// What could not be released.
    async fn stop(self: Box<Self>) -> Result<(), ConnectError>;
}

/// Told what has been stored, so that the source may forget it.
#[async_trait]
pub trait OffsetCommitter: Send + Sync {
    /// Everything up to `stored` is durable in Kafka and in the state database. Never waits for a
    /// poll.
    ///
    /// # Errors
    /// The next call repeats or overtakes this one; the runtime only logs.
    async fn commit(&self, stored: &SourceOffset) -> Result<(), ConnectError>;
}

/// Writes to a sink system.
#[async_trait]
pub trait SinkTask: Send {
    /// Whether the task looks at keys and headers. Without, they may be absent from the rows it is
    /// given, for speed.
    fn reads_keys_and_headers(&self) -> bool {
        false
    }

    /// These partitions are assigned now. Returns, for partitions whose consumption must not start
    /// at the group's offset, the offset to start at.
    ///
    /// # Errors
    /// Retriable errors are retried before any record is delivered.
    async fn open(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>, ConnectError>;

    /// Takes records; an empty batch is given at least every 500 ms so that time can pass. Records
    /// of a partition come in offset order.
    ///
    /// # Errors
    /// After a retriable error the runtime calls again with the *same* batch; rows that were already
    /// taken must be recognised by their offset and skipped.
    async fn put(&mut self, batch: &SinkBatch) -> Result<(), ConnectError>;

    /// For every partition that moved, the offset to consume next, up to which all is durable.
    ///
    /// # Errors
    /// As `put`.
    async fn pre_commit(&mut self) -> Result<Vec<(TopicPartition, i64)>, ConnectError>;

    /// These partitions were taken away: forget what is not durable.
    ///
    /// # Errors
    /// Only logged; the partitions are gone either way.
    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError>;

    /// Releases what the task holds outside. Bounded in time.
    ///
    /// # Errors
    /// What could not be released.
    async fn stop(self: Box<Self>) -> Result<(), ConnectError>;
}
