//! File formats: one [`RecordWriter`] each.

mod avro;
mod avro_anything;
mod avro_schema;
mod bytes;
mod json;
mod lines;
mod parquet;

use std::sync::Arc;

use crate::data::{Record, RowPlan, RowView, Schema};
use crate::error::{ConnectError, DataError};

pub(crate) use avro::{AvroCodec, AvroFormat};
pub(crate) use avro_schema::AvroOptions;
pub(crate) use bytes::BytesFormat;
pub(crate) use json::{JsonDecimals, JsonFormat};
pub(crate) use lines::Compression;
pub(crate) use parquet::{Codec, Lz4Extension, ParquetFormat};

/// Where a file's rows come from: what its metadata says about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Provenance {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) first_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) first_timestamp_ms: Option<i64>,
    pub(crate) last_timestamp_ms: Option<i64>,
    /// The timestamp of every row, as [`super::row_times`] lists them.
    pub(crate) row_times_ms: Option<String>,
    /// The fields of the record key, when it is a struct.
    pub(crate) key_fields: Vec<String>,
}

impl Provenance {
    /// The entries of the file's metadata, for the history tables.
    fn entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = vec![
            ("cdc.topic", self.topic.to_string()),
            ("cdc.partition", self.partition.to_string()),
            ("cdc.first_offset", self.first_offset.to_string()),
            ("cdc.last_offset", self.last_offset.to_string()),
        ];
        if let Some(first) = self.first_timestamp_ms {
            entries.push(("cdc.first_timestamp_ms", first.to_string()));
        }
        if let Some(last) = self.last_timestamp_ms {
            entries.push(("cdc.last_timestamp_ms", last.to_string()));
        }
        if let Some(times) = &self.row_times_ms {
            entries.push(("cdc.timestamps_ms", times.clone()));
        }
        if !self.key_fields.is_empty() {
            let fields = serde_json::Value::from(self.key_fields.clone());
            entries.push(("cdc.key_fields", fields.to_string()));
        }
        entries
    }
}

/// Writes the rows of one file. A row is staged first, and then accepted or discarded, so that the
/// objects of one file stay level. A row that is refused leaves no trace.
pub(crate) trait RecordWriter: Send {
    /// Stages a planned row.
    ///
    /// # Errors
    /// When the row does not fit the file.
    fn write_row(&mut self, plan: &Arc<RowPlan>, row: &RowView<'_>) -> Result<(), DataError>;

    /// Stages a tree.
    ///
    /// # Errors
    /// When the record does not fit the file.
    fn write_record(&mut self, record: &Record) -> Result<(), DataError>;

    /// Adds the staged row.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    fn accept(&mut self) -> Result<(), ConnectError>;

    /// Forgets the staged row.
    fn discard(&mut self);

    /// About how many bytes are held, those of [`RecordWriter::output`] among them.
    fn memory(&self) -> usize;

    /// About how many bytes the file has beyond those that were taken from
    /// [`RecordWriter::output`].
    fn size(&self) -> usize;

    /// Encodes what is held back for better compression, so that [`RecordWriter::output`] has it.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    fn flush(&mut self) -> Result<(), ConnectError>;

    /// The encoded bytes that were not taken yet; the caller takes from the front.
    fn output(&mut self) -> &mut Vec<u8>;

    /// Ends the file; the remaining bytes stand in [`RecordWriter::output`] then.
    ///
    /// # Errors
    /// Fatal: a bug of the encoder.
    fn finish(&mut self, provenance: &Provenance) -> Result<(), ConnectError>;
}

/// The format of a connector's files.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    Parquet(ParquetFormat),
    Json(JsonFormat),
    Bytes(BytesFormat),
    Avro(AvroFormat),
}

impl Format {
    /// What object names end in.
    pub(crate) fn extension(&self) -> String {
        match self {
            Self::Parquet(format) => format.extension(),
            Self::Json(format) => format.extension(),
            Self::Bytes(format) => format.extension(),
            Self::Avro(_) => ".avro".to_owned(),
        }
    }

    /// Whether every record has to be a struct.
    pub(crate) fn needs_rows(&self) -> bool {
        matches!(self, Self::Parquet(_))
    }

    /// Whether headers stand in a struct around their list.
    pub(crate) fn has_row_headers(&self) -> bool {
        matches!(self, Self::Parquet(_) | Self::Json(_))
    }

    /// A writer for a file of `schema`.
    ///
    /// # Errors
    /// When the format cannot hold rows of this schema.
    pub(crate) fn writer(
        &self,
        schema: Option<&Arc<Schema>>,
    ) -> Result<Box<dyn RecordWriter>, DataError> {
        match self {
            Self::Parquet(format) => format.writer(schema),
            Self::Json(format) => format.writer(),
            Self::Bytes(format) => Ok(format.writer()),
            Self::Avro(format) => format.writer(schema),
        }
    }
}
