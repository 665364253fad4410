//! One column's text to what Connect holds: chosen once per column by `type_mapping`, called per
//! value. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use num_bigint::BigInt;

use crate::connector::postgres::array;
use crate::connector::postgres::column_mapper::TextMapper;
use crate::connector::postgres::config_types::BinaryMode;
use crate::connector::postgres::datetime::{self, Bounded, Fraction};
use crate::connector::postgres::geometry;
use crate::connector::postgres::numeric::{self, Numeric};
use crate::data::{Cell, Decimal, RecordBatch, Schema, Struct, Type, Value, logical};

/// How a column's text becomes cells.
#[derive(Debug, Clone)]
pub(super) enum Codec {
    Integer,
    Boolean,
    Float32,
    Float64,
    /// The text itself: strings, and bytes of types that are not known.
    Text,
    /// The text's bytes through `binary.handling.mode`.
    Opaque(BinaryMode),
    /// `\x` and hex digits.
    Bytea(BinaryMode),
    Decimal {
        scale: i32,
    },
    /// Two cells: scale and unscaled bytes.
    VariableDecimal,
    /// With so many digits behind the point where the server does not say.
    DecimalText {
        scale: usize,
    },
    Money {
        digits: u8,
    },
    MoneyText {
        digits: u8,
    },
    MoneyDouble,
    Date(Infinities),
    DateText(Infinities),
    Time(Unit),
    TimeText,
    Timestamp(Unit),
    TimestampText,
    ZonedTime,
    ZonedTimestamp {
        precision: u8,
    },
    IntervalMicros,
    IntervalText,
    /// `0` or `1`.
    Bit,
    /// Little-endian bytes without trailing zeros.
    Bits,
    HstoreJson,
    HstoreMap,
    Point,
    /// PostGIS: hex of EWKB.
    Geometry,
    /// `[1,2.5]` of pgvector.
    Vector,
    SparseVector,
    Array(Box<Codec>),
    /// Two cells: the whole text, for keys, and what is made of it, for values.
    Mapped(TextMapper),
    /// A type whose values the original cannot read inside arrays.
    NullElement,
}

/// What units a time or timestamp has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

/// The days that stand for infinite dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Infinities {
    pub(super) positive: i64,
    pub(super) negative: i64,
}

impl Infinities {
    /// In a stream.
    pub(super) const STREAM: Self = Self { positive: -2_147_472_692, negative: -2_147_472_691 };
    /// In a snapshot: the original reads these through another calendar.
    pub(super) const SNAPSHOT: Self = Self { positive: -622_191_234, negative: -625_821_272 };
    /// In a snapshot, as text: the ends of that calendar.
    pub(super) const SNAPSHOT_TEXT: Self =
        Self { positive: 106_751_991_166, negative: 106_748_361_128 };
}

/// What a text was decoded to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decoded {
    Null,
    I64(i64),
    F64(f64),
    /// The text as it came.
    Same,
    /// The bytes that were appended to the scratch buffer.
    Scratch,
    /// A scale, and the unscaled bytes that were appended.
    Scaled(i32),
    Tree(Value),
}

/// The milliseconds of the original's infinite timestamps.
const INFINITE_MILLIS: i64 = 9_223_372_036_825_200;
const NEGATIVE_INFINITE_MILLIS: i64 = -9_223_372_036_832_400;

impl Codec {
    /// How many cells a value takes.
    pub(super) fn cells(&self) -> usize {
        match self {
            Self::VariableDecimal | Self::Mapped(_) => 2,
            _ => 1,
        }
    }

    /// Appends the cells of SQL null.
    pub(super) fn push_null(&self, cells: &mut Vec<Cell>) {
        cells.extend(std::iter::repeat_n(Cell::Null, self.cells()));
    }

