//! From a row of a source batch to the bytes of a Kafka message.
//!
//! How rows of a shape are written is decided once per shape and kept by the plan's pointer: a
//! planned route costs two encoder calls into reused buffers per row. Trees are made only where a
//! transform or a converter has to see the record itself.

use std::collections::HashMap;
use std::sync::Arc;

use crate::converter::{Converter, HeaderConverter, Presence, RowEncoder};
use crate::data::{Header, Record, RecordBatch, Row, RowPlan, RowView, SchemaAndValue};
use crate::error::ConnectError;
use crate::kafka::{MessageHeaders, Outgoing};
use crate::runtime::chain::Chain;
use crate::runtime::tolerance::Stage;
use crate::transform::{Keep, Planned};

/// More shapes than the tables of one connector have at a time; past it the cache starts anew.
const ROUTES_MAX: usize = 4096;

/// A record that could not be turned into a message, and where.
#[derive(Debug)]
pub(super) struct Rejected {
    pub(super) stage: Stage,
    pub(super) error: ConnectError,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoded {
    /// [`RecordEncoder::message`] has it.
    Message,
    /// A transform dropped it.
    Dropped,
    /// A converter has to ask the outside about its schema: [`RecordEncoder::prepare_record`], then
    /// [`RecordEncoder::encode_prepared`].
    Unprepared,
}

/// The chain and the converters of a source task, with what they decided about shapes.
pub(super) struct RecordEncoder {
    chain: Chain,
    key_converter: Box<dyn Converter>,
    value_converter: Box<dyn Converter>,
    header_converter: Box<dyn HeaderConverter>,
    routes: Vec<Route>,
    /// Where a shape's route is, by the plan's address; the plan is kept so that its address stays
    /// taken.
    known: HashMap<usize, (Arc<RowPlan>, usize)>,
    /// The route of every plan of the batch at hand.
    of_batch: Vec<usize>,
    current: Current,
    /// A record whose schema has to be asked about, and whether its topic is its own.
    waiting: Option<(Record, bool)>,
}

/// How rows of a shape become messages.
enum Route {
    Drop,
    /// The chain rewrote the shape, the converters compiled it.
    Planned {
        topic: Arc<str>,
        key: Option<Box<dyn RowEncoder>>,
        value: Option<Box<dyn RowEncoder>>,
        headers: Option<MessageHeaders>,
    },
    /// The chain rewrote the shape, a converter wants trees.
    Converted(Arc<RowPlan>),
    /// The chain has to see each record.
    PerRecord(Arc<RowPlan>),
}

/// The message that was encoded last; the buffers are reused.
#[derive(Default)]
struct Current {
    topic: Arc<str>,
    partition: Option<i32>,
    timestamp_ms: Option<i64>,
    headers: Option<MessageHeaders>,
    key: Vec<u8>,
    value: Vec<u8>,
    has_key: bool,
    has_value: bool,
    /// A transform chose the topic of this record alone.
    own_topic: bool,
}

impl Current {
    fn start(&mut self, topic: &Arc<str>) {
        if !Arc::ptr_eq(&self.topic, topic) {
            self.topic = topic.clone();
        }
        self.partition = None;
        self.timestamp_ms = None;
        self.headers = None;
        self.key.clear();
        self.value.clear();
        self.own_topic = false;
    }
}

impl RecordEncoder {
    pub(super) fn new(
        chain: Chain,
        key_converter: Box<dyn Converter>,
        value_converter: Box<dyn Converter>,
        header_converter: Box<dyn HeaderConverter>,
    ) -> Self {
        Self {
            chain,
            key_converter,
            value_converter,
            header_converter,
            routes: Vec::new(),
            known: HashMap::new(),
            of_batch: Vec::new(),
            current: Current::default(),
            waiting: None,
        }
    }

    /// Decides the routes of a batch's shapes. Must precede [`RecordEncoder::encode`].
    ///
    /// # Errors
    /// When a converter cannot prepare; see [`Converter::prepare`].
    pub(super) async fn prepare(&mut self, plans: &[Arc<RowPlan>]) -> Result<(), Rejected> {
        self.of_batch.clear();
        if ROUTES_MAX <= self.known.len() {
            self.known.clear();
            self.routes.clear();
        }
        for plan in plans {
            let address = Arc::as_ptr(plan) as usize;
            let route = match self.known.get(&address) {
                Some((_, route)) => *route,
                None => self.add_route(plan).await?,
            };
            self.of_batch.push(route);
        }
        Ok(())
    }

