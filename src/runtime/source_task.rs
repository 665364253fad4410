//! A source task: poll, transform, convert, produce, commit.
//!
//! Kafka Connect, `AbstractWorkerSourceTask`. Rows go from the batch's arena through reused buffers
//! into librdkafka; offsets are stored beside the loop, only over the unbroken prefix of source
//! commits whose records are acknowledged. A failure of the outside keeps the task running.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Props;
use crate::connector::{SourceTask, TransactionEnds};
use crate::converter::{Converter, HeaderConverter};
use crate::data::RecordBatch;
use crate::error::{ConnectError, ErrorKind};
use crate::kafka::{ClientProps, Producer};
use crate::metrics::TaskMetrics;
use crate::plugin::PluginKind;
use crate::runtime::chain::Chain;
use crate::runtime::connector_config::connector_config;
use crate::runtime::herder::TaskId;
use crate::runtime::offset_flush::{FlushTo, Flusher};
use crate::runtime::source_progress::{Progress, Sent};
use crate::runtime::source_record::{Encoded, RecordEncoder, Rejected};
use crate::runtime::task::{Backoff, Condition, TaskControl};
use crate::runtime::tolerance::{Stage, StageClasses, Tolerance, Verdict, exceeded};
use crate::runtime::topic_creation::{TopicCreation, TopicMaker};
use crate::runtime::transactions::{Transactional, Transactions};
use crate::runtime::worker_config::WorkerConfig;
use crate::store::{Lease, Store, Truth};

/// How long a task may take to let go of what it holds outside, after everything else.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// Everything that a source task runs with.
pub struct SourceTaskParts {
    pub id: TaskId,
    pub lease: Lease,
    pub store: Store,
    /// The connector's configuration.
    pub config: Props,
    pub worker: Arc<WorkerConfig>,
    pub metrics: Arc<TaskMetrics>,
    pub task: Box<dyn SourceTask>,
    pub chain: Chain,
    pub key_converter: Box<dyn Converter>,
    pub value_converter: Box<dyn Converter>,
    pub header_converter: Box<dyn HeaderConverter>,
    /// With exactly-once delivery.
    pub transactional: Option<Transactional>,
}

impl fmt::Debug for SourceTaskParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceTaskParts").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Runs the task until it is cancelled; drains within the graceful stop's time.
///
/// # Errors
/// Why the task failed.
pub async fn run_source_task(
    parts: SourceTaskParts,
    control: TaskControl,
) -> Result<(), ConnectError> {
    let deadline = parts.worker.task_shutdown_graceful_timeout;
    let mut runner = Runner::new(parts, control)?;
    let outcome = runner.run().await;
    runner.finish(deadline, outcome).await
}

/// The client id of a task's producer.
pub(crate) fn producer_id(id: &TaskId) -> String {
    format!("connector-producer-{id}")
}

/// The properties of a task's producer.
pub(crate) fn producer_props<'a>(
    worker: &'a WorkerConfig,
    config: &'a Props,
    client_id: &'a str,
) -> ClientProps<'a> {
    ClientProps {
        bootstrap_servers: &worker.bootstrap_servers,
        worker: &worker.settings,
        connector: config,
        client_id,
    }
}

/// Whether the task goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Next,
    Cancelled,
}

/// What converters are to be ready for.
#[derive(Debug, Clone, Copy)]
enum Prepare {
    Batch,
    Record,
}

struct Runner {
    task: Box<dyn SourceTask>,
    batch: RecordBatch,
    encoder: RecordEncoder,
    topics: TopicMaker,
    progress: Progress,
    tolerance: Tolerance,
    metrics: Arc<TaskMetrics>,
    control: TaskControl,
    config: Props,
    classes: StageClasses,
    worker: Arc<WorkerConfig>,
    admin_id: String,
}

