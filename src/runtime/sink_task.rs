//! A sink task: consume, convert, transform, put, commit.
//!
//! Kafka Connect, `WorkerSinkTask`. The consumer polls on its own thread, so that a slow destination
//! never costs the membership. Offsets go to the consumer group first, where every tool looks, and
//! then to the state database, and only as far as the task says that all is durable.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Parsed, Props};
use crate::connector::SinkTask;
use crate::converter::{Converter, HeaderConverter};
use crate::data::{SinkBatch, TopicPartition};
use crate::error::{ConnectError, ErrorKind};
use crate::kafka::{ClientProps, Consumer, ConsumerEvent, ConsumerOptions, MessageBatch};
use crate::metrics::{TaskMetrics, set_gauge};
use crate::plugin::PluginKind;
use crate::runtime::chain::Chain;
use crate::runtime::connector_config::{TOPICS, TOPICS_REGEX, connector_config};
use crate::runtime::dead_letter::{DeadLetter, DeadLetters};
use crate::runtime::errant::{Errant, ErrantRecords};
use crate::runtime::herder::TaskId;
use crate::runtime::sink_commit::Commits;
use crate::runtime::sink_record::{Place, RecordDecoder, RejectedMessage, retain};
use crate::runtime::task::{Backoff, Condition, TaskControl};
use crate::runtime::tolerance::{Stage, StageClasses, Tolerance, Verdict, exceeded};
use crate::runtime::worker_config::WorkerConfig;
use crate::store::{Lease, Store};

/// The task is given an empty batch at least this often, so that time can pass for it.
const TICK: Duration = Duration::from_millis(500);
/// Of the graceful stop's time, how much leaving the group may take at the end.
const LEAVE_DEADLINE: Duration = Duration::from_secs(3);

/// Everything that a sink task runs with.
pub struct SinkTaskParts {
    pub id: TaskId,
    pub lease: Lease,
    pub store: Store,
    /// The connector's configuration.
    pub config: Props,
    pub worker: Arc<WorkerConfig>,
    pub metrics: Arc<TaskMetrics>,
    pub task: Box<dyn SinkTask>,
    /// What the task was given to report records to.
    pub errants: Option<Arc<ErrantRecords>>,
    pub chain: Chain,
    pub key_converter: Box<dyn Converter>,
    pub value_converter: Box<dyn Converter>,
    pub header_converter: Box<dyn HeaderConverter>,
}

impl fmt::Debug for SinkTaskParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkTaskParts").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Runs the task until it is cancelled; commits what is durable within the graceful stop's time.
///
/// # Errors
/// Why the task failed.
pub async fn run_sink_task(parts: SinkTaskParts, control: TaskControl) -> Result<(), ConnectError> {
    let deadline = parts.worker.task_shutdown_graceful_timeout;
    let mut runner = Runner::new(parts, control).await?;
    let outcome = runner.run().await;
    runner.finish(deadline, outcome).await
}

/// Whether the task goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Next,
    Cancelled,
    /// The group takes partitions away while a batch cannot be delivered.
    Revoking,
}

/// Whether a batch can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prepared {
    Yes,
    Cancelled,
    /// As [`Step::Revoking`].
    Revoking,
}

struct Runner {
    id: TaskId,
    task: Box<dyn SinkTask>,
    consumer: Consumer,
    decoder: RecordDecoder,
    /// Reused between batches.
    batch: SinkBatch,
    commits: Commits,
    dead_letters: Option<DeadLetters>,
    errants: Option<Arc<ErrantRecords>>,
    tolerance: Tolerance,
    metrics: Arc<TaskMetrics>,
    control: TaskControl,
    classes: StageClasses,
    /// Whether consumption is paused.
    paused: bool,
    /// Events that were passed over on the way to a revocation: a few batches at most, because
    /// nothing is fetched while the group waits.
    backlog: VecDeque<ConsumerEvent>,
    /// Why the destination takes nothing, at present.
    trouble: Option<Condition>,
}

/// What the task consumes, and as whom.
struct Subscription {
    client_id: String,
    group: String,
    topics: Vec<String>,
}

