//! Plugins that do what a test tells them to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ferroconnect::connector::{
    ErrantRecordReporter, OffsetCommitter, SinkTask, SourceTask, TransactionContext, TransactionEnd,
};
use ferroconnect::converter::{HeaderConverter, Presence};
use ferroconnect::data::{
    Cell, Node, PlannedValue, Record, RecordBatch, Row, RowPlan, Schema, SchemaAndValue,
    SchemaBuilder, SinkBatch, SourceOffset, TopicPartition, Type, Value,
};
use ferroconnect::error::{ConnectError, DataError};
use tokio::sync::Notify;

/// What a source's poll does next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Hands out a group of this many rows.
    Group(usize),
    /// Hands out rows without ending their group.
    Open(usize),
    /// Hands out a record as a tree, with this partition and a header.
    Tree(i32),
    Fail(ConnectError),
    /// Waits until it is told to go on.
    Wait(Arc<Notify>),
    /// Hands out a group of this many rows and ends the transaction behind it.
    Ending(usize, TransactionEnd),
    /// Hands out rows without ending their group, and wants the transaction to end there.
    EndingOpen(usize),
    /// Hands out a group of this many rows after a while.
    Later(Duration, usize),
}

/// Hands out numbered rows `{"n": 0}`, `{"n": 1}`, ... to one topic; the offset of a group is the
/// number behind its last row. Silent when the turns are used up.
pub(crate) struct FakeSource {
    plan: Arc<RowPlan>,
    next: i64,
    turns: std::vec::IntoIter<Turn>,
    pub(super) told: Arc<Told>,
    pub(super) transactions: Option<Arc<TransactionContext>>,
    /// How often it was polled: before the last time everything was handed over.
    pub(super) polls: Arc<AtomicUsize>,
}

/// The offsets that the source was told of.
#[derive(Debug, Default)]
pub(super) struct Told(pub(super) Mutex<Vec<i64>>);

impl Told {
    pub(super) fn last(&self) -> Option<i64> {
        self.0.lock().unwrap().last().copied()
    }
}

pub(super) fn offset(next: i64) -> SourceOffset {
    SourceOffset { partition: "{\"p\":1}".into(), offset: format!("{{\"next\":{next}}}").into() }
}

impl FakeSource {
    pub(super) fn new(topic: &str, start: i64, turns: Vec<Turn>) -> Self {
        let number = SchemaBuilder::new(Type::Int64).build();
        let schema = SchemaBuilder::structure().field("n", number).build();
        let plan = Arc::new(RowPlan {
            topic: topic.into(),
            key: None,
            value: Some(PlannedValue {
                schema: Some(schema),
                node: Node::Struct {
                    presence: None,
                    fields: vec![Node::Cell {
                        index: 0,
                        null: Value::Null,
                        unchanged: Value::Null,
                    }],
                },
            }),
            cell_count: 1,
            headers: [].into(),
        });
        Self {
            plan,
            next: start,
            turns: turns.into_iter(),
            told: Arc::default(),
            transactions: None,
            polls: Arc::default(),
        }
    }

    /// Ends its transactions itself.
    pub(super) fn with_transactions(self) -> Self {
        Self { transactions: Some(Arc::default()), ..self }
    }

    fn end(&self, end: TransactionEnd) {
        self.transactions.as_ref().expect("a context of transactions").end_batch(end);
    }

    fn rows(&mut self, count: usize, out: &mut RecordBatch) {
        let plan = out.plan_index(&self.plan);
        for _ in 0..count {
            out.start_row(plan);
            out.cells.push(Cell::I64(self.next));
            self.next += 1;
        }
    }
}

#[async_trait]
impl SourceTask for FakeSource {
    async fn poll(&mut self, out: &mut RecordBatch) -> Result<(), ConnectError> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        match self.turns.next() {
            Some(Turn::Group(count)) => {
                self.rows(count, out);
                out.seal(offset(self.next));
            }
            Some(Turn::Open(count)) => self.rows(count, out),
            Some(Turn::Ending(count, end)) => {
                self.rows(count, out);
                out.seal(offset(self.next));
                self.end(end);
            }
            Some(Turn::EndingOpen(count)) => {
                self.rows(count, out);
                self.end(TransactionEnd::Commit);
            }
            Some(Turn::Tree(partition)) => {
                out.push_record(tree(&self.plan.topic, partition));
                out.seal(offset(self.next));
            }
            Some(Turn::Fail(error)) => return Err(error),
            Some(Turn::Wait(gate)) => gate.notified().await,
            Some(Turn::Later(delay, count)) => {
                tokio::time::sleep(delay).await;
                self.rows(count, out);
                out.seal(offset(self.next));
            }
            None => std::future::pending().await,
        }
        Ok(())
    }

    fn committer(&self) -> Arc<dyn OffsetCommitter> {
        self.told.clone()
    }

    async fn stop(self: Box<Self>) -> Result<(), ConnectError> {
        Ok(())
    }
}

