//! Transaction metadata: records of where transactions begin and end, with what they hold, and a
//! row's place in its transaction (Debezium, `TransactionMonitor` and `TransactionContext`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::connector::postgres::codec::structure;
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::java_map;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::names;
use crate::data::{Record, Schema, SchemaAndValue, SchemaBuilder, Type, Value};

const PACKAGE: &str = "io.debezium.connector.common";

/// How many events an open transaction has handed out, in total and by table.
#[derive(Debug, Clone, Default)]
pub(super) struct EventCounts {
    total: i64,
    tables: Vec<(String, i64)>,
    index: HashMap<String, usize>,
}

impl EventCounts {
    /// Counts an event of `table`; its place in the transaction, and among those of the table.
    pub(super) fn event(&mut self, table: &str) -> (i64, i64) {
        self.total += 1;
        let index = match self.index.get(table) {
            Some(index) => *index,
            None => {
                self.index.insert(table.to_owned(), self.tables.len());
                self.tables.push((table.to_owned(), 0));
                self.tables.len() - 1
            }
        };
        let count = &mut self.tables[index].1;
        *count += 1;
        (self.total, *count)
    }

    /// Takes the newest event of `table` back.
    pub(super) fn undo(&mut self, table: &str) {
        if let Some((_, count)) =
            self.index.get(table).and_then(|index| self.tables.get_mut(*index))
        {
            *count -= 1;
            self.total -= 1;
        }
    }
}

/// Makes the records of the transaction topic.
#[derive(Debug)]
pub(super) struct TransactionRecords {
    topic: Arc<str>,
    key: Arc<Schema>,
    value: Arc<Schema>,
    collection: Arc<Schema>,
    /// Of the original's map of tables, which grows and never shrinks.
    buckets: u32,
}

impl TransactionRecords {
    /// `None` when the metadata is not asked for.
    pub(super) fn new(config: &PostgresConfig) -> Option<Self> {
        let topic = config.transaction_topic.as_deref()?.into();
        let string = || SchemaBuilder::new(Type::String).build();
        let int64 = || SchemaBuilder::new(Type::Int64);
        let named = |name: &str| {
            let name = names::schema_name(config.names.schemas, name);
            SchemaBuilder::structure().name(name).version(1)
        };
        let collection = named("event.collection")
            .optional()
            .field("data_collection", string())
            .field("event_count", int64().build())
            .build();
        let value = named(&format!("{PACKAGE}.TransactionMetadataValue"))
            .field("status", string())
            .field("id", string())
            .field("event_count", int64().optional().build())
            .field("data_collections", SchemaBuilder::array(collection.clone()).optional().build())
            .field("ts_ms", int64().build())
            .build();
        let key = named(&format!("{PACKAGE}.TransactionMetadataKey")).field("id", string()).build();
        Some(Self { topic, key, value, collection, buckets: java_map::buckets(0) })
    }

    /// The record in front of a transaction's events.
    pub(super) fn begin(&self, xid: u32, lsn: Lsn, commit_micros: i64) -> Record {
        let id = id(xid, lsn);
        self.record(
            &id,
            vec![
                Value::string("BEGIN"),
                Value::string(&id),
                Value::Null,
                Value::Null,
                Value::Int64(commit_micros.div_euclid(1000)),
            ],
        )
    }

    /// The record behind them.
    pub(super) fn end(
        &mut self,
        xid: u32,
        lsn: Lsn,
        commit_micros: i64,
        counts: EventCounts,
    ) -> Record {
        let id = id(xid, lsn);
        let mut tables = counts.tables;
        self.buckets = self.buckets.max(java_map::buckets(tables.len()));
        java_map::sort(&mut tables, self.buckets, |(table, _)| table);
        let collection = |(table, count): (String, i64)| {
            structure(&self.collection, vec![Value::string(table), Value::Int64(count)])
        };
        self.record(
            &id,
            vec![
                Value::string("END"),
                Value::string(&id),
                Value::Int64(counts.total),
                Value::Array(tables.into_iter().map(collection).collect()),
                Value::Int64(commit_micros.div_euclid(1000)),
            ],
        )
    }

    fn record(&self, id: &str, value: Vec<Value>) -> Record {
        let with = |schema: &Arc<Schema>, members| SchemaAndValue {
            schema: Some(schema.clone()),
            value: structure(schema, members),
        };
        Record {
            topic: self.topic.clone(),
            partition: None,
            offset: None,
            key: with(&self.key, vec![Value::string(id)]),
            value: with(&self.value, value),
            timestamp_ms: None,
            headers: Vec::new(),
        }
    }
}

/// What a transaction is called at one of its positions: each of its records says another.
pub(super) fn id(xid: u32, lsn: Lsn) -> String {
    format!("{xid}:{}", lsn.0.cast_signed())
}

/// The schema of a row's `transaction`.
pub(super) fn block_schema() -> Arc<Schema> {
    let int64 = SchemaBuilder::new(Type::Int64).build();
    SchemaBuilder::structure()
        .name("event.block")
        .version(1)
        .optional()
        .field("id", SchemaBuilder::new(Type::String).build())
        .field("total_order", int64.clone())
        .field("data_collection_order", int64)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_in_total_and_by_table() {
        let mut counts = EventCounts::default();
        let places: Vec<_> =
            ["inv.a", "inv.b", "inv.a"].iter().map(|table| counts.event(table)).collect();
        assert_eq!(places, [(1, 1), (2, 1), (3, 2)]);
    }
}
