//! `org.apache.kafka.connect.data.SchemaProjector`: a value moved from the schema that it was
//! written with to the schema that a file or table has.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Schema, Struct, Type, Value};
use crate::error::DataError;

/// Moves `value` of `source` to `target`: numbers may widen, struct fields are matched by name, and
/// what is absent becomes null or the default.
///
/// # Errors
/// When the schemas are not compatible; the message names the field.
pub fn project(source: &Schema, value: &Value, target: &Arc<Schema>) -> Result<Value, DataError> {
    project_if(source, value, target, check_compatible)
}

/// Whether values of one schema may be projected to another.
pub type Check = fn(&Schema, &Schema) -> Result<(), DataError>;

/// As [`project`], where `check` says what is compatible.
///
/// # Errors
/// As [`project`].
pub fn project_if(
    source: &Schema,
    value: &Value,
    target: &Arc<Schema>,
    check: Check,
) -> Result<Value, DataError> {
    check(source, target)?;
    let default = target.default_value();
    if source.is_optional() && !target.is_optional() && default.is_none() {
        return Err(DataError::new(
            "Writer schema is optional, however, target schema does not provide a default value.",
        ));
    }
    match value {
        // Null is a value of an optional target, whatever its default.
        Value::Null if source.is_optional() && !target.is_optional() => {
            Ok(default.cloned().unwrap_or(Value::Null))
        }
        Value::Null => Ok(Value::Null),
        Value::Struct(value) => project_struct(value, target, check),
        Value::Array(items) => match (source.value_schema(), target.value_schema()) {
            (Some(from), Some(to)) => {
                let items = items.iter().map(|item| project_if(from, item, to, check));
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            _ => Err(DataError::new("an array schema without a schema of its elements")),
        },
        Value::Map(entries) => project_map(source, entries, target, check),
        number => promote(number, target),
    }
}

/// Whether values of `source` may be projected to `target` at all, as far as the two themselves go;
/// members are compared when values are projected.
///
/// # Errors
/// What differs.
pub fn check_compatible(source: &Schema, target: &Schema) -> Result<(), DataError> {
    check_types(source, target)?;
    if !same_parameters(source.parameters(), target.parameters()) {
        return Err(DataError(format!(
            "Schema parameters not equal. source parameters: {} and target parameters: {}",
            shown(source.parameters()),
            shown(target.parameters())
        )));
    }
    Ok(())
}

/// As [`check_compatible`], parameters aside.
///
/// # Errors
/// What differs.
pub fn check_types(source: &Schema, target: &Schema) -> Result<(), DataError> {
    let (from, to) = (source.ty(), target.ty());
    if from != to && !matches!((rank(from), rank(to)), (Some(from), Some(to)) if from < to) {
        return Err(DataError(format!(
            "Schema type mismatch. source type: {} and target type: {}",
            from.name(),
            to.name()
        )));
    }
    if source.name() != target.name() {
        return Err(DataError(format!(
            "Schema name mismatch. source name: {} and target name: {}",
            source.name().unwrap_or("null"),
            target.name().unwrap_or("null")
        )));
    }
    Ok(())
}

/// The place in the row of numbers of which each may become any later one.
fn rank(ty: Type) -> Option<u8> {
    Some(match ty {
        Type::Int8 => 0,
        Type::Int16 => 1,
        Type::Int32 => 2,
        Type::Int64 => 3,
        Type::Float32 => 4,
        Type::Float64 => 5,
        _ => return None,
    })
}

/// Parameters are a map: their order says nothing.
fn same_parameters(left: &[(String, String)], right: &[(String, String)]) -> bool {
    left.len() == right.len() && left.iter().all(|entry| right.contains(entry))
}

fn shown(parameters: &[(String, String)]) -> String {
    if parameters.is_empty() {
        return "null".to_owned();
    }
    let mut text = String::from("{");
    for (index, (key, value)) in parameters.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}{key}={value}");
    }
    text.push('}');
    text
}

