//! What the converters of the Schema Registry have in common: its client, and the cache of ids and
//! schemas around a [`Format`].
//!
//! A message is a zero byte, the schema's id as four bytes, and the value in the schema's format. The
//! registry is asked once per schema and only in [`Converter::prepare`] and
//! [`Converter::prepare_read`]: writing and reading themselves never wait. What the registry refuses
//! is an error of the records concerned; a registry that is away is no error of any record.

mod client;
mod config;
mod converter;
mod http;
mod readers;
mod subject;
mod tls;
mod writers;

pub(super) use client::{Reference, SchemaText};
pub(super) use config::{data_keys, keys};
pub(super) use converter::RegistryConverter;

use std::sync::Arc;

use super::RowEncoder;
use crate::data::{PlannedValue, RecordBatch, RowPlan, Schema, SchemaAndValue, Value};
use crate::error::DataError;

/// The first byte of each message.
const MAGIC: u8 = 0;
/// The magic byte and the id.
const PREFIX_BYTES: usize = 5;

/// A schema language of the registry, and Connect's mapping to it. Everything here is computation.
pub(super) trait Format: Send + Sync + 'static {
    /// As messages name it.
    const NAME: &'static str;
    /// As the registry names it.
    const TYPE: &'static str;

    /// Writes values of one Connect schema under one registered schema.
    type Writer: Send + Sync;
    /// Reads values of one registered schema.
    type Reader: Send + Sync;

    /// The schema that `schema` is written with.
    fn describe(&self, schema: Option<&Arc<Schema>>) -> Result<Described, DataError>;

    /// A writer under `target`: what [`Format::describe`] gave, or what the registry chose.
    fn writer(
        &self,
        schema: Option<&Arc<Schema>>,
        target: &Resolved,
        strict: bool,
    ) -> Result<Self::Writer, DataError>;

    /// Whether this is a null message. `value` may be null under a schema that forbids it.
    fn is_null(&self, schema: Option<&Arc<Schema>>, value: &Value) -> Result<bool, DataError>;

    /// Appends `value`, which is no null message.
    fn write(
        &self,
        writer: &Self::Writer,
        schema: Option<&Arc<Schema>>,
        value: &Value,
        out: &mut Vec<u8>,
    ) -> Result<(), DataError>;

    /// Compiles a shape; its rows start with `prefix`. `None`: they take the general path.
    fn encoder(
        &self,
        _writer: &Self::Writer,
        _planned: &PlannedValue,
        _prefix: &[u8],
    ) -> Option<Box<dyn RowEncoder>> {
        None
    }

    /// A reader of messages of `schema`, which is version `version` of its subject.
    fn reader(&self, schema: &Resolved, version: Option<i32>) -> Result<Self::Reader, DataError>;

    /// Reads one value.
    fn read(&self, reader: &Self::Reader, body: &[u8]) -> Result<SchemaAndValue, DataError>;

    /// The shape of the rows that messages become; `None`: they take the general path.
    fn plan(&self, _reader: &Self::Reader, _topic: &str) -> Option<RowPlan> {
        None
    }

    /// Reads the value at `off..end` of the batch's wire into the cells of [`Format::plan`]; false:
    /// the general path has to, and nothing was appended.
    fn read_cells(
        &self,
        _reader: &Self::Reader,
        _off: usize,
        _end: usize,
        _batch: &mut RecordBatch,
    ) -> Result<bool, DataError> {
        Ok(false)
    }
}

/// A schema to be registered or looked up.
#[derive(Debug, Clone)]
pub(super) struct Described {
    pub(super) schema: SchemaText,
    /// The full name of the record that it is, where it is one.
    pub(super) record: Option<String>,
}

/// A schema with those that it needs, in the order in which they can be read.
#[derive(Debug, Clone)]
pub(super) struct Resolved {
    pub(super) schema: SchemaText,
    pub(super) references: Vec<(Reference, SchemaText)>,
}

impl Resolved {
    /// The texts of the references.
    pub(super) fn reference_texts(&self) -> Vec<String> {
        self.references.iter().map(|(_, schema)| schema.text.clone()).collect()
    }
}

#[cfg(test)]
pub(super) mod tests;