    /// Appends the cells of `text`, which stands at `off` of `batch.wire`; `None` when it is not of
    /// the type.
    pub(super) fn push_wire(
        &self,
        schema: &Arc<Schema>,
        text: &[u8],
        off: u32,
        batch: &mut RecordBatch,
    ) -> Option<()> {
        match self {
            Self::Text => {
                let len = u32::try_from(text.len()).ok()?;
                batch.cells.push(Cell::Wire { off, len });
                Some(())
            }
            Self::Mapped(mapper) => {
                let whole = u32::try_from(text.len()).ok()?;
                batch.cells.push(Cell::Wire { off, len: whole });
                let mapped = match mapper.map(std::str::from_utf8(text).ok()?) {
                    Cow::Borrowed(start) => {
                        Cell::Wire { off, len: u32::try_from(start.len()).ok()? }
                    }
                    Cow::Owned(other) => batch.push_scratch(other.as_bytes()),
                };
                batch.cells.push(mapped);
                Some(())
            }
            Self::Integer => {
                batch.cells.push(Cell::I64(integer(text)?));
                Some(())
            }
            _ => self.push_decoded(schema, text, batch, |len| Some(Cell::Wire { off, len })),
        }
    }

    /// Appends the cells of a text that is not part of the wire.
    pub(super) fn push_copied(
        &self,
        schema: &Arc<Schema>,
        text: &[u8],
        batch: &mut RecordBatch,
    ) -> Option<()> {
        if let Self::Mapped(mapper) = self {
            let mapped = mapper.map(std::str::from_utf8(text).ok()?);
            let whole = batch.push_scratch(text);
            let mapped = batch.push_scratch(mapped.as_bytes());
            batch.cells.extend([whole, mapped]);
            return Some(());
        }
        self.push_decoded(schema, text, batch, |_| None)
    }

    fn push_decoded(
        &self,
        schema: &Arc<Schema>,
        text: &[u8],
        batch: &mut RecordBatch,
        same: impl FnOnce(u32) -> Option<Cell>,
    ) -> Option<()> {
        let before = batch.scratch.len();
        let decoded = self.decode(schema, text, &mut batch.scratch)?;
        let off = u32::try_from(before).ok()?;
        let appended = u32::try_from(batch.scratch.len() - before).ok()?;
        let cell = match decoded {
            Decoded::Null => {
                self.push_null(&mut batch.cells);
                return Some(());
            }
            Decoded::I64(number) => Cell::I64(number),
            Decoded::F64(number) => Cell::F64(number),
            Decoded::Same => match same(u32::try_from(text.len()).ok()?) {
                Some(cell) => cell,
                None => batch.push_scratch(text),
            },
            Decoded::Scratch => Cell::Scratch { off, len: appended },
            Decoded::Scaled(scale) => {
                batch.cells.push(Cell::I64(scale.into()));
                Cell::Scratch { off, len: appended }
            }
            Decoded::Tree(value) => batch.push_tree(value),
        };
        batch.cells.push(cell);
        Some(())
    }

    /// The value of `text`, for defaults and for elements of arrays.
    pub(super) fn value(&self, schema: &Arc<Schema>, text: &[u8]) -> Option<Value> {
        let mut scratch = Vec::new();
        let bytes_value = |bytes: &[u8]| match schema.ty() {
            Type::String => std::str::from_utf8(bytes).ok().map(Value::string),
            _ if schema.name() == Some(logical::DECIMAL) => Some(Value::Decimal(Decimal {
                unscaled: BigInt::from_signed_bytes_be(bytes),
                scale: schema.parameter(logical::SCALE)?.parse().ok()?,
            })),
            _ => Some(Value::Bytes(Bytes::copy_from_slice(bytes))),
        };
        match self.decode(schema, text, &mut scratch)? {
            Decoded::Null => Some(Value::Null),
            Decoded::I64(number) => integer_value(schema, number),
            #[expect(clippy::cast_possible_truncation, reason = "the text was an f32's")]
            Decoded::F64(number) => Some(match schema.ty() {
                Type::Float32 => Value::Float32(number as f32),
                _ => Value::Float64(number),
            }),
            Decoded::Same => bytes_value(text),
            Decoded::Scratch => bytes_value(&scratch),
            Decoded::Scaled(scale) => {
                let bytes = Value::Bytes(Bytes::from(scratch));
                Some(structure(schema, vec![Value::Int32(scale), bytes]))
            }
            Decoded::Tree(value) => Some(value),
        }
    }

