//! Trees to messages (Confluent, `ProtobufData.fromConnectData`).
//!
//! How a struct is written under a message is decided once: fields are matched by name, so that the
//! numbers may be those of a schema that somebody else registered.

use std::sync::Arc;

use prost_reflect::{Cardinality, FieldDescriptor, Kind, MessageDescriptor};

use super::ProtobufOptions;
use super::vocabulary::{DATE, DECIMAL, ENUM, GENERAL_ENUM, TIME, TIMESTAMP, is_union};
use super::wire::{LENGTH, Scalar, put_bytes, put_integer, put_tag};
use crate::data::{Decimal, Schema, Type, Value};
use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

const DEPTH_MAX: usize = 64;
const MS_PER_DAY: i64 = 86_400_000;

/// A message with the fields that a struct fills, in the order of their numbers.
#[derive(Debug)]
pub(super) struct MessageWriter {
    schema: Arc<Schema>,
    fields: Vec<FieldWriter>,
}

#[derive(Debug)]
struct FieldWriter {
    /// The struct's field, and within a union its member.
    index: usize,
    member: Option<usize>,
    name: String,
    number: u32,
    default: Option<Value>,
    /// Whether what is written by default is left out.
    implicit: bool,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    One(ValueWriter),
    Many { value: ValueWriter, packed: bool },
    Entries(Box<(FieldWriter, FieldWriter)>),
}

#[derive(Debug)]
enum ValueWriter {
    Scalar(Scalar),
    /// The number of each symbol.
    Enum(Vec<(String, i32)>),
    /// A message of one scalar field.
    Wrapper(Scalar),
    Decimal,
    Date,
    Time,
    Timestamp,
    Message(Box<MessageWriter>),
}

/// Matches a schema with a message.
///
/// # Errors
/// When values of the one cannot be written as the other, and where.
pub(super) fn writer(
    schema: &Arc<Schema>,
    message: &MessageDescriptor,
    options: ProtobufOptions,
) -> Result<MessageWriter> {
    Matching { options }.message(schema, message, 0)
}

/// The scalar of a message that only wraps one.
pub(super) fn wrapped(message: &MessageDescriptor) -> Option<Scalar> {
    let is_wrapper = message.parent_file().package_name() == "google.protobuf"
        && message.name().ends_with("Value")
        && message.fields().len() == 1;
    let field = message.get_field_by_name("value").filter(|_| is_wrapper)?;
    Scalar::of(&field.kind())
}

struct Matching {
    options: ProtobufOptions,
}

impl Matching {
    fn message(
        &self,
        schema: &Arc<Schema>,
        message: &MessageDescriptor,
        depth: usize,
    ) -> Result<MessageWriter> {
        if depth > DEPTH_MAX {
            return Err(DataError::new("The schema is nested too deeply"));
        }
        let mut fields = Vec::new();
        for (index, field) in schema.fields().iter().enumerate() {
            if is_union(&field.schema) {
                for (member, own) in field.schema.fields().iter().enumerate() {
                    let mut writer = self.field(&own.name, &own.schema, message, depth, index)?;
                    writer.member = Some(member);
                    fields.push(writer);
                }
                continue;
            }
            let writer = self.field(&field.name, &field.schema, message, depth, index);
            fields.push(writer.map_err(|error| error.at(&field.name))?);
        }
        fields.sort_by_key(|field| field.number);
        Ok(MessageWriter { schema: schema.clone(), fields })
    }

