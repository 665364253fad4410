//! The sink task: rows in, objects out. What is decided stands in [`super::partition`] and
//! [`super::rotation`]; what takes time runs in jobs ([`super::upload`]), so that a delivery never
//! waits for a whole upload.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::arrival::Arrival;
use super::config::S3Config;
use super::partition::PartitionWriter;
use super::recovery::recover;
use super::store::Bucket;
use super::upload::{Outcome, Uploader};
use crate::config::{MemoryShare, Props};
use crate::connector::{ErrantRecordReporter, SinkTask, SinkTaskContext};
use crate::data::{SinkBatch, TopicPartition};
use crate::error::{ConnectError, ErrorKind};
use crate::metrics::{TaskMetrics, set_gauge};

/// Closed files of a partition that may wait for their turn.
const WAITING_FILES_MAX: usize = 32;
/// How long a delivery may wait for uploads, unless `max.write.duration.ms` is less; the runtime sees
/// nothing else meanwhile, a stop included.
const DELIVERY_WAIT: Duration = Duration::from_secs(4);
/// How long partitions that are taken away may take to finish what is under way, and again to abort
/// what is given up. Below the default `task.shutdown.graceful.timeout.ms` of 5 s.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// A task of the S3 sink.
pub(super) struct S3SinkTask {
    config: Arc<S3Config>,
    uploader: Uploader,
    metrics: Arc<TaskMetrics>,
    reporter: Option<Arc<dyn ErrantRecordReporter>>,
    partitions: BTreeMap<TopicPartition, PartitionWriter>,
    /// Whether the bucket was there once: afterwards the requests themselves say what is wrong.
    bucket_seen: bool,
    jobs: JoinSet<Outcome>,
    /// The task's part of the worker's memory for open files.
    memory: MemoryShare,
    /// Whose job it is: what a job that panics cannot say itself.
    owners: HashMap<Id, TopicPartition>,
    /// Until when the present delivery may wait.
    deadline: Instant,
    /// The last failure of a job, shown as long as its repetition goes on.
    failure: String,
}

impl fmt::Debug for S3SinkTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3SinkTask")
            .field("uploader", &self.uploader)
            .field("partitions", &self.partitions.keys())
            .finish_non_exhaustive()
    }
}