impl Subscription {
    fn new(framework: &Parsed, id: &TaskId) -> Self {
        let mut topics = framework.list(TOPICS);
        if let Some(pattern) = framework.optional_string(TOPICS_REGEX) {
            // A whole name must match; librdkafka takes what starts with ^ for a pattern.
            topics.push(format!("^({pattern})$"));
        }
        let group = format!("connect-{}", id.connector);
        Self { client_id: format!("connector-consumer-{id}"), group, topics }
    }

    fn props<'a>(&'a self, worker: &'a WorkerConfig, config: &'a Props) -> ClientProps<'a> {
        ClientProps {
            bootstrap_servers: &worker.bootstrap_servers,
            worker: &worker.settings,
            connector: config,
            client_id: &self.client_id,
        }
    }

    fn join(&self, worker: &WorkerConfig, config: &Props) -> Result<Consumer, ConnectError> {
        let props = self.props(worker, config);
        Consumer::new(&ConsumerOptions { props, group: &self.group, topics: &self.topics })
    }
}

impl Runner {
    async fn new(parts: SinkTaskParts, control: TaskControl) -> Result<Self, ConnectError> {
        let SinkTaskParts { id, worker, config, metrics, .. } = parts;
        let framework = connector_config(PluginKind::Sink).parse(&config)?;
        let subscription = Subscription::new(&framework, &id);
        let props = subscription.props(&worker, &config);
        let dead_letters = DeadLetters::open(&framework, &id, props, &metrics).await?;
        let consumer = subscription.join(&worker, &config)?;
        let commits =
            Commits::new(parts.store, parts.lease, metrics.clone(), worker.topic_tracking_enable);
        let decoder = RecordDecoder::new(
            parts.chain,
            parts.key_converter,
            parts.value_converter,
            parts.header_converter,
            parts.task.reads_keys_and_headers(),
        );
        Ok(Self {
            id,
            task: parts.task,
            consumer,
            decoder,
            batch: SinkBatch::default(),
            commits,
            dead_letters,
            errants: parts.errants,
            tolerance: Tolerance::new(&framework),
            metrics,
            control,
            classes: StageClasses::new(&config, &worker),
            paused: false,
            backlog: VecDeque::new(),
            trouble: None,
        })
    }

    async fn run(&mut self) -> Result<(), ConnectError> {
        let mut tick = Instant::now() + TICK;
        loop {
            self.follow_pause();
            let cancel = self.control.cancel.clone();
            let step = tokio::select! {
                biased;
                () = cancel.cancelled() => Step::Cancelled,
                () = self.control.pause_changed() => Step::Next,
                () = tokio::time::sleep_until(tick) => {
                    tick = Instant::now() + TICK;
                    self.tick().await?
                }
                event = next_event(&mut self.backlog, &mut self.consumer) => {
                    self.handle(event).await?
                }
            };
            if step == Step::Cancelled {
                return Ok(());
            }
        }
    }

    async fn handle(&mut self, event: ConsumerEvent) -> Result<Step, ConnectError> {
        match event {
            ConsumerEvent::Batch(messages) => self.deliver(messages).await,
            ConsumerEvent::Assigned(partitions) => self.open(&partitions).await,
            ConsumerEvent::Revoked { partitions, lost } => {
                self.give_up(&partitions, lost).await.map(|()| Step::Next)
            }
            ConsumerEvent::Failed(error) => Err(error),
        }
    }

    /// Converts a consumed batch and has the task take it.
    async fn deliver(&mut self, messages: MessageBatch) -> Result<Step, ConnectError> {
        self.metrics.sink_record_read.inc_by(messages.messages.len() as u64);
        self.metrics.batch_size.record(messages.messages.len() as u64);
        self.commits.consumed(&messages);
        let mut backoff = Backoff::new();
        let ours = loop {
            let ours = self.commits.are_assigned(&messages.partitions);
            match self.prepare(&messages, &ours, &mut backoff).await? {
                Prepared::Yes => break ours,
                Prepared::Cancelled => return Ok(Step::Cancelled),
                Prepared::Revoking => self.take_revocation().await?,
            }
        };
        let mut batch = std::mem::take(&mut self.batch);
        let rejected = self.decoder.decode(&messages, &ours, &mut batch);
        for message in rejected {
            self.reject(&messages, message).await?;
        }
        self.commits.used_topics(&batch.partitions);
        fail::fail_point!("sink.before-put");
        let step = self.put(&mut batch, Some(&messages)).await?;
        fail::fail_point!("sink.after-put");
        self.metrics.sink_record_send.inc_by(batch.origins.len() as u64);
        self.batch = batch;
        if step == Step::Next && self.commits.is_due() {
            self.commit().await?;
        }
        Ok(step)
    }

