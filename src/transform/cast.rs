//! `org.apache.kafka.connect.transforms.Cast`: fields, or the whole, taken as another type.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::rebuild::{
    Fields, MadeOnce, basics, java_split, node_converted, node_or_default, or_default,
};
use super::target::{PlannedPart, Target, planned_part, require_map, require_struct};
use super::{Keep, Planned, Transformation};
use crate::config::{ConfigDef, ConfigKey, ConfigType, Props};
use crate::data::{
    Node, PlannedValue, Record, RowPlan, Schema, SchemaAndValue, SchemaBuilder, Struct, Type,
    Value, values,
};
use crate::error::ConnectError;

const PURPOSE: &str = "cast types";
/// In the original's order; BYTES may only be cast from.
const TYPES: [Type; 9] = [
    Type::Int8,
    Type::Int16,
    Type::Int32,
    Type::Int64,
    Type::Float32,
    Type::Float64,
    Type::Boolean,
    Type::String,
    Type::Bytes,
];

/// The configuration keys, in the original's order.
pub fn config_def() -> ConfigDef {
    ConfigDef::new(vec![
        ConfigKey::new(
            "spec",
            ConfigType::List,
            "Fields and their types, field:type; or one type, for the whole.",
        )
        .required()
        .high(),
        ConfigKey::new(
            "replace.null.with.default",
            ConfigType::Boolean,
            "Whether null in a field with a default becomes the default.",
        )
        .default("true")
        .medium(),
    ])
}

/// Makes `Cast$Key`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_key(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Key)
}

/// Makes `Cast$Value`.
///
/// # Errors
/// When the configuration is not valid.
pub fn construct_value(props: &Props) -> Result<Box<dyn Transformation>, ConnectError> {
    construct(props, Target::Value)
}

fn construct(props: &Props, target: Target) -> Result<Box<dyn Transformation>, ConnectError> {
    let parsed = config_def().parse(props)?;
    let casts = Casts::parse(&parsed.list("spec"))?;
    let replace_null_with_default = parsed.boolean("replace.null.with.default");
    Ok(Box::new(Cast { target, casts, replace_null_with_default, made: MadeOnce::new() }))
}

#[derive(Debug)]
struct Cast {
    target: Target,
    casts: Casts,
    replace_null_with_default: bool,
    made: MadeOnce<(), Arc<Schema>>,
}

#[derive(Debug)]
enum Casts {
    Whole(Type),
    Fields(Vec<(String, Type)>),
}

impl Casts {
    fn parse(spec: &[String]) -> Result<Self, ConnectError> {
        if spec.is_empty() {
            return Err(ConnectError::config("Must specify at least one field to cast."));
        }
        let mut fields = Vec::new();
        for item in spec {
            match *java_split(item, ':').as_slice() {
                [ty] if spec.len() == 1 => return Ok(Self::Whole(target_type(ty)?)),
                [_] => {
                    return Err(ConnectError::config(
                        "Cast transformations that specify a type to cast the entire value to may \
                         only specify a single cast in their spec",
                    ));
                }
                [field, ty] => fields.push((field.trim().to_owned(), target_type(ty)?)),
                // The wrong key's name is the original's.
                _ => {
                    let shown = spec.join(", ");
                    return Err(ConnectError::config(format!(
                        "Invalid value [{shown}] for configuration renames: Invalid rename \
                         mapping: {item}"
                    )));
                }
            }
        }
        Ok(Self::Fields(fields))
    }

    fn of(&self, field: &str) -> Option<Type> {
        match self {
            Self::Whole(_) => None,
            Self::Fields(fields) => fields.iter().rfind(|(name, _)| name == field).map(|f| f.1),
        }
    }
}

fn target_type(text: &str) -> Result<Type, ConnectError> {
    let text = text.trim();
    let name = text.to_uppercase();
    let all = TYPES.iter().chain(&[Type::Array, Type::Map, Type::Struct]);
    let ty = all.copied().find(|ty| ty.name() == name).ok_or_else(|| {
        // The two places are swapped in the original.
        ConnectError::config(format!(
            "Invalid value java.lang.IllegalArgumentException: No enum constant \
             org.apache.kafka.connect.data.Schema.Type.{name} for configuration Invalid type found \
             in casting spec: {text}"
        ))
    })?;
    if matches!(ty, Type::Bytes | Type::Array | Type::Map | Type::Struct) {
        let supported = names(&TYPES[..8]);
        return Err(ConnectError::config(format!(
            "Cast transformation does not support casting to {name}; supported types are \
             [{supported}]"
        )));
    }
    Ok(ty)
}

