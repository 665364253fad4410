//! The defaults that stand in Avro schemas, as bytes.

use serde_json::Value as Json;

use super::binary::{put_bytes, put_long};
use super::schema::{AvroSchema, Kind, TypeId};
use crate::error::DataError;

/// Appends `json`, the default of a field of type `id`. A union's default is one of its first branch;
/// null is taken for any branch that is null.
///
/// # Errors
/// When it does not fit the type.
pub(super) fn encode(
    schema: &AvroSchema,
    id: TypeId,
    json: &Json,
    out: &mut Vec<u8>,
) -> Result<(), DataError> {
    let refused = || DataError::new(format!("The default {json} does not fit its Avro type"));
    let index = |at: usize| i64::try_from(at).unwrap_or_default();
    match (&schema.ty(id).kind, json) {
        (Kind::Null, Json::Null) => {}
        (Kind::Boolean, Json::Bool(value)) => out.push((*value).into()),
        (Kind::Int | Kind::Long, Json::Number(number)) => {
            put_long(number.as_i64().ok_or_else(refused)?, out);
        }
        #[expect(clippy::cast_possible_truncation, reason = "the schema says float")]
        (Kind::Float, Json::Number(number)) => {
            let number = number.as_f64().ok_or_else(refused)? as f32;
            out.extend_from_slice(&number.to_le_bytes());
        }
        (Kind::Double, Json::Number(number)) => {
            out.extend_from_slice(&number.as_f64().ok_or_else(refused)?.to_le_bytes());
        }
        (Kind::String, Json::String(text)) => put_bytes(text.as_bytes(), out),
        (Kind::Bytes, Json::String(text)) => put_bytes(&characters(text).ok_or_else(refused)?, out),
        (Kind::Fixed(size), Json::String(text)) => {
            let bytes = characters(text).filter(|bytes| bytes.len() == *size);
            out.extend_from_slice(&bytes.ok_or_else(refused)?);
        }
        (Kind::Enum { symbols, .. }, Json::String(text)) => {
            let at = symbols.iter().position(|symbol| symbol == text).ok_or_else(refused)?;
            put_long(index(at), out);
        }
        (Kind::Array(items), Json::Array(values)) => {
            if !values.is_empty() {
                put_long(index(values.len()), out);
                values.iter().try_for_each(|value| encode(schema, *items, value, out))?;
            }
            put_long(0, out);
        }
        (Kind::Map(values), Json::Object(members)) => {
            if !members.is_empty() {
                put_long(index(members.len()), out);
                for (key, value) in members {
                    put_bytes(key.as_bytes(), out);
                    encode(schema, *values, value, out)?;
                }
            }
            put_long(0, out);
        }
        (Kind::Record(fields), Json::Object(members)) => {
            for field in fields {
                let value = members.get(&field.name).or(field.default.as_ref());
                encode(schema, field.ty, value.ok_or_else(refused)?, out)?;
            }
        }
        (Kind::Union(branches), Json::Null) => {
            let null = branches.iter().position(|id| schema.ty(*id).kind == Kind::Null);
            put_long(index(null.ok_or_else(refused)?), out);
        }
        (Kind::Union(branches), value) => {
            put_long(0, out);
            encode(schema, *branches.first().ok_or_else(refused)?, value, out)?;
        }
        _ => return Err(refused()),
    }
    Ok(())
}

/// Bytes as JSON has them in Avro: one character each.
pub(super) fn characters(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|each| u8::try_from(u32::from(each)).ok()).collect()
}
