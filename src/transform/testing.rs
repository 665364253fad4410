//! What the tests of the transforms share: one record, as a tree and as a shape.

use std::sync::Arc;

use super::{Keep, Planned, Transformation};
use crate::config::Props;
use crate::data::{
    Cell, Node, PlannedValue, Record, RecordBatch, RowPlan, Schema, SchemaBuilder, Type, Value,
};
use crate::error::ConnectError;

type Construct = fn(&Props) -> Result<Box<dyn Transformation>, ConnectError>;

/// The transform with these settings.
pub(super) fn smt(
    construct: Construct,
    settings: &[(&str, &str)],
) -> Result<Box<dyn Transformation>, String> {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    construct(&settings.iter().map(pair).collect()).map_err(|error| error.to_string())
}

/// Applies `smt` and checks that an error leaves the record alone.
#[track_caller]
pub(super) fn apply(smt: &mut dyn Transformation, record: &mut Record) -> Result<Keep, String> {
    let untouched = record.clone();
    smt.apply(record).map_err(|error| {
        assert_eq!(*record, untouched, "an error leaves the record alone");
        error.to_string()
    })
}

fn row() -> Arc<Schema> {
    let kind = SchemaBuilder::new(Type::String).optional().default_value(Value::string("n/a"));
    SchemaBuilder::structure()
        .optional()
        .name("t.Value")
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .field("name", SchemaBuilder::new(Type::String).optional().build())
        .field("kind", kind.build())
        .build()
}

/// Key `{"id":1}`, value `{"id":1,"name":"a","kind":null}`, where `kind` has the default `n/a`.
pub(super) fn shape(topic: &str) -> (Arc<RowPlan>, RecordBatch) {
    let mut batch = RecordBatch { wire: "a".into(), ..RecordBatch::default() };
    batch.cells.extend([Cell::I64(1), Cell::Wire { off: 0, len: 1 }, Cell::Null]);
    let part = |schema, cells| {
        let fields = (0..cells).map(Node::cell).collect();
        Some(PlannedValue { schema: Some(schema), node: Node::Struct { presence: None, fields } })
    };
    let key = SchemaBuilder::structure()
        .name("t.Key")
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .build();
    let plan = RowPlan {
        topic: topic.into(),
        key: part(key, 1),
        value: part(row(), 3),
        cell_count: 3,
        headers: [].into(),
    };
    (Arc::new(plan), batch)
}

/// The same as a tree.
pub(super) fn record(topic: &str) -> Record {
    let (plan, batch) = shape(topic);
    materialize(&plan, &batch)
}

fn materialize(plan: &Arc<RowPlan>, batch: &RecordBatch) -> Record {
    let mut batch = RecordBatch {
        wire: batch.wire.clone(),
        cells: batch.cells.clone(),
        ..RecordBatch::default()
    };
    let index = batch.plan_index(plan);
    plan.materialize(&batch.view(index, 0)).unwrap()
}

/// A schemaless map.
pub(super) fn map(entries: &[(&str, i32)]) -> Value {
    let entry = |(key, value): &(&str, i32)| (Value::string(key), Value::Int32(*value));
    Value::Map(entries.iter().map(entry).collect())
}

/// Whether `smt` plans the shape; if it does, it must come out as the record does.
#[track_caller]
pub(super) fn plan_agrees(
    smt: &mut dyn Transformation,
    plan: &Arc<RowPlan>,
    batch: &RecordBatch,
) -> bool {
    let mut record = materialize(plan, batch);
    match smt.plan(plan) {
        Planned::PerRecord => return false,
        Planned::Drop => assert_eq!(smt.apply(&mut record).unwrap(), Keep::Drop),
        Planned::Plan(output) => {
            assert_eq!(smt.apply(&mut record).unwrap(), Keep::Record);
            assert_eq!(materialize(&output, batch), record);
        }
    }
    true
}
