//! The same record on the other path: as a shape with one row of cells, through what the transform plans for the shape.

use std::sync::Arc;

use ferroconnect::converter::{Converter, Presence};
use ferroconnect::data::{
    Cell, Node, PlannedValue, Record, RecordBatch, RowPlan, Schema, SchemaAndValue, Struct, Type,
    Value, logical,
};
use ferroconnect::transform::{Keep, Planned, Transformation};

/// A record as a shape and its one row; `None` where a shape cannot say what the record says.
fn shape(record: &Record) -> Option<(Arc<RowPlan>, RecordBatch)> {
    if record.partition.is_some() || record.timestamp_ms.is_some() || record.offset.is_some() {
        return None;
    }
    let mut batch = RecordBatch::default();
    let mut part = |part: &SchemaAndValue| match (&part.schema, &part.value) {
        (None, Value::Null) => None,
        (schema, value) => Some(PlannedValue {
            schema: schema.clone(),
            node: node(schema.as_ref(), value, &mut batch),
        }),
    };
    let (key, value) = (part(&record.key), part(&record.value));
    let plan = RowPlan {
        topic: record.topic.clone(),
        key,
        value,
        cell_count: batch.cells.len(),
        headers: record.headers.clone().into(),
    };
    Some((Arc::new(plan), batch))
}

/// Leaves as cells, where cells can hold them; constants else.
fn node(schema: Option<&Arc<Schema>>, value: &Value, batch: &mut RecordBatch) -> Node {
    if let Value::Struct(inner) = value
        && schema.is_some_and(|schema| schema == inner.schema())
    {
        return structure(inner, batch);
    }
    let cell = match value {
        Value::Null if schema.is_some_and(|schema| schema.ty() != Type::Struct) => Some(Cell::Null),
        Value::Array(_) | Value::Map(_) => Some(batch.push_tree(value.clone())),
        value => schema.and_then(|schema| leaf(schema, value, batch)),
    };
    match cell {
        Some(cell) => {
            batch.cells.push(cell);
            Node::cell(batch.cells.len() - 1)
        }
        None => Node::Const(value.clone()),
    }
}

fn structure(value: &Struct, batch: &mut RecordBatch) -> Node {
    let members = value.schema().fields().iter().zip(value.values());
    let fields = members.map(|(field, member)| node(Some(&field.schema), member, batch)).collect();
    Node::Struct { presence: None, fields }
}

fn leaf(schema: &Schema, value: &Value, batch: &mut RecordBatch) -> Option<Cell> {
    let is = |name: &str| schema.name() == Some(name);
    Some(match (schema.ty(), value) {
        (Type::Boolean, Value::Boolean(truth)) => Cell::I64((*truth).into()),
        (Type::Int8, Value::Int8(_)) | (Type::Int16, Value::Int16(_)) => Cell::I64(value.as_i64()?),
        (Type::Int32, Value::Int32(_)) if !is(logical::DATE) && !is(logical::TIME) => {
            Cell::I64(value.as_i64()?)
        }
        (Type::Int32, Value::Date(_)) if is(logical::DATE) => Cell::I64(value.as_i64()?),
        (Type::Int32, Value::Time(_)) if is(logical::TIME) => Cell::I64(value.as_i64()?),
        (Type::Int64, Value::Int64(_)) if !is(logical::TIMESTAMP) => Cell::I64(value.as_i64()?),
        (Type::Int64, Value::Timestamp(_)) if is(logical::TIMESTAMP) => Cell::I64(value.as_i64()?),
        (Type::Float32, Value::Float32(number)) => Cell::F64((*number).into()),
        (Type::Float64, Value::Float64(number)) => Cell::F64(*number),
        (Type::String, Value::String(text)) => batch.push_scratch(text.as_bytes()),
        (Type::Bytes, Value::Bytes(bytes)) if !is(logical::DECIMAL) => batch.push_scratch(bytes),
        (Type::Bytes, Value::Decimal(decimal)) if is(logical::DECIMAL) => {
            let scale = schema.parameter(logical::SCALE)?.parse::<i32>().ok()?;
            if scale != decimal.scale {
                return None;
            }
            batch.push_scratch(&decimal.unscaled.to_signed_bytes_be())
        }
        _ => return None,
    })
}

/// What `transform` makes of the record, and what it plans for the record's shape: the same, and the same bytes of it. True when it
/// planned.
pub(super) fn agrees(
    transform: &dyn Transformation,
    record: &Record,
    applied: Option<(Keep, &Record)>,
    converters: &mut [Box<dyn Converter>],
) -> bool {
    let Some((plan, mut batch)) = shape(record) else { return false };
    let outcome = match transform.plan(&plan) {
        Planned::PerRecord => return false,
        Planned::Drop => {
            assert_eq!(applied.map(|applied| applied.0), Some(Keep::Drop), "a shape is dropped");
            return true;
        }
        Planned::Plan(outcome) => outcome,
    };
    let (keep, applied) = applied.expect("what fails is not planned");
    assert_eq!(keep, Keep::Record, "a shape is kept");
    let index = batch.plan_index(&outcome);
    let view = batch.view(index, 0);
    // NaN is no value equal to itself: texts are compared.
    let planned = outcome.materialize(&view).expect("a planned row is a record");
    assert_eq!(format!("{planned:?}"), format!("{applied:?}"), "both paths");
    let parts = [(&outcome.key, &applied.key), (&outcome.value, &applied.value)];
    for converter in converters {
        for (planned, tree) in
            parts.iter().filter_map(|(planned, tree)| Some((planned.as_ref()?, *tree)))
        {
            let Some(encoder) = converter.encoder("t", planned) else { continue };
            let (mut from_cells, mut from_tree) = (Vec::new(), Vec::new());
            let cells = encoder.write(&view, &mut from_cells);
            let tree = converter.from_connect_data("t", tree, &mut from_tree);
            match (cells, tree) {
                (Ok(Presence::Present), Ok(Presence::Present)) => assert_eq!(
                    String::from_utf8_lossy(&from_cells),
                    String::from_utf8_lossy(&from_tree)
                ),
                (cells, tree) => assert_eq!(cells.ok(), tree.ok(), "both paths fail alike"),
            }
        }
    }
    true
}
