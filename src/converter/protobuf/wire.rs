//! Protobuf's wire format (Protocol Buffers documentation, "Encoding").

#![deny(clippy::indexing_slicing)]

use prost::encoding::{DecodeContext, WireType, decode_varint, encode_varint, skip_field};
use prost_reflect::Kind;

use crate::error::DataError;

pub(super) const VARINT: u8 = 0;
pub(super) const FIXED64: u8 = 1;
pub(super) const LENGTH: u8 = 2;
pub(super) const FIXED32: u8 = 5;

/// A scalar type of Protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum,
}

impl Scalar {
    /// The scalar of a field's kind; `None` for messages.
    pub(super) fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Double => Self::Double,
            Kind::Float => Self::Float,
            Kind::Int32 => Self::Int32,
            Kind::Int64 => Self::Int64,
            Kind::Uint32 => Self::Uint32,
            Kind::Uint64 => Self::Uint64,
            Kind::Sint32 => Self::Sint32,
            Kind::Sint64 => Self::Sint64,
            Kind::Fixed32 => Self::Fixed32,
            Kind::Fixed64 => Self::Fixed64,
            Kind::Sfixed32 => Self::Sfixed32,
            Kind::Sfixed64 => Self::Sfixed64,
            Kind::Bool => Self::Bool,
            Kind::String => Self::String,
            Kind::Bytes => Self::Bytes,
            Kind::Enum(_) => Self::Enum,
            Kind::Message(_) => return None,
        })
    }

    /// How its values are framed.
    pub(super) fn wire_type(self) -> u8 {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => FIXED64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => FIXED32,
            Self::String | Self::Bytes => LENGTH,
            _ => VARINT,
        }
    }

    /// The name in schemas.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::Float => "float",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Uint32 => "uint32",
            Self::Uint64 => "uint64",
            Self::Sint32 => "sint32",
            Self::Sint64 => "sint64",
            Self::Fixed32 => "fixed32",
            Self::Fixed64 => "fixed64",
            Self::Sfixed32 => "sfixed32",
            Self::Sfixed64 => "sfixed64",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Enum => "enum",
        }
    }
}

pub(super) fn put_varint(number: u64, out: &mut Vec<u8>) {
    encode_varint(number, out);
}

pub(super) fn put_tag(number: u32, wire_type: u8, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | u64::from(wire_type), out);
}

/// Appends bytes with their length in front.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends an integer of this type.
///
/// # Errors
/// When it does not fit.
pub(super) fn put_integer(scalar: Scalar, number: i64, out: &mut Vec<u8>) -> Result<(), DataError> {
    let range = || DataError::new(format!("{number} is out of range for {}", scalar.name()));
    match scalar {
        Scalar::Int32 | Scalar::Enum => {
            let number = i32::try_from(number).map_err(|_| range())?;
            put_varint(i64::from(number).cast_unsigned(), out);
        }
        Scalar::Int64 | Scalar::Uint64 => put_varint(number.cast_unsigned(), out),
        Scalar::Uint32 => put_varint(u32::try_from(number).map_err(|_| range())?.into(), out),
        Scalar::Sint32 => {
            let number = i64::from(i32::try_from(number).map_err(|_| range())?);
            put_varint(((number << 1) ^ (number >> 63)).cast_unsigned(), out);
        }
        Scalar::Sint64 => put_varint(((number << 1) ^ (number >> 63)).cast_unsigned(), out),
        Scalar::Fixed32 => {
            let number = u32::try_from(number).map_err(|_| range())?;
            out.extend_from_slice(&number.to_le_bytes());
        }
        Scalar::Sfixed32 => {
            let number = i32::try_from(number).map_err(|_| range())?;
            out.extend_from_slice(&number.to_le_bytes());
        }
        Scalar::Fixed64 | Scalar::Sfixed64 => out.extend_from_slice(&number.to_le_bytes()),
        Scalar::Bool => out.push((number != 0).into()),
        _ => return Err(DataError::new(format!("an integer is no {}", scalar.name()))),
    }
    Ok(())
}

type Result<T, E = DataError> = std::result::Result<T, E>;

/// Reads fields one behind the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| {
            DataError::new(format!("truncated: {count} bytes wanted and {} left", self.rest.len()))
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| DataError::new("truncated"))
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        decode_varint(&mut self.rest).map_err(of_prost)
    }

    /// A number of a message index: zig-zag.
    pub(super) fn index(&mut self) -> Result<usize> {
        let number = self.varint()?;
        let signed = (number >> 1).cast_signed() ^ -(number & 1).cast_signed();
        usize::try_from(signed)
            .ok()
            .filter(|index| *index <= 10_000)
            .ok_or_else(|| DataError::new(format!("{signed} is no message index")))
    }

    /// The number of the next field, and its wire type.
    pub(super) fn tag(&mut self) -> Result<(u32, u8)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0);
        let number = number.ok_or_else(|| DataError::new(format!("{tag} is no tag")))?;
        Ok((number, u8::try_from(tag & 7).unwrap_or_default()))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.varint()?;
        let length = usize::try_from(length)
            .map_err(|_| DataError::new(format!("a length of {length} bytes")))?;
        self.take(length)
    }

    /// Passes over a field that nobody asked for.
    pub(super) fn skip(&mut self, number: u32, wire_type: u8) -> Result<()> {
        let wire_type = WireType::try_from(u64::from(wire_type)).map_err(of_prost)?;
        skip_field(wire_type, number, &mut self.rest, DecodeContext::default()).map_err(of_prost)
    }

    /// An integer of this type, or a boolean as 0 or 1. Unsigned 64-bit numbers keep their bits.
    #[expect(clippy::cast_possible_truncation, reason = "32-bit types keep their low bits")]
    pub(super) fn integer(&mut self, scalar: Scalar) -> Result<i64> {
        Ok(match scalar {
            Scalar::Int32 | Scalar::Enum => i64::from(self.varint()? as u32 as i32),
            Scalar::Uint32 => i64::from(self.varint()? as u32),
            Scalar::Int64 | Scalar::Uint64 => self.varint()?.cast_signed(),
            Scalar::Sint32 | Scalar::Sint64 => {
                let number = self.varint()?;
                (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
            }
            Scalar::Fixed32 => u32::from_le_bytes(self.array()?).into(),
            Scalar::Sfixed32 => i32::from_le_bytes(self.array()?).into(),
            Scalar::Fixed64 | Scalar::Sfixed64 => i64::from_le_bytes(self.array()?),
            Scalar::Bool => i64::from(self.varint()? != 0),
            _ => return Err(DataError::new(format!("{} is no integer", scalar.name()))),
        })
    }

    pub(super) fn float(&mut self) -> Result<f32> {
        Ok(f32::from_le_bytes(self.array()?))
    }

    pub(super) fn double(&mut self) -> Result<f64> {
        Ok(f64::from_le_bytes(self.array()?))
    }

    pub(super) fn string(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?)
            .map_err(|error| DataError::new(format!("text is not valid UTF-8: {error}")))
    }
}

fn of_prost(error: prost::DecodeError) -> DataError {
    DataError::new(error.to_string())
}