    /// The topics that the batch's shapes go to, as far as they are known beforehand.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.of_batch.iter().filter_map(|route| match self.routes.get(*route)? {
            Route::Planned { topic, .. } => Some(topic),
            Route::Converted(plan) => Some(&plan.topic),
            Route::Drop | Route::PerRecord(_) => None,
        })
    }

    async fn add_route(&mut self, plan: &Arc<RowPlan>) -> Result<usize, Rejected> {
        let route = self.route(plan).await?;
        self.routes.push(route);
        let index = self.routes.len() - 1;
        self.known.insert(Arc::as_ptr(plan) as usize, (plan.clone(), index));
        Ok(index)
    }

    async fn route(&mut self, plan: &Arc<RowPlan>) -> Result<Route, Rejected> {
        let plan = match self.chain.plan(plan) {
            Planned::Drop => return Ok(Route::Drop),
            Planned::PerRecord => return Ok(Route::PerRecord(plan.clone())),
            Planned::Plan(plan) => plan,
        };
        let mut key = None;
        if let Some(planned) = &plan.key {
            let prepared = self.key_converter.prepare(&plan.topic, planned.schema.as_ref()).await;
            prepared.map_err(|error| Rejected { stage: Stage::KeyConverter, error })?;
            let Some(encoder) = self.key_converter.encoder(&plan.topic, planned) else {
                return Ok(Route::Converted(plan));
            };
            key = Some(encoder);
        }
        let mut value = None;
        if let Some(planned) = &plan.value {
            let prepared = self.value_converter.prepare(&plan.topic, planned.schema.as_ref()).await;
            prepared.map_err(|error| Rejected { stage: Stage::ValueConverter, error })?;
            let Some(encoder) = self.value_converter.encoder(&plan.topic, planned) else {
                return Ok(Route::Converted(plan));
            };
            value = Some(encoder);
        }
        let headers = self.headers(&plan.topic, &plan.headers)?;
        Ok(Route::Planned { topic: plan.topic.clone(), key, value, headers })
    }

    /// Encodes one row of the batch that was prepared last.
    ///
    /// # Errors
    /// When a stage cannot process the record.
    pub(super) fn encode(&mut self, batch: &RecordBatch, row: Row) -> Result<Encoded, Rejected> {
        let (plan, first_cell) = match row {
            Row::Planned { plan, first_cell } => (plan, first_cell),
            Row::Tree { record } => {
                let record = batch.records[record as usize].clone();
                return self.transform_and_convert(record);
            }
        };
        let view = batch.view(plan, first_cell);
        match &self.routes[self.of_batch[plan as usize]] {
            Route::Drop => Ok(Encoded::Dropped),
            Route::Planned { topic, key, value, headers } => {
                let current = &mut self.current;
                current.start(topic);
                current.headers.clone_from(headers);
                current.has_key =
                    write(key.as_deref(), &view, &mut current.key, Stage::KeyConverter)?;
                current.has_value =
                    write(value.as_deref(), &view, &mut current.value, Stage::ValueConverter)?;
                Ok(Encoded::Message)
            }
            Route::Converted(plan) => {
                let record = materialize(plan, &view)?;
                self.convert_or_wait(record, false)
            }
            Route::PerRecord(plan) => {
                let record = materialize(plan, &view)?;
                self.transform_and_convert(record)
            }
        }
    }

    /// The class of the transform that failed last.
    pub(super) fn failed_transform(&self) -> Option<Arc<str>> {
        self.chain.failed_class()
    }

    fn transform_and_convert(&mut self, mut record: Record) -> Result<Encoded, Rejected> {
        let kept = self.chain.apply(&mut record);
        match kept.map_err(|error| Rejected { stage: Stage::Transformation, error })? {
            Keep::Drop => Ok(Encoded::Dropped),
            Keep::Record => self.convert_or_wait(record, true),
        }
    }

    fn convert_or_wait(&mut self, record: Record, own_topic: bool) -> Result<Encoded, Rejected> {
        let is_prepared = |converter: &mut Box<dyn Converter>, data: &SchemaAndValue| {
            is_null(data) || converter.is_record_prepared(&record.topic, &record.headers, data)
        };
        if !is_prepared(&mut self.key_converter, &record.key)
            || !is_prepared(&mut self.value_converter, &record.value)
        {
            self.waiting = Some((record, own_topic));
            return Ok(Encoded::Unprepared);
        }
        self.convert(&record)?;
        self.current.own_topic = own_topic;
        Ok(Encoded::Message)
    }

    /// Asks the outside about the schemas of the record that was [`Encoded::Unprepared`].
    /// Cancel-safe.
    ///
    /// # Errors
    /// When it cannot be asked; see [`Converter::prepare`].
    pub(super) async fn prepare_record(&mut self) -> Result<(), Rejected> {
        let Some((record, _)) = &self.waiting else { return Ok(()) };
        let (topic, headers) = (&record.topic, &record.headers);
        if !is_null(&record.key) {
            let prepared = self.key_converter.prepare_record(topic, headers, &record.key).await;
            prepared.map_err(|error| Rejected { stage: Stage::KeyConverter, error })?;
        }
        if !is_null(&record.value) {
            let prepared = self.value_converter.prepare_record(topic, headers, &record.value).await;
            prepared.map_err(|error| Rejected { stage: Stage::ValueConverter, error })?;
        }
        Ok(())
    }

    /// Encodes the record that was [`Encoded::Unprepared`].
    ///
    /// # Errors
    /// When a converter cannot write it.
    pub(super) fn encode_prepared(&mut self) -> Result<Encoded, Rejected> {
        let Some((record, own_topic)) = self.waiting.take() else { return Ok(Encoded::Dropped) };
        self.convert(&record)?;
        self.current.own_topic = own_topic;
        Ok(Encoded::Message)
    }

    fn convert(&mut self, record: &Record) -> Result<(), Rejected> {
        let converted = self.headers(&record.topic, &record.headers)?;
        let current = &mut self.current;
        let (topic, headers): (&str, _) = (&record.topic, &record.headers);
        current.start(&record.topic);
        current.partition = record.partition;
        current.timestamp_ms = message_timestamp(record.timestamp_ms)?;
        current.headers = converted;
        let key = self.key_converter.from_record(topic, headers, &record.key, &mut current.key);
        let key =
            key.map_err(|error| Rejected { stage: Stage::KeyConverter, error: error.into() })?;
        let value =
            self.value_converter.from_record(topic, headers, &record.value, &mut current.value);
        let value = value
            .map_err(|error| Rejected { stage: Stage::ValueConverter, error: error.into() })?;
        current.has_key = key == Presence::Present;
        current.has_value = value == Presence::Present;
        Ok(())
    }

    fn headers(
        &mut self,
        topic: &str,
        headers: &[Header],
    ) -> Result<Option<MessageHeaders>, Rejected> {
        let mut converted: Option<MessageHeaders> = None;
        for header in headers {
            let data =
                SchemaAndValue { schema: header.schema.clone(), value: header.value.clone() };
            let mut bytes = Vec::new();
            let presence = self
                .header_converter
                .from_connect_header(topic, &header.key, &data, &mut bytes)
                .map_err(|error| Rejected { stage: Stage::HeaderConverter, error: error.into() })?;
            let value = (presence == Presence::Present).then_some(bytes.as_slice());
            converted = Some(converted.unwrap_or_default().with(&header.key, value));
        }
        Ok(converted)
    }

    /// The message that was encoded last.
    pub(super) fn message(&mut self) -> Outgoing<'_> {
        let current = &mut self.current;
        Outgoing {
            topic: &current.topic,
            partition: current.partition,
            key: current.has_key.then_some(current.key.as_slice()),
            value: current.has_value.then_some(current.value.as_slice()),
            timestamp_ms: current.timestamp_ms,
            headers: current.headers.take(),
        }
    }

    /// The topic of the message that was encoded last, if [`RecordEncoder::topics`] cannot have told
    /// it.
    pub(super) fn own_topic(&self) -> Option<&Arc<str>> {
        self.current.own_topic.then_some(&self.current.topic)
    }

    /// The topic of the message that was encoded last.
    pub(super) fn topic(&self) -> &Arc<str> {
        &self.current.topic
    }
}

