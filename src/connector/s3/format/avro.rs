//! Avro object container files: `AvroFormat` of the S3 sink; Apache Avro specification, "Object
//! Container Files".
//!
//! Rows are encoded straight from Connect's values by the schema that they have, without a tree of
//! Avro values between: the container itself is a header and blocks.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use super::avro_schema::{self, AvroOptions, enum_symbols};
use super::parquet::is_native_map;
use super::{Provenance, RecordWriter, avro_anything};
use crate::converter::avro::{put_bytes, put_long};
use crate::data::{Record, RowPlan, RowView, Schema, Struct, Type, Value};
use crate::error::{ConnectError, DataError};

/// A block is closed at about this size before compression, as by the original.
const BLOCK_BYTES: usize = 64_000;
/// The header stands before the rows and says what is known only behind them, so a file is held back
/// up to this size. A larger one goes without the entries for the history tables.
const HELD_BYTES: usize = 4 * 1024 * 1024;

/// `avro.codec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AvroCodec {
    Null,
    Deflate,
    Snappy,
    Bzip2,
}

impl AvroCodec {
    /// The codec of this name.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "deflate" => Self::Deflate,
            "snappy" => Self::Snappy,
            "bzip2" => Self::Bzip2,
            _ => Self::Null,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Deflate => "deflate",
            Self::Snappy => "snappy",
            Self::Bzip2 => "bzip2",
        }
    }

    fn compress(self, block: &[u8]) -> Result<Vec<u8>, ConnectError> {
        match self {
            Self::Null => Ok(block.to_vec()),
            Self::Deflate => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(block).and_then(|()| encoder.finish()).map_err(compressing)
            }
            Self::Snappy => {
                let compressed = snap::raw::Encoder::new().compress_vec(block);
                let mut compressed = compressed.map_err(compressing)?;
                compressed.extend_from_slice(&crc32fast::hash(block).to_be_bytes());
                Ok(compressed)
            }
            Self::Bzip2 => {
                let mut encoder =
                    bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
                encoder.write_all(block).and_then(|()| encoder.finish()).map_err(compressing)
            }
        }
    }
}

fn compressing(error: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
    ConnectError::fatal("an Avro block cannot be compressed").because(error)
}

/// How Avro files are written.
#[derive(Debug, Clone)]
pub(crate) struct AvroFormat {
    codec: AvroCodec,
    options: AvroOptions,
}

impl AvroFormat {
    pub(crate) fn new(codec: AvroCodec, options: AvroOptions) -> Self {
        Self { codec, options }
    }

    pub(super) fn writer(
        &self,
        schema: Option<&Arc<Schema>>,
    ) -> Result<Box<dyn RecordWriter>, DataError> {
        let json = match schema {
            Some(schema) => {
                check_names(schema)?;
                avro_schema::of_any(schema, self.options)
            }
            None => avro_anything::SCHEMA.to_owned(),
        };
        Ok(Box::new(AvroWriter {
            schema: schema.cloned(),
            json,
            options: self.options,
            codec: self.codec,
            sync: *uuid::Uuid::new_v4().as_bytes(),
            rows: 0,
            accepted: 0,
            block: Vec::new(),
            held: Some(Vec::new()),
            output: Vec::new(),
        }))
    }
}

struct AvroWriter {
    /// `None`: every value describes itself.
    schema: Option<Arc<Schema>>,
    json: String,
    options: AvroOptions,
    codec: AvroCodec,
    sync: [u8; 16],
    /// Rows of `block`.
    rows: i64,
    /// The end of the accepted rows in `block`; a staged one stands behind.
    accepted: usize,
    block: Vec<u8>,
    /// Blocks that wait for the header.
    held: Option<Vec<u8>>,
    output: Vec<u8>,
}

