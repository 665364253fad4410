//! Trees to Avro's bytes (Confluent, `AvroData.fromConnectData`).

use std::sync::Arc;

use super::binary::{put_bytes, put_long};
use super::encoding::{Encoding, FieldEncoding, LeafForm, Number};
use super::vocabulary::is_union;
use crate::data::{Schema, Struct, Type, Value};
use crate::error::DataError;

/// Midnight of the next day: the original lets it through.
pub(super) const TIME_MAX_MS: i64 = 86_400_000;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// Appends `value`.
///
/// # Errors
/// When it does not fit its schema, and where.
pub(super) fn encode(encoding: &Encoding, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match encoding {
        Encoding::Nullable { null, value: branch, inner } => {
            if value.is_null() {
                out.extend_from_slice(null);
                return Ok(());
            }
            out.extend_from_slice(branch);
            encode(inner, value, out)
        }
        Encoding::Union { null, branches } => encode_union(null.as_deref(), branches, value, out),
        Encoding::Anything => {
            encode_anything(value, out);
            Ok(())
        }
        _ if value.is_null() => Err(required_null()),
        Encoding::Leaf { form, schema } => encode_leaf(form, schema, value, out),
        Encoding::Record { schema, fields } => encode_record(schema, fields, value, out),
        Encoding::Array(items) => {
            let Value::Array(values) = value else { return Err(mismatch("ARRAY", value)) };
            put_items(values, out, |at, value, out| {
                encode(items, value, out).map_err(|error| error.at(&format!("[{at}]")))
            })
        }
        Encoding::Map(values) => {
            let Value::Map(entries) = value else { return Err(mismatch("MAP", value)) };
            put_items(entries, out, |_, (key, value), out| {
                let key = key.as_str().ok_or_else(|| mismatch("the key of a MAP", key))?;
                put_bytes(key.as_bytes(), out);
                encode(values, value, out).map_err(|error| error.at(key))
            })
        }
        Encoding::Entries { key: keys, value: values, key_first } => {
            let Value::Map(entries) = value else { return Err(mismatch("MAP", value)) };
            put_items(entries, out, |at, (key, value), out| {
                let both = match key_first {
                    true => encode(keys, key, out).and_then(|()| encode(values, value, out)),
                    false => encode(values, value, out).and_then(|()| encode(keys, key, out)),
                };
                both.map_err(|error| error.at(&format!("[{at}]")))
            })
        }
    }
}

pub(super) fn required_null() -> DataError {
    DataError::new("Found null value for non-optional schema")
}

