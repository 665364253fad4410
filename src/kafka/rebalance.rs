//! The group's side of a consumer: assignments and revocations, and their answers.
//!
//! librdkafka's rebalance callback is synchronous and runs inside a poll; the task answers later,
//! when its files are open or closed. What is unanswered is kept here, because a consumer that is
//! dropped with an unanswered revocation waits for ever.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::Notify;

use super::consumer::ConsumerEvent;
use super::context::{self, Trouble};
use crate::data::TopicPartition;
use crate::error::ConnectError;

/// rdkafka's consumer with our context.
pub(super) type Native = BaseConsumer<Context>;

/// What the task, the polling thread and the callbacks share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The polling thread ends.
    pub(super) stop: AtomicBool,
    /// The task is paused: what is assigned later starts paused.
    pub(super) paused: AtomicBool,
    pub(super) lag: AtomicU64,
    pub(super) trouble: Trouble,
    /// The group has given or taken.
    pub(super) rebalanced: Notify,
    pub(super) joined: AtomicBool,
    /// Events that were raised inside a poll and are not handed over yet.
    raised: Mutex<VecDeque<ConsumerEvent>>,
    /// The rebalance that librdkafka waits for; there is never a second one before the answer.
    unanswered: Mutex<Option<Unanswered>>,
}

#[derive(Debug, Clone)]
enum Unanswered {
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn queue(&self, event: ConsumerEvent) {
        lock(&self.raised).push_back(event);
    }

    pub(super) fn next_event(&self) -> Option<ConsumerEvent> {
        lock(&self.raised).pop_front()
    }

    pub(super) fn is_revoking(&self) -> bool {
        matches!(*lock(&self.unanswered), Some(Unanswered::Revoke(_)))
    }

    pub(super) fn answer_assign(
        &self,
        consumer: &Native,
        partitions: &[(TopicPartition, Option<i64>)],
    ) -> Result<(), ConnectError> {
        let list = partition_list(partitions.iter().map(|(partition, next)| (partition, *next)));
        assign(consumer, &list).map_err(|error| {
            ConnectError::retriable("cannot take the assigned partitions").because(error)
        })?;
        *lock(&self.unanswered) = None;
        if self.paused.load(Ordering::Acquire)
            && let Err(error) = consumer.pause(&list)
        {
            tracing::warn!(%error, "cannot pause new partitions");
        }
        Ok(())
    }

    pub(super) fn answer_unassign(
        &self,
        consumer: &Native,
        partitions: &[TopicPartition],
    ) -> Result<(), ConnectError> {
        let list = partition_list(partitions.iter().map(|partition| (partition, None)));
        unassign(consumer, &list).map_err(|error| {
            ConnectError::retriable("cannot give up the revoked partitions").because(error)
        })?;
        *lock(&self.unanswered) = None;
        Ok(())
    }

    /// Lets librdkafka go on with whatever it waits for, so that the consumer can be closed.
    pub(super) fn answer_everything(&self, consumer: &Native) {
        let unanswered = lock(&self.unanswered).take();
        let answered = match &unanswered {
            None => Ok(()),
            Some(Unanswered::Assign(partitions)) => {
                assign(consumer, &partition_list(partitions.iter().map(|each| (each, None))))
            }
            Some(Unanswered::Revoke(partitions)) => {
                unassign(consumer, &partition_list(partitions.iter().map(|each| (each, None))))
            }
        };
        if let Err(error) = answered {
            tracing::debug!(%error, ?unanswered, "the rebalance had ended by itself");
        }
    }

    fn raise(&self, rebalance: Unanswered, lost: bool) {
        let event = match rebalance.clone() {
            Unanswered::Assign(partitions) => ConsumerEvent::Assigned(partitions),
            Unanswered::Revoke(partitions) => ConsumerEvent::Revoked { partitions, lost },
        };
        *lock(&self.unanswered) = Some(rebalance);
        self.queue(event);
    }
}

fn assign(consumer: &Native, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        _ => consumer.assign(list),
    }
}

fn unassign(consumer: &Native, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

/// A list in librdkafka's form; no offset means the group's.
pub(super) fn partition_list<'a>(
    partitions: impl Iterator<Item = (&'a TopicPartition, Option<i64>)>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, next) in partitions {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        if let Some(next) = next {
            element.set_offset(Offset::Offset(next)).expect("a concrete offset can be represented");
        }
    }
    list
}

/// The callbacks of a consumer.
#[derive(Debug)]
pub(super) struct Context(pub(super) Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        context::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.trouble.note(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        let partitions = statistics.topics.values().flat_map(|topic| topic.partitions.values());
        let lag = partitions
            .filter(|partition| partition.fetch_state == "active" || 0 <= partition.app_offset)
            .map(|partition| {
                let position = partition.app_offset.max(partition.committed_offset).max(0);
                u64::try_from(partition.ls_offset.saturating_sub(position)).unwrap_or(0)
            })
            .sum();
        self.0.lag.store(lag, Ordering::Relaxed);
        if statistics.brokers.values().any(|broker| broker.state == "UP") {
            self.0.trouble.clear();
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        self.0.joined.store(true, Ordering::Release);
        self.0.rebalanced.notify_one();
        // Nobody has to open or close anything for an empty list, nor while closing.
        if list.count() == 0 || self.0.stopping() {
            let answered = if assigned { assign(consumer, list) } else { unassign(consumer, list) };
            if let Err(error) = answered {
                tracing::debug!(%error, "cannot answer a rebalance");
            }
            return;
        }
        let partitions = list
            .elements()
            .iter()
            .map(|each| TopicPartition { topic: each.topic().into(), partition: each.partition() })
            .collect();
        self.0.trouble.clear();
        if assigned {
            self.0.raise(Unanswered::Assign(partitions), false);
        } else {
            self.0.raise(Unanswered::Revoke(partitions), consumer.assignment_lost());
        }
    }
}
