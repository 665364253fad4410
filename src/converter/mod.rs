//! Converters: Connect data to the bytes of a Kafka message and back.
//!
//! Each converter works on two paths. The planned one compiles a [`PlannedValue`] into a
//! [`RowEncoder`] once per shape, and for reading keeps a decoder per writer schema; the general one
//! works on trees. Both give the same bytes; a property test holds them to it. No I/O, except in
//! [`Converter::prepare`] and [`Converter::prepare_read`].

pub mod avro;
pub mod binary_data;
pub mod byte_array;
pub mod cloud_events;
pub mod json;
pub mod json_schema;
mod leaf;
pub mod number;
mod program;
pub mod protobuf;
mod registry;
pub mod simple_header;
pub mod string;

use std::sync::Arc;

use async_trait::async_trait;

use self::leaf::{Leaves, leaf_encoder};
use crate::config::{HostMap, Props};
use crate::data::{Header, PlannedValue, RecordBatch, RowPlan, RowView, Schema, SchemaAndValue};
use crate::error::{ConnectError, DataError};

/// Whether a converter wrote bytes or means a null key or value (a tombstone).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Present,
    Null,
}

/// What a message's bytes are: its key or its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Key,
    Value,
}

/// Makes a converter for keys or values.
pub type NewConverter = fn(&Props, &ConverterContext) -> Result<Box<dyn Converter>, ConnectError>;

/// What a converter is made with, beside its settings.
#[derive(Debug, Clone)]
pub struct ConverterContext {
    pub role: Role,
    /// `network.resolve`, for what a converter has to ask of others.
    pub hosts: Arc<HostMap>,
    /// The converter of a class, for one that has another do some of its work.
    pub by_class: fn(&str) -> Option<NewConverter>,
}

impl From<Role> for ConverterContext {
    fn from(role: Role) -> Self {
        Self { role, hosts: Arc::default(), by_class: |_| None }
    }
}

/// `org.apache.kafka.connect.storage.Converter`. One instance serves one task and one [`Role`].
#[async_trait]
pub trait Converter: Send {
    /// Whether values of `schema` can be written to `topic` without asking the outside first.
    fn is_prepared(&mut self, _topic: &str, _schema: Option<&Arc<Schema>>) -> bool {
        true
    }

    /// Asks what has to be asked of the outside (a schema registry) before values of `schema` can be
    /// written to `topic`. Called before [`Converter::encoder`], and before
    /// [`Converter::from_connect_data`] where [`Converter::is_prepared`] says no. Cancel-safe. An
    /// outside that refuses the schema is no error here but one of each of its values.
    async fn prepare(
        &mut self,
        _topic: &str,
        _schema: Option<&Arc<Schema>>,
    ) -> Result<(), ConnectError> {
        Ok(())
    }

    /// As [`Converter::is_prepared`], for a converter that has to see the record itself.
    fn is_record_prepared(
        &mut self,
        topic: &str,
        _headers: &[Header],
        data: &SchemaAndValue,
    ) -> bool {
        self.is_prepared(topic, data.schema.as_ref())
    }

    /// As [`Converter::prepare`], for a converter that has to see the record itself; called before
    /// [`Converter::from_record`] where [`Converter::is_record_prepared`] says no.
    async fn prepare_record(
        &mut self,
        topic: &str,
        _headers: &[Header],
        data: &SchemaAndValue,
    ) -> Result<(), ConnectError> {
        self.prepare(topic, data.schema.as_ref()).await
    }

