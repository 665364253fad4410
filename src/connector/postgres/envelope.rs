//! Debezium's envelope as plans: one per table and kind of event. A row adds cells only: what is the
//! same for all rows of a kind (`op`, the names in `source`, a snapshot's position) is constant in
//! the plan.

use std::sync::Arc;

use crate::connector::postgres::codec::{Codec, structure};
use crate::connector::postgres::config::PostgresConfig;
use crate::connector::postgres::lsn::Lsn;
use crate::connector::postgres::names;
use crate::connector::postgres::offset::SnapshotPoint;
use crate::connector::postgres::relation::{Column, Relation, TableShape};
use crate::connector::postgres::source_info::{SourceInfo, Varying};
use crate::connector::postgres::transaction_metadata;
use crate::connector::postgres::type_mapping::zero;
use crate::data::{Node, PlannedValue, RowPlan, Schema, SchemaBuilder, Type, Value};

/// The cells that stand before a streamed row's columns.
pub(super) mod meta {
    pub(in crate::connector::postgres) const SOURCE_MS: usize = 0;
    pub(in crate::connector::postgres) const SEQUENCE: usize = 1;
    pub(in crate::connector::postgres) const SOURCE_US: usize = 2;
    pub(in crate::connector::postgres) const SOURCE_NS: usize = 3;
    pub(in crate::connector::postgres) const XID: usize = 4;
    pub(in crate::connector::postgres) const LSN: usize = 5;
    pub(in crate::connector::postgres) const ORIGIN: usize = 6;
    pub(in crate::connector::postgres) const ORIGIN_LSN: usize = 7;
    pub(in crate::connector::postgres) const TS_MS: usize = 8;
    pub(in crate::connector::postgres) const TS_US: usize = 9;
    pub(in crate::connector::postgres) const TS_NS: usize = 10;
    /// All of a row of which neither transaction nor `xmin` is told.
    pub(in crate::connector::postgres) const PLAIN: usize = 11;
    pub(in crate::connector::postgres) const XMIN: usize = 11;
    pub(in crate::connector::postgres) const TRANSACTION: usize = 12;
    pub(in crate::connector::postgres) const TOTAL_ORDER: usize = 13;
    pub(in crate::connector::postgres) const TABLE_ORDER: usize = 14;
    pub(in crate::connector::postgres) const ALL: usize = 15;
}

/// How many of them a connector's rows have.
pub(super) fn meta_cells(config: &PostgresConfig) -> usize {
    match config.transaction_topic.is_some() || config.xmin_interval.is_some() {
        true => meta::ALL,
        false => meta::PLAIN,
    }
}

/// The cells that stand before a snapshot row's columns: the clock, in three units.
pub(super) const READ_META: usize = 3;

/// The plans of a streamed table.
#[derive(Debug)]
pub(super) struct Plans {
    pub(super) create: Arc<RowPlan>,
    /// No old row came.
    pub(super) update: Arc<RowPlan>,
    /// The old row's cells stand before the new one's.
    pub(super) update_full: Arc<RowPlan>,
    /// Of the old row only the replica identity is known.
    pub(super) update_keyed: Arc<RowPlan>,
    pub(super) delete_full: Arc<RowPlan>,
    pub(super) delete_keyed: Arc<RowPlan>,
    /// The record behind a delete, over the same cells.
    pub(super) tombstone_full: Arc<RowPlan>,
    pub(super) tombstone_keyed: Arc<RowPlan>,
    pub(super) truncate: Arc<RowPlan>,
}

/// Where a row stands in a snapshot, as `source.snapshot` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    First,
    FirstInTable,
    Middle,
    LastInTable,
    Last,
}

impl Marker {
    const ALL: [Self; 5] =
        [Self::First, Self::FirstInTable, Self::Middle, Self::LastInTable, Self::Last];

    fn text(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::FirstInTable => "first_in_data_collection",
            Self::Middle => "true",
            Self::LastInTable => "last_in_data_collection",
            Self::Last => "last",
        }
    }
}

/// As of when rows are read, as `source` says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadPoint {
    pub(super) at: SnapshotPoint,
    /// The first member of `source.sequence`, where something was streamed before.
    pub(super) last_commit: Option<Lsn>,
}

impl From<SnapshotPoint> for ReadPoint {
    fn from(at: SnapshotPoint) -> Self {
        Self { at, last_commit: None }
    }
}

/// The plans of a table in a snapshot, by marker.
#[derive(Debug)]
pub(super) struct ReadPlans([Arc<RowPlan>; 5]);