    /// Has the converters ask what they have to ask (a schema registry); tries again while the outside
    /// is away. Until then nothing of the batch is read, and nothing behind it.
    async fn prepare(
        &mut self,
        messages: &MessageBatch,
        ours: &[bool],
        backoff: &mut Backoff,
    ) -> Result<Prepared, ConnectError> {
        loop {
            let prepared = tokio::select! {
                prepared = self.decoder.prepare(messages, ours) => prepared,
                () = self.control.cancel.cancelled() => return Ok(Prepared::Cancelled),
                () = self.consumer.revoking() => return Ok(Prepared::Revoking),
            };
            let Err((_, error)) = prepared else {
                if !backoff.is_new() {
                    self.set_trouble(None);
                }
                return Ok(Prepared::Yes);
            };
            if error.kind() != ErrorKind::Retriable {
                return Err(unrecoverable(error));
            }
            match self.wait_after(&error, backoff.next_delay()).await {
                Step::Next => {}
                Step::Cancelled => return Ok(Prepared::Cancelled),
                Step::Revoking => return Ok(Prepared::Revoking),
            }
        }
    }

    /// Lets time pass for the task, and commits.
    async fn tick(&mut self) -> Result<Step, ConnectError> {
        set_gauge(&self.metrics.sink_lag_records, self.consumer.lag());
        let mut nothing = SinkBatch::default();
        let step = self.put(&mut nothing, None).await?;
        if step == Step::Next && self.commits.is_due() {
            self.commit().await?;
        }
        self.show();
        Ok(step)
    }

    /// Gives the task `batch` until it takes it. Rows of partitions that the group takes away
    /// meanwhile leave the batch: they are the next owner's.
    async fn put(
        &mut self,
        batch: &mut SinkBatch,
        messages: Option<&MessageBatch>,
    ) -> Result<Step, ConnectError> {
        let mut backoff = Backoff::new();
        loop {
            let began = Instant::now();
            let taken = self.task.put(batch).await;
            if messages.is_some() {
                self.metrics.put_batch.record(began.elapsed());
            }
            // Before anything behind the records can be committed.
            self.report_errants(messages).await?;
            let Err(error) = taken else {
                self.set_trouble(None);
                return Ok(Step::Next);
            };
            if error.kind() != ErrorKind::Retriable {
                return Err(unrecoverable(error));
            }
            match self.wait_after(&error, backoff.next_delay()).await {
                Step::Next => {}
                Step::Cancelled => return Ok(Step::Cancelled),
                Step::Revoking => {
                    self.take_revocation().await?;
                    let ours = self.commits.are_assigned(&batch.partitions);
                    retain(batch, &ours);
                }
            }
        }
    }

    /// Answers the revocation that the group waits for; batches that come before it wait.
    async fn take_revocation(&mut self) -> Result<(), ConnectError> {
        loop {
            match self.consumer.next().await {
                ConsumerEvent::Revoked { partitions, lost } => {
                    return self.give_up(&partitions, lost).await;
                }
                ConsumerEvent::Failed(error) => return Err(error),
                event => self.backlog.push_back(event),
            }
        }
    }

    /// Waits before the next attempt and shows why. The consumer's thread keeps the membership.
    async fn wait_after(&mut self, error: &ConnectError, delay: Duration) -> Step {
        let cause = error.trace();
        tracing::warn!(cause, delay_ms = delay.as_millis(), "the sink failed, trying again");
        self.metrics.retries.inc();
        self.set_trouble(Some(Condition::retrying(error, delay)));
        tokio::select! {
            () = self.control.cancel.cancelled() => Step::Cancelled,
            () = self.consumer.revoking() => Step::Revoking,
            () = tokio::time::sleep(delay) => Step::Next,
        }
    }

