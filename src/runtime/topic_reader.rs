//! Topics as source tasks read them: the other end of [`Topics`].

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::config::Props;
use crate::connector::{TopicMessage, TopicReader, Topics};
use crate::data::TopicPartition;
use crate::error::ConnectError;
use crate::kafka::{ClientProps, Consumer, ConsumerEvent, ConsumerOptions, MessageBatch, Span};
use crate::runtime::worker_config::WorkerConfig;

/// The topics of the worker's cluster, read for one connector.
pub(crate) struct WorkerTopics {
    worker: Arc<WorkerConfig>,
    connector: String,
}

impl fmt::Debug for WorkerTopics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerTopics").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl WorkerTopics {
    pub(crate) fn new(worker: Arc<WorkerConfig>, connector: &str) -> Self {
        Self { worker, connector: connector.to_owned() }
    }
}

impl Topics for WorkerTopics {
    fn read(
        &self,
        topic: &str,
        group: &str,
        props: &Props,
    ) -> Result<Box<dyn TopicReader>, ConnectError> {
        let own =
            |(key, value): (&String, &String)| (format!("consumer.override.{key}"), value.clone());
        let mut connector: Props = props.iter().map(own).collect();
        connector
            .entry("consumer.override.auto.offset.reset".to_owned())
            .or_insert_with(|| "earliest".to_owned());
        let consumer = Consumer::new(&ConsumerOptions {
            props: ClientProps {
                bootstrap_servers: &self.worker.bootstrap_servers,
                worker: &self.worker.settings,
                connector: &connector,
                client_id: &format!("connector-signals-{}", self.connector),
            },
            group,
            topics: &[topic.to_owned()],
        })?;
        Ok(Box::new(WorkerTopic { consumer, messages: VecDeque::new(), next: None }))
    }
}

/// A topic that is read.
struct WorkerTopic {
    consumer: Consumer,
    messages: VecDeque<(TopicPartition, i64, TopicMessage)>,
    /// What to commit: the message before it was handed out.
    next: Option<(TopicPartition, i64)>,
}

#[async_trait]
impl TopicReader for WorkerTopic {
    async fn next(&mut self) -> Result<TopicMessage, ConnectError> {
        if let Some(next) = &self.next {
            self.consumer.commit(std::slice::from_ref(next)).await?;
            self.next = None;
        }
        loop {
            if let Some((partition, offset, message)) = self.messages.pop_front() {
                self.next = Some((partition, offset + 1));
                return Ok(message);
            }
            match self.consumer.next().await {
                ConsumerEvent::Batch(batch) => self.unpack(&batch),
                ConsumerEvent::Assigned(partitions) => {
                    let from = |partition| (partition, None);
                    let partitions: Vec<_> = partitions.into_iter().map(from).collect();
                    self.consumer.assign(&partitions)?;
                }
                ConsumerEvent::Revoked { partitions, .. } => {
                    self.messages.clear();
                    self.consumer.unassign(&partitions)?;
                }
                ConsumerEvent::Failed(error) => return Err(error),
            }
        }
    }
}

impl WorkerTopic {
    fn unpack(&mut self, batch: &MessageBatch) {
        let bytes = |span: Option<Span>| span.map(|span| Bytes::copy_from_slice(batch.bytes(span)));
        for message in &batch.messages {
            let partition = batch.partitions.get(message.partition as usize);
            // Signals are those of one partition, so that they come in their order.
            if let Some(partition) = partition.filter(|partition| partition.partition == 0) {
                let read = TopicMessage { key: bytes(message.key), value: bytes(message.value) };
                self.messages.push_back((partition.clone(), message.offset, read));
            }
        }
    }
}