impl ReadPlans {
    pub(super) fn new(
        relation: &Relation,
        shape: &TableShape,
        config: &PostgresConfig,
        point: ReadPoint,
    ) -> Self {
        let schemas = Schemas::new(relation, config);
        let plan = |marker: Marker| {
            let fields = config.generation.envelope([
                Node::Const(Value::Null),
                schemas.row(relation, READ_META, RowKind::Whole),
                Node::Const(read_source(&schemas, shape, point, marker)),
                Node::Const(Value::Null),
                Node::Const(Value::string("r")),
                Node::cell(0),
                Node::cell(1),
                Node::cell(2),
            ]);
            let envelope = Node::Struct { presence: None, fields };
            Arc::new(RowPlan {
                topic: relation.topic.clone(),
                key: schemas.key(relation, READ_META, RowKind::Whole),
                value: Some(PlannedValue {
                    schema: Some(schemas.envelope.clone()),
                    node: envelope,
                }),
                cell_count: READ_META + relation.cells,
                headers: config.headers.clone(),
            })
        };
        Self(Marker::ALL.map(plan))
    }

    /// The plan of rows that stand at `marker`.
    pub(super) fn of(&self, marker: Marker) -> &Arc<RowPlan> {
        let [first, first_in_table, middle, last_in_table, last] = &self.0;
        match marker {
            Marker::First => first,
            Marker::FirstInTable => first_in_table,
            Marker::Middle => middle,
            Marker::LastInTable => last_in_table,
            Marker::Last => last,
        }
    }
}

impl Plans {
    pub(super) fn new(relation: &Relation, shape: &TableShape, config: &PostgresConfig) -> Self {
        let schemas = Schemas::new(relation, config);
        let source = stream_source(&schemas.info, shape, config);
        let transaction = transaction_block(config);
        let row = |first, kind| Some(schemas.row(relation, first, kind));
        let envelope = |op: &str, before: Option<Node>, after: Option<Node>| PlannedValue {
            schema: Some(schemas.envelope.clone()),
            node: Node::Struct {
                presence: None,
                fields: config.generation.envelope([
                    before.unwrap_or(Node::Const(Value::Null)),
                    after.unwrap_or(Node::Const(Value::Null)),
                    source.clone(),
                    transaction.clone(),
                    Node::Const(Value::string(op)),
                    Node::cell(meta::TS_MS),
                    Node::cell(meta::TS_US),
                    Node::cell(meta::TS_NS),
                ]),
            },
        };
        let first = meta_cells(config);
        let plan = |key: Option<PlannedValue>, value: Option<PlannedValue>, rows: usize| {
            Arc::new(RowPlan {
                topic: relation.topic.clone(),
                key,
                value,
                cell_count: first + rows * relation.cells,
                headers: config.headers.clone(),
            })
        };
        let second = first + relation.cells;
        let key = |first, kind| schemas.key(relation, first, kind);
        let (whole, keyed) = (RowKind::Whole, RowKind::Identity);
        let update = |kind| {
            let value = envelope("u", row(first, kind), row(second, whole));
            plan(key(second, whole), Some(value), 2)
        };
        let delete = |kind| plan(key(first, kind), Some(envelope("d", row(first, kind), None)), 1);
        Self {
            create: plan(key(first, whole), Some(envelope("c", None, row(first, whole))), 1),
            update: plan(key(first, whole), Some(envelope("u", None, row(first, whole))), 1),
            update_full: update(whole),
            update_keyed: update(keyed),
            delete_full: delete(whole),
            delete_keyed: delete(keyed),
            tombstone_full: plan(key(first, whole), None, 1),
            tombstone_keyed: plan(key(first, keyed), None, 1),
            truncate: plan(None, Some(envelope("t", None, None)), 0),
        }
    }
}

/// What of a row is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    Whole,
    /// The columns of the replica identity; others are null, or where null is no value their default
    /// or zero.
    Identity,
}

/// The schemas of one table.
pub(super) struct Schemas {
    key: Option<Arc<Schema>>,
    pub(super) info: SourceInfo,
    source: Arc<Schema>,
    pub(super) envelope: Arc<Schema>,
}

impl Schemas {
    pub(super) fn new(relation: &Relation, config: &PostgresConfig) -> Self {
        let name = |suffix: &str| {
            names::schema_name(config.names.schemas, &format!("{}.{suffix}", relation.topic))
        };
        let fields = |builder: SchemaBuilder, column: &Column| {
            builder.field(column.field.clone(), column.schema.clone())
        };
        let row = SchemaBuilder::structure().name(name("Value")).optional();
        let row = relation.columns().filter(|column| column.in_value).fold(row, fields).build();
        let key = SchemaBuilder::structure().name(name("Key"));
        let key_field = |builder: SchemaBuilder, column: &Column| {
            builder.field(column.field.clone(), column.key_schema.clone())
        };
        let key_columns = relation.key.iter().filter_map(|position| relation.column(*position));
        let key = (!relation.key.is_empty()).then(|| key_columns.fold(key, key_field).build());
        let info = SourceInfo::new(config);
        let source = info.schema();
        let int64 = SchemaBuilder::new(Type::Int64).optional().build();
        let members = config.generation.envelope([
            ("before", row.clone()),
            ("after", row),
            ("source", source.clone()),
            ("transaction", transaction_metadata::block_schema()),
            ("op", SchemaBuilder::new(Type::String).build()),
            ("ts_ms", int64.clone()),
            ("ts_us", int64.clone()),
            ("ts_ns", int64),
        ]);
        let envelope = SchemaBuilder::structure()
            .name(name("Envelope"))
            .version(config.generation.envelope_version());
        let member = |envelope: SchemaBuilder, (name, schema)| envelope.field(name, schema);
        let envelope = members.into_iter().fold(envelope, member).build();
        Self { key, info, source, envelope }
    }