impl fmt::Debug for AvroWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvroWriter").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl AvroWriter {
    fn end_block(&mut self) -> Result<(), ConnectError> {
        if self.rows == 0 {
            return Ok(());
        }
        let content = self.codec.compress(&self.block)?;
        let out = self.held.as_mut().unwrap_or(&mut self.output);
        put_long(self.rows, out);
        put_bytes(&content, out);
        out.extend_from_slice(&self.sync);
        self.block.clear();
        (self.rows, self.accepted) = (0, 0);
        Ok(())
    }

    /// Writes the header, and what waited for it.
    fn begin(&mut self, provenance: Option<&Provenance>) {
        let Some(held) = self.held.take() else { return };
        let out = &mut self.output;
        out.extend_from_slice(b"Obj\x01");
        let mut entries =
            vec![("avro.schema", self.json.clone()), ("avro.codec", self.codec.name().to_owned())];
        entries.extend(provenance.into_iter().flat_map(Provenance::entries));
        put_long(i64::try_from(entries.len()).unwrap_or_default(), out);
        for (name, value) in entries {
            put_bytes(name.as_bytes(), out);
            put_bytes(value.as_bytes(), out);
        }
        put_long(0, out);
        out.extend_from_slice(&self.sync);
        out.extend_from_slice(&held);
    }
}

impl RecordWriter for AvroWriter {
    fn write_row(&mut self, plan: &Arc<RowPlan>, row: &RowView<'_>) -> Result<(), DataError> {
        self.write_record(&plan.materialize(row)?)
    }

    fn write_record(&mut self, record: &Record) -> Result<(), DataError> {
        let encoded = match (&self.schema, &record.value.schema) {
            (None, None) => avro_anything::encode(&record.value.value, &mut self.block),
            // A file has no null rows: an optional schema is written as if it were required.
            (Some(schema), Some(own)) if Arc::ptr_eq(own, schema) || own == schema => {
                encode(schema, &record.value.value, self.options, &mut self.block)
            }
            _ => return Err(DataError::new("the value's schema is not that of the file")),
        };
        if encoded.is_err() {
            self.discard();
        }
        encoded
    }

    fn accept(&mut self) -> Result<(), ConnectError> {
        self.rows += 1;
        self.accepted = self.block.len();
        if BLOCK_BYTES <= self.block.len() {
            self.end_block()?;
            if self.held.as_ref().is_some_and(|held| HELD_BYTES <= held.len()) {
                self.begin(None);
            }
        }
        Ok(())
    }

    fn discard(&mut self) {
        self.block.truncate(self.accepted);
    }

    fn memory(&self) -> usize {
        let held = self.held.as_ref().map_or(0, Vec::len);
        self.block.capacity() + held + self.output.len()
    }

    fn size(&self) -> usize {
        self.block.len() + self.held.as_ref().map_or(0, Vec::len) + self.output.len()
    }

    fn flush(&mut self) -> Result<(), ConnectError> {
        self.end_block()?;
        self.begin(None);
        Ok(())
    }

    fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    fn finish(&mut self, provenance: &Provenance) -> Result<(), ConnectError> {
        self.end_block()?;
        self.begin(Some(provenance));
        Ok(())
    }
}

/// A value in its place: within the union with null where the schema is optional.
fn encode_any(
    schema: &Schema,
    value: &Value,
    options: AvroOptions,
    out: &mut Vec<u8>,
) -> Result<(), DataError> {
    let default = schema.default_value().filter(|default| !default.is_null());
    // The original writes the default for every null of a schema that has one.
    let value = default.filter(|_| value.is_null()).unwrap_or(value);
    if schema.is_optional() {
        // The type of the default stands first.
        let (null, other) = if default.is_some() { (1, 0) } else { (0, 1) };
        put_long(if value.is_null() { null } else { other }, out);
        if value.is_null() {
            return Ok(());
        }
    }
    encode(schema, value, options, out)
}