fn project_struct(value: &Struct, target: &Arc<Schema>, check: Check) -> Result<Value, DataError> {
    let source = value.schema();
    if Arc::ptr_eq(source, target) {
        return Ok(Value::Struct(Box::new(value.clone())));
    }
    let mut values = Vec::with_capacity(target.fields().len());
    for field in target.fields() {
        let name = &field.name;
        let default = field.schema.default_value();
        values.push(match source.field(name) {
            Some((index, from)) => {
                let own = &value.values()[index];
                let own = match from.schema.default_value() {
                    Some(default) if own.is_null() => default,
                    _ => own,
                };
                project_if(&from.schema, own, &field.schema, check)
                    .map_err(|error| DataError(format!("Error projecting {name}: {error}")))?
            }
            None if field.schema.is_optional() => Value::Null,
            None if default.is_some() => default.cloned().unwrap_or(Value::Null),
            None => {
                let source = source.name().map(|name| format!("{name}:")).unwrap_or_default();
                return Err(DataError(format!(
                    "Required field `{name}` is missing from source schema: Schema{{{source}STRUCT}}"
                )));
            }
        });
    }
    Ok(Value::Struct(Box::new(Struct::new(target.clone(), values))))
}

fn project_map(
    source: &Schema,
    entries: &[(Value, Value)],
    target: &Schema,
    check: Check,
) -> Result<Value, DataError> {
    let (Some(from_key), Some(to_key), Some(from_value), Some(to_value)) =
        (source.key_schema(), target.key_schema(), source.value_schema(), target.value_schema())
    else {
        return Err(DataError::new("a map schema without schemas of its keys and values"));
    };
    let mut projected = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let key = project_if(from_key, key, to_key, check)?;
        projected.push((key, project_if(from_value, value, to_value, check)?));
    }
    Ok(Value::Map(projected))
}

