//! What a source task has handed to Kafka and what of it may be stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::data::SourceOffset;
use crate::error::{ConnectError, ErrorKind};
use crate::kafka::{Outgoing, Producer, Refused, Reports};
use crate::metrics::TaskMetrics;
use crate::runtime::offset_flush::Flusher;
use crate::runtime::source_transaction::OFFSETS_GROUP;
use crate::runtime::submitted::Submitted;
use crate::runtime::task::{Condition, TaskControl, reached};
use crate::runtime::tolerance::{Stage, Tolerance, Verdict};
use crate::runtime::transactions::Transactions;

/// Reports are looked at this long after the first one: looking at each would cost a wake-up each.
const REPORTS_GATHER: Duration = Duration::from_millis(20);
/// How often a full producer is looked at even without a report.
const ROOM_POLL: Duration = Duration::from_millis(200);
/// How often it is looked at whether the brokers still take nothing.
const WAIT_POLL: Duration = Duration::from_secs(1);
/// Waiting for the brokers this long is worth telling.
const WAIT_WORTH_TELLING: Duration = Duration::from_secs(5);
/// How long, and how many bytes, a task goes on while its progress cannot be stored: what it repeats
/// if it dies then.
const UNSTORED_TIME_MAX: Duration = Duration::from_secs(10);
const UNSTORED_BYTES_MAX: usize = 64 << 20;

/// The producer, the groups it has not acknowledged, and the storing of those it has.
pub(super) struct Progress {
    pub(super) producer: Producer,
    pub(super) submitted: Submitted,
    flusher: Flusher,
    reports: Reports,
    tolerance: Tolerance,
    pub(super) metrics: Arc<TaskMetrics>,
    pub(super) control: TaskControl,
    /// Topics used since offsets were wanted last; `None` when topics are not tracked.
    topics: Option<BTreeMap<Arc<str>, Instant>>,
    bytes_while_failing: usize,
    /// Since when messages are outstanding and none is acknowledged.
    unacknowledged_since: Option<Instant>,
    /// Why the source cannot be read, and why Kafka takes nothing, at present.
    source_trouble: Option<Condition>,
    pub(super) kafka_trouble: Option<Condition>,
    /// With exactly-once delivery.
    pub(super) transactions: Option<Transactions>,
}

/// Whether a message was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Yes,
    /// The task was cancelled while the producer was full.
    Cancelled,
}

impl Progress {
    pub(super) fn new(
        producer: Producer,
        flusher: Flusher,
        tolerance: Tolerance,
        metrics: Arc<TaskMetrics>,
        control: TaskControl,
        track_topics: bool,
    ) -> Self {
        Self {
            producer,
            submitted: Submitted::default(),
            flusher,
            reports: Reports::default(),
            tolerance,
            metrics,
            control,
            topics: track_topics.then(BTreeMap::new),
            bytes_while_failing: 0,
            unacknowledged_since: None,
            source_trouble: None,
            kafka_trouble: None,
            transactions: None,
        }
    }

    /// Sends in transactions from now on.
    pub(super) fn with_transactions(self, transactions: Option<Transactions>) -> Self {
        Self { transactions, ..self }
    }

    /// Hands a message over, waiting for room. A record that can never be sent is an error of the
    /// record.
    ///
    /// # Errors
    /// Why the message was refused, or why the task cannot go on.
    pub(super) async fn send(&mut self, mut message: Outgoing<'_>) -> Result<Sent, ConnectError> {
        if let Some(transactions) = &mut self.transactions {
            transactions.add_record(&self.producer)?;
        }
        let group = self.submitted.open_group();
        loop {
            match self.producer.send(&mut message, group) {
                Ok(()) => break,
                Err(Refused::Failed(error)) => return Err(error),
                Err(Refused::Full) => {
                    if self.control.cancel.is_cancelled() {
                        return Ok(Sent::Cancelled);
                    }
                    self.wait_for_room().await?;
                }
            }
        }
        self.submitted.add_message();
        self.bytes_while_failing += message.value.map_or(0, <[u8]>::len);
        Ok(Sent::Yes)
    }

    pub(super) async fn wait_for_room(&mut self) -> Result<(), ConnectError> {
        let cancelled = self.control.cancel.clone();
        tokio::select! {
            () = cancelled.cancelled() => {}
            // Returning without a report is fine: the caller tries again.
            _ = tokio::time::timeout(ROOM_POLL, self.producer.reported()) => {}
        }
        self.settle()
    }

    /// Ends a group: all messages so far are described by `offset`.
    pub(super) fn seal(&mut self, offset: SourceOffset) {
        if let Some(transactions) = &mut self.transactions {
            transactions.seal(&offset);
        }
        self.submitted.seal(offset);
    }

    /// Remembers that a record went to `topic`.
    pub(super) fn used_topic(&mut self, topic: &Arc<str>) {
        let Some(topics) = &mut self.topics else { return };
        if !topics.contains_key(topic) {
            topics.insert(topic.clone(), Instant::now());
        }
    }

    /// Takes the reports in and has everything stored that may be.
    ///
    /// # Errors
    /// When messages were lost and are not to be skipped, or the producer is broken.
    pub(super) fn settle(&mut self) -> Result<(), ConnectError> {
        let taken = self.take_in_reports();
        // In a transaction what has arrived is durable only when it is committed.
        if self.transactions.is_none() {
            self.store_committable();
        }
        self.show();
        taken
    }

    /// Has everything stored before which nothing is missing.
    pub(super) fn store_committable(&mut self) {
        let committable = self.submitted.take_committable();
        if !committable.is_empty() {
            let mut untracked = BTreeMap::new();
            self.flusher.want(committable, self.topics.as_mut().unwrap_or(&mut untracked));
        }
    }