fn encode(
    schema: &Schema,
    value: &Value,
    options: AvroOptions,
    out: &mut Vec<u8>,
) -> Result<(), DataError> {
    match (schema.ty(), value) {
        (_, Value::Null) => {
            return Err(DataError::new("Found null value for non-optional schema"));
        }
        (Type::Struct, Value::Struct(value)) => encode_struct(schema, value, options, out)?,
        (Type::Array, Value::Array(items)) => {
            let schema = part(schema.value_schema())?;
            put_items(items, out, |item, out| encode_any(schema, item, options, out))?;
        }
        (Type::Map, Value::Map(entries)) => {
            let (keys, values) = (part(schema.key_schema())?, part(schema.value_schema())?);
            let is_native =
                is_native_map(schema) || (options.optional_map_keys && keys.ty() == Type::String);
            put_items(entries, out, |(key, value), out| {
                match key.as_str().filter(|_| is_native) {
                    Some(text) => put_bytes(text.as_bytes(), out),
                    None if is_native => return Err(DataError::new("a map with a null key")),
                    None => encode_any(keys, key, options, out)?,
                }
                encode_any(values, value, options, out)
            })?;
        }
        (Type::Boolean, Value::Boolean(value)) => out.push((*value).into()),
        (Type::Float32, Value::Float32(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Type::Float64, Value::Float64(number)) => out.extend_from_slice(&number.to_le_bytes()),
        (Type::String, Value::String(text)) => match enum_symbols(schema, options) {
            Some(mut symbols) => {
                let index = symbols.position(|symbol| symbol == &**text).ok_or_else(|| {
                    DataError::new(format!("\"{text}\" is no symbol of the enumeration"))
                })?;
                put_long(i64::try_from(index).unwrap_or_default(), out);
            }
            None => put_bytes(text.as_bytes(), out),
        },
        (Type::Bytes, Value::Bytes(bytes)) => put_binary(schema, bytes, out)?,
        (Type::Bytes, Value::Decimal(decimal)) => {
            put_binary(schema, &decimal.unscaled.to_signed_bytes_be(), out)?;
        }
        (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, value) => {
            let number = value.as_i64().ok_or_else(|| mismatch(schema, value))?;
            put_long(number, out);
        }
        (_, value) => return Err(mismatch(schema, value)),
    }
    Ok(())
}

fn put_binary(schema: &Schema, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DataError> {
    match avro_schema::fixed_size(schema) {
        None => put_bytes(bytes, out),
        Some(size) if i64::try_from(bytes.len()) == Ok(size) => out.extend_from_slice(bytes),
        Some(size) => {
            return Err(DataError::new(format!("{} bytes where {size} are fixed", bytes.len())));
        }
    }
    Ok(())
}

/// Arrays and maps: one block, then the end.
fn put_items<T>(
    items: &[T],
    out: &mut Vec<u8>,
    mut put: impl FnMut(&T, &mut Vec<u8>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    if !items.is_empty() {
        put_long(i64::try_from(items.len()).unwrap_or_default(), out);
        items.iter().try_for_each(|item| put(item, out))?;
    }
    put_long(0, out);
    Ok(())
}

fn encode_struct(
    schema: &Schema,
    value: &Struct,
    options: AvroOptions,
    out: &mut Vec<u8>,
) -> Result<(), DataError> {
    if value.values().len() != schema.fields().len() {
        return Err(DataError::new("a struct of another schema"));
    }
    for (field, value) in schema.fields().iter().zip(value.values()) {
        encode_any(&field.schema, value, options, out)
            .map_err(|error| DataError::new(format!("{error}: field \"{}\"", field.name)))?;
    }
    Ok(())
}

fn part(schema: Option<&Arc<Schema>>) -> Result<&Arc<Schema>, DataError> {
    schema.ok_or_else(|| DataError::new("a container without the schema of its parts"))
}

#[cold]
fn mismatch(schema: &Schema, value: &Value) -> DataError {
    DataError::new(format!("{} is no {}", value.java_class(), schema.ty().name()))
}

/// Avro's rule for names, which the original keeps for records and fields.
fn check_names(schema: &Schema) -> Result<(), DataError> {
    let is_name = |text: &str| {
        let mut chars = text.chars();
        chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && chars.all(|each| each.is_ascii_alphanumeric() || each == '_')
    };
    let refused = |text: &str| DataError::new(format!("Illegal character in: {text}"));
    if schema.ty() == Type::Struct
        && let Some(name) = schema.name()
        && !is_name(name.rsplit('.').next().unwrap_or(name))
    {
        return Err(refused(name));
    }
    for field in schema.fields() {
        if !is_name(&field.name) {
            return Err(refused(&field.name));
        }
        check_names(&field.schema)?;
    }
    [schema.key_schema(), schema.value_schema()]
        .into_iter()
        .flatten()
        .try_for_each(|s| check_names(s))
}

#[cfg(test)]
mod tests;
