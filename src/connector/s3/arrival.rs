//! A row of a batch with its coordinates, and what can be read of it without writing it.

use std::sync::Arc;

use crate::data::{Node, Record, Row, RowPlan, Schema, SinkBatch, Type, Value};
use crate::error::DataError;

use super::format::RecordWriter;

/// A row of a batch with its coordinates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    pub(super) batch: &'a SinkBatch,
    pub(super) row: Row,
    /// An index of the batch's partitions.
    pub(super) partition: u32,
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    /// Wall clock.
    pub(super) now_ms: i64,
}

/// What a path of field names leads to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Member {
    /// The value is neither a struct nor a map.
    NoStruct,
    /// There is no such field.
    Missing,
    /// A value, with its schema where it has one.
    Value(Option<Arc<Schema>>, Value),
}

impl<'a> Arrival<'a> {
    /// The schema of the value; `None` for schemaless values.
    pub(super) fn schema(&self) -> Option<&'a Arc<Schema>> {
        match self.row {
            Row::Planned { .. } => self.plan()?.value.as_ref()?.schema.as_ref(),
            Row::Tree { .. } => self.tree()?.value.schema.as_ref(),
        }
    }

    /// Whether the value is null: a tombstone.
    pub(super) fn is_null(&self) -> bool {
        match self.row {
            Row::Tree { .. } => self.tree().is_none_or(|record| record.value.value.is_null()),
            Row::Planned { plan, first_cell } => {
                let Some(value) = self.plan().and_then(|plan| plan.value.as_ref()) else {
                    return true;
                };
                let view = self.batch.records.view(plan, first_cell);
                match &value.node {
                    Node::Const(value) => value.is_null(),
                    Node::Cell { index, null, .. } => view.is_null(*index) && null.is_null(),
                    Node::Struct { presence, .. } => {
                        presence.is_some_and(|index| view.is_null(index))
                    }
                }
            }
        }
    }

    fn plan(&self) -> Option<&'a Arc<RowPlan>> {
        match self.row {
            Row::Planned { plan, .. } => self.batch.records.plans.get(plan as usize),
            Row::Tree { .. } => None,
        }
    }

    fn tree(&self) -> Option<&'a Record> {
        match self.row {
            Row::Planned { .. } => None,
            Row::Tree { record } => self.batch.records.records.get(record as usize),
        }
    }

    /// The fields of the record key, when it is a struct.
    pub(super) fn key_fields(&self) -> Vec<String> {
        let names = |schema: &Schema| schema.fields().iter().map(|f| f.name.clone()).collect();
        match self.row {
            Row::Planned { .. } => {
                // A transform may have made the key anew.
                let made = self.plan().and_then(|plan| plan.key.as_ref()?.schema.as_deref());
                let read = self.batch.key_schemas.get(self.partition as usize);
                made.or(read.and_then(Option::as_deref)).map(names).unwrap_or_default()
            }
            Row::Tree { .. } => match self.tree().map(|record| &record.key.value) {
                Some(Value::Struct(key)) => names(key.schema()),
                _ => Vec::new(),
            },
        }
    }

    /// The field that `path` names. A null on the way gives null; so does a name that a nested
    /// struct does not have.
    ///
    /// # Errors
    /// When a cell does not fit its schema.
    pub(super) fn member(&self, path: &FieldPath) -> Result<Member, DataError> {
        let (plan, first_cell) = match self.row {
            Row::Planned { plan, first_cell } => (plan, first_cell),
            Row::Tree { .. } => {
                let Some(record) = self.tree() else { return Ok(Member::NoStruct) };
                return Ok(walk(record.value.schema.as_ref(), &record.value.value, path));
            }
        };
        let Some(value) = self.plan().and_then(|plan| plan.value.as_ref()) else {
            return Ok(Member::NoStruct);
        };
        let view = self.batch.records.view(plan, first_cell);
        let (mut schema, mut node) = (value.schema.as_ref(), &value.node);
        let mut is_top = true;
        let names = path.names_in(schema);
        for (index, name) in names.iter().enumerate() {
            match node {
                Node::Struct { presence, fields } => {
                    if presence.is_some_and(|index| view.is_null(index)) {
                        return Ok(Member::Value(None, Value::Null));
                    }
                    let found = schema.and_then(|schema| schema.field(name));
                    let found = found.and_then(|(at, field)| Some((field, fields.get(at)?)));
                    let Some((field, next)) = found else {
                        return Ok(missing(is_top, names.len()));
                    };
                    (schema, node, is_top) = (Some(&field.schema), next, false);
                }
                Node::Const(value) => {
                    return Ok(walk_names(schema, value, &names[index..], is_top));
                }
                Node::Cell { index: cell, unchanged, null } => {
                    let value = match view.is_null(*cell) {
                        true => null.clone(),
                        false => view.value(*cell, schema, unchanged)?,
                    };
                    return Ok(walk_names(schema, &value, &names[index..], is_top));
                }
            }
        }
        Ok(match node {
            Node::Const(value) => Member::Value(schema.cloned(), value.clone()),
            Node::Cell { index, null, .. } if view.is_null(*index) => {
                Member::Value(schema.cloned(), null.clone())
            }
            Node::Cell { index, unchanged, .. } => {
                Member::Value(schema.cloned(), view.value(*index, schema, unchanged)?)
            }
            Node::Struct { presence, .. } if presence.is_some_and(|cell| view.is_null(cell)) => {
                Member::Value(schema.cloned(), Value::Null)
            }
            // Nobody can use a whole struct: its type tells what is wrong.
            Node::Struct { .. } => Member::Value(schema.cloned(), Value::Array(Vec::new())),
        })
    }

    /// The whole record as a tree.
    ///
    /// # Errors
    /// When a cell does not fit its schema.
    pub(super) fn record(&self) -> Result<std::borrow::Cow<'a, Record>, DataError> {
        match self.row {
            Row::Planned { plan, first_cell } => {
                let shape = self.plan().ok_or_else(|| DataError::new("a row without a plan"))?;
                let view = self.batch.records.view(plan, first_cell);
                shape.materialize(&view).map(std::borrow::Cow::Owned)
            }
            Row::Tree { .. } => self
                .tree()
                .map(std::borrow::Cow::Borrowed)
                .ok_or_else(|| DataError::new("a row without a record")),
        }
    }

    /// Has `writer` take the value.
    ///
    /// # Errors
    /// When the value does not fit the file.
    pub(super) fn write(&self, writer: &mut dyn RecordWriter) -> Result<(), DataError> {
        match self.row {
            Row::Planned { plan, first_cell } => {
                let shape = self.plan().ok_or_else(|| DataError::new("a row without a plan"))?;
                writer.write_row(shape, &self.batch.records.view(plan, first_cell))
            }
            Row::Tree { .. } => match self.tree() {
                Some(record) => writer.write_record(record),
                None => Err(DataError::new("a row without a record")),
            },
        }
    }
}