impl S3SinkTask {
    /// A task ready to be assigned partitions.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub(super) fn new(props: &Props, context: SinkTaskContext) -> Result<Self, ConnectError> {
        let mut config = S3Config::new(props, &context.defaults).map_err(super::refused)?;
        config.report_null_values &= context.reporter.is_some();
        // Every task would say the same.
        let connector = &context.connector;
        for warning in config.warnings.iter().filter(|_| context.task == 0) {
            tracing::warn!(connector, warning, "the configuration is not taken as written");
        }
        let (hosts, defaults, metrics) = (&context.hosts, &context.defaults, &context.metrics);
        let bucket = Bucket::new(&config.store, hosts, defaults, metrics)?;
        let config = Arc::new(config);
        Ok(Self {
            uploader: Uploader::new(bucket, context.ledger, config.clone(), metrics.clone()),
            config,
            metrics: context.metrics,
            reporter: context.reporter,
            partitions: BTreeMap::new(),
            bucket_seen: false,
            jobs: JoinSet::new(),
            memory: context.defaults.memory.share(),
            owners: HashMap::new(),
            deadline: Instant::now(),
            failure: String::new(),
        })
    }

    /// Hands the rows of `batch` to their partitions, a run of one partition at a time.
    async fn take(&mut self, batch: &SinkBatch, now_ms: i64) -> Result<(), ConnectError> {
        let mut rows = batch.records.rows.iter().zip(&batch.origins).peekable();
        while let Some((_, first)) = rows.peek() {
            let index = first.partition;
            let partition = batch.partitions.get(index as usize).ok_or_else(|| {
                ConnectError::fatal(format!("a row names partition {index} of its batch"))
            })?;
            let writer = self.partitions.get_mut(partition).ok_or_else(|| {
                ConnectError::fatal(format!(
                    "No writer found for topic partition {partition}: it is not assigned to this \
                     task"
                ))
            })?;
            while let Some((row, origin)) = rows.next_if(|(_, origin)| origin.partition == index) {
                let arrival = Arrival {
                    batch,
                    row: *row,
                    partition: index,
                    offset: origin.offset,
                    timestamp_ms: origin.timestamp_ms,
                    now_ms,
                };
                if let Err(error) = writer.take(&arrival, &self.config) {
                    match (&self.reporter, error.kind()) {
                        (Some(reporter), ErrorKind::Data) => {
                            reporter.report(partition, origin.offset, error)?;
                        }
                        _ => return Err(error),
                    }
                }
                if WAITING_FILES_MAX <= writer.waiting() {
                    break;
                }
            }
            self.start_job(partition);
            self.make_room(partition).await?;
        }
        Ok(())
    }

    /// Waits until `partition` may close files again.
    async fn make_room(&mut self, partition: &TopicPartition) -> Result<(), ConnectError> {
        let waiting = |task: &Self| task.partitions.get(partition).map_or(0, |p| p.waiting());
        while WAITING_FILES_MAX <= waiting(self) {
            self.wait_for_a_job().await?;
        }
        Ok(())
    }

    /// Gives memory back while the worker's sinks hold too much and this task more than its part; the
    /// largest files first.
    async fn free_memory(&mut self) -> Result<(), ConnectError> {
        while self.holds_too_much() {
            let part = self.memory.part();
            let largest = self.partitions.values_mut().max_by_key(|writer| writer.open_memory());
            let is_large = |writer: &PartitionWriter| part / 4 < writer.open_memory();
            let has_jobs = !self.jobs.is_empty();
            let is_smaller = match largest.filter(|writer| is_large(writer) || !has_jobs) {
                Some(writer) => writer.shrink()?,
                None => false,
            };
            match is_smaller {
                true => self.start_jobs(),
                false if has_jobs => self.wait_for_a_job().await?,
                false => return Ok(()),
            }
        }
        Ok(())
    }

    fn holds_too_much(&mut self) -> bool {
        self.memory.hold(self.partitions.values().map(PartitionWriter::memory).sum());
        self.memory.must_shrink()
    }

    /// Starts a job for each partition that has work and no job.
    fn start_jobs(&mut self) {
        let ready = self.partitions.iter().filter(|(_, writer)| writer.has_work());
        let ready: Vec<_> = ready.map(|(partition, _)| partition.clone()).collect();
        ready.iter().for_each(|partition| self.start_job(partition));
    }

    fn start_job(&mut self, partition: &TopicPartition) {
        let Some(writer) = self.partitions.get_mut(partition) else { return };
        let Some(work) = writer.work() else { return };
        let (bytes, since_ms) = (work.memory(), work.since_ms());
        let job = self.uploader.clone().run(partition.clone(), work);
        let handle = self.jobs.spawn(job);
        self.owners.insert(handle.id(), partition.clone());
        writer.started(handle, bytes, since_ms);
    }

    /// Takes what finished jobs hand back, without waiting.
    ///
    /// # Errors
    /// The first job's failure; every job is taken.
    fn collect_jobs(&mut self) -> Result<(), ConnectError> {
        let mut result = Ok(());
        while let Some(joined) = self.jobs.try_join_next_with_id() {
            result = result.and(self.joined(joined));
        }
        result
    }

    async fn wait_for_a_job(&mut self) -> Result<(), ConnectError> {
        self.start_jobs();
        match timeout_at(self.deadline, self.jobs.join_next_with_id()).await {
            Ok(Some(joined)) => self.joined(joined),
            Ok(None) => Ok(()),
            Err(_) if self.is_failing() => Err(ConnectError::retriable(self.failure.clone())),
            Err(_) => Err(ConnectError::retriable(format!(
                "uploads to bucket \"{}\" are slower than records arrive; consumption waits for \
                 them",
                self.config.store.bucket
            ))),
        }
    }

    fn joined(
        &mut self,
        joined: Result<(Id, Outcome), tokio::task::JoinError>,
    ) -> Result<(), ConnectError> {
        match joined {
            Ok((id, Outcome { partition, work, result })) => {
                self.owners.remove(&id);
                if let Some(writer) = self.partitions.get_mut(&partition) {
                    writer.finished(work, result.is_ok());
                }
                if let Err(error) = &result {
                    self.failure = error.trace();
                }
                result
            }
            Err(error) => {
                let owner = self.owners.remove(&error.id());
                // Cancelled: the partition was taken away.
                if error.is_cancelled() {
                    return Ok(());
                }
                let partition = owner.map(|partition| partition.to_string()).unwrap_or_default();
                Err(ConnectError::fatal(format!(
                    "the upload of partition {partition} broke off; restart the task, which goes \
                     on at the last complete file"
                ))
                .because(error))
            }
        }
    }

    /// Repeats what failed before anything new is taken, so that a task does not swing between
    /// retrying and running.
    async fn repeat_failed(&mut self) -> Result<(), ConnectError> {
        while self.is_failing() {
            self.wait_for_a_job().await?;
        }
        Ok(())
    }

    fn is_failing(&self) -> bool {
        self.partitions.values().any(|writer| writer.is_failing)
    }

    /// Ends the jobs of `partitions`: waits for them, and breaks them off at the end of its patience.
    async fn end_jobs(&mut self, partitions: &[TopicPartition], patience: Duration) {
        let is_busy = |task: &Self| {
            let mut writers = partitions.iter().filter_map(|p| task.partitions.get(p));
            writers.any(|writer| writer.job().is_some())
        };
        let finished = timeout(patience, async {
            while is_busy(self) {
                let Some(joined) = self.jobs.join_next_with_id().await else { return };
                if let Err(error) = self.joined(joined) {
                    tracing::warn!(error = error.trace(), "an upload failed while closing");
                }
            }
        });
        if finished.await.is_err() {
            let writers = partitions.iter().filter_map(|p| self.partitions.get(p));
            writers.filter_map(PartitionWriter::job).for_each(|handle| handle.abort());
        }
    }

    async fn give_up(&mut self, partitions: &[TopicPartition], patience: Duration) {
        self.end_jobs(partitions, patience).await;
        let gone = partitions.iter().filter_map(|partition| self.partitions.remove(partition));
        let uploads: Vec<_> = gone.flat_map(|writer| writer.uploads()).collect();
        // Not worth the rest of a rebalance's time.
        if timeout(patience, self.uploader.abort(uploads)).await.is_err() {
            tracing::warn!("uploads are left to be aborted by the next owner");
        }
    }

    fn show(&mut self) {
        self.memory.hold(self.partitions.values().map(PartitionWriter::memory).sum());
        set_gauge(&self.metrics.sink_buffer_bytes, self.memory.held() as u64);
        let open: usize = self.partitions.values().map(PartitionWriter::open_files).sum();
        set_gauge(&self.metrics.sink_open_files, open as u64);
        let oldest = self.partitions.values().filter_map(PartitionWriter::oldest_ms).min();
        let age = oldest.map_or(0, |oldest| chrono::Utc::now().timestamp_millis() - oldest);
        self.metrics.sink_unflushed_age_ms.set(age.max(0));
    }
}