    fn decode(&self, schema: &Arc<Schema>, text: &[u8], out: &mut Vec<u8>) -> Option<Decoded> {
        match self {
            Self::Integer => integer(text).map(Decoded::I64),
            Self::Boolean | Self::Bit => boolean(text).map(Decoded::I64),
            Self::Float32 => {
                let number: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
                Some(Decoded::F64(number.into()))
            }
            Self::Float64 => float(text),
            Self::Text | Self::Mapped(_) => Some(Decoded::Same),
            Self::Opaque(mode) => Some(opaque(text, *mode, out)),
            Self::Bytea(mode) => bytea(text, *mode, out),
            Self::Bits => bits(text, out),
            Self::Decimal { .. }
            | Self::VariableDecimal
            | Self::DecimalText { .. }
            | Self::Money { .. }
            | Self::MoneyText { .. }
            | Self::MoneyDouble => self.decode_decimal(text, out),
            Self::HstoreJson => array::hstore_json(text, out).map(|()| Decoded::Scratch),
            Self::HstoreMap => array::hstore_map(text).map(Decoded::Tree),
            Self::Point => geometry::point(schema, text).map(Decoded::Tree),
            Self::Geometry => geometry::postgis(schema, text).map(Decoded::Tree),
            Self::Vector => geometry::vector(schema, text).map(Decoded::Tree),
            Self::SparseVector => geometry::sparse_vector(schema, text).map(Decoded::Tree),
            Self::Array(element) => array::decode(element, schema, text).map(Decoded::Tree),
            Self::NullElement => Some(Decoded::Null),
            _ => self.decode_temporal(text, out),
        }
    }

    fn decode_decimal(&self, text: &[u8], out: &mut Vec<u8>) -> Option<Decoded> {
        let plain;
        let text = match self {
            Self::Money { .. } | Self::MoneyText { .. } | Self::MoneyDouble => {
                plain = numeric::plain_money(text)?;
                plain.as_slice()
            }
            _ => text,
        };
        let parsed = numeric::parse(text)?;
        let Numeric::Finite { negative, whole, fraction } = parsed else {
            // Connect's decimals have no such values.
            let Self::DecimalText { .. } = self else { return Some(Decoded::Null) };
            out.extend_from_slice(match parsed {
                Numeric::Infinity => b"POSITIVE_INFINITY".as_slice(),
                Numeric::NegativeInfinity => b"NEGATIVE_INFINITY",
                _ => b"NAN",
            });
            return Some(Decoded::Scratch);
        };
        match self {
            Self::Decimal { scale } => {
                numeric::write_unscaled(out, negative, whole, fraction, *scale);
                Some(Decoded::Scratch)
            }
            Self::Money { digits } => {
                numeric::write_unscaled(out, negative, whole, fraction, i32::from(*digits));
                Some(Decoded::Scratch)
            }
            Self::VariableDecimal => {
                let fraction = numeric::stripped(fraction);
                let scale = i32::try_from(fraction.len()).ok()?;
                numeric::write_unscaled(out, negative, whole, fraction, scale);
                Some(Decoded::Scaled(scale))
            }
            Self::MoneyDouble => float(text),
            Self::MoneyText { .. } => {
                out.extend_from_slice(text);
                Some(Decoded::Scratch)
            }
            _ => Some(Decoded::Same),
        }
    }

    fn decode_temporal(&self, text: &[u8], out: &mut Vec<u8>) -> Option<Decoded> {
        match self {
            Self::Date(infinite) => Some(Decoded::I64(match datetime::date(text)? {
                Bounded::Finite(days) => days,
                Bounded::Infinity => infinite.positive,
                Bounded::NegativeInfinity => infinite.negative,
            })),
            Self::DateText(infinite) => {
                datetime::write_date(
                    out,
                    match datetime::date(text)? {
                        Bounded::Finite(days) => days,
                        Bounded::Infinity => infinite.positive,
                        Bounded::NegativeInfinity => infinite.negative,
                    },
                );
                out.push(b'Z');
                Some(Decoded::Scratch)
            }
            Self::Time(unit) => unit.of_micros(datetime::time(text)?).map(Decoded::I64),
            Self::TimeText => {
                let time = datetime::ZonedTime { micros: datetime::time(text)?, offset_seconds: 0 };
                datetime::write_utc_time(out, time);
                Some(Decoded::Scratch)
            }
            Self::Timestamp(unit) => Some(timestamp(datetime::timestamp(text)?, *unit)),
            Self::TimestampText => {
                let micros = match datetime::timestamp(text)? {
                    Bounded::Finite(micros) => micros,
                    Bounded::Infinity => INFINITE_MILLIS * 1000,
                    Bounded::NegativeInfinity => NEGATIVE_INFINITE_MILLIS * 1000,
                };
                datetime::write_timestamp(out, micros, Fraction::Shortest);
                Some(Decoded::Scratch)
            }
            Self::ZonedTime => {
                datetime::write_utc_time(out, datetime::timetz(text)?);
                Some(Decoded::Scratch)
            }
            Self::ZonedTimestamp { precision } => match datetime::timestamptz(text)? {
                Bounded::Finite(micros) => {
                    datetime::write_timestamp(out, micros, Fraction::Digits(*precision));
                    Some(Decoded::Scratch)
                }
                _ => Some(Decoded::Same),
            },
            Self::IntervalMicros => Some(Decoded::I64(datetime::interval(text)?.as_micros())),
            Self::IntervalText => {
                datetime::write_interval(out, datetime::interval(text)?);
                Some(Decoded::Scratch)
            }
            _ => None,
        }
    }
}

