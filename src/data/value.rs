//! Values as trees: what transforms see and what the general path moves.

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::BigInt;

use super::{Schema, Type};

/// A value of Connect's data model.
///
/// The logical types of Kafka Connect have variants of their own because the original holds them as
/// `BigDecimal` and `Date` in memory; Debezium's semantic types are plain integers and strings.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32(f32),
    Float64(f64),
    Boolean(bool),
    String(Arc<str>),
    Bytes(Bytes),
    Array(Vec<Value>),
    /// Entries in order.
    Map(Vec<(Value, Value)>),
    Struct(Box<Struct>),
    /// `org.apache.kafka.connect.data.Decimal`.
    Decimal(Decimal),
    /// `org.apache.kafka.connect.data.Date`: days since the epoch.
    Date(i32),
    /// `org.apache.kafka.connect.data.Time`: milliseconds since midnight.
    Time(i32),
    /// `org.apache.kafka.connect.data.Timestamp`: milliseconds since the epoch.
    Timestamp(i64),
}

impl Value {
    /// A string value.
    pub fn string(text: impl AsRef<str>) -> Self {
        Self::String(Arc::from(text.as_ref()))
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The Java class that holds such a value in the original, for its error texts.
    pub fn java_class(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int8(_) => "java.lang.Byte",
            Self::Int16(_) => "java.lang.Short",
            Self::Int32(_) => "java.lang.Integer",
            Self::Int64(_) => "java.lang.Long",
            Self::Float32(_) => "java.lang.Float",
            Self::Float64(_) => "java.lang.Double",
            Self::Boolean(_) => "java.lang.Boolean",
            Self::String(_) => "java.lang.String",
            Self::Bytes(_) => "[B",
            Self::Array(_) => "java.util.ArrayList",
            Self::Map(_) => "java.util.HashMap",
            Self::Struct(_) => "org.apache.kafka.connect.data.Struct",
            Self::Decimal(_) => "java.math.BigDecimal",
            Self::Date(_) | Self::Time(_) | Self::Timestamp(_) => "java.util.Date",
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Int8(number) => Some(number.into()),
            Self::Int16(number) => Some(number.into()),
            Self::Int32(number) | Self::Date(number) | Self::Time(number) => Some(number.into()),
            Self::Int64(number) | Self::Timestamp(number) => Some(number),
            _ => None,
        }
    }

    /// The struct.
    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Self::Struct(value) => Some(value),
            _ => None,
        }
    }
}

/// An arbitrary-precision decimal: `unscaled` x 10^-`scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    pub unscaled: BigInt,
    pub scale: i32,
}

impl Decimal {
    /// The integer part, its low 64 bits: Java's `BigDecimal.longValue`.
    pub fn to_i64_wrapping(&self) -> i64 {
        let power = || BigInt::from(10).pow(self.scale.unsigned_abs());
        let whole = match self.scale {
            // Ten to the 64 has 64 factors of two: nothing is left in the low bits.
            ..=-64 => return 0,
            -63..0 => &self.unscaled * power(),
            0 => self.unscaled.clone(),
            1.. if i64::from(self.scale) > self.digits_max() => return 0,
            1.. => &self.unscaled / power(),
        };
        let bytes = whole.to_signed_bytes_le();
        let fill = if bytes.last().is_some_and(|last| *last >= 0x80) { 0xFF } else { 0 };
        let mut low = [fill; 8];
        for (target, byte) in low.iter_mut().zip(bytes) {
            *target = byte;
        }
        i64::from_le_bytes(low)
    }

    /// No fewer than the digits of the unscaled value: three bits make less than a digit.
    fn digits_max(&self) -> i64 {
        i64::try_from(self.unscaled.bits() / 3 + 1).unwrap_or(i64::MAX)
    }
}

/// A value of a STRUCT schema; `values` are in the order of the schema's fields.
#[derive(Debug, Clone)]
pub struct Struct {
    schema: Arc<Schema>,
    values: Vec<Value>,
}

impl PartialEq for Struct {
    fn eq(&self, other: &Self) -> bool {
        (Arc::ptr_eq(&self.schema, &other.schema) || self.schema == other.schema)
            && self.values == other.values
    }
}

impl Struct {
    /// A struct of `schema` with these values, one per field.
    ///
    /// # Panics
    /// When `schema` is not a STRUCT or the number of values is not that of its fields: a bug of
    /// the caller that would otherwise shift every later field.
    pub fn new(schema: Arc<Schema>, values: Vec<Value>) -> Self {
        assert!(schema.ty() == Type::Struct, "not a struct schema: {schema:?}");
        assert_eq!(schema.fields().len(), values.len(), "one value per field");
        Self { schema, values }
    }

    /// The schema.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The values in field order, defaults not applied.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values in field order.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// The value of the field `name`, without its default; `None` when there is no such field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let (index, _) = self.schema.field(name)?;
        self.values.get(index)
    }
}
