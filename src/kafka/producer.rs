//! The producer of a source task: idempotent, bounded in bytes, and told by numbers what arrived.
//!
//! librdkafka copies every payload, so callers reuse their buffers. Each message carries the sequence
//! number of its group (`runtime::submitted`) as the delivery opaque; reports come back as counts
//! per group, so that a delivered message costs neither an allocation nor a wake-up.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, NoCustomPartitioner, ProducerContext};
use tokio::sync::Notify;

use super::client_config::{ClientKind, ClientProps};
use super::context::{self, Trouble};
use crate::error::ConnectError;

/// How long the polling thread sleeps without an event; also how late it sees that it must end.
const POLL: Duration = Duration::from_millis(100);
/// How many failures keep their text; the rest are only counted.
const ERRORS_KEPT: usize = 8;

/// A record on its way to Kafka, over borrowed bytes.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    pub topic: &'a str,
    /// `None` leaves the choice to the partitioner.
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Milliseconds since the epoch; `None` is now.
    pub timestamp_ms: Option<i64>,
    pub headers: Option<MessageHeaders>,
}

/// The headers of an [`Outgoing`], in order.
#[derive(Debug, Clone)]
pub struct MessageHeaders(OwnedHeaders);

impl Default for MessageHeaders {
    fn default() -> Self {
        Self(OwnedHeaders::new())
    }
}

impl MessageHeaders {
    /// Appends a header.
    #[must_use]
    pub fn with(self, key: &str, value: Option<&[u8]>) -> Self {
        Self(self.0.insert(Header { key, value }))
    }
}

/// Why a message was not taken.
#[derive(Debug)]
pub enum Refused {
    /// No room; the message is unchanged. Wait for [`Producer::reported`] and try again.
    Full,
    /// It can never be sent, or the producer cannot go on.
    Failed(ConnectError),
}

/// What became of messages since the last look.
#[derive(Debug, Default)]
pub struct Reports {
    /// Group and how many of its messages are acknowledged; a group may come several times.
    pub delivered: Vec<(u64, u32)>,
    /// As `delivered`, of messages that will not arrive.
    pub failed: Vec<(u64, u32)>,
    /// Why; the first few.
    pub errors: Vec<ConnectError>,
}

impl Reports {
    /// Empties the reports and keeps their memory.
    pub fn clear(&mut self) {
        self.delivered.clear();
        self.failed.clear();
        self.errors.clear();
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.delivered.is_empty() && self.failed.is_empty()
    }
}

/// A producer with a thread of its own that receives the reports.
pub struct Producer {
    /// `None` only while dropping: the thread must hold the last reference, because closing blocks.
    inner: Option<Arc<BaseProducer<Context>>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Reports>,
    reported: Notify,
    trouble: Trouble,
    fatal: Mutex<Option<String>>,
    stop: AtomicBool,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Reports> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fatal(&self) -> MutexGuard<'_, Option<String>> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer {
    /// Makes a producer; brokers are looked for in the background.
    ///
    /// # Errors
    /// When a property cannot be used.
    pub fn new(props: &ClientProps<'_>) -> Result<Self, ConnectError> {
        let (config, _) = props.build(ClientKind::Producer)?;
        Self::of(config)
    }

    /// Makes a producer of librdkafka's own settings.
    pub(super) fn of(config: ClientConfig) -> Result<Self, ConnectError> {
        let shared = Arc::new(Shared::default());
        let context = Context(shared.clone());
        let inner = BaseProducer::from_config_and_context(&config, context)
            .map_err(|error| context::call_failure("cannot make a Kafka producer", error))?;
        let inner = Arc::new(inner);
        let thread = std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn({
                let (inner, shared) = (inner.clone(), shared.clone());
                move || {
                    while !shared.stop.load(Ordering::Acquire) {
                        inner.poll(POLL);
                    }
                }
            })
            .map_err(|error| {
                ConnectError::retriable("cannot start a thread for a Kafka producer").because(error)
            })?;
        Ok(Self { inner: Some(inner), shared, thread: Some(thread) })
    }

