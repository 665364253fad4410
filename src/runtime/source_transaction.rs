//! How a source's transaction ends: its offsets join it, the lease is looked at, Kafka commits; only
//! then may anything be stored and the source be told.

use std::time::Duration;

use tokio::time::Instant;

use crate::connector::{TransactionEnd, TransactionEnds};
use crate::data::RecordBatch;
use crate::error::{ConnectError, ErrorKind};
use crate::kafka::{Ended, Outgoing, Refused};
use crate::runtime::ledger::task_error;
use crate::runtime::source_progress::{Progress, Sent};
use crate::runtime::task::{Backoff, Condition};
use crate::runtime::transactions::Transactions;

/// How long one call may wait for the brokers; then it is looked whether to go on.
const CALL_MAX: Duration = Duration::from_secs(3);
/// The group number of offsets, which are no records of the source.
pub(super) const OFFSETS_GROUP: u64 = u64::MAX;

impl Progress {
    pub(super) fn is_transactional(&self) -> bool {
        self.transactions.is_some()
    }

    /// Whether the transaction has records that no offset describes yet: a source may hand them out
    /// again after a failure, in the same transaction.
    pub(super) fn is_unsealed(&self) -> bool {
        self.transactions.as_ref().is_some_and(Transactions::is_unsealed)
    }

    /// What the task asked of its transactions in the poll that gave `batch`.
    ///
    /// # Errors
    /// When it asked for what cannot be.
    pub(super) fn ends_asked(&self, batch: &RecordBatch) -> Result<TransactionEnds, ConnectError> {
        match &self.transactions {
            Some(transactions) => transactions.asked(batch),
            None => Ok(TransactionEnds::default()),
        }
    }

    /// Whether and how the transaction ends at the seal behind `rows` rows, the `sealed`th.
    pub(super) fn end_at(
        &self,
        batch: &RecordBatch,
        rows: usize,
        sealed: usize,
        asked: &TransactionEnds,
    ) -> Option<TransactionEnd> {
        self.transactions.as_ref()?.end_at(batch, rows, sealed, asked)
    }

    /// A record in the task's own offsets topic would make its reading wait for its own transaction.
    ///
    /// # Errors
    /// The original's text.
    pub(super) fn refuse_offsets_topic(&self, topic: &str) -> Result<(), ConnectError> {
        match &self.transactions {
            Some(transactions) if transactions.topic == topic => Err(ConnectError::config(
                "Source tasks may not produce to their own offsets topics when exactly-once support \
                 is enabled",
            )),
            _ => Ok(()),
        }
    }

    /// When a transaction ends by itself.
    pub(super) fn transaction_due(&self) -> Option<Instant> {
        self.transactions.as_ref().and_then(Transactions::due_at)
    }

    /// Commits the transaction if its time has come.
    ///
    /// # Errors
    /// As [`Progress::end_transaction`].
    pub(super) async fn end_due_transaction(&mut self) -> Result<(), ConnectError> {
        if self.transaction_due().is_some_and(|due| due <= Instant::now()) {
            self.end_transaction(TransactionEnd::Commit).await?;
        }
        Ok(())
    }

    /// Commits what may be committed without having been asked to: nothing should stay open for
    /// long while nobody sends.
    ///
    /// # Errors
    /// As [`Progress::end_transaction`].
    pub(super) async fn rest_transaction(&mut self) -> Result<(), ConnectError> {
        if self.transactions.as_ref().is_some_and(Transactions::may_end_early) {
            self.end_transaction(TransactionEnd::Commit).await?;
        }
        Ok(())
    }

    /// Ends the transaction: after it, everything that was sealed is durable. Not cancel-safe.
    ///
    /// # Errors
    /// Why it could not be committed; nothing of it will ever be read then, and the task begins
    /// anew behind the transaction before.
    pub(super) async fn end_transaction(
        &mut self,
        end: TransactionEnd,
    ) -> Result<Sent, ConnectError> {
        if self.transactions.as_ref().is_none_or(Transactions::is_empty) {
            return Ok(Sent::Yes);
        }
        let began = Instant::now();
        if end == TransactionEnd::Abort {
            self.abort_records().await?;
        }
        self.send_offsets().await?;
        fail::fail_point!("source.before-commit");
        let committed = self.commit().await;
        // What the reports say is nearer to the cause than that the transaction cannot end.
        self.take_in_reports()?;
        match committed {
            Ok(Sent::Yes) => self.metrics.offset_commit_outcomes.success(),
            Ok(Sent::Cancelled) => return Ok(Sent::Cancelled),
            Err(error) => {
                self.metrics.offset_commit_outcomes.failure();
                return Err(error);
            }
        }
        fail::fail_point!("source.after-commit");
        while 0 < self.submitted.outstanding() {
            self.turn().await?;
        }
        if let Some(transactions) = &mut self.transactions {
            self.metrics.transaction_size.record(transactions.committed());
        }
        self.metrics.offset_commit.record(began.elapsed());
        self.metrics.offset_commits.inc();
        self.store_committable();
        Ok(Sent::Yes)
    }