fn tree(topic: &Arc<str>, partition: i32) -> Record {
    let schema: Arc<Schema> = SchemaBuilder::new(Type::String).build();
    Record {
        topic: topic.clone(),
        partition: Some(partition),
        offset: None,
        key: SchemaAndValue { schema: Some(schema.clone()), value: Value::string("k") },
        value: SchemaAndValue::NULL,
        timestamp_ms: Some(1_700_000_000_000),
        headers: vec![ferroconnect::data::Header {
            key: "h".to_owned(),
            schema: Some(schema),
            value: Value::string("v"),
        }],
    }
}

#[async_trait]
impl OffsetCommitter for Told {
    async fn commit(&self, stored: &SourceOffset) -> Result<(), ConnectError> {
        let digits: String = stored.offset.chars().filter(char::is_ascii_digit).collect();
        self.0.lock().unwrap().push(digits.parse().unwrap());
        Ok(())
    }
}

/// What all fake sinks of a connector did.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Offset by partition and number of deliveries.
    pub(super) records: Mutex<BTreeMap<(i32, i64), usize>>,
    pub(super) opened: Mutex<Vec<(usize, i32)>>,
    pub(super) closed: Mutex<Vec<(usize, i32)>>,
    /// How many of the next deliveries fail, and how.
    pub(super) failures: Mutex<Vec<ConnectError>>,
    /// Offsets of records that the sink reports and passes over.
    pub(super) errants: Mutex<Vec<(i64, ConnectError)>>,
}

impl Taken {
    /// Lets every delivery fail until `failures` is cleared.
    pub(super) fn fail_often(&self, text: &str) {
        let failures = (0..1000).map(|_| ConnectError::retriable(text));
        self.failures.lock().unwrap().extend(failures);
    }

    pub(super) fn count(&self) -> usize {
        self.records.lock().unwrap().len()
    }
}

/// Takes records and says that all of them are durable.
pub(crate) struct FakeSink {
    number: usize,
    taken: Arc<Taken>,
    next: BTreeMap<TopicPartition, i64>,
    /// Where to start instead of the group's offset.
    pub(super) start_at: Option<i64>,
    /// Looks at keys and headers, too.
    pub(super) reads_keys: bool,
    pub(super) reporter: Option<Arc<dyn ErrantRecordReporter>>,
}

impl FakeSink {
    pub(super) fn new(number: usize, taken: &Arc<Taken>) -> Self {
        Self {
            number,
            taken: taken.clone(),
            next: BTreeMap::new(),
            start_at: None,
            reads_keys: false,
            reporter: None,
        }
    }
}

#[async_trait]
impl SinkTask for FakeSink {
    fn reads_keys_and_headers(&self) -> bool {
        self.reads_keys
    }

    async fn open(
        &mut self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        let opened = partitions.iter().map(|each| (self.number, each.partition));
        self.taken.opened.lock().unwrap().extend(opened);
        let starts = partitions.iter().filter_map(|each| Some((each.clone(), self.start_at?)));
        Ok(starts.collect())
    }

    async fn put(&mut self, batch: &SinkBatch) -> Result<(), ConnectError> {
        if !batch.origins.is_empty()
            && let Some(error) = self.taken.failures.lock().unwrap().pop()
        {
            return Err(error);
        }
        assert_eq!(batch.origins.len(), batch.records.rows.len(), "an origin per row");
        let mut records = self.taken.records.lock().unwrap();
        for (origin, row) in batch.origins.iter().zip(&batch.records.rows) {
            let partition = &batch.partitions[origin.partition as usize];
            let errant = |(offset, _): &mut (i64, ConnectError)| *offset == origin.offset;
            if let Some((_, error)) =
                self.taken.errants.lock().unwrap().extract_if(.., errant).next()
            {
                let reporter = self.reporter.as_ref().expect("somebody to report to");
                reporter.report(partition, origin.offset, error)?;
                continue;
            }
            *records.entry((partition.partition, origin.offset)).or_default() += 1;
            self.next.insert(partition.clone(), origin.offset + 1);
            if let Row::Planned { plan, first_cell } = *row {
                // Looks at the cells: they must be there.
                let _ = batch.records.view(plan, first_cell);
            }
        }
        Ok(())
    }

    async fn pre_commit(&mut self) -> Result<Vec<(TopicPartition, i64)>, ConnectError> {
        Ok(std::mem::take(&mut self.next).into_iter().collect())
    }

    async fn close(&mut self, partitions: &[TopicPartition]) -> Result<(), ConnectError> {
        let closed = partitions.iter().map(|each| (self.number, each.partition));
        self.taken.closed.lock().unwrap().extend(closed);
        self.next.retain(|partition, _| !partitions.contains(partition));
        Ok(())
    }

    async fn stop(self: Box<Self>) -> Result<(), ConnectError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }
}

/// Headers as their text.
pub(super) struct TextHeaders;

impl HeaderConverter for TextHeaders {
    fn from_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        let Some(text) = data.value.as_str() else { return Ok(Presence::Null) };
        out.extend_from_slice(text.as_bytes());
        Ok(Presence::Present)
    }

    fn to_connect_header(
        &mut self,
        _topic: &str,
        _key: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError> {
        let value =
            bytes.map_or(Value::Null, |bytes| Value::string(String::from_utf8_lossy(bytes)));
        Ok(SchemaAndValue { schema: None, value })
    }
}
