//! Trees to JSON (`JsonConverter.convertToJson`).

use super::text::{push_base64, push_boolean, push_f32, push_f64, push_integer, push_string};
use super::{DecimalFormat, JsonOptions};
use crate::converter::json_schema::vocabulary::is_union;
use crate::data::number_text::push_decimal;
use crate::data::{Decimal, Schema, Struct, Type, Value, logical};
use crate::error::DataError;

/// Midnight of the next day: the original lets it through.
const TIME_MAX_MS: i32 = 86_400_000;

/// Appends `value`; without a schema, its type is taken from the value.
///
/// # Errors
/// When the value does not fit its schema.
pub(super) fn push_value(
    out: &mut Vec<u8>,
    schema: Option<&Schema>,
    value: &Value,
    options: JsonOptions,
) -> Result<(), DataError> {
    match (schema, value) {
        (None, Value::Null) => {
            out.extend_from_slice(b"null");
            Ok(())
        }
        (Some(schema), Value::Null) => push_null(out, schema, options),
        (None, value) => push_schemaless(out, value, options),
        (Some(schema), value) => match schema.name() {
            Some(logical::DECIMAL) => push_logical_decimal(out, schema, value, options),
            Some(name @ (logical::DATE | logical::TIME | logical::TIMESTAMP)) => {
                push_temporal(out, name, value)
            }
            _ => push_typed(out, schema, value, options),
        },
    }
}

/// Appends what stands for null under `schema`.
pub(super) fn push_null(
    out: &mut Vec<u8>,
    schema: &Schema,
    options: JsonOptions,
) -> Result<(), DataError> {
    if options.replace_null_with_default
        && let Some(default) = schema.default_value()
    {
        return push_value(out, Some(schema), default, options);
    }
    if schema.is_optional() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    Err(required_null())
}

pub(super) fn required_null() -> DataError {
    DataError::new(
        "Conversion error: null value for field that is required and has no default value",
    )
}

fn push_typed(
    out: &mut Vec<u8>,
    schema: &Schema,
    value: &Value,
    options: JsonOptions,
) -> Result<(), DataError> {
    match (schema.ty(), value) {
        (Type::Int8, Value::Int8(number)) => push_integer(out, (*number).into()),
        (Type::Int16, Value::Int16(number)) => push_integer(out, (*number).into()),
        (Type::Int32, Value::Int32(number)) => push_integer(out, (*number).into()),
        (Type::Int64, Value::Int64(number)) => push_integer(out, *number),
        (Type::Float32, Value::Float32(number)) => push_f32(out, *number),
        (Type::Float64, Value::Float64(number)) => push_f64(out, *number),
        (Type::Boolean, Value::Boolean(value)) => push_boolean(out, *value),
        (Type::String, Value::String(text)) => push_string(out, text),
        (Type::Bytes, Value::Bytes(bytes)) => push_base64(out, bytes),
        (Type::Array, Value::Array(items)) => {
            let element = schema.value_schema().map(AsRef::as_ref);
            return push_array(out, items, |out, item| push_value(out, element, item, options));
        }
        (Type::Map, Value::Map(entries)) => return push_map(out, Some(schema), entries, options),
        (Type::Struct, Value::Struct(value)) => return push_struct(out, schema, value, options),
        (Type::Bytes, other) => {
            let class = other.java_class();
            return Err(DataError::new(format!("Invalid type for bytes type: class {class}")));
        }
        (ty, other) => {
            let (ty, class) = (ty.name(), other.java_class());
            return Err(DataError::new(format!("Invalid type for {ty}: class {class}")));
        }
    }
    Ok(())
}

fn push_schemaless(
    out: &mut Vec<u8>,
    value: &Value,
    options: JsonOptions,
) -> Result<(), DataError> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Int8(number) => push_integer(out, (*number).into()),
        Value::Int16(number) => push_integer(out, (*number).into()),
        Value::Int32(number) => push_integer(out, (*number).into()),
        Value::Int64(number) => push_integer(out, *number),
        Value::Float32(number) => push_f32(out, *number),
        Value::Float64(number) => push_f64(out, *number),
        Value::Boolean(value) => push_boolean(out, *value),
        Value::String(text) => push_string(out, text),
        Value::Bytes(bytes) => push_base64(out, bytes),
        Value::Array(items) => {
            return push_array(out, items, |out, item| push_value(out, None, item, options));
        }
        Value::Map(entries) => return push_map(out, None, entries, options),
        Value::Struct(_) => return Err(DataError::new("Mismatching schema.")),
        Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => {
            return Err(DataError::new(format!(
                "Java class class {} does not have corresponding schema type.",
                value.java_class()
            )));
        }
    }
    Ok(())
}

fn push_array<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut Vec<u8>, T) -> Result<(), DataError>,
) -> Result<(), DataError> {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(out, item)?;
    }
    out.push(b']');
    Ok(())
}

