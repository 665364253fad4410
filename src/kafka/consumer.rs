//! The consumer of a sink task, on a thread of its own.
//!
//! The thread polls, packs messages into one arena per batch and hands batches and rebalances over
//! in order; while the task is busy it pauses its partitions and goes on polling, so that the group
//! never thinks it dead. Offsets are committed only when the task says so.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};
use tokio::sync::{Mutex, mpsc};

use super::client_config::{ClientKind, ClientProps};
use super::context;
use super::orphans::{self, Membership};
use super::rebalance::{Context, Native, Shared, partition_list};
use crate::data::TopicPartition;
use crate::error::ConnectError;

/// How long a poll waits for a message; also how late the thread sees that it must end.
const POLL: Duration = Duration::from_millis(100);
/// How long a batch may wait for the task before its partitions are paused. Shorter waits are the
/// ordinary back-pressure and not worth fetching again what pausing throws away.
const HOLD: Duration = Duration::from_secs(5);
/// A batch ends here: enough to spread its costs, small enough for three to stand in memory.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_MESSAGES: usize = 10_000;
/// How long a commit may take before the caller is told to try again.
const COMMIT_DEADLINE: Duration = Duration::from_secs(10);

/// What to consume, and as whom.
#[derive(Debug)]
pub struct ConsumerOptions<'a> {
    pub props: ClientProps<'a>,
    /// The group, unless the properties name another.
    pub group: &'a str,
    /// Topic names, and regular expressions that start with `^`.
    pub topics: &'a [String],
}

/// What happened, in order.
#[derive(Debug)]
pub enum ConsumerEvent {
    Batch(MessageBatch),
    /// Consumption starts when [`Consumer::assign`] answers.
    Assigned(Vec<TopicPartition>),
    /// The group waits until [`Consumer::unassign`] answers. When `lost`, somebody else may have
    /// the partitions already and nothing may be committed for them.
    Revoked {
        partitions: Vec<TopicPartition>,
        lost: bool,
    },
    /// The consumer cannot go on.
    Failed(ConnectError),
}

/// Bytes of [`MessageBatch::wire`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub off: u32,
    pub len: u32,
}

/// A consumed message; its bytes are in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// An index of [`MessageBatch::partitions`].
    pub partition: u32,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: Option<Span>,
    pub value: Option<Span>,
    /// Where its headers start in [`MessageBatch::headers`], and how many there are.
    pub headers: (u32, u32),
}

/// Messages over one arena.
#[derive(Debug, Default)]
pub struct MessageBatch {
    pub wire: Bytes,
    pub messages: Vec<Message>,
    pub partitions: Vec<TopicPartition>,
    /// Name and value of every header of every message.
    pub headers: Vec<(Span, Option<Span>)>,
}

impl MessageBatch {
    /// The bytes of `span`.
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.wire[span.off as usize..][..span.len as usize]
    }
}

/// A member of a consumer group.
pub struct Consumer {
    /// `None` only while dropping: the thread must hold the last reference, because leaving the
    /// group blocks.
    inner: Option<Arc<Native>>,
    shared: Arc<Shared>,
    events: mpsc::Receiver<ConsumerEvent>,
    thread: Option<JoinHandle<()>>,
    /// Looks after the group; see `orphans`.
    guard: tokio::task::JoinHandle<()>,
    committing: Arc<Mutex<()>>,
    group: String,
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Consumer {
    /// Joins the group in the background.
    ///
    /// The member is a static one (KIP-345) under its client id: a task that was killed takes its
    /// partitions over from its dead self without a rebalance, and a zombie is fenced. Must be called
    /// within a runtime.
    ///
    /// # Errors
    /// When a property or a topic pattern cannot be used.
    pub fn new(options: &ConsumerOptions<'_>) -> Result<Self, ConnectError> {
        let (mut config, translation) = options.props.build(ClientKind::Consumer)?;
        let group = translation.settings.get("group.id").map_or(options.group, String::as_str);
        config.set("group.id", group);
        if !translation.settings.contains_key("group.instance.id") {
            config.set("group.instance.id", options.props.client_id);
        }
        let shared = Arc::new(Shared::default());
        let inner: Native = BaseConsumer::from_config_and_context(&config, Context(shared.clone()))
            .map_err(|error| context::call_failure("cannot make a Kafka consumer", error))?;
        let topics: Vec<_> = options.topics.iter().map(String::as_str).collect();
        inner.subscribe(&topics).map_err(|error| {
            ConnectError::config(format!("cannot subscribe to {}", topics.join(", ")))
                .because(error)
        })?;
        let inner = Arc::new(inner);
        let (sender, events) = mpsc::channel(1);
        let poller = Poller {
            consumer: inner.clone(),
            shared: shared.clone(),
            events: sender,
            packer: Packer::new(translation.max_poll_records.unwrap_or(BATCH_MESSAGES)),
            unknown_topic_told: false,
        };
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || poller.run())
            .map_err(|error| {
                ConnectError::retriable("cannot start a thread for a Kafka consumer").because(error)
            })?;
        let group = group.to_owned();
        let membership =
            Membership { config, group: group.clone(), topics: options.topics.to_vec() };
        let guard =
            tokio::spawn(orphans::guard(membership, shared.clone(), Arc::downgrade(&inner)));
        Ok(Self {
            inner: Some(inner),
            shared,
            events,
            thread: Some(thread),
            guard,
            committing: Arc::default(),
            group,
        })
    }

