//! The dead letter queue of a sink: rejected records, byte for byte, with where and why as headers
//! (KIP-298, Kafka Connect's `DeadLetterQueueReporter`).

use std::sync::Arc;
use std::time::Duration;

use crate::config::Parsed;
use crate::data::TopicPartition;
use crate::error::{ConnectError, ErrorKind};
use crate::kafka::{
    Admin, ClientProps, Message, MessageBatch, MessageHeaders, NewTopic, Outgoing, Producer,
    Refused, Reports,
};
use crate::metrics::TaskMetrics;
use crate::runtime::assembly::{class_of_error, trace_of};
use crate::runtime::connector_config::{
    DLQ_CONTEXT_HEADERS_ENABLE, DLQ_TOPIC_NAME, DLQ_TOPIC_REPLICATION_FACTOR,
};
use crate::runtime::herder::TaskId;
use crate::runtime::tolerance::Stage;

/// How long the cluster may take to answer, and reports to arrive.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where a connector's rejected records go.
#[derive(Debug)]
pub(super) struct DeadLetters {
    producer: Producer,
    topic: String,
    context_headers: bool,
    id: TaskId,
    metrics: Arc<TaskMetrics>,
    outstanding: u64,
}

/// A rejected record: what was consumed, and what failed on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeadLetter<'a> {
    pub(super) batch: &'a MessageBatch,
    pub(super) message: &'a Message,
    pub(super) stage: Stage,
    /// The class of the converter or transform.
    pub(super) class: &'a str,
    pub(super) error: &'a ConnectError,
}

impl DeadLetters {
    /// Makes the queue that the configuration names, creating its topic if it is missing; `None`
    /// when it names none.
    ///
    /// # Errors
    /// When the topic can be neither found nor created.
    pub(super) async fn open(
        config: &Parsed,
        id: &TaskId,
        props: ClientProps<'_>,
        metrics: &Arc<TaskMetrics>,
    ) -> Result<Option<Self>, ConnectError> {
        let topic = config.string(DLQ_TOPIC_NAME);
        if topic.is_empty() {
            return Ok(None);
        }
        let replication_factor = config.integer(DLQ_TOPIC_REPLICATION_FACTOR);
        let new = NewTopic {
            name: topic.clone(),
            partitions: 1,
            replication_factor: i32::try_from(replication_factor).unwrap_or(-1),
            config: Vec::new(),
        };
        let admin_id = format!("connector-adminclient-{id}");
        let admin = Admin::new(&ClientProps { client_id: &admin_id, ..props })?;
        if admin.partitions_of(&topic, DEADLINE).await?.is_none() {
            admin.create_topic(&new, DEADLINE).await.map_err(|error| {
                let text = format!("Could not initialize dead letter queue with topic={topic}");
                match error.kind() {
                    ErrorKind::Retriable => ConnectError::retriable(text),
                    _ => ConnectError::config(text),
                }
                .because(error)
            })?;
        }
        let producer_id = format!("connector-dlq-producer-{id}");
        let producer = Producer::new(&ClientProps { client_id: &producer_id, ..props })?;
        let context_headers = config.boolean(DLQ_CONTEXT_HEADERS_ENABLE);
        let (id, metrics) = (id.clone(), Arc::clone(metrics));
        Ok(Some(Self { producer, topic, context_headers, id, metrics, outstanding: 0 }))
    }

    /// Sends a rejected record on.
    ///
    /// # Errors
    /// When it cannot be sent; nothing behind it may be committed then.
    pub(super) async fn send(&mut self, letter: DeadLetter<'_>) -> Result<(), ConnectError> {
        let DeadLetter { batch, message, .. } = letter;
        let bytes = |span| batch.bytes(span);
        let topic = self.topic.clone();
        let mut outgoing = Outgoing {
            topic: &topic,
            partition: None,
            key: message.key.map(bytes),
            value: message.value.map(bytes),
            timestamp_ms: message.timestamp_ms,
            headers: Some(self.headers(letter)),
        };
        self.metrics.dead_letter_requests.inc();
        loop {
            match self.producer.send(&mut outgoing, 0) {
                Ok(()) => break,
                Err(Refused::Full) => self.wait().await?,
                Err(Refused::Failed(error)) => return Err(failed(&topic, error)),
            }
        }
        self.outstanding += 1;
        Ok(())
    }

    /// Waits until every record has arrived: offsets behind them may be committed then.
    ///
    /// # Errors
    /// Retriable when they do not arrive in time.
    pub(super) async fn flush(&mut self) -> Result<(), ConnectError> {
        while 0 < self.outstanding {
            self.wait().await?;
        }
        Ok(())
    }

    async fn wait(&mut self) -> Result<(), ConnectError> {
        if tokio::time::timeout(DEADLINE, self.producer.reported()).await.is_err() {
            let cause = self.producer.trouble().unwrap_or_else(|| "no report came".to_owned());
            return Err(failed(&self.topic, ConnectError::retriable(cause)));
        }
        let mut reports = Reports::default();
        self.producer.take_reports(&mut reports);
        let settled = reports.delivered.iter().chain(&reports.failed);
        let failed_count = reports.failed.iter().map(|(_, count)| u64::from(*count)).sum();
        self.metrics.dead_letter_failures.inc_by(failed_count);
        self.outstanding -= settled.map(|(_, count)| u64::from(*count)).sum::<u64>();
        match reports.errors.pop() {
            None => self.producer.check(),
            Some(error) => Err(failed(&self.topic, error)),
        }
    }

    /// The record's own headers, then the context.
    fn headers(&self, letter: DeadLetter<'_>) -> MessageHeaders {
        let DeadLetter { batch, message, stage, class, error } = letter;
        let (first, count) = message.headers;
        let own = batch.headers.iter().skip(first as usize).take(count as usize);
        let headers = own.fold(MessageHeaders::default(), |headers, (name, value)| {
            let name = String::from_utf8_lossy(batch.bytes(*name));
            headers.with(&name, value.map(|value| batch.bytes(value)))
        });
        if !self.context_headers {
            return headers;
        }
        let partition = &batch.partitions[message.partition as usize];
        context(&self.id, partition, message.offset, stage, class, error)
            .into_iter()
            .fold(headers, |headers, (name, value)| headers.with(name, Some(value.as_bytes())))
    }
}

/// The context headers, in the original's order.
fn context(
    id: &TaskId,
    partition: &TopicPartition,
    offset: i64,
    stage: Stage,
    class: &str,
    error: &ConnectError,
) -> [(&'static str, String); 10] {
    [
        ("__connect.errors.topic", partition.topic.to_string()),
        ("__connect.errors.partition", partition.partition.to_string()),
        ("__connect.errors.offset", offset.to_string()),
        ("__connect.errors.connector.name", id.connector.clone()),
        ("__connect.errors.task.id", id.task.to_string()),
        ("__connect.errors.stage", stage.name().to_owned()),
        ("__connect.errors.class.name", class.to_owned()),
        ("__connect.errors.exception.class.name", class_of_error(error).to_owned()),
        ("__connect.errors.exception.message", error.to_string()),
        ("__connect.errors.exception.stacktrace", format!("{}\n", trace_of(error))),
    ]
}

fn failed(topic: &str, error: ConnectError) -> ConnectError {
    let text = format!("a rejected record cannot be sent to dead letter queue \"{topic}\"");
    match error.kind() {
        ErrorKind::Retriable => ConnectError::retriable(text),
        _ => ConnectError::fatal(text),
    }
    .because(error)
}