fn names(types: &[Type]) -> String {
    types.iter().map(|ty| ty.name()).collect::<Vec<_>>().join(", ")
}

/// Whether a row's cell of one type is the same as one of the other: what is only made wider.
fn keeps_cells(from: Type, to: Type) -> bool {
    const INTEGERS: [Type; 4] = [Type::Int8, Type::Int16, Type::Int32, Type::Int64];
    let rank = |ty| INTEGERS.iter().position(|integer| *integer == ty);
    match (rank(from), rank(to)) {
        (Some(from), Some(to)) => from <= to,
        _ => matches!(
            (from, to),
            (Type::Float32 | Type::Float64, Type::Float64)
                | (Type::String, Type::String)
                | (Type::Boolean, Type::Boolean)
        ),
    }
}

impl Cast {
    /// `None`: it depends on the row.
    fn planned(&self, input: &RowPlan) -> Option<Planned> {
        let (schema, nodes) = match planned_part(self.target.planned(input)) {
            PlannedPart::Null => return Some(Planned::Plan(Arc::new(input.clone()))),
            PlannedPart::Struct(schema, nodes) => (schema, nodes),
            PlannedPart::Other => return None,
        };
        if matches!(self.casts, Casts::Whole(_)) {
            return None;
        }
        let mut fields = Vec::with_capacity(nodes.len());
        for (field, node) in schema.fields().iter().zip(nodes) {
            let default = field.schema.default_value();
            let node = node_or_default(node, default.filter(|_| self.replace_null_with_default))?;
            fields.push(match self.casts.of(&field.name) {
                Some(ty) => {
                    let keeps = keeps_cells(field.schema.ty(), ty);
                    node_converted(&node, keeps, |value| cast(Some(&field.schema), value, ty))?
                }
                None => node,
            });
        }
        let schema = cast_schema(&self.casts, schema).ok()?;
        let node = Node::Struct { presence: None, fields };
        Some(self.target.replaced(input, Some(PlannedValue { schema: Some(schema), node })))
    }
}

impl Transformation for Cast {
    fn plan(&self, input: &RowPlan) -> Planned {
        self.planned(input).unwrap_or(Planned::PerRecord)
    }

    fn apply(&mut self, record: &mut Record) -> Result<Keep, ConnectError> {
        let part = self.target.of(record);
        if part.value.is_null() {
            return Ok(Keep::Record);
        }
        let casts = &self.casts;
        let schema = match &part.schema {
            None => None,
            Some(schema) => {
                Some((*self.made.get(schema, (), |()| cast_schema(casts, schema))?).clone())
            }
        };
        let value = match (&schema, casts) {
            (_, Casts::Whole(ty)) => cast(part.schema.as_deref(), &part.value, *ty)?,
            (None, Casts::Fields(fields)) => cast_map(require_map(part, PURPOSE)?, fields)?,
            (Some(schema), _) => {
                let value = require_struct(part, PURPOSE)?;
                let mut values = Vec::with_capacity(value.values().len());
                let members = value.schema().fields().iter().zip(value.values());
                for (field, value) in members {
                    let default = field.schema.default_value();
                    let value =
                        or_default(value, default.filter(|_| self.replace_null_with_default));
                    values.push(match casts.of(&field.name) {
                        Some(ty) => cast(Some(&field.schema), &value, ty)?,
                        None => value,
                    });
                }
                if values.len() != schema.fields().len() {
                    return Err(ConnectError::data("Struct schemas do not match."));
                }
                Value::Struct(Box::new(Struct::new(schema.clone(), values)))
            }
        };
        *self.target.of_mut(record) = SchemaAndValue { schema, value };
        Ok(Keep::Record)
    }
}

fn cast_map(entries: &[(Value, Value)], fields: &[(String, Type)]) -> Result<Value, ConnectError> {
    let mut entries = entries.to_vec();
    for (field, ty) in fields {
        match entries.iter_mut().find(|(key, _)| key.as_str() == Some(field)) {
            Some((_, value)) => *value = cast(None, value, *ty)?,
            None => entries.push((Value::string(field), Value::Null)),
        }
    }
    Ok(Value::Map(entries))
}