impl Unit {
    fn of_micros(self, micros: i64) -> Option<i64> {
        match self {
            Self::Millis => Some(micros.div_euclid(1000)),
            Self::Micros => Some(micros),
            Self::Nanos => micros.checked_mul(1000),
        }
    }
}

/// A struct value of `schema`.
pub(super) fn structure(schema: &Arc<Schema>, values: Vec<Value>) -> Value {
    Value::Struct(Box::new(Struct::new(schema.clone(), values)))
}

fn timestamp(value: Bounded<i64>, unit: Unit) -> Decoded {
    let infinite = |positive: bool, millis: i64| match unit {
        Unit::Millis => Decoded::I64(millis),
        Unit::Micros => Decoded::I64(millis * 1000),
        Unit::Nanos => Decoded::I64(if positive { i64::MAX } else { i64::MIN }),
    };
    match value {
        // Nanoseconds beyond an i64 are null in the original.
        Bounded::Finite(micros) => unit.of_micros(micros).map_or(Decoded::Null, Decoded::I64),
        Bounded::Infinity => infinite(true, INFINITE_MILLIS),
        Bounded::NegativeInfinity => infinite(false, NEGATIVE_INFINITE_MILLIS),
    }
}

/// The value of an integer cell.
fn integer_value(schema: &Schema, number: i64) -> Option<Value> {
    Some(match (schema.ty(), schema.name()) {
        (Type::Boolean, _) => Value::Boolean(number != 0),
        (Type::Int16, _) => Value::Int16(i16::try_from(number).ok()?),
        (Type::Int32, Some(logical::DATE)) => Value::Date(i32::try_from(number).ok()?),
        (Type::Int32, Some(logical::TIME)) => Value::Time(i32::try_from(number).ok()?),
        (Type::Int32, _) => Value::Int32(i32::try_from(number).ok()?),
        (Type::Int64, Some(logical::TIMESTAMP)) => Value::Timestamp(number),
        (Type::Int64, _) => Value::Int64(number),
        _ => return None,
    })
}

/// Decimal digits with an optional minus.
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    // 18 digits cannot overflow; the rare longer ones take the checked way.
    if digits.is_empty() || digits.len() > 18 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let mut number = 0_i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(if negative { -number } else { number })
}

fn boolean(text: &[u8]) -> Option<i64> {
    match text {
        b"t" | b"1" | b"true" => Some(1),
        b"f" | b"0" | b"false" => Some(0),
        _ => None,
    }
}

fn float(text: &[u8]) -> Option<Decoded> {
    std::str::from_utf8(text).ok()?.parse().ok().map(Decoded::F64)
}

/// Appends `bytes` in the mode's text form.
fn write_binary(bytes: &[u8], mode: BinaryMode, out: &mut Vec<u8>) {
    match mode {
        BinaryMode::Bytes => out.extend_from_slice(bytes),
        BinaryMode::Base64 => out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
        BinaryMode::Base64UrlSafe => out.extend_from_slice(URL_SAFE.encode(bytes).as_bytes()),
        BinaryMode::Hex => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        }
    }
}

fn opaque(text: &[u8], mode: BinaryMode, out: &mut Vec<u8>) -> Decoded {
    if mode == BinaryMode::Bytes {
        return Decoded::Same;
    }
    write_binary(text, mode, out);
    Decoded::Scratch
}

