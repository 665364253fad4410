//! What a task is given by the runtime, and reaches nothing beyond.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::config::{HostMap, Props, SinkDefaults};
use crate::connector::TransactionContext;
use crate::data::{SourceOffset, TopicPartition};
use crate::error::ConnectError;
use crate::metrics::TaskMetrics;

/// The context of a connector: what it needs to reach its outside in
/// [`super::Connector::validate`].
#[derive(Clone, Debug, Default)]
pub struct ConnectorContext {
    /// `network.resolve`.
    pub hosts: Arc<HostMap>,
    /// What the worker gives to sinks whose file does not say.
    pub defaults: Arc<SinkDefaults>,
}

/// The context of a source task.
#[derive(Clone, Debug)]
pub struct SourceTaskContext {
    pub connector: String,
    pub task: usize,
    /// The stored offsets of the connector, one per source partition.
    pub offsets: Vec<SourceOffset>,
    /// `network.resolve`.
    pub hosts: Arc<HostMap>,
    /// What the worker gives to connectors that reach S3 and do not say how.
    pub defaults: Arc<SinkDefaults>,
    pub metrics: Arc<TaskMetrics>,
    /// Reads topics, where the runtime has Kafka.
    pub topics: Option<Arc<dyn Topics>>,
    /// Records are committed together with the offset that seals them: a seal must describe
    /// everything before it, or part of it comes twice.
    pub exactly_once: bool,
    /// Ends transactions, with exactly-once delivery and `transaction.boundary=connector`.
    pub transactions: Option<Arc<TransactionContext>>,
}

/// Reads topics for tasks that take orders from one.
pub trait Topics: Send + Sync + fmt::Debug {
    /// Begins to read partition 0 of `topic` behind what `group` has committed, else from its start;
    /// `props` are a consumer's, over the worker's.
    ///
    /// # Errors
    /// When a property cannot be used.
    fn read(
        &self,
        topic: &str,
        group: &str,
        props: &Props,
    ) -> Result<Box<dyn TopicReader>, ConnectError>;
}

/// One topic, message after message.
#[async_trait]
pub trait TopicReader: Send {
    /// The next message. What was returned is committed with the call after. Cancel-safe.
    ///
    /// # Errors
    /// When the topic cannot be read any more.
    async fn next(&mut self) -> Result<TopicMessage, ConnectError>;
}

/// A message of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMessage {
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

/// The context of a sink task.
#[derive(Clone)]
pub struct SinkTaskContext {
    pub connector: String,
    pub task: usize,
    /// `network.resolve`.
    pub hosts: Arc<HostMap>,
    /// What the worker gives to sinks whose file does not say.
    pub defaults: Arc<SinkDefaults>,
    pub ledger: Arc<dyn FileLedger>,
    /// Where records that cannot be written are reported; `None` when nobody asked for reports, a
    /// bad record then fails the task.
    pub reporter: Option<Arc<dyn ErrantRecordReporter>>,
    pub metrics: Arc<TaskMetrics>,
}

impl fmt::Debug for SinkTaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkTaskContext")
            .field("connector", &self.connector)
            .field("task", &self.task)
            .finish_non_exhaustive()
    }
}

/// Takes records that a task cannot write (KIP-610).
pub trait ErrantRecordReporter: Send + Sync {
    /// Reports the record at `offset`, which the task has passed over: it is in the batch of the
    /// present `put`.
    ///
    /// # Errors
    /// When `errors.tolerance` does not allow to go on; the task fails with it.
    fn report(
        &self,
        partition: &TopicPartition,
        offset: i64,
        error: ConnectError,
    ) -> Result<(), ConnectError>;
}

/// A file whose boundaries are recorded before it becomes visible: what makes wall-clock rotation
/// exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkFile {
    pub partition: TopicPartition,
    pub first_offset: i64,
    pub last_offset: i64,
    /// The object's key.
    pub key: String,
    /// The multipart upload; `None` for an object put whole.
    pub upload_id: Option<String>,
    /// The parts' entity tags, in part order.
    pub etags: Vec<String>,
    pub records: u64,
}

/// Another worker or task owns the connector now; this one must stop without another effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the lease of connector \"{connector}\" was taken over: this task is fenced")]
pub struct Fenced {
    pub connector: String,
}

/// The `sink_file` ledger in the state database, seen from one task under its lease epoch.
#[async_trait]
pub trait FileLedger: Send + Sync {
    /// Records that `files` are about to be completed, in one transaction.
    ///
    /// # Errors
    /// Fatal with [`Fenced`] as cause when the lease epoch is no longer the task's; retriable when
    /// the state database is away.
    async fn completing(&self, files: &[SinkFile]) -> Result<(), ConnectError>;

    /// Records that `files` are complete and that `next` is the offset to go on at, in one
    /// transaction.
    ///
    /// # Errors
    /// As [`FileLedger::completing`].
    async fn completed(&self, files: &[SinkFile], next: i64) -> Result<(), ConnectError>;

    /// Claims `partition` for this task. Returns the files that were about to be completed when their
    /// task ended, and the offset to go on at when files were completed beyond what the consumer
    /// group was told; else the group's offset holds, so that tools can reset it.
    ///
    /// # Errors
    /// Retriable when the state database is away.
    async fn recover(
        &self,
        partition: &TopicPartition,
    ) -> Result<(Vec<SinkFile>, Option<i64>), ConnectError>;

    /// Remembers a multipart upload that was started, so that it can be aborted when its task dies.
    ///
    /// # Errors
    /// Retriable when the state database is away.
    async fn upload_started(
        &self,
        partition: &TopicPartition,
        key: &str,
        upload_id: &str,
    ) -> Result<(), ConnectError>;

    /// Takes the uploads that were started for `partition` and neither completed nor aborted, except
    /// those of [`FileLedger::recover`]; the caller aborts them.
    ///
    /// # Errors
    /// Retriable when the state database is away.
    async fn orphaned_uploads(
        &self,
        partition: &TopicPartition,
    ) -> Result<Vec<(String, String)>, ConnectError>;

    /// Forgets an upload that was completed or aborted.
    ///
    /// # Errors
    /// Retriable when the state database is away.
    async fn upload_ended(&self, key: &str, upload_id: &str) -> Result<(), ConnectError>;
}