/// The time of the message; -1 says that there is none (Kafka Connect,
/// `ConnectUtils.checkAndConvertTimestamp`). No tolerance is for times that cannot be.
fn message_timestamp(timestamp_ms: Option<i64>) -> Result<Option<i64>, Rejected> {
    match timestamp_ms {
        None | Some(-1) => Ok(None),
        Some(0..) => Ok(timestamp_ms),
        Some(negative) => {
            let error = ConnectError::data(format!("Invalid record timestamp {negative}"));
            Err(Rejected { stage: Stage::KafkaProduce, error })
        }
    }
}

/// Whether this is a null without a schema, which no converter has to ask about.
fn is_null(data: &SchemaAndValue) -> bool {
    data.schema.is_none() && data.value.is_null()
}

/// Whether there is a key or value at all.
fn write(
    encoder: Option<&dyn RowEncoder>,
    view: &RowView<'_>,
    out: &mut Vec<u8>,
    stage: Stage,
) -> Result<bool, Rejected> {
    let Some(encoder) = encoder else { return Ok(false) };
    match encoder.write(view, out) {
        Ok(presence) => Ok(presence == Presence::Present),
        Err(error) => Err(Rejected { stage, error: error.into() }),
    }
}

fn materialize(plan: &RowPlan, view: &RowView<'_>) -> Result<Record, Rejected> {
    plan.materialize(view)
        .map_err(|error| Rejected { stage: Stage::ValueConverter, error: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_are_no_messages() {
        let checked =
            |timestamp| message_timestamp(timestamp).map_err(|rejected| rejected.error.to_string());
        assert_eq!(checked(None), Ok(None));
        assert_eq!(checked(Some(-1)), Ok(None));
        assert_eq!(checked(Some(0)), Ok(Some(0)));
        assert_eq!(checked(Some(-5)), Err("Invalid record timestamp -5".to_owned()));
    }
}