fn cast_schema(casts: &Casts, schema: &Schema) -> Result<Arc<Schema>, ConnectError> {
    let default = |schema: &Schema, ty| match schema.default_value() {
        Some(default) => cast(Some(schema), default, ty).map(Some),
        None => Ok(None),
    };
    match casts {
        Casts::Whole(ty) => {
            let mut builder = attributes(SchemaBuilder::new(*ty), schema);
            if let Some(default) = default(schema, *ty)? {
                builder = builder.default_value(default);
            }
            Ok(builder.with_optional(schema.is_optional()).build())
        }
        Casts::Fields(_) if schema.ty() != Type::Struct => {
            Err(ConnectError::data("Cannot list fields on non-struct type"))
        }
        Casts::Fields(_) => {
            let mut fields = Fields::new();
            for field in schema.fields() {
                let Some(ty) = casts.of(&field.name) else {
                    fields.push(&field.name, field.schema.clone())?;
                    continue;
                };
                let mut builder = SchemaBuilder::new(ty).with_optional(field.schema.is_optional());
                if let Some(default) = default(&field.schema, ty)? {
                    builder = builder.default_value(default);
                }
                fields.push(&field.name, builder.build())?;
            }
            Ok(fields.build(basics(schema).with_optional(schema.is_optional())))
        }
    }
}

/// Name, version, doc and parameters of `schema` on a builder of another type.
fn attributes(mut builder: SchemaBuilder, schema: &Schema) -> SchemaBuilder {
    if let Some(name) = schema.name() {
        builder = builder.name(name);
    }
    if let Some(version) = schema.version() {
        builder = builder.version(version);
    }
    if let Some(doc) = schema.doc() {
        builder = builder.doc(doc);
    }
    for (key, value) in schema.parameters() {
        builder = builder.parameter(key.as_str(), value.as_str());
    }
    builder
}

#[expect(clippy::cast_possible_truncation, reason = "numbers are cut to their width, as in Java")]
fn cast(schema: Option<&Schema>, value: &Value, ty: Type) -> Result<Value, ConnectError> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    check_source(schema, value)?;
    Ok(match ty {
        Type::Int8 => Value::Int8(integer(value, ty)? as i8),
        Type::Int16 => Value::Int16(integer(value, ty)? as i16),
        Type::Int32 => Value::Int32(integer(value, ty)? as i32),
        Type::Int64 => Value::Int64(integer(value, ty)?),
        Type::Float32 => Value::Float32(match value {
            Value::String(text) => java_float(text).ok_or_else(|| out_of_range(text))?,
            other => float(other)? as f32,
        }),
        Type::Float64 => Value::Float64(float(value)?),
        Type::Boolean => Value::Boolean(match value {
            Value::Boolean(value) => *value,
            Value::String(text) => text.eq_ignore_ascii_case("true"),
            other => integer(other, Type::Int64)? != 0,
        }),
        _ => Value::string(text(value)),
    })
}

fn check_source(schema: Option<&Schema>, value: &Value) -> Result<(), ConnectError> {
    let ty = match (schema, value) {
        (Some(schema), _) => schema.ty(),
        (None, Value::Array(_)) => Type::Array,
        (None, Value::Map(_)) => Type::Map,
        (None, Value::Struct(_)) => Type::Struct,
        (None, Value::Decimal(_) | Value::Date(_) | Value::Time(_) | Value::Timestamp(_)) => {
            let class = value.java_class();
            return Err(ConnectError::data(format!(
                "Cast transformation was passed a value of type class {class} which is not \
                 supported by Connect's data API"
            )));
        }
        (None, _) => return Ok(()),
    };
    if TYPES.contains(&ty) {
        return Ok(());
    }
    let (name, supported) = (ty.name(), names(&TYPES));
    Err(ConnectError::data(format!(
        "Cast transformation does not support casting from {name}; supported types are [{supported}]"
    )))
}

fn out_of_range(text: &str) -> ConnectError {
    ConnectError::data(format!("Value ({text}) was out of range for requested data type"))
}