    /// The next event. Cancel-safe.
    pub async fn next(&mut self) -> ConsumerEvent {
        let event = self.events.recv().await;
        if let Some(thread) = &self.thread {
            // There is room now: a thread that waits with a batch need not sleep on.
            thread.thread().unpark();
        }
        event.unwrap_or_else(|| {
            ConsumerEvent::Failed(ConnectError::retriable("the Kafka consumer's thread has ended"))
        })
    }

    /// Answers an assignment: consumption starts at the given offsets, else at the group's.
    ///
    /// # Errors
    /// Retriable when the group moved on meanwhile.
    pub fn assign(&self, partitions: &[(TopicPartition, Option<i64>)]) -> Result<(), ConnectError> {
        self.shared.answer_assign(self.native(), partitions)
    }

    /// Answers a revocation.
    ///
    /// # Errors
    /// Retriable when the group moved on meanwhile.
    pub fn unassign(&self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        self.shared.answer_unassign(self.native(), partitions)
    }

    /// Commits offsets to consume next to the group and waits for the coordinator.
    ///
    /// # Errors
    /// Retriable; the offsets may or may not have been committed.
    pub async fn commit(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), ConnectError> {
        if offsets.is_empty() {
            return Ok(());
        }
        let doing = format!("cannot commit offsets of consumer group \"{}\"", self.group);
        let list = partition_list(offsets.iter().map(|(partition, next)| (partition, Some(*next))));
        let native = self.inner.clone().expect("the consumer lives until it is closed");
        // rdkafka does not deliver the results of asynchronous commits, so this blocks a thread, and
        // only one: a commit that takes too long is waited for before the next one starts.
        let committing = self.committing.clone();
        let commit = async {
            let turn = committing.lock_owned().await;
            tokio::task::spawn_blocking(move || {
                let result = native.commit(&list, CommitMode::Sync);
                drop(turn);
                result
            })
            .await
        };
        match tokio::time::timeout(COMMIT_DEADLINE, commit).await {
            Ok(Ok(result)) => result.map_err(|error| context::call_failure(&doing, error)),
            Ok(Err(error)) => Err(ConnectError::retriable(doing).because(error)),
            Err(_) => {
                let reason =
                    self.trouble().unwrap_or_else(|| "the coordinator does not answer".to_owned());
                Err(ConnectError::retriable(doing).because(reason))
            }
        }
    }

    /// Stops fetching; polling goes on. Holds for partitions that are assigned later, too.
    pub fn pause(&self) {
        self.shared.paused.store(true, Ordering::Release);
        pause_all(self.native());
    }

    /// Fetches again.
    pub fn resume(&self) {
        self.shared.paused.store(false, Ordering::Release);
        resume_all(self.native());
    }

    /// Records between the end of the assigned partitions and what was handed over, measured every
    /// ten seconds.
    pub fn lag(&self) -> u64 {
        self.shared.lag.load(Ordering::Relaxed)
    }

    /// Why brokers cannot be reached or read, while they cannot.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.get()
    }

    /// Waits until the group waits for [`Consumer::unassign`]. Cancel-safe.
    pub async fn revoking(&self) {
        while !self.shared.is_revoking() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// The group that was joined.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Leaves the group, waiting at most `deadline`; it is left in the background after that.
    pub async fn close(mut self, deadline: Duration) {
        self.release();
        let Some(thread) = self.thread.take() else { return };
        let ended = async {
            while !thread.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(deadline, ended).await.is_err() {
            tracing::warn!(
                group = self.group,
                "leaving the consumer group goes on in the background"
            );
        }
    }

    fn native(&self) -> &Native {
        self.inner.as_deref().expect("the consumer lives until it is closed")
    }

    /// Lets go of the consumer first, so that the thread's reference is the last.
    fn release(&mut self) {
        self.guard.abort();
        self.inner = None;
        self.events.close();
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.release();
    }
}

fn pause_all(consumer: &Native) {
    let paused = consumer.assignment().and_then(|assigned| consumer.pause(&assigned));
    if let Err(error) = paused {
        tracing::warn!(%error, "cannot pause consumption");
    }
}

fn resume_all(consumer: &Native) {
    let resumed = consumer.assignment().and_then(|assigned| consumer.resume(&assigned));
    if let Err(error) = resumed {
        tracing::warn!(%error, "cannot resume consumption");
    }
}

/// The thread's state.
struct Poller {
    consumer: Arc<Native>,
    shared: Arc<Shared>,
    events: mpsc::Sender<ConsumerEvent>,
    packer: Packer,
    unknown_topic_told: bool,
}

impl Poller {
    fn run(mut self) {
        while !self.shared.stopping() {
            self.poll(POLL);
            while self.packer.has_room() && self.poll(Duration::ZERO) {}
            if let Some(batch) = self.packer.take() {
                self.deliver(ConsumerEvent::Batch(batch));
            }
            // Behind the messages that were polled before it.
            while let Some(event) = self.shared.next_event() {
                self.deliver(event);
            }
        }
        // A revocation that nobody answers would keep the close below waiting for ever.
        self.shared.answer_everything(&self.consumer);
    }

    /// Whether a message came.
    fn poll(&mut self, wait: Duration) -> bool {
        match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                self.packer.push(&message);
                true
            }
            Some(Err(error)) => {
                note(&self.shared, &mut self.unknown_topic_told, &error);
                false
            }
            None => false,
        }
    }

    /// Hands `event` over, however long that takes, and keeps the membership alive meanwhile.
    fn deliver(&mut self, mut event: ConsumerEvent) {
        let since = Instant::now();
        let mut holding = false;
        loop {
            match self.events.try_send(event) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => break,
                Err(mpsc::error::TrySendError::Full(back)) => event = back,
            }
            if self.shared.stopping() {
                break;
            }
            if holding {
                // Paused partitions give nothing; what was on its way goes into the next batch.
                self.poll(POLL);
            } else if since.elapsed() < HOLD {
                std::thread::park_timeout(POLL);
            } else {
                holding = true;
                pause_all(&self.consumer);
            }
        }
        if holding && !self.shared.paused.load(Ordering::Acquire) {
            resume_all(&self.consumer);
        }
    }
}