    /// A record that cannot be converted: skipped and reported, or the end of the task.
    async fn reject(
        &mut self,
        messages: &MessageBatch,
        rejected: RejectedMessage,
    ) -> Result<(), ConnectError> {
        let RejectedMessage { index, stage, transform, error } = rejected;
        let message = &messages.messages[index];
        let class = &*self.classes.at(stage, transform.as_deref()).to_owned();
        let place = Place { messages, index };
        self.metrics.record_failed();
        self.log_error(stage, class, &place, &error);
        if self.tolerance.judge(stage, error.kind(), 0, Duration::ZERO) != Verdict::Skip {
            return Err(exceeded(
                ConnectError::data(format!("{stage} failed on the record at {place}"))
                    .because(error),
            ));
        }
        self.metrics.errors_skipped.inc();
        if let Some(dead_letters) = &mut self.dead_letters {
            let letter = DeadLetter { batch: messages, message, stage, class, error: &error };
            dead_letters.send(letter).await?;
        }
        Ok(())
    }

    fn log_error(&self, stage: Stage, class: &str, place: &Place<'_>, error: &ConnectError) {
        if self.tolerance.log(stage, class, place, error) {
            self.metrics.errors_logged.inc();
        }
    }

    /// Deals with the records that the task passed over.
    async fn report_errants(
        &mut self,
        messages: Option<&MessageBatch>,
    ) -> Result<(), ConnectError> {
        let Some((errants, messages)) = self.errants.as_ref().zip(messages) else { return Ok(()) };
        for Errant { partition, offset, error } in errants.take() {
            let index = messages.messages.iter().position(|message| {
                message.offset == offset
                    && messages.partitions[message.partition as usize] == partition
            });
            let Some(index) = index else { continue };
            let (stage, place) = (Stage::TaskPut, Place { messages, index });
            let class = &*self.classes.at(stage, None).to_owned();
            self.metrics.record_failed();
            self.log_error(stage, class, &place, &error);
            self.metrics.errors_skipped.inc();
            if let Some(dead_letters) = &mut self.dead_letters {
                let message = &messages.messages[index];
                let letter = DeadLetter { batch: messages, message, stage, class, error: &error };
                dead_letters.send(letter).await?;
            }
        }
        Ok(())
    }

    /// Opens newly assigned partitions and starts their consumption.
    async fn open(&mut self, partitions: &[TopicPartition]) -> Result<Step, ConnectError> {
        let mut backoff = Backoff::new();
        let seeks = loop {
            let error = match self.task.open(partitions).await {
                Ok(seeks) => break seeks,
                Err(error) => error,
            };
            if error.kind() != ErrorKind::Retriable {
                return Err(unrecoverable(error));
            }
            if self.wait_after(&error, backoff.next_delay()).await == Step::Cancelled {
                return Ok(Step::Cancelled);
            }
        };
        self.set_trouble(None);
        let starts = starts(partitions, seeks);
        // The group may have moved on meanwhile; it then says so by another rebalance.
        if let Err(error) = self.consumer.assign(&starts) {
            let error = error.trace();
            tracing::warn!(error, "the assignment was not taken");
        }
        self.commits.assigned(partitions);
        self.metrics.partition_count.set(self.commits.partition_count());
        tracing::info!(partitions = partitions.len(), "partitions opened");
        Ok(Step::Next)
    }

    /// Commits for revoked partitions while they are still ours, and closes them.
    async fn give_up(
        &mut self,
        partitions: &[TopicPartition],
        lost: bool,
    ) -> Result<(), ConnectError> {
        if !lost {
            self.commit().await?;
        }
        self.close(partitions).await;
        if let Err(error) = self.consumer.unassign(partitions) {
            let error = error.trace();
            tracing::warn!(error, "the revocation was not answered");
        }
        tracing::info!(partitions = partitions.len(), lost, "partitions given up");
        Ok(())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) {
        self.commits.revoked(partitions);
        self.metrics.partition_count.set(self.commits.partition_count());
        if let Err(error) = self.task.close(partitions).await {
            let error = error.trace();
            tracing::warn!(error, "partitions were not closed cleanly");
        }
    }