/// An object when all keys are strings, else an array of pairs.
fn push_map(
    out: &mut Vec<u8>,
    schema: Option<&Schema>,
    entries: &[(Value, Value)],
    options: JsonOptions,
) -> Result<(), DataError> {
    let key_schema = schema.and_then(Schema::key_schema).map(AsRef::as_ref);
    let value_schema = schema.and_then(Schema::value_schema).map(AsRef::as_ref);
    let as_object = match key_schema {
        Some(key_schema) if options.of_registry => {
            key_schema.ty() == Type::String && !key_schema.is_optional()
        }
        Some(key_schema) => key_schema.ty() == Type::String,
        None => entries.iter().all(|(key, _)| matches!(key, Value::String(_))),
    };
    if !as_object && options.of_registry {
        return push_array(out, entries, |out, (key, value)| {
            out.extend_from_slice(b"{\"key\":");
            push_value(out, key_schema, key, options)?;
            out.extend_from_slice(b",\"value\":");
            push_value(out, value_schema, value, options)?;
            out.push(b'}');
            Ok(())
        });
    }
    if !as_object {
        return push_array(out, entries, |out, (key, value)| {
            out.push(b'[');
            push_value(out, key_schema, key, options)?;
            out.push(b',');
            push_value(out, value_schema, value, options)?;
            out.push(b']');
            Ok(())
        });
    }
    out.push(b'{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let start = out.len();
        push_value(out, key_schema, key, options)?;
        if key.is_null() && !out[start..].starts_with(b"\"") {
            out.truncate(start);
            out.extend_from_slice(b"\"null\"");
        }
        out.push(b':');
        push_value(out, value_schema, value, options)?;
    }
    out.push(b'}');
    Ok(())
}

fn push_struct(
    out: &mut Vec<u8>,
    schema: &Schema,
    value: &Struct,
    options: JsonOptions,
) -> Result<(), DataError> {
    let own: &Schema = value.schema();
    if !std::ptr::eq(own, schema) && own != schema {
        return Err(DataError::new("Mismatching schema."));
    }
    if options.of_registry && is_union(schema) {
        let mut members = schema.fields().iter().zip(value.values());
        return match members.find(|(_, value)| !value.is_null()) {
            Some((field, value)) => push_value(out, Some(&field.schema), value, options),
            None => push_null(out, schema, options),
        };
    }
    out.push(b'{');
    for (index, (field, value)) in schema.fields().iter().zip(value.values()).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, &field.name);
        out.push(b':');
        push_value(out, Some(&field.schema), value, options)?;
    }
    out.push(b'}');
    Ok(())
}

fn push_logical_decimal(
    out: &mut Vec<u8>,
    schema: &Schema,
    value: &Value,
    options: JsonOptions,
) -> Result<(), DataError> {
    let Value::Decimal(Decimal { unscaled, scale }) = value else {
        let class = value.java_class();
        return Err(DataError::new(format!(
            "Invalid type for Decimal, expected BigDecimal but was class {class}"
        )));
    };
    match options.decimal_format {
        DecimalFormat::Numeric => push_decimal(out, unscaled, *scale),
        DecimalFormat::Base64 => {
            let expected = decimal_scale(schema)?;
            if expected != *scale {
                return Err(DataError::new(format!(
                    "Decimal value has mismatching scale for given Decimal schema. \
                     Schema has scale {expected}, value has scale {scale}."
                )));
            }
            push_base64(out, &unscaled.to_signed_bytes_be());
        }
    }
    Ok(())
}

/// The scale that a Decimal schema declares.
pub(super) fn decimal_scale(schema: &Schema) -> Result<i32, DataError> {
    let text = schema
        .parameter(logical::SCALE)
        .ok_or_else(|| DataError::new("Invalid Decimal schema: scale parameter not found."))?;
    text.parse().map_err(|_| DataError::new("Invalid scale parameter found in Decimal schema: "))
}

fn push_temporal(out: &mut Vec<u8>, name: &str, value: &Value) -> Result<(), DataError> {
    match (name, value) {
        (logical::DATE, Value::Date(days)) => push_integer(out, (*days).into()),
        (logical::TIME, Value::Time(millis)) => return push_time(out, (*millis).into()),
        (logical::TIMESTAMP, Value::Timestamp(millis)) => push_integer(out, *millis),
        (name, value) => {
            let simple = name.rsplit('.').next().unwrap_or(name);
            let class = value.java_class();
            return Err(DataError::new(format!(
                "Invalid type for {simple}, expected Date but was class {class}"
            )));
        }
    }
    Ok(())
}

/// Appends milliseconds since midnight.
pub(super) fn push_time(out: &mut Vec<u8>, millis: i64) -> Result<(), DataError> {
    if !(0..=i64::from(TIME_MAX_MS)).contains(&millis) {
        return Err(DataError::new(
            "Kafka Connect Time type should not have any date fields set to non-zero values.",
        ));
    }
    push_integer(out, millis);
    Ok(())
}