    /// [`Converter::from_connect_data`] with the record's headers; most converters do not look at
    /// them (Kafka Connect, `Converter.fromConnectData` with headers).
    ///
    /// # Errors
    /// When the value does not fit its schema or this format.
    fn from_record(
        &mut self,
        topic: &str,
        _headers: &[Header],
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError> {
        self.from_connect_data(topic, data, out)
    }

    /// Looks at a message that will be read: whether the outside has to be asked first, by
    /// [`Converter::prepare_read`], which is called once for all messages of a batch.
    fn wants_to_read(&mut self, _topic: &str, _message: &[u8]) -> bool {
        false
    }

    /// Asks what [`Converter::wants_to_read`] noted. Cancel-safe. What the outside does not know is
    /// no error here but one of each message concerned.
    async fn prepare_read(&mut self) -> Result<(), ConnectError> {
        Ok(())
    }

    /// Compiles a shape. `None`: rows of this shape take the general path.
    fn encoder(&mut self, topic: &str, planned: &PlannedValue) -> Option<Box<dyn RowEncoder>>;

    /// Appends the bytes of a tree to `out`.
    ///
    /// # Errors
    /// When the value does not fit its schema or this format.
    fn from_connect_data(
        &mut self,
        topic: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError>;

    /// Reads a message's key or value as a tree; `None` is a null key or value.
    ///
    /// # Errors
    /// When the bytes are not of this format.
    fn to_connect_data(
        &mut self,
        topic: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError>;

    /// Reads the message value at `off..off + len` of `batch.wire` into cells at the end of
    /// `batch.cells`, and returns the shape that describes them; strings without escapes become
    /// [`crate::data::Cell::Wire`] spans. The shape's pointer is the same for all messages of one
    /// writer schema. `Ok(None)`: this message takes the general path, and nothing was appended.
    ///
    /// # Errors
    /// When the bytes are not of this format; cells may have been appended, the caller truncates.
    fn decode_cells(
        &mut self,
        _topic: &str,
        _off: usize,
        _len: usize,
        _batch: &mut RecordBatch,
    ) -> Result<Option<Arc<RowPlan>>, DataError> {
        Ok(None)
    }
}

/// Writes rows of one shape.
pub trait RowEncoder: Send {
    /// Appends the bytes of `row` to `out`.
    ///
    /// # Errors
    /// When a cell does not fit its schema.
    fn write(&self, row: &RowView<'_>, out: &mut Vec<u8>) -> Result<Presence, DataError>;
}

/// `org.apache.kafka.connect.storage.HeaderConverter`.
pub trait HeaderConverter: Send {
    /// Appends the bytes of a header to `out`.
    ///
    /// # Errors
    /// When the value does not fit its schema or this format.
    fn from_connect_header(
        &mut self,
        topic: &str,
        key: &str,
        data: &SchemaAndValue,
        out: &mut Vec<u8>,
    ) -> Result<Presence, DataError>;

    /// Reads a header.
    ///
    /// # Errors
    /// When the bytes are not of this format.
    fn to_connect_header(
        &mut self,
        topic: &str,
        key: &str,
        bytes: Option<&[u8]>,
    ) -> Result<SchemaAndValue, DataError>;
}

#[cfg(test)]
mod tests {
    //! What the tests of the converters share.

    use bytes::Bytes;

    use super::*;
    use crate::data::{Node, Schema, Value};

    pub(super) fn write(
        converter: &mut dyn Converter,
        schema: Option<Arc<Schema>>,
        value: Value,
    ) -> Result<Option<Vec<u8>>, String> {
        let mut out = Vec::new();
        let data = SchemaAndValue { schema, value };
        match converter.from_connect_data("t", &data, &mut out) {
            Ok(Presence::Present) => Ok(Some(out)),
            Ok(Presence::Null) => Ok(None),
            Err(error) => Err(error.0),
        }
    }

    /// Reads part of `wire` on both paths, and writes it back from a cell of `schema`.
    #[track_caller]
    pub(super) fn check_planned(
        converter: &mut dyn Converter,
        schema: &Arc<Schema>,
        wire: &Bytes,
        off: usize,
        len: usize,
    ) {
        let mut batch = RecordBatch { wire: wire.clone(), ..RecordBatch::default() };
        let plan = converter.decode_cells("t", off, len, &mut batch).unwrap().unwrap();
        let again = converter.decode_cells("t", off, len, &mut batch).unwrap().unwrap();
        assert!(Arc::ptr_eq(&plan, &again));
        let index = batch.plan_index(&plan);
        let message = &wire[off..off + len];
        let read = plan.materialize(&batch.view(index, 0)).unwrap().value;
        assert_eq!(read, converter.to_connect_data("t", Some(message)).unwrap());

        let planned = PlannedValue { schema: Some(schema.clone()), node: Node::cell(0) };
        let encoder = converter.encoder("t", &planned).unwrap();
        let mut out = Vec::new();
        let presence = encoder.write(&batch.view(index, 0), &mut out).unwrap();
        assert_eq!((presence, out.as_slice()), (Presence::Present, message));
        batch.cells[0] = crate::data::Cell::Null;
        let presence = encoder.write(&batch.view(index, 0), &mut out).unwrap();
        assert_eq!(presence, Presence::Null);
    }
}
