//! How the cells of a schema look as JSON.

use super::write::decimal_scale;
use super::{DecimalFormat, JsonOptions};
use crate::data::{Schema, Type, logical};

/// The JSON form of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Boolean,
    /// A number between `-max - 1` and `max`.
    Integer {
        max: i64,
    },
    /// Milliseconds since midnight.
    Time,
    Float32,
    Float64,
    String,
    Bytes,
    DecimalBase64,
    DecimalNumeric {
        scale: i32,
    },
    /// What has inner structure.
    Tree,
}

impl Form {
    /// The form of `schema`'s cells; `None` when the schema is a logical type over the wrong type.
    pub(super) fn of(schema: &Schema, options: JsonOptions) -> Option<Self> {
        let integer = |max: i64| Some(Self::Integer { max });
        match (schema.ty(), schema.name()) {
            (Type::Bytes, Some(logical::DECIMAL)) => {
                let scale = decimal_scale(schema).ok()?;
                Some(match options.decimal_format {
                    DecimalFormat::Base64 => Self::DecimalBase64,
                    DecimalFormat::Numeric => Self::DecimalNumeric { scale },
                })
            }
            (Type::Int32, Some(logical::DATE)) => integer(i32::MAX.into()),
            (Type::Int32, Some(logical::TIME)) => Some(Self::Time),
            (Type::Int64, Some(logical::TIMESTAMP)) => integer(i64::MAX),
            (_, Some(logical::DECIMAL | logical::DATE | logical::TIME | logical::TIMESTAMP)) => {
                None
            }
            (Type::Boolean, _) => Some(Self::Boolean),
            (Type::Int8, _) => integer(i8::MAX.into()),
            (Type::Int16, _) => integer(i16::MAX.into()),
            (Type::Int32, _) => integer(i32::MAX.into()),
            (Type::Int64, _) => integer(i64::MAX),
            (Type::Float32, _) => Some(Self::Float32),
            (Type::Float64, _) => Some(Self::Float64),
            (Type::String, _) => Some(Self::String),
            (Type::Bytes, _) => Some(Self::Bytes),
            (Type::Array | Type::Map | Type::Struct, _) => Some(Self::Tree),
        }
    }
}
