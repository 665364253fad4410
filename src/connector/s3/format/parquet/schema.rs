//! Connect schema to Parquet schema, as Avro stands between them in the original.
//!
//! Only the logical types of Kafka Connect itself become annotations; Debezium's semantic types keep
//! their base type, so that readers see the same columns as before. Built node by node, not by
//! parsing text: field names may hold anything.

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{GroupTypeBuilder, PrimitiveTypeBuilder, Type as Node, TypePtr};

use crate::data::{Schema, Type, logical};

/// The parameter that makes BYTES a fixed-length column.
pub(in crate::connector::s3::format) const FIXED_SIZE: &str = "connect.fixed.size";
/// The parameter that says a Decimal's precision.
pub(in crate::connector::s3::format) const DECIMAL_PRECISION: &str = "connect.decimal.precision";
/// The precision of a Decimal whose schema does not say.
const DECIMAL_PRECISION_DEFAULT: i32 = 64;
/// The parameter that marks a STRING as an enumeration.
pub(in crate::connector::s3::format) const ENUM: &str = "io.confluent.connect.avro.Enum";

/// The layout of all lists of a file: three levels as soon as any list has optional elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    TwoLevel,
    ThreeLevel,
}

impl Lists {
    /// The layout for a file of `schema`.
    pub(super) fn of(schema: &Schema) -> Self {
        if has_optional_elements(schema) { Self::ThreeLevel } else { Self::TwoLevel }
    }

    /// The name of a list's elements.
    pub(super) fn element_name(self) -> &'static str {
        match self {
            Self::TwoLevel => "array",
            Self::ThreeLevel => "element",
        }
    }
}

fn has_optional_elements(schema: &Schema) -> bool {
    let nested = |schema: Option<&Arc<Schema>>| schema.is_some_and(|s| has_optional_elements(s));
    match schema.ty() {
        Type::Array if schema.value_schema().is_some_and(|items| items.is_optional()) => true,
        Type::Array | Type::Map => nested(schema.key_schema()) || nested(schema.value_schema()),
        Type::Struct => schema.fields().iter().any(|field| has_optional_elements(&field.schema)),
        _ => false,
    }
}

/// Whether a MAP becomes a Parquet map; the others become lists of entries.
pub(in crate::connector::s3::format) fn is_native_map(schema: &Schema) -> bool {
    schema.key_schema().is_some_and(|key| key.ty() == Type::String && !key.is_optional())
}

/// The precision and scale of a Decimal, when Avro's decimal can say them.
pub(in crate::connector::s3::format) fn decimal(schema: &Schema) -> Option<(i32, i32)> {
    if schema.ty() != Type::Bytes || schema.name() != Some(logical::DECIMAL) {
        return None;
    }
    let scale: i32 = schema.parameter(logical::SCALE)?.parse().ok()?;
    let precision = schema.parameter(DECIMAL_PRECISION).and_then(|text| text.parse().ok());
    let precision = precision.unwrap_or(DECIMAL_PRECISION_DEFAULT);
    (0 < precision && 0 <= scale && scale <= precision).then_some((precision, scale))
}

/// The message type of a file of `schema`, which is a STRUCT.
///
/// # Errors
/// When Parquet has no such type: a struct without fields.
pub(super) fn message(name: &str, schema: &Schema, lists: Lists) -> Result<TypePtr, ParquetError> {
    let fields = members(schema, lists)?;
    Ok(Arc::new(Node::group_type_builder(name).with_fields(fields).build()?))
}

fn members(schema: &Schema, lists: Lists) -> Result<Vec<TypePtr>, ParquetError> {
    if schema.fields().is_empty() {
        let name = schema.name().unwrap_or("a struct");
        return Err(ParquetError::General(format!(
            "{name} has no fields, and a Parquet group needs one"
        )));
    }
    schema
        .fields()
        .iter()
        .map(|field| node(&field.name, &field.schema, repetition(&field.schema), lists))
        .collect()
}

fn repetition(schema: &Schema) -> Repetition {
    if schema.is_optional() { Repetition::OPTIONAL } else { Repetition::REQUIRED }
}

