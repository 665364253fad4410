//! What a transform works on: the `$Key` and `$Value` classes of the original differ in nothing else.

use std::sync::Arc;

use super::Planned;
use crate::data::{Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, Struct, Value};
use crate::error::ConnectError;

/// The part of a record that a transform works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Key,
    Value,
}

impl Target {
    pub(super) fn of(self, record: &Record) -> &SchemaAndValue {
        match self {
            Self::Key => &record.key,
            Self::Value => &record.value,
        }
    }

    pub(super) fn of_mut(self, record: &mut Record) -> &mut SchemaAndValue {
        match self {
            Self::Key => &mut record.key,
            Self::Value => &mut record.value,
        }
    }

    pub(super) fn planned(self, plan: &RowPlan) -> Option<&PlannedValue> {
        match self {
            Self::Key => plan.key.as_ref(),
            Self::Value => plan.value.as_ref(),
        }
    }

    /// `plan` with this part replaced.
    pub(super) fn replaced(self, plan: &RowPlan, part: Option<PlannedValue>) -> Planned {
        let mut plan = plan.clone();
        match self {
            Self::Key => plan.key = part,
            Self::Value => plan.value = part,
        }
        Planned::Plan(Arc::new(plan))
    }
}

/// A part of a shape, as a transform of structs sees it.
#[derive(Debug)]
pub(super) enum PlannedPart<'a> {
    /// Null for every row.
    Null,
    /// A struct for every row: its schema and its fields' nodes.
    Struct(&'a Arc<Schema>, &'a [Node]),
    /// It depends on the row, or is no struct.
    Other,
}

pub(super) fn planned_part(part: Option<&PlannedValue>) -> PlannedPart<'_> {
    match part {
        None => PlannedPart::Null,
        Some(part) => match (&part.schema, &part.node) {
            (_, Node::Const(Value::Null)) => PlannedPart::Null,
            (Some(schema), Node::Struct { presence: None, fields })
                if schema.fields().len() == fields.len() =>
            {
                PlannedPart::Struct(schema, fields)
            }
            _ => PlannedPart::Other,
        },
    }
}

/// The struct of a part with a schema.
pub(super) fn require_struct<'a>(
    part: &'a SchemaAndValue,
    purpose: &str,
) -> Result<&'a Struct, ConnectError> {
    match &part.value {
        Value::Struct(value) => Ok(value),
        other => {
            let class = other.java_class();
            Err(ConnectError::data(format!(
                "Only Struct objects supported for [{purpose}], found: {class}"
            )))
        }
    }
}

/// The entries of a part without a schema.
pub(super) fn require_map<'a>(
    part: &'a SchemaAndValue,
    purpose: &str,
) -> Result<&'a [(Value, Value)], ConnectError> {
    match &part.value {
        Value::Map(entries) => Ok(entries),
        other => {
            let class = other.java_class();
            Err(ConnectError::data(format!(
                "Only Map objects supported in absence of schema for [{purpose}], found: {class}"
            )))
        }
    }
}