    /// Takes the records of the transaction back, as the task asked. They have arrived before, so
    /// that none is reported as lost.
    async fn abort_records(&mut self) -> Result<(), ConnectError> {
        while 0 < self.submitted.outstanding() {
            self.turn().await?;
        }
        if self.transactions.as_ref().is_some_and(|transactions| transactions.open) {
            while self.producer.abort_transaction(CALL_MAX).await? == Ended::NotYet {
                self.show_waiting();
            }
        }
        if let Some(transactions) = &mut self.transactions {
            transactions.aborted();
        }
        Ok(())
    }

    /// Hands the offsets to the producer, in the same transaction.
    async fn send_offsets(&mut self) -> Result<(), ConnectError> {
        let Some(transactions) = &mut self.transactions else { return Ok(()) };
        if transactions.offsets_sent {
            return Ok(());
        }
        transactions.begin(&self.producer)?;
        let messages: Vec<_> =
            transactions.offsets.iter().map(|offset| transactions.message(offset)).collect();
        transactions.offsets_sent = true;
        let topic = transactions.topic.clone();
        for (key, value) in messages {
            let mut message = Outgoing {
                topic: &topic,
                key: Some(key.as_bytes()),
                value: Some(value.as_bytes()),
                ..Outgoing::default()
            };
            loop {
                match self.producer.send(&mut message, OFFSETS_GROUP) {
                    Ok(()) => break,
                    Err(Refused::Failed(error)) => return Err(error),
                    Err(Refused::Full) => self.wait_for_room().await?,
                }
            }
        }
        Ok(())
    }

    /// Commits while this task is the one that may; waits for the state database and for the brokers
    /// as long as the task is wanted.
    async fn commit(&mut self) -> Result<Sent, ConnectError> {
        let mut backoff = Backoff::new();
        loop {
            let held = match &self.transactions {
                Some(transactions) => transactions.store.check(&transactions.lease).await,
                None => Ok(()),
            };
            match held.map_err(task_error) {
                Err(error) if error.kind() == ErrorKind::Retriable => {
                    let delay = backoff.next_delay();
                    self.kafka_trouble = Some(Condition::retrying(&error, delay));
                    self.show();
                    tokio::time::sleep(delay).await;
                }
                Err(error) => return Err(error),
                Ok(()) if self.producer.commit_transaction(CALL_MAX).await? == Ended::Yes => {
                    return Ok(Sent::Yes);
                }
                Ok(()) => self.show_waiting(),
            }
            if self.control.cancel.is_cancelled() {
                return Ok(Sent::Cancelled);
            }
        }
    }

    fn show_waiting(&mut self) {
        let cause = self.producer.trouble();
        let cause = cause.unwrap_or_else(|| "the brokers do not end the transaction".to_owned());
        self.kafka_trouble = Some(Condition::waiting(format!("waiting for Kafka: {cause}")));
        self.show();
    }

    /// Commits what may be committed and lets the rest go, at the end of a task whose records have
    /// `arrived`.
    ///
    /// # Errors
    /// As [`Progress::end_transaction`], and why they have not.
    pub(super) async fn end_last_transaction(
        &mut self,
        arrived: Result<(), ConnectError>,
    ) -> Result<(), ConnectError> {
        let ended = match arrived {
            Ok(()) => self.rest_transaction().await,
            failed => failed,
        };
        if self.transactions.as_ref().is_some_and(|transactions| transactions.open) {
            // Else the successor does it, or the broker in a while: readers would wait for that.
            let _ = self.producer.abort_transaction(CALL_MAX).await;
        }
        ended
    }
}