    fn field(
        &self,
        name: &str,
        schema: &Arc<Schema>,
        message: &MessageDescriptor,
        depth: usize,
        index: usize,
    ) -> Result<FieldWriter> {
        let own = self.options.scrubbed(name);
        let field = message.get_field_by_name(&own).ok_or_else(|| {
            DataError::new(format!("Cannot find field with name {own} in {}", message.full_name()))
        })?;
        let default = schema.default_value().filter(|default| !default.is_null()).cloned();
        let shape = match (schema.ty(), field.cardinality()) {
            (Type::Map, Cardinality::Repeated) => self.entries(schema, &field, depth)?,
            (Type::Array, Cardinality::Repeated) => {
                let items = schema.value_schema().ok_or_else(no_parts)?;
                let value = self.value(items, &field, depth)?;
                let packed = field.is_packed() && !matches!(value, ValueWriter::Message(_));
                Shape::Many { value, packed }
            }
            (Type::Map | Type::Array, _) | (_, Cardinality::Repeated) => {
                let (ty, name) = (schema.ty().name(), field.full_name().to_owned());
                return Err(DataError::new(format!("{ty} cannot be written as {name}")));
            }
            _ => Shape::One(self.value(schema, &field, depth)?),
        };
        Ok(FieldWriter {
            index,
            member: None,
            name: name.to_owned(),
            number: field.number(),
            default: default.filter(|_| !self.options.ignore_default_for_nullables),
            implicit: !field.supports_presence() && field.cardinality() != Cardinality::Repeated,
            shape,
        })
    }

    fn entries(
        &self,
        schema: &Arc<Schema>,
        field: &FieldDescriptor,
        depth: usize,
    ) -> Result<Shape> {
        let Kind::Message(entry) = field.kind() else {
            let name = field.full_name().to_owned();
            return Err(DataError::new(format!("MAP cannot be written as {name}")));
        };
        let (keys, values) = (schema.key_schema(), schema.value_schema());
        let key = self.field("key", keys.ok_or_else(no_parts)?, &entry, depth + 1, 0)?;
        let value = self.field("value", values.ok_or_else(no_parts)?, &entry, depth + 1, 1)?;
        Ok(Shape::Entries(Box::new((key, value))))
    }

    fn value(
        &self,
        schema: &Arc<Schema>,
        field: &FieldDescriptor,
        depth: usize,
    ) -> Result<ValueWriter> {
        let ty = schema.ty().name();
        let refused = || {
            let name = field.full_name().to_owned();
            DataError::new(format!("{ty} cannot be written as {name}"))
        };
        let message = match field.kind() {
            Kind::Message(message) => message,
            Kind::Enum(symbols) => {
                let is_symbol = schema.ty() == Type::String
                    && (schema.parameter(ENUM).is_some()
                        || schema.parameter(GENERAL_ENUM).is_some());
                let symbols =
                    symbols.values().map(|each| (each.name().to_owned(), each.number())).collect();
                return match schema.ty() {
                    Type::Int32 => Ok(ValueWriter::Scalar(Scalar::Enum)),
                    _ if is_symbol => Ok(ValueWriter::Enum(symbols)),
                    _ => Err(refused()),
                };
            }
            kind => {
                let scalar = Scalar::of(&kind).ok_or_else(refused)?;
                return fits(schema.ty(), scalar)
                    .then_some(ValueWriter::Scalar(scalar))
                    .ok_or_else(refused);
            }
        };
        Ok(match message.full_name() {
            DECIMAL => ValueWriter::Decimal,
            DATE => ValueWriter::Date,
            TIME => ValueWriter::Time,
            TIMESTAMP => ValueWriter::Timestamp,
            _ if schema.ty() == Type::Struct => {
                ValueWriter::Message(Box::new(self.message(schema, &message, depth + 1)?))
            }
            _ => {
                let scalar = wrapped(&message).filter(|scalar| fits(schema.ty(), *scalar));
                ValueWriter::Wrapper(scalar.ok_or_else(refused)?)
            }
        })
    }
}

fn no_parts() -> DataError {
    DataError::new("A container without the schema of its parts")
}

/// Whether values of `ty` have a form as this scalar.
pub(super) fn fits(ty: Type, scalar: Scalar) -> bool {
    match ty {
        Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 => !matches!(
            scalar,
            Scalar::Double | Scalar::Float | Scalar::Bool | Scalar::String | Scalar::Bytes
        ),
        Type::Float32 => matches!(scalar, Scalar::Float | Scalar::Double),
        Type::Float64 => scalar == Scalar::Double,
        Type::Boolean => scalar == Scalar::Bool,
        Type::String => scalar == Scalar::String,
        Type::Bytes => scalar == Scalar::Bytes,
        _ => false,
    }
}

