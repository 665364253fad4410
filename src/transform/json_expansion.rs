//! JSON text as structs, with a schema read off the text: `table.expand.json.payload` of
//! `EventRouter`, and the content of logical messages.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::data::{Schema, SchemaBuilder, Struct, Type, Value};
use crate::transform::envelope::without_fields;

/// What becomes of members that say nothing of their type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Untyped {
    /// Null members are BYTES and not left out.
    pub(super) null_is_bytes: bool,
    /// Empty arrays are arrays of STRING and not left out.
    pub(super) empty_array_is_strings: bool,
}

/// The object in `text` as a struct named `name`, and what is in it named by its path; without a
/// name, paths start at the members.
///
/// # Errors
/// When the text is no JSON object, or an array in it holds items of several types.
pub(super) fn expand(
    name: &str,
    text: &str,
    untyped: Untyped,
) -> Result<(Arc<Schema>, Value), String> {
    if !text.starts_with(['{', '[']) {
        return Err("only text that starts with { or [ is expanded".to_owned());
    }
    let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if !json.is_object() {
        return Err("only objects can be expanded".to_owned());
    }
    let schema = untyped.schema(name, &json)?.ok_or("an object without a schema")?;
    let value = value(&json, &schema)?;
    Ok((schema, value))
}

impl Untyped {
    /// `None`: the member is left out.
    fn schema(self, name: &str, json: &Json) -> Result<Option<Arc<Schema>>, String> {
        let optional = |ty| Some(SchemaBuilder::new(ty).optional().build());
        Ok(match json {
            Json::String(_) => optional(Type::String),
            Json::Bool(_) => optional(Type::Boolean),
            Json::Number(number) => optional(match number.as_i64() {
                Some(integer) if i32::try_from(integer).is_ok() => Type::Int32,
                Some(_) => Type::Int64,
                None if number.is_f64() => Type::Float64,
                None => return Err(format!("{name} holds an integer beyond 64 bits")),
            }),
            Json::Null if self.null_is_bytes => optional(Type::Bytes),
            Json::Null => None,
            Json::Array(items) if items.is_empty() => {
                let text = SchemaBuilder::new(Type::String).optional().build();
                self.empty_array_is_strings.then(|| SchemaBuilder::array(text).optional().build())
            }
            Json::Array(items) => {
                let items = self.items(name, items)?;
                Some(SchemaBuilder::array(items).optional().build())
            }
            Json::Object(members) => {
                let mut builder = SchemaBuilder::structure().optional();
                if !name.is_empty() {
                    builder = builder.name(name);
                }
                for (member, json) in members {
                    let path =
                        if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                    if let Some(schema) = self.schema(&path, json)? {
                        builder = builder.field(member.as_str(), schema);
                    }
                }
                Some(builder.build())
            }
        })
    }

    fn items(self, name: &str, items: &[Json]) -> Result<Arc<Schema>, String> {
        let mut merged: Option<Arc<Schema>> = None;
        for item in items {
            if item.is_null() {
                continue;
            }
            let schema = self
                .schema(name, item)?
                .ok_or_else(|| format!("array {name} has members of no known type"))?;
            merged = Some(match merged {
                None => schema,
                Some(merged) if merged.ty() == Type::Struct && schema.ty() == Type::Struct => {
                    // As the original merges them: the newest members come first.
                    with_members_of(&schema, &merged)
                }
                Some(merged) if merged == schema => merged,
                Some(_) => return Err(format!("array {name} has members of several types")),
            });
        }
        let bytes = || SchemaBuilder::new(Type::Bytes).optional().build();
        merged
            .or_else(|| self.null_is_bytes.then(bytes))
            .ok_or_else(|| format!("array {name} has members of no known type"))
    }
}

/// `left` with the members that only `right` has; what is null in one takes its type from the other.
fn with_members_of(left: &Schema, right: &Schema) -> Arc<Schema> {
    let mut builder = without_fields(left);
    for field in left.fields() {
        let other = right.field(&field.name).map(|(_, other)| &other.schema);
        let schema = match other {
            Some(other) if field.schema.ty() == Type::Bytes => other,
            _ => &field.schema,
        };
        builder = builder.field(field.name.as_str(), schema.clone());
    }
    for field in right.fields().iter().filter(|field| left.field(&field.name).is_none()) {
        builder = builder.field(field.name.as_str(), field.schema.clone());
    }
    builder.build()
}

