//! Messages to trees (Confluent, `ProtobufData.toConnectData`).

#![deny(clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::BigInt;

use super::wire::{Cursor, LENGTH, Scalar};
use crate::data::{Decimal, Schema, Struct, Type, Value};
use crate::error::DataError;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// Reads messages of one type.
#[derive(Debug)]
pub(super) struct MessageReader {
    pub(super) schema: Arc<Schema>,
    /// What stands where a field is absent.
    pub(super) defaults: Vec<Value>,
    /// In the order of their numbers.
    pub(super) fields: Vec<FieldReader>,
    /// The whole is the one field of a wrapper.
    pub(super) unwrapped: bool,
}

#[derive(Debug)]
pub(super) struct FieldReader {
    pub(super) number: u32,
    pub(super) name: String,
    /// The struct's field, and within a union its schema and member.
    pub(super) index: usize,
    pub(super) member: Option<(Arc<Schema>, usize)>,
    pub(super) shape: Shape,
}

#[derive(Debug)]
pub(super) enum Shape {
    One(ValueReader),
    Many(ValueReader),
    Entries(Box<MessageReader>),
}

#[derive(Debug)]
pub(super) enum ValueReader {
    Scalar(Scalar, Type),
    Enum { name: String, symbols: Vec<(i32, Arc<str>)> },
    Wrapper(Scalar, Type),
    Decimal(i32),
    Date,
    Time,
    Timestamp,
    Message(Box<MessageReader>),
}

impl MessageReader {
    /// Reads one message.
    ///
    /// # Errors
    /// When the bytes are no such message, and where.
    pub(super) fn read(&self, body: &[u8]) -> Result<Value> {
        let mut values = self.defaults.clone();
        let mut cursor = Cursor::new(body);
        while !cursor.is_empty() {
            let (number, wire_type) = cursor.tag()?;
            let found = self.fields.binary_search_by_key(&number, |field| field.number);
            let Some(field) = found.ok().and_then(|at| self.fields.get(at)) else {
                cursor.skip(number, wire_type)?;
                continue;
            };
            let Some(slot) = values.get_mut(field.index) else { continue };
            field.read(&mut cursor, wire_type, slot).map_err(|error| error.at(&field.name))?;
        }
        if self.unwrapped {
            return Ok(values.into_iter().next().unwrap_or(Value::Null));
        }
        Ok(Value::Struct(Box::new(Struct::new(self.schema.clone(), values))))
    }
}

impl FieldReader {
    fn read(&self, cursor: &mut Cursor<'_>, wire_type: u8, slot: &mut Value) -> Result<()> {
        match &self.shape {
            Shape::One(reader) => {
                let value = reader.read(cursor, wire_type)?;
                *slot = match &self.member {
                    None => value,
                    Some((schema, member)) => {
                        let mut members = vec![Value::Null; schema.fields().len()];
                        if let Some(slot) = members.get_mut(*member) {
                            *slot = value;
                        }
                        Value::Struct(Box::new(Struct::new(schema.clone(), members)))
                    }
                };
            }
            Shape::Many(reader) => {
                let Value::Array(items) = slot else { return Ok(()) };
                if wire_type == LENGTH && reader.wire_type() != LENGTH {
                    let mut packed = Cursor::new(cursor.bytes()?);
                    while !packed.is_empty() {
                        items.push(reader.read(&mut packed, reader.wire_type())?);
                    }
                    return Ok(());
                }
                items.push(reader.read(cursor, wire_type)?);
            }
            Shape::Entries(entry) => {
                let Value::Map(entries) = slot else { return Ok(()) };
                let Value::Struct(read) = entry.read(cursor.bytes()?)? else { return Ok(()) };
                let mut parts = read.into_values().into_iter();
                if let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                    entries.push((key, value));
                }
            }
        }
        Ok(())
    }
}

impl ValueReader {
    fn wire_type(&self) -> u8 {
        match self {
            Self::Scalar(scalar, _) => scalar.wire_type(),
            Self::Enum { .. } => Scalar::Enum.wire_type(),
            _ => LENGTH,
        }
    }

    /// The same, for structs of a field that has this schema.
    pub(super) fn of(self, schema: &Arc<Schema>) -> Self {
        match self {
            Self::Message(mut message) => {
                message.schema = schema.clone();
                Self::Message(message)
            }
            other => other,
        }
    }

    /// What an absent value is.
    pub(super) fn default(&self) -> Value {
        match self {
            Self::Scalar(_, ty) => match ty {
                Type::Int8 => Value::Int8(0),
                Type::Int16 => Value::Int16(0),
                Type::Int32 => Value::Int32(0),
                Type::Int64 => Value::Int64(0),
                Type::Float32 => Value::Float32(0.0),
                Type::Float64 => Value::Float64(0.0),
                Type::Boolean => Value::Boolean(false),
                Type::String => Value::string(""),
                Type::Bytes => Value::Bytes(Bytes::new()),
                _ => Value::Null,
            },
            Self::Enum { symbols, .. } => {
                symbols.first().map_or(Value::Null, |(_, name)| Value::String(name.clone()))
            }
            _ => Value::Null,
        }
    }

