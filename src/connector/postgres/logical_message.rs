//! Records of `pg_logical_emit_message` (Debezium, "message events"). Trees: they are rare.

use std::sync::Arc;

use bytes::Bytes;

use crate::connector::postgres::codec::{Codec, structure};
use crate::connector::postgres::config::{BinaryMode, PostgresConfig};
use crate::connector::postgres::envelope::{VERSION, source_schema, transaction_schema};
use crate::connector::postgres::filter::Selector;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::pgoutput::micros_now;
use crate::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Type, Value};

/// Makes the records of logical messages.
#[derive(Debug)]
pub(super) struct LogicalMessages {
    topic: Arc<str>,
    prefix: String,
    database: String,
    filter: Selector,
    binary: BinaryMode,
    key: Arc<Schema>,
    message: Arc<Schema>,
    source: Arc<Schema>,
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
        let source = source_schema();
        let value = named("MessageValue")
            .field("op", SchemaBuilder::new(Type::String).build())
            .field("ts_ms", SchemaBuilder::new(Type::Int64).optional().build())
            .field("source", source.clone())
            .field("transaction", transaction_schema())
            .field("message", message.clone())
            .build();
        Self {
            topic: format!("{}.message", config.topic_prefix).into(),
            prefix: config.topic_prefix.clone(),
            database: config.server.database.clone(),
            filter: config.message_prefixes.clone(),
            binary: config.types.binary,
            key: named("MessageKey").field("prefix", string()).build(),
            message,
            source,
            value,
        }
    }

    /// The record of a message; `None` when its prefix is filtered out.
    pub(super) fn record(
        &self,
        lsn: Lsn,
        sequence: &str,
        xid: Option<u32>,
        commit_micros: i64,
        prefix: &str,
        content: &[u8],
    ) -> Option<Record> {
        if !self.filter.selects(prefix) {
            return None;
        }
        let content_schema = &self.message.field("content")?.1.schema;
        let content = match self.binary {
            BinaryMode::Bytes => Value::Bytes(Bytes::copy_from_slice(content)),
            mode => Codec::Opaque(mode).value(content_schema, content)?,
        };
        let message = structure(&self.message, vec![Value::string(prefix), content]);
        let source = structure(
            &self.source,
            vec![
                Value::string(VERSION),
                Value::string("postgresql"),
                Value::string(&self.prefix),
                Value::Int64(commit_micros.div_euclid(1000)),
                Value::Null,
                Value::string(&self.database),
                Value::string(sequence),
                Value::Int64(commit_micros),
                Value::Int64(commit_micros.saturating_mul(1000)),
                Value::string(""),
                Value::string(""),
                xid.map_or(Value::Null, |xid| Value::Int64(xid.into())),
                Value::Int64(lsn.0.cast_signed()),
                Value::Null,
                Value::Null,
                Value::Null,
            ],
        );
        let fields = vec![
            Value::string("m"),
            Value::Int64(micros_now().div_euclid(1000)),
            source,
            Value::Null,
            message,
        ];
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
