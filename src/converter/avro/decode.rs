//! Avro's bytes to trees, and to cells (Confluent, `AvroData.toConnectData`).
//!
//! Stricter than the original in what it would silently change: text that is no UTF-8 and integers
//! that do not fit their Connect type are refused.

#![deny(clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;
use num_bigint::BigInt;

use super::binary::Cursor;
use super::encode::TIME_MAX_MS;
use super::to_connect::{Decoding, ReadForm};
use crate::data::{Cell, Decimal, Node, PlannedValue, RecordBatch, RowPlan, Schema, Struct, Value};
use crate::error::DataError;

/// Values without schema may be as deep as this.
const DEPTH_MAX: usize = 100;
/// Items that take no bytes (nulls, empty records) may be as many as this in one message.
const EMPTY_ITEMS_MAX: usize = 100_000;

type Result<T, E = DataError> = std::result::Result<T, E>;

/// Reads one value.
///
/// # Errors
/// When the bytes are no such value, and where.
pub(super) fn decode(decoding: &Decoding, cursor: &mut Cursor<'_>) -> Result<Value> {
    match decoding {
        Decoding::Leaf(form) => leaf(form, cursor),
        Decoding::Nullable { null, inner } => match cursor.index(2)? {
            index if index == *null => Ok(Value::Null),
            _ => decode(inner, cursor),
        },
        Decoding::Single(inner) => {
            cursor.index(1)?;
            decode(inner, cursor)
        }
        Decoding::Record { schema, fields } => {
            let mut values = Vec::with_capacity(fields.len());
            for (field, decoding) in schema.fields().iter().zip(fields) {
                let value = decode(decoding, cursor);
                values.push(value.map_err(|error| error.at(&field.name))?);
            }
            Ok(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
        }
        Decoding::Union { schema, branches } => {
            let index = cursor.index(branches.len())?;
            let Some(Some((member, decoding))) = branches.get(index) else {
                return Ok(Value::Null);
            };
            let mut values = vec![Value::Null; schema.fields().len()];
            let value = decode(decoding, cursor)?;
            if let Some(slot) = values.get_mut(*member) {
                *slot = value;
            }
            Ok(Value::Struct(Box::new(Struct::new(schema.clone(), values))))
        }
        Decoding::Array(items) => {
            let mut values = Vec::new();
            blocks(cursor, |at, cursor| {
                let value = decode(items, cursor);
                values.push(value.map_err(|error| error.at(&format!("[{at}]")))?);
                Ok(())
            })?;
            Ok(Value::Array(values))
        }
        Decoding::Map(values) => {
            let mut entries = Vec::new();
            blocks(cursor, |_, cursor| {
                let key = cursor.string()?.1;
                let value = decode(values, cursor).map_err(|error| error.at(key))?;
                entries.push((Value::string(key), value));
                Ok(())
            })?;
            Ok(Value::Map(entries))
        }
        Decoding::Entries { key, value, key_first } => {
            let mut entries = Vec::new();
            blocks(cursor, |at, cursor| {
                let (first, second) = if *key_first { (key, value) } else { (value, key) };
                let read = decode(first, cursor)
                    .and_then(|first| Ok((first, decode(second, cursor)?)))
                    .map_err(|error| error.at(&format!("[{at}]")))?;
                entries.push(if *key_first { read } else { (read.1, read.0) });
                Ok(())
            })?;
            Ok(Value::Map(entries))
        }
        Decoding::Anything => anything(cursor, 0),
    }
}

/// Calls `read` once for each item of an array or map.
fn blocks<'a>(
    cursor: &mut Cursor<'a>,
    mut read: impl FnMut(usize, &mut Cursor<'a>) -> Result<()>,
) -> Result<()> {
    let (mut at, limit) = (0usize, cursor.left().max(EMPTY_ITEMS_MAX));
    loop {
        let count = cursor.block()?;
        if count == 0 {
            return Ok(());
        }
        if limit - at < count {
            return Err(DataError::new(format!(
                "a block of {count} items with {} bytes left",
                cursor.left()
            )));
        }
        for _ in 0..count {
            read(at, cursor)?;
            at += 1;
        }
    }
}

fn leaf(form: &ReadForm, cursor: &mut Cursor<'_>) -> Result<Value> {
    Ok(match form {
        ReadForm::Boolean => Value::Boolean(cursor.boolean()?),
        ReadForm::Int8 => {
            Value::Int8(small(cursor.int()?, "INT8", |number| i8::try_from(number).ok())?)
        }
        ReadForm::Int16 => {
            Value::Int16(small(cursor.int()?, "INT16", |number| i16::try_from(number).ok())?)
        }
        ReadForm::Int32 => Value::Int32(cursor.int()?),
        ReadForm::Date => Value::Date(cursor.int()?),
        ReadForm::Time => Value::Time(time(cursor.int()?)?),
        ReadForm::Long => Value::Int64(cursor.long()?),
        ReadForm::Timestamp => Value::Timestamp(cursor.long()?),
        ReadForm::Float => Value::Float32(cursor.float()?),
        ReadForm::Double => Value::Float64(cursor.double()?),
        ReadForm::String => Value::string(cursor.string()?.1),
        ReadForm::Enum(symbols) => Value::String(symbol(symbols, cursor)?.clone()),
        ReadForm::Bytes | ReadForm::Fixed(_) => {
            Value::Bytes(Bytes::copy_from_slice(binary(form, cursor)?.1))
        }
        ReadForm::Decimal { scale, .. } => {
            let unscaled = BigInt::from_signed_bytes_be(binary(form, cursor)?.1);
            Value::Decimal(Decimal { unscaled, scale: *scale })
        }
    })
}

fn small<T>(number: i32, ty: &str, fit: impl Fn(i32) -> Option<T>) -> Result<T> {
    fit(number).ok_or_else(|| DataError::new(format!("{number} is out of range for {ty}")))
}

fn time(millis: i32) -> Result<i32> {
    if (0..=TIME_MAX_MS).contains(&millis.into()) {
        return Ok(millis);
    }
    Err(DataError::new(
        "Time values must use number of milliseconds greater than 0 and less than 86400000",
    ))
}

fn symbol<'a>(symbols: &'a [Arc<str>], cursor: &mut Cursor<'_>) -> Result<&'a Arc<str>> {
    let index = cursor.index(symbols.len())?;
    symbols.get(index).ok_or_else(|| DataError::new("no such symbol"))
}

fn binary<'a>(form: &ReadForm, cursor: &mut Cursor<'a>) -> Result<(usize, &'a [u8])> {
    match form {
        ReadForm::Fixed(size) | ReadForm::Decimal { size: Some(size), .. } => cursor.take(*size),
        _ => cursor.bytes(),
    }
}

