//! `org.apache.kafka.connect.transforms.predicates.RecordIsTombstone`: the value is null, whatever
//! its schema.

use crate::config::{ConfigDef, Props};
use crate::data::{Node, Record, RowPlan, Value};
use crate::error::ConnectError;
use crate::transform::Predicate;

/// There is nothing to configure.
pub fn config_def() -> ConfigDef {
    ConfigDef::default()
}

/// Makes the predicate.
///
/// # Errors
/// None; the signature is that of all predicates.
pub fn construct(_props: &Props) -> Result<Box<dyn Predicate>, ConnectError> {
    Ok(Box::new(RecordIsTombstone))
}

#[derive(Debug)]
struct RecordIsTombstone;

impl Predicate for RecordIsTombstone {
    fn plan(&self, input: &RowPlan) -> Option<bool> {
        match input.value.as_ref().map(|value| &value.node) {
            None => Some(true),
            Some(Node::Const(value)) => Some(*value == Value::Null),
            Some(Node::Struct { presence: None, .. }) => Some(false),
            Some(Node::Struct { presence: Some(_), .. } | Node::Cell { .. }) => None,
        }
    }

    fn test(&self, record: &Record) -> bool {
        record.value.value.is_null()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{SchemaAndValue, Value};
    use crate::transform::testing::record;

    #[test]
    fn a_tombstone_is_a_null_value_whatever_its_schema() {
        let predicate = construct(&Props::new()).unwrap();
        let present = record("t");
        assert!(!predicate.test(&present));
        let schema = present.value.schema.clone();
        for value in [SchemaAndValue { schema, value: Value::Null }, SchemaAndValue::NULL] {
            assert!(predicate.test(&Record { value, ..present.clone() }));
        }
    }
}
