//! What the tests of the transforms share: one record, as a tree and as a shape.

use std::sync::Arc;

use super::{Keep, Planned, Transformation};
use crate::config::Props;
use crate::data::{
    Cell, Node, PlannedValue, Record, RecordBatch, RowPlan, Schema, SchemaAndValue, SchemaBuilder,
    Struct, Type, Value,
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

fn row_schema() -> Arc<Schema> {
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
        value: part(row_schema(), 3),
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

/// The row of [`change`].
pub(super) fn row(id: i32, name: &str) -> Value {
    let values = vec![Value::Int32(id), Value::string(name)];
    Value::Struct(Box::new(Struct::new(row_of_change(), values)))
}

fn row_of_change() -> Arc<Schema> {
    SchemaBuilder::structure()
        .optional()
        .name("s.db.t.Value")
        .field("id", SchemaBuilder::new(Type::Int32).build())
        .field("name", SchemaBuilder::new(Type::String).optional().build())
        .build()
}

/// A change event of the table `t`; the images are rows, or null.
pub(super) fn change(op: &str, before: Value, after: Value) -> Record {
    let row = [&before, &after].into_iter().find_map(Value::as_struct);
    let row = row.map_or_else(row_of_change, |row| row.schema().clone());
    let plain = |ty| SchemaBuilder::new(ty).build();
    let source = SchemaBuilder::structure()
        .name("source")
        .field("ts_ms", plain(Type::Int64))
        .field("table", plain(Type::String))
        .build();
    let schema = SchemaBuilder::structure()
        .name("s.db.t.Envelope")
        .version(2)
        .field("before", row.clone())
        .field("after", row)
        .field("source", source.clone())
        .field("op", plain(Type::String))
        .field("ts_ms", SchemaBuilder::new(Type::Int64).optional().build())
        .build();
    let source = Struct::new(source, vec![Value::Int64(1000), Value::string("t")]);
    let values =
        vec![before, after, Value::Struct(Box::new(source)), Value::string(op), Value::Int64(2000)];
    let value = Value::Struct(Box::new(Struct::new(schema.clone(), values)));
    Record { value: SchemaAndValue { schema: Some(schema), value }, ..record("s.db.t") }
}