    /// Commits what the task says is durable. An outside that is away is tried again at the next
    /// turn: nothing waits for it.
    async fn commit(&mut self) -> Result<(), ConnectError> {
        if let Some(dead_letters) = &mut self.dead_letters {
            dead_letters.flush().await?;
        }
        let began = Instant::now();
        let committed = match self.task.pre_commit().await {
            Ok(offsets) => self.commits.commit(&self.consumer, offsets).await,
            Err(error) => Err(error),
        };
        self.count_commit(&committed, began.elapsed());
        let Err(error) = committed else {
            self.set_trouble(None);
            return Ok(());
        };
        if error.kind() != ErrorKind::Retriable {
            return Err(unrecoverable(error));
        }
        let delay = self.commits.postpone();
        let cause = error.trace();
        tracing::warn!(cause, "offsets were not committed, trying again");
        self.metrics.retries.inc();
        self.set_trouble(Some(Condition::retrying(&error, delay)));
        Ok(())
    }

    fn count_commit(&self, committed: &Result<bool, ConnectError>, took: Duration) {
        match committed {
            Ok(true) => {
                self.metrics.offset_commit.record(took);
                self.metrics.offset_commit_outcomes.success();
                self.metrics.offset_commit_completion.inc();
                self.metrics.progressed();
            }
            Ok(false) => {}
            Err(_) => {
                self.metrics.offset_commit_outcomes.failure();
                self.metrics.offset_commit_skip.inc();
            }
        }
    }

    /// Pauses or resumes consumption as the connector's target state says.
    fn follow_pause(&mut self) {
        let wanted = self.control.is_paused();
        if std::mem::replace(&mut self.paused, wanted) == wanted {
            return;
        }
        if wanted {
            self.consumer.pause();
        } else {
            self.consumer.resume();
        }
    }

    fn set_trouble(&mut self, condition: Option<Condition>) {
        self.trouble = condition;
        self.show();
    }

    fn show(&self) {
        let waiting = || self.consumer.trouble().map(Condition::waiting);
        self.control.show(self.trouble.clone().or_else(waiting));
    }

    /// Commits what is durable, closes everything and leaves the group.
    async fn finish(
        mut self,
        deadline: Duration,
        outcome: Result<(), ConnectError>,
    ) -> Result<(), ConnectError> {
        let partitions = self.commits.partitions();
        let ending = async {
            // After a failure the task is not asked any more what is durable.
            if outcome.is_ok()
                && let Err(error) = self.commit().await
            {
                let error = error.trace();
                tracing::warn!(error, "the last offsets were not committed");
            }
            self.close(&partitions).await;
        };
        if tokio::time::timeout(deadline, ending).await.is_err() {
            tracing::warn!("the sink task did not close its partitions in time");
        }
        let Self { id, task, consumer, control, .. } = self;
        match tokio::time::timeout(deadline, task.stop()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = error.trace();
                tracing::warn!(task = %id, error, "the sink task did not stop cleanly");
            }
            Err(_) => tracing::warn!(task = %id, "the sink task did not stop in time"),
        }
        consumer.close(LEAVE_DEADLINE).await;
        if control.cancel.is_cancelled() { Ok(()) } else { outcome }
    }
}

/// Cancel-safe.
async fn next_event(
    backlog: &mut VecDeque<ConsumerEvent>,
    consumer: &mut Consumer,
) -> ConsumerEvent {
    match backlog.pop_front() {
        Some(event) => event,
        None => consumer.next().await,
    }
}

/// Where to start each partition: as the task says, else at the group's offset.
fn starts(
    partitions: &[TopicPartition],
    seeks: Vec<(TopicPartition, i64)>,
) -> Vec<(TopicPartition, Option<i64>)> {
    let seeks: BTreeMap<_, _> = seeks.into_iter().collect();
    partitions.iter().map(|each| (each.clone(), seeks.get(each).copied())).collect()
}

fn unrecoverable(error: ConnectError) -> ConnectError {
    let text = "Exiting WorkerSinkTask due to unrecoverable exception.";
    match error.kind() {
        ErrorKind::Retriable => ConnectError::retriable(text),
        ErrorKind::Data => ConnectError::data(text),
        ErrorKind::Config => ConnectError::config(text),
        ErrorKind::Fatal => ConnectError::fatal(text),
    }
    .because(error)
}
