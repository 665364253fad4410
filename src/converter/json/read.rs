//! JSON to trees (`JsonConverter.convertToConnect`).
//!
//! Under a schema the original is lenient rather than strict: numbers are cut to their width, and
//! what is of another kind reads as zero, false or null. Kept, but for the texts that its own writer
//! makes of NaN and the infinities, which it would read as 0.

#![deny(clippy::indexing_slicing)]

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use num_bigint::BigInt;

use super::JsonOptions;
use super::lexer::{Node, Number};
use super::write::decimal_scale;
use crate::converter::json_schema::vocabulary::is_union;
use crate::data::{Decimal, Field, Schema, Struct, Type, Value, logical};
use crate::error::DataError;

/// The value of `node` under `schema`.
///
/// # Errors
/// When it cannot be one.
pub(super) fn convert(
    schema: Option<&Arc<Schema>>,
    node: &Node<'_>,
    options: JsonOptions,
) -> Result<Value, DataError> {
    let Some(schema) = schema else { return Ok(schemaless(node)) };
    if matches!(node, Node::Null | Node::Missing) {
        return null(schema, options);
    }
    match schema.name() {
        Some(logical::DECIMAL) => decimal(schema, node),
        Some(name @ (logical::DATE | logical::TIME | logical::TIMESTAMP)) => temporal(name, node),
        _ => typed(schema, node, options),
    }
}

/// What a null or absent value reads as.
pub(super) fn null(schema: &Schema, options: JsonOptions) -> Result<Value, DataError> {
    match schema.default_value() {
        Some(default) if options.replace_null_with_default => Ok(default.clone()),
        _ if schema.is_optional() => Ok(Value::Null),
        _ => {
            let ty = schema.ty().name();
            Err(DataError::new(format!("Invalid null value for required {ty} field")))
        }
    }
}

fn schemaless(node: &Node<'_>) -> Value {
    match node {
        Node::Null | Node::Missing => Value::Null,
        Node::Boolean(value) => Value::Boolean(*value),
        Node::Number(number) if number.integral => Value::Int64(wrap_i64(*number)),
        Node::Number(number) => Value::Float64(number.text.parse().unwrap_or(f64::NAN)),
        Node::String(text) => Value::string(text),
        Node::Array(items) => Value::Array(items.iter().map(schemaless).collect()),
        Node::Object(members) => {
            let entry = |(key, value): &(_, _)| (Value::string(key), schemaless(value));
            Value::Map(members.iter().map(entry).collect())
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "integers are cut to their width, as in Java")]
fn typed(schema: &Arc<Schema>, node: &Node<'_>, options: JsonOptions) -> Result<Value, DataError> {
    Ok(match schema.ty() {
        Type::Boolean => Value::Boolean(*node == Node::Boolean(true)),
        Type::Int8 => Value::Int8(integer(node) as i8),
        Type::Int16 => Value::Int16(integer(node) as i16),
        Type::Int32 => Value::Int32(integer(node) as i32),
        Type::Int64 => Value::Int64(integer(node)),
        Type::Float32 => Value::Float32(match node {
            Node::Number(number) => number.text.parse().unwrap_or_default(),
            other => non_finite(other) as f32,
        }),
        Type::Float64 => Value::Float64(match node {
            Node::Number(number) => number.text.parse().unwrap_or_default(),
            other => non_finite(other),
        }),
        Type::String => match node {
            Node::String(text) => Value::string(text),
            _ => Value::Null,
        },
        Type::Bytes => match node {
            Node::String(text) => Value::Bytes(Bytes::from(base64(text, "Invalid bytes field")?)),
            _ => Value::Null,
        },
        Type::Array => array(schema, node, options)?,
        Type::Map => map(schema, node, options)?,
        Type::Struct => structure(schema, node, options)?,
    })
}

fn array(schema: &Schema, node: &Node<'_>, options: JsonOptions) -> Result<Value, DataError> {
    let element = schema.value_schema();
    let items = match node {
        Node::Array(items) => items.iter().map(|item| convert(element, item, options)).collect(),
        Node::Object(members) => {
            members.iter().map(|(_, item)| convert(element, item, options)).collect()
        }
        _ => Ok(Vec::new()),
    };
    items.map(Value::Array)
}

fn map(schema: &Schema, node: &Node<'_>, options: JsonOptions) -> Result<Value, DataError> {
    let (keys, values) = (schema.key_schema(), schema.value_schema());
    let strict = options.of_registry;
    if keys.is_none_or(|keys| keys.ty() == Type::String && !(strict && keys.is_optional())) {
        let Node::Object(members) = node else {
            let found = node_type(node);
            return Err(DataError::new(format!(
                "Maps with string fields should be encoded as JSON objects, but found {found}"
            )));
        };
        let entry =
            |(key, value): &(_, _)| Ok((Value::string(key), convert(values, value, options)?));
        return members.iter().map(entry).collect::<Result<_, _>>().map(Value::Map);
    }
    let Node::Array(entries) = node else {
        let found = node_type(node);
        let items = if strict { "objects" } else { "tuples" };
        return Err(DataError::new(format!(
            "Maps with non-string fields should be encoded as JSON array of {items}, but found {found}"
        )));
    };
    if strict {
        let entries = entries.iter().map(|entry| entry_object(schema, entry, options));
        return entries.collect::<Result<_, _>>().map(Value::Map);
    }
    let entry = |entry: &Node<'_>| match entry {
        Node::Array(pair) => match pair.as_slice() {
            [key, value] => Ok((convert(keys, key, options)?, convert(values, value, options)?)),
            other => {
                let length = other.len();
                Err(DataError::new(format!(
                    "Found invalid map entry, expected length 2 but found :{length}"
                )))
            }
        },
        other => {
            let found = node_type(other);
            Err(DataError::new(format!("Found invalid map entry instead of array tuple: {found}")))
        }
    };
    entries.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
}