/// The record of one optional member per kind; see `encode`.
fn anything(cursor: &mut Cursor<'_>, depth: usize) -> Result<Value> {
    if depth > DEPTH_MAX {
        return Err(DataError::new("a value without schema is nested too deeply"));
    }
    let mut found = Value::Null;
    for member in 0..9 {
        if cursor.index(2)? == 0 {
            continue;
        }
        let value = match member {
            0 => Value::Boolean(cursor.boolean()?),
            1 => Value::Bytes(Bytes::copy_from_slice(cursor.bytes()?.1)),
            2 => Value::Float64(cursor.double()?),
            3 => Value::Float32(cursor.float()?),
            4 => Value::Int32(cursor.int()?),
            5 => Value::Int64(cursor.long()?),
            6 => Value::string(cursor.string()?.1),
            7 => {
                let mut items = Vec::new();
                blocks(cursor, |_, cursor| {
                    items.push(anything(cursor, depth + 1)?);
                    Ok(())
                })?;
                Value::Array(items)
            }
            _ => {
                let mut entries = Vec::new();
                blocks(cursor, |_, cursor| {
                    let key = anything(cursor, depth + 1)?;
                    entries.push((key, anything(cursor, depth + 1)?));
                    Ok(())
                })?;
                Value::Map(entries)
            }
        };
        // The first that is set counts.
        if found.is_null() {
            found = value;
        }
    }
    Ok(found)
}

/// The shape of the rows that messages of a schema become.
pub(super) fn plan(topic: &str, schema: &Arc<Schema>, decoding: &Decoding) -> RowPlan {
    let mut cell_count = 0;
    let node = node(decoding, false, &mut cell_count);
    let value = PlannedValue { schema: Some(schema.clone()), node };
    RowPlan { topic: topic.into(), key: None, value: Some(value), cell_count, headers: [].into() }
}