fn encode_record(
    schema: &Arc<Schema>,
    fields: &[FieldEncoding],
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<()> {
    let Value::Struct(value) = value else { return Err(mismatch("STRUCT", value)) };
    if !is_of(value, schema) {
        return Err(DataError::new("Mismatching struct schema"));
    }
    for field in fields {
        let (index, default, encoding) = match field {
            FieldEncoding::Constant(bytes) => {
                out.extend_from_slice(bytes);
                continue;
            }
            FieldEncoding::Of { index, default, encoding } => (*index, default, encoding),
        };
        let own = value.values().get(index).unwrap_or(&Value::Null);
        let member = default.as_ref().filter(|_| own.is_null()).unwrap_or(own);
        encode(encoding, member, out).map_err(|error| {
            error.at(schema.fields().get(index).map_or("", |field| field.name.as_str()))
        })?;
    }
    Ok(())
}

/// Whether `value` is of `schema`, but for being optional.
fn is_of(value: &Struct, schema: &Arc<Schema>) -> bool {
    Arc::ptr_eq(value.schema(), schema) || value.schema() == schema
}

fn encode_union(
    null: Option<&[u8]>,
    branches: &[(Vec<u8>, Encoding)],
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<()> {
    let chosen = match value {
        Value::Struct(union) if is_union(union.schema()) => {
            let mut members = branches.iter().zip(union.values());
            members.find(|(_, member)| !member.is_null())
        }
        Value::Null => None,
        // A union that has but one branch.
        other => branches.first().map(|branch| (branch, other)),
    };
    match (chosen, null) {
        (Some(((branch, encoding), member)), _) => {
            out.extend_from_slice(branch);
            encode(encoding, member, out)
        }
        (None, Some(null)) => {
            out.extend_from_slice(null);
            Ok(())
        }
        (None, None) => Err(required_null()),
    }
}

fn encode_leaf(form: &LeafForm, schema: &Schema, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match (form, value) {
        (LeafForm::Boolean, Value::Boolean(value)) => out.push((*value).into()),
        (LeafForm::Integer { target, .. }, value) => {
            let number = match (schema.ty(), value) {
                (Type::Int8, Value::Int8(number)) => i64::from(*number),
                (Type::Int16, Value::Int16(number)) => i64::from(*number),
                (Type::Int32, Value::Int32(number)) => i64::from(*number),
                (Type::Int64, Value::Int64(number)) => *number,
                (ty, value) => return Err(mismatch(ty.name(), value)),
            };
            put_integer(number, *target, out);
        }
        (LeafForm::Date, Value::Date(days)) => put_long((*days).into(), out),
        (LeafForm::Time, Value::Time(millis)) => put_time((*millis).into(), out)?,
        (LeafForm::Timestamp, Value::Timestamp(millis)) => put_long(*millis, out),
        (LeafForm::Float(target), Value::Float32(number)) => match target {
            Number::Double => out.extend_from_slice(&f64::from(*number).to_le_bytes()),
            _ => out.extend_from_slice(&number.to_le_bytes()),
        },
        (LeafForm::Double, Value::Float64(number)) => {
            out.extend_from_slice(&number.to_le_bytes());
        }
        (LeafForm::String | LeafForm::Enum(_), Value::String(text)) => {
            put_text(form, text.as_bytes(), out)?;
        }
        (LeafForm::Bytes | LeafForm::Fixed(_), Value::Bytes(bytes)) => {
            put_binary(form, bytes, out)?
        }
        (LeafForm::Decimal { scale, .. }, Value::Decimal(decimal)) => {
            if decimal.scale != *scale {
                return Err(DataError::new(format!(
                    "Decimal value has mismatching scale for given Decimal schema. Schema has scale \
                     {scale}, value has scale {}.",
                    decimal.scale
                )));
            }
            put_binary(form, &decimal.unscaled.to_signed_bytes_be(), out)?;
        }
        (LeafForm::Date | LeafForm::Time | LeafForm::Timestamp, value) => {
            let simple = schema.name().and_then(|name| name.rsplit('.').next()).unwrap_or("Date");
            let class = value.java_class();
            return Err(DataError::new(format!(
                "Invalid type for {simple}, expected Date but was class {class}"
            )));
        }
        (LeafForm::Decimal { .. }, value) => {
            let class = value.java_class();
            return Err(DataError::new(format!(
                "Invalid type for Decimal, expected BigDecimal but was class {class}"
            )));
        }
        (_, value) => return Err(mismatch(schema.ty().name(), value)),
    }
    Ok(())
}

/// Appends an integer as the number that the registered schema has.
#[expect(clippy::cast_precision_loss, reason = "Avro's promotion of integers to floats")]
pub(super) fn put_integer(number: i64, target: Number, out: &mut Vec<u8>) {
    match target {
        Number::Integer => put_long(number, out),
        Number::Float => out.extend_from_slice(&(number as f32).to_le_bytes()),
        Number::Double => out.extend_from_slice(&(number as f64).to_le_bytes()),
    }
}

/// Appends milliseconds since midnight.
pub(super) fn put_time(millis: i64, out: &mut Vec<u8>) -> Result<()> {
    if !(0..=TIME_MAX_MS).contains(&millis) {
        return Err(DataError::new(
            "Kafka Connect Time type should not have any date fields set to non-zero values.",
        ));
    }
    put_long(millis, out);
    Ok(())
}

/// Appends text, or the index of the symbol that it is. `text` is UTF-8.
pub(super) fn put_text(form: &LeafForm, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let LeafForm::Enum(symbols) = form else {
        put_bytes(text, out);
        return Ok(());
    };
    let index = symbols.iter().position(|symbol| symbol.as_bytes() == text).ok_or_else(|| {
        let text = String::from_utf8_lossy(text);
        DataError::new(format!("\"{text}\" is no symbol of the enumeration"))
    })?;
    put_long(i64::try_from(index).unwrap_or_default(), out);
    Ok(())
}

/// Appends bytes in the form that they have.
pub(super) fn put_binary(form: &LeafForm, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    match form {
        LeafForm::Fixed(size) if bytes.len() == *size => out.extend_from_slice(bytes),
        LeafForm::Decimal { size: Some(size), .. } if bytes.len() <= *size => {
            let sign = if bytes.first().is_some_and(|first| *first >= 0x80) { 0xFF } else { 0 };
            out.extend(std::iter::repeat_n(sign, size - bytes.len()));
            out.extend_from_slice(bytes);
        }
        LeafForm::Fixed(size) | LeafForm::Decimal { size: Some(size), .. } => {
            return Err(DataError::new(format!("{} bytes where {size} are fixed", bytes.len())));
        }
        _ => put_bytes(bytes, out),
    }
    Ok(())
}

/// Arrays and maps: one block, then the end.
fn put_items<T>(
    items: &[T],
    out: &mut Vec<u8>,
    mut put: impl FnMut(usize, &T, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    if !items.is_empty() {
        put_long(i64::try_from(items.len()).unwrap_or_default(), out);
        items.iter().enumerate().try_for_each(|(at, item)| put(at, item, out))?;
    }
    put_long(0, out);
    Ok(())
}

/// A value without schema: the record of one optional member per kind, in order.
fn encode_anything(value: &Value, out: &mut Vec<u8>) {
    const MEMBERS: usize = 9;
    let (member, mut bytes) = (kind_of(value), Vec::new());
    match value {
        Value::Boolean(value) => bytes.push((*value).into()),
        Value::Bytes(content) => put_bytes(content, &mut bytes),
        Value::Float64(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::Float32(number) => bytes.extend_from_slice(&number.to_le_bytes()),
        Value::String(text) => put_bytes(text.as_bytes(), &mut bytes),
        Value::Array(items) => {
            let items = put_items(items, &mut bytes, |_, item, out| {
                encode_anything(item, out);
                Ok(())
            });
            debug_assert!(items.is_ok(), "nothing refuses a value without schema");
        }
        Value::Map(entries) => {
            let entries = put_items(entries, &mut bytes, |_, (key, value), out| {
                encode_anything(key, out);
                encode_anything(value, out);
                Ok(())
            });
            debug_assert!(entries.is_ok(), "nothing refuses a value without schema");
        }
        other => put_long(other.as_i64().unwrap_or_default(), &mut bytes),
    }
    for at in 0..MEMBERS {
        let is_set = Some(at) == member;
        put_long(is_set.into(), out);
        if is_set {
            out.append(&mut bytes);
        }
    }
}

/// The member of the record that holds such a value.
fn kind_of(value: &Value) -> Option<usize> {
    Some(match value {
        Value::Boolean(_) => 0,
        Value::Bytes(_) => 1,
        Value::Float64(_) => 2,
        Value::Float32(_) => 3,
        Value::Int8(_) | Value::Int16(_) | Value::Int32(_) => 4,
        Value::Int64(_) => 5,
        Value::String(_) => 6,
        Value::Array(_) => 7,
        Value::Map(_) => 8,
        _ => return None,
    })
}

/// Refuses what the original has no form for without a schema.
///
/// # Errors
/// At the first such value.
pub(super) fn check_schemaless(value: &Value) -> Result<()> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_schemaless),
        Value::Map(entries) => entries.iter().try_for_each(|(key, value)| {
            check_schemaless(key).and_then(|()| check_schemaless(value))
        }),
        Value::Null => Ok(()),
        other if kind_of(other).is_some() => Ok(()),
        other => {
            let class = other.java_class();
            Err(DataError::new(format!("Unknown Java type for schemaless data: class {class}")))
        }
    }
}

#[cold]
fn mismatch(ty: &str, value: &Value) -> DataError {
    DataError::new(format!("Invalid type for {ty}: class {}", value.java_class()))
}
