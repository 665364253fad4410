//! Types whose values are structs or lists of numbers: `point`, PostGIS and pgvector.

use std::sync::Arc;

use bytes::Bytes;

use crate::connector::postgres::codec::{hex, structure};
use crate::data::{Schema, Type, Value};

/// `(1.5,2.5)` as x, y, well-known binary and no SRID.
pub(super) fn point(schema: &Arc<Schema>, text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix('(')?.strip_suffix(')')?;
    let (x, y) = text.split_once(',')?;
    Some(point_value(schema, x.parse().ok()?, y.parse().ok()?))
}

/// A point as a struct.
pub(super) fn point_value(schema: &Arc<Schema>, x: f64, y: f64) -> Value {
    // Byte order (1: little-endian) and geometry type (1: point), then the coordinates.
    let mut wkb = vec![1, 1, 0, 0, 0];
    wkb.extend(x.to_le_bytes());
    wkb.extend(y.to_le_bytes());
    let fields = vec![Value::Float64(x), Value::Float64(y), Value::Bytes(wkb.into()), Value::Null];
    structure(schema, fields)
}

/// The hex text of EWKB as those bytes and their SRID.
pub(super) fn postgis(schema: &Arc<Schema>, text: &[u8]) -> Option<Value> {
    let mut ewkb = Vec::new();
    hex(text, &mut ewkb)?;
    let srid = srid(&ewkb)?.map_or(Value::Null, Value::Int32);
    Some(structure(schema, vec![Value::Bytes(Bytes::from(ewkb)), srid]))
}

/// The flag of an SRID in EWKB's geometry type.
const HAS_SRID: u32 = 0x2000_0000;

fn srid(ewkb: &[u8]) -> Option<Option<i32>> {
    let word = |at: usize| -> Option<[u8; 4]> { ewkb.get(at..at + 4)?.try_into().ok() };
    let little_endian = *ewkb.first()? == 1;
    let number = |bytes: [u8; 4]| match little_endian {
        true => u32::from_le_bytes(bytes),
        false => u32::from_be_bytes(bytes),
    };
    if number(word(1)?) & HAS_SRID == 0 {
        return Some(None);
    }
    Some(Some(number(word(5)?).cast_signed()))
}

/// `[1,2.5,3]`.
pub(super) fn vector(schema: &Arc<Schema>, text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?.strip_prefix('[')?.strip_suffix(']')?;
    let single = schema.value_schema()?.ty() == Type::Float32;
    let element = |item: &str| match single {
        true => item.trim().parse().ok().map(Value::Float32),
        false => item.trim().parse().ok().map(Value::Float64),
    };
    let items = text.split(',').filter(|item| !item.trim().is_empty());
    items.map(element).collect::<Option<_>>().map(Value::Array)
}

/// `{1:1,3:2.5}/5`.
pub(super) fn sparse_vector(schema: &Arc<Schema>, text: &[u8]) -> Option<Value> {
    let (entries, dimensions) = std::str::from_utf8(text).ok()?.split_once('/')?;
    let entries = entries.strip_prefix('{')?.strip_suffix('}')?;
    let entry = |item: &str| {
        let (index, value) = item.split_once(':')?;
        let (index, value) = (index.trim().parse().ok()?, value.trim().parse().ok()?);
        Some((Value::Int16(index), Value::Float64(value)))
    };
    let items = entries.split(',').filter(|item| !item.trim().is_empty());
    let map = items.map(entry).collect::<Option<_>>()?;
    Some(structure(schema, vec![Value::Int16(dimensions.trim().parse().ok()?), Value::Map(map)]))
}
