//! Values without a schema in Avro files: each describes itself, as a record of which one field is
//! set. Schema Registry's `AvroData`, `ANYTHING_SCHEMA`.

use crate::converter::avro::{put_bytes, put_long};
use crate::data::Value;
use crate::error::DataError;

/// The schema of a file of such values.
pub(super) const SCHEMA: &str = r#"{"type":"record","name":"Anything","namespace":"io.confluent.connect.avro","fields":[{"name":"boolean","type":["null","boolean"],"default":null},{"name":"bytes","type":["null","bytes"],"default":null},{"name":"double","type":["null","double"],"default":null},{"name":"float","type":["null","float"],"default":null},{"name":"int","type":["null","int"],"default":null},{"name":"long","type":["null","long"],"default":null},{"name":"string","type":["null","string"],"default":null},{"name":"array","type":["null",{"type":"array","items":"Anything"}],"default":null},{"name":"map","type":["null",{"type":"array","items":{"type":"record","name":"MapEntry","fields":[{"name":"key","type":"Anything"},{"name":"value","type":"Anything"}]}}],"default":null}]}"#;

/// The fields of the record, in the schema's order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Boolean,
    Bytes,
    Double,
    Float,
    Int,
    Long,
    String,
    Array,
    Map,
}

const FIELDS: [Field; 9] = [
    Field::Boolean,
    Field::Bytes,
    Field::Double,
    Field::Float,
    Field::Int,
    Field::Long,
    Field::String,
    Field::Array,
    Field::Map,
];

/// Appends `value`; null is a record of which no field is set.
///
/// # Errors
/// When the value cannot be without a schema.
pub(super) fn encode(value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
    let set = field(value)?;
    for field in FIELDS {
        // The union of null and the field's type.
        put_long(i64::from(set == Some(field)), out);
        if set == Some(field) {
            put(value, out)?;
        }
    }
    Ok(())
}

fn field(value: &Value) -> Result<Option<Field>, DataError> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Boolean(_) => Field::Boolean,
        Value::Bytes(_) => Field::Bytes,
        Value::Float64(_) => Field::Double,
        Value::Float32(_) => Field::Float,
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) => Field::Int,
        Value::Int64(_) => Field::Long,
        Value::String(_) => Field::String,
        Value::Array(_) => Field::Array,
        Value::Map(_) => Field::Map,
        Value::Struct(_)
        | Value::Decimal(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_) => {
            let class = value.java_class();
            return Err(DataError::new(format!("{class} cannot stand in Avro without a schema")));
        }
    }))
}

fn put(value: &Value, out: &mut Vec<u8>) -> Result<(), DataError> {
    match value {
        Value::Boolean(value) => out.push((*value).into()),
        Value::Bytes(bytes) => put_bytes(bytes, out),
        Value::Float64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Float32(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::String(text) => put_bytes(text.as_bytes(), out),
        Value::Array(items) => {
            start(items.len(), out);
            items.iter().try_for_each(|item| encode(item, out))?;
            put_long(0, out);
        }
        Value::Map(entries) => {
            start(entries.len(), out);
            for (key, value) in entries {
                encode(key, out)?;
                encode(value, out)?;
            }
            put_long(0, out);
        }
        other => put_long(other.as_i64().unwrap_or_default(), out),
    }
    Ok(())
}

/// An array is a block of so many items, then an empty block.
fn start(items: usize, out: &mut Vec<u8>) {
    if 0 < items {
        put_long(i64::try_from(items).unwrap_or(i64::MAX), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_of_nine_is_set() {
        let nothing = [0; 9];
        let rows: [(Value, &[u8]); 5] = [
            (Value::Null, &nothing),
            (Value::Boolean(true), &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            (Value::Int64(-1), &[0, 0, 0, 0, 0, 2, 1, 0, 0, 0]),
            (Value::string("a"), &[0, 0, 0, 0, 0, 0, 2, 2, b'a', 0, 0]),
            (
                Value::Array(vec![Value::Null]),
                &[0, 0, 0, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            ),
        ];
        for (value, expected) in rows {
            let mut out = Vec::new();
            encode(&value, &mut out).unwrap();
            assert_eq!(out, expected, "{value:?}");
        }
        encode(&Value::Date(1), &mut Vec::new()).unwrap_err();
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["fields"].as_array().unwrap().len(), FIELDS.len());
    }
}