impl Runner {
    fn new(parts: SourceTaskParts, control: TaskControl) -> Result<Self, ConnectError> {
        let SourceTaskParts { id, worker, config, metrics, task, .. } = parts;
        let framework = connector_config(PluginKind::Source).parse(&config)?;
        let tolerance = Tolerance::new(&framework);
        let creation = TopicCreation::new(worker.topic_creation_enable, &config)?;
        let held = (parts.store.clone(), parts.lease.clone());
        let truth = if parts.transactional.is_some() { Truth::OffsetsTopic } else { Truth::Here };
        let (producer, transactions) = match parts.transactional {
            Some(Transactional { producer, offsets_topic, context }) => {
                let to = (offsets_topic, context);
                (producer, Some(Transactions::new(&id, held, &framework, &worker, to)))
            }
            None => (Producer::new(&producer_props(&worker, &config, &producer_id(&id)))?, None),
        };
        let flusher = Flusher::start(FlushTo {
            store: parts.store,
            lease: parts.lease,
            committer: task.committer(),
            metrics: metrics.clone(),
            interval: worker.offset_flush_interval,
            truth,
        });
        let progress = Progress::new(
            producer,
            flusher,
            tolerance,
            metrics.clone(),
            control.clone(),
            worker.topic_tracking_enable,
        )
        .with_transactions(transactions);
        let encoder = RecordEncoder::new(
            parts.chain,
            parts.key_converter,
            parts.value_converter,
            parts.header_converter,
        );
        Ok(Self {
            task,
            batch: RecordBatch::default(),
            encoder,
            topics: TopicMaker::new(creation),
            progress,
            tolerance,
            metrics,
            control,
            classes: StageClasses::new(&config, &worker),
            config,
            worker,
            admin_id: format!("connector-adminclient-{id}"),
        })
    }

    async fn run(&mut self) -> Result<(), ConnectError> {
        let mut backoff = Backoff::new();
        loop {
            if self.wait_until_wanted().await? == Step::Cancelled {
                return Ok(());
            }
            let Some(polled) = self.poll().await? else { return Ok(()) };
            // A task that was paused during the poll keeps what came until it is resumed. Rows that
            // came before an error count: the next poll goes on behind them.
            if self.wait_until_wanted().await? == Step::Cancelled
                || self.send_batch().await? == Step::Cancelled
            {
                return Ok(());
            }
            let Err(error) = polled else {
                backoff.reset();
                self.progress.set_source_trouble(None);
                continue;
            };
            if error.kind() != ErrorKind::Retriable {
                return Err(error);
            }
            if self.progress.is_unsealed() {
                let text = "the source broke off inside a transaction, which is begun anew";
                return Err(ConnectError::retriable(text).because(error));
            }
            if self.wait_after(&error, backoff.next_delay()).await? == Step::Cancelled {
                return Ok(());
            }
        }
    }

    /// Polls the source while progress is settled beside it. `None`: the task was cancelled.
    async fn poll(&mut self) -> Result<Option<Result<(), ConnectError>>, ConnectError> {
        self.batch.clear();
        let began = Instant::now();
        let poll = self.task.poll(&mut self.batch);
        tokio::pin!(poll);
        loop {
            tokio::select! {
                biased;
                () = self.control.cancel.cancelled() => return Ok(None),
                result = &mut poll => {
                    self.metrics.poll_batch.record(began.elapsed());
                    return Ok(Some(result));
                }
                settled = self.progress.turn() => {
                    settled?;
                    self.progress.end_due_transaction().await?;
                }
            }
        }
    }