fn bytea(text: &[u8], mode: BinaryMode, out: &mut Vec<u8>) -> Option<Decoded> {
    let digits = text.strip_prefix(b"\\x")?;
    match mode {
        BinaryMode::Bytes => hex(digits, out)?,
        // The server's digits are the original's.
        BinaryMode::Hex => out.extend_from_slice(digits),
        mode => {
            let mut bytes = Vec::with_capacity(digits.len() / 2);
            hex(digits, &mut bytes)?;
            write_binary(&bytes, mode, out);
        }
    }
    Some(Decoded::Scratch)
}

/// Appends the bytes that hex digits stand for.
pub(super) fn hex(digits: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    out.reserve(digits.len() / 2);
    for pair in digits.chunks(2) {
        let &[high, low] = pair else { return None };
        out.push(nibble(high)? << 4 | nibble(low)?);
    }
    Some(())
}

/// `101` is the number 5: bits from the right, eight to a byte, the lowest byte first.
fn bits(text: &[u8], out: &mut Vec<u8>) -> Option<Decoded> {
    let start = out.len();
    for group in text.rchunks(8) {
        let mut byte = 0_u8;
        for digit in group {
            let bit = digit.checked_sub(b'0').filter(|bit| *bit <= 1)?;
            byte = byte << 1 | bit;
        }
        out.push(byte);
    }
    while out.len() > start && out.last() == Some(&0) {
        out.pop();
    }
    Some(Decoded::Scratch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SchemaBuilder;

    #[test]
    fn integers_are_read_to_their_ends() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-32768", Some(-32768)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("1a", None),
        ] {
            assert_eq!(integer(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn bits_and_bytes() {
        let bytes = SchemaBuilder::new(Type::Bytes).build();
        let string = SchemaBuilder::new(Type::String).build();
        let of =
            |codec: Codec, schema: &Arc<Schema>, text: &str| codec.value(schema, text.as_bytes());
        let binary = |bytes: &'static [u8]| Some(Value::Bytes(Bytes::from_static(bytes)));
        assert_eq!(of(Codec::Bits, &bytes, "101"), binary(&[5]));
        assert_eq!(of(Codec::Bits, &bytes, "100000001"), binary(&[1, 1]));
        assert_eq!(of(Codec::Bits, &bytes, "10000000000000011"), binary(&[3, 0, 1]));
        assert_eq!(of(Codec::Bits, &bytes, "000"), binary(&[]));
        assert_eq!(of(Codec::Bits, &bytes, "102"), None);
        let text = "\\xdeadbeef00ff";
        let bytea = Codec::Bytea;
        assert_eq!(of(bytea(BinaryMode::Bytes), &bytes, text), binary(b"\xde\xad\xbe\xef\x00\xff"));
        for (mode, expected) in [
            (BinaryMode::Base64, "3q2+7wD/"),
            (BinaryMode::Base64UrlSafe, "3q2-7wD_"),
            (BinaryMode::Hex, "deadbeef00ff"),
        ] {
            assert_eq!(of(bytea(mode), &string, text), Some(Value::string(expected)));
        }
        assert_eq!(of(bytea(BinaryMode::Bytes), &bytes, "\\xabc"), None);
        assert_eq!(of(bytea(BinaryMode::Bytes), &bytes, "abc"), None);
    }

    #[test]
    fn a_value_that_stays_points_into_the_wire() {
        let schema = SchemaBuilder::new(Type::String).build();
        let mut batch = RecordBatch::default();
        Codec::Text.push_wire(&schema, b"ten", 7, &mut batch).unwrap();
        Codec::DecimalText { scale: 2 }.push_wire(&schema, b"1.50", 11, &mut batch).unwrap();
        Codec::DecimalText { scale: 2 }.push_wire(&schema, b"NaN", 20, &mut batch).unwrap();
        Codec::Text.push_copied(&schema, b"copied", &mut batch).unwrap();
        assert_eq!(
            batch.cells,
            [
                Cell::Wire { off: 7, len: 3 },
                Cell::Wire { off: 11, len: 4 },
                Cell::Scratch { off: 0, len: 3 },
                Cell::Scratch { off: 3, len: 6 },
            ]
        );
        assert_eq!(batch.scratch, b"NANcopied");
    }
}