/// Java's widening of integers to floating point rounds, as `as` does.
fn promote(value: &Value, target: &Schema) -> Result<Value, DataError> {
    let integer = match *value {
        Value::Int8(number) => i64::from(number),
        Value::Int16(number) => i64::from(number),
        Value::Int32(number) => i64::from(number),
        Value::Int64(number) => number,
        Value::Float32(number) if target.ty() == Type::Float64 => {
            return Ok(Value::Float64(number.into()));
        }
        _ => return Ok(value.clone()),
    };
    let fits = |_| DataError(format!("{integer} is no value of {}", target.ty().name()));
    Ok(match target.ty() {
        Type::Int8 => Value::Int8(i8::try_from(integer).map_err(fits)?),
        Type::Int16 => Value::Int16(i16::try_from(integer).map_err(fits)?),
        Type::Int32 => Value::Int32(i32::try_from(integer).map_err(fits)?),
        Type::Int64 => Value::Int64(integer),
        Type::Float32 => Value::Float32(integer as f32),
        Type::Float64 => Value::Float64(integer as f64),
        _ => return Err(DataError(format!("{integer} is no value of {}", target.ty().name()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SchemaBuilder;

    fn plain(ty: Type) -> Arc<Schema> {
        SchemaBuilder::new(ty).build()
    }

    fn optional(ty: Type) -> Arc<Schema> {
        SchemaBuilder::new(ty).optional().build()
    }

    #[test]
    fn numbers_widen_and_never_narrow() {
        for (source, value, target, expected) in [
            (Type::Int8, Value::Int8(-7), Type::Int16, Ok(Value::Int16(-7))),
            (Type::Int8, Value::Int8(7), Type::Float64, Ok(Value::Float64(7.0))),
            (Type::Int64, Value::Int64(1 << 40), Type::Float32, Ok(Value::Float32(1.099_511_6e12))),
            (Type::Float32, Value::Float32(1.5), Type::Float64, Ok(Value::Float64(1.5))),
            (Type::String, Value::string("x"), Type::String, Ok(Value::string("x"))),
            (
                Type::Int64,
                Value::Int64(1),
                Type::Int32,
                Err("Schema type mismatch. source type: INT64 and target type: INT32"),
            ),
            (
                Type::Float32,
                Value::Float32(1.0),
                Type::Int64,
                Err("Schema type mismatch. source type: FLOAT32 and target type: INT64"),
            ),
            (
                Type::Boolean,
                Value::Boolean(true),
                Type::Int8,
                Err("Schema type mismatch. source type: BOOLEAN and target type: INT8"),
            ),
        ] {
            let projected = project(&plain(source), &value, &plain(target));
            assert_eq!(projected.map_err(|error| error.0), expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn null_needs_an_optional_target_or_a_default() {
        let with_default = SchemaBuilder::new(Type::Int32).default_value(Value::Int32(5)).build();
        let from = optional(Type::Int32);
        for (value, target, expected) in [
            (Value::Null, optional(Type::Int32), Ok(Value::Null)),
            (Value::Null, with_default.clone(), Ok(Value::Int32(5))),
            (Value::Int32(1), with_default, Ok(Value::Int32(1))),
            (
                Value::Int32(1),
                plain(Type::Int32),
                Err(
                    "Writer schema is optional, however, target schema does not provide a default \
                     value.",
                ),
            ),
        ] {
            let projected = project(&from, &value, &target);
            assert_eq!(projected.map_err(|error| error.0), expected.map_err(str::to_owned));
        }
    }

    #[test]
    fn names_and_parameters_must_be_equal() {
        let named = |name: &str| SchemaBuilder::new(Type::Int32).name(name);
        for (source, target, expected) in [
            (
                named("a").build(),
                plain(Type::Int32),
                "Schema name mismatch. source name: a and target name: null",
            ),
            (
                named("a").parameter("p", "1").build(),
                named("a").parameter("p", "2").build(),
                "Schema parameters not equal. source parameters: {p=1} and target parameters: {p=2}",
            ),
            (
                named("a").build(),
                named("a").parameter("p", "2").build(),
                "Schema parameters not equal. source parameters: null and target parameters: {p=2}",
            ),
        ] {
            assert_eq!(project(&source, &Value::Int32(1), &target).unwrap_err().0, expected);
        }
        let source = named("a").parameter("p", "1").parameter("q", "2").version(1).doc("d").build();
        let target = named("a").parameter("q", "2").parameter("p", "1").version(2).build();
        assert_eq!(project(&source, &Value::Int32(1), &target), Ok(Value::Int32(1)));
    }

    #[test]
    fn structs_are_matched_by_field_name() {
        let items = |ty| SchemaBuilder::array(plain(ty)).build();
        let source = SchemaBuilder::structure()
            .name("s")
            .field("gone", plain(Type::String))
            .field("n", plain(Type::Int8))
            .field("list", items(Type::Int16))
            .build();
        let number = SchemaBuilder::new(Type::Int32).default_value(Value::Int32(9)).build();
        let target = SchemaBuilder::structure()
            .name("s")
            .field("list", items(Type::Int64))
            .field("n", plain(Type::Int32))
            .field("extra", optional(Type::String))
            .field("number", number)
            .build();
        let values = vec![Value::string("x"), Value::Int8(3), Value::Array(vec![Value::Int16(4)])];
        let value = Value::Struct(Box::new(Struct::new(source.clone(), values)));
        let projected = project(&source, &value, &target).unwrap();
        let expected =
            [Value::Array(vec![Value::Int64(4)]), Value::Int32(3), Value::Null, Value::Int32(9)];
        assert_eq!(projected.as_struct().unwrap().values(), expected);

        for (field, schema, expected) in [
            (
                "extra",
                plain(Type::String),
                "Required field `extra` is missing from source schema: Schema{s:STRUCT}",
            ),
            (
                "n",
                plain(Type::String),
                "Error projecting n: Schema type mismatch. source type: INT8 and target type: STRING",
            ),
        ] {
            let target = SchemaBuilder::structure().name("s").field(field, schema).build();
            assert_eq!(project(&source, &value, &target).unwrap_err().0, expected);
        }
    }

    #[test]
    fn maps_project_keys_and_values() {
        let map = |keys, values| SchemaBuilder::map(plain(keys), plain(values)).build();
        let value = Value::Map(vec![(Value::Int8(1), Value::Float32(0.5))]);
        let projected =
            project(&map(Type::Int8, Type::Float32), &value, &map(Type::Int32, Type::Float64));
        assert_eq!(projected, Ok(Value::Map(vec![(Value::Int32(1), Value::Float64(0.5))])));
    }
}
