//! When a source's Kafka transactions end, and what they take with them (KIP-618).
//!
//! A transaction ends only where a seal describes everything in it: the offset that is written with
//! the records says where to go on behind the last of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Parsed, Props};
use crate::connector::{TransactionContext, TransactionEnd, TransactionEnds};
use crate::data::{RecordBatch, SourceOffset};
use crate::error::ConnectError;
use crate::kafka::Producer;
use crate::runtime::connector_config::{TRANSACTION_BOUNDARY, TRANSACTION_BOUNDARY_INTERVAL_MS};
use crate::runtime::entity::TaskId;
use crate::runtime::worker_config::WorkerConfig;
use crate::store::{Lease, Store};

/// What an exactly-once source begins with: made by `runtime::exactly_once`.
#[derive(Debug)]
pub struct Transactional {
    /// Has fenced whoever had its id.
    pub producer: Producer,
    /// Where the offsets go.
    pub offsets_topic: String,
    /// The task's hand on its transactions, if it has one.
    pub context: Option<Arc<TransactionContext>>,
}

/// Where transactions end.
#[derive(Debug)]
enum Boundary {
    /// At the last seal of each poll.
    Poll,
    /// At the first seal after this much time.
    Interval(Duration),
    /// Where the task says.
    Connector(Arc<TransactionContext>),
}

impl Boundary {
    fn new(
        framework: &Parsed,
        worker: &WorkerConfig,
        context: Option<Arc<TransactionContext>>,
    ) -> Self {
        if let Some(context) = context {
            return Self::Connector(context);
        }
        if !framework.string(TRANSACTION_BOUNDARY).eq_ignore_ascii_case("interval") {
            return Self::Poll;
        }
        let own = framework.optional_integer(TRANSACTION_BOUNDARY_INTERVAL_MS);
        let own = own.and_then(|own| u64::try_from(own).ok()).map(Duration::from_millis);
        Self::Interval(own.unwrap_or(worker.transaction_interval))
    }
}

/// Whether a connector's configuration gives its task a [`TransactionContext`].
pub(crate) fn asks_for_context(config: &Props) -> bool {
    let boundary = config.get(TRANSACTION_BOUNDARY).map_or("", String::as_str);
    boundary.trim().eq_ignore_ascii_case("connector")
}

/// The transaction that is under way.
#[derive(Debug)]
pub(super) struct Transactions {
    boundary: Boundary,
    pub(super) store: Store,
    pub(super) lease: Lease,
    pub(super) topic: String,
    connector: String,
    /// Kafka knows of it.
    pub(super) open: bool,
    /// The newest offset of each source partition that was sealed in it.
    pub(super) offsets: Vec<SourceOffset>,
    /// They were handed to the producer.
    pub(super) offsets_sent: bool,
    pub(super) records: u64,
    /// Records that no offset describes yet are in it.
    unsealed: bool,
    /// When its first seal came.
    since: Option<Instant>,
    last_end: Instant,
    /// How long offsets without records wait for records: a transaction for each would be much ado.
    quiet: Duration,
}

impl Transactions {
    pub(super) fn new(
        id: &TaskId,
        (store, lease): (Store, Lease),
        framework: &Parsed,
        worker: &WorkerConfig,
        (topic, context): (String, Option<Arc<TransactionContext>>),
    ) -> Self {
        Self {
            boundary: Boundary::new(framework, worker, context),
            store,
            lease,
            topic,
            connector: id.connector.clone(),
            open: false,
            offsets: Vec::new(),
            offsets_sent: false,
            records: 0,
            unsealed: false,
            since: None,
            last_end: Instant::now(),
            quiet: worker.offset_flush_interval,
        }
    }

    /// A record is about to be handed over.
    pub(super) fn add_record(&mut self, producer: &Producer) -> Result<(), ConnectError> {
        self.begin(producer)?;
        self.records += 1;
        self.unsealed = true;
        Ok(())
    }

    pub(super) fn begin(&mut self, producer: &Producer) -> Result<(), ConnectError> {
        if !self.open {
            producer.begin_transaction()?;
            self.open = true;
        }
        Ok(())
    }