fn value(json: &Json, schema: &Arc<Schema>) -> Result<Value, String> {
    let misfit = || format!("a member does not fit its type {}", schema.ty().name());
    Ok(match (json, schema.ty()) {
        (Json::Null, _) => Value::Null,
        (Json::String(text), Type::String) => Value::string(text),
        (Json::Bool(truth), Type::Boolean) => Value::Boolean(*truth),
        (Json::Number(number), Type::Int32) => {
            let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
            Value::Int32(number.ok_or_else(misfit)?)
        }
        (Json::Number(number), Type::Int64) => Value::Int64(number.as_i64().ok_or_else(misfit)?),
        (Json::Number(number), Type::Float64) => {
            Value::Float64(number.as_f64().ok_or_else(misfit)?)
        }
        (Json::Array(items), Type::Array) => {
            let inner = schema.value_schema().ok_or_else(misfit)?;
            Value::Array(items.iter().map(|item| value(item, inner)).collect::<Result<_, _>>()?)
        }
        (Json::Object(members), Type::Struct) => {
            let mut values = Vec::with_capacity(schema.fields().len());
            for field in schema.fields() {
                values.push(match members.get(&field.name) {
                    Some(json) => value(json, &field.schema)?,
                    None => Value::Null,
                });
            }
            Value::Struct(Box::new(Struct::new(schema.clone(), values)))
        }
        _ => return Err(misfit()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::values;

    const STRICT: Untyped = Untyped { null_is_bytes: false, empty_array_is_strings: false };

    fn shape(schema: &Schema) -> String {
        match schema.ty() {
            Type::Struct => {
                let members = schema.fields().iter();
                let members: Vec<_> =
                    members.map(|f| format!("{}:{}", f.name, shape(&f.schema))).collect();
                format!("{}{{{}}}", schema.name().unwrap_or_default(), members.join(","))
            }
            Type::Array => format!("[{}]", shape(schema.value_schema().unwrap())),
            ty => ty.name().to_owned(),
        }
    }

    #[test]
    fn types_are_read_off_the_text() {
        for (text, untyped, expected, shown) in [
            (
                r#"{"i":1,"l":3000000000,"d":1.5,"s":"x","b":true,"n":null,"e":[],"o":{"k":[1,2]}}"#,
                STRICT,
                "payload{i:INT32,l:INT64,d:FLOAT64,s:STRING,b:BOOLEAN,o:payload.o{k:[INT32]}}",
                r#"{"i":1,"l":3000000000,"d":1.5,"s":"x","b":true,"o":{"k":[1,2]}}"#,
            ),
            (
                r#"{"n":null,"e":[],"a":[null]}"#,
                Untyped { null_is_bytes: true, empty_array_is_strings: true },
                "payload{n:BYTES,e:[STRING],a:[BYTES]}",
                r#"{"n":null,"e":[],"a":[null]}"#,
            ),
            (
                r#"{"a":[{"x":1},{"y":"b"}]}"#,
                STRICT,
                "payload{a:[payload.a{y:STRING,x:INT32}]}",
                r#"{"a":[{"y":null,"x":1},{"y":"b","x":null}]}"#,
            ),
        ] {
            let (schema, value) = expand("payload", text, untyped).unwrap();
            assert_eq!(shape(&schema), expected);
            assert_eq!(values::format(&value).unwrap(), shown);
        }
    }

    #[test]
    fn what_has_no_one_type_is_refused() {
        for (text, expected) in [
            (r#"{"a":[1,"x"]}"#, "array payload.a has members of several types"),
            (r#"{"a":[null]}"#, "array payload.a has members of no known type"),
            (r#"{"a":18446744073709551615}"#, "payload.a holds an integer beyond 64 bits"),
            ("[1]", "only objects can be expanded"),
            (r#"{"a":[{"x":1},{"x":"b"}]}"#, "a member does not fit its type STRING"),
        ] {
            assert_eq!(expand("payload", text, STRICT).unwrap_err(), expected);
        }
        assert!(expand("payload", "{", STRICT).is_err());
    }
}