/// Remembers what keeps the consumer from reading, and says it once.
fn note(shared: &Shared, unknown_topic_told: &mut bool, error: &KafkaError) {
    if let KafkaError::MessageConsumptionFatal(code) = error {
        let error = context::failure("the Kafka consumer cannot go on", *code);
        shared.queue(ConsumerEvent::Failed(error));
        return;
    }
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            let text = "a subscribed topic does not exist yet";
            if !std::mem::replace(unknown_topic_told, true) {
                tracing::warn!(%error, "a subscribed topic does not exist yet, looking again every few seconds");
            }
            shared.trouble.set(text.to_owned());
        }
        Some(code) => {
            let text = context::failure("cannot consume", code).trace();
            tracing::debug!(error = text, "consumption is in trouble");
            shared.trouble.set(text.replace("\nCaused by: ", ": "));
        }
        None => {}
    }
}

/// Collects messages into an arena.
struct Packer {
    wire: Vec<u8>,
    batch: MessageBatch,
    messages_max: usize,
}

impl Packer {
    fn new(messages_max: usize) -> Self {
        Self { wire: Vec::new(), batch: MessageBatch::default(), messages_max }
    }

    fn has_room(&self) -> bool {
        self.wire.len() < BATCH_BYTES && self.batch.messages.len() < self.messages_max
    }

    fn push(&mut self, message: &BorrowedMessage<'_>) {
        let partition = self.partition(message.topic(), message.partition());
        let key = message.key().map(|key| self.copy(key));
        let value = message.payload().map(|value| self.copy(value));
        let first = to_u32(self.batch.headers.len());
        if let Some(headers) = message.headers() {
            for header in headers.iter() {
                let name = self.copy(header.key.as_bytes());
                let value = header.value.map(|value| self.copy(value));
                self.batch.headers.push((name, value));
            }
        }
        let headers = (first, to_u32(self.batch.headers.len()) - first);
        let timestamp_ms = match message.timestamp() {
            Timestamp::NotAvailable => None,
            Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => Some(ms),
        };
        let offset = message.offset();
        self.batch.messages.push(Message { partition, offset, timestamp_ms, key, value, headers });
    }

    fn partition(&mut self, topic: &str, partition: i32) -> u32 {
        let known = self
            .batch
            .partitions
            .iter()
            .rposition(|known| known.partition == partition && *known.topic == *topic);
        to_u32(known.unwrap_or_else(|| {
            self.batch.partitions.push(TopicPartition { topic: topic.into(), partition });
            self.batch.partitions.len() - 1
        }))
    }

    fn copy(&mut self, bytes: &[u8]) -> Span {
        let off = to_u32(self.wire.len());
        self.wire.extend_from_slice(bytes);
        Span { off, len: to_u32(bytes.len()) }
    }

    fn take(&mut self) -> Option<MessageBatch> {
        if self.batch.messages.is_empty() {
            return None;
        }
        let mut batch = std::mem::take(&mut self.batch);
        // The next batch is likely to be as large; growing by doubling would leave half of it empty.
        let next = Vec::with_capacity(self.wire.len());
        batch.wire = Bytes::from(std::mem::replace(&mut self.wire, next));
        Some(batch)
    }
}

/// A batch ends at [`BATCH_BYTES`] and a message is below 2 GiB.
fn to_u32(length: usize) -> u32 {
    u32::try_from(length).expect("a batch stays below 4 GiB")
}
