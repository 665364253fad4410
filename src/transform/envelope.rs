//! Change events as Debezium's transforms see them, and how their schemas are rewritten.

use std::sync::Arc;

use super::rebuild::basics;
use crate::config::{ConfigValue, Validator};
use crate::data::{Record, Schema, SchemaBuilder, Struct, Value};
use crate::error::ConnectError;

/// The test that all of Debezium's transforms make.
pub(super) fn is_envelope(schema: &Schema) -> bool {
    schema.name().is_some_and(|name| name.ends_with(".Envelope"))
}

/// The record's value, if it is a change event.
pub(super) fn change_event(record: &Record) -> Option<&Struct> {
    let schema = record.value.schema.as_ref().filter(|schema| is_envelope(schema))?;
    record
        .value
        .value
        .as_struct()
        .filter(|value| value.schema().fields().len() == schema.fields().len())
}

/// The member `name` of `event`, if it is a struct.
pub(super) fn member<'a>(event: &'a Struct, name: &str) -> Option<&'a Struct> {
    event.get(name).and_then(Value::as_struct)
}

/// The text of the member `name` of `event`.
pub(super) fn text<'a>(event: &'a Struct, name: &str) -> Option<&'a str> {
    event.get(name).and_then(Value::as_str)
}

/// All attributes of `schema` but its fields.
pub(super) fn without_fields(schema: &Schema) -> SchemaBuilder {
    let builder = basics(schema).with_optional(schema.is_optional());
    match schema.default_value() {
        Some(default) => builder.default_value(default.clone()),
        None => builder,
    }
}

/// `value` as a value of `schema`, which has the same fields.
pub(super) fn rehomed(value: &Value, schema: &Arc<Schema>) -> Value {
    match value {
        Value::Struct(value) => {
            Value::Struct(Box::new(Struct::new(schema.clone(), value.values().to_vec())))
        }
        other => other.clone(),
    }
}

/// The original's text for a field that a struct does not have.
pub(super) fn not_a_field(name: &str) -> ConnectError {
    ConnectError::data(format!("{name} is not a valid field name"))
}

/// A list without blanks.
pub(super) const PLAIN_ITEMS: Validator = Validator::Custom(|value| match value {
    ConfigValue::List(items) if items.is_empty() => Some("A value is required".to_owned()),
    ConfigValue::List(items) if items.iter().any(|item| item.contains(' ')) => {
        Some("Element(s) containing space not permitted".to_owned())
    }
    ConfigValue::List(items) if items.iter().any(String::is_empty) => {
        Some("Empty element(s) not permitted".to_owned())
    }
    ConfigValue::Null => Some("A value is required".to_owned()),
    _ => None,
});