/// An entry as JsonSchemaConverter has it.
fn entry_object(
    schema: &Schema,
    entry: &Node<'_>,
    options: JsonOptions,
) -> Result<(Value, Value), DataError> {
    let Node::Object(members) = entry else {
        let found = node_type(entry);
        return Err(DataError::new(format!("Found invalid map entry instead of object: {found}")));
    };
    if members.len() != 2 {
        let length = members.len();
        return Err(DataError::new(format!(
            "Found invalid map entry, expected length 2 but found :{length}"
        )));
    }
    let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, node)| node);
    let part = |schema, name| convert(schema, member(name).unwrap_or(&Node::Null), options);
    Ok((part(schema.key_schema(), "key")?, part(schema.value_schema(), "value")?))
}

/// The member of a union that a value is of: the first of its kind, of structs the one with most of
/// its members.
fn union_member(
    schema: &Arc<Schema>,
    node: &Node<'_>,
    options: JsonOptions,
) -> Result<Value, DataError> {
    let (mut found, mut most) = (None, 0);
    for (at, field) in schema.fields().iter().enumerate() {
        if is_instance(&field.schema, node) {
            found = Some(at);
            break;
        }
        let matching = matching_members(&field.schema, node);
        if matching > most {
            (found, most) = (Some(at), matching);
        }
    }
    let chosen = found.and_then(|at| Some((at, schema.fields().get(at)?)));
    let (at, field) =
        chosen.ok_or_else(|| DataError::new("Did not find matching oneof field for data"))?;
    let mut values = vec![Value::Null; schema.fields().len()];
    if let Some(slot) = values.get_mut(at) {
        *slot = convert(Some(&field.schema), node, options)?;
    }
    Ok(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
}

fn is_instance(schema: &Schema, node: &Node<'_>) -> bool {
    match (schema.ty(), node) {
        (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, Node::Number(number)) => {
            number.integral
        }
        (Type::Float32 | Type::Float64, Node::Number(_))
        | (Type::Boolean, Node::Boolean(_))
        | (Type::String | Type::Bytes, Node::String(_))
        | (Type::Array, Node::Array(_))
        | (Type::Map, Node::Object(_) | Node::Array(_)) => true,
        _ => false,
    }
}

fn matching_members(schema: &Schema, node: &Node<'_>) -> usize {
    let Node::Object(members) = node else { return 0 };
    let own = schema.fields().iter();
    own.filter_map(|field| {
        let (_, node) = members.iter().find(|(key, _)| *key == field.name)?;
        Some(1 + matching_members(&field.schema, node))
    })
    .sum()
}

fn structure(
    schema: &Arc<Schema>,
    node: &Node<'_>,
    options: JsonOptions,
) -> Result<Value, DataError> {
    if options.of_registry && is_union(schema) {
        return union_member(schema, node, options);
    }
    let Node::Object(members) = node else {
        let found = node_type(node);
        return Err(DataError::new(format!(
            "Structs should be encoded as JSON objects, but found {found}"
        )));
    };
    let mut values = Vec::with_capacity(schema.fields().len());
    for (index, field) in schema.fields().iter().enumerate() {
        // Writers keep the schema's order: look at the same place first.
        let member = members
            .get(index)
            .filter(|(key, _)| *key == field.name)
            .or_else(|| members.iter().find(|(key, _)| *key == field.name));
        let value = convert(Some(&field.schema), member.map_or(&Node::Null, |m| &m.1), options);
        let value = value.map_err(|error| match options.of_registry {
            true => error.at(&field.name),
            false => error,
        })?;
        check_present(field, &value)?;
        values.push(value);
    }
    Ok(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
}

/// `Struct.put` refuses the nulls that leniency makes of values of another kind.
pub(super) fn check_present(field: &Field, value: &Value) -> Result<(), DataError> {
    if value.is_null() && !field.schema.is_optional() {
        let (name, ty) = (&field.name, field.schema.ty().name());
        return Err(DataError::new(format!(
            "Invalid value: null used for required field: \"{name}\", schema type: {ty}"
        )));
    }
    Ok(())
}

fn decimal(schema: &Schema, node: &Node<'_>) -> Result<Value, DataError> {
    match node {
        Node::Number(number) => exact(*number).map(Value::Decimal).ok_or_else(|| {
            DataError::new(format!("the exponent of {} is out of range", number.text))
        }),
        Node::String(text) => {
            let bytes = base64(text, "Invalid bytes for Decimal field")?;
            let unscaled = BigInt::from_signed_bytes_be(&bytes);
            Ok(Value::Decimal(Decimal { unscaled, scale: decimal_scale(schema)? }))
        }
        other => Err(DataError::new(format!(
            "Invalid type for Decimal, underlying representation should be numeric or bytes but was \
             {}",
            node_type(other)
        ))),
    }
}

fn temporal(name: &str, node: &Node<'_>) -> Result<Value, DataError> {
    let simple = name.rsplit('.').next().unwrap_or(name);
    let integral = match node {
        Node::Number(number) if number.integral => Some(*number),
        _ => None,
    };
    if name == logical::TIMESTAMP {
        return integral.map(|number| Value::Timestamp(wrap_i64(number))).ok_or_else(|| {
            DataError::new(format!(
                "Invalid type for {simple}, underlying representation should be integral but was {}",
                node_type(node)
            ))
        });
    }
    let number = integral.and_then(|number| number.text.parse::<i32>().ok()).ok_or_else(|| {
        DataError::new(format!(
            "Invalid type for {simple}, underlying representation should be integer but was {}",
            node_type(node)
        ))
    })?;
    if name == logical::DATE {
        return Ok(Value::Date(number));
    }
    if !(0..=86_400_000).contains(&number) {
        return Err(DataError::new(
            "Time values must use number of milliseconds greater than 0 and less than 86400000",
        ));
    }
    Ok(Value::Time(number))
}

fn base64(text: &str, invalid: &str) -> Result<Vec<u8>, DataError> {
    STANDARD.decode(text).map_err(|_| DataError::new(invalid))
}

/// The name of a node's kind in the original's error texts.
fn node_type(node: &Node<'_>) -> &'static str {
    match node {
        Node::Missing => "MISSING",
        Node::Null => "NULL",
        Node::Boolean(_) => "BOOLEAN",
        Node::Number(_) => "NUMBER",
        Node::String(_) => "STRING",
        Node::Array(_) => "ARRAY",
        Node::Object(_) => "OBJECT",
    }
}

fn integer(node: &Node<'_>) -> i64 {
    match node {
        Node::Number(number) => wrap_i64(*number),
        _ => 0,
    }
}

fn non_finite(node: &Node<'_>) -> f64 {
    match node {
        Node::String(text) => match text.as_ref() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => 0.0,
        },
        _ => 0.0,
    }
}

/// The number without its fraction, cut to 64 bits.
pub(super) fn wrap_i64(number: Number<'_>) -> i64 {
    if let Ok(fits) = number.text.parse() {
        return fits;
    }
    exact(number).map_or(0, |decimal| decimal.to_i64_wrapping())
}

#[expect(clippy::cast_possible_truncation, reason = "cut to 32 bits, as Java's intValue")]
pub(super) fn wrap_i32(number: Number<'_>) -> i32 {
    wrap_i64(number) as i32
}

/// The number as it is written, trailing zeros included; `None` when the exponent is absurd.
pub(super) fn exact(number: Number<'_>) -> Option<Decimal> {
    let (mantissa, exponent) = match number.text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number.text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let unscaled = BigInt::parse_bytes([whole, fraction].concat().as_bytes(), 10)?;
    Some(Decimal { unscaled, scale })
}