    /// Everything so far is described by `offset`.
    pub(super) fn seal(&mut self, offset: &SourceOffset) {
        self.unsealed = false;
        self.since.get_or_insert_with(Instant::now);
        match self.offsets.iter_mut().find(|known| known.partition == offset.partition) {
            Some(known) => known.offset.clone_from(&offset.offset),
            None => self.offsets.push(offset.clone()),
        }
    }

    pub(super) fn is_unsealed(&self) -> bool {
        self.unsealed
    }

    /// What the task asked for since the last look.
    ///
    /// # Errors
    /// When it wants an end where no offset describes what is before it.
    pub(super) fn asked(&self, batch: &RecordBatch) -> Result<TransactionEnds, ConnectError> {
        let Boundary::Connector(context) = &self.boundary else {
            return Ok(TransactionEnds::default());
        };
        let asked = context.take();
        let sealed = |rows: usize| batch.seals.iter().any(|seal| seal.rows == rows);
        let all = batch.rows.len();
        let whole = asked.batch.is_none() || all == 0 && !self.unsealed || sealed(all);
        if whole && asked.rows.iter().all(|(rows, _)| sealed(*rows)) {
            return Ok(asked);
        }
        Err(ConnectError::fatal(
            "the connector ends a transaction where no offset describes its records",
        ))
    }

    /// How the transaction ends at the seal behind `rows` rows of `batch`, the `sealed`th; `None`: it
    /// goes on.
    pub(super) fn end_at(
        &self,
        batch: &RecordBatch,
        rows: usize,
        sealed: usize,
        asked: &TransactionEnds,
    ) -> Option<TransactionEnd> {
        let last = sealed == batch.seals.len();
        match &self.boundary {
            Boundary::Poll if last && 0 < self.records => Some(TransactionEnd::Commit),
            Boundary::Poll => None,
            Boundary::Interval(interval) => {
                (*interval <= self.last_end.elapsed()).then_some(TransactionEnd::Commit)
            }
            Boundary::Connector(_) => {
                let here = asked.rows.iter().find(|(at, _)| *at == rows).map(|(_, end)| *end);
                here.or(asked.batch.filter(|_| last && rows == batch.rows.len()))
            }
        }
    }

    /// When the transaction ends if nothing more comes.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let since = self.since.filter(|_| !self.unsealed)?;
        match &self.boundary {
            Boundary::Interval(interval) => Some(self.last_end + *interval),
            // Only what is no record waits for a time.
            _ if self.records == 0 => Some(since + self.quiet),
            Boundary::Poll => Some(since),
            Boundary::Connector(_) => None,
        }
    }

    /// Whether it may be committed although nobody asked: at a pause, at the end.
    pub(super) fn may_end_early(&self) -> bool {
        !self.unsealed && (self.records == 0 || !matches!(self.boundary, Boundary::Connector(_)))
    }

    /// Whether there is anything to commit.
    pub(super) fn is_empty(&self) -> bool {
        !self.open && self.offsets.is_empty()
    }

    /// Its records are gone; their offsets stay to be committed.
    pub(super) fn aborted(&mut self) {
        self.open = false;
        self.offsets_sent = false;
        self.records = 0;
    }

    /// It was committed; returns how many records it had.
    pub(super) fn committed(&mut self) -> u64 {
        self.open = false;
        self.offsets.clear();
        self.offsets_sent = false;
        self.since = None;
        self.last_end = Instant::now();
        std::mem::take(&mut self.records)
    }

    /// The key and the value under which the offsets topic has `offset`.
    pub(super) fn message(&self, offset: &SourceOffset) -> (String, Arc<str>) {
        (offset_key(&self.connector, &offset.partition), Arc::clone(&offset.offset))
    }
}

/// The key of a source partition in an offsets topic: JSON without schemas (Kafka Connect,
/// `OffsetUtils` and `OffsetStorageWriter`).
pub(crate) fn offset_key(connector: &str, partition: &str) -> String {
    format!("[{},{partition}]", serde_json::Value::from(connector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_originals() {
        assert_eq!(offset_key("c\"1", r#"{"server":"x"}"#), r#"["c\"1",{"server":"x"}]"#);
    }
}