impl MessageWriter {
    /// Appends the message that `value`, a struct, is.
    ///
    /// # Errors
    /// When the value does not fit its schema, and where.
    pub(super) fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        let Value::Struct(row) = value else {
            return Err(mismatch("STRUCT", value));
        };
        if !Arc::ptr_eq(row.schema(), &self.schema) && row.schema() != &self.schema {
            return Err(DataError::new("Mismatching struct schema"));
        }
        for field in &self.fields {
            let mut own = row.values().get(field.index).unwrap_or(&Value::Null);
            if let (Some(member), Value::Struct(union)) = (field.member, own) {
                own = union.values().get(member).unwrap_or(&Value::Null);
            }
            let own = field.default.as_ref().filter(|_| own.is_null()).unwrap_or(own);
            if !own.is_null() {
                field.write(own, out).map_err(|error| error.at(&field.name))?;
            }
        }
        Ok(())
    }
}

impl FieldWriter {
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        match (&self.shape, value) {
            (Shape::One(writer), value) => {
                let start = out.len();
                put_tag(self.number, writer.wire_type(), out);
                let body = out.len();
                writer.write(value, out)?;
                let is_default = out.get(body..).is_some_and(|written| {
                    written.iter().all(|byte| *byte == 0) && written.len() <= 8
                });
                // A number or text that is zero or empty is what a reader takes for granted.
                if self.implicit && is_default && writer.is_zero_default(value) {
                    out.truncate(start);
                }
            }
            (Shape::Many { value: writer, packed: true }, Value::Array(items)) => {
                if items.is_empty() {
                    return Ok(());
                }
                let mut body = Vec::new();
                for (at, item) in items.iter().enumerate() {
                    writer.write(item, &mut body).map_err(|error| error.at(&format!("[{at}]")))?;
                }
                put_tag(self.number, LENGTH, out);
                put_bytes(&body, out);
            }
            (Shape::Many { value: writer, .. }, Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    put_tag(self.number, writer.wire_type(), out);
                    writer.write(item, out).map_err(|error| error.at(&format!("[{at}]")))?;
                }
            }
            (Shape::Entries(parts), Value::Map(entries)) => {
                for (at, (key, value)) in entries.iter().enumerate() {
                    let mut body = Vec::new();
                    let (keys, values) = &**parts;
                    for (writer, part) in [(keys, key), (values, value)] {
                        if !part.is_null() {
                            let written = writer.write(part, &mut body);
                            written.map_err(|error| error.at(&format!("[{at}]")))?;
                        }
                    }
                    put_tag(self.number, LENGTH, out);
                    put_bytes(&body, out);
                }
            }
            (_, value) => return Err(mismatch("a list", value)),
        }
        Ok(())
    }
}

impl ValueWriter {
    fn wire_type(&self) -> u8 {
        match self {
            Self::Scalar(scalar) => scalar.wire_type(),
            Self::Enum(_) => Scalar::Enum.wire_type(),
            _ => LENGTH,
        }
    }

