//! From consumed messages to the batch that a sink task takes.
//!
//! A value goes from the message straight into cells that point into the consumed bytes, and the
//! transforms rewrite its shape once. Of the keys only the schema of the first one of each partition
//! is read then, and no headers: no sink on this path looks at more, so a key that cannot be converted
//! does not fail the task as it would in the original. Records are trees for sinks that look at keys
//! and headers, for transforms that have to see each record, and where the converter has no planned
//! form for a message.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::converter::{Converter, HeaderConverter};
use crate::data::{Header, Origin, Record, RecordBatch, Row, SinkBatch};
use crate::error::ConnectError;
use crate::kafka::{Message, MessageBatch};
use crate::runtime::chain::Chain;
use crate::runtime::tolerance::Stage;
use crate::transform::{Keep, Planned};

/// A message that could not be turned into a record.
#[derive(Debug)]
pub(super) struct RejectedMessage {
    /// Its index in the consumed batch.
    pub(super) index: usize,
    pub(super) stage: Stage,
    /// The class of the transform, when one failed.
    pub(super) transform: Option<Arc<str>>,
    pub(super) error: ConnectError,
}

/// Which record, in Kafka's coordinates.
pub(super) struct Place<'a> {
    pub(super) messages: &'a MessageBatch,
    pub(super) index: usize,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.messages.messages[self.index];
        let at = &self.messages.partitions[message.partition as usize];
        write!(f, "topic \"{}\", partition {}, offset {}", at.topic, at.partition, message.offset)
    }
}

/// Removes the rows of partitions that are not `ours`, by the partition's index.
pub(super) fn retain(batch: &mut SinkBatch, ours: &[bool]) {
    let keep: Vec<bool> =
        batch.origins.iter().map(|origin| ours[origin.partition as usize]).collect();
    let mut kept = keep.iter();
    batch.records.rows.retain(|_| *kept.next().expect("a row has an origin"));
    let mut kept = keep.iter();
    batch.origins.retain(|_| *kept.next().expect("as many as before"));
}

