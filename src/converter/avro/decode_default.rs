//! The defaults of Avro schemas as Connect's values (`AvroData.defaultValueFromAvro`).

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::BigInt;
use serde_json::Value as Json;

use super::defaults::characters;
use super::from_connect::is_decimal;
use super::schema::{AvroSchema, Kind, TypeId};
use crate::data::{Decimal, Schema, Struct, Type, Value, logical};

/// `json` as a value of `schema`, which was made from the type `id`; `None` when it does not fit.
pub(super) fn value(
    avro: &AvroSchema,
    id: TypeId,
    schema: &Arc<Schema>,
    json: &Json,
) -> Option<Value> {
    if json.is_null() {
        return None;
    }
    let kind = &avro.ty(id).kind;
    match (kind, json) {
        (Kind::Union(branches), json) => {
            // A default is one of the first branch.
            let (at, first) = branches.iter().enumerate().next()?;
            if avro.ty(*first).kind == Kind::Null {
                return None;
            }
            if !super::vocabulary::is_union(schema) {
                return value(avro, *first, schema, json);
            }
            let member = value(avro, *first, &schema.fields().get(at)?.schema, json)?;
            let mut values = vec![Value::Null; schema.fields().len()];
            *values.get_mut(at)? = member;
            Some(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
        }
        (Kind::Int | Kind::Long, Json::Number(number)) => integer(schema, number.as_i64()?),
        #[expect(clippy::cast_possible_truncation, reason = "the schema says float")]
        (Kind::Float, Json::Number(number)) => Some(Value::Float32(number.as_f64()? as f32)),
        (Kind::Double, Json::Number(number)) => Some(Value::Float64(number.as_f64()?)),
        (Kind::Boolean, Json::Bool(value)) => Some(Value::Boolean(*value)),
        (Kind::String | Kind::Enum { .. }, Json::String(text)) => Some(Value::string(text)),
        (Kind::Bytes | Kind::Fixed(_), Json::String(text)) => {
            let bytes = characters(text)?;
            if is_decimal(schema) {
                let scale = schema.parameter(logical::SCALE)?.parse().ok()?;
                let unscaled = BigInt::from_signed_bytes_be(&bytes);
                return Some(Value::Decimal(Decimal { unscaled, scale }));
            }
            Some(Value::Bytes(Bytes::from(bytes)))
        }
        (Kind::Array(items), Json::Array(values)) if schema.ty() == Type::Array => {
            let inner = schema.value_schema()?;
            let values = values.iter().map(|json| nullable(avro, *items, inner, json));
            Some(Value::Array(values.collect::<Option<_>>()?))
        }
        (Kind::Map(values), Json::Object(members)) => {
            let inner = schema.value_schema()?;
            let entries = members.iter().map(|(key, json)| {
                Some((Value::string(key), nullable(avro, *values, inner, json)?))
            });
            Some(Value::Map(entries.collect::<Option<_>>()?))
        }
        (Kind::Record(fields), Json::Object(members)) if schema.ty() == Type::Struct => {
            let values = schema.fields().iter().zip(fields).map(|(own, field)| {
                let json = members.get(&field.name).or(field.default.as_ref())?;
                nullable(avro, field.ty, &own.schema, json)
            });
            let values = values.collect::<Option<_>>()?;
            Some(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
        }
        _ => None,
    }
}

/// A part of a default, which may be null.
fn nullable(avro: &AvroSchema, id: TypeId, schema: &Arc<Schema>, json: &Json) -> Option<Value> {
    if json.is_null() {
        return schema.is_optional().then_some(Value::Null);
    }
    match &avro.ty(id).kind {
        // Which branch a part of a default is of, JSON does not say: any that fits.
        Kind::Union(branches) => branches.iter().find_map(|id| value(avro, *id, schema, json)),
        _ => value(avro, id, schema, json),
    }
}

fn integer(schema: &Schema, number: i64) -> Option<Value> {
    Some(match (schema.ty(), schema.name()) {
        (Type::Int8, _) => Value::Int8(i8::try_from(number).ok()?),
        (Type::Int16, _) => Value::Int16(i16::try_from(number).ok()?),
        (Type::Int32, Some(logical::DATE)) => Value::Date(i32::try_from(number).ok()?),
        (Type::Int32, Some(logical::TIME)) => Value::Time(i32::try_from(number).ok()?),
        (Type::Int32, _) => Value::Int32(i32::try_from(number).ok()?),
        (Type::Int64, Some(logical::TIMESTAMP)) => Value::Timestamp(number),
        (Type::Int64, _) => Value::Int64(number),
        _ => return None,
    })
}