    pub(super) fn row(&self, relation: &Relation, first: usize, kind: RowKind) -> Node {
        let columns = relation.columns().filter(|column| column.in_value);
        let fields = columns.map(|column| value_node(column, first, kind)).collect();
        Node::Struct { presence: None, fields }
    }

    pub(super) fn key(
        &self,
        relation: &Relation,
        first: usize,
        kind: RowKind,
    ) -> Option<PlannedValue> {
        let columns = relation.key.iter().filter_map(|position| relation.column(*position));
        let fields = columns.map(|column| column_node(column, first, kind)).collect();
        let node = Node::Struct { presence: None, fields };
        Some(PlannedValue { schema: Some(self.key.clone()?), node })
    }
}

/// A column in a value, where mappers apply.
fn value_node(column: &Column, first: usize, kind: RowKind) -> Node {
    if let Some(mask) = &column.mask {
        return Node::Const(mask.clone());
    }
    match (column_node(column, first, kind), &column.codec) {
        (Node::Cell { index, unchanged, null }, Codec::Mapped(_)) => {
            Node::Cell { index: index + 1, unchanged, null }
        }
        (node, _) => node,
    }
}

fn column_node(column: &Column, first: usize, kind: RowKind) -> Node {
    if kind == RowKind::Identity && !column.identity {
        let optional = column.schema.is_optional();
        let value = if optional { Value::Null } else { zero(&column.codec, &column.schema) };
        return Node::Const(value);
    }
    let index = first + column.cell;
    match column.codec {
        Codec::VariableDecimal => Node::Struct {
            presence: Some(index),
            fields: vec![Node::cell(index), Node::cell(index + 1)],
        },
        _ => Node::Cell { index, unchanged: column.unchanged.clone(), null: Value::Null },
    }
}

/// A row's place in its transaction.
fn transaction_block(config: &PostgresConfig) -> Node {
    if config.transaction_topic.is_none() {
        return Node::Const(Value::Null);
    }
    let members = [meta::TRANSACTION, meta::TOTAL_ORDER, meta::TABLE_ORDER];
    Node::Struct { presence: Some(meta::TRANSACTION), fields: members.map(Node::cell).into() }
}

fn stream_source(info: &SourceInfo, shape: &TableShape, config: &PostgresConfig) -> Node {
    let varying = Varying {
        ts_ms: Node::cell(meta::SOURCE_MS),
        // The schema has a default for it.
        snapshot: Node::Const(Value::Null),
        sequence: Node::cell(meta::SEQUENCE),
        ts_us: Node::cell(meta::SOURCE_US),
        ts_ns: Node::cell(meta::SOURCE_NS),
        xid: Node::cell(meta::XID),
        lsn: Node::cell(meta::LSN),
        xmin: match config.xmin_interval {
            Some(_) => Node::cell(meta::XMIN),
            None => Node::Const(Value::Null),
        },
        origin: Node::cell(meta::ORIGIN),
        origin_lsn: Node::cell(meta::ORIGIN_LSN),
    };
    let fields = info.members(&shape.schema, &shape.table, Node::Const, varying);
    Node::Struct { presence: None, fields }
}

fn read_source(schemas: &Schemas, shape: &TableShape, point: ReadPoint, marker: Marker) -> Value {
    let ReadPoint { at: point, last_commit } = point;
    let lsn = point.lsn.0.cast_signed();
    let commit =
        last_commit.map_or("null".to_owned(), |lsn| format!("\"{}\"", lsn.0.cast_signed()));
    let varying = Varying {
        ts_ms: Value::Int64(point.ts_usec.div_euclid(1000)),
        snapshot: Value::string(marker.text()),
        sequence: Value::string(format!("[{commit},\"{lsn}\"]")),
        ts_us: Value::Int64(point.ts_usec),
        ts_ns: Value::Int64(point.ts_usec.saturating_mul(1000)),
        xid: point.xid.map_or(Value::Null, Value::Int64),
        lsn: Value::Int64(lsn),
        xmin: Value::Null,
        origin: Value::Null,
        origin_lsn: Value::Null,
    };
    let members = schemas.info.members(&shape.schema, &shape.table, |value| value, varying);
    structure(&schemas.source, members)
}
