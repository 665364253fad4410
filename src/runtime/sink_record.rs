//! From consumed messages to the batch that a sink task takes.
//!
//! Without transforms a value goes from the message straight into cells that point into the consumed
//! bytes. Of the keys only the schema of the first one of each partition is read then, and no headers:
//! no sink on this path looks at more, so a key that cannot be converted does not fail the task as
//! it would in the original. With transforms, for sinks that look at keys and headers, or where the converter has no planned form for a
//! message, records are trees.

use crate::converter::{Converter, HeaderConverter};
use crate::data::{Header, Origin, Record, RecordBatch, Row, SinkBatch};
use crate::error::ConnectError;
use crate::kafka::{Message, MessageBatch};
use crate::runtime::chain::Chain;
use crate::runtime::tolerance::Stage;
use crate::transform::Keep;

/// A message that could not be turned into a record.
#[derive(Debug)]
pub(super) struct RejectedMessage {
    /// Its index in the consumed batch.
    pub(super) index: usize,
    pub(super) stage: Stage,
    pub(super) error: ConnectError,
}

/// The converters and the chain of a sink task.
pub(super) struct RecordDecoder {
    chain: Chain,
    key_converter: Box<dyn Converter>,
    value_converter: Box<dyn Converter>,
    header_converter: Box<dyn HeaderConverter>,
    /// The sink wants keys and headers, which planned rows do not have.
    needs_trees: bool,
}

type StageResult<T> = Result<T, (Stage, ConnectError)>;

impl RecordDecoder {
    pub(super) fn new(
        chain: Chain,
        key_converter: Box<dyn Converter>,
        value_converter: Box<dyn Converter>,
        header_converter: Box<dyn HeaderConverter>,
        needs_trees: bool,
    ) -> Self {
        Self { chain, key_converter, value_converter, header_converter, needs_trees }
    }

    /// Fills `out` with the records of those partitions of `messages` that are `ours`, by index, and
    /// returns the messages that cannot be converted.
    pub(super) fn decode(
        &mut self,
        messages: &MessageBatch,
        ours: &[bool],
        out: &mut SinkBatch,
    ) -> Vec<RejectedMessage> {
        out.clear();
        out.records.wire = messages.wire.clone();
        out.partitions.clone_from(&messages.partitions);
        self.read_key_schemas(messages, out);
        let mut rejected = Vec::new();
        for (index, message) in messages.messages.iter().enumerate() {
            if !ours[message.partition as usize] {
                continue;
            }
            match self.decode_one(messages, message, &mut out.records) {
                Ok(Keep::Record) => out.origins.push(Origin {
                    partition: message.partition,
                    offset: message.offset,
                    timestamp_ms: message.timestamp_ms,
                }),
                Ok(Keep::Drop) => {}
                Err((stage, error)) => rejected.push(RejectedMessage { index, stage, error }),
            }
        }
        rejected
    }

    fn read_key_schemas(&mut self, messages: &MessageBatch, out: &mut SinkBatch) {
        out.key_schemas.resize(messages.partitions.len(), None);
        let mut is_read = vec![false; messages.partitions.len()];
        for message in &messages.messages {
            let index = message.partition as usize;
            if !std::mem::replace(&mut is_read[index], true) {
                let topic = &messages.partitions[index].topic;
                let bytes = message.key.map(|span| messages.bytes(span));
                let key = self.key_converter.to_connect_data(topic, bytes);
                out.key_schemas[index] = key.ok().and_then(|key| key.schema);
            }
        }
    }

    fn decode_one(
        &mut self,
        messages: &MessageBatch,
        message: &Message,
        out: &mut RecordBatch,
    ) -> StageResult<Keep> {
        let is_plain = self.chain.is_empty() && !self.needs_trees;
        if is_plain && self.decode_planned(messages, message, out)? {
            return Ok(Keep::Record);
        }
        let mut record = self.decode_tree(messages, message)?;
        let kept = self.chain.apply(&mut record).map_err(|error| (Stage::Transformation, error))?;
        if kept == Keep::Record {
            out.push_record(record);
        }
        Ok(kept)
    }

    /// Whether the message went into cells.
    fn decode_planned(
        &mut self,
        messages: &MessageBatch,
        message: &Message,
        out: &mut RecordBatch,
    ) -> StageResult<bool> {
        let Some(value) = message.value else { return Ok(false) };
        let topic = &messages.partitions[message.partition as usize].topic;
        let (cells, scratch, trees) = (out.cells.len(), out.scratch.len(), out.trees.len());
        let (off, len) = (value.off as usize, value.len as usize);
        match self.value_converter.decode_cells(topic, off, len, out) {
            Ok(None) => Ok(false),
            Ok(Some(plan)) => {
                let plan = out.plan_index(&plan);
                let first_cell =
                    u32::try_from(cells).expect("a batch has far fewer than 2^32 cells");
                out.rows.push(Row::Planned { plan, first_cell });
                Ok(true)
            }
            Err(error) => {
                out.cells.truncate(cells);
                out.scratch.truncate(scratch);
                out.trees.truncate(trees);
                Err((Stage::ValueConverter, error.into()))
            }
        }
    }

    fn decode_tree(&mut self, messages: &MessageBatch, message: &Message) -> StageResult<Record> {
        let origin = &messages.partitions[message.partition as usize];
        let topic: &str = &origin.topic;
        let bytes = |span| messages.bytes(span);
        let key = self
            .key_converter
            .to_connect_data(topic, message.key.map(bytes))
            .map_err(|error| (Stage::KeyConverter, error.into()))?;
        let value = self
            .value_converter
            .to_connect_data(topic, message.value.map(bytes))
            .map_err(|error| (Stage::ValueConverter, error.into()))?;
        let (first, count) = message.headers;
        let mut headers = Vec::with_capacity(count as usize);
        for (name, value) in messages.headers.iter().skip(first as usize).take(count as usize) {
            let key = String::from_utf8_lossy(messages.bytes(*name)).into_owned();
            let data = self
                .header_converter
                .to_connect_header(topic, &key, value.map(bytes))
                .map_err(|error| (Stage::HeaderConverter, error.into()))?;
            headers.push(Header { key, schema: data.schema, value: data.value });
        }
        Ok(Record {
            topic: origin.topic.clone(),
            partition: Some(origin.partition),
            key,
            value,
            timestamp_ms: message.timestamp_ms,
            offset: Some(message.offset),
            headers,
        })
    }
}
