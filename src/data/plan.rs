//! Plans: what is the same for all rows of one shape, decided once.
//!
//! A source makes one plan per table shape and operation; a sink's converter makes one per schema.
//! A plan says where in the row's cells each leaf of key and value is found, and which parts are
//! constant. Transforms rewrite plans, converters compile them into encoders: per row nothing but
//! cells is touched.

use std::sync::Arc;

use super::{Header, Record, RowView, Schema, SchemaAndValue, Struct, Value};
use crate::error::DataError;

/// The shape of a run of rows.
#[derive(Debug, Clone, PartialEq)]
pub struct RowPlan {
    pub topic: Arc<str>,
    /// `None` is a null key.
    pub key: Option<PlannedValue>,
    /// `None` is a tombstone.
    pub value: Option<PlannedValue>,
    /// How many cells a row of this shape has.
    pub cell_count: usize,
    /// The headers that each row has.
    pub headers: Arc<[Header]>,
}

/// A key or a value whose leaves are cells or constants.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedValue {
    /// `None` for schemaless values.
    pub schema: Option<Arc<Schema>>,
    pub node: Node,
}

/// A place in a planned value. The schema of a node is found by walking the value's schema along.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// The same for every row.
    Const(Value),
    /// The row's cell `index`. `unchanged` stands for [`super::Cell::Unchanged`], `null` for
    /// [`super::Cell::Null`]: null itself, until a transform puts a default in its place.
    Cell { index: usize, unchanged: Value, null: Value },
    /// A struct with one node per field. Where `presence` names a cell, the struct is null when that
    /// cell is null.
    Struct { presence: Option<usize>, fields: Vec<Node> },
}

impl PlannedValue {
    /// The node of the member `name` of a struct, with its schema.
    pub fn member(&self, name: &str) -> Option<(&Arc<Schema>, &Node)> {
        let Node::Struct { presence: None, fields } = &self.node else { return None };
        let (index, field) = self.schema.as_ref()?.field(name)?;
        Some((&field.schema, fields.get(index)?))
    }

    fn materialize(&self, row: &RowView<'_>) -> Result<SchemaAndValue, DataError> {
        let value = self.node.materialize(self.schema.as_ref(), row)?;
        Ok(SchemaAndValue { schema: self.schema.clone(), value })
    }
}

impl Node {
    /// The row's cell `index`, taken as it is.
    pub fn cell(index: usize) -> Self {
        Self::Cell { index, unchanged: Value::Null, null: Value::Null }
    }

    fn materialize(
        &self,
        schema: Option<&Arc<Schema>>,
        row: &RowView<'_>,
    ) -> Result<Value, DataError> {
        match self {
            Self::Const(value) => Ok(value.clone()),
            Self::Cell { index, null, .. } if row.is_null(*index) => Ok(null.clone()),
            Self::Cell { index, unchanged, .. } => row.value(*index, schema, unchanged),
            Self::Struct { presence, fields } => {
                let schema = schema.ok_or_else(|| DataError::new("a struct without a schema"))?;
                if presence.is_some_and(|index| row.is_null(index)) {
                    return Ok(Value::Null);
                }
                let values = schema.fields().iter().zip(fields);
                let values = values
                    .map(|(field, node)| node.materialize(Some(&field.schema), row))
                    .collect::<Result<_, _>>()?;
                Ok(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
            }
        }
    }
}

impl RowPlan {
    /// The row as a tree, for what cannot be planned.
    ///
    /// # Errors
    /// When a cell does not fit its schema.
    pub fn materialize(&self, row: &RowView<'_>) -> Result<Record, DataError> {
        let part = |planned: &Option<PlannedValue>| match planned {
            Some(planned) => planned.materialize(row),
            None => Ok(SchemaAndValue::NULL),
        };
        Ok(Record {
            topic: self.topic.clone(),
            partition: None,
            key: part(&self.key)?,
            value: part(&self.value)?,
            timestamp_ms: None,
            offset: None,
            headers: self.headers.to_vec(),
        })
    }
}
