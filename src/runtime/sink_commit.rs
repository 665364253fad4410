//! Which offsets a sink task has to commit, and where they have been committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::data::TopicPartition;
use crate::error::ConnectError;
use crate::kafka::{Consumer, MessageBatch};
use crate::metrics::TaskMetrics;
use crate::runtime::ledger::task_error;
use crate::runtime::task::Backoff;
use crate::store::{Lease, Store};

/// How often the task is asked what is durable. Far more often than the original's minute, because
/// asking is cheap, only what moved is committed, and lag tools then show the truth.
const INTERVAL: Duration = Duration::from_secs(1);
/// After this a topic that still gives records is recorded again, should its record have been reset.
const TOPICS_AGAIN: Duration = Duration::from_secs(30);

/// How far a partition was consumed and committed.
#[derive(Debug, Clone, Copy)]
struct Position {
    consumed: i64,
    committed: i64,
}

/// The offsets of the assigned partitions on their way to the group and to the state database.
pub(super) struct Commits {
    store: Store,
    lease: Lease,
    metrics: Arc<TaskMetrics>,
    assigned: BTreeSet<TopicPartition>,
    /// What was consumed of each partition and not committed: the next offset of each.
    positions: BTreeMap<TopicPartition, Position>,
    /// Durable, but the group does not know.
    for_group: BTreeMap<TopicPartition, i64>,
    /// The group knows, the state database does not.
    for_mirror: BTreeMap<TopicPartition, i64>,
    /// When each topic was recorded last; `None` when topics are not tracked.
    topics: Option<BTreeMap<Arc<str>, Instant>>,
    new_topics: BTreeSet<Arc<str>>,
    due: Instant,
    backoff: Backoff,
}

impl Commits {
    pub(super) fn new(
        store: Store,
        lease: Lease,
        metrics: Arc<TaskMetrics>,
        track_topics: bool,
    ) -> Self {
        Self {
            store,
            lease,
            metrics,
            assigned: BTreeSet::new(),
            positions: BTreeMap::new(),
            for_group: BTreeMap::new(),
            for_mirror: BTreeMap::new(),
            topics: track_topics.then(BTreeMap::new),
            new_topics: BTreeSet::new(),
            due: Instant::now() + INTERVAL,
            backoff: Backoff::new(),
        }
    }

    /// The assigned partitions.
    pub(super) fn partitions(&self) -> Vec<TopicPartition> {
        self.assigned.iter().cloned().collect()
    }

    /// How many partitions are assigned.
    pub(super) fn partition_count(&self) -> i64 {
        i64::try_from(self.assigned.len()).unwrap_or(i64::MAX)
    }

    /// Counts a consumed batch as not committed.
    pub(super) fn consumed(&mut self, batch: &MessageBatch) {
        let mut ends: Vec<Option<(i64, i64)>> = vec![None; batch.partitions.len()];
        for message in &batch.messages {
            let end = &mut ends[message.partition as usize];
            let first = end.map_or(message.offset, |(first, _)| first);
            *end = Some((first, message.offset + 1));
        }
        for (partition, end) in batch.partitions.iter().zip(ends) {
            let Some((first, next)) = end else { continue };
            let fresh = Position { consumed: next, committed: first };
            self.positions.entry(partition.clone()).or_insert(fresh).consumed = next;
        }
        self.show_active();
    }

    fn show_active(&self) {
        let behind = |position: &Position| position.consumed - position.committed;
        let active = self.positions.values().map(behind).sum::<i64>();
        self.metrics.sink_record_active.set(u64::try_from(active).unwrap_or(0));
    }

    /// Which of `partitions` are assigned.
    pub(super) fn are_assigned(&self, partitions: &[TopicPartition]) -> Vec<bool> {
        partitions.iter().map(|partition| self.assigned.contains(partition)).collect()
    }

    pub(super) fn assigned(&mut self, partitions: &[TopicPartition]) {
        self.assigned.extend(partitions.iter().cloned());
    }

    /// Forgets partitions that were taken away: their offsets are the next owner's business.
    pub(super) fn revoked(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.assigned.remove(partition);
            self.for_group.remove(partition);
            self.for_mirror.remove(partition);
            self.positions.remove(partition);
        }
        self.show_active();
    }

    /// Remembers that records of these partitions' topics were converted.
    pub(super) fn used_topics(&mut self, partitions: &[TopicPartition]) {
        let Some(recorded) = &self.topics else { return };
        for TopicPartition { topic, .. } in partitions {
            if recorded.get(topic).is_none_or(|at| TOPICS_AGAIN <= at.elapsed()) {
                self.new_topics.insert(topic.clone());
            }
        }
    }

    /// Whether it is time to ask the task.
    pub(super) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Puts the next turn off after a failure; returns for how long.
    pub(super) fn postpone(&mut self) -> Duration {
        let delay = self.backoff.next_delay();
        self.due = Instant::now() + delay;
        delay
    }

    /// Commits `offsets`, and what could not be committed before, to the group and then to the state
    /// database. Says whether there was anything.
    ///
    /// # Errors
    /// Retriable when either is away; fatal when the task is fenced.
    pub(super) async fn commit(
        &mut self,
        consumer: &Consumer,
        offsets: Vec<(TopicPartition, i64)>,
    ) -> Result<bool, ConnectError> {
        self.due = Instant::now() + INTERVAL;
        let ours = offsets.into_iter().filter(|(partition, _)| self.assigned.contains(partition));
        self.for_group.extend(ours);
        let anything = !self.for_group.is_empty() || !self.for_mirror.is_empty();
        if !self.for_group.is_empty() {
            fail::fail_point!("sink.before-commit");
            let moved: Vec<_> = pairs(&self.for_group);
            let number = self.metrics.offset_commit_seq_no.get() + 1;
            self.metrics.offset_commit_seq_no.set(number);
            consumer.commit(&moved).await?;
            for (partition, next) in &moved {
                if let Some(position) = self.positions.get_mut(partition) {
                    position.committed = (*next).min(position.consumed);
                }
            }
            self.show_active();
            self.for_mirror.append(&mut self.for_group);
            self.metrics.offset_commits.inc();
        }
        if !self.for_mirror.is_empty() {
            let moved = pairs(&self.for_mirror);
            self.store.put_sink_offsets(&self.lease, &moved).await.map_err(task_error)?;
            self.for_mirror.clear();
        }
        self.record_topics().await?;
        self.backoff.reset();
        Ok(anything)
    }

    async fn record_topics(&mut self) -> Result<(), ConnectError> {
        let Some(recorded) = &mut self.topics else { return Ok(()) };
        if self.new_topics.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.new_topics.iter().map(|topic| topic.to_string()).collect();
        self.store.add_topics(&self.lease, &names).await.map_err(task_error)?;
        let now = Instant::now();
        recorded.extend(std::mem::take(&mut self.new_topics).into_iter().map(|topic| (topic, now)));
        Ok(())
    }
}

fn pairs(offsets: &BTreeMap<TopicPartition, i64>) -> Vec<(TopicPartition, i64)> {
    offsets.iter().map(|(partition, next)| (partition.clone(), *next)).collect()
}