    /// Hands a message of `group` to librdkafka, which copies it. Never blocks.
    ///
    /// # Errors
    /// [`Refused::Full`] when the queue is full; [`Refused::Failed`] otherwise.
    pub fn send(&self, message: &mut Outgoing<'_>, group: u64) -> Result<(), Refused> {
        let inner = self.inner();
        let opaque = usize::try_from(group).expect("pointers have 64 bits on every target");
        let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord {
            topic: message.topic,
            partition: message.partition,
            payload: message.value,
            key: message.key,
            timestamp: message.timestamp_ms,
            headers: message.headers.take().map(|headers| headers.0),
            delivery_opaque: opaque,
        };
        let Err((error, record)) = inner.send(record) else { return Ok(()) };
        message.headers = record.headers.map(MessageHeaders);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => Err(Refused::Full),
            Some(RDKafkaErrorCode::Fatal) => Err(Refused::Failed(self.fatal_error())),
            _ => {
                let doing = format!("cannot produce to topic \"{}\"", message.topic);
                Err(Refused::Failed(context::call_failure(&doing, error)))
            }
        }
    }

    /// Appends what was reported since the last call.
    pub fn take_reports(&self, out: &mut Reports) {
        let mut pending = self.shared.pending();
        if out.is_empty() {
            // Exchanging keeps both buffers' memory and the lock short.
            std::mem::swap(&mut *pending, out);
            return;
        }
        out.delivered.append(&mut pending.delivered);
        out.failed.append(&mut pending.failed);
        out.errors.append(&mut pending.errors);
    }

    /// Waits until something is reported. Cancel-safe. May return without cause.
    pub async fn reported(&self) {
        self.shared.reported.notified().await;
    }

    /// Why brokers cannot be reached, while they cannot.
    pub fn trouble(&self) -> Option<String> {
        self.shared.trouble.get()
    }

    /// Fails once the producer cannot go on: its sequence is broken and only a new one can continue.
    ///
    /// # Errors
    /// Retriable: a new producer starts from the stored offsets.
    pub fn check(&self) -> Result<(), ConnectError> {
        if self.shared.fatal().is_some() { Err(self.fatal_error()) } else { Ok(()) }
    }

    /// librdkafka's producer, for a call that blocks.
    pub(super) fn native(&self) -> Arc<BaseProducer<Context>> {
        self.inner().clone()
    }

    fn inner(&self) -> &Arc<BaseProducer<Context>> {
        let Some(inner) = &self.inner else {
            unreachable!("the producer lives until it is dropped")
        };
        inner
    }

    fn fatal_error(&self) -> ConnectError {
        let reason = self.shared.fatal().clone().unwrap_or_else(|| "no reason given".to_owned());
        ConnectError::retriable("the Kafka producer cannot go on and has to be replaced")
            .because(reason)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.inner = None;
        self.shared.stop.store(true, Ordering::Release);
        // Not joined: the thread ends within its poll and the close of half a second, and waiting
        // for that would block the runtime.
        self.thread = None;
    }
}

pub(super) struct Context(Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            *self.0.fatal() = Some(reason.to_owned());
            self.0.reported.notify_one();
        }
        self.0.trouble.note(&error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, group: usize) {
        let mut pending = self.0.pending();
        let first = pending.is_empty();
        match result {
            Ok(_) => count(&mut pending.delivered, group as u64),
            Err((error, message)) => {
                count(&mut pending.failed, group as u64);
                if pending.errors.len() < ERRORS_KEPT {
                    let doing = format!("cannot produce to topic \"{}\"", message.topic());
                    pending.errors.push(context::call_failure(&doing, error.clone()));
                }
            }
        }
        drop(pending);
        if first {
            if result.is_ok() {
                self.0.trouble.clear();
            }
            self.0.reported.notify_one();
        }
    }
}

/// Reports come in runs of one group.
fn count(counts: &mut Vec<(u64, u32)>, group: u64) {
    match counts.last_mut() {
        Some((last, count)) if *last == group && *count < u32::MAX => *count += 1,
        _ => counts.push((group, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_group_are_one_count() {
        let mut counts = Vec::new();
        for group in [3, 3, 3, 4, 3] {
            count(&mut counts, group);
        }
        assert_eq!(counts, [(3, 3), (4, 1), (3, 1)]);
    }
}