fn node(
    name: &str,
    schema: &Schema,
    occurs: Repetition,
    lists: Lists,
) -> Result<TypePtr, ParquetError> {
    let group = || Node::group_type_builder(name).with_repetition(occurs);
    let built = match schema.ty() {
        Type::Struct => group().with_fields(members(schema, lists)?).build()?,
        Type::Array => {
            let items = schema.value_schema().expect("an array has an element schema");
            let element = |name: &str, repetition| node(name, items, repetition, lists);
            list(group(), element, repetition(items), lists)?
        }
        Type::Map if is_native_map(schema) => {
            let entry = GroupTypeBuilder::new("key_value")
                .with_repetition(Repetition::REPEATED)
                .with_converted_type(ConvertedType::MAP_KEY_VALUE)
                .with_fields(entry_members(schema, lists)?)
                .build()?;
            group()
                .with_logical_type(Some(LogicalType::Map))
                .with_fields(vec![Arc::new(entry)])
                .build()?
        }
        Type::Map => {
            let entry = |name: &str, repetition| {
                let members = entry_members(schema, lists)?;
                let entry = Node::group_type_builder(name).with_repetition(repetition);
                Ok(Arc::new(entry.with_fields(members).build()?))
            };
            list(group(), entry, Repetition::REQUIRED, lists)?
        }
        _ => primitive(name, schema, occurs)?,
    };
    Ok(Arc::new(built))
}

/// A list whose elements `element` builds by name and repetition.
fn list(
    group: GroupTypeBuilder<'_>,
    element: impl Fn(&str, Repetition) -> Result<TypePtr, ParquetError>,
    of: Repetition,
    lists: Lists,
) -> Result<Node, ParquetError> {
    let repeated = match lists {
        Lists::TwoLevel => element(lists.element_name(), Repetition::REPEATED)?,
        Lists::ThreeLevel => {
            let element = element(lists.element_name(), of)?;
            let list = Node::group_type_builder("list").with_repetition(Repetition::REPEATED);
            Arc::new(list.with_fields(vec![element]).build()?)
        }
    };
    group.with_logical_type(Some(LogicalType::List)).with_fields(vec![repeated]).build()
}

fn entry_members(schema: &Schema, lists: Lists) -> Result<Vec<TypePtr>, ParquetError> {
    let key = schema.key_schema().expect("a map has a key schema");
    let value = schema.value_schema().expect("a map has a value schema");
    Ok(vec![
        node("key", key, repetition(key), lists)?,
        node("value", value, repetition(value), lists)?,
    ])
}

fn primitive(name: &str, schema: &Schema, repetition: Repetition) -> Result<Node, ParquetError> {
    let physical = |ty| PrimitiveTypeBuilder::new(name, ty).with_repetition(repetition);
    let millis = || TimeUnit::MILLIS;
    let builder = match (schema.ty(), schema.name()) {
        (Type::Boolean, _) => physical(Physical::BOOLEAN),
        (Type::Int32, Some(logical::DATE)) => {
            physical(Physical::INT32).with_logical_type(Some(LogicalType::Date))
        }
        (Type::Int32, Some(logical::TIME)) => {
            physical(Physical::INT32).with_logical_type(Some(LogicalType::Time {
                is_adjusted_to_u_t_c: true,
                unit: millis(),
            }))
        }
        (Type::Int64, Some(logical::TIMESTAMP)) => {
            physical(Physical::INT64).with_logical_type(Some(LogicalType::Timestamp {
                is_adjusted_to_u_t_c: true,
                unit: millis(),
            }))
        }
        (Type::Int8 | Type::Int16 | Type::Int32, _) => physical(Physical::INT32),
        (Type::Int64, _) => physical(Physical::INT64),
        (Type::Float32, _) => physical(Physical::FLOAT),
        (Type::Float64, _) => physical(Physical::DOUBLE),
        (Type::String, _) if schema.parameter(ENUM).is_some() => {
            physical(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::Enum))
        }
        (Type::String, _) => {
            physical(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String))
        }
        (Type::Bytes, _) => bytes(name, schema, repetition),
        (Type::Array | Type::Map | Type::Struct, _) => {
            return Err(ParquetError::General(format!("{name} is no primitive")));
        }
    };
    builder.build()
}

fn bytes<'a>(name: &'a str, schema: &Schema, repetition: Repetition) -> PrimitiveTypeBuilder<'a> {
    let size = schema.parameter(FIXED_SIZE).and_then(|size| size.parse().ok());
    let builder = match size {
        Some(size) => {
            PrimitiveTypeBuilder::new(name, Physical::FIXED_LEN_BYTE_ARRAY).with_length(size)
        }
        None => PrimitiveTypeBuilder::new(name, Physical::BYTE_ARRAY),
    };
    let builder = builder.with_repetition(repetition);
    match decimal(schema) {
        Some((precision, scale)) => builder
            .with_logical_type(Some(LogicalType::Decimal { scale, precision }))
            .with_precision(precision)
            .with_scale(scale),
        None => builder,
    }
}