    fn read(&self, cursor: &mut Cursor<'_>, wire_type: u8) -> Result<Value> {
        if wire_type != self.wire_type() {
            return Err(DataError::new(format!(
                "wire type {wire_type} where {} is expected",
                self.wire_type()
            )));
        }
        Ok(match self {
            Self::Scalar(scalar, ty) => scalar_value(*scalar, *ty, cursor)?,
            Self::Enum { name, symbols } => {
                let number = cursor.integer(Scalar::Enum)?;
                let symbol = symbols.iter().find(|(own, _)| i64::from(*own) == number);
                match symbol {
                    Some((_, symbol)) => Value::String(symbol.clone()),
                    // As the original's library names a symbol that it does not know.
                    None => Value::string(format!("UNKNOWN_ENUM_VALUE_{name}_{number}")),
                }
            }
            Self::Message(message) => message.read(cursor.bytes()?)?,
            Self::Wrapper(scalar, ty) => {
                let mut inner = Cursor::new(cursor.bytes()?);
                let mut value = Self::Scalar(*scalar, *ty).default();
                while !inner.is_empty() {
                    match inner.tag()? {
                        (1, wire_type) if wire_type == scalar.wire_type() => {
                            value = scalar_value(*scalar, *ty, &mut inner)?;
                        }
                        (number, wire_type) => inner.skip(number, wire_type)?,
                    }
                }
                value
            }
            Self::Decimal(scale) => decimal(cursor.bytes()?, *scale)?,
            Self::Date => date(cursor.bytes()?)?,
            Self::Time => {
                let [hours, minutes, seconds, nanos] = parts(cursor.bytes()?)?;
                let in_range = (0..=24).contains(&hours)
                    && (0..60).contains(&minutes)
                    && (0..=60).contains(&seconds)
                    && (0..1_000_000_000).contains(&nanos);
                if !in_range {
                    return Err(DataError::new("a time of day that is out of range"));
                }
                let millis = ((hours * 60 + minutes) * 60 + seconds) * 1000 + nanos / 1_000_000;
                Value::Time(i32::try_from(millis).unwrap_or_default())
            }
            Self::Timestamp => {
                let [seconds, nanos, ..] = parts(cursor.bytes()?)?;
                let millis = seconds
                    .checked_mul(1000)
                    .and_then(|millis| millis.checked_add(nanos.div_euclid(1_000_000)));
                let out = || DataError::new("a timestamp that is out of range");
                Value::Timestamp(millis.ok_or_else(out)?)
            }
        })
    }
}

fn scalar_value(scalar: Scalar, ty: Type, cursor: &mut Cursor<'_>) -> Result<Value> {
    let range = |number: i64| DataError::new(format!("{number} is out of range for {}", ty.name()));
    Ok(match (ty, scalar) {
        (Type::Float32, _) => Value::Float32(cursor.float()?),
        (Type::Float64, _) => Value::Float64(cursor.double()?),
        (Type::String, _) => Value::string(cursor.string()?),
        (Type::Bytes, _) => Value::Bytes(Bytes::copy_from_slice(cursor.bytes()?)),
        (Type::Boolean, _) => Value::Boolean(cursor.integer(scalar)? != 0),
        (Type::Int8, _) => {
            let number = cursor.integer(scalar)?;
            Value::Int8(i8::try_from(number).map_err(|_| range(number))?)
        }
        (Type::Int16, _) => {
            let number = cursor.integer(scalar)?;
            Value::Int16(i16::try_from(number).map_err(|_| range(number))?)
        }
        (Type::Int32, _) => {
            let number = cursor.integer(scalar)?;
            Value::Int32(i32::try_from(number).map_err(|_| range(number))?)
        }
        _ => Value::Int64(cursor.integer(scalar)?),
    })
}

/// The first four integer fields of a message.
fn parts(body: &[u8]) -> Result<[i64; 4]> {
    let mut found = [0; 4];
    let mut cursor = Cursor::new(body);
    while !cursor.is_empty() {
        let (number, wire_type) = cursor.tag()?;
        let at = usize::try_from(number).unwrap_or_default().wrapping_sub(1);
        match found.get_mut(at).filter(|_| wire_type == Scalar::Int64.wire_type()) {
            Some(slot) => *slot = cursor.integer(Scalar::Int64)?,
            None => cursor.skip(number, wire_type)?,
        }
    }
    Ok(found)
}

fn decimal(body: &[u8], schema_scale: i32) -> Result<Value> {
    let (mut unscaled, mut scale) = (BigInt::ZERO, 0);
    let mut cursor = Cursor::new(body);
    while !cursor.is_empty() {
        match cursor.tag()? {
            (1, LENGTH) => unscaled = BigInt::from_signed_bytes_be(cursor.bytes()?),
            (3, 0) => scale = cursor.integer(Scalar::Int32)?,
            (number, wire_type) => cursor.skip(number, wire_type)?,
        }
    }
    let scale = i32::try_from(scale).unwrap_or_default();
    if scale != schema_scale {
        return Err(DataError::new(format!(
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale \
             {schema_scale}, value has scale {scale}."
        )));
    }
    Ok(Value::Decimal(Decimal { unscaled, scale }))
}

fn date(body: &[u8]) -> Result<Value> {
    let [year, month, day, _] = parts(body)?;
    let date = || {
        let (month, day) = (u32::try_from(month).ok()?, u32::try_from(day).ok()?);
        let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        i32::try_from(date.signed_duration_since(chrono::NaiveDate::default()).num_days()).ok()
    };
    date()
        .map(Value::Date)
        .ok_or_else(|| DataError::new(format!("{year}-{month}-{day} is no date")))
}