fn unexpected(value: &Value) -> ConnectError {
    let class = value.java_class();
    ConnectError::data(format!("Unexpected type in Cast transformation: class {class}"))
}

/// The value as an integer that is yet to be cut to the width of `ty`; text must fit it.
#[expect(clippy::cast_possible_truncation, reason = "saturates, as Java's narrowing of floats")]
fn integer(value: &Value, ty: Type) -> Result<i64, ConnectError> {
    let from_float = |number: f64| match ty {
        Type::Int64 => number as i64,
        // Narrower ones go through 32 bits.
        _ => i64::from(number as i32),
    };
    let max = match ty {
        Type::Int8 => i8::MAX.into(),
        Type::Int16 => i16::MAX.into(),
        Type::Int32 => i32::MAX.into(),
        _ => i64::MAX,
    };
    Ok(match value {
        Value::String(text) => {
            let number = text.parse().ok().filter(|number| (-max - 1..=max).contains(number));
            number.ok_or_else(|| out_of_range(text))?
        }
        Value::Boolean(value) => (*value).into(),
        Value::Float32(number) => from_float((*number).into()),
        Value::Float64(number) => from_float(*number),
        Value::Decimal(decimal) => decimal.to_i64_wrapping(),
        other => other.as_i64().ok_or_else(|| unexpected(other))?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "as Java's doubleValue")]
fn float(value: &Value) -> Result<f64, ConnectError> {
    Ok(match value {
        Value::String(text) => java_float(text).ok_or_else(|| out_of_range(text))?,
        Value::Boolean(value) => f64::from(u8::from(*value)),
        Value::Float32(number) => (*number).into(),
        Value::Float64(number) => *number,
        Value::Decimal(_) => values::java_string(value).parse().unwrap_or(f64::NAN),
        other => other.as_i64().ok_or_else(|| unexpected(other))? as f64,
    })
}

/// Java's `parseDouble` and `parseFloat`: blanks around it and a type suffix are fine.
fn java_float<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    let number = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    let unsigned = number.trim_start_matches(['+', '-']);
    match unsigned {
        "NaN" | "Infinity" => number.parse().ok(),
        _ if unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') => number.parse().ok(),
        _ => None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Date(days) => values::date_text(i64::from(*days) * values::DAY_MS),
        Value::Time(millis) => values::date_text((*millis).into()),
        Value::Timestamp(millis) => values::date_text(*millis),
        Value::Bytes(bytes) => STANDARD.encode(bytes),
        other => values::java_string(other),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::data::{Decimal, logical};
    use crate::transform::testing::{apply, map, record, smt};

    fn whole(ty: &str, value: Value) -> Result<Value, String> {
        let mut smt = smt(construct_value, &[("spec", ty)])?;
        let mut record = Record { value: SchemaAndValue { schema: None, value }, ..record("t") };
        apply(smt.as_mut(), &mut record)?;
        Ok(record.value.value)
    }

    const NO_DATA_TYPE: &str = "Cast transformation was passed a value of type class \
         java.math.BigDecimal which is not supported by Connect's data API";

    #[test]
    fn values_are_taken_as_java_takes_them() {
        let decimal =
            |unscaled: i64, scale| Value::Decimal(Decimal { unscaled: unscaled.into(), scale });
        let text = Value::string;
        for (ty, value, expected) in [
            ("int8", Value::Int32(300), Ok(Value::Int8(44))),
            ("int8", Value::Float64(1e10), Ok(Value::Int8(-1))),
            ("int32", Value::Float64(1e10), Ok(Value::Int32(i32::MAX))),
            ("INT64", Value::Float32(-1.9), Ok(Value::Int64(-1))),
            ("int16", Value::Boolean(true), Ok(Value::Int16(1))),
            ("int64", decimal(-199, 2), Err(NO_DATA_TYPE)),
            ("int8", text("5"), Ok(Value::Int8(5))),
            ("int8", text(" 5 "), Err("Value ( 5 ) was out of range for requested data type")),
            ("float64", text(" 5.0 "), Ok(Value::Float64(5.0))),
            ("float32", text("1.5f"), Ok(Value::Float32(1.5))),
            ("float64", text("inf"), Err("Value (inf) was out of range for requested data type")),
            ("boolean", text("TRUE"), Ok(Value::Boolean(true))),
            ("boolean", text("yes"), Ok(Value::Boolean(false))),
            ("boolean", Value::Float64(0.5), Ok(Value::Boolean(false))),
            ("string", Value::Boolean(true), Ok(text("true"))),
            ("string", Value::Bytes(Bytes::from_static(b"ab")), Ok(text("YWI="))),
            (
                "int8",
                Value::Bytes(Bytes::new()),
                Err("Unexpected type in Cast transformation: class [B"),
            ),
            (
                "int8",
                Value::Map(vec![]),
                Err("Cast transformation does not support casting from MAP; supported types are \
                     [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]"),
            ),
            ("int8", Value::Null, Ok(Value::Null)),
        ] {
            assert_eq!(whole(ty, value), expected.map_err(str::to_owned), "{ty}");
        }
    }

    #[test]
    fn fields_lose_their_logical_type_and_keep_the_rest() {
        let at = SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1).optional();
        let count = SchemaBuilder::new(Type::Int32).default_value(Value::Int32(7)).build();
        let schema = SchemaBuilder::structure()
            .name("n")
            .optional()
            .field("at", at.build())
            .field("count", count)
            .build();
        let value = Struct::new(schema.clone(), vec![Value::Timestamp(0), Value::Null]);
        let value = SchemaAndValue { schema: Some(schema), value: Value::Struct(Box::new(value)) };
        let mut record = Record { value, ..record("t") };
        let spec = [("spec", "at:string,count:int8,zz:int8")];
        apply(smt(construct_value, &spec).unwrap().as_mut(), &mut record).unwrap();
        let schema = record.value.schema.unwrap();
        assert_eq!((schema.name(), schema.is_optional()), (Some("n"), true));
        let of = |name: &str| schema.field(name).unwrap().1.schema.clone();
        assert_eq!(of("at"), SchemaBuilder::new(Type::String).optional().build());
        assert_eq!(of("count").default_value(), Some(&Value::Int8(7)));
        let text = values::format(&record.value.value).unwrap();
        assert_eq!(text, r#"{"at":"00:00:00.000Z","count":7}"#);
    }

    #[test]
    fn the_whole_keeps_its_name() {
        let schema = SchemaBuilder::new(Type::Int64).name(logical::TIMESTAMP).version(1).build();
        let value = SchemaAndValue { schema: Some(schema), value: Value::Timestamp(5) };
        let mut record = Record { value, ..record("t") };
        apply(smt(construct_value, &[("spec", "int64")]).unwrap().as_mut(), &mut record).unwrap();
        assert_eq!(record.value.value, Value::Int64(5));
        assert_eq!(record.value.schema.unwrap().name(), Some(logical::TIMESTAMP));
    }

    #[test]
    fn maps_gain_what_they_lack() {
        let mut smt = smt(construct_value, &[("spec", "a:string,zz:int8")]).unwrap();
        let value = SchemaAndValue { schema: None, value: map(&[("a", 1)]) };
        let mut record = Record { value, ..record("t") };
        apply(smt.as_mut(), &mut record).unwrap();
        let text = values::format(&record.value.value).unwrap();
        assert_eq!(text, r#"{"a":"1","zz":null}"#);
        record.value.value = Value::string("x");
        assert_eq!(
            apply(smt.as_mut(), &mut record).unwrap_err(),
            "Only Map objects supported in absence of schema for [cast types], found: \
             java.lang.String"
        );
    }

    #[test]
    fn specifications_are_checked() {
        for (spec, expected) in [
            ("", "Must specify at least one field to cast."),
            (
                "int8,a:int8",
                "Cast transformations that specify a type to cast the entire value to may only \
                 specify a single cast in their spec",
            ),
            (
                "a:bytes",
                "Cast transformation does not support casting to BYTES; supported types are \
                 [INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]",
            ),
            (
                "a:foo",
                "Invalid value java.lang.IllegalArgumentException: No enum constant \
                 org.apache.kafka.connect.data.Schema.Type.FOO for configuration Invalid type \
                 found in casting spec: foo",
            ),
            (
                "a:b:c",
                "Invalid value [a:b:c] for configuration renames: Invalid rename mapping: a:b:c",
            ),
        ] {
            assert_eq!(smt(construct_key, &[("spec", spec)]).err().unwrap(), expected);
        }
    }
}