#[async_trait]
impl SinkTask for S3SinkTask {
    fn reads_keys_and_headers(&self) -> bool {
        self.config.keys.is_some() || self.config.headers.is_some()
    }

    async fn open(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        if !self.bucket_seen {
            self.uploader.bucket.check().await?;
            self.bucket_seen = true;
        }
        let mut starts = Vec::new();
        for partition in partitions {
            let recovered = recover(&self.uploader, partition, &self.config.naming).await?;
            starts.extend(recovered.start.map(|start| (partition.clone(), start)));
            let writer = PartitionWriter::new(partition.clone(), &self.config, recovered.spans);
            self.partitions.insert(partition.clone(), writer);
        }
        Ok(starts)
    }

    async fn put(&mut self, batch: &SinkBatch) -> Result<(), ConnectError> {
        self.deadline = Instant::now() + DELIVERY_WAIT.min(self.config.write_max);
        self.collect_jobs()?;
        self.repeat_failed().await?;
        let now_ms = chrono::Utc::now().timestamp_millis();
        self.take(batch, now_ms).await?;
        for writer in self.partitions.values_mut() {
            writer.pass_time(&self.config, now_ms)?;
        }
        self.start_jobs();
        self.free_memory().await?;
        self.show();
        Ok(())
    }

    async fn pre_commit(&mut self) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        let result = self.collect_jobs();
        if result.is_ok() {
            self.start_jobs();
        }
        result?;
        let writers = self.partitions.iter_mut();
        Ok(writers
            .filter_map(|(partition, writer)| Some((partition.clone(), writer.take_committable()?)))
            .collect())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        self.give_up(partitions, CLOSE_WAIT).await;
        self.show();
        Ok(())
    }

    async fn stop(mut self: Box<Self>) -> Result<(), ConnectError> {
        let partitions: Vec<_> = self.partitions.keys().cloned().collect();
        self.give_up(&partitions, CLOSE_WAIT).await;
        self.show();
        Ok(())
    }
}