    /// Waits while the task is paused, or must not read on because nothing can be stored.
    async fn wait_until_wanted(&mut self) -> Result<Step, ConnectError> {
        self.progress.settle()?;
        while self.control.is_paused() || !self.progress.may_poll() {
            self.progress.rest_transaction().await?;
            let cancel = self.control.cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => return Ok(Step::Cancelled),
                () = self.control.pause_changed() => {}
                settled = self.progress.turn() => {
                    settled?;
                    self.progress.end_due_transaction().await?;
                }
            }
        }
        Ok(if self.control.cancel.is_cancelled() { Step::Cancelled } else { Step::Next })
    }

    /// Waits before the next poll and shows why.
    async fn wait_after(
        &mut self,
        error: &ConnectError,
        delay: Duration,
    ) -> Result<Step, ConnectError> {
        let cause = error.trace();
        tracing::warn!(cause, delay_ms = delay.as_millis(), "the source failed, trying again");
        self.metrics.retries.inc();
        self.progress.set_source_trouble(Some(Condition::retrying(error, delay)));
        let pause = tokio::time::sleep(delay);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = self.control.cancel.cancelled() => return Ok(Step::Cancelled),
                () = &mut pause => return Ok(Step::Next),
                settled = self.progress.turn() => {
                    settled?;
                    self.progress.end_due_transaction().await?;
                }
            }
        }
    }

    /// Sends the batch's rows and seals its groups.
    async fn send_batch(&mut self) -> Result<Step, ConnectError> {
        let ends = self.progress.ends_asked(&self.batch)?;
        if self.batch.is_empty() {
            return self.end_empty_batch(&ends).await;
        }
        self.metrics.source_record_poll.inc_by(self.batch.rows.len() as u64);
        self.metrics.batch_size.record(self.batch.rows.len() as u64);
        if self.prepare_batch().await? == Step::Cancelled {
            return Ok(Step::Cancelled);
        }
        let mut sealed = 0;
        for index in 0..self.batch.rows.len() {
            let seals = self.batch.seals.get(sealed).is_some_and(|seal| seal.rows <= index);
            if seals && self.seal_up_to(index, &mut sealed, &ends).await? == Step::Cancelled
                || self.send_row(index).await? == Step::Cancelled
            {
                return Ok(Step::Cancelled);
            }
        }
        fail::fail_point!("source.after-produce");
        self.seal_up_to(self.batch.rows.len(), &mut sealed, &ends).await
    }

    /// Seals the groups that end before row `row`, and ends the transaction where it is to end;
    /// `sealed` of the batch's seals are done.
    async fn seal_up_to(
        &mut self,
        row: usize,
        sealed: &mut usize,
        ends: &TransactionEnds,
    ) -> Result<Step, ConnectError> {
        while let Some(seal) = self.batch.seals.get(*sealed).filter(|seal| seal.rows <= row) {
            let rows = seal.rows;
            self.progress.seal(seal.offset.clone());
            *sealed += 1;
            let end = self.progress.end_at(&self.batch, rows, *sealed, ends);
            if let Some(end) = end
                && self.progress.end_transaction(end).await? == Sent::Cancelled
            {
                return Ok(Step::Cancelled);
            }
        }
        Ok(Step::Next)
    }

    /// A task may end its transaction without having anything to send.
    async fn end_empty_batch(&mut self, ends: &TransactionEnds) -> Result<Step, ConnectError> {
        match ends.batch {
            Some(end) if self.progress.end_transaction(end).await? == Sent::Cancelled => {
                Ok(Step::Cancelled)
            }
            _ => Ok(Step::Next),
        }
    }

    async fn send_row(&mut self, index: usize) -> Result<Step, ConnectError> {
        let row = self.batch.rows[index];
        let mut encoded = self.encoder.encode(&self.batch, row);
        if matches!(encoded, Ok(Encoded::Unprepared)) {
            if self.prepare(Prepare::Record).await? == Step::Cancelled {
                return Ok(Step::Cancelled);
            }
            encoded = self.encoder.encode_prepared();
        }
        match encoded {
            Ok(Encoded::Dropped | Encoded::Unprepared) => return Ok(Step::Next),
            Ok(Encoded::Message) => {}
            Err(rejected) => return self.judge(rejected).map(|()| Step::Next),
        }
        if let Some(topic) = self.encoder.own_topic().cloned() {
            self.use_topic(&topic).await?;
        }
        match self.progress.send(self.encoder.message()).await {
            Ok(Sent::Yes) => Ok(Step::Next),
            Ok(Sent::Cancelled) => Ok(Step::Cancelled),
            Err(error) => {
                self.judge(Rejected { stage: Stage::KafkaProduce, error }).map(|()| Step::Next)
            }
        }
    }

    /// Skips a rejected record if that is wanted, else fails.
    fn judge(&self, rejected: Rejected) -> Result<(), ConnectError> {
        let Rejected { stage, error } = rejected;
        let transform = self.encoder.failed_transform();
        let class = self.classes.at(stage, transform.as_deref());
        self.metrics.record_failed();
        if self.tolerance.log(stage, class, &self.encoder.topic(), &error) {
            self.metrics.errors_logged.inc();
        }
        match self.tolerance.judge(stage, error.kind(), 0, Duration::ZERO) {
            Verdict::Skip if stage == Stage::KafkaProduce && self.progress.is_transactional() => {
                Err(exceeded(error))
            }
            Verdict::Skip => {
                self.metrics.errors_skipped.inc();
                Ok(())
            }
            Verdict::Retry(_) | Verdict::Fail => Err(exceeded(error)),
        }
    }

    /// Decides how the batch's shapes are written and sees to their topics.
    async fn prepare_batch(&mut self) -> Result<Step, ConnectError> {
        if self.prepare(Prepare::Batch).await? == Step::Cancelled {
            return Ok(Step::Cancelled);
        }
        let topics: Vec<_> = self.encoder.topics().cloned().collect();
        for topic in topics {
            self.use_topic(&topic).await?;
        }
        Ok(Step::Next)
    }

    /// Has the converters ask what they have to ask; tries again while the outside (a schema
    /// registry) is away. Deliveries are settled meanwhile.
    async fn prepare(&mut self, what: Prepare) -> Result<Step, ConnectError> {
        let mut backoff = Backoff::new();
        loop {
            let cancel = self.control.cancel.clone();
            let prepared = {
                let preparing = async {
                    match what {
                        Prepare::Batch => self.encoder.prepare(&self.batch.plans).await,
                        Prepare::Record => self.encoder.prepare_record().await,
                    }
                };
                tokio::pin!(preparing);
                loop {
                    tokio::select! {
                        () = cancel.cancelled() => return Ok(Step::Cancelled),
                        prepared = &mut preparing => break prepared,
                        settled = self.progress.turn() => {
                            settled?;
                            self.progress.end_due_transaction().await?;
                        }
                    }
                }
            };
            let Err(Rejected { error, .. }) = prepared else {
                if !backoff.is_new() {
                    self.progress.set_source_trouble(None);
                }
                return Ok(Step::Next);
            };
            if error.kind() != ErrorKind::Retriable {
                return Err(error);
            }
            if self.wait_after(&error, backoff.next_delay()).await? == Step::Cancelled {
                return Ok(Step::Cancelled);
            }
        }
    }

    async fn use_topic(&mut self, topic: &Arc<str>) -> Result<(), ConnectError> {
        self.progress.refuse_offsets_topic(topic)?;
        self.progress.used_topic(topic);
        let mut backoff = Backoff::new();
        loop {
            let props = ClientProps {
                bootstrap_servers: &self.worker.bootstrap_servers,
                worker: &self.worker.settings,
                connector: &self.config,
                client_id: &self.admin_id,
            };
            let Err(error) = self.topics.ensure(topic, &props).await else { break };
            self.wait_or_fail(error, &mut backoff).await?;
        }
        Ok(())
    }

    async fn wait_or_fail(
        &mut self,
        error: ConnectError,
        backoff: &mut Backoff,
    ) -> Result<(), ConnectError> {
        if error.kind() != ErrorKind::Retriable
            || self.wait_after(&error, backoff.next_delay()).await? == Step::Cancelled
        {
            return Err(error);
        }
        Ok(())
    }

    /// Drains, stores what may be stored and lets go of the source.
    async fn finish(
        self,
        deadline: Duration,
        outcome: Result<(), ConnectError>,
    ) -> Result<(), ConnectError> {
        let cancelled = self.control.cancel.is_cancelled();
        let drained = self.progress.finish(deadline).await;
        let stopped = tokio::time::timeout(STOP_DEADLINE, self.task.stop()).await;
        match stopped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = error.trace();
                tracing::warn!(error, "the source task did not stop cleanly");
            }
            Err(_) => tracing::warn!("the source task did not stop in time"),
        }
        if cancelled {
            // Whoever cancelled wants the task gone; what could not be done is repeated next time.
            for error in [outcome.err(), drained.err()].into_iter().flatten() {
                let error = error.trace();
                tracing::warn!(error, "the source task was stopped with something left to do");
            }
            return Ok(());
        }
        outcome.and(drained)
    }
}