fn node(decoding: &Decoding, nullable: bool, cells: &mut usize) -> Node {
    let mut next_cell = || {
        *cells += 1;
        *cells - 1
    };
    match decoding {
        Decoding::Nullable { inner, .. } if matches!(**inner, Decoding::Record { .. }) => {
            node(inner, true, cells)
        }
        Decoding::Record { fields, .. } => {
            let presence = nullable.then(&mut next_cell);
            let fields = fields.iter().map(|field| node(field, false, cells)).collect();
            Node::Struct { presence, fields }
        }
        _ => Node::cell(next_cell()),
    }
}

/// How many cells a value takes, the presence of the whole aside.
fn cell_count(decoding: &Decoding) -> usize {
    match decoding {
        Decoding::Record { fields, .. } => fields.iter().map(cell_count).sum(),
        Decoding::Nullable { inner, .. } if matches!(**inner, Decoding::Record { .. }) => {
            1 + cell_count(inner)
        }
        _ => 1,
    }
}

/// Reads one value into cells, in the order of [`plan`].
///
/// # Errors
/// When the bytes are no such value, and where; cells may have been appended.
pub(super) fn decode_cells(
    decoding: &Decoding,
    cursor: &mut Cursor<'_>,
    batch: &mut RecordBatch,
) -> Result<()> {
    match decoding {
        Decoding::Nullable { null, inner } => match (&**inner, cursor.index(2)? == *null) {
            (Decoding::Record { .. }, true) => {
                batch.cells.extend(std::iter::repeat_n(Cell::Null, 1 + cell_count(inner)));
            }
            (Decoding::Record { .. }, false) => {
                batch.cells.push(Cell::I64(1));
                decode_cells(inner, cursor, batch)?;
            }
            (_, true) => batch.cells.push(Cell::Null),
            (_, false) => decode_cells(inner, cursor, batch)?,
        },
        Decoding::Record { schema, fields } => {
            for (field, decoding) in schema.fields().iter().zip(fields) {
                decode_cells(decoding, cursor, batch).map_err(|error| error.at(&field.name))?;
            }
        }
        Decoding::Leaf(form) => {
            let cell = cell(form, cursor, batch)?;
            batch.cells.push(cell);
        }
        other => {
            let value = decode(other, cursor)?;
            let cell = if value.is_null() { Cell::Null } else { batch.push_tree(value) };
            batch.cells.push(cell);
        }
    }
    Ok(())
}

fn cell(form: &ReadForm, cursor: &mut Cursor<'_>, batch: &mut RecordBatch) -> Result<Cell> {
    let wire = |(at, bytes): (usize, &[u8])| {
        let position =
            |number| u32::try_from(number).map_err(|_| DataError::new("a batch of 4 GiB"));
        Ok(Cell::Wire { off: position(at)?, len: position(bytes.len())? })
    };
    Ok(match form {
        ReadForm::Boolean => Cell::I64(cursor.boolean()?.into()),
        ReadForm::Int8 => {
            Cell::I64(small(cursor.int()?, "INT8", |number| i8::try_from(number).ok())?.into())
        }
        ReadForm::Int16 => {
            Cell::I64(small(cursor.int()?, "INT16", |number| i16::try_from(number).ok())?.into())
        }
        ReadForm::Int32 | ReadForm::Date => Cell::I64(cursor.int()?.into()),
        ReadForm::Time => Cell::I64(time(cursor.int()?)?.into()),
        ReadForm::Long | ReadForm::Timestamp => Cell::I64(cursor.long()?),
        ReadForm::Float => Cell::F64(cursor.float()?.into()),
        ReadForm::Double => Cell::F64(cursor.double()?),
        ReadForm::String => {
            let (at, text) = cursor.string()?;
            wire((at, text.as_bytes()))?
        }
        ReadForm::Enum(symbols) => batch.push_scratch(symbol(symbols, cursor)?.as_bytes()),
        ReadForm::Bytes | ReadForm::Fixed(_) | ReadForm::Decimal { .. } => {
            wire(binary(form, cursor)?)?
        }
    })
}