    /// Takes the reports in.
    ///
    /// # Errors
    /// As [`Progress::settle`].
    pub(super) fn take_in_reports(&mut self) -> Result<(), ConnectError> {
        self.producer.take_reports(&mut self.reports);
        let mut reports = std::mem::take(&mut self.reports);
        self.watch_brokers(!reports.delivered.is_empty());
        let of_records = |(group, _): &(u64, u32)| *group != OFFSETS_GROUP;
        for (group, count) in reports.delivered.drain(..).filter(of_records) {
            self.submitted.acknowledge(group, count);
            self.metrics.source_record_write.inc_by(count.into());
            self.metrics.progressed();
        }
        self.metrics.source_record_active.set(self.submitted.outstanding());
        let lost = self.settle_failures(&mut reports);
        reports.clear();
        self.reports = reports;
        lost?;
        self.producer.check()
    }

    /// Keeps in mind why the brokers acknowledge nothing, once that lasts.
    fn watch_brokers(&mut self, acknowledged: bool) {
        if acknowledged || self.submitted.outstanding() == 0 {
            self.unacknowledged_since = None;
            self.kafka_trouble = None;
            return;
        }
        let since = *self.unacknowledged_since.get_or_insert_with(Instant::now);
        if WAIT_WORTH_TELLING <= since.elapsed() {
            let cause = self.producer.trouble();
            let cause = cause.unwrap_or_else(|| "the brokers acknowledge nothing".to_owned());
            self.kafka_trouble = Some(Condition::waiting(format!("waiting for Kafka: {cause}")));
        }
    }

    fn settle_failures(&mut self, reports: &mut Reports) -> Result<(), ConnectError> {
        let skipped = |error: &ConnectError| {
            let verdict =
                self.tolerance.judge(Stage::KafkaProduce, error.kind(), 0, Duration::ZERO);
            // A transaction takes all its records along, or none.
            verdict == Verdict::Skip && self.transactions.is_none()
        };
        // A record that cannot be taken brings others down with it, in a transaction all of them: it is
        // the cause, and what befell them would pass.
        let unforgivable = (0..reports.errors.len())
            .filter(|index| !skipped(&reports.errors[*index]))
            .min_by_key(|index| reports.errors[*index].kind() == ErrorKind::Retriable);
        let of_records = |(group, _): &(u64, u32)| *group != OFFSETS_GROUP;
        for (group, count) in reports.failed.drain(..).filter(of_records) {
            self.metrics.record_failed();
            if unforgivable.is_none() {
                self.submitted.acknowledge(group, count);
                self.metrics.errors_skipped.inc_by(count.into());
            } else {
                self.submitted.fail(group, count);
            }
        }
        match unforgivable {
            None => Ok(()),
            Some(index) => Err(lost(reports.errors.swap_remove(index))),
        }
    }

    /// Waits for something to settle: reports, or a change of whether offsets can be stored.
    /// Cancel-safe.
    ///
    /// # Errors
    /// As [`Progress::settle`], or why storing has ended.
    pub(super) async fn turn(&mut self) -> Result<(), ConnectError> {
        let gathered = async {
            self.producer.reported().await;
            tokio::time::sleep(REPORTS_GATHER).await;
        };
        tokio::select! {
            () = gathered => {}
            () = tokio::time::sleep(WAIT_POLL), if 0 < self.submitted.outstanding() => {}
            changed = self.flusher.changed() => changed?,
            () = reached(self.transactions.as_ref().and_then(Transactions::due_at)) => {}
        }
        self.settle()
    }

    /// Whether the task may take more from the source although nothing of it may be stored soon.
    pub(super) fn may_poll(&mut self) -> bool {
        let Some(failing) = self.flusher.failing() else {
            self.bytes_while_failing = 0;
            return true;
        };
        failing.since.elapsed() < UNSTORED_TIME_MAX && self.bytes_while_failing < UNSTORED_BYTES_MAX
    }

    /// Shows why the source cannot be read at present.
    pub(super) fn set_source_trouble(&mut self, condition: Option<Condition>) {
        self.source_trouble = condition;
        self.show();
    }

    pub(super) fn show(&self) {
        let storing = || self.flusher.failing().map(|failing| failing.condition);
        let condition =
            self.source_trouble.clone().or_else(|| self.kafka_trouble.clone()).or_else(storing);
        self.control.show(condition);
    }

    async fn wait_for_reports(&mut self) -> Result<(), ConnectError> {
        self.settle()?;
        while 0 < self.submitted.outstanding() {
            self.turn().await?;
        }
        Ok(())
    }

    /// Waits for outstanding reports and stores what they allow, within `deadline`.
    ///
    /// # Errors
    /// Why not everything could be stored.
    pub(super) async fn finish(mut self, deadline: Duration) -> Result<(), ConnectError> {
        let until = Instant::now() + deadline;
        let drained = async {
            let arrived = self.wait_for_reports().await;
            self.end_last_transaction(arrived).await
        };
        // What is not acknowledged in time is repeated by the next run; the rest is stored, for
        // which some of the time is kept.
        let drained = tokio::time::timeout(deadline.mul_f64(0.7), drained).await.unwrap_or(Ok(()));
        let left = until.saturating_duration_since(Instant::now());
        self.flusher.finish(left).await.and(drained)
    }
}

fn lost(error: ConnectError) -> ConnectError {
    let text = "Unrecoverable exception from producer send callback";
    match error.kind() {
        ErrorKind::Retriable => ConnectError::retriable(text),
        ErrorKind::Data => ConnectError::data(text),
        ErrorKind::Config => ConnectError::config(text),
        ErrorKind::Fatal => ConnectError::fatal(text),
    }
    .because(error)
}