/// A field name, nested by dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldPath {
    whole: [String; 1],
    names: Vec<String>,
}

impl FieldPath {
    pub(super) fn new(name: &str) -> Self {
        Self { whole: [name.to_owned()], names: name.split('.').map(str::to_owned).collect() }
    }

    /// As it was written.
    pub(super) fn text(&self) -> &str {
        &self.whole[0]
    }

    /// The names to follow: a field that has the dotted name itself comes first.
    fn names_in(&self, schema: Option<&Arc<Schema>>) -> &[String] {
        match schema {
            Some(schema) if schema.field(self.text()).is_some() => &self.whole,
            _ => &self.names,
        }
    }
}

fn missing(is_top: bool, depth: usize) -> Member {
    if is_top && depth == 1 { Member::Missing } else { Member::Value(None, Value::Null) }
}

fn walk(schema: Option<&Arc<Schema>>, value: &Value, path: &FieldPath) -> Member {
    walk_names(schema, value, path.names_in(schema), true)
}

fn walk_names(
    schema: Option<&Arc<Schema>>,
    value: &Value,
    names: &[String],
    is_top: bool,
) -> Member {
    let depth = names.len();
    let (mut schema, mut value) = (schema, value);
    for (index, name) in names.iter().enumerate() {
        let is_top = is_top && index == 0;
        match value {
            Value::Struct(fields) => {
                let Some((at, field)) = fields.schema().field(name) else {
                    return missing(is_top, depth);
                };
                (schema, value) =
                    (Some(&field.schema), fields.values().get(at).unwrap_or(&Value::Null));
            }
            Value::Map(entries) => {
                let found = entries.iter().find(|(key, _)| key.as_str() == Some(name));
                let Some((_, found)) = found else { return missing(is_top, depth) };
                let of_values = schema
                    .filter(|schema| schema.ty() == Type::Map)
                    .and_then(|schema| schema.value_schema());
                (schema, value) = (of_values, found);
            }
            Value::Null if !is_top => return Member::Value(None, Value::Null),
            _ if is_top => return Member::NoStruct,
            _ => return Member::Value(None, Value::Null),
        }
    }
    Member::Value(schema.cloned(), value.clone())
}
