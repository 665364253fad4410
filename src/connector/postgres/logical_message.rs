//! Records of `pg_logical_emit_message` (Debezium, "message events"). Trees: they are rare.

use std::sync::Arc;

use bytes::Bytes;

use crate::connector::postgres::codec::{Codec, structure};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::config_types::BinaryMode;
use crate::connector::postgres::filter::Selector;
use crate::connector::postgres::generation::Generation;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::pgoutput::micros_now;
use crate::connector::postgres::source_info::{SourceInfo, Varying};
use crate::connector::postgres::transaction_metadata;
use crate::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Type, Value};

/// Makes the records of logical messages.
#[derive(Debug)]
pub(super) struct LogicalMessages {
    topic: Arc<str>,
    generation: Generation,
    info: SourceInfo,
    filter: Selector,
    binary: BinaryMode,
    key: Arc<Schema>,
    message: Arc<Schema>,
    source: Arc<Schema>,
    block: Arc<Schema>,
    value: Arc<Schema>,
}

impl LogicalMessages {
    pub(super) fn new(config: &PostgresConfig) -> Self {
        const PACKAGE: &str = "io.debezium.connector.postgresql";
        let string = || SchemaBuilder::new(Type::String).optional().build();
        let content = match config.types.binary {
            BinaryMode::Bytes => SchemaBuilder::new(Type::Bytes).optional().build(),
            _ => string(),
        };
        let named =
            |name: &str| SchemaBuilder::structure().name(format!("{PACKAGE}.{name}")).version(1);
        let message = named("Message").field("prefix", string()).field("content", content).build();
        let info = SourceInfo::new(config);
        let source = info.schema();
        let members = config.generation.message([
            ("op", SchemaBuilder::new(Type::String).build()),
            ("ts_ms", SchemaBuilder::new(Type::Int64).optional().build()),
            ("source", source.clone()),
            ("transaction", transaction_metadata::block_schema()),
            ("message", message.clone()),
        ]);
        let member = |value: SchemaBuilder, (name, schema)| value.field(name, schema);
        let value = members.into_iter().fold(named("MessageValue"), member).build();
        Self {
            topic: format!("{}.message", config.topic_prefix).into(),
            generation: config.generation,
            info,
            filter: config.message_prefixes.clone(),
            binary: config.types.binary,
            key: named("MessageKey").field("prefix", string()).build(),
            message,
            source,
            block: transaction_metadata::block_schema(),
            value,
        }
    }

    /// Whether messages with this prefix are wanted.
    pub(super) fn wants(&self, prefix: &str) -> bool {
        self.filter.selects(prefix)
    }

    /// The record of a message; `None` when its content cannot be shown.
    pub(super) fn record(&self, message: &LogicalMessage<'_>) -> Option<Record> {
        let LogicalMessage { lsn, sequence, xid, commit_micros, prefix, content, .. } = *message;
        let content_schema = &self.message.field("content")?.1.schema;
        let content = match self.binary {
            BinaryMode::Bytes => Value::Bytes(Bytes::copy_from_slice(content)),
            mode => Codec::Opaque(mode).value(content_schema, content)?,
        };
        let varying = Varying {
            ts_ms: Value::Int64(commit_micros.div_euclid(1000)),
            snapshot: Value::Null,
            sequence: Value::string(sequence),
            ts_us: Value::Int64(commit_micros),
            ts_ns: Value::Int64(commit_micros.saturating_mul(1000)),
            xid: xid.map_or(Value::Null, |xid| Value::Int64(xid.into())),
            lsn: Value::Int64(lsn.0.cast_signed()),
            xmin: Value::Null,
            origin: Value::Null,
            origin_lsn: Value::Null,
        };
        let source = self.info.members("", "", |value| value, varying);
        let transaction = match message.place {
            None => Value::Null,
            Some((id, total, of_messages)) => structure(
                &self.block,
                vec![Value::string(id), Value::Int64(total), Value::Int64(of_messages)],
            ),
        };
        let fields = self.generation.message([
            Value::string("m"),
            Value::Int64(micros_now().div_euclid(1000)),
            structure(&self.source, source),
            transaction,
            structure(&self.message, vec![Value::string(prefix), content]),
        ]);
        let with = |schema: &Arc<Schema>, value: Value| SchemaAndValue {
            schema: Some(schema.clone()),
            value,
        };
        Some(Record {
            topic: self.topic.clone(),
            partition: None,
            offset: None,
            key: with(&self.key, structure(&self.key, vec![Value::string(prefix)])),
            value: with(&self.value, structure(&self.value, fields)),
            timestamp_ms: None,
            headers: Vec::new(),
        })
    }
}

/// A message of the stream.
#[derive(Debug)]
pub(super) struct LogicalMessage<'a> {
    pub(super) lsn: Lsn,
    pub(super) sequence: &'a str,
    /// `None` outside transactions.
    pub(super) xid: Option<u32>,
    pub(super) commit_micros: i64,
    pub(super) prefix: &'a str,
    pub(super) content: &'a [u8],
    /// The transaction's id, the place in it, and the place among its messages, when told.
    pub(super) place: Option<(&'a str, i64, i64)>,
}