/// The converters and the chain of a sink task.
pub(super) struct RecordDecoder {
    chain: Chain,
    key_converter: Box<dyn Converter>,
    value_converter: Box<dyn Converter>,
    header_converter: Box<dyn HeaderConverter>,
    /// The sink wants keys and headers, which planned rows do not have.
    needs_trees: bool,
    /// Topics whose records the chain has to see one by one.
    per_record: HashSet<Arc<str>>,
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
        let per_record = HashSet::new();
        Self { chain, key_converter, value_converter, header_converter, needs_trees, per_record }
    }

    /// Has the converters ask what they have to ask before `messages` can be decoded. Cancel-safe.
    ///
    /// # Errors
    /// When the outside cannot be asked; see [`Converter::prepare_read`].
    pub(super) async fn prepare(
        &mut self,
        messages: &MessageBatch,
        ours: &[bool],
    ) -> Result<(), (Stage, ConnectError)> {
        let (mut key_wants, mut value_wants) = (false, false);
        for message in &messages.messages {
            let index = message.partition as usize;
            if !ours[index] {
                continue;
            }
            let topic = &messages.partitions[index].topic;
            // Which message takes the general path, where its key is read, is not known yet.
            if let Some(key) = message.key {
                key_wants |= self.key_converter.wants_to_read(topic, messages.bytes(key));
            }
            if let Some(value) = message.value {
                value_wants |= self.value_converter.wants_to_read(topic, messages.bytes(value));
            }
        }
        if key_wants {
            let prepared = self.key_converter.prepare_read().await;
            prepared.map_err(|error| (Stage::KeyConverter, error))?;
        }
        if value_wants {
            let prepared = self.value_converter.prepare_read().await;
            prepared.map_err(|error| (Stage::ValueConverter, error))?;
        }
        Ok(())
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
        self.read_key_schemas(messages, ours, out);
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
                Err((stage, error)) => {
                    let transform = self.chain.failed_class();
                    rejected.push(RejectedMessage { index, stage, transform, error });
                }
            }
        }
        rejected
    }

    fn read_key_schemas(&mut self, messages: &MessageBatch, ours: &[bool], out: &mut SinkBatch) {
        out.key_schemas.resize(messages.partitions.len(), None);
        let mut is_read = vec![false; messages.partitions.len()];
        for message in &messages.messages {
            let index = message.partition as usize;
            if ours[index] && !std::mem::replace(&mut is_read[index], true) {
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
        if self.may_plan(messages, message)
            && let Some(keep) = self.decode_planned(messages, message, out)?
        {
            return Ok(keep);
        }
        let mut record = self.decode_tree(messages, message)?;
        let kept = self.chain.apply(&mut record).map_err(|error| (Stage::Transformation, error))?;
        if kept == Keep::Record {
            out.push_record(record);
        }
        Ok(kept)
    }

    /// Whether cells may do: nobody looks at keys or headers, and the chain was not found to need
    /// whole records. Planned rows have no headers, so a message with some takes the general path
    /// where transforms could ask for them.
    fn may_plan(&self, messages: &MessageBatch, message: &Message) -> bool {
        if self.needs_trees || self.chain.is_empty() {
            return !self.needs_trees;
        }
        let topic = &messages.partitions[message.partition as usize].topic;
        message.headers.1 == 0 && !self.per_record.contains(topic)
    }

    /// Has the message go into cells, as the chain rewrites its shape; `None`: it needs a tree.
    fn decode_planned(
        &mut self,
        messages: &MessageBatch,
        message: &Message,
        out: &mut RecordBatch,
    ) -> StageResult<Option<Keep>> {
        let Some(value) = message.value else { return Ok(None) };
        let topic = &messages.partitions[message.partition as usize].topic;
        let before = (out.cells.len(), out.scratch.len(), out.trees.len());
        let (off, len) = (value.off as usize, value.len as usize);
        let decoded = self.value_converter.decode_cells(topic, off, len, out);
        let planned = match decoded {
            Ok(None) => return Ok(None),
            Ok(Some(plan)) => self.chain.plan(&plan),
            Err(error) => {
                take_back(out, before);
                return Err((Stage::ValueConverter, error.into()));
            }
        };
        match planned {
            Planned::Plan(plan) => {
                let plan = out.plan_index(&plan);
                let first_cell =
                    u32::try_from(before.0).expect("a batch has far fewer than 2^32 cells");
                out.rows.push(Row::Planned { plan, first_cell });
                Ok(Some(Keep::Record))
            }
            Planned::Drop => {
                take_back(out, before);
                Ok(Some(Keep::Drop))
            }
            Planned::PerRecord => {
                take_back(out, before);
                // Not decoded in vain again: another shape of the topic could do without trees, but
                // rarely does.
                self.per_record.insert(topic.clone());
                Ok(None)
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

/// Takes back what a message added to the batch.
fn take_back(out: &mut RecordBatch, (cells, scratch, trees): (usize, usize, usize)) {
    out.cells.truncate(cells);
    out.scratch.truncate(scratch);
    out.trees.truncate(trees);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Props;
    use crate::converter::json::JsonConverter;
    use crate::converter::simple_header;
    use crate::data::{SchemaAndValue, TopicPartition};
    use crate::kafka::Span;
    use crate::plugin::Plugins;

    const TRANSFORMS: &str = "org.apache.kafka.connect.transforms";

    fn decoder(settings: &[(&str, &str)], needs_trees: bool) -> RecordDecoder {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let props: Props = settings.iter().map(pair).collect();
        let json = || Box::new(JsonConverter::new(&Props::new()).unwrap());
        RecordDecoder::new(
            Chain::build(&Plugins::builtin(), &props).unwrap(),
            json(),
            json(),
            simple_header::construct(&Props::new()).unwrap(),
            needs_trees,
        )
    }

    /// Messages of one partition, each with as many headers as said.
    fn messages(values: &[(&str, u32)]) -> MessageBatch {
        let (mut wire, mut messages, mut headers) = (Vec::new(), Vec::new(), Vec::new());
        let mut append = |text: &str| {
            let off = u32::try_from(wire.len()).unwrap();
            wire.extend_from_slice(text.as_bytes());
            Span { off, len: u32::try_from(text.len()).unwrap() }
        };
        for (offset, (text, count)) in values.iter().enumerate() {
            let value = append(text);
            let first = u32::try_from(headers.len()).unwrap();
            for _ in 0..*count {
                headers.push((append("h"), Some(append("x"))));
            }
            messages.push(Message {
                partition: 0,
                offset: i64::try_from(offset).unwrap(),
                timestamp_ms: Some(1_000),
                key: None,
                value: Some(value),
                headers: (first, *count),
            });
        }
        let partitions = vec![TopicPartition { topic: "t".into(), partition: 0 }];
        MessageBatch { wire: wire.into(), messages, partitions, headers }
    }

    fn message(id: i32) -> String {
        format!(
            r#"{{"schema":{{"type":"struct","name":"v","fields":[
            {{"field":"id","type":"int32"}},
            {{"field":"at","type":"struct","fields":[{{"field":"x","type":"string"}}]}}]}},
            "payload":{{"id":{id},"at":{{"x":"y"}}}}}}"#
        )
    }

    /// The values, and how many of them are planned.
    fn decoded(decoder: &mut RecordDecoder, batch: &MessageBatch) -> (Vec<SchemaAndValue>, usize) {
        let mut out = SinkBatch::default();
        let rejected = decoder.decode(batch, &[true], &mut out);
        assert!(rejected.is_empty(), "{rejected:?}");
        let records = &out.records;
        let planned = records.rows.iter().filter(|row| matches!(row, Row::Planned { .. })).count();
        let value = |row: &Row| match *row {
            Row::Tree { record } => records.records[record as usize].value.clone(),
            Row::Planned { plan, first_cell } => {
                let shape = records.plans[plan as usize].clone();
                shape.materialize(&records.view(plan, first_cell)).unwrap().value
            }
        };
        (records.rows.iter().map(value).collect(), planned)
    }

    #[test]
    fn transforms_rewrite_the_shape_and_give_what_trees_give() {
        let class = |name: &str| format!("{TRANSFORMS}.{name}");
        let rename = class("ReplaceField$Value");
        let cast = class("Cast$Value");
        let offset = class("InsertField$Value");
        let filter = class("Filter");
        let renaming =
            [("transforms", "a"), ("transforms.a.type", &rename), ("transforms.a.renames", "id:n")];
        let guarded = [
            ("transforms", "a"),
            ("transforms.a.type", &filter),
            ("transforms.a.predicate", "p"),
            ("predicates", "p"),
            ("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.HasHeaderKey"),
            ("predicates.p.name", "h"),
        ];
        let casting =
            [("transforms", "a"), ("transforms.a.type", &cast), ("transforms.a.spec", "id:int64")];
        let placing = [
            ("transforms", "a"),
            ("transforms.a.type", &offset),
            ("transforms.a.offset.field", "offset"),
        ];
        let rows: [(&str, &[(&str, &str)]); 5] = [
            ("none", &[]),
            ("rename", &renaming),
            ("cast", &casting),
            ("the row decides", &placing),
            ("headers decide", &guarded),
        ];
        let texts = [message(1), message(2), message(3)];
        let batch = messages(&[(&texts[0], 0), (&texts[1], 1), (&texts[2], 0)]);
        for (name, settings) in rows {
            let (values, _) = decoded(&mut decoder(settings, false), &batch);
            let (trees, planned) = decoded(&mut decoder(settings, true), &batch);
            assert_eq!(planned, 0, "{name}");
            assert_eq!(values, trees, "{name}");
        }
        assert_eq!(decoded(&mut decoder(&[], false), &batch).1, 3);
        assert_eq!(
            decoded(&mut decoder(&renaming, false), &batch).1,
            2,
            "not the one with a header"
        );
    }
}