    /// Whether a value of zeros is the default of its field.
    fn is_zero_default(&self, value: &Value) -> bool {
        match (self, value) {
            // A negative zero is no default.
            (Self::Scalar(_), Value::Float32(number)) => number.to_bits() == 0,
            (Self::Scalar(_), Value::Float64(number)) => number.to_bits() == 0,
            (Self::Scalar(_), Value::String(text)) => text.is_empty(),
            (Self::Scalar(_), Value::Bytes(bytes)) => bytes.is_empty(),
            (Self::Scalar(_) | Self::Enum(_), _) => true,
            _ => false,
        }
    }

    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        let framed =
            |write: &dyn Fn(&mut Vec<u8>) -> Result<()>, out: &mut Vec<u8>| -> Result<()> {
                let mut body = Vec::new();
                write(&mut body)?;
                put_bytes(&body, out);
                Ok(())
            };
        match (self, value) {
            (_, Value::Null) => Err(DataError::new("null has no form in a list")),
            (Self::Scalar(scalar), value) => put_scalar(*scalar, value, out),
            (Self::Wrapper(scalar), value) => framed(
                &|body| {
                    put_tag(1, scalar.wire_type(), body);
                    put_scalar(*scalar, value, body)
                },
                out,
            ),
            (Self::Enum(symbols), Value::String(text)) => {
                let number = symbols.iter().find(|(name, _)| **name == **text).map(|each| each.1);
                let number = number.ok_or_else(|| {
                    DataError::new(format!("\"{text}\" is no symbol of the enumeration"))
                })?;
                put_integer(Scalar::Enum, number.into(), out)
            }
            (Self::Message(message), value) => framed(&|body| message.write(value, body), out),
            (Self::Decimal, Value::Decimal(decimal)) => {
                framed(&|body| put_decimal(decimal, body), out)
            }
            (Self::Date, Value::Date(days)) => framed(&|body| put_date(*days, body), out),
            (Self::Time, Value::Time(millis)) => framed(&|body| put_time(*millis, body), out),
            (Self::Timestamp, Value::Timestamp(millis)) => {
                let (seconds, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
                framed(&|body| put_parts(&[(1, seconds), (2, rest * 1_000_000)], body), out)
            }
            (_, value) => Err(mismatch("its field", value)),
        }
    }
}

/// Appends what stands in a field of this scalar.
pub(super) fn put_scalar(scalar: Scalar, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match (scalar, value) {
        (Scalar::Float, Value::Float32(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Scalar::Double, Value::Float32(number)) => {
            out.extend_from_slice(&f64::from(*number).to_le_bytes());
        }
        (Scalar::Double, Value::Float64(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Scalar::Bool, Value::Boolean(value)) => out.push((*value).into()),
        (Scalar::String, Value::String(text)) => put_bytes(text.as_bytes(), out),
        (Scalar::Bytes, Value::Bytes(bytes)) => put_bytes(bytes, out),
        (scalar, Value::Int8(_) | Value::Int16(_) | Value::Int32(_) | Value::Int64(_)) => {
            put_integer(scalar, value.as_i64().unwrap_or_default(), out)?
        }
        (scalar, value) => return Err(mismatch(scalar.name(), value)),
    }
    Ok(())
}

/// Appends integer fields; zero is left out.
fn put_parts(parts: &[(u32, i64)], out: &mut Vec<u8>) -> Result<()> {
    for (number, value) in parts.iter().filter(|(_, value)| *value != 0) {
        put_tag(*number, Scalar::Int64.wire_type(), out);
        put_integer(Scalar::Int64, *value, out)?;
    }
    Ok(())
}

fn put_decimal(decimal: &Decimal, out: &mut Vec<u8>) -> Result<()> {
    put_tag(1, LENGTH, out);
    put_bytes(&decimal.unscaled.to_signed_bytes_be(), out);
    let digits = decimal.unscaled.magnitude().to_string().len();
    let precision = i64::try_from(digits).unwrap_or_default();
    put_parts(&[(2, precision), (3, decimal.scale.into())], out)
}

fn put_date(days: i32, out: &mut Vec<u8>) -> Result<()> {
    use chrono::Datelike;
    let date = chrono::DateTime::from_timestamp_millis(i64::from(days) * MS_PER_DAY);
    let date = date.ok_or_else(|| DataError::new(format!("day {days} is out of range")))?;
    let parts = [(1, date.year().into()), (2, date.month().into()), (3, date.day().into())];
    put_parts(&parts, out)
}

fn put_time(millis: i32, out: &mut Vec<u8>) -> Result<()> {
    let millis = i64::from(millis);
    if !(0..=MS_PER_DAY).contains(&millis) {
        return Err(DataError::new(
            "Kafka Connect Time type should not have any date fields set to non-zero values.",
        ));
    }
    let parts = [
        (1, millis / 3_600_000),
        (2, millis / 60_000 % 60),
        (3, millis / 1000 % 60),
        (4, millis % 1000 * 1_000_000),
    ];
    put_parts(&parts, out)
}

#[cold]
fn mismatch(ty: &str, value: &Value) -> DataError {
    DataError::new(format!("Invalid type for {ty}: class {}", value.java_class()))
}
